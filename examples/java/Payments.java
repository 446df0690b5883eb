// A payment service over real HTTP: java.net.http inside execute. Each call sends one idempotency key with all its attempts, so
// that an answer lost on the way never charges twice. The ambassador decides whether, when and how often to try again.
//
//     java -cp build/java/ambassador-proxy.jar examples/java/Payments.java [--calls N] URL
//
// where URL is a payment API as `ambassador demo` starts one. Retry lines go to stderr; the last line on stdout is a report in
// JSON. Functions run on their caller's thread, the default: java.net.http heeds the interrupt that comes at the bound.
import io.ambassador.AmbassadorProxy;
import io.ambassador.Attempt;
import io.ambassador.Backoff;
import io.ambassador.Breaker;
import io.ambassador.Jitter;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Locale;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

class Payments {
    private static final String USAGE = "usage: Payments [--calls N] URL";

    /** Calls in flight at once. */
    private static final int AT_ONCE = 4;

    private record Arguments(String url, int calls) {}

    public static void main(String[] arguments) throws InterruptedException {
        Arguments given = read(arguments);
        if (given == null) {
            System.err.println(USAGE);
            System.exit(2);
        }
        System.out.println(chargeAll(given.url(), given.calls()));
    }

    private static Arguments read(String[] arguments) {
        String url = null;
        int calls = 40;
        for (int at = 0; at < arguments.length; at++) {
            String argument = arguments[at];
            if (argument.equals("--calls") && at + 1 < arguments.length && arguments[at + 1].matches("\\d{1,9}")) {
                calls = Integer.parseInt(arguments[++at]);
            } else if (url == null && !argument.startsWith("-")) {
                url = argument;
            } else {
                return null;
            }
        }
        return url == null ? null : new Arguments(url, calls);
    }

    private static String chargeAll(String url, int calls) throws InterruptedException {
        var service = new PaymentService(url);
        var next = new AtomicInteger();
        var charged = new AtomicInteger();
        int run = ThreadLocalRandom.current().nextInt();
        long begun = System.nanoTime();
        var tills = new ArrayList<Thread>();
        for (int at = 0; at < AT_ONCE; at++) {
            var till = new Thread(() -> {
                for (int number = next.incrementAndGet(); number <= calls; number = next.incrementAndGet()) {
                    String order = String.format("java-%d-%08x", number, run);
                    try {
                        String receipt = service.charge(order, 99.99);
                        if (receipt.equals(order)) {
                            charged.incrementAndGet();
                        } else {
                            System.err.println(order + ": the receipt is for " + receipt);
                        }
                    } catch (RuntimeException error) {
                        System.err.println(order + ": " + (error.getCause() == null ? error : error.getCause()));
                    }
                }
            });
            till.start();
            tills.add(till);
        }
        for (Thread till : tills) {
            till.join();
        }
        double seconds = (System.nanoTime() - begun) / 1e9;
        String health = service.health();
        long attempts = 0;
        for (String end : new String[] {"ok", "failure", "timeout", "cancelled"}) {
            attempts += count(health, "attempts", end);
        }
        return String.format(
                Locale.ROOT,
                "{\"language\":\"Java\",\"calls\":%d,\"attempts\":%d,\"retries\":%d,\"timeouts\":%d,"
                        + "\"charged\":%d,\"failed\":%d,\"seconds\":%.3f}",
                calls,
                attempts,
                count(health, "retries", null),
                count(health, "attempts", "timeout"),
                charged.get(),
                calls - charged.get(),
                seconds);
    }

    /** A number of the proxy's health, which is JSON: of a group's field, or of a field. */
    private static long count(String health, String name, String field) {
        String path = "\"" + name + "\":" + (field == null ? "" : "\\{[^}]*\"" + field + "\":");
        Matcher found = Pattern.compile(path + "(\\d+)").matcher(health);
        return found.find() ? Long.parseLong(found.group(1)) : 0;
    }
}

/** Charges orders. It knows the API, not how to reach it in bad times. */
class PaymentService {
    private static final Pattern ORDER = Pattern.compile("\"order\":\\s*\"([^\"]*)\"");

    private final AmbassadorProxy ambassador;
    private final HttpClient http = HttpClient.newHttpClient();
    private final URI charges;

    PaymentService(String url) {
        String base = url.replaceAll("/+$", "");
        charges = URI.create(base + "/charges");
        ambassador = AmbassadorProxy.builder(base.replaceFirst("^.*://", ""))
                .maxRetries(6)
                .timeoutMs(400)
                .backoff(Backoff.exponential(Duration.ofMillis(50)).maxMs(500).jitter(Jitter.FULL))
                // This API fails often, and is not down for that: only when nearly all fails.
                .breaker(Breaker.defaults().failureRate(0.9))
                // An order that the API calls wrong stays wrong.
                .notOn(WrongOrder.class)
                .build();
    }

    /** The order that the receipt is for. */
    String charge(String order, double amount) {
        return ambassador.execute(ctx -> doCharge(ctx, order, amount));
    }

    private String doCharge(Attempt ctx, String order, double amount) throws IOException, InterruptedException {
        String body = String.format(Locale.ROOT, "{\"order\":\"%s\",\"amount\":%s}", order, amount);
        var request = HttpRequest.newBuilder(charges)
                .header("content-type", "application/json")
                .POST(BodyPublishers.ofString(body));
        ctx.headers().forEach(request::header);
        HttpResponse<String> response = http.send(request.build(), BodyHandlers.ofString());
        response.headers()
                .firstValue("retry-after")
                .filter(wait -> wait.matches("\\d{1,9}"))
                .ifPresent(wait -> ctx.retryAfter(Duration.ofSeconds(Long.parseLong(wait))));
        int status = response.statusCode();
        if (status >= 400) {
            boolean isOurFault = status < 500 && status != 429;
            throw isOurFault ? new WrongOrder(status) : new IOException("HTTP status " + status);
        }
        Matcher receipt = ORDER.matcher(response.body());
        if (!receipt.find()) {
            throw new IOException("a receipt without an order");
        }
        return receipt.group(1);
    }

    String health() {
        return ambassador.health();
    }

    /** The API will not take this order, however often it is asked. */
    private static final class WrongOrder extends IOException {
        private static final long serialVersionUID = 1L;

        WrongOrder(int status) {
            super("HTTP status " + status);
        }
    }
}
