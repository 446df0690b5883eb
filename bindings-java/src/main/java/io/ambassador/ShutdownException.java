// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** SHUTDOWN: the call came after shutdown. What to do: make no calls after shutdown. */
public final class ShutdownException extends AmbassadorException {
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
    public ShutdownException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("SHUTDOWN", message, target, attempts, elapsedNanos, cause);
    }

    private ShutdownException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
