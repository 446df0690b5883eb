// R7: each retry says one line. Who subscribes to the channel `ambassador:retry` gets it there; else it goes to stderr.
"use strict";

const { channel } = require("node:diagnostics_channel");

const retries = channel("ambassador:retry");

function tell(retry) {
  try {
    if (retries.hasSubscribers) retries.publish(retry);
    else console.error(retry.line);
  } catch {
    // F5: a log that cannot be written is no reason for anything.
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

module.exports = { tell, textOf };
