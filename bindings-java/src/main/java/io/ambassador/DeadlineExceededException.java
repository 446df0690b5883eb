// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** DEADLINE: the whole call outran deadline. What to do: find out why the target is slow, or raise deadline. */
public final class DeadlineExceededException extends CallTimeoutException {
    private static final long serialVersionUID = 1L;

    /**
     * Made by the ambassador.
     *
     * @param message what happened, to which target, and what to do
     * @param target what was called
     * @param attempts how often
     * @param elapsedNanos how long that took, in nanoseconds
     * @param cause the last real failure, or null
     */
    public DeadlineExceededException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("DEADLINE", message, target, attempts, elapsedNanos, cause);
    }

    private DeadlineExceededException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
