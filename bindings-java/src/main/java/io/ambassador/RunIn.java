package io.ambassador;

/** Where functions run. */
public enum RunIn {
    /**
     * On the caller's own thread, so that thread-locals, logging contexts and transactions are there. At its bound the thread is
     * interrupted, which is how Java asks a thread to stop: sleeps, waits, locks, channels and {@code java.net.http} heed it.
     */
    CALLER,
    /**
     * On another thread, a virtual one where the JVM has them; the caller waits. It always gets control back at the bound,
     * whatever the function does; a function that goes on is interrupted and left to itself. Thread-locals of the caller are not
     * there.
     */
    WORKER
}
