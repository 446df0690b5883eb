package io.ambassador;

import java.lang.ref.Reference;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * A call whose attempts are stages. Nothing waits: the first attempt starts on the caller's thread, later ones on workers, and one
 * daemon thread has the bounds and the waits. Not on the JVM's common pool: it may have one thread, and that may hang.
 *
 * <p>Whatever happens next to a call, the end of its attempt, its bound, the end of a wait, a cancellation, belongs to a turn. Who
 * finds its turn over comes too late and changes nothing. No user code runs while a turn is taken (O4).
 */
final class AsyncCall<T> {
    private static final ScheduledThreadPoolExecutor TIMER = timer();

    private final AmbassadorProxy proxy;
    private final AttemptFunction<? extends CompletionStage<? extends T>> function;
    private final CompletableFuture<T> result = new CompletableFuture<>();
    private final Call<T> call;

    private int turn;
    private boolean isRunning = true;
    private boolean isOver;
    /** Of the turn that is. */
    private Attempt ctx;

    private CompletionStage<? extends T> stage;
    private Future<?> timer;

    private AsyncCall(
            AmbassadorProxy proxy, AttemptFunction<? extends CompletionStage<? extends T>> function, long permit) {
        this.proxy = proxy;
        this.function = function;
        ctx = Attempt.first(proxy, permit);
        call = new Call<>(proxy, null, ctx, new long[Native.WORDS]);
        Native.first(proxy.handle, permit, call.words);
    }

    private static ScheduledThreadPoolExecutor timer() {
        var timer = new ScheduledThreadPoolExecutor(1, work -> {
            Thread thread = new Thread(null, work, "ambassador-timer", 0, false);
            thread.setDaemon(true);
            thread.setContextClassLoader(null);
            return thread;
        });
        timer.setRemoveOnCancelPolicy(true);
        return timer;
    }

    static <T> CompletableFuture<T> start(
            AmbassadorProxy proxy, AttemptFunction<? extends CompletionStage<? extends T>> function) {
        long permit = Native.begin(proxy.handle);
        if (permit == Native.DIRECT) {
            return direct(proxy, function);
        }
        if (permit <= 0) {
            return CompletableFuture.failedFuture(Call.refusal(proxy, permit));
        }
        var async = new AsyncCall<T>(proxy, function, permit);
        async.attempt(0, async.ctx);
        if (!async.result.isDone()) {
            // Not before: a call that succeeds at once needs no timer.
            async.boundBy(async.call.words[Native.UNTIL]);
            // Whoever completes the future from outside, by cancel(true) or else, wants the call no more.
            async.result.whenComplete((value, error) -> async.stop());
        }
        return async.result;
    }

    /** F1: once, directly. */
    private static <T> CompletableFuture<T> direct(
            AmbassadorProxy proxy, AttemptFunction<? extends CompletionStage<? extends T>> function) {
        var result = new CompletableFuture<T>();
        try {
            function.apply(Attempt.direct(proxy)).whenComplete((value, error) -> {
                if (error == null) {
                    result.complete(value);
                } else {
                    fail(result, () -> Call.direct(cause(error)));
                }
            });
        } catch (Throwable thrown) {
            fail(result, () -> Call.direct(thrown));
        }
        return result;
    }

    /** Completes with what the supplier gives or throws. */
    private static void fail(CompletableFuture<?> result, Supplier<? extends Throwable> error) {
        try {
            result.completeExceptionally(error.get());
        } catch (Throwable thrown) {
            result.completeExceptionally(thrown);
        }
    }

    private void attempt(int mine, Attempt attempt) {
        CompletionStage<? extends T> begun;
        try {
            begun = function.apply(attempt);
            if (begun == null) {
                throw new NullPointerException("the function returned null where a CompletionStage was expected");
            }
        } catch (Throwable thrown) {
            ended(mine, null, thrown);
            return;
        }
        boolean isWanted;
        synchronized (this) {
            isWanted = mine == turn;
            if (isWanted) {
                stage = begun;
            }
        }
        begun.whenComplete((value, error) -> ended(mine, value, cause(error)));
        if (!isWanted) {
            cancel(begun);
        }
    }

    /** The error without what stages wrap errors of other stages in. */
    private static Throwable cause(Throwable error) {
        Throwable cause = error;
        while ((cause instanceof CompletionException || cause instanceof ExecutionException) && cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause;
    }

    private void ended(int mine, T value, Throwable error) {
        Next next = null;
        if (isCurrent(mine)) {
            // A stage that was cancelled is to futures what an interrupt is to threads (A3).
            Ended<T> ended = error instanceof CancellationException
                    ? Ended.cancelled(error)
                    : Ended.of(proxy, value, error, Watchdog.IN_TIME);
            next = settle(mine, ended);
        }
        if (next != null) {
            proceed(next);
            return;
        }
        // O3, T3: it had been given up, and perhaps cancelled for that.
        if (!(error instanceof CancellationException)) {
            proxy.note(Native.LATE);
        }
        proxy.note(Native.ABANDONED_ENDED);
    }

    private synchronized boolean isCurrent(int mine) {
        return mine == turn;
    }

    private void boundPassed(int mine, long bound) {
        CompletionStage<? extends T> hung;
        Next next;
        synchronized (this) {
            if (mine != turn) {
                return;
            }
            if (Native.now() < bound) {
                schedule(mine, bound, () -> boundPassed(mine, bound));
                return;
            }
            hung = giveUp();
            next = settle(mine, Ended.givenUp());
        }
        // Not on the one thread of the timer: what follows may be anybody's code.
        Workers.execute(() -> {
            cancel(hung);
            proceed(next);
        });
    }

    /** The attempt that runs, if one does, is left to itself. */
    private CompletionStage<? extends T> giveUp() {
        if (isRunning) {
            // Counted before its turn is over, so that its end never finds it uncounted.
            proxy.note(Native.ABANDONED);
            ctx.giveUp();
        }
        return stage;
    }

    /** What to do next, and in which turn. */
    private record Next(int turn, long decision) {}

    /** Null when it is not this turn any more. */
    private synchronized Next settle(int mine, Ended<T> ended) {
        if (mine != turn) {
            return null;
        }
        long decision = call.settle(ended);
        call.record(ended);
        return turnTo(decision);
    }

    private Next turnTo(long decision) {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
        stage = null;
        isRunning = decision == Native.RUN;
        isOver = decision < Native.RUN;
        return new Next(++turn, decision);
    }

    private void proceed(Next next) {
        if (next.decision() > Native.RUN) {
            call.tell();
            schedule(next.turn(), next.decision(), () -> waitOver(next.turn()));
        } else {
            finish(next.decision());
        }
        Reference.reachabilityFence(proxy);
    }

    private void waitOver(int mine) {
        Next next;
        Attempt attempt;
        synchronized (this) {
            if (mine != turn) {
                return;
            }
            long decision = Native.resume(proxy.handle, call.words);
            if (decision > Native.RUN) {
                schedule(mine, decision, () -> waitOver(mine));
                return;
            }
            next = turnTo(decision);
            if (isOver) {
                attempt = null;
            } else {
                ctx = attempt = call.next();
                boundBy(call.words[Native.UNTIL]);
            }
        }
        Workers.execute(() -> {
            if (attempt == null) {
                finish(next.decision());
            } else {
                attempt(next.turn(), attempt);
            }
        });
    }

    private synchronized void boundBy(long bound) {
        int mine = turn;
        if (isRunning && bound != Native.NEVER) {
            schedule(mine, bound, () -> boundPassed(mine, bound));
        }
    }

    private void finish(long decision) {
        T value;
        try {
            value = call.give(decision);
        } catch (Throwable error) {
            result.completeExceptionally(error);
            return;
        }
        result.complete(value);
    }

    /** Nobody wants the result any more. */
    private void stop() {
        CompletionStage<? extends T> running;
        synchronized (this) {
            if (isOver) {
                return;
            }
            running = giveUp();
            Native.cancel(proxy.handle, call.words);
            turnTo(Native.STOPPED);
        }
        cancel(running);
    }

    private static void cancel(CompletionStage<?> stage) {
        if (stage == null) {
            return;
        }
        try {
            stage.toCompletableFuture().cancel(true);
        } catch (RuntimeException notCancellable) {
            // A stage need not be a future; it goes on, and is counted until it ends.
        }
    }

    private synchronized void schedule(int mine, long at, Runnable then) {
        if (mine == turn && !isOver) {
            timer = TIMER.schedule(then, at - Native.now(), TimeUnit.NANOSECONDS);
        }
    }
}
