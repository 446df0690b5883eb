package io.ambassador;

import java.time.Duration;

/**
 * How endpoints are asked whether they are well, beside the calls that they get. Immutable. Values are checked when the proxy is
 * built.
 *
 * <pre>{@code
 * HealthCheck checks = HealthCheck.path("/healthz").interval(Duration.ofSeconds(5));
 * }</pre>
 */
public final class HealthCheck {
    private final Fields fields;

    private HealthCheck(Fields fields) {
        this.fields = fields;
    }

    /**
     * By GET of that path, to be answered by a status of 200 to 299.
     *
     * @param path begins with {@code /}
     * @return the checks
     */
    public static HealthCheck path(String path) {
        return new HealthCheck(Fields.NONE.with("path", path));
    }

    /**
     * By a connection.
     *
     * @return the checks
     */
    public static HealthCheck tcp() {
        return new HealthCheck(Fields.NONE.with("tcp", true));
    }

    /**
     * Sets how long it is between two checks of an endpoint.
     *
     * @param interval from 1 ms; default 10 s
     * @return the changed settings
     */
    public HealthCheck interval(Duration interval) {
        return with("intervalMs", interval);
    }

    /**
     * Sets how long it is between two checks of an endpoint.
     *
     * @param milliseconds from 1 ms; default 10000
     * @return the changed settings
     */
    public HealthCheck intervalMs(double milliseconds) {
        return with("intervalMs", milliseconds);
    }

    /**
     * Sets how long an answer may take.
     *
     * @param timeout from 1 ms; default 1 s
     * @return the changed settings
     */
    public HealthCheck timeout(Duration timeout) {
        return with("timeoutMs", timeout);
    }

    /**
     * Sets how long an answer may take.
     *
     * @param milliseconds from 1 ms; default 1000
     * @return the changed settings
     */
    public HealthCheck timeoutMs(double milliseconds) {
        return with("timeoutMs", milliseconds);
    }

    /**
     * Sets after how many failed checks in a row an endpoint is left out.
     *
     * @param unhealthy 1 to 1000; default 3
     * @return the changed settings
     */
    public HealthCheck unhealthy(int unhealthy) {
        return with("unhealthy", unhealthy);
    }

    /**
     * Sets after how many good checks in a row it is back.
     *
     * @param healthy 1 to 1000; default 2
     * @return the changed settings
     */
    public HealthCheck healthy(int healthy) {
        return with("healthy", healthy);
    }

    private HealthCheck with(String field, Object value) {
        return new HealthCheck(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("healthCheck", null, fields);
    }
}
