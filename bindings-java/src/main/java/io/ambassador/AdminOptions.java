package io.ambassador;

import java.util.List;

/**
 * How an admin server is to be, beyond its address. Immutable. Values are checked by {@link AmbassadorProxy#serveAdmin}.
 *
 * <pre>{@code
 * AdminOptions inTheCluster = AdminOptions.defaults().remote(true).token(System.getenv("ADMIN_TOKEN")).hosts("shop-admin");
 * }</pre>
 *
 * @param token what who wants to do something, or asks from elsewhere, has to show; null for one that is made
 * @param hosts names by which it is reached, besides {@code localhost} and addresses in numbers
 * @param remote whether others than this machine may be served
 */
public record AdminOptions(String token, List<String> hosts, boolean remote) {
    /**
     * Options.
     *
     * @throws NullPointerException when there are no hosts, or one is null
     */
    public AdminOptions {
        hosts = List.copyOf(hosts);
    }

    /**
     * For this machine only, with a token that is made.
     *
     * @return the options
     */
    public static AdminOptions defaults() {
        return new AdminOptions(null, List.of(), false);
    }

    /**
     * Sets what who wants to do something, or asks from elsewhere, has to show.
     *
     * @param token 16 visible characters of ASCII at least, or null; default null: one is made
     * @return the changed options
     */
    public AdminOptions token(String token) {
        return new AdminOptions(token, hosts, remote);
    }

    /**
     * Sets the names by which it is reached, besides {@code localhost} and addresses in numbers.
     *
     * @param hosts names; default none
     * @return the changed options
     */
    public AdminOptions hosts(String... hosts) {
        return new AdminOptions(token, List.of(hosts), remote);
    }

    /**
     * Sets whether others than this machine may be served, which needs a {@link #token(String)}.
     *
     * @param remote default false: an address that is not a loopback one is refused
     * @return the changed options
     */
    public AdminOptions remote(boolean remote) {
        return new AdminOptions(token, hosts, remote);
    }

    /** Everything but the token (S3). */
    @Override
    public String toString() {
        return "AdminOptions[token=" + (token == null ? "null" : "***") + ", hosts=" + hosts + ", remote=" + remote + "]";
    }
}
