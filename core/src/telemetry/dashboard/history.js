// What the last minutes were like: the counters of each snapshot, and rates as their differences.

/** @import { Counters, Get, Points, Quantiles, Sample, Snapshot } from "./schema.js" */

const [SPAN, LEAST_SPAN, WINDOW] = [180_000, 60_000, 10_000];

/** @satisfies {Record<string, Get>} */
export const of = {
  calls: ({ calls }) => calls.ok + calls.failure + calls.timeout + calls.rejected + calls.cancelled + calls.fallback,
  answered: ({ calls }) => calls.ok + calls.fallback,
  failed: ({ calls }) => calls.failure + calls.timeout,
  lost: ({ calls }) => calls.failure + calls.timeout + calls.rejected,
  unfailed: ({ calls }) => calls.ok + calls.fallback + calls.rejected,
  fallback: ({ calls }) => calls.fallback,
  refused: ({ calls }) => calls.rejected,
  retries: ({ retries, hedges }) => retries + hedges,
  okAttempts: ({ attempts }) => attempts.ok,
  failedAttempts: ({ attempts }) => attempts.failure + attempts.timeout,
};

/** The last minutes of one target, or of all together. */
export class Series {
  /** @type {Sample[]} */
  samples = [];

  /** @param {number} at @param {Counters} counters @param {Quantiles} [latency] */
  add(at, counters, latency) {
    const last = this.samples.at(-1);
    // Whose counters shrank is another one of that name.
    if (last && (at <= last.at || of.calls(counters) < of.calls(last.of))) this.samples = [];
    this.samples.push({ at, of: counters, latency });
    this.samples = this.samples.filter((sample) => sample.at >= at - SPAN);
  }

  /** Per second over the last ten seconds, as the quantiles are. @param {Get} get */
  rate(get) {
    const to = this.samples.at(-1);
    const from = to && (this.samples.findLast(({ at }) => at <= to.at - WINDOW) ?? this.samples[0]);
    return from && to.at > from.at ? ((get(to.of) - get(from.of)) * 1000) / (to.at - from.at) : 0;
  }

  /** Null when there was nothing to be a share of. @param {Get} part @param {Get} rest */
  share(part, rest) {
    const [some, other] = [this.rate(part), this.rate(rest)];
    return some + other > 0 ? some / (some + other) : null;
  }

  get success() {
    return this.share(of.answered, of.lost);
  }

  /** Per second, from each sample to the next. @param {Get} get @returns {Points} */
  steps(get) {
    return this.samples.map(({ at, of }, index) => {
      const from = this.samples[index - 1];
      return [at, from ? ((get(of) - get(from.of)) * 1000) / (at - from.at) : null];
    });
  }

  /** @param {"p50_ns" | "p99_ns"} which @returns {Points} */
  quantile(which) {
    return this.samples.map(({ at, latency }) => [at, latency?.[which] ?? null]);
  }

  /** How long a time a picture shows. */
  get span() {
    return Math.max((this.samples.at(-1)?.at ?? 0) - (this.samples[0]?.at ?? 0), LEAST_SPAN);
  }
}

/** Adds all numbers, also those in objects. @param {any} to @param {any} from */
const add = (to, from) => {
  for (const [name, value] of Object.entries(from ?? {})) {
    if (typeof value === "number") to[name] = (to[name] ?? 0) + value;
    else if (value && !Array.isArray(value)) add((to[name] ??= {}), value);
  }
};
const NONE = { retries: 0, hedges: 0, calls: { ok: 0, failure: 0, timeout: 0, rejected: 0, cancelled: 0, fallback: 0 } };

/** All counters of a snapshot together. @param {Snapshot} snapshot @returns {Counters} */
const total = ({ targets, other }) => {
  /** @type {any} */
  const all = structuredClone(NONE);
  for (const part of [...targets, other]) add(all, part && { in_flight: part.in_flight, calls: part.calls, retries: part.retries, hedges: part.hedges });
  return all;
};

/** What the page knows of the process that it looks at. */
export class History {
  /** @type {Map<string, Series>} By name. */
  targets = new Map();
  all = new Series();
  /** @type {Snapshot | null} */
  snapshot = null;

  /** Tells whether it is another process than before, whose counters begin anew. @param {Snapshot} snapshot */
  add(snapshot) {
    const last = this.snapshot ?? snapshot;
    const isAnother = last.pid !== snapshot.pid || last.started_ms !== snapshot.started_ms;
    if (isAnother) this.all = new Series();
    const known = isAnother ? new Map() : this.targets;
    this.targets = new Map(snapshot.targets.map(({ name }) => [name, known.get(name) ?? new Series()]));
    for (const target of snapshot.targets) this.targets.get(target.name)?.add(snapshot.now_ms, target, target.latency.calls["10s"]);
    this.all.add(snapshot.now_ms, total(snapshot));
    this.snapshot = snapshot;
    return isAnother;
  }
}
