package io.ambassador;

/**
 * A function that makes one attempt and knows which; for {@link AmbassadorProxy#execute}.
 *
 * @param <T> what it returns
 */
@FunctionalInterface
public interface AttemptFunction<T> {
    /**
     * Makes an attempt.
     *
     * @param ctx the attempt
     * @return the value
     * @throws Exception when the attempt failed
     */
    T apply(Attempt ctx) throws Exception;
}
