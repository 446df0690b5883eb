package io.ambassador;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;

/**
 * Where a target's endpoints come from, when they are not written down. One that fails leaves those that are known. Immutable. Values
 * are checked when the proxy is built.
 *
 * <pre>{@code
 * Discovery names = Discovery.dns("payments.internal:8080").refresh(Duration.ofSeconds(10));
 * }</pre>
 */
public final class Discovery {
    private final Fields fields;

    private Discovery(Fields fields) {
        this.fields = fields;
    }

    /**
     * Every A and AAAA record of that name is an endpoint.
     *
     * @param name a host, with a port if it is not the target's
     * @return the discovery
     */
    public static Discovery dns(String name) {
        return new Discovery(Fields.NONE.with("dns", name));
    }

    /**
     * Every SRV record of that name is an endpoint, by its priority and weight.
     *
     * @param name such as {@code _http._tcp.payments.internal}
     * @return the discovery
     */
    public static Discovery srv(String name) {
        return new Discovery(Fields.NONE.with("srv", name));
    }

    /**
     * A JSON or YAML file of endpoints, which is read again when it changes.
     *
     * @param file the file
     * @return the discovery
     */
    public static Discovery file(Path file) {
        return new Discovery(Fields.NONE.with("file", file == null ? null : file.toString()));
    }

    /**
     * Sets the DNS servers to ask.
     *
     * @param servers IP addresses, with ports if needed; default the system's
     * @return the changed settings
     */
    public Discovery servers(String... servers) {
        return with("servers", servers == null ? null : Arrays.asList(servers.clone()));
    }

    /**
     * Sets the longest time between two looks, whatever the answer's time to live.
     *
     * @param refresh from 1 ms; default 30 s
     * @return the changed settings
     */
    public Discovery refresh(Duration refresh) {
        return with("refreshMs", refresh);
    }

    /**
     * Sets the longest time between two looks, whatever the answer's time to live.
     *
     * @param milliseconds from 1 ms; default 30000
     * @return the changed settings
     */
    public Discovery refreshMs(double milliseconds) {
        return with("refreshMs", milliseconds);
    }

    private Discovery with(String field, Object value) {
        return new Discovery(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("discovery", null, fields);
    }
}
