package io.ambassador;

import static io.ambassador.Fixtures.await;
import static io.ambassador.Fixtures.awaitCount;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.earlier;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** H1: stages of which several run at once. */
class HedgeStagesTest {
    /** Of the first attempt and its hedge. */
    private final List<CompletableFuture<String>> stages = List.of(new CompletableFuture<>(), new CompletableFuture<>());

    private final CountDownLatch bothRun = new CountDownLatch(2);
    private final List<Attempt> attempts = new CopyOnWriteArrayList<>();

    private static ProxyBuilder hedged() {
        return Fixtures.quick().timeoutMs(Fixtures.LONG).idempotent(true).hedge(Hedge.afterMs(1));
    }

    private CompletableFuture<String> stage(Attempt ctx) {
        attempts.add(ctx);
        bothRun.countDown();
        return stages.get(ctx.attempt() - 1);
    }

    /** A call of two attempts that run. */
    private CompletableFuture<String> racing(AmbassadorProxy proxy) {
        CompletableFuture<String> future = proxy.executeAsync(this::stage);
        await(bothRun);
        return future;
    }

    private static <T> T value(CompletableFuture<T> future) throws Exception {
        return future.get(Fixtures.LONG, TimeUnit.MILLISECONDS);
    }

    private static <E extends Throwable> E error(Class<E> type, CompletableFuture<?> future) {
        return assertInstanceOf(type, assertThrows(ExecutionException.class, () -> value(future)).getCause());
    }

    private static void nothingIsLeft(AmbassadorProxy proxy) throws InterruptedException {
        awaitCount(proxy, "abandoned", 0);
        assertEquals(0, count(proxy, "late_results"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void the_first_stage_that_succeeds_wins_and_the_other_is_cancelled_and_told() throws Exception {
        for (int winner : new int[] {1, 2}) {
            var race = new HedgeStagesTest();
            var proxy = hedged().build();
            var future = race.racing(proxy);
            race.stages.get(winner - 1).complete("charged");
            assertEquals("charged", value(future));
            int loser = 3 - winner;
            assertThrows(CancellationException.class, () -> value(race.stages.get(loser - 1)));
            assertTrue(race.attempts.stream().filter(ctx -> ctx.attempt() == loser).allMatch(Attempt::cancelled));
            nothingIsLeft(proxy);
            assertEquals(1, count(proxy, "hedges"));
            assertEquals(1, count(proxy, "attempts.ok"));
            assertEquals(1, count(proxy, "attempts.cancelled"));
        }
    }

    @Test
    void a_stage_that_has_succeeded_is_a_call_that_succeeds_at_once() throws Exception {
        var proxy = hedged().build();
        var future = proxy.callAsync(() -> CompletableFuture.completedFuture("charged"));
        assertTrue(future.isDone());
        assertEquals("charged", value(future));
        assertEquals(0, count(proxy, "hedges"));
    }

    @Test
    void when_both_fail_the_last_error_comes_back_and_the_other_is_suppressed() throws Exception {
        var proxy = hedged().maxRetries(2).build();
        var future = racing(proxy);
        var errors = List.of(new IOException("the first's"), new IOException("the hedge's"));
        stages.get(1).completeExceptionally(errors.get(1));
        // Its function may have been called a moment before the call knows the stage.
        awaitCount(proxy, "attempts.failure", 1);
        assertFalse(future.isDone());
        stages.get(0).completeExceptionally(errors.get(0));
        var error = error(RuntimeException.class, future);
        assertEquals("All retries failed", error.getMessage());
        assertSame(errors.get(0), error.getCause());
        assertEquals(List.of(errors.get(1)), earlier(error));
        nothingIsLeft(proxy);
    }

    @Test
    void a_failure_is_not_the_end_while_another_stage_runs() throws Exception {
        var proxy = hedged().build();
        var future = racing(proxy);
        stages.get(0).completeExceptionally(new IOException("connection reset"));
        stages.get(1).complete("charged");
        assertEquals("charged", value(future));
        assertEquals(1, count(proxy, "attempts.failure"));
        assertEquals(0, count(proxy, "retries"));
        nothingIsLeft(proxy);
    }

    @Test
    void when_all_have_failed_another_runs_alone() throws Exception {
        var proxy = hedged().build();
        try (var lines = new Fixtures.Lines()) {
            CompletableFuture<String> future = proxy.executeAsync(
                    ctx -> ctx.attempt() == 3 ? CompletableFuture.completedFuture("charged") : stage(ctx));
            await(bothRun);
            stages.forEach(stage -> stage.completeExceptionally(new IOException("connection reset")));
            assertEquals("charged", value(future));
            assertEquals(1, lines.all().size());
        }
        nothingIsLeft(proxy);
    }

    @Test
    void cancelling_the_future_stops_both() throws Exception {
        var proxy = hedged().maxRetries(2).build();
        var future = racing(proxy);
        // The hedge's stage is known to the call a moment after its function was called, and is cancelled then at the latest.
        assertTrue(future.cancel(true));
        for (var stage : stages) {
            assertThrows(CancellationException.class, () -> value(stage));
        }
        assertTrue(attempts.stream().allMatch(Attempt::cancelled));
        nothingIsLeft(proxy);
        assertEquals(2, count(proxy, "attempts.cancelled"));
        assertEquals(1, count(proxy, "calls.cancelled"));
    }

    @Test
    void a_stage_that_somebody_else_cancels_ends_the_call_and_the_other_stage() throws Exception {
        var proxy = hedged().build();
        var future = racing(proxy);
        stages.get(0).cancel(true);
        assertThrows(CancellationException.class, () -> value(future));
        assertThrows(CancellationException.class, () -> value(stages.get(1)));
        assertEquals(1, count(proxy, "calls.cancelled"));
        nothingIsLeft(proxy);
    }

    @Test
    void a_classifier_that_throws_ends_the_call_and_the_other_stage() throws Exception {
        var broken = new IllegalArgumentException("broken classifier");
        var proxy = hedged().classify((value, error) -> {
            throw broken;
        }).build();
        var future = racing(proxy);
        stages.get(1).complete("value");
        assertSame(broken, error(RuntimeException.class, future).getCause());
        assertThrows(CancellationException.class, () -> value(stages.get(0)));
        nothingIsLeft(proxy);
    }

    @Test
    void a_loser_that_cannot_be_cancelled_is_counted_until_it_ends_and_is_no_late_result() throws Exception {
        var proxy = hedged().build();
        CompletableFuture<String> future = proxy.executeAsync(ctx -> {
            CompletionStage<String> stage = stage(ctx);
            return ctx.attempt() == 1 ? stages.get(0).minimalCompletionStage() : stage;
        });
        await(bothRun);
        stages.get(1).complete("charged");
        assertEquals("charged", value(future));
        assertEquals(1, count(proxy, "abandoned"));
        stages.get(0).complete("too late");
        nothingIsLeft(proxy);
        assertEquals(1, count(proxy, "calls.ok"));
    }

    @Test
    void each_stage_has_its_own_bound_and_is_cancelled_at_it() throws Exception {
        var proxy = hedged().timeoutMs(100).maxRetries(2).build();
        var future = proxy.executeAsync(this::stage);
        assertEquals(2, error(CallTimeoutException.class, future).getAttempts());
        for (var stage : stages) {
            assertThrows(CancellationException.class, () -> value(stage));
        }
        assertEquals(2, count(proxy, "attempts.timeout"));
        nothingIsLeft(proxy);
    }

    @Test
    void a_hedge_does_not_run_on_the_timers_thread() throws Exception {
        var proxy = hedged().build();
        CompletableFuture<String> name = proxy.executeAsync(ctx -> ctx.attempt() == 1
                ? new CompletableFuture<>()
                : CompletableFuture.completedFuture(Thread.currentThread().getName()));
        assertTrue(value(name).startsWith("ambassador-worker"), name.toString());
    }

    @Test
    void the_function_of_a_hedge_that_has_lost_before_its_turn_is_not_called() throws Exception {
        var proxy = hedged().build();
        // On the worker that is about to start the hedge.
        proxy.onEvent(event -> {
            if (event instanceof Event.Hedge) {
                stages.get(0).complete("charged");
            }
        });
        assertEquals("charged", value(proxy.executeAsync(this::stage)));
        nothingIsLeft(proxy);
        assertEquals(1, attempts.size());
        assertEquals(1, count(proxy, "hedges"));
        assertEquals(1, count(proxy, "attempts.cancelled"));
    }

    @Test
    void the_function_of_a_hedge_whose_call_was_cancelled_before_its_turn_is_not_called() throws Exception {
        var proxy = hedged().build();
        var call = new CompletableFuture<CompletableFuture<String>>();
        proxy.onEvent(event -> {
            if (event instanceof Event.Hedge) {
                call.join().cancel(true);
            }
        });
        call.complete(proxy.executeAsync(this::stage));
        assertThrows(CancellationException.class, () -> value(call.join()));
        awaitCount(proxy, "calls.cancelled", 1);
        nothingIsLeft(proxy);
        assertEquals(1, attempts.size());
    }

    @Test
    void errors_that_cannot_tell_their_hint_are_failures_like_others() throws Exception {
        var proxy = hedged().maxRetries(2).build();
        var future = racing(proxy);
        var broken = new Fixtures.Asks(() -> {
            throw new StackOverflowError();
        });
        stages.forEach(stage -> stage.completeExceptionally(broken));
        assertSame(broken, error(RuntimeException.class, future).getCause());
        nothingIsLeft(proxy);
    }

    @Test
    void an_error_is_asked_for_its_hint_while_nothing_is_locked() throws Exception {
        var proxy = hedged().build();
        var future = racing(proxy);
        var asks = Fixtures.Asks.afterCancelling(future);
        stages.get(0).completeExceptionally(asks);
        assertTrue(asks.hasTold);
        awaitCount(proxy, "calls.cancelled", 1);
        nothingIsLeft(proxy);
    }

    @Test
    void a_thousand_calls_whose_stages_race_each_end_once() throws Exception {
        var proxy = hedged().timeoutMs(5).hedge(Hedge.afterMs(1).max(2)).build();
        var futures = new ArrayList<CompletableFuture<Integer>>();
        try (var lines = new Fixtures.Lines()) {
            for (int number = 0; number < 1000; number++) {
                int call = number;
                futures.add(proxy.executeAsync(ctx -> CompletableFuture.supplyAsync(
                        () -> call,
                        CompletableFuture.delayedExecutor(500 + (call * 7 + ctx.attempt() * 1000) % 5000, TimeUnit.MICROSECONDS))));
            }
            for (int call = 0; call < 1000; call++) {
                try {
                    assertEquals(call, value(futures.get(call)));
                } catch (ExecutionException late) {
                    assertInstanceOf(CallTimeoutException.class, late.getCause());
                }
            }
            lines.flush();
        }
        assertEquals(0, count(proxy, "in_flight"));
        assertEquals(1000, count(proxy, "calls.ok") + count(proxy, "calls.timeout"));
        awaitCount(proxy, "abandoned", 0);
        long ended = count(proxy, "attempts.ok") + count(proxy, "attempts.timeout") + count(proxy, "attempts.cancelled");
        assertEquals(1000 + count(proxy, "hedges") + count(proxy, "retries"), ended);
    }
}
