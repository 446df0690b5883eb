package io.ambassador.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.ambassador.AmbassadorProxy;
import io.ambassador.Attempt;
import io.ambassador.Backoff;
import io.ambassador.CallTimeoutException;
import io.ambassador.Jitter;
import io.ambassador.ProxyBuilder;
import io.ambassador.RunIn;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What users' tests have at hand; through the public API alone. */
class TestingTest {
    private static final AtomicInteger NAMES = new AtomicInteger();
    private static final IOException DOWN = new IOException("Payment API unreachable");

    private static ProxyBuilder payments() {
        return AmbassadorProxy.builder("payment-api.example.com").name("testing-" + NAMES.incrementAndGet());
    }

    private static ProxyBuilder exact() {
        return payments().backoff(Backoff.exponential(Duration.ofSeconds(2)).jitter(Jitter.NONE));
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void waits_pass_at_once_and_are_told(RunIn place) {
        try (var time = VirtualTime.start()) {
            var charge = Script.failing(DOWN, 2).then("charged");
            assertEquals("charged", exact().runIn(place).build().execute(charge));
            assertEquals(List.of(Duration.ofSeconds(2), Duration.ofSeconds(4)), time.waits());
            assertEquals(Duration.ofSeconds(6), time.elapsed());
            assertEquals(List.of(1, 2, 3), charge.attempts().stream().map(Attempt::attempt).toList());
        }
    }

    @Test
    void stages_wait_in_virtual_time_too() throws Exception {
        try (var time = VirtualTime.start()) {
            var left = new AtomicInteger(2);
            var future = exact().build().callAsync(() -> left.getAndDecrement() > 0
                    ? CompletableFuture.failedFuture(DOWN)
                    : CompletableFuture.completedFuture("charged"));
            assertEquals("charged", future.get(60, TimeUnit.SECONDS));
            assertEquals(List.of(Duration.ofSeconds(2), Duration.ofSeconds(4)), time.waits());
        }
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void a_function_that_moves_time_beyond_its_bound_has_timed_out(RunIn place) {
        try (var time = VirtualTime.start()) {
            var proxy = payments().maxRetries(1).runIn(place).build();
            assertThrows(CallTimeoutException.class, () -> proxy.call(v -> {
                time.advance(Duration.ofSeconds(2).plusNanos(1));
                return "too late";
            }));
            assertEquals("in time", proxy.call(v -> {
                time.advance(Duration.ofSeconds(2));
                return "in time";
            }));
        }
    }

    @Test
    void time_is_real_again_also_when_the_test_throws() {
        assertThrows(IllegalStateException.class, () -> {
            try (var time = VirtualTime.start()) {
                time.advance(Duration.ofHours(1));
                throw new IllegalStateException("a test that fails");
            }
        });
        try (var time = VirtualTime.start()) {
            assertEquals(Duration.ZERO, time.elapsed());
            assertEquals(List.of(), time.waits());
        }
    }

    @Test
    void there_is_one_virtual_time_at_a_time_and_one_that_is_closed_does_nothing() {
        var first = VirtualTime.start();
        assertThrows(IllegalStateException.class, VirtualTime::start);
        first.close();
        try (var second = VirtualTime.start()) {
            first.advance(Duration.ofSeconds(1));
            first.close();
            assertEquals(Duration.ZERO, second.elapsed());
            second.advance(Duration.ofSeconds(1));
            assertEquals(Duration.ofSeconds(1), second.elapsed());
            assertEquals(Duration.ZERO, first.elapsed());
            assertThrows(IllegalArgumentException.class, () -> second.advance(Duration.ofSeconds(-1)));
        }
    }

    @Test
    void jitter_of_one_seed_is_the_same_each_time() {
        var all = new ArrayList<List<Duration>>();
        for (int time = 0; time < 2; time++) {
            try (var virtual = VirtualTime.start()) {
                var proxy = payments().maxRetries(5).build();
                proxy.seedJitter(42);
                assertThrows(RuntimeException.class, () -> proxy.execute(Script.of(DOWN)));
                all.add(virtual.waits());
            }
        }
        assertEquals(all.get(0), all.get(1));
        assertEquals(4, all.get(0).size());
    }

    @Test
    void a_script_fits_every_way_of_calling() throws Exception {
        var proxy = payments().backoff(Backoff.none()).build();
        assertEquals("charged", proxy.call(Script.failing(DOWN, 1).then("charged")));
        assertEquals("charged", proxy.callSupplier(Script.failing(DOWN, 1).then("charged")));
        assertEquals("charged", proxy.callCallable(Script.failing(DOWN, 1).then("charged")));
        assertEquals("charged", proxy.execute(Script.failing(DOWN, 1).then("charged")));
        Script<CompletableFuture<String>> stages = Script.of(DOWN, CompletableFuture.completedFuture("charged"));
        assertEquals("charged", proxy.callAsync(stages).get(60, TimeUnit.SECONDS));
        assertEquals(2, stages.calls());
    }

    @Test
    void a_script_goes_from_end_to_end_and_repeats_its_last() throws Exception {
        Script<String> script = Script.of(DOWN, "one", "two");
        assertSame(DOWN, assertThrows(IOException.class, script::call));
        assertEquals(List.of("one", "two", "two"), List.of(script.call(), script.get(), script.apply((Void) null)));
        assertEquals(4, script.calls());
        var other = new IllegalStateException("other");
        var failing = Script.failing(DOWN, 1).thenFailing(other, 1).forEver();
        assertSame(DOWN, assertThrows(IOException.class, failing::call));
        assertSame(other, assertThrows(IllegalStateException.class, failing::call));
        assertSame(other, assertThrows(IllegalStateException.class, failing::call));
        assertThrows(IllegalArgumentException.class, () -> Script.failing(DOWN, 0));
        assertThrows(IllegalArgumentException.class, Script::of);
    }
}
