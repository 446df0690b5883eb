// The host's own tracer (P6): OpenTelemetry's present span, where the program has `@opentelemetry/api`. It is looked for once, when the
// first proxy is made; a program without it has nothing of this on the way of its calls but the look at a flag.
"use strict";

const { native } = require("./bridge.js");

/** What is known of it; `hasSpans` when there is one, and calls have spans that are below its. */
const host = { hasSpans: false };

let api;
let hasLooked = false;

/** A proxy is made. */
function attend() {
  if (hasLooked) return;
  hasLooked = true;
  try {
    api = require("@opentelemetry/api");
  } catch {
    return;
  }
  host.hasSpans = native.hasSpans();
}

/** What is no two lines would be taken for something else. */
const TWO_LINES = /^[ -~]*\n[ -~]*$/;

/** The present span as the two headers' values, a line each; empty where there is none. */
function present() {
  if (api === undefined) return "";
  try {
    const span = api.trace.getSpanContext(api.context.active());
    if (span === undefined) return "";
    const flags = (span.traceFlags & 0xff).toString(16).padStart(2, "0");
    const lines = `00-${span.traceId}-${span.spanId}-${flags}\n${span.traceState?.serialize() ?? ""}`;
    return TWO_LINES.test(lines) ? lines : "";
  } catch {
    // F5
    return "";
  }
}

/** A call is about to begin. */
function tell() {
  native.giveContext(present());
}

module.exports = { attend, host, present, tell };
