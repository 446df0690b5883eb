// What the tests share: proxies with short waits, the retry lines, other processes, and the core's switches for tests.
import assert from "node:assert/strict";
import { subscribe } from "node:diagnostics_channel";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createServer as createSocketServer } from "node:net";
import { fileURLToPath } from "node:url";
import { AmbassadorProxy } from "../index.mjs";

const require = createRequire(import.meta.url);
export const { native } = require("../lib/bridge.js");
export const { handleOf } = require("../lib/proxy.js");
export const { fields } = require("../lib/settings.js");

export const TARGET = "payment-api.example.com";

/** Every retry that was told in this process. */
export const retries = [];
subscribe("ambassador:retry", (retry) => retries.push(retry));

/** The lines of the retries so far, which are forgotten. */
export function lines() {
  return retries.splice(0).map(({ line }) => line);
}

let made = 0;

/** A proxy that waits a millisecond between attempts, with a state of its own. */
export function proxyOf(options = {}) {
  made += 1;
  return new AmbassadorProxy(TARGET, { name: `test ${process.pid} ${made}`, backoff: { baseMs: 1, jitter: "none" }, ...options });
}

/** A function that fails with these errors one after the other, and then returns its arguments. */
export function failing(...errors) {
  const fn = async (...args) => {
    fn.ran += 1;
    if (errors.length > 0) throw errors.shift();
    return args;
  };
  fn.ran = 0;
  return fn;
}

/** What a promise rejects with, whatever that is. */
export async function rejection(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  assert.fail(`it did not reject, but brought ${value}`);
}

/** A promise, and what settles it. */
export function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** Runs until the health of the proxy is as it should be; the event loop turns in between. */
export async function until(isSo) {
  while (!isSo()) await new Promise(setImmediate);
}

/** Blocks the event loop until then. */
export function blockUntil(instant) {
  while (performance.now() < instant);
}

/** Runs a module in a process of its own, in the folder of this one; how it ended and what it said. */
export async function run(source, { type = "module", flags = [], env = {} } = {}) {
  const begun = performance.now();
  const child = spawn(process.execPath, [...flags, `--input-type=${type}`, "--eval", source], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    env: { ...process.env, ...env },
  });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) child[stream].setEncoding("utf8").on("data", (text) => (said[stream] += text));
  const [code, signal] = await new Promise((ended) => child.on("close", (...how) => ended(how)));
  return { code, signal, ms: performance.now() - begun, ...said };
}

/** {@link run}, for a module that ends well. */
export async function runWell(source, options) {
  const ended = await run(source, options);
  assert.equal(ended.code, 0, `${ended.signal ?? ""} ${ended.stderr}`);
  return ended;
}

/** A server on loopback for as long as the test runs: its URL. */
export async function serve(t, listener) {
  const server = createServer(listener);
  await listening(t, server);
  return `http://127.0.0.1:${server.address().port}`;
}

/** The same, of bare connections. */
export async function serveSockets(t, onSocket) {
  const server = createSocketServer((socket) => {
    // Who is sent away may say so by a reset.
    socket.on("error", () => {});
    onSocket(socket);
  });
  await listening(t, server);
  return `http://127.0.0.1:${server.address().port}`;
}

async function listening(t, server) {
  const sockets = new Set();
  server.on("connection", (socket) => sockets.add(socket.on("close", () => sockets.delete(socket))));
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((closed) => server.close(closed));
  });
}

/** All of what comes. */
export async function textOf(stream) {
  let text = "";
  for await (const piece of stream) text += piece;
  return text;
}

/** A URL of loopback where nothing listens. */
export async function nowhere() {
  const server = createSocketServer();
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return `http://127.0.0.1:${port}`;
}

/** {@link proxyOf}, for that target. */
export function proxyFor(target, options = {}) {
  made += 1;
  return new AmbassadorProxy(target, { name: `test ${process.pid} ${made}`, backoff: { baseMs: 1, jitter: "none" }, ...options });
}
