package io.ambassador;

import java.time.Duration;

/**
 * When another attempt begins beside one that takes long, and how many. They run at once, and the first success is the call's: for
 * functions that may safely run twice, so the builder wants {@link ProxyBuilder#idempotent} as well. Immutable. Values are checked when
 * the proxy is built.
 *
 * <pre>{@code
 * Hedge hedge = Hedge.after(Duration.ofMillis(50)).max(2);
 * }</pre>
 */
public final class Hedge {
    private final Fields fields;

    private Hedge(Fields fields) {
        this.fields = fields;
    }

    /**
     * When an attempt has run so long, at most one more.
     *
     * @param after above zero
     * @return the hedge
     */
    public static Hedge after(Duration after) {
        return of(after);
    }

    /**
     * When an attempt has run so long, at most one more.
     *
     * @param milliseconds above 0
     * @return the hedge
     */
    public static Hedge afterMs(double milliseconds) {
        return of(milliseconds);
    }

    /**
     * When an attempt takes longer than half of the target's do. Not before 20 attempts of the last minute are known.
     *
     * @return the hedge
     */
    public static Hedge afterP50() {
        return of("p50");
    }

    /**
     * When an attempt takes longer than 90 % of the target's do. Not before 20 attempts of the last minute are known.
     *
     * @return the hedge
     */
    public static Hedge afterP90() {
        return of("p90");
    }

    /**
     * When an attempt takes longer than 95 % of the target's do. Not before 20 attempts of the last minute are known.
     *
     * @return the hedge
     */
    public static Hedge afterP95() {
        return of("p95");
    }

    /**
     * When an attempt takes longer than 99 % of the target's do. Not before 20 attempts of the last minute are known.
     *
     * @return the hedge
     */
    public static Hedge afterP99() {
        return of("p99");
    }

    /**
     * Sets how many may begin beside an attempt that was the first or followed a wait. They count as attempts.
     *
     * @param max 1 to 3; default 1
     * @return the changed settings
     */
    public Hedge max(int max) {
        return new Hedge(fields.with("max", max));
    }

    private static Hedge of(Object after) {
        return new Hedge(Fields.NONE.with("afterMs", after));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("hedge", null, fields);
    }
}
