package io.ambassador;

import java.lang.ref.Reference;
import java.util.List;
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
    /** Has bounds and waits, and runs nobody's code. */
    static final ScheduledThreadPoolExecutor TIMER = timer();

    final AmbassadorProxy proxy;
    private final AttemptFunction<? extends CompletionStage<? extends T>> function;
    private final CompletableFuture<T> result = new CompletableFuture<>();
    final Call<T> call;
    /** Of a call that may be hedged: its attempts; null else. */
    private final HedgedStages<T> race;

    private int turn;
    private boolean isRunning;
    private boolean isOver;
    /** Of the turn that is. */
    private Attempt ctx;

    /** What runs: the attempt, or what answers in place of its error. */
    private CompletionStage<?> stage;

    private Future<?> timer;
    /** In the bulkhead's queue. */
    private Turn place;

    private AsyncCall(
            AmbassadorProxy proxy,
            AttemptFunction<? extends CompletionStage<? extends T>> function,
            Attempt first,
            long[] words) {
        this.proxy = proxy;
        this.function = function;
        ctx = first;
        isRunning = first != null && !proxy.isHedged;
        call = new Call<>(proxy, null, first, words);
        race = proxy.isHedged ? new HedgedStages<>(this) : null;
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
        try {
            long permit = Tracing.begin(proxy);
            if (permit == Native.DIRECT) {
                return direct(proxy, function);
            }
            long[] words;
            long decision = Native.RUN;
            Attempt first = null;
            if (permit > 0) {
                words = new long[Native.WORDS];
                Native.first(proxy.handle, permit, words);
                first = Attempt.first(proxy, permit);
            } else {
                words = Call.wordsOf(proxy, permit);
                decision = Native.stands(proxy.handle, permit, words);
                if (decision == Native.RUN) {
                    first = Attempt.next(proxy, null, words, Tracing.present());
                }
            }
            return new AsyncCall<T>(proxy, function, first, words).begin(decision);
        } finally {
            Reference.reachabilityFence(proxy);
        }
    }

    private CompletableFuture<T> begin(long decision) {
        if (decision == Native.RUN && race != null) {
            race.begin(ctx);
        } else if (decision == Native.RUN) {
            attempt(0, ctx);
            if (!result.isDone()) {
                // Not before: a call that succeeds at once needs no timer.
                boundBy();
            }
        } else {
            Next next;
            synchronized (this) {
                next = turnTo(decision);
            }
            proceed(next);
        }
        if (!result.isDone()) {
            // Whoever completes the future from outside, by cancel(true) or else, wants the call no more.
            result.whenComplete((value, error) -> stop());
        }
        return result;
    }

    /** F1: once, directly. */
    private static <T> CompletableFuture<T> direct(
            AmbassadorProxy proxy, AttemptFunction<? extends CompletionStage<? extends T>> function) {
        var result = new CompletableFuture<T>();
        Aftermath.attend(proxy);
        try {
            function.apply(Attempt.direct(proxy)).whenComplete((value, error) -> {
                if (error == null) {
                    result.complete(value);
                } else if (cause(error) instanceof CancellationException cancelled) {
                    result.completeExceptionally(cancelled);
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
        if (!isCurrent(mine)) {
            // It was given up before its turn on a worker came: the function need not be called.
            proxy.note(Native.ABANDONED_ENDED);
            return;
        }
        CompletionStage<? extends T> begun;
        try {
            begun = stage(attempt);
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

    /** Calls the function. */
    CompletionStage<? extends T> stage(Attempt attempt) throws Exception {
        CompletionStage<? extends T> begun = function.apply(attempt);
        if (begun == null) {
            throw new NullPointerException("the function returned null where a CompletionStage was expected");
        }
        return begun;
    }

    /** The error without what stages wrap errors of other stages in. */
    static Throwable cause(Throwable error) {
        Throwable cause = error;
        while ((cause instanceof CompletionException || cause instanceof ExecutionException) && cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause;
    }

    private void ended(int mine, T value, Throwable error) {
        Next next = null;
        if (isCurrent(mine)) {
            next = settle(mine, judge(value, error, call.inTime()));
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

    Ended<T> judge(T value, Throwable error, int how) {
        // A stage that was cancelled is to futures what an interrupt is to threads (A3).
        return error instanceof CancellationException ? Ended.cancelled(error) : Ended.of(proxy, value, error, how);
    }

    private synchronized boolean isCurrent(int mine) {
        return mine == turn;
    }

    private void boundPassed(int mine, long bound) {
        CompletionStage<?> hung;
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
        soon(() -> {
            cancel(hung);
            proceed(next);
        });
    }

    /** The attempt that runs, if one does, is left to itself. */
    private CompletionStage<?> giveUp() {
        if (isRunning) {
            // Counted before its turn is over, so that its end never finds it uncounted.
            proxy.note(Native.ABANDONED);
            ctx.giveUp();
        }
        return stage;
    }

    /** What to do next, and in which turn. */
    record Next(int turn, long decision) {}

    /** Null when it is not this turn any more. */
    private synchronized Next settle(int mine, Ended<T> ended) {
        if (mine != turn) {
            return null;
        }
        long decision = call.settle(ended);
        call.record(ended);
        return turnTo(decision);
    }

    Next turnTo(long decision) {
        leave();
        stage = null;
        isRunning = decision == Native.RUN && race == null;
        isOver = decision < Native.RUN && !call.isAnswering();
        return new Next(++turn, decision);
    }

    /** Stops watching for what would end the turn. */
    private void leave() {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
        if (place != null) {
            place.leave();
            place = null;
        }
    }

    void proceed(Next next) {
        Aftermath.attend(proxy);
        if (next.decision() > Native.RUN) {
            call.tell();
            await(next.turn(), next.decision());
        } else {
            finish(next.decision());
        }
        Reference.reachabilityFence(proxy);
    }

    /** Has the wait looked at when it is over, and in a queue also when its turn has come. */
    private void await(int mine, long until) {
        if (Call.isPassed(until)) {
            soon(() -> waitOver(mine));
            return;
        }
        synchronized (this) {
            if (mine != turn) {
                return;
            }
            leave();
            long look = until;
            if (call.isQueued()) {
                place = Turn.enter(proxy, call.words, () -> soon(() -> waitOver(mine)));
                look = Math.min(until, Native.now() + Turn.LOOK);
            }
            if (look != Native.NEVER) {
                schedule(mine, look, () -> waitOver(mine));
            }
        }
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
                await(mine, decision);
                return;
            }
            next = turnTo(decision);
            if (decision == Native.RUN && race != null) {
                race.start();
                return;
            }
            if (isRunning) {
                ctx = attempt = call.next();
                boundBy();
            } else {
                attempt = null;
            }
        }
        soon(() -> {
            if (attempt == null) {
                proceed(next);
            } else {
                Aftermath.attend(proxy);
                attempt(next.turn(), attempt);
            }
        });
    }

    private synchronized void boundBy() {
        int mine = turn;
        long bound = call.bound();
        if (isRunning && bound != Native.NEVER) {
            schedule(mine, bound, () -> boundPassed(mine, bound));
        }
    }

    private void finish(long decision) {
        T value;
        try {
            value = call.give(decision);
        } catch (Throwable error) {
            if (call.isAnswering() && !call.isJudges()) {
                answer(error);
            } else if (!call.isAnswering() || answered(false)) {
                result.completeExceptionally(error);
            }
            return;
        }
        // A value that was to be tried again is handed back; there is no error to be answered.
        if (!call.isAnswering() || answered(false)) {
            result.complete(value);
        }
    }

    /** H2: a stage that answers is waited for. */
    private void answer(Throwable error) {
        Object answer;
        try {
            answer = proxy.fallback.apply(error);
        } catch (Throwable thrown) {
            unanswered(error, thrown);
            return;
        }
        if (!(answer instanceof CompletionStage<?> begun)) {
            give(answer);
            return;
        }
        boolean isWanted;
        synchronized (this) {
            isWanted = !isOver;
            stage = isWanted ? begun : null;
        }
        begun.whenComplete((value, thrown) -> {
            if (thrown == null) {
                give(value);
            } else {
                unanswered(error, cause(thrown));
            }
        });
        if (!isWanted) {
            cancel(begun);
        }
    }

    private void give(Object answer) {
        if (answered(true)) {
            result.complete(call.unchecked(answer));
        }
    }

    private void unanswered(Throwable error, Throwable thrown) {
        boolean isControlFlow =
                thrown instanceof Error || thrown instanceof CancellationException || Ended.interrupt(thrown) != null;
        if (isControlFlow) {
            stop();
            result.completeExceptionally(thrown);
        } else if (answered(false)) {
            result.completeExceptionally(Call.chained(thrown, error));
        }
    }

    /** Whether the call was still to be answered. */
    private boolean answered(boolean well) {
        synchronized (this) {
            if (isOver) {
                return false;
            }
            Native.answered(proxy.handle, call.words, well);
            isOver = true;
            stage = null;
        }
        Aftermath.attend(proxy);
        return true;
    }

    /** Nobody wants the result any more. */
    private void stop() {
        CompletionStage<?> running;
        List<CompletionStage<?>> racing;
        synchronized (this) {
            if (isOver) {
                return;
            }
            running = giveUp();
            racing = race == null ? List.of() : race.loseAll();
            Native.cancel(proxy.handle, call.words);
            turnTo(Native.STOPPED);
        }
        Aftermath.attend(proxy);
        cancel(running);
        racing.forEach(AsyncCall::cancel);
        Reference.reachabilityFence(proxy);
    }

    static void cancel(CompletionStage<?> stage) {
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
            timer = at(at, then);
        }
    }

    /**
     * Has a worker run it. Where none can be started the timer's thread does, which is there already: whatever it holds up comes late,
     * and no call is lost (F1).
     */
    static void soon(Runnable work) {
        try {
            Workers.execute(work);
        } catch (Throwable noThread) {
            TIMER.execute(work);
        }
    }

    /** Has the timer's thread run it at that instant. */
    static Future<?> at(long instant, Runnable then) {
        return TIMER.schedule(then, instant - Native.now(), TimeUnit.NANOSECONDS);
    }
}
