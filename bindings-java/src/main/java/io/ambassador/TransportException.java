// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** TRANSPORT: the connection was lost before the response had come. What to do: look at the endpoint that the message names. */
public class TransportException extends AmbassadorException {
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
    public TransportException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("TRANSPORT", message, target, attempts, elapsedNanos, cause);
    }

    TransportException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
