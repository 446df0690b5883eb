// Generated from core/errors.toml by make generate. Do not edit.
package io.ambassador;

/** CONFIG: a setting is wrong; raised at construction, never by a call. What to do: correct the setting that the message names. */
public final class ConfigException extends AmbassadorException {
    private static final long serialVersionUID = 1L;

    private final String field;
    private final String value;
    private final String allowed;

    /**
     * Made by the ambassador.
     *
     * @param message which setting is wrong, what it was, and what is allowed
     * @param field see {@link #getField}
     * @param value see {@link #getValue}
     * @param allowed see {@link #getAllowed}
     */
    public ConfigException(String message, String field, String value, String allowed) {
        super("CONFIG", message, null, 0, 0, null);
        this.field = field;
        this.value = value;
        this.allowed = allowed;
    }

    /** @return the setting that is wrong */
    public String getField() {
        return field;
    }

    /** @return the value that was given */
    public String getValue() {
        return value;
    }

    /** @return what is allowed instead */
    public String getAllowed() {
        return allowed;
    }
}
