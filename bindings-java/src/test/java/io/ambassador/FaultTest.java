package io.ambassador;

import static io.ambassador.Fixtures.allFailed;
import static io.ambassador.Fixtures.count;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** F1: a panic in the core loses no call and runs none twice. */
class FaultTest {
    private final AtomicInteger ran = new AtomicInteger();

    @AfterEach
    void the_core_works_again() {
        Native.injectPanic("");
    }

    @ParameterizedTest
    @CsvSource({"begin,CALLER", "settle,CALLER", "resume,CALLER", "begin,WORKER", "settle,WORKER", "resume,WORKER"})
    void a_function_that_succeeds_runs_once_and_its_value_comes_back(String at, RunIn place) {
        var proxy = Fixtures.quick().runIn(place).build();
        Native.injectPanic(at);
        assertEquals(1, proxy.<Integer>call(v -> ran.incrementAndGet()));
        assertEquals(2, proxy.<Integer>execute(ctx -> {
            assertEquals(1, ctx.attempt());
            assertEquals(36, ctx.headers().get("idempotency-key").length());
            return ran.incrementAndGet();
        }));
        assertEquals(at.equals("resume") ? 0 : 2, count(proxy, "internal_errors"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @ParameterizedTest
    @CsvSource({"begin,CALLER", "settle,CALLER", "resume,CALLER", "begin,WORKER", "settle,WORKER", "resume,WORKER"})
    void a_function_that_fails_runs_once_and_its_error_comes_back(String at, RunIn place) {
        var proxy = Fixtures.quick().runIn(place).build();
        Native.injectPanic(at);
        var failure = new IllegalStateException("Payment API unreachable");
        var error = allFailed(() -> proxy.call(v -> {
            ran.incrementAndGet();
            throw failure;
        }));
        assertSame(failure, error.getCause());
        assertEquals(1, ran.get());
        assertEquals(1, count(proxy, "internal_errors"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @ParameterizedTest
    @CsvSource({"begin", "settle", "resume"})
    void a_stage_is_asked_for_once(String at) throws Exception {
        var proxy = Fixtures.quick().build();
        Native.injectPanic(at);
        var future = proxy.callAsync(() -> CompletableFuture.supplyAsync(ran::incrementAndGet));
        assertEquals(1, future.get(Fixtures.LONG, TimeUnit.MILLISECONDS));
        var failed = proxy.callAsync(() -> {
            ran.incrementAndGet();
            return CompletableFuture.failedFuture(new IllegalStateException("Payment API unreachable"));
        });
        var error = assertThrows(ExecutionException.class, () -> failed.get(Fixtures.LONG, TimeUnit.MILLISECONDS));
        assertEquals("All retries failed", error.getCause().getMessage());
        assertInstanceOf(IllegalStateException.class, error.getCause().getCause());
        assertEquals(2, ran.get());
        assertEquals(0, count(proxy, "in_flight"));
    }

    @ParameterizedTest
    @CsvSource({"settle", "resume"})
    void an_attempt_that_hangs_is_still_bounded(String at) {
        var proxy = Fixtures.quick().timeoutMs(20).build();
        Native.injectPanic(at);
        assertThrows(CallTimeoutException.class, () -> proxy.execute(ctx -> {
            ran.incrementAndGet();
            Thread.sleep(3_600_000);
            return null;
        }));
        assertEquals(1, ran.get());
    }
}
