package io.ambassador;

import java.util.ArrayList;
import java.util.List;

/**
 * A setting in force; {@link AmbassadorProxy#effectivePolicy} tells them.
 *
 * @param field its name: {@code backoff.hintMaxMs}; a group has an entry of its own, which says whether it is on
 * @param value its value as JSON: lengths of time are milliseconds, what is not set is {@code null}, secrets are {@code "***"}
 * @param origin where the value comes from: {@code default}, {@code constructor}, {@code config FILE:LINE}, or
 *     {@code another proxy of the name}
 */
public record EffectiveSetting(String field, String value, String origin) {
    /** Of each setting three texts, one after the other. */
    static List<EffectiveSetting> of(String[] texts) {
        List<EffectiveSetting> settings = new ArrayList<>(texts.length / 3);
        for (int at = 0; at < texts.length; at += 3) {
            settings.add(new EffectiveSetting(texts[at], texts[at + 1], texts[at + 2]));
        }
        return List.copyOf(settings);
    }
}
