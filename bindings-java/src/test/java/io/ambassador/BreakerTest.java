package io.ambassador;

import static io.ambassador.Fixtures.allFailed;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.guarded;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ambassador.testing.VirtualTime;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** B, R5: the circuit breaker and the retry budget, as Java drives them; what they decide is the core's. */
class BreakerTest {
    private static void fail(AmbassadorProxy proxy) {
        allFailed(() -> proxy.call(v -> {
            throw new IllegalStateException("down");
        }));
    }

    private static String circuit(AmbassadorProxy proxy) {
        String health = proxy.health();
        String begin = "\"circuit\":{\"state\":\"";
        int at = health.indexOf(begin) + begin.length();
        return health.substring(at, health.indexOf('"', at));
    }

    @Test
    void it_opens_by_default_and_refuses_without_running() {
        var proxy = guarded().maxRetries(1).build();
        for (int call = 0; call < 20; call++) {
            fail(proxy);
        }
        var ran = new AtomicInteger();
        var error = assertThrows(CircuitOpenException.class, () -> proxy.callSupplier(ran::incrementAndGet));
        assertEquals(0, ran.get());
        assertEquals(0, error.getAttempts());
        assertEquals("CIRCUIT_OPEN", error.getCode());
        assertTrue(error.getRetryAfter().compareTo(Duration.ofSeconds(5)) <= 0, error.getRetryAfter().toString());
        assertNull(error.getCause());
        assertEquals("open", circuit(proxy));
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void probes_close_it_again(RunIn place) throws InterruptedException {
        var proxy = guarded()
                .maxRetries(1)
                .runIn(place)
                .breaker(Breaker.defaults().consecutiveFailures(2).openForMs(5))
                .build();
        fail(proxy);
        fail(proxy);
        Thread.sleep(10);
        for (int probe = 0; probe < 3; probe++) {
            int number = probe;
            assertEquals(number, proxy.<Integer>execute(ctx -> {
                assertEquals(1, ctx.attempt());
                assertTrue(ctx.remaining().isPresent());
                assertEquals("1", ctx.headers().get("x-ambassador-attempt"));
                return number;
            }));
        }
        assertEquals("closed", circuit(proxy));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void a_probe_that_fails_opens_it_again() throws InterruptedException {
        var proxy = guarded().maxRetries(1).breaker(Breaker.defaults().consecutiveFailures(1).openForMs(5)).build();
        fail(proxy);
        Thread.sleep(10);
        fail(proxy);
        assertEquals("open", circuit(proxy));
        assertEquals(2, count(proxy, "circuit.transitions.open"));
    }

    @Test
    void what_began_before_a_reset_moves_nothing_after_it() {
        var proxy = guarded().maxRetries(1).breaker(Breaker.defaults().consecutiveFailures(1)).build();
        allFailed(() -> proxy.call(v -> {
            proxy.isolate();
            proxy.reset();
            // The present generation is seen by a call of it.
            proxy.call(w -> "inner");
            throw new IllegalStateException("down");
        }));
        assertEquals("closed", circuit(proxy));
        assertEquals(1, count(proxy, "circuit.outcomes"));
    }

    @Test
    void it_is_isolated_and_reset_by_hand() {
        var proxy = guarded().build();
        proxy.isolate();
        assertEquals("isolated", circuit(proxy));
        var error = assertThrows(CircuitOpenException.class, () -> proxy.call(v -> "never"));
        assertNull(error.getRetryAfter());
        proxy.reset();
        assertEquals("charged", proxy.call(v -> "charged"));
        assertEquals("closed", circuit(proxy));
    }

    @Test
    void an_empty_budget_ends_calls_with_their_own_error() {
        try (var time = VirtualTime.start();
                var lines = new Fixtures.Lines()) {
            var proxy = guarded().breaker(null).budget(Budget.defaults().ratio(0).minPerSecond(0)).build();
            fail(proxy);
            assertEquals(1, count(proxy, "attempts.failure"));
            assertEquals(0, time.waits().size());
            assertEquals(0, lines.all().size());
        }
    }
}
