// ambassador-proxy/testing: virtual time that restores itself, seeded jitter, scripted functions.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import { AmbassadorProxy, BulkheadFullError, CallTimeoutError, shutdown } from "../index.mjs";
import * as esm from "../testing.mjs";
import { deferred, proxyOf, rejection, run, runWell } from "./support.mjs";

const require = createRequire(import.meta.url);
const { scripted, seedJitter, virtualTime } = esm;
const HOUR = 3_600_000;

test("in virtual time the seed's schedule takes no time", async (t) => {
  const time = virtualTime(t);
  const begun = performance.now();
  const error = new Error("Payment API unreachable");
  const charge = scripted().fails(error, { times: 2 }).returns("charged");
  const payments = new AmbassadorProxy("payment-api.example.com", { name: "seed, virtual", backoff: { jitter: "none" } });
  assert.equal(await payments.call(charge, 99.99), "charged");
  assert.deepEqual(time.waitsMs, [2000, 4000]);
  assert.equal(time.elapsedMs, 6000);
  assert.deepEqual(charge.calls, [[99.99], [99.99], [99.99]]);
  assert.ok(performance.now() - begun < 2000);
});

test("a test that is over, however it ended, has given time back", async () => {
  const { stdout, code } = await run(`
    import test from "node:test";
    import { virtualTime } from "../testing.mjs";
    test("one that fails", (t) => { virtualTime(t); throw new Error("it fails"); });
    test("the next", (t) => { virtualTime(t); });
  `, { flags: ["--test-reporter=tap"], env: { NODE_TEST_CONTEXT: undefined } });
  assert.equal(code, 1);
  assert.match(stdout, /^not ok 1 - one that fails$[^]*^ok 2 - the next$/m);
});

test("time that was given back is real, and what it was stays known", async () => {
  const time = virtualTime();
  assert.throws(() => virtualTime(), /virtual already/);
  time.advance(1500);
  time.restore();
  time.restore();
  assert.equal(time.elapsedMs, 1500);
  assert.deepEqual(time.waitsMs, []);
  assert.throws(() => time.advance(1), /real again/);
  const begun = performance.now();
  await proxyOf({ backoff: { baseMs: 20, jitter: "none" } }).call(scripted().fails(1).returns(2));
  assert.ok(performance.now() - begun >= 20);
});

test("a helper's context that does not take it leaves time real", () => {
  assert.throws(() => virtualTime({ after() { throw new Error("too late"); } }), /too late/);
  virtualTime().restore();
});

test("time is restored at the end of a scope, where the language has that", { skip: typeof Symbol.dispose !== "symbol" }, () => {
  const time = virtualTime();
  time[Symbol.dispose]();
  virtualTime().restore();
});

test("a function that moves time beyond its bound has timed out; within it, it has not", async (t) => {
  const time = virtualTime(t);
  const proxy = proxyOf({ timeoutMs: 100, maxRetries: 1, backoff: null });
  assert.equal(await proxy.call(scripted().returns("in time", { takesMs: 100 })), "in time");
  const error = await rejection(proxy.call(scripted().returns("late", { takesMs: 100.001 })));
  assert.ok(error instanceof CallTimeoutError);
  assert.equal(error.elapsedMs, 100.001);
  assert.equal(await proxy.execute((ctx) => { time.advance(30); return ctx.remainingMs; }), 70);
});

test("in virtual time no bound is armed, and none is left behind", async () => {
  const { stdout, ms } = await runWell(`
    import { proxyOf } from "./support.mjs";
    import { virtualTime } from "../testing.mjs";
    const proxy = proxyOf({ timeoutMs: 20, maxRetries: 1 });
    const early = proxy.call(() => new Promise((resolve) => setTimeout(resolve, 500, "early")));
    const time = virtualTime();
    console.log(await proxy.call(() => new Promise((resolve) => setTimeout(resolve, 60, "not given up"))));
    proxy.call(() => new Promise(() => {}));
    time.restore();
    console.log(await early.catch(({ code }) => code));
  `);
  // A bound of before is one again.
  assert.equal(stdout, "not given up\nERR_AMBASSADOR_TIMEOUT\n");
  assert.ok(ms < HOUR);
});

test("waits in a queue and for a turn pass too", async (t) => {
  const time = virtualTime(t);
  const proxy = proxyOf({ bulkhead: { maxConcurrent: 1, maxQueue: 1, queueTimeoutMs: 300 }, timeoutMs: null });
  const gate = deferred();
  const held = proxy.call(() => gate.promise);
  assert.ok((await rejection(proxy.call(() => 1))) instanceof BulkheadFullError);
  assert.deepEqual(time.waitsMs, [300]);
  gate.resolve();
  await held;
  const limited = proxyOf({ rateLimit: { rate: 1, burst: 1, maxWaitMs: 5000 } });
  for (const number of [1, 2, 3]) assert.equal(await limited.call(() => number), number);
  assert.deepEqual(time.waitsMs, [300, 1000, 1000]);
});

test("an open circuit is tested without waiting", async (t) => {
  const time = virtualTime(t);
  const proxy = proxyOf({ maxRetries: 1, breaker: { consecutiveFailures: 1, probes: 1 } });
  const charge = scripted().fails(new Error("down")).returns("up");
  await rejection(proxy.call(charge));
  const { retryAfterMs } = await rejection(proxy.call(charge));
  assert.equal(retryAfterMs, 5000);
  time.advance(retryAfterMs);
  assert.equal(await proxy.call(charge), "up");
  assert.equal(charge.calls.length, 2);
});

test("time is moved by lengths of time alone", (t) => {
  const time = virtualTime(t);
  for (const ms of [-1, NaN, Infinity, "1", undefined, 1n]) assert.throws(() => time.advance(ms), RangeError);
  assert.equal(time.elapsedMs, 0);
});

test("with a seed, jitter is the same each time", async (t) => {
  const time = virtualTime(t);
  const waits = async () => {
    const proxy = proxyOf({ maxRetries: 5, backoff: { jitter: "full" }, budget: null });
    seedJitter(proxy, 42);
    const before = time.waitsMs.length;
    await rejection(proxy.call(scripted().fails(1)));
    return time.waitsMs.slice(before);
  };
  const first = await waits();
  assert.equal(first.length, 4);
  assert.deepEqual(await waits(), first);
  for (const seed of [-1, 0.5, NaN, "42", undefined]) assert.throws(() => seedJitter(proxyOf(), seed), RangeError);
});

test("a script's last step goes on, no step is undefined, and calls are recorded", async () => {
  const fn = scripted().returns(1, { times: 2 }).fails("x");
  const ends = [];
  for (const argument of "abcd") ends.push(await fn(argument, argument).catch((error) => error));
  assert.deepEqual(ends, [1, 1, "x", "x"]);
  assert.deepEqual(fn.calls, [["a", "a"], ["b", "b"], ["c", "c"], ["d", "d"]]);
  assert.equal(await scripted()(), undefined);
  assert.equal(await Promise.race([scripted().hangs()(), new Promise((resolve) => setTimeout(resolve, 5, "hangs"))]), "hangs");
  for (const times of [0, -1, 1.5, "2"]) assert.throws(() => scripted().returns(1, { times }), RangeError);
  for (const takesMs of [-1, NaN, "2"]) assert.throws(() => scripted().returns(1, { takesMs }), RangeError);
  await assert.rejects(scripted().returns(1, { takesMs: 1 })(), /needs virtual time/);
});

test("both module kinds give the very same objects, and find them by name", async () => {
  const cjs = require("../testing.js");
  assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
  for (const [name, value] of Object.entries(cjs)) assert.equal(esm[name], value, name);
  const { stdout } = await runWell(`
    import { virtualTime } from "ambassador-proxy/testing";
    import { createRequire } from "node:module";
    console.log(createRequire(import.meta.url)("ambassador-proxy/testing").virtualTime === virtualTime);
  `);
  assert.equal(stdout, "true\n");
});

test("a shutdown waits in real time, whatever tests make of the clock", async () => {
  const { stdout, ms } = await runWell(`
    import { shutdown } from "../index.mjs";
    import { virtualTime } from "../testing.mjs";
    import { proxyOf } from "./support.mjs";
    virtualTime();
    // Held, or it might be collected before, and its call end with it.
    globalThis.proxy = proxyOf();
    globalThis.proxy.call(() => new Promise(() => {}));
    console.log(await shutdown(50));
  `);
  assert.equal(stdout, "false\n");
  assert.ok(ms >= 50);
  assert.equal(typeof shutdown, "function");
});
