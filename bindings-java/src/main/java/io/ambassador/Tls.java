package io.ambassador;

import java.nio.file.Path;
import java.util.Arrays;

/**
 * Whom a target's certificate has to convince, and which one it is shown. Files are read again when they change. Immutable. Values
 * are checked when the proxy is built.
 *
 * <pre>{@code
 * Tls mutual = Tls.defaults().ca(Path.of("roots.pem")).cert(Path.of("client.pem")).key(Path.of("client.key"));
 * }</pre>
 */
public final class Tls {
    private final Fields fields;

    private Tls(Fields fields) {
        this.fields = fields;
    }

    /** A version of TLS. */
    public enum Version {
        /** 1.2; the default. */
        TLS_1_2("1.2"),
        /** 1.3. */
        TLS_1_3("1.3");

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
    public static Tls defaults() {
        return new Tls(Fields.NONE);
    }

    /**
     * Sets the root certificates, in place of the system's.
     *
     * @param ca a file in PEM; default the system's
     * @return the changed settings
     */
    public Tls ca(Path ca) {
        return with("ca", ca == null ? null : ca.toString());
    }

    /**
     * Sets the client's certificate and those that signed it. Needs {@link #key}.
     *
     * @param cert a file in PEM; default none
     * @return the changed settings
     */
    public Tls cert(Path cert) {
        return with("cert", cert == null ? null : cert.toString());
    }

    /**
     * Sets the private key of {@link #cert}.
     *
     * @param key a file in PEM; default none
     * @return the changed settings
     */
    public Tls key(Path key) {
        return with("key", key == null ? null : key.toString());
    }

    /**
     * Sets the name that is asked for (SNI) and that the server's certificate has to be for.
     *
     * @param serverName a host without a port; default the target's host
     * @return the changed settings
     */
    public Tls serverName(String serverName) {
        return with("serverName", serverName);
    }

    /**
     * Sets the lowest version that is spoken.
     *
     * @param minVersion the version; default {@link Version#TLS_1_2}
     * @return the changed settings
     */
    public Tls minVersion(Version minVersion) {
        return with("minVersion", minVersion == null ? null : minVersion.word);
    }

    /**
     * Sets public keys, of which a certificate that the server shows has to have one.
     *
     * @param pins SHA-256 digests of public keys (SPKI) in Base64; default none
     * @return the changed settings
     */
    public Tls pins(String... pins) {
        return with("pins", pins == null ? null : Arrays.asList(pins.clone()));
    }

    /**
     * Sets whether a certificate is taken for good that does not verify. Anybody on the way may then read and change everything.
     *
     * @param accept default false
     * @return the changed settings
     */
    public Tls dangerousAcceptInvalidCertificates(boolean accept) {
        return with("dangerousAcceptInvalidCertificates", accept);
    }

    private Tls with(String field, Object value) {
        return new Tls(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("tls", null, fields);
    }
}
