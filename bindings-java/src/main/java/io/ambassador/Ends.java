package io.ambassador;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * What the attempts of a hedged call brought (H1). In real time each is recorded when it ends. In virtual time they run one after the
 * other, and which of them ended, and in which order, is known when the core tells anything but to run the next.
 */
final class Ends<T> {
    /** How one ended in virtual time; {@code at} is its bound where it came too late. */
    private record End<T>(int number, long at, Ended<T> ended, boolean isLate) {}

    private final Call<T> call;
    private final List<End<T>> unrecorded = new ArrayList<>();

    Ends(Call<T> call) {
        this.call = call;
    }

    /** An attempt ended so; what the core decides. */
    long settle(Attempt ctx, Ended<T> ended) {
        if (!call.isVirtual()) {
            long decision = call.settle(ctx, ended);
            call.record(ended);
            return decision;
        }
        long now = Native.now();
        boolean isLate = now > ctx.until() && ended.outcome() != Native.CANCELLED;
        unrecorded.add(new End<>(ctx.attempt(), isLate ? ctx.until() : now, ended, isLate));
        long decision = call.settle(ctx, ended);
        if (decision != Native.RUN) {
            record();
        }
        return decision;
    }

    /** Those that ended before the one that the core means, and that one. The others lost, whatever they brought. */
    private void record() {
        unrecorded.sort(Comparator.<End<T>>comparingLong(End::at).thenComparingInt(End::number));
        for (End<T> end : unrecorded) {
            call.record(end.ended(), end.isLate());
            if (end.number() == call.words[Native.ENDED]) {
                break;
            }
        }
        unrecorded.clear();
    }
}
