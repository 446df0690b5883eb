// The bulkhead's queue and the rate limit, in real time (L1, L2, O3, F4): who waits is woken by whoever ends a call, on whatever
// thread, and who goes away leaves no trace.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { createRequire } from "node:module";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { BulkheadFullError, DeadlineExceededError, RateLimitedError } from "../index.mjs";
import { deferred, proxyOf, rejection, runWell, until } from "./support.mjs";

const require = createRequire(import.meta.url);

/** A wait that no test waits for: who is woken before it was woken. */
const HOUR = 3_600_000;
const one = { maxConcurrent: 1, maxQueue: 10, queueTimeoutMs: HOUR };

/** A call that holds a place until its gate opens. */
function holding(proxy) {
  const gate = deferred();
  return { gate, called: proxy.call(() => gate.promise) };
}

const queued = (proxy) => proxy.health().bulkhead.queued;

test("who queues is woken by the end of another call, first come, first served", async () => {
  const proxy = proxyOf({ bulkhead: one, timeoutMs: null });
  const { gate, called } = holding(proxy);
  const order = [];
  const calls = [1, 2, 3].map((number) => proxy.call(async () => order.push(number)));
  await until(() => queued(proxy) === 3);
  assert.deepEqual(order, []);
  gate.resolve("held");
  assert.equal(await called, "held");
  await Promise.all(calls);
  assert.deepEqual(order, [1, 2, 3]);
  const { bulkhead, in_flight, calls: counts } = proxy.health();
  assert.deepEqual(bulkhead, { limit: 1, occupied: 0, queued: 0 });
  assert.deepEqual([in_flight, counts.ok], [0, 4]);
});

test("no more than there are places run at once, whatever comes", async () => {
  const proxy = proxyOf({ bulkhead: { maxConcurrent: 3, maxQueue: 1000, queueTimeoutMs: HOUR }, timeoutMs: HOUR });
  let [running, most] = [0, 0];
  const values = await Promise.all(
    Array.from({ length: 500 }, (_, number) =>
      proxy.call(async () => {
        most = Math.max(most, ++running);
        if (number % 2 === 0) await new Promise(setImmediate);
        running -= 1;
        return number;
      }),
    ),
  );
  assert.equal(most, 3);
  assert.deepEqual(values, Array.from({ length: 500 }, (_, number) => number));
  assert.deepEqual(proxy.health().bulkhead, { limit: 3, occupied: 0, queued: 0 });
});

test("who finds no place and no room in the queue is refused at once, and its function is not run", async () => {
  const proxy = proxyOf({ bulkhead: { maxConcurrent: 1 } });
  const { gate, called } = holding(proxy);
  const error = await rejection(proxy.call(() => assert.fail("it ran")));
  assert.ok(error instanceof BulkheadFullError);
  assert.deepEqual([error.code, error.attempts, error.retryAfterMs], ["ERR_AMBASSADOR_BULKHEAD_FULL", 0, undefined]);
  assert.equal(proxy.health().in_flight, 1);
  gate.resolve();
  await called;
  assert.equal(proxy.health().rejections.bulkhead_full, 1);
});

test("a wait in the queue ends at its time, never early, with an error", async () => {
  const proxy = proxyOf({ bulkhead: { ...one, queueTimeoutMs: 30 }, timeoutMs: null });
  const { gate, called } = holding(proxy);
  const begun = performance.now();
  const error = await rejection(proxy.call(() => assert.fail("it ran")));
  assert.ok(performance.now() - begun >= 30);
  assert.ok(error instanceof BulkheadFullError);
  assert.equal(queued(proxy), 0);
  gate.resolve();
  await called;
});

test("the deadline ends a wait in the queue", async () => {
  const proxy = proxyOf({ bulkhead: one, timeoutMs: null, deadlineMs: 20 });
  const { gate, called } = holding(proxyOf({ name: proxy.policy.name, bulkhead: one, timeoutMs: null }));
  const error = await rejection(proxy.call(() => assert.fail("it ran")));
  assert.ok(error instanceof DeadlineExceededError);
  gate.resolve();
  await called;
});

test("a signal takes a call out of the queue, at once and without a trace", async () => {
  const proxy = proxyOf({ bulkhead: one, timeoutMs: null });
  const { gate, called } = holding(proxy);
  const stop = new AbortController();
  const leaves = proxy.with({ signal: stop.signal }).call(() => assert.fail("it ran"));
  const stays = proxy.call(async () => "mine");
  await until(() => queued(proxy) === 2);
  stop.abort("the user went away");
  assert.equal(await rejection(leaves), "the user went away");
  assert.equal(queued(proxy), 1);
  gate.resolve();
  await called;
  assert.equal(await stays, "mine");
  assert.deepEqual([proxy.health().calls.cancelled, proxy.health().bulkhead.occupied], [1, 0]);
});

test("a signal that takes away a call whose turn has just come passes the turn on", async () => {
  const proxy = proxyOf({ bulkhead: one, timeoutMs: null });
  const { gate, called } = holding(proxy);
  const stop = new AbortController();
  const leaves = proxy.with({ signal: stop.signal }).call(() => assert.fail("it ran"));
  const stays = proxy.call(async () => "mine");
  await until(() => queued(proxy) === 2);
  gate.resolve();
  await called;
  // Its turn has come, and the event loop has not turned since.
  stop.abort("gone");
  assert.equal(await rejection(leaves), "gone");
  assert.equal(await stays, "mine");
  assert.deepEqual(proxy.health().bulkhead, { limit: 1, occupied: 0, queued: 0 });
});

test("work that outlives its bound keeps its place until it ends", async () => {
  const proxy = proxyOf({ bulkhead: one, timeoutMs: 10, maxRetries: 1 });
  const gate = deferred();
  await rejection(proxy.call(() => gate.promise));
  const waits = proxy.call(async () => "after all");
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(queued(proxy), 1);
  gate.resolve();
  assert.equal(await waits, "after all");
});

test("a call that queued runs in its caller's async context", async () => {
  const storage = new AsyncLocalStorage();
  const proxy = proxyOf({ bulkhead: one, timeoutMs: null });
  const { gate, called } = holding(proxy);
  const seen = ["ada", "bob"].map((user) => storage.run(user, () => proxy.call(async () => storage.getStore())));
  await until(() => queued(proxy) === 2);
  gate.resolve();
  await called;
  assert.deepEqual(await Promise.all(seen), ["ada", "bob"]);
});

const WORKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { AmbassadorProxy } = require(workerData.index);
  const proxy = new AmbassadorProxy("payment-api.example.com", workerData.options);
  parentPort.on("message", async (what) => {
    if (what === "end") return parentPort.close();
    parentPort.postMessage(await proxy.call(async () => what));
  });
  parentPort.postMessage("ready");
`;

async function workerOf(options) {
  const worker = new Worker(WORKER, { eval: true, workerData: { index: require.resolve("../index.js"), options } });
  await once(worker, "message");
  return worker;
}

test("the end of a call in one thread wakes a call that queues in another", async () => {
  const options = { name: "queue across threads", bulkhead: one, timeoutMs: null };
  const proxy = proxyOf(options);
  const worker = await workerOf(options);
  for (let round = 0; round < 20; round++) {
    const { gate, called } = holding(proxy);
    const told = once(worker, "message");
    worker.postMessage(round);
    await until(() => queued(proxy) === 1);
    gate.resolve();
    await called;
    assert.deepEqual(await told, [round]);
  }
  worker.postMessage("end");
  const [code] = await once(worker, "exit");
  assert.equal(code, 0);
  assert.deepEqual(proxy.health().bulkhead, { limit: 1, occupied: 0, queued: 0 });
});

test("a thread that is ended while its call queues, or just when its turn has come, leaves the queue to the others", async () => {
  const options = { name: "queue of threads that end", bulkhead: { ...one, maxQueue: 100 }, timeoutMs: null };
  const proxy = proxyOf(options);
  for (let round = 0; round < 5; round++) {
    const { gate, called } = holding(proxy);
    const workers = await Promise.all([1, 2, 3].map(() => workerOf(options)));
    for (const worker of workers) worker.postMessage("x");
    await until(() => queued(proxy) === 3);
    const last = proxy.call(async () => "mine");
    const ended = workers.map((worker) => worker.terminate());
    gate.resolve();
    await called;
    await Promise.all(ended);
    assert.equal(await last, "mine");
    assert.deepEqual(proxy.health().bulkhead, { limit: 1, occupied: 0, queued: 0 });
  }
});

test("a process does not end while a call queues, however long it may, and ends when none does", async () => {
  const pending = await runWell(`
    import { proxyOf } from "./support.mjs";
    const proxy = proxyOf({ timeoutMs: null, bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
    proxy.call(() => new Promise(() => {}));
    proxy.call(() => {});
    setTimeout(() => process.exit(console.log("pending") ?? 0), 100).unref();
  `);
  assert.equal(pending.stdout, "pending\n");
  const ended = await runWell(`
    import { proxyOf } from "./support.mjs";
    const proxy = proxyOf({ timeoutMs: ${HOUR}, bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
    proxy.onEvent(() => {});
    console.log(await Promise.all([proxy.call(() => new Promise((resolve) => setImmediate(resolve, 1))), proxy.call(async () => 2)]));
  `);
  assert.equal(ended.stdout, "[ 1, 2 ]\n");
  assert.ok(ended.ms < HOUR / 10);
});

test("a process that exits while calls queue exits as it was told", async () => {
  await runWell(`
    import { proxyOf } from "./support.mjs";
    const proxy = proxyOf({ timeoutMs: null, bulkhead: { maxConcurrent: 1, maxQueue: 100 } });
    for (let call = 0; call < 100; call++) proxy.call(() => new Promise((resolve) => setImmediate(resolve)));
    setTimeout(() => process.exit(0), 1);
  `);
});

test("the rate limit refuses what comes too soon, and says when to come again", async () => {
  const proxy = proxyOf({ rateLimit: { rate: 1, perMs: HOUR, burst: 2 } });
  await Promise.all([proxy.call(() => 1), proxy.call(() => 2)]);
  const error = await rejection(proxy.call(() => assert.fail("it ran")));
  assert.ok(error instanceof RateLimitedError);
  assert.equal(error.code, "ERR_AMBASSADOR_RATE_LIMITED");
  assert.equal(error.attempts, 0);
  assert.ok(error.retryAfterMs > HOUR * 0.99 && error.retryAfterMs <= HOUR, `${error.retryAfterMs}`);
  assert.match(error.message, /again in/);
});

test("with maxWaitMs, calls wait for their turns, evenly and never early", async () => {
  const proxy = proxyOf({ rateLimit: { rate: 100, burst: 1, maxWaitMs: HOUR } });
  const begun = performance.now();
  const at = await Promise.all(Array.from({ length: 6 }, () => proxy.call(() => performance.now() - begun)));
  at.forEach((ms, n) => assert.ok(ms >= n * 10 - 0.5, `${ms} of ${n * 10}`));
});

test("who goes away while it waits for its turn gives it back", async () => {
  const proxy = proxyOf({ rateLimit: { rate: 1, perMs: 60_000, burst: 1, maxWaitMs: 100_000 } });
  await proxy.call(() => 1);
  const stop = new AbortController();
  const waits = proxy.with({ signal: stop.signal }).call(() => assert.fail("it ran"));
  assert.ok((await rejection(proxy.call(() => 1))) instanceof RateLimitedError);
  stop.abort("gone");
  assert.equal(await rejection(waits), "gone");
  const again = new AbortController();
  const next = proxy.with({ signal: again.signal }).call(() => assert.fail("it ran"));
  await new Promise(setImmediate);
  assert.equal(proxy.health().in_flight, 1);
  again.abort("gone too");
  assert.equal(await rejection(next), "gone too");
});
