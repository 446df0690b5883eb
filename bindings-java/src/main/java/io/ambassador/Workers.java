package io.ambassador;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.Semaphore;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Threads for functions that do not run on their caller's: virtual ones where the JVM has them, else daemon threads that are kept a
 * while. None keeps the JVM alive (F4).
 */
final class Workers {
    /** How many platform threads there are at most: functions that hang keep theirs. Waiting for one counts in the bound. */
    private static final int MOST = 256;

    /** {@code Thread::isVirtual}, of Java 21; null before. */
    private static final MethodHandle IS_VIRTUAL = find("isVirtual", MethodType.methodType(boolean.class));

    private Workers() {}

    private static MethodHandle find(String method, MethodType type) {
        try {
            return MethodHandles.publicLookup().findVirtual(Thread.class, method, type);
        } catch (ReflectiveOperationException older) {
            return null;
        }
    }

    static boolean isVirtual(Thread thread) {
        if (IS_VIRTUAL == null) {
            return false;
        }
        try {
            return (boolean) IS_VIRTUAL.invokeExact(thread);
        } catch (Throwable impossible) {
            throw new LinkageError("Thread.isVirtual", impossible);
        }
    }

    /**
     * Has a worker run it, at once.
     *
     * @return whether there was a worker before {@code bound}
     */
    static boolean start(Runnable work, long bound) throws InterruptedException {
        if (Virtual.FACTORY != null) {
            Virtual.FACTORY.newThread(work).start();
            return true;
        }
        return Platform.start(work, bound);
    }

    /** Has a worker run what is supplied, at once, if one is free; who supplies null wants none after all. */
    static void startIfFree(Supplier<? extends Runnable> supplier) {
        if (Virtual.FACTORY == null) {
            Platform.startIfFree(supplier);
            return;
        }
        Runnable work = supplier.get();
        if (work != null) {
            Virtual.FACTORY.newThread(work).start();
        }
    }

    /** Has a worker run it soon, however many there are: for what does not wait. */
    static void execute(Runnable work) {
        if (Virtual.FACTORY != null) {
            Virtual.FACTORY.newThread(work).start();
        } else {
            Platform.POOL.execute(work);
        }
    }

    /** Made at the first use, as are the platform threads: a program may need neither. */
    private static final class Virtual {
        static final ThreadFactory FACTORY = make();

        /** {@code Thread.ofVirtual().name("ambassador-worker-", 1).inheritInheritableThreadLocals(false).factory()} */
        private static ThreadFactory make() {
            try {
                Class<?> ofVirtual = Class.forName("java.lang.Thread$Builder$OfVirtual");
                Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
                builder = ofVirtual.getMethod("name", String.class, long.class).invoke(builder, "ambassador-worker-", 1L);
                builder = ofVirtual
                        .getMethod("inheritInheritableThreadLocals", boolean.class)
                        .invoke(builder, false);
                return (ThreadFactory) ofVirtual.getMethod("factory").invoke(builder);
            } catch (ReflectiveOperationException | RuntimeException older) {
                // Java 19 and 20 have virtual threads as a preview, which refuses.
                return null;
            }
        }
    }

    private static final class Platform {
        static final Semaphore PLACES = new Semaphore(MOST);
        static final ThreadPoolExecutor POOL = new ThreadPoolExecutor(
                0, Integer.MAX_VALUE, 10, TimeUnit.SECONDS, new SynchronousQueue<>(), Platform::thread);

        private static Thread thread(Runnable work) {
            Thread thread = new Thread(null, work, "ambassador-worker", 0, false);
            thread.setDaemon(true);
            return thread;
        }

        static boolean start(Runnable work, long bound) throws InterruptedException {
            if (bound == Native.NEVER) {
                PLACES.acquire();
            } else if (!PLACES.tryAcquire(bound - Native.now(), TimeUnit.NANOSECONDS)) {
                return false;
            }
            occupy(() -> work);
            return true;
        }

        static void startIfFree(Supplier<? extends Runnable> supplier) {
            if (PLACES.tryAcquire()) {
                occupy(supplier);
            }
        }

        /** Uses the place that was acquired. */
        private static void occupy(Supplier<? extends Runnable> supplier) {
            boolean started = false;
            try {
                Runnable work = supplier.get();
                if (work == null) {
                    return;
                }
                POOL.execute(() -> {
                    try {
                        work.run();
                    } finally {
                        PLACES.release();
                    }
                });
                started = true;
            } finally {
                if (!started) {
                    PLACES.release();
                }
            }
        }
    }
}
