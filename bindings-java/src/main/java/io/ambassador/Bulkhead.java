package io.ambassador;

import java.time.Duration;

/**
 * How many calls run at once, and how many may wait for a place, first come, first served. Who finds no place gets a
 * {@link BulkheadFullException}. A function that outlives its bound keeps its place until it ends. Immutable. Values are checked when
 * the proxy is built.
 *
 * <pre>{@code
 * Bulkhead few = Bulkhead.of(10).maxQueue(100).queueTimeout(Duration.ofMillis(200));
 * }</pre>
 */
public final class Bulkhead {
    private final Fields fields;

    private Bulkhead(Fields fields) {
        this.fields = fields;
    }

    /**
     * So many calls at once, and no queue.
     *
     * @param maxConcurrent 1 to 1000000
     * @return the bulkhead
     */
    public static Bulkhead of(int maxConcurrent) {
        return new Bulkhead(Fields.NONE).maxConcurrent(maxConcurrent);
    }

    /**
     * As many calls at once as the target takes without growing slower, and no queue.
     *
     * @return the bulkhead
     */
    public static Bulkhead adaptive() {
        return new Bulkhead(Fields.NONE.with("maxConcurrent", "adaptive"));
    }

    /**
     * Sets how many calls run at once.
     *
     * @param maxConcurrent 1 to 1000000; default as it was made
     * @return the changed settings
     */
    public Bulkhead maxConcurrent(int maxConcurrent) {
        return with("maxConcurrent", maxConcurrent);
    }

    /**
     * Sets how many calls may wait.
     *
     * @param maxQueue 0 to 1000000; default 0
     * @return the changed settings
     */
    public Bulkhead maxQueue(int maxQueue) {
        return with("maxQueue", maxQueue);
    }

    /**
     * Sets how long a call waits at most.
     *
     * @param queueTimeout above 0, or null for as long as an attempt's timeout; the default
     * @return the changed settings
     */
    public Bulkhead queueTimeout(Duration queueTimeout) {
        return with("queueTimeoutMs", queueTimeout);
    }

    /**
     * Sets how long a call waits at most.
     *
     * @param milliseconds above 0; default as long as an attempt's timeout
     * @return the changed settings
     */
    public Bulkhead queueTimeoutMs(double milliseconds) {
        return with("queueTimeoutMs", milliseconds);
    }

    private Bulkhead with(String field, Object value) {
        return new Bulkhead(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("bulkhead", null, fields);
    }
}
