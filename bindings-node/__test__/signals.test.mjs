// A call is stopped from outside by a signal (A3, O3): at once, with the signal's reason, wherever it stands.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import test from "node:test";
import { deferred, failing, lines, proxyOf, rejection, until } from "./support.mjs";

const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

/** A proxy whose waits are so long that a test would never end in one. */
const patient = (options) => proxyOf({ timeoutMs: null, backoff: { baseMs: 3_600_000, maxMs: 3_600_000, jitter: "none" }, ...options });

for (const timeoutMs of [null, 3_600_000]) {
  test(`an attempt that hangs is stopped, timeoutMs ${timeoutMs}`, async () => {
    const proxy = patient({ timeoutMs });
    const stop = new AbortController();
    const started = deferred();
    let ran = 0;
    const called = proxy.with({ signal: stop.signal }).call(() => {
      ran += 1;
      started.resolve();
      return new Promise(() => {});
    });
    await started.promise;
    const reason = new Error("enough");
    stop.abort(reason);
    assert.equal(await rejection(called), reason);
    assert.equal(ran, 1);
    const { calls, attempts, in_flight, abandoned } = proxy.health();
    assert.deepEqual([calls.cancelled, attempts.cancelled, in_flight, abandoned], [1, 1, 0, 1]);
  });
}

test("a wait between attempts is stopped", async () => {
  lines();
  const proxy = patient();
  const stop = new AbortController();
  const called = proxy.execute(() => Promise.reject(new Error("once")), { signal: stop.signal });
  called.catch(() => {});
  await until(() => lines().length > 0);
  stop.abort("not a second time");
  assert.equal(await rejection(called), "not a second time");
  const { calls, retries, in_flight } = proxy.health();
  assert.deepEqual([calls.cancelled, retries, in_flight], [1, 0, 0]);
});

test("a signal that has aborted before the call runs nothing", async () => {
  const proxy = proxyOf();
  const fn = failing();
  const signal = AbortSignal.abort("before");
  assert.equal(await rejection(proxy.with({ signal }).call(fn)), "before");
  assert.equal(await rejection(proxy.execute(fn, { signal })), "before");
  assert.equal(await rejection(proxy.wrap(fn, { signal })()), "before");
  assert.equal(fn.ran, 0);
});

test("without a reason, the call rejects with an AbortError", async () => {
  const stop = new AbortController();
  const called = proxyOf().execute(() => new Promise(() => {}), stop);
  stop.abort();
  const error = await rejection(called);
  assert.equal(error.name, "AbortError");
  assert.equal(error, stop.signal.reason);
});

test("the attempt's own signal aborts with the caller's reason", async () => {
  const stop = new AbortController();
  let ctx;
  const called = proxyOf().execute((given) => {
    ctx = given;
    assert.equal(ctx.signal.aborted, false);
    return new Promise(() => {});
  }, stop);
  stop.abort("enough");
  assert.equal(ctx.cancelled, true);
  assert.equal(ctx.signal.reason, "enough");
  assert.equal(await rejection(called), "enough");
});

test("an error that the signal caused is the signal's reason, and is not tried again", async () => {
  const stop = new AbortController();
  let ran = 0;
  const called = proxyOf().execute((ctx) => {
    ran += 1;
    return new Promise((_, reject) => ctx.signal.addEventListener("abort", () => reject(new Error("aborted"))));
  }, stop);
  stop.abort("enough");
  assert.equal(await rejection(called), "enough");
  assert.equal(ran, 1);
});

test("a function that aborts its own call gets its reason, whatever it does then", async () => {
  unhandled.length = 0;
  const endings = [
    () => "value",
    () => {
      throw new Error("error");
    },
    () => Promise.resolve("value"),
    () => Promise.reject(new Error("error")),
    () => new Promise(() => {}),
  ];
  for (const timeoutMs of [null, 1000]) {
    for (const ending of endings) {
      const proxy = proxyOf({ timeoutMs });
      const stop = new AbortController();
      const called = proxy.execute(() => {
        stop.abort("by itself");
        return ending();
      }, stop);
      assert.equal(await rejection(called), "by itself");
      const { calls, in_flight } = proxy.health();
      assert.deepEqual([calls.cancelled, in_flight], [1, 0]);
    }
  }
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
});

test("a classifier, a retry's listener and an error's text that abort the call stop it", async () => {
  for (const where of ["classify", "text"]) {
    const stop = new AbortController();
    const proxy = patient(where === "classify" ? { classify: () => void stop.abort(where) } : {});
    const error = new Error();
    Object.defineProperty(error, "message", { get: () => void stop.abort(where) });
    assert.equal(await rejection(proxy.execute(failing(error), stop)), where);
    assert.equal(proxy.health().in_flight, 0);
  }
});

test("what comes after the stop is dropped and counted, and no unhandled rejection", async () => {
  unhandled.length = 0;
  const proxy = proxyOf();
  const stop = new AbortController();
  const gate = deferred();
  const called = proxy.execute(() => gate.promise, stop);
  stop.abort();
  await rejection(called);
  assert.equal(proxy.health().abandoned, 1);
  gate.reject(new Error("late"));
  await until(() => proxy.health().abandoned === 0);
  await new Promise(setImmediate);
  assert.equal(proxy.health().late_results, 1);
  assert.deepEqual(unhandled, []);
});

test("a signal that aborts after the call's end changes nothing", async () => {
  const proxy = proxyOf();
  const stop = new AbortController();
  let signal;
  const called = proxy.execute((ctx) => {
    signal = ctx.signal;
    return "value";
  }, stop);
  stop.abort();
  assert.equal(await called, "value");
  assert.equal(signal.aborted, false);
  // Nor a call that has taken the ended one's place.
  const next = proxy.call(async () => "next");
  assert.equal(await next, "next");
  assert.equal(proxy.health().calls.cancelled, 0);
});

test("one signal stops all of its calls and no other, with one listener, and none stays", async () => {
  const proxy = patient();
  const [stop, other] = [new AbortController(), new AbortController()];
  const caller = proxy.with(stop);
  const gate = deferred();
  const stopped = Array.from({ length: 50 }, () => rejection(caller.call(() => new Promise(() => {}))));
  const going = [proxy.call(() => gate.promise), proxy.with(other).call(() => gate.promise), caller.with(other).call(() => gate.promise)];
  assert.equal(getEventListeners(stop.signal, "abort").length, 1);
  stop.abort("all");
  assert.deepEqual(await Promise.all(stopped), Array(50).fill("all"));
  gate.resolve("went on");
  assert.deepEqual(await Promise.all(going), Array(3).fill("went on"));
  await new Promise(setImmediate);
  assert.equal(getEventListeners(stop.signal, "abort").length, 0);
  assert.equal(getEventListeners(other.signal, "abort").length, 0);
});

test("with gives a caller for calls, execute and wrap", async () => {
  const caller = proxyOf().with({ signal: new AbortController().signal });
  assert.equal(await caller.call((a) => a, 1), 1);
  assert.equal(await caller.execute((ctx) => ctx.attempt), 1);
  assert.equal(await caller.wrap((a) => a)(1), 1);
});

test("AbortSignal.timeout bounds a whole call as any signal does", async () => {
  const error = await rejection(patient({ timeoutMs: 3_600_000 }).execute(() => new Promise(() => {}), { signal: AbortSignal.timeout(10) }));
  assert.equal(error.name, "TimeoutError");
});
