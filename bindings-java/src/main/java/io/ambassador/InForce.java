package io.ambassador;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** The settings of networking in force, as the core tells them: each by its name, see {@code network.rs}. */
record InForce(Map<?, ?> fields) {
    static Policy.Network network(long proxy) {
        var all = new InForce((Map<?, ?>) Values.read(Native.network(proxy)));
        return new Policy.Network(
                ((List<?>) all.fields.get("endpoints")).stream().map(InForce::endpoint).toList(),
                all.group("discovery").map(InForce::lookup),
                Balance.valueOf(all.text("balance").toUpperCase(Locale.ROOT)),
                all.find("hashOn", String.class),
                all.find("zone", String.class),
                all.find("slowStart", Duration.class),
                all.group("outlier").map(InForce::ejection),
                all.group("healthCheck").map(InForce::checks),
                security(all.group("tls").orElseThrow()),
                all.find("auth", String.class),
                all.texts("headers"),
                IdempotencyKey.valueOf(all.text("idempotencyKey").toUpperCase(Locale.ROOT)),
                requests(all.group("http").orElseThrow()));
    }

    private static Endpoint endpoint(Object value) {
        var endpoint = new InForce((Map<?, ?>) value);
        @SuppressWarnings("unchecked")
        var metadata = (Map<String, String>) endpoint.fields.get("metadata");
        return new Endpoint(endpoint.text("url"), endpoint.whole("weight"), endpoint.find("zone", String.class), metadata);
    }

    private static Policy.Lookup lookup(InForce discovery) {
        return new Policy.Lookup(
                discovery.text("kind"), discovery.text("name"), discovery.texts("servers"), discovery.length("refresh"));
    }

    private static Policy.Ejection ejection(InForce outlier) {
        return new Policy.Ejection(
                outlier.whole("consecutiveFailures"),
                outlier.length("base"),
                outlier.length("max"),
                outlier.real("maxEjected"),
                outlier.real("panic"));
    }

    private static Policy.Checks checks(InForce healthCheck) {
        return new Policy.Checks(
                healthCheck.find("path", String.class),
                healthCheck.length("interval"),
                healthCheck.length("timeout"),
                healthCheck.whole("unhealthy"),
                healthCheck.whole("healthy"));
    }

    private static Policy.Security security(InForce tls) {
        return new Policy.Security(
                tls.find("ca", String.class).map(Path::of),
                tls.find("cert", String.class).map(Path::of),
                tls.find("key", String.class).map(Path::of),
                tls.find("serverName", String.class),
                Tls.Version.of(tls.text("minVersion")),
                tls.texts("pins"),
                tls.truth("dangerousAcceptInvalidCertificates"));
    }

    private static Policy.Requests requests(InForce http) {
        return new Policy.Requests(
                Http.Version.of(http.text("version")),
                http.whole("maxHeaderBytes"),
                (Long) http.fields.get("maxBodyBytes"),
                http.whole("replayBytes"),
                http.whole("followRedirects"),
                http.truth("decompress"),
                http.truth("proxyFromEnvironment"),
                http.truth("attemptHeaders"),
                http.whole("maxConnections"),
                http.length("idleTimeout"));
    }

    private <T> Optional<T> find(String name, Class<T> type) {
        return Optional.ofNullable(type.cast(fields.get(name)));
    }

    private Optional<InForce> group(String name) {
        return find(name, Map.class).map(InForce::new);
    }

    private String text(String name) {
        return (String) fields.get(name);
    }

    private int whole(String name) {
        return ((Long) fields.get(name)).intValue();
    }

    private double real(String name) {
        return (Double) fields.get(name);
    }

    private boolean truth(String name) {
        return (Boolean) fields.get(name);
    }

    private Duration length(String name) {
        return (Duration) fields.get(name);
    }

    @SuppressWarnings("unchecked")
    private List<String> texts(String name) {
        return List.copyOf((List<String>) fields.get(name));
    }
}
