// The natives of this environment, and the numbers that go to and from them: `numbers[PROXY] = …; begin();
// numbers[ANSWER]`. Nothing may run between a write, the call and the read. src/exchange.rs has the same places, and
// src/calls.rs the same answers.
"use strict";

const { load } = require("./native.js");

const native = load();

module.exports = {
  native,
  // Apart, for what is on the way of a call shall not be looked up there.
  begin: native.begin,
  settle: native.settle,
  settleAttempt: native.settleAttempt,
  hedge: native.hedge,
  resume: native.resume,
  cancel: native.cancel,
  answered: native.answered,
  release: native.release,
  queue: native.queue,
  pass: native.pass,
  note: native.note,
  readClock: native.now,
  /** The other ones: an instant, a hint in milliseconds, a wait in nanoseconds. */
  lengths: new Float64Array(native.exchange, 0, 3),
  AT: 0,
  HINT: 1,
  WAIT_LENGTH: 2,
  /** The whole numbers. */
  numbers: new Int32Array(native.exchange),
  PROXY: 6,
  CALL: 7,
  OUTCOME: 8,
  ANSWER: 9,
  ATTEMPT: 10,
  LATE: 11,
  ANSWERING: 12,
  HEARD: 13,
  VIRTUAL: 14,
  ENDED: 15,
  /** What an answer says: any other is an error, `ERROR` + its place among the core's codes. */
  RUN: 0,
  WAIT: 1,
  VALUE: 2,
  LAST_ERROR: 3,
  DIRECT: 4,
  QUEUE: 5,
  ERROR: 6,
  AWAIT: -1,
  /** How an attempt ended. */
  OK: 0,
  RETRY: 1,
  FAIL: 2,
  TIMEOUT: 3,
  /** Added to one of them: it ended at the instant in `AT`, not now. */
  JUDGED: 8,
};
