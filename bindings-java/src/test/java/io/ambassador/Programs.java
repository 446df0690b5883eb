package io.ambassador;

import java.time.Duration;
import java.util.ArrayList;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/** Programs for {@link Child}: each prints {@code done} as the last thing that its main does. */
final class Programs {
    private Programs() {}

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "call" -> call();
            case "hung-worker" -> hungWorker();
            case "abandoned" -> abandoned();
            case "hung-stage" -> hungStage();
            case "waiting-stage" -> waitingStage();
            case "no-thread-left" -> noThreadLeft();
            case "exit-in-flight" -> exitInFlight();
            case "shutdown" -> shutdown();
            case "shutdown-in-vain" -> shutdownInVain();
            case "virtual-callers" -> virtualCallers();
            case "virtual-bounds" -> virtualBounds();
            case "virtual-workers" -> virtualWorkers();
            case "virtual-interrupts" -> virtualInterrupts();
            case "virtual-queue" -> virtualQueue();
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        System.out.println("done");
    }

    private static ProxyBuilder quick() {
        return AmbassadorProxy.builder("payment-api.example.com").backoff(Backoff.none()).breaker(null).budget(null);
    }

    private static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static Object spinForEver(CountDownLatch started) {
        started.countDown();
        for (;;) {
            Thread.onSpinWait();
        }
    }

    private static void call() {
        String value = quick().build().call(v -> "charged");
        System.out.println(value);
    }

    /** A daemon thread waits for a function that hangs. */
    private static void hungWorker() throws InterruptedException {
        var proxy = quick().timeout(null).runIn(RunIn.WORKER).build();
        var started = new CountDownLatch(1);
        Thread caller = new Thread(() -> proxy.call(v -> spinForEver(started)));
        caller.setDaemon(true);
        caller.start();
        started.await();
    }

    /** Functions go on that heed no interrupt. */
    private static void abandoned() {
        var proxy = quick().timeoutMs(100).maxRetries(2).runIn(RunIn.WORKER).build();
        try {
            proxy.call(v -> spinForEver(new CountDownLatch(1)));
        } catch (CallTimeoutException timeout) {
            System.out.println(timeout.getCode());
        }
    }

    /** A retry, a hedge, and a stage that is given up, when no thread can be started any more. */
    private static void noThreadLeft() throws Exception {
        // The thread of the timers is there from now on.
        quick().timeoutMs(3_600_000).build().callAsync(() -> new CompletableFuture<String>());
        try {
            for (;;) {
                var thread = new Thread(Programs::parkForEver);
                thread.setDaemon(true);
                thread.start();
            }
        } catch (OutOfMemoryError expected) {
            System.out.println(expected.getMessage());
        }
        var retried = quick().build().executeAsync(ctx -> ctx.attempt() == 1
                ? CompletableFuture.failedFuture(new IllegalStateException("Payment API unreachable"))
                : CompletableFuture.completedFuture(Thread.currentThread().getName()));
        check(retried.get(60, TimeUnit.SECONDS).equals("ambassador-timer"), retried);
        var hedged = quick().timeoutMs(3_600_000).idempotent(true).hedge(Hedge.afterMs(1)).build();
        CompletableFuture<String> raced = hedged.executeAsync(ctx -> ctx.attempt() == 1
                ? new CompletableFuture<>()
                : CompletableFuture.completedFuture(Thread.currentThread().getName()));
        check(raced.get(60, TimeUnit.SECONDS).equals("ambassador-timer"), raced);
        var hung = quick().timeoutMs(20).maxRetries(1).build().callAsync(() -> new CompletableFuture<String>());
        try {
            hung.get(60, TimeUnit.SECONDS);
        } catch (ExecutionException late) {
            check(late.getCause() instanceof CallTimeoutException, late);
        }
    }

    private static void parkForEver() {
        for (;;) {
            LockSupport.park();
        }
    }

    private static void hungStage() {
        quick().timeoutMs(3_600_000).build().callAsync(() -> new CompletableFuture<String>());
    }

    private static void waitingStage() {
        quick().backoff(Backoff.constant(Duration.ofHours(1)))
                .build()
                .callAsync(() -> CompletableFuture.failedFuture(new IllegalStateException("Payment API unreachable")));
    }

    private static void exitInFlight() {
        quick().timeoutMs(3_600_000).build().call(v -> {
            System.out.println("done");
            System.exit(0);
            return null;
        });
    }

    private static void shutdown() throws InterruptedException {
        var proxy = quick().timeoutMs(60_000).build();
        var started = new CountDownLatch(1);
        var mayEnd = new CountDownLatch(1);
        var value = new AtomicReference<Object>();
        Thread caller = new Thread(() -> value.set(proxy.<Object>execute(ctx -> {
            started.countDown();
            mayEnd.await();
            return "charged";
        })));
        caller.start();
        started.await();
        check(!AmbassadorProxy.shutdown(Duration.ofMillis(20)), "a call is in flight");
        mayEnd.countDown();
        check(AmbassadorProxy.shutdown(Duration.ofSeconds(60)), "no call is in flight");
        caller.join();
        check("charged".equals(value.get()), "a call in flight ends well");
        try {
            proxy.call(v -> {
                throw new AssertionError("it runs");
            });
        } catch (ShutdownException refused) {
            check(refused.getAttempts() == 0 && refused.getCode().equals("SHUTDOWN"), refused);
            System.out.println(refused.getMessage());
        }
        check(proxy.callAsync(() -> new CompletableFuture<String>()).isCompletedExceptionally(), "stages are refused too");
    }

    private static void shutdownInVain() throws InterruptedException {
        quick().timeout(null).build().callAsync(() -> new CompletableFuture<String>());
        long begun = System.nanoTime();
        check(!AmbassadorProxy.shutdown(Duration.ofMillis(100)), "a call is in flight");
        check(System.nanoTime() - begun >= 100_000_000, "it waited");
        Thread.currentThread().interrupt();
        check(!AmbassadorProxy.shutdown(Duration.ofHours(1)), "it was interrupted");
        check(Thread.interrupted(), "the flag stays");
    }

    /** {@code Thread.startVirtualThread}, of Java 21. */
    private static Thread startVirtual(Runnable work) throws ReflectiveOperationException {
        return (Thread) Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, work);
    }

    /** Runs on so many virtual threads at once, and hands on what they throw. */
    private static void onVirtual(int threads, Runnable work) throws Exception {
        var failure = new AtomicReference<Throwable>();
        var started = new ArrayList<Thread>();
        for (int number = 0; number < threads; number++) {
            started.add(startVirtual(() -> {
                try {
                    check(Workers.isVirtual(Thread.currentThread()), "a virtual thread");
                    work.run();
                } catch (Throwable broken) {
                    failure.set(broken);
                }
            }));
        }
        for (Thread thread : started) {
            thread.join();
        }
        if (failure.get() != null) {
            throw new AssertionError(failure.get());
        }
    }

    /** Ten thousand virtual threads wait in functions at the same time, on the few threads that carry them. */
    private static void virtualCallers() throws Exception {
        var proxy = quick().timeoutMs(60_000).build();
        int threads = 10_000;
        var all = new CountDownLatch(threads);
        onVirtual(threads, () -> proxy.<Object>execute(ctx -> {
            all.countDown();
            check(all.await(60, TimeUnit.SECONDS), "all are in their functions at once");
            return null;
        }));
        check(Fixtures.count(proxy, "calls.ok") == threads, proxy.health());
    }

    /** A thousand virtual threads wait in the queue for the one place: were a carrier pinned by it, nobody could leave. */
    private static void virtualQueue() throws Exception {
        var proxy = quick().timeoutMs(60_000).bulkhead(Bulkhead.of(1).maxQueue(1000)).build();
        var all = new CountDownLatch(1000);
        var ran = new AtomicInteger();
        onVirtual(1000, () -> {
            all.countDown();
            proxy.<Object>execute(ctx -> {
                check(all.await(60, TimeUnit.SECONDS), "all have come");
                Thread.sleep(1);
                return ran.incrementAndGet();
            });
        });
        check(ran.get() == 1000 && Fixtures.count(proxy, "calls.ok") == 1000, proxy.health());
        check(Fixtures.count(proxy, "bulkhead.occupied") == 0, proxy.health());
    }

    private static void virtualBounds() throws Exception {
        var proxy = quick().timeoutMs(20).maxRetries(2).build();
        onVirtual(200, () -> {
            try {
                proxy.<Object>execute(ctx -> {
                    Thread.sleep(3_600_000);
                    return null;
                });
                check(false, "it hangs");
            } catch (CallTimeoutException timeout) {
                check(!Thread.interrupted(), "no interrupt is left");
            }
        });
        check(Fixtures.count(proxy, "calls.timeout") == 200, proxy.health());
        var hasty = quick().name("hasty").timeoutMs(0.2).maxRetries(1).build();
        var ended = new AtomicInteger();
        onVirtual(10, () -> {
            for (int call = 0; call < 2000; call++) {
                long takes = ThreadLocalRandom.current().nextLong(100_000, 300_000);
                try {
                    hasty.<Object>execute(ctx -> {
                        LockSupport.parkNanos(takes);
                        return null;
                    });
                } catch (CallTimeoutException timeout) {
                    // As it should now and then.
                }
                check(!Thread.interrupted(), "no interrupt is left");
                ended.incrementAndGet();
            }
        });
        check(ended.get() == 20_000, ended);
        check(Fixtures.count(hasty, "in_flight") == 0, hasty.health());
    }

    private static void virtualWorkers() throws InterruptedException {
        var proxy = quick().timeoutMs(60_000).runIn(RunIn.WORKER).build();
        Thread worker = proxy.call(v -> Thread.currentThread());
        check(Workers.isVirtual(worker), worker);
        check(worker.getName().startsWith("ambassador-worker-"), worker);
        var hasty = quick().name("hasty").timeoutMs(50).maxRetries(1).runIn(RunIn.WORKER).build();
        try {
            hasty.<Object>execute(ctx -> {
                Thread.sleep(3_600_000);
                return null;
            });
            check(false, "it hangs");
        } catch (CallTimeoutException timeout) {
            Fixtures.awaitCount(hasty, "abandoned", 0);
        }
    }

    private static void virtualInterrupts() throws Exception {
        var proxy = quick().timeout(null).build();
        var started = new CountDownLatch(1);
        var message = new AtomicReference<String>();
        Thread caller = startVirtual(() -> {
            try {
                proxy.<Object>execute(ctx -> {
                    started.countDown();
                    Thread.sleep(3_600_000);
                    return null;
                });
            } catch (RuntimeException interrupted) {
                message.set(interrupted.getMessage() + " " + Thread.interrupted());
            }
        });
        started.await();
        caller.interrupt();
        caller.join();
        check("Interrupted during retry true".equals(message.get()), message);
    }
}
