// The ambassador's own faults (F1): no call is lost for one, and no function runs twice.
import assert from "node:assert/strict";
import test from "node:test";
import { deferred, failing, native, proxyOf, rejection, run, runWell } from "./support.mjs";

for (const at of ["begin", "settle", "resume"]) {
  test(`a fault of the core at ${at} loses no call and runs no function twice`, async (t) => {
    const proxy = proxyOf();
    const faults = proxy.health().internal_errors;
    native.injectPanic(at);
    t.after(() => native.injectPanic(""));
    for (const fine of [failing(), () => "value"]) await proxy.call(fine);
    const succeeds = failing();
    assert.deepEqual(await proxy.call(succeeds, 7), [7]);
    const error = new Error("the app's own");
    const fails = failing(error, new Error("never"));
    assert.equal(await rejection(proxy.call(fails)), error);
    assert.deepEqual([succeeds.ran, fails.ran], [1, 1]);
    native.injectPanic("");
    const health = proxy.health();
    assert.equal(health.internal_errors - faults, at === "resume" ? 1 : 4);
    assert.equal(health.in_flight, 0);
    assert.deepEqual(await proxy.call(failing(new Error("once")), 8), [8]);
  });
}

test("with a fault at begin, the function has its attempt, its arguments and this", async (t) => {
  const proxy = proxyOf();
  native.injectPanic("begin");
  t.after(() => native.injectPanic(""));
  const seen = await proxy.execute((ctx) => ({ attempt: ctx.attempt, remainingMs: ctx.remainingMs, headers: Object.keys(ctx.headers), aborted: ctx.signal.aborted }));
  assert.deepEqual(seen, { attempt: 1, remainingMs: null, headers: ["idempotency-key", "traceparent", "x-ambassador-attempt"], aborted: false });
  const account = { balance: 7, plus: proxy.wrap(function (more) { return this.balance + more; }) };
  assert.equal(await account.plus(1), 8);
  assert.equal(await rejection(proxy.call(() => { throw "x"; })), "x");
});

test("a hung function is given up also when the core fails to settle it", async (t) => {
  const proxy = proxyOf({ timeoutMs: 10 });
  native.injectPanic("settle");
  t.after(() => native.injectPanic(""));
  const error = await rejection(proxy.call(() => new Promise(() => {})));
  assert.equal(error.code, "ERR_AMBASSADOR_TIMEOUT");
});

test("a panic inside a native is an Error, and Node goes on", async () => {
  const { stdout } = await runWell(`
    import { native, proxyOf } from "./support.mjs";
    for (let time = 0; time < 3; time++) {
      try {
        native.fault();
      } catch (error) {
        console.log(error instanceof Error, error.code, error.message);
      }
    }
    console.log(await proxyOf().call(() => "goes on"));
  `);
  assert.equal(stdout, "true ERR_AMBASSADOR_INTERNAL a fault of the ambassador itself; report it\n".repeat(3) + "goes on\n");
});

test("natives that are given nonsense answer with an Error, and Node goes on", async () => {
  const { stdout } = await runWell(`
    import { native, proxyOf } from "./support.mjs";
    const { createRequire } = await import("node:module");
    const { numbers } = createRequire(import.meta.url)("../lib/bridge.js");
    for (const name of ["begin", "settle", "resume", "cancel", "release", "note"]) {
      for (const nonsense of [-1, 2 ** 31 - 1, -(2 ** 31), 12345]) {
        numbers.fill(nonsense);
        native[name]();
      }
    }
    for (const name of ["open", "health", "tell", "retryLine", "headers", "policy", "seedJitter", "target"]) {
      for (const nonsense of [[], [1, 2, 3, 4], [{}, {}, {}, {}], [native.instance, 1, 2, "3"]]) {
        try {
          native[name](...nonsense);
          console.log(name, "took it");
        } catch (error) {
          if (!(error instanceof Error)) console.log(name, error);
        }
      }
    }
    console.log(await proxyOf().call(() => "goes on"));
  `);
  assert.equal(stdout, "goes on\n");
});

test("after shutdown, calls are refused, and those in flight end as they may", async () => {
  const { stdout } = await runWell(`
    import { deferred, proxyOf, rejection, run } from "./support.mjs";
    import { ShutdownError, shutdown } from "../index.mjs";
    const proxy = proxyOf();
    const gate = deferred();
    const called = proxy.call(() => gate.promise);
    console.log(await shutdown(20));
    let ran = 0;
    const refused = await rejection(proxy.call(() => ran++));
    console.log(refused instanceof ShutdownError, refused.code, refused.attempts, ran);
    const draining = shutdown();
    gate.resolve("in flight");
    console.log(await draining, await called, proxy.health().calls.rejected);
  `);
  assert.equal(stdout, "false\ntrue ERR_AMBASSADOR_SHUTDOWN 0 0\ntrue in flight 1\n");
});

test("a package without its native part says what was looked for, and what to do", async () => {
  const { code, stderr } = await run(
    `require("../lib/native.js").load(require("node:path").join(__dirname, "nowhere", "ambassador.any.node"))`,
    { type: "commonjs" },
  );
  assert.equal(code, 1);
  assert.match(stderr, /ambassador-proxy: the native part for \w+-\w+ cannot be loaded\. Looked for .*nowhere.ambassador\.any\.node: there is no such file\. Install the package on the platform/);
  const broken = await run(`require("../lib/native.js").load(require.resolve("./support.mjs").replace(/mjs$/, "node"))`, { type: "commonjs" });
  assert.equal(broken.code, 1);
});
