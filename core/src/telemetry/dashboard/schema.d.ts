/* What the admin server answers, as the page reads it: GET /v1/snapshot, /v1/config and the lines of /v1/events. For tsc alone;
 * it is not served. Counters only grow while one process lives; lengths of time are nanoseconds, instants Unix milliseconds. */

export type Circuit = "closed" | "open" | "half_open" | "isolated";
export type Counts<Names extends string> = Record<Names, number>;

/** Quantiles are null when nothing was counted in that time. */
export interface Quantiles {
  count: number;
  p50_ns: number | null;
  p90_ns: number | null;
  p99_ns: number | null;
  p999_ns: number | null;
}

export interface Endpoint {
  address: string;
  zone: string | null;
  weight: number;
  state: "healthy" | "ejected" | "unhealthy";
  in_flight: number;
  ewma_ns: number | null;
  consecutive_failures: number;
  ejected_for_ns: number | null;
  times_ejected: number;
  stale: boolean;
}

export type CallOutcome = "ok" | "failure" | "timeout" | "rejected" | "cancelled" | "fallback";
export type AttemptOutcome = "ok" | "failure" | "timeout" | "cancelled";
export type Rejection = "shutdown" | "rate_limited" | "bulkhead_full" | "circuit_open" | "no_endpoint";

/** What a target and the sum of the targets beyond the cap have in common. */
export interface Counters {
  in_flight: number;
  calls: Counts<CallOutcome>;
  attempts: Counts<AttemptOutcome>;
  retries: number;
  hedges: number;
  late_results: number;
  abandoned: number;
  internal_errors: number;
  rejections: Counts<Rejection>;
}

export interface Target extends Counters {
  target: string;
  name: string;
  events_dropped: number;
  circuit: {
    state: Circuit;
    open_for_ns: number | null;
    outcomes: number;
    failures: number;
    transitions: Counts<Circuit>;
  } | null;
  budget: { tokens: number } | null;
  bulkhead: { limit: number; occupied: number; queued: number } | null;
  endpoints: Endpoint[] | null;
  latency: Record<"calls" | "attempts", Record<"10s" | "60s", Quantiles>>;
}

export interface Snapshot {
  version: string;
  language: string;
  pid: number;
  started_ms: number;
  now_ms: number;
  ready: boolean;
  not_ready: string[];
  process: {
    memory_bytes: number | null;
    runtime: { threads: number | null; lag_ns: number | null; queue: number | null };
    workers: { limit: number | null; busy: number | null; waiting: number | null };
    events: { dropped: number; subscribers: number };
  };
  targets: Target[];
  other: (Partial<Counters> & { targets: number }) | null;
}

export interface Setting {
  field: string;
  value: unknown;
  origin: string;
}

export interface Config {
  targets: { name: string; target: string; policy: Setting[] }[];
}

/** One line of /v1/events: what the page reads of it. The core has put it into words, which begin with the name. */
export interface Told {
  type: string;
  name: string;
  at_ms: number;
  level: "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE";
  message: string;
  outcome?: string;
  to?: string;
}

// What the page makes of it.

export type Get = (of: Counters) => number;

/** One target's last minutes, or those of all together. */
export interface Sample {
  at: number;
  of: Counters;
  latency: Quantiles | undefined;
}

/** `lost`: the page has no connection. */
export type Tone = "bad" | "warn" | "held" | "good" | "idle" | "lost";

/** What fails, and what the ambassador does about it. */
export interface Finding {
  fails: string;
  does: string;
}

/** The higher the rank, the worse. `budget`: the share that is left. */
export interface Verdict {
  rank: number;
  tone: Tone;
  word: string;
  findings: Finding[];
  budget: number | null;
}

export interface Row {
  target: Target;
  series: import("./history.js").Series;
  verdict: Verdict;
}

export type Points = [at: number, value: number | null][];
export type Kept = Told & { id: number };
export type Maybe = number | null | undefined;

// Its tools, whose types say more than fits beside them.

/** An element: `h("a.name", { href: "#" }, "text")`. */
export type H = <T extends keyof HTMLElementTagNameMap>(tag: T | `${T}.${string}`, attributes?: Record<string, string>, ...children: (Node | string)[]) => HTMLElementTagNameMap[T];
export type Find = <E extends Element>(selector: string, type: new () => E) => E;
/** Puts the items into the parent: a node for each key, made once, moved only when the order changes, and updated. */
export type List = <T>(parent: Element, key: (item: T) => string, make: (item: T) => { node: Element; update?: (item: T) => void }) => (items: T[]) => void;
/** Draws the lines over so many milliseconds; the largest value is at the top, and given back. */
export type Draw = (all: readonly Points[], span: number, label: string) => number;
/** How bad, in one line, with which shape. */
export type Headline = [tone: string, text: string, shape: string];
/** Shows the findings of a verdict in the parent, so many lines at most. */
export type Findings = (parent: Element, most: number) => (verdict: Verdict) => void;
/** Puts text into a node, or the one of that id. */
export type Say = (node: Element | string | undefined, text: string) => void;
export type Mark = (element: Element, name: string, value: string) => void;
export type Svg = (tag: string, attributes: Record<string, string>, ...children: Element[]) => SVGElement;
/** A value as a person reads it. */
export type Spell = (value: Maybe) => string;
/** What is worth a word, if it is so. */
export type Judged = Finding | false | undefined;
