package io.ambassador;

import static io.ambassador.Fixtures.allFailed;
import static io.ambassador.Fixtures.await;
import static io.ambassador.Fixtures.awaitCount;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.earlier;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** H1: plain functions of which several run at once. */
class HedgeTest {
    private final CountDownLatch firstRuns = new CountDownLatch(1);
    private final CountDownLatch hedgeRuns = new CountDownLatch(1);
    private final CountDownLatch mayEnd = new CountDownLatch(1);
    /** Attempts that were interrupted, and saw that they are cancelled. */
    private final Set<Integer> stopped = ConcurrentHashMap.newKeySet();

    /** Another attempt begins after a millisecond; nothing else ends an attempt. */
    private static ProxyBuilder hedged() {
        return Fixtures.quick().timeoutMs(Fixtures.LONG).idempotent(true).hedge(Hedge.afterMs(1));
    }

    /** An attempt that goes on until it is interrupted. */
    private <T> T hang(Attempt ctx) throws InterruptedException {
        try {
            Thread.sleep(Fixtures.LONG);
            throw new AssertionError("nobody stopped attempt " + ctx.attempt());
        } catch (InterruptedException interrupt) {
            if (ctx.cancelled()) {
                stopped.add(ctx.attempt());
            }
            throw interrupt;
        }
    }

    /** The losers have ended, and none is a late result. */
    private void lost(AmbassadorProxy proxy, Integer... numbers) throws InterruptedException {
        awaitCount(proxy, "abandoned", 0);
        assertEquals(Set.of(numbers), stopped);
        assertEquals(0, count(proxy, "late_results"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @AfterEach
    void the_thread_is_left_clean() {
        mayEnd.countDown();
        assertFalse(Thread.interrupted());
    }

    @Test
    void the_hedge_wins_while_the_first_attempt_hangs_which_is_interrupted_and_told() throws InterruptedException {
        var proxy = hedged().build();
        String value = proxy.execute(ctx -> {
            if (ctx.attempt() == 1) {
                firstRuns.countDown();
                return hang(ctx);
            }
            await(firstRuns);
            return "the hedge's";
        });
        assertEquals("the hedge's", value);
        lost(proxy, 1);
        assertEquals(1, count(proxy, "hedges"));
        assertEquals(0, count(proxy, "retries"));
        assertEquals(1, count(proxy, "calls.ok"));
        assertEquals(1, count(proxy, "attempts.ok"));
        assertEquals(1, count(proxy, "attempts.cancelled"));
    }

    @Test
    void the_first_attempt_wins_and_its_hedge_is_stopped() throws InterruptedException {
        var proxy = hedged().build();
        String value = proxy.execute(ctx -> {
            if (ctx.attempt() == 2) {
                hedgeRuns.countDown();
                return hang(ctx);
            }
            await(hedgeRuns);
            return "the first's";
        });
        assertEquals("the first's", value);
        lost(proxy, 2);
        assertEquals(1, count(proxy, "attempts.cancelled"));
    }

    @Test
    void an_attempt_that_ends_before_its_hedge_would_begin_runs_alone() {
        var proxy = hedged().hedge(Hedge.afterMs(Fixtures.LONG)).build();
        assertEquals("charged", proxy.call(v -> "charged"));
        assertEquals(0, count(proxy, "hedges"));
    }

    @Test
    void when_both_fail_the_last_error_comes_back_and_the_other_is_suppressed() {
        var proxy = hedged().maxRetries(2).build();
        var errors = List.of(new IOException("1"), new IOException("2"));
        for (int last : new int[] {1, 2}) {
            var begun = new CountDownLatch(2);
            long failures = count(proxy, "attempts.failure");
            var error = allFailed(() -> proxy.execute(ctx -> {
                begun.countDown();
                await(begun);
                if (ctx.attempt() == last) {
                    awaitCount(proxy, "attempts.failure", failures + 1);
                }
                throw errors.get(ctx.attempt() - 1);
            }));
            assertSame(errors.get(last - 1), error.getCause());
            assertEquals(List.of(errors.get(2 - last)), earlier(error));
        }
        assertEquals(2, count(proxy, "calls.failure"));
    }

    @Test
    void a_failure_is_not_the_end_while_another_attempt_runs() throws InterruptedException {
        var proxy = hedged().build();
        try (var lines = new Fixtures.Lines()) {
            String value = proxy.execute(ctx -> {
                if (ctx.attempt() == 1) {
                    await(hedgeRuns);
                    throw new IOException("connection reset");
                }
                hedgeRuns.countDown();
                awaitCount(proxy, "attempts.failure", 1);
                return "the hedge's";
            });
            assertEquals("the hedge's", value);
            assertEquals(List.of(), lines.all());
        }
        lost(proxy);
    }

    @Test
    void when_all_have_failed_the_call_waits_and_tries_again_alone() {
        var proxy = hedged().build();
        try (var lines = new Fixtures.Lines()) {
            String value = proxy.execute(ctx -> {
                if (ctx.attempt() == 3) {
                    return "charged";
                }
                if (ctx.attempt() == 1) {
                    await(hedgeRuns);
                } else {
                    hedgeRuns.countDown();
                    awaitCount(proxy, "attempts.failure", 1);
                }
                throw new IOException("failure " + ctx.attempt());
            });
            assertEquals("charged", value);
            assertEquals(1, lines.all().size());
        }
        assertEquals(1, count(proxy, "retries"));
    }

    @Test
    void a_failure_that_may_not_be_tried_again_ends_the_call_and_stops_the_other_attempt() throws InterruptedException {
        var proxy = hedged().notOn(IllegalStateException.class).build();
        var declined = new IllegalStateException("declined");
        var error = allFailed(() -> proxy.execute(ctx -> {
            if (ctx.attempt() == 1) {
                firstRuns.countDown();
                return hang(ctx);
            }
            await(firstRuns);
            throw declined;
        }));
        assertSame(declined, error.getCause());
        // What a loser brings is nobody's.
        assertEquals(List.of(), earlier(error));
        lost(proxy, 1);
    }

    @Test
    void a_classifier_that_throws_ends_the_call_and_stops_the_other_attempt() throws InterruptedException {
        var broken = new IllegalArgumentException("broken classifier");
        var proxy = hedged().classify((value, error) -> {
            throw broken;
        }).build();
        var error = allFailed(() -> proxy.execute(ctx -> {
            if (ctx.attempt() == 1) {
                firstRuns.countDown();
                return hang(ctx);
            }
            await(firstRuns);
            return "value";
        }));
        assertSame(broken, error.getCause());
        lost(proxy, 1);
    }

    @Test
    void an_error_of_the_hedge_passes_through_and_stops_the_first_attempt() throws InterruptedException {
        var proxy = hedged().build();
        var error = new StackOverflowError();
        assertSame(error, assertThrows(StackOverflowError.class, () -> proxy.execute(ctx -> {
            if (ctx.attempt() == 1) {
                firstRuns.countDown();
                return hang(ctx);
            }
            await(firstRuns);
            throw error;
        })));
        lost(proxy, 1);
    }

    @Test
    void an_interrupt_of_the_caller_stops_both() throws InterruptedException {
        var proxy = hedged().maxRetries(2).build();
        var begun = new CountDownLatch(2);
        Thread caller = Thread.currentThread();
        var other = new Thread(() -> {
            await(begun);
            caller.interrupt();
        });
        other.start();
        var error = assertThrows(RuntimeException.class, () -> proxy.execute(ctx -> {
            begun.countDown();
            return hang(ctx);
        }));
        assertEquals("Interrupted during retry", error.getMessage());
        assertInstanceOf(InterruptedException.class, error.getCause());
        assertTrue(Thread.interrupted(), "the flag is restored");
        other.join();
        lost(proxy, 1, 2);
        assertEquals(2, count(proxy, "attempts.cancelled"));
        assertEquals(1, count(proxy, "calls.cancelled"));
    }

    @Test
    void a_loser_that_ends_much_later_changes_nothing_and_is_no_late_result() throws InterruptedException {
        var proxy = hedged().build();
        var isOver = new AtomicBoolean();
        String value = proxy.execute(ctx -> {
            if (ctx.attempt() == 2) {
                await(firstRuns);
                return "the hedge's";
            }
            firstRuns.countDown();
            while (!isOver.get()) {
                Thread.onSpinWait();
            }
            return "too late";
        });
        assertEquals("the hedge's", value);
        assertEquals(1, count(proxy, "abandoned"));
        isOver.set(true);
        lost(proxy);
        assertEquals(1, count(proxy, "calls.ok"));
    }

    @Test
    void each_attempt_has_its_own_bound() throws InterruptedException {
        var proxy = hedged().timeoutMs(100).maxRetries(2).build();
        var error = assertThrows(CallTimeoutException.class, () -> proxy.execute(this::hang));
        assertEquals(2, error.getAttempts());
        assertEquals(2, count(proxy, "attempts.timeout"));
        awaitCount(proxy, "abandoned", 0);
    }

    @Test
    void as_many_run_at_once_as_are_allowed_and_all_have_the_same_key() {
        var proxy = hedged().hedge(Hedge.afterMs(1).max(2)).build();
        var begun = new CountDownLatch(3);
        var keys = new CopyOnWriteArrayList<String>();
        var numbers = new CopyOnWriteArrayList<String>();
        proxy.execute(ctx -> {
            keys.add(ctx.headers().get("idempotency-key"));
            numbers.add(ctx.headers().get("x-ambassador-attempt"));
            begun.countDown();
            await(begun);
            return null;
        });
        assertEquals(1, Set.copyOf(keys).size());
        assertEquals(Set.of("1", "2", "3"), Set.copyOf(numbers));
        assertEquals(2, count(proxy, "hedges"));
    }

    @Test
    void a_hedge_has_its_callers_class_loader_and_none_of_its_thread_locals() {
        var local = new ThreadLocal<String>();
        local.set("the caller's");
        var mine = new ClassLoader() {};
        var loader = new AtomicReference<ClassLoader>();
        ClassLoader before = Thread.currentThread().getContextClassLoader();
        Thread.currentThread().setContextClassLoader(mine);
        try {
            assertNull(hedged().build().<String>execute(ctx -> {
                if (ctx.attempt() == 1) {
                    return hang(ctx);
                }
                loader.set(Thread.currentThread().getContextClassLoader());
                return local.get();
            }));
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
        assertSame(mine, loader.get());
    }

    @Test
    void a_hedge_is_told_to_listeners() {
        var proxy = hedged().build();
        var told = new CopyOnWriteArrayList<Event>();
        proxy.onEvent(told::add);
        proxy.execute(ctx -> ctx.attempt() == 1 ? hang(ctx) : null);
        var hedge = assertInstanceOf(Event.Hedge.class, told.get(0));
        assertEquals(2, hedge.attempt());
        assertTrue(hedge.after().compareTo(Duration.ofMillis(1)) >= 0, hedge.toString());
        assertEquals(4, told.size());
    }

    @Test
    void a_fallback_answers_when_both_have_failed() {
        var proxy = hedged().maxRetries(2).fallback("later").build();
        var begun = new CountDownLatch(2);
        String value = proxy.execute(ctx -> {
            begun.countDown();
            await(begun);
            throw new IOException("connection reset");
        });
        assertEquals("later", value);
        assertEquals(1, count(proxy, "calls.fallback"));
    }

    /** Until they may end; the first of them until {@code firstMayEnd}. How many they are. */
    private int takeAllWorkers(CountDownLatch firstMayEnd) {
        // Of virtual threads one always is free.
        assumeTrue(Runtime.version().feature() < 21);
        var taken = new AtomicInteger();
        var asked = new AtomicBoolean(true);
        while (asked.getAndSet(false)) {
            Workers.startIfFree(() -> {
                asked.set(true);
                CountDownLatch until = taken.getAndIncrement() == 0 ? firstMayEnd : mayEnd;
                return () -> await(until);
            });
        }
        return taken.get();
    }

    @Test
    void a_hedge_that_finds_no_worker_free_begins_when_one_is() {
        var firstMayEnd = new CountDownLatch(1);
        takeAllWorkers(firstMayEnd);
        Thread caller = Thread.currentThread();
        var proxy = hedged().build();
        firstMayEnd.countDown();
        int number = proxy.<Integer>execute(ctx -> {
            if (ctx.attempt() == 1) {
                // On the last worker. The caller waits: there was none for a hedge.
                while (!(LockSupport.getBlocker(caller) instanceof Hedged)) {
                    Thread.onSpinWait();
                }
                mayEnd.countDown();
                await(hedgeRuns);
                return hang(ctx);
            }
            hedgeRuns.countDown();
            return ctx.attempt();
        });
        assertEquals(2, number);
        assertEquals(1, count(proxy, "hedges"));
        assertEquals(0, count(proxy, "retries"));
    }

    @Test
    void a_worker_for_a_hedge_is_taken_only_while_one_is_free() {
        int taken = takeAllWorkers(mayEnd);
        assertTrue(taken > 0 && taken <= 256, taken + " workers");
        mayEnd.countDown();
        // As soon as one has come back.
        assertEquals("charged", Fixtures.quick().timeoutMs(Fixtures.LONG).runIn(RunIn.WORKER).build().call(v -> "charged"));
    }

    @Test
    void a_call_whose_hedge_the_core_fails_to_begin_goes_on_without() {
        var proxy = hedged().build();
        Native.injectPanic("hedge");
        try {
            String value = proxy.execute(ctx -> {
                awaitCount(proxy, "internal_errors", 1);
                return "charged";
            });
            assertEquals("charged", value);
        } finally {
            Native.injectPanic("");
        }
        assertEquals(0, count(proxy, "hedges"));
    }

    @Test
    void thousands_of_calls_whose_attempts_race_each_bring_one_value() throws InterruptedException {
        var proxy = hedged().timeoutMs(3).maxRetries(3).hedge(Hedge.afterMs(0.2).max(2)).build();
        long values = 0;
        try (var lines = new Fixtures.Lines()) {
            for (int number = 0; number < 3000; number++) {
                int call = number;
                try {
                    assertEquals(call, proxy.<Integer>execute(ctx -> {
                        long takes = ThreadLocalRandom.current().nextLong(400_000);
                        long until = System.nanoTime() + takes;
                        while (System.nanoTime() < until) {
                            Thread.onSpinWait();
                        }
                        if (takes % 5 == 0) {
                            throw new IOException("now and then");
                        }
                        return call;
                    }));
                    values++;
                } catch (RuntimeException failed) {
                    // As it may, now and then.
                }
            }
            lines.flush();
        }
        assertEquals(values, count(proxy, "calls.ok"));
        assertEquals(0, count(proxy, "in_flight"));
        awaitCount(proxy, "abandoned", 0);
        long ended = count(proxy, "attempts.ok") + count(proxy, "attempts.failure") + count(proxy, "attempts.timeout") + count(proxy, "attempts.cancelled");
        assertEquals(3000 + count(proxy, "hedges") + count(proxy, "retries"), ended);
        assertTrue(count(proxy, "hedges") > 0);
    }
}
