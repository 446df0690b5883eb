package io.ambassador;

import static io.ambassador.Fixtures.allFailed;
import static io.ambassador.Fixtures.count;
import static io.ambassador.Fixtures.milliseconds;
import static io.ambassador.Fixtures.quick;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.api.Test;

/** What a function sees of its attempt, and what it may ask for. */
class AttemptTest {
    private static List<Attempt> threeAttempts(AmbassadorProxy proxy) {
        var attempts = new ArrayList<Attempt>();
        proxy.execute(ctx -> {
            attempts.add(ctx);
            if (attempts.size() < 3) {
                throw new IllegalStateException("again");
            }
            return null;
        });
        return attempts;
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void an_attempt_knows_its_number_its_endpoint_and_what_is_left(RunIn place) {
        var proxy = quick().timeout(Duration.ofMinutes(1)).runIn(place).build();
        var numbers = new ArrayList<Integer>();
        proxy.execute(ctx -> {
            numbers.add(ctx.attempt());
            assertEquals("payment-api.example.com", ctx.endpoint());
            assertFalse(ctx.cancelled());
            var left = ctx.remaining().orElseThrow();
            assertTrue(left.compareTo(Duration.ofMinutes(1)) <= 0 && left.compareTo(Duration.ZERO) > 0, left.toString());
            if (ctx.attempt() < 3) {
                throw new IllegalStateException("again");
            }
            return null;
        });
        assertEquals(List.of(1, 2, 3), numbers);
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void the_idempotency_key_is_the_same_in_all_attempts_of_a_call_and_another_in_the_next(RunIn place) {
        var proxy = quick().runIn(place).build();
        var keys = new ArrayList<String>();
        for (int call = 0; call < 2; call++) {
            proxy.execute(ctx -> {
                keys.add(ctx.headers().get("idempotency-key"));
                if (ctx.attempt() < 3) {
                    throw new IllegalStateException("again");
                }
                return null;
            });
        }
        assertEquals(1, keys.subList(0, 3).stream().distinct().count(), keys.toString());
        assertEquals(1, keys.subList(3, 6).stream().distinct().count(), keys.toString());
        assertNotEquals(keys.get(0), keys.get(3));
        assertTrue(keys.get(0).matches("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"), keys.get(0));
    }

    @Test
    void headers_are_one_trace_with_a_span_for_each_attempt() {
        List<Map<String, String>> headers = threeAttempts(quick().build()).stream().map(Attempt::headers).toList();
        for (int at = 0; at < 3; at++) {
            assertEquals(
                    List.of("idempotency-key", "traceparent", "x-ambassador-attempt", "x-ambassador-remaining-ms"),
                    List.copyOf(headers.get(at).keySet()));
            assertEquals(String.valueOf(at + 1), headers.get(at).get("x-ambassador-attempt"));
        }
        var traces = headers.stream().map(of -> of.get("traceparent")).toList();
        assertEquals(3, traces.stream().distinct().count());
        assertEquals(1, traces.stream().map(trace -> trace.substring(0, 36)).distinct().count());
    }

    @Test
    void without_a_bound_nothing_remains_and_no_header_says_so() {
        var proxy = quick().timeout(null).build();
        proxy.execute(ctx -> {
            assertEquals(Optional.empty(), ctx.remaining());
            assertFalse(ctx.cancelled());
            assertFalse(ctx.headers().containsKey("x-ambassador-remaining-ms"));
            return null;
        });
    }

    @Test
    void an_attempt_goes_on_seeing_its_own_number_when_the_next_runs() {
        var attempts = threeAttempts(quick().build());
        assertEquals(List.of(1, 2, 3), attempts.stream().map(Attempt::attempt).toList());
        assertEquals("1", attempts.get(0).headers().get("x-ambassador-attempt"));
    }

    @Test
    void headers_cannot_be_changed_for_others() {
        quick().build().execute(ctx -> {
            assertThrows(UnsupportedOperationException.class, () -> ctx.headers().put("authorization", "x"));
            return null;
        });
    }

    @Test
    void a_hint_raises_the_wait() {
        var proxy = quick().maxRetries(2).build();
        double took = milliseconds(() -> allFailed(() -> proxy.execute(ctx -> {
            ctx.retryAfter(Duration.ofMillis(80));
            throw new IllegalStateException("503");
        })));
        assertTrue(took >= 80, took + " ms");
    }

    private static final class Busy extends Exception implements RetryAfter {
        private static final long serialVersionUID = 1L;

        @Override
        public Duration getRetryAfter() {
            return Duration.ofMillis(80);
        }
    }

    @Test
    void an_error_that_knows_when_to_come_again_is_a_hint() {
        var proxy = quick().maxRetries(2).build();
        double took = milliseconds(() -> allFailed(() -> proxy.callCallable(() -> {
            throw new Busy();
        })));
        assertTrue(took >= 80, took + " ms");
    }

    @Test
    void garbage_is_no_hint() {
        var proxy = quick().build();
        for (Duration garbage : Arrays.asList(null, Duration.ofSeconds(-5), Duration.ZERO)) {
            double took = milliseconds(() -> allFailed(() -> proxy.execute(ctx -> {
                ctx.retryAfter(garbage);
                throw new IllegalStateException("503");
            })));
            assertTrue(took < Fixtures.LONG);
        }
        assertEquals(6, count(proxy, "retries"));
    }

    @ParameterizedTest
    @EnumSource(RunIn.class)
    void an_error_that_cannot_tell_its_hint_is_a_failure_like_others(RunIn place) {
        var proxy = quick().runIn(place).build();
        for (Throwable broken : List.of(new IllegalStateException("no date"), new StackOverflowError())) {
            var asks = new Fixtures.Asks(() -> {
                throw AttemptTest.<RuntimeException>asItIs(broken);
            });
            var error = allFailed(() -> proxy.callCallable(() -> {
                throw asks;
            }));
            assertSame(asks, error.getCause());
        }
        assertEquals(4, count(proxy, "retries"));
        assertEquals(0, count(proxy, "in_flight"));
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> E asItIs(Throwable error) throws E {
        throw (E) error;
    }

    @Test
    void a_hint_that_is_too_long_ends_the_call() {
        var proxy = quick().backoff(Backoff.none().hintMax(Duration.ofMillis(50))).build();
        for (Duration hint : List.of(Duration.ofNanos(50_000_001), Duration.ofSeconds(Long.MAX_VALUE))) {
            var error = allFailed(() -> proxy.execute(ctx -> {
                ctx.retryAfter(hint);
                throw new IllegalStateException("503");
            }));
            assertTrue(error.getSuppressed()[0].toString().endsWith("longer wait than hint_max"), error.getSuppressed()[0].toString());
        }
        assertEquals(0, count(proxy, "retries"));
    }
}
