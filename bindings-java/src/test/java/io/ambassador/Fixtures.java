package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What tests share: proxies with state of their own, the lines that were said, counters, and waiting for events. */
final class Fixtures {
    private static final AtomicInteger NAMES = new AtomicInteger();
    /** Longer than anything takes on a busy machine, and shorter than a hang. */
    static final long LONG = 60_000;

    private Fixtures() {}

    /** Three attempts of at most 2 s, without waits, and counters that no other test touches; nothing but them ends a call. */
    static ProxyBuilder quick() {
        return guarded().breaker(null).budget(null);
    }

    /** The same, with the circuit breaker and the retry budget that are on by default. */
    static ProxyBuilder guarded() {
        return AmbassadorProxy.builder("payment-api.example.com")
                .name("test-" + NAMES.incrementAndGet())
                .backoff(Backoff.none());
    }

    /** A number of {@code health()}, by the names that lead to it: {@code calls.ok}. */
    static long count(AmbassadorProxy proxy, String path) {
        String rest = proxy.health();
        for (String name : path.split("\\.")) {
            int at = rest.indexOf('"' + name + "\":");
            check(at >= 0, path + " in " + proxy.health());
            rest = rest.substring(at + name.length() + 3);
        }
        Matcher number = Pattern.compile("^\\d+").matcher(rest);
        check(number.find(), path + " in " + proxy.health());
        return Long.parseLong(number.group());
    }

    /** Until the count is that; counters of work that goes on unseen have no other event. */
    static void awaitCount(AmbassadorProxy proxy, String path, long expected) throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(LONG);
        while (count(proxy, path) != expected) {
            check(System.nanoTime() < until, path + " is not " + expected + " in " + proxy.health());
            Thread.sleep(1);
        }
    }

    /** Not JUnit's: a {@link Child} has none. */
    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void await(CountDownLatch event) {
        try {
            assertTrue(event.await(LONG, TimeUnit.MILLISECONDS), "the event did not come");
        } catch (InterruptedException interrupt) {
            throw new AssertionError("interrupted while waiting for an event", interrupt);
        }
    }

    static RuntimeException allFailed(org.junit.jupiter.api.function.Executable call) {
        RuntimeException error = assertThrows(RuntimeException.class, call);
        assertTrue(error.getClass() == RuntimeException.class && "All retries failed".equals(error.getMessage()), error.toString());
        return error;
    }

    /** The suppressed of an error, without the core's note, which is the last. */
    static List<Throwable> earlier(Throwable error) {
        var earlier = new ArrayList<>(List.of(error.getSuppressed()));
        earlier.removeIf(suppressed -> suppressed instanceof EndNote);
        return earlier;
    }

    /** An error that asks for a wait, in its own way. */
    static final class Asks extends Exception implements RetryAfter {
        private static final long serialVersionUID = 1L;
        private final transient Supplier<Duration> wait;
        /** Whether it could tell. */
        volatile boolean hasTold;

        Asks(Supplier<Duration> wait) {
            this.wait = wait;
        }

        /** Asks for none, once another thread has cancelled the call. */
        static Asks afterCancelling(CompletableFuture<?> call) {
            return new Asks(() -> {
                CompletableFuture.runAsync(() -> call.cancel(true)).orTimeout(LONG, TimeUnit.MILLISECONDS).join();
                return null;
            });
        }

        @Override
        public Duration getRetryAfter() {
            Duration told = wait.get();
            hasTold = true;
            return told;
        }
    }

    static double milliseconds(Runnable work) {
        long begun = System.nanoTime();
        work.run();
        return (System.nanoTime() - begun) / 1e6;
    }

    /** Keeps the lines of retries for as long as it is open, and keeps them from stderr. */
    static class Lines extends Handler implements AutoCloseable {
        private final Logger logger = Logger.getLogger("ambassador");
        private final BlockingQueue<LogRecord> records = new LinkedBlockingQueue<>();

        Lines() {
            logger.setUseParentHandlers(false);
            logger.addHandler(this);
        }

        @Override
        public void publish(LogRecord line) {
            records.add(line);
        }

        @Override
        public void flush() {}

        @Override
        public void close() {
            logger.removeHandler(this);
            logger.setUseParentHandlers(true);
        }

        LogRecord next() {
            try {
                LogRecord line = records.poll(LONG, TimeUnit.MILLISECONDS);
                assertTrue(line != null, "no line was said");
                return line;
            } catch (InterruptedException interrupt) {
                throw new AssertionError("interrupted while waiting for a line", interrupt);
            }
        }

        List<String> all() {
            return records.stream().map(LogRecord::getMessage).toList();
        }
    }
}
