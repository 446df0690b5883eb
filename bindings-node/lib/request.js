// `proxy.request`: HTTP by the core, and a response that costs little.
"use strict";

const { contentOf } = require("./content.js");
const { Lines, Sent, eachHeader, pathOf, repeating } = require("./sent.js");
const { STREAM } = require("./wire.js");

const NOTHING = {};

/** The headers of a response: names in lower case; `set-cookie` is a list, what else comes twice is joined. */
function headersOf(head) {
  const headers = { __proto__: null };
  const flat = head.latin1Slice().split("\n");
  // The first line is the endpoint.
  for (let at = 1; at < flat.length; at += 2) {
    const name = flat[at];
    const value = flat[at + 1];
    if (name === "set-cookie") (headers[name] ??= []).push(value);
    else headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return headers;
}

class HttpResponse {
  #head;
  #headers;

  constructor(status, head, body, attempts) {
    this.status = status;
    this.body = body;
    this.attempts = attempts;
    this.#head = head;
  }

  get endpoint() {
    const end = this.#head.indexOf(10);
    return this.#head.latin1Slice(0, end < 0 ? this.#head.length : end);
  }

  get ok() {
    return this.status >= 200 && this.status <= 299;
  }

  get headers() {
    return (this.#headers ??= headersOf(this.#head));
  }

  text() {
    return this.body.toString();
  }

  json() {
    return JSON.parse(this.body.toString());
  }
}

class HttpStream extends HttpResponse {
  async bytes() {
    const pieces = [];
    for await (const piece of this.body) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async text() {
    return (await this.bytes()).toString();
  }

  async json() {
    return JSON.parse(await this.text());
  }

  [Symbol.asyncIterator]() {
    return this.body[Symbol.asyncIterator]();
  }
}

class Requested extends Sent {
  respond(status, head, body, attempts) {
    return new HttpResponse(status, head, body, attempts);
  }
}

class RequestedStream extends Sent {
  respond(status, head, body, attempts) {
    return new HttpStream(status, head, body instanceof Uint8Array ? whole(body) : body, attempts);
  }
}

/** A body that came whole, as one that comes piece by piece. */
async function* whole(body) {
  if (body.length > 0) yield body;
}

/** @returns a promise of an `HttpResponse`, or of an `HttpStream` */
function request(core, options, signal) {
  return new Promise((resolve, reject) => {
    if (typeof options !== "object" || options === null) throw new TypeError("request: expected an object of options");
    const { method = "GET", path = "/", query, headers, body, json, stream = false, idempotent, timeoutMs, deadlineMs } = options;
    if (typeof method !== "string") throw new TypeError("method: expected a string");
    const lines = new Lines(method, pathOf(query === undefined || query === null ? `${path}` : queried(`${path}`, query)));
    const bounds = lines.bounds(timeoutMs, deadlineMs) | lines.parent();
    let hasType = eachHeader(headers, (name, value) => lines.header(name, value));
    const sent = stream ? new RequestedStream(core, signal, resolve, reject) : new Requested(core, signal, resolve, reject);
    const flags = (stream ? STREAM : 0) | repeating(idempotent) | bounds;
    if (json !== undefined) {
      if (body !== undefined && body !== null) throw new TypeError("json: there is a body already");
      if (!hasType) lines.header("content-type", "application/json");
      return sent.send(lines, flags, { bytes: Buffer.from(JSON.stringify(json)) });
    }
    if (body === undefined || body === null) return sent.send(lines, flags, NOTHING);
    const finish = (content) => {
      if (!hasType && content.type !== undefined) lines.header("content-type", content.type);
      sent.send(lines, flags, content);
    };
    const content = contentOf(body);
    if (typeof content.then === "function") content.then(finish).catch(reject);
    else finish(content);
  });
}

function queried(path, query) {
  let all = query;
  if (typeof query === "object" && typeof query[Symbol.iterator] !== "function") {
    all = Object.entries(query).flatMap(([name, value]) => [value].flat().filter((one) => one !== undefined && one !== null).map((one) => [name, one]));
  }
  const text = new URLSearchParams(all).toString();
  if (text === "") return path;
  return `${path}${path.includes("?") ? "&" : "?"}${text}`;
}

module.exports = { HttpResponse, HttpStream, request, headersOf };
