package io.ambassador.testing;

import io.ambassador.Attempt;
import io.ambassador.AttemptFunction;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A function by script: each time it is called it throws or returns what comes next, and it keeps what it was called with. After its
 * last end it repeats that. Fits every way of calling a proxy.
 *
 * <pre>{@code
 * var charge = Script.failing(new IOException("Payment API unreachable"), 2).then("charged");
 * payments.execute(charge);
 * assertEquals(3, charge.calls());
 * }</pre>
 *
 * @param <T> what it returns
 */
public final class Script<T> implements AttemptFunction<T>, Function<Void, T>, Supplier<T>, Callable<T> {
    private record End(Object value, Throwable error) {}

    private final List<End> ends;
    private final List<Attempt> attempts = new ArrayList<>();
    private int calls;

    private Script(List<End> ends) {
        this.ends = ends;
    }

    /**
     * A script that throws so often, and then what {@link Failing#then} says.
     *
     * @param error what it throws: an exception, checked or not, or an {@link Error}
     * @param times how often; from 1
     * @return the first part of the script
     */
    public static Failing failing(Throwable error, int times) {
        if (times < 1) {
            throw new IllegalArgumentException("a script fails 1 time or more, not " + times);
        }
        return new Failing(Collections.nCopies(times, new End(null, error)));
    }

    /**
     * A script that throws what is a {@link Throwable} and returns what is not, one after the other.
     *
     * @param ends at least one
     * @param <T> what it returns
     * @return the script
     */
    public static <T> Script<T> of(Object... ends) {
        if (ends.length == 0) {
            throw new IllegalArgumentException("a script needs at least one end");
        }
        var all = new ArrayList<End>();
        for (Object end : ends) {
            all.add(end instanceof Throwable error ? new End(null, error) : new End(end, null));
        }
        return new Script<>(all);
    }

    /** A script that fails, and does not say yet what comes then. */
    public static final class Failing {
        private final List<End> ends;

        private Failing(List<End> ends) {
            this.ends = ends;
        }

        /**
         * The script that returns this after it has failed.
         *
         * @param value what it returns from then on
         * @param <T> its type
         * @return the script
         */
        public <T> Script<T> then(T value) {
            var all = new ArrayList<>(ends);
            all.add(new End(value, null));
            return new Script<>(all);
        }

        /**
         * The script that fails so often as well.
         *
         * @param error what it throws
         * @param times how often; from 1
         * @return the script so far
         */
        public Failing thenFailing(Throwable error, int times) {
            var all = new ArrayList<>(ends);
            all.addAll(failing(error, times).ends);
            return new Failing(all);
        }

        /**
         * The script that goes on failing as it did last.
         *
         * @param <T> what it would return
         * @return the script
         */
        public <T> Script<T> forEver() {
            return new Script<>(ends);
        }
    }

    /**
     * How often it was called.
     *
     * @return so often
     */
    public synchronized int calls() {
        return calls;
    }

    /**
     * The attempts that it was called with, by {@code execute} and {@code executeAsync}.
     *
     * @return the attempts, in their order
     */
    public synchronized List<Attempt> attempts() {
        return List.copyOf(attempts);
    }

    @Override
    public T apply(Attempt ctx) throws Exception {
        synchronized (this) {
            attempts.add(ctx);
        }
        return call();
    }

    @Override
    public T apply(Void nothing) {
        return get();
    }

    @Override
    public T call() throws Exception {
        return get();
    }

    @Override
    @SuppressWarnings("unchecked")
    public T get() {
        End end;
        synchronized (this) {
            end = ends.get(Math.min(calls, ends.size() - 1));
            calls++;
        }
        if (end.error() != null) {
            throw Script.<RuntimeException>asItIs(end.error());
        }
        return (T) end.value();
    }

    /** Throws what the compiler would have declared. */
    @SuppressWarnings("unchecked")
    private static <E extends Throwable> E asItIs(Throwable error) throws E {
        throw (E) error;
    }
}
