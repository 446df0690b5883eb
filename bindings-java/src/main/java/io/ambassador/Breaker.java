package io.ambassador;

import java.time.Duration;

/**
 * When the circuit opens, for how long, and how it closes again. The default opens when at least half of at least 20 attempts within
 * 30 s have failed. While it is open, attempts are refused: a first one by {@link CircuitOpenException}. Immutable. Values are checked
 * when the proxy is built.
 *
 * <pre>{@code
 * Breaker strict = Breaker.defaults().failureRate(0.2).openFor(Duration.ofSeconds(1)).consecutiveFailures(5);
 * }</pre>
 */
public final class Breaker {
    private final Fields fields;

    private Breaker(Fields fields) {
        this.fields = fields;
    }

    /**
     * Every setting at its default.
     *
     * @return the breaker
     */
    public static Breaker defaults() {
        return new Breaker(Fields.NONE);
    }

    /**
     * Sets the share of failed attempts in the window from which on it opens.
     *
     * @param failureRate 0.001 to 1; default 0.5
     * @return the changed settings
     */
    public Breaker failureRate(double failureRate) {
        return with("failureRate", failureRate);
    }

    /**
     * Sets how many outcomes the window must hold before rates count.
     *
     * @param minCalls 1 to 1000000; default 20
     * @return the changed settings
     */
    public Breaker minCalls(int minCalls) {
        return with("minCalls", minCalls);
    }

    /**
     * Sets the window over which outcomes are counted.
     *
     * @param window from 1 ms; default 30 s
     * @return the changed settings
     */
    public Breaker window(Duration window) {
        return with("windowMs", window);
    }

    /**
     * Sets the window over which outcomes are counted.
     *
     * @param milliseconds from 1 ms; default 30000
     * @return the changed settings
     */
    public Breaker windowMs(double milliseconds) {
        return with("windowMs", milliseconds);
    }

    /**
     * Sets after how many failures in a row it opens, whatever the rate.
     *
     * @param consecutiveFailures 1 to 1000000; default off
     * @return the changed settings
     */
    public Breaker consecutiveFailures(int consecutiveFailures) {
        return with("consecutiveFailures", consecutiveFailures);
    }

    /**
     * Sets from which length on an attempt is slow.
     *
     * @param slowCall above 0, or null for none; default none
     * @return the changed settings
     */
    public Breaker slowCall(Duration slowCall) {
        return with("slowCallMs", slowCall);
    }

    /**
     * Sets from which length on an attempt is slow.
     *
     * @param milliseconds above 0; default none
     * @return the changed settings
     */
    public Breaker slowCallMs(double milliseconds) {
        return with("slowCallMs", milliseconds);
    }

    /**
     * Sets the share of slow attempts in the window from which on it opens; heeded when {@link #slowCall(Duration)} is set.
     *
     * @param slowRate 0.001 to 1; default 1
     * @return the changed settings
     */
    public Breaker slowRate(double slowRate) {
        return with("slowRate", slowRate);
    }

    /**
     * Sets how long it stays open the first time; each reopening doubles that.
     *
     * @param openFor from 1 ms; default 5 s
     * @return the changed settings
     */
    public Breaker openFor(Duration openFor) {
        return with("openForMs", openFor);
    }

    /**
     * Sets how long it stays open the first time; each reopening doubles that.
     *
     * @param milliseconds from 1 ms; default 5000
     * @return the changed settings
     */
    public Breaker openForMs(double milliseconds) {
        return with("openForMs", milliseconds);
    }

    /**
     * Sets how long it stays open at most.
     *
     * @param openMax from 1 ms; default 60 s
     * @return the changed settings
     */
    public Breaker openMax(Duration openMax) {
        return with("openMaxMs", openMax);
    }

    /**
     * Sets how long it stays open at most.
     *
     * @param milliseconds from 1 ms; default 60000
     * @return the changed settings
     */
    public Breaker openMaxMs(double milliseconds) {
        return with("openMaxMs", milliseconds);
    }

    /**
     * Sets how many attempts half-open lets through at once; as many successes close the circuit.
     *
     * @param probes 1 to 16; default 3
     * @return the changed settings
     */
    public Breaker probes(int probes) {
        return with("probes", probes);
    }

    private Breaker with(String field, Object value) {
        return new Breaker(fields.with(field, value));
    }

    /** The settings as the builder takes them. */
    Fields.Group group() {
        return new Fields.Group("breaker", true, fields);
    }
}
