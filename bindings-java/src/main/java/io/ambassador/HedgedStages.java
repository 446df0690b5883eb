package io.ambassador;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Future;

/**
 * The attempts of a call that run at once, each a stage (H1). They share a turn of the {@link AsyncCall}, which ends when the last of
 * them has, or one ends the call; its lock is theirs, and no user code runs while it is held (O4). An attempt is in the race until it
 * is settled or given up; who finds his own no longer there comes too late and changes nothing.
 */
final class HedgedStages<T> {
    private static final class Racer {
        final Attempt ctx;
        final long bound;
        CompletionStage<?> stage;
        Future<?> timer;
        /** Whether it was given up at its bound. */
        boolean isLate;

        Racer(Attempt ctx, long bound) {
            this.ctx = ctx;
            this.bound = bound;
        }
    }

    private final AsyncCall<T> owner;
    private final AmbassadorProxy proxy;
    private final Call<T> call;
    private final Ends<T> ends;
    private final List<Racer> racers = new ArrayList<>();
    /** When the core is to be asked for another attempt. */
    private Future<?> hedge;

    HedgedStages(AsyncCall<T> owner) {
        this.owner = owner;
        proxy = owner.proxy;
        call = owner.call;
        ends = new Ends<>(call);
    }

    /** The first attempt, on this thread. */
    void begin(Attempt first) {
        Racer racer;
        synchronized (owner) {
            racer = enter(first);
        }
        run(racer);
        synchronized (owner) {
            // Not before: a call that succeeds at once needs no timer.
            if (racers.contains(racer)) {
                watch(racer);
            }
        }
    }

    /** Another attempt, on a worker. Its caller holds the lock. */
    void start() {
        Racer racer = enter(call.next());
        watch(racer);
        AsyncCall.soon(() -> {
            Aftermath.attend(proxy);
            run(racer);
        });
    }

    private Racer enter(Attempt ctx) {
        var racer = new Racer(ctx, call.bound());
        racers.add(racer);
        return racer;
    }

    private void watch(Racer racer) {
        if (racer.bound != Native.NEVER) {
            racer.timer = AsyncCall.at(racer.bound, () -> boundPassed(racer));
        }
        ask();
    }

    /** Whether another one begins now. */
    private void ask() {
        long at = call.hedge();
        if (at == Native.RUN) {
            start();
        } else if (at != Native.NEVER) {
            hedge = AsyncCall.at(at, this::askAgain);
        }
    }

    private void askAgain() {
        synchronized (owner) {
            if (!racers.isEmpty()) {
                ask();
            }
        }
        Reference.reachabilityFence(proxy);
    }

    private void run(Racer racer) {
        if (!isIn(racer)) {
            // It was given up before its turn on a worker came: the function need not be called.
            proxy.note(Native.ABANDONED_ENDED);
            return;
        }
        CompletionStage<? extends T> begun;
        try {
            begun = owner.stage(racer.ctx);
        } catch (Throwable thrown) {
            ended(racer, null, thrown);
            return;
        }
        boolean isWanted;
        synchronized (owner) {
            isWanted = racers.contains(racer);
            racer.stage = begun;
        }
        begun.whenComplete((value, error) -> ended(racer, value, AsyncCall.cause(error)));
        if (!isWanted) {
            AsyncCall.cancel(begun);
        }
    }

    private void ended(Racer racer, T value, Throwable error) {
        Runnable rest = null;
        if (isIn(racer)) {
            rest = settle(racer, owner.judge(value, error, Call.inTime(racer.ctx.until())));
        }
        if (rest != null) {
            rest.run();
            return;
        }
        // O3, T3: what one brings that lost is no late result.
        if (racer.isLate && !(error instanceof CancellationException)) {
            proxy.note(Native.LATE);
        }
        proxy.note(Native.ABANDONED_ENDED);
    }

    private boolean isIn(Racer racer) {
        synchronized (owner) {
            return racers.contains(racer);
        }
    }

    private void boundPassed(Racer racer) {
        Runnable rest;
        synchronized (owner) {
            if (!racers.contains(racer)) {
                return;
            }
            if (Native.now() < racer.bound) {
                racer.timer = AsyncCall.at(racer.bound, () -> boundPassed(racer));
                return;
            }
            racer.isLate = true;
            giveUp(racer);
            rest = settle(racer, Ended.givenUp());
        }
        // Not on the one thread of the timer: what follows may be anybody's code.
        AsyncCall.soon(() -> {
            AsyncCall.cancel(racer.stage);
            rest.run();
        });
    }

    /** What follows, with nothing locked; null when it was given up before. */
    private Runnable settle(Racer racer, Ended<T> ended) {
        synchronized (owner) {
            if (!racers.remove(racer)) {
                return null;
            }
            cancel(racer.timer);
            long decision = ends.settle(racer.ctx, ended);
            Reference.reachabilityFence(proxy);
            if (decision == Native.AWAIT) {
                return () -> Aftermath.attend(proxy);
            }
            if (decision == Native.RUN) {
                // Virtual time.
                start();
                return () -> {};
            }
            List<CompletionStage<?>> losers = loseAll();
            AsyncCall.Next next = owner.turnTo(decision);
            return () -> {
                losers.forEach(AsyncCall::cancel);
                owner.proceed(next);
            };
        }
    }

    /** None of those that run is waited for any more; their stages, which are to be cancelled. Its caller holds the lock. */
    List<CompletionStage<?>> loseAll() {
        cancel(hedge);
        var stages = new ArrayList<CompletionStage<?>>();
        for (Racer racer : racers) {
            cancel(racer.timer);
            giveUp(racer);
            if (racer.stage != null) {
                stages.add(racer.stage);
            }
        }
        racers.clear();
        return stages;
    }

    private void giveUp(Racer racer) {
        // Counted before it is out of the race, so that its end never finds it uncounted.
        proxy.note(Native.ABANDONED);
        racer.ctx.giveUp();
    }

    private static void cancel(Future<?> timer) {
        if (timer != null) {
            timer.cancel(false);
        }
    }
}
