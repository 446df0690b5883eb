package io.ambassador;

/** Tells what the end of an attempt means; for {@link ProxyBuilder#classify}. */
@FunctionalInterface
public interface Classifier {
    /**
     * Classifies the end of an attempt.
     *
     * @param value what the function returned; null when it threw
     * @param error what the function threw; null when it returned
     * @return the outcome, or null for what it would be without this classifier
     * @throws Exception that ends the call, in place of the attempt's own error
     */
    Outcome classify(Object value, Throwable error) throws Exception;
}
