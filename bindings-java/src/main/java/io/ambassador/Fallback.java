package io.ambassador;

import java.net.http.HttpResponse;

/** What answers in place of a request's error (H2). */
final class Fallback {
    private Fallback() {}

    /** The fallback's answer to the failure, or the error itself. Runs code of the user's. */
    static <T> HttpResponse<T> answered(Sending sending, byte[] message) {
        AmbassadorException error = sending.error(message);
        Object answer = answer(sending, message, error);
        @SuppressWarnings("unchecked")
        var response = (HttpResponse<T>) answer;
        return response;
    }

    /** What the fallback gives: a response, or for requests that nobody waits for also a stage of one. */
    static Object answer(Sending sending, byte[] message, AmbassadorException error) {
        long answering = Failure.answering(message);
        if (answering == 0 || sending.proxy.fallback == null) {
            Native.answer(answering, false);
            throw error;
        }
        boolean isWell = false;
        try {
            Object answer = sending.proxy.fallback.apply(error);
            isWell = true;
            return answer;
        } catch (Throwable thrown) {
            throw asItIs(thrown instanceof Error ? thrown : Call.chained(thrown, error));
        } finally {
            Native.answer(answering, isWell);
            Aftermath.attend(sending.proxy);
        }
    }

    /** Throws what the compiler would have declared. */
    static RuntimeException asItIs(Throwable error) {
        throw Fallback.<RuntimeException>unchecked(error);
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> E unchecked(Throwable error) throws E {
        throw (E) error;
    }
}
