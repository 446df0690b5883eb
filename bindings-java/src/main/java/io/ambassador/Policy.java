package io.ambassador;

import java.time.Duration;
import java.util.Optional;

/**
 * The settings in force of a proxy; {@link AmbassadorProxy#policy} tells them.
 *
 * @param maxRetries attempts in all, the first one included
 * @param timeout the bound of each attempt; empty for none
 * @param deadline the bound of the whole call, waits included; empty for none
 * @param runIn where functions run
 * @param backoff the waits between attempts
 */
public record Policy(
        int maxRetries, Optional<Duration> timeout, Optional<Duration> deadline, RunIn runIn, Waits backoff) {

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

    private static final int NUMBERS = 9;

    /** As the native tells it; see {@code texts.rs}. */
    static Policy of(long proxy) {
        long[] numbers = new long[NUMBERS];
        Native.policy(proxy, numbers);
        var backoff = new Waits(
                Duration.ofNanos(numbers[3]),
                Double.longBitsToDouble(numbers[4]),
                Duration.ofNanos(numbers[5]),
                Jitter.values()[(int) numbers[6]],
                Duration.ofNanos(numbers[7]));
        RunIn runIn = numbers[8] == 1 ? RunIn.WORKER : RunIn.CALLER;
        return new Policy((int) numbers[0], length(numbers[1]), length(numbers[2]), runIn, backoff);
    }

    private static Optional<Duration> length(long nanos) {
        return nanos < 0 ? Optional.empty() : Optional.of(Duration.ofNanos(nanos));
    }
}
