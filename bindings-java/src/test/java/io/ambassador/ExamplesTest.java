package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The examples, as users start them: Java's launch of a single source file. */
class ExamplesTest {
    private static final Path EXAMPLES = Path.of("..", "examples", "java");

    private static List<String> lines(Child.Ended ended) {
        return ended.out().lines().toList();
    }

    @Test
    void the_seeds_program_charges_or_says_that_all_retries_failed() throws Exception {
        var ended = new Child().run(EXAMPLES.resolve("Seed.java").toString());
        assertEquals(0, ended.status(), ended::toString);
        assertTrue(Set.of("charged: 99.99", "All retries failed: All retries failed").contains(ended.out().strip()), ended::toString);
    }

    @Test
    void the_seeds_program_is_the_seeds_but_for_its_import_and_its_main() throws IOException {
        String program = Files.readString(EXAMPLES.resolve("Seed.java")).replaceAll("(?m)^\\s+", "");
        String seed =
                """
                // Main app
                class PaymentService {
                private final AmbassadorProxy ambassador;
                PaymentService() {
                this.ambassador = new AmbassadorProxy("payment-api.example.com", 3, 2000);
                }
                String charge(double amount) {
                return ambassador.call(v -> {
                if (Math.random() < 0.6) throw new RuntimeException("Payment API unreachable");
                return "charged: " + amount;
                });
                }
                }
                // Usage
                static void main(String[] args) {
                PaymentService service = new PaymentService();
                try {
                System.out.println(service.charge(99.99));
                } catch (Exception e) {
                System.out.println("All retries failed: " + e.getMessage());
                }
                }
                """;
        assertTrue(program.contains(seed), program);
    }

    /** A payment API that answers the first request for an order by {@code first}, and later ones well if that was its own fault. */
    private static final class Api implements AutoCloseable {
        private final HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        private final int first;
        final Map<String, List<String>> keys = new ConcurrentHashMap<>();

        Api(int first) throws IOException {
            this.first = first;
            server.createContext("/charges", this::charge);
            server.setExecutor(Executors.newCachedThreadPool());
            server.start();
        }

        private void charge(HttpExchange exchange) throws IOException {
            String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            Matcher order = Pattern.compile("\"order\":\"([^\"]*)\"").matcher(body);
            assertTrue(order.find(), body);
            var seen = keys.computeIfAbsent(order.group(1), name -> new CopyOnWriteArrayList<>());
            seen.add(exchange.getRequestHeaders().getFirst("Idempotency-Key"));
            if (seen.size() == 1 || first < 500) {
                exchange.getResponseHeaders().add("Retry-After", "0");
                exchange.sendResponseHeaders(first, -1);
            } else {
                byte[] receipt = ("{\"status\":\"charged\",\"order\":\"" + order.group(1) + "\"}").getBytes(StandardCharsets.UTF_8);
                exchange.sendResponseHeaders(200, receipt.length);
                exchange.getResponseBody().write(receipt);
            }
            exchange.close();
        }

        String url() {
            return "http://127.0.0.1:" + server.getAddress().getPort();
        }

        @Override
        public void close() {
            server.stop(0);
        }
    }

    @Test
    void the_payment_service_charges_each_order_by_one_key() throws Exception {
        try (var api = new Api(503)) {
            var ended = new Child().run(EXAMPLES.resolve("Payments.java").toString(), "--calls", "6", api.url());
            assertEquals(0, ended.status(), ended::toString);
            List<String> lines = lines(ended);
            String report = lines.get(lines.size() - 1);
            // An attempt on a busy machine may outrun its bound and be made again; none is charged by another key.
            assertTrue(report.startsWith("{\"language\":\"Java\",\"calls\":6,\"attempts\":"), report);
            assertTrue(report.contains("\"charged\":6,\"failed\":0,\"seconds\":"), report);
            assertEquals(6, api.keys.size());
            api.keys.forEach((order, keys) -> {
                assertTrue(order.matches("java-[1-6]-[0-9a-f]{8}"), order);
                assertTrue(keys.size() >= 2, keys.toString());
                assertEquals(1, keys.stream().distinct().count(), keys.toString());
            });
            assertTrue(ended.err().contains("[Ambassador] Retry 1 after "), ended::toString);
        }
    }

    @Test
    void an_order_that_the_api_calls_wrong_is_not_sent_again() throws Exception {
        try (var api = new Api(422)) {
            var ended = new Child().run(EXAMPLES.resolve("Payments.java").toString(), api.url(), "--calls", "2");
            assertTrue(ended.out().contains("\"charged\":0,\"failed\":2"), ended::toString);
            // Only an attempt that outran its bound, on a busy machine, is made again.
            Matcher made = Pattern.compile("\"retries\":(\\d+),\"timeouts\":(\\d+)").matcher(ended.out());
            assertTrue(made.find(), ended::toString);
            assertEquals(made.group(2), made.group(1), ended::toString);
        }
    }

    @Test
    void a_wrong_command_line_is_answered_by_the_right_one() throws Exception {
        for (String[] wrong : new String[][] {{}, {"--calls"}, {"--calls", "many", "http://localhost"}, {"--verbose"}}) {
            var ended = new Child().run(EXAMPLES.resolve("Payments.java").toString(), wrong);
            assertEquals(2, ended.status(), ended::toString);
            assertEquals("usage: Payments [--calls N] URL...", ended.err().strip());
        }
    }
}
