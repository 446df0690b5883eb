package io.ambassador;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Brings what the core tells of requests to those who wait for it. A daemon thread fetches it in batches and delivers it, which may
 * run stages of the user's; another stands by, and goes on in its place should those take their time. So no thread of the core's
 * ever enters the JVM, and nobody's stage holds up other requests.
 */
final class Mail implements Runnable {
    /** The first byte of a message: what it tells; see {@code requests.rs}. */
    static final byte RESPONSE = 0;

    static final byte FAILED = 1;
    static final byte RETRY = 2;
    static final byte PIECE = 3;
    static final byte END = 4;
    static final byte BROKEN = 5;
    static final byte TAKEN = 6;
    static final byte UNWANTED = 7;

    /** Who waits for messages. */
    interface Receiver {
        /** Called on a thread that delivers: runs nothing of the user's but stages. */
        void receive(byte[] message);
    }

    /** How many threads deliver at most, each but one of them held up by a stage of the user's. */
    private static final int MOST = 256;

    private static final int BATCH = 64;
    private static final Map<Long, Receiver> RECEIVERS = new ConcurrentHashMap<>();
    private static final AtomicLong TICKETS = new AtomicLong();
    private static final AtomicInteger THREADS = new AtomicInteger();
    /** What was fetched last: who goes on in another's place begins with what is left of it. */
    private static volatile Batch current = new Batch();

    private static final class Batch {
        final long[] tickets = new long[BATCH];
        final byte[][] messages = new byte[BATCH][];
        private final AtomicInteger next = new AtomicInteger();
        private volatile int count;

        void deliver() {
            for (int at = next.getAndIncrement(); at < count; at = next.getAndIncrement()) {
                byte[] message = messages[at];
                messages[at] = null;
                Mail.deliver(tickets[at], message);
            }
        }
    }

    /** Started at the first use: a program may need none. */
    private static final class Threads {
        static {
            start();
            start();
        }

        static void start() {
            if (THREADS.incrementAndGet() > MOST) {
                THREADS.decrementAndGet();
                return;
            }
            var thread = new Thread(null, new Mail(), "ambassador-mail", 0, false);
            thread.setDaemon(true);
            thread.setContextClassLoader(null);
            boolean isStarted = false;
            try {
                thread.start();
                isStarted = true;
            } finally {
                if (!isStarted) {
                    THREADS.decrementAndGet();
                }
            }
        }

        static void use() {}
    }

    private Mail() {}

    /** A number that nobody has had. */
    static long ticket() {
        return TICKETS.incrementAndGet();
    }

    /** From now on messages for that number go to that receiver. */
    static void expect(long ticket, Receiver receiver) {
        Threads.use();
        RECEIVERS.put(ticket, receiver);
    }

    static void forget(long ticket) {
        RECEIVERS.remove(ticket);
    }

    private static void deliver(long ticket, byte[] message) {
        Receiver receiver = RECEIVERS.get(ticket);
        if (receiver == null) {
            discard(message);
            return;
        }
        try {
            receiver.receive(message);
        } catch (Throwable broken) {
            Log.broken(broken);
        }
    }

    /** Nobody wants to know: what it would have handed over is given back. */
    static void discard(byte[] message) {
        switch (message[0]) {
            case RESPONSE -> Native.leave(Head.incoming(message));
            case FAILED -> Native.answer(Failure.answering(message), false);
            default -> {}
        }
    }

    @Override
    public void run() {
        long term = 0;
        for (;;) {
            var batch = new Batch();
            int count = Native.mail(term, batch.tickets, batch.messages);
            if (count < 0) {
                THREADS.decrementAndGet();
                return;
            }
            if (count == 0) {
                term = batch.tickets[0];
                if (batch.tickets[1] == 0) {
                    standBy();
                }
                current.deliver();
            } else {
                batch.count = count;
                current = batch;
                batch.deliver();
            }
        }
    }

    private static void standBy() {
        try {
            Threads.start();
        } catch (Throwable none) {
            // The system has no thread to give: this one delivers alone.
        }
    }
}
