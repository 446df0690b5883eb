package io.ambassador;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.WeakReference;
import java.util.Iterator;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * Bounds for functions that run on their caller's own thread (T1, T2). A caller arms a slot of its own and disarms it again, two
 * atomics and no wake-up; one daemon thread looks when the earliest bound comes, and interrupts whoever has not disarmed.
 *
 * <p>A slot goes {@code IDLE → bound → IDLE} when its function ends in time, and {@code bound → FIRING → FIRED → IDLE} when not.
 * Both the watchdog's and the owner's first step is a compare-and-set away from the bound, so exactly one of them is taken. An
 * owner that comes second waits until the interrupt has been sent, a few instructions, and then takes it back: none is ever sent
 * to a thread that has left its function. An interrupt of somebody else's stays: the watchdog sends none where one is pending
 * ({@code PENDING}), and the owner then takes none back. Only one that comes after the watchdog's, and before the function has
 * ended, cannot be told from it; a thread has one flag.
 */
final class Watchdog {
    /** {@link #disarm}: the function ended in time … */
    static final int IN_TIME = 0;

    /** … or the watchdog interrupted it, and that is taken back … */
    static final int INTERRUPTED = 1;

    /** … or its bound passed while an interrupt of somebody else's was pending, which still is unless the function took it. */
    static final int PASSED = 2;

    /** Not the watchdog's: the function ended by itself, after a bound that was not armed. The core tells that it is late. */
    static final int LATE = 3;

    private static final long IDLE = 0;
    private static final long FIRING = -1;
    private static final long FIRED = -2;
    private static final long PENDING = -3;

    private static final VarHandle STATE;
    private static final VarHandle LOOKS_AT;

    static {
        try {
            var lookup = MethodHandles.lookup();
            STATE = lookup.findVarHandle(Slot.class, "state", long.class);
            LOOKS_AT = lookup.findStaticVarHandle(Watchdog.class, "looksAt", long.class);
        } catch (ReflectiveOperationException impossible) {
            throw new ExceptionInInitializerError(impossible);
        }
    }

    /** When the watchdog looks next; whoever arms an earlier bound wakes it. */
    private static volatile long looksAt = Native.NEVER;

    private static volatile Thread thread;

    private static final Queue<WeakReference<Desk>> DESKS = new ConcurrentLinkedQueue<>();

    /** Desks of virtual threads that are done with them. There may be millions of such threads, but fewer at a time. */
    private static final Queue<Desk> LEFT = new ConcurrentLinkedQueue<>();

    private static final ThreadLocal<Desk> DESK = new ThreadLocal<>();

    private Watchdog() {}

    /** One bound, for one function at a time. A call within a function has the next slot of the same desk. */
    static final class Slot {
        private final Desk desk;
        private final Slot outer;
        private volatile Slot inner;
        private volatile long state;

        private Slot(Desk desk, Slot outer) {
            this.desk = desk;
            this.outer = outer;
        }
    }

    /** The slots of one thread. */
    private static final class Desk {
        final Slot first = new Slot(this, null);
        /** The slot of the innermost function that runs. */
        Slot top;

        boolean isLent;
        /** Written before a slot is armed, and read by the watchdog after it took the slot. */
        Thread owner;
    }

    /** From now on the calling thread is interrupted at {@code bound}, unless it disarms the slot before. */
    static Slot arm(long bound) {
        Desk desk = DESK.get();
        if (desk == null) {
            desk = sitDown();
        }
        Slot top = desk.top;
        Slot slot = top == null ? desk.first : top.inner;
        if (slot == null) {
            slot = new Slot(desk, top);
            top.inner = slot;
        }
        desk.top = slot;
        // The watchdog says when it looks next and then reads the slots; this writes the slot and then reads when the watchdog
        // looks. In the one order of all volatile accesses, one of the two sees the other.
        STATE.setVolatile(slot, bound);
        if (bound < looksAt) {
            hurry(bound);
        }
        return slot;
    }

    /** The function ended; {@code bound} is what its slot was armed with. */
    static int disarm(Slot slot, long bound) {
        int how = STATE.compareAndSet(slot, bound, IDLE) ? IN_TIME : takeBack(slot);
        Desk desk = slot.desk;
        if (slot.inner != null) {
            sweep(slot.inner);
        }
        desk.top = slot.outer;
        if (desk.isLent && slot.outer == null) {
            standUp(desk);
        }
        return how;
    }

    private static int takeBack(Slot slot) {
        long state = fired(slot);
        slot.state = IDLE;
        if (state != FIRED) {
            return PASSED;
        }
        Thread.interrupted();
        // One flag stands for all bounds of this thread: those of the functions around this one have to be heard as well.
        for (Slot outer = slot.outer; outer != null; outer = outer.outer) {
            if (fired(outer) == FIRED) {
                Thread.currentThread().interrupt();
                break;
            }
        }
        return INTERRUPTED;
    }

    private static long fired(Slot slot) {
        long state = slot.state;
        for (int spins = 0; state == FIRING; state = slot.state) {
            if (++spins < 1000) {
                Thread.onSpinWait();
            } else {
                // The watchdog was preempted in mid-interrupt.
                Thread.yield();
            }
        }
        return state;
    }

    /** Slots that a stack overflow took away from under their call. */
    private static void sweep(Slot slot) {
        for (; slot != null; slot = slot.inner) {
            long state = slot.state;
            if (state != IDLE && !STATE.compareAndSet(slot, state, IDLE)) {
                takeBack(slot);
            }
        }
    }

    private static Desk sitDown() {
        Thread caller = Thread.currentThread();
        Desk desk = null;
        boolean isVirtual = Workers.isVirtual(caller);
        if (isVirtual) {
            desk = LEFT.poll();
        }
        if (desk == null) {
            desk = new Desk();
            DESKS.add(new WeakReference<>(desk));
        }
        desk.owner = caller;
        desk.isLent = isVirtual;
        DESK.set(desk);
        return desk;
    }

    private static void standUp(Desk desk) {
        DESK.remove();
        desk.owner = null;
        LEFT.add(desk);
    }

    private static void hurry(long bound) {
        for (long at = looksAt; bound < at; at = looksAt) {
            if (LOOKS_AT.compareAndSet(at, bound)) {
                LockSupport.unpark(thread == null ? start() : thread);
                return;
            }
        }
    }

    private static synchronized Thread start() {
        if (thread == null) {
            try {
                Thread started = new Thread(null, Watchdog::run, "ambassador-watchdog", 0, false);
                started.setDaemon(true);
                started.setContextClassLoader(null);
                started.start();
                thread = started;
            } catch (Throwable noThread) {
                // A call without its bound is better than none; the next one tries again.
                looksAt = Native.NEVER;
            }
        }
        return thread;
    }

    private static void run() {
        for (;;) {
            long at = looksAt;
            long left = at - Native.now();
            if (at == Native.NEVER) {
                LockSupport.park();
            } else if (left > 0) {
                // Until the earliest bound that was armed since the last look, whether or not its function still runs: so a
                // program that makes one short call after another is not woken by each.
                LockSupport.parkNanos(left);
            } else {
                looksAt = Native.NEVER;
                long next = look();
                for (at = looksAt; next < at; at = looksAt) {
                    if (LOOKS_AT.compareAndSet(at, next)) {
                        break;
                    }
                }
            }
        }
    }

    /** Fires what is due; the earliest bound of the rest. */
    private static long look() {
        long next = Native.NEVER;
        for (Iterator<WeakReference<Desk>> desks = DESKS.iterator(); desks.hasNext(); ) {
            Desk desk = desks.next().get();
            if (desk == null) {
                // Its thread has ended.
                desks.remove();
                continue;
            }
            for (Slot slot = desk.first; slot != null; slot = slot.inner) {
                long bound = slot.state;
                if (bound <= IDLE) {
                    continue;
                }
                if (Native.now() < bound) {
                    next = Math.min(next, bound);
                } else if (STATE.compareAndSet(slot, bound, FIRING)) {
                    slot.state = interrupt(desk.owner);
                }
            }
        }
        return next;
    }

    private static long interrupt(Thread owner) {
        try {
            if (owner.isInterrupted()) {
                return PENDING;
            }
            owner.interrupt();
        } catch (Throwable broken) {
            // A thread's own interrupt(), or a channel's: not the watchdog's end.
        }
        return FIRED;
    }
}
