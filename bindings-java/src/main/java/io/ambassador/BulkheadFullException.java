// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** BULKHEAD_FULL: max_concurrent calls are running, and no place came free within the queue's wait. What to do: call less at once, or raise max_concurrent or max_queue. */
public final class BulkheadFullException extends AmbassadorException {
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
    public BulkheadFullException(String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        this("BULKHEAD_FULL", message, target, attempts, elapsedNanos, cause);
    }

    private BulkheadFullException(String code, String message, String target, int attempts, long elapsedNanos, Throwable cause) {
        super(code, message, target, attempts, elapsedNanos, cause);
    }
}
