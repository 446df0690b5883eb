package io.ambassador.testing;

import io.ambassador.AmbassadorProxy;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;

/**
 * Virtual time: waits pass at once, and the ambassador's clock moves only by them and by {@link #advance}. For all proxies of this
 * class loader, so tests that use it run one at a time. Time is real again when this is closed.
 *
 * <pre>{@code
 * try (var time = VirtualTime.start()) {
 *     var charge = Script.failing(new IOException("Payment API unreachable"), 2).then("charged");
 *     payments.execute(charge);
 *     assertEquals(List.of(Duration.ofSeconds(2), Duration.ofSeconds(4)), time.waits());
 * }
 * }</pre>
 *
 * <p>Bounds hold in virtual time too: a function that moves the clock beyond its bound has timed out when it ends. One that really
 * hangs is not interrupted.
 *
 * <p>With JUnit 5, {@link VirtualTimeExtension} gives one to each test.
 */
public final class VirtualTime implements AutoCloseable {
    private static VirtualTime present;

    private VirtualTime() {}

    /**
     * From now on time is virtual, and no wait has been waited.
     *
     * @return the time, to be closed
     * @throws IllegalStateException when it is virtual already: a test that runs beside another would see its time
     */
    public static VirtualTime start() {
        // Loads the library.
        AmbassadorProxy.version();
        synchronized (VirtualTime.class) {
            if (present != null) {
                throw new IllegalStateException("time is virtual already: tests in virtual time run one at a time");
            }
            set(true);
            present = new VirtualTime();
            return present;
        }
    }

    /**
     * Moves time on. Does nothing once this is closed.
     *
     * @param length how far; from 0
     */
    public void advance(Duration length) {
        synchronized (VirtualTime.class) {
            if (length.isNegative()) {
                throw new IllegalArgumentException("time does not move by " + length);
            }
            if (present == this) {
                move(length.toNanos());
            }
        }
    }

    /**
     * How long time has been virtual.
     *
     * @return the time passed, in virtual time; zero once this is closed
     */
    public Duration elapsed() {
        synchronized (VirtualTime.class) {
            return present == this ? Duration.ofNanos(Math.max(0, passed())) : Duration.ZERO;
        }
    }

    /**
     * The waits so far: between attempts, for a turn, in a queue.
     *
     * @return the waits, in their order
     */
    public List<Duration> waits() {
        synchronized (VirtualTime.class) {
            return present == this ? Arrays.stream(waited()).mapToObj(Duration::ofNanos).toList() : List.of();
        }
    }

    /** Time is real again. Does nothing when it is. */
    @Override
    public void close() {
        synchronized (VirtualTime.class) {
            if (present == this) {
                set(false);
                present = null;
            }
        }
    }

    private static native void set(boolean isVirtual);

    private static native void move(long length);

    private static native long passed();

    private static native long[] waited();
}
