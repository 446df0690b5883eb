package io.ambassador;

/** What the end of an attempt means. */
public enum Outcome {
    /** A success; its value, or its error, is handed back as it is. */
    OK,
    /** A failure that may be tried again. */
    RETRY,
    /** A failure that may not. */
    FAIL
}
