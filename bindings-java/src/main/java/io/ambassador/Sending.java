package io.ambassador;

import java.lang.ref.Reference;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpResponse.BodyHandler;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** A request on its way to the core: what it says, and whether its body and its response's are whole. */
final class Sending {
    /** How a request is sent, as the native tells it. */
    private static final int STREAM = 1;

    private static final int BLOCKING = 2;
    private static final int IDEMPOTENT = 4;
    private static final int NOT_IDEMPOTENT = 8;

    final AmbassadorProxy proxy;
    final HttpRequest request;
    private final SendOptions options;
    private final boolean isStream;
    private final byte[] head;
    private final byte[] body;
    /** The host's span that it is sent below. */
    private final String parent = Tracing.present();
    /** Null for a body that is whole. */
    private Outgoing outgoing;

    private Sending(
            AmbassadorProxy proxy, HttpRequest request, SendOptions options, boolean isStream, byte[] head, byte[] body) {
        this.proxy = proxy;
        this.request = request;
        this.options = options;
        this.isStream = isStream;
        this.head = head;
        this.body = body;
    }

    static Sending of(AmbassadorProxy proxy, HttpRequest request, BodyHandler<?> handler, SendOptions options) {
        BodyPublisher publisher = request.bodyPublisher().orElse(null);
        byte[] body = publisher == null ? new byte[0] : Outgoing.inMemory(publisher);
        var sending = new Sending(proxy, request, options, !Bodies.isWhole(handler), head(proxy, request), body);
        if (body == null) {
            sending.outgoing = new Outgoing(publisher);
        }
        return sending;
    }

    private static byte[] head(AmbassadorProxy proxy, HttpRequest request) {
        var lines = new StringBuilder(128).append(request.method()).append('\n').append(proxy.origin().path(request.uri()));
        for (Map.Entry<String, List<String>> header : request.headers().map().entrySet()) {
            for (String value : header.getValue()) {
                if (value.indexOf('\n') >= 0) {
                    throw new IllegalArgumentException("a header of two lines: " + header.getKey());
                }
                lines.append('\n').append(header.getKey()).append('\n').append(value);
            }
        }
        return lines.toString().getBytes(StandardCharsets.UTF_8);
    }

    /** Hands it to the core; the answer is the handle of the exchange. */
    long begin(long ticket, boolean isBlocking) {
        int flags = (isStream ? STREAM : 0) | (isBlocking ? BLOCKING : 0) | repeating();
        long timeout = options.timeout();
        long deadline = request.timeout().map(AmbassadorProxy::nanos).orElse(0L);
        byte[] whole = body == null || body.length == 0 ? null : body;
        long feed = outgoing == null ? 0 : outgoing.feed();
        long length = outgoing == null ? 0 : outgoing.length();
        long exchange;
        try {
            exchange = Native.send(proxy.handle, head, whole, feed, length, flags, timeout, deadline, ticket, parent);
        } finally {
            Reference.reachabilityFence(proxy);
        }
        if (exchange == 0) {
            stop();
            throw new IllegalArgumentException("no request of HTTP: " + request.method() + " " + request.uri().getRawPath());
        }
        if (outgoing != null) {
            outgoing.begin();
        }
        return exchange;
    }

    /** The error of the message, whose cause is what the request's body has failed with. */
    AmbassadorException error(byte[] message) {
        return Failure.of(proxy, message, outgoing == null ? null : outgoing.error());
    }

    private int repeating() {
        if (options.idempotent() == null) {
            return 0;
        }
        return options.idempotent() ? IDEMPOTENT : NOT_IDEMPOTENT;
    }

    /** No more of the request's body is wanted. */
    void stop() {
        if (outgoing != null) {
            outgoing.stop();
        }
    }
}
