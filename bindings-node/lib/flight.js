// A call in flight: runs the function, waits for it and between attempts, and does what the core decides. There is no `if`
// about retries here; `answer` is what the core said.
//
// A first attempt that succeeds costs two natives (`begin`, `settle`) and, if it has to be waited for, a place among the
// timers. All that goes on after a failure is in `goOn`. Whatever comes next is a continuation of a promise that was waited
// for in the caller's async context, never called by a timer, so that the function runs in that context at each attempt.
"use strict";

const bridge = require("./bridge.js");
const {
  native,
  begin,
  cancel,
  release,
  lengths,
  numbers,
  AT,
  HINT,
  WAIT_LENGTH,
  PROXY,
  CALL,
  OUTCOME,
  ANSWER,
  ATTEMPT,
  LATE,
} = bridge;
const { RUN, WAIT, VALUE, LAST_ERROR, DIRECT, ERROR, OK, RETRY, FAIL, TIMEOUT } = bridge;
const { Attempt } = require("./attempt.js");
const { BY_CODE } = require("./errors.js");
const { tell, textOf } = require("./retry-line.js");
const signals = require("./signals.js");
const timers = require("./timers.js");

// What `note` counts.
const NOTE_LATE = 0;
const NOTE_ABANDONED = 1;
const NOTE_ABANDONED_ENDED = 2;

/** The place of `TIMEOUT` among the core's codes. */
const TIMEOUT_CODE = 0;

/** What a race brings when the timer or the signal won. */
const GIVEN_UP = Symbol("given up");
/** The end of an attempt that brought nothing: it was not over at its bound. */
const TIMED_OUT = { ok: false, error: undefined };

class Flight {
  constructor(core, fn, receiver, args, signal, isContextWanted) {
    this.core = core;
    this.fn = fn;
    this.receiver = receiver;
    this.args = args;
    this.signal = signal;
    this.isContextWanted = isContextWanted;
    /** The core's number of this call; below zero before it began and after it ended. */
    this.call = -1;
    this.attempt = 1;
    /** For `timers`: the bound of the attempt or the end of the wait, and the place among the entries. */
    this.at = Infinity;
    this.place = -1;
    /** Ends the present race or wait. */
    this.wake = undefined;
    /** What the function of the present attempt was given, if it wanted any. */
    this.context = undefined;
    this.isStopped = false;
    this.lastError = undefined;
    this.callId = undefined;
  }

  /** What marks all attempts as one call's. */
  get id() {
    return (this.callId ??= native.callId());
  }

  /** R3: the wait that the function asked for, in milliseconds; NaN for none. */
  get hint() {
    return this.context === undefined ? NaN : (this.context.retryAfterMs ?? NaN);
  }

  /** Runs the function once, as attempt `attempt` that is bounded by `at`. */
  run() {
    const { fn } = this;
    if (!this.isContextWanted) return Reflect.apply(fn, this.receiver, this.args);
    this.context = new Attempt(this, this.attempt, this.at);
    return fn(this.context);
  }

  /** The promise's own end, unless the bound or the signal comes first. */
  race(promise) {
    if (this.isStopped) return Promise.resolve(GIVEN_UP);
    if (this.at === Infinity && this.signal === undefined) return promise;
    return new Promise((resolve, reject) => {
      this.wake = resolve;
      promise.then(resolve, reject);
      if (this.at !== Infinity) timers.add(this);
    });
  }

  /** Waits until `at`, or until the signal. No wait is none, not a tick of the timer. */
  sleep(at) {
    if (at <= timers.now()) return undefined;
    return new Promise((resolve) => {
      this.at = at;
      this.wake = resolve;
      timers.add(this);
    });
  }

  /** For `timers`: the instant has come. */
  fire() {
    this.wake(GIVEN_UP);
  }

  /** For `signals`: the caller does not want the call any more (A3). */
  stop(reason) {
    if (this.call < 0) return;
    this.isStopped = true;
    this.end(cancel);
    timers.remove(this);
    if (this.context !== undefined) Attempt.giveUp(this.context, reason);
    this.wake?.(GIVEN_UP);
  }

  /** Nobody waits for this promise any more. Its end is dropped, and counted unless it only tells of the abort (T3, O3). */
  abandon(promise) {
    const { number } = this.core;
    const { context } = this;
    note(number, NOTE_ABANDONED);
    const ended = (isLate) => {
      if (isLate) note(number, NOTE_LATE);
      note(number, NOTE_ABANDONED_ENDED);
    };
    promise.then(
      () => ended(true),
      (error) => ended(context === undefined || !Attempt.isAbortOf(context, error)),
    );
  }

  /** Tells the core how the attempt ended; what it answers. After `VALUE` the call is over. */
  settle(outcome, hint) {
    numbers[PROXY] = this.core.number;
    numbers[CALL] = this.call;
    numbers[OUTCOME] = outcome;
    lengths[HINT] = hint;
    bridge.settle();
    const answer = numbers[ANSWER];
    if (answer === VALUE) this.call = -1;
    return answer;
  }

  /** Tells the core that the wait is over; what it answers. */
  resume() {
    numbers[PROXY] = this.core.number;
    numbers[CALL] = this.call;
    bridge.resume();
    return numbers[ANSWER];
  }

  /** The call is over: `release`, or `cancel`. */
  end(how) {
    numbers[PROXY] = this.core.number;
    numbers[CALL] = this.call;
    this.call = -1;
    how();
  }

  /** An error of the ambassador's, about this call. */
  error(code, more) {
    const { code: name, message, ...details } = native.tell(this.core.handle, this.call, code);
    return new BY_CODE[name](message, { ...details, ...more });
  }
}

/**
 * Calls the function until it succeeds, may not be tried again, or no attempt is left: `fn(context)` when the context is wanted,
 * else `fn` with that receiver and these arguments.
 */
function start(core, fn, receiver, args, signal, isContextWanted) {
  if (signal?.aborted) return Promise.reject(signal.reason);
  const flight = new Flight(core, fn, receiver, args, signal, isContextWanted);
  numbers[PROXY] = core.number;
  begin();
  const answer = numbers[ANSWER];
  if (answer !== RUN) return answer === DIRECT ? runDirectly(flight) : Promise.reject(flight.error(answer - ERROR));
  flight.call = numbers[CALL];
  flight.at = lengths[AT];
  if (signal === undefined) return first(flight);
  signals.watch(signal, flight);
  const ended = first(flight);
  const forget = () => signals.forget(signal, flight);
  ended.then(forget, forget);
  return ended;
}

/** F1: the core failed before the call began. Once, and whatever comes. */
async function runDirectly(flight) {
  return flight.run();
}

function first(flight) {
  let value;
  try {
    value = flight.run();
    if (isPromiseLike(value)) return follow(flight, Promise.resolve(value));
  } catch (error) {
    return goOn(flight, { ok: false, error });
  }
  return Promise.resolve(returned(flight, value));
}

/** The first attempt has to be waited for. By `then`, which costs less than an asynchronous function of its own. */
function follow(flight, promise) {
  return flight.race(promise).then(
    (value) => {
      timers.remove(flight);
      if (value === GIVEN_UP) {
        flight.abandon(promise);
        return goOn(flight, TIMED_OUT);
      }
      return returned(flight, value);
    },
    (error) => {
      timers.remove(flight);
      return goOn(flight, { ok: false, error });
    },
  );
}

/** The first attempt brought this; it itself when that is all, else a promise of what the call brings in the end. */
function returned(flight, value) {
  if (flight.core.judge !== undefined || flight.isStopped) return goOn(flight, { ok: true, value });
  const answer = flight.settle(OK, flight.hint);
  return answer === VALUE ? value : goOn(flight, { ok: true, value }, answer);
}

/** A later attempt; how it ended. */
async function again(flight) {
  try {
    let value = flight.run();
    if (isPromiseLike(value)) {
      const promise = Promise.resolve(value);
      try {
        value = await flight.race(promise);
      } finally {
        timers.remove(flight);
      }
      if (value === GIVEN_UP) {
        flight.abandon(promise);
        return TIMED_OUT;
      }
    }
    return { ok: true, value };
  } catch (error) {
    return { ok: false, error };
  }
}

/** The rest of a call whose attempt ended so, and may just have been settled. */
async function goOn(flight, end, settled) {
  let answer = settled;
  for (;;) {
    if (flight.isStopped) throw flight.signal.reason;
    if (answer === undefined) [answer, end] = settle(flight, end);
    // Read before any code of the user's runs, which may make calls of its own.
    let at = lengths[AT];
    const wait = lengths[WAIT_LENGTH];
    if (numbers[LATE] === 1) end = timedOut(flight);
    if (!end.ok && end !== TIMED_OUT) flight.lastError = end;
    if (flight.isStopped) throw flight.signal.reason;
    if (answer === WAIT) tellRetry(flight, end, wait);
    while (answer === WAIT) {
      if (!flight.isStopped) await flight.sleep(at);
      if (flight.isStopped) throw flight.signal.reason;
      answer = flight.resume();
      at = lengths[AT];
    }
    if (answer !== RUN) return finish(flight, end, answer);
    flight.attempt = numbers[ATTEMPT];
    flight.at = at;
    end = await again(flight);
    answer = undefined;
  }
}

/** Settles an attempt: the core's answer, and how the attempt ended. A classifier that throws makes its error the attempt's (A2). */
function settle(flight, end) {
  const { judge } = flight.core;
  if (end === TIMED_OUT) return [flight.settle(TIMEOUT, flight.hint), end];
  let outcome = end.ok ? OK : RETRY;
  if (judge !== undefined) {
    try {
      outcome = judge(end);
    } catch (error) {
      chain(error, end);
      end = { ok: false, error };
      outcome = FAIL;
    }
  }
  return [flight.settle(outcome, hintOf(flight, end)), end];
}

/** Makes the attempt's own error the cause of the classifier's, if there is room for one. */
function chain(error, end) {
  if (end.ok || !(error instanceof Error) || error === end.error || "cause" in error) return;
  try {
    Object.defineProperty(error, "cause", { value: end.error, configurable: true, writable: true });
  } catch {
    // A frozen error stays as it is.
  }
}

/** R3: what the function asked for, or its error's `retryAfterMs`. */
function hintOf(flight, end) {
  const asked = flight.hint;
  if (!Number.isNaN(asked) || end.ok || typeof end.error !== "object" || end.error === null) return asked;
  try {
    const { retryAfterMs } = end.error;
    return typeof retryAfterMs === "number" ? retryAfterMs : NaN;
  } catch {
    return NaN;
  }
}

/** T3: whatever the attempt brought, or will bring, is dropped. */
function timedOut(flight) {
  if (flight.context !== undefined) Attempt.giveUp(flight.context, flight.error(TIMEOUT_CODE));
  return TIMED_OUT;
}

/** R7 */
function tellRetry(flight, end, wait) {
  const { core, call, attempt } = flight;
  const error = end === TIMED_OUT ? flight.error(TIMEOUT_CODE) : end.error;
  const line = native.retryLine(core.handle, call, wait, end.ok ? "its result may be tried again" : textOf(error));
  tell({ line, target: core.target, attempt, waitMs: wait / 1e6, error });
}

/** The caller gets what the core says. */
function finish(flight, end, answer) {
  if (answer === VALUE || answer === LAST_ERROR) {
    flight.end(release);
    if (end.ok) return end.value;
    if (end !== TIMED_OUT) throw end.error;
  }
  const cause = flight.lastError === undefined ? undefined : { cause: flight.lastError.error };
  const error = flight.error(answer >= ERROR ? answer - ERROR : TIMEOUT_CODE, cause);
  flight.end(release);
  throw error;
}

function note(proxy, what) {
  numbers[PROXY] = proxy;
  numbers[OUTCOME] = what;
  bridge.note();
}

function isPromiseLike(value) {
  return (
    ((typeof value === "object" && value !== null) || typeof value === "function") && typeof value.then === "function"
  );
}

module.exports = { start };
