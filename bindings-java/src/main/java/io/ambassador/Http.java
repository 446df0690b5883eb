package io.ambassador;

import java.time.Duration;
import java.util.Arrays;

/**
 * How requests to a target are made. Immutable. Values are checked when the proxy is built.
 *
 * <pre>{@code
 * Http requests = Http.defaults().followRedirects(3).maxConnections(20);
 * }</pre>
 */
public final class Http {
    private final Fields fields;

    private Http(Fields fields) {
        this.fields = fields;
    }

    /** Which version of HTTP is spoken. */
    public enum Version {
        /** HTTP/2 where TLS agrees on it, else HTTP/1.1; the default. */
        AUTO("auto"),
        /** HTTP/1.1. */
        HTTP_1_1("1"),
        /** HTTP/2, without TLS by prior knowledge. */
        HTTP_2("2");

        private final String word;

        Version(String word) {
            this.word = word;
        }

        static Version of(Object word) {
            return Arrays.stream(values()).filter(version -> version.word.equals(word)).findFirst().orElseThrow();
        }
    }

    /**
     * Every setting at its default.
     *
     * @return the settings
     */
    public static Http defaults() {
        return new Http(Fields.NONE);
    }

    /**
     * Sets which version of HTTP is spoken.
     *
     * @param version the version; default {@link Version#AUTO}
     * @return the changed settings
     */
    public Http version(Version version) {
        return with("version", version == null ? null : version.word);
    }

    /**
     * Sets how large the head of a response may be.
     *
     * @param bytes 8192 to 16777216; default 65536
     * @return the changed settings
     */
    public Http maxHeaderBytes(int bytes) {
        return with("maxHeaderBytes", bytes);
    }

    /**
     * Sets how large a body may be that is read whole, after decompression.
     *
     * @param bytes 1 to 2147483648; default 67108864
     * @return the changed settings
     */
    public Http maxBodyBytes(long bytes) {
        return with("maxBodyBytes", bytes);
    }

    /**
     * Sets how much of a body that is a stream is kept for another attempt.
     *
     * @param bytes 0 to 1073741824; default 1048576
     * @return the changed settings
     */
    public Http replayBytes(int bytes) {
        return with("replayBytes", bytes);
    }

    /**
     * Sets how many redirects are followed. Credentials never go to another origin.
     *
     * @param most 0 to 20; default 0
     * @return the changed settings
     */
    public Http followRedirects(int most) {
        return with("followRedirects", most);
    }

    /**
     * Sets whether compressed bodies are asked for and unpacked.
     *
     * @param decompress default true
     * @return the changed settings
     */
    public Http decompress(boolean decompress) {
        return with("decompress", decompress);
    }

    /**
     * Sets whether {@code HTTP_PROXY}, {@code HTTPS_PROXY} and {@code NO_PROXY} are obeyed.
     *
     * @param obey default false
     * @return the changed settings
     */
    public Http proxyFromEnvironment(boolean obey) {
        return with("proxyFromEnvironment", obey);
    }

    /**
     * Sets whether {@code x-ambassador-attempt} and {@code x-ambassador-remaining-ms} are sent.
     *
     * @param send default false
     * @return the changed settings
     */
    public Http attemptHeaders(boolean send) {
        return with("attemptHeaders", send);
    }

    /**
     * Sets how many connections may be open to an endpoint by HTTP/1.
     *
     * @param most 1 to 1000000; default 100
     * @return the changed settings
     */
    public Http maxConnections(int most) {
        return with("maxConnections", most);
    }

    /**
     * Sets how long a connection is kept that nothing uses.
     *
     * @param idleTimeout from 1 ms; default 60 s
     * @return the changed settings
     */
    public Http idleTimeout(Duration idleTimeout) {
        return with("idleTimeoutMs", idleTimeout);
    }

    /**
     * Sets how long a connection is kept that nothing uses.
     *
     * @param milliseconds from 1 ms; default 60000
     * @return the changed settings
     */
    public Http idleTimeoutMs(double milliseconds) {
        return with("idleTimeoutMs", milliseconds);
    }

    private Http with(String field, Object value) {
        return new Http(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("http", null, fields);
    }
}
