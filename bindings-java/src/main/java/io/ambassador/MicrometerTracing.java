package io.ambassador;

import io.micrometer.tracing.Span;
import io.micrometer.tracing.TraceContext;
import io.micrometer.tracing.Tracer;

/**
 * For programs that trace by Micrometer Tracing: calls are below its present span. Where its bridge leads to OpenTelemetry there is
 * nothing to be done, for that one is asked by itself.
 */
public final class MicrometerTracing {
    private static final String ZEROS = "0".repeat(32);

    private MicrometerTracing() {}

    /**
     * From now on this tracer is asked for the present span, by every proxy of the program.
     *
     * @param tracer the program's tracer, which knows its present span on the thread where a call begins
     */
    public static void use(Tracer tracer) {
        if (tracer == null) {
            throw new NullPointerException("tracer");
        }
        Tracing.use(() -> present(tracer));
    }

    private static String present(Tracer tracer) {
        Span span = tracer.currentSpan();
        if (span == null) {
            return null;
        }
        TraceContext context = span.context();
        String traceId = context.traceId();
        // Some tracers have ids of 64 bits.
        String whole = ZEROS.substring(Math.min(ZEROS.length(), traceId.length())) + traceId;
        return Tracing.lines(whole, context.spanId(), Boolean.FALSE.equals(context.sampled()) ? "00" : "01", "");
    }
}
