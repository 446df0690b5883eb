package io.ambassador;

import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodySubscriber;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.UnaryOperator;

/**
 * A request whose caller waits for it: in the core, so that nobody stands between. A virtual thread waits in Java instead, for a
 * native would pin it.
 */
final class BlockingSend<T> {
    private final Sending sending;
    private final BodyHandler<T> handler;
    private final long ticket = Mail.ticket();

    private BlockingSend(Sending sending, BodyHandler<T> handler) {
        this.sending = sending;
        this.handler = handler;
    }

    static <T> HttpResponse<T> send(AmbassadorProxy proxy, HttpRequest request, BodyHandler<T> handler, SendOptions options)
            throws InterruptedException {
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
        if (Workers.isVirtual(Thread.currentThread())) {
            return join(PendingSend.start(proxy, request, handler, options, UnaryOperator.identity()));
        }
        return new BlockingSend<>(Sending.of(proxy, request, handler, options), handler).run();
    }

    private HttpResponse<T> run() throws InterruptedException {
        byte[] message = exchange();
        Aftermath.attend(sending.proxy);
        if (message[0] == Mail.FAILED) {
            return Fallback.<T>answered(sending, message);
        }
        return new Received<>(sending.request, new Head(message), body(new Head(message)));
    }

    /** The response or the failure. */
    private byte[] exchange() throws InterruptedException {
        long exchange = sending.begin(ticket, true);
        boolean isOver = false;
        try {
            var waiter = new Waiter(exchange);
            for (;;) {
                byte[] message = waiter.await(ticket);
                if (message == null) {
                    // An interrupt alone wakes it; whoever throws takes the flag.
                    Thread.interrupted();
                    throw new InterruptedException();
                }
                if (message[0] != Mail.RETRY) {
                    isOver = true;
                    return message;
                }
                Log.line(new String(message, 1, message.length - 1, StandardCharsets.UTF_8));
                Aftermath.attend(sending.proxy);
            }
        } finally {
            Native.release(exchange, !isOver);
            if (!isOver) {
                sending.stop();
                Aftermath.attend(sending.proxy);
            }
        }
    }

    /** Waits in a native; an interrupt of the thread closes this channel, by which the native is told. */
    private static final class Waiter extends AbstractInterruptibleChannel {
        private final long exchange;

        Waiter(long exchange) {
            this.exchange = exchange;
        }

        byte[] await(long ticket) {
            try {
                begin();
                return Native.await(exchange, ticket);
            } finally {
                try {
                    end(true);
                } catch (IOException interrupted) {
                    // The thread's flag tells.
                }
            }
        }

        @Override
        protected void implCloseChannel() {
            Native.wake(exchange);
        }
    }

    private T body(Head head) throws InterruptedException {
        long incoming = Head.incoming(head.message());
        if (incoming == 0 && Bodies.isPlain(handler, head)) {
            return Bodies.made(handler, head);
        }
        Incoming stream = null;
        CompletableFuture<T> body;
        boolean isTaken = false;
        try {
            BodySubscriber<T> subscriber = handler.apply(head);
            body = subscriber.getBody().toCompletableFuture();
            isTaken = true;
            if (incoming == 0) {
                Bodies.deliver(subscriber, head);
            } else {
                stream = Incoming.begin(sending.proxy, ticket, incoming, subscriber);
            }
        } catch (RuntimeException thrown) {
            throw Failure.untaken(sending.proxy, thrown);
        } finally {
            if (!isTaken) {
                Native.leave(incoming);
            }
        }
        try {
            return body.get();
        } catch (InterruptedException interrupt) {
            if (stream != null) {
                stream.fail(new IOException("interrupted", interrupt));
            }
            throw interrupt;
        } catch (ExecutionException | CancellationException failed) {
            throw Failure.untaken(sending.proxy, AsyncCall.cause(failed));
        }
    }

    /** Waits for one that is sent without waiting. */
    private static <T> HttpResponse<T> join(CompletableFuture<HttpResponse<T>> pending) throws InterruptedException {
        try {
            return pending.get();
        } catch (InterruptedException interrupt) {
            pending.cancel(true);
            throw interrupt;
        } catch (ExecutionException failed) {
            throw Fallback.asItIs(failed.getCause());
        }
    }
}
