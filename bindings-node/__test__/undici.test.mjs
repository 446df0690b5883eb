// The dispatcher: what undici and the global `fetch` send goes by the ambassador, whichever form undici's handlers have.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import test from "node:test";
import { gzipSync } from "node:zlib";
import * as undici from "undici";
import { AmbassadorDispatcher, setGlobalDispatcher } from "../undici.mjs";
import { deferred, lines, nowhere, proxyFor, rejection, runWell, serve, textOf, until } from "./support.mjs";

const require = createRequire(import.meta.url);

/** A server that is busy each first time, and then says what it was asked. */
async function busyAtFirst(t) {
  let asked = 0;
  return serve(t, async (request, response) => {
    const body = await textOf(request);
    asked += 1;
    if (asked % 2 === 1) return response.writeHead(503).end("busy");
    response.writeHead(200, { "content-encoding": "gzip", "set-cookie": ["a=1", "b=2"], "x-a": "b" });
    response.end(gzipSync(JSON.stringify({ method: request.method, url: request.url, body, headers: request.headers })));
  });
}

function dispatcher(options) {
  return new AmbassadorDispatcher({ backoff: { baseMs: 1, jitter: "none" }, ...options });
}

test("both kinds of modules get the same classes", () => {
  assert.equal(require("../undici.js").AmbassadorDispatcher, AmbassadorDispatcher);
});

test("undici's fetch and request go by the ambassador", async (t) => {
  const url = await busyAtFirst(t);
  const through = { dispatcher: dispatcher() };
  const got = await (await undici.fetch(`${url}/a?b=1`, through)).json();
  assert.deepEqual([got.method, got.url], ["GET", "/a?b=1"]);
  const put = await (await undici.fetch(url, { ...through, method: "PUT", body: "hello", headers: { "x-a": "b" } })).json();
  assert.deepEqual([put.body, put.headers["x-a"], put.headers["content-length"]], ["hello", "b", "5"]);
  const response = await undici.request(`${url}/c`, { ...through, query: { d: 1 }, headers: ["x-a", "b"] });
  assert.deepEqual([response.statusCode, response.headers["x-a"], response.headers["set-cookie"]], [200, "b", ["a=1", "b=2"]]);
  assert.ok((await response.body.arrayBuffer()).byteLength > 0);
  assert.equal(lines().length, 3);
});

test("a program's fetch goes by the ambassador because of the dispatcher alone", async (t) => {
  const url = await busyAtFirst(t);
  const { stdout, stderr } = await runWell(`
    import { AmbassadorDispatcher, setGlobalDispatcher } from "../undici.mjs";
    setGlobalDispatcher(new AmbassadorDispatcher({ backoff: { baseMs: 1, jitter: "none" } }));
    const response = await fetch("${url}/charges", { method: "PUT", body: JSON.stringify({ amount: 99.99 }) });
    console.log(response.status, (await response.json()).body);`);
  assert.equal(stdout, '200 {"amount":99.99}\n');
  assert.match(stderr, /^\[Ambassador\] Retry 1 after 1ms: HTTP 503 Service Unavailable\n$/);
});

test("an error is the cause of fetch's, and undici's own", async () => {
  const through = { dispatcher: dispatcher({ maxRetries: 1 }) };
  const gone = await nowhere();
  assert.equal((await rejection(undici.fetch(gone, through))).cause.code, "ERR_AMBASSADOR_CONNECT");
  assert.equal((await rejection(undici.request(gone, through))).code, "ERR_AMBASSADOR_CONNECT");
});

test("an abort ends the request, and the body", async (t) => {
  const closed = deferred();
  const url = await serve(t, (request, response) => {
    response.on("close", closed.resolve);
    if (request.url === "/body") response.write("x".repeat(100_000));
  });
  const through = { dispatcher: dispatcher({ timeoutMs: null }) };
  const stop = new AbortController();
  const stopped = rejection(undici.fetch(url, { ...through, signal: stop.signal }));
  await new Promise(setImmediate);
  stop.abort();
  assert.equal((await stopped).name, "AbortError");
  const response = await undici.request(`${url}/body`, through);
  response.body.on("error", () => {}).destroy();
  await closed.promise;
});

/** A handler that records what it is told, in the form of undici's that has this name. */
function recorder(form, { pause = false } = {}) {
  const told = [];
  const over = deferred();
  const record = { told, over: over.promise, resume: undefined, abort: undefined };
  const legacy = {
    onConnect: (abort) => (record.abort = abort),
    onHeaders(status, headers, resume, text) {
      record.resume = resume;
      told.push(["head", status, text, headers.map(String).includes("x-a")]);
      return !pause;
    },
    onData(piece) {
      told.push(["piece", String(piece)]);
      return true;
    },
    onComplete: (trailers) => over.resolve(told.push(["end", trailers])),
    onError: (error) => over.resolve(told.push(["error", error])),
  };
  const controlled = {
    onRequestStart: (controller) => (record.abort = (reason) => controller.abort(reason)),
    onResponseStart(controller, status, headers, text) {
      record.resume = () => controller.resume();
      told.push(["head", status, text, headers["x-a"] === "b" && controller.rawHeaders.map(String).includes("x-a")]);
      if (pause) controller.pause();
    },
    onResponseData: (controller, piece) => told.push(["piece", String(piece)]),
    onResponseEnd: (controller, trailers) => over.resolve(told.push(["end", Object.keys(trailers)])),
    onResponseError: (controller, error) => over.resolve(told.push(["error", error])),
  };
  return { record, handler: form === "legacy" ? legacy : controlled };
}

for (const form of ["legacy", "controlled"]) {
  test(`a ${form} handler is told of the head, the body and the end`, async (t) => {
    const url = await serve(t, (request, response) => response.writeHead(200, { "x-a": "b" }).end("charged"));
    const { record, handler } = recorder(form);
    assert.equal(dispatcher().dispatch({ origin: url, path: "/", method: "GET" }, handler), true);
    await record.over;
    assert.deepEqual(record.told, [["head", 200, "OK", true], ["piece", "charged"], ["end", []]]);
  });

  test(`a ${form} handler that pauses gets nothing until it goes on`, async (t) => {
    const url = await serve(t, (request, response) => response.writeHead(200, { "x-a": "b" }).end("charged"));
    const { record, handler } = recorder(form, { pause: true });
    dispatcher().dispatch({ origin: url, path: "/", method: "GET" }, handler);
    await until(() => record.told.length > 0);
    await new Promise(setImmediate);
    assert.equal(record.told.length, 1);
    record.resume();
    await record.over;
    assert.deepEqual(record.told.slice(1), [["piece", "charged"], ["end", []]]);
  });

  test(`a ${form} handler aborts, and is told of errors`, async (t) => {
    const { record, handler } = recorder(form);
    dispatcher({ timeoutMs: null }).dispatch({ origin: await serve(t, () => {}), path: "/", method: "GET" }, handler);
    const reason = new Error("enough");
    record.abort(reason);
    await record.over;
    assert.deepEqual(record.told, [["error", reason]]);
    for (const options of [{ method: "CONNECT" }, { upgrade: "websocket" }, { headers: { "x a": "b" } }]) {
      const refused = recorder(form);
      dispatcher().dispatch({ origin: "http://127.0.0.1:1", path: "/", method: "GET", ...options }, refused.handler);
      await refused.record.over;
      assert.ok(refused.record.told[0][1] instanceof TypeError);
    }
  });
}

test("an origin may have a proxy or settings of its own, and the others' are bounded", async (t) => {
  const url = await serve(t, (request, response) => response.end("charged"));
  const proxy = proxyFor("http://payment-api.example.com", { endpoints: [url] });
  const through = { dispatcher: dispatcher({ origins: { "http://payment-api.example.com": proxy, "http://rates.example.com/": { endpoints: [url] } }, maxOrigins: 1 }) };
  for (const origin of ["http://payment-api.example.com", "http://rates.example.com", url]) {
    assert.equal(await (await undici.fetch(origin, through)).text(), "charged");
  }
  assert.equal(proxy.health().calls.ok, 1);
});

test("wrong settings are refused when the dispatcher is made", () => {
  assert.throws(() => new AmbassadorDispatcher({ maxRetries: 0 }), { code: "ERR_AMBASSADOR_CONFIG", field: "maxRetries" });
  assert.throws(() => new AmbassadorDispatcher({ maxOrigins: 0 }), TypeError);
  assert.throws(() => setGlobalDispatcher({}), TypeError);
});

test("a dispatcher that is closed waits for what is in flight, and refuses more", async (t) => {
  const go = deferred();
  const url = await serve(t, async (request, response) => {
    await go.promise;
    response.end("charged");
  });
  const closing = dispatcher();
  const last = undici.request(url, { dispatcher: closing }).then(({ body }) => body.text());
  const closed = closing.close();
  assert.equal((await rejection(undici.request(url, { dispatcher: closing }))).code, "UND_ERR_CLOSED");
  go.resolve();
  assert.equal(await last, "charged");
  await closed;
  const destroyed = dispatcher();
  const lost = rejection(undici.request(await serve(t, () => {}), { dispatcher: destroyed }));
  await destroyed.destroy();
  assert.equal((await lost).code, "UND_ERR_DESTROYED");
});
