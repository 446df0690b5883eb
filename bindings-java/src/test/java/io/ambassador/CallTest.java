package io.ambassador;

import static io.ambassador.Fixtures.allFailed;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.earlier;
import static io.ambassador.Fixtures.milliseconds;
import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.logging.Level;
import org.junit.jupiter.api.Test;

/** Calls on the caller's thread: retries, waits, bounds, classes of outcomes, errors. */
class CallTest {
    private final AtomicInteger ran = new AtomicInteger();

    /** Fails that many times, then succeeds with the number of its run. */
    private int failing(int times) {
        if (ran.incrementAndGet() <= times) {
            throw new IllegalStateException("Payment API unreachable");
        }
        return ran.get();
    }

    @Test
    void a_call_that_succeeds_runs_once_and_gives_its_value() {
        var proxy = quick().build();
        int value = proxy.call(v -> failing(0));
        assertEquals(1, value);
        assertEquals(1, count(proxy, "calls.ok"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void the_seeds_constructor_and_function_are_all_it_takes() {
        var proxy = new AmbassadorProxy("payment-api.example.com", 3, 2000);
        Object argument = proxy.call(v -> "argument " + v);
        assertEquals("argument null", argument);
        assertEquals(3, proxy.policy().maxRetries());
        assertEquals(Duration.ofSeconds(2), proxy.policy().timeout().orElseThrow());
        assertEquals("payment-api.example.com", proxy.target());
        assertEquals("payment-api.example.com", proxy.name());
    }

    @Test
    void null_is_a_value_like_any_other() {
        var proxy = quick().build();
        assertNull(proxy.<Object>call(v -> null));
        assertNull(proxy.<Object>callSupplier(() -> null));
    }

    @Test
    void a_failure_is_tried_again() {
        var proxy = quick().build();
        assertEquals(3, proxy.<Integer>call(v -> failing(2)));
        assertEquals(2, count(proxy, "retries"));
    }

    @Test
    void after_the_last_failure_the_seeds_error_has_the_functions_own_as_its_cause() {
        var proxy = quick().build();
        var errors = List.of(new IllegalStateException("1"), new IllegalStateException("2"), new IllegalStateException("3"));
        var error = allFailed(() -> proxy.call(v -> {
            throw errors.get(ran.getAndIncrement());
        }));
        assertSame(errors.get(2), error.getCause());
        assertEquals(errors.subList(0, 2), earlier(error));
        assertEquals(0, errors.get(2).getSuppressed().length, "the app's own errors are left as they are");
    }

    @Test
    void the_cores_note_tells_in_the_stack_trace_why_the_call_ended() {
        var error = allFailed(() -> quick().build().call(v -> failing(3)));
        Throwable[] suppressed = error.getSuppressed();
        String note = suppressed[suppressed.length - 1].toString();
        assertTrue(note.matches("\\[Ambassador\\] payment-api\\.example\\.com: 3 attempts in .*, retries exhausted"), note);
    }

    @Test
    void one_error_object_that_is_thrown_each_time_is_told_once_and_collects_nothing() {
        var proxy = quick().build();
        var always = new IllegalStateException("always the same");
        for (int call = 0; call < 3; call++) {
            var error = allFailed(() -> proxy.call(v -> {
                throw always;
            }));
            assertSame(always, error.getCause());
            assertEquals(List.of(), earlier(error));
        }
        assertEquals(0, always.getSuppressed().length);
    }

    @Test
    void a_checked_exception_is_retried_and_wrapped_like_any_other() {
        var proxy = quick().build();
        var checked = new IOException("connection reset");
        var error = allFailed(() -> proxy.callCallable(() -> {
            ran.incrementAndGet();
            throw checked;
        }));
        assertSame(checked, error.getCause());
        assertEquals(3, ran.get());
        error = allFailed(() -> proxy.execute(ctx -> {
            throw checked;
        }));
        assertSame(checked, error.getCause());
    }

    @Test
    void an_error_passes_through_at_once_and_is_no_failure() {
        var proxy = quick().build();
        var error = new AssertionError("not a failure of the target");
        assertSame(error, assertThrows(AssertionError.class, () -> proxy.call(v -> {
            ran.incrementAndGet();
            throw error;
        })));
        assertEquals(1, ran.get());
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "attempts.failure"));
    }

    private static int forever(int depth) {
        return forever(depth + 1) + 1;
    }

    @Test
    void a_stack_overflow_passes_through_and_the_next_call_is_as_ever() {
        var proxy = quick().build();
        assertThrows(StackOverflowError.class, () -> proxy.call(v -> {
            ran.incrementAndGet();
            return forever(0);
        }));
        assertEquals(1, ran.get());
        assertEquals(2, proxy.<Integer>call(v -> failing(0)));
        assertFalse(Thread.interrupted());
    }

    private static int through(AmbassadorProxy proxy) {
        return proxy.<Integer>call(v -> through(proxy)) + 1;
    }

    @Test
    void a_stack_that_overflows_in_the_middle_of_the_ambassador_leaves_no_bound_armed() throws InterruptedException {
        var proxy = quick().timeoutMs(250).maxRetries(1).build();
        for (int call = 0; call < 20; call++) {
            assertThrows(Throwable.class, () -> through(proxy));
        }
        Thread.interrupted();
        // What was left armed would interrupt this.
        Thread.sleep(500);
        assertEquals(1, quick().build().<Integer>call(v -> failing(0)));
    }

    @Test
    void the_retry_lines_are_exactly_those_of_the_schedule() {
        var proxy = AmbassadorProxy.builder("payment-api.example.com").set("backoff.jitter", "none").build();
        try (var lines = new Fixtures.Lines()) {
            double took = milliseconds(() -> assertEquals(3, proxy.<Integer>call(v -> failing(2))));
            assertTrue(took >= 6000, took + " ms");
            assertEquals(
                    List.of(
                            "[Ambassador] Retry 1 after 2s: Payment API unreachable",
                            "[Ambassador] Retry 2 after 4s: Payment API unreachable"),
                    lines.all());
            assertEquals(Level.WARNING, lines.next().getLevel());
        }
    }

    @Test
    void the_same_seed_gives_the_same_waits_as_in_every_language() {
        var proxy = quick().backoff(Backoff.exponential(Duration.ofMillis(40))).build();
        Native.seedJitter(proxy.handle, 1234567);
        try (var lines = new Fixtures.Lines()) {
            proxy.call(v -> failing(2));
            // SplitMix64 of that seed begins 6457827717110365317, 3203168211198807973: 0.350… of 40 ms, 0.173… of 80 ms.
            assertEquals(
                    List.of(
                            "[Ambassador] Retry 1 after 14ms: Payment API unreachable",
                            "[Ambassador] Retry 2 after 13.89ms: Payment API unreachable"),
                    lines.all());
        }
    }

    @Test
    void an_error_without_a_message_is_named_by_its_class() {
        try (var lines = new Fixtures.Lines()) {
            allFailed(() -> quick().maxRetries(2).build().call(v -> {
                throw new IllegalStateException();
            }));
            assertEquals(List.of("[Ambassador] Retry 1 after 0ms: java.lang.IllegalStateException"), lines.all());
        }
    }

    @Test
    void a_wait_is_never_shorter_than_it_was_said() {
        var proxy = quick().backoff(Backoff.constant(Duration.ofMillis(30))).build();
        double took = milliseconds(() -> proxy.call(v -> failing(2)));
        assertTrue(took >= 60, took + " ms");
    }

    @Test
    void the_deadline_wins_over_the_timeout() {
        var proxy = quick().timeoutMs(10_000).deadlineMs(20).build();
        var error = assertThrows(DeadlineExceededException.class, () -> proxy.execute(ctx -> {
            Thread.sleep(3_600_000);
            return null;
        }));
        assertEquals("DEADLINE", error.getCode());
        assertEquals(1, error.getAttempts());
        assertTrue(error.getElapsed().toMillis() >= 20);
    }

    @Test
    void a_call_never_sleeps_in_vain_before_its_deadline() {
        var proxy = quick().deadlineMs(30_000).backoff(Backoff.constant(Duration.ofMinutes(1))).build();
        double took = milliseconds(() -> allFailed(() -> proxy.call(v -> failing(9))));
        assertTrue(took < 20_000, took + " ms");
        assertEquals(1, ran.get());
    }

    @Test
    void a_timeout_has_the_last_real_failure_as_its_cause() {
        var proxy = quick().timeoutMs(200).maxRetries(2).build();
        var error = assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> {
            if (ctx.attempt() == 1) {
                throw new IOException("connection reset");
            }
            Thread.sleep(3_600_000);
            return null;
        }));
        assertEquals("TIMEOUT", error.getCode());
        assertEquals("payment-api.example.com", error.getTarget());
        assertEquals(2, error.getAttempts());
        assertEquals("connection reset", error.getCause().getMessage());
        assertTrue(error.getMessage().startsWith("payment-api.example.com: attempt 2 of 2 did not end within 200ms"));
        // Where it hung.
        assertInstanceOf(InterruptedException.class, error.getSuppressed()[0]);
    }

    @Test
    void only_listed_exceptions_are_tried_again() {
        var proxy = quick().retryOn(IOException.class, IllegalStateException.class).build();
        assertEquals(2, proxy.<Integer>call(v -> failing(1)));
        allFailed(() -> proxy.call(v -> {
            ran.incrementAndGet();
            throw new IllegalArgumentException("wrong order");
        }));
        assertEquals(3, ran.get());
        var byPredicate = quick().retryOn(error -> error.getMessage().contains("again")).build();
        allFailed(() -> byPredicate.call(v -> failing(9)));
        assertEquals(4, ran.get());
    }

    @Test
    void excluded_exceptions_end_the_call() {
        var proxy = quick().retryOn(RuntimeException.class).notOn(IllegalStateException.class).build();
        allFailed(() -> proxy.call(v -> failing(9)));
        assertEquals(1, ran.get());
        var byPredicate = quick().notOn(error -> error instanceof RuntimeException).build();
        allFailed(() -> byPredicate.call(v -> failing(9)));
        assertEquals(2, ran.get());
    }

    @Test
    void a_classifier_sees_values_and_errors() {
        var proxy = quick()
                .classify((value, error) -> error != null ? Outcome.FAIL : "busy".equals(value) ? Outcome.RETRY : null)
                .build();
        String value = proxy.call(v -> ran.incrementAndGet() < 3 ? "busy" : "done");
        assertEquals("done", value);
        allFailed(() -> proxy.call(v -> failing(9)));
        assertEquals(4, ran.get());
    }

    @Test
    void a_value_that_stays_one_to_be_tried_again_is_handed_back() {
        var proxy = quick().classify((value, error) -> Outcome.RETRY).build();
        try (var lines = new Fixtures.Lines()) {
            assertEquals(3, proxy.<Integer>call(v -> failing(0)));
            assertEquals(2, lines.all().size());
        }
        assertEquals(1, count(proxy, "calls.failure"));
    }

    @Test
    void an_error_that_counts_as_a_success_is_handed_back_as_it_is() {
        var proxy = quick().classify((value, error) -> Outcome.OK).build();
        var notFound = new IOException("404");
        assertSame(notFound, assertThrows(IOException.class, () -> proxy.callCallable(() -> {
            throw notFound;
        })));
        assertEquals(1, count(proxy, "calls.ok"));
    }

    @Test
    void a_classifiers_own_error_ends_the_call_with_the_original_beside_it() {
        var broken = new IllegalArgumentException("broken classifier");
        var proxy = quick().classify((value, error) -> {
            throw broken;
        }).build();
        var error = allFailed(() -> proxy.call(v -> failing(9)));
        assertSame(broken, error.getCause());
        assertEquals("Payment API unreachable", error.getSuppressed()[0].getMessage());
        assertEquals(1, ran.get());
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void a_function_may_call_the_same_proxy_again() {
        var proxy = quick().build();
        String value = proxy.call(v -> {
            failing(1);
            return proxy.call(w -> "inner") + " in outer";
        });
        assertEquals("inner in outer", value);
        assertEquals(2, count(proxy, "calls.ok"));
    }

    @Test
    void wrapped_functions_are_called_through_the_proxy() throws Exception {
        var proxy = quick().build();
        Function<Integer, Integer> function = proxy.wrap(n -> n + failing(1));
        assertEquals(42, function.apply(40));
        Supplier<Integer> supplier = proxy.wrapSupplier(() -> failing(0));
        assertEquals(3, supplier.get());
        Callable<Integer> callable = proxy.wrapCallable(() -> failing(0));
        assertEquals(4, callable.call());
        assertEquals(3, count(proxy, "calls.ok"));
    }

    @Test
    void no_function_is_refused_before_a_call_begins() {
        var proxy = quick().build();
        assertThrows(NullPointerException.class, () -> proxy.call(null));
        assertThrows(NullPointerException.class, () -> proxy.callSupplier(null));
        assertThrows(NullPointerException.class, () -> proxy.callCallable(null));
        assertThrows(NullPointerException.class, () -> proxy.execute(null));
        assertThrows(NullPointerException.class, () -> proxy.callAsync(null));
        assertThrows(NullPointerException.class, () -> proxy.executeAsync(null));
        assertEquals(0, count(proxy, "calls.failure"));
    }

    @Test
    void a_logger_that_throws_breaks_nothing() {
        var proxy = quick().build();
        try (var lines = new Fixtures.Lines() {
            @Override
            public void publish(java.util.logging.LogRecord line) {
                super.publish(line);
                throw new IllegalStateException("the disk is full");
            }
        }) {
            assertEquals(3, proxy.<Integer>call(v -> failing(2)));
            assertEquals(2, lines.all().size());
        }
    }

    @Test
    void an_error_whose_message_throws_breaks_nothing() {
        var proxy = quick().build();
        var error = allFailed(() -> proxy.call(v -> {
            ran.incrementAndGet();
            throw new IllegalStateException() {
                private static final long serialVersionUID = 1L;

                @Override
                public String getMessage() {
                    throw new IllegalStateException("no message");
                }
            };
        }));
        assertEquals(3, ran.get());
        assertInstanceOf(IllegalStateException.class, error.getCause());
    }

    @Test
    void the_version_is_that_of_the_core() {
        assertEquals("0.1.0", AmbassadorProxy.version());
    }
}
