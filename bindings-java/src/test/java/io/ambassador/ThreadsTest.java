package io.ambassador;

import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** One proxy and many threads, and the end of proxies. */
class ThreadsTest {
    @ParameterizedTest
    @EnumSource(RunIn.class)
    void sixty_four_threads_share_a_proxy(RunIn place) throws InterruptedException {
        int calls = place == RunIn.CALLER ? 1000 : 100;
        // Bounds are not what is tested, and 64 threads on a small machine wait for each other.
        var proxy = quick().timeoutMs(Fixtures.LONG).runIn(place).build();
        var failure = new AtomicReference<Throwable>();
        var threads = new ArrayList<Thread>();
        try (var lines = new Fixtures.Lines()) {
            for (int number = 0; number < 64; number++) {
                var thread = new Thread(() -> {
                    try {
                        for (int call = 0; call < calls; call++) {
                            var left = new AtomicInteger(call % 2);
                            int expected = call;
                            int value = proxy.call(v -> {
                                if (left.getAndDecrement() > 0) {
                                    throw new IllegalStateException("once");
                                }
                                return expected;
                            });
                            assertEquals(expected, value);
                        }
                    } catch (Throwable broken) {
                        failure.set(broken);
                    }
                });
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) {
                thread.join();
            }
            assertEquals(64 * calls / 2, lines.all().size());
        }
        assertEquals(null, failure.get());
        assertEquals(64L * calls, count(proxy, "calls.ok"));
        assertEquals(32L * calls, count(proxy, "retries"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @Test
    void a_proxy_that_nobody_holds_is_freed_with_its_state() throws InterruptedException {
        String name = "freed with its state";
        var gone = new WeakReference<>(used(name));
        long until = System.nanoTime() + Fixtures.LONG * 1_000_000;
        while (gone.get() != null) {
            assertTrue(System.nanoTime() < until, "the proxy is still reachable");
            System.gc();
            Thread.sleep(5);
        }
        // The state goes with the last proxy of its name; a new one then begins at zero.
        while (count(quick().name(name).build(), "calls.ok") != 0) {
            assertTrue(System.nanoTime() < until, "the state is still there");
            System.gc();
            Thread.sleep(5);
        }
    }

    private static AmbassadorProxy used(String name) {
        var proxy = quick().name(name).build();
        proxy.call(v -> null);
        assertEquals(1, count(proxy, "calls.ok"));
        return proxy;
    }

    @Test
    void proxies_of_one_name_share_their_counters() {
        var one = quick().name("shared").build();
        var other = quick().name("shared").build();
        one.call(v -> null);
        other.call(v -> null);
        assertEquals(2, count(one, "calls.ok"));
    }

    @Test
    void a_function_may_keep_no_proxy_and_the_call_still_ends() {
        // The proxy is reachable through nothing but the call itself.
        for (int call = 0; call < 5; call++) {
            String value = quick().build().call(v -> {
                System.gc();
                return "charged";
            });
            assertEquals("charged", value);
        }
    }
}
