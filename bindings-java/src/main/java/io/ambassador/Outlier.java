package io.ambassador;

import java.time.Duration;

/**
 * When an endpoint is left out for a while because attempts at it fail. Immutable. Values are checked when the proxy is built.
 *
 * <pre>{@code
 * Outlier strict = Outlier.defaults().consecutiveFailures(3).base(Duration.ofSeconds(10));
 * }</pre>
 */
public final class Outlier {
    private final Fields fields;

    private Outlier(Fields fields) {
        this.fields = fields;
    }

    /**
     * Every setting at its default.
     *
     * @return the outlier
     */
    public static Outlier defaults() {
        return new Outlier(Fields.NONE);
    }

    /**
     * Sets after how many failures in a row an endpoint is left out.
     *
     * @param consecutiveFailures 1 to 1000000; default 5
     * @return the changed settings
     */
    public Outlier consecutiveFailures(int consecutiveFailures) {
        return with("consecutiveFailures", consecutiveFailures);
    }

    /**
     * Sets for how long, times how often it was left out before.
     *
     * @param base from 1 ms; default 30 s
     * @return the changed settings
     */
    public Outlier base(Duration base) {
        return with("baseMs", base);
    }

    /**
     * Sets for how long, times how often it was left out before.
     *
     * @param milliseconds from 1 ms; default 30000
     * @return the changed settings
     */
    public Outlier baseMs(double milliseconds) {
        return with("baseMs", milliseconds);
    }

    /**
     * Sets the longest that an endpoint is left out.
     *
     * @param max from 1 ms; default 300 s
     * @return the changed settings
     */
    public Outlier max(Duration max) {
        return with("maxMs", max);
    }

    /**
     * Sets the longest that an endpoint is left out.
     *
     * @param milliseconds from 1 ms; default 300000
     * @return the changed settings
     */
    public Outlier maxMs(double milliseconds) {
        return with("maxMs", milliseconds);
    }

    /**
     * Sets the share of the endpoints that may be left out at once, though always one where there are two or more.
     *
     * @param maxEjected 0 to 1; default 0.1
     * @return the changed settings
     */
    public Outlier maxEjected(double maxEjected) {
        return with("maxEjected", maxEjected);
    }

    /**
     * Sets the share of healthy endpoints below which health is ignored.
     *
     * @param panic 0 to 1; default 0.5
     * @return the changed settings
     */
    public Outlier panic(double panic) {
        return with("panic", panic);
    }

    private Outlier with(String field, Object value) {
        return new Outlier(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("outlier", true, fields);
    }
}
