package io.ambassador;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is seen of the whole process: the snapshot, the metrics, the admin server; and that all of it adds up (S2). */
class TelemetryTest {
    private static final String TOKEN = "a-token-of-enough-length";
    private static final Pattern SAMPLE = Pattern.compile("(?m)^ambassador_(\\w+)\\{([^}]*)} (\\S+)$");

    private final HttpClient client = HttpClient.newHttpClient();

    private HttpResponse<String> ask(HttpRequest.Builder request) throws Exception {
        return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    private String get(Admin admin, String path) throws Exception {
        return ask(HttpRequest.newBuilder(URI.create(admin.url() + path))).body();
    }

    private static String nameOf(AmbassadorProxy proxy) {
        Matcher name = Pattern.compile("\"name\":\"([^\"]*)\"").matcher(proxy.health());
        assertTrue(name.find());
        return name.group(1);
    }

    /** The samples of a target: the sum of each metric, and each sample by {@code metric/label}. */
    private static Map<String, Double> samples(String text, String target) {
        var found = new HashMap<String, Double>();
        Matcher sample = SAMPLE.matcher(text);
        while (sample.find()) {
            if (!sample.group(2).contains("target=\"" + target + "\"")) {
                continue;
            }
            double value = Double.parseDouble(sample.group(3));
            found.merge(sample.group(1), value, Double::sum);
            for (String label : sample.group(2).split(",")) {
                if (!label.startsWith("target=")) {
                    found.put(sample.group(1) + "/" + label.split("\"")[1], value);
                }
            }
        }
        return found;
    }

    @Test
    void theSnapshotHasEachTargetAndTheProcess() {
        var payments = Fixtures.quick().build();
        payments.call(attempt -> 1);
        String seen = AmbassadorProxy.snapshot();
        assertTrue(seen.contains("\"language\":\"java\""), seen);
        assertTrue(seen.contains("\"pid\":" + ProcessHandle.current().pid() + ","), seen);
        assertTrue(seen.contains(payments.health().substring(0, 40)), seen);
    }

    @Test
    void metricsComeInTwoFormatsAndInNoOther() {
        var payments = Fixtures.quick().build();
        payments.call(attempt -> 1);
        String row = "ambassador_calls_total{target=\"" + nameOf(payments) + "\",outcome=\"ok\"} 1\n";
        assertTrue(AmbassadorProxy.metrics().contains(row));
        assertTrue(AmbassadorProxy.metrics("openmetrics").endsWith("# EOF\n"));
        var wrong = assertThrows(ConfigException.class, () -> AmbassadorProxy.metrics("json"));
        assertEquals("format: \"json\" is not allowed; expected prometheus or openmetrics", wrong.getMessage());
    }

    @Test
    void theAdminServerAnswersUntilItIsClosedAndThenItsAddressIsFree() throws Exception {
        var payments = Fixtures.quick().build();
        payments.call(attempt -> 1);
        Admin admin = AmbassadorProxy.serveAdmin("127.0.0.1:0", AdminOptions.defaults().token(TOKEN).hosts("shop"));
        try (admin) {
            assertTrue(admin.isServing());
            assertEquals(TOKEN, admin.token());
            assertTrue(get(admin, "metrics").contains(nameOf(payments)));
            assertTrue(get(admin, "v1/snapshot").contains("\"language\":\"java\""));
            assertTrue(get(admin, "").toLowerCase().contains("<!doctype html>"));
        }
        assertFalse(admin.isServing());
        int port = Integer.parseInt(admin.address().split(":")[1]);
        new ServerSocket(port, 1, InetAddress.getLoopbackAddress()).close();
        admin.close();
    }

    @Test
    void whoIsolatesATargetShowsTheTokenWhichNothingElseShows() throws Exception {
        var payments = Fixtures.guarded().build();
        try (Admin admin = AmbassadorProxy.serveAdmin("127.0.0.1:0")) {
            var isolate = HttpRequest.newBuilder(URI.create(admin.url() + "v1/targets/" + nameOf(payments) + "/isolate"))
                    .POST(HttpRequest.BodyPublishers.noBody());
            assertEquals(401, ask(isolate).statusCode());
            assertEquals(200, ask(isolate.header("authorization", "Bearer " + admin.token())).statusCode());
            assertTrue(payments.health().contains("\"state\":\"isolated\""));
            assertFalse(admin.toString().contains(admin.token()));
            assertFalse(AdminOptions.defaults().token(TOKEN).toString().contains(TOKEN));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "here, , false, admin",
        "127.0.0.1, , false, admin",
        "0.0.0.0:0, , false, admin",
        "0.0.0.0:0, , true, admin",
        "127.0.0.1:0, short, false, admin.token",
    })
    void whatCannotBeServedIsRefusedAtOnce(String address, String token, boolean remote, String field) {
        var options = AdminOptions.defaults().token(token).remote(remote);
        var wrong = assertThrows(ConfigException.class, () -> AmbassadorProxy.serveAdmin(address, options));
        assertEquals(field, wrong.getField());
        assertFalse(wrong.getMessage().contains("short"));
    }

    @Test
    void anAddressThatIsTakenIsRefused() {
        try (Admin admin = AmbassadorProxy.serveAdmin("127.0.0.1:0")) {
            var wrong = assertThrows(ConfigException.class, () -> AmbassadorProxy.serveAdmin(admin.address()));
            assertTrue(wrong.getMessage().contains("an address that can be listened on"), wrong.getMessage());
        }
    }

    /** S2, from {@code /metrics} alone. */
    @Test
    void sumsHoldOverAHundredThousandCallsWhileTheyAreScraped() throws Exception {
        var payments = Fixtures.quick().timeout(null).bulkhead(Bulkhead.of(3)).build();
        String name = nameOf(payments);
        var isOver = new AtomicBoolean();
        var logger = Logger.getLogger("ambassador");
        // A line for every retry would be too many.
        logger.setLevel(Level.OFF);
        List<Double> scrapes = new ArrayList<>();
        try (Admin admin = AmbassadorProxy.serveAdmin("127.0.0.1:0")) {
            var failed = new ArrayList<Exception>();
            var scraper = new Thread(() -> {
                try {
                    while (!isOver.get()) {
                        scrapes.add(samples(get(admin, "metrics"), name).getOrDefault("calls_total", 0.0));
                    }
                } catch (Exception broken) {
                    failed.add(broken);
                }
            });
            scraper.start();
            var callers = new ArrayList<Thread>();
            for (int seed = 0; seed < 4; seed++) {
                var script = new Random(seed);
                callers.add(new Thread(() -> {
                    for (int call = 0; call < 25_000; call++) {
                        try {
                            payments.call(attempt -> {
                                if (script.nextInt(10) < 2) {
                                    throw new IllegalStateException("down");
                                }
                                return attempt;
                            });
                        } catch (RuntimeException expected) {
                            // By the script, or refused: it is counted.
                        }
                    }
                }));
            }
            callers.forEach(Thread::start);
            for (Thread caller : callers) {
                caller.join();
            }
            isOver.set(true);
            scraper.join();
            assertEquals(List.of(), failed);
            Map<String, Double> found = samples(get(admin, "metrics"), name);
            double rejected = found.get("calls_total/rejected");
            assertEquals(100_000, found.get("calls_total"));
            assertEquals(0, found.get("inflight_calls"));
            assertEquals(found.get("rejections_total"), rejected);
            assertEquals(100_000 - rejected, found.get("call_duration_seconds_count"));
            assertEquals(found.get("attempts_total"), found.get("attempt_duration_seconds_count"));
            double retries = found.get("retries_total") + found.get("hedges_total");
            assertEquals(found.get("attempts_total"), 100_000 - rejected + retries);
            assertTrue(found.get("calls_total/ok") > 0 && found.get("calls_total/failure") > 0, found.toString());
        }
        logger.setLevel(null);
        assertTrue(scrapes.size() > 1);
        assertEquals(scrapes.stream().sorted().toList(), scrapes);
    }
}
