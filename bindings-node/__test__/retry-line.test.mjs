// R7, F5: each retry says one line, to the channel's subscribers or else to stderr.
import assert from "node:assert/strict";
import test from "node:test";
import { runWell } from "./support.mjs";

const SETUP = `
  import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
  import { AmbassadorProxy } from "../index.mjs";
  const proxy = new AmbassadorProxy("payment-api.example.com", { backoff: { baseMs: 1, jitter: "none" } });
  const failing = (...errors) => async () => {
    if (errors.length > 0) throw errors.shift();
  };
  const once = () => proxy.call(failing(new Error("Payment API unreachable")));
`;

test("without a subscriber, the line goes to stderr", async () => {
  const { stdout, stderr } = await runWell(`${SETUP} await once();`);
  assert.equal(stderr, "[Ambassador] Retry 1 after 1ms: Payment API unreachable\n");
  assert.equal(stdout, "");
});

test("with a subscriber, the line goes there, with what it is made of, and not to stderr", async () => {
  const { stdout, stderr } = await runWell(`${SETUP}
    subscribe("ambassador:retry", (retry, name) => console.log(name, JSON.stringify(retry), retry.error.message));
    await once();
  `);
  assert.equal(stderr, "");
  const line = "[Ambassador] Retry 1 after 1ms: Payment API unreachable";
  const told = JSON.stringify({ line, target: "payment-api.example.com", attempt: 1, waitMs: 1, error: {} });
  assert.equal(stdout, `ambassador:retry ${told} Payment API unreachable\n`);
});

test("when the last subscriber has gone, lines go to stderr again", async () => {
  const { stderr } = await runWell(`${SETUP}
    const quiet = () => {};
    subscribe("ambassador:retry", quiet);
    await once();
    unsubscribe("ambassador:retry", quiet);
    await once();
  `);
  assert.equal(stderr, "[Ambassador] Retry 1 after 1ms: Payment API unreachable\n");
});

test("a subscriber that throws breaks nothing for the call", async () => {
  const { stdout } = await runWell(`${SETUP}
    // As Node tells of any subscriber of any channel.
    process.on("uncaughtException", (error) => console.log(error.message));
    subscribe("ambassador:retry", () => {
      throw new Error("a subscriber's own");
    });
    await once();
    console.log(proxy.health().calls.ok, proxy.health().in_flight);
  `);
  assert.deepEqual(stdout.split("\n").sort(), ["", "1 0", "a subscriber's own"]);
});

test("a subscriber may make calls of its own", async () => {
  const { stdout } = await runWell(`${SETUP}
    const others = [];
    subscribe("ambassador:retry", ({ attempt }) => attempt === 1 && others.length < 5 && others.push(proxy.call(failing(), 1)));
    await proxy.call(failing(1, 2));
    await Promise.all(others);
    console.log(proxy.health().calls.ok, others.length);
  `);
  assert.equal(stdout, "2 1\n");
});

test("a console that throws breaks nothing for the call", async () => {
  const { stdout } = await runWell(`${SETUP}
    console.error = () => {
      throw new Error("no console");
    };
    await once();
    console.log(proxy.health().calls.ok);
  `);
  assert.equal(stdout, "1\n");
});
