// The end: no new calls, and a while for those in flight.
"use strict";

const { performance } = require("node:perf_hooks");
const { native } = require("./bridge.js");
const { refusal } = require("./settings.js");
const { pause } = require("./timers.js");

/** How often it is looked whether the last call has ended, in milliseconds. */
const STEP = 5;

async function shutdown(timeoutMs = 30_000) {
  if (!(typeof timeoutMs === "number" && timeoutMs >= 0)) {
    throw refusal("timeoutMs", timeoutMs, "a number of milliseconds from 0 on");
  }
  const until = performance.now() + timeoutMs;
  // Never waits in the core: the calls in flight are this very thread's, and could not end.
  for (;;) {
    const left = Math.max(0, until - performance.now());
    if (native.drain(left)) return true;
    if (left === 0) return false;
    await pause(Math.min(STEP, left));
  }
}

module.exports = { shutdown };
