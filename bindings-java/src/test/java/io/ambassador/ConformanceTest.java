package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.ambassador.testing.VirtualTime;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The conformance vectors that every language runs, through the public API in virtual time. */
class ConformanceTest {
    private static final Path VECTORS = Path.of("..", "conformance", "vectors.json");
    private static final AtomicInteger NAMES = new AtomicInteger();

    /** A way to call. */
    private enum Surface {
        CALLER("Java"),
        WORKER("Java on workers"),
        STAGES("Java stages");

        private final String title;

        Surface(String title) {
            this.title = title;
        }
    }

    /** What the functions of a vector fail with. */
    private static class Failure extends Exception {
        private static final long serialVersionUID = 1L;
    }

    /** One that may not be tried again. */
    private static final class Final extends Failure {
        private static final long serialVersionUID = 1L;
    }

    /** What classifiers throw. */
    private static final class Thrown extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /** What fallbacks throw. */
    private static final class NoAnswer extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    @ParameterizedTest
    @EnumSource(Surface.class)
    void every_vector_holds(Surface surface) throws IOException {
        JsonArray vectors = JsonParser.parseString(Files.readString(VECTORS)).getAsJsonArray();
        var faults = new ArrayList<String>();
        int ran = 0;
        for (JsonElement vector : vectors) {
            ran++;
            // Keeps the lines of retries, and there are many, from stderr.
            try (var lines = new Fixtures.Lines();
                    var time = VirtualTime.start()) {
                new Runner(vector.getAsJsonObject(), surface, time).run();
                lines.flush();
            } catch (Throwable fault) {
                faults.add(named(vector.getAsJsonObject()) + ": " + fault);
            } finally {
                Native.injectPanic("");
                Thread.interrupted();
            }
        }
        System.out.println("conformance: " + surface.title + " ran " + ran + " vectors, skipped 0");
        assertEquals(vectors.size(), ran);
        assertTrue(faults.isEmpty(), () -> faults.size() + " of " + vectors.size() + " vectors do not hold:\n" + String.join("\n", faults));
    }

    /** By its id, with the rules that it shows. */
    private static String named(JsonObject vector) {
        var rules = new ArrayList<String>();
        vector.getAsJsonArray("rules").forEach(rule -> rules.add(rule.getAsString()));
        return vector.get("id").getAsString() + " (" + String.join(", ", rules) + ")";
    }

    /** What a call gave, and when to come again. */
    private record Given(String what, Duration after) {}

    private static final class Runner {
        private final JsonObject vector;
        private final Surface surface;
        private final VirtualTime time;
        private final List<AmbassadorProxy> proxies = new ArrayList<>();
        private final List<Event> events = new CopyOnWriteArrayList<>();
        /** Attempts of stages run on workers, where what does not hold would be taken for their failure. */
        private final List<Throwable> faults = new CopyOnWriteArrayList<>();

        Runner(JsonObject vector, Surface surface, VirtualTime time) {
            this.vector = vector;
            this.surface = surface;
            this.time = time;
        }

        void run() throws Throwable {
            String name = "vector " + NAMES.incrementAndGet();
            if (given(vector, "refuses")) {
                refused(name, vector.get("refuses").getAsString());
                return;
            }
            for (JsonElement proxy : vector.getAsJsonArray("proxies")) {
                proxies.add(proxy(name, proxy.getAsJsonObject()));
                if (proxies.size() == 1) {
                    // Before the second, whose settings may be an event.
                    proxies.get(0).onEvent(events::add);
                }
            }
            if (given(vector, "seed")) {
                proxies.get(0).seedJitter(vector.get("seed").getAsBigInteger().longValue());
            }
            steps(vector.getAsJsonArray("steps"));
            Native.injectPanic("");
            health(vector.getAsJsonObject("health"));
            if (given(vector, "events")) {
                told(vector.getAsJsonArray("events"));
            }
            if (!faults.isEmpty()) {
                throw faults.get(0);
            }
        }

        /** No proxy is made, and the error names the setting, as this language spells it. */
        private void refused(String name, String setting) {
            JsonObject how = vector.getAsJsonArray("proxies").get(0).getAsJsonObject();
            var error = assertThrows(ConfigException.class, () -> proxy(name, how));
            assertEquals(spelled(setting), error.getField());
        }

        private AmbassadorProxy proxy(String name, JsonObject how) {
            var builder = AmbassadorProxy.builder("payment-api.example.com").name(name).notOn(Final.class);
            if (surface == Surface.WORKER) {
                builder.runIn(RunIn.WORKER);
            }
            for (JsonElement setting : how.getAsJsonArray("settings")) {
                set(builder, setting.getAsJsonArray().get(0).getAsString(), setting.getAsJsonArray().get(1));
            }
            if (given(how, "fallback")) {
                boolean answers = how.get("fallback").getAsString().equals("answers");
                builder.fallback(error -> {
                    if (answers) {
                        return "fallback";
                    }
                    throw new NoAnswer();
                });
            }
            if (given(how, "classify")) {
                boolean isBroken = how.get("classify").getAsString().equals("throws");
                builder.classify((value, error) -> {
                    if (isBroken) {
                        throw new Thrown();
                    }
                    return error == null ? Outcome.RETRY : null;
                });
            }
            return builder.build();
        }

        /** {@code backoff.hint_max} is {@code backoff.hintMaxMs} here, for it is a length of time. */
        private static void set(ProxyBuilder builder, String setting, JsonElement value) {
            builder.set(spelled(setting), value(value));
        }

        private static String spelled(String setting) {
            var name = new StringBuilder();
            for (String part : setting.split("_")) {
                name.append(name.isEmpty() ? part : part.substring(0, 1).toUpperCase() + part.substring(1));
            }
            AmbassadorProxy.version();
            if (Native.settings().contains("{\"name\":\"" + name + "Ms\"")) {
                name.append("Ms");
            }
            return name.toString();
        }

        private static Object value(JsonElement value) {
            if (value.isJsonNull()) {
                return null;
            }
            if (value.isJsonArray()) {
                return value.getAsJsonArray().asList().stream().map(Runner::value).toList();
            }
            if (value.isJsonObject()) {
                return Duration.ofNanos(value.getAsJsonObject().get("ns").getAsLong());
            }
            var plain = value.getAsJsonPrimitive();
            if (plain.isBoolean()) {
                return plain.getAsBoolean();
            }
            if (plain.isString()) {
                return plain.getAsString();
            }
            return plain.getAsString().matches("-?\\d+") ? (Object) plain.getAsLong() : (Object) plain.getAsDouble();
        }

        private static boolean given(JsonObject of, String name) {
            return of.has(name) && !of.get(name).isJsonNull();
        }

        private void steps(JsonArray steps) {
            for (JsonElement one : steps) {
                JsonObject step = one.getAsJsonObject();
                switch (step.get("op").getAsString()) {
                    case "advance" -> time.advance(Duration.ofNanos(step.get("ns").getAsLong()));
                    case "isolate" -> proxies.get(0).isolate();
                    case "reset" -> proxies.get(0).reset();
                    case "fault" -> Native.injectPanic(step.get("at").getAsString());
                    case "health" -> health(step.getAsJsonObject("is"));
                    case "call" -> call(step);
                    default -> throw new AssertionError("no such step: " + step);
                }
            }
        }

        private void call(JsonObject step) {
            JsonArray attempts = step.getAsJsonArray("attempts");
            Duration begun = time.elapsed();
            var ran = new AtomicInteger();
            // What nested calls wait is theirs.
            var waited = new ArrayList<Duration>();
            var mark = new AtomicInteger(time.waits().size());
            Runnable noteWaits = () -> {
                List<Duration> all = time.waits();
                waited.addAll(all.subList(mark.get(), all.size()));
                mark.set(all.size());
            };
            Given given = outcome(proxies.get(step.get("by").getAsInt()), ctx -> {
                noteWaits.run();
                int number = ran.getAndIncrement();
                String end = "error";
                if (number < attempts.size()) {
                    end = attempt(attempts.get(number).getAsJsonObject(), ctx);
                }
                mark.set(time.waits().size());
                return end;
            });
            noteWaits.run();
            String at = step.toString();
            check(step.get("gives").getAsString(), given.what(), at);
            check(attempts.size(), ran.get(), "attempts of " + at);
            if (given(step, "waits")) {
                List<Long> waits = waited.stream().map(Duration::toNanos).toList();
                check(new Gson().toJson(step.get("waits")), new Gson().toJson(waits), "waits of " + at);
            }
            if (given(step, "waits_within")) {
                JsonArray within = step.getAsJsonArray("waits_within");
                check(within.size(), waited.size(), "waits of " + at);
                for (int number = 0; number < Math.min(within.size(), waited.size()); number++) {
                    long wait = waited.get(number).toNanos();
                    JsonArray ends = within.get(number).getAsJsonArray();
                    boolean fits = ends.get(0).getAsLong() <= wait && wait <= ends.get(1).getAsLong();
                    check(true, fits, "wait " + number + ", " + wait + ", of " + at);
                }
            }
            if (given(step, "elapsed")) {
                check(step.get("elapsed").getAsLong(), time.elapsed().minus(begun).toNanos(), "length of " + at);
            }
            if (given(step, "retry_after")) {
                check(Duration.ofNanos(step.get("retry_after").getAsLong()), given.after(), "retry after " + at);
            }
        }

        private String attempt(JsonObject attempt, Attempt ctx) {
            try {
                steps(attempt.getAsJsonArray("do"));
                time.advance(Duration.ofNanos(attempt.get("takes").getAsLong()));
            } catch (Throwable fault) {
                faults.add(fault);
            }
            if (given(attempt, "hint")) {
                ctx.retryAfter(Duration.ofNanos(attempt.get("hint").getAsLong()));
            }
            return attempt.get("end").getAsString();
        }

        private Given outcome(AmbassadorProxy proxy, AttemptFunction<String> function) {
            try {
                String value = surface == Surface.STAGES
                        ? proxy.executeAsync(ctx -> stage(function.apply(ctx))).get(Fixtures.LONG, TimeUnit.MILLISECONDS)
                        : proxy.execute(ctx -> end(function.apply(ctx)));
                return new Given(value, null);
            } catch (ExecutionException failed) {
                return given(failed.getCause());
            } catch (Throwable thrown) {
                return given(thrown);
            }
        }

        private static String end(String end) throws Exception {
            switch (end) {
                case "ok":
                    return "value";
                case "final":
                    throw new Final();
                case "cancel":
                    throw new InterruptedException();
                default:
                    throw new Failure();
            }
        }

        private static CompletableFuture<String> stage(String end) {
            if (end.equals("cancel")) {
                return CompletableFuture.failedFuture(new CancellationException());
            }
            try {
                return CompletableFuture.completedFuture(end(end));
            } catch (Exception failed) {
                return CompletableFuture.failedFuture(new CompletionException(failed));
            }
        }

        private static Given given(Throwable thrown) {
            if (thrown.getCause() instanceof InterruptedException || thrown instanceof CancellationException) {
                // The flag was set again on the caller's thread.
                Thread.interrupted();
                return new Given("cancelled", null);
            }
            if (thrown instanceof AmbassadorException error) {
                return new Given(error.getCode(), error.getRetryAfter());
            }
            if (thrown instanceof NoAnswer) {
                return new Given("fallback_error", null);
            }
            if (thrown.getCause() instanceof Thrown) {
                return new Given("classifier", null);
            }
            return new Given(thrown.getCause() instanceof Failure ? "error" : thrown.toString(), null);
        }

        private void health(JsonObject expected) {
            JsonElement health = JsonParser.parseString(proxies.get(0).health());
            for (Map.Entry<String, JsonElement> one : expected.entrySet()) {
                JsonElement found = health;
                for (String name : one.getKey().split("\\.")) {
                    found = found.isJsonObject() ? found.getAsJsonObject().get(name) : null;
                }
                check(one.getValue(), found, "health: " + one.getKey());
            }
        }

        private void told(JsonArray expected) {
            check(expected.size(), events.size(), "events " + events);
            for (int number = 0; number < expected.size(); number++) {
                Map<String, Object> told = fields(events.get(number));
                for (Map.Entry<String, JsonElement> one : expected.get(number).getAsJsonObject().entrySet()) {
                    JsonElement found = new Gson().toJsonTree(told.get(one.getKey()));
                    check(one.getValue(), found, one.getKey() + " of event " + number + ", " + told);
                }
            }
        }

        /** By the names that every language has in its JSON. */
        private static Map<String, Object> fields(Event event) {
            if (event instanceof Event.Attempt attempt) {
                Map<String, Object> fields = new HashMap<>(Map.of(
                        "type", "attempt",
                        "name", event.name(),
                        "attempt", attempt.attempt(),
                        "outcome", attempt.outcome(),
                        "elapsed_ns", attempt.elapsed().toNanos()));
                attempt.endpoint().ifPresent(endpoint -> fields.put("endpoint", endpoint));
                return fields;
            }
            if (event instanceof Event.Hedge hedge) {
                return Map.of("type", "hedge", "name", event.name(), "attempt", hedge.attempt(), "after_ns", hedge.after().toNanos());
            }
            if (event instanceof Event.Retry retry) {
                return Map.of("type", "retry", "name", event.name(), "attempt", retry.attempt(), "wait_ns", retry.delay().toNanos());
            }
            if (event instanceof Event.Call call) {
                return Map.of(
                        "type", "call",
                        "name", event.name(),
                        "attempts", call.attempts(),
                        "outcome", call.outcome(),
                        "stop", call.stop(),
                        "elapsed_ns", call.elapsed().toNanos());
            }
            if (event instanceof Event.Circuit circuit) {
                Map<String, Object> fields = new HashMap<>(
                        Map.of("type", "circuit", "name", event.name(), "from", circuit.from(), "to", circuit.to()));
                circuit.openFor().ifPresent(length -> fields.put("open_for_ns", length.toNanos()));
                return fields;
            }
            if (event instanceof Event.Endpoint endpoint) {
                Map<String, Object> fields = new HashMap<>(Map.of(
                        "type", "endpoint", "name", event.name(), "address", endpoint.address(), "to", endpoint.to()));
                endpoint.ejectedFor().ifPresent(length -> fields.put("ejected_for_ns", length.toNanos()));
                return fields;
            }
            if (event instanceof Event.Settings settings) {
                return Map.of("type", "settings", "name", event.name(), "before", settings.before(), "now", settings.now());
            }
            return Map.of("type", "internal", "name", event.name(), "at", ((Event.Internal) event).at());
        }

        /** Within an attempt an assertion would be control flow: what does not hold is noted. */
        private void check(Object expected, Object found, String what) {
            boolean same = expected.equals(found)
                    || expected instanceof JsonElement one
                            && found instanceof JsonElement other
                            && one.isJsonPrimitive()
                            && other.isJsonPrimitive()
                            && one.getAsString().matches("-?[0-9.eE+-]+")
                            && other.getAsString().matches("-?[0-9.eE+-]+")
                            && one.getAsDouble() == other.getAsDouble();
            if (!same) {
                faults.add(new AssertionError(what + ": " + found + ", not " + expected));
            }
        }
    }
}
