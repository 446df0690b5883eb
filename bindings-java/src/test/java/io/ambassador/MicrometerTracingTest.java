package io.ambassador;

import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import brave.Tracing;
import io.micrometer.tracing.Span;
import io.micrometer.tracing.Tracer;
import io.micrometer.tracing.brave.bridge.BraveCurrentTraceContext;
import io.micrometer.tracing.brave.bridge.BraveTracer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The tracer of Micrometer Tracing, by its bridge to Brave. */
class MicrometerTracingTest {
    @AfterEach
    void whoIsAskedByItself() {
        io.ambassador.Tracing.use(new OpenTelemetrySource());
    }

    /** What two attempts of a call within a span send onward, on a worker and as a stage. */
    private static List<String> onward(Tracer tracer, Span span) {
        var proxy = quick().timeoutMs(60_000).runIn(RunIn.WORKER).build();
        var onward = new ArrayList<String>();
        Tracer.SpanInScope scope = tracer.withSpan(span);
        try {
            proxy.execute(attempt -> charge(attempt, onward));
            proxy.executeAsync(attempt -> CompletableFuture.supplyAsync(() -> charge(attempt, onward))).join();
        } finally {
            scope.close();
            span.end();
        }
        return onward;
    }

    private static String charge(Attempt attempt, List<String> onward) {
        onward.add(attempt.headers().get("traceparent"));
        if (attempt.attempt() == 1) {
            throw new IllegalStateException("unreachable");
        }
        return "charged";
    }

    @Test
    void its_present_span_goes_onward_whatever_thread_an_attempt_runs_on() {
        try (Tracing brave = Tracing.newBuilder().traceId128Bit(true).build()) {
            var tracer = new BraveTracer(brave.tracer(), new BraveCurrentTraceContext(brave.currentTraceContext()));
            MicrometerTracing.use(tracer);
            Span span = tracer.nextSpan();
            String parent = "00-" + span.context().traceId() + "-" + span.context().spanId() + "-01";
            assertEquals(List.of(parent, parent, parent, parent), onward(tracer, span));
        }
    }

    @Test
    void a_trace_of_64_bits_is_one_of_128() {
        try (Tracing brave = Tracing.newBuilder().traceId128Bit(false).build()) {
            var tracer = new BraveTracer(brave.tracer(), new BraveCurrentTraceContext(brave.currentTraceContext()));
            MicrometerTracing.use(tracer);
            Span span = tracer.nextSpan();
            String parent = "00-" + "0".repeat(16) + span.context().traceId() + "-" + span.context().spanId() + "-01";
            assertEquals(parent, onward(tracer, span).get(0));
        }
    }

    @Test
    void a_tracer_that_throws_is_as_none() {
        Tracer broken = (Tracer) java.lang.reflect.Proxy.newProxyInstance(
                Tracer.class.getClassLoader(), new Class<?>[] {Tracer.class}, (proxy, method, arguments) -> {
                    throw new IllegalStateException("broken");
                });
        MicrometerTracing.use(broken);
        String onward = quick().build().execute(attempt -> attempt.headers().get("traceparent"));
        assertNotNull(onward);
    }
}
