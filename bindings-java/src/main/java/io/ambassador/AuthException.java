// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** AUTH: no credentials could be had for the request, which was not sent. What to do: look at the auth settings, and at the token endpoint that the message names. */
public final class AuthException extends TransportException {
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
    public AuthException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("AUTH", message, target, attempts, elapsedNanos, cause);
    }

    private AuthException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
