// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** PROTOCOL: what came is not HTTP, or more of it than is allowed. What to do: look whether the endpoint that the message names speaks HTTP, and at the http settings. */
public final class ProtocolException extends TransportException {
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
    public ProtocolException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("PROTOCOL", message, target, attempts, elapsedNanos, cause);
    }

    private ProtocolException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
