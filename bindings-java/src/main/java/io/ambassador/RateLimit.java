package io.ambassador;

import java.time.Duration;

/**
 * How many calls there may be in a time, evenly, with a burst. Who comes too early gets a {@link RateLimitedException}, or waits.
 * Immutable. Values are checked when the proxy is built.
 *
 * <pre>{@code
 * RateLimit limit = RateLimit.of(100).burst(10).maxWait(Duration.ofMillis(50));
 * }</pre>
 */
public final class RateLimit {
    private final Fields fields;

    private RateLimit(Fields fields) {
        this.fields = fields;
    }

    /**
     * So many calls a second.
     *
     * @param rate above 0
     * @return the limit
     */
    public static RateLimit of(double rate) {
        return new RateLimit(Fields.NONE).rate(rate);
    }

    /**
     * Sets how many calls there may be in each {@link #per(Duration)}.
     *
     * @param rate 0.000001 to 1000000000; default as it was made
     * @return the changed settings
     */
    public RateLimit rate(double rate) {
        return with("rate", rate);
    }

    /**
     * Sets the time that the rate is meant for.
     *
     * @param per from 1 ms; default 1 s
     * @return the changed settings
     */
    public RateLimit per(Duration per) {
        return with("perMs", per);
    }

    /**
     * Sets the time that the rate is meant for.
     *
     * @param milliseconds from 1 ms; default 1000
     * @return the changed settings
     */
    public RateLimit perMs(double milliseconds) {
        return with("perMs", milliseconds);
    }

    /**
     * Sets how many calls may come at once after a quiet time.
     *
     * @param burst 1 to 1000000; default the rate, rounded up
     * @return the changed settings
     */
    public RateLimit burst(int burst) {
        return with("burst", burst);
    }

    /**
     * Sets how long a call may wait for its turn.
     *
     * @param maxWait from 0; default 0, which refuses at once
     * @return the changed settings
     */
    public RateLimit maxWait(Duration maxWait) {
        return with("maxWaitMs", maxWait);
    }

    /**
     * Sets how long a call may wait for its turn.
     *
     * @param milliseconds from 0; default 0, which refuses at once
     * @return the changed settings
     */
    public RateLimit maxWaitMs(double milliseconds) {
        return with("maxWaitMs", milliseconds);
    }

    private RateLimit with(String field, Object value) {
        return new RateLimit(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("rateLimit", null, fields);
    }
}
