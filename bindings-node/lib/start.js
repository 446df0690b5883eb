// A call up to the end of its first attempt, which is all there is of a call that succeeds at once. That costs two natives
// (`begin`, `settle`); if the function has to be waited for, one promise; and if it is bounded besides, one more and a place
// among the timers.
//
// What such a call needs is kept by the continuations of its promise. A `Flight` is made of it when it is bounded, when a
// signal may stop it, when the function wants a context, when it may be hedged, or when something else happens than a success.
"use strict";

const { begin, settle, lengths, numbers, AT, HINT, PROXY, CALL, OUTCOME, ANSWER, HEARD } = require("./bridge.js");
const { RUN, VALUE, DIRECT, OK } = require("./bridge.js");
const events = require("./events.js");
const { Flight, NONE, GIVEN_UP, TIMED_OUT, NOTHING, enter, goOn, isPromiseLike } = require("./flight.js");
const { HedgedFlight } = require("./hedged.js");
const signals = require("./signals.js");
const timers = require("./timers.js");
const { host, tell } = require("./tracing.js");

/**
 * Calls the function until it succeeds, may not be tried again, or no attempt is left: `fn(context)` without `args`, else `fn`
 * with that receiver and these arguments.
 */
function start(core, fn, receiver, args, signal) {
  if (signal?.aborted) return Promise.reject(signal.reason);
  events.attend(core);
  if (host.hasSpans) tell();
  numbers[PROXY] = core.number;
  begin();
  const answer = numbers[ANSWER];
  if (answer !== RUN || args === undefined || signal !== undefined || core.isHedged)
    return startFlight(core, fn, receiver, args, signal, answer);
  const call = numbers[CALL];
  const at = lengths[AT];
  if (numbers[HEARD] === 1) events.hear(core);
  let value;
  try {
    // Without arguments it is several times quicker so.
    value = receiver === undefined && args.length === 0 ? fn() : Reflect.apply(fn, receiver, args);
    if (isPromiseLike(value)) {
      const promise = Promise.resolve(value);
      if (at === Infinity) return follow(core, fn, receiver, args, call, promise);
      return followFlight(new Flight(core, fn, receiver, args, undefined, call, at), promise);
    }
  } catch (error) {
    return goOn(new Flight(core, fn, receiver, args, undefined, call, at), { ok: false, error });
  }
  return Promise.resolve(returned(core, fn, receiver, args, call, at, value));
}

/** The first attempt has to be waited for, however long. By `then`, which costs less than an asynchronous function. */
function follow(core, fn, receiver, args, call, promise) {
  return promise.then(
    (value) => returned(core, fn, receiver, args, call, Infinity, value),
    (error) => goOn(new Flight(core, fn, receiver, args, undefined, call, Infinity), { ok: false, error }),
  );
}

/** The first attempt brought this; it itself when that is all, else a promise of what the call brings in the end. */
function returned(core, fn, receiver, args, call, at, value) {
  if (core.judge !== undefined) return goOn(new Flight(core, fn, receiver, args, undefined, call, at), { ok: true, value });
  numbers[PROXY] = core.number;
  numbers[CALL] = call;
  numbers[OUTCOME] = OK;
  lengths[HINT] = NaN;
  settle();
  const answer = numbers[ANSWER];
  const isHeard = numbers[HEARD];
  if (answer === VALUE) {
    if (isHeard === 1) events.hear(core);
    return value;
  }
  const flight = new Flight(core, fn, receiver, args, undefined, call, at);
  flight.read();
  if (isHeard === 1) events.hear(core);
  return goOn(flight, { ok: true, value }, answer);
}

/** The same for a call that is a flight from its beginning on, as what `begin` has just said stands in the exchange. */
function startFlight(core, fn, receiver, args, signal, answer) {
  const call = answer === DIRECT ? NONE : numbers[CALL];
  const Kind = core.isHedged ? HedgedFlight : Flight;
  const flight = new Kind(core, fn, receiver, args, signal, call, answer === RUN ? lengths[AT] : Infinity);
  const isHeard = numbers[HEARD];
  if (answer !== RUN) flight.read();
  if (signal === undefined) {
    if (isHeard === 1) events.hear(core);
    return answer === RUN ? first(flight) : enter(flight, answer);
  }
  // From its very first event on.
  signals.watch(signal, flight);
  if (isHeard === 1) events.hear(core);
  const ended = answer === RUN && !flight.isStopped ? first(flight) : enter(flight, answer);
  const forget = () => signals.forget(signal, flight);
  ended.then(forget, forget);
  return ended;
}

function first(flight) {
  if (flight.core.isHedged) return goOn(flight, NOTHING, RUN);
  let value;
  try {
    value = flight.run();
    if (isPromiseLike(value)) return followFlight(flight, Promise.resolve(value));
  } catch (error) {
    return goOn(flight, { ok: false, error });
  }
  return Promise.resolve(flightReturned(flight, value));
}

function followFlight(flight, promise) {
  return flight.race(promise).then(
    (value) => {
      timers.remove(flight);
      if (value === GIVEN_UP) {
        flight.abandon(promise);
        return goOn(flight, TIMED_OUT);
      }
      return flightReturned(flight, value);
    },
    (error) => {
      timers.remove(flight);
      return goOn(flight, { ok: false, error });
    },
  );
}

function flightReturned(flight, value) {
  if (flight.core.judge !== undefined || flight.isStopped) return goOn(flight, { ok: true, value });
  const answer = flight.settle(OK, flight.hint);
  return answer === VALUE ? value : goOn(flight, { ok: true, value }, answer);
}

module.exports = { start };
