// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** FORKED: a call in flight was used in a forked child; it belongs to the parent. What to do: start the call in the process that needs its result. */
public final class ForkedException extends AmbassadorException {
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
    public ForkedException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("FORKED", message, target, attempts, elapsedNanos, cause);
    }

    private ForkedException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
