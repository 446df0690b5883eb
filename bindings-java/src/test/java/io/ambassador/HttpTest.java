package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient.Version;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.HttpResponse.BodySubscribers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Requests by the core, against real servers: what is sent, what comes back, and how they end. */
class HttpTest {
    /** A proxy for a server, three attempts without waits, with state of its own. */
    private static ProxyBuilder at(String url) {
        return AmbassadorProxy.builder(url)
                .name("http-" + System.nanoTime())
                .backoff(Backoff.none())
                .breaker(null)
                .budget(null);
    }

    private static Servers.Web echo() throws IOException {
        return new Servers.Web(exchange -> {
            String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            exchange.getResponseHeaders().add("X-Seen", "one");
            exchange.getResponseHeaders().add("X-Seen", "two");
            String key = exchange.getRequestHeaders().getFirst("X-Key");
            Servers.answer(exchange, 200, exchange.getRequestMethod() + " " + exchange.getRequestURI() + " " + key + " " + body);
        });
    }

    @Test
    void a_request_has_its_method_path_headers_and_body_and_so_has_its_response() throws Exception {
        try (var server = echo()) {
            var proxy = at(server.url()).build();
            var request = proxy.request("/charges?id=4%202")
                    .header("X-Key", "k1")
                    .POST(BodyPublishers.ofString("ninety-nine €"))
                    .build();
            var response = proxy.send(request, BodyHandlers.ofString());
            assertEquals(200, response.statusCode());
            assertEquals("POST /charges?id=4%202 k1 ninety-nine €", response.body());
            assertEquals(List.of("one", "two"), response.headers().allValues("x-seen"));
            assertEquals(Version.HTTP_1_1, response.version());
            assertEquals(request.uri(), response.uri());
            assertSame(request, response.request());
            var served = assertInstanceOf(Served.class, response);
            assertEquals(1, served.attempts());
            assertEquals(server.url(), served.endpoint());
            assertEquals(response.body(), proxy.sendAsync(request, BodyHandlers.ofString()).get().body());
            assertEquals(2, Fixtures.count(proxy, "calls.ok"));
        }
    }

    @Test
    void each_handler_of_bodies_gets_what_it_asks_for_whether_somebody_waits_or_not() throws Exception {
        Path file = Files.createTempFile("ambassador", ".txt");
        try (var server = echo()) {
            var proxy = at(server.url()).build();
            var request = proxy.request("/a").header("X-Key", "k").build();
            String expected = "GET /a k ";
            byte[] bytes = expected.getBytes(StandardCharsets.UTF_8);
            assertEquals(expected, both(proxy, request, BodyHandlers.ofString(StandardCharsets.UTF_8)));
            assertArrayEquals(bytes, both(proxy, request, BodyHandlers.ofByteArray()));
            assertNull(both(proxy, request, BodyHandlers.discarding()));
            assertEquals("other", both(proxy, request, BodyHandlers.replacing("other")));
            assertEquals(file, both(proxy, request, BodyHandlers.ofFile(file)));
            assertEquals(expected, Files.readString(file));
            for (var read : List.of(send(proxy, request, BodyHandlers.ofInputStream()), async(proxy, request, BodyHandlers.ofInputStream()))) {
                assertArrayEquals(bytes, read.readAllBytes());
            }
            try (Stream<String> lines = send(proxy, request, BodyHandlers.ofLines())) {
                assertEquals(List.of(expected), lines.toList());
            }
            var published = BodySubscribers.ofString(StandardCharsets.UTF_8);
            send(proxy, request, BodyHandlers.ofPublisher()).subscribe(published);
            assertEquals(expected, published.getBody().toCompletableFuture().get());
            String own = both(proxy, request, head -> BodySubscribers.mapping(
                    BodySubscribers.ofString(StandardCharsets.UTF_8), text -> head.statusCode() + text));
            assertEquals("200" + expected, own);
            String whole = both(proxy, request, AmbassadorProxy.whole(head -> BodySubscribers.mapping(
                    BodySubscribers.ofString(StandardCharsets.UTF_8), text -> head.statusCode() + text)));
            assertEquals("200" + expected, whole);
        } finally {
            Files.delete(file);
        }
    }

    private static <T> T both(AmbassadorProxy proxy, HttpRequest request, HttpResponse.BodyHandler<T> handler) throws Exception {
        T first = send(proxy, request, handler);
        T second = async(proxy, request, handler);
        if (first instanceof byte[] bytes) {
            assertArrayEquals(bytes, (byte[]) second);
        } else {
            assertEquals(first, second);
        }
        return second;
    }

    private static <T> T send(AmbassadorProxy proxy, HttpRequest request, HttpResponse.BodyHandler<T> handler) throws Exception {
        return proxy.send(request, handler).body();
    }

    private static <T> T async(AmbassadorProxy proxy, HttpRequest request, HttpResponse.BodyHandler<T> handler) throws Exception {
        return proxy.sendAsync(request, handler).get().body();
    }

    @Test
    void a_charset_that_the_response_names_is_heeded() throws Exception {
        try (var server = new Servers.Web(exchange -> {
            exchange.getResponseHeaders().add("Content-Type", "text/plain; charset=ISO-8859-1");
            exchange.sendResponseHeaders(200, 1);
            exchange.getResponseBody().write(0xe9);
        })) {
            var proxy = at(server.url()).build();
            assertEquals("é", both(proxy, proxy.request("/").build(), BodyHandlers.ofString()));
        }
    }

    @Test
    void every_kind_of_body_arrives_whole() throws Exception {
        Path file = Files.createTempFile("ambassador", ".txt");
        Files.writeString(file, "from a file");
        try (var server = echo()) {
            var proxy = at(server.url()).build();
            Map<HttpRequest.BodyPublisher, String> bodies = Map.of(
                    BodyPublishers.noBody(), "",
                    BodyPublishers.ofString("text"), "text",
                    BodyPublishers.ofByteArray("bytes".getBytes(StandardCharsets.UTF_8)), "bytes",
                    BodyPublishers.ofByteArrays(List.of("by".getBytes(StandardCharsets.UTF_8), "tes".getBytes(StandardCharsets.UTF_8))), "bytes",
                    BodyPublishers.ofFile(file), "from a file",
                    BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream("read".getBytes(StandardCharsets.UTF_8))), "read",
                    BodyPublishers.fromPublisher(BodyPublishers.ofString("published")), "published");
            for (var body : bodies.entrySet()) {
                var request = proxy.request("/").method("PUT", body.getKey()).build();
                assertEquals("PUT / null " + body.getValue(), both(proxy, request, BodyHandlers.ofString()));
            }
        } finally {
            Files.delete(file);
        }
    }

    @Test
    void a_hundred_megabytes_go_both_ways_with_little_of_them_on_the_way() throws Exception {
        long size = 100L << 20;
        var sent = new Progress();
        var echoed = new Progress();
        try (var server = new Servers.Web(exchange -> {
            exchange.sendResponseHeaders(200, size);
            var buffer = new byte[1 << 16];
            InputStream in = exchange.getRequestBody();
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                sent.taken(count);
                echoed.given(count);
                exchange.getResponseBody().write(buffer, 0, count);
            }
        })) {
            var proxy = at(server.url()).timeout(null).build();
            var body = BodyPublishers.ofInputStream(() -> new InputStream() {
                private long left = size;

                @Override
                public int read() {
                    throw new UnsupportedOperationException();
                }

                @Override
                public int read(byte[] into, int from, int length) {
                    int count = (int) Math.min(left, length);
                    left -= count;
                    sent.given(count);
                    return count == 0 ? -1 : count;
                }
            });
            var response = proxy.send(proxy.request("/").POST(body).build(), BodyHandlers.ofInputStream());
            try (InputStream in = response.body()) {
                var buffer = new byte[1 << 16];
                for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                    echoed.taken(count);
                }
            }
            assertEquals(size, sent.taken);
            assertEquals(size, echoed.taken);
            // The kernel's buffers of two sockets, and a little.
            assertTrue(sent.most < 24 << 20 && echoed.most < 24 << 20, sent.most + " and " + echoed.most);
        }
    }

    /** How much was given that was not taken yet. */
    private static final class Progress {
        private long given;
        private long taken;
        private long most;

        synchronized void given(long count) {
            given += count;
            most = Math.max(most, given - taken);
        }

        synchronized void taken(long count) {
            taken += count;
        }
    }

    @Test
    void with_one_endpoint_of_two_dead_every_call_succeeds() throws Exception {
        try (var server = echo()) {
            var proxy = at("payments.test").endpoints(server.url(), Servers.refusing()).build();
            var request = HttpRequest.newBuilder(proxy.uri("/")).build();
            for (int call = 0; call < 50; call++) {
                assertEquals(200, proxy.send(request, BodyHandlers.ofString()).statusCode());
            }
            var pending = Stream.generate(() -> proxy.sendAsync(request, BodyHandlers.ofString())).limit(50).toList();
            for (var response : pending) {
                assertEquals(200, response.get().statusCode());
            }
            assertEquals(100, server.requests.get());
        }
    }

    @Test
    void endpoints_may_be_fed_and_a_response_tells_its_own() throws Exception {
        try (var one = echo(); var other = echo()) {
            var proxy = at("payments.test").endpoints(one.url()).build();
            var request = proxy.request("/").build();
            assertEquals(one.url(), ((Served) proxy.send(request, BodyHandlers.discarding())).endpoint());
            proxy.setEndpoints(List.of(Endpoint.of(other.url())));
            assertEquals(other.url(), ((Served) proxy.send(request, BodyHandlers.discarding())).endpoint());
            assertEquals(other.url(), proxy.execute(Attempt::endpoint));
            proxy.setEndpoints(List.of());
            assertThrows(NoEndpointException.class, () -> proxy.send(request, BodyHandlers.discarding()));
            var wrong = assertThrows(ConfigException.class, () -> proxy.setEndpoints(List.of(Endpoint.of("two words"))));
            assertEquals("endpoints", wrong.getField());
        }
    }

    @Test
    void a_post_without_a_key_is_never_sent_twice_and_with_one_until_it_is_answered() throws Exception {
        var keys = new ConcurrentLinkedQueue<String>();
        try (var server = new Servers.Raw((number, socket) -> {
            String head = Servers.head(socket);
            head.lines().filter(line -> line.toLowerCase().startsWith("idempotency-key:")).forEach(keys::add);
            assertEquals(5, socket.getInputStream().readNBytes(5).length);
            if (number % 3 == 0) {
                Servers.write(socket, "HTTP/1.1 201 Created\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmade");
            }
        })) {
            var plain = at(server.url()).build();
            var request = plain.request("/charges").POST(BodyPublishers.ofString("99.99")).build();
            var lost = assertThrows(TransportException.class, () -> plain.send(request, BodyHandlers.ofString()));
            assertEquals("TRANSPORT", lost.getCode());
            assertEquals(1, lost.getAttempts());
            assertEquals(plain.target(), lost.getTarget());
            assertEquals(1, server.connections.get());
            server.connections.set(0);

            var keyed = at(server.url()).idempotencyKey(IdempotencyKey.AUTO).build();
            var response = keyed.send(request, BodyHandlers.ofString());
            assertEquals("made", response.body());
            assertEquals(3, ((Served) response).attempts());
            assertEquals(3, keys.size());
            assertEquals(1, new HashSet<>(keys).size());
        }
    }

    @Test
    void a_retry_says_one_line_and_the_last_response_is_handed_back() throws Exception {
        try (var server = new Servers.Web(exchange -> Servers.answer(exchange, 503, "later"))) {
            var proxy = at(server.url()).maxRetries(2).build();
            var request = proxy.request("/").build();
            try (var lines = new Fixtures.Lines()) {
                assertEquals("later", send(proxy, request, BodyHandlers.ofString()));
                assertEquals(503, proxy.sendAsync(request, BodyHandlers.ofString()).get().statusCode());
                String line = "[Ambassador] Retry 1 after 0ms: HTTP 503 Service Unavailable";
                assertEquals(List.of(line, line), lines.all());
            }
            assertEquals(4, server.requests.get());
        }
    }

    @Test
    void who_cannot_connect_is_told_so_by_class_and_code() throws Exception {
        var proxy = at(Servers.refusing()).maxRetries(2).build();
        var request = proxy.request("/").build();
        var refused = assertThrows(ConnectException.class, () -> proxy.send(request, BodyHandlers.ofString()));
        assertEquals("CONNECT", refused.getCode());
        assertEquals(2, refused.getAttempts());
        var failed = assertThrows(ExecutionException.class, () -> proxy.sendAsync(request, BodyHandlers.ofString()).get());
        assertInstanceOf(ConnectException.class, failed.getCause());
    }

    @Test
    void an_attempt_that_outruns_its_bound_is_a_timeout_and_so_is_the_requests_own() throws Exception {
        try (var server = new Servers.Web(exchange -> Servers.hang())) {
            var bounded = at(server.url()).maxRetries(1).timeoutMs(50).build();
            var request = bounded.request("/").build();
            assertEquals("TIMEOUT", assertThrows(CallTimeoutException.class, () -> bounded.send(request, BodyHandlers.ofString())).getCode());
            var unbounded = at(server.url()).timeout(null).build();
            var own = unbounded.request("/").timeout(Duration.ofMillis(50)).build();
            var late = assertThrows(DeadlineExceededException.class, () -> unbounded.send(own, BodyHandlers.ofString()));
            assertEquals(1, late.getAttempts());
            var failed = assertThrows(ExecutionException.class, () -> unbounded.sendAsync(own, BodyHandlers.ofString()).get());
            assertInstanceOf(DeadlineExceededException.class, failed.getCause());
            Fixtures.awaitCount(unbounded, "calls.timeout", 2);
        }
    }

    @Test
    void a_request_has_a_bound_of_its_own_for_each_attempt() throws Exception {
        try (var server = new Servers.Web(exchange -> Servers.hang())) {
            var proxy = at(server.url()).timeout(null).maxRetries(2).build();
            var request = proxy.request("/").build();
            var brief = SendOptions.defaults().timeout(Duration.ofMillis(50));
            var late = assertThrows(CallTimeoutException.class, () -> proxy.send(request, BodyHandlers.ofString(), brief));
            assertEquals("TIMEOUT", late.getCode());
            assertEquals(2, late.getAttempts());
            var failed = assertThrows(
                    ExecutionException.class,
                    () -> proxy.sendAsync(request, BodyHandlers.ofInputStream(), SendOptions.defaults().timeoutMs(50)).get());
            assertEquals("TIMEOUT", assertInstanceOf(CallTimeoutException.class, failed.getCause()).getCode());
            assertThrows(IllegalArgumentException.class, () -> SendOptions.defaults().timeout(Duration.ZERO));
            assertThrows(IllegalArgumentException.class, () -> SendOptions.defaults().timeoutMs(Double.NaN));
        }
    }

    @Test
    void a_post_that_may_be_made_twice_is_and_a_get_that_may_not_is_not() throws Exception {
        try (var server = new Servers.Raw((number, socket) -> {
            Servers.head(socket);
            if (number % 2 == 0) {
                Servers.write(socket, "HTTP/1.1 201 Created\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmade");
            }
        })) {
            var proxy = at(server.url()).build();
            var post = proxy.request("/charges").POST(BodyPublishers.noBody()).build();
            var response = proxy.send(post, BodyHandlers.ofString(), SendOptions.defaults().idempotent(true));
            assertEquals(2, ((Served) response).attempts());
            var get = proxy.request("/").build();
            var once = SendOptions.defaults().idempotent(false);
            assertEquals(1, assertThrows(TransportException.class, () -> proxy.send(get, BodyHandlers.ofString(), once)).getAttempts());
        }
    }

    @Test
    void an_interrupt_ends_the_request_at_once() throws Exception {
        var arrived = new CountDownLatch(1);
        try (var server = new Servers.Web(exchange -> {
            arrived.countDown();
            Servers.hang();
        })) {
            var proxy = at(server.url()).timeout(null).build();
            var ended = new CompletableFuture<Throwable>();
            var thread = new Thread(() -> {
                try {
                    proxy.send(proxy.request("/").build(), BodyHandlers.ofString());
                    ended.complete(null);
                } catch (Throwable thrown) {
                    ended.complete(thrown);
                }
            });
            thread.start();
            arrived.await();
            thread.interrupt();
            assertInstanceOf(InterruptedException.class, ended.get(Fixtures.LONG, TimeUnit.MILLISECONDS));
            Fixtures.awaitCount(proxy, "calls.cancelled", 1);
            Thread.currentThread().interrupt();
            assertThrows(InterruptedException.class, () -> proxy.send(proxy.request("/").build(), BodyHandlers.ofString()));
            assertFalse(Thread.interrupted());
        }
    }

    @Test
    void an_interrupt_while_a_streamed_body_is_taken_ends_it() throws Exception {
        var arrived = new CountDownLatch(1);
        try (var server = new Servers.Web(exchange -> {
            exchange.sendResponseHeaders(200, 0);
            exchange.getResponseBody().write("a line\n".getBytes(StandardCharsets.UTF_8));
            exchange.getResponseBody().flush();
            arrived.countDown();
            Servers.hang();
        })) {
            var proxy = at(server.url()).build();
            Path file = Files.createTempFile("ambassador", ".txt");
            var ended = new CompletableFuture<Throwable>();
            var thread = new Thread(() -> {
                try {
                    proxy.send(proxy.request("/").build(), BodyHandlers.ofFile(file));
                    ended.complete(null);
                } catch (Throwable thrown) {
                    ended.complete(thrown);
                }
            });
            thread.start();
            arrived.await();
            thread.interrupt();
            assertInstanceOf(InterruptedException.class, ended.get(Fixtures.LONG, TimeUnit.MILLISECONDS));
            Files.delete(file);
        }
    }

    @Test
    void a_future_that_is_cancelled_cancels_its_request() throws Exception {
        var arrived = new CountDownLatch(1);
        try (var server = new Servers.Web(exchange -> {
            arrived.countDown();
            Servers.hang();
        })) {
            var proxy = at(server.url()).timeout(null).build();
            var pending = proxy.sendAsync(proxy.request("/").build(), BodyHandlers.ofString());
            arrived.await();
            assertTrue(pending.cancel(true));
            Fixtures.awaitCount(proxy, "calls.cancelled", 1);
            assertEquals(0, Fixtures.count(proxy, "in_flight"));
        }
    }

    @Test
    void a_stage_that_takes_its_time_holds_up_nobody_elses_request() throws Exception {
        try (var server = echo()) {
            var proxy = at(server.url()).build();
            var request = proxy.request("/").build();
            var all = new ArrayList<CompletableFuture<Integer>>();
            for (int call = 0; call < 20; call++) {
                // Each waits for a response within the stage of another.
                all.add(proxy.sendAsync(request, BodyHandlers.ofString())
                        .thenApply(first -> proxy.sendAsync(request, BodyHandlers.ofString()).join().statusCode()));
            }
            for (var one : all) {
                assertEquals(200, one.get(Fixtures.LONG, TimeUnit.MILLISECONDS));
            }
        }
    }

    @Test
    void a_fallback_answers_in_place_of_the_error_and_is_counted() throws Exception {
        try (var server = echo()) {
            var other = at(server.url()).build();
            var request = other.request("/elsewhere").build();
            var proxy = at(Servers.refusing())
                    .maxRetries(1)
                    .fallback(error -> {
                        assertInstanceOf(ConnectException.class, error);
                        return other.sendAsync(request, BodyHandlers.ofString()).join();
                    })
                    .build();
            assertEquals(200, proxy.send(proxy.request("/").build(), BodyHandlers.ofString()).statusCode());
            assertEquals(200, proxy.sendAsync(proxy.request("/").build(), BodyHandlers.ofString()).get().statusCode());
            assertEquals(2, Fixtures.count(proxy, "calls.fallback"));
            var staged = at(Servers.refusing())
                    .maxRetries(1)
                    .fallback(error -> other.sendAsync(request, BodyHandlers.ofString()))
                    .build();
            assertEquals(200, staged.sendAsync(staged.request("/").build(), BodyHandlers.ofString()).get().statusCode());
            var thrown = new IllegalStateException("nor does this");
            var failing = at(Servers.refusing()).maxRetries(1).fallback(error -> {
                throw thrown;
            }).build();
            assertSame(thrown, assertThrows(IllegalStateException.class, () -> send(failing, failing.request("/").build(), BodyHandlers.ofString())));
            assertInstanceOf(ConnectException.class, thrown.getCause());
        }
    }

    @Test
    void a_body_that_breaks_off_is_an_error_whether_it_is_whole_or_a_stream() throws Exception {
        try (var server = new Servers.Raw((number, socket) -> {
            Servers.head(socket);
            Servers.write(socket, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        })) {
            var proxy = at(server.url()).maxRetries(1).build();
            var request = proxy.request("/").build();
            assertThrows(TransportException.class, () -> send(proxy, request, BodyHandlers.ofString()));
            InputStream in = send(proxy, request, BodyHandlers.ofInputStream());
            var broken = assertThrows(IOException.class, in::readAllBytes);
            assertInstanceOf(TransportException.class, broken.getCause());
            Path file = Files.createTempFile("ambassador", ".txt");
            assertThrows(TransportException.class, () -> send(proxy, request, BodyHandlers.ofFile(file)));
            Files.delete(file);
        }
    }

    @Test
    void what_a_publisher_or_a_subscriber_throws_is_the_cause() throws Exception {
        try (var server = echo()) {
            var proxy = at(server.url()).maxRetries(1).build();
            var broken = new IOException("the disk is gone");
            var body = BodyPublishers.ofInputStream(() -> new InputStream() {
                @Override
                public int read() throws IOException {
                    throw broken;
                }
            });
            var request = proxy.request("/").POST(body).build();
            var unsent = assertThrows(AmbassadorException.class, () -> send(proxy, request, BodyHandlers.ofString()));
            // Which that publisher wraps.
            assertSame(broken, unsent.getCause().getCause());
            var thrown = new IllegalStateException("unreadable");
            var get = proxy.request("/").build();
            var untaken = assertThrows(BodyException.class, () -> send(proxy, get, head -> BodySubscribers.mapping(
                    BodySubscribers.ofString(StandardCharsets.UTF_8), text -> {
                        throw thrown;
                    })));
            assertSame(thrown, untaken.getCause());
            var failed = assertThrows(ExecutionException.class, () -> proxy.sendAsync(get, head -> {
                throw thrown;
            }).get());
            assertSame(thrown, failed.getCause().getCause());
        }
    }

    @Test
    void a_request_for_another_origin_is_refused_and_says_why() {
        var proxy = at("https://api.example.com:8443/v1").build();
        assertEquals(URI.create("https://api.example.com:8443/v1/charges?id=1"), proxy.uri("/charges?id=1"));
        assertEquals("/charges?id=1", proxy.origin().path(proxy.uri("/charges?id=1")));
        assertEquals("/", proxy.origin().path(URI.create("HTTPS://API.example.com:8443/v1")));
        assertEquals("/a", Origin.of("api.example.com").path(URI.create("http://api.example.com:80/a")));
        assertEquals("/%C3%A9", Origin.of("api.example.com").path(URI.create("https://api.example.com/é")));
        for (String other : List.of(
                "http://api.example.com:8443/v1/a",
                "https://api.example.com/v1/a",
                "https://other.example.com:8443/v1/a",
                "https://api.example.com:8443/v2/a?token=s3cret",
                "https://api.example.com:8443/v10/a")) {
            var request = HttpRequest.newBuilder(URI.create(other)).build();
            var refused = assertThrows(IllegalArgumentException.class, () -> proxy.send(request, BodyHandlers.ofString()));
            assertTrue(refused.getMessage().contains("which is not at https://api.example.com:8443/v1/"), refused.getMessage());
            assertFalse(refused.getMessage().contains("s3cret"));
            assertThrows(IllegalArgumentException.class, () -> proxy.sendAsync(request, BodyHandlers.ofString()));
        }
    }

    @Test
    void listeners_are_told_of_requests() throws Exception {
        try (var server = echo()) {
            var proxy = at(server.url()).build();
            var outcomes = new ConcurrentLinkedQueue<String>();
            proxy.onEvent(event -> {
                if (event instanceof Event.Call call) {
                    outcomes.add(call.outcome());
                }
            });
            proxy.send(proxy.request("/").build(), BodyHandlers.ofString());
            proxy.sendAsync(proxy.request("/").build(), BodyHandlers.ofString()).get();
            assertEquals(List.of("ok", "ok"), List.copyOf(outcomes));
        }
    }
}
