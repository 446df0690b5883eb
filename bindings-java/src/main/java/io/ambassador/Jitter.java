package io.ambassador;

/** How waits are spread, so that clients which failed together do not come back together. */
public enum Jitter {
    /** Uniform between 0 and the scheduled wait; the default. */
    FULL,
    /** Half of the scheduled wait, plus uniform between 0 and the other half. */
    EQUAL,
    /** Uniform between the base and three times the wait before, at most the longest wait. */
    DECORRELATED,
    /** The scheduled wait itself: 2 s, 4 s, 8 s. */
    NONE
}
