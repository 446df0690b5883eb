package io.ambassador;

import static io.ambassador.Fixtures.LONG;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.guarded;
import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** S1, F5: what listeners are told. */
class EventsTest {
    private final List<Event> told = new CopyOnWriteArrayList<>();

    /** What an event is, without lengths of time. */
    private static String shown(Event event) {
        if (event instanceof Event.Attempt attempt) {
            return "attempt " + attempt.attempt() + " " + attempt.outcome();
        }
        if (event instanceof Event.Retry retry) {
            return "retry " + retry.attempt();
        }
        if (event instanceof Event.Call call) {
            return "call " + call.attempts() + " " + call.outcome() + ", " + call.stop();
        }
        if (event instanceof Event.Circuit circuit) {
            return circuit.from() + " to " + circuit.to();
        }
        return event.getClass().getSimpleName();
    }

    private List<String> shown() {
        return told.stream().map(EventsTest::shown).toList();
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void every_attempt_and_every_call_is_told_once_and_in_order(RunIn place) {
        var proxy = quick().runIn(place).build();
        proxy.onEvent(told::add);
        var left = new AtomicInteger(1);
        try (var lines = new Fixtures.Lines()) {
            proxy.call(v -> {
                if (left.getAndDecrement() > 0) {
                    throw new IllegalStateException("once");
                }
                return "charged";
            });
            assertEquals(1, lines.all().size());
        }
        assertEquals(List.of("attempt 1 failure", "retry 1", "attempt 2 ok", "call 2 ok, succeeded"), shown());
        assertEquals(proxy.name(), told.get(0).name());
        told.clear();
        proxy.call(v -> "charged");
        assertEquals(List.of("attempt 1 ok", "call 1 ok, succeeded"), shown());
    }

    @Test
    void stages_are_told_of_as_well() throws Exception {
        var proxy = quick().maxRetries(2).build();
        proxy.onEvent(told::add);
        var future = proxy.callAsync(() -> CompletableFuture.failedFuture(new IllegalStateException("down")));
        assertThrows(Exception.class, () -> future.get(LONG, TimeUnit.MILLISECONDS));
        assertEquals(
                List.of("attempt 1 failure", "retry 1", "attempt 2 failure", "call 2 failure, retries exhausted"), shown());
        told.clear();
        proxy.callAsync(CompletableFuture::new).cancel(true);
        assertEquals(List.of("attempt 1 cancelled", "call 1 cancelled, cancelled"), shown());
    }

    @Test
    void listeners_of_a_name_hear_whatever_its_proxies_do() {
        var first = guarded().build();
        var second = guarded().name(first.name()).build();
        first.onEvent(told::add);
        second.call(v -> "charged");
        second.isolate();
        second.reset();
        assertEquals(List.of("attempt 1 ok", "call 1 ok, succeeded", "closed to isolated", "isolated to closed"), shown());
        assertEquals(Optional.empty(), ((Event.Circuit) told.get(2)).openFor());
    }

    @Test
    void a_circuit_that_opens_is_told_with_its_length() {
        var proxy = guarded().maxRetries(1).breaker(Breaker.defaults().consecutiveFailures(1).openForMs(700)).build();
        proxy.onEvent(told::add);
        assertThrows(RuntimeException.class, () -> proxy.call(v -> {
            throw new IllegalStateException("down");
        }));
        var refused = assertThrows(CircuitOpenException.class, () -> proxy.call(v -> "never"));
        assertTrue(refused.getRetryAfter().compareTo(Duration.ofMillis(700)) <= 0);
        var circuit = told.stream().filter(Event.Circuit.class::isInstance).map(Event.Circuit.class::cast).toList();
        assertEquals(1, circuit.size());
        assertEquals(Optional.of(Duration.ofMillis(700)), circuit.get(0).openFor());
        assertEquals("call 0 rejected, the circuit is open", shown().get(shown().size() - 1));
    }

    @Test
    void who_asks_for_other_settings_of_a_name_is_told_of() {
        var first = guarded().build();
        first.onEvent(told::add);
        guarded().name(first.name()).budget(null).build();
        var settings = assertInstanceOf(Event.Settings.class, told.get(0));
        assertEquals("budget none", settings.now());
    }

    @Test
    void a_listener_that_throws_changes_nothing_and_is_told_of_the_next() {
        var proxy = quick().build();
        try (var lines = new Fixtures.Lines()) {
            proxy.onEvent(event -> {
                throw new IllegalStateException("a broken listener");
            });
            proxy.onEvent(event -> {
                throw new AssertionError("another one");
            });
            proxy.onEvent(told::add);
            assertEquals("charged", proxy.call(v -> "charged"));
            assertEquals("charged", proxy.callAsync(() -> CompletableFuture.completedFuture("charged")).join());
            assertEquals(8, lines.all().size());
        }
        assertEquals(4, told.size());
        assertEquals(0, count(proxy, "in_flight"));
        assertEquals(2, count(proxy, "calls.ok"));
    }

    @Test
    void a_listener_may_call_the_proxy() {
        var proxy = quick().build();
        proxy.onEvent(event -> {
            told.add(event);
            if (told.size() == 1) {
                assertEquals("inner", proxy.call(v -> "inner"));
            }
        });
        assertEquals("outer", proxy.call(v -> "outer"));
        assertEquals(4, told.size());
    }

    @Test
    void nothing_is_told_of_what_was_before() {
        var proxy = quick().build();
        proxy.call(v -> "charged");
        proxy.onEvent(told::add);
        assertEquals(List.of(), shown());
        proxy.call(v -> "charged");
        assertEquals(2, told.size());
    }

    @Test
    void eight_threads_are_told_of_each_call_once() throws Exception {
        var proxy = quick().build();
        var calls = new AtomicInteger();
        proxy.onEvent(event -> {
            if (event instanceof Event.Call) {
                calls.incrementAndGet();
            }
        });
        var threads = new Thread[8];
        for (int number = 0; number < threads.length; number++) {
            threads[number] = new Thread(() -> {
                for (int call = 0; call < 1000; call++) {
                    proxy.call(v -> "charged");
                }
            });
            threads[number].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertEquals(8000, calls.get());
    }

    @Test
    void listeners_go_with_the_last_proxy_of_their_name() throws InterruptedException {
        var gone = listening();
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(LONG);
        while (gone.get() != null) {
            assertTrue(System.nanoTime() < until, "the listener is still there");
            System.gc();
            Thread.sleep(1);
        }
    }

    private static WeakReference<Object> listening() {
        var proxy = quick().build();
        var listener = new Object() {
            void hear(Event event) {
                // It holds its proxy, which holds it.
                proxy.health();
            }
        };
        proxy.onEvent(listener::hear);
        proxy.call(v -> "charged");
        return new WeakReference<>(listener);
    }
}
