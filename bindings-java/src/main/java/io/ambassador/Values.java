package io.ambassador;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Values of settings on their way to the core and back, flat; {@code values.rs} tells how. */
final class Values {
    private final String[] flat;
    private int at;

    private Values(String[] flat) {
        this.flat = flat;
    }

    /** A value as the core reads it. */
    static String[] write(Object value) {
        var flat = new ArrayList<String>();
        write(value, flat);
        return flat.toArray(String[]::new);
    }

    private static void write(Object value, List<String> flat) {
        if (value == null) {
            flat.add("n");
        } else if (value instanceof Boolean truth) {
            flat.add(truth ? "b1" : "b0");
        } else if (value instanceof Integer || value instanceof Long || value instanceof Short || value instanceof Byte) {
            flat.add("i" + value);
        } else if (value instanceof Double || value instanceof Float) {
            flat.add("d" + Double.doubleToRawLongBits(((Number) value).doubleValue()));
        } else if (value instanceof Duration length && !length.isNegative()) {
            flat.add("l" + nanos(length));
        } else if (value instanceof String text) {
            flat.add("t" + text);
        } else if (value instanceof RunIn || value instanceof Jitter || value instanceof Balance || value instanceof IdempotencyKey) {
            flat.add("t" + value.toString().toLowerCase(Locale.ROOT));
        } else if (value instanceof Endpoint endpoint) {
            write(endpoint.fields(), flat);
        } else if (value instanceof Collection<?> values) {
            flat.add("[" + values.size());
            values.forEach(one -> write(one, flat));
        } else if (value instanceof Map<?, ?> pairs) {
            flat.add("{" + pairs.size());
            pairs.forEach((name, one) -> {
                flat.add(String.valueOf(name));
                write(one, flat);
            });
        } else {
            flat.add("o" + value);
        }
    }

    private static long nanos(Duration length) {
        try {
            return length.toNanos();
        } catch (ArithmeticException centuries) {
            return Long.MAX_VALUE;
        }
    }

    /** A value that the core has written: null, a number, text, a {@link Duration}, a list or a map. */
    static Object read(String[] flat) {
        return new Values(flat).next();
    }

    private Object next() {
        String text = flat[at++];
        String rest = text.substring(1);
        return switch (text.charAt(0)) {
            case 'b' -> rest.equals("1");
            case 'i' -> Long.valueOf(rest);
            case 'd' -> Double.longBitsToDouble(Long.parseLong(rest));
            case 'l' -> Duration.ofNanos(Long.parseLong(rest));
            case 't', 'o' -> rest;
            case '[' -> {
                int count = Integer.parseInt(rest);
                var values = new ArrayList<Object>(count);
                for (int read = 0; read < count; read++) {
                    values.add(next());
                }
                yield values;
            }
            case '{' -> {
                int count = Integer.parseInt(rest);
                var pairs = new LinkedHashMap<String, Object>();
                for (int read = 0; read < count; read++) {
                    pairs.put(flat[at++], next());
                }
                yield pairs;
            }
            default -> null;
        };
    }
}
