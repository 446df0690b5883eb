// Bodies that are streams, both ways: a piece at a time, whatever their length; and how they end.
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import test from "node:test";
import { BodyError, TransportError } from "../index.mjs";
import { deferred, lines, proxyFor, rejection, runWell, serve, serveSockets, textOf, until } from "./support.mjs";

test("a response is there with its head, and its body comes as it is sent", async (t) => {
  for (const make of [(proxy) => proxy.get("/", { stream: true }), (proxy) => proxy.fetch("/")]) {
    const go = deferred();
    const url = await serve(t, async (request, response) => {
      response.write("one ");
      await go.promise;
      response.end("two");
    });
    const response = await make(proxyFor(url));
    assert.equal(response.status, 200);
    const pieces = response.body[Symbol.asyncIterator]();
    assert.equal(String(Buffer.from((await pieces.next()).value)), "one ");
    go.resolve();
    let rest = "";
    for (let next; !(next = await pieces.next()).done; ) rest += Buffer.from(next.value);
    assert.equal(rest, "two");
  }
});

test("a stream is read as bytes, text, JSON or piece by piece", async (t) => {
  const url = await serve(t, (request, response) => {
    response.write('{"status":');
    setImmediate(() => response.end('"charged"}'));
  });
  const proxy = proxyFor(url);
  const stream = () => proxy.get("/", { stream: true });
  assert.deepEqual(await (await stream()).json(), { status: "charged" });
  assert.equal(await (await stream()).text(), '{"status":"charged"}');
  assert.equal((await (await stream()).bytes()).length, 20);
  let text = "";
  for await (const piece of await stream()) text += piece;
  assert.equal(text, '{"status":"charged"}');
  assert.deepEqual(await (await proxy.fetch("/")).json(), { status: "charged" });
  assert.equal((await (await proxy.fetch("/")).clone().text()).length, 20);
});

test("somebody reads into a buffer of his own", async (t) => {
  const url = await serve(t, (request, response) => response.end("x".repeat(200_000)));
  const reader = (await proxyFor(url).fetch("/")).body.getReader({ mode: "byob" });
  let length = 0;
  for (let next; !(next = await reader.read(new Uint8Array(5000))).done; ) length += next.value.length;
  assert.equal(length, 200_000);
});

const MEGABYTES = 100;

test("100 MB go each way in bounded memory", async () => {
  const { stdout } = await runWell(
    `
    import { createServer } from "node:http";
    import { Worker, isMainThread, parentPort } from "node:worker_threads";
    import { once } from "node:events";
    import { AmbassadorProxy } from "../index.mjs";
    const piece = Buffer.alloc(1 << 16, "x");
    const server = createServer(async (request, response) => {
      let length = 0;
      for await (const piece of request) length += piece.length;
      if (request.method === "POST") return response.end(String(length));
      for (let sent = 0; sent < ${MEGABYTES} << 20; sent += piece.length) if (!response.write(piece)) await once(response, "drain");
      response.end();
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    const proxy = new AmbassadorProxy("http://127.0.0.1:" + server.address().port, { timeoutMs: null });
    let most = 0;
    async function down(body) {
      let length = 0;
      for await (const piece of body) {
        length += piece.length;
        most = Math.max(most, process.memoryUsage().rss);
      }
      return length;
    }
    async function* up() {
      for (let sent = 0; sent < ${MEGABYTES} << 20; sent += piece.length) {
        yield piece;
        most = Math.max(most, process.memoryUsage().rss);
      }
    }
    await (await proxy.fetch("/", { method: "POST", body: "warm" })).text();
    gc();
    const before = process.memoryUsage().rss;
    const lengths = [
      await down((await proxy.get("/", { stream: true })).body),
      await down((await proxy.fetch("/")).body),
      Number((await proxy.post("/", { body: up() })).text()),
      Number(await (await proxy.fetch("/", { method: "POST", duplex: "half", body: up() })).text()),
    ];
    console.log(JSON.stringify({ lengths, more: Math.round((most - before) / 2 ** 20) }));
    process.exit();
  `,
    { flags: ["--expose-gc", "--max-semi-space-size=2"] },
  );
  const { lengths, more } = JSON.parse(stdout);
  assert.deepEqual(lengths, Array(4).fill(MEGABYTES * 2 ** 20));
  // The server's own pieces are in there too.
  assert.ok(more < 100, `${more} MB more`);
});

test("a body that nobody reads is not fetched", async (t) => {
  const isFull = deferred();
  const url = await serve(t, (request, response) => {
    const piece = Buffer.alloc(1 << 20);
    let sent = 0;
    const send = () => {
      while (sent < 500 && response.write(piece)) sent += 1;
      // It waits for who does not read.
      if (sent < 500) response.once("drain", send);
      isFull.resolve(() => sent);
    };
    send();
  });
  const proxy = proxyFor(url);
  const response = await proxy.get("/", { stream: true });
  const sent = await isFull.promise;
  assert.ok(sent() < 500);
  await response.body[Symbol.asyncIterator]().return();
});

test("who lets go of a stream ends it", async (t) => {
  const closed = [];
  const url = await serve(t, (request, response) => {
    const over = deferred();
    closed.push(over.promise);
    response.on("close", over.resolve);
    response.write("x".repeat(100_000));
  });
  const proxy = proxyFor(url);
  for await (const piece of await proxy.get("/", { stream: true })) {
    assert.ok(piece.length > 0);
    break;
  }
  await closed[0];
  const response = await proxy.fetch("/");
  await response.body.cancel();
  await closed[1];
});

test("the caller's signal ends the reading of a response", async (t) => {
  const url = await serve(t, (request, response) => response.write("x".repeat(100_000)));
  const reason = new Error("the user went away");
  const read = [
    async (proxy, signal) => {
      for await (const _ of await proxy.get("/", { stream: true, signal })) if (_.length === 0) return;
    },
    async (proxy, signal) => (await proxy.fetch("/", { signal })).text(),
  ];
  for (const reading of read) {
    const proxy = proxyFor(url);
    const stop = new AbortController();
    const failed = rejection(reading(proxy, stop.signal));
    await until(() => proxy.health().calls.ok === 1);
    await new Promise(setImmediate);
    stop.abort(reason);
    assert.equal(await failed, reason);
  }
});

test("a body that is cut off is an error where it is read", async (t) => {
  const url = await serveSockets(t, (socket) => {
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n${"x".repeat(200_000)}`);
      socket.end();
    });
  });
  const proxy = proxyFor(url);
  for (const read of [async () => (await proxy.get("/", { stream: true })).text(), async () => (await proxy.fetch("/")).text()]) {
    const error = await rejection(read());
    assert.ok(error instanceof TransportError, error);
    assert.equal(error.target, url);
  }
});

test("a stream of the caller's is sent again as far as it is short", async (t) => {
  const came = [];
  const url = await serve(t, async (request, response) => {
    came.push((await textOf(request)).length);
    response.writeHead(came.length % 2 === 1 ? 503 : 200).end();
  });
  async function* pieces(count) {
    for (let piece = 0; piece < count; piece++) yield "x".repeat(1000);
  }
  const proxy = proxyFor(url, { http: { replayBytes: 5000 } });
  assert.equal((await proxy.put("/", { body: pieces(5) })).status, 200);
  assert.equal((await proxy.put("/", { body: pieces(6) })).status, 503);
  assert.deepEqual(came, [5000, 5000, 6000]);
  lines();
});

test("a stream of the caller's that fails fails its request with the same error", async (t) => {
  const url = await serve(t, (request) => request.resume());
  const proxy = proxyFor(url);
  const failed = new Error("the disk is gone");
  async function* failing() {
    yield "x";
    throw failed;
  }
  assert.equal(await rejection(proxy.post("/", { body: failing() })), failed);
  assert.equal(await rejection(proxy.fetch("/", { method: "POST", duplex: "half", body: Readable.toWeb(Readable.from(failing())) })), failed);
  const nothing = (async function* () {
    yield 7;
  })();
  assert.ok((await rejection(proxy.post("/", { body: nothing }))) instanceof TypeError);
  assert.ok(BodyError.prototype instanceof TransportError);
  lines();
});

test("a stream of the caller's is ended when the request is", async (t) => {
  const url = await serve(t, (request) => request.resume());
  const proxy = proxyFor(url);
  // One that was never asked for anything has nothing to end.
  const [begun, ended] = [deferred(), deferred()];
  async function* endless() {
    try {
      begun.resolve();
      for (;;) {
        yield "x";
        await new Promise(setImmediate);
      }
    } finally {
      ended.resolve();
    }
  }
  const stop = new AbortController();
  const stopped = rejection(proxy.post("/", { body: endless(), signal: stop.signal }));
  await begun.promise;
  assert.equal(proxy.health().in_flight, 1);
  stop.abort("enough");
  assert.equal(await stopped, "enough");
  await ended.promise;
});

test("a response that is forgotten unread is given up", async () => {
  await runWell(
    `
    import { createServer } from "node:http";
    import { AmbassadorProxy } from "../index.mjs";
    const closed = new Promise((closed) => {
      globalThis.server = createServer((request, response) => {
        response.on("close", closed);
        response.write("x".repeat(1_000_000));
      });
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    const proxy = new AmbassadorProxy("http://127.0.0.1:" + server.address().port);
    await proxy.fetch("/").then(({ status }) => status);
    const collect = setInterval(gc, 1);
    await closed;
    clearInterval(collect);
    process.exit();
  `,
    { flags: ["--expose-gc"] },
  );
});
