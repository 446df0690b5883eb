package io.ambassador;

import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** One attempt of a call, as its function sees it: {@code proxy.execute(ctx -> …)}. May be used from any thread. */
public final class Attempt {
    private final AmbassadorProxy proxy;
    private final int number;
    private final long until;
    /** What marks all attempts of the call as the same; filled at the first asking. */
    private final long[] id;

    /** Of a first attempt: what the words are made from when they are needed. */
    private final long permit;

    /** The host's span that the call began below. */
    private final String parent;

    private long[] words;
    private String endpoint;
    private volatile boolean givenUp;
    private volatile long hint = Native.NO_HINT;

    private Attempt(AmbassadorProxy proxy, int number, long until, long[] id, long permit, long[] words, String parent) {
        this.proxy = proxy;
        this.permit = permit;
        this.number = number;
        this.until = until;
        this.id = id;
        this.words = words;
        this.parent = parent;
    }

    /** The first attempt of a call that began. */
    static Attempt first(AmbassadorProxy proxy, long permit) {
        return new Attempt(proxy, 1, bound(proxy, permit), new long[2], permit, null, Tracing.present());
    }

    /** When the first attempt of a call must have ended. */
    static long bound(AmbassadorProxy proxy, long permit) {
        return proxy.isBounded ? permit >>> Native.INSTANT_SHIFT : Native.NEVER;
    }

    /** The one attempt of a call that the core does not drive (F1). */
    static Attempt direct(AmbassadorProxy proxy) {
        long[] words = new long[Native.WORDS];
        Native.direct(proxy.handle, words);
        return new Attempt(proxy, 1, Native.NEVER, new long[2], 0, words, Tracing.present());
    }

    /** The attempt that comes after {@code before}, which may be null, of the call of {@code words}, which began below {@code parent}. */
    static Attempt next(AmbassadorProxy proxy, Attempt before, long[] words, String parent) {
        long[] id = before == null ? new long[2] : before.id;
        return new Attempt(proxy, (int) words[Native.ATTEMPT], words[Native.UNTIL], id, 0, words.clone(), parent);
    }

    /**
     * The number of this attempt.
     *
     * @return 1, 2, 3 …
     */
    public int attempt() {
        return number;
    }

    /**
     * Where the attempt goes.
     *
     * @return the address of an endpoint; where there are no endpoints, the target
     */
    public String endpoint() {
        // A call that has an endpoint is more than a permit can tell.
        if (permit != 0) {
            return proxy.target();
        }
        synchronized (id) {
            if (endpoint == null) {
                String chosen = Native.endpoint(proxy.handle, words);
                endpoint = chosen.isEmpty() ? proxy.target() : chosen;
            }
        }
        Reference.reachabilityFence(proxy);
        return endpoint;
    }

    /**
     * What is left until this attempt's bound. Fit to be the timeout of a request.
     *
     * @return the time left, at least 0; empty when nothing bounds the attempt
     */
    public Optional<Duration> remaining() {
        if (until == Native.NEVER) {
            return Optional.empty();
        }
        return Optional.of(Duration.ofNanos(Math.max(0, until - Native.now())));
    }

    /**
     * Whether the caller no longer waits for this attempt: its bound has passed, or the call was cancelled. Long work looks at it
     * from time to time.
     *
     * @return whether its result is not wanted any more
     */
    public boolean cancelled() {
        return givenUp || (until != Native.NEVER && Native.now() >= until);
    }

    /**
     * What to send along: {@code idempotency-key}, the same for all attempts of a call; {@code traceparent};
     * {@code x-ambassador-attempt}; and, when the attempt is bounded, {@code x-ambassador-remaining-ms}.
     *
     * @return names and values, in that order; a new map each time
     */
    public Map<String, String> headers() {
        String lines;
        synchronized (id) {
            if (words == null) {
                words = new long[Native.WORDS];
                Native.first(proxy.handle, permit, words);
            }
            lines = Native.headers(proxy.handle, words, id, parent);
        }
        Reference.reachabilityFence(proxy);
        String[] parts = lines.split("\n");
        var headers = new LinkedHashMap<String, String>();
        for (int at = 0; at + 1 < parts.length; at += 2) {
            headers.put(parts[at], parts[at + 1]);
        }
        return Collections.unmodifiableMap(headers);
    }

    /**
     * Asks for at least that wait before the next attempt, as a server does by {@code Retry-After}.
     *
     * @param wait the wait; null takes it back, and a negative one is ignored
     */
    public void retryAfter(Duration wait) {
        hint = nanos(wait);
    }

    /** When it must have ended. */
    long until() {
        return until;
    }

    /** R3: the wait that was asked for, by this attempt or by the error that it ended with. */
    static long hint(Attempt ctx, Ended<?> ended) {
        return ctx != null && ctx.hint != Native.NO_HINT ? ctx.hint : ended.hint();
    }

    /** The wait that an error asks for. One that cannot tell asks for none, whatever it throws. */
    static long hint(Throwable error) {
        if (error instanceof RetryAfter asks) {
            try {
                return nanos(asks.getRetryAfter());
            } catch (Throwable broken) {
                return Native.NO_HINT;
            }
        }
        return Native.NO_HINT;
    }

    private static long nanos(Duration wait) {
        if (wait == null || wait.isNegative()) {
            return Native.NO_HINT;
        }
        try {
            return wait.toNanos();
        } catch (ArithmeticException centuries) {
            return Long.MAX_VALUE;
        }
    }

    /** The attempt was given up while its function still runs. */
    void giveUp() {
        givenUp = true;
    }

    @Override
    public String toString() {
        return "Attempt " + number + " of " + proxy.target();
    }
}
