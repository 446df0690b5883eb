// The process and its threads: when it ends and when not (F4), workers, forked processes (F3), module kinds, and what is
// collected in flight (O3).
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import * as esm from "../index.mjs";
import { proxyOf, rejection, runWell, until } from "./support.mjs";

const require = createRequire(import.meta.url);
const HERE = fileURLToPath(new URL(".", import.meta.url));

/** A bound that no test waits for: who ends before it did not wait for it. */
const HOUR = 3_600_000;
const soon = ({ ms }) => assert.ok(ms < HOUR / 10, `${ms}`);

test("a process ends at once after a function that hung, without process.exit", async () => {
  const ended = await runWell(`
    import { proxyOf, rejection } from "./support.mjs";
    console.log((await rejection(proxyOf({ timeoutMs: 10, maxRetries: 1 }).call(() => new Promise(() => {})))).code);
  `);
  assert.equal(ended.stdout, "ERR_AMBASSADOR_TIMEOUT\n");
  soon(ended);
});

test("a process ends at once after a call that ended before its bound, however far that is", async () => {
  soon(
    await runWell(`
      import { proxyOf } from "./support.mjs";
      const proxy = proxyOf({ timeoutMs: ${HOUR} });
      await proxy.call(async () => 1);
      await proxy.call(() => new Promise((resolve) => setTimeout(resolve, 20)));
      await proxy.call(() => new Promise(setImmediate));
    `),
  );
});

test("a process does not end while a wait between attempts is pending", async () => {
  const { stdout, ms } = await runWell(`
    import { failing, proxyOf } from "./support.mjs";
    proxyOf({ backoff: { baseMs: 300, jitter: "none" } }).call(failing(new Error("once")), 1).then(console.log);
  `);
  assert.equal(stdout, "[ 1 ]\n");
  assert.ok(ms >= 300);
});

test("a process does not end while a bounded attempt is pending", async () => {
  const { stdout, ms } = await runWell(`
    import { proxyOf } from "./support.mjs";
    proxyOf({ timeoutMs: 300, maxRetries: 1 }).call(() => new Promise(() => {})).catch(({ code }) => console.log(code));
  `);
  assert.equal(stdout, "ERR_AMBASSADOR_TIMEOUT\n");
  assert.ok(ms >= 300);
});

test("a process does not end while a bounded attempt is pending that came after calls which ended at once", async () => {
  const { stdout } = await runWell(`
    import { proxyOf } from "./support.mjs";
    const proxy = proxyOf({ timeoutMs: 300, maxRetries: 1 });
    for (let call = 0; call < 100; call++) await proxy.call(async () => call);
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let call = 0; call < 100; call++) await proxy.call(async () => call);
    proxy.call(() => new Promise(() => {})).catch(({ code }) => console.log(code));
  `);
  assert.equal(stdout, "ERR_AMBASSADOR_TIMEOUT\n");
});

test("a process that exits with calls in flight exits as it was told", async () => {
  soon(
    await runWell(`
      import { proxyOf } from "./support.mjs";
      const proxy = proxyOf({ timeoutMs: ${HOUR} });
      for (let call = 0; call < 100; call++) proxy.call(() => new Promise(() => {}));
      setTimeout(() => process.exit(0), 10);
    `),
  );
});

test("a signal stops a call and nothing is pending any more", async () => {
  soon(
    await runWell(`
      import { proxyOf, rejection } from "./support.mjs";
      const stop = new AbortController();
      const called = rejection(proxyOf({ timeoutMs: ${HOUR} }).execute(() => new Promise(() => {}), stop));
      setTimeout(() => stop.abort(), 10);
      await called;
    `),
  );
});

test("both module kinds give the very same objects", () => {
  const cjs = require("../index.js");
  assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
  for (const [name, value] of Object.entries(cjs)) assert.equal(esm[name], value, name);
});

test("both module kinds find the package by its name", async () => {
  const { stdout } = await runWell(`
    import { AmbassadorProxy, version } from "ambassador-proxy";
    import { createRequire } from "node:module";
    const cjs = createRequire(import.meta.url)("ambassador-proxy");
    console.log(cjs.AmbassadorProxy === AmbassadorProxy, cjs.version === version);
  `);
  assert.equal(stdout, "true true\n");
  const commonjs = await runWell(`const { AmbassadorProxy } = require("ambassador-proxy"); new AmbassadorProxy("host").call(() => "cjs").then(console.log)`, { type: "commonjs" });
  assert.equal(commonjs.stdout, "cjs\n");
});

test("the version is the package's", () => {
  assert.equal(esm.version, require("../package.json").version);
});

test("every error class is exported, and its code and name are its own", () => {
  const { BY_CODE } = require("../lib/errors.js");
  for (const [code, type] of Object.entries(BY_CODE)) {
    assert.equal(esm[type.name], type);
    const error = new type("text");
    assert.equal(error.code, `ERR_AMBASSADOR_${code}`);
    assert.equal(error.name, type.name);
    assert.ok(error instanceof esm.AmbassadorError && error instanceof Error);
  }
});

test("two copies of the package in one process, as test runners load them, work side by side", async () => {
  const index = require.resolve("../index.js");
  const files = Object.keys(require.cache).filter((file) => file.startsWith(path.dirname(index)) && !file.endsWith(".mjs"));
  const kept = files.map((file) => [file, require.cache[file]]);
  for (const file of files) delete require.cache[file];
  try {
    const copy = require("../index.js");
    assert.notEqual(copy.AmbassadorProxy, esm.AmbassadorProxy);
    const [one, other] = [new esm.AmbassadorProxy("copies"), new copy.AmbassadorProxy("copies")];
    const both = await Promise.all([one.call(async () => 1), other.call(async () => 2), one.call(() => 3), other.call(() => 4)]);
    assert.deepEqual(both, [1, 2, 3, 4]);
    assert.equal(one.health().calls.ok, 4);
    assert.equal((await rejection(new copy.AmbassadorProxy("copies", { timeoutMs: 5, maxRetries: 1 }).call(() => new Promise(() => {})))).code, "ERR_AMBASSADOR_TIMEOUT");
  } finally {
    for (const [file, module] of kept) require.cache[file] = module;
  }
});

test("a forked process works after its parent did, and with a call of the parent's in flight", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "ambassador-fork-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const program = path.join(folder, "child.mjs");
  writeFileSync(
    program,
    `import { failing, proxyOf } from ${JSON.stringify(new URL("support.mjs", import.meta.url).href)};
     const proxy = proxyOf({ name: "forked" });
     process.send([await proxy.call(failing(new Error("once")), 7), proxy.health().in_flight]);
     process.disconnect();`,
  );
  const proxy = proxyOf({ name: "forked" });
  let end;
  const called = proxy.call(() => new Promise((resolve) => (end = resolve)));
  const child = fork(program);
  const [[told], [code]] = await Promise.all([once(child, "message"), once(child, "exit")]);
  assert.deepEqual(told, [[7], 0]);
  assert.equal(code, 0);
  end("parent's");
  assert.equal(await called, "parent's");
});

const WORKER = `
  const { workerData, parentPort } = require("node:worker_threads");
  const { AmbassadorProxy } = require(workerData.index);
  const proxy = new AmbassadorProxy("payment-api.example.com", { name: "workers", timeoutMs: ${HOUR}, backoff: null, breaker: null, budget: null });
  let ran = 0;
  proxy
    .call(async () => {
      if (++ran < 2) throw new Error("once");
      return ran;
    })
    .then((value) => {
      proxy.call(() => new Promise(() => {}));
      proxy.with({ signal: new AbortController().signal }).call(() => Promise.reject(new Error("waits")));
      parentPort.postMessage(value);
    });
`;

function startWorker() {
  const worker = new Worker(WORKER, { eval: true, workerData: { index: require.resolve("../index.js") }, stderr: true });
  worker.stderr.resume();
  return worker;
}

test("a hundred workers start, call, and are ended with calls in flight, which end cancelled", async () => {
  const proxy = proxyOf({ name: "workers", breaker: null, budget: null });
  for (let round = 0; round < 10; round++) {
    const workers = Array.from({ length: 10 }, startWorker);
    const values = await Promise.all(workers.map((worker) => once(worker, "message")));
    assert.deepEqual(values, Array(10).fill([2]));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  const { calls, in_flight, internal_errors } = proxy.health();
  assert.equal(in_flight, 0);
  assert.equal(internal_errors, 0);
  assert.equal(calls.ok, 100);
  assert.ok(calls.cancelled >= 100, `${calls.cancelled}`);
});

test("a worker ends by itself when nothing is pending", async () => {
  const worker = new Worker(
    `const { AmbassadorProxy } = require(${JSON.stringify(require.resolve("../index.js"))});
     new AmbassadorProxy("host", { timeoutMs: ${HOUR} }).call(async () => 1);`,
    { eval: true },
  );
  const [code] = await once(worker, "exit");
  assert.equal(code, 0);
});

test("a proxy that is collected in flight cancels its calls", async () => {
  const { stdout } = await runWell(
    `
      import { proxyOf, until } from "./support.mjs";
      const watcher = proxyOf({ name: "collected" });
      (() => {
        const proxy = proxyOf({ name: "collected", timeoutMs: null });
        for (let call = 0; call < 10; call++) proxy.call(() => new Promise(() => {}));
      })();
      console.log(watcher.health().in_flight);
      await until(() => {
        globalThis.gc();
        return watcher.health().in_flight === 0;
      });
      console.log(watcher.health().calls.cancelled);
    `,
    { flags: ["--expose-gc"] },
  );
  assert.equal(stdout, "10\n10\n");
});

test("proxies that come and go leave no memory behind", async () => {
  const { stdout } = await runWell(
    `
      import { AmbassadorProxy } from "../index.mjs";
      const turn = async (times) => {
        for (let time = 0; time < times; time++) {
          const proxy = new AmbassadorProxy("host", { name: "one of many " + (time % 10) });
          await proxy.call(async () => time);
          await proxy.call(() => time);
          if (time % 500 === 0) {
            await new Promise(setImmediate);
            globalThis.gc();
          }
        }
        await new Promise(setImmediate);
        globalThis.gc();
        return process.memoryUsage().rss / 2 ** 20;
      };
      await turn(20_000);
      const before = await turn(1);
      const after = await turn(40_000);
      console.log(after - before < 30 ? "none" : \`\${before} \${after}\`);
    `,
    { flags: ["--expose-gc"] },
  );
  assert.equal(stdout, "none\n");
});

test("what calls leave behind does not grow", async () => {
  const { stdout } = await runWell(
    `
      import { proxyOf } from "./support.mjs";
      const proxy = proxyOf({ timeoutMs: ${HOUR} });
      const turn = async (times) => {
        for (let time = 0; time < times; time++) await proxy.call(async () => time);
        await new Promise(setImmediate);
        globalThis.gc();
        return process.memoryUsage().heapUsed / 2 ** 20;
      };
      const before = await turn(50_000);
      const after = await turn(200_000);
      console.log(after - before < 5 ? "none" : \`\${before} \${after}\`);
    `,
    { flags: ["--expose-gc"] },
  );
  assert.equal(stdout, "none\n");
});
