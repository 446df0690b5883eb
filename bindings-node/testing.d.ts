/// <reference lib="esnext.disposable" />
// Types of ambassador-proxy/testing.

import type { AmbassadorProxy } from "./index.js";

/**
 * Time as a test moves it: waits between attempts, for a turn and in a queue pass at once, and are noted. For the whole process,
 * all its threads included, so tests in virtual time run one at a time.
 *
 * Bounds hold too: a function that moves the clock beyond its bound has timed out when it ends. One that really hangs is not given
 * up.
 */
export interface VirtualTime extends Disposable {
  /** Moves time on. */
  advance(ms: number): void;
  /** How long it has been virtual, in virtual time. */
  readonly elapsedMs: number;
  /** The waits so far, in their order. */
  readonly waitsMs: number[];
  /** Time is real again. */
  restore(): void;
}

/**
 * From now on time is virtual: until `restore`, until the end of the scope (`using time = virtualTime()`), or, with the context of a
 * test of node:test, until that test is over, however it ends.
 *
 * @example
 * test("a payment is tried again", async (t) => {
 *   const time = virtualTime(t);
 *   const charge = scripted().fails(new Error("unreachable"), { times: 2 }).returns("charged");
 *   const payments = new AmbassadorProxy("payment-api.example.com", { backoff: { jitter: "none" } });
 *   assert.equal(await payments.call(charge, 99.99), "charged");
 *   assert.deepEqual(time.waitsMs, [2000, 4000]);
 * });
 *
 * @throws Error when it is virtual already
 */
export function virtualTime(test?: { after(fn: () => void): void }): VirtualTime;

/** From now on the jitter of the proxy's target is that of the seed, a whole number: the same waits in every language. */
export function seedJitter(proxy: AmbassadorProxy<unknown>, seed: number): void;

/** How often a step of a script is done, and how long it takes. */
export interface StepOptions {
  /** How often; default 1. */
  times?: number;
  /** How far it moves virtual time on before it ends; default 0. */
  takesMs?: number;
}

/** An asynchronous function that ends as its script says, one step a call. The last step goes on for ever; none returns `undefined`. */
export interface Scripted<R = never> {
  (...args: any[]): Promise<R>;
  /** The arguments of each call so far. */
  readonly calls: any[][];
  /** Then it returns this. */
  returns<V>(value: V, options?: StepOptions): Scripted<R | V>;
  /** Then it throws this. */
  fails(error: unknown, options?: StepOptions): Scripted<R>;
  /** Then it never ends. */
  hangs(options?: StepOptions): Scripted<R>;
}

/**
 * A function without a script yet.
 *
 * @example
 * const charge = scripted().fails(new Error("unreachable"), { times: 2 }).returns({ status: "charged" });
 */
export function scripted(): Scripted;
