package io.ambassador;

/** How the endpoint of an attempt is chosen, among those that are well. */
public enum Balance {
    /** Of two at random, the one with the lower latency times attempts in flight; the default. */
    P2C,
    /** One after the other, by weight. */
    ROUND_ROBIN,
    /** The one with the fewest attempts in flight, by weight. */
    LEAST_REQUEST,
    /** At random, by weight. */
    RANDOM,
    /** By the key that {@link ProxyBuilder#hashOn} names: few keys move when endpoints come and go. */
    RING_HASH,
    /** By the same key, from a table that is quicker to look in; a few more keys move. */
    MAGLEV
}
