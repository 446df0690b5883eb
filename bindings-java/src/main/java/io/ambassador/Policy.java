package io.ambassador;

import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The settings in force of a proxy; {@link AmbassadorProxy#policy} tells them.
 *
 * @param maxRetries attempts in all, the first one included
 * @param timeout the bound of each attempt; empty for none
 * @param deadline the bound of the whole call, waits included; empty for none
 * @param runIn where functions run
 * @param backoff the waits between attempts
 * @param budget the retry budget; empty when it is off
 * @param breaker the circuit breaker; empty when it is off
 * @param bulkhead how many calls run at once; empty for any number
 * @param rateLimit how many calls there may be in a time; empty for any number
 * @param hedge when another attempt begins beside one that takes long; empty for never
 * @param idempotent whether a call may safely be made twice
 * @param hasFallback whether something answers in place of the final error
 */
public record Policy(
        int maxRetries,
        Optional<Duration> timeout,
        Optional<Duration> deadline,
        RunIn runIn,
        Waits backoff,
        Optional<Retries> budget,
        Optional<Circuit> breaker,
        Optional<Places> bulkhead,
        Optional<Rate> rateLimit,
        Optional<Hedges> hedge,
        boolean idempotent,
        boolean hasFallback) {

    /**
     * The waits in force.
     *
     * @param base the wait after the first attempt, before jitter
     * @param factor what each further wait is multiplied by
     * @param max the longest wait
     * @param jitter how waits are spread
     * @param hintMax the longest wait that a server may ask for
     */
    public record Waits(Duration base, double factor, Duration max, Jitter jitter, Duration hintMax) {}

    /**
     * The retry budget in force.
     *
     * @param ratio how many retries each call is good for
     * @param minPerSecond how many retries a second there may be whatever the calls
     * @param window the window over which calls and retries are counted
     */
    public record Retries(double ratio, double minPerSecond, Duration window) {}

    /**
     * The circuit breaker in force.
     *
     * @param failureRate the share of failed attempts from which on it opens
     * @param minCalls how many outcomes the window must hold before rates count
     * @param window the window over which outcomes are counted
     * @param consecutiveFailures after how many failures in a row it opens; empty for never
     * @param slowCall from which length on an attempt is slow; empty for none
     * @param slowRate the share of slow attempts from which on it opens
     * @param openFor how long it stays open the first time
     * @param openMax how long it stays open at most
     * @param probes how many attempts half-open lets through at once
     */
    public record Circuit(
            double failureRate,
            int minCalls,
            Duration window,
            OptionalInt consecutiveFailures,
            Optional<Duration> slowCall,
            double slowRate,
            Duration openFor,
            Duration openMax,
            int probes) {}

    /**
     * The bulkhead in force.
     *
     * @param maxConcurrent how many calls run at once; empty when that is found from latency
     * @param maxQueue how many calls may wait
     * @param queueTimeout how long a call waits at most; empty for as long as an attempt's timeout
     */
    public record Places(OptionalInt maxConcurrent, int maxQueue, Optional<Duration> queueTimeout) {}

    /**
     * The rate limit in force.
     *
     * @param rate how many calls there may be in each {@code per}
     * @param per the time that the rate is meant for
     * @param burst how many calls may come at once; empty for the rate, rounded up
     * @param maxWait how long a call may wait for its turn
     */
    public record Rate(double rate, Duration per, OptionalInt burst, Duration maxWait) {}

    /**
     * The hedge in force.
     *
     * @param after how long an attempt runs before another begins beside it; empty when that is found from latency
     * @param percentile 50, 90, 95 or 99: so long as that share of attempts takes; empty for a length of time
     * @param max how many may begin beside an attempt
     */
    public record Hedges(Optional<Duration> after, OptionalInt percentile, int max) {}

    /** The numbers of a policy, one after the other, as the native tells them; see {@code texts.rs}. */
    private static final class Numbers {
        private final long[] numbers = new long[38];
        private int at;

        Numbers(long proxy) {
            Native.policy(proxy, numbers);
        }

        int whole() {
            return (int) numbers[at++];
        }

        OptionalInt count() {
            int count = whole();
            return count < 1 ? OptionalInt.empty() : OptionalInt.of(count);
        }

        double real() {
            return Double.longBitsToDouble(numbers[at++]);
        }

        Duration length() {
            return Duration.ofNanos(numbers[at++]);
        }

        Optional<Duration> bound() {
            Duration length = length();
            return length.isNegative() ? Optional.empty() : Optional.of(length);
        }

        boolean truth() {
            return whole() == 1;
        }
    }

    // Arguments are evaluated from left to right, as the numbers stand.
    static Policy of(long proxy) {
        var numbers = new Numbers(proxy);
        int maxRetries = numbers.whole();
        var timeout = numbers.bound();
        var deadline = numbers.bound();
        var backoff = new Waits(
                numbers.length(),
                numbers.real(),
                numbers.length(),
                Jitter.values()[numbers.whole()],
                numbers.length());
        RunIn runIn = numbers.whole() == 1 ? RunIn.WORKER : RunIn.CALLER;
        boolean hasFallback = numbers.truth();
        var budget = group(numbers.truth(), new Retries(numbers.real(), numbers.real(), numbers.length()));
        var breaker = group(
                numbers.truth(),
                new Circuit(
                        numbers.real(),
                        numbers.whole(),
                        numbers.length(),
                        numbers.count(),
                        numbers.bound(),
                        numbers.real(),
                        numbers.length(),
                        numbers.length(),
                        numbers.whole()));
        var bulkhead = group(numbers.truth(), new Places(numbers.count(), numbers.whole(), numbers.bound()));
        var rateLimit = group(
                numbers.truth(), new Rate(numbers.real(), numbers.length(), numbers.count(), numbers.length()));
        var hedge = group(numbers.truth(), new Hedges(numbers.bound(), numbers.count(), numbers.whole()));
        boolean idempotent = numbers.truth();
        return new Policy(
                maxRetries,
                timeout,
                deadline,
                runIn,
                backoff,
                budget,
                breaker,
                bulkhead,
                rateLimit,
                hedge,
                idempotent,
                hasFallback);
    }

    private static <G> Optional<G> group(boolean isOn, G group) {
        return isOn ? Optional.of(group) : Optional.empty();
    }
}
