// The breaker by hand, the fallback, and events (B1, B5, H2, S1, F5); what the policies decide is shown by the vectors.
import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { createRequire } from "node:module";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { CallTimeoutError, CircuitOpenError } from "../index.mjs";
import { TARGET, deferred, failing, proxyOf, rejection, runWell, until } from "./support.mjs";

const require = createRequire(import.meta.url);

test("isolate refuses every call until reset", async () => {
  const proxy = proxyOf();
  proxy.isolate();
  assert.equal(proxy.health().circuit.state, "isolated");
  const error = await rejection(proxy.call(() => assert.fail("it ran")));
  assert.ok(error instanceof CircuitOpenError);
  assert.deepEqual([error.code, error.attempts, error.target, "retryAfterMs" in error], ["ERR_AMBASSADOR_CIRCUIT_OPEN", 0, TARGET, false]);
  proxy.reset();
  assert.equal(await proxy.call(() => "again"), "again");
  const { calls, rejections, circuit, in_flight } = proxy.health();
  assert.deepEqual([calls.rejected, rejections.circuit_open, circuit.state, in_flight], [1, 1, "closed", 0]);
});

test("the stack of a refusal tells who called", async () => {
  const proxy = proxyOf();
  proxy.isolate();
  function charge() {
    return proxy.call(() => assert.fail("it ran"));
  }
  assert.match((await rejection(charge())).stack, /\bat charge\b/);
});

test("a circuit that opened says when to come again", async () => {
  const proxy = proxyOf({ maxRetries: 1, breaker: { consecutiveFailures: 2 } });
  for (const message of ["one", "two"]) assert.equal((await rejection(proxy.call(failing(new Error(message))))).message, message);
  const { retryAfterMs } = await rejection(proxy.call(() => assert.fail("it ran")));
  assert.ok(retryAfterMs > 4000 && retryAfterMs <= 5000, `${retryAfterMs}`);
});

test("proxies of one name share circuit and settings: the newest hold", async () => {
  const name = "shared circuit";
  const [one, other] = [proxyOf({ name }), proxyOf({ name })];
  one.isolate();
  assert.ok((await rejection(other.call(() => 1))) instanceof CircuitOpenError);
  proxyOf({ name, breaker: null });
  assert.equal(await other.call(() => 1), 1);
});

test("a fallback that is a value answers in place of the final error", async () => {
  const proxy = proxyOf({ fallback: { status: "queued" } });
  assert.deepEqual(await proxy.call(failing(1, 2, 3)), { status: "queued" });
  assert.equal(await proxy.call(() => "fine"), "fine");
  const { calls } = proxy.health();
  assert.deepEqual([calls.fallback, calls.failure, calls.ok], [1, 0, 1]);
});

test("a fallback that is a function gets the final error, whatever it is, and may be asynchronous", async () => {
  const seen = [];
  const answers = [(error) => seen.push(error), async (error) => seen.push(error), (error) => ({ then: (resolve) => resolve(seen.push(error)) })];
  for (const fallback of answers) {
    seen.length = 0;
    const last = new Error("three");
    const proxy = proxyOf({ fallback, timeoutMs: 10 });
    assert.equal(await proxy.call(failing(1, 2, last)), 1);
    assert.equal(await proxyOf({ name: proxy.policy.name, fallback, timeoutMs: 10, maxRetries: 1 }).call(() => new Promise(() => {})), 2);
    proxy.isolate();
    assert.equal(await proxy.call(() => 1), 3);
    assert.equal(seen[0], last);
    assert.ok(seen[1] instanceof CallTimeoutError && seen[1].attempts === 1);
    assert.ok(seen[2] instanceof CircuitOpenError);
    assert.deepEqual([proxy.health().calls.fallback, proxy.health().in_flight], [3, 0]);
  }
});

test("a fallback that throws or rejects makes its error the call's, with the final error as its cause", async () => {
  const broken = () => new Error("no answer");
  for (const fallback of [() => { throw broken(); }, async () => { throw broken(); }]) {
    const proxy = proxyOf({ fallback, maxRetries: 1 });
    const final = new Error("final");
    const error = await rejection(proxy.call(failing(final)));
    assert.deepEqual([error.message, error.cause], ["no answer", final]);
    assert.deepEqual([proxy.health().calls.failure, proxy.health().calls.fallback, proxy.health().in_flight], [1, 0, 0]);
  }
  const final = new Error("final");
  const same = proxyOf({ maxRetries: 1, fallback: (error) => { throw error; } });
  assert.equal(await rejection(same.call(failing(final))), final);
  assert.ok(!("cause" in final));
});

test("a call that is stopped is not answered, also while its fallback is under way", async () => {
  const reached = deferred();
  const proxy = proxyOf({ maxRetries: 1, fallback: () => { reached.resolve(); return new Promise((_, reject) => setImmediate(reject, new Error("unheard"))); } });
  const stop = new AbortController();
  const before = proxy.with({ signal: stop.signal }).call(() => new Promise(() => {}));
  stop.abort("gone");
  assert.equal(await rejection(before), "gone");
  const again = new AbortController();
  const called = proxy.with({ signal: again.signal }).call(failing(new Error("final")));
  await reached.promise;
  again.abort("gone too");
  assert.equal(await rejection(called), "gone too");
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([proxy.health().calls.cancelled, proxy.health().in_flight], [2, 0]);
});

test("a fallback that stops its own call does not answer it", async () => {
  for (const kind of ["sync", "async"]) {
    const stop = new AbortController();
    const fallback = kind === "sync" ? () => stop.abort("by itself") : async () => stop.abort("by itself");
    const proxy = proxyOf({ maxRetries: 1, fallback });
    assert.equal(await rejection(proxy.with({ signal: stop.signal }).call(failing(new Error("final")))), "by itself");
    assert.equal(proxy.health().in_flight, 0);
  }
});

test("a value that was judged a failure is handed back, and needs no fallback", async () => {
  const proxy = proxyOf({ maxRetries: 2, classify: (end) => (end.ok ? "retry" : undefined), fallback: () => assert.fail("it ran") });
  assert.equal(await proxy.call(() => 503), 503);
  assert.deepEqual([proxy.health().calls.failure, proxy.health().in_flight], [1, 0]);
});

test("a listener hears of each attempt, retry and call, in their order, before the caller does", async () => {
  const proxy = proxyOf({ maxRetries: 2, backoff: { baseMs: 2, jitter: "none" } });
  const events = [];
  proxy.onEvent((event) => events.push(event));
  const { name } = proxy.policy;
  await proxy.call(failing(new Error("once")));
  assert.deepEqual(events.map(({ elapsedMs, ...rest }) => rest), [
    { type: "attempt", name, attempt: 1, outcome: "failure" },
    { type: "retry", name, attempt: 1, waitMs: 2 },
    { type: "attempt", name, attempt: 2, outcome: "ok" },
    { type: "call", name, attempts: 2, outcome: "ok", stop: "succeeded" },
  ]);
  for (const { type, elapsedMs } of events) if (type !== "retry") assert.ok(elapsedMs >= 0);
  assert.ok(events.at(-1).elapsedMs >= 2);
  assert.ok(events.every(Object.isFrozen));
});

test("a listener hears of the circuit, of settings, and of calls that were refused or stopped", async () => {
  const proxy = proxyOf();
  const { name } = proxy.policy;
  const events = [];
  proxy.onEvent((event) => events.push(event));
  proxy.isolate();
  await rejection(proxy.call(() => 1));
  proxy.reset();
  const stop = new AbortController();
  const called = rejection(proxy.with({ signal: stop.signal }).call(() => new Promise(() => {})));
  stop.abort();
  assert.equal(events.at(-1).outcome, "cancelled");
  await called;
  proxyOf({ name, breaker: null });
  const seen = events.map(({ type, from, to, outcome }) => [type, from ?? outcome, to].filter((part) => part !== undefined).join(" "));
  assert.deepEqual(seen, ["circuit closed isolated", "call rejected", "circuit isolated closed", "attempt cancelled", "call cancelled", "settings"]);
  assert.ok(events.every((event) => event.name === name));
  assert.notEqual(events.at(-1).before, events.at(-1).now);
});

test("when a circuit opens, the event says for how long", async () => {
  const proxy = proxyOf({ maxRetries: 1, breaker: { consecutiveFailures: 1, openForMs: 1500 } });
  const events = [];
  proxy.onEvent((event) => events.push(event));
  await rejection(proxy.call(failing(1)));
  const { openForMs, from, to } = events.find(({ type }) => type === "circuit");
  assert.deepEqual([openForMs, from, to], [1500, "closed", "open"]);
});

test("listeners of one name hear of all its proxies, until they stop", async () => {
  const [one, other] = [proxyOf({ name: "heard" }), proxyOf({ name: "heard" })];
  const counts = [0, 0];
  const listeners = [() => (counts[0] += 1), () => (counts[1] += 1)];
  const stops = [one.onEvent(listeners[0]), other.onEvent(listeners[1]), one.onEvent(listeners[0])];
  await other.call(() => 1);
  assert.deepEqual(counts, [4, 2]);
  stops[0]();
  stops[0]();
  await one.call(() => 1);
  assert.deepEqual(counts, [6, 4]);
  stops[1]();
  stops[2]();
  await one.call(() => 1);
  assert.deepEqual(counts, [6, 4]);
});

test("a listener that throws, or rejects, changes nothing, and is warned of once", async () => {
  const warnings = [];
  const warned = (warning) => warnings.push(warning);
  process.on("warning", warned);
  const proxy = proxyOf();
  const heard = [];
  proxy.onEvent(() => { throw new Error("a listener's own"); });
  proxy.onEvent(async () => { throw "another's"; });
  proxy.onEvent(() => { throw { toString() { throw new Error("not shown"); } }; });
  proxy.onEvent(({ type }) => heard.push(type));
  for (const _ of [1, 2]) assert.deepEqual(await proxy.call(failing(new Error("once")), 7), [7]);
  await rejection(proxy.call(failing(1, 2, 3)));
  await new Promise(setImmediate);
  process.off("warning", warned);
  assert.equal(heard.filter((type) => type === "call").length, 3);
  assert.equal(warnings.length, 2);
  assert.ok(warnings.every(({ name, message }) => name === "AmbassadorWarning" && /a listener of onEvent threw: /.test(message)));
  assert.deepEqual([proxy.health().calls.ok, proxy.health().calls.failure, proxy.health().in_flight], [2, 1, 0]);
});

test("a listener may call the proxy, stop the call that it hears of, and listen and stop listening", async () => {
  const proxy = proxyOf();
  const stop = new AbortController();
  const inner = [];
  let made = 0;
  let later = 0;
  const off = proxy.onEvent(({ type }) => {
    if (made++ < 3) inner.push(proxy.call(() => "inner"));
    if (type !== "retry") return;
    stop.abort("by a listener");
    off();
    proxy.onEvent(() => (later += 1));
  });
  assert.equal(await rejection(proxy.with({ signal: stop.signal }).call(failing(1, 2))), "by a listener");
  assert.deepEqual(await Promise.all(inner), ["inner", "inner", "inner"]);
  // Nothing came after the end of the call that was stopped.
  assert.equal(later, 0);
  await proxy.call(() => 1);
  assert.equal(later, 2);
  assert.equal(proxy.health().in_flight, 0);
});

test("a listener that stops its call at the very first event does so before its function runs", async () => {
  const proxy = proxyOf({ maxRetries: 1, breaker: { consecutiveFailures: 1, openForMs: 5 } });
  await rejection(proxy.call(failing(1)));
  const stop = new AbortController();
  proxy.onEvent(({ to }) => to === "half_open" && stop.abort("early"));
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(await rejection(proxy.with({ signal: stop.signal }).call(() => assert.fail("it ran"))), "early");
  assert.equal(proxy.health().in_flight, 0);
});

test("what is no function does not listen", () => {
  for (const given of [undefined, null, {}, "log"]) assert.throws(() => proxyOf().onEvent(given), TypeError);
});

test("the channel ambassador:event hears of every target, only while somebody subscribes", async () => {
  const proxy = proxyOf();
  const seen = [];
  const listener = (event, channel) => seen.push([channel, event.type, event.name]);
  await proxy.call(() => 1);
  subscribe("ambassador:event", listener);
  const other = proxyOf();
  await proxy.call(() => 1);
  await other.call(() => 1);
  proxyOf({ name: proxy.policy.name, budget: null });
  other.isolate();
  unsubscribe("ambassador:event", listener);
  other.reset();
  await proxy.call(() => 1);
  const told = ({ policy }) => ["attempt", "call"].map((type) => ["ambassador:event", type, policy.name]);
  const alone = [["ambassador:event", "settings", proxy.policy.name], ["ambassador:event", "circuit", other.policy.name]];
  assert.deepEqual(seen, [...told(proxy), ...told(other), ...alone]);
});

test("what happens in another thread is told by and by, and a listener keeps no process and no thread alive", async () => {
  const name = "heard across threads";
  const proxy = proxyOf({ name });
  const events = [];
  proxy.onEvent(({ type, outcome }) => events.push(`${type} ${outcome}`));
  const worker = new Worker(
    `const { AmbassadorProxy } = require(${JSON.stringify(require.resolve("../index.js"))});
     const proxy = new AmbassadorProxy(${JSON.stringify(TARGET)}, { name: ${JSON.stringify(name)}, backoff: { baseMs: 1, jitter: "none" } });
     let heard = 0;
     proxy.onEvent(() => (heard += 1));
     proxy.call(async () => 1).then(() => require("node:worker_threads").parentPort.postMessage(heard));`,
    { eval: true },
  );
  const [[heard], [code]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
  assert.deepEqual([heard, code], [2, 0]);
  await until(() => events.length >= 2);
  assert.deepEqual(events, ["attempt ok", "call ok"]);
  await proxy.call(() => 1);
  assert.equal(events.length, 4);
});

test("two copies of the package in one process hear of each other's calls", async () => {
  const { stdout } = await runWell(
    `
      const path = require("node:path");
      const one = require("../index.js");
      for (const file of Object.keys(require.cache)) delete require.cache[file];
      const other = require("../index.js");
      const heard = [];
      const proxies = [new one.AmbassadorProxy("copies"), new other.AmbassadorProxy("copies")];
      proxies[0].onEvent(({ type }) => heard.push(type));
      proxies[1].call(() => 1);
      const look = () => (heard.length < 2 ? setImmediate(look) : console.log(one === other, heard.join(), proxies.length));
      look();
    `,
    { type: "commonjs" },
  );
  assert.equal(stdout, "false attempt,call 2\n");
});

test("a listener lives as long as a proxy of its name", async () => {
  const { stdout } = await runWell(
    `
      import { AmbassadorProxy } from "../index.mjs";
      let heard = 0;
      let kept = new AmbassadorProxy("host");
      (() => new AmbassadorProxy("host").onEvent(() => (heard += 1)))();
      for (let turn = 0; turn < 5; turn++) {
        await new Promise(setImmediate);
        globalThis.gc();
      }
      await kept.call(() => 1);
      console.log(heard);
    `,
    { flags: ["--expose-gc"] },
  );
  assert.equal(stdout, "2\n");
});
