package io.ambassador;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/**
 * A call: runs attempts, waits when the core says so, and gives the caller what the core says. A first attempt that succeeds is two
 * natives of plain numbers and makes no object of this class.
 */
final class Call<T> {
    private final AmbassadorProxy proxy;
    private final AttemptFunction<? extends T> function;
    /** The call as the core knows it. */
    final long[] words;

    private Attempt ctx;
    /** Of the attempt that ended last, unless that was a timeout: then it brought nothing (T3). */
    private Ended<T> last;

    private Throwable lastFailure;
    private final List<Throwable> seen = new ArrayList<>();

    Call(AmbassadorProxy proxy, AttemptFunction<? extends T> function, Attempt ctx, long[] words) {
        this.proxy = proxy;
        this.function = function;
        this.ctx = ctx;
        this.words = words;
    }

    /** Calls the function where the proxy runs its functions; {@code takesContext} when it looks at what it is given. */
    static <T> T run(AmbassadorProxy proxy, AttemptFunction<? extends T> function, boolean takesContext) {
        try {
            long permit = Native.begin(proxy.handle);
            if (permit <= 0) {
                return notBegun(proxy, function, permit);
            }
            if (proxy.isOnWorker) {
                return onWorker(proxy, function, permit);
            }
            return onCaller(proxy, function, takesContext, permit);
        } finally {
            Reference.reachabilityFence(proxy);
        }
    }

    private static <T> T onCaller(
            AmbassadorProxy proxy, AttemptFunction<? extends T> function, boolean takesContext, long permit) {
        Attempt ctx = takesContext ? Attempt.first(proxy, permit) : null;
        Watchdog.Slot slot = null;
        T value = null;
        Throwable error = null;
        try {
            if (proxy.isBounded) {
                slot = Watchdog.arm(permit);
            }
            value = function.apply(ctx);
        } catch (Throwable thrown) {
            error = thrown;
        }
        int how = slot == null ? Watchdog.IN_TIME : Watchdog.disarm(slot, permit);
        if (error == null && !proxy.seesValues) {
            long[] words = slot == null ? null : slot.words;
            long decision = Native.settleFirst(proxy.handle, permit, Native.OK, Native.NO_HINT, words);
            if (Native.isValue(decision)) {
                return value;
            }
            // Too late, so there was a bound.
            var call = new Call<T>(proxy, function, ctx, slot.words.clone());
            return call.settled(Ended.of(proxy, value, null, how), decision);
        }
        return settleFirst(proxy, function, ctx, permit, Ended.of(proxy, value, error, how));
    }

    private static <T> T onWorker(AmbassadorProxy proxy, AttemptFunction<? extends T> function, long permit) {
        Attempt ctx = Attempt.first(proxy, permit);
        Ended<T> ended = work(proxy, function, ctx, proxy.isBounded ? permit : Native.NEVER);
        return settleFirst(proxy, function, ctx, permit, ended);
    }

    private static <T> T settleFirst(
            AmbassadorProxy proxy, AttemptFunction<? extends T> function, Attempt ctx, long permit, Ended<T> ended) {
        var call = new Call<T>(proxy, function, ctx, new long[Native.WORDS]);
        return call.settled(ended, call.settleFirst(permit, ended));
    }

    /** The first attempt ended so; what the core decides. */
    long settleFirst(long permit, Ended<T> ended) {
        long hint = Attempt.hint(ctx, ended.error());
        return Native.settleFirst(proxy.handle, permit, ended.outcome(), hint, words);
    }

    /** A later one did. */
    long settle(Ended<T> ended) {
        return Native.settle(proxy.handle, words, ended.outcome(), Attempt.hint(ctx, ended.error()));
    }

    /** A call that the core does not drive. */
    private static <T> T notBegun(AmbassadorProxy proxy, AttemptFunction<? extends T> function, long answer) {
        if (answer != Native.DIRECT) {
            throw refusal(proxy, answer);
        }
        // F1: once, directly.
        try {
            return function.apply(Attempt.direct(proxy));
        } catch (Throwable thrown) {
            throw direct(thrown);
        }
    }

    static AmbassadorException refusal(AmbassadorProxy proxy, long answer) {
        return error(proxy, (int) (-2 - answer), null, null);
    }

    /** What the caller gets when the function threw in a call that the core does not drive. */
    static RuntimeException direct(Throwable thrown) {
        if (thrown instanceof Error control) {
            throw control;
        }
        Exception interrupt = Ended.interrupt(thrown);
        if (interrupt != null) {
            Thread.currentThread().interrupt();
            return new RuntimeException("Interrupted during retry", interrupt);
        }
        return new RuntimeException("All retries failed", thrown);
    }

    /** An attempt ended, and the core decided; goes on until the call is over. */
    private T settled(Ended<T> ended, long decision) {
        record(ended);
        try {
            while (decision >= Native.RUN) {
                if (decision > Native.RUN) {
                    tell();
                    decision = sleep(decision);
                } else {
                    ctx = Attempt.next(proxy, ctx, words);
                    ended = attempt();
                    decision = settle(ended);
                    record(ended);
                }
            }
        } catch (InterruptedException interrupt) {
            // During the wait, so no attempt of the call is left to be ended.
            Native.cancel(proxy.handle, words);
            Thread.currentThread().interrupt();
            throw described(new RuntimeException("Interrupted during retry", interrupt), Native.STOPPED);
        } catch (Throwable broken) {
            // Does nothing to a call that has ended.
            Native.cancel(proxy.handle, words);
            throw broken;
        }
        return give(decision);
    }

    private long sleep(long until) throws InterruptedException {
        long decision = until;
        while (decision > Native.RUN) {
            long left = decision - Native.now();
            // No wait is none, but an interrupt is heard.
            long millis = Math.max(0, left / 1_000_000);
            Thread.sleep(millis, (int) Math.max(0, left % 1_000_000));
            decision = Native.resume(proxy.handle, words);
        }
        return decision;
    }

    private Ended<T> attempt() {
        long bound = words[Native.UNTIL];
        if (proxy.isOnWorker) {
            return work(proxy, function, ctx, bound);
        }
        Watchdog.Slot slot = null;
        T value = null;
        Throwable error = null;
        try {
            if (bound != Native.NEVER) {
                slot = Watchdog.arm(bound);
            }
            value = function.apply(ctx);
        } catch (Throwable thrown) {
            error = thrown;
        }
        int how = slot == null ? Watchdog.IN_TIME : Watchdog.disarm(slot, bound);
        return Ended.of(proxy, value, error, how);
    }

    private static <T> Ended<T> work(
            AmbassadorProxy proxy, AttemptFunction<? extends T> function, Attempt ctx, long bound) {
        var work = new Work<T>(proxy, function, ctx);
        try {
            if (!Workers.start(work, bound) || !work.await(bound)) {
                return Ended.givenUp();
            }
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
            return Ended.cancelled(interrupt);
        }
        return Ended.of(proxy, work.value, work.error, Watchdog.IN_TIME);
    }

    /** Keeps what an attempt brought, after the core decided about it. */
    void record(Ended<T> ended) {
        if (words[Native.LAST] == Native.TIMEOUT) {
            if (ended.outcome() == Native.TIMEOUT && ended.error() != null) {
                // The interrupt, which tells where it hung. Nothing else that came too late reaches the caller (T3).
                seen.add(ended.error());
            }
            last = Ended.givenUp();
            return;
        }
        last = ended;
        for (Throwable error : new Throwable[] {ended.original(), ended.error()}) {
            if (error != null) {
                seen.add(error);
            }
        }
        if (ended.error() != null) {
            lastFailure = ended.error();
        }
    }

    /** R7 */
    void tell() {
        Log.retry(proxy, words, last.error());
    }

    Attempt next() {
        ctx = Attempt.next(proxy, ctx, words);
        return ctx;
    }

    /** The call is over: its value, or its error. */
    T give(long decision) {
        int give = Native.give(decision);
        if (give > Native.LAST_ERROR) {
            throw described(error(proxy, Native.code(give), words, lastFailure), decision);
        }
        Throwable error = last.error();
        if (last.outcome() == Native.CANCELLED) {
            throw stopped(error, decision);
        }
        if (last.hasValue()) {
            return last.value();
        }
        if (give == Native.VALUE && error != null) {
            // A1: a success, handed back as it is.
            throw Call.<RuntimeException>asItIs(error);
        }
        if (lastFailure == null) {
            // A timeout whose decision failed (F1).
            throw described(error(proxy, Native.TIMEOUT_CODE, words, null), decision);
        }
        throw described(new RuntimeException("All retries failed", lastFailure), decision);
    }

    private RuntimeException stopped(Throwable control, long decision) {
        if (control instanceof Error error) {
            throw error;
        }
        Exception interrupt = Ended.interrupt(control);
        if (interrupt == null) {
            throw Call.<RuntimeException>asItIs(control);
        }
        if (!proxy.isOnWorker) {
            Thread.currentThread().interrupt();
        }
        return described(new RuntimeException("Interrupted during retry", interrupt), decision);
    }

    /** A4: with the errors of the attempts before, and the core's note, as suppressed. None is added to the app's own errors. */
    private <E extends RuntimeException> E described(E error, long decision) {
        Set<Throwable> told = Collections.newSetFromMap(new IdentityHashMap<>());
        told.add(error);
        told.add(error.getCause());
        for (Throwable earlier : seen) {
            if (told.add(earlier)) {
                error.addSuppressed(earlier);
            }
        }
        if (!(error instanceof AmbassadorException)) {
            error.addSuppressed(new EndNote(Native.endNote(proxy.handle, words, decision)));
        }
        return error;
    }

    /** An error of the ambassador's; {@code words} are null when there was no call. */
    private static AmbassadorException error(AmbassadorProxy proxy, int code, long[] words, Throwable cause) {
        int attempts = words == null ? 0 : (int) words[Native.ATTEMPT];
        long elapsed = words == null ? 0 : words[Native.DECIDED] - words[Native.ENTERED];
        String message = Native.errorMessage(proxy.handle, code, words);
        return AmbassadorException.of(Native.codeName(code), message, proxy.target(), attempts, elapsed, cause);
    }

    /** Throws what the compiler would have declared. */
    @SuppressWarnings("unchecked")
    private static <E extends Throwable> E asItIs(Throwable error) throws E {
        throw (E) error;
    }
}
