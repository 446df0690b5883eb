// Generated from core/errors.toml by `make generate`. Do not edit.
package io.ambassador;

import java.time.Duration;

/** An error of the ambassador's own, rather than of the function that it called. Its cause is the last real failure. */
public class AmbassadorException extends RuntimeException implements RetryAfter {
    private static final long serialVersionUID = 1L;

    private final String code;
    private final String target;
    private final int attempts;
    private final long elapsedNanos;
    private long retryAfterNanos = -1;

    AmbassadorException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(message, cause);
        this.code = code;
        this.target = target;
        this.attempts = attempts;
        this.elapsedNanos = elapsedNanos;
    }

    /** @return the code, the same in every language: TIMEOUT, DEADLINE … */
    public String getCode() {
        return code;
    }

    /** @return what was called; null when the error is of no call */
    public String getTarget() {
        return target;
    }

    /** @return how many attempts the call made */
    public int getAttempts() {
        return attempts;
    }

    /** @return how long the call took */
    public Duration getElapsed() {
        return Duration.ofNanos(elapsedNanos);
    }

    /** @return how long after its refusal the call may come again; null when nobody knows, or it was not refused */
    @Override
    public Duration getRetryAfter() {
        return retryAfterNanos < 0 ? null : Duration.ofNanos(retryAfterNanos);
    }

    static AmbassadorException of(
            String code, String message, String target, int attempts, long elapsedNanos, long retryAfterNanos, Throwable cause) {
        AmbassadorException error = switch (code) {
            case "TIMEOUT" -> new CallTimeoutException(message, target, attempts, elapsedNanos, cause);
            case "DEADLINE" -> new DeadlineExceededException(message, target, attempts, elapsedNanos, cause);
            case "SHUTDOWN" -> new ShutdownException(message, target, attempts, elapsedNanos, cause);
            case "FORKED" -> new ForkedException(message, target, attempts, elapsedNanos, cause);
            case "INTERNAL" -> new InternalException(message, target, attempts, elapsedNanos, cause);
            case "CIRCUIT_OPEN" -> new CircuitOpenException(message, target, attempts, elapsedNanos, cause);
            case "BULKHEAD_FULL" -> new BulkheadFullException(message, target, attempts, elapsedNanos, cause);
            case "RATE_LIMITED" -> new RateLimitedException(message, target, attempts, elapsedNanos, cause);
            case "NO_ENDPOINT" -> new NoEndpointException(message, target, attempts, elapsedNanos, cause);
            case "TRANSPORT" -> new TransportException(message, target, attempts, elapsedNanos, cause);
            case "CONNECT" -> new ConnectException(message, target, attempts, elapsedNanos, cause);
            case "TLS" -> new TlsException(message, target, attempts, elapsedNanos, cause);
            case "PROTOCOL" -> new ProtocolException(message, target, attempts, elapsedNanos, cause);
            case "BODY" -> new BodyException(message, target, attempts, elapsedNanos, cause);
            case "AUTH" -> new AuthException(message, target, attempts, elapsedNanos, cause);
            default -> new AmbassadorException(code, message, target, attempts, elapsedNanos, cause);
        };
        error.retryAfterNanos = retryAfterNanos;
        return error;
    }
}
