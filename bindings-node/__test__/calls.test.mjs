// What a call does: the seed's behaviour, the kinds of functions, and what comes back (A1, A4, C1, R1, R7, O4).
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import test from "node:test";
import { AmbassadorProxy } from "../index.mjs";
import { TARGET, deferred, failing, handleOf, lines, native, proxyOf, rejection, retries } from "./support.mjs";

test("a function that succeeds runs once and its value comes back", async () => {
  const fn = failing();
  assert.deepEqual(await proxyOf().call(fn, 99.99, "EUR"), [99.99, "EUR"]);
  assert.equal(fn.ran, 1);
});

test("a function that fails is called again until it succeeds, with the same arguments", async () => {
  const fn = failing(new Error("one"), new Error("two"));
  assert.deepEqual(await proxyOf().call(fn, 99.99), [99.99]);
  assert.equal(fn.ran, 3);
});

test("maxRetries counts attempts, and the last one's error comes back, the same object and unchanged", async () => {
  const errors = [new Error("one"), new Error("two"), Object.freeze(new Error("three"))];
  const last = errors[2];
  const keys = Reflect.ownKeys(last);
  const fn = failing(...errors);
  assert.equal(await rejection(proxyOf({ maxRetries: 3 }).call(fn)), last);
  assert.deepEqual(Reflect.ownKeys(last), keys);
  assert.equal(fn.ran, 3);
});

test("one attempt is one attempt", async () => {
  const fn = failing(new Error("only"));
  assert.equal((await rejection(proxyOf({ maxRetries: 1 }).call(fn))).message, "only");
  assert.equal(fn.ran, 1);
});

test("the seed's waits: exactly 2s and then 4s, never early, and its line", async () => {
  lines();
  const proxy = new AmbassadorProxy(TARGET, { name: "seed", backoff: { jitter: "none" } });
  const begun = performance.now();
  const fn = failing(new Error("Payment API unreachable"), new Error("Payment API unreachable"));
  await proxy.call(fn);
  assert.ok(performance.now() - begun >= 6000);
  assert.deepEqual(lines(), [
    "[Ambassador] Retry 1 after 2s: Payment API unreachable",
    "[Ambassador] Retry 2 after 4s: Payment API unreachable",
  ]);
});

test("with jitter, the same seed gives the same waits", async () => {
  const waits = async () => {
    const proxy = proxyOf({ maxRetries: 6, backoff: { baseMs: 4, jitter: "full" } });
    native.seedJitter(handleOf(proxy), 42);
    retries.length = 0;
    await rejection(proxy.call(failing(1, 2, 3, 4, 5, 6)));
    return retries.splice(0).map(({ waitMs }) => waitMs);
  };
  const first = await waits();
  assert.equal(first.length, 5);
  assert.deepEqual(await waits(), first);
  first.forEach((wait, at) => assert.ok(wait >= 0 && wait <= 4 * 2 ** at, `${wait}`));
});

test("a function that is not asynchronous gives a promise all the same", async () => {
  const called = proxyOf().call((a, b) => a + b, 1, 2);
  assert.ok(called instanceof Promise);
  assert.equal(await called, 3);
});

test("a function that throws before it returns a promise is called again", async () => {
  let ran = 0;
  const fn = () => {
    if (++ran < 3) throw new Error("at once");
    return Promise.resolve(ran);
  };
  assert.equal(await proxyOf().call(fn), 3);
});

test("a thenable is waited for, and one that rejects is called again", async () => {
  let ran = 0;
  const thenable = {
    then(resolve, reject) {
      ran += 1;
      if (ran < 2) reject(new Error("not yet"));
      else resolve("then");
    },
  };
  assert.equal(await proxyOf().call(() => thenable), "then");
  assert.equal(ran, 2);
});

test("a thenable whose then throws has failed", async () => {
  const broken = new Error("broken");
  const fn = () => ({
    get then() {
      throw broken;
    },
  });
  assert.equal(await rejection(proxyOf().call(fn)), broken);
});

test("what is thrown comes back as it is, whatever it is", async () => {
  for (const thrown of ["x", undefined, null, 0, NaN, Symbol("thrown"), { plain: true }, () => {}]) {
    for (const fn of [() => { throw thrown; }, async () => { throw thrown; }, () => Promise.reject(thrown)]) {
      let ran = 0;
      const counted = () => {
        ran += 1;
        return fn();
      };
      assert.ok(Object.is(await rejection(proxyOf().call(counted)), thrown));
      assert.equal(ran, 3);
    }
  }
});

test("what is thrown is told as text, also what has none", async () => {
  lines();
  const hostile = {
    toString() {
      throw new Error("no text");
    },
  };
  const noMessage = new TypeError();
  for (const thrown of ["x", undefined, Symbol("s"), hostile, noMessage, new Error("50% off %s")]) {
    await proxyOf({ maxRetries: 2, backoff: null }).call(failing(thrown));
  }
  assert.deepEqual(
    lines().map((line) => line.replace("[Ambassador] Retry 1 after 0ms: ", "")),
    ["x", "undefined", "Symbol(s)", "an error that cannot be shown", "TypeError", "50% off %s"],
  );
});

test("execute gives the function its attempt", async () => {
  const seen = [];
  const value = await proxyOf({ timeoutMs: 60_000 }).execute(async (ctx) => {
    seen.push({ attempt: ctx.attempt, endpoint: ctx.endpoint, headers: ctx.headers, remainingMs: ctx.remainingMs, cancelled: ctx.cancelled });
    if (ctx.attempt < 3) throw new Error("not yet");
    return "done";
  });
  assert.equal(value, "done");
  assert.deepEqual(seen.map(({ attempt }) => attempt), [1, 2, 3]);
  for (const { endpoint, remainingMs, cancelled, attempt, headers } of seen) {
    assert.equal(endpoint, TARGET);
    assert.ok(remainingMs > 0 && remainingMs <= 60_000);
    assert.equal(cancelled, false);
    assert.equal(headers["x-ambassador-attempt"], String(attempt));
    assert.match(headers["x-ambassador-remaining-ms"], /^\d+$/);
  }
});

test("all attempts of a call send one idempotency key and one trace, and another call others", async () => {
  const call = async () => {
    const headers = [];
    await proxyOf().execute((ctx) => {
      headers.push(ctx.headers);
      if (ctx.attempt < 3) throw new Error("again");
    });
    return headers;
  };
  const [one, other] = [await call(), await call()];
  assert.equal(new Set(one.map((h) => h["idempotency-key"])).size, 1);
  assert.match(one[0]["idempotency-key"], /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const traces = one.map((h) => h.traceparent);
  traces.forEach((trace) => assert.match(trace, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/));
  assert.equal(new Set(traces.map((trace) => trace.slice(0, 35))).size, 1);
  assert.equal(new Set(traces).size, 3);
  assert.notEqual(one[0]["idempotency-key"], other[0]["idempotency-key"]);
});

test("without a bound, remainingMs is null and no header tells of it", async () => {
  await proxyOf({ timeoutMs: null }).execute((ctx) => {
    assert.equal(ctx.remainingMs, null);
    assert.equal(ctx.cancelled, false);
    assert.ok(!("x-ambassador-remaining-ms" in ctx.headers));
  });
});

test("wrap keeps this, arguments, name and length", async () => {
  const account = {
    balance: 7,
    plus: proxyOf().wrap(async function plus(a, b) {
      return this.balance + a + b;
    }),
  };
  assert.equal(account.plus.name, "plus");
  assert.equal(account.plus.length, 2);
  assert.equal(await account.plus(1, 2), 10);
});

test("wrap calls through the proxy each time", async () => {
  const proxy = proxyOf();
  const fn = failing(new Error("once"));
  const wrapped = proxy.wrap(fn);
  assert.deepEqual(await wrapped(1), [1]);
  assert.deepEqual(await wrapped(2), [2]);
  assert.equal(fn.ran, 3);
  assert.equal(proxy.health().calls.ok, 2);
});

test("what is no function is refused, and not tried again", async () => {
  const proxy = proxyOf();
  for (const given of [undefined, null, 42, {}, "charge"]) {
    assert.ok((await rejection(proxy.call(given))) instanceof TypeError);
    assert.ok((await rejection(proxy.execute(given))) instanceof TypeError);
    assert.throws(() => proxy.wrap(given), TypeError);
  }
  assert.equal(proxy.health().in_flight, 0);
});

test("a function may call the same proxy again, at any depth", async () => {
  const proxy = proxyOf();
  let ran = 0;
  const nest = (depth) =>
    proxy.execute(async (ctx) => {
      ran += 1;
      if (ctx.attempt === 1) throw new Error("first");
      if (depth > 0) await nest(depth - 1);
    });
  await nest(3);
  assert.equal(ran, 8);
  assert.equal(proxy.health().calls.ok, 4);
});

test("calls at the same time do not touch each other", async () => {
  const proxy = proxyOf({ breaker: null, budget: null });
  const values = await Promise.all(
    Array.from({ length: 500 }, (_, number) =>
      proxy.execute(async (ctx) => {
        await new Promise(setImmediate);
        if (ctx.attempt <= number % 3) throw new Error(`${number}`);
        return number;
      }),
    ),
  );
  assert.deepEqual(values, Array.from({ length: 500 }, (_, number) => number));
  const { calls, retries, in_flight } = proxy.health();
  assert.equal(calls.ok, 500);
  assert.equal(retries, values.reduce((sum, number) => sum + (number % 3), 0));
  assert.equal(in_flight, 0);
});

test("every attempt runs in its caller's async context, also after a wait and after a timeout", async () => {
  const storage = new AsyncLocalStorage();
  const proxy = proxyOf({ timeoutMs: 100 });
  const call = (user) =>
    storage.run(user, () =>
      proxy.execute((ctx) => {
        assert.equal(storage.getStore(), user);
        if (ctx.attempt === 1) return new Promise(() => {});
        if (ctx.attempt === 2) throw new Error("again");
        return storage.getStore();
      }),
    );
  assert.deepEqual(await Promise.all(["ada", "bob", "eve"].map(call)), ["ada", "bob", "eve"]);
});

test("health counts what happened, and adds up", async () => {
  const proxy = proxyOf({ maxRetries: 2, budget: null });
  const gate = deferred();
  const hung = proxy.call(() => gate.promise);
  await proxy.call(failing(new Error("once")));
  await rejection(proxy.call(failing(new Error("one"), new Error("two"))));
  assert.equal(proxy.health().in_flight, 1);
  gate.resolve();
  await hung;
  const { latency, ...health } = proxy.health();
  for (const window of ["10s", "60s"]) assert.deepEqual([latency.calls[window].count, latency.attempts[window].count], [3, 5]);
  assert.deepEqual(health, {
    target: TARGET,
    name: proxy.policy.name,
    in_flight: 0,
    calls: { ok: 2, failure: 1, timeout: 0, rejected: 0, cancelled: 0, fallback: 0 },
    attempts: { ok: 2, failure: 3, timeout: 0, cancelled: 0 },
    retries: 2,
    hedges: 0,
    late_results: 0,
    abandoned: 0,
    internal_errors: 0,
    events_dropped: 0,
    rejections: { shutdown: 0, rate_limited: 0, bulkhead_full: 0, circuit_open: 0, no_endpoint: 0 },
    circuit: { state: "closed", open_for_ns: null, outcomes: 5, failures: 3, transitions: { closed: 0, open: 0, half_open: 0, isolated: 0 } },
    budget: null,
    bulkhead: null,
    endpoints: null,
  });
});

test("proxies of one name share their state", async () => {
  const [one, other] = [proxyOf({ name: "shared" }), proxyOf({ name: "shared" })];
  await one.call(() => 1);
  assert.equal(other.health().calls.ok, 1);
});
