package io.ambassador;

import java.util.function.Predicate;

/** A2: what tells outcomes apart, beside the default that a value is a success and any exception may be tried again. */
record Rules(Predicate<? super Throwable> retryOn, Predicate<? super Throwable> notOn, Classifier classifier) {
    /** The outcome's number in the core. */
    int outcome(Object value, Throwable error) throws Exception {
        if (classifier != null) {
            Outcome outcome = classifier.classify(value, error);
            if (outcome != null) {
                return outcome.ordinal();
            }
        }
        if (error == null) {
            return Native.OK;
        }
        boolean isExcluded = notOn != null && notOn.test(error);
        return isExcluded || (retryOn != null && !retryOn.test(error)) ? Native.FAIL : Native.RETRY;
    }
}
