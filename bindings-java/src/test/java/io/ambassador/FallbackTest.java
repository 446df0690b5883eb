package io.ambassador;

import static io.ambassador.Fixtures.LONG;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** H2: what answers in place of the final error. */
class FallbackTest {
    private static final IOException RESET = new IOException("connection reset");

    private static <T> T fails(AmbassadorProxy proxy) {
        return proxy.callCallable(() -> {
            throw RESET;
        });
    }

    private static ProxyBuilder once() {
        return quick().maxRetries(1);
    }

    @Test
    void a_value_answers() {
        var proxy = quick().fallback("later").build();
        assertEquals("later", FallbackTest.<String>fails(proxy));
        assertEquals("charged", proxy.call(v -> "charged"));
        assertEquals(1, count(proxy, "calls.fallback"));
        assertEquals(1, count(proxy, "calls.ok"));
        assertEquals(3, count(proxy, "attempts.failure"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void a_function_is_given_what_the_call_would_have_thrown() {
        var seen = new AtomicReference<Throwable>();
        var proxy = once().fallback((Function<Throwable, String>) error -> {
            seen.set(error);
            return "later";
        }).build();
        assertEquals("later", FallbackTest.<String>fails(proxy));
        assertEquals("All retries failed", seen.get().getMessage());
        assertSame(RESET, seen.get().getCause());
    }

    @Test
    void a_refused_call_is_answered_too() {
        var proxy = once().breaker(Breaker.defaults()).fallback(error -> ((AmbassadorException) error).getCode()).build();
        proxy.isolate();
        assertEquals("CIRCUIT_OPEN", proxy.<String>call(v -> "never"));
        assertEquals("CIRCUIT_OPEN", proxy.<String>callAsync(() -> CompletableFuture.completedFuture("never")).join());
        assertEquals(2, count(proxy, "calls.fallback"));
        assertEquals(0, count(proxy, "calls.rejected"));
    }

    @Test
    void null_is_an_answer() {
        var proxy = once().fallback(error -> null).build();
        assertEquals(null, FallbackTest.<String>fails(proxy));
        assertEquals(1, count(proxy, "calls.fallback"));
    }

    @Test
    void what_it_throws_is_the_calls_with_the_error_as_its_cause() {
        var broken = new IllegalStateException("nothing in the cache");
        var proxy = once().fallback(error -> {
            throw broken;
        }).build();
        var thrown = assertThrows(IllegalStateException.class, () -> fails(proxy));
        assertSame(broken, thrown);
        assertEquals("All retries failed", thrown.getCause().getMessage());
        assertSame(RESET, thrown.getCause().getCause());
        assertEquals(1, count(proxy, "calls.failure"));
        assertEquals(0, count(proxy, "calls.fallback"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void what_has_a_cause_already_keeps_it() {
        var cause = new IOException("no cache");
        var proxy = once().fallback(error -> {
            throw new IllegalStateException("nothing in the cache", cause);
        }).build();
        var thrown = assertThrows(IllegalStateException.class, () -> fails(proxy));
        assertSame(cause, thrown.getCause());
        assertEquals("All retries failed", thrown.getSuppressed()[0].getMessage());
    }

    @Test
    void it_may_throw_the_error_itself_or_its_cause() {
        var itself = once().fallback(error -> {
            throw (RuntimeException) error;
        }).build();
        assertSame(RESET, assertThrows(RuntimeException.class, () -> fails(itself)).getCause());
        var failure = new IllegalArgumentException("no such order");
        var cause = once().fallback(error -> {
            throw (RuntimeException) error.getCause();
        }).build();
        var thrown = assertThrows(IllegalArgumentException.class, () -> cause.call(v -> {
            throw failure;
        }));
        assertSame(failure, thrown);
        assertEquals(null, thrown.getCause());
    }

    @Test
    void control_flow_in_it_ends_the_call_cancelled() {
        var proxy = once().fallback(error -> {
            throw new StackOverflowError("too deep");
        }).build();
        assertThrows(StackOverflowError.class, () -> fails(proxy));
        var interrupted = once().fallback(error -> {
            throw new IllegalStateException(new InterruptedException());
        }).build();
        var thrown = assertThrows(RuntimeException.class, () -> fails(interrupted));
        assertEquals("Interrupted during retry", thrown.getMessage());
        assertTrue(Thread.interrupted());
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(1, count(interrupted, "calls.cancelled"));
        assertEquals(0, count(interrupted, "in_flight"));
    }

    @Test
    void a_cancelled_call_is_not_answered() {
        var proxy = quick().fallback("later").build();
        assertThrows(StackOverflowError.class, () -> proxy.call(v -> {
            throw new StackOverflowError("too deep");
        }));
        Thread.currentThread().interrupt();
        assertThrows(RuntimeException.class, () -> FallbackTest.<String>fails(proxy));
        assertTrue(Thread.interrupted());
        assertEquals(2, count(proxy, "calls.cancelled"));
    }

    @Test
    void a_last_value_is_no_error() throws Exception {
        var ran = new AtomicInteger();
        var proxy = quick().classify((value, error) -> Outcome.RETRY).fallback("later").build();
        assertEquals("busy", proxy.call(v -> ran.incrementAndGet() > 0 ? "busy" : null));
        assertEquals("busy", proxy.callAsync(() -> CompletableFuture.completedFuture("busy")).get(LONG, TimeUnit.MILLISECONDS));
        assertEquals(3, ran.get());
        assertEquals(2, count(proxy, "calls.failure"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void it_may_call_the_proxy_again() {
        var other = quick().build();
        var proxy = once().fallback(error -> other.call(v -> "from the other")).build();
        assertEquals("from the other", FallbackTest.<String>fails(proxy));
    }

    @Test
    void a_value_of_another_type_is_the_callers_to_see() {
        var proxy = once().fallback(5).build();
        assertThrows(ClassCastException.class, () -> {
            String value = fails(proxy);
            throw new AssertionError(value);
        });
    }

    private static <T> T failsAsync(AmbassadorProxy proxy) throws Exception {
        return proxy.<T>callAsync(() -> CompletableFuture.failedFuture(RESET)).get(LONG, TimeUnit.MILLISECONDS);
    }

    @Test
    void a_stage_may_answer_or_fail_too() throws Exception {
        assertEquals("later", FallbackTest.<String>failsAsync(quick().fallback("later").build()));
        var stage = quick().fallback(error -> CompletableFuture.supplyAsync(() -> "later")).build();
        assertEquals("later", FallbackTest.<String>failsAsync(stage));
        assertEquals(1, count(stage, "calls.fallback"));
        var broken = new IllegalStateException("nothing in the cache");
        var failing = once().fallback(error -> CompletableFuture.failedFuture(broken)).build();
        var thrown = assertThrows(ExecutionException.class, () -> failsAsync(failing)).getCause();
        assertSame(broken, thrown);
        assertSame(RESET, thrown.getCause().getCause());
        assertEquals(1, count(failing, "calls.failure"));
        var throwing = once().fallback(error -> {
            throw new IllegalArgumentException("broken");
        }).build();
        assertInstanceOf(IllegalArgumentException.class, assertThrows(ExecutionException.class, () -> failsAsync(throwing)).getCause());
        assertEquals(0, count(throwing, "in_flight"));
    }

    @Test
    void cancelling_the_future_cancels_the_stage_that_answers() {
        var answer = new CompletableFuture<String>();
        var proxy = once().fallback(error -> answer).build();
        var future = proxy.<String>callAsync(() -> CompletableFuture.failedFuture(RESET));
        assertEquals(1, count(proxy, "in_flight"));
        assertTrue(future.cancel(true));
        assertTrue(answer.isCancelled());
        assertEquals(1, count(proxy, "calls.cancelled"));
        assertEquals(0, count(proxy, "in_flight"));
    }
}
