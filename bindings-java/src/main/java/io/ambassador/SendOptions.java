package io.ambassador;

import java.time.Duration;

/**
 * How one request is sent, where that differs from its proxy's settings. Immutable.
 *
 * <pre>{@code
 * SendOptions sure = SendOptions.defaults().idempotent(true).timeoutMs(300);
 * }</pre>
 *
 * <p>The bound of the whole request is its own: {@link java.net.http.HttpRequest.Builder#timeout}.
 */
public final class SendOptions {
    private static final SendOptions DEFAULTS = new SendOptions(null, 0);

    /** Null for what its method says. */
    private final Boolean idempotent;
    /** In nanoseconds; 0 for the proxy's, below it for none. */
    private final long timeout;

    private SendOptions(Boolean idempotent, long timeout) {
        this.idempotent = idempotent;
        this.timeout = timeout;
    }

    /**
     * As the proxy's settings say.
     *
     * @return the options
     */
    public static SendOptions defaults() {
        return DEFAULTS;
    }

    /**
     * Sets whether the request may safely be made twice.
     *
     * @param idempotent default as its method, an {@code Idempotency-Key}, or the proxy's settings say
     * @return the changed options
     */
    public SendOptions idempotent(boolean idempotent) {
        return new SendOptions(idempotent, timeout);
    }

    /**
     * Sets the bound of each attempt.
     *
     * @param timeout above zero, or null for none; default the proxy's
     * @return the changed options
     */
    public SendOptions timeout(Duration timeout) {
        if (timeout == null) {
            return new SendOptions(idempotent, -1);
        }
        if (timeout.isZero() || timeout.isNegative()) {
            throw new IllegalArgumentException("timeout is " + timeout + "; expected a duration above 0, or null for none");
        }
        return new SendOptions(idempotent, AmbassadorProxy.nanos(timeout));
    }

    /**
     * Sets the bound of each attempt.
     *
     * @param milliseconds above 0; default the proxy's
     * @return the changed options
     */
    public SendOptions timeoutMs(double milliseconds) {
        if (!(milliseconds > 0)) {
            throw new IllegalArgumentException("timeoutMs is " + milliseconds + "; expected a number of milliseconds above 0");
        }
        return new SendOptions(idempotent, Math.max(1, Math.round(milliseconds * 1e6)));
    }

    Boolean idempotent() {
        return idempotent;
    }

    long timeout() {
        return timeout;
    }
}
