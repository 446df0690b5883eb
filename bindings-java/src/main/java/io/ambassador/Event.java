package io.ambassador;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * Something that happened to a target; for {@link AmbassadorProxy#onEvent}.
 *
 * <pre>{@code
 * payments.onEvent(event -> {
 *     if (event instanceof Event.Circuit circuit) {
 *         System.out.println(circuit.name() + " is " + circuit.to());
 *     }
 * });
 * }</pre>
 */
public sealed interface Event {
    /**
     * The name of the state that it happened to.
     *
     * @return the target, unless its proxies have a name
     */
    String name();

    /**
     * An attempt ended.
     *
     * @param name see {@link Event#name}
     * @param attempt its number
     * @param outcome {@code ok}, {@code failure}, {@code timeout} or {@code cancelled}
     * @param elapsed how long it took
     * @param endpoint where it went; empty where the target itself is the one endpoint
     */
    record Attempt(String name, int attempt, String outcome, Duration elapsed, Optional<String> endpoint)
            implements Event {}

    /**
     * Another attempt began beside those that run.
     *
     * @param name see {@link Event#name}
     * @param attempt its number
     * @param after how long the one before it had run
     */
    record Hedge(String name, int attempt, Duration after) implements Event {}

    /**
     * An attempt failed, and another follows after a wait.
     *
     * @param name see {@link Event#name}
     * @param attempt the number of the attempt that failed
     * @param delay how long that wait is
     */
    record Retry(String name, int attempt, Duration delay) implements Event {}

    /**
     * A call ended.
     *
     * @param name see {@link Event#name}
     * @param attempts how many attempts it made
     * @param outcome {@code ok}, {@code failure}, {@code timeout}, {@code rejected}, {@code cancelled} or {@code fallback}
     * @param stop why it ended, in words
     * @param elapsed how long it took
     */
    record Call(String name, int attempts, String outcome, String stop, Duration elapsed) implements Event {}

    /**
     * The circuit breaker changed its state: {@code closed}, {@code open}, {@code half_open}, {@code isolated}.
     *
     * @param name see {@link Event#name}
     * @param from from this state …
     * @param to … to this
     * @param openFor how long it stays open, when it opened
     */
    record Circuit(String name, String from, String to, Optional<Duration> openFor) implements Event {}

    /**
     * An endpoint is left out, or back: {@code ejected}, {@code back}; {@code unhealthy}, {@code healthy} by its checks.
     *
     * @param name see {@link Event#name}
     * @param address which one
     * @param to what became of it
     * @param ejectedFor how long it is left out, when it is ejected
     */
    record Endpoint(String name, String address, String to, Optional<Duration> ejectedFor) implements Event {}

    /**
     * Other endpoints were found, or none could be looked for, and the last ones stay.
     *
     * @param name see {@link Event#name}
     * @param added the addresses of those that came
     * @param removed the addresses of those that went
     * @param stale why nobody knows whether they are still there; empty when they are
     */
    record Endpoints(String name, List<String> added, List<String> removed, Optional<String> stale)
            implements Event {}

    /**
     * A proxy asked for other settings of what all proxies of the name share than those that held; the newest hold.
     *
     * @param name see {@link Event#name}
     * @param before what held
     * @param now what holds now
     */
    record Settings(String name, String before, String now) implements Event {}

    /**
     * Certificates, keys or tokens that settings name were read or fetched again, or could not be.
     *
     * @param name see {@link Event#name}
     * @param field the setting, by its name in the config file: {@code auth.bearer_file}
     * @param why why what it names now cannot be used, so that the last good one stays in use; empty when what it names now holds
     */
    record Credentials(String name, String field, Optional<String> why) implements Event {}

    /**
     * The ambassador itself failed; the call went on without it.
     *
     * @param name see {@link Event#name}
     * @param at where
     */
    record Internal(String name, String at) implements Event {}
}
