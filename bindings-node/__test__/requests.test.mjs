// HTTP by the core: `fetch`, `request` and its shorthands, against real servers: what is sent, what comes back, what is tried again, and what
// errors say.
import assert from "node:assert/strict";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { AmbassadorError, CallTimeoutError, CircuitOpenError, ConnectError, ProtocolError, TransportError, BodyError, ConfigError } from "../index.mjs";
import { deferred, lines, nowhere, proxyFor, rejection, run, runWell, serve, serveSockets, textOf, until } from "./support.mjs";

/** Answers with what was asked. */
async function echo(request, response) {
  const body = await textOf(request.setEncoding("latin1"));
  const { method, url, headers } = request;
  response.setHeader("content-type", "application/json").end(JSON.stringify({ method, url, headers, body }));
}

test("request sends method, path, query, headers and JSON, and gives status, headers and body", async (t) => {
  const proxy = proxyFor(await serve(t, echo));
  const response = await proxy.request({
    method: "POST",
    path: "/charges?a=1",
    query: { b: [2, 3], c: "d e", none: undefined },
    headers: { "X-Trace": 7, "x-list": ["one", "two"], "x-none": undefined },
    json: { amount: 99.99 },
  });
  assert.equal(response.status, 200);
  assert.equal(response.ok, true);
  assert.equal(response.headers["content-type"], "application/json");
  assert.ok(Buffer.isBuffer(response.body));
  const asked = response.json();
  assert.deepEqual([asked.method, asked.url, asked.body], ["POST", "/charges?a=1&b=2&b=3&c=d+e", '{"amount":99.99}']);
  assert.deepEqual([asked.headers["x-trace"], asked.headers["x-list"], asked.headers["content-type"]], ["7", "one, two", "application/json"]);
  assert.ok(!("x-none" in asked.headers));
});

test("each shorthand sends its own method", async (t) => {
  const proxy = proxyFor(await serve(t, echo));
  for (const method of ["get", "post", "put", "patch", "delete", "options"]) {
    assert.equal((await proxy[method]("/")).json().method, method.toUpperCase());
  }
  const { status, body } = await proxy.head("/");
  assert.deepEqual([status, body.length], [200, 0]);
});

test("the target's path is put in front, and what a path cannot hold is escaped", async (t) => {
  const url = await serve(t, echo);
  const proxy = proxyFor(`${url}/v1`);
  const asked = async (path) => (await proxy.get(path)).json().url;
  assert.equal(await asked("/charges"), "/v1/charges");
  assert.equal(await asked("charges"), "/v1/charges");
  assert.equal(await asked("/a b/ü#part"), "/v1/a%20b/%C3%BC");
  assert.equal(await asked("//other.example.com/x"), "/v1//other.example.com/x");
});

test("a body may be text, bytes, a form, a Blob or a stream", async (t) => {
  const proxy = proxyFor(await serve(t, echo));
  const sent = async (body) => {
    const { headers, body: came } = (await proxy.post("/", { body })).json();
    return [came, headers["content-type"]];
  };
  assert.deepEqual(await sent("text"), ["text", "text/plain;charset=UTF-8"]);
  assert.deepEqual(await sent(Buffer.from("bytes")), ["bytes", undefined]);
  assert.deepEqual(await sent(new Uint16Array([0x4141])), ["AA", undefined]);
  assert.deepEqual(await sent(new TextEncoder().encode("buffer").buffer), ["buffer", undefined]);
  assert.deepEqual(await sent(new URLSearchParams({ a: "1 2" })), ["a=1+2", "application/x-www-form-urlencoded;charset=UTF-8"]);
  assert.deepEqual(await sent(new Blob(["blob"], { type: "text/x" })), ["blob", "text/x"]);
  assert.deepEqual(await sent(new Blob(["stream"]).stream()), ["stream", undefined]);
  assert.deepEqual(
    await sent(
      (async function* () {
        yield "one ";
        yield Buffer.from("two");
      })(),
    ),
    ["one two", undefined],
  );
  const form = new FormData();
  form.set("amount", "99.99");
  form.set("receipt", new Blob(["x"]), "receipt.txt");
  const [came, type] = await sent(form);
  assert.match(type, /^multipart\/form-data; boundary=/);
  assert.match(came, /name="amount"\r\n\r\n99\.99\r\n/);
  assert.match(came, /filename="receipt\.txt"/);
});

test("fetch gives the global Response, with its URL, status and headers", async (t) => {
  const url = await serve(t, (request, response) => {
    response.writeHead(201, { "x-a": "b", "set-cookie": ["a=1", "b=2"] }).end("charged");
  });
  const response = await proxyFor(url).fetch("/charges?a=1");
  assert.ok(response instanceof Response);
  assert.deepEqual([response.status, response.statusText, response.ok, response.url], [201, "Created", true, `${url}/charges?a=1`]);
  assert.equal(response.headers.get("x-a"), "b");
  assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
  assert.equal(await response.text(), "charged");
  assert.equal(response.bodyUsed, true);
});

test("fetch takes what fetch takes", async (t) => {
  const url = await serve(t, echo);
  const proxy = proxyFor(url);
  const asked = async (...given) => (await proxy.fetch(...given)).json();
  const posted = await asked("/", { method: "post", body: JSON.stringify({ a: 1 }), headers: new Headers({ "content-type": "application/json" }) });
  assert.deepEqual([posted.method, posted.body, posted.headers["content-type"]], ["POST", '{"a":1}', "application/json"]);
  assert.equal((await asked(new URL("/by-url", url))).url, "/by-url");
  const request = new Request(`${url}/by-request`, { method: "PUT", body: "body", headers: [["x-a", "b"]] });
  const put = await asked(request);
  assert.deepEqual([put.method, put.url, put.body, put.headers["x-a"]], ["PUT", "/by-request", "body", "b"]);
  const stream = new Blob(["streamed"]).stream();
  assert.equal((await asked("/", { method: "POST", body: stream, duplex: "half" })).body, "streamed");
  assert.equal((await asked("/", { method: "POST", body: new FormData() })).method, "POST");
});

test("what is no request is a TypeError, and nothing is sent", async (t) => {
  let asked = 0;
  const url = await serve(t, (request, response) => response.end(String((asked += 1))));
  const proxy = proxyFor(url);
  for (const wrong of [
    () => proxy.fetch("/", { body: "x" }),
    () => proxy.fetch("/", { method: "POST", body: new Blob(["x"]).stream() }),
    () => proxy.fetch("/", { method: "PO ST" }),
    () => proxy.fetch("/", { headers: { "x-a": "b\nx-c: d" } }),
    () => proxy.fetch("/", { headers: { "x-a": "b\u0000" } }),
    () => proxy.fetch("/", { headers: { "x a": "b" } }),
    () => proxy.fetch("/", { headers: { "x-a": "€" } }),
    () => proxy.fetch("/", { signal: "stop" }),
    () => proxy.fetch("/", { redirect: "follow" }),
    () => proxy.fetch("/", { idempotent: "yes" }),
    () => proxy.fetch(`http://user:secret@${new URL(url).host}/`),
    () => proxy.get("/", { body: 7 }),
    () => proxy.post("/", { body: "a", json: "b" }),
    () => proxy.request(null),
  ]) {
    assert.ok((await rejection(wrong())) instanceof TypeError, wrong.toString());
  }
  const elsewhere = await rejection(proxy.fetch("http://other.example.com/"));
  assert.ok(elsewhere instanceof ProtocolError && elsewhere.code === "ERR_AMBASSADOR_PROTOCOL", elsewhere);
  assert.equal(asked, 0);
});

test("a response without a body has none", async (t) => {
  const url = await serve(t, (request, response) => response.writeHead(Number(request.url.slice(1))).end());
  const proxy = proxyFor(url);
  for (const status of [204, 205, 304]) {
    const response = await proxy.fetch(`/${status}`);
    assert.deepEqual([response.status, response.body, await response.text()], [status, null, ""]);
  }
  const head = await proxy.fetch("/200", { method: "HEAD" });
  assert.deepEqual([head.status, head.body], [200, null]);
});

test("a redirect is handed back, unless the policy follows", async (t) => {
  const url = await serve(t, (request, response) => {
    if (request.url === "/from") response.writeHead(302, { location: "/to" }).end();
    else response.end("there");
  });
  const proxy = proxyFor(url);
  assert.equal((await proxy.fetch("/from")).status, 302);
  assert.equal((await proxy.fetch("/from", { redirect: "manual" })).headers.get("location"), "/to");
  assert.match((await rejection(proxy.fetch("/from", { redirect: "error" }))).message, /redirected/);
  const follows = proxyFor(url, { http: { followRedirects: 1 } });
  assert.match((await rejection(follows.fetch("/from", { redirect: "manual" }))).message, /followRedirects is 1/);
});

test("a busy server is asked again, and each retry says its line", async (t) => {
  let asked = 0;
  const url = await serve(t, (request, response) => {
    asked += 1;
    response.writeHead(asked < 3 ? 503 : 200).end("charged");
  });
  lines();
  const proxy = proxyFor(url);
  assert.equal((await proxy.get("/charges")).text(), "charged");
  assert.deepEqual(lines(), ["[Ambassador] Retry 1 after 1ms: HTTP 503 Service Unavailable", "[Ambassador] Retry 2 after 2ms: HTTP 503 Service Unavailable"]);
  assert.equal(proxy.health().retries, 2);
});

test("a listener of the retry line hears what it is made of", async (t) => {
  let asked = 0;
  const url = await serve(t, (request, response) => response.writeHead((asked += 1) < 2 ? 503 : 200).end());
  const { retries } = await import("./support.mjs");
  retries.length = 0;
  await proxyFor(url).get("/");
  const line = "[Ambassador] Retry 1 after 1ms: HTTP 503 Service Unavailable";
  const told = { line, target: url, attempt: 1, waitMs: 1, error: "HTTP 503 Service Unavailable", endpoint: url, code: undefined, status: 503 };
  assert.deepEqual(retries.splice(0), [told]);
  const gone = await nowhere();
  await rejection(proxyFor(gone, { maxRetries: 2 }).get("/"));
  assert.deepEqual(retries.splice(0).map(({ attempt, endpoint, code, status }) => [attempt, endpoint, code, status]), [[1, gone, "CONNECT", undefined]]);
});

test("events of requests are told to who listens", async (t) => {
  const proxy = proxyFor(await serve(t, echo));
  const told = [];
  proxy.onEvent(({ type, outcome }) => told.push([type, outcome]));
  await proxy.get("/");
  assert.deepEqual(told, [["attempt", "ok"], ["call", "ok"]]);
});

test("the last response is handed back, whatever its status", async (t) => {
  let asked = 0;
  const url = await serve(t, (request, response) => {
    asked += 1;
    response.writeHead(503).end("busy");
  });
  const response = await proxyFor(url).get("/");
  assert.deepEqual([response.status, response.ok, response.text(), asked], [503, false, "busy", 3]);
  lines();
});

test("a POST whose connection is lost is made once, and by a key or a word again", async (t) => {
  const keys = [];
  const url = await serve(t, async (request, response) => {
    await textOf(request);
    keys.push(request.headers["idempotency-key"]);
    if (keys.length % 2 === 1) response.destroy();
    else response.end("charged");
  });
  const error = await rejection(proxyFor(url).post("/charges", { json: {} }));
  assert.ok(error instanceof TransportError && error instanceof AmbassadorError, error);
  assert.deepEqual([error.code, error.target, error.attempts], ["ERR_AMBASSADOR_TRANSPORT", url, 1]);
  assert.deepEqual(keys, [undefined]);

  keys.length = 0;
  assert.equal((await proxyFor(url).post("/charges", { json: {}, idempotent: true })).text(), "charged");
  assert.deepEqual(keys, [undefined, undefined]);

  keys.length = 0;
  assert.equal((await proxyFor(url, { idempotencyKey: "auto" }).post("/charges", { json: {} })).text(), "charged");
  assert.equal(keys.length, 2);
  assert.ok(keys[0].length > 0 && keys[0] === keys[1]);

  keys.length = 0;
  assert.equal((await proxyFor(url).fetch("/", { method: "POST", headers: { "idempotency-key": "mine" } })).status, 200);
  assert.deepEqual(keys, ["mine", "mine"]);

  keys.length = 0;
  assert.equal((await rejection(proxyFor(url).get("/", { idempotent: false }))).attempts, 1);
  lines();
});

test("one of two endpoints is down, and no request is lost", async (t) => {
  const up = await serve(t, echo);
  const proxy = proxyFor("http://payment-api.example.com", { endpoints: [up, await nowhere()] });
  for (let request = 0; request < 50; request++) {
    const response = await proxy.post("/charges", { json: { request } });
    assert.equal(response.json().headers.host, "payment-api.example.com");
    assert.deepEqual([response.endpoint, response.attempts === 1 || response.attempts === 2], [up, true]);
  }
  assert.equal(proxy.health().calls.ok, 50);
  lines();
});

test("endpoints that the user's own code finds are the target's", async (t) => {
  const proxy = proxyFor("http://payment-api.example.com");
  const urls = [await serve(t, (request, response) => response.end("one")), await serve(t, (request, response) => response.end("two"))];
  for (const [at, answer] of ["one", "two"].entries()) {
    proxy.setEndpoints([{ url: urls[at], weight: 2 }]);
    assert.equal((await proxy.get("/")).text(), answer);
    assert.equal(await proxy.execute((ctx) => ctx.endpoint), urls[at]);
  }
  const error = await rejection((async () => proxy.setEndpoints(["two words"]))());
  assert.ok(error instanceof ConfigError && error.field === "endpoints");
});

test("errors are the ambassador's own, with code, target and attempts", async (t) => {
  const gone = await nowhere();
  for (const method of ["get", "fetch"]) {
    const refused = await rejection(proxyFor(gone)[method]("/"));
    assert.ok(refused instanceof ConnectError && refused instanceof TransportError);
    assert.deepEqual([refused.code, refused.target, refused.attempts], ["ERR_AMBASSADOR_CONNECT", gone, 3]);
    assert.ok(refused.elapsedMs > 0 && refused.message.includes("refused"));
  }
  const garbage = await rejection(proxyFor(await serveSockets(t, (socket) => socket.once("data", () => socket.end("what?\r\n\r\n"))), { maxRetries: 1 }).get("/"));
  assert.ok(garbage instanceof ProtocolError, garbage);
  const short = await serveSockets(t, (socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")));
  const cut = await rejection(proxyFor(short, { maxRetries: 1 }).get("/"));
  assert.ok(cut instanceof TransportError, cut);
  const large = await rejection(proxyFor(await serve(t, (request, response) => response.end("x".repeat(2000))), { http: { maxBodyBytes: 1000 }, maxRetries: 1 }).get("/"));
  assert.ok(large instanceof BodyError && large.code === "ERR_AMBASSADOR_BODY", large);
  lines();
});

test("an open circuit refuses requests", async (t) => {
  const proxy = proxyFor(await serve(t, echo));
  proxy.isolate();
  const error = await rejection(proxy.get("/"));
  assert.ok(error instanceof CircuitOpenError, error);
  assert.equal(error.attempts, 0);
});

test("a request that is not answered ends at its bound", async (t) => {
  const proxy = proxyFor(await serve(t, () => {}), { timeoutMs: 20, maxRetries: 2 });
  for (const method of ["get", "fetch"]) {
    const error = await rejection(proxy[method]("/"));
    assert.ok(error instanceof CallTimeoutError, error);
    assert.deepEqual([error.code, error.attempts], ["ERR_AMBASSADOR_TIMEOUT", 2]);
  }
  lines();
});

test("a request has bounds of its own", async (t) => {
  const proxy = proxyFor(await serve(t, () => {}), { timeoutMs: 3600000, maxRetries: 2 });
  for (const method of ["get", "fetch"]) {
    const slow = await rejection(proxy[method]("/", { timeoutMs: 20 }));
    assert.deepEqual([slow.code, slow.attempts], ["ERR_AMBASSADOR_TIMEOUT", 2]);
    const late = await rejection(proxy[method]("/", { timeoutMs: null, deadlineMs: 20 }));
    assert.deepEqual([late.code, late.attempts], ["ERR_AMBASSADOR_DEADLINE", 1]);
    for (const wrong of [0, -1, NaN, "20"]) {
      const error = await rejection(proxy[method]("/", { timeoutMs: wrong }));
      assert.ok(error instanceof TypeError && error.message.startsWith("timeoutMs: "), error);
    }
  }
  lines();
});

test("a head of 50 KB is taken, and one beyond the limit is not", async (t) => {
  // node:http would not send them.
  const url = await serveSockets(t, (socket) => {
    socket.once("data", (asked) => socket.end(`HTTP/1.1 200 OK\r\nx-long: ${"x".repeat(Number(/\/(\d+)/.exec(asked)[1]))}\r\ncontent-length: 0\r\n\r\n`));
  });
  const proxy = proxyFor(url);
  assert.equal((await proxy.get("/50000")).headers["x-long"].length, 50_000);
  assert.equal((await proxy.fetch("/50000")).headers.get("x-long").length, 50_000);
  const error = await rejection(proxy.get("/1000000"));
  assert.ok(error instanceof ProtocolError, error);
});

test("a fallback answers in place of the error", async () => {
  const gone = await nowhere();
  const options = { maxRetries: 1 };
  const byValue = proxyFor(gone, { ...options, fallback: "later" });
  assert.equal(await byValue.get("/"), "later");
  assert.equal(await byValue.fetch("/"), "later");
  assert.equal(byValue.health().calls.fallback, 2);
  const byFunction = proxyFor(gone, { ...options, fallback: async (error) => new Response(error.code) });
  assert.equal(await (await byFunction.fetch("/")).text(), "ERR_AMBASSADOR_CONNECT");
  const failed = new Error("no fallback either");
  const throws = proxyFor(gone, {
    ...options,
    fallback: () => {
      throw failed;
    },
  });
  assert.equal(await rejection(throws.get("/")), failed);
  assert.equal(failed.cause.code, "ERR_AMBASSADOR_CONNECT");
  assert.equal(throws.health().calls.failure, 1);
});

test("the caller's signal ends a request at once, before and while it runs", async (t) => {
  const asked = deferred();
  const url = await serve(t, () => asked.resolve());
  const proxy = proxyFor(url, { timeoutMs: null });
  const reason = new Error("the user went away");
  assert.equal(await rejection(proxy.get("/", { signal: AbortSignal.abort(reason) })), reason);
  assert.equal(proxy.health().calls.cancelled, 0);
  const stop = new AbortController();
  const calls = [proxy.get("/", { signal: stop.signal }), proxy.fetch("/", { signal: stop.signal }), proxy.with({ signal: stop.signal }).get("/")];
  const rejected = Promise.all(calls.map(rejection));
  await asked.promise;
  await until(() => proxy.health().in_flight === 3);
  stop.abort(reason);
  assert.deepEqual(await rejected, [reason, reason, reason]);
  await until(() => proxy.health().calls.cancelled === 3 && proxy.health().in_flight === 0);
});

test("a request that is stopped in the turn that sent it is never made", async (t) => {
  let asked = 0;
  const proxy = proxyFor(await serve(t, (request, response) => response.end(String((asked += 1)))));
  const stop = new AbortController();
  const stopped = rejection(proxy.get("/", { signal: stop.signal }));
  stop.abort("changed my mind");
  assert.equal(await stopped, "changed my mind");
  await until(() => proxy.health().in_flight === 0);
  assert.equal((await proxy.get("/")).text(), String(asked));
});

test("workers make requests, and one that is ended leaves none in flight", async (t) => {
  const url = await serve(t, (request, response) => {
    if (request.url !== "/hangs") response.end("charged");
  });
  const proxy = proxyFor(url, { timeoutMs: null });
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { AmbassadorProxy } = require(workerData.index);
    const proxy = new AmbassadorProxy(workerData.url, { name: workerData.name, timeoutMs: null });
    proxy.get("/").then((response) => {
      proxy.get("/hangs");
      parentPort.postMessage(response.text());
    });`;
  const workerData = { index: new URL("../index.js", import.meta.url).pathname, url, name: proxy.policy.name };
  const workers = Array.from({ length: 3 }, () => new Worker(source, { eval: true, workerData }));
  for (const said of await Promise.all(workers.map((worker) => new Promise((said) => worker.once("message", said))))) assert.equal(said, "charged");
  await until(() => proxy.health().in_flight === 3);
  await Promise.all(workers.map((worker) => worker.terminate()));
  await until(() => proxy.health().in_flight === 0);
  assert.equal(proxy.health().calls.cancelled, 3);
});

const SERVER = `
  import { createServer } from "node:http";
  import { AmbassadorProxy } from "../index.mjs";
  const server = createServer((request, response) => { if (request.url !== "/hangs") setTimeout(() => response.end("charged"), 50); });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  server.unref();
  server.on("connection", (socket) => socket.unref());
  const proxy = new AmbassadorProxy("http://127.0.0.1:" + server.address().port, { timeoutMs: null });`;

test("a request in flight keeps the process alive, and one that is over does not", async () => {
  const { stdout } = await runWell(`${SERVER}
    await proxy.get("/");
    proxy.fetch("/").then((response) => response.text()).then((text) => console.log(text));`);
  assert.equal(stdout, "charged\n");
});

test("a process exits with requests in flight", async () => {
  const { code } = await run(`${SERVER}
    for (let request = 0; request < 20; request++) proxy.get("/hangs");
    setTimeout(() => process.exit(7), 50);`);
  assert.equal(code, 7);
});

test("a hundred thousand requests leave nothing behind", async () => {
  const { stdout } = await runWell(
    `
    import { createServer } from "node:net";
    import { AmbassadorProxy } from "../index.mjs";
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (data) => {
        for (let asked = data.toString("latin1").split("\\r\\n\\r\\n").length - 1; asked > 0; asked--) socket.write("HTTP/1.1 200 OK\\r\\ncontent-length: 7\\r\\n\\r\\ncharged");
      });
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    const proxy = new AmbassadorProxy("http://127.0.0.1:" + server.address().port);
    const signal = new AbortController().signal;
    async function requests(count) {
      let left = count;
      await Promise.all(Array.from({ length: 64 }, async () => {
        while (left-- > 0) {
          const response = left % 10 === 0 ? await proxy.fetch("/", { signal }) : await proxy.get("/", { signal });
          if (await response.text() !== "charged") throw new Error("something else came");
        }
      }));
      gc();
      return process.memoryUsage().rss;
    }
    const before = await requests(20_000);
    const after = await requests(100_000);
    console.log(Math.round((after - before) / 2 ** 20));
    process.exit();
  `,
    { flags: ["--expose-gc", "--max-semi-space-size=2"] },
  );
  assert.ok(Number(stdout) < 30, `${stdout.trim()} MB more`);
});
