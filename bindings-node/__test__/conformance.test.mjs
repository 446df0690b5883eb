// The conformance vectors, run through the public API in virtual time, as every language runs them. `conformance/vectors.json` says what
// they are, core/tests/conformance/schema.rs what is in it; lengths of time are nanoseconds there, and milliseconds here.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { AmbassadorProxy } from "../index.mjs";
import { seedJitter, virtualTime } from "../testing.mjs";
import { TARGET, native } from "./support.mjs";

const vectors = JSON.parse(readFileSync(new URL("../../conformance/vectors.json", import.meta.url), "utf8"));

/** By id, why a vector cannot be run here. */
const SKIPPED = {};

class Failure extends Error {}
class Final extends Error {}
const FALLBACK = { fallback: true };
const FALLBACK_ERROR = new Error("a fallback that throws");
const CLASSIFIER_ERROR = new Error("a classifier that throws");
const CANCELLED = new Error("the caller went away");

const ns = (ms) => Math.round(ms * 1e6);
const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

function optionsOf({ settings, fallback, classify }, name) {
  const options = { name, notOn: Final };
  for (const [setting, given] of settings) {
    const isLength = typeof given === "object" && given !== null && !Array.isArray(given);
    const [group, field] = camel(setting).split(".");
    const value = isLength ? given.ns / 1e6 : given;
    const spelled = (name) => (isLength || LENGTHS.has(setting) ? `${name}Ms` : name);
    if (field === undefined) options[spelled(group)] = value;
    else (options[group] ??= {})[spelled(field)] = value;
  }
  if (fallback !== null) {
    options.fallback = () => {
      if (fallback === "throws") throw FALLBACK_ERROR;
      return FALLBACK;
    };
  }
  if (classify === "values_retry") options.classify = ({ ok }) => (ok ? "retry" : undefined);
  if (classify === "throws") {
    options.classify = () => {
      throw CLASSIFIER_ERROR;
    };
  }
  return options;
}

/** The settings that are lengths of time, also when they are `null` or a word. */
const LENGTHS = new Set(["timeout", "deadline", "bulkhead.queue_timeout", "breaker.slow_call", "backoff.base", "hedge.after"]);

class Runner {
  constructor(vector, number) {
    this.time = virtualTime();
    this.proxies = vector.proxies.map((proxy) => new AmbassadorProxy(TARGET, optionsOf(proxy, `vector ${number}`)));
    this.firstFault = undefined;
    this.events = [];
    this.proxies[0].onEvent((event) => this.events.push(event));
    if (vector.seed !== null) seedJitter(this.proxies[0], vector.seed);
  }

  async steps(steps) {
    for (const step of steps) await this[step.op](step);
  }

  advance({ ns }) {
    this.time.advance(ns / 1e6);
  }

  isolate() {
    this.proxies[0].isolate();
  }

  reset() {
    this.proxies[0].reset();
  }

  fault({ at }) {
    native.injectPanic(at);
  }

  health({ is }) {
    const health = this.proxies[0].health();
    for (const [path, expected] of Object.entries(is)) {
      const found = path.split(".").reduce((value, name) => value?.[name] ?? null, health);
      assert.deepEqual(found, expected, `health: ${path}`);
    }
  }

  async call({ by, attempts, gives, waits, waits_within: within, elapsed, retry_after: retryAfter }) {
    const begun = this.time.elapsedMs;
    const stop = new AbortController();
    let ran = 0;
    // What nested calls wait is theirs.
    const waited = [];
    let mark = this.time.waitsMs.length;
    const noteWaits = () => {
      const all = this.time.waitsMs;
      waited.push(...all.slice(mark).map(ns));
      mark = all.length;
    };
    const fn = async (ctx) => {
      noteWaits();
      const attempt = attempts[ran++];
      if (attempt === undefined) throw new Failure("one attempt too many");
      // What does not hold in there must not pass for a failure of the function's.
      await this.steps(attempt.do).catch((fault) => (this.firstFault ??= fault));
      this.time.advance(attempt.takes / 1e6);
      if (attempt.hint !== null) ctx.retryAfterMs = attempt.hint / 1e6;
      mark = this.time.waitsMs.length;
      if (attempt.end === "error") throw new Failure("an error");
      if (attempt.end === "final") throw new Final("an error that may not be tried again");
      if (attempt.end === "cancel") stop.abort(CANCELLED);
      return attempt.end;
    };
    const [got, after] = await this.proxies[by].execute(fn, { signal: stop.signal }).then(
      (value) => [value === FALLBACK ? "fallback" : "value"],
      (error) => [nameOf(error), error.retryAfterMs],
    );
    noteWaits();
    const at = `a call that gives ${gives}`;
    assert.equal(got, gives, at);
    assert.equal(ran, attempts.length, `${at}: attempts`);
    if (waits !== null) assert.deepEqual(waited, waits, `${at}: waits`);
    if (within !== null) {
      assert.equal(waited.length, within.length, `${at}: waits`);
      within.forEach(([low, high], n) => assert.ok(low <= waited[n] && waited[n] <= high, `${at}: waited ${waited[n]}, not ${low} to ${high}`));
    }
    if (elapsed !== null) assert.equal(ns(this.time.elapsedMs - begun), elapsed, `${at}: elapsed`);
    if (retryAfter !== null) assert.equal(after === undefined ? undefined : ns(after), retryAfter, `${at}: retry_after`);
  }

  told(expected) {
    const spelled = expected.map((event) =>
      Object.fromEntries(Object.entries(event).map(([name, value]) => (name.endsWith("_ns") ? [`${camel(name.slice(0, -3))}Ms`, value / 1e6] : [camel(name), value]))),
    );
    const told = this.events.map((event, n) => Object.fromEntries(Object.keys(spelled[n] ?? event).map((name) => [name, event[name]])));
    assert.deepEqual(told, spelled, "events");
  }
}

function nameOf(error) {
  if (error instanceof Failure || error instanceof Final) return "error";
  if (error === FALLBACK_ERROR) return "fallback_error";
  if (error === CLASSIFIER_ERROR) return "classifier";
  if (error === CANCELLED) return "cancelled";
  return String(error.code).replace("ERR_AMBASSADOR_", "");
}

/** No proxy is made, and the error names the setting, which exists. */
function refused({ proxies: [how], refuses }, number) {
  const { field, allowed } = thrown(() => new AmbassadorProxy(TARGET, optionsOf(how, `vector ${number}`)));
  assert.ok([camel(refuses), `${camel(refuses)}Ms`].includes(field), field);
  assert.doesNotMatch(allowed, /one of the settings/);
}

function thrown(make) {
  try {
    make();
  } catch (error) {
    return error;
  }
  return assert.fail("a proxy was made");
}

let ran = 0;
let skipped = 0;

for (const [number, vector] of vectors.entries()) {
  const reason = SKIPPED[vector.id];
  test(`${vector.id} (${vector.rules.join(", ")})`, { skip: reason ?? false }, async (t) => {
    ran += 1;
    if (vector.refuses !== null) return refused(vector, number);
    const runner = new Runner(vector, number);
    t.after(() => runner.time.restore());
    t.after(() => native.injectPanic(""));
    await runner.steps(vector.steps).catch((fault) => (runner.firstFault ??= fault));
    if (runner.firstFault !== undefined) throw runner.firstFault;
    native.injectPanic("");
    runner.health({ is: vector.health });
    if (vector.events !== null) runner.told(vector.events);
  });
  skipped += Number(reason !== undefined);
}

test("every vector was run, or is known not to be", () => {
  console.log(`conformance: Node ran ${ran} vectors, skipped ${skipped}`);
  assert.equal(ran + skipped, vectors.length);
  const ids = new Set(vectors.map(({ id }) => id));
  for (const id of Object.keys(SKIPPED)) assert.ok(ids.has(id), `${id}: skipped, and there is no such vector`);
});
