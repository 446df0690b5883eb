package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How the native library comes into the JVM. */
class NativeLibraryTest {
    @TempDir
    Path folder;

    private static final String FILE = System.mapLibraryName("ambassador_java");

    private static Path library() {
        return Child.classes(AmbassadorProxy.class).resolve("native/" + NativeLibrary.platform() + "/" + FILE);
    }

    /** The classes without the library. */
    private String bareClasses() throws IOException {
        Path from = Child.classes(AmbassadorProxy.class).resolve("io/ambassador");
        Path to = Files.createDirectories(folder.resolve("classes/io/ambassador"));
        try (Stream<Path> classes = Files.list(from)) {
            for (Path file : classes.toList()) {
                Files.copy(file, to.resolve(file.getFileName().toString()));
            }
        }
        return folder.resolve("classes") + java.io.File.pathSeparator + Child.classes(Child.class);
    }

    private static List<Path> listed(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList();
        }
    }

    @Test
    void it_is_unpacked_into_a_new_directory_that_only_this_user_can_enter() throws IOException {
        Path one = NativeLibrary.privateFolder();
        Path other = NativeLibrary.privateFolder();
        assertNotEquals(one, other);
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(one)));
        Files.delete(one);
        Files.delete(other);
    }

    @Test
    void a_copy_is_loaded_only_when_it_is_what_the_jar_holds() throws IOException {
        Path own = NativeLibrary.privateFolder();
        Path file = own.resolve(FILE);
        byte[] digest = NativeLibrary.unpack(new ByteArrayInputStream("library".getBytes()), file);
        NativeLibrary.check(own, file, digest);
        Files.writeString(file, "another");
        var error = assertThrows(IOException.class, () -> NativeLibrary.check(own, file, digest));
        assertTrue(error.getMessage().endsWith("is not what the jar holds"), error.getMessage());
        // A file that is there already is not written into.
        assertThrows(IOException.class, () -> NativeLibrary.unpack(new ByteArrayInputStream(new byte[0]), file));
        Files.delete(file);
        Files.delete(own);
    }

    @Test
    void a_directory_that_others_can_enter_is_refused() throws IOException {
        Path file = folder.resolve(FILE);
        byte[] digest = NativeLibrary.unpack(new ByteArrayInputStream("library".getBytes()), file);
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
        var error = assertThrows(IOException.class, () -> NativeLibrary.check(folder, file, digest));
        assertTrue(error.getMessage().endsWith("is not this user's alone"), error.getMessage());
    }

    @Test
    void nothing_of_it_stays_behind() throws Exception {
        var ended = new Child().option("-Djava.io.tmpdir=" + folder).run(Programs.class, "call");
        assertEquals(0, ended.status(), ended::toString);
        var left = listed(folder).stream().filter(file -> file.getFileName().toString().startsWith("ambassador")).toList();
        assertEquals(List.of(), left);
    }

    @Test
    void the_folder_to_unpack_into_may_be_named() throws Exception {
        var child = new Child().option("-Djava.io.tmpdir=" + folder.resolve("missing"));
        var failed = child.run(Programs.class, "call");
        assertNotEquals(0, failed.status());
        assertTrue(failed.err().contains("unpacked below " + folder.resolve("missing")), failed::toString);
        var ended = child.option("-Dambassador.native.folder=" + folder).run(Programs.class, "call");
        assertEquals(0, ended.status(), ended::toString);
        assertEquals(List.of(), listed(folder));
    }

    @Test
    void a_file_may_be_named_by_a_property() throws Exception {
        var ended = new Child()
                .classPath(bareClasses())
                .option("-Dambassador.native.path=" + library())
                .run(Programs.class, "call");
        assertEquals("charged\ndone\n", ended.out(), ended::toString);
    }

    @Test
    void a_named_file_that_is_not_there_is_named_in_the_message_and_nothing_else_is_tried() throws Exception {
        var ended = new Child().option("-Dambassador.native.path=/nowhere/lib.so").run(Programs.class, "call");
        assertEquals(1, ended.status());
        assertTrue(ended.err().contains("Searched: -Dambassador.native.path=/nowhere/lib.so ("), ended::toString);
    }

    @Test
    void a_library_that_cannot_be_found_is_an_error_that_names_each_place_searched() throws Exception {
        var ended = new Child()
                .classPath(bareClasses())
                .option("-Djava.library.path=" + folder)
                .run(Programs.class, "call");
        assertEquals(1, ended.status());
        for (String part : List.of(
                "UnsatisfiedLinkError",
                "/native/" + NativeLibrary.platform() + "/" + FILE + " in the jar (not there)",
                FILE + " in java.library.path=" + folder,
                "-Dambassador.native.path=",
                "AMBASSADOR_NATIVE_PATH")) {
            assertTrue(ended.err().contains(part), () -> part + " in " + ended);
        }
    }

    @Test
    void the_librarys_own_folder_may_be_on_the_library_path() throws Exception {
        Files.copy(library(), folder.resolve(FILE));
        var ended = new Child()
                .classPath(bareClasses())
                .option("-Djava.library.path=" + folder)
                .run(Programs.class, "call");
        assertEquals("charged\ndone\n", ended.out(), ended::toString);
    }

    @Test
    void two_class_loaders_of_one_jvm_have_a_library_each() throws Exception {
        URL[] classes = {Child.classes(AmbassadorProxy.class).toUri().toURL()};
        ClassLoader platform = ClassLoader.getPlatformClassLoader();
        try (var one = new URLClassLoader(classes, platform);
                var other = new URLClassLoader(classes, platform)) {
            Class<?> first = one.loadClass(AmbassadorProxy.class.getName());
            Class<?> second = other.loadClass(AmbassadorProxy.class.getName());
            assertNotSame(first, second);
            for (Class<?> proxy : List.of(first, second, first)) {
                Object made = proxy.getConstructor(String.class, int.class, long.class).newInstance("loader.example.com", 3, 2000L);
                Function<Void, String> function = v -> "charged";
                assertEquals("charged", proxy.getMethod("call", Function.class).invoke(made, function));
                String health = (String) proxy.getMethod("health").invoke(made);
                assertTrue(health.contains("\"name\":\"loader.example.com\""), health);
                // Each its own core: what one counts, the other does not see.
                assertFalse(health.contains("\"calls\":{\"ok\":3"), health);
            }
        }
    }
}
