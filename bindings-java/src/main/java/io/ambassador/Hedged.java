package io.ambassador;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * The attempts of a call that run at once, each on a worker, while the caller waits for the first of them to end (H1). The core says
 * when another one begins and whose end is the call's; those that lost are interrupted, and nobody waits for them.
 */
final class Hedged<T> {
    /** After so long it is seen whether a worker has come free: nothing tells. Soon for a hedge, and seldom for a look at a counter. */
    private static final long LOOK = 10_000_000;

    private record Racer<T>(Attempt ctx, Work<T> work, long bound) {}

    private final AmbassadorProxy proxy;
    private final AttemptFunction<? extends T> function;
    private final Call<T> call;
    private final Ends<T> ends;
    private final List<Racer<T>> racers = new ArrayList<>();
    /** When the core is to be asked for another attempt. */
    private long askAt;

    Hedged(AmbassadorProxy proxy, AttemptFunction<? extends T> function, Call<T> call) {
        this.proxy = proxy;
        this.function = function;
        this.call = call;
        ends = new Ends<>(call);
    }

    /**
     * An attempt begins that is alone at first.
     *
     * @return what the core decided when the last of those that ran at once had ended, or one ended the call
     * @throws InterruptedException the caller was interrupted; all are given up
     */
    long run(Attempt first) throws InterruptedException {
        try {
            Racer<T> alone = racer(first);
            if (!Workers.start(alone.work(), alone.bound())) {
                return ends.settle(first, Ended.givenUp());
            }
            racers.add(alone);
            askAt = 0;
            long decision = Native.AWAIT;
            while (decision == Native.AWAIT) {
                Racer<T> over = over();
                if (over != null) {
                    racers.remove(over);
                    decision = ends.settle(over.ctx(), ended(over));
                } else if (askAt <= Native.now()) {
                    hedge();
                } else {
                    pause();
                    continue;
                }
                if (decision == Native.AWAIT) {
                    Aftermath.attend(proxy);
                }
            }
            return decision;
        } finally {
            racers.forEach(loser -> loser.work().giveUp(false));
            racers.clear();
        }
    }

    private Racer<T> racer(Attempt ctx) {
        return new Racer<>(ctx, new Work<>(proxy, function, ctx), call.bound());
    }

    /** One that has ended, or is given up because its bound has passed; null when all still run. */
    private Racer<T> over() throws InterruptedException {
        for (Racer<T> racer : racers) {
            if (racer.work().isDone()) {
                return racer;
            }
        }
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
        long now = Native.now();
        for (Racer<T> racer : racers) {
            if (racer.bound() <= now) {
                racer.work().giveUp(true);
                return racer;
            }
        }
        return null;
    }

    private Ended<T> ended(Racer<T> over) {
        Work<T> work = over.work();
        if (!work.isDone()) {
            return Ended.givenUp();
        }
        return Ended.of(proxy, work.value, work.error, Call.inTime(over.ctx().until()));
    }

    /** Another attempt begins, if the core says so. While no worker is free none does, and the core is asked when one is. */
    private void hedge() {
        askAt = Native.now() + LOOK;
        Workers.startIfFree(() -> {
            askAt = call.hedge();
            if (askAt != Native.RUN) {
                return null;
            }
            Racer<T> another = racer(call.next());
            racers.add(another);
            return another.work();
        });
    }

    /** Until one ends, or there is something else to do. */
    private void pause() {
        long until = askAt;
        for (Racer<T> racer : racers) {
            until = Math.min(until, racer.bound());
        }
        if (until == Native.NEVER) {
            LockSupport.park(this);
        } else {
            LockSupport.parkNanos(this, until - Native.now());
        }
    }
}
