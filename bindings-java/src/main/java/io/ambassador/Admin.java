package io.ambassador;

import java.lang.ref.Reference;

/**
 * An admin server, as {@link AmbassadorProxy#serveAdmin} begins it. It serves until it is closed or the JVM ends, also when nobody
 * holds this, and keeps no JVM alive.
 */
public final class Admin implements AutoCloseable {
    private final long handle;
    private final String address;
    private final String token;

    Admin(long handle) {
        this.handle = handle;
        String[] told = Native.adminAddress(handle);
        address = told[0];
        token = told[1];
        Native.CLEANER.register(this, () -> Native.freeAdmin(handle));
    }

    /**
     * Where it answers.
     *
     * @return an address and a port, such as {@code 127.0.0.1:9901}
     */
    public String address() {
        return address;
    }

    /**
     * The address of the page.
     *
     * @return such as {@code http://127.0.0.1:9901/}
     */
    public String url() {
        return "http://" + address + "/";
    }

    /**
     * What has to be shown to do something there: {@code authorization: Bearer …}.
     *
     * @return the token
     */
    public String token() {
        return token;
    }

    /**
     * Whether it still answers.
     *
     * @return false once it was closed
     */
    public boolean isServing() {
        try {
            return Native.adminServes(handle);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Ends it, with all its connections; the address is free then. Said again, it does nothing. */
    @Override
    public void close() {
        try {
            Native.adminStop(handle);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Where it answers; not the token (S3). */
    @Override
    public String toString() {
        return "Admin[" + url() + "]";
    }
}
