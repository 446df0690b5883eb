package io.ambassador;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** How a request failed, as a message tells it. */
final class Failure {
    private static final int FIXED = 32;

    private Failure() {}

    /** The handle of what the fallback's end is to be told to; 0 for nothing (H2). */
    static long answering(byte[] message) {
        return ByteBuffer.wrap(message).getLong(8);
    }

    static AmbassadorException of(AmbassadorProxy proxy, byte[] message, Throwable cause) {
        var numbers = ByteBuffer.wrap(message);
        return AmbassadorException.of(
                Native.nameOf(message[1]),
                new String(message, FIXED, message.length - FIXED, StandardCharsets.UTF_8),
                proxy.target(),
                numbers.getInt(4),
                numbers.getLong(16),
                numbers.getLong(24),
                cause);
    }

    /** The response could not be taken, by what its body was given to. */
    static AmbassadorException untaken(AmbassadorProxy proxy, Throwable cause) {
        if (cause instanceof AmbassadorException own) {
            return own;
        }
        return AmbassadorException.of(
                "BODY", proxy.target() + ": the response's body was not taken: " + cause, proxy.target(), 1, 0, -1, cause);
    }
}
