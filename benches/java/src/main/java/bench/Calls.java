package bench;

import dev.failsafe.Failsafe;
import dev.failsafe.FailsafeExecutor;
import dev.failsafe.RetryPolicy;
import dev.failsafe.Timeout;
import io.ambassador.AmbassadorProxy;
import io.ambassador.Bulkhead;
import io.ambassador.CircuitOpenException;
import io.ambassador.RunIn;
import io.github.resilience4j.bulkhead.BulkheadConfig;
import io.github.resilience4j.circuitbreaker.CallNotPermittedException;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.core.IntervalFunction;
import io.github.resilience4j.retry.Retry;
import io.github.resilience4j.retry.RetryConfig;
import io.github.resilience4j.timelimiter.TimeLimiter;
import io.github.resilience4j.timelimiter.TimeLimiterConfig;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.CompilerControl;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * A call that succeeds at once, by each library, and one that an open breaker refuses. All are set alike: three attempts, 2 s,
 * factor 2, jitter, 2 s for a bound, and room for a hundred calls at once where there is a bulkhead.
 */
@State(Scope.Benchmark)
public class Calls {
    private long amount = 99;
    private Supplier<Long> resilienceRetry;
    private Supplier<Long> resilienceBreaker;
    private Supplier<Long> resilienceBulkhead;
    private Supplier<Long> resilienceOpen;
    private Callable<Long> resilienceLimited;
    private FailsafeExecutor<Long> failsafeRetry;
    private FailsafeExecutor<Long> failsafeTimeout;
    private ExecutorService executor;
    private AmbassadorProxy unbounded;
    private AmbassadorProxy bounded;
    private AmbassadorProxy unboundedBulkhead;
    private AmbassadorProxy boundedBulkhead;
    private AmbassadorProxy open;
    private AmbassadorProxy worker;
    private Supplier<Long> wrapped;

    /** The user's function: nothing, but out of the optimizer's sight. */
    @CompilerControl(CompilerControl.Mode.DONT_INLINE)
    private long charge() {
        return amount;
    }

    @Setup
    public void setUp() {
        executor = Executors.newCachedThreadPool(work -> {
            Thread thread = new Thread(work);
            thread.setDaemon(true);
            return thread;
        });
        Retry retry = Retry.of("payments", RetryConfig.custom()
                .maxAttempts(3)
                .intervalFunction(IntervalFunction.ofExponentialRandomBackoff(2000, 2))
                .build());
        CircuitBreaker breaker = CircuitBreaker.ofDefaults("payments");
        io.github.resilience4j.bulkhead.Bulkhead bulkhead = io.github.resilience4j.bulkhead.Bulkhead.of(
                "payments", BulkheadConfig.custom().maxConcurrentCalls(100).build());
        resilienceBulkhead = Retry.decorateSupplier(retry, CircuitBreaker.decorateSupplier(
                breaker, io.github.resilience4j.bulkhead.Bulkhead.decorateSupplier(bulkhead, this::charge)));
        CircuitBreaker openBreaker = CircuitBreaker.ofDefaults("down");
        openBreaker.transitionToForcedOpenState();
        // Retried by default, which nobody wants of a refusal.
        Retry unlessOpen = Retry.of("down", RetryConfig.custom()
                .maxAttempts(3)
                .intervalFunction(IntervalFunction.ofExponentialRandomBackoff(2000, 2))
                .ignoreExceptions(CallNotPermittedException.class)
                .build());
        resilienceOpen = Retry.decorateSupplier(unlessOpen, CircuitBreaker.decorateSupplier(openBreaker, this::charge));
        TimeLimiter limiter = TimeLimiter.of(TimeLimiterConfig.custom().timeoutDuration(Duration.ofSeconds(2)).build());
        resilienceRetry = Retry.decorateSupplier(retry, this::charge);
        resilienceBreaker = Retry.decorateSupplier(retry, CircuitBreaker.decorateSupplier(breaker, this::charge));
        resilienceLimited = Retry.decorateCallable(
                retry, TimeLimiter.decorateFutureSupplier(limiter, () -> executor.submit(this::charge)));
        RetryPolicy<Long> policy = RetryPolicy.<Long>builder()
                .withMaxAttempts(3)
                .withBackoff(2, 30, ChronoUnit.SECONDS)
                .withJitter(0.5)
                .build();
        failsafeRetry = Failsafe.with(policy);
        Timeout<Long> timeout = Timeout.<Long>builder(Duration.ofSeconds(2)).withInterrupt().build();
        failsafeTimeout = Failsafe.with(policy, timeout);
        unbounded = AmbassadorProxy.builder("unbounded.example.com").timeout(null).build();
        bounded = new AmbassadorProxy("payment-api.example.com", 3, 2000);
        unboundedBulkhead = AmbassadorProxy.builder("unbounded-bulkhead.example.com")
                .timeout(null)
                .bulkhead(Bulkhead.of(100))
                .build();
        boundedBulkhead = AmbassadorProxy.builder("bulkhead.example.com").bulkhead(Bulkhead.of(100)).build();
        open = new AmbassadorProxy("down.example.com", 3, 2000);
        open.isolate();
        worker = AmbassadorProxy.builder("worker.example.com").runIn(RunIn.WORKER).build();
        wrapped = bounded.wrapSupplier(this::charge);
    }

    @TearDown
    public void tearDown() {
        executor.shutdown();
    }

    @Benchmark
    public long a1TheBareFunction() {
        return charge();
    }

    @Benchmark
    public long a2ResilienceRetry() {
        return resilienceRetry.get();
    }

    @Benchmark
    public long a3ResilienceRetryBreaker() {
        return resilienceBreaker.get();
    }

    @Benchmark
    public long a3ResilienceRetryBreakerBulkhead() {
        return resilienceBulkhead.get();
    }

    @Benchmark
    public long a4FailsafeRetry() {
        return failsafeRetry.get(this::charge);
    }

    @Benchmark
    public long a5FailsafeRetryTimeout() {
        return failsafeTimeout.get(this::charge);
    }

    @Benchmark
    public long b1AmbassadorUnbounded() {
        return unbounded.<Long>call(v -> charge());
    }

    @Benchmark
    public long b2AmbassadorBounded() {
        return bounded.<Long>call(v -> charge());
    }

    @Benchmark
    public long b3AmbassadorExecute() {
        return bounded.<Long>execute(ctx -> charge());
    }

    @Benchmark
    public long b4AmbassadorWrapped() {
        return wrapped.get();
    }

    @Benchmark
    public long b5AmbassadorUnboundedBulkhead() {
        return unboundedBulkhead.<Long>call(v -> charge());
    }

    @Benchmark
    public long b6AmbassadorBoundedBulkhead() {
        return boundedBulkhead.<Long>call(v -> charge());
    }

    @Benchmark
    public long c1ExecutorSubmitAndGet() throws Exception {
        return executor.submit(this::charge).get(2, TimeUnit.SECONDS);
    }

    @Benchmark
    public long c2ResilienceRetryTimeLimiter() throws Exception {
        return resilienceLimited.call();
    }

    @Benchmark
    public long c3AmbassadorWorker() {
        return worker.<Long>call(v -> charge());
    }

    @Benchmark
    public long d1FailsafeAsync() {
        return failsafeTimeout.getStageAsync(() -> CompletableFuture.completedFuture(charge())).join();
    }

    @Benchmark
    public long d2AmbassadorAsync() {
        return bounded.<Long>callAsync(() -> CompletableFuture.completedFuture(charge())).join();
    }

    @Benchmark
    public Object e1ResilienceOpen() {
        try {
            return resilienceOpen.get();
        } catch (CallNotPermittedException refused) {
            return refused;
        }
    }

    @Benchmark
    public Object e2AmbassadorOpen() {
        try {
            return open.<Long>call(v -> charge());
        } catch (CircuitOpenException refused) {
            return refused;
        }
    }
}
