package io.ambassador;

import java.nio.file.Path;

/**
 * How requests say who sends them. Never sent to another origin than the target's, and never shown. Immutable. Values are checked
 * when the proxy is built.
 *
 * <pre>{@code
 * Auth token = Auth.bearerEnv("PAYMENTS_TOKEN");
 * }</pre>
 */
public final class Auth {
    private final Fields fields;

    private Auth(Fields fields) {
        this.fields = fields;
    }

    /**
     * By {@code Authorization: Bearer}.
     *
     * @param bearer the token, text of one line
     * @return the credentials
     */
    public static Auth bearer(String bearer) {
        return new Auth(Fields.NONE.with("bearer", bearer));
    }

    /**
     * By {@code Authorization: Bearer}, with a token that is read from the environment at each request.
     *
     * @param variable the name of the environment variable
     * @return the credentials
     */
    public static Auth bearerEnv(String variable) {
        return new Auth(Fields.NONE.with("bearerEnv", variable));
    }

    /**
     * By {@code Authorization: Bearer}, with a token from a file that is read again when it changes.
     *
     * @param file the file
     * @return the credentials
     */
    public static Auth bearerFile(Path file) {
        return new Auth(Fields.NONE.with("bearerFile", file == null ? null : file.toString()));
    }

    /**
     * By {@code Authorization: Basic}.
     *
     * @param username text of one line without a colon
     * @param password text of one line
     * @return the credentials
     */
    public static Auth basic(String username, String password) {
        return new Auth(Fields.NONE.with("username", username).with("password", password));
    }

    /**
     * By a header of its own.
     *
     * @param key what it says, text of one line
     * @return the credentials
     */
    public static Auth apiKey(String key) {
        return new Auth(Fields.NONE.with("apiKey", key));
    }

    /**
     * By a token that is fetched with client credentials (RFC 6749, section 4.4), kept, and fetched again before it expires.
     *
     * @param tokenUrl the URL of the token endpoint
     * @param clientId the client's name there
     * @param clientSecret its secret
     * @return the credentials
     */
    public static Auth oauth2(String tokenUrl, String clientId, String clientSecret) {
        return new Auth(Fields.NONE.with("tokenUrl", tokenUrl).with("clientId", clientId).with("clientSecret", clientSecret));
    }

    /**
     * Sets the header of {@link #apiKey}.
     *
     * @param name the name of a header; default {@code x-api-key}
     * @return the changed settings
     */
    public Auth apiKeyHeader(String name) {
        return with("apiKeyHeader", name);
    }

    /**
     * Sets what the token of {@link #oauth2} is asked for.
     *
     * @param scope text of one line; default none
     * @return the changed settings
     */
    public Auth scope(String scope) {
        return with("scope", scope);
    }

    private Auth with(String field, Object value) {
        return new Auth(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("auth", null, fields);
    }
}
