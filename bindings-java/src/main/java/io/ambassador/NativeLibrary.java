package io.ambassador;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Finds the native library and loads it, once for each class loader. The jar's copy is unpacked into a directory that only this
 * user can enter, made anew for it, compared with the jar, loaded, and deleted at once where the system allows that. A JVM
 * gives a library file to one class loader only, so each unpacks its own.
 */
final class NativeLibrary {
    /** System property: the file to load, instead of the jar's. */
    static final String PATH_PROPERTY = "ambassador.native.path";

    /** Environment variable of the same meaning; the property wins. */
    static final String PATH_VARIABLE = "AMBASSADOR_NATIVE_PATH";

    /** System property: where to unpack, instead of java.io.tmpdir; for systems where nothing may be loaded from there. */
    static final String FOLDER_PROPERTY = "ambassador.native.folder";

    private static final String NAME = "ambassador_java";
    private static final Set<PosixFilePermission> OURS_ALONE = PosixFilePermissions.fromString("rwx------");

    private static volatile boolean loaded;
    private static String failure;

    private NativeLibrary() {}

    /**
     * Loads the library, unless this class loader has it.
     *
     * @throws UnsatisfiedLinkError naming each place searched and what was wrong there
     */
    static void load() {
        if (!loaded) {
            loadOnce();
        }
    }

    private static synchronized void loadOnce() {
        if (loaded) {
            return;
        }
        if (failure == null) {
            var searched = new ArrayList<String>();
            if (search(searched)) {
                Native.beginTelemetry();
                loaded = true;
                return;
            }
            failure = "the native library of ambassador-proxy for " + platform() + " cannot be loaded. Searched: "
                    + String.join("; ", searched) + ". Name a file that fits by -D" + PATH_PROPERTY + "=… or " + PATH_VARIABLE
                    + ", or a folder that libraries may be loaded from by -D" + FOLDER_PROPERTY + "=…";
        }
        throw new UnsatisfiedLinkError(failure);
    }

    private static boolean search(List<String> searched) {
        String named = System.getProperty(PATH_PROPERTY);
        if (named != null) {
            return tryFile("-D" + PATH_PROPERTY, named, searched);
        }
        named = System.getenv(PATH_VARIABLE);
        if (named != null && !named.isEmpty()) {
            return tryFile(PATH_VARIABLE, named, searched);
        }
        return tryResource(searched) || tryLibraryPath(searched);
    }

    /** Who names a file means that one: nothing else is searched. */
    private static boolean tryFile(String from, String file, List<String> searched) {
        try {
            System.load(Path.of(file).toAbsolutePath().toString());
            return true;
        } catch (UnsatisfiedLinkError | RuntimeException wrong) {
            searched.add(from + "=" + file + " (" + wrong.getMessage() + ")");
            return false;
        }
    }

    private static boolean tryResource(List<String> searched) {
        String resource = "/native/" + platform() + "/" + System.mapLibraryName(NAME);
        try (InputStream library = NativeLibrary.class.getResourceAsStream(resource)) {
            if (library == null) {
                searched.add(resource + " in the jar (not there)");
                return false;
            }
            loadCopy(library);
            return true;
        } catch (UnsatisfiedLinkError | IOException | RuntimeException wrong) {
            String in = System.getProperty(FOLDER_PROPERTY, System.getProperty("java.io.tmpdir"));
            searched.add(resource + " in the jar, unpacked below " + in + " (" + wrong.getMessage() + ")");
            return false;
        }
    }

    private static boolean tryLibraryPath(List<String> searched) {
        try {
            System.loadLibrary(NAME);
            return true;
        } catch (UnsatisfiedLinkError | RuntimeException wrong) {
            String path = System.getProperty("java.library.path", "");
            searched.add(System.mapLibraryName(NAME) + " in java.library.path=" + path + " (" + wrong.getMessage() + ")");
            return false;
        }
    }

    private static void loadCopy(InputStream library) throws IOException {
        Path folder = privateFolder();
        Path file = folder.resolve(System.mapLibraryName(NAME));
        try {
            byte[] expected = unpack(library, file);
            check(folder, file, expected);
            System.load(file.toString());
        } finally {
            remove(file);
            remove(folder);
        }
    }

    static Path privateFolder() throws IOException {
        String named = System.getProperty(FOLDER_PROPERTY);
        Path in = Path.of(named != null ? named : System.getProperty("java.io.tmpdir")).toAbsolutePath();
        if (isPosix(Files.getFileStore(in))) {
            return Files.createTempDirectory(in, "ambassador-", PosixFilePermissions.asFileAttribute(OURS_ALONE));
        }
        // Where there are no such permissions, a new directory inherits the access list of the user's own temporary one.
        return Files.createTempDirectory(in, "ambassador-");
    }

    private static boolean isPosix(FileStore store) {
        return store.supportsFileAttributeView(PosixFileAttributeView.class);
    }

    /** Writes the file, and tells the digest of what the jar holds. */
    static byte[] unpack(InputStream library, Path file) throws IOException {
        var digested = new DigestInputStream(library, sha256());
        try (var out = Files.newOutputStream(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            digested.transferTo(out);
        }
        return digested.getMessageDigest().digest();
    }

    /** Nobody else could have put it there or touched it, and it is what the jar holds. */
    static void check(Path folder, Path file, byte[] expected) throws IOException {
        if (isPosix(Files.getFileStore(folder))) {
            var attributes = Files.readAttributes(folder, PosixFileAttributes.class);
            if (!attributes.permissions().equals(OURS_ALONE) || !attributes.owner().equals(Files.getOwner(file))) {
                throw new IOException(folder + " is not this user's alone");
            }
        }
        var digested = new DigestInputStream(Files.newInputStream(file), sha256());
        try (digested) {
            digested.transferTo(OutputStream.nullOutputStream());
        }
        if (!MessageDigest.isEqual(expected, digested.getMessageDigest().digest())) {
            throw new IOException(file + " is not what the jar holds");
        }
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java has SHA-256", impossible);
        }
    }

    /** A loaded file stays mapped without its name; Windows keeps the name until the JVM ends. */
    private static void remove(Path path) {
        try {
            Files.deleteIfExists(path);
        } catch (IOException stillInUse) {
            path.toFile().deleteOnExit();
        }
    }

    /** As the folders in the jar are named: {@code linux-x86_64}. */
    static String platform() {
        String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
        String arch = System.getProperty("os.arch").toLowerCase(Locale.ROOT);
        String family = os.startsWith("mac") ? "macos" : os.startsWith("windows") ? "windows" : os.replace(' ', '_');
        return family + "-" + (arch.equals("amd64") ? "x86_64" : arch);
    }
}
