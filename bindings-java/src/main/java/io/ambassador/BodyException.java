// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** BODY: a body could not be read to its end, or is larger than allowed. What to do: ask for the body as a stream, or raise http.max_body_bytes. */
public final class BodyException extends TransportException {
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
    public BodyException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("BODY", message, target, attempts, elapsedNanos, cause);
    }

    private BodyException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
