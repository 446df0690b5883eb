// The end: no new calls, and a while for those in flight.
"use strict";

const { native } = require("./bridge.js");
const { configError, shown } = require("./settings.js");
const timers = require("./timers.js");

/** How often it is looked whether the last call has ended, in nanoseconds. */
const STEP = 5e6;

async function shutdown(timeoutMs = 30_000) {
  if (!(typeof timeoutMs === "number" && timeoutMs >= 0)) {
    throw configError(native.wrong("timeoutMs", shown(timeoutMs), "a number of milliseconds from 0 on"));
  }
  const until = timers.now() + timeoutMs * 1e6;
  // Never waits in the core: the calls in flight are this very thread's, and could not end.
  while (!native.drain(0)) {
    const left = until - timers.now();
    if (left <= 0) return false;
    await new Promise((fire) => timers.add({ at: timers.now() + Math.min(STEP, left), place: -1, fire }));
  }
  return true;
}

module.exports = { shutdown };
