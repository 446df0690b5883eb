// The admin server's routes, answered from a World: with the very files of the page and the headers that it has to live under. A
// test decides when time goes on, what happens, and whether anybody answers at all.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";

import { World } from "./world.mjs";

/** @import { ServerResponse } from "node:http" */
/** @import { AddressInfo, Socket } from "node:net" */
/** @import { Told } from "../../core/src/telemetry/dashboard/schema.js" */

const FOLDER = new URL("../../core/src/telemetry/dashboard/", import.meta.url);
const CSP = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:";
/** @type {Record<string, string>} */
const TYPES = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8" };

export const TOKEN = "let me in";

export class Mock {
  world = new World();
  /** What was asked to be done: `isolate payments`. @type {string[]} */
  done = [];
  /** How many snapshots were given. */
  served = 0;
  isDown = false;
  /** Whether the token has to be shown for everything but the page itself. */
  isLocked = false;
  /** @type {Set<ServerResponse>} */
  #streams = new Set();
  /** @type {Set<Socket>} */
  #sockets = new Set();
  #server = createServer((request, response) => {
    if (this.isDown) return void request.socket.destroy();
    void this.#answer(request.method ?? "", new URL(request.url ?? "", "http://mock").pathname, request.headers.authorization, response);
  });

  constructor() {
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${/** @type {AddressInfo} */ (this.#server.address()).port}/`;
  }

  stop() {
    this.#cut();
    this.#server.close();
  }

  #cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** From now on nobody answers. */
  fall() {
    this.isDown = true;
    this.#cut();
  }

  rise() {
    this.isDown = false;
  }

  get listeners() {
    return this.#streams.size;
  }

  /** @param {string} type @param {string} name @param {Told["level"]} level @param {string} text @param {Partial<Told>} [fields] */
  tell(type, name, level, text, fields) {
    const event = { type, name, level, message: `${name}: ${text}`, at_ms: this.world.now, ...fields };
    for (const stream of this.#streams) stream.write(`event: ${type}\ndata: ${JSON.stringify(event)}\n\n`);
  }

  /** @param {string} method @param {string} path @param {string | undefined} authorization @param {ServerResponse} response */
  async #answer(method, path, authorization, response) {
    const headers = { "content-security-policy": CSP, "x-content-type-options": "nosniff", "cache-control": "no-store" };
    const json = (/** @type {unknown} */ value) => response.writeHead(200, { ...headers, "content-type": "application/json" }).end(JSON.stringify(value));
    if (this.isLocked && path.startsWith("/v1/") && authorization !== `Bearer ${TOKEN}`) return response.writeHead(401, headers).end();
    if (path === "/v1/snapshot") {
      this.world.tick();
      this.served++;
      return json(this.world.snapshot());
    }
    if (path === "/v1/config") return json(this.world.config());
    if (path === "/v1/events") {
      response.writeHead(200, { ...headers, "content-type": "text/event-stream" }).write(":\n\n");
      this.#streams.add(response);
      return response.on("close", () => this.#streams.delete(response));
    }
    const action = /^\/v1\/targets\/([^/]+)\/(isolate|reset)$/.exec(path);
    if (action && method === "POST") {
      if (authorization !== `Bearer ${TOKEN}`) return response.writeHead(401, headers).end("the token is wrong");
      const name = decodeURIComponent(action[1] ?? "");
      this.done.push(`${action[2]} ${name}`);
      this.world.have({ name, calls: 0, circuit: action[2] === "isolate" ? "isolated" : "closed" });
      return response.writeHead(204, headers).end();
    }
    const file = path === "/" ? "index.html" : path.slice(1);
    const type = TYPES[file.split(".").at(-1) ?? ""];
    const text = /^[a-z]+\.[a-z]+$/.test(file) && type ? await readFile(new URL(file, FOLDER)).catch(() => null) : null;
    if (!text) return response.writeHead(404, headers).end();
    return response.writeHead(200, { ...headers, "content-type": /** @type {string} */ (type) }).end(text);
  }
}
