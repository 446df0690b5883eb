package io.ambassador;

/** Whether requests get an {@code Idempotency-Key}, and so may be repeated whatever their method. */
public enum IdempotencyKey {
    /** None is added; the default. */
    OFF,
    /** One for each call, the same for all its attempts. */
    AUTO
}
