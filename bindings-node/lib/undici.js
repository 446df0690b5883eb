// A dispatcher for undici, and so for the global `fetch`: what they send goes by the core, through a proxy of the origin's. Handlers have
// two forms, of which undici's releases know one or both: `onConnect`, `onHeaders` …, and `onRequestStart`, `onResponseStart` ….
"use strict";

const { EventEmitter } = require("node:events");
const { STATUS_CODES } = require("node:http");
const { native } = require("./bridge.js");
const { REPLAYED, Upload, contentOf } = require("./content.js");
const { Incoming } = require("./incoming.js");
const { AmbassadorProxy, coreOf } = require("./proxy.js");
const { headersOf } = require("./request.js");
const { Lines, pathOf, repeating } = require("./sent.js");
const wire = require("./wire.js");

/** Where undici and Node look for the dispatcher of `fetch`. */
const GLOBALS = ["undici.globalDispatcher.1", "undici.globalDispatcher.2"].map((name) => Symbol.for(name));
const MOST_ORIGINS = 256;

class AmbassadorDispatcher extends EventEmitter {
  #options;
  #given;
  #most;
  /** The proxies of origins that none was given for, the one that was used last at the end. */
  #made = new Map();
  #inFlight = new Set();
  #isClosed = false;
  #whenIdle = [];

  constructor(options = {}) {
    super();
    const { origins = {}, maxOrigins = MOST_ORIGINS, ...rest } = options;
    if (!(Number.isInteger(maxOrigins) && maxOrigins > 0)) throw new TypeError("maxOrigins: expected a whole number above 0");
    // `fetch` unpacks bodies itself, and undici leaves that to whoever asks.
    this.#options = { ...rest, http: { decompress: false, ...rest.http } };
    this.#given = new Map(Object.entries(origins).map(([origin, proxy]) => [new URL(origin).origin, proxy]));
    this.#most = maxOrigins;
    // What is wrong with the settings is said here, and not by the first request.
    new AmbassadorProxy("localhost", { ...this.#options, name: "settings of a dispatcher" });
  }

  dispatch(options, handler) {
    const told = typeof handler.onRequestStart === "function" ? new Controlled(handler) : new Legacy(handler);
    const dispatched = new Dispatched(told, () => this.#ended(dispatched));
    try {
      if (this.#isClosed) throw Object.assign(new Error("the dispatcher is closed"), { code: "UND_ERR_CLOSED" });
      if (options.method === "CONNECT" || (options.upgrade !== undefined && options.upgrade !== null && options.upgrade !== false)) {
        throw new TypeError("an upgraded connection is none for the ambassador; use another dispatcher for it");
      }
      this.#inFlight.add(dispatched);
      dispatched.send(coreOf(this.#proxyOf(new URL(options.origin).origin)), options);
    } catch (error) {
      dispatched.fail(error);
    }
    return true;
  }

  /** Refuses requests from now on; resolves when those in flight have ended. */
  close(callback) {
    this.#isClosed = true;
    const closed = new Promise((resolve) => {
      if (this.#inFlight.size === 0) resolve();
      else this.#whenIdle.push(resolve);
    });
    if (typeof callback !== "function") return closed;
    closed.then(() => callback(null));
  }

  /** Refuses requests from now on, and ends those in flight. */
  destroy(error, callback) {
    if (typeof error === "function") [error, callback] = [undefined, error];
    this.#isClosed = true;
    for (const dispatched of this.#inFlight) dispatched.abort(error ?? Object.assign(new Error("the dispatcher was destroyed"), { code: "UND_ERR_DESTROYED" }));
    if (typeof callback !== "function") return Promise.resolve();
    queueMicrotask(() => callback(null));
  }

  #ended(dispatched) {
    this.#inFlight.delete(dispatched);
    if (this.#inFlight.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #proxyOf(origin) {
    const given = this.#given.get(origin);
    if (given instanceof AmbassadorProxy) return given;
    const made = this.#made.get(origin) ?? new AmbassadorProxy(origin, { ...this.#options, ...given });
    this.#made.delete(origin);
    this.#made.set(origin, made);
    if (this.#made.size > this.#most) this.#made.delete(this.#made.keys().next().value);
    return made;
  }
}

/** A request of undici's. */
class Dispatched {
  #told;
  #onEnd;
  #id = -1;
  #upload;
  #incoming;
  #isOver = false;
  #resumed;
  core;

  constructor(told, onEnd) {
    this.#told = told;
    this.#onEnd = onEnd;
  }

  send(core, options) {
    this.core = core;
    this.#told.begin(
      (reason) => this.abort(reason),
      () => this.#resume(),
    );
    if (this.#isOver) return;
    const lines = new Lines(options.method ?? "GET", pathOf(queried(options.path ?? "/", options.query)));
    const parent = lines.parent();
    let hasType = false;
    let length = NaN;
    eachHeader(options.headers, (name, value) => {
      const lower = name.toLowerCase();
      if (lower === "content-type") hasType = true;
      if (lower === "content-length") length = Number(value);
      lines.header(name, value);
    });
    const flags = wire.STREAM | repeating(options.idempotent === true ? true : undefined) | parent;
    const { body } = options;
    if (body === undefined || body === null) return this.#send(lines, flags, {});
    const finish = (content) => {
      if (this.#isOver) return;
      // A string that undici sends has no type either.
      if (!hasType && content.type !== undefined && typeof body !== "string") lines.header("content-type", content.type);
      this.#send(lines, flags, content);
    };
    let content = contentOf(body);
    // Whatever `fetch` sends is a stream by now.
    if (content.stream !== undefined && length <= REPLAYED) content = collected(content.stream);
    if (typeof content.then === "function") content.then(finish).catch((error) => this.fail(error));
    else finish(content);
  }

  #send(lines, flags, { bytes, stream }) {
    if (stream !== undefined) this.#upload = new Upload(stream);
    this.#id = wire.send(this.core, this, lines.text, lines.count, stream === undefined ? flags : flags | wire.UPLOAD, bytes);
    this.#upload?.begin(this.#id);
  }

  abort(reason) {
    if (this.#isOver) return;
    if (this.#incoming !== undefined) this.#incoming.cancel();
    else if (this.#id >= 0) wire.giveUp(this.#id);
    this.fail(reason ?? Object.assign(new Error("Request aborted"), { name: "AbortError", code: "UND_ERR_ABORTED" }));
  }

  fail(error) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#upload?.enough();
    this.#resume();
    this.#told.failed(error);
    this.#onEnd();
  }

  // For `wire`.

  responded(status, head, body, first) {
    if (body === null) this.#incoming = new Incoming(this.core, this.#id, first, undefined);
    this.#relay(status, head, body).catch((error) => {
      this.#incoming?.cancel();
      this.fail(error);
    });
  }

  failed(error, isAnswering) {
    // A fallback's answer is no response.
    if (isAnswering) native.answer(native.instance, this.#id, false);
    this.fail(this.#upload?.failure?.error ?? error);
  }

  invalid(why) {
    this.fail(new TypeError(why));
  }

  async #relay(status, head, body) {
    if (this.#told.responded(status, head) === false) await this.#pause();
    if (body !== null) {
      if (body.length > 0 && !this.#isOver && this.#told.piece(body) === false) await this.#pause();
    } else {
      for (let piece; !this.#isOver && (piece = await this.#incoming.next()) !== undefined; ) {
        if (!this.#isOver && this.#told.piece(piece) === false) await this.#pause();
      }
    }
    if (this.#isOver) return;
    this.#isOver = true;
    this.#told.ended();
    this.#onEnd();
  }

  #pause() {
    return new Promise((resolve) => {
      this.#resumed = resolve;
    });
  }

  #resume() {
    this.#resumed?.();
    this.#resumed = undefined;
  }
}

/** The form up to undici 7: what pauses is `false`, and what goes on a function. */
class Legacy {
  #handler;
  #resume;

  constructor(handler) {
    this.#handler = handler;
  }

  begin(abort, resume) {
    this.#resume = resume;
    this.#handler.onConnect?.(abort, null);
    this.#handler.onRequestSent?.();
  }

  responded(status, head) {
    this.#handler.onResponseStarted?.();
    return this.#handler.onHeaders(status, rawOf(head), this.#resume, STATUS_CODES[status] ?? "");
  }

  piece(piece) {
    return this.#handler.onData(piece);
  }

  ended() {
    this.#handler.onComplete([]);
  }

  failed(error) {
    this.#handler.onError(error);
  }
}

/** The form from undici 7 on: a controller pauses, goes on and aborts. */
class Controlled {
  #handler;
  #abort;
  #resume;
  #isPaused = false;
  #aborted = { is: false, reason: null };
  rawHeaders = null;
  rawTrailers = null;

  constructor(handler) {
    this.#handler = handler;
  }

  get paused() {
    return this.#isPaused;
  }

  get aborted() {
    return this.#aborted.is;
  }

  get reason() {
    return this.#aborted.reason;
  }

  pause() {
    this.#isPaused = true;
  }

  resume() {
    this.#isPaused = false;
    this.#resume?.();
  }

  abort(reason) {
    if (this.#aborted.is) return;
    this.#aborted = { is: true, reason };
    this.#abort?.(reason);
  }

  begin(abort, resume) {
    this.#abort = abort;
    this.#resume = resume;
    this.#handler.onRequestStart(this, null);
  }

  responded(status, head) {
    this.rawHeaders = rawOf(head);
    this.#handler.onResponseStart?.(this, status, headersOf(head), STATUS_CODES[status] ?? "");
    return !this.#isPaused;
  }

  piece(piece) {
    this.#handler.onResponseData?.(this, piece);
    return !this.#isPaused;
  }

  ended() {
    this.#handler.onResponseEnd?.(this, {});
  }

  failed(error) {
    this.#handler.onResponseError?.(this, error);
  }
}

/** Names and values by turns, as undici has them; behind the endpoint, which is the first line. */
function rawOf(head) {
  return head.latin1Slice().split("\n").slice(1).map((text) => Buffer.from(text, "latin1"));
}

/** Headers as undici takes them: names and values by turns, pairs, or an object. */
function eachHeader(headers, tell) {
  const one = (name, value) => {
    for (const each of [value].flat()) if (each !== undefined && each !== null) tell(`${name}`, `${each}`);
  };
  if (headers === undefined || headers === null) return;
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    for (let at = 0; at < headers.length; at += 2) one(headers[at], headers[at + 1]);
  } else if (typeof headers[Symbol.iterator] === "function") {
    for (const [name, value] of headers) one(name, value);
  } else {
    for (const [name, value] of Object.entries(headers)) one(name, value);
  }
}

function queried(path, query) {
  return query === undefined || query === null ? path : `${path}?${new URLSearchParams(query)}`;
}

/** A stream that is short, as bytes, which can be sent again (P4). */
async function collected(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(Buffer.from(piece));
  return { bytes: Buffer.concat(pieces) };
}

/** Makes that dispatcher the one of the global `fetch`, and of undici. */
function setGlobalDispatcher(dispatcher) {
  if (typeof dispatcher?.dispatch !== "function") throw new TypeError("setGlobalDispatcher: expected a dispatcher");
  for (const name of GLOBALS) {
    Object.defineProperty(globalThis, name, { value: dispatcher, writable: true, enumerable: false, configurable: false });
  }
}

module.exports = { AmbassadorDispatcher, setGlobalDispatcher };
