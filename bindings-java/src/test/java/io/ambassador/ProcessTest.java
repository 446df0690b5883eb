package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** F4: the end of the JVM, shutdown, and virtual threads, each in a JVM of its own. */
class ProcessTest {
    private static Child.Ended ended(Child child, String program) throws Exception {
        var ended = child.run(Programs.class, program);
        assertEquals(0, ended.status(), ended::toString);
        assertTrue(ended.out().endsWith("done\n"), ended::toString);
        return ended;
    }

    @ParameterizedTest
    @ValueSource(strings = {"hung-worker", "abandoned", "hung-stage", "waiting-stage"})
    void a_jvm_ends_when_its_main_returns_though_a_call_is_in_flight(String program) throws Exception {
        ended(new Child(), program);
    }

    @Test
    void a_jvm_may_exit_from_within_a_call() throws Exception {
        ended(new Child(), "exit-in-flight");
    }

    @Test
    void shutdown_waits_for_calls_in_flight_and_refuses_new_ones() throws Exception {
        var ended = ended(new Child(), "shutdown");
        assertTrue(ended.out().contains("payment-api.example.com: the call came after `shutdown`"), ended::toString);
    }

    @Test
    void shutdown_does_not_wait_for_ever_and_heeds_an_interrupt() throws Exception {
        ended(new Child(), "shutdown-in-vain");
    }

    @Test
    void where_no_thread_can_be_started_stages_go_on_all_the_same() throws Exception {
        assumeTrue(Runtime.version().feature() < 21, "virtual threads need none");
        assumeTrue(System.getProperty("os.name").equals("Linux"), "a limit of threads of its own");
        // Stacks so large that there is room for few.
        ended(new Child().option("-Xss512m").option("-Xmx64m").option("-Xlog:disable").addressSpace(16), "no-thread-left");
    }

    @ParameterizedTest
    @ValueSource(strings = {"virtual-callers", "virtual-bounds", "virtual-workers", "virtual-interrupts", "virtual-queue"})
    void virtual_threads_are_callers_and_workers_like_any_other(String program) throws Exception {
        Optional<Path> jdk = Child.jdkWithVirtualThreads();
        assumeTrue(jdk.isPresent(), "virtual threads need a JDK of version 21 or newer, and there is none beside the one that runs");
        ended(new Child().home(jdk.get()), program);
    }
}
