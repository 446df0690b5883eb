package io.ambassador;

import static io.ambassador.Fixtures.await;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.milliseconds;
import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Bounds and interrupts on the caller's thread: what the watchdog sends is taken back, what others send is heard. */
class InterruptTest {
    private final AtomicInteger ran = new AtomicInteger();

    @AfterEach
    void the_thread_is_left_clean() {
        Thread.interrupted();
    }

    private static Object hang() throws InterruptedException {
        Thread.sleep(3_600_000);
        return null;
    }

    /** Interrupts the calling thread when the event comes. */
    private static void interruptAt(CountDownLatch event) {
        Thread caller = Thread.currentThread();
        Thread thread = new Thread(() -> {
            await(event);
            caller.interrupt();
        });
        thread.setDaemon(true);
        thread.start();
    }

    private static RuntimeException interrupted(org.junit.jupiter.api.function.Executable call) {
        var error = assertThrows(RuntimeException.class, call);
        assertEquals("Interrupted during retry", error.getMessage());
        assertInstanceOf(InterruptedException.class, error.getCause());
        assertTrue(Thread.interrupted(), "the flag is restored, as in the seed");
        return error;
    }

    @Test
    void a_function_that_hangs_is_interrupted_at_its_bound() {
        var proxy = quick().timeoutMs(50).maxRetries(2).build();
        double took = milliseconds(() -> assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> hang())));
        // Never early; and not after an hour.
        assertTrue(took >= 100 && took < Fixtures.LONG, took + " ms");
        assertFalse(Thread.interrupted());
        assertEquals(2, count(proxy, "attempts.timeout"));
        assertEquals(0, count(proxy, "late_results"));
    }

    @Test
    void a_value_that_comes_too_late_is_dropped_and_counted() {
        var proxy = quick().timeoutMs(20).maxRetries(1).build();
        var error = assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> {
            while (!ctx.cancelled()) {
                Thread.onSpinWait();
            }
            return "too late";
        }));
        assertEquals(0, error.getSuppressed().length);
        assertFalse(Thread.interrupted());
        assertEquals(1, count(proxy, "late_results"));
    }

    @Test
    void so_is_an_error_unless_it_tells_of_the_watchdogs_interrupt() {
        var proxy = quick().timeoutMs(20).maxRetries(1).build();
        var error = assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> {
            while (!ctx.cancelled()) {
                Thread.onSpinWait();
            }
            throw new IllegalStateException("too late");
        }));
        assertEquals(0, error.getSuppressed().length);
        assertFalse(Thread.interrupted());
        assertEquals(1, count(proxy, "late_results"));
    }

    @Test
    void a_wrapped_interrupt_of_the_watchdogs_is_a_timeout_too() {
        var proxy = quick().timeoutMs(20).maxRetries(1).build();
        assertThrows(CallTimeoutException.class, () -> proxy.call(v -> {
            try {
                return hang();
            } catch (InterruptedException interrupt) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(interrupt);
            }
        }));
        assertFalse(Thread.interrupted());
        assertEquals(0, count(proxy, "late_results"));
    }

    @Test
    void an_interrupt_during_an_attempt_ends_the_call_and_the_flag_is_restored() {
        var proxy = quick().timeout(null).build();
        var started = new CountDownLatch(1);
        interruptAt(started);
        interrupted(() -> proxy.execute(ctx -> {
            ran.incrementAndGet();
            started.countDown();
            return hang();
        }));
        assertEquals(1, ran.get());
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "attempts.failure"));
    }

    @Test
    void an_interrupt_during_the_backoff_ends_the_call_and_the_flag_is_restored() {
        var proxy = quick().backoff(Backoff.constant(Duration.ofHours(1))).build();
        Thread caller = Thread.currentThread();
        try (var lines = new Fixtures.Lines() {
            @Override
            public void publish(java.util.logging.LogRecord line) {
                super.publish(line);
                caller.interrupt();
            }
        }) {
            var error = interrupted(() -> proxy.call(v -> {
                ran.incrementAndGet();
                throw new IllegalStateException("Payment API unreachable");
            }));
            assertEquals("Payment API unreachable", error.getSuppressed()[0].getMessage());
            assertEquals(1, lines.all().size());
        }
        assertEquals(1, ran.get());
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void an_interrupt_is_heard_between_attempts_without_a_wait() {
        var proxy = quick().build();
        interrupted(() -> proxy.call(v -> {
            ran.incrementAndGet();
            Thread.currentThread().interrupt();
            throw new IllegalStateException("Payment API unreachable");
        }));
        assertEquals(1, ran.get());
    }

    @Test
    void an_interrupt_that_a_lambda_had_to_wrap_is_heard_as_well() {
        var proxy = quick().timeout(null).build();
        var started = new CountDownLatch(1);
        interruptAt(started);
        interrupted(() -> proxy.call(v -> {
            try {
                ran.incrementAndGet();
                started.countDown();
                return hang();
            } catch (InterruptedException interrupt) {
                throw new IllegalStateException(interrupt);
            }
        }));
        assertEquals(1, ran.get());
    }

    @Test
    void a_value_is_a_value_though_the_thread_was_interrupted() {
        var proxy = quick().build();
        String value = proxy.call(v -> {
            Thread.currentThread().interrupt();
            return "charged";
        });
        assertEquals("charged", value);
        assertTrue(Thread.interrupted(), "it was meant for the caller");
    }

    @Test
    void a_pending_interrupt_of_the_callers_survives_a_bound_that_passes() {
        var proxy = quick().timeoutMs(20).maxRetries(1).build();
        Thread.currentThread().interrupt();
        assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> {
            while (!ctx.cancelled()) {
                Thread.onSpinWait();
            }
            // Time for the watchdog as well; without it there is nothing to survive.
            long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(100);
            while (System.nanoTime() < until) {
                Thread.onSpinWait();
            }
            return null;
        }));
        assertTrue(Thread.interrupted());
    }

    @Test
    void the_bound_of_an_outer_call_is_heard_in_an_inner_one() {
        var outer = quick().timeoutMs(100).maxRetries(1).build();
        var inner = quick().timeoutMs(3_600_000).build();
        assertThrows(CallTimeoutException.class, () -> outer.call(v -> inner.execute(ctx -> {
            ran.incrementAndGet();
            return hang();
        })));
        assertFalse(Thread.interrupted());
        assertEquals(1, ran.get(), "an interrupt ends the inner call");
        assertEquals(1, count(inner, "calls.cancelled"));
        assertEquals(1, count(outer, "calls.timeout"));
    }

    @Test
    void the_bound_of_an_inner_call_leaves_the_outer_one_alone() {
        var outer = quick().timeoutMs(Fixtures.LONG).build();
        var inner = quick().timeoutMs(20).maxRetries(2).build();
        String value = outer.call(v -> {
            assertThrows(CallTimeoutException.class, () -> inner.execute(ctx -> hang()));
            assertFalse(Thread.currentThread().isInterrupted());
            return "after it";
        });
        assertEquals("after it", value);
    }

    @Test
    void bounds_of_both_that_pass_together_are_both_heard() {
        for (int round = 0; round < 50; round++) {
            var outer = quick().timeoutMs(5).maxRetries(1).build();
            var inner = quick().timeoutMs(5).maxRetries(1).build();
            assertThrows(CallTimeoutException.class, () -> outer.execute(ctx -> {
                try {
                    inner.execute(innermost -> hang());
                } catch (CallTimeoutException innerTimeout) {
                    // The outer bound is due; were its interrupt lost, this would hang.
                    return hang();
                }
                return null;
            }));
            assertFalse(Thread.interrupted());
        }
    }

    @Test
    void an_earlier_bound_is_kept_though_the_watchdog_waits_for_a_later_one() throws InterruptedException {
        var late = quick().timeoutMs(3_600_000).build();
        var inLate = new CountDownLatch(1);
        var mayEnd = new CountDownLatch(1);
        Thread other = new Thread(() -> late.call(v -> {
            inLate.countDown();
            await(mayEnd);
            return null;
        }));
        other.start();
        await(inLate);
        var early = quick().timeoutMs(20).maxRetries(1).build();
        assertThrows(CallTimeoutException.class, () -> early.execute(ctx -> hang()));
        mayEnd.countDown();
        other.join();
        assertEquals(1, count(late, "calls.ok"));
    }

    @Test
    void a_hundred_thousand_calls_that_end_at_their_bound_bring_a_value_or_a_timeout_and_leave_no_interrupt() throws Exception {
        var proxy = quick().timeoutMs(0.1).maxRetries(1).build();
        var random = RandomGenerator.of("L64X128MixRandom");
        var never = new CountDownLatch(1);
        long values = 0;
        long timeouts = 0;
        for (int number = 0; number < 100_000; number++) {
            int call = number;
            // Within 100 µs of the bound, before it or after.
            long takes = random.nextLong(200_000);
            try {
                int value = proxy.<Integer>execute(ctx -> {
                    long until = System.nanoTime() + ctx.remaining().orElseThrow().toNanos() - 100_000 + takes;
                    if (call % 2 == 0) {
                        // Heeds the interrupt …
                        never.await(until - System.nanoTime(), TimeUnit.NANOSECONDS);
                    } else {
                        // … and does not.
                        while (System.nanoTime() < until) {
                            Thread.onSpinWait();
                        }
                    }
                    return call;
                });
                assertEquals(call, value, "a value of its own, not of a call before");
                values++;
            } catch (CallTimeoutException timeout) {
                timeouts++;
            }
            assertFalse(Thread.interrupted(), "call " + call + " left an interrupt");
        }
        System.out.println(values + " values, " + timeouts + " timeouts");
        assertTrue(values > 0 && timeouts > 0);
        assertEquals(100_000, values + timeouts);
        assertEquals(values, count(proxy, "calls.ok"));
        assertEquals(timeouts, count(proxy, "calls.timeout"));
        assertEquals(0, count(proxy, "in_flight"));
        // And none is on its way.
        never.await(100, TimeUnit.MILLISECONDS);
    }

    @Test
    void an_interrupt_from_elsewhere_is_never_eaten_while_bounds_pass() throws Exception {
        var proxy = quick().timeoutMs(0.2).maxRetries(1).build();
        var failure = new AtomicReference<Throwable>();
        var sent = new AtomicInteger();
        var heard = new AtomicInteger();
        Thread caller = new Thread(() -> {
            try {
                while (heard.get() < 2000) {
                    // Pending before the call begins, so it can be told apart.
                    boolean isSent = sent.get() > heard.get();
                    try {
                        proxy.call(v -> {
                            long until = System.nanoTime() + 250_000;
                            while (System.nanoTime() < until) {
                                Thread.onSpinWait();
                            }
                            return null;
                        });
                    } catch (CallTimeoutException timeout) {
                        // As it should.
                    }
                    if (isSent) {
                        assertTrue(Thread.interrupted(), "interrupt " + heard.get() + " was eaten");
                        heard.incrementAndGet();
                    }
                    if (sent.get() == heard.get()) {
                        Thread.interrupted();
                        Thread.currentThread().interrupt();
                        sent.incrementAndGet();
                    }
                }
            } catch (Throwable broken) {
                failure.set(broken);
            }
        });
        caller.start();
        caller.join(TimeUnit.MINUTES.toMillis(2));
        LockSupport.unpark(caller);
        assertEquals(null, failure.get());
        assertEquals(2000, heard.get());
    }
}
