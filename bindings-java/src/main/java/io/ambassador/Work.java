package io.ambassador;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;

/**
 * One attempt on a worker, while its caller waits. The caller gets control back at the bound whatever the function does (T2); one
 * that goes on is interrupted, counted until it really ends (O3), and what it brings is dropped and counted (T3).
 */
final class Work<T> implements Runnable {
    private static final int NEW = 0;
    private static final int RUNNING = 1;
    private static final int DONE = 2;
    private static final int NEVER_RUN = 3;
    /** Given up while it ran; the interrupt is being sent … */
    private static final int INTERRUPTING = 4;
    /** … and has been. */
    private static final int GIVEN_UP = 5;

    private static final VarHandle STATE;

    static {
        try {
            STATE = MethodHandles.lookup().findVarHandle(Work.class, "state", int.class);
        } catch (ReflectiveOperationException impossible) {
            throw new ExceptionInInitializerError(impossible);
        }
    }

    private final AmbassadorProxy proxy;
    private final AttemptFunction<? extends T> function;
    private final Attempt ctx;
    private final Thread caller = Thread.currentThread();
    private final ClassLoader loader = caller.getContextClassLoader();
    private volatile int state;
    private Thread runner;
    /** Whether it was given up at its bound. Written before the state that tells of it. */
    private boolean isLate;

    /** How it ended, once {@link #await} said that it did. */
    T value;

    Throwable error;

    Work(AmbassadorProxy proxy, AttemptFunction<? extends T> function, Attempt ctx) {
        this.proxy = proxy;
        this.function = function;
        this.ctx = ctx;
    }

    @Override
    public void run() {
        runner = Thread.currentThread();
        if (!STATE.compareAndSet(this, NEW, RUNNING)) {
            return;
        }
        ClassLoader own = runner.getContextClassLoader();
        runner.setContextClassLoader(loader);
        try {
            value = function.apply(ctx);
        } catch (Throwable thrown) {
            error = thrown;
        }
        if (STATE.compareAndSet(this, RUNNING, DONE)) {
            LockSupport.unpark(caller);
        } else {
            while (state == INTERRUPTING) {
                Thread.onSpinWait();
            }
            // Unless it only tells of the interrupt.
            if (isLate && Ended.interrupt(error) == null) {
                proxy.note(Native.LATE);
            }
            proxy.note(Native.ABANDONED_ENDED);
        }
        // The next function on this thread starts without what was meant for this one.
        Thread.interrupted();
        runner.setContextClassLoader(own);
    }

    /**
     * Waits until it has ended, at most until {@code bound}.
     *
     * @return whether it ended; if not, it is given up
     * @throws InterruptedException the caller was interrupted; it is given up
     */
    boolean await(long bound) throws InterruptedException {
        while (state != DONE) {
            if (Thread.interrupted()) {
                if (giveUp(true)) {
                    throw new InterruptedException();
                }
                Thread.currentThread().interrupt();
                return true;
            }
            if (bound == Native.NEVER) {
                LockSupport.park(this);
                continue;
            }
            long left = bound - Native.now();
            if (left > 0) {
                LockSupport.parkNanos(this, left);
            } else if (giveUp(true)) {
                return false;
            }
        }
        return true;
    }

    boolean isDone() {
        return state == DONE;
    }

    /**
     * Its caller waits for it no more.
     *
     * @param late whether what it brings counts as a late result; that of an attempt that lost does not (H1)
     * @return false when it has ended meanwhile
     */
    boolean giveUp(boolean late) {
        isLate = late;
        if (STATE.compareAndSet(this, NEW, NEVER_RUN)) {
            return true;
        }
        if (!STATE.compareAndSet(this, RUNNING, INTERRUPTING)) {
            return false;
        }
        ctx.giveUp();
        // Counted before it is told, so that its end never finds it uncounted.
        proxy.note(Native.ABANDONED);
        try {
            runner.interrupt();
        } catch (RuntimeException broken) {
            // A channel that it waits for may fail to close.
        }
        state = GIVEN_UP;
        return true;
    }
}
