// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** RATE_LIMITED: the rate limit has no turn for the call within max_wait. What to do: call less often, or raise rate, burst or max_wait. */
public final class RateLimitedException extends AmbassadorException {
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
    public RateLimitedException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("RATE_LIMITED", message, target, attempts, elapsedNanos, cause);
    }

    private RateLimitedException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
