import io.ambassador.AmbassadorException;
import io.ambassador.AmbassadorProxy;
import io.ambassador.Attempt;
import io.ambassador.AttemptFunction;
import io.ambassador.Event;
import io.ambassador.RunIn;
import io.ambassador.testing.VirtualTime;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * Plays a script with the jar, in virtual time, and prints what happens, a line of JSON each: {@code Streams SCRIPT SURFACE}, where
 * the surface is {@code caller}, {@code worker} or {@code stages}.
 */
public final class Streams {
    /** What the functions of a script fail with. */
    private static class Failure extends Exception {
        private static final long serialVersionUID = 1L;
    }

    /** One that may not be tried again. */
    private static final class Final extends Failure {
        private static final long serialVersionUID = 1L;
    }

    private final Queue<String[]> steps = new ArrayDeque<>();
    private final Map<String, Object> settings = new LinkedHashMap<>();
    private final String surface;
    private final VirtualTime time;
    private AmbassadorProxy proxy;
    private int calls;
    private int waits;

    private Streams(List<String> script, String surface, VirtualTime time) {
        for (String line : script) {
            String step = line.replaceFirst("#.*", "").strip();
            if (!step.isEmpty()) {
                steps.add(step.split("\\s+"));
            }
        }
        this.surface = surface;
        this.time = time;
    }

    public static void main(String[] arguments) throws Exception {
        try (var time = VirtualTime.start()) {
            var player = new Streams(Files.readAllLines(Path.of(arguments[0])), arguments[1], time);
            while (!player.steps.isEmpty()) {
                player.step();
            }
        }
    }

    private void step() {
        String[] step = steps.remove();
        switch (step[0]) {
            case "set" -> settings.put(camel(step[1]), value(step[2]));
            case "proxy" -> makeProxy();
            case "seed" -> proxy.seedJitter(Long.parseLong(step[1]));
            case "advance" -> time.advance(milliseconds(step[1]));
            case "isolate" -> proxy.isolate();
            case "reset" -> proxy.reset();
            case "shutdown" -> AmbassadorProxy.shutdown(Duration.ofSeconds(30));
            case "call" -> call(Arrays.copyOfRange(step, 1, step.length));
            default -> throw new IllegalArgumentException("there is no step " + step[0]);
        }
    }

    private void makeProxy() {
        boolean isFirst = proxy == null;
        var builder = AmbassadorProxy.builder("payment-api.example.com").notOn(Final.class);
        if (surface.equals("worker")) {
            builder.runIn(RunIn.WORKER);
        }
        settings.forEach(builder::set);
        proxy = builder.build();
        if (isFirst) {
            proxy.onEvent(Streams::tell);
        }
    }

    private void call(String[] attempts) {
        int number = ++calls;
        Duration begun = time.elapsed();
        int[] ran = {0};
        AttemptFunction<String> function = ctx -> {
            tellWaits();
            int at = ran[0]++;
            return attempt(ctx, at < attempts.length ? attempts[at] : "error");
        };
        String gives = "value";
        Duration after = null;
        try {
            if (surface.equals("stages")) {
                proxy.executeAsync(ctx -> stage(function, ctx)).join();
            } else {
                proxy.execute(ctx -> end(function.apply(ctx)));
            }
        } catch (RuntimeException thrown) {
            Throwable error = thrown instanceof CompletionException ? thrown.getCause() : thrown;
            gives = gives(error);
            after = error instanceof AmbassadorException refused ? refused.getRetryAfter() : null;
        }
        tellWaits();
        String again = after == null ? "" : ",\"retry_after_ns\":" + after.toNanos();
        tell("\"call\":%d,\"gives\":\"%s\",\"attempts\":%d,\"elapsed_ns\":%d%s", number, gives, ran[0], time.elapsed().minus(begun).toNanos(), again);
    }

    /** Does what comes before the end, and gives the end. */
    private String attempt(Attempt ctx, String script) {
        String[] parts = script.split(":");
        for (String part : Arrays.copyOfRange(parts, 1, parts.length)) {
            String[] what = part.split("=");
            switch (what[0]) {
                case "within" -> step();
                case "takes" -> time.advance(milliseconds(what[1]));
                case "hint" -> ctx.retryAfter(milliseconds(what[1]));
                default -> throw new IllegalArgumentException("there is no " + part + " of an attempt");
            }
        }
        return parts[0];
    }

    private static String end(String end) throws Exception {
        return switch (end) {
            case "ok" -> "value";
            case "error" -> throw new Failure();
            case "final" -> throw new Final();
            case "cancel" -> throw new InterruptedException();
            default -> throw new IllegalArgumentException("no attempt ends in " + end);
        };
    }

    private static CompletableFuture<String> stage(AttemptFunction<String> function, Attempt ctx) {
        try {
            return CompletableFuture.completedFuture(end(function.apply(ctx)));
        } catch (InterruptedException cancelled) {
            return CompletableFuture.failedFuture(new CancellationException());
        } catch (Exception failed) {
            return CompletableFuture.failedFuture(failed);
        }
    }

    private static String gives(Throwable error) {
        if (error.getCause() instanceof InterruptedException || error instanceof CancellationException) {
            // The flag was set again on the caller's thread.
            Thread.interrupted();
            return "cancelled";
        }
        if (error instanceof AmbassadorException refused) {
            return refused.getCode();
        }
        return error.getCause() instanceof Failure ? "error" : error.toString();
    }

    private void tellWaits() {
        List<Duration> all = time.waits();
        all.subList(waits, all.size()).forEach(wait -> tell("\"wait_ns\":%d", wait.toNanos()));
        waits = all.size();
    }

    private static void tell(Event event) {
        String kind = event.getClass().getSimpleName().toLowerCase();
        tell("\"type\":\"%s\",\"name\":\"%s\"%s", kind, event.name(), fields(event));
    }

    private static String fields(Event event) {
        if (event instanceof Event.Attempt attempt) {
            return ",\"attempt\":%d,\"outcome\":\"%s\",\"elapsed_ns\":%d".formatted(attempt.attempt(), attempt.outcome(), attempt.elapsed().toNanos());
        }
        if (event instanceof Event.Hedge hedge) {
            return ",\"attempt\":%d,\"after_ns\":%d".formatted(hedge.attempt(), hedge.after().toNanos());
        }
        if (event instanceof Event.Retry retry) {
            return ",\"attempt\":%d,\"wait_ns\":%d".formatted(retry.attempt(), retry.delay().toNanos());
        }
        if (event instanceof Event.Call call) {
            return ",\"attempts\":%d,\"outcome\":\"%s\",\"stop\":\"%s\",\"elapsed_ns\":%d".formatted(call.attempts(), call.outcome(), call.stop(), call.elapsed().toNanos());
        }
        if (event instanceof Event.Circuit circuit) {
            String openFor = circuit.openFor().map(length -> ",\"open_for_ns\":" + length.toNanos()).orElse("");
            return ",\"from\":\"%s\",\"to\":\"%s\"%s".formatted(circuit.from(), circuit.to(), openFor);
        }
        if (event instanceof Event.Settings settings) {
            return ",\"before\":\"%s\",\"now\":\"%s\"".formatted(settings.before(), settings.now());
        }
        return ",\"at\":\"%s\"".formatted(((Event.Internal) event).at());
    }

    private static void tell(String fields, Object... values) {
        System.out.println("{" + fields.formatted(values) + "}");
    }

    private static String camel(String name) {
        var camel = new StringBuilder();
        for (String part : name.split("_")) {
            camel.append(camel.isEmpty() ? part : part.substring(0, 1).toUpperCase() + part.substring(1));
        }
        return camel.toString();
    }

    private static Object value(String text) {
        return text.matches("\\d+") ? (Object) Long.valueOf(text) : text.matches("[\\d.]+") ? (Object) Double.valueOf(text) : text;
    }

    private static Duration milliseconds(String text) {
        return Duration.ofMillis(Long.parseLong(text));
    }
}
