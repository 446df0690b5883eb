// Settings (C1–C3): what is wrong with one is said at construction, by the field, the value and what is allowed; and the types
// that TypeScript users see list the same settings as the core.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { inspect } from "node:util";
import { AmbassadorError, AmbassadorProxy, ConfigError, shutdown } from "../index.mjs";
import { TARGET, fields, rejection } from "./support.mjs";

const PIN = `${"A".repeat(43)}=`;

function wrong(make) {
  try {
    make();
  } catch (error) {
    assert.ok(error instanceof ConfigError && error instanceof AmbassadorError, error);
    assert.equal(error.code, "ERR_AMBASSADOR_CONFIG");
    assert.equal(error.message, `${error.field}: ${error.value} is not allowed; expected ${error.allowed}`);
    return error;
  }
  return assert.fail("it was allowed");
}

/** The options that set one field: `backoff.baseMs` is within its group. */
function options(name, value) {
  const [group, field] = name.split(".");
  return field === undefined ? { [group]: value } : { [group]: { [field]: value } };
}

const circular = {};
circular.self = circular;
const hostile = {
  get [Symbol.toStringTag]() {
    throw new Error("not shown");
  },
};

/** What no setting of that kind may be, and how a message shows it. */
const WRONG = {
  count: [[-1, "-1"], [2 ** 32, "4294967296"], [1.5, "1.5"], [NaN, "NaN"], [Infinity, "Infinity"], ["3", '"3"'], [true, "true"], [3n, "3n"], [[3], "[ 3 ]"]],
  duration: [[-1, "-1"], [NaN, "NaN"], [Infinity, "Infinity"], [-Infinity, "-Infinity"], [1e12, "1000000000000"], ["2s", '"2s"'], [true, "true"], [{}, "{}"], [() => 1, "[Function (anonymous)]"]],
  count_or_word: [[0, "0"], [-1, "-1"], [1.5, "1.5"], [NaN, "NaN"], ["many", '"many"'], [true, "true"], [[3], "[ 3 ]"]],
  duration_or_word: [[0, "0"], [-1, "-1"], [NaN, "NaN"], [Infinity, "Infinity"], [1e12, "1000000000000"], ["p96", '"p96"'], ["", '""'], [true, "true"], [null, "null"], [[50], "[ 50 ]"]],
  truth: [[1, "1"], ["true", '"true"'], [null, "null"], [{}, "{}"]],
  number: [[-2, "-2"], [NaN, "NaN"], [1e10, "10000000000"], ["2", '"2"'], [null, "null"], [false, "false"]],
  choice: [["some", '"some"'], ["", '""'], [1, "1"], [null, "null"], [["full"], "[ 'full' ]"]],
  text: [["", '""'], ["a\nb", '"a\\nb"'], [7, "7"], [["a"], "[ 'a' ]"]],
  secret: [["", "***"], ["a\nb", "***"], [7, "***"], [true, "true"], [["token"], "***"], [{ token: "x" }, "***"]],
  texts: [["10.0.0.2", '"10.0.0.2"'], [7, "7"], [[7], "[7]"], [["not one"], '["not one"]'], [{ a: "b" }, '{"a": "b"}'], [circular, undefined], [[[[circular]]], undefined]],
  pairs: [["x-a: b", "***"], [7, "7"], [["x-a"], "***"], [{ "x a": "b" }, '{"x a": ***}'], [{ "x-a": 7 }, '{"x-a": ***}'], [{ "x-a": "b\nc" }, '{"x-a": ***}'], [new Map([["x-a", "b"]]), "***"]],
  endpoints: [["10.0.0.7", '"10.0.0.7"'], [7, "7"], [[7], "[7]"], [["two words"], '["two words"]'], [["http://10.0.0.7/path"], undefined], [[{ weight: 1 }], '[{"weight": 1}]'], [[{ url: "10.0.0.7", weight: 0 }], undefined],
    [[{ url: "10.0.0.7", weight: 1.5 }], undefined], [[{ url: "10.0.0.7", port: 80 }], undefined], [[{ url: "10.0.0.7", zone: 7 }], undefined], [[{ url: "10.0.0.7", metadata: { rack: 7 } }], undefined], [[circular], undefined]],
  group: [[7, "7"], ["exponential", '"exponential"'], [[1], "[ 1 ]"], [() => 1, "[Function (anonymous)]"]],
  host: [[7, "7"], ["TypeError", '"TypeError"'], [{}, "{}"], [true, "true"], [circular, undefined], [hostile, undefined]],
};

/** The ends of what is allowed, and what may be nothing at all, differ from one setting to the next. */
const WRONG_TOO = {
  name: [[" x", '" x"'], ["x".repeat(201), undefined], [null, "null"]],
  "discovery.dns": [["two words", '"two words"']],
  "discovery.refreshMs": [[0, "0"]],
  hashOn: [["cookie", '"cookie"'], ["header:", '"header:"']],
  "outlier.maxEjected": [[1.1, "1.1"]],
  "healthCheck.path": [["health", '"health"']],
  "tls.serverName": [["payment-api:443", '"payment-api:443"']],
  "tls.pins": [[["YQ=="], '["YQ=="]']],
  "auth.username": [["a:b", "***"]],
  "auth.apiKeyHeader": [["x key", '"x key"']],
  maxRetries: [[0, "0"], [101, "101"], [null, "null"]],
  "backoff.factor": [[0.5, "0.5"], [1001, "1001"]],
  "breaker.failureRate": [[0, "0"], [1.1, "1.1"]],
  "breaker.slowRate": [[0, "0"], [1.1, "1.1"]],
  "breaker.minCalls": [[0, "0"], [null, "null"]],
  "breaker.consecutiveFailures": [[0, "0"]],
  "breaker.probes": [[0, "0"], [17, "17"], [null, "null"]],
  "bulkhead.maxQueue": [[null, "null"]],
  "rateLimit.rate": [[0, "0"]],
  "rateLimit.burst": [[0, "0"]],
  "hedge.max": [[0, "0"], [4, "4"], [null, "null"]],
};

for (const { name, kind, allowed } of fields) {
  test(`${name} of the wrong kind or range is refused, by its name, the value and what is allowed`, () => {
    // Anything may answer in place of an error.
    const wrongs = name === "fallback" ? [] : [...WRONG[kind], ...(WRONG_TOO[name] ?? [])];
    for (const [value, shown] of wrongs) {
      const error = wrong(() => new AmbassadorProxy(TARGET, options(name, value)));
      assert.equal(error.field, name);
      assert.equal(error.allowed, allowed);
      // Somebody may have put a secret where the group is expected.
      if (shown !== undefined) assert.equal(error.value, name === "auth" && typeof value !== "number" ? "***" : shown);
    }
  });

  test(`${name} is left at its default by undefined`, () => {
    const { policy } = new AmbassadorProxy(TARGET, options(name, undefined));
    assert.deepEqual(policy, new AmbassadorProxy(TARGET).policy);
  });
}

test("retryOn and notOn refuse what is in a list and no function", () => {
  for (const name of ["retryOn", "notOn"]) {
    for (const value of [[], [TypeError, "busy"], [null]]) assert.equal(wrong(() => new AmbassadorProxy(TARGET, { [name]: value })).field, name);
  }
  assert.equal(wrong(() => new AmbassadorProxy(TARGET, { classify: [() => "ok"] })).field, "classify");
});

test("an unknown setting is refused, with the nearest one that there is", () => {
  const error = wrong(() => new AmbassadorProxy(TARGET, { maxRetrys: 3 }));
  assert.equal(error.field, "maxRetrys");
  assert.match(error.allowed, /did you mean maxRetries\?$/);
  assert.match(wrong(() => new AmbassadorProxy(TARGET, { max_retries: 3 })).allowed, /did you mean maxRetries\?$/);
  assert.equal(wrong(() => new AmbassadorProxy(TARGET, { backoff: { base: 3 } })).field, "backoff.base");
  assert.equal(wrong(() => new AmbassadorProxy(TARGET, { __proto__: null, toString: 3 })).field, "toString");
});

test("options that are none are refused", () => {
  for (const given of [null, 3, "fast", true]) assert.equal(wrong(() => new AmbassadorProxy(TARGET, given)).field, "options");
});

test("a target that is none is refused", () => {
  for (const [given, shown] of [["two words", '"two words"'], ["", '""'], ["user:secret@host", undefined], [undefined, "undefined"], [null, "null"], [7, "7"]]) {
    const error = wrong(() => new AmbassadorProxy(given));
    assert.equal(error.field, "targetHost");
    assert.match(error.allowed, /^a host such as payment-api\.example\.com/);
    if (shown !== undefined) assert.equal(error.value, shown);
  }
});

test("hosts, ports, addresses and URLs are targets", () => {
  for (const target of ["localhost", "10.0.0.7:8443", "[::1]:80", "https://payment-api.example.com/v1"]) {
    assert.equal(new AmbassadorProxy(target).target, target);
  }
});

test("the policy tells the settings in force, and cannot be changed", () => {
  const { policy } = new AmbassadorProxy(TARGET);
  assert.deepEqual(policy, {
    maxRetries: 3,
    name: TARGET,
    timeoutMs: 2000,
    deadlineMs: null,
    backoff: { baseMs: 2000, factor: 2, maxMs: 30_000, jitter: "full", hintMaxMs: 60_000 },
    retryOn: null,
    notOn: null,
    classify: null,
    budget: { ratio: 0.2, minPerSecond: 10, windowMs: 10_000 },
    breaker: {
      failureRate: 0.5,
      minCalls: 20,
      windowMs: 30_000,
      consecutiveFailures: null,
      slowCallMs: null,
      slowRate: 1,
      openForMs: 5000,
      openMaxMs: 60_000,
      probes: 3,
    },
    bulkhead: null,
    rateLimit: null,
    hedge: null,
    idempotent: false,
    fallback: null,
    endpoints: [],
    discovery: null,
    balance: "p2c",
    hashOn: null,
    zone: null,
    slowStartMs: null,
    outlier: { consecutiveFailures: 5, baseMs: 30_000, maxMs: 300_000, maxEjected: 0.1, panic: 0.5 },
    healthCheck: null,
    tls: { ca: null, cert: null, key: null, serverName: null, minVersion: "1.2", pins: [], dangerousAcceptInvalidCertificates: false },
    auth: null,
    headers: {},
    idempotencyKey: "off",
    http: {
      version: "auto",
      maxHeaderBytes: 65_536,
      maxBodyBytes: 67_108_864,
      replayBytes: 1_048_576,
      followRedirects: 0,
      decompress: true,
      proxyFromEnvironment: false,
      attemptHeaders: false,
      maxConnections: 100,
      idleTimeoutMs: 60_000,
    },
  });
  assert.ok(Object.isFrozen(policy) && [policy.backoff, policy.budget, policy.breaker].every(Object.isFrozen));
  const mine = { maxRetries: 7, name: "pay", timeoutMs: null, deadlineMs: 0.5, backoff: { baseMs: 0, factor: 1.5, maxMs: 10, jitter: "equal", hintMaxMs: 0 }, retryOn: [TypeError], notOn: RangeError, classify: () => undefined,
    budget: { ratio: 0, minPerSecond: 1.5, windowMs: 1 },
    breaker: { failureRate: 0.25, minCalls: 1, windowMs: 5, consecutiveFailures: 4, slowCallMs: 0.5, slowRate: 0.75, openForMs: 6, openMaxMs: 7, probes: 16 },
    bulkhead: { maxConcurrent: 8, maxQueue: 9, queueTimeoutMs: 10 },
    rateLimit: { rate: 0.5, perMs: 11, burst: 12, maxWaitMs: 13 },
    hedge: { afterMs: 0.5, max: 3 },
    idempotent: true,
    fallback: () => "queued",
    endpoints: [{ url: "http://10.0.0.7:8080", weight: 3, zone: "eu-west-1a", metadata: { rack: "7" } }, { url: "10.0.0.8", weight: 1, zone: null, metadata: {} }],
    discovery: null,
    balance: "ring_hash",
    hashOn: "header:x-tenant",
    zone: "eu-west-1a",
    slowStartMs: 14,
    outlier: { consecutiveFailures: 3, baseMs: 15, maxMs: 16, maxEjected: 0.5, panic: 0 },
    healthCheck: { path: "/health", tcp: false, intervalMs: 17, timeoutMs: 18, unhealthy: 4, healthy: 5 },
    tls: { ca: null, cert: null, key: null, serverName: "payments.example.com", minVersion: "1.3", pins: [PIN], dangerousAcceptInvalidCertificates: true },
    auth: null,
    headers: {},
    idempotencyKey: "auto",
    http: { version: "1", maxHeaderBytes: 8192, maxBodyBytes: 19, replayBytes: 20, followRedirects: 1, decompress: false, proxyFromEnvironment: true, attemptHeaders: true, maxConnections: 21, idleTimeoutMs: 22.5 } };
  const ours = new AmbassadorProxy(TARGET, mine).policy;
  assert.deepEqual(ours, mine);
  assert.ok([ours.hedge, ours.endpoints, ours.endpoints[0], ours.endpoints[0].metadata, ours.tls.pins, ours.http].every(Object.isFrozen));
});

const AUTH = { bearer: null, bearerEnv: null, bearerFile: null, username: null, password: null, apiKey: null, apiKeyHeader: null, tokenUrl: null, clientId: null, clientSecret: null, scope: null };

test("endpoints can be found, checked, and asked by credentials in one of several ways each", () => {
  const found = { dns: null, srv: null, file: null, servers: [], refreshMs: 30_000 };
  for (const discovery of [{ dns: "payment-api:8080" }, { srv: "_http._tcp.payment-api" }, { file: "/etc/endpoints.json" }, { dns: "payment-api", servers: ["10.0.0.2:53"], refreshMs: 5 }]) {
    assert.deepEqual(new AmbassadorProxy(TARGET, { discovery }).policy.discovery, { ...found, ...discovery });
  }
  assert.equal(new AmbassadorProxy(TARGET, { healthCheck: { tcp: true } }).policy.healthCheck.tcp, true);
  for (const auth of [{ bearerEnv: "TOKEN" }, { bearerFile: "/run/token" }]) {
    assert.deepEqual(new AmbassadorProxy(TARGET, { auth }).policy.auth, { ...AUTH, ...auth });
  }
  for (const [field, options] of Object.entries({
    discovery: { discovery: { dns: "a", srv: "b" } },
    endpoints: { discovery: { dns: "a" }, endpoints: ["b"] },
    healthCheck: { healthCheck: { path: "/", tcp: true } },
    auth: { auth: { bearer: "a", apiKey: "b" } },
    "auth.password": { auth: { username: "a" } },
    hashOn: { balance: "maglev" },
    "tls.key": { tls: { cert: "/etc/client.pem" } },
  })) {
    assert.equal(wrong(() => new AmbassadorProxy(TARGET, options)).field, field);
  }
});

test("no secret is ever shown", () => {
  const SECRET = "s3cr3t-7f2a";
  const secret = `a ${SECRET}`;
  const allowed = [
    [{ auth: { bearer: SECRET } }, { bearer: "***" }],
    [{ auth: { username: "shop", password: secret } }, { username: "shop", password: "***" }],
    [{ auth: { apiKey: secret } }, { apiKey: "***", apiKeyHeader: "x-api-key" }],
    [{ auth: { tokenUrl: "https://login.example.com/token", clientId: "shop", clientSecret: secret, scope: "pay" } }, { tokenUrl: "https://login.example.com/token", clientId: "shop", clientSecret: "***", scope: "pay" }],
  ];
  for (const [options, told] of allowed) {
    const proxy = new AmbassadorProxy(TARGET, { ...options, headers: { "x-signed": secret } });
    assert.deepEqual(proxy.policy.auth, { ...AUTH, ...told });
    assert.deepEqual(proxy.policy.headers, { "x-signed": "***" });
    for (const shown of [inspect(proxy, { depth: 9, showHidden: true }), inspect(proxy.policy, { depth: 9 }), JSON.stringify(proxy), JSON.stringify(proxy.health())]) assert.ok(!shown.includes(SECRET), shown);
  }
  const wrongs = [
    { auth: SECRET },
    { auth: [SECRET] },
    { auth: { bearrer: SECRET } },
    { auth: { bearer: `${SECRET}\n` } },
    { auth: { bearer: [SECRET] } },
    { auth: { username: `shop:${SECRET}` } },
    { auth: { tokenUrl: `https://shop:${SECRET}@login.example.com` } },
    { headers: { "x-signed": `${SECRET}\n` } },
    { headers: [SECRET] },
    { headerz: { "x-signed": SECRET } },
    { endpoints: [`http://shop:${SECRET}@10.0.0.7`] },
  ];
  for (const options of wrongs) {
    const error = wrong(() => new AmbassadorProxy(TARGET, options));
    for (const shown of [inspect(error, { depth: 9, showHidden: true }), error.value, error.message]) assert.ok(!shown.includes(SECRET), shown);
  }
});

test("a group can be switched off as a whole, and what it cannot do without is asked for", () => {
  for (const off of [null, false]) {
    const { policy } = new AmbassadorProxy(TARGET, { budget: off, breaker: off, bulkhead: off, rateLimit: off, hedge: off });
    assert.deepEqual([policy.budget, policy.breaker, policy.bulkhead, policy.rateLimit, policy.hedge], [null, null, null, null, null]);
  }
  for (const on of [true, {}]) {
    const { policy } = new AmbassadorProxy(TARGET, { budget: on, breaker: on });
    assert.ok(policy.budget.ratio === 0.2 && policy.breaker.probes === 3);
  }
  assert.deepEqual(new AmbassadorProxy(TARGET, { bulkhead: { maxConcurrent: "adaptive" } }).policy.bulkhead, { maxConcurrent: "adaptive", maxQueue: 0, queueTimeoutMs: null });
  assert.equal(new AmbassadorProxy(TARGET, { bulkhead: { maxConcurrent: null } }).policy.bulkhead, null);
  assert.deepEqual(new AmbassadorProxy(TARGET, { rateLimit: { rate: 10 } }).policy.rateLimit, { rate: 10, perMs: 1000, burst: null, maxWaitMs: 0 });
  assert.equal(wrong(() => new AmbassadorProxy(TARGET, { bulkhead: { maxQueue: 3 } })).field, "bulkhead.maxConcurrent");
  assert.equal(wrong(() => new AmbassadorProxy(TARGET, { rateLimit: { burst: 3 } })).field, "rateLimit.rate");
  assert.equal(wrong(() => new AmbassadorProxy(TARGET, { hedge: { max: 3 } })).field, "hedge.afterMs");
  for (const name of ["bulkhead", "rateLimit", "hedge"]) assert.equal(wrong(() => new AmbassadorProxy(TARGET, { [name]: true })).field, name);
});

test("a quantile may stand for the time after which to hedge", () => {
  for (const afterMs of ["p50", "p90", "p95", "p99"]) {
    assert.deepEqual(new AmbassadorProxy(TARGET, { hedge: { afterMs }, idempotent: true }).policy.hedge, { afterMs, max: 1 });
  }
});

test("a hedge needs calls that may be made twice, and a second attempt", () => {
  const hedge = { afterMs: 50 };
  assert.equal(
    wrong(() => new AmbassadorProxy(TARGET, { hedge })).message,
    "idempotent: false is not allowed; expected true beside hedge, which runs the function twice at once",
  );
  assert.equal(
    wrong(() => new AmbassadorProxy(TARGET, { hedge, idempotent: true, maxRetries: 1 })).message,
    "maxRetries: 1 is not allowed; expected 2 or more beside hedge, which is an attempt",
  );
  assert.equal(new AmbassadorProxy(TARGET, { idempotent: true }).policy.idempotent, true);
});

test("anything may be a fallback but undefined and null, which are none", () => {
  for (const fallback of [0, false, "", NaN, [], async () => 1]) assert.ok(Object.is(new AmbassadorProxy(TARGET, { fallback }).policy.fallback, fallback));
  for (const fallback of [undefined, null]) assert.equal(new AmbassadorProxy(TARGET, { fallback }).policy.fallback, null);
});

test("the effective policy tells where each setting comes from", () => {
  const told = new AmbassadorProxy(TARGET, { maxRetries: 5, timeoutMs: 2000, backoff: { baseMs: 250 }, auth: { bearer: "s3cr3t" } }).effectivePolicy();
  assert.deepEqual(told.map(({ field }) => field), fields.filter(({ kind }) => kind !== "host").map(({ name }) => name));
  const given = told.filter(({ origin }) => origin === "constructor").map(({ field, value }) => [field, value]);
  assert.deepEqual(given, [["maxRetries", 5], ["backoff.baseMs", 250], ["auth", true], ["auth.bearer", "***"]]);
  assert.deepEqual(told.find(({ field }) => field === "timeoutMs"), { field: "timeoutMs", value: 2000, origin: "default" });
});

test("the policy as JSON is spelled as in the file", () => {
  const told = JSON.parse(new AmbassadorProxy(TARGET, { maxRetries: 5, backoff: { baseMs: 250 } }).policyJson());
  assert.deepEqual(told[0], { field: "max_retries", value: 5, origin: "constructor" });
  const named = (name) => told.find(({ field }) => field === name);
  assert.deepEqual([named("timeout").value, named("backoff.base").value], ["2s", "250ms"]);
});

test("backoff can be switched off as a whole, and left on", () => {
  for (const off of [null, false]) assert.equal(new AmbassadorProxy(TARGET, { backoff: off }).policy.backoff.baseMs, 0);
  for (const on of [true, {}]) assert.equal(new AmbassadorProxy(TARGET, { backoff: on }).policy.backoff.baseMs, 2000);
});

test("a signal that is none is refused", async () => {
  const proxy = new AmbassadorProxy(TARGET);
  for (const signal of ["stop", 7, {}]) {
    assert.equal(wrong(() => proxy.with({ signal })).field, "signal");
    assert.equal(wrong(() => proxy.wrap(() => 1, { signal })).field, "signal");
    assert.equal((await rejection(proxy.execute(() => 1, { signal }))).field, "signal");
  }
});

test("a time to shut down that is none is refused", async () => {
  for (const given of [-1, NaN, "soon", null]) assert.equal((await rejection(shutdown(given))).field, "timeoutMs");
});

test("the types list every setting of the core, and no other", () => {
  const types = readFileSync(new URL("../index.d.ts", import.meta.url), "utf8");
  const properties = (name) => {
    const body = new RegExp(`^export interface ${name}(?:<[^>]*>)? \\{\\n([^]*?)^\\}`, "m").exec(types)[1];
    return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, property]) => property);
  };
  const groups = { backoff: "Backoff", budget: "Budget", breaker: "Breaker", bulkhead: "Bulkhead", rateLimit: "RateLimit", hedge: "Hedge",
    discovery: "Discovery", outlier: "Outlier", healthCheck: "HealthCheck", tls: "Tls", auth: "Auth", http: "Http" };
  const grouped = Object.entries(groups).flatMap(([group, name]) => properties(name).map((field) => `${group}.${field}`));
  const settings = [...properties("AmbassadorOptions"), ...grouped];
  assert.deepEqual(settings.sort(), fields.map(({ name }) => name).sort());
  assert.deepEqual(properties("Policy").sort(), properties("AmbassadorOptions").sort());
  assert.deepEqual(Object.keys(new AmbassadorProxy(TARGET).policy).sort(), properties("Policy").sort());
});
