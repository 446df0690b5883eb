package io.ambassador;

import java.time.Duration;

/** An exception that knows how long to wait before the next attempt, as a server says by {@code Retry-After}. */
public interface RetryAfter {
    /**
     * The least wait before the next attempt.
     *
     * @return the wait; null or a negative one stands for none
     */
    Duration getRetryAfter();
}
