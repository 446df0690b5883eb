// The options of a proxy, put into the core's terms. What is allowed is the core's to say (C2); only what it cannot see is
// found here: that something is a function, and what becomes of one.
"use strict";

const { inspect } = require("node:util");
const { native, numbers, PROXY, ANSWER } = require("./bridge.js");
const { ConfigError } = require("./errors.js");
const events = require("./events.js");
const { judgeOf } = require("./judge.js");

/** Every setting as the core lists it: `{ name, kind, default, allowed }`. */
const fields = JSON.parse(native.settings());
const kinds = new Map(fields.map(({ name, kind }) => [name, kind]));

/** The core's proxy for that target and these options, and what only JavaScript can hold of them. */
function open(targetHost, options) {
  if (typeof options !== "object" || options === null)
    throw refusal("options", options, "an object of settings");
  const edits = [];
  const functions = {};
  for (const [name, given] of Object.entries(options)) {
    if (given === undefined) continue;
    const kind = kinds.get(name);
    if (kind === "host") {
      if (given === null) continue;
      if (isAllowed(name, given)) functions[name] = given;
      else edits.push(edit(name, given));
      // H2: that something answers is the core's to know; what answers is not.
      if (name === "fallback") edits.push(edit(name, true));
    } else if (kind === "group" && typeof given === "object" && given !== null && !Array.isArray(given)) {
      for (const [field, value] of Object.entries(given)) {
        if (value !== undefined) edits.push(edit(`${name}.${field}`, value));
      }
    } else {
      edits.push(edit(name, given));
    }
  }
  const opened = native.open(native.instance, given(targetHost, 0), edits);
  // These are in the exchange until the next native runs.
  const number = numbers[PROXY];
  const isHedged = numbers[ANSWER] === 1;
  if (Array.isArray(opened)) throw configError(opened);
  const name = native.name(opened);
  const core = {
    handle: opened,
    number,
    target: native.target(opened),
    judge: judgeOf(functions),
    fallback: functions.fallback,
    /** Whether attempts of its calls may run at once (H1). */
    isHedged,
    name,
    hub: events.hubOf(name),
  };
  return { core, functions };
}

function isAllowed(name, given) {
  if (name === "fallback") return true;
  if (name === "classify") return typeof given === "function";
  const tests = Array.isArray(given) ? given : [given];
  return tests.length > 0 && tests.every((test) => typeof test === "function");
}

/** Kinds of settings that are lists and groups of values, and how deep these go. */
const DEPTHS = { __proto__: null, texts: 1, pairs: 1, endpoints: 3 };

function edit(field, value) {
  return { field, value: given(value, DEPTHS[kinds.get(field)] ?? 0) };
}

/** A value in the natives' terms. Lists and plain objects down to that depth are taken apart; what else is none of the core's is shown. */
function given(value, depth) {
  const kind = value === null ? "null" : typeof value;
  if (kind === "object" && depth > 0) {
    const inner = (values) => values.map((one) => given(one, depth - 1));
    if (Array.isArray(value)) return { kind: "list", number: 0, text: "", values: inner(value) };
    if (isPlain(value)) {
      const pairs = Object.entries(value).filter(([, one]) => one !== undefined);
      return { kind: "map", number: 0, text: "", values: inner(pairs.map(([, one]) => one)), names: pairs.map(([name]) => name) };
    }
  }
  return {
    kind,
    number: Number(kind === "number" || kind === "boolean" ? value : 0),
    text: kind === "string" ? value : shown(value),
  };
}

function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What a message shows of a value. One that cannot be shown is no reason for another error than that of the setting. */
function shown(value) {
  try {
    return inspect(value, { depth: 1, breakLength: Infinity });
  } catch {
    return "a value that cannot be shown";
  }
}

/** The error of a value that no native looks at. */
function refusal(field, value, allowed) {
  return configError(native.wrong(field, shown(value), allowed));
}

function configError([field, value, allowed, message]) {
  return new ConfigError(message, { field, value, allowed });
}

/** E4: the endpoints that the user's own code has found. */
function setEndpoints(handle, endpoints) {
  const wrong = native.setEndpoints(handle, given(endpoints, DEPTHS.endpoints));
  if (Array.isArray(wrong)) throw configError(wrong);
}

/** The settings in force, frozen (C3). */
function policyOf(handle, functions) {
  const policy = native.policy(handle);
  for (const { name, kind } of fields) {
    if (kind === "host") policy[name] = functions[name] ?? null;
    else freeze(policy[name]);
  }
  return Object.freeze(policy);
}

function freeze(value) {
  if (typeof value !== "object" || value === null) return;
  Object.values(value).forEach(freeze);
  Object.freeze(value);
}

module.exports = { fields, open, setEndpoints, policyOf, configError, refusal, shown };
