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
    /** The host's span that it began below. */
    private final String parent = Tracing.present();
    /** Of the attempt that ended last, unless that was a timeout: then it brought nothing (T3). */
    private Ended<T> last;

    private Throwable lastFailure;
    private final List<Throwable> seen = new ArrayList<>();
    /** Of a call that may be hedged. */
    private Hedged<T> race;

    Call(AmbassadorProxy proxy, AttemptFunction<? extends T> function, Attempt ctx, long[] words) {
        this.proxy = proxy;
        this.function = function;
        this.ctx = ctx;
        this.words = words;
    }

    /** Calls the function where the proxy runs its functions; {@code takesContext} when it looks at what it is given. */
    static <T> T run(AmbassadorProxy proxy, AttemptFunction<? extends T> function, boolean takesContext) {
        try {
            long permit = Tracing.begin(proxy);
            if (permit <= 0) {
                return slowly(proxy, function, permit);
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
        long bound = Attempt.bound(proxy, permit);
        Watchdog.Slot slot = null;
        T value = null;
        Throwable error = null;
        try {
            if (proxy.isBounded) {
                slot = Watchdog.arm(bound);
            }
            value = function.apply(ctx);
        } catch (Throwable thrown) {
            error = thrown;
        }
        int how = slot == null ? Watchdog.IN_TIME : Watchdog.disarm(slot, bound);
        if (error == null && !proxy.seesValues) {
            long answer = Native.returned(proxy.handle, permit);
            if (answer == Native.GIVEN) {
                Aftermath.attend(proxy);
                return value;
            }
            // Too late.
            var call = new Call<T>(proxy, function, ctx, wordsOf(proxy, answer));
            return call.settled(Ended.of(proxy, value, null, how), Native.stands(proxy.handle, answer, call.words));
        }
        return settleFirst(proxy, function, ctx, permit, Ended.of(proxy, value, error, how));
    }

    private static <T> T onWorker(AmbassadorProxy proxy, AttemptFunction<? extends T> function, long permit) {
        if (proxy.isHedged) {
            long[] words = new long[Native.WORDS];
            Native.first(proxy.handle, permit, words);
            return new Call<T>(proxy, function, null, words).goOn(Native.RUN);
        }
        Attempt ctx = Attempt.first(proxy, permit);
        Ended<T> ended = work(proxy, function, ctx, Attempt.bound(proxy, permit), Native.NEVER);
        return settleFirst(proxy, function, ctx, permit, ended);
    }

    private static <T> T settleFirst(
            AmbassadorProxy proxy, AttemptFunction<? extends T> function, Attempt ctx, long permit, Ended<T> ended) {
        var call = new Call<T>(proxy, function, ctx, new long[Native.WORDS]);
        return call.settled(ended, call.settleFirst(permit, ended));
    }

    /** A call without a permit: it waits, was refused, or took more than a permit tells; or the core does not drive it. */
    private static <T> T slowly(AmbassadorProxy proxy, AttemptFunction<? extends T> function, long answer) {
        if (answer != Native.DIRECT) {
            long[] words = wordsOf(proxy, answer);
            return new Call<T>(proxy, function, null, words).goOn(Native.stands(proxy.handle, answer, words));
        }
        // F1: once, directly; that it failed is told first.
        Aftermath.attend(proxy);
        try {
            return function.apply(Attempt.direct(proxy));
        } catch (Throwable thrown) {
            throw direct(thrown);
        }
    }

    /** Room for the words of a call that {@link Native#stands} is to tell of; without room, the call is over. */
    static long[] wordsOf(AmbassadorProxy proxy, long answer) {
        long[] words = null;
        try {
            words = new long[Native.WORDS];
            return words;
        } finally {
            if (words == null) {
                Native.stands(proxy.handle, answer, null);
            }
        }
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

    /** The first attempt ended so; what the core decides. */
    long settleFirst(long permit, Ended<T> ended) {
        long hint = Attempt.hint(ctx, ended);
        return Native.settleFirst(proxy.handle, permit, ended.outcome(), hint, words);
    }

    /** A later one did. */
    long settle(Ended<T> ended) {
        return Native.settle(proxy.handle, words, ended.outcome(), Attempt.hint(ctx, ended));
    }

    /** One of several that may run did (H1). */
    long settle(Attempt racer, Ended<T> ended) {
        long hint = Attempt.hint(racer, ended);
        return Native.settleAttempt(proxy.handle, words, racer.attempt(), ended.outcome(), hint);
    }

    /** Whether another attempt begins now beside those that run (H1): {@link Native#RUN}, or when to ask again. */
    long hedge() {
        long answer = Native.hedge(proxy.handle, words);
        return answer < Native.RUN ? Native.NEVER : answer;
    }

    /** An attempt ended, and the core decided. */
    private T settled(Ended<T> ended, long decision) {
        record(ended);
        return goOn(decision);
    }

    /** Does what the core decided, and goes on until the call is over. */
    private T goOn(long first) {
        long decision = first;
        try {
            Aftermath.attend(proxy);
            while (decision >= Native.RUN) {
                if (decision > Native.RUN) {
                    tell();
                    decision = await(decision);
                } else if (proxy.isHedged) {
                    decision = race();
                } else {
                    ctx = Attempt.next(proxy, ctx, words, parent);
                    Ended<T> ended = attempt();
                    decision = settle(ended);
                    record(ended);
                }
                Aftermath.attend(proxy);
            }
        } catch (InterruptedException interrupt) {
            // During the wait, so no attempt of the call is left to be ended; or while several ran, which have been given up.
            cancel();
            Thread.currentThread().interrupt();
            throw described(new RuntimeException("Interrupted during retry", interrupt), Native.STOPPED);
        } catch (Throwable broken) {
            // Does nothing to a call that has ended.
            cancel();
            throw broken;
        }
        return finish(decision);
    }

    private long race() throws InterruptedException {
        if (race == null) {
            race = new Hedged<>(proxy, function, this);
        }
        return race.run(next());
    }

    void cancel() {
        Native.cancel(proxy.handle, words);
        Aftermath.attend(proxy);
    }

    /** Waits until the core says something else: between two attempts, for a turn, or in a queue. */
    private long await(long until) throws InterruptedException {
        long decision = until;
        while (decision > Native.RUN) {
            if (isPassed(decision)) {
                if (Thread.interrupted()) {
                    throw new InterruptedException();
                }
            } else if (isQueued()) {
                Turn.await(proxy, words, decision);
            } else {
                sleep(decision);
            }
            decision = Native.resume(proxy.handle, words);
        }
        return decision;
    }

    /** Whether time is virtual, and the wait over; one that never ends by itself is not passed. */
    static boolean isPassed(long until) {
        return until != Native.NEVER && until > Native.now() && Native.pass(until);
    }

    private static void sleep(long until) throws InterruptedException {
        long left = until - Native.now();
        // No wait is none, but an interrupt is heard.
        long millis = Math.max(0, left / 1_000_000);
        Thread.sleep(millis, (int) Math.max(0, left % 1_000_000));
    }

    boolean isQueued() {
        return (words[Native.FLAGS] & Native.QUEUED) != 0;
    }

    boolean isAnswering() {
        return (words[Native.FLAGS] & Native.ANSWERING) != 0;
    }

    boolean isVirtual() {
        return (words[Native.FLAGS] & Native.VIRTUAL) != 0;
    }

    /** When the running attempt, of several the newest, must have ended. In virtual time the core tells, when it has ended. */
    long bound() {
        return isVirtual() ? Native.NEVER : words[Native.UNTIL];
    }

    private Ended<T> attempt() {
        long bound = bound();
        if (proxy.isOnWorker) {
            return work(proxy, function, ctx, bound, words[Native.UNTIL]);
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
        int how = slot == null ? inTime() : Watchdog.disarm(slot, bound);
        return Ended.of(proxy, value, error, how);
    }

    /** T3: what comes too late, without having been interrupted, is not judged. */
    int inTime() {
        return inTime(words[Native.UNTIL]);
    }

    static int inTime(long until) {
        return until != Native.NEVER && Native.now() > until ? Watchdog.LATE : Watchdog.IN_TIME;
    }

    /** On a worker, at most until {@code bound}; what comes after {@code until}, where that is no bound, is too late all the same. */
    private static <T> Ended<T> work(
            AmbassadorProxy proxy, AttemptFunction<? extends T> function, Attempt ctx, long bound, long until) {
        var work = new Work<T>(proxy, function, ctx);
        try {
            if (!Workers.start(work, bound) || !work.await(bound)) {
                return Ended.givenUp();
            }
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
            return Ended.cancelled(interrupt);
        }
        return Ended.of(proxy, work.value, work.error, inTime(until));
    }

    /** Keeps what an attempt brought, after the core decided about it. */
    void record(Ended<T> ended) {
        record(ended, words[Native.LAST] == Native.TIMEOUT);
    }

    /** The same; {@code isTimeout} when the core took it for one. */
    void record(Ended<T> ended, boolean isTimeout) {
        if (isTimeout) {
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

    /** R7; a wait before the first attempt is no retry's. */
    void tell() {
        if (last != null) {
            Log.retry(proxy, words, last.error());
        }
    }

    Attempt next() {
        ctx = Attempt.next(proxy, ctx, words, parent);
        return ctx;
    }

    /** The call is over: its value or its error, or what answers in place of the error (H2). */
    private T finish(long decision) {
        if (!isAnswering()) {
            return give(decision);
        }
        T value;
        try {
            value = give(decision);
        } catch (Throwable error) {
            if (isJudges()) {
                answered(false);
                throw error;
            }
            return answer(error);
        }
        // A value that was to be tried again is handed back; there is no error to be answered.
        answered(false);
        return value;
    }

    /** Whether the call ends with an error of what judges its attempts (A2). */
    boolean isJudges() {
        return last != null && last.isJudges();
    }

    private T answer(Throwable error) {
        Object answer;
        try {
            answer = proxy.fallback.apply(error);
        } catch (Throwable thrown) {
            throw Call.<RuntimeException>asItIs(unanswered(error, thrown));
        }
        answered(true);
        return unchecked(answer);
    }

    /** The fallback's answer is whatever the user gave for calls of this proxy; see {@link ProxyBuilder#fallback(Object)}. */
    @SuppressWarnings("unchecked")
    T unchecked(Object answer) {
        return (T) answer;
    }

    private void answered(boolean well) {
        Native.answered(proxy.handle, words, well);
        Aftermath.attend(proxy);
    }

    /** What the call throws whose fallback has thrown. */
    private Throwable unanswered(Throwable error, Throwable thrown) {
        if (thrown instanceof Error) {
            cancel();
            return thrown;
        }
        Exception interrupt = Ended.interrupt(thrown);
        if (interrupt != null) {
            cancel();
            Thread.currentThread().interrupt();
            return described(new RuntimeException("Interrupted during retry", interrupt), Native.STOPPED);
        }
        answered(false);
        return chained(thrown, error);
    }

    /** What the fallback threw, from which the error is to be reached that it did not answer. */
    static Throwable chained(Throwable thrown, Throwable error) {
        if (leadsTo(thrown, error) || leadsTo(error, thrown)) {
            return thrown;
        }
        try {
            thrown.initCause(error);
        } catch (IllegalStateException hasCause) {
            thrown.addSuppressed(error);
        }
        return thrown;
    }

    private static boolean leadsTo(Throwable from, Throwable to) {
        Throwable at = from;
        // Causes may go in circles; no chain is as long as this.
        for (int steps = 0; at != null && steps < 100; steps++) {
            if (at == to) {
                return true;
            }
            at = at.getCause();
        }
        return false;
    }

    /** The call is over: its value, or its error. */
    T give(long decision) {
        int give = Native.give(decision);
        if (give > Native.LAST_ERROR) {
            throw described(error(proxy, Native.code(give), words, lastFailure), decision);
        }
        if (last == null) {
            // No attempt ran, and there is no telling why.
            throw described(error(proxy, Native.INTERNAL_CODE, words, null), decision);
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
        // Of a call that was refused there are none.
        if (!seen.isEmpty()) {
            Set<Throwable> told = Collections.newSetFromMap(new IdentityHashMap<>());
            told.add(error);
            told.add(error.getCause());
            for (Throwable earlier : seen) {
                if (told.add(earlier)) {
                    error.addSuppressed(earlier);
                }
            }
        }
        if (!(error instanceof AmbassadorException)) {
            error.addSuppressed(new EndNote(Native.endNote(proxy.handle, words, decision)));
        }
        return error;
    }

    /** An error of the ambassador's. */
    private static AmbassadorException error(AmbassadorProxy proxy, int code, long[] words, Throwable cause) {
        String message = Native.errorMessage(proxy.handle, code, words);
        return AmbassadorException.of(
                Native.nameOf(code),
                message,
                proxy.target(),
                (int) words[Native.ATTEMPT],
                words[Native.DECIDED] - words[Native.ENTERED],
                words[Native.RETRY_AFTER],
                cause);
    }

    /** Throws what the compiler would have declared. */
    @SuppressWarnings("unchecked")
    private static <E extends Throwable> E asItIs(Throwable error) throws E {
        throw (E) error;
    }
}
