package io.ambassador;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** The fields of a group of settings that were set, in their order; the core checks them. Immutable. */
record Fields(Map<String, Object> values) {
    static final Fields NONE = new Fields(Map.of());

    /**
     * A group of settings, as the builder takes it.
     *
     * @param setting its name
     * @param whole what sets all of it to its defaults
     * @param fields what was set
     */
    record Group(String setting, Object whole, Fields fields) {}

    Fields with(String field, Object value) {
        var changed = new LinkedHashMap<>(values);
        changed.put(field, value);
        return new Fields(Collections.unmodifiableMap(changed));
    }

    /** Without what they say: there may be secrets among them (S3). */
    @Override
    public String toString() {
        return values.keySet().toString();
    }
}
