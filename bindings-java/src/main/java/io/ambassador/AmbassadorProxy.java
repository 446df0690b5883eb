package io.ambassador;

import java.lang.ref.Reference;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * The ambassador for one target: calls functions, bounds each attempt, and tries again what failed. Every decision is that of the
 * one core that all languages share.
 *
 * <pre>{@code
 * var payments = new AmbassadorProxy("payment-api.example.com", 3, 2000);
 * String receipt = payments.call(v -> "charged");
 * }</pre>
 *
 * <p>A proxy is immutable and for any number of threads. Nothing needs to be closed. Proxies of one name share the circuit breaker,
 * the retry budget, the limits, the listeners and the counters.
 *
 * <p>What calls throw:
 * <ul>
 *   <li>{@code RuntimeException("All retries failed")}, whose cause is the last attempt's own exception, the same object, checked
 *       or not. Suppressed in it are the exceptions of earlier attempts, and last a note that tells why the call ended.
 *   <li>{@link CallTimeoutException} when the last attempt outran its bound, {@link DeadlineExceededException} when the call
 *       outran its deadline, {@link ShutdownException} after {@link #shutdown}.
 *   <li>{@link CircuitOpenException}, {@link BulkheadFullException} or {@link RateLimitedException} when the call was refused and the
 *       function did not run.
 *   <li>{@code RuntimeException("Interrupted during retry")} when the thread was interrupted, in an attempt or between two. The
 *       thread's interrupt flag is set again.
 *   <li>An {@link Error} of the function, the same object, at once.
 * </ul>
 */
public final class AmbassadorProxy {
    final long handle;
    /** Whether attempts have a bound. */
    final boolean isBounded;

    final boolean isOnWorker;
    /** Whether several attempts of a call may run at once. */
    final boolean isHedged;
    /** Null for the defaults. */
    final Rules rules;
    /** Whether no value is a success before a classifier was asked. */
    final boolean seesValues;
    /** Null for none. */
    final Function<? super Throwable, ?> fallback;

    final Listeners listeners;

    private final String target;
    private final Origin origin;

    /**
     * A proxy with the three settings that matter most; see {@link #builder} for the others.
     *
     * @param target a host, with a port if needed, or an http:// or https:// URL of one
     * @param maxRetries attempts in all, the first one included; 1 to 100
     * @param timeoutMs the bound of each attempt, in milliseconds; above 0
     * @throws ConfigException when one of them is wrong; it names the setting, the value and what is allowed
     */
    public AmbassadorProxy(String target, int maxRetries, long timeoutMs) {
        this(builder(target).maxRetries(maxRetries).set("timeoutMs", timeoutMs));
    }

    AmbassadorProxy(ProxyBuilder builder) {
        handle = builder.lend();
        // What frees the handle must not hold this object.
        long lent = handle;
        Native.CLEANER.register(this, () -> Native.free(lent));
        target = builder.target();
        origin = Origin.of(target);
        rules = builder.rules();
        seesValues = rules != null && rules.classifier() != null;
        fallback = builder.fallback();
        Policy policy = Policy.of(handle);
        isBounded = policy.timeout().isPresent() || policy.deadline().isPresent();
        isOnWorker = policy.runIn() == RunIn.WORKER;
        isHedged = policy.hedge().isPresent();
        listeners = Listeners.of(name());
        // That this proxy wants other settings than those that held (C4).
        Aftermath.attend(this);
    }

    /**
     * A proxy with settings of your own: {@code AmbassadorProxy.builder(target)….build()}.
     *
     * @param target a host, with a port if needed, or an http:// or https:// URL of one
     * @return the settings, each at its default
     */
    public static ProxyBuilder builder(String target) {
        return new ProxyBuilder(target);
    }

    /**
     * Calls the function until it succeeds, may not be tried again, or no attempt is left.
     *
     * @param function makes one attempt; its argument is null
     * @param <T> what it returns
     * @return what the function returned
     * @throws RuntimeException see the head of this class
     */
    public <T> T call(Function<Void, T> function) {
        Objects.requireNonNull(function, "function");
        return Call.run(this, ctx -> function.apply(null), false);
    }

    /**
     * {@link #call}, for a function without an argument.
     *
     * @param supplier makes one attempt
     * @param <T> what it returns
     * @return what it returned
     * @throws RuntimeException see the head of this class
     */
    public <T> T callSupplier(Supplier<? extends T> supplier) {
        Objects.requireNonNull(supplier, "supplier");
        return Call.run(this, ctx -> supplier.get(), false);
    }

    /**
     * {@link #call}, for a function that may throw checked exceptions. They are wrapped like any other.
     *
     * @param callable makes one attempt
     * @param <T> what it returns
     * @return what it returned
     * @throws RuntimeException see the head of this class
     */
    public <T> T callCallable(Callable<? extends T> callable) {
        Objects.requireNonNull(callable, "callable");
        return Call.run(this, ctx -> callable.call(), false);
    }

    /**
     * {@link #call}, for a function that wants to know its attempt's number, bound and headers; it may throw checked exceptions.
     *
     * <pre>{@code
     * var key = payments.execute(ctx -> ctx.headers().get("idempotency-key"));
     * }</pre>
     *
     * @param function makes one attempt
     * @param <T> what it returns
     * @return what it returned
     * @throws RuntimeException see the head of this class
     */
    public <T> T execute(AttemptFunction<? extends T> function) {
        Objects.requireNonNull(function, "function");
        return Call.run(this, function, true);
    }

    /**
     * {@link #call}, without waiting. The first attempt starts on the calling thread, later ones on workers; bounds and waits take no
     * thread. At its bound a stage that is a future is cancelled.
     *
     * <p>{@code cancel(true)} on the result stops the call. What {@link #call} would throw, the result completes with. A stage that
     * is cancelled by somebody else ends the call, as an interrupt would.
     *
     * @param supplier starts one attempt
     * @param <T> what stages complete with
     * @return completes when the call has ended
     */
    public <T> CompletableFuture<T> callAsync(Supplier<? extends CompletionStage<? extends T>> supplier) {
        Objects.requireNonNull(supplier, "supplier");
        return AsyncCall.start(this, ctx -> supplier.get());
    }

    /**
     * {@link #callAsync}, for a function that wants to know its attempt's number, bound and headers.
     *
     * @param function starts one attempt
     * @param <T> what stages complete with
     * @return completes when the call has ended
     */
    public <T> CompletableFuture<T> executeAsync(AttemptFunction<? extends CompletionStage<? extends T>> function) {
        Objects.requireNonNull(function, "function");
        return AsyncCall.start(this, function);
    }

    /**
     * Sends a request to the target and waits for its response: the core chooses the endpoint, connects, verifies, says who asks, waits
     * no longer than it may, and tries again where that is safe. The last response is handed back whatever its status.
     *
     * <pre>{@code
     * var response = payments.send(payments.request("/charges/42").build(), BodyHandlers.ofString());
     * }</pre>
     *
     * <p>{@code ofString}, {@code ofByteArray}, {@code discarding} and {@code replacing} get their body whole, and an attempt lasts to
     * its end; so does a handler of your own by {@link #whole}. Any other gets a stream, and an attempt lasts until the response's
     * head has come.
     *
     * @param request for a URI of the target's; see {@link #request} and {@link #uri}. Its timeout, if it has one, is the deadline
     *     of the whole call, until the response's head has come, in place of the proxy's
     * @param handler makes a body of bytes
     * @param <T> the body's type
     * @return the response, which is also {@link Served}
     * @throws AmbassadorException when there is no response; its class and code tell why
     * @throws IllegalArgumentException when the URI is not the target's
     * @throws InterruptedException when the thread was interrupted; the request is cancelled
     */
    public <T> HttpResponse<T> send(HttpRequest request, BodyHandler<T> handler) throws InterruptedException {
        return send(request, handler, SendOptions.defaults());
    }

    /**
     * {@link #send(HttpRequest, BodyHandler)}, with options of its own.
     *
     * <pre>{@code
     * var sure = SendOptions.defaults().idempotent(true).timeoutMs(300);
     * var response = payments.send(request, BodyHandlers.ofString(), sure);
     * }</pre>
     *
     * @param request for a URI of the target's
     * @param handler makes a body of bytes
     * @param options in place of the proxy's settings
     * @param <T> the body's type
     * @return the response
     * @throws AmbassadorException when there is no response
     * @throws IllegalArgumentException when the URI is not the target's
     * @throws InterruptedException when the thread was interrupted; the request is cancelled
     */
    public <T> HttpResponse<T> send(HttpRequest request, BodyHandler<T> handler, SendOptions options)
            throws InterruptedException {
        Objects.requireNonNull(request, "request");
        Objects.requireNonNull(handler, "handler");
        Objects.requireNonNull(options, "options");
        return BlockingSend.send(this, request, handler, options);
    }

    /**
     * {@link #send(HttpRequest, BodyHandler)}, without waiting. {@code cancel(true)} on the result cancels the request. What it would
     * throw, the result completes with.
     *
     * @param request for a URI of the target's
     * @param handler makes a body of bytes
     * @param <T> the body's type
     * @return completes with the response
     * @throws IllegalArgumentException when the URI is not the target's
     */
    public <T> CompletableFuture<HttpResponse<T>> sendAsync(HttpRequest request, BodyHandler<T> handler) {
        return sendAsync(request, handler, SendOptions.defaults());
    }

    /**
     * {@link #sendAsync(HttpRequest, BodyHandler)}, with options of its own.
     *
     * @param request for a URI of the target's
     * @param handler makes a body of bytes
     * @param options in place of the proxy's settings
     * @param <T> the body's type
     * @return completes with the response
     * @throws IllegalArgumentException when the URI is not the target's
     */
    public <T> CompletableFuture<HttpResponse<T>> sendAsync(
            HttpRequest request, BodyHandler<T> handler, SendOptions options) {
        Objects.requireNonNull(request, "request");
        Objects.requireNonNull(handler, "handler");
        Objects.requireNonNull(options, "options");
        return PendingSend.start(this, request, handler, options, UnaryOperator.identity());
    }

    /**
     * Begins a request for a path of the target's.
     *
     * @param path begins with {@code /}; perhaps with a query
     * @return a GET, to be changed and built
     */
    public HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(uri(path));
    }

    /**
     * The URI of a path of the target's. Requests for it go to whatever endpoint the core chooses.
     *
     * @param path begins with {@code /}; perhaps with a query
     * @return the URI
     */
    public URI uri(String path) {
        return origin.uri(path);
    }

    /**
     * A handler that gets its body whole, read within the attempt: for handlers of your own that do not need a stream.
     *
     * @param handler makes a body of bytes
     * @param <T> the body's type
     * @return the handler, to be sent with a request
     */
    public static <T> BodyHandler<T> whole(BodyHandler<T> handler) {
        return new Bodies.Whole<>(Objects.requireNonNull(handler, "handler"));
    }

    /**
     * The function, called through this proxy each time.
     *
     * @param function makes one attempt
     * @param <A> what it takes
     * @param <T> what it returns
     * @return a function of the same kind
     */
    public <A, T> Function<A, T> wrap(Function<? super A, ? extends T> function) {
        Objects.requireNonNull(function, "function");
        return argument -> Call.<T>run(this, ctx -> function.apply(argument), false);
    }

    /**
     * The supplier, called through this proxy each time. Not named {@code wrap}, for then no lambda could be told from a Callable.
     *
     * @param supplier makes one attempt
     * @param <T> what it returns
     * @return a supplier of the same kind
     */
    public <T> Supplier<T> wrapSupplier(Supplier<? extends T> supplier) {
        Objects.requireNonNull(supplier, "supplier");
        return () -> callSupplier(supplier);
    }

    /**
     * The callable, called through this proxy each time.
     *
     * @param callable makes one attempt
     * @param <T> what it returns
     * @return a callable of the same kind
     */
    public <T> Callable<T> wrapCallable(Callable<? extends T> callable) {
        Objects.requireNonNull(callable, "callable");
        return () -> callCallable(callable);
    }

    /**
     * The target.
     *
     * @return the target, as it was given
     */
    public String target() {
        return target;
    }

    /**
     * The name that state is shared by.
     *
     * @return the target, unless a name was set
     */
    public String name() {
        String name = Native.name(handle);
        Reference.reachabilityFence(this);
        return name;
    }

    /**
     * The settings in force: this proxy's own, and of what it shares with others of its name, those of the newest.
     *
     * @return the settings
     */
    public Policy policy() {
        try {
            return Policy.of(handle);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Every setting in force, and where its value comes from. Not among them is what only Java can hold: {@code retryOn}, {@code notOn},
     * {@code classify}, {@code fallback}.
     *
     * @return the settings, in the order of the documentation
     */
    public List<EffectiveSetting> effectivePolicy() {
        try {
            return EffectiveSetting.of(Native.effectivePolicy(handle));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * The same as JSON, spelled as the configuration file does.
     *
     * @return a JSON array of objects of {@code field}, {@code value} and {@code origin}, byte for byte the same in every language
     */
    public String policyJson() {
        String policy = Native.policyJson(handle);
        Reference.reachabilityFence(this);
        return policy;
    }

    /**
     * How the target fares: the state of its circuit, its budget and its bulkhead; calls and attempts by outcome, retries, refusals by
     * reason, calls in flight, late results, abandoned functions.
     *
     * @return a JSON object, the same as in every language
     */
    public String health() {
        String health = Native.health(handle);
        Reference.reachabilityFence(this);
        return health;
    }

    /**
     * These are the endpoints of the target from now on, for all its proxies: for code that finds them in ways of its own.
     *
     * @param endpoints none is obeyed as well: calls are refused then, until there are others
     * @throws ConfigException when one is none; the endpoints are then as they were
     */
    public void setEndpoints(List<Endpoint> endpoints) {
        var wrong = new String[4];
        boolean isSet = Native.setEndpoints(handle, Values.write(endpoints), wrong);
        Reference.reachabilityFence(this);
        if (!isSet) {
            throw ProxyBuilder.refused(wrong);
        }
        Aftermath.attend(this);
    }

    /** Opens the circuit by hand: every attempt is refused until {@link #reset}. */
    public void isolate() {
        Native.isolate(handle, true);
        Aftermath.attend(this);
        Reference.reachabilityFence(this);
    }

    /** Closes the circuit by hand, with an empty window. */
    public void reset() {
        Native.isolate(handle, false);
        Aftermath.attend(this);
        Reference.reachabilityFence(this);
    }

    /**
     * Tells a listener of everything that happens to this target from now on, through whatever proxy of its name: after a decision, on
     * the thread that asked for it as a rule, with nothing locked; by two threads at once when two calls end at once. A listener that
     * throws changes nothing for the call. It stays for as long as there is a proxy of the name.
     *
     * @param listener is told of each event
     */
    public void onEvent(Consumer<? super Event> listener) {
        Objects.requireNonNull(listener, "listener");
        listeners.add(this, listener);
        Reference.reachabilityFence(this);
    }

    /**
     * For tests: from now on the jitter of this target is that of the seed. The same seed gives the same waits in every language.
     *
     * @param seed any number
     */
    public void seedJitter(long seed) {
        Native.seedJitter(handle, seed);
        Reference.reachabilityFence(this);
    }

    /**
     * Refuses new calls from now on, and waits for those in flight. Nothing needs this for a clean exit; it is for programs that want
     * their last calls to end well. It is about the proxies of this class loader.
     *
     * @param timeout how long to wait at most
     * @return whether all have ended; false also when the thread was interrupted, whose flag stays set
     */
    public static boolean shutdown(Duration timeout) {
        NativeLibrary.load();
        long most = Math.min(Math.max(0, nanos(timeout)), Long.MAX_VALUE / 2);
        // Real time, whatever tests make of the ambassador's.
        long begun = System.nanoTime();
        for (;;) {
            long left = Math.max(0, most - (System.nanoTime() - begun));
            // In slices, for an interrupt does not reach into a native.
            if (Native.shutdown(Math.min(left, 50_000_000), left)) {
                return true;
            }
            if (left == 0 || Thread.currentThread().isInterrupted()) {
                return false;
            }
        }
    }

    /**
     * From now on that configuration holds over what the app says, for all proxies, in place of the file that
     * {@code AMBASSADOR_CONFIG} names.
     *
     * @param pathOrText the path of a file; or its text in YAML or JSON: what has a line break, or begins with a brace
     * @throws ConfigException when something is wrong with it, with file, line and column; what held before then holds on
     */
    public static void configure(String pathOrText) {
        Objects.requireNonNull(pathOrText, "pathOrText");
        NativeLibrary.load();
        var wrong = new String[4];
        if (!Native.configure(pathOrText, wrong)) {
            throw ProxyBuilder.refused(wrong);
        }
    }

    /**
     * Everything that is known at present of every target of this process, and of the process itself: the {@link #health} of each
     * target ({@code targets}), whether calls can be sent ({@code ready}), memory, threads and the runtime ({@code process}).
     *
     * @return JSON, the same in every language
     */
    public static String snapshot() {
        NativeLibrary.load();
        return Native.snapshot();
    }

    /**
     * The same as metrics, in Prometheus' text format 0.0.4. For programs that have a route of their own for them;
     * {@link #serveAdmin} has one.
     *
     * @return the metrics
     */
    public static String metrics() {
        return metrics("prometheus");
    }

    /**
     * The same in another format.
     *
     * @param format {@code prometheus}, or {@code openmetrics} for OpenMetrics 1.0
     * @return the metrics
     * @throws ConfigException when it is neither
     */
    public static String metrics(String format) {
        Objects.requireNonNull(format, "format");
        NativeLibrary.load();
        var wrong = new String[4];
        String metrics = Native.metrics(format, wrong);
        if (metrics == null) {
            throw ProxyBuilder.refused(wrong);
        }
        return metrics;
    }

    /**
     * Answers at that address from now on, for this machine alone; see {@link #serveAdmin(String, AdminOptions)}.
     *
     * @param address a loopback address and a port, such as {@code 127.0.0.1:9901}; port 0 takes a free one
     * @return the server, which tells its address and its token
     * @throws ConfigException when the address is none, is taken, or is not for this machine alone
     */
    public static Admin serveAdmin(String address) {
        return serveAdmin(address, AdminOptions.defaults());
    }

    /**
     * Answers at that address from now on. The page is at {@code /}; then there are {@code /metrics}, {@code /healthz}, {@code /readyz},
     * and JSON under {@code /v1}. It answers also while every thread of Java's is stuck.
     *
     * @param address an address and a port, such as {@code 127.0.0.1:9901}; port 0 takes a free one
     * @param options what else is to be said of it
     * @return the server, which tells its address and its token
     * @throws ConfigException when the address is none, is taken, or is not for this machine alone without
     *     {@link AdminOptions#remote}, which needs a token
     */
    public static Admin serveAdmin(String address, AdminOptions options) {
        Objects.requireNonNull(address, "address");
        NativeLibrary.load();
        var wrong = new String[4];
        String hosts = String.join("\n", options.hosts());
        long admin = Native.serveAdmin(address, options.token(), hosts, options.remote(), wrong);
        if (admin == 0) {
            throw ProxyBuilder.refused(wrong);
        }
        return new Admin(admin);
    }

    static long nanos(Duration length) {
        try {
            return length.toNanos();
        } catch (ArithmeticException centuries) {
            return length.isNegative() ? 0 : Long.MAX_VALUE;
        }
    }

    /**
     * The version of the ambassador.
     *
     * @return such as {@code 0.1.0}
     */
    public static String version() {
        NativeLibrary.load();
        return Native.version();
    }

    Origin origin() {
        return origin;
    }

    void note(int what) {
        Native.note(handle, what);
        if (what == Native.ABANDONED_ENDED) {
            // It had kept its place in the bulkhead. On a worker, so listeners are left to the next decision.
            Turn.callIn();
        }
        Reference.reachabilityFence(this);
    }

    @Override
    public String toString() {
        return "AmbassadorProxy(" + target + ")";
    }
}
