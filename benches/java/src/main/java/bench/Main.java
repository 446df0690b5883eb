package bench;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * What a call costs that succeeds at once, in nanoseconds, by JMH, each row in a JVM of its own. Prints a Markdown table; {@code make
 * bench} puts it into {@code benches/README.md}. From the root of the repository:
 *
 * <pre>
 * mvn -q -f benches/java/pom.xml process-classes
 * java -cp 'benches/java/target/classes:benches/java/target/lib/*:build/java/ambassador-proxy.jar' bench.Main
 * </pre>
 */
public final class Main {
    private static final Map<String, String> ROWS = new LinkedHashMap<>();
    /** The peer that does the same: a call that may be tried again and is interrupted at its bound. */
    private static final String PEER = "a5FailsafeRetryTimeout";

    static {
        ROWS.put("a1TheBareFunction", "the bare function");
        ROWS.put("a2ResilienceRetry", "Resilience4j, retry (unbounded)");
        ROWS.put("a3ResilienceRetryBreaker", "Resilience4j, retry and circuit breaker (unbounded)");
        ROWS.put("a3ResilienceRetryBreakerBulkhead", "Resilience4j, retry, circuit breaker and bulkhead (unbounded)");
        ROWS.put("a4FailsafeRetry", "Failsafe, retry (unbounded)");
        ROWS.put(PEER, "Failsafe, retry and timeout");
        ROWS.put("b1AmbassadorUnbounded", "**Ambassador**, retry, breaker and budget: `timeout(null)` (unbounded)");
        ROWS.put("b2AmbassadorBounded", "**Ambassador**, defaults (each attempt bounded)");
        ROWS.put("b3AmbassadorExecute", "**Ambassador**, `execute` with context");
        ROWS.put("b4AmbassadorWrapped", "**Ambassador**, `wrapSupplier`");
        ROWS.put("b5AmbassadorUnboundedBulkhead", "**Ambassador**, retry, breaker, budget and bulkhead (unbounded)");
        ROWS.put("b6AmbassadorBoundedBulkhead", "**Ambassador**, the same with a timeout (each attempt bounded)");
        ROWS.put("c1ExecutorSubmitAndGet", "another thread: `ExecutorService`, `submit` and `get(2 s)`");
        ROWS.put("c2ResilienceRetryTimeLimiter", "another thread: Resilience4j, retry and time limiter");
        ROWS.put("c3AmbassadorWorker", "another thread: **Ambassador**, `runIn(WORKER)`");
        ROWS.put("d1FailsafeAsync", "a stage: Failsafe, retry and timeout, `getStageAsync`");
        ROWS.put("d2AmbassadorAsync", "a stage: **Ambassador**, `callAsync`");
        ROWS.put("e1ResilienceOpen", "an open breaker refuses: Resilience4j, retry and circuit breaker");
        ROWS.put("e2AmbassadorOpen", "an open breaker refuses: **Ambassador**");
    }

    private Main() {}

    public static void main(String[] arguments) throws RunnerException {
        var options = new OptionsBuilder()
                .include("^bench\\.Calls\\." + (arguments.length > 0 ? arguments[0] : ""))
                .mode(Mode.AverageTime)
                .timeUnit(TimeUnit.NANOSECONDS)
                .forks(1)
                .warmupIterations(4)
                .warmupTime(TimeValue.milliseconds(700))
                .measurementIterations(7)
                .measurementTime(TimeValue.milliseconds(500))
                .verbosity(VerboseMode.SILENT)
                .shouldFailOnError(true)
                .build();
        var medians = new LinkedHashMap<String, Double>();
        for (RunResult result : new Runner(options).run()) {
            String name = result.getParams().getBenchmark().replaceFirst("^.*\\.", "");
            medians.put(name, result.getPrimaryResult().getStatistics().getPercentile(50));
        }
        double peer = medians.getOrDefault(PEER, Double.NaN);
        System.out.println("| Java: a call that succeeds at once | ns | Failsafe, retry and timeout = 1 |");
        System.out.println("| --- | ---: | ---: |");
        ROWS.forEach((row, title) -> {
            Double median = medians.get(row);
            if (median != null) {
                System.out.printf(Locale.ROOT, "| %s | %.1f | %.2f |%n", title, median, median / peer);
            }
        });
    }
}
