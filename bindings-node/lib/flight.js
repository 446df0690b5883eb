// A call in flight: runs the function, waits for it and between attempts, and does what the core decides. There is no `if`
// about retries here; `answer` is what the core said. A first attempt that succeeds at once is in `start.js`; attempts that run
// at once are in `hedged.js`; all that goes on after a failure is in `goOn`.
//
// Whatever comes next is a continuation of a promise that was waited for in the caller's async context, never called by a
// timer, so that the function runs in that context at each attempt.
"use strict";

const bridge = require("./bridge.js");
const {
  native,
  cancel,
  answered,
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
  ANSWERING,
  HEARD,
} = bridge;
const { RUN, WAIT, VALUE, LAST_ERROR, DIRECT, QUEUE, ERROR, OK, RETRY, FAIL, TIMEOUT, JUDGED } = bridge;
const { Attempt } = require("./attempt.js");
const { BY_CODE } = require("./errors.js");
const events = require("./events.js");
const post = require("./post.js");
const log = require("./log.js");
const signals = require("./signals.js");
const timers = require("./timers.js");

// What `note` counts.
const NOTE_LATE = 0;
const NOTE_ABANDONED = 1;
const NOTE_ABANDONED_ENDED = 2;

/** The classes of errors by their places among the core's codes, and that of `TIMEOUT`. */
const TYPES = native.codes().map((code) => BY_CODE[code]);
const TIMEOUT_CODE = TYPES.indexOf(BY_CODE.TIMEOUT);

/** What `call` is before a call began and after it ended, and while the core knows nothing of it. */
const NONE = -1;
const DIRECTLY = -2;

/** What a race brings when the timer or the signal won. */
const GIVEN_UP = Symbol("given up");
/** The end of an attempt that brought nothing: it was not over at its bound. */
const TIMED_OUT = { ok: false, error: undefined };
/** What a call has that ends before its first attempt. */
const NOTHING = { ok: false, error: undefined };

class Flight {
  constructor(core, fn, receiver, args, signal, call, at) {
    this.core = core;
    this.fn = fn;
    this.receiver = receiver;
    /** What the function is given; undefined when that is a context. */
    this.args = args;
    this.signal = signal;
    /** The core's number of this call. */
    this.call = call;
    this.attempt = 1;
    /** For `timers`: the bound of the attempt or the end of the wait, and the place among the entries. */
    this.at = at;
    this.place = -1;
    /** Ends the present race or wait. */
    this.wake = undefined;
    /** What the function of the present attempt was given, if it wanted any. */
    this.context = undefined;
    this.isStopped = false;
    this.lastError = undefined;
    this.callId = undefined;
    /** What the core said besides its answer, unless that was to run the first attempt, or that the call is over. */
    this.told = undefined;
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
    const { fn, args } = this;
    if (args !== undefined) return Reflect.apply(fn, this.receiver, args);
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
    if (hasPassed(at)) return undefined;
    return new Promise((resolve) => {
      this.at = at;
      this.wake = resolve;
      timers.add(this);
    });
  }

  /** Waits for its turn in the bulkhead's queue, at most until `at`, or until the signal. */
  queue(at) {
    if (hasPassed(at)) return undefined;
    return new Promise((resolve) => {
      const ticket = post.ticketFor(() => this.wake());
      this.at = at;
      this.wake = () => {
        post.giveBack(ticket);
        timers.remove(this);
        resolve();
      };
      // However long: a wait is pending, and the process does not end (F4).
      timers.add(this);
      numbers[PROXY] = this.core.number;
      numbers[CALL] = this.call;
      numbers[OUTCOME] = ticket;
      bridge.queue();
    });
  }

  /** For `timers`: the instant has come. */
  fire() {
    this.wake(GIVEN_UP);
  }

  /** For `signals`: the caller does not want the call any more (A3). */
  stop(reason) {
    if (this.call === NONE) return;
    this.isStopped = true;
    if (this.call === DIRECTLY) this.call = NONE;
    else this.end(cancel);
    timers.remove(this);
    if (this.context !== undefined) Attempt.giveUp(this.context, reason);
    this.wake?.(GIVEN_UP);
  }

  /**
   * Nobody waits for this promise any more. Its end is dropped, and counted unless it only tells of the abort (T3, O3), or the attempt
   * has lost (H1).
   */
  abandon(promise, context = this.context, hasLost = false) {
    const { number } = this.core;
    note(number, NOTE_ABANDONED);
    const ended = (isLate) => {
      if (isLate && !hasLost) note(number, NOTE_LATE);
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
    return this.heed();
  }

  /** {@link settle}, for an attempt that ended at that instant, and was judged since. */
  settleAt(at, outcome, hint) {
    lengths[AT] = at;
    return this.settle(outcome + JUDGED, hint);
  }

  /** Tells the core that the wait is over; what it answers. */
  resume() {
    numbers[PROXY] = this.core.number;
    numbers[CALL] = this.call;
    bridge.resume();
    return this.heed();
  }

  /** What the core has just answered. */
  heed() {
    const answer = numbers[ANSWER];
    const isHeard = numbers[HEARD];
    if (answer === VALUE) this.call = NONE;
    else this.read();
    if (isHeard === 1) events.hear(this.core);
    return answer;
  }

  /** Keeps what the core said, before any code of the user's runs, which may make calls of its own. */
  read() {
    this.told = {
      at: lengths[AT],
      wait: lengths[WAIT_LENGTH],
      attempt: numbers[ATTEMPT],
      isLate: numbers[LATE] === 1,
      isAnswering: numbers[ANSWERING] === 1,
    };
  }

  /** The call is over: `release`, `cancel`, or `answered`. */
  end(how, isWell) {
    numbers[PROXY] = this.core.number;
    numbers[CALL] = this.call;
    numbers[OUTCOME] = isWell === true ? 1 : 0;
    this.call = NONE;
    how();
    if (how !== release && numbers[HEARD] === 1) events.hear(this.core);
  }

  /** An error of the ambassador's, about this call. */
  error(code, more) {
    const { handle, target } = this.core;
    const message = native.tell(handle, this.call, code);
    const wait = lengths[WAIT_LENGTH];
    return new TYPES[code](message, {
      target,
      attempts: numbers[ATTEMPT],
      elapsedMs: lengths[AT],
      retryAfterMs: Number.isNaN(wait) ? undefined : wait,
      ...more,
    });
  }
}

/** F1: the core failed before the call began. Once, unbounded, and whatever comes; but who stops the call gets control back. */
async function runDirectly(flight) {
  flight.call = DIRECTLY;
  const end = await again(flight);
  flight.call = NONE;
  if (flight.isStopped) throw flight.signal.reason;
  return given(end);
}

/** A call that does not begin with its first attempt. */
function enter(flight, answer) {
  if (answer === DIRECT) return runDirectly(flight);
  if (answer < ERROR || flight.told.isAnswering || flight.isStopped) return enterLater(flight, answer);
  // Refused at once: whoever calls again and again meanwhile shall not wait for it, nor pay much.
  const error = flight.error(answer - ERROR);
  flight.end(release);
  return Promise.reject(error);
}

/** A call that has to wait before its first attempt, or something else answers for it. */
async function enterLater(flight, answer) {
  const next = await waited(flight, answer);
  return next === RUN ? goOn(flight, NOTHING, RUN) : finish(flight, NOTHING, next);
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

/** The rest of a call whose attempt ended so, and may just have been settled; or, when the answer is to run one, begins now. */
async function goOn(flight, end, settled) {
  let answer = settled;
  for (;;) {
    if (answer === RUN) [answer, end] = flight.core.isHedged ? await flight.runAtOnce() : [undefined, await again(flight)];
    if (flight.isStopped) throw flight.signal.reason;
    if (answer === undefined) [answer, end] = settle(flight, end);
    if (flight.isStopped) throw flight.signal.reason;
    if (answer === VALUE) return given(end);
    if (flight.told.isLate) end = timedOut(flight);
    if (!end.ok && end !== TIMED_OUT) flight.lastError = end;
    if (flight.isStopped) throw flight.signal.reason;
    if (answer === WAIT) tellRetry(flight, end, flight.told.wait);
    answer = await waited(flight, answer);
    if (answer !== RUN) return finish(flight, end, answer);
  }
}

/** What the attempt brought, whatever it is. */
function given({ ok, value, error }) {
  if (ok) return value;
  throw error;
}

/** Waits for as long as the core says; what it says then. */
async function waited(flight, first) {
  let answer = first;
  while (answer === WAIT || answer === QUEUE) {
    const { at } = flight.told;
    if (!flight.isStopped) await (answer === WAIT ? flight.sleep(at) : flight.queue(at));
    if (flight.isStopped) break;
    answer = flight.resume();
  }
  if (flight.isStopped) throw flight.signal.reason;
  if (answer === RUN) {
    flight.attempt = flight.told.attempt;
    flight.at = flight.told.at;
  }
  return answer;
}

/**
 * Settles an attempt that ended just now, or at that instant: the core's answer, and how the attempt ended. A classifier that throws makes
 * its error the attempt's (A2).
 */
function settle(flight, end, endedAt) {
  const { judge } = flight.core;
  if (end === TIMED_OUT) return [flight.settle(TIMEOUT, flight.hint), end];
  let outcome = end.ok ? OK : RETRY;
  if (judge === undefined && endedAt === undefined) return [flight.settle(outcome, hintOf(flight, end)), end];
  // O2: the bound is the attempt's; what its judge takes is not counted. T3: what came late is dropped, whatever one would say of it.
  const at = endedAt ?? timers.now();
  if (judge !== undefined && at <= flight.at) {
    try {
      outcome = judge(end);
    } catch (error) {
      chain(error, end);
      end = { ok: false, error, isJudges: true };
      outcome = FAIL;
    }
  }
  const hint = hintOf(flight, end);
  return [flight.settleAt(at, outcome, hint), end];
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
  const line = native.retryLine(core.handle, call, wait, end.ok ? "its result may be tried again" : log.textOf(error));
  log.sayRetry({ line, target: core.target, attempt, waitMs: wait / 1e6, error }, core.name);
}

/** The caller gets what the core says, or what answers in place of an error. */
function finish(flight, end, answer) {
  const { isAnswering } = flight.told;
  if (answer === LAST_ERROR && end.ok) {
    // What was judged a failure, but is a value, is handed back as it is.
    flight.end(isAnswering ? answered : release);
    return end.value;
  }
  let failed = end;
  if (answer >= ERROR || end === TIMED_OUT) {
    const cause = flight.lastError === undefined ? undefined : { cause: flight.lastError.error };
    failed = { ok: false, error: flight.error(answer >= ERROR ? answer - ERROR : TIMEOUT_CODE, cause) };
  }
  // A2: what a judge throws is what the call ends with.
  if (isAnswering && failed.isJudges !== true) return fallBack(flight, failed);
  flight.end(isAnswering ? answered : release);
  throw failed.error;
}

/** H2: something else answers in place of the error. When it throws, its error is the call's, and this one the cause. */
async function fallBack(flight, failed) {
  const { fallback } = flight.core;
  let answer = fallback;
  try {
    if (typeof fallback === "function") answer = fallback(failed.error);
    if (isPromiseLike(answer)) {
      flight.at = Infinity;
      const promise = Promise.resolve(answer);
      // Of one that is stopped, nobody hears.
      promise.catch(() => {});
      answer = await flight.race(promise);
    }
  } catch (error) {
    if (flight.isStopped) throw flight.signal.reason;
    chain(error, failed);
    flight.end(answered, false);
    throw error;
  }
  if (flight.isStopped) throw flight.signal.reason;
  flight.end(answered, true);
  return answer;
}

/** Whether a wait until then is over, or is in virtual time. */
function hasPassed(at) {
  lengths[AT] = at;
  bridge.pass();
  return numbers[ANSWER] === 1;
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

module.exports = { Flight, NONE, GIVEN_UP, TIMED_OUT, NOTHING, enter, goOn, settle, timedOut, isPromiseLike };
