package io.ambassador;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * A call that waits for its turn in a bulkhead's queue (L1), under a number. The core keeps the number of whose turn has come; the
 * thread that ended another call asks for it and wakes who waits. So no thread of the core's ever enters the JVM.
 */
final class Turn {
    /** Who waits looks for itself after so long: its wake-up may have died with the thread that was to deliver it. */
    static final long LOOK = 1_000_000_000;

    private static final Map<Long, Turn> WAITING = new ConcurrentHashMap<>();
    private static final AtomicLong NUMBERS = new AtomicLong();

    private final long number = NUMBERS.incrementAndGet();
    /** Runs on any thread that ends a call: nothing of the user's. */
    private final Runnable wakeUp;

    private volatile boolean hasCome;

    private Turn(Runnable wakeUp) {
        this.wakeUp = wakeUp;
    }

    /** Waits at most until then, or a while, on this thread. */
    static void await(AmbassadorProxy proxy, long[] words, long until) throws InterruptedException {
        Thread waiter = Thread.currentThread();
        long look = Math.min(until, Native.now() + LOOK);
        Turn turn = enter(proxy, words, () -> LockSupport.unpark(waiter));
        try {
            while (!turn.hasCome) {
                if (Thread.interrupted()) {
                    throw new InterruptedException();
                }
                long left = look - Native.now();
                if (left <= 0) {
                    return;
                }
                LockSupport.parkNanos(turn, left);
            }
        } finally {
            turn.leave();
        }
    }

    /** From now on {@code wakeUp} runs when the turn of the call comes; at once if it has. */
    static Turn enter(AmbassadorProxy proxy, long[] words, Runnable wakeUp) {
        var turn = new Turn(wakeUp);
        // Concerned first: whoever ends a call after the core knows the number will ask.
        Aftermath.concerns();
        WAITING.put(turn.number, turn);
        Native.wakeAtTurn(proxy.handle, words, turn.number);
        callIn();
        return turn;
    }

    void leave() {
        if (WAITING.remove(number) != null) {
            Aftermath.concernsNoMore();
        }
    }

    /** Wakes those whose turn has come. */
    static void callIn() {
        if (WAITING.isEmpty()) {
            return;
        }
        var numbers = new long[16];
        int count;
        do {
            count = Native.woken(numbers);
            for (int at = 0; at < count; at++) {
                Turn turn = WAITING.get(numbers[at]);
                if (turn != null) {
                    turn.hasCome = true;
                    turn.wakeUp.run();
                }
            }
        } while (count == numbers.length);
    }
}
