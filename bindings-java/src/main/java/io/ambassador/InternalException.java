// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** INTERNAL: a fault of the ambassador itself. What to do: report it with this message. */
public final class InternalException extends AmbassadorException {
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
    public InternalException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("INTERNAL", message, target, attempts, elapsedNanos, cause);
    }

    private InternalException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
