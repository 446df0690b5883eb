import io.ambassador.AmbassadorProxy;
import io.ambassador.Attempt;
import io.ambassador.Backoff;
import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Scope;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;

/** A program that traces with OpenTelemetry's SDK, and calls through the ambassador: {@code Host SERVER}. */
public final class Host {
    private interface Work {
        /** What the attempts sent onward, if they tell. */
        List<String> run() throws Exception;
    }

    private static Tracer tracer;

    public static void main(String[] arguments) throws Exception {
        OpenTelemetrySdk.builder().setTracerProvider(SdkTracerProvider.builder().build()).buildAndRegisterGlobal();
        tracer = GlobalOpenTelemetry.getTracer("shop");
        String server = arguments[0];
        // A bound, so that functions run on a worker, and retries of stages on another thread.
        var proxy = AmbassadorProxy.builder(server)
                .timeout(Duration.ofSeconds(30))
                .backoff(Backoff.exponential(Duration.ofMillis(1)))
                .build();
        within("call", () -> {
            var onward = new CopyOnWriteArrayList<String>();
            proxy.execute(attempt -> charge(attempt, onward));
            return onward;
        });
        within("async", () -> {
            var onward = new CopyOnWriteArrayList<String>();
            proxy.executeAsync(attempt -> CompletableFuture.supplyAsync(() -> charge(attempt, onward))).join();
            return onward;
        });
        within("request", () -> check(proxy.send(request(server + "/request"), BodyHandlers.ofString())));
        within("async request", () -> check(proxy.sendAsync(request(server + "/async"), BodyHandlers.ofString()).join()));
        proxy.callSupplier(() -> "nothing");
        System.out.println("{\"what\": \"alone\"}");
        AmbassadorProxy.shutdown(Duration.ofSeconds(30));
    }

    private static String charge(Attempt attempt, List<String> onward) {
        onward.add(attempt.headers().get("traceparent"));
        if (attempt.attempt() == 1) {
            throw new IllegalStateException("unreachable");
        }
        return "charged";
    }

    private static HttpRequest request(String url) {
        return HttpRequest.newBuilder(URI.create(url)).build();
    }

    private static List<String> check(HttpResponse<String> response) {
        if (response.statusCode() != 200) {
            throw new IllegalStateException("" + response.statusCode());
        }
        return List.of();
    }

    private static void within(String what, Work work) throws Exception {
        Span span = tracer.spanBuilder("order").startSpan();
        List<String> onward;
        try (Scope scope = span.makeCurrent()) {
            onward = work.run();
        } finally {
            span.end();
        }
        var context = span.getSpanContext();
        String told = onward.isEmpty() ? "[]" : "[\"" + String.join("\", \"", onward) + "\"]";
        System.out.printf(
                "{\"what\": \"%s\", \"trace\": \"%s\", \"span\": \"%s\", \"onward\": %s}%n",
                what, context.getTraceId(), context.getSpanId(), told);
    }
}
