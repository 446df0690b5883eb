package io.ambassador;

import java.lang.ref.Cleaner;
import java.net.http.HttpResponse.BodySubscriber;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A response's body on its way to a subscriber. Each piece is asked for when the one before has been taken, and is delivered by a
 * worker: a subscriber may take its time.
 */
final class Incoming implements Flow.Subscription, Mail.Receiver {
    private final AmbassadorProxy proxy;
    private final long ticket;
    private final BodySubscriber<?> subscriber;
    private final Handle handle;
    private final Cleaner.Cleanable cleanable;

    private long demand;
    /** A piece is on its way, or being taken. */
    private boolean isBusy;
    private boolean isOver;

    /** Of the body in the core; given back once. */
    private static final class Handle implements Runnable {
        private final AtomicLong handle;

        Handle(long handle) {
            this.handle = new AtomicLong(handle);
        }

        @Override
        public void run() {
            Native.leave(handle.getAndSet(0));
        }
    }

    private Incoming(AmbassadorProxy proxy, long ticket, long handle, BodySubscriber<?> subscriber) {
        this.proxy = proxy;
        this.ticket = ticket;
        this.subscriber = subscriber;
        this.handle = new Handle(handle);
        // For a subscriber that is forgotten before it has come to the end.
        cleanable = Native.CLEANER.register(this, this.handle);
    }

    /** Begins to bring the body of that handle to the subscriber. */
    static Incoming begin(AmbassadorProxy proxy, long ticket, long handle, BodySubscriber<?> subscriber) {
        var incoming = new Incoming(proxy, ticket, handle, subscriber);
        subscriber.onSubscribe(incoming);
        return incoming;
    }

    @Override
    public void request(long n) {
        if (n <= 0) {
            fail(new IllegalArgumentException("a subscriber asked for " + n + " pieces"));
            return;
        }
        synchronized (this) {
            demand = demand + n < 0 ? Long.MAX_VALUE : demand + n;
        }
        pull();
    }

    private synchronized void pull() {
        if (isBusy || isOver || demand == 0) {
            return;
        }
        isBusy = true;
        if (demand != Long.MAX_VALUE) {
            demand--;
        }
        Mail.expect(ticket, this);
        Native.pull(handle.handle.get());
    }

    @Override
    public void receive(byte[] message) {
        Mail.forget(ticket);
        Workers.execute(() -> take(message));
    }

    private void take(byte[] message) {
        switch (message[0]) {
            case Mail.PIECE -> {
                try {
                    if (!isOver()) {
                        subscriber.onNext(List.of(ByteBuffer.wrap(message, 1, message.length - 1).slice().asReadOnlyBuffer()));
                    }
                } catch (Throwable thrown) {
                    fail(thrown);
                    return;
                }
                synchronized (this) {
                    isBusy = false;
                }
                pull();
            }
            case Mail.END -> {
                if (end()) {
                    subscriber.onComplete();
                }
            }
            default -> fail(Failure.of(proxy, message, null));
        }
    }

    private synchronized boolean isOver() {
        return isOver;
    }

    /** Gives the body back; whether it had not been. */
    private synchronized boolean end() {
        boolean isFirst = !isOver;
        isOver = true;
        cleanable.clean();
        return isFirst;
    }

    void fail(Throwable why) {
        if (end()) {
            Mail.forget(ticket);
            subscriber.onError(why);
        }
    }

    @Override
    public void cancel() {
        end();
        Mail.forget(ticket);
    }
}
