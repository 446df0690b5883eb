// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** CONNECT: no connection could be made: the name was not found, or nothing answers at the address. What to do: look whether the endpoint that the message names is up and can be reached. */
public final class ConnectException extends TransportException {
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
    public ConnectException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("CONNECT", message, target, attempts, elapsedNanos, cause);
    }

    private ConnectException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
