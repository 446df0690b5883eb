package io.ambassador;

import java.io.IOException;
import java.net.Authenticator;
import java.net.CookieHandler;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.PushPromiseHandler;
import java.net.http.HttpTimeoutException;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;

/**
 * An {@link HttpClient} whose requests the ambassador makes: a program that takes an {@code HttpClient} gets retries, timeouts,
 * breaker, budget and load balancing without any other change.
 *
 * <pre>{@code
 * HttpClient client = AmbassadorHttpClient.of(origin -> origin.maxRetries(5).timeoutMs(800));
 * }</pre>
 *
 * <p>There is a proxy for each origin, made at its first request, or one for a single origin. What the ambassador throws comes as the
 * {@link IOException} that callers of {@code HttpClient} expect, with the {@link AmbassadorException} as its cause:
 *
 * <ul>
 *   <li>{@link HttpTimeoutException} for {@code TIMEOUT} and {@code DEADLINE}
 *   <li>{@link java.net.ConnectException} for {@code CONNECT} and {@code NO_ENDPOINT}
 *   <li>{@link SSLException} for {@code TLS}
 *   <li>{@link IOException} for all others
 * </ul>
 *
 * <p>Cookies, authenticators, proxies, an SSL context and pushes of HTTP/2 are not the client's: {@link ProxyBuilder#headers},
 * {@link ProxyBuilder#auth}, {@link ProxyBuilder#tls} and {@link ProxyBuilder#http} take their place.
 */
public final class AmbassadorHttpClient extends HttpClient {
    /** How many origins have a proxy at once; the one that was asked for longest ago makes room. Its state lives on by its name. */
    private static final int MOST = 256;

    private final Function<String, AmbassadorProxy> proxies;

    private AmbassadorHttpClient(Function<String, AmbassadorProxy> proxies) {
        this.proxies = proxies;
    }

    /**
     * A client whose proxies have the default settings.
     *
     * @return the client
     */
    public static AmbassadorHttpClient create() {
        return of(UnaryOperator.identity());
    }

    /**
     * A client whose proxies have settings of your own.
     *
     * @param settings is given the settings of a new origin's proxy, whose target is such as {@code https://payment-api.example.com},
     *     and returns them
     * @return the client
     */
    public static AmbassadorHttpClient of(UnaryOperator<ProxyBuilder> settings) {
        Objects.requireNonNull(settings, "settings");
        var made = new LinkedHashMap<String, AmbassadorProxy>(16, 0.75f, true) {
            private static final long serialVersionUID = 1L;

            @Override
            protected boolean removeEldestEntry(Map.Entry<String, AmbassadorProxy> eldest) {
                return size() > MOST;
            }
        };
        return new AmbassadorHttpClient(origin -> {
            synchronized (made) {
                return made.computeIfAbsent(origin, target -> settings.apply(AmbassadorProxy.builder(target)).build());
            }
        });
    }

    /**
     * A client for one target alone. Requests for another origin are refused.
     *
     * @param proxy the target's
     * @return the client
     */
    public static AmbassadorHttpClient of(AmbassadorProxy proxy) {
        Objects.requireNonNull(proxy, "proxy");
        return new AmbassadorHttpClient(origin -> proxy);
    }

    private AmbassadorProxy proxy(HttpRequest request) {
        URI uri = request.uri();
        String port = uri.getPort() < 0 ? "" : ":" + uri.getPort();
        return proxies.apply((uri.getScheme() + "://" + uri.getHost() + port).toLowerCase(Locale.ROOT));
    }

    @Override
    public <T> HttpResponse<T> send(HttpRequest request, BodyHandler<T> handler) throws IOException, InterruptedException {
        try {
            return proxy(request).send(request, handler);
        } catch (AmbassadorException error) {
            throw asExpected(error);
        }
    }

    @Override
    public <T> CompletableFuture<HttpResponse<T>> sendAsync(HttpRequest request, BodyHandler<T> handler) {
        return PendingSend.start(proxy(request), request, Objects.requireNonNull(handler, "handler"), SendOptions.defaults(), error ->
                error instanceof AmbassadorException own ? asExpected(own) : error);
    }

    /** No promises are taken: the core asks servers for none. */
    @Override
    public <T> CompletableFuture<HttpResponse<T>> sendAsync(
            HttpRequest request, BodyHandler<T> handler, PushPromiseHandler<T> promises) {
        return sendAsync(request, handler);
    }

    private static IOException asExpected(AmbassadorException error) {
        IOException expected = switch (error.getCode()) {
            case "TIMEOUT", "DEADLINE" -> new HttpTimeoutException(error.getMessage());
            case "CONNECT", "NO_ENDPOINT" -> new java.net.ConnectException(error.getMessage());
            case "TLS" -> new SSLException(error.getMessage());
            default -> new IOException(error.getMessage());
        };
        expected.initCause(error);
        return expected;
    }

    @Override
    public Optional<CookieHandler> cookieHandler() {
        return Optional.empty();
    }

    /** Empty: each attempt has its bound, connecting included. */
    @Override
    public Optional<Duration> connectTimeout() {
        return Optional.empty();
    }

    /** {@link Redirect#NEVER}: what {@link Http#followRedirects} says is followed by the core, and seen by nobody. */
    @Override
    public Redirect followRedirects() {
        return Redirect.NEVER;
    }

    @Override
    public Optional<ProxySelector> proxy() {
        return Optional.empty();
    }

    /** The JVM's default: the core has its own, see {@link ProxyBuilder#tls}. */
    @Override
    public SSLContext sslContext() {
        try {
            return SSLContext.getDefault();
        } catch (NoSuchAlgorithmException none) {
            throw new IllegalStateException(none);
        }
    }

    @Override
    public SSLParameters sslParameters() {
        return sslContext().getDefaultSSLParameters();
    }

    @Override
    public Optional<Authenticator> authenticator() {
        return Optional.empty();
    }

    /** {@link Version#HTTP_2}: what is spoken is what TLS agrees on. */
    @Override
    public Version version() {
        return Version.HTTP_2;
    }

    @Override
    public Optional<Executor> executor() {
        return Optional.empty();
    }
}
