package io.ambassador;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Settings of a proxy to be: {@code AmbassadorProxy.builder(target).maxRetries(5).timeoutMs(500).build()}. The core checks them when
 * the proxy is built (C2). Not for several threads at once.
 */
public final class ProxyBuilder {
    private record Edit(String setting, Object value) {}

    private final String target;
    private final List<Edit> edits = new ArrayList<>();
    private Predicate<? super Throwable> retryOn;
    private Predicate<? super Throwable> notOn;
    private Classifier classifier;
    private Function<? super Throwable, ?> fallback;

    ProxyBuilder(String target) {
        this.target = target;
    }

    /**
     * Sets any setting by its name, for settings that come as data. Names are as in this class, with {@code Ms} for lengths of time,
     * and {@code backoff.baseMs} for a field of a group; a length may be a number of milliseconds or a {@link Duration}; a choice is
     * its lower-case name; endpoints are a list of texts, {@link Endpoint}s or maps; null or {@code false} switches a group off.
     *
     * @param setting the name
     * @param value the value
     * @return this
     */
    public ProxyBuilder set(String setting, Object value) {
        if ("fallback".equals(setting)) {
            return fallback(value);
        }
        edits.add(new Edit(String.valueOf(setting), value));
        return this;
    }

    /**
     * Sets how many attempts there are in all, the first one included.
     *
     * @param attempts 1 to 100; default 3
     * @return this
     */
    public ProxyBuilder maxRetries(int attempts) {
        return set("maxRetries", attempts);
    }

    /**
     * Sets the name that state is shared by.
     *
     * @param name 1 to 200 printable characters; default the target. Where two proxies of a name ask for different settings of what
     *     they share, the newest hold
     * @return this
     */
    public ProxyBuilder name(String name) {
        return set("name", name);
    }

    /**
     * Sets the bound of each attempt.
     *
     * @param milliseconds above 0; default 2000
     * @return this
     */
    public ProxyBuilder timeoutMs(double milliseconds) {
        return set("timeoutMs", milliseconds);
    }

    /**
     * Sets the bound of each attempt.
     *
     * @param timeout above zero, or null for none; default 2 s
     * @return this
     */
    public ProxyBuilder timeout(Duration timeout) {
        return set("timeoutMs", timeout);
    }

    /**
     * Sets the bound of the whole call, waits included.
     *
     * @param milliseconds above 0; default none
     * @return this
     */
    public ProxyBuilder deadlineMs(double milliseconds) {
        return set("deadlineMs", milliseconds);
    }

    /**
     * Sets the bound of the whole call, waits included.
     *
     * @param deadline above zero, or null for none; default none
     * @return this
     */
    public ProxyBuilder deadline(Duration deadline) {
        return set("deadlineMs", deadline);
    }

    /**
     * Sets where functions run.
     *
     * @param place default {@link RunIn#CALLER}, and {@link RunIn#WORKER} beside a {@link #hedge}
     * @return this
     */
    public ProxyBuilder runIn(RunIn place) {
        return set("runIn", place);
    }

    /**
     * Sets the waits between attempts.
     *
     * @param backoff the schedule, or null for no waits; default 2 s, doubling, at most 30 s, with full jitter
     * @return this
     */
    public ProxyBuilder backoff(Backoff backoff) {
        return set("backoff", backoff);
    }

    /**
     * Sets which exceptions may be tried again; any other ends the call.
     *
     * @param types classes of exceptions; default all
     * @return this
     */
    @SafeVarargs
    @SuppressWarnings("varargs")
    public final ProxyBuilder retryOn(Class<? extends Throwable>... types) {
        return retryOn(anyOf(types));
    }

    /**
     * Sets which exceptions may be tried again; any other ends the call.
     *
     * @param which tells whether one may; default all
     * @return this
     */
    public ProxyBuilder retryOn(Predicate<? super Throwable> which) {
        retryOn = given("retryOn", which);
        return this;
    }

    /**
     * Sets which exceptions end the call; wins over {@link #retryOn(Predicate)}.
     *
     * @param types classes of exceptions; default none
     * @return this
     */
    @SafeVarargs
    @SuppressWarnings("varargs")
    public final ProxyBuilder notOn(Class<? extends Throwable>... types) {
        return notOn(anyOf(types));
    }

    /**
     * Sets which exceptions end the call; wins over {@link #retryOn(Predicate)}.
     *
     * @param which tells whether one does; default none
     * @return this
     */
    public ProxyBuilder notOn(Predicate<? super Throwable> which) {
        notOn = given("notOn", which);
        return this;
    }

    /**
     * Sets what an attempt's end means, seen by its value or its exception; asked before {@link #notOn(Predicate)} and
     * {@link #retryOn(Predicate)}. When no attempt is left, a value that was to be tried again is returned.
     *
     * @param classifier tells the outcome, or null for what it would be without it; default none
     * @return this
     */
    public ProxyBuilder classify(Classifier classifier) {
        this.classifier = given("classify", classifier);
        return this;
    }

    /**
     * Sets the retry budget: how many retries there may be for each call, so that a target in trouble gets no storm of them.
     *
     * @param budget the budget, or null for none; default {@link Budget#defaults}
     * @return this
     */
    public ProxyBuilder budget(Budget budget) {
        return set("budget", budget);
    }

    /**
     * Sets the circuit breaker: when to stop sending attempts to a target that fails, and for how long.
     *
     * @param breaker the breaker, or null for none; default {@link Breaker#defaults}
     * @return this
     */
    public ProxyBuilder breaker(Breaker breaker) {
        return set("breaker", breaker);
    }

    /**
     * Sets the bulkhead: how many calls run at once, and how many may wait for a place.
     *
     * @param bulkhead the bulkhead, or null for none; default none
     * @return this
     */
    public ProxyBuilder bulkhead(Bulkhead bulkhead) {
        return set("bulkhead", bulkhead);
    }

    /**
     * Sets the rate limit: how many calls there may be in a time.
     *
     * @param limit the limit, or null for none; default none
     * @return this
     */
    public ProxyBuilder rateLimit(RateLimit limit) {
        return set("rateLimit", limit);
    }

    /**
     * Sets when another attempt begins beside one that takes long. Needs {@link #idempotent}, and that functions do not run on their
     * caller's thread.
     *
     * @param hedge the hedge, or null for none; default none
     * @return this
     */
    public ProxyBuilder hedge(Hedge hedge) {
        return set("hedge", hedge);
    }

    /**
     * Sets whether a call may safely be made twice.
     *
     * @param idempotent default false
     * @return this
     */
    public ProxyBuilder idempotent(boolean idempotent) {
        return set("idempotent", idempotent);
    }

    /**
     * Sets where calls for the target may go.
     *
     * @param urls hosts, hosts and ports, or http:// or https:// URLs without a path; default the target itself
     * @return this
     */
    public ProxyBuilder endpoints(String... urls) {
        return set("endpoints", urls == null ? null : Arrays.asList(urls.clone()));
    }

    /**
     * Sets where calls for the target may go. {@link AmbassadorProxy#setEndpoints} changes that later.
     *
     * @param endpoints the endpoints, or null for the target itself; the default
     * @return this
     */
    public ProxyBuilder endpoints(List<Endpoint> endpoints) {
        return set("endpoints", endpoints == null ? null : new ArrayList<>(endpoints));
    }

    /**
     * Sets where endpoints are looked for, in place of {@link #endpoints(List)}.
     *
     * @param discovery where, or null for nowhere; the default
     * @return this
     */
    public ProxyBuilder discovery(Discovery discovery) {
        return set("discovery", discovery);
    }

    /**
     * Sets how the endpoint of an attempt is chosen.
     *
     * @param balance default {@link Balance#P2C}
     * @return this
     */
    public ProxyBuilder balance(Balance balance) {
        return set("balance", balance);
    }

    /**
     * Sets the key of {@link Balance#RING_HASH} and {@link Balance#MAGLEV}.
     *
     * @param key {@code path}, or {@code header:} and the name of a header; default none
     * @return this
     */
    public ProxyBuilder hashOn(String key) {
        return set("hashOn", key);
    }

    /**
     * Sets the zone that this program runs in: endpoints in the same one are preferred.
     *
     * @param zone its name, or null for none; default none
     * @return this
     */
    public ProxyBuilder zone(String zone) {
        return set("zone", zone);
    }

    /**
     * Sets over how long an endpoint that is new or back comes to its full share of the calls.
     *
     * @param slowStart from 1 ms, or null for at once; the default
     * @return this
     */
    public ProxyBuilder slowStart(Duration slowStart) {
        return set("slowStartMs", slowStart);
    }

    /**
     * Sets over how long an endpoint that is new or back comes to its full share of the calls.
     *
     * @param milliseconds from 1 ms; default at once
     * @return this
     */
    public ProxyBuilder slowStartMs(double milliseconds) {
        return set("slowStartMs", milliseconds);
    }

    /**
     * Sets when an endpoint is left out for a while because attempts at it fail.
     *
     * @param outlier when, or null for never; default {@link Outlier#defaults}
     * @return this
     */
    public ProxyBuilder outlier(Outlier outlier) {
        return set("outlier", outlier);
    }

    /**
     * Sets how endpoints are asked whether they are well, beside the calls that they get.
     *
     * @param healthCheck how, or null for not at all; the default
     * @return this
     */
    public ProxyBuilder healthCheck(HealthCheck healthCheck) {
        return set("healthCheck", healthCheck);
    }

    /**
     * Sets whom the target's certificate has to convince, and which one it is shown.
     *
     * @param tls the settings, or null for the defaults
     * @return this
     */
    public ProxyBuilder tls(Tls tls) {
        return set("tls", tls);
    }

    /**
     * Sets how requests say who sends them.
     *
     * @param auth the credentials, or null for none; the default
     * @return this
     */
    public ProxyBuilder auth(Auth auth) {
        return set("auth", auth);
    }

    /**
     * Sets headers that every request has, unless it has its own of that name.
     *
     * @param headers names and what they say, or null for none; the default. They are never shown
     * @return this
     */
    public ProxyBuilder headers(Map<String, String> headers) {
        return set("headers", headers);
    }

    /**
     * Sets whether requests get an {@code Idempotency-Key}, and so may be repeated whatever their method.
     *
     * @param idempotencyKey default {@link IdempotencyKey#OFF}
     * @return this
     */
    public ProxyBuilder idempotencyKey(IdempotencyKey idempotencyKey) {
        return set("idempotencyKey", idempotencyKey);
    }

    /**
     * Sets how requests are made.
     *
     * @param http the settings, or null for the defaults
     * @return this
     */
    public ProxyBuilder http(Http http) {
        return set("http", http);
    }

    /**
     * Sets a value that answers in place of the final error. A call that is cancelled is not answered.
     *
     * <p>A proxy is not tied to one type of value, so the compiler cannot compare this with what the functions return: where calls of
     * this proxy return something else, their caller sees a {@link ClassCastException}. Give such calls a proxy of their own; it
     * shares its state with this one by its name.
     *
     * @param value the value; a {@link Function} is asked for it, see {@link #fallback(Function)}; null for no fallback; default none
     * @return this
     */
    public ProxyBuilder fallback(Object value) {
        if (value instanceof Function<?, ?> function) {
            @SuppressWarnings("unchecked")
            var answer = (Function<? super Throwable, ?>) function;
            return fallback(answer);
        }
        return fallback(value == null ? null : error -> value);
    }

    /**
     * Sets a function that answers in place of the final error: of what the call would have thrown. It runs on the thread on which the
     * call ends, and nothing bounds it. What it throws, the call throws, with the error as its cause, or suppressed where it has
     * a cause already. For {@link AmbassadorProxy#callAsync} it may give a {@link java.util.concurrent.CompletionStage}, which is
     * waited for. As for types, see {@link #fallback(Object)}.
     *
     * @param answer gives the value that the call returns; null for no fallback; default none
     * @return this
     */
    public ProxyBuilder fallback(Function<? super Throwable, ?> answer) {
        fallback = answer;
        edits.removeIf(edit -> edit.setting().equals("fallback"));
        edits.add(new Edit("fallback", answer != null));
        return this;
    }

    /**
     * The proxy.
     *
     * @return a proxy with these settings
     * @throws ConfigException for the first setting that is wrong; it names the setting, the value and what is allowed
     */
    public AmbassadorProxy build() {
        return new AmbassadorProxy(this);
    }

    String target() {
        return target;
    }

    Function<? super Throwable, ?> fallback() {
        return fallback;
    }

    Rules rules() {
        boolean isDefault = retryOn == null && notOn == null && classifier == null;
        return isDefault ? null : new Rules(retryOn, notOn, classifier);
    }

    /** The handle of a proxy with these settings, checked one by one. */
    long lend() {
        NativeLibrary.load();
        var wrong = new String[4];
        long draft = Native.draft(target, wrong);
        if (draft == 0) {
            throw refused(wrong);
        }
        boolean isWhole = false;
        try {
            for (Edit edit : edits) {
                apply(draft, edit.setting(), edit.value(), wrong);
            }
            isWhole = true;
        } finally {
            if (!isWhole) {
                Native.discard(draft);
            }
        }
        long proxy = Native.build(draft, wrong);
        if (proxy == 0) {
            throw refused(wrong);
        }
        return proxy;
    }

    private static void apply(long draft, String setting, Object value, String[] wrong) {
        Fields.Group group = group(value);
        if (group != null && setting.equals(group.setting())) {
            // The group as a whole: what is not set is at its default.
            apply(draft, setting, group.whole(), wrong);
            for (Map.Entry<String, Object> field : group.fields().values().entrySet()) {
                apply(draft, setting + "." + field.getKey(), field.getValue(), wrong);
            }
            return;
        }
        if (!Native.set(draft, setting, Values.write(value), wrong)) {
            throw refused(wrong);
        }
    }

    private static Fields.Group group(Object value) {
        if (value instanceof Backoff backoff) {
            return backoff.group();
        }
        if (value instanceof Budget budget) {
            return budget.group();
        }
        if (value instanceof Breaker breaker) {
            return breaker.group();
        }
        if (value instanceof Bulkhead bulkhead) {
            return bulkhead.group();
        }
        if (value instanceof Hedge hedge) {
            return hedge.group();
        }
        return value instanceof RateLimit limit ? limit.group() : networkGroup(value);
    }

    private static Fields.Group networkGroup(Object value) {
        if (value instanceof Discovery discovery) {
            return discovery.group();
        }
        if (value instanceof Outlier outlier) {
            return outlier.group();
        }
        if (value instanceof HealthCheck checks) {
            return checks.group();
        }
        if (value instanceof Tls tls) {
            return tls.group();
        }
        if (value instanceof Auth auth) {
            return auth.group();
        }
        return value instanceof Http http ? http.group() : null;
    }

    static ConfigException refused(String[] wrong) {
        return new ConfigException(wrong[3], wrong[0], wrong[1], wrong[2]);
    }

    /** What only Java can hold: only its absence can be wrong, and that the core says. */
    private <C> C given(String setting, C callback) {
        edits.removeIf(edit -> edit.setting().equals(setting));
        if (callback == null) {
            set(setting, null);
        }
        return callback;
    }

    private static Predicate<Throwable> anyOf(Class<? extends Throwable>[] types) {
        if (types == null || types.length == 0 || Arrays.asList(types).contains(null)) {
            return null;
        }
        var listed = List.of(types);
        return error -> listed.stream().anyMatch(type -> type.isInstance(error));
    }
}
