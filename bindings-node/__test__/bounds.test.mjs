// Bounds: the timeout of an attempt and the deadline of a call (T1–T3, R4, O3), and what is left behind: nothing.
import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CallTimeoutError, DeadlineExceededError } from "../index.mjs";
import { TARGET, blockUntil, deferred, failing, lines, proxyOf, rejection, runWell, until } from "./support.mjs";

const unhandled = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

const forever = () => new Promise(() => {});
/** A bound that passes soon, and within which a busy machine too ends what does not wait. */
const PATIENT = 100;

test("a function that hangs is given up at the bound, never early, and tried again", async () => {
  lines();
  const proxy = proxyOf({ timeoutMs: 30, maxRetries: 2 });
  const begun = performance.now();
  const error = await rejection(proxy.call(forever));
  assert.ok(performance.now() - begun >= 61);
  assert.ok(error instanceof CallTimeoutError && !(error instanceof DeadlineExceededError));
  assert.equal(error.name, "CallTimeoutError");
  assert.equal(error.code, "ERR_AMBASSADOR_TIMEOUT");
  assert.equal(error.target, TARGET);
  assert.equal(error.attempts, 2);
  assert.ok(error.elapsedMs >= 61);
  assert.ok(!("cause" in error));
  assert.match(error.message, /^payment-api\.example\.com: attempt 2 of 2 did not end within 30ms \(2 attempts in /);
  assert.match(lines().join(), /^\[Ambassador\] Retry 1 after 1ms: payment-api\.example\.com: attempt 1 of 2 did not end within 30ms/);
});

test("the bound is never early, whatever part of a millisecond it is", async () => {
  for (const timeoutMs of [0.1, 0.9, 1, 1.1, 2.5, 7.3]) {
    const proxy = proxyOf({ timeoutMs, maxRetries: 1, breaker: null });
    const ended = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const begun = process.hrtime.bigint();
        await rejection(proxy.call(forever));
        return Number(process.hrtime.bigint() - begun) / 1e6;
      }),
    );
    for (const ms of ended) assert.ok(ms >= timeoutMs, `${ms} of ${timeoutMs}`);
  }
});

test("a timeout has the last real error as its cause", async () => {
  const real = new Error("unreachable");
  const proxy = proxyOf({ timeoutMs: PATIENT, maxRetries: 2 });
  let ran = 0;
  const error = await rejection(
    proxy.call(() => {
      if (++ran === 1) throw real;
      return forever();
    }),
  );
  assert.equal(error.code, "ERR_AMBASSADOR_TIMEOUT");
  assert.equal(error.cause, real);
});

test("after a timeout, the error of the last attempt comes back when it is a real one", async () => {
  const real = new Error("unreachable");
  let ran = 0;
  const fn = () => (++ran === 1 ? forever() : Promise.reject(real));
  assert.equal(await rejection(proxyOf({ timeoutMs: PATIENT, maxRetries: 2 }).call(fn)), real);
});

test("a late value is dropped and counted, and never reaches the next attempt", async () => {
  const proxy = proxyOf({ timeoutMs: PATIENT, maxRetries: 2 });
  const gate = deferred();
  let ran = 0;
  const called = proxy.call(() => {
    if (++ran === 1) return gate.promise;
    gate.resolve("late");
    return gate.promise.then(() => "in time");
  });
  assert.equal(await called, "in time");
  await until(() => proxy.health().abandoned === 0);
  assert.equal(proxy.health().late_results, 1);
});

test("work that outlives its bound is counted until it ends", async () => {
  const proxy = proxyOf({ timeoutMs: 5, maxRetries: 1 });
  const gate = deferred();
  await rejection(proxy.call(() => gate.promise));
  assert.equal(proxy.health().abandoned, 1);
  assert.equal(proxy.health().in_flight, 0);
  gate.resolve();
  await until(() => proxy.health().abandoned === 0);
  assert.equal(proxy.health().late_results, 1);
});

test("a late rejection is no unhandled one", async () => {
  unhandled.length = 0;
  const proxy = proxyOf({ timeoutMs: 5, maxRetries: 1 });
  const gate = deferred();
  await rejection(proxy.call(() => gate.promise));
  gate.reject(new Error("too late"));
  await until(() => proxy.health().abandoned === 0);
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
});

test("a rejection that comes late counts as a late value does, unless it only tells of the abort", async () => {
  const proxy = proxyOf({ timeoutMs: 5, maxRetries: 1 });
  const rejectsWith = (errorOf) => (ctx) =>
    new Promise((_, reject) => ctx.signal.addEventListener("abort", () => reject(errorOf(ctx.signal.reason))));
  const late = [
    (reason) => reason, // as fetch does
    (cause) => Object.assign(new Error("aborted", { cause }), { name: "AbortError" }), // as Node's own timers do
    () => new Error("of its own"),
    () => undefined,
  ];
  for (const errorOf of late) await rejection(proxy.execute(rejectsWith(errorOf)));
  await rejection(proxy.execute((ctx) => sleep(3_600_000, undefined, { signal: ctx.signal })));
  await until(() => proxy.health().abandoned === 0);
  assert.equal(proxy.health().late_results, 2);
});

test("the attempt's signal aborts at its bound, with the timeout as its reason", async () => {
  const aborted = deferred();
  const proxy = proxyOf({ timeoutMs: 10, maxRetries: 1 });
  const error = await rejection(
    proxy.execute((ctx) => {
      ctx.signal.addEventListener("abort", () => aborted.resolve(ctx));
      return forever();
    }),
  );
  const ctx = await aborted.promise;
  assert.equal(error.code, "ERR_AMBASSADOR_TIMEOUT");
  assert.equal(ctx.signal.reason.code, "ERR_AMBASSADOR_TIMEOUT");
  assert.equal(ctx.cancelled, true);
  assert.equal(ctx.remainingMs, 0);
});

test("the signal of an attempt that was given up is aborted also when it is read only then", async () => {
  let first;
  await proxyOf({ timeoutMs: PATIENT }).execute((ctx) => {
    first ??= ctx;
    return ctx.attempt === 1 ? forever() : undefined;
  });
  assert.equal(first.signal.aborted, true);
  assert.equal(first.attempt, 1);
  assert.equal(first.headers["x-ambassador-attempt"], "1");
});

test("the signal of an attempt that ended well does not abort", async () => {
  let signal;
  const proxy = proxyOf({ timeoutMs: 20 });
  await proxy.execute((ctx) => {
    signal = ctx.signal;
  });
  await rejection(proxyOf({ timeoutMs: 30, maxRetries: 1 }).call(forever));
  assert.equal(signal.aborted, false);
});

test("listeners of an attempt's signal that throw or make calls break nothing", async () => {
  const { stdout } = await runWell(`
    import { failing, proxyOf } from "./support.mjs";
    // As Node tells of any listener of any signal.
    process.on("uncaughtException", (error) => console.log(error.message));
    const proxy = proxyOf({ timeoutMs: ${PATIENT}, maxRetries: 2 });
    const others = [];
    const value = await proxy.execute((ctx) => {
      if (ctx.attempt === 2) return "second";
      ctx.signal.addEventListener("abort", () => others.push(proxy.call(failing(new Error("once")), "other")));
      ctx.signal.addEventListener("abort", () => {
        throw new Error("a listener's own");
      });
      return new Promise(() => {});
    });
    console.log(value, (await others[0])[0], proxy.health().in_flight);
  `);
  assert.equal(stdout, "a listener's own\nsecond other 0\n");
});

test("the deadline wins over the timeout", async () => {
  const proxy = proxyOf({ timeoutMs: 60_000, deadlineMs: 20 });
  const error = await rejection(proxy.call(forever));
  assert.ok(error instanceof DeadlineExceededError && error instanceof CallTimeoutError);
  assert.equal(error.code, "ERR_AMBASSADOR_DEADLINE");
  assert.equal(error.attempts, 1);
  assert.ok(error.elapsedMs >= 20);
});

test("a call never sleeps in vain before its deadline, but ends with the last real error", async () => {
  const real = new Error("unreachable");
  const proxy = proxyOf({ deadlineMs: 30_000, backoff: { baseMs: 60_000, maxMs: 60_000, jitter: "none" } });
  const begun = performance.now();
  const fn = failing(real);
  assert.equal(await rejection(proxy.call(fn)), real);
  assert.ok(performance.now() - begun < 20_000);
  assert.equal(fn.ran, 1);
});

test("without a timeout an attempt takes what it takes", async () => {
  const gate = deferred();
  const proxy = proxyOf({ timeoutMs: null });
  const called = proxy.call(() => gate.promise);
  await rejection(proxyOf({ timeoutMs: 30, maxRetries: 1 }).call(forever));
  gate.resolve("at last");
  assert.equal(await called, "at last");
});

test("a function that blocks the event loop past its bound is seen late, counted, and tried again", async () => {
  for (const isAsync of [false, true]) {
    lines();
    const proxy = proxyOf({ timeoutMs: PATIENT });
    const value = await proxy.execute((ctx) => {
      if (ctx.attempt === 1) {
        blockUntil(performance.now() + PATIENT + 5);
        assert.equal(ctx.cancelled, true);
        return isAsync ? Promise.resolve("late") : "late";
      }
      return "in time";
    });
    assert.equal(value, "in time");
    assert.equal(proxy.health().late_results, 1);
    assert.equal(proxy.health().attempts.timeout, 1);
    assert.match(lines().join(), /attempt 1 of 3 did not end within 100ms/);
  }
});

test("an error that comes past the bound is dropped as a value is", async () => {
  const proxy = proxyOf({ timeoutMs: 5, maxRetries: 1 });
  const error = await rejection(
    proxy.call(() => {
      blockUntil(performance.now() + 6);
      throw new Error("late");
    }),
  );
  assert.equal(error.code, "ERR_AMBASSADOR_TIMEOUT");
  assert.ok(!("cause" in error));
});

test("bounds of different lengths fire each in its own time, whatever order they came in", async () => {
  const order = [];
  const lengths = [250, 50, 450, 150, 350, 100, 300, 200, 400, 25];
  await Promise.all(
    lengths.map(async (timeoutMs) => {
      const error = await rejection(proxyOf({ timeoutMs, maxRetries: 1 }).call(forever));
      assert.ok(error.elapsedMs >= timeoutMs);
      order.push(timeoutMs);
    }),
  );
  assert.deepEqual(order, lengths.toSorted?.((a, b) => a - b) ?? [...lengths].sort((a, b) => a - b));
});

test("a hundred thousand calls that end within 100 µs of their bound bring a value, their error or a timeout", async (t) => {
  unhandled.length = 0;
  // A hundred thousand stack traces would take longer than all the rest.
  t.after(((limit) => () => (Error.stackTraceLimit = limit))(Error.stackTraceLimit));
  Error.stackTraceLimit = 0;
  const proxy = proxyOf({ timeoutMs: 4, maxRetries: 1, breaker: null });
  const seen = { value: 0, error: 0, timeout: 0 };
  const batch = 200;
  let random = 1;
  for (let done = 0; done < 100_000; done += batch) {
    // Settled by whoever turns the event loop below, at the bound and up to 100 µs before or after.
    const due = [];
    const calls = Array.from({ length: batch }, (_, number) =>
      proxy.execute((ctx) => {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        const work = deferred();
        due.push({ at: performance.now() + ctx.remainingMs - 0.1 + (random / 2 ** 32) * 0.2, number, work });
        return work.promise;
      }),
    );
    const settled = Promise.allSettled(calls);
    for (let next = 0; next < due.length; ) {
      const now = performance.now();
      for (; next < due.length && due[next].at <= now; next++) {
        const { number, work } = due[next];
        if (number % 2 === 0) work.resolve(number);
        else work.reject(number);
      }
      await new Promise(setImmediate);
    }
    for (const [number, end] of (await settled).entries()) {
      if (end.reason?.code === "ERR_AMBASSADOR_TIMEOUT") seen.timeout += 1;
      else if (number % 2 === 0) seen.value += Number(assert.equal(end.value, number) ?? 1);
      else seen.error += Number(assert.equal(end.reason, number) ?? 1);
    }
  }
  await until(() => proxy.health().abandoned === 0);
  const { calls, attempts, late_results, in_flight } = proxy.health();
  assert.equal(seen.value + seen.error + seen.timeout, 100_000);
  assert.ok(seen.value > 0 && seen.error > 0 && seen.timeout > 0, JSON.stringify(seen));
  assert.deepEqual([calls.ok, calls.failure, calls.timeout], [seen.value, seen.error, seen.timeout]);
  assert.equal(attempts.timeout, late_results);
  assert.equal(in_flight, 0);
  assert.deepEqual(unhandled, []);
  // Nothing of them hits the next call.
  assert.equal(await proxy.call(async () => "clean"), "clean");
});

test("functions that are not asynchronous and end at their bound bring a value or a timeout", async () => {
  const proxy = proxyOf({ timeoutMs: 0.2, maxRetries: 1, breaker: null });
  let values = 0;
  let random = 7;
  for (let call = 0; call < 2000; call++) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    const end = await proxy
      .execute((ctx) => {
        blockUntil(performance.now() + ctx.remainingMs - 0.1 + (random / 2 ** 32) * 0.2);
        return "value";
      })
      .catch((error) => error.code);
    assert.ok(end === "value" || end === "ERR_AMBASSADOR_TIMEOUT", end);
    values += Number(end === "value");
  }
  const { calls, late_results } = proxy.health();
  assert.deepEqual([calls.ok, calls.timeout, late_results], [values, 2000 - values, 2000 - values]);
});
