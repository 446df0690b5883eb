package io.ambassador;

import java.time.Duration;

/**
 * The waits between attempts: after failed attempt n, min(max, base·factor^(n-1)), spread by {@link Jitter}. The default is 2 s,
 * doubling, at most 30 s, with full jitter. Immutable. Values are checked when the proxy is built.
 *
 * <pre>{@code
 * Backoff waits = Backoff.exponential(Duration.ofMillis(50)).max(Duration.ofSeconds(1)).jitter(Jitter.EQUAL);
 * }</pre>
 */
public final class Backoff {
    private static final Backoff DEFAULT = new Backoff(Fields.NONE);

    private final Fields fields;

    private Backoff(Fields fields) {
        this.fields = fields;
    }

    /**
     * The default schedule, but starting at {@code base}.
     *
     * @param base the wait after the first attempt, before jitter; from 0
     * @return the schedule
     */
    public static Backoff exponential(Duration base) {
        return DEFAULT.base(base);
    }

    /**
     * The same wait each time, without jitter.
     *
     * @param wait the wait; from 0
     * @return the schedule
     */
    public static Backoff constant(Duration wait) {
        return DEFAULT.base(wait).max(wait).factor(1).jitter(Jitter.NONE);
    }

    /**
     * No waits at all, but for those that a server asks for.
     *
     * @return the schedule
     */
    public static Backoff none() {
        return constant(Duration.ZERO);
    }

    /**
     * Sets the wait after the first attempt, before jitter.
     *
     * @param base the wait; from 0; default 2 s
     * @return the changed schedule
     */
    public Backoff base(Duration base) {
        return with("baseMs", base);
    }

    /**
     * Sets the wait after the first attempt, before jitter.
     *
     * @param milliseconds the wait; from 0; default 2000
     * @return the changed schedule
     */
    public Backoff baseMs(double milliseconds) {
        return with("baseMs", milliseconds);
    }

    /**
     * Sets what each further wait is multiplied by.
     *
     * @param factor from 1 to 1000; default 2
     * @return the changed schedule
     */
    public Backoff factor(double factor) {
        return with("factor", factor);
    }

    /**
     * Sets the longest wait. It is applied before jitter, so that the thousandth wait still spreads.
     *
     * @param max the wait; from 0; default 30 s
     * @return the changed schedule
     */
    public Backoff max(Duration max) {
        return with("maxMs", max);
    }

    /**
     * Sets the longest wait. It is applied before jitter, so that the thousandth wait still spreads.
     *
     * @param milliseconds the wait; from 0; default 30000
     * @return the changed schedule
     */
    public Backoff maxMs(double milliseconds) {
        return with("maxMs", milliseconds);
    }

    /**
     * Sets how waits are spread.
     *
     * @param jitter the kind; default {@link Jitter#FULL}
     * @return the changed schedule
     */
    public Backoff jitter(Jitter jitter) {
        return with("jitter", jitter);
    }

    /**
     * Sets the longest wait that a server may ask for; when it asks for more, the call ends instead.
     *
     * @param hintMax the wait; from 0; default 60 s
     * @return the changed schedule
     */
    public Backoff hintMax(Duration hintMax) {
        return with("hintMaxMs", hintMax);
    }

    /**
     * Sets the longest wait that a server may ask for; when it asks for more, the call ends instead.
     *
     * @param milliseconds the wait; from 0; default 60000
     * @return the changed schedule
     */
    public Backoff hintMaxMs(double milliseconds) {
        return with("hintMaxMs", milliseconds);
    }

    private Backoff with(String field, Object value) {
        return new Backoff(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("backoff", true, fields);
    }
}
