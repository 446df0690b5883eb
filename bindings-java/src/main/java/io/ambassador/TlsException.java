// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** TLS: no secure connection could be made: a certificate does not verify, or the two sides agree on nothing. What to do: look at the certificate that the message names, and at the tls settings. */
public final class TlsException extends TransportException {
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
    public TlsException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("TLS", message, target, attempts, elapsedNanos, cause);
    }

    private TlsException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
