// What is logged: each line goes to those who subscribe to the channel `ambassador:log`, or to stderr while nobody has. How much that
// is, is the core's to say, for the process: `AMBASSADOR_LOG`, and `setLogLevel` within it. A retry (R7) goes to the channel
// `ambassador:retry` as well, where it is not called a line of the log.
"use strict";

const { channel } = require("node:diagnostics_channel");
const { native } = require("./bridge.js");

const lines = channel("ambassador:log");
const retries = channel("ambassador:retry");

/** By the core's numbers. */
const LEVELS = ["off", "error", "warn", "info", "debug"];
const WARN = 2;

/** One line, of an event. */
function say(level, line, event) {
  try {
    if (lines.hasSubscribers) lines.publish(Object.freeze({ level: LEVELS[level], line, event }));
    else console.error(line);
  } catch {
    // F5: a log that cannot be written is no reason for anything.
  }
}

/** R7: an attempt failed, and another follows. */
function sayRetry(retry, name) {
  try {
    const isTaken = retries.hasSubscribers;
    if (isTaken) retries.publish(retry);
    if (native.logLevel() < WARN || (isTaken && !lines.hasSubscribers)) return;
    const { line, attempt, waitMs } = retry;
    say(WARN, line, Object.freeze({ type: "retry", name, attempt, waitMs }));
  } catch {
    // F5
  }
}

/** What an error says, for the line. */
function textOf(error) {
  try {
    return error instanceof Error ? error.message || error.name : String(error);
  } catch {
    return "an error that cannot be shown";
  }
}

function setLogLevel(level) {
  const { refusal } = require("./settings.js");
  const number = LEVELS.indexOf(level);
  if (number === -1) throw refusal("level", level, `one of ${LEVELS.join(", ")}`);
  native.setLogLevel(number);
}

module.exports = { say, sayRetry, setLogLevel, textOf };
