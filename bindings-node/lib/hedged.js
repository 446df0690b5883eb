// A call that may be hedged (H1): several of its attempts run at once. The core says when another one begins, and whose end is the
// call's; those that lost are told by their signal, and left to themselves. What comes before and after is that of every call: see
// `start.js` and `goOn` in `flight.js`.
"use strict";

// As they are now: see `timers.js`.
const { nextTick } = require("node:process");
const { queueMicrotask } = globalThis;
const bridge = require("./bridge.js");
const { numbers, lengths, HINT, PROXY, CALL, OUTCOME, ATTEMPT, ENDED, RUN, WAIT, AWAIT, VIRTUAL } = bridge;
const { Attempt } = require("./attempt.js");
const { Flight, NONE, TIMED_OUT, NOTHING, settle, timedOut, isPromiseLike } = require("./flight.js");
const timers = require("./timers.js");

/** An attempt that is one of several. */
class Racer {
  constructor(flight) {
    this.flight = flight;
    this.number = flight.attempt;
    this.context = flight.context;
    /** For `timers`: its bound, and the place among the entries. */
    this.at = flight.at;
    this.place = -1;
    this.promise = undefined;
    /** How it ended, and when; undefined while it runs. */
    this.end = undefined;
    this.endedAt = undefined;
  }

  /** It has to be waited for. */
  follow(promise) {
    this.promise = promise;
    this.flight.running.add(this);
    promise.then(
      (value) => this.finish({ ok: true, value }),
      (error) => this.finish({ ok: false, error }),
    );
    if (this.at !== Infinity) timers.add(this);
  }

  finish(end) {
    // It may have lost, or been given up at its bound.
    if (!this.flight.running.delete(this)) return;
    timers.remove(this);
    this.noteEnd(end);
    this.flight.wake?.();
  }

  noteEnd(end) {
    this.end = end;
    this.endedAt = timers.now();
    this.flight.ended.push(this);
  }

  /** For `timers`: its bound has come. */
  fire() {
    this.flight.abandon(this.promise, this.context);
    this.finish(TIMED_OUT);
  }
}

/** A call of which one attempt or several run. What `Flight` says of its attempt is that of the one that began or ended last. */
class HedgedFlight extends Flight {
  running = new Set();
  /** Those that have ended, and were not settled yet. */
  ended = [];
  /** Whether nothing is to be asked until `due` comes: of the attempts that run now, the core has said when another one begins. */
  isAsked = false;
  /** For `timers`: when to ask for another attempt. Something else may have woken the flight in the same sweep, and is settled first. */
  due = {
    at: Infinity,
    place: -1,
    fire: () => {
      this.isAsked = false;
      this.wake?.();
    },
  };
  /** The number of the attempt that the core's last answer was about. */
  answered = 0;

  /**
   * Runs the attempt that begins now and those that begin beside it, until the core says what comes of them: its answer, and the end of
   * the attempt that this is about.
   */
  async runAtOnce() {
    const settled = new Map();
    let last;
    let answer = RUN;
    while (answer === RUN || answer === AWAIT) {
      if (answer === RUN) this.begin();
      if (this.ended.length === 0 && !this.isStopped) await this.change();
      if (this.ended.length === 0) this.fireBounds();
      if (this.isStopped) return [undefined, NOTHING];
      last = this.ended.shift();
      if (last === undefined) {
        answer = this.ask();
      } else {
        answer = this.settleOne(last);
        settled.set(last.number, last);
      }
    }
    this.lose();
    // In virtual time, they do not end in the order in which they would have.
    const racer = settled.get(this.answered) ?? last;
    this.turnTo(racer);
    return [answer, racer.end];
  }

  /** The attempt begins that `attempt` and `at` are of. */
  begin() {
    this.isAsked = false;
    let promise;
    let end;
    try {
      const value = this.run();
      if (isPromiseLike(value)) promise = Promise.resolve(value);
      else end = { ok: true, value };
    } catch (error) {
      end = { ok: false, error };
    }
    const racer = new Racer(this);
    this.context = undefined;
    if (end !== undefined) racer.noteEnd(end);
    else if (this.isStopped) this.abandon(promise, racer.context);
    else racer.follow(promise);
  }

  /** Waits until an attempt ends, or it is time to ask for another. */
  change() {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (this.isAsked) return;
      // A promise that is settled, or comes to it by itself, needs no other attempt beside it: the ticks of promises are all run first.
      queueMicrotask(() => {
        if (this.ended.length === 0) nextTick(resolve);
      });
    });
  }

  /** Bounds come first: an attempt that has outrun its own, as one that blocked the event loop, has none begin beside it. */
  fireBounds() {
    const present = timers.now();
    // As in `timers`: there may be entries of the time before, and in virtual time there come none.
    if (numbers[VIRTUAL] === 1) return;
    for (const racer of this.running) {
      if (racer.place >= 0 && racer.at <= present) racer.fire();
    }
  }

  /** Asks whether another attempt begins now; if not, it is asked again when the core says. */
  ask() {
    this.isAsked = true;
    timers.remove(this.due);
    numbers[PROXY] = this.core.number;
    numbers[CALL] = this.call;
    bridge.hedge();
    const answer = this.heed();
    if (this.isStopped) return AWAIT;
    if (answer === WAIT) {
      this.due.at = this.told.at;
      timers.add(this.due);
    }
    return answer === RUN ? this.runNext() : AWAIT;
  }

  /** Tells the core how one of the attempts ended; what it answers. */
  settleOne(racer) {
    this.turnTo(racer);
    let answer;
    [answer, racer.end] = settle(this, racer.end, racer.endedAt);
    if (this.isStopped) return AWAIT;
    // Of the one that the answer is about, `goOn` says this.
    if (answer !== RUN && answer !== AWAIT) return answer;
    if (racer.end === TIMED_OUT || racer.endedAt > racer.at) racer.end = timedOut(this);
    else if (!racer.end.ok) this.lastError = racer.end;
    this.context = undefined;
    return answer === RUN ? this.runNext() : AWAIT;
  }

  /** Another attempt begins: the one that the core has just told of. */
  runNext() {
    this.attempt = this.told.attempt;
    this.at = this.told.at;
    return RUN;
  }

  turnTo(racer) {
    this.attempt = racer.number;
    this.at = racer.at;
    this.context = racer.context;
  }

  /** Tells the core how the attempt ended that the flight has turned to. */
  settle(outcome, hint) {
    numbers[PROXY] = this.core.number;
    numbers[CALL] = this.call;
    numbers[OUTCOME] = outcome;
    lengths[HINT] = hint;
    numbers[ATTEMPT] = this.attempt;
    bridge.settleAttempt();
    this.answered = numbers[ENDED];
    return this.heed();
  }

  /** No attempt of those that still run is waited for any more: another one has ended the call. */
  lose() {
    timers.remove(this.due);
    if (this.running.size + this.ended.length === 0) return;
    this.giveUpAll(new DOMException("another attempt of the call has ended it", "AbortError"), true);
  }

  stop(reason) {
    if (this.call === NONE) return;
    super.stop(reason);
    timers.remove(this.due);
    this.giveUpAll(reason, false);
  }

  giveUpAll(reason, haveLost) {
    const running = [...this.running];
    const timedOut = this.ended.filter(({ end }) => end === TIMED_OUT);
    this.running.clear();
    this.ended = [];
    for (const racer of running) {
      timers.remove(racer);
      this.abandon(racer.promise, racer.context, haveLost);
    }
    for (const { context } of [...running, ...timedOut]) {
      if (context !== undefined) Attempt.giveUp(context, reason);
    }
  }
}

module.exports = { HedgedFlight };
