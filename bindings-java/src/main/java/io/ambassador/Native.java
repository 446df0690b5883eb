package io.ambassador;

import java.lang.ref.Cleaner;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The natives: plain numbers and texts to the core and back. Whoever calls one has made sure by {@link NativeLibrary#load} that the
 * library is there, and keeps the owner of a handle reachable until it returns.
 */
final class Native {
    /** Outcomes of attempts, as the core numbers them (A1). */
    static final int OK = 0;

    static final int RETRY = 1;
    static final int FAIL = 2;
    static final int TIMEOUT = 3;
    static final int CANCELLED = 4;

    /** {@link #begin}: the core failed; run the function once and settle nothing (F1). */
    static final long DIRECT = -1;

    /** {@link #returned}: the call is over, and its caller gets the value. */
    static final long GIVEN = -1;

    /** A decision: run the next attempt. A positive one: wait until that instant. A negative one: the call is over. */
    static final long RUN = 0;

    /** A decision: others of the call's attempts still run (H1). */
    static final long AWAIT = Long.MIN_VALUE;

    /** How far above its lowest bit the instant of a positive answer of {@link #begin} starts; below it is the core's. */
    static final int INSTANT_SHIFT = 8;

    /** No hint (R3). */
    static final long NO_HINT = -1;

    /** The instant that never comes. */
    static final long NEVER = Long.MAX_VALUE;

    /** How many numbers are kept of a call, and the places of those that Java reads. */
    static final int WORDS = 17;

    static final int ENTERED = 0;
    static final int DECIDED = 10;
    static final int ATTEMPT = 11;
    static final int UNTIL = 12;
    static final int LAST = 13;
    static final int RETRY_AFTER = 14;
    static final int FLAGS = 15;
    static final int ENDED = 16;

    /** A flag: something may still answer in place of the call's error (H2). */
    static final long ANSWERING = 1;

    /** A flag: it waits for a place in the bulkhead, which may come free early. */
    static final long QUEUED = 2;

    /** A flag: time is virtual, and bounds are not armed. */
    static final long VIRTUAL = 4;

    /** {@link #note}: what is noted. */
    static final int LATE = 0;

    static final int ABANDONED = 1;
    static final int ABANDONED_ENDED = 2;

    /** {@link #give}: the value of the attempt that just ended, or the error of the last one; above, an error of a code. */
    static final int VALUE = 0;

    static final int LAST_ERROR = 1;

    /** The place of {@code TIMEOUT} among the codes. */
    static final int TIMEOUT_CODE = 0;

    /** The place of {@code INTERNAL} among the codes. */
    static final int INTERNAL_CODE = 5;

    /** A decision: over, because control flow ended the call. */
    static final long STOPPED = -(1 + 5 + 16);

    private static final Map<Integer, String> CODE_NAMES = new ConcurrentHashMap<>();

    /** Frees the handles of proxies that nobody holds any more. */
    static final Cleaner CLEANER = Cleaner.create();

    private Native() {}

    /** What the caller gets when the call is over; the inverse of the core's packing. */
    static int give(long decision) {
        return (int) (-(decision + 1) / 16);
    }

    /** The place of the code of a {@link #give} above {@link #LAST_ERROR}. */
    static int code(int give) {
        return give - 2;
    }

    /** The name of the code at that place, such as {@code TIMEOUT}; asked for once. */
    static String nameOf(int code) {
        return CODE_NAMES.computeIfAbsent(code, Native::codeName);
    }

    static native long now();

    static native long begin(long proxy);

    /** The same below a span of the host's: {@link Tracing.Source#present}. */
    static native long beginWithin(long proxy, String parent);

    /** Whether calls have spans of their own. */
    static native boolean hasSpans();

    /** The function of a first attempt returned, and nobody needs to judge its value. {@link #GIVEN}, or what {@link #stands} tells. */
    static native long returned(long proxy, long permit);

    /** Once for each other answer of these two: how the call stands, and what to do. */
    static native long stands(long proxy, long answer, long[] words);

    static native long settleFirst(long proxy, long permit, int outcome, long hint, long[] words);

    static native long settle(long proxy, long[] words, int outcome, long hint);

    /** The attempt of that number ended, of a call of which several may run (H1). */
    static native long settleAttempt(long proxy, long[] words, int number, int outcome, long hint);

    /** Whether another attempt begins now beside those that run: {@link #RUN}, or when to ask again; perhaps {@link #NEVER}. */
    static native long hedge(long proxy, long[] words);

    static native long resume(long proxy, long[] words);

    static native void cancel(long proxy, long[] words);

    static native void answered(long proxy, long[] words, boolean well);

    static native void isolate(long proxy, boolean open);

    static native void note(long proxy, int what);

    static native void wakeAtTurn(long proxy, long[] words, long number);

    static native int woken(long[] into);

    static native boolean pass(long until);

    static native void keepEvents(long proxy);

    static native String events(long proxy);

    static native void direct(long proxy, long[] words);

    static native void first(long proxy, long permit, long[] words);

    static native long draft(String target, String[] wrong);

    static native boolean set(long draft, String field, String[] value, String[] wrong);

    static native long build(long draft, String[] wrong);

    static native boolean setEndpoints(long proxy, String[] endpoints, String[] wrong);

    static native void discard(long draft);

    static native void free(long proxy);

    static native String retryLine(long proxy, long[] words, String error);

    static native String errorMessage(long proxy, int code, long[] words);

    private static native String codeName(int code);

    static native String headers(long proxy, long[] words, long[] id, String parent);

    static native String endpoint(long proxy, long[] words);

    static native String policyJson(long proxy);

    static native String[] effectivePolicy(long proxy);

    static native String health(long proxy);

    static native String name(long proxy);

    static native String settings();

    static native String version();

    static native void policy(long proxy, long[] into);

    static native String[] network(long proxy);

    /** A request begins; the answer is the handle of the exchange, or 0 when it is none of HTTP. See {@code requests.rs}. */
    static native long send(
            long proxy, byte[] head, byte[] body, long feed, long length, int flags, long timeout, long deadline, long ticket, String parent);

    static native byte[] await(long exchange, long ticket);

    static native void wake(long exchange);

    static native void release(long exchange, boolean cancels);

    static native int mail(long term, long[] tickets, byte[][] messages);

    static native void pull(long incoming);

    static native void leave(long incoming);

    static native void answer(long answering, boolean well);

    static native long feed(long ticket);

    static native void feedPiece(long feed, byte[] piece);

    static native void feedEnd(long feed, String why);

    static native String endNote(long proxy, long[] words, long decision);

    static native boolean shutdown(long slice, long left);

    static native boolean configure(String pathOrText, String[] wrong);

    static native void beginTelemetry();

    static native String snapshot();

    static native String metrics(String format, String[] wrong);

    static native long serveAdmin(String address, String token, String hosts, boolean remote, String[] wrong);

    static native String[] adminAddress(long admin);

    static native boolean adminServes(long admin);

    static native void adminStop(long admin);

    static native void freeAdmin(long admin);

    /** For tests. */
    static native void injectPanic(String at);

    static native void seedJitter(long proxy, long seed);
}
