package io.ambassador;

import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.ByteBuffer;
import java.util.concurrent.Flow;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A request's body that is a stream, on its way from its publisher to the core. So many pieces are asked for as there is room for;
 * a publisher may take its time, so workers ask.
 */
final class Outgoing implements Flow.Subscriber<ByteBuffer>, Mail.Receiver {
    /** How many pieces wait in the core at most; those of {@code java.net.http} have 16 KiB. */
    private static final int ROOM = 16;

    private static final Class<?> IN_MEMORY = BodyPublishers.ofByteArray(new byte[1]).getClass();

    private final BodyPublisher publisher;
    private final long ticket = Mail.ticket();
    /** Of the body in the core; 0 when there is no more to come. */
    private long feed;

    private Flow.Subscription subscription;
    private boolean isWanted = true;
    private final AtomicLong taken = new AtomicLong();
    /** What the publisher has failed with. */
    private volatile Throwable error;

    Outgoing(BodyPublisher publisher) {
        this.publisher = publisher;
        Mail.expect(ticket, this);
        feed = Native.feed(ticket);
    }

    /** The body of a publisher that has it in memory; null of any other. */
    static byte[] inMemory(BodyPublisher publisher) {
        long length = publisher.contentLength();
        if (length == 0) {
            return new byte[0];
        }
        return publisher.getClass() == IN_MEMORY ? Whole.of(publisher, (int) length) : null;
    }

    /** Takes a body that comes at once. */
    private static final class Whole implements Flow.Subscriber<ByteBuffer> {
        private final ByteBuffer bytes;

        private Whole(int length) {
            bytes = ByteBuffer.allocate(length);
        }

        static byte[] of(BodyPublisher publisher, int length) {
            var whole = new Whole(length);
            publisher.subscribe(whole);
            return whole.bytes.hasRemaining() ? null : whole.bytes.array();
        }

        @Override
        public void onSubscribe(Flow.Subscription subscription) {
            subscription.request(Long.MAX_VALUE);
        }

        @Override
        public void onNext(ByteBuffer piece) {
            bytes.put(piece);
        }

        @Override
        public void onError(Throwable error) {}

        @Override
        public void onComplete() {}
    }

    long feed() {
        return feed;
    }

    long length() {
        return publisher.contentLength();
    }

    Throwable error() {
        return error;
    }

    /** Begins to take pieces. */
    void begin() {
        Workers.execute(() -> {
            try {
                publisher.subscribe(this);
            } catch (Throwable thrown) {
                onError(thrown);
            }
        });
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
        boolean takes;
        synchronized (this) {
            takes = isWanted && this.subscription == null;
            if (takes) {
                this.subscription = subscription;
            }
        }
        if (takes) {
            subscription.request(ROOM);
        } else {
            subscription.cancel();
        }
    }

    @Override
    public void onNext(ByteBuffer piece) {
        var bytes = new byte[piece.remaining()];
        piece.get(bytes);
        synchronized (this) {
            if (bytes.length > 0 && feed != 0) {
                Native.feedPiece(feed, bytes);
                return;
            }
        }
        // Nothing was put in, so nothing will be told to have been taken.
        ask();
    }

    @Override
    public void onError(Throwable error) {
        this.error = error;
        end(String.valueOf(error));
    }

    @Override
    public void onComplete() {
        end(null);
    }

    private synchronized void end(String why) {
        Native.feedEnd(feed, why);
        feed = 0;
        Mail.forget(ticket);
    }

    @Override
    public void receive(byte[] message) {
        if (message[0] == Mail.UNWANTED) {
            Workers.execute(this::stop);
        } else {
            ask();
        }
    }

    private void ask() {
        if (taken.getAndIncrement() == 0) {
            Workers.execute(() -> {
                Flow.Subscription from;
                synchronized (this) {
                    from = isWanted ? subscription : null;
                }
                long count = taken.getAndSet(0);
                if (from != null && count > 0) {
                    from.request(count);
                }
            });
        }
    }

    /** No more is wanted. */
    void stop() {
        Flow.Subscription from;
        synchronized (this) {
            isWanted = false;
            from = subscription;
            end(null);
        }
        if (from != null) {
            from.cancel();
        }
    }
}
