package io.ambassador;

import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;

/** OpenTelemetry's present span. Loaded in programs alone that have its API. */
final class OpenTelemetrySource implements Tracing.Source {
    @Override
    public String present() {
        SpanContext context = Span.current().getSpanContext();
        if (!context.isValid()) {
            return null;
        }
        var state = new StringBuilder();
        context.getTraceState().forEach((key, value) -> state.append(state.isEmpty() ? "" : ",").append(key).append('=').append(value));
        return Tracing.lines(context.getTraceId(), context.getSpanId(), context.getTraceFlags().asHex(), state);
    }
}
