package io.ambassador;

import static io.ambassador.Fixtures.LONG;
import static io.ambassador.Fixtures.awaitCount;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.milliseconds;
import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** L1, L2: the bulkhead and the rate limit, in real time and by real threads. */
class LimitsTest {
    /** A call that has the only place, and holds it until it is told to end. */
    private static final class Holder implements AutoCloseable {
        private final CountDownLatch mayEnd = new CountDownLatch(1);
        private final Thread thread;

        Holder(AmbassadorProxy proxy) {
            var holds = new CountDownLatch(1);
            thread = new Thread(() -> proxy.callCallable(() -> {
                holds.countDown();
                mayEnd.await();
                return null;
            }));
            thread.start();
            Fixtures.await(holds);
        }

        @Override
        public void close() {
            mayEnd.countDown();
            try {
                thread.join(LONG);
            } catch (InterruptedException interrupt) {
                throw new AssertionError("interrupted while waiting for a call's end", interrupt);
            }
        }
    }

    private static ProxyBuilder one() {
        return quick().timeout(null).bulkhead(Bulkhead.of(1).maxQueue(100).queueTimeoutMs(LONG));
    }

    private static <T> CompletableFuture<T> onThread(java.util.concurrent.Callable<T> work) {
        var ended = new CompletableFuture<T>();
        new Thread(() -> {
            try {
                ended.complete(work.call());
            } catch (Throwable thrown) {
                ended.completeExceptionally(thrown);
            }
        }).start();
        return ended;
    }

    private static <E extends Throwable> E failure(Class<E> type, CompletableFuture<?> future) {
        return assertInstanceOf(
                type, assertThrows(ExecutionException.class, () -> future.get(LONG, TimeUnit.MILLISECONDS)).getCause());
    }

    @Test
    void who_finds_no_place_is_refused_and_nothing_runs() throws Exception {
        var proxy = quick().bulkhead(Bulkhead.of(1)).build();
        var ran = new AtomicInteger();
        try (var holder = new Holder(proxy)) {
            var error = assertThrows(BulkheadFullException.class, () -> proxy.callSupplier(ran::incrementAndGet));
            assertEquals("BULKHEAD_FULL", error.getCode());
            assertEquals(0, error.getAttempts());
            assertNull(error.getRetryAfter());
            failure(BulkheadFullException.class, proxy.callAsync(() -> CompletableFuture.completedFuture(ran.incrementAndGet())));
            holder.mayEnd.countDown();
        }
        assertEquals(0, ran.get());
        assertEquals(1, proxy.callSupplier(ran::incrementAndGet));
        assertEquals(2, count(proxy, "rejections.bulkhead_full"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void who_queues_is_woken_by_the_end_of_another_call(RunIn place) throws Exception {
        var proxy = one().runIn(place).build();
        var holder = new Holder(proxy);
        var waiting = new ArrayList<CompletableFuture<Integer>>();
        for (int number = 0; number < 3; number++) {
            int value = number;
            waiting.add(onThread(() -> proxy.callSupplier(() -> value)));
        }
        waiting.add(proxy.callAsync(() -> CompletableFuture.completedFuture(3)));
        awaitCount(proxy, "bulkhead.queued", 4);
        holder.close();
        for (int number = 0; number < waiting.size(); number++) {
            assertEquals(number, waiting.get(number).get(LONG, TimeUnit.MILLISECONDS));
        }
        awaitCount(proxy, "in_flight", 0);
        assertEquals(0, count(proxy, "bulkhead.occupied"));
        assertEquals(0, count(proxy, "bulkhead.queued"));
    }

    @Test
    void who_is_interrupted_leaves_the_queue_and_no_trace() throws Exception {
        var proxy = one().build();
        var holder = new Holder(proxy);
        var error = new CompletableFuture<Throwable>();
        var flag = new CompletableFuture<Boolean>();
        var waiter = new Thread(() -> {
            try {
                proxy.call(v -> "never");
            } catch (Throwable thrown) {
                error.complete(thrown);
            }
            flag.complete(Thread.interrupted());
        });
        waiter.start();
        awaitCount(proxy, "bulkhead.queued", 1);
        waiter.interrupt();
        var thrown = error.get(LONG, TimeUnit.MILLISECONDS);
        assertEquals("Interrupted during retry", thrown.getMessage());
        assertInstanceOf(InterruptedException.class, thrown.getCause());
        assertTrue(flag.get(LONG, TimeUnit.MILLISECONDS));
        assertEquals(0, count(proxy, "bulkhead.queued"));
        assertEquals(1, count(proxy, "calls.cancelled"));
        holder.close();
        assertEquals("charged", proxy.call(v -> "charged"));
    }

    @Test
    void a_future_that_is_cancelled_leaves_the_queue() throws Exception {
        var proxy = one().build();
        var holder = new Holder(proxy);
        var ran = new AtomicInteger();
        var future = proxy.callAsync(() -> CompletableFuture.completedFuture(ran.incrementAndGet()));
        awaitCount(proxy, "bulkhead.queued", 1);
        assertTrue(future.cancel(true));
        assertEquals(0, count(proxy, "bulkhead.queued"));
        assertThrows(CancellationException.class, future::join);
        holder.close();
        assertEquals(0, ran.get());
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void patience_in_the_queue_has_an_end() throws Exception {
        var proxy = quick().bulkhead(Bulkhead.of(1).maxQueue(5).queueTimeoutMs(40)).build();
        try (var holder = new Holder(proxy)) {
            double waited = milliseconds(() -> assertThrows(BulkheadFullException.class, () -> proxy.call(v -> "never")));
            assertTrue(waited >= 40, waited + " ms");
            failure(BulkheadFullException.class, proxy.callAsync(() -> CompletableFuture.completedFuture("never")));
            holder.mayEnd.countDown();
        }
        assertEquals(0, count(proxy, "bulkhead.queued"));
    }

    @Test
    void the_deadline_ends_a_wait_in_the_queue() throws Exception {
        var proxy = one().deadlineMs(40).build();
        // A proxy of the same state, whose call takes longer.
        var patient = one().name(proxy.name()).build();
        try (var holder = new Holder(patient)) {
            var error = assertThrows(DeadlineExceededException.class, () -> proxy.call(v -> "never"));
            assertEquals(0, error.getAttempts());
            holder.mayEnd.countDown();
        }
    }

    @Test
    void work_that_outlives_its_bound_keeps_its_place_until_it_ends() throws Exception {
        var proxy = quick().maxRetries(1)
                .timeoutMs(30)
                .runIn(RunIn.WORKER)
                .bulkhead(Bulkhead.of(1).maxQueue(1).queueTimeoutMs(LONG))
                .build();
        var mayEnd = new CountDownLatch(1);
        assertThrows(CallTimeoutException.class, () -> proxy.call(v -> {
            spin(mayEnd);
            return null;
        }));
        var queued = onThread(() -> proxy.call(v -> "charged"));
        awaitCount(proxy, "bulkhead.queued", 1);
        mayEnd.countDown();
        assertEquals("charged", queued.get(LONG, TimeUnit.MILLISECONDS));
    }

    /** Heeds no interrupt. */
    private static void spin(CountDownLatch event) {
        while (event.getCount() > 0) {
            Thread.onSpinWait();
        }
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void thirty_two_threads_go_through_two_places(RunIn place) throws Exception {
        var proxy = quick().timeout(null).runIn(place).bulkhead(Bulkhead.of(2).maxQueue(100).queueTimeoutMs(LONG)).build();
        var within = new AtomicInteger();
        var most = new AtomicInteger();
        var ended = new ArrayList<CompletableFuture<Integer>>();
        for (int number = 0; number < 32; number++) {
            ended.add(onThread(() -> {
                int sum = 0;
                for (int call = 0; call < 100; call++) {
                    sum += proxy.callSupplier(() -> {
                        most.accumulateAndGet(within.incrementAndGet(), Math::max);
                        Thread.yield();
                        within.decrementAndGet();
                        return 1;
                    });
                }
                return sum;
            }));
        }
        for (var thread : ended) {
            assertEquals(100, thread.get(LONG, TimeUnit.MILLISECONDS));
        }
        assertTrue(most.get() <= 2, most + " at once");
        assertEquals(3200, count(proxy, "calls.ok"));
        assertEquals(0, count(proxy, "in_flight"));
        assertEquals(0, count(proxy, "bulkhead.occupied"));
    }

    @Test
    void a_call_for_whose_words_there_is_no_room_leaves_the_queue() {
        var proxy = quick().bulkhead(Bulkhead.of(1).maxQueue(1)).build();
        long permit = Native.begin(proxy.handle);
        assertTrue(permit > 0);
        long answer = Native.begin(proxy.handle);
        assertTrue(answer < Native.DIRECT);
        assertTrue(Native.stands(proxy.handle, answer, null) < Native.RUN);
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "bulkhead.queued"));
        assertEquals(Native.GIVEN, Native.returned(proxy.handle, permit));
        assertEquals("charged", proxy.call(v -> "charged"));
    }

    @Test
    void a_call_that_returned_too_late_and_for_whose_words_there_is_no_room_is_over() {
        var proxy = quick().timeoutMs(1).bulkhead(Bulkhead.of(1)).build();
        long permit = Native.begin(proxy.handle);
        while (Native.now() <= Attempt.bound(proxy, permit)) {
            Thread.onSpinWait();
        }
        long answer = Native.returned(proxy.handle, permit);
        assertTrue(answer < Native.GIVEN);
        Native.stands(proxy.handle, answer, null);
        assertEquals(1, count(proxy, "attempts.timeout"));
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "bulkhead.occupied"));
    }

    @Test
    void who_comes_too_early_is_told_when_to_come_again() {
        var proxy = quick().rateLimit(RateLimit.of(1).perMs(60_000)).build();
        assertEquals("first", proxy.call(v -> "first"));
        var error = assertThrows(RateLimitedException.class, () -> proxy.call(v -> "second"));
        assertEquals("RATE_LIMITED", error.getCode());
        assertTrue(error.getRetryAfter().compareTo(Duration.ofSeconds(50)) > 0, error.getRetryAfter().toString());
        assertTrue(error.getRetryAfter().compareTo(Duration.ofSeconds(60)) <= 0, error.getRetryAfter().toString());
        assertTrue(error.getMessage().contains("again in "), error.getMessage());
        assertEquals(1, count(proxy, "rejections.rate_limited"));
    }

    @Test
    void a_call_waits_for_its_turn() throws Exception {
        var proxy = quick().rateLimit(RateLimit.of(20).burst(1).maxWaitMs(LONG)).build();
        double took = milliseconds(() -> {
            proxy.call(v -> "first");
            proxy.call(v -> "second");
            assertEquals("third", proxy.callAsync(() -> CompletableFuture.completedFuture("third")).join());
        });
        assertTrue(took >= 100, took + " ms");
    }

    @Test
    void who_is_interrupted_gives_its_turn_back() {
        var proxy = quick().rateLimit(RateLimit.of(1).perMs(3_600_000).maxWait(Duration.ofHours(2))).build();
        proxy.call(v -> "first");
        for (int time = 0; time < 5; time++) {
            Thread.currentThread().interrupt();
            var error = assertThrows(RuntimeException.class, () -> proxy.call(v -> "second"));
            assertInstanceOf(InterruptedException.class, error.getCause());
            assertTrue(Thread.interrupted());
        }
        var future = proxy.callAsync(() -> CompletableFuture.completedFuture("second"));
        future.cancel(true);
        assertEquals(6, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "in_flight"));
        // Had the turns been kept, the next one's would lie beyond the longest wait.
        var next = proxy.callAsync(() -> CompletableFuture.completedFuture("second"));
        assertTrue(!next.isDone());
        next.cancel(true);
    }

    @Test
    void a_hint_of_an_inner_calls_refusal_is_heeded_by_the_outer_call() {
        var inner = quick().rateLimit(RateLimit.of(20).burst(1)).build();
        var outer = quick().maxRetries(2).build();
        inner.call(v -> "first");
        double took = milliseconds(() -> assertEquals("second", outer.<String>call(v -> inner.call(w -> "second"))));
        assertTrue(took >= 20, took + " ms");
        assertEquals(List.of(1L, 1L), List.of(count(outer, "retries"), count(inner, "rejections.rate_limited")));
    }
}
