// A process that is not there: targets that fail and recover as they are told, and what the admin server would say of them. Its time
// is its own and it throws no dice that are not seeded, so a test sees the same each time.

/** @import { Circuit, Config, Endpoint, Rejection, Snapshot, Target } from "../../core/src/telemetry/dashboard/schema.js" */

/** What a target is like, per second.
 * @typedef {{ name: string, target?: string, calls: number, failing?: number, timeouts?: number, retried?: number, fallback?: number,
 *   refused?: Partial<Record<Rejection, number>>, p50?: number, p99?: number, circuit?: Circuit | null, openFor?: number,
 *   tokens?: number | null, endpoints?: Partial<Endpoint>[] | null, bulkhead?: Target["bulkhead"], inFlight?: number }} Like */

const zero = () => ({
  in_flight: 0,
  calls: { ok: 0, failure: 0, timeout: 0, rejected: 0, cancelled: 0, fallback: 0 },
  attempts: { ok: 0, failure: 0, timeout: 0, cancelled: 0 },
  retries: 0,
  hedges: 0,
  late_results: 0,
  abandoned: 0,
  internal_errors: 0,
  rejections: { shutdown: 0, rate_limited: 0, bulkhead_full: 0, circuit_open: 0, no_endpoint: 0 },
});

export class World {
  #seed = 1;
  now = Date.UTC(2026, 2, 9, 10, 4, 0);
  started = this.now - 11_520_000;
  pid = 4711;
  language = "python";
  /** @type {string[]} */
  notReady = [];
  dropped = 0;
  /** @type {Map<string, { like: Like, counted: ReturnType<typeof zero>, transitions: Record<Circuit, number> }>} */
  #targets = new Map();
  /** @type {Snapshot["other"]} */
  other = null;

  /** @param {...Like} likes */
  have(...likes) {
    for (const like of likes) {
      const known = this.#targets.get(like.name);
      if (!known) this.#targets.set(like.name, { like, counted: zero(), transitions: { closed: 0, open: 0, half_open: 0, isolated: 0 } });
      else {
        const to = like.circuit ?? known.like.circuit ?? "closed";
        if (to !== (known.like.circuit ?? "closed")) known.transitions[to]++;
        known.like = { ...known.like, ...like };
      }
    }
  }

  /** @param {string} name */
  forget(name) {
    this.#targets.delete(name);
  }

  #random() {
    this.#seed = (this.#seed * 48271) % 2147483647;
    return this.#seed / 2147483647;
  }

  /** Time goes on. */
  tick(seconds = 1) {
    this.now += seconds * 1000;
    for (const { like, counted } of this.#targets.values()) {
      const about = (/** @type {number} */ rate) => Math.round(rate * seconds * (0.8 + 0.4 * this.#random()));
      const calls = about(like.calls);
      const timeouts = Math.round(calls * (like.timeouts ?? 0));
      const failed = Math.round(calls * (like.failing ?? 0));
      const fallback = Math.round(calls * (like.fallback ?? 0));
      const retried = Math.round(calls * (like.retried ?? 0));
      const ok = Math.max(calls - timeouts - failed - fallback, 0);
      counted.calls.ok += ok;
      counted.calls.failure += failed;
      counted.calls.timeout += timeouts;
      counted.calls.fallback += fallback;
      counted.attempts.ok += ok;
      counted.attempts.failure += failed + fallback + retried;
      counted.attempts.timeout += timeouts;
      counted.retries += retried;
      for (const [reason, rate] of Object.entries(like.refused ?? {})) {
        const refused = about(rate);
        counted.rejections[/** @type {Rejection} */ (reason)] += refused;
        counted.calls.rejected += refused;
      }
    }
  }

  /** @returns {Target[]} */
  #all() {
    return [...this.#targets.values()].map(({ like, counted, transitions }) => {
      const wave = 0.85 + 0.3 * this.#random();
      const p50 = (like.p50 ?? 8) * 1e6 * wave;
      const p99 = Math.max((like.p99 ?? 40) * 1e6 * (0.7 + 0.6 * this.#random()), p50);
      const busy = like.calls > 0;
      const quantiles = (/** @type {number} */ seconds) => ({
        count: Math.round(like.calls * seconds),
        p50_ns: busy ? Math.round(p50) : null,
        p90_ns: busy ? Math.round((p50 + p99) / 2) : null,
        p99_ns: busy ? Math.round(p99) : null,
        p999_ns: busy ? Math.round(p99 * 1.4) : null,
      });
      const latency = { "10s": quantiles(10), "60s": quantiles(60) };
      const failures = Math.round(40 * ((like.failing ?? 0) + (like.retried ?? 0)));
      return {
        ...structuredClone(counted),
        target: like.target ?? like.name,
        name: like.name,
        in_flight: like.inFlight ?? Math.round((like.calls * p50) / 1e9),
        events_dropped: 0,
        circuit: like.circuit === null ? null : { state: like.circuit ?? "closed", open_for_ns: like.openFor ?? null, outcomes: 40, failures, transitions: { ...transitions } },
        budget: like.tokens === null ? null : { tokens: like.tokens ?? 100 },
        bulkhead: like.bulkhead ?? null,
        endpoints:
          like.endpoints?.map((endpoint, index) => ({
            address: `10.0.0.${index + 1}:8443`,
            zone: null,
            weight: 1,
            state: /** @type {const} */ ("healthy"),
            in_flight: 0,
            ewma_ns: Math.round(p50),
            consecutive_failures: 0,
            ejected_for_ns: null,
            times_ejected: 0,
            stale: false,
            ...endpoint,
          })) ?? null,
        latency: { calls: latency, attempts: latency },
      };
    });
  }

  /** @returns {Snapshot} */
  snapshot() {
    return {
      version: "0.1.0",
      language: this.language,
      pid: this.pid,
      started_ms: this.started,
      now_ms: this.now,
      ready: this.notReady.length === 0,
      not_ready: this.notReady,
      process: {
        memory_bytes: 48_300_000,
        runtime: { threads: 2, lag_ns: 84_000, queue: 0 },
        workers: { limit: 64, busy: 3, waiting: 0 },
        events: { dropped: this.dropped, subscribers: 1 },
      },
      targets: this.#all(),
      other: this.other,
    };
  }

  /** @returns {Config} */
  config() {
    const policy = [
      ["max_retries", 4, "constructor"],
      ["timeout", "400ms", "config ambassador.toml:12"],
      ["deadline", null, "default"],
      ["backoff.base", "50ms", "constructor"],
      ["backoff.factor", 2, "default"],
      ["backoff.max", "30s", "default"],
      ["backoff.jitter", "full", "default"],
      ["breaker.failure_rate", 0.5, "default"],
      ["breaker.min_calls", 20, "default"],
      ["breaker.window", "30s", "default"],
      ["breaker.open_for", "5s", "default"],
      ["budget.ratio", 0.2, "default"],
      ["budget.min_per_second", 10, "default"],
      ["balance", "p2c", "default"],
      ["outlier.failures", 3, "config ambassador.toml:15"],
      ["auth.bearer", "***", "constructor"],
    ].map(([field, value, origin]) => ({ field: String(field), value, origin: String(origin) }));
    return { targets: [...this.#targets.values()].map(({ like }) => ({ name: like.name, target: like.target ?? like.name, policy })) };
  }
}
