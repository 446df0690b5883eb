// Generated from core/errors.toml by `make generate`. Do not edit.
package io.ambassador;

import java.time.Duration;

/** An error of the ambassador's own, rather than of the function that it called. Its cause is the last real failure. */
public class AmbassadorException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String code;
    private final String target;
    private final int attempts;
    private final long elapsedNanos;

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

    static AmbassadorException of(
            String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        return switch (code) {
            case "TIMEOUT" -> new CallTimeoutException(message, target, attempts, elapsedNanos, cause);
            case "DEADLINE" -> new DeadlineExceededException(message, target, attempts, elapsedNanos, cause);
            case "SHUTDOWN" -> new ShutdownException(message, target, attempts, elapsedNanos, cause);
            case "FORKED" -> new ForkedException(message, target, attempts, elapsedNanos, cause);
            case "INTERNAL" -> new InternalException(message, target, attempts, elapsedNanos, cause);
            case "CIRCUIT_OPEN" -> new CircuitOpenException(message, target, attempts, elapsedNanos, cause);
            case "BULKHEAD_FULL" -> new BulkheadFullException(message, target, attempts, elapsedNanos, cause);
            case "RATE_LIMITED" -> new RateLimitedException(message, target, attempts, elapsedNanos, cause);
            default -> new AmbassadorException(code, message, target, attempts, elapsedNanos, cause);
        };
    }
}
