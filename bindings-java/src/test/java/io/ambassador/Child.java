package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** A JVM of its own, for what only its end or its options can show. */
final class Child {
    private List<String> limit = List.of();
    private final List<String> options = new ArrayList<>();
    private Path home = Path.of(System.getProperty("java.home"));
    private String classPath = classes(AmbassadorProxy.class) + java.io.File.pathSeparator + classes(Child.class);

    record Ended(int status, String out, String err) {}

    /** The folder that the class was loaded from. */
    static Path classes(Class<?> of) {
        try {
            return Path.of(of.getProtectionDomain().getCodeSource().getLocation().toURI());
        } catch (URISyntaxException impossible) {
            throw new AssertionError(impossible);
        }
    }

    /** It may have as much address space at most. */
    Child addressSpace(int gigabytes) {
        limit = List.of("sh", "-c", "ulimit -v " + gigabytes * 1024 * 1024 + " && exec \"$@\"", "sh");
        return this;
    }

    Child option(String option) {
        options.add(option);
        return this;
    }

    Child home(Path jdk) {
        home = jdk;
        return this;
    }

    Child classPath(String path) {
        classPath = path;
        return this;
    }

    /** Runs a program to its end, which must come by itself. */
    Ended run(Class<?> program, String... arguments) throws IOException, InterruptedException {
        return run(program.getName(), arguments);
    }

    /** The same for a class's name, or a file of Java source. */
    Ended run(String program, String... arguments) throws IOException, InterruptedException {
        var command = new ArrayList<>(limit);
        command.add(home.resolve("bin/java").toString());
        command.addAll(options);
        command.addAll(List.of("-cp", classPath, program));
        command.addAll(List.of(arguments));
        Path out = Files.createTempFile("child", ".out");
        Path err = Files.createTempFile("child", ".err");
        Process process = new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile()).start();
        try {
            boolean hasEnded = process.waitFor(Fixtures.LONG, TimeUnit.MILLISECONDS);
            var ended = new Ended(hasEnded ? process.exitValue() : -1, Files.readString(out), Files.readString(err));
            assertTrue(hasEnded, () -> "the JVM does not end: " + ended);
            return ended;
        } finally {
            process.destroyForcibly();
            Files.delete(out);
            Files.delete(err);
        }
    }

    /** The newest JDK beside the one that runs, if it has virtual threads. */
    static Optional<Path> jdkWithVirtualThreads() throws IOException {
        Path present = Path.of(System.getProperty("java.home")).toRealPath();
        try (Stream<Path> beside = Files.list(present.getParent())) {
            return Stream.concat(Stream.of(present), beside)
                    .filter(jdk -> version(jdk) >= 21)
                    .max((one, other) -> Integer.compare(version(one), version(other)));
        }
    }

    private static int version(Path jdk) {
        try {
            Matcher version = Pattern.compile("JAVA_VERSION=\"(\\d+)").matcher(Files.readString(jdk.resolve("release")));
            return version.find() && Files.isExecutable(jdk.resolve("bin/java")) ? Integer.parseInt(version.group(1)) : 0;
        } catch (IOException noJdk) {
            return 0;
        }
    }
}
