// What is logged: as much as was asked for, once, to the channel's subscribers or else to stderr, from whatever thread; and that a log
// which throws changes nothing (F5).
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { ConfigError, setLogLevel } from "../index.mjs";
import { runWell } from "./support.mjs";

const SETUP = `
  import { subscribe, unsubscribe } from "node:diagnostics_channel";
  import { AmbassadorProxy, setLogLevel } from "../index.mjs";
  const proxy = new AmbassadorProxy("payments", { maxRetries: 1, breaker: { minCalls: 1, openForMs: 30000 } });
  const fail = () => proxy.call(() => { throw new Error("no answer"); }).catch(() => {});
  const told = [];
  const tell = ({ level, line, event }) => told.push([level, line, event.type]);
`;
const OPEN = "[Ambassador] payments: the circuit is open for 30s; it was closed";
const CLOSED = "[Ambassador] payments: the circuit is closed; it was open";

test("what goes wrong is said on stderr, and what is well again is not", async () => {
  const { stdout, stderr } = await runWell(`${SETUP} await proxy.call(() => 1); await fail(); proxy.reset();`);
  assert.deepEqual([stdout, stderr], ["", `${OPEN}\n`]);
});

test("with a subscriber it goes there, with its event, and not to stderr", async () => {
  const { stdout, stderr } = await runWell(`${SETUP}
    subscribe("ambassador:log", (message) => console.log(JSON.stringify(message)));
    await fail();
  `);
  const event = { type: "circuit", name: "payments", from: "closed", to: "open", openForMs: 30000 };
  assert.deepEqual([JSON.parse(stdout), stderr], [{ level: "error", line: OPEN, event }, ""]);
});

test("a retry is one line, also where somebody listens or subscribes to retries as well", async () => {
  const { stdout, stderr } = await runWell(`${SETUP}
    const again = new AmbassadorProxy("again", { backoff: { baseMs: 1, jitter: "none" } });
    const once = () => { let failed = false; return again.call(() => { if (!failed) { failed = true; throw new Error("x"); } }); };
    const heard = [];
    again.onEvent((event) => heard.push(event.type));
    await once();
    subscribe("ambassador:log", tell);
    const retries = [];
    subscribe("ambassador:retry", ({ line }) => retries.push(line));
    await once();
    console.log(JSON.stringify([told, retries, heard.filter((type) => type === "retry").length]));
  `);
  const line = "[Ambassador] Retry 1 after 1ms: x";
  assert.deepEqual([JSON.parse(stdout), stderr], [[[["warn", line, "retry"]], [line], 2], `${line}\n`]);
});

test("setLogLevel says how much, and at debug each call is told of", async () => {
  const { stdout } = await runWell(`${SETUP}
    subscribe("ambassador:log", tell);
    setLogLevel("off");
    await fail();
    proxy.reset();
    setLogLevel("debug");
    await proxy.call(() => 1);
    setLogLevel("info");
    await proxy.call(() => 1);
    proxy.isolate();
    proxy.reset();
    console.log(JSON.stringify(told.map(([level, line, type]) => [level, type])));
  `);
  const expected = [["debug", "attempt"], ["debug", "call"], ["error", "circuit"], ["info", "circuit"]];
  assert.deepEqual(JSON.parse(stdout), expected);
});

test("a level that is none is an error of the settings", () => {
  for (const level of ["loud", 3, undefined]) assert.throws(() => setLogLevel(level), ConfigError);
});

for (const [level, lines] of [
  ["off", []],
  ["warn", [OPEN]],
  ["info", [OPEN, CLOSED]],
]) {
  test(`the operator asks for ${level}, and gets no more by what the program asks for`, async () => {
    const { stderr } = await runWell(`
      process.env.AMBASSADOR_LOG = ${JSON.stringify(level)};
      const { AmbassadorProxy, setLogLevel } = await import("../index.mjs");
      const proxy = new AmbassadorProxy("payments", { maxRetries: 1, breaker: { minCalls: 1, openForMs: 30000 } });
      await proxy.call(() => { throw new Error("no answer"); }).catch(() => {});
      proxy.reset();
      setLogLevel("debug");
      await proxy.call(() => 1);
    `);
    assert.deepEqual(stderr.split("\n").filter(Boolean), lines);
  });
}

test("a subscriber or a console that throws breaks nothing for the call", async () => {
  const { stdout } = await runWell(`${SETUP}
    process.on("uncaughtException", (error) => console.log(error.message));
    console.error = () => { throw new Error("no console"); };
    await fail();
    proxy.reset();
    subscribe("ambassador:log", () => { throw new Error("a subscriber's own"); });
    await fail();
    console.log(proxy.health().in_flight, proxy.health().calls.failure);
  `);
  assert.deepEqual(stdout.split("\n").sort(), ["", "0 2", "a subscriber's own"]);
});

test("what happens beside the calls is said without one, and keeps no process alive", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ambassador-"));
  const file = join(folder, "endpoints.json");
  const write = (endpoints) => {
    writeFileSync(`${file}.new`, JSON.stringify(endpoints));
    renameSync(`${file}.new`, file);
  };
  write(["http://10.0.0.1:80"]);
  const { stdout } = await runWell(`${SETUP}
    import { renameSync, writeFileSync } from "node:fs";
    setLogLevel("info");
    const found = new AmbassadorProxy("found", { discovery: { file: ${JSON.stringify(file)} } });
    let come;
    const next = () => new Promise((resolve) => { come = resolve; });
    subscribe("ambassador:log", ({ line }) => { console.log(line); come(); });
    // Nothing else is there to wait for.
    const alive = setInterval(() => {}, 1000);
    let comes = next();
    await found.call(() => 1);
    await comes;
    comes = next();
    writeFileSync(${JSON.stringify(`${file}.new`)}, '["http://10.0.0.2:80"]');
    renameSync(${JSON.stringify(`${file}.new`)}, ${JSON.stringify(file)});
    await comes;
    clearInterval(alive);
  `);
  assert.equal(
    stdout,
    "[Ambassador] found: endpoints came: http://10.0.0.1:80\n[Ambassador] found: endpoints came: http://10.0.0.2:80; went: http://10.0.0.1:80\n",
  );
});

test("each thread says what its calls bring, and once", async () => {
  const { stderr } = await runWell(`${SETUP}
    import { Worker } from "node:worker_threads";
    const worker = new Worker(\`
      import("\${new URL("../index.mjs", import.meta.url)}").then(({ AmbassadorProxy }) => {
        const proxy = new AmbassadorProxy("payments", { maxRetries: 1, breaker: { minCalls: 1, openForMs: 30000 } });
        proxy.isolate();
      });
    \`, { eval: true });
    await new Promise((resolve) => worker.on("exit", resolve));
    await proxy.call(() => 1).catch(() => {});
  `);
  assert.equal(stderr, "[Ambassador] payments: the circuit is isolated; it was closed\n");
});
