// A program that was written against java.net.http.HttpClient, and put behind the ambassador in one line: where its main makes the
// client. The server that it asks refuses every third request.
//
//     java -cp build/java/ambassador-proxy.jar examples/java/Existing.java
import com.sun.net.httpserver.HttpServer;
import io.ambassador.AmbassadorHttpClient;
import io.ambassador.Backoff;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;

interface Existing {
    // As it was: it takes a client, and knows nothing of the ambassador.
    class Rates {
        private final HttpClient client;
        private final URI server;

        Rates(HttpClient client, URI server) {
            this.client = client;
            this.server = server;
        }

        double of(String currency) throws IOException, InterruptedException {
            var request = HttpRequest.newBuilder(server.resolve("/rates/" + currency)).build();
            var response = client.send(request, HttpResponse.BodyHandlers.ofString());
            if (response.statusCode() != 200) {
                throw new IOException("HTTP " + response.statusCode());
            }
            return Double.parseDouble(response.body());
        }
    }

    static void main(String[] args) throws Exception {
        HttpServer server = flaky();
        // The one line; it was: HttpClient client = HttpClient.newHttpClient();
        HttpClient client = AmbassadorHttpClient.of(origin -> origin.backoff(Backoff.constant(Duration.ofMillis(1))));

        Rates rates = new Rates(client, URI.create("http://127.0.0.1:" + server.getAddress().getPort()));
        int known = 0;
        for (int asked = 0; asked < 20; asked++) {
            known += rates.of("EUR") == 1.08 ? 1 : 0;
        }
        System.out.println(known + " of 20 rates known, from a server that refused every third request");
        server.stop(0);
    }

    /** A server that refuses every third request. */
    private static HttpServer flaky() throws IOException {
        var requests = new AtomicInteger();
        var server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            try (exchange) {
                boolean fails = requests.incrementAndGet() % 3 == 1;
                byte[] body = (fails ? "" : "1.08").getBytes();
                exchange.sendResponseHeaders(fails ? 503 : 200, fails ? -1 : body.length);
                exchange.getResponseBody().write(body);
            }
        });
        server.start();
        return server;
    }
}
