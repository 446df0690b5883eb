// One attempt, as its function sees it: what `proxy.execute` passes to the function.
"use strict";

const { native } = require("./bridge.js");
const timers = require("./timers.js");
const { present } = require("./tracing.js");

class Attempt {
  #flight;
  #number;
  /** As it stood when this attempt began: one that was given up goes on seeing its own. */
  #bound;
  #endpoint;
  #hint = NaN;
  #controller;
  #isGivenUp = false;
  #reason;

  constructor(flight, number, bound) {
    this.#flight = flight;
    this.#number = number;
    this.#bound = bound;
  }

  get attempt() {
    return this.#number;
  }

  get endpoint() {
    const { core, call } = this.#flight;
    return (this.#endpoint ??= native.endpoint(core.handle, call, this.#number) ?? core.target);
  }

  get remainingMs() {
    if (this.#bound === Infinity) return null;
    return Math.max(0, this.#bound - timers.now()) / 1e6;
  }

  get cancelled() {
    return this.#isGivenUp || timers.now() >= this.#bound;
  }

  get headers() {
    const { core, call } = this.#flight;
    const flat = native.headers(core.handle, call, this.#flight.id, this.#number, this.#bound, present());
    const headers = {};
    for (let at = 0; at < flat.length; at += 2) headers[flat[at]] = flat[at + 1];
    return headers;
  }

  get signal() {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isGivenUp) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get retryAfterMs() {
    return Number.isNaN(this.#hint) ? undefined : this.#hint;
  }

  // R3: what is no length of time is ignored.
  set retryAfterMs(wait) {
    this.#hint = typeof wait === "number" ? wait : NaN;
  }

  /** Nobody waits for this attempt any more. */
  static giveUp(attempt, reason) {
    if (attempt.#isGivenUp) return;
    attempt.#isGivenUp = true;
    attempt.#reason = reason;
    attempt.#controller?.abort(reason);
  }

  /** Whether an error is what the function made of the abort: its reason, or one whose cause that is. */
  static isAbortOf(attempt, error) {
    if (!attempt.#isGivenUp || attempt.#controller === undefined) return false;
    const { reason } = attempt.#controller.signal;
    try {
      return error === reason || error?.cause === reason;
    } catch {
      return false;
    }
  }
}

module.exports = { Attempt };
