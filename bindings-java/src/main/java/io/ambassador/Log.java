package io.ambassador;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;

/** The lines of retries (R7) and of listeners that throw (F5), through {@link System.Logger}, by the name {@code ambassador}. */
final class Log {
    private Log() {}

    private static final class Lazy {
        static final Logger LOGGER = System.getLogger("ambassador");
    }

    /** A logger that throws, or an error whose message does, changes nothing for the call (F5). */
    static void retry(AmbassadorProxy proxy, long[] words, Throwable error) {
        try {
            // Said even when the level is off: the core tells its own listeners as well.
            String line = Native.retryLine(proxy.handle, words, text(proxy, words, error));
            Lazy.LOGGER.log(Level.WARNING, line);
        } catch (Throwable broken) {
            // A broken logger has nobody to be told to.
        }
    }

    /** The same, of a line that the core has made already. */
    static void line(String line) {
        try {
            Lazy.LOGGER.log(Level.WARNING, line);
        } catch (Throwable broken) {
            // A broken logger has nobody to be told to.
        }
    }

    private static String text(AmbassadorProxy proxy, long[] words, Throwable error) {
        if (error == null) {
            boolean isTimeout = words[Native.LAST] == Native.TIMEOUT;
            return isTimeout ? Native.errorMessage(proxy.handle, Native.TIMEOUT_CODE, words) : "the value is to be tried again";
        }
        String message = error.getMessage();
        return message == null || message.isBlank() ? error.toString() : message;
    }

    /** F5: a listener threw; said, and that is all. */
    static void broken(Throwable thrown) {
        try {
            Lazy.LOGGER.log(Level.ERROR, "a listener of the ambassador's events threw", thrown);
        } catch (Throwable broken) {
            // A broken logger has nobody to be told to.
        }
    }
}
