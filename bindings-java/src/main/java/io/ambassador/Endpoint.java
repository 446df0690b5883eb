package io.ambassador;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * A place where calls for a target may go. Immutable. Values are checked where endpoints are given to a proxy.
 *
 * <pre>{@code
 * Endpoint near = Endpoint.of("http://10.0.0.7:8080").weight(3).zone("eu-west-1a");
 * }</pre>
 *
 * @param url a host, a host and port, or an http:// or https:// URL without a path
 * @param weight its share of the calls beside those of other weights, 1 to 1000
 * @param zone the zone that it stands in; empty where that is not known
 * @param metadata what else is known of it, for your own code
 */
public record Endpoint(String url, int weight, Optional<String> zone, Map<String, String> metadata) {
    /**
     * An endpoint.
     *
     * @throws NullPointerException when one of them is null
     */
    public Endpoint {
        Objects.requireNonNull(url, "url");
        Objects.requireNonNull(zone, "zone");
        metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    }

    /**
     * An endpoint of weight 1.
     *
     * @param url a host, a host and port, or an http:// or https:// URL without a path
     * @return the endpoint
     */
    public static Endpoint of(String url) {
        return new Endpoint(url, 1, Optional.empty(), Map.of());
    }

    /**
     * Sets its share of the calls beside those of other weights.
     *
     * @param weight 1 to 1000; default 1
     * @return the changed endpoint
     */
    public Endpoint weight(int weight) {
        return new Endpoint(url, weight, zone, metadata);
    }

    /**
     * Sets the zone that it stands in.
     *
     * @param zone the name of a zone, or null for none; default none
     * @return the changed endpoint
     */
    public Endpoint zone(String zone) {
        return new Endpoint(url, weight, Optional.ofNullable(zone), metadata);
    }

    /**
     * Sets what else is known of it, for your own code.
     *
     * @param metadata names and texts; default none
     * @return the changed endpoint
     */
    public Endpoint metadata(Map<String, String> metadata) {
        return new Endpoint(url, weight, zone, metadata);
    }

    /** As the core reads it. */
    Map<String, Object> fields() {
        var fields = new LinkedHashMap<String, Object>();
        fields.put("url", url);
        fields.put("weight", weight);
        fields.put("zone", zone.orElse(null));
        fields.put("metadata", metadata);
        return fields;
    }
}
