// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** CIRCUIT_OPEN: the circuit breaker refused the first attempt; the function was not run. What to do: call again when the target has recovered, or look at why it failed. */
public final class CircuitOpenException extends AmbassadorException {
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
    public CircuitOpenException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("CIRCUIT_OPEN", message, target, attempts, elapsedNanos, cause);
    }

    private CircuitOpenException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
