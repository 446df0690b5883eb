package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpTimeoutException;
import java.util.Optional;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** The ambassador behind {@link HttpClient}. */
class HttpClientTest {
    private static final UnaryOperator<ProxyBuilder> QUICK =
            origin -> origin.name("client-" + System.nanoTime()).backoff(Backoff.none()).budget(null).breaker(null);

    private static HttpRequest get(String url) {
        return HttpRequest.newBuilder(URI.create(url)).build();
    }

    @Test
    void each_origin_has_a_proxy_of_its_own_and_failures_are_tried_again() throws Exception {
        var origins = new ConcurrentLinkedQueue<String>();
        HttpClient client = AmbassadorHttpClient.of(origin -> {
            origins.add(origin.target());
            return QUICK.apply(origin);
        });
        Servers.Handler flaky = exchange -> Servers.answer(exchange, exchange.getRequestURI().getPath().equals("/") ? 503 : 200, "said");
        try (var one = new Servers.Web(flaky); var other = new Servers.Web(flaky)) {
            assertEquals(503, client.send(get(one.url() + "/"), BodyHandlers.ofString()).statusCode());
            assertEquals(3, one.requests.get());
            assertEquals("said", client.send(get(one.url() + "/a?b=c"), BodyHandlers.ofString()).body());
            assertEquals("said", client.sendAsync(get(other.url() + "/a"), BodyHandlers.ofString()).get().body());
            assertEquals("said", client.sendAsync(get(other.url() + "/a"), BodyHandlers.ofString(), null).get().body());
            assertEquals(java.util.List.of(one.url(), other.url()), java.util.List.copyOf(origins));
        }
    }

    @Test
    void errors_are_those_that_callers_of_a_client_expect() throws Exception {
        HttpClient client = AmbassadorHttpClient.of(origin -> QUICK.apply(origin).maxRetries(1).timeoutMs(50));
        String refusing = Servers.refusing();
        var refused = assertThrows(java.net.ConnectException.class, () -> client.send(get(refusing), BodyHandlers.ofString()));
        assertInstanceOf(ConnectException.class, refused.getCause());
        var failed = assertThrows(ExecutionException.class, () -> client.sendAsync(get(refusing), BodyHandlers.ofString()).get());
        assertInstanceOf(java.net.ConnectException.class, failed.getCause());
        try (var hanging = new Servers.Web(exchange -> Servers.hang());
                var closing = new Servers.Raw((number, socket) -> Servers.head(socket))) {
            assertThrows(HttpTimeoutException.class, () -> client.send(get(hanging.url()), BodyHandlers.ofString()));
            var lost = assertThrows(IOException.class, () -> client.send(get(closing.url()), BodyHandlers.ofString()));
            assertSame(TransportException.class, lost.getCause().getClass());
        }
    }

    @Test
    void a_client_of_one_proxy_sends_there_alone() throws Exception {
        try (var server = new Servers.Web(exchange -> Servers.answer(exchange, 200, "said"))) {
            var proxy = QUICK.apply(AmbassadorProxy.builder("payments.test")).endpoints(server.url()).build();
            HttpClient client = AmbassadorHttpClient.of(proxy);
            assertEquals("said", client.send(get("http://payments.test/a"), BodyHandlers.ofString()).body());
            assertThrows(IllegalArgumentException.class, () -> client.send(get("http://other.test/a"), BodyHandlers.ofString()));
        }
    }

    @Test
    void what_it_has_of_a_client_it_says_honestly() {
        HttpClient client = AmbassadorHttpClient.create();
        assertEquals(Optional.empty(), client.cookieHandler());
        assertEquals(Optional.empty(), client.authenticator());
        assertEquals(Optional.empty(), client.proxy());
        assertEquals(Optional.empty(), client.connectTimeout());
        assertEquals(Optional.empty(), client.executor());
        assertEquals(HttpClient.Redirect.NEVER, client.followRedirects());
    }
}
