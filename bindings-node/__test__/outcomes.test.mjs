// What the end of an attempt means (A1, A2, F5), and waits that were asked for (R3).
import assert from "node:assert/strict";
import test from "node:test";
import { blockUntil, failing, lines, proxyOf, rejection, retries } from "./support.mjs";

class Refused extends Error {}

test("only what retryOn names is tried again", async () => {
  for (const retryOn of [TypeError, [RangeError, TypeError], (error) => error.message === "again", [Refused, (error) => error.message === "again"]]) {
    const proxy = proxyOf({ retryOn });
    const final = new Refused("no");
    const other = Array.isArray(retryOn) && retryOn.includes(Refused) ? new Error("no") : final;
    const fn = failing(new TypeError("again"), other);
    assert.equal(await rejection(proxy.call(fn)), other);
    assert.equal(fn.ran, 2);
  }
});

test("what notOn names is not tried again, even if retryOn names it too", async () => {
  const proxy = proxyOf({ retryOn: Error, notOn: [Refused, (error) => error.code === "EPERM"] });
  for (const final of [new Refused("no"), Object.assign(new Error("no"), { code: "EPERM" })]) {
    const fn = failing(new Error("again"), final);
    assert.equal(await rejection(proxy.call(fn)), final);
    assert.equal(fn.ran, 2);
  }
});

test("a predicate sees what is thrown, also when it is no error", async () => {
  const seen = [];
  const proxy = proxyOf({ retryOn: (error) => seen.push(error) && error !== "stop" });
  assert.equal(await rejection(proxy.call(failing(undefined, "go", "stop"))), "stop");
  assert.deepEqual(seen, [undefined, "go", "stop"]);
});

test("classify sees how an attempt ended", async () => {
  const ends = [];
  const proxy = proxyOf({ classify: (end) => void ends.push(end) });
  const error = new Error("once");
  await proxy.call(failing(error), 7);
  assert.deepEqual(ends, [{ ok: false, error }, { ok: true, value: [7] }]);
  assert.equal(ends[0].error, error);
});

test("classify may call a value a failure, which is tried again, and comes back when no attempt is left", async () => {
  lines();
  const proxy = proxyOf({ classify: (end) => (end.ok && end.value.status === 503 ? "retry" : undefined) });
  let status = 503;
  const statuses = [];
  const fn = () => {
    statuses.push(status);
    return { status };
  };
  assert.deepEqual(await proxy.call(fn), { status: 503 });
  assert.equal(statuses.length, 3);
  assert.deepEqual(lines(), ["[Ambassador] Retry 1 after 1ms: its result may be tried again", "[Ambassador] Retry 2 after 2ms: its result may be tried again"]);
  status = 200;
  assert.deepEqual(await proxy.call(fn), { status: 200 });
  assert.equal(proxy.health().calls.failure, 1);
});

test("classify may call a value a failure that is final, and it comes back", async () => {
  const proxy = proxyOf({ classify: () => "fail" });
  let ran = 0;
  assert.equal(await proxy.call(() => ++ran), 1);
  assert.equal(proxy.health().calls.failure, 1);
});

test("classify may call an error a success, and it comes back as it is", async () => {
  const proxy = proxyOf({ classify: () => "ok" });
  const error = new Error("fine");
  const fn = failing(error);
  assert.equal(await rejection(proxy.call(fn)), error);
  assert.equal(fn.ran, 1);
  assert.equal(proxy.health().calls.ok, 1);
});

test("where classify says nothing, notOn and retryOn do", async () => {
  const proxy = proxyOf({ notOn: Refused, classify: ({ error }) => (error === "sure" ? "retry" : null) });
  const fn = failing("sure", new Refused("no"));
  assert.ok((await rejection(proxy.call(fn))) instanceof Refused);
  assert.equal(fn.ran, 2);
});

test("a classifier that throws makes its error the call's, with the original as its cause", async () => {
  const original = new Error("original");
  for (const option of ["classify", "retryOn", "notOn"]) {
    const own = new TypeError("the classifier's own");
    const proxy = proxyOf({
      [option]: () => {
        throw own;
      },
    });
    const fn = failing(original);
    assert.equal(await rejection(proxy.call(fn)), own);
    assert.equal(own.cause, original);
    assert.equal(fn.ran, 1);
    const { calls, in_flight } = proxy.health();
    assert.deepEqual([calls.failure, in_flight], [1, 0]);
  }
});

test("a classifier's error that has a cause, or is none, or is frozen, stays as it is", async () => {
  const cause = new Error("its cause");
  for (const own of [new Error("own", { cause }), "own", Object.freeze(new Error("own"))]) {
    const proxy = proxyOf({
      classify: () => {
        throw own;
      },
    });
    assert.equal(await rejection(proxy.call(failing(new Error("original")))), own);
    assert.equal(own.cause, own instanceof Error && !Object.isFrozen(own) ? cause : undefined);
  }
});

test("an answer of classify that is none is an error", async () => {
  for (const answer of ["again", 1, true, "toString", Promise.resolve("ok")]) {
    const error = await rejection(proxyOf({ classify: () => answer }).call(() => 1));
    assert.match(error.message, /classify must return "ok", "retry", "fail"/);
  }
});

test("a wait that the function asks for raises the wait", async () => {
  const proxy = proxyOf();
  retries.length = 0;
  const begun = performance.now();
  await proxy.execute((ctx) => {
    assert.equal(ctx.retryAfterMs, undefined);
    if (ctx.attempt > 1) return;
    ctx.retryAfterMs = 40;
    assert.equal(ctx.retryAfterMs, 40);
    throw new Error("later");
  });
  assert.ok(performance.now() - begun >= 40);
  assert.equal(retries.splice(0)[0].waitMs, 40);
});

test("a wait that the error asks for raises the wait", async () => {
  retries.length = 0;
  await proxyOf().call(failing(Object.assign(new Error("later"), { retryAfterMs: 20 })));
  assert.equal(retries.splice(0)[0].waitMs, 20);
});

test("a wait that is none is ignored", async () => {
  retries.length = 0;
  const hostile = {
    get retryAfterMs() {
      throw new Error("no");
    },
  };
  for (const wait of [-5, NaN, -Infinity, "60", null, undefined, new Date()]) {
    await proxyOf().execute((ctx) => {
      if (ctx.attempt > 1) return;
      ctx.retryAfterMs = wait;
      throw new Error("later");
    });
    await proxyOf().call(failing(Object.assign(new Error("later"), { retryAfterMs: wait })));
  }
  await proxyOf().call(failing(hostile));
  assert.deepEqual([...new Set(retries.splice(0).map(({ waitMs }) => waitMs))], [1]);
});

test("a wait above hintMaxMs ends the call", async () => {
  for (const retryAfterMs of [50.001, Infinity]) {
    const error = Object.assign(new Error("much later"), { retryAfterMs });
    const fn = failing(error);
    assert.equal(await rejection(proxyOf({ backoff: { hintMaxMs: 50 } }).call(fn)), error);
    assert.equal(fn.ran, 1);
  }
});

test("what a classifier takes is not the attempt's time, and it is not asked of what came late", async () => {
  const asked = [];
  const classify = ({ ok, value }) => {
    asked.push(ok && value);
    blockUntil(performance.now() + 30);
    return undefined;
  };
  const proxy = proxyOf({ timeoutMs: 20, maxRetries: 1, classify });
  assert.equal(await proxy.call(() => "in time"), "in time");
  assert.equal((await rejection(proxy.call(() => blockUntil(performance.now() + 21)))).code, "ERR_AMBASSADOR_TIMEOUT");
  assert.deepEqual(asked, ["in time"]);
});

test("what a classifier throws is what the call ends with, and nothing answers in its place", async () => {
  const broken = new Error("a classifier's own");
  const proxy = proxyOf({ classify: () => { throw broken; }, fallback: () => assert.fail("it ran") });
  assert.equal(await rejection(proxy.call(() => 1)), broken);
  assert.deepEqual([proxy.health().calls.failure, proxy.health().in_flight], [1, 0]);
});
