// Hedging (H1): another attempt beside one that takes long, on the one thread there is. What is decided is shown by the vectors; here,
// what really runs at once. A hedge begins after a millisecond, beside an attempt that ends when it is told to.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { blockUntil, deferred, lines, native, proxyOf, rejection, runWell, until } from "./support.mjs";

const HOUR = 3_600_000;
/** A time that passes soon, and within which a busy machine too ends what does not wait. */
const PATIENT = 100;

const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

const hedgedOf = (options) => proxyOf({ timeoutMs: null, hedge: { afterMs: 1 }, idempotent: true, ...options });

/** A function whose every attempt is here by its number, as `{ ctx, resolve, reject }`, and hangs until it is told how to end. */
function scripted() {
  const attempts = [];
  const begun = [];
  const fn = (ctx) => {
    const made = { ctx, signal: ctx.signal, ...deferred() };
    attempts[ctx.attempt] = made;
    (begun[ctx.attempt] ??= deferred()).resolve(made);
    return made.promise;
  };
  /** The attempt of that number, when it has begun. */
  fn.attempt = (number) => (begun[number] ??= deferred()).promise;
  fn.count = () => Object.keys(attempts).length;
  return fn;
}

function counts({ calls, attempts, hedges, retries, in_flight, abandoned, late_results }) {
  return { ok: calls.ok, attempts: [attempts.ok, attempts.failure, attempts.timeout, attempts.cancelled], hedges, retries, in_flight, abandoned, late_results };
}

test("a hedge wins while the first attempt hangs, which is told so by its signal", async () => {
  const proxy = hedgedOf();
  const fn = scripted();
  const called = proxy.execute(fn);
  const hedge = await fn.attempt(2);
  const first = await fn.attempt(1);
  assert.equal(first.ctx.cancelled, false);
  hedge.resolve("hedge");
  assert.equal(await called, "hedge");
  assert.equal(first.signal.aborted, true);
  assert.equal(first.signal.reason.name, "AbortError");
  assert.ok(first.signal.reason instanceof DOMException);
  assert.equal(first.ctx.cancelled, true);
  assert.equal(hedge.signal.aborted, false);
  assert.equal(fn.count(), 2);
  assert.deepEqual(counts(proxy.health()), { ok: 1, attempts: [1, 0, 0, 1], hedges: 1, retries: 0, in_flight: 0, abandoned: 1, late_results: 0 });
});

test("the first attempt wins over its hedge, which is told so by its signal", async () => {
  const proxy = hedgedOf();
  const fn = scripted();
  const called = proxy.execute(fn);
  const hedge = await fn.attempt(2);
  const first = await fn.attempt(1);
  first.resolve("first");
  assert.equal(await called, "first");
  assert.equal(hedge.signal.reason.name, "AbortError");
  assert.equal(first.signal.aborted, false);
  assert.equal(proxy.health().attempts.cancelled, 1);
});

test("a call with arguments is hedged as one with a context is", async () => {
  const gate = deferred();
  const given = [];
  const fn = (...args) => {
    given.push(args);
    return given.length === 1 ? gate.promise : Promise.resolve("hedge");
  };
  assert.equal(await hedgedOf().call(fn, 99.99, "EUR"), "hedge");
  assert.deepEqual(given, [[99.99, "EUR"], [99.99, "EUR"]]);
  assert.equal(await hedgedOf({ timeoutMs: HOUR }).wrap(fn)(7), "hedge");
});

test("a loser that ends much later changes nothing, and is no late result and no unhandled rejection", async () => {
  unhandled.length = 0;
  for (const how of ["resolve", "reject"]) {
    const proxy = hedgedOf();
    const fn = scripted();
    const called = proxy.execute(fn);
    (await fn.attempt(2)).resolve("hedge");
    assert.equal(await called, "hedge");
    const before = proxy.health();
    assert.equal(before.abandoned, 1);
    (await fn.attempt(1))[how](new Error("much later"));
    await until(() => proxy.health().abandoned === 0);
    assert.deepEqual(proxy.health(), { ...before, abandoned: 0 });
  }
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
});

test("a loser that heeds its signal ends soon", async () => {
  const proxy = hedgedOf();
  const called = proxy.execute((ctx) => (ctx.attempt === 1 ? sleep(HOUR, undefined, { signal: ctx.signal }) : Promise.resolve("hedge")));
  assert.equal(await called, "hedge");
  await until(() => proxy.health().abandoned === 0);
  assert.equal(proxy.health().late_results, 0);
});

test("when both fail, the error of the one that ended last comes back", async () => {
  const [early, late] = [new Error("early"), Object.freeze(new Error("late"))];
  for (const order of [[1, 2], [2, 1]]) {
    const proxy = hedgedOf({ maxRetries: 2 });
    const fn = scripted();
    const called = rejection(proxy.execute(fn));
    await fn.attempt(2);
    (await fn.attempt(order[0])).reject(early);
    await until(() => proxy.health().attempts.failure === 1);
    assert.equal(proxy.health().in_flight, 1);
    (await fn.attempt(order[1])).reject(late);
    assert.equal(await called, late);
    assert.deepEqual(counts(proxy.health()).attempts, [0, 2, 0, 0]);
  }
});

test("an error of the ambassador's has the last real one as its cause, whichever attempt that was of", async () => {
  const real = new Error("unreachable");
  const fn = scripted();
  const called = rejection(hedgedOf({ maxRetries: 2, timeoutMs: PATIENT }).execute(fn));
  await fn.attempt(2);
  (await fn.attempt(1)).reject(real);
  const error = await called;
  assert.equal(error.code, "ERR_AMBASSADOR_TIMEOUT");
  assert.equal(error.attempts, 2);
  assert.equal(error.cause, real);
});

test("a failure is not the end while another attempt may still succeed", async () => {
  const proxy = hedgedOf();
  const fn = scripted();
  const called = proxy.execute(fn);
  await fn.attempt(2);
  const first = await fn.attempt(1);
  first.reject(new Error("once"));
  await until(() => proxy.health().attempts.failure === 1);
  assert.equal(first.signal.aborted, false);
  (await fn.attempt(2)).resolve("hedge");
  assert.equal(await called, "hedge");
  assert.deepEqual(counts(proxy.health()), { ok: 1, attempts: [1, 1, 0, 0], hedges: 1, retries: 0, in_flight: 0, abandoned: 0, late_results: 0 });
});

test("when all have failed, another attempt follows after a wait, and may be hedged as well", async () => {
  lines();
  const proxy = hedgedOf({ maxRetries: 4 });
  const fn = scripted();
  const called = proxy.execute(fn);
  await fn.attempt(2);
  (await fn.attempt(1)).reject(new Error("one"));
  (await fn.attempt(2)).reject(new Error("two"));
  (await fn.attempt(4)).resolve("hedge");
  assert.equal(await called, "hedge");
  assert.match(lines().join(), /^\[Ambassador\] Retry \d after \d+ms: two$/);
  assert.deepEqual(counts(proxy.health()), { ok: 1, attempts: [1, 2, 0, 1], hedges: 2, retries: 1, in_flight: 0, abandoned: 1, late_results: 0 });
});

test("an error that may not be tried again ends the call, and the others have lost", async () => {
  const final = new TypeError("final");
  const proxy = hedgedOf({ notOn: TypeError });
  const fn = scripted();
  const called = rejection(proxy.execute(fn));
  (await fn.attempt(2)).reject(final);
  assert.equal(await called, final);
  assert.equal((await fn.attempt(1)).signal.reason.name, "AbortError");
  assert.deepEqual(counts(proxy.health()).attempts, [0, 1, 0, 1]);
});

test("a classifier that throws ends the call with its error, and the others have lost", async () => {
  const own = new Error("the classifier's");
  const real = new Error("unreachable");
  const proxy = hedgedOf({
    classify: () => {
      throw own;
    },
  });
  const fn = scripted();
  const called = rejection(proxy.execute(fn));
  (await fn.attempt(2)).reject(real);
  assert.equal(await called, own);
  assert.equal(own.cause, real);
  assert.equal((await fn.attempt(1)).signal.aborted, true);
  assert.equal(proxy.health().in_flight, 0);
});

test("a value that is to be tried again does not win, and is handed back when nothing better comes", async () => {
  const proxy = hedgedOf({ maxRetries: 2, classify: ({ ok }) => (ok ? "retry" : undefined) });
  const fn = scripted();
  const called = proxy.execute(fn);
  (await fn.attempt(2)).resolve("hedge");
  await until(() => proxy.health().attempts.failure === 1);
  (await fn.attempt(1)).resolve("first");
  assert.equal(await called, "first");
});

test("a fallback answers when all that ran at once have failed, with the last one's error", async () => {
  const proxy = hedgedOf({ maxRetries: 2, fallback: async (error) => `instead of ${error.message}` });
  const fn = scripted();
  const called = proxy.execute(fn);
  (await fn.attempt(2)).reject(new Error("hedge"));
  await until(() => proxy.health().attempts.failure === 1);
  (await fn.attempt(1)).reject(new Error("first"));
  assert.equal(await called, "instead of first");
});

test("an attempt times out by itself while its hedge goes on, and what it brings then is late", async () => {
  const proxy = hedgedOf({ maxRetries: 2, timeoutMs: 2 * PATIENT, hedge: { afterMs: PATIENT } });
  const gate = deferred();
  let first;
  const called = proxy.execute((ctx) => {
    if (ctx.attempt === 2) return new Promise((resolve) => first.signal.addEventListener("abort", () => resolve("hedge")));
    first = ctx;
    return gate.promise;
  });
  assert.equal(await called, "hedge");
  assert.equal(first.signal.reason.code, "ERR_AMBASSADOR_TIMEOUT");
  assert.deepEqual(counts(proxy.health()).attempts, [1, 0, 1, 0]);
  gate.resolve("late");
  await until(() => proxy.health().abandoned === 0);
  assert.equal(proxy.health().late_results, 1);
});

test("a hedge begins that is due when a bound comes too, after the one that the bound is of was settled", async () => {
  const proxy = hedgedOf({ maxRetries: 3, timeoutMs: 2 * PATIENT, hedge: { afterMs: PATIENT, max: 2 } });
  const told = [];
  proxy.onEvent(({ type, attempt, outcome }) => told.push([type, attempt, outcome]));
  const fn = scripted();
  const called = proxy.execute(fn);
  const second = await fn.attempt(2);
  // The core has said by now when the next one is due.
  await new Promise(setImmediate);
  blockUntil(performance.now() + PATIENT + 5);
  const third = await fn.attempt(3);
  assert.equal((await fn.attempt(1)).signal.reason.code, "ERR_AMBASSADOR_TIMEOUT");
  assert.equal(second.signal.aborted, false);
  third.resolve("third");
  assert.equal(await called, "third");
  assert.deepEqual(told.slice(0, 3), [["hedge", 2, undefined], ["attempt", 1, "timeout"], ["hedge", 3, undefined]]);
  assert.deepEqual(counts(proxy.health()), { ok: 1, attempts: [1, 0, 1, 1], hedges: 2, retries: 0, in_flight: 0, abandoned: 2, late_results: 0 });
});

test("beside an attempt whose bound has passed none begins: it has timed out, and is tried again", async () => {
  for (const whenBlocked of ["in the function", "after it"]) {
    const proxy = hedgedOf({ maxRetries: 2, timeoutMs: 2 * PATIENT, hedge: { afterMs: PATIENT } });
    const value = await proxy.execute((ctx) => {
      if (ctx.attempt === 2) return "again";
      const block = () => {
        while (ctx.remainingMs > 0);
      };
      if (whenBlocked === "after it") setImmediate(block);
      else block();
      return new Promise(() => {});
    });
    assert.equal(value, "again");
    assert.deepEqual(counts(proxy.health()), { ok: 1, attempts: [1, 0, 1, 0], hedges: 0, retries: 1, in_flight: 0, abandoned: 1, late_results: 0 });
  }
});

test("a signal from outside stops every attempt, with its reason", async () => {
  const proxy = hedgedOf({ maxRetries: 3, hedge: { afterMs: 1, max: 2 } });
  const stop = new AbortController();
  const fn = scripted();
  const called = rejection(proxy.execute(fn, stop));
  await fn.attempt(3);
  stop.abort("enough");
  assert.equal(await called, "enough");
  for (const number of [1, 2, 3]) assert.equal((await fn.attempt(number)).signal.reason, "enough");
  const { calls } = proxy.health();
  assert.equal(calls.cancelled, 1);
  assert.deepEqual(counts(proxy.health()), { ok: 0, attempts: [0, 0, 0, 3], hedges: 2, retries: 0, in_flight: 0, abandoned: 3, late_results: 0 });
});

test("a signal from outside stops a call whose hedge is still to come, and a wait after all have failed", async () => {
  for (const where of ["first", "wait"]) {
    lines();
    const proxy = hedgedOf({ backoff: { baseMs: HOUR, maxMs: HOUR }, hedge: { afterMs: where === "first" ? HOUR : 1 } });
    const stop = new AbortController();
    const fn = scripted();
    const called = rejection(proxy.execute(fn, stop));
    if (where === "wait") {
      (await fn.attempt(2)).reject(new Error("two"));
      (await fn.attempt(1)).reject(new Error("one"));
      await until(() => lines().length > 0);
    }
    stop.abort("enough");
    assert.equal(await called, "enough");
    assert.equal(proxy.health().in_flight, 0);
  }
});

test("a hedge, a classifier and a listener that abort the call stop it, and begin nothing more", async () => {
  for (const where of ["hedge", "classify", "listener"]) {
    const stop = new AbortController();
    const proxy = hedgedOf(where === "classify" ? { classify: () => void stop.abort(where) } : {});
    if (where === "listener") proxy.onEvent(({ type }) => type === "hedge" && stop.abort(where));
    let ran = 0;
    const called = rejection(
      proxy.execute((ctx) => {
        ran += 1;
        if (where === "hedge" && ctx.attempt === 2) stop.abort(where);
        return where === "classify" && ctx.attempt === 2 ? Promise.reject(new Error("judged")) : new Promise(() => {});
      }, stop),
    );
    assert.equal(await called, where);
    assert.equal(ran, where === "listener" ? 1 : 2);
    const { calls, in_flight } = proxy.health();
    assert.deepEqual([calls.cancelled, in_flight], [1, 0]);
  }
});

test("every attempt runs in its caller's async context", async () => {
  const storage = new AsyncLocalStorage();
  const proxy = hedgedOf({ maxRetries: 4 });
  const call = (user) => {
    const seen = [];
    const begun = deferred();
    return storage.run(user, () =>
      proxy.execute((ctx) => {
        seen.push(storage.getStore());
        if (ctx.attempt === 1) return begun.promise;
        if (ctx.attempt === 2) {
          begun.reject(new Error("one"));
          return new Promise((_, reject) => setImmediate(reject, new Error("two")));
        }
        return ctx.attempt === 3 ? new Promise(() => {}) : Promise.resolve(seen);
      }),
    );
  };
  assert.deepEqual(await Promise.all(["ada", "bob", "eve"].map(call)), ["ada", "bob", "eve"].map((user) => Array(4).fill(user)));
});

test("attempts that run at once are one call's: they share its key, and each has its number and bound", async () => {
  const proxy = hedgedOf({ timeoutMs: HOUR });
  const fn = scripted();
  const called = proxy.execute(fn);
  const [first, hedge] = [await fn.attempt(1), await fn.attempt(2)];
  assert.equal(first.ctx.headers["idempotency-key"], hedge.ctx.headers["idempotency-key"]);
  assert.deepEqual([first, hedge].map(({ ctx }) => ctx.headers["x-ambassador-attempt"]), ["1", "2"]);
  assert.ok(first.ctx.remainingMs < hedge.ctx.remainingMs);
  hedge.resolve();
  await called;
});

test("as many hedges begin as may, and no more", async () => {
  const proxy = hedgedOf({ maxRetries: 5, hedge: { afterMs: 1, max: 3 } });
  const fn = scripted();
  const called = proxy.execute(fn);
  const last = await fn.attempt(4);
  // More than a millisecond passes, and the timers of the ambassador run.
  await rejection(proxyOf({ timeoutMs: 20, maxRetries: 1 }).call(() => new Promise(() => {})));
  assert.equal(fn.count(), 4);
  last.resolve("last");
  assert.equal(await called, "last");
});

test("a function that is not asynchronous, or whose promise waits for nothing, is never hedged", async () => {
  const endings = [() => "value", () => Promise.resolve("value"), async () => "value", async () => await (async () => await "value")(), () => ({ then: (resolve) => resolve("value") })];
  for (const ending of endings) {
    const proxy = hedgedOf();
    let ran = 0;
    const value = await proxy.call(() => {
      ran += 1;
      blockUntil(performance.now() + 3);
      return ending();
    });
    assert.deepEqual([value, ran, proxy.health().hedges], ["value", 1, 0]);
  }
  const proxy = hedgedOf({ maxRetries: 2 });
  const error = await rejection(
    proxy.call(() => {
      blockUntil(performance.now() + 3);
      throw new Error("at once");
    }),
  );
  assert.equal(error.message, "at once");
  assert.deepEqual(counts(proxy.health()), { ok: 0, attempts: [0, 2, 0, 0], hedges: 0, retries: 1, in_flight: 0, abandoned: 0, late_results: 0 });
});

test("a hedge that is not asynchronous wins or fails at once", async () => {
  const value = await hedgedOf().execute((ctx) => (ctx.attempt === 1 ? new Promise(() => {}) : "hedge"));
  assert.equal(value, "hedge");
  const gate = deferred();
  const proxy = hedgedOf();
  const called = proxy.execute((ctx) => {
    if (ctx.attempt === 1) return gate.promise;
    gate.resolve("first");
    throw new Error("at once");
  });
  assert.equal(await called, "first");
  assert.deepEqual(counts(proxy.health()).attempts, [1, 1, 0, 0]);
});

test("of two that end in one turn of the event loop, the first counts, and the other is not abandoned", async () => {
  const proxy = hedgedOf();
  const fn = scripted();
  const called = proxy.execute(fn);
  const [first, hedge] = [await fn.attempt(1), await fn.attempt(2)];
  hedge.resolve("hedge");
  first.resolve("first");
  assert.equal(await called, "hedge");
  assert.deepEqual(counts(proxy.health()), { ok: 1, attempts: [1, 0, 0, 1], hedges: 1, retries: 0, in_flight: 0, abandoned: 0, late_results: 0 });
});

test("a call that waited for its place is hedged when it runs", async () => {
  const proxy = hedgedOf({ bulkhead: { maxConcurrent: 1, maxQueue: 1, queueTimeoutMs: HOUR } });
  const gate = deferred();
  const before = proxy.call(() => gate.promise);
  const fn = scripted();
  const called = proxy.execute(fn);
  await until(() => proxy.health().bulkhead.queued === 1);
  gate.resolve();
  await before;
  (await fn.attempt(2)).resolve("hedge");
  assert.equal(await called, "hedge");
  assert.equal(proxy.health().bulkhead.occupied, 0);
});

test("events tell of the hedge and of the one that lost", async () => {
  const proxy = hedgedOf();
  const told = [];
  proxy.onEvent((event) => told.push(event));
  const fn = scripted();
  const called = proxy.execute(fn);
  (await fn.attempt(2)).resolve();
  await called;
  assert.deepEqual(
    told.map(({ type, attempt, outcome }) => [type, attempt, outcome]),
    [["hedge", 2, undefined], ["attempt", 2, "ok"], ["attempt", 1, "cancelled"], ["call", undefined, "ok"]],
  );
  assert.ok(told[0].afterMs >= 1);
});

test("ten thousand hedged calls leave nothing behind", async () => {
  unhandled.length = 0;
  const proxy = hedgedOf({ breaker: null, budget: null, timeoutMs: HOUR, hedge: { afterMs: 0.5 } });
  const seen = { value: 0, error: 0 };
  for (let batch = 0; batch < 100; batch++) {
    await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const wait = () => (n % 3 === 0 ? new Promise(setImmediate) : new Promise((resolve) => setTimeout(resolve, n % 4)));
        const value = await proxy.execute(async (ctx) => {
          await wait();
          if (ctx.attempt === 1 && n % 5 === 0) throw new Error("once");
          return n;
        });
        assert.equal(value, n);
        seen.value += 1;
      }),
    );
  }
  await until(() => proxy.health().abandoned === 0);
  const { calls, in_flight, late_results, hedges } = proxy.health();
  assert.deepEqual([calls.ok, in_flight, late_results, seen.value], [10_000, 0, 0, 10_000]);
  assert.ok(hedges > 0);
  assert.deepEqual(unhandled, []);
});

test("a fault of the core where it is asked for a hedge leaves the call as it is", async (t) => {
  t.after(() => native.injectPanic(""));
  const proxy = hedgedOf();
  const gate = deferred();
  native.injectPanic("hedge");
  let ran = 0;
  const called = proxy.call(() => {
    ran += 1;
    return gate.promise;
  });
  await until(() => proxy.health().internal_errors === 1);
  gate.resolve("value");
  assert.equal(await called, "value");
  assert.equal(ran, 1);
});

test("a fault of the core at its beginning or its end leaves a hedged call with what its function brought", async (t) => {
  t.after(() => native.injectPanic(""));
  const proxy = hedgedOf();
  native.injectPanic("begin");
  assert.equal(await proxy.call(async () => "once"), "once");
  native.injectPanic("");
  const fn = scripted();
  const called = proxy.execute(fn);
  const hedge = await fn.attempt(2);
  native.injectPanic("settle");
  hedge.resolve("hedge");
  assert.equal(await called, "hedge");
  assert.equal((await fn.attempt(1)).signal.aborted, true);
  assert.equal(proxy.health().in_flight, 0);
});

test("a process does not end while a hedge is still to come, and ends at once when the call has ended", async () => {
  const { stdout, ms } = await runWell(`
    import { proxyOf } from "./support.mjs";
    const hedged = (afterMs) => proxyOf({ timeoutMs: null, hedge: { afterMs }, idempotent: true });
    await hedged(${HOUR}).call(() => new Promise(setImmediate));
    hedged(100).execute((ctx) => (ctx.attempt === 1 ? new Promise(() => {}) : "hedge")).then(console.log);
  `);
  assert.equal(stdout, "hedge\n");
  assert.ok(ms < HOUR / 10);
});

test("a worker that is ended leaves its attempts cancelled", async () => {
  const proxy = hedgedOf({ name: "hedged in a worker" });
  const worker = new Worker(
    `const { AmbassadorProxy } = require(${JSON.stringify(new URL("../index.js", import.meta.url).pathname)});
     const proxy = new AmbassadorProxy("payment-api.example.com", { name: "hedged in a worker", timeoutMs: null, hedge: { afterMs: 1 }, idempotent: true });
     proxy.call(() => new Promise(() => {}));
     setInterval(() => {}, 1000);`,
    { eval: true },
  );
  await until(() => proxy.health().hedges === 1);
  await worker.terminate();
  await until(() => proxy.health().in_flight === 0);
  const { calls, attempts } = proxy.health();
  assert.deepEqual([calls.cancelled, attempts.cancelled], [1, 2]);
});
