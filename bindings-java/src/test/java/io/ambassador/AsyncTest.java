package io.ambassador;

import static io.ambassador.Fixtures.await;
import static io.ambassador.Fixtures.awaitCount;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.earlier;
import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Calls whose attempts are stages. */
class AsyncTest {
    private final AtomicInteger ran = new AtomicInteger();

    private static <T> T value(CompletableFuture<T> future) throws Exception {
        return future.get(Fixtures.LONG, TimeUnit.MILLISECONDS);
    }

    private static <E extends Throwable> E error(Class<E> type, CompletableFuture<?> future) {
        return assertInstanceOf(type, assertThrows(ExecutionException.class, () -> value(future)).getCause());
    }

    @Test
    void a_stage_that_has_succeeded_is_a_call_that_succeeds_at_once() throws Exception {
        var proxy = quick().build();
        var future = proxy.callAsync(() -> CompletableFuture.completedFuture("charged"));
        assertTrue(future.isDone());
        assertEquals("charged", value(future));
        assertEquals(1, count(proxy, "calls.ok"));
    }

    @Test
    void a_stage_may_complete_later_and_on_any_thread() throws Exception {
        var proxy = quick().build();
        var future = proxy.callAsync(() -> CompletableFuture.supplyAsync(() -> "charged"));
        assertEquals("charged", value(future));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void failures_are_tried_again_with_the_same_key() throws Exception {
        var proxy = quick().backoff(Backoff.constant(Duration.ofMillis(2))).build();
        var keys = Collections.synchronizedList(new ArrayList<String>());
        var future = proxy.executeAsync(ctx -> {
            keys.add(ctx.headers().get("idempotency-key"));
            return ctx.attempt() < 3
                    ? CompletableFuture.failedFuture(new IOException("connection reset"))
                    : CompletableFuture.supplyAsync(ctx::attempt);
        });
        assertEquals(3, value(future));
        assertEquals(3, keys.size());
        assertEquals(1, keys.stream().distinct().count());
    }

    @Test
    void after_the_last_failure_the_future_fails_as_a_call_throws() {
        var proxy = quick().build();
        var errors = List.of(new IOException("1"), new IOException("2"), new IOException("3"));
        var error = error(RuntimeException.class, proxy.callAsync(() -> {
            // Wrapped by the stage between; unwrapped again.
            return CompletableFuture.failedFuture(errors.get(ran.getAndIncrement())).thenApply(value -> value);
        }));
        assertEquals("All retries failed", error.getMessage());
        assertSame(errors.get(2), error.getCause());
        assertEquals(errors.subList(0, 2), earlier(error));
    }

    @Test
    void a_function_that_throws_or_returns_null_has_failed() {
        var proxy = quick().build();
        assertEquals("no request", error(RuntimeException.class, proxy.executeAsync(ctx -> {
            throw new IOException("no request");
        })).getCause().getMessage());
        assertInstanceOf(
                NullPointerException.class, error(RuntimeException.class, proxy.callAsync(() -> null)).getCause());
        assertEquals(6, count(proxy, "attempts.failure"));
    }

    @Test
    void an_error_is_no_failure_and_fails_the_future_at_once() {
        var proxy = quick().build();
        var error = new StackOverflowError();
        assertSame(error, error(StackOverflowError.class, proxy.callAsync(() -> {
            ran.incrementAndGet();
            return CompletableFuture.failedFuture(error);
        })));
        assertSame(error, error(StackOverflowError.class, proxy.callAsync(() -> {
            throw error;
        })));
        assertEquals(1, ran.get());
        assertEquals(2, count(proxy, "calls.cancelled"));
    }

    @Test
    void a_stage_that_hangs_is_given_up_and_cancelled_at_its_bound() throws Exception {
        var proxy = quick().timeoutMs(50).maxRetries(2).build();
        var stages = Collections.synchronizedList(new ArrayList<CompletableFuture<String>>());
        long begun = System.nanoTime();
        var error = error(CallTimeoutException.class, proxy.callAsync(() -> {
            stages.add(new CompletableFuture<>());
            return stages.get(stages.size() - 1);
        }));
        assertTrue(System.nanoTime() - begun >= 100_000_000);
        assertEquals(2, error.getAttempts());
        awaitCount(proxy, "abandoned", 0);
        assertTrue(stages.stream().allMatch(CompletableFuture::isCancelled));
    }

    @Test
    void a_stage_that_cannot_be_cancelled_is_counted_until_it_ends_and_its_result_dropped() throws Exception {
        var proxy = quick().timeoutMs(20).maxRetries(1).build();
        var hung = new CompletableFuture<String>();
        error(CallTimeoutException.class, proxy.callAsync(hung::minimalCompletionStage));
        assertEquals(1, count(proxy, "abandoned"));
        hung.complete("too late");
        assertEquals(0, count(proxy, "abandoned"));
        assertEquals(1, count(proxy, "late_results"));
    }

    @Test
    void an_error_that_comes_too_late_is_dropped_and_counted_but_not_the_cancellation_at_the_bound() throws Exception {
        var proxy = quick().timeoutMs(20).maxRetries(1).build();
        var hung = new CompletableFuture<String>();
        error(CallTimeoutException.class, proxy.callAsync(hung::minimalCompletionStage));
        hung.completeExceptionally(new IOException("too late"));
        assertEquals(0, count(proxy, "abandoned"));
        assertEquals(1, count(proxy, "late_results"));
        error(CallTimeoutException.class, proxy.callAsync(() -> new CompletableFuture<String>().thenApply(value -> value)));
        awaitCount(proxy, "abandoned", 0);
        assertEquals(1, count(proxy, "late_results"));
    }

    @Test
    void cancelling_the_future_stops_the_stage_that_runs() throws Exception {
        var proxy = quick().timeout(null).build();
        var stage = new CompletableFuture<String>();
        var future = proxy.callAsync(() -> stage);
        assertTrue(future.cancel(true));
        assertTrue(stage.isCancelled());
        assertThrows(CancellationException.class, () -> value(future));
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "in_flight"));
        assertEquals(0, count(proxy, "abandoned"));
    }

    @Test
    void cancelling_the_future_stops_the_wait_for_the_next_attempt() throws Exception {
        var proxy = quick().backoff(Backoff.constant(Duration.ofHours(1))).build();
        try (var lines = new Fixtures.Lines()) {
            var future = proxy.callAsync(() -> {
                ran.incrementAndGet();
                return CompletableFuture.failedFuture(new IOException("connection reset"));
            });
            lines.next();
            assertTrue(future.cancel(true));
        }
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "in_flight"));
        assertEquals(1, ran.get());
    }

    @Test
    void a_stage_that_somebody_else_cancels_ends_the_call() {
        var proxy = quick().build();
        var stage = new CompletableFuture<String>();
        var future = proxy.callAsync(() -> {
            ran.incrementAndGet();
            return stage;
        });
        stage.cancel(true);
        assertThrows(CancellationException.class, () -> value(future));
        assertEquals(1, ran.get());
        assertEquals(1, count(proxy, "calls.cancelled"));
    }

    @Test
    void a_thousand_stages_that_end_at_their_bound_each_end_once() throws Exception {
        var proxy = quick().timeoutMs(3).maxRetries(1).build();
        var futures = new ArrayList<CompletableFuture<Integer>>();
        for (int number = 0; number < 1000; number++) {
            int call = number;
            futures.add(proxy.callAsync(() -> CompletableFuture.supplyAsync(
                    () -> call, CompletableFuture.delayedExecutor(2500 + call, TimeUnit.MICROSECONDS))));
        }
        for (int call = 0; call < 1000; call++) {
            try {
                assertEquals(call, value(futures.get(call)));
            } catch (ExecutionException late) {
                assertInstanceOf(CallTimeoutException.class, late.getCause());
            }
        }
        assertEquals(0, count(proxy, "in_flight"));
        assertEquals(1000, count(proxy, "calls.ok") + count(proxy, "calls.timeout"));
        awaitCount(proxy, "abandoned", 0);
    }

    @Test
    void a_value_may_be_classified_and_a_broken_classifier_ends_the_call() throws Exception {
        var proxy = quick().classify((value, error) -> "busy".equals(value) ? Outcome.RETRY : null).build();
        var future = proxy.callAsync(() -> CompletableFuture.completedFuture(ran.incrementAndGet() < 3 ? "busy" : "done"));
        assertEquals("done", value(future));
        var broken = quick().classify((value, error) -> {
            throw new IllegalArgumentException("broken classifier");
        }).build();
        var failed = broken.callAsync(() -> CompletableFuture.completedFuture("value"));
        assertEquals("broken classifier", error(RuntimeException.class, failed).getCause().getMessage());
        assertEquals(0, count(broken, "in_flight"));
    }

    @Test
    void no_attempt_runs_on_the_timers_thread() throws Exception {
        var proxy = quick().backoff(Backoff.constant(Duration.ofMillis(1))).build();
        var threads = Collections.synchronizedList(new ArrayList<String>());
        value(proxy.executeAsync(ctx -> {
            threads.add(Thread.currentThread().getName());
            return ctx.attempt() == 1
                    ? CompletableFuture.failedFuture(new IOException("connection reset"))
                    : CompletableFuture.completedFuture("charged");
        }));
        assertEquals(2, threads.size());
        assertEquals(Thread.currentThread().getName(), threads.get(0));
        assertTrue(!threads.get(1).contains("timer"), threads.toString());
    }

    @Test
    void the_function_of_a_retry_whose_call_was_cancelled_before_its_turn_is_not_called() throws Exception {
        var proxy = quick().breaker(Breaker.defaults().consecutiveFailures(1).openForMs(1))
                .backoff(Backoff.constant(Duration.ofMillis(20)))
                .build();
        var first = new CompletableFuture<String>();
        var future = proxy.callAsync(() -> {
            ran.incrementAndGet();
            return first;
        });
        // The circuit lets the retry through as a probe, which is told on the worker that is about to start it.
        proxy.onEvent(event -> {
            if (event instanceof Event.Circuit circuit && circuit.from().equals("open")) {
                future.cancel(true);
            }
        });
        first.completeExceptionally(new IOException("connection reset"));
        assertThrows(CancellationException.class, () -> value(future));
        awaitCount(proxy, "calls.cancelled", 1);
        awaitCount(proxy, "abandoned", 0);
        assertEquals(1, ran.get());
        assertEquals(1, count(proxy, "retries"));
        assertEquals(0, count(proxy, "late_results"));
    }

    @Test
    void an_error_that_cannot_tell_its_hint_is_a_failure_like_others() {
        var proxy = quick().build();
        var broken = new Fixtures.Asks(() -> {
            throw new StackOverflowError();
        });
        assertSame(broken, error(RuntimeException.class, proxy.callAsync(() -> CompletableFuture.failedFuture(broken))).getCause());
        assertEquals(3, count(proxy, "attempts.failure"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void an_error_is_asked_for_its_hint_while_nothing_is_locked() throws Exception {
        var proxy = quick().build();
        var stage = new CompletableFuture<String>();
        var future = proxy.callAsync(stage::minimalCompletionStage);
        var asks = Fixtures.Asks.afterCancelling(future);
        stage.completeExceptionally(asks);
        assertTrue(asks.hasTold);
        assertThrows(CancellationException.class, () -> value(future));
        awaitCount(proxy, "calls.cancelled", 1);
        awaitCount(proxy, "abandoned", 0);
    }

    @Test
    void a_later_attempt_whose_function_itself_hangs_is_bounded_too() throws Exception {
        var proxy = quick().timeoutMs(50).maxRetries(2).build();
        var mayEnd = new CountDownLatch(1);
        error(CallTimeoutException.class, proxy.executeAsync(ctx -> {
            if (ctx.attempt() == 2) {
                await(mayEnd);
            }
            return ctx.attempt() == 1
                    ? CompletableFuture.failedFuture(new IOException("connection reset"))
                    : CompletableFuture.completedFuture("too late");
        }));
        mayEnd.countDown();
        awaitCount(proxy, "abandoned", 0);
        awaitCount(proxy, "late_results", 1);
    }
}
