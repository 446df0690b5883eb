// A payment service: the service posts its orders, and the ambassador does the networking. It chooses one of the API's endpoints,
// sends one idempotency key with all attempts of a call, so that an answer lost on the way never charges twice, and decides
// whether, when and where to try again.
//
//     java -cp build/java/ambassador-proxy.jar examples/java/Payments.java [--calls N] URL...
//
// where the URLs are the endpoints of a payment API as `ambassador demo` starts one. Retry lines go to stderr; the last line on
// stdout is a report in JSON.
import io.ambassador.AmbassadorProxy;
import io.ambassador.Backoff;
import io.ambassador.Breaker;
import io.ambassador.IdempotencyKey;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

class Payments {
    private static final String USAGE = "usage: Payments [--calls N] URL...";

    /** Calls in flight at once. */
    private static final int AT_ONCE = 4;

    private record Arguments(List<String> urls, int calls) {}

    public static void main(String[] arguments) throws InterruptedException {
        Arguments given = read(arguments);
        if (given == null) {
            System.err.println(USAGE);
            System.exit(2);
        }
        System.out.println(chargeAll(given.urls(), given.calls()));
    }

    private static Arguments read(String[] arguments) {
        var urls = new ArrayList<String>();
        int calls = 40;
        for (int at = 0; at < arguments.length; at++) {
            String argument = arguments[at];
            if (argument.equals("--calls") && at + 1 < arguments.length && arguments[at + 1].matches("\\d{1,9}")) {
                calls = Integer.parseInt(arguments[++at]);
            } else if (!argument.startsWith("-")) {
                urls.add(argument);
            } else {
                return null;
            }
        }
        return urls.isEmpty() ? null : new Arguments(urls, calls);
    }

    private static String chargeAll(List<String> urls, int calls) throws InterruptedException {
        var service = new PaymentService(urls);
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
                        System.err.println(order + ": " + error.getMessage());
                    } catch (InterruptedException stopped) {
                        return;
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

/** Charges orders. It knows the API, not how to reach it. */
class PaymentService {
    private static final Pattern ORDER = Pattern.compile("\"order\":\\s*\"([^\"]*)\"");

    private final AmbassadorProxy ambassador;

    PaymentService(List<String> urls) {
        ambassador = AmbassadorProxy.builder("http://payment-api.example.com")
                .endpoints(urls.toArray(String[]::new))
                .idempotencyKey(IdempotencyKey.AUTO)
                .maxRetries(6)
                .timeoutMs(400)
                .backoff(Backoff.exponential(Duration.ofMillis(50)).maxMs(500))
                // This API fails often, and is not down for that: only when nearly all fails.
                .breaker(Breaker.defaults().failureRate(0.9))
                .build();
    }

    /** The order that the receipt is for. */
    String charge(String order, double amount) throws InterruptedException {
        String body = String.format(Locale.ROOT, "{\"order\":\"%s\",\"amount\":%s}", order, amount);
        HttpRequest request = HttpRequest.newBuilder(ambassador.uri("/charges"))
                .header("content-type", "application/json")
                .POST(BodyPublishers.ofString(body))
                .build();
        HttpResponse<String> response = ambassador.send(request, BodyHandlers.ofString());
        Matcher receipt = ORDER.matcher(response.body());
        if (response.statusCode() / 100 != 2 || !receipt.find()) {
            throw new IllegalStateException("the payment API answered " + response.statusCode());
        }
        return receipt.group(1);
    }

    String health() {
        return ambassador.health();
    }
}
