package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.math.BigInteger;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** C1, C2: settings, each compared with the core's own list. */
class SettingsTest {
    private record Field(String name, String kind, String fallback, String allowed) {}

    /** The core's list, as Java spells it. */
    private static List<Field> fields() {
        AmbassadorProxy.version();
        var pattern = Pattern.compile(
                "\\{\"name\":\"([^\"]*)\",\"kind\":\"([^\"]*)\",\"default\":\"([^\"]*)\",\"allowed\":\"([^\"]*)\"\\}");
        var fields = pattern.matcher(Native.settings())
                .results()
                .map(found -> new Field(found.group(1), found.group(2), found.group(3), found.group(4)))
                .toList();
        assertTrue(fields.size() >= 14, Native.settings());
        return fields;
    }

    private static ProxyBuilder builder() {
        return AmbassadorProxy.builder("payment-api.example.com");
    }

    private static ConfigException refused(ProxyBuilder builder) {
        var error = assertThrows(ConfigException.class, builder::build);
        assertEquals("CONFIG", error.getCode());
        return error;
    }

    private static final Map<String, List<Object>> WRONG = Map.of(
            "count", Arrays.asList(0, -1, 101, 2.5, Double.NaN, "3", true, null, Duration.ofSeconds(3), List.of(1)),
            "duration", List.of(-1, -0.5, Double.NaN, Double.POSITIVE_INFINITY, "2s", true, Duration.ofSeconds(-1), Duration.ofDays(400), BigInteger.TEN),
            "number", Arrays.asList(0.5, -1, 1001, Double.NaN, "2", null),
            "choice", Arrays.asList("elsewhere", "FULL", 1, true, null),
            "text", Arrays.asList("", " padded ", "line\nline", "x".repeat(201), 5, null),
            "group", List.of("exponential", 5, Map.of("base", 1)),
            "host", Arrays.asList("all", 5, null));

    @TestFactory
    Stream<DynamicTest> a_value_of_the_wrong_kind_or_range_is_refused_by_name() {
        return fields().stream().map(field -> DynamicTest.dynamicTest(field.name(), () -> {
            var wrong = WRONG.get(field.kind());
            assertNotNull(wrong, "no wrong values for " + field.kind());
            for (Object value : wrong) {
                var error = refused(builder().set(field.name(), value));
                assertEquals(field.name(), error.getField(), () -> value + ": " + error.getMessage());
                assertEquals(field.allowed(), error.getAllowed());
                assertEquals(
                        field.name() + ": " + error.getValue() + " is not allowed; expected " + field.allowed(),
                        error.getMessage());
            }
        }));
    }

    @Test
    void every_setting_of_the_cores_has_a_method_and_no_method_is_none() {
        Set<String> expected = fields().stream().map(Field::name).collect(Collectors.toCollection(TreeSet::new));
        Set<String> present = new TreeSet<>(settersOf(ProxyBuilder.class, ""));
        present.addAll(settersOf(Backoff.class, "backoff."));
        // Lengths have two methods; one takes a Duration and has no unit in its name.
        expected.stream().filter(name -> name.endsWith("Ms")).toList().forEach(name -> {
            String twin = name.substring(0, name.length() - 2);
            assertTrue(present.remove(twin), "no method " + twin + "(Duration)");
        });
        assertEquals(expected, present);
    }

    private static List<String> settersOf(Class<?> type, String prefix) {
        var setters = new ArrayList<String>();
        for (Method method : type.getDeclaredMethods()) {
            boolean isPublic = Modifier.isPublic(method.getModifiers()) && !Modifier.isStatic(method.getModifiers());
            if (isPublic && method.getReturnType() == type && !method.getName().equals("set")) {
                setters.add(prefix + method.getName());
            }
        }
        return setters;
    }

    @Test
    void defaults_are_those_of_the_cores_list() {
        var policy = builder().build().policy();
        assertEquals(3, policy.maxRetries());
        assertEquals(Optional.of(Duration.ofSeconds(2)), policy.timeout());
        assertEquals(Optional.empty(), policy.deadline());
        assertEquals(RunIn.CALLER, policy.runIn());
        var waits = new Policy.Waits(Duration.ofSeconds(2), 2, Duration.ofSeconds(30), Jitter.FULL, Duration.ofSeconds(60));
        assertEquals(waits, policy.backoff());
    }

    @Test
    void every_setting_arrives() {
        var proxy = builder()
                .maxRetries(7)
                .name("payments")
                .timeoutMs(0.5)
                .deadline(Duration.ofSeconds(9))
                .runIn(RunIn.WORKER)
                .backoff(Backoff.exponential(Duration.ofMillis(50)).factor(3).maxMs(1500).jitter(Jitter.DECORRELATED).hintMaxMs(100))
                .build();
        var waits = new Policy.Waits(Duration.ofMillis(50), 3, Duration.ofMillis(1500), Jitter.DECORRELATED, Duration.ofMillis(100));
        var expected = new Policy(
                7, Optional.of(Duration.ofNanos(500_000)), Optional.of(Duration.ofSeconds(9)), RunIn.WORKER, waits);
        assertEquals(expected, proxy.policy());
        assertEquals("payments", proxy.name());
        assertEquals("payment-api.example.com", proxy.target());
    }

    @Test
    void settings_may_come_as_data() {
        var proxy = builder()
                .set("maxRetries", 5)
                .set("timeoutMs", null)
                .set("deadlineMs", 250L)
                .set("runIn", "worker")
                .set("backoff.baseMs", 20)
                .set("backoff.jitter", "none")
                .build();
        assertEquals(5, proxy.policy().maxRetries());
        assertEquals(Optional.empty(), proxy.policy().timeout());
        assertEquals(Optional.of(Duration.ofMillis(250)), proxy.policy().deadline());
        assertEquals(RunIn.WORKER, proxy.policy().runIn());
        assertEquals(Duration.ofMillis(20), proxy.policy().backoff().base());
        assertEquals(Jitter.NONE, proxy.policy().backoff().jitter());
    }

    @Test
    void a_backoff_is_set_whole_and_null_switches_it_off() {
        var proxy = builder().set("backoff.factor", 9).backoff(Backoff.exponential(Duration.ofMillis(1))).build();
        assertEquals(2, proxy.policy().backoff().factor());
        assertEquals(Duration.ZERO, builder().backoff(null).build().policy().backoff().max());
    }

    @Test
    void an_unknown_setting_is_refused_and_the_nearest_named() {
        var error = refused(builder().set("max_retries", 3));
        assertEquals("max_retries", error.getField());
        assertTrue(error.getMessage().endsWith("did you mean maxRetries?"), error.getMessage());
        assertEquals("null", refused(builder().set(null, 3)).getField());
    }

    @Test
    void a_target_that_is_no_host_is_refused() {
        for (String target : Arrays.asList("", "two words", "user:secret@host", "host/path", "ftp://host", null)) {
            var error = assertThrows(ConfigException.class, () -> new AmbassadorProxy(target, 3, 2000));
            assertEquals("target", error.getField());
            assertTrue(error.getMessage().contains("payment-api.example.com"), error.getMessage());
        }
    }

    @Test
    void the_seeds_constructor_refuses_what_is_out_of_range() {
        assertEquals(
                "maxRetries: 0 is not allowed; expected a whole number from 1 to 100",
                assertThrows(ConfigException.class, () -> new AmbassadorProxy("host", 0, 2000)).getMessage());
        assertEquals(
                "timeoutMs: -1 is not allowed; expected a number of milliseconds above 0 and at most 31536000000, or null",
                assertThrows(ConfigException.class, () -> new AmbassadorProxy("host", 3, -1)).getMessage());
    }

    @Test
    @SuppressWarnings("unchecked")
    void no_callback_is_refused_by_the_settings_name() {
        assertEquals("classify", refused(builder().classify(null)).getField());
        assertEquals("retryOn", refused(builder().retryOn()).getField());
        assertEquals("notOn", refused(builder().notOn(IllegalStateException.class, null)).getField());
    }

    @Test
    void the_last_word_counts() {
        assertEquals(9, builder().maxRetries(2).maxRetries(9).build().policy().maxRetries());
        assertEquals(1, builder().classify(null).classify((value, error) -> null).maxRetries(1).build().policy().maxRetries());
    }

    @Test
    void a_builder_makes_as_many_proxies_as_it_is_asked_for() {
        var builder = builder().maxRetries(4);
        var first = builder.build();
        var second = builder.maxRetries(5).build();
        assertEquals(4, first.policy().maxRetries());
        assertEquals(5, second.policy().maxRetries());
    }
}
