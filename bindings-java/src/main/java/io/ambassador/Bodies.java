package io.ambassador;

import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpResponse.BodySubscriber;
import java.net.http.HttpResponse.ResponseInfo;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Flow;

/**
 * What handlers of bodies want. Those of {@link BodyHandlers} that take a body whole are known by their classes, which are the same
 * for all that a method has made: the core then reads the body within the attempt, and most bodies need no subscriber. Any other
 * handler gets a stream.
 */
final class Bodies {
    private static final Class<?> STRING = BodyHandlers.ofString().getClass();
    private static final Class<?> BYTES = BodyHandlers.ofByteArray().getClass();
    private static final Class<?> NOTHING = BodyHandlers.discarding().getClass();
    private static final Set<Class<?>> WHOLE = Set.of(
            STRING,
            BYTES,
            NOTHING,
            BodyHandlers.ofString(StandardCharsets.UTF_8).getClass(),
            BodyHandlers.replacing("").getClass());

    /** Marks a handler that is to get its body whole. */
    record Whole<T>(BodyHandler<T> handler) implements BodyHandler<T> {
        @Override
        public BodySubscriber<T> apply(ResponseInfo head) {
            return handler.apply(head);
        }
    }

    private static final Flow.Subscription DELIVERED = new Flow.Subscription() {
        @Override
        public void request(long n) {}

        @Override
        public void cancel() {}
    };

    private Bodies() {}

    static boolean isWhole(BodyHandler<?> handler) {
        return handler instanceof Whole<?> || WHOLE.contains(handler.getClass());
    }

    /** Whether {@link #made} makes its body, without running code of the user's. */
    static boolean isPlain(BodyHandler<?> handler, Head head) {
        Class<?> type = handler.getClass();
        return type == BYTES || type == NOTHING || (type == STRING && !head.hasCharset());
    }

    /** What a plain handler would make of a whole body. */
    @SuppressWarnings("unchecked")
    static <T> T made(BodyHandler<T> handler, Head head) {
        Class<?> type = handler.getClass();
        byte[] message = head.message();
        int at = head.bodyAt();
        Object body = null;
        if (type == BYTES) {
            body = Arrays.copyOfRange(message, at, message.length);
        } else if (type == STRING) {
            body = new String(message, at, message.length - at, StandardCharsets.UTF_8);
        }
        return (T) body;
    }

    /** Hands a whole body to a subscriber. */
    static void deliver(BodySubscriber<?> subscriber, Head head) {
        byte[] message = head.message();
        int at = head.bodyAt();
        subscriber.onSubscribe(DELIVERED);
        if (at < message.length) {
            subscriber.onNext(List.of(ByteBuffer.wrap(message, at, message.length - at).slice().asReadOnlyBuffer()));
        }
        subscriber.onComplete();
    }
}
