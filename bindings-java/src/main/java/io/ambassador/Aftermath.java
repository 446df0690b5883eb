package io.ambassador;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * What comes after a decision, on the thread that asked for it and with nothing locked: those are woken whose turn in a bulkhead's
 * queue has come by it, and listeners are told what has happened.
 */
final class Aftermath {
    /** How many there are that wait in a queue, or whose listeners want to be told: one look is enough while it is 0. */
    private static final AtomicInteger CONCERNED = new AtomicInteger();

    private Aftermath() {}

    /** Somebody waits or listens from now on … */
    static void concerns() {
        CONCERNED.incrementAndGet();
    }

    /** … and does no more. */
    static void concernsNoMore() {
        CONCERNED.decrementAndGet();
    }

    /** After whatever may have ended a call or told an event. Never throws (F5). */
    static void attend(AmbassadorProxy proxy) {
        if (CONCERNED.get() != 0) {
            attendNow(proxy);
        }
    }

    private static void attendNow(AmbassadorProxy proxy) {
        try {
            Turn.callIn();
            proxy.listeners.tell(proxy);
        } catch (Throwable broken) {
            // No room for it: who waits looks by itself after a while, and events are told after the next decision.
        }
    }
}
