package io.ambassador;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The settings in force of a proxy; {@link AmbassadorProxy#policy} tells them.
 *
 * @param maxRetries attempts in all, the first one included
 * @param timeout the bound of each attempt; empty for none
 * @param deadline the bound of the whole call, waits included; empty for none
 * @param runIn where functions run
 * @param backoff the waits between attempts
 * @param budget the retry budget; empty when it is off
 * @param breaker the circuit breaker; empty when it is off
 * @param bulkhead how many calls run at once; empty for any number
 * @param rateLimit how many calls there may be in a time; empty for any number
 * @param hedge when another attempt begins beside one that takes long; empty for never
 * @param idempotent whether a call may safely be made twice
 * @param hasFallback whether something answers in place of the final error
 * @param network where calls go, and how requests are made
 */
public record Policy(
        int maxRetries,
        Optional<Duration> timeout,
        Optional<Duration> deadline,
        RunIn runIn,
        Waits backoff,
        Optional<Retries> budget,
        Optional<Circuit> breaker,
        Optional<Places> bulkhead,
        Optional<Rate> rateLimit,
        Optional<Hedges> hedge,
        boolean idempotent,
        boolean hasFallback,
        Network network) {

    /**
     * The waits in force.
     *
     * @param base the wait after the first attempt, before jitter
     * @param factor what each further wait is multiplied by
     * @param max the longest wait
     * @param jitter how waits are spread
     * @param hintMax the longest wait that a server may ask for
     */
    public record Waits(Duration base, double factor, Duration max, Jitter jitter, Duration hintMax) {}

    /**
     * The retry budget in force.
     *
     * @param ratio how many retries each call is good for
     * @param minPerSecond how many retries a second there may be whatever the calls
     * @param window the window over which calls and retries are counted
     */
    public record Retries(double ratio, double minPerSecond, Duration window) {}

    /**
     * The circuit breaker in force.
     *
     * @param failureRate the share of failed attempts from which on it opens
     * @param minCalls how many outcomes the window must hold before rates count
     * @param window the window over which outcomes are counted
     * @param consecutiveFailures after how many failures in a row it opens; empty for never
     * @param slowCall from which length on an attempt is slow; empty for none
     * @param slowRate the share of slow attempts from which on it opens
     * @param openFor how long it stays open the first time
     * @param openMax how long it stays open at most
     * @param probes how many attempts half-open lets through at once
     */
    public record Circuit(
            double failureRate,
            int minCalls,
            Duration window,
            OptionalInt consecutiveFailures,
            Optional<Duration> slowCall,
            double slowRate,
            Duration openFor,
            Duration openMax,
            int probes) {}

    /**
     * The bulkhead in force.
     *
     * @param maxConcurrent how many calls run at once; empty when that is found from latency
     * @param maxQueue how many calls may wait
     * @param queueTimeout how long a call waits at most; empty for as long as an attempt's timeout
     */
    public record Places(OptionalInt maxConcurrent, int maxQueue, Optional<Duration> queueTimeout) {}

    /**
     * The rate limit in force.
     *
     * @param rate how many calls there may be in each {@code per}
     * @param per the time that the rate is meant for
     * @param burst how many calls may come at once; empty for the rate, rounded up
     * @param maxWait how long a call may wait for its turn
     */
    public record Rate(double rate, Duration per, OptionalInt burst, Duration maxWait) {}

    /**
     * The hedge in force.
     *
     * @param after how long an attempt runs before another begins beside it; empty when that is found from latency
     * @param percentile 50, 90, 95 or 99: so long as that share of attempts takes; empty for a length of time
     * @param max how many may begin beside an attempt
     */
    public record Hedges(Optional<Duration> after, OptionalInt percentile, int max) {}

    /**
     * The settings of networking in force.
     *
     * @param endpoints where calls may go; empty for the target itself, or where they are found
     * @param discovery where endpoints are looked for; empty for nowhere
     * @param balance how the endpoint of an attempt is chosen
     * @param hashOn the key that it is chosen by; empty for none
     * @param zone the zone that this program runs in
     * @param slowStart over how long an endpoint comes to its full share; empty for at once
     * @param outlier when an endpoint is left out; empty for never
     * @param healthCheck how endpoints are asked whether they are well; empty for not at all
     * @param tls whom certificates have to convince
     * @param auth by what requests say who sends them: {@code bearer}, {@code bearerEnv}, {@code bearerFile}, {@code basic},
     *     {@code apiKey} or {@code oauth2}; empty for nothing
     * @param headers the names of the headers that every request has
     * @param idempotencyKey whether requests get an {@code Idempotency-Key}
     * @param http how requests are made
     */
    public record Network(
            List<Endpoint> endpoints,
            Optional<Lookup> discovery,
            Balance balance,
            Optional<String> hashOn,
            Optional<String> zone,
            Optional<Duration> slowStart,
            Optional<Ejection> outlier,
            Optional<Checks> healthCheck,
            Security tls,
            Optional<String> auth,
            List<String> headers,
            IdempotencyKey idempotencyKey,
            Requests http) {}

    /**
     * The discovery in force.
     *
     * @param kind {@code dns}, {@code srv} or {@code file}
     * @param name what is looked up
     * @param servers the DNS servers that are asked; empty for the system's
     * @param refresh the longest time between two looks
     */
    public record Lookup(String kind, String name, List<String> servers, Duration refresh) {}

    /**
     * When an endpoint is left out.
     *
     * @param consecutiveFailures after how many failures in a row
     * @param base for how long, times how often it was before
     * @param max the longest that it is
     * @param maxEjected the share of the endpoints that may be at once
     * @param panic the share of healthy endpoints below which health is ignored
     */
    public record Ejection(int consecutiveFailures, Duration base, Duration max, double maxEjected, double panic) {}

    /**
     * The health checks in force.
     *
     * @param path what GET asks for; empty for a mere connection
     * @param interval how long it is between two checks of an endpoint
     * @param timeout how long an answer may take
     * @param unhealthy after how many failed checks in a row an endpoint is left out
     * @param healthy after how many good checks in a row it is back
     */
    public record Checks(Optional<String> path, Duration interval, Duration timeout, int unhealthy, int healthy) {}

    /**
     * TLS as it is in force.
     *
     * @param ca the root certificates; empty for the system's
     * @param cert the client's certificate
     * @param key its private key
     * @param serverName the name that certificates have to be for; empty for the target's host
     * @param minVersion the lowest version that is spoken
     * @param pins public keys, of which a certificate has to have one; empty for any
     * @param dangerousAcceptInvalidCertificates whether a certificate is taken for good that does not verify
     */
    public record Security(
            Optional<Path> ca,
            Optional<Path> cert,
            Optional<Path> key,
            Optional<String> serverName,
            Tls.Version minVersion,
            List<String> pins,
            boolean dangerousAcceptInvalidCertificates) {}

    /**
     * How requests are made.
     *
     * @param version which version of HTTP is spoken
     * @param maxHeaderBytes how large the head of a response may be
     * @param maxBodyBytes how large a body may be that is read whole
     * @param replayBytes how much of a body that is a stream is kept for another attempt
     * @param followRedirects how many redirects are followed
     * @param decompress whether compressed bodies are asked for and unpacked
     * @param proxyFromEnvironment whether {@code HTTP_PROXY} and its like are obeyed
     * @param attemptHeaders whether requests tell their attempt and what is left of their time
     * @param maxConnections how many connections may be open to an endpoint by HTTP/1
     * @param idleTimeout how long a connection is kept that nothing uses
     */
    public record Requests(
            Http.Version version,
            int maxHeaderBytes,
            long maxBodyBytes,
            int replayBytes,
            int followRedirects,
            boolean decompress,
            boolean proxyFromEnvironment,
            boolean attemptHeaders,
            int maxConnections,
            Duration idleTimeout) {}

    /** The numbers of a policy, one after the other, as the native tells them; see {@code texts.rs}. */
    private static final class Numbers {
        private final long[] numbers = new long[38];
        private int at;

        Numbers(long proxy) {
            Native.policy(proxy, numbers);
        }

        int whole() {
            return (int) numbers[at++];
        }

        OptionalInt count() {
            int count = whole();
            return count < 1 ? OptionalInt.empty() : OptionalInt.of(count);
        }

        double real() {
            return Double.longBitsToDouble(numbers[at++]);
        }

        Duration length() {
            return Duration.ofNanos(numbers[at++]);
        }

        Optional<Duration> bound() {
            Duration length = length();
            return length.isNegative() ? Optional.empty() : Optional.of(length);
        }

        boolean truth() {
            return whole() == 1;
        }
    }

    // Arguments are evaluated from left to right, as the numbers stand.
    static Policy of(long proxy) {
        var numbers = new Numbers(proxy);
        int maxRetries = numbers.whole();
        var timeout = numbers.bound();
        var deadline = numbers.bound();
        var backoff = new Waits(
                numbers.length(),
                numbers.real(),
                numbers.length(),
                Jitter.values()[numbers.whole()],
                numbers.length());
        RunIn runIn = numbers.whole() == 1 ? RunIn.WORKER : RunIn.CALLER;
        boolean hasFallback = numbers.truth();
        var budget = group(numbers.truth(), new Retries(numbers.real(), numbers.real(), numbers.length()));
        var breaker = group(
                numbers.truth(),
                new Circuit(
                        numbers.real(),
                        numbers.whole(),
                        numbers.length(),
                        numbers.count(),
                        numbers.bound(),
                        numbers.real(),
                        numbers.length(),
                        numbers.length(),
                        numbers.whole()));
        var bulkhead = group(numbers.truth(), new Places(numbers.count(), numbers.whole(), numbers.bound()));
        var rateLimit = group(
                numbers.truth(), new Rate(numbers.real(), numbers.length(), numbers.count(), numbers.length()));
        var hedge = group(numbers.truth(), new Hedges(numbers.bound(), numbers.count(), numbers.whole()));
        boolean idempotent = numbers.truth();
        return new Policy(
                maxRetries,
                timeout,
                deadline,
                runIn,
                backoff,
                budget,
                breaker,
                bulkhead,
                rateLimit,
                hedge,
                idempotent,
                hasFallback,
                InForce.network(proxy));
    }

    private static <G> Optional<G> group(boolean isOn, G group) {
        return isOn ? Optional.of(group) : Optional.empty();
    }
}
