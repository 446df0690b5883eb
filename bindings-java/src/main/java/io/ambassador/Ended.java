package io.ambassador;

import java.nio.channels.ClosedByInterruptException;
import java.util.concurrent.CompletionException;

/**
 * How an attempt ended.
 *
 * @param outcome the outcome's number in the core
 * @param value what the function returned
 * @param hasValue whether it returned
 * @param error what it threw, or what its classifier threw
 * @param original what it had thrown when its classifier threw
 * @param isJudges whether the error is that of what judges: a fallback answers for targets alone
 * @param hint the wait that the error asks for (R3), asked here, where nothing is locked (O4)
 */
record Ended<T>(
        int outcome, T value, boolean hasValue, Throwable error, Throwable original, boolean isJudges, long hint) {
    Ended(int outcome, T value, boolean hasValue, Throwable error, Throwable original, boolean isJudges) {
        this(outcome, value, hasValue, error, original, isJudges, Attempt.hint(error));
    }

    Ended(int outcome, T value, boolean hasValue, Throwable error, Throwable original) {
        this(outcome, value, hasValue, error, original, false);
    }

    /** Given up at its bound. */
    static <T> Ended<T> givenUp() {
        return new Ended<>(Native.TIMEOUT, null, false, null, null);
    }

    /** Ended by control flow (A3). */
    static <T> Ended<T> cancelled(Throwable control) {
        return new Ended<>(Native.CANCELLED, null, false, control, null);
    }

    /**
     * Judges what a function brought (A1–A3).
     *
     * @param how what {@link Watchdog#disarm} said, or {@link Watchdog#LATE}
     */
    static <T> Ended<T> of(AmbassadorProxy proxy, T value, Throwable error, int how) {
        if (isControlFlow(error, how)) {
            return cancelled(error);
        }
        boolean hasValue = error == null;
        if (how == Watchdog.INTERRUPTED || how == Watchdog.PASSED) {
            // An interrupt is how a function ends that heeds the bound. Whatever else it brings the core drops as late.
            int outcome = hasValue ? Native.OK : interrupt(error) == null ? Native.RETRY : Native.TIMEOUT;
            return new Ended<>(outcome, value, hasValue, error, null);
        }
        if (proxy.rules == null || how == Watchdog.LATE) {
            return new Ended<>(hasValue ? Native.OK : Native.RETRY, value, hasValue, error, null);
        }
        try {
            return new Ended<>(proxy.rules.outcome(value, error), value, hasValue, error, null);
        } catch (Throwable broken) {
            // A2: the classifier's error is the call's.
            int outcome = broken instanceof Error ? Native.CANCELLED : Native.FAIL;
            return new Ended<>(outcome, null, false, broken, error, true);
        }
    }

    private static boolean isControlFlow(Throwable error, int how) {
        return error instanceof Error || (how != Watchdog.INTERRUPTED && interrupt(error) != null);
    }

    /** The interrupt that an error tells of: itself, or its cause, where a lambda had to wrap it; else null. */
    static Exception interrupt(Throwable error) {
        if (error instanceof InterruptedException || error instanceof ClosedByInterruptException) {
            return (Exception) error;
        }
        boolean mayWrap = error instanceof RuntimeException && !(error instanceof CompletionException);
        return mayWrap && error.getCause() instanceof InterruptedException cause ? cause : null;
    }
}
