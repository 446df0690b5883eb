// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** NO_ENDPOINT: the target has no endpoint to go to: none was found, or none is well. What to do: look at where its endpoints are discovered, and at their health. */
public final class NoEndpointException extends AmbassadorException {
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
    public NoEndpointException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("NO_ENDPOINT", message, target, attempts, elapsedNanos, cause);
    }

    private NoEndpointException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
