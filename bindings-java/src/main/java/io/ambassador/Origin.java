package io.ambassador;

import java.net.URI;
import java.util.Locale;

/**
 * Where a target is, as URIs say it: requests go to it by their path alone.
 *
 * @param scheme null where the target does not say
 * @param authority its host, and its port if one was given, in lower case
 * @param basePath what comes before the path of every request, without a slash at its end
 */
record Origin(String scheme, String authority, String basePath) {
    static Origin of(String target) {
        int at = target.indexOf("://");
        String scheme = at < 0 ? null : target.substring(0, at);
        String rest = at < 0 ? target : target.substring(at + 3);
        int slash = rest.indexOf('/');
        String authority = slash < 0 ? rest : rest.substring(0, slash);
        String path = slash < 0 ? "" : rest.substring(slash);
        while (path.endsWith("/")) {
            path = path.substring(0, path.length() - 1);
        }
        return new Origin(scheme, authority.toLowerCase(Locale.ROOT), path);
    }

    /** The URI of a path, and perhaps a query, of the target's. */
    URI uri(String path) {
        if (!path.startsWith("/")) {
            throw new IllegalArgumentException("a path begins with /: " + path);
        }
        return URI.create((scheme == null ? "https" : scheme) + "://" + authority + basePath + path);
    }

    /** Path and query of a URI, after the target's own path. */
    String path(URI uri) {
        if (!isOf(uri)) {
            // Without its query, for there may be secrets in it (S3).
            throw new IllegalArgumentException("the request is for " + uri.getScheme() + "://" + uri.getHost()
                    + (uri.getPort() < 0 ? "" : ":" + uri.getPort()) + uri.getRawPath() + ", which is not at "
                    + uri("/") + "; make its URI by proxy.uri(\"/path\")");
        }
        URI ascii = uri.toString().chars().allMatch(letter -> letter < 128) ? uri : URI.create(uri.toASCIIString());
        String path = ascii.getRawPath().substring(basePath.length());
        String query = ascii.getRawQuery();
        return (path.isEmpty() ? "/" : path) + (query == null ? "" : "?" + query);
    }

    private boolean isOf(URI uri) {
        String given = uri.getScheme();
        if (given == null || uri.getHost() == null) {
            return false;
        }
        given = given.toLowerCase(Locale.ROOT);
        boolean isHttp = scheme == null ? given.equals("https") || given.equals("http") : given.equals(scheme);
        String port = uri.getPort() < 0 ? "" : ":" + uri.getPort();
        String own = plain(given, authority);
        String path = uri.getRawPath();
        return isHttp
                && own.equals(plain(given, uri.getHost().toLowerCase(Locale.ROOT) + port))
                && path.startsWith(basePath)
                && (path.length() == basePath.length() || path.charAt(basePath.length()) == '/');
    }

    /** Without the port that the scheme has anyway. */
    private static String plain(String scheme, String authority) {
        String port = scheme.equals("https") ? ":443" : ":80";
        return authority.endsWith(port) ? authority.substring(0, authority.length() - port.length()) : authority;
    }
}
