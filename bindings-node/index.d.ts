// Types of ambassador-proxy. Durations are milliseconds; `null` stands for none.

export {
  AmbassadorError,
  CallTimeoutError,
  ConfigError,
  DeadlineExceededError,
  ForkedError,
  InternalError,
  ShutdownError,
} from "./lib/errors.js";
export type { ErrorDetails } from "./lib/errors.js";

/** How waits are spread, so that clients who failed together do not return together. */
export type Jitter = "full" | "equal" | "decorrelated" | "none";

/** The waits between attempts: `min(maxMs, baseMs · factor^(n-1))` after attempt n, then jitter. */
export interface Backoff {
  /** The wait after the first attempt; default 2000. */
  baseMs?: number;
  /** What each further wait is multiplied by, from 1 to 1000; default 2. */
  factor?: number;
  /** The longest wait; default 30000. */
  maxMs?: number;
  /** Default `"full"`: anything between nothing and the wait. */
  jitter?: Jitter;
  /** A wait that a server asks for and that is longer than this ends the call; default 60000. */
  hintMaxMs?: number;
}

/** A class of errors, or a function that tells whether an error is one of those. */
export type ErrorTest = (new (...args: never[]) => Error) | ((error: unknown) => boolean);

/** How an attempt ended. */
export type AttemptEnd = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** A success; a failure that may be tried again; a failure that may not. */
export type Outcome = "ok" | "retry" | "fail";

/** The settings of a proxy. */
export interface AmbassadorOptions {
  /** Attempts in all, the first one included, from 1 to 100; default 3. */
  maxRetries?: number;
  /** The name under which proxies share their state, and under which it is reported; default the target. */
  name?: string;
  /** The bound of each attempt in milliseconds, or `null` for none; default 2000. */
  timeoutMs?: number | null;
  /** The bound of the whole call in milliseconds, waits included; default `null`, none. */
  deadlineMs?: number | null;
  /** The waits between attempts; `null` or `false` for none. */
  backoff?: Backoff | boolean | null;
  /** Which errors may be tried again; default all. */
  retryOn?: ErrorTest | readonly ErrorTest[] | null;
  /** Which errors may not; goes before `retryOn`; default none. */
  notOn?: ErrorTest | readonly ErrorTest[] | null;
  /** Judges how an attempt ended; `undefined` leaves it to `notOn` and `retryOn`. */
  classify?: ((end: AttemptEnd) => Outcome | undefined) | null;
}

/** The settings in force. */
export interface Policy {
  readonly maxRetries: number;
  readonly name: string;
  readonly timeoutMs: number | null;
  readonly deadlineMs: number | null;
  readonly backoff: Readonly<Required<Backoff>>;
  readonly retryOn: ErrorTest | readonly ErrorTest[] | null;
  readonly notOn: ErrorTest | readonly ErrorTest[] | null;
  readonly classify: ((end: AttemptEnd) => Outcome | undefined) | null;
}

/** What a call can be stopped by. */
export interface CallOptions {
  /** When it aborts, the call rejects at once with its reason, and is not tried again. */
  signal?: AbortSignal | null;
}

/** One attempt of a call, as its function sees it. */
export interface Attempt {
  /** Its number: 1, 2, 3 … */
  readonly attempt: number;
  /** Where it goes: the target. */
  readonly endpoint: string;
  /** What is left until its bound, in milliseconds and at least 0; `null` without a bound. */
  readonly remainingMs: number | null;
  /** Whether nobody waits for it any more. */
  readonly cancelled: boolean;
  /**
   * What to send along: `idempotency-key`, the same for all attempts of a call; `traceparent`; `x-ambassador-attempt`; and
   * `x-ambassador-remaining-ms` when it is bounded. A new object at each read.
   */
  readonly headers: Record<string, string>;
  /** Aborts when the attempt is given up: at its bound, or when the call is stopped. Made only when read. */
  readonly signal: AbortSignal;
  /** Set it to ask for at least that wait before the next attempt, in milliseconds, as a server does by `Retry-After`. */
  retryAfterMs: number | undefined;
}

/** What calls functions: a proxy, or one bound to a signal by {@link Caller.with}. */
export interface Caller {
  /**
   * Calls the function until it succeeds, may not be tried again, or no attempt is left.
   *
   * @returns what the function returns, or what its promise brings
   * @throws the function's own error of the last attempt, the same object; or an `AmbassadorError`
   */
  call<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Awaited<R>>;
  /** {@link Caller.call}, for a function that wants to know its attempt's number, bound, headers and signal. */
  execute<R>(fn: (ctx: Attempt) => R, options?: CallOptions): Promise<Awaited<R>>;
  /** The function, called through the proxy each time; `this` and arguments are handed on. */
  wrap<T, A extends unknown[], R>(fn: (this: T, ...args: A) => R, options?: CallOptions): (this: T, ...args: A) => Promise<Awaited<R>>;
  /** The same, with calls that the signal stops. */
  with(options: CallOptions): Caller;
}

/** How many ended each way. */
export interface Counts {
  readonly ok: number;
  readonly failure: number;
  readonly timeout: number;
  readonly cancelled: number;
}

/** What is known of a target in this process; the same names in every language. */
export interface Health {
  readonly target: string;
  readonly name: string;
  readonly in_flight: number;
  readonly calls: Counts & { readonly rejected: number; readonly fallback: number };
  readonly attempts: Counts;
  readonly retries: number;
  /** Results that came after their attempt had been given up. */
  readonly late_results: number;
  /** Functions that still run though their attempt was given up. */
  readonly abandoned: number;
  readonly internal_errors: number;
}

/**
 * The ambassador for one target.
 *
 * @example
 * const payments = new AmbassadorProxy("payment-api.example.com", { maxRetries: 3, timeoutMs: 2000 });
 * const receipt = await payments.call(charge, 99.99);
 */
export class AmbassadorProxy implements Caller {
  /**
   * @param targetHost a host, with a port if needed, or an http:// or https:// URL of one
   * @throws ConfigError that names the setting, its value and what is allowed
   */
  constructor(targetHost: string, options?: AmbassadorOptions);
  /** The target, as it was given. */
  readonly target: string;
  /** The settings in force. */
  readonly policy: Policy;
  call<A extends unknown[], R>(fn: (...args: A) => R, ...args: A): Promise<Awaited<R>>;
  execute<R>(fn: (ctx: Attempt) => R, options?: CallOptions): Promise<Awaited<R>>;
  wrap<T, A extends unknown[], R>(fn: (this: T, ...args: A) => R, options?: CallOptions): (this: T, ...args: A) => Promise<Awaited<R>>;
  with(options: CallOptions): Caller;
  /** How the target's calls went; shared by all proxies of one name in the process, in all its threads. */
  health(): Health;
}

/** What the channel `ambassador:retry` of `node:diagnostics_channel` publishes. */
export interface RetryMessage {
  /** The line: `[Ambassador] Retry 1 after 1.37s: Payment API unreachable`. */
  readonly line: string;
  readonly target: string;
  /** The number of the attempt that failed. */
  readonly attempt: number;
  /** The wait until the next. */
  readonly waitMs: number;
  /** What it failed with; `undefined` when it returned a value that `classify` called `"retry"`. */
  readonly error: unknown;
}

/**
 * Refuses new calls from now on, in all threads of the process, and waits for those in flight at most `timeoutMs`
 * milliseconds (default 30000). Nothing needs this for a clean exit.
 *
 * @returns whether every call ended in time
 */
export function shutdown(timeoutMs?: number): Promise<boolean>;

/** The version of the package and of its native part. */
export const version: string;
