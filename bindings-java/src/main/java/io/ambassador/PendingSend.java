package io.ambassador;

import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodySubscriber;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;

/** A request that nobody waits for: completes with its response. Whoever completes it from outside wants the request no more. */
final class PendingSend<T> extends CompletableFuture<HttpResponse<T>> implements Mail.Receiver {
    private static final long BEGINNING = 0;
    private static final long OVER = -1;

    private final Sending sending;
    private final BodyHandler<T> handler;
    /** What its caller expects of errors. */
    private final UnaryOperator<Throwable> expected;

    private final long ticket = Mail.ticket();
    /** Of the exchange. */
    private final AtomicLong handle = new AtomicLong(BEGINNING);

    private volatile Incoming incoming;

    private PendingSend(Sending sending, BodyHandler<T> handler, UnaryOperator<Throwable> expected) {
        this.sending = sending;
        this.handler = handler;
        this.expected = expected;
    }

    static <T> PendingSend<T> start(
            AmbassadorProxy proxy,
            HttpRequest request,
            BodyHandler<T> handler,
            SendOptions options,
            UnaryOperator<Throwable> expected) {
        var pending = new PendingSend<T>(Sending.of(proxy, request, handler, options), handler, expected);
        pending.begin();
        return pending;
    }

    private void begin() {
        Mail.expect(ticket, this);
        boolean isBegun = false;
        try {
            long exchange = sending.begin(ticket, false);
            isBegun = true;
            if (!handle.compareAndSet(BEGINNING, exchange)) {
                Native.release(exchange, isDone());
            }
        } finally {
            if (!isBegun) {
                Mail.forget(ticket);
            }
        }
    }

    @Override
    public void receive(byte[] message) {
        if (message[0] == Mail.RETRY) {
            Log.line(new String(message, 1, message.length - 1, StandardCharsets.UTF_8));
            Aftermath.attend(sending.proxy);
            return;
        }
        Mail.forget(ticket);
        release(false);
        Aftermath.attend(sending.proxy);
        if (message[0] == Mail.FAILED) {
            fail(message);
            return;
        }
        var head = new Head(message);
        long stream = Head.incoming(message);
        if (stream == 0 && Bodies.isPlain(handler, head)) {
            succeed(head, Bodies.made(handler, head));
        } else {
            Workers.execute(() -> read(head, stream));
        }
    }

    private void succeed(Head head, T body) {
        super.complete(new Received<>(sending.request, head, body));
    }

    private void end(Throwable error) {
        super.completeExceptionally(expected.apply(error));
    }

    private void read(Head head, long stream) {
        boolean isTaken = false;
        try {
            BodySubscriber<T> subscriber = handler.apply(head);
            CompletionStage<T> body = subscriber.getBody();
            isTaken = true;
            body.whenComplete((value, error) -> {
                if (error == null) {
                    succeed(head, value);
                } else {
                    end(Failure.untaken(sending.proxy, AsyncCall.cause(error)));
                }
            });
            if (stream == 0) {
                Bodies.deliver(subscriber, head);
                return;
            }
            incoming = Incoming.begin(sending.proxy, ticket, stream, subscriber);
            if (isCancelled()) {
                incoming.fail(new CancellationException());
            }
        } catch (Throwable thrown) {
            end(Failure.untaken(sending.proxy, thrown));
        } finally {
            if (!isTaken) {
                Native.leave(stream);
            }
        }
    }

    private void fail(byte[] message) {
        AmbassadorException error = sending.error(message);
        if (Failure.answering(message) == 0) {
            end(error);
            return;
        }
        Workers.execute(() -> {
            try {
                answer(Fallback.answer(sending, message, error));
            } catch (Throwable thrown) {
                end(thrown);
            }
        });
    }

    @SuppressWarnings("unchecked")
    private void answer(Object answer) {
        if (answer instanceof CompletionStage<?> stage) {
            stage.whenComplete((value, error) -> {
                if (error == null) {
                    super.complete((HttpResponse<T>) value);
                } else {
                    end(AsyncCall.cause(error));
                }
            });
        } else {
            super.complete((HttpResponse<T>) answer);
        }
    }

    private void release(boolean cancels) {
        long exchange = handle.getAndSet(OVER);
        if (exchange > 0) {
            Native.release(exchange, cancels);
        }
    }

    @Override
    public boolean cancel(boolean mayInterruptIfRunning) {
        return stoppedIf(super.cancel(mayInterruptIfRunning));
    }

    @Override
    public boolean complete(HttpResponse<T> value) {
        return stoppedIf(super.complete(value));
    }

    @Override
    public boolean completeExceptionally(Throwable error) {
        return stoppedIf(super.completeExceptionally(error));
    }

    private boolean stoppedIf(boolean isFirst) {
        if (isFirst) {
            Mail.forget(ticket);
                release(true);
            sending.stop();
            Incoming stream = incoming;
            if (stream != null) {
                stream.fail(new CancellationException());
            }
            Aftermath.attend(sending.proxy);
        }
        return isFirst;
    }
}
