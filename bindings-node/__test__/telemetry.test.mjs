// What is seen of the whole process: the snapshot, the metrics, the admin server; and that all of it adds up (S2).
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { inspect } from "node:util";
import { AmbassadorError, ConfigError, metrics, serveAdmin, snapshot, version } from "../index.mjs";
import { proxyOf } from "./support.mjs";

const TOKEN = "a-token-of-enough-length";

const nameOf = (proxy) => proxy.health().name;

const withAdmin = async (options, use) => {
  const admin = serveAdmin("127.0.0.1:0", options);
  try {
    return await use(admin);
  } finally {
    admin.stop();
  }
};

/** The samples of a target: of each metric the sum, and the values by the label beside `target`. */
function samples(text, target) {
  const sums = {};
  const byLabel = {};
  for (const line of text.split("\n")) {
    const found = /^ambassador_(\w+)\{([^}]*)\} (\S+)$/.exec(line);
    if (!found || !found[2].includes(`target="${target}"`)) continue;
    const [, name, labels, value] = found;
    sums[name] = (sums[name] ?? 0) + Number(value);
    const beside = labels.split(",").find((label) => !label.startsWith("target="));
    if (beside) (byLabel[name] ??= {})[beside.split('"')[1]] = Number(value);
  }
  return { sums, byLabel };
}

test("the snapshot has each target with its health, and the process", async () => {
  const payments = proxyOf();
  await payments.call(async () => 1);
  const seen = snapshot();
  assert.deepEqual([seen.language, seen.version, seen.pid], ["node", version, process.pid]);
  const target = seen.targets.find((one) => one.name === nameOf(payments));
  assert.equal(target.calls.ok, 1);
  assert.equal(target.latency.calls["60s"].count, 1);
  assert.ok(seen.process.memory_bytes > 0);
});

test("metrics come in two formats, and in no other", async () => {
  const payments = proxyOf();
  await payments.call(async () => 1);
  assert.ok(metrics().includes(`ambassador_calls_total{target="${nameOf(payments)}",outcome="ok"} 1\n`));
  assert.ok(metrics("openmetrics").endsWith("# EOF\n"));
  for (const wrong of ["json", 7]) {
    assert.throws(() => metrics(wrong), (error) => error instanceof ConfigError && error.field === "format" && error.allowed === "prometheus or openmetrics");
  }
});

test("the admin server answers until it is stopped, and then its address is free", async () => {
  const payments = proxyOf();
  await payments.call(async () => 1);
  const admin = serveAdmin("127.0.0.1:0", { token: TOKEN });
  assert.equal(admin.isServing, true);
  assert.equal(admin.url, `http://${admin.address}/`);
  const get = async (path) => (await fetch(admin.url + path)).text();
  assert.ok((await get("metrics")).includes(nameOf(payments)));
  assert.equal(JSON.parse(await get("v1/snapshot")).language, "node");
  assert.match(await get(""), /<!doctype html>/i);
  admin.stop();
  admin.stop();
  assert.equal(admin.isServing, false);
  const [host, port] = admin.address.split(":");
  const server = createServer().listen(Number(port), host);
  await once(server, "listening");
  server.close();
});

test("who isolates a target shows the token, which inspection does not", async () => {
  const payments = proxyOf({ breaker: {} });
  await withAdmin({}, async (admin) => {
    const isolate = (headers) => fetch(`${admin.url}v1/targets/${encodeURIComponent(nameOf(payments))}/isolate`, { method: "POST", headers });
    assert.equal((await isolate({})).status, 401);
    assert.equal((await isolate({ authorization: `Bearer ${admin.token}` })).status, 200);
    assert.equal(payments.health().circuit.state, "isolated");
    assert.ok(!inspect(admin).includes(admin.token) && !JSON.stringify(admin).includes(admin.token));
  });
});

for (const [what, field, ...given] of [
  ["an address that is none", "admin", "here"],
  ["an address that is no text", "admin", 9901],
  ["an address that others reach", "admin", "0.0.0.0:0"],
  ["an address that others reach, without a token", "admin", "0.0.0.0:0", { remote: true }],
  ["a token that is short", "admin.token", "127.0.0.1:0", { token: "short" }],
  ["a token that is no text", "admin.token", "127.0.0.1:0", { token: 5 }],
  ["hosts that are none", "admin.hosts", "127.0.0.1:0", { hosts: "localhost" }],
  ["a remote that is neither", "admin.remote", "127.0.0.1:0", { remote: 1 }],
  ["an option that there is not", "admin.tokn", "127.0.0.1:0", { tokn: TOKEN }],
]) {
  test(`${what} is refused at once`, () => {
    assert.throws(() => serveAdmin(...given), (error) => error instanceof ConfigError && error.field === field && !error.message.includes("short"));
  });
}

test("an address that is taken is refused", () =>
  withAdmin({}, (admin) => assert.throws(() => serveAdmin(admin.address), /an address that can be listened on/)));

test("S2: sums hold over a hundred thousand calls, from /metrics alone, while it is scraped", async () => {
  const payments = proxyOf({ maxRetries: 3, timeoutMs: null, backoff: null, budget: null, breaker: null, bulkhead: { maxConcurrent: 7 } });
  // Park and Miller's, so that every run has the same script.
  let drawn = 11;
  const chance = () => (drawn = (drawn * 48_271) % 2_147_483_647) / 2_147_483_647;
  const attempt = async () => {
    const share = chance();
    if (share < 0.2) throw new Error("down");
    if (share < 0.3) await null;
    return share;
  };
  await withAdmin({}, async (admin) => {
    let left = 100_000;
    const caller = async () => {
      while (left-- > 0) {
        // Calls that succeed at once never leave the thread to anything else.
        if (left % 500 === 0) await setImmediate();
        await payments.call(attempt).catch((error) => {
          if (!(error instanceof AmbassadorError) && error.message !== "down") throw error;
        });
      }
    };
    const scrapes = [];
    const scrape = async () => samples(await (await fetch(`${admin.url}metrics`)).text(), nameOf(payments));
    const scraper = async () => {
      while (left > 0) scrapes.push((await scrape()).sums.calls_total ?? 0);
    };
    await Promise.all([...Array.from({ length: 8 }, caller), scraper()]);
    const { sums, byLabel } = await scrape();
    const { rejected } = byLabel.calls_total;
    assert.equal(sums.calls_total, 100_000);
    assert.equal(sums.inflight_calls, 0);
    assert.equal(rejected, sums.rejections_total);
    assert.equal(sums.call_duration_seconds_count, sums.calls_total - rejected);
    assert.equal(sums.attempt_duration_seconds_count, sums.attempts_total);
    assert.equal(sums.attempts_total, sums.calls_total - rejected + sums.retries_total + sums.hedges_total);
    assert.ok(byLabel.calls_total.ok > 0 && byLabel.calls_total.failure > 0 && rejected > 0);
    assert.ok(scrapes.length > 1);
    assert.deepEqual(scrapes, [...scrapes].sort((one, other) => one - other));
  });
});
