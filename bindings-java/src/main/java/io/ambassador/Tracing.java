package io.ambassador;

/**
 * The host's own tracer (P6): OpenTelemetry's, where the program has its API, or the one of Micrometer Tracing that it gives. Without
 * one there is nothing of this on the way of a call but the look at a field. It is asked where a call begins, on its caller's thread.
 */
final class Tracing {
    private Tracing() {}

    /** A tracer. */
    interface Source {
        /** The present span as the values of {@code traceparent} and {@code tracestate}, a line each; null where there is none. */
        String present();
    }

    private static volatile Source source = openTelemetry();

    private static Source openTelemetry() {
        try {
            Class.forName("io.opentelemetry.api.trace.Span", false, Tracing.class.getClassLoader());
            return new OpenTelemetrySource();
        } catch (ClassNotFoundException | LinkageError absent) {
            return null;
        }
    }

    /** Known from the first proxy on, and looked at by none before. */
    private static final class Calls {
        static final boolean HAVE_SPANS = Native.hasSpans();
    }

    static void use(Source tracer) {
        source = tracer;
    }

    static String present() {
        Source asked = source;
        if (asked == null) {
            return null;
        }
        try {
            return asked.present();
        } catch (Exception | LinkageError broken) {
            // F5
            return null;
        }
    }

    /** A call begins: see {@link Native#begin}. */
    static long begin(AmbassadorProxy proxy) {
        if (Calls.HAVE_SPANS && source != null) {
            return Native.beginWithin(proxy.handle, present());
        }
        return Native.begin(proxy.handle);
    }

    /** What a tracer told, as the two lines; ids are hexadecimal digits. */
    static String lines(String traceId, String spanId, String flags, CharSequence state) {
        return "00-" + traceId + '-' + spanId + '-' + flags + '\n' + state;
    }
}
