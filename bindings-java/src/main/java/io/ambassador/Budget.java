package io.ambassador;

import java.time.Duration;

/**
 * How many retries there may be. The default is one for every five calls over 10 s, and ten a second besides. Empty, it ends the call
 * with its last error; a first attempt is never refused by it. Immutable. Values are checked when the proxy is built.
 *
 * <pre>{@code
 * Budget few = Budget.defaults().ratio(0.1).minPerSecond(1);
 * }</pre>
 */
public final class Budget {
    private final Fields fields;

    private Budget(Fields fields) {
        this.fields = fields;
    }

    /**
     * Every setting at its default.
     *
     * @return the budget
     */
    public static Budget defaults() {
        return new Budget(Fields.NONE);
    }

    /**
     * Sets how many retries each call is good for.
     *
     * @param ratio 0 to 1000; default 0.2
     * @return the changed settings
     */
    public Budget ratio(double ratio) {
        return with("ratio", ratio);
    }

    /**
     * Sets how many retries a second there may be whatever the calls.
     *
     * @param minPerSecond 0 to 1000000; default 10
     * @return the changed settings
     */
    public Budget minPerSecond(double minPerSecond) {
        return with("minPerSecond", minPerSecond);
    }

    /**
     * Sets the window over which calls and retries are counted.
     *
     * @param window from 1 ms; default 10 s
     * @return the changed settings
     */
    public Budget window(Duration window) {
        return with("windowMs", window);
    }

    /**
     * Sets the window over which calls and retries are counted.
     *
     * @param milliseconds from 1 ms; default 10000
     * @return the changed settings
     */
    public Budget windowMs(double milliseconds) {
        return with("windowMs", milliseconds);
    }

    private Budget with(String field, Object value) {
        return new Budget(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("budget", true, fields);
    }
}
