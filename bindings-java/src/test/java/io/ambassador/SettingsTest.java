package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
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

    @Test
    void theEffectivePolicyTellsWhereEachSettingComesFrom() {
        var proxy = builder()
                .maxRetries(5)
                .timeout(Duration.ofSeconds(2))
                .backoff(Backoff.exponential(Duration.ofMillis(250)))
                .auth(Auth.bearer("s3cret"))
                .build();
        var told = proxy.effectivePolicy();
        var names = fields().stream().filter(field -> !field.kind().equals("host")).map(Field::name).toList();
        assertEquals(names, told.stream().map(EffectiveSetting::field).toList());
        var given = told.stream().filter(setting -> setting.origin().equals("constructor"));
        assertEquals(
                List.of("maxRetries 5", "backoff.baseMs 250", "auth true", "auth.bearer \"***\""),
                given.map(setting -> setting.field() + " " + setting.value()).toList());
        assertTrue(told.contains(new EffectiveSetting("timeoutMs", "2000", "default")), told::toString);
    }

    @Test
    void thePolicyAsJsonIsSpelledAsInTheFile() {
        String told = builder().maxRetries(5).backoff(Backoff.exponential(Duration.ofMillis(250))).build().policyJson();
        assertTrue(told.startsWith("[{\"field\":\"max_retries\",\"value\":5,\"origin\":\"constructor\"}"), told);
        assertTrue(told.contains("{\"field\":\"timeout\",\"value\":\"2s\",\"origin\":\"default\"}"), told);
        assertTrue(told.contains("{\"field\":\"backoff.base\",\"value\":\"250ms\",\"origin\":\"constructor\"}"), told);
    }

    private static ProxyBuilder builder() {
        return AmbassadorProxy.builder("payment-api.example.com");
    }

    private static ConfigException refused(ProxyBuilder builder) {
        var error = assertThrows(ConfigException.class, builder::build);
        assertEquals("CONFIG", error.getCode());
        return error;
    }

    private static final Map<String, List<Object>> WRONG = Map.ofEntries(
            Map.entry("count", List.of(-1, 3_000_000_000L, 2.5, Double.NaN, "3", true, Duration.ofSeconds(3), List.of(1))),
            Map.entry("count_or_word", List.of(0, -1, 2.5, "adaptively", true, List.of(1))),
            Map.entry("duration", List.of(-1, -0.5, Double.NaN, Double.POSITIVE_INFINITY, "2s", true, Duration.ofSeconds(-1), Duration.ofDays(400), BigInteger.TEN)),
            Map.entry("duration_or_word", List.of(0, -1, 2.5e12, "p96", "2s", true, Duration.ofDays(400), List.of(1))),
            Map.entry("truth", Arrays.asList("true", 1, Duration.ofSeconds(1), List.of(true))),
            Map.entry("number", Arrays.asList(-1, 1e10, Double.NaN, "2", null)),
            Map.entry("choice", Arrays.asList("elsewhere", "FULL", 1, true, null)),
            Map.entry("text", Arrays.asList("", "line\nline", 5, List.of("a"))),
            Map.entry("secret", List.of("", "line\nline", 5, true)),
            Map.entry("texts", List.of("one", List.of(5), List.of(List.of("a")), Map.of("a", "b"))),
            Map.entry("pairs", List.of("a: b", List.of("a"), Map.of("no name", "b"), Map.of("a", 5))),
            Map.entry(
                    "endpoints",
                    Arrays.asList(
                            "10.0.0.7",
                            List.of(5),
                            List.of("two words"),
                            List.of("http://10.0.0.7/path"),
                            List.of(Map.of("weight", 1)),
                            List.of(Map.of("url", "10.0.0.7", "wait", 1)),
                            List.of(Endpoint.of("10.0.0.7").weight(0)))),
            Map.entry("group", List.of("exponential", 5, Map.of("base", 1))),
            Map.entry("host", Arrays.asList("all", 5, null)));

    @TestFactory
    Stream<DynamicTest> a_value_of_the_wrong_kind_or_range_is_refused_by_name() {
        // What answers may be any value.
        return fields().stream().filter(field -> !field.name().equals("fallback")).map(field -> DynamicTest.dynamicTest(field.name(), () -> {
            var wrong = new ArrayList<>(WRONG.getOrDefault(field.kind(), List.of()));
            assertFalse(wrong.isEmpty(), "no wrong values for " + field.kind());
            if (!field.allowed().contains("null")) {
                wrong.add(null);
            }
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
    void a_group_without_the_setting_that_it_cannot_do_without_is_refused() {
        assertEquals("bulkhead.maxConcurrent", refused(builder().set("bulkhead.maxQueue", 5)).getField());
        assertEquals("rateLimit.rate", refused(builder().set("rateLimit.burst", 5)).getField());
        assertEquals("hedge.afterMs", refused(builder().idempotent(true).set("hedge.max", 2)).getField());
    }

    @Test
    void every_setting_of_the_cores_has_a_method_and_no_method_is_none() {
        Set<String> expected = fields().stream().map(Field::name).collect(Collectors.toCollection(TreeSet::new));
        Set<String> present = new TreeSet<>(settersOf(ProxyBuilder.class, ""));
        present.addAll(settersOf(Backoff.class, "backoff."));
        present.addAll(settersOf(Budget.class, "budget."));
        present.addAll(settersOf(Breaker.class, "breaker."));
        present.addAll(settersOf(Bulkhead.class, "bulkhead."));
        present.addAll(settersOf(RateLimit.class, "rateLimit."));
        present.addAll(settersOf(Hedge.class, "hedge."));
        present.addAll(settersOf(Discovery.class, "discovery."));
        present.addAll(settersOf(Outlier.class, "outlier."));
        present.addAll(settersOf(HealthCheck.class, "healthCheck."));
        present.addAll(settersOf(Tls.class, "tls."));
        present.addAll(settersOf(Auth.class, "auth."));
        present.addAll(settersOf(Http.class, "http."));
        // Some groups are made by what they cannot do without.
        present.add("hedge.after");
        var made = List.of(
                Hedge.afterMs(1).group(),
                Discovery.dns("a").group(),
                Discovery.srv("a").group(),
                Discovery.file(Path.of("a")).group(),
                HealthCheck.path("/").group(),
                HealthCheck.tcp().group(),
                Auth.bearer("a").group(),
                Auth.bearerEnv("A").group(),
                Auth.bearerFile(Path.of("a")).group(),
                Auth.basic("a", "b").group(),
                Auth.apiKey("a").group(),
                Auth.oauth2("https://a", "b", "c").group());
        made.forEach(group -> group.fields().values().keySet().forEach(name -> present.add(group.setting() + "." + name)));
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
        assertEquals(Optional.of(new Policy.Retries(0.2, 10, Duration.ofSeconds(10))), policy.budget());
        var circuit = new Policy.Circuit(
                0.5, 20, Duration.ofSeconds(30), OptionalInt.empty(), Optional.empty(), 1, Duration.ofSeconds(5), Duration.ofSeconds(60), 3);
        assertEquals(Optional.of(circuit), policy.breaker());
        assertEquals(Optional.empty(), policy.bulkhead());
        assertEquals(Optional.empty(), policy.rateLimit());
        assertEquals(Optional.empty(), policy.hedge());
        assertFalse(policy.idempotent());
        assertFalse(policy.hasFallback());
        var network = policy.network();
        assertEquals(
                new Policy.Network(
                        List.of(),
                        Optional.empty(),
                        Balance.P2C,
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.of(new Policy.Ejection(5, Duration.ofSeconds(30), Duration.ofSeconds(300), 0.1, 0.5)),
                        Optional.empty(),
                        new Policy.Security(
                                Optional.empty(), Optional.empty(), Optional.empty(), Optional.empty(), Tls.Version.TLS_1_2, List.of(), false),
                        Optional.empty(),
                        List.of(),
                        IdempotencyKey.OFF,
                        new Policy.Requests(
                                Http.Version.AUTO, 65536, 67108864, 1048576, 0, true, false, false, 100, Duration.ofSeconds(60))),
                network);
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
                .budget(Budget.defaults().ratio(0.5).minPerSecond(2.5).window(Duration.ofSeconds(7)))
                .breaker(Breaker.defaults()
                        .failureRate(0.25)
                        .minCalls(7)
                        .windowMs(1000)
                        .consecutiveFailures(4)
                        .slowCallMs(300)
                        .slowRate(0.75)
                        .openForMs(250)
                        .openMax(Duration.ofSeconds(2))
                        .probes(5))
                .bulkhead(Bulkhead.of(8).maxQueue(9).queueTimeoutMs(20))
                .rateLimit(RateLimit.of(100.5).perMs(2000).burst(6).maxWait(Duration.ofMillis(30)))
                .hedge(Hedge.after(Duration.ofMillis(50)).max(2))
                .idempotent(true)
                .fallback("later")
                .build();
        var waits = new Policy.Waits(Duration.ofMillis(50), 3, Duration.ofMillis(1500), Jitter.DECORRELATED, Duration.ofMillis(100));
        var expected = new Policy(
                7,
                Optional.of(Duration.ofNanos(500_000)),
                Optional.of(Duration.ofSeconds(9)),
                RunIn.WORKER,
                waits,
                Optional.of(new Policy.Retries(0.5, 2.5, Duration.ofSeconds(7))),
                Optional.of(new Policy.Circuit(
                        0.25,
                        7,
                        Duration.ofSeconds(1),
                        OptionalInt.of(4),
                        Optional.of(Duration.ofMillis(300)),
                        0.75,
                        Duration.ofMillis(250),
                        Duration.ofSeconds(2),
                        5)),
                Optional.of(new Policy.Places(OptionalInt.of(8), 9, Optional.of(Duration.ofMillis(20)))),
                Optional.of(new Policy.Rate(100.5, Duration.ofSeconds(2), OptionalInt.of(6), Duration.ofMillis(30))),
                Optional.of(new Policy.Hedges(Optional.of(Duration.ofMillis(50)), OptionalInt.empty(), 2)),
                true,
                true,
                builder().build().policy().network());
        assertEquals(expected, proxy.policy());
        assertEquals("payments", proxy.name());
        assertEquals("payment-api.example.com", proxy.target());
    }

    @Test
    void every_setting_of_networking_arrives() throws IOException {
        Path file = Files.createTempFile("ambassador", ".pem");
        var near = Endpoint.of("http://10.0.0.7:8080").weight(3).zone("a").metadata(Map.of("rack", "r1"));
        String pin = "A".repeat(43) + "=";
        var network = builder()
                .name("every setting of networking")
                .endpoints(List.of(near, Endpoint.of("10.0.0.8")))
                .balance(Balance.RING_HASH)
                .hashOn("header:X-User")
                .zone("a")
                .slowStart(Duration.ofSeconds(20))
                .outlier(Outlier.defaults().consecutiveFailures(3).baseMs(1000).max(Duration.ofSeconds(9)).maxEjected(0.25).panic(0.75))
                .healthCheck(HealthCheck.path("/healthz").intervalMs(500).timeout(Duration.ofMillis(50)).unhealthy(4).healthy(5))
                .tls(Tls.defaults().serverName("payments.internal").minVersion(Tls.Version.TLS_1_3).pins(pin))
                .auth(Auth.apiKey("k3y").apiKeyHeader("X-Key"))
                .headers(Map.of("X-Team", "checkout"))
                .idempotencyKey(IdempotencyKey.AUTO)
                .http(Http.defaults()
                        .version(Http.Version.HTTP_2)
                        .maxHeaderBytes(8192)
                        .maxBodyBytes(1L << 31)
                        .replayBytes(7)
                        .followRedirects(2)
                        .decompress(false)
                        .proxyFromEnvironment(true)
                        .attemptHeaders(true)
                        .maxConnections(9)
                        .idleTimeoutMs(1500))
                .build()
                .policy()
                .network();
        var expected = new Policy.Network(
                List.of(near, Endpoint.of("10.0.0.8")),
                Optional.empty(),
                Balance.RING_HASH,
                Optional.of("header:x-user"),
                Optional.of("a"),
                Optional.of(Duration.ofSeconds(20)),
                Optional.of(new Policy.Ejection(3, Duration.ofSeconds(1), Duration.ofSeconds(9), 0.25, 0.75)),
                Optional.of(new Policy.Checks(Optional.of("/healthz"), Duration.ofMillis(500), Duration.ofMillis(50), 4, 5)),
                new Policy.Security(
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.of("payments.internal"),
                        Tls.Version.TLS_1_3,
                        List.of(pin),
                        false),
                Optional.of("apiKey"),
                List.of("x-team"),
                IdempotencyKey.AUTO,
                new Policy.Requests(Http.Version.HTTP_2, 8192, 1L << 31, 7, 2, false, true, true, 9, Duration.ofMillis(1500)));
        assertEquals(expected, network);

        var others = builder()
                .name("the others of networking")
                .discovery(Discovery.dns("payments.internal:8080").servers("127.0.0.1:5353", "::1").refreshMs(2000))
                .slowStart(null)
                .outlier(null)
                .healthCheck(HealthCheck.tcp())
                .build()
                .policy()
                .network();
        assertEquals(
                Optional.of(new Policy.Lookup(
                        "dns", "payments.internal:8080", List.of("127.0.0.1:5353", "[::1]:53"), Duration.ofSeconds(2))),
                others.discovery());
        assertEquals(Optional.empty(), others.outlier());
        assertEquals(Optional.empty(), others.healthCheck().orElseThrow().path());
        assertEquals("srv", found(Discovery.srv("_http._tcp.payments.internal")).kind());
        assertEquals(file.toString(), found(Discovery.file(file)).name());
        Files.delete(file);
    }

    private static Policy.Lookup found(Discovery discovery) {
        return builder().name(discovery.toString()).discovery(discovery).build().policy().network().discovery().orElseThrow();
    }

    @Test
    void each_way_to_say_who_asks_is_told_by_its_name_alone() {
        var ways = new LinkedHashMap<String, Auth>();
        ways.put("bearer", Auth.bearer("s3cret"));
        ways.put("bearerEnv", Auth.bearerEnv("HOME"));
        ways.put("basic", Auth.basic("clerk", "s3cret"));
        ways.put("apiKey", Auth.apiKey("s3cret"));
        ways.put("oauth2", Auth.oauth2("https://tokens.example.com/token", "clerk", "s3cret").scope("charge"));
        ways.forEach((way, auth) -> {
            var builder = builder().auth(auth).headers(Map.of("cookie", "s3cret"));
            var policy = builder.build().policy();
            assertEquals(Optional.of(way), policy.network().auth());
            String said = policy + " " + auth + " " + builder + " " + auth.group() + " " + builder.build().health();
            assertFalse(said.contains("s3cret"), said);
        });
    }

    @Test
    void a_secret_that_is_refused_is_not_shown() {
        for (var builder : List.of(
                builder().auth(Auth.bearer("s3cret\n")),
                builder().auth(Auth.basic("clerk", "s3cret\n")),
                builder().headers(Map.of("cookie", "s3cret\n")),
                builder().set("auth", "s3cret"),
                builder().set("auth.bearer", List.of("s3cret")),
                builder().set("headers", "s3cret"))) {
            var error = refused(builder);
            assertFalse((error.getMessage() + error.getValue()).contains("s3cret"), error.getMessage());
        }
    }

    @Test
    void endpoints_may_come_as_data() {
        var endpoints = builder()
                .name("endpoints as data")
                .set("endpoints", List.of("10.0.0.7", Map.of("url", "https://10.0.0.8", "weight", 2, "metadata", Map.of("rack", "r1"))))
                .build()
                .policy()
                .network()
                .endpoints();
        assertEquals(
                List.of(Endpoint.of("10.0.0.7"), Endpoint.of("https://10.0.0.8").weight(2).metadata(Map.of("rack", "r1"))), endpoints);
        assertEquals(
                List.of(Endpoint.of("10.0.0.9")),
                builder().name("endpoints as texts").endpoints("10.0.0.9").build().policy().network().endpoints());
        assertEquals(
                "discovery",
                refused(builder().set("discovery.dns", "a").set("discovery.srv", "b")).getField());
        assertEquals("hashOn", refused(builder().balance(Balance.MAGLEV)).getField());
        assertEquals("tls.key", refused(builder().tls(Tls.defaults().cert(Path.of("client.pem")))).getField());
    }

    @Test
    void the_policy_is_what_is_in_force_also_when_another_proxy_of_the_name_has_changed_it() {
        var builder = AmbassadorProxy.builder("payment-api.example.com").name("two that differ");
        var first = builder.breaker(Breaker.defaults().minCalls(5)).maxRetries(2).build();
        var second = builder.breaker(Breaker.defaults().minCalls(7)).maxRetries(4).build();
        assertEquals(7, first.policy().breaker().orElseThrow().minCalls());
        assertEquals(second.policy().breaker(), first.policy().breaker());
        assertEquals(2, first.policy().maxRetries());
    }

    @Test
    void a_hedge_may_be_found_from_latency_and_puts_functions_on_workers() {
        var hedges = List.of(Hedge.afterP50(), Hedge.afterP90(), Hedge.afterP95(), Hedge.afterP99());
        var percentiles = hedges.stream()
                .map(hedge -> builder().idempotent(true).hedge(hedge).build().policy())
                .peek(policy -> assertEquals(RunIn.WORKER, policy.runIn()))
                .map(policy -> policy.hedge().orElseThrow().percentile().orElseThrow())
                .toList();
        assertEquals(List.of(50, 90, 95, 99), percentiles);
        var data = builder().set("idempotent", true).set("hedge.afterMs", "p95").set("hedge.max", 3).build().policy();
        assertEquals(Optional.of(new Policy.Hedges(Optional.empty(), OptionalInt.of(95), 3)), data.hedge());
        assertEquals(Optional.empty(), builder().hedge(Hedge.afterP95()).hedge(null).build().policy().hedge());
    }

    @Test
    void what_a_hedge_needs_is_asked_for() {
        var hedge = Hedge.after(Duration.ofMillis(50));
        assertEquals(
                "idempotent: false is not allowed; expected true beside hedge, which runs the function twice at once",
                refused(builder().hedge(hedge)).getMessage());
        assertEquals(
                "maxRetries: 1 is not allowed; expected 2 or more beside hedge, which is an attempt",
                refused(builder().idempotent(true).maxRetries(1).hedge(hedge)).getMessage());
        assertEquals(
                "runIn: \"caller\" is not allowed; expected worker beside hedge, which runs the function twice at once",
                refused(builder().idempotent(true).runIn(RunIn.CALLER).hedge(hedge)).getMessage());
        assertEquals(
                "hedge.max: 4 is not allowed; expected a whole number from 1 to 3",
                refused(builder().idempotent(true).hedge(hedge.max(4))).getMessage());
        assertEquals("hedge.afterMs", refused(builder().idempotent(true).hedge(Hedge.afterMs(0))).getField());
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
    void a_group_is_switched_off_by_null_or_false_and_set_whole() {
        for (Object off : new Object[] {null, false}) {
            var policy = builder()
                    .bulkhead(Bulkhead.of(3))
                    .rateLimit(RateLimit.of(3))
                    .set("budget", off)
                    .set("breaker", off)
                    .set("bulkhead", off)
                    .set("rateLimit", off)
                    .build()
                    .policy();
            assertEquals(Optional.empty(), policy.budget());
            assertEquals(Optional.empty(), policy.breaker());
            assertEquals(Optional.empty(), policy.bulkhead());
            assertEquals(Optional.empty(), policy.rateLimit());
        }
        var policy = builder()
                .set("breaker.probes", 9)
                .breaker(Breaker.defaults().minCalls(5))
                .bulkhead(Bulkhead.of(3).maxQueue(5))
                .bulkhead(Bulkhead.adaptive())
                .build()
                .policy();
        assertEquals(3, policy.breaker().orElseThrow().probes());
        assertEquals(new Policy.Places(OptionalInt.empty(), 0, Optional.empty()), policy.bulkhead().orElseThrow());
    }

    @Test
    void the_last_fallback_counts_and_null_is_none() {
        assertTrue(builder().set("fallback", "later").build().policy().hasFallback());
        assertFalse(builder().fallback("later").fallback((Object) null).build().policy().hasFallback());
        assertFalse(builder().fallback("later").set("fallback", null).build().policy().hasFallback());
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
