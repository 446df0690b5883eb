package io.ambassador;

/**
 * Whence a response came. Every response of {@link AmbassadorProxy#send} is one, unless a fallback has answered.
 *
 * <pre>{@code
 * if (response instanceof Served served && served.attempts() > 1) { … }
 * }</pre>
 */
public interface Served {
    /**
     * How many attempts there were.
     *
     * @return 1, 2, 3 …
     */
    int attempts();

    /**
     * The endpoint that it came from.
     *
     * @return its URL, as it was given
     */
    String endpoint();
}
