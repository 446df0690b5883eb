package io.ambassador;

import static io.ambassador.Fixtures.allFailed;
import static io.ambassador.Fixtures.await;
import static io.ambassador.Fixtures.awaitCount;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.milliseconds;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Calls whose functions run on workers: the caller gets control back whatever they do. */
class WorkerTest {
    private final AtomicInteger ran = new AtomicInteger();

    private static ProxyBuilder quick() {
        return Fixtures.quick().runIn(RunIn.WORKER);
    }

    @AfterEach
    void the_thread_is_left_clean() {
        assertFalse(Thread.interrupted());
    }

    @Test
    void a_function_runs_on_another_thread_which_is_a_daemon() {
        var proxy = quick().build();
        Thread worker = proxy.call(v -> Thread.currentThread());
        assertNotSame(Thread.currentThread(), worker);
        assertTrue(worker.isDaemon());
        assertTrue(worker.getName().startsWith("ambassador-worker"));
    }

    @Test
    void thread_locals_stay_with_the_caller_and_the_class_loader_goes_along() {
        var local = new ThreadLocal<String>();
        local.set("the caller's");
        var mine = new ClassLoader() {};
        ClassLoader before = Thread.currentThread().getContextClassLoader();
        Thread.currentThread().setContextClassLoader(mine);
        try {
            var proxy = quick().build();
            assertNull(proxy.<String>call(v -> local.get()));
            assertSame(mine, proxy.<ClassLoader>call(v -> Thread.currentThread().getContextClassLoader()));
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
    }

    @Test
    void failures_are_tried_again_and_come_back_as_the_same_object() {
        var proxy = quick().build();
        var checked = new IOException("connection reset");
        var error = allFailed(() -> proxy.callCallable(() -> {
            ran.incrementAndGet();
            throw checked;
        }));
        assertSame(checked, error.getCause());
        assertEquals(3, ran.get());
    }

    @Test
    void an_error_passes_through() {
        var error = new StackOverflowError();
        assertSame(error, assertThrows(StackOverflowError.class, () -> quick().build().call(v -> {
            throw error;
        })));
    }

    @Test
    void control_is_back_at_the_bound_though_the_function_heeds_no_interrupt() throws InterruptedException {
        // Long enough for both to begin on a busy machine.
        var proxy = quick().timeoutMs(200).maxRetries(2).build();
        var mayEnd = new AtomicBoolean();
        var seen = new AtomicReference<Attempt>();
        double took = milliseconds(() -> assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> {
            seen.set(ctx);
            while (!mayEnd.get()) {
                Thread.onSpinWait();
            }
            return "too late";
        })));
        assertTrue(took >= 400 && took < Fixtures.LONG, took + " ms");
        assertTrue(seen.get().cancelled());
        // Both functions still run, and are counted until they end.
        assertEquals(2, count(proxy, "abandoned"));
        mayEnd.set(true);
        awaitCount(proxy, "abandoned", 0);
        awaitCount(proxy, "late_results", 2);
    }

    @Test
    void an_error_that_comes_too_late_is_dropped_and_counted() throws InterruptedException {
        var proxy = quick().timeoutMs(200).maxRetries(1).build();
        assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> {
            while (!ctx.cancelled()) {
                Thread.onSpinWait();
            }
            throw new IOException("too late");
        }));
        awaitCount(proxy, "late_results", 1);
        awaitCount(proxy, "abandoned", 0);
    }

    @Test
    void a_function_that_heeds_the_interrupt_ends_and_leaves_no_late_result() throws InterruptedException {
        var proxy = quick().timeoutMs(20).maxRetries(1).build();
        assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> {
            Thread.sleep(3_600_000);
            return null;
        }));
        awaitCount(proxy, "abandoned", 0);
        assertEquals(0, count(proxy, "late_results"));
    }

    @Test
    void the_interrupt_that_was_meant_for_one_function_never_reaches_the_next_on_its_thread() {
        var hasty = quick().timeoutMs(0.3).maxRetries(1).build();
        var calm = quick().timeoutMs(Fixtures.LONG).maxRetries(1).build();
        for (int round = 0; round < 2000; round++) {
            try {
                hasty.call(v -> {
                    long until = System.nanoTime() + 300_000;
                    while (System.nanoTime() < until) {
                        Thread.onSpinWait();
                    }
                    return null;
                });
            } catch (CallTimeoutException timeout) {
                // As it should now and then.
            }
            assertFalse(calm.<Boolean>call(v -> Thread.currentThread().isInterrupted()));
        }
    }

    @Test
    void an_interrupt_of_the_caller_ends_the_call_and_stops_the_function() throws InterruptedException {
        var proxy = quick().timeout(null).build();
        var started = new CountDownLatch(1);
        var stopped = new CountDownLatch(1);
        Thread caller = Thread.currentThread();
        Thread other = new Thread(() -> {
            await(started);
            caller.interrupt();
        });
        other.start();
        var error = assertThrows(RuntimeException.class, () -> proxy.execute(ctx -> {
            ran.incrementAndGet();
            started.countDown();
            try {
                Thread.sleep(3_600_000);
            } catch (InterruptedException interrupt) {
                stopped.countDown();
                throw interrupt;
            }
            return null;
        }));
        assertEquals("Interrupted during retry", error.getMessage());
        assertInstanceOf(InterruptedException.class, error.getCause());
        assertTrue(Thread.interrupted(), "the flag is restored");
        await(stopped);
        other.join();
        assertEquals(1, ran.get());
        assertEquals(1, count(proxy, "calls.cancelled"));
        awaitCount(proxy, "abandoned", 0);
    }

    @Test
    void an_interrupt_that_only_the_worker_saw_is_not_the_callers() {
        var error = assertThrows(RuntimeException.class, () -> quick().build().callCallable(() -> {
            ran.incrementAndGet();
            throw new InterruptedException("the function's own");
        }));
        assertEquals("Interrupted during retry", error.getMessage());
        assertEquals(1, ran.get());
    }

    @Test
    void ten_thousand_calls_that_end_at_their_bound_bring_a_value_or_a_timeout() throws InterruptedException {
        var proxy = quick().timeoutMs(0.3).maxRetries(1).build();
        long values = 0;
        long timeouts = 0;
        for (int number = 0; number < 10_000; number++) {
            int call = number;
            try {
                int value = proxy.<Integer>execute(ctx -> {
                    long until = System.nanoTime() + ctx.remaining().orElseThrow().toNanos() - 50_000 + call % 100 * 1000L;
                    while (System.nanoTime() < until) {
                        Thread.onSpinWait();
                    }
                    return call;
                });
                assertEquals(call, value);
                values++;
            } catch (CallTimeoutException timeout) {
                timeouts++;
            }
        }
        System.out.println(values + " values, " + timeouts + " timeouts");
        assertEquals(10_000, values + timeouts);
        assertEquals(values, count(proxy, "calls.ok"));
        assertEquals(0, count(proxy, "in_flight"));
        awaitCount(proxy, "abandoned", 0);
    }

    @Test
    void a_function_on_a_worker_may_call_the_same_proxy_again() {
        var proxy = quick().build();
        String value = proxy.call(v -> proxy.<String>call(w -> proxy.<String>call(x -> "innermost")));
        assertEquals("innermost", value);
        assertEquals(3, count(proxy, "calls.ok"));
    }
}
