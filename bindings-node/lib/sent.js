// A request that was sent, until its response has come: for `fetch` and `request`, which differ in what they make of the response.
"use strict";

const { native } = require("./bridge.js");
const { Upload } = require("./content.js");
const { Incoming } = require("./incoming.js");
const signals = require("./signals.js");
const { present } = require("./tracing.js");
const wire = require("./wire.js");

/** A path as it goes onto the wire; most are. */
const PLAIN = /^\/[!"$-~]*$/;

/** What a request says first, line by line. */
class Lines {
  text;
  count = 2;

  constructor(method, path) {
    this.text = `${line(method)}\n${path}`;
  }

  /** The bounds of its own, before its headers; the flags that tell of them. */
  bounds(timeoutMs, deadlineMs) {
    return this.#bound("timeoutMs", timeoutMs, wire.TIMEOUT) | this.#bound("deadlineMs", deadlineMs, wire.DEADLINE);
  }

  /** What the request comes from in its trace, before its headers; the flag that tells of it. */
  parent() {
    const parent = present();
    if (parent === "") return 0;
    this.text += `\n${parent}`;
    this.count += 2;
    return wire.PARENT;
  }

  #bound(name, length, flag) {
    if (length === undefined) return 0;
    if (length !== null && typeof length !== "number") throw new TypeError(`${name}: expected a number of milliseconds, or null for none`);
    this.text += `\n${length}`;
    this.count += 1;
    return flag;
  }

  header(name, value) {
    this.text += `\n${line(name)}\n${line(value)}`;
    this.count += 2;
  }
}

function line(text) {
  if (text.includes("\n")) throw new TypeError("a method, or a header's name or value, has a line break in it");
  return text;
}

/** A path, or a URL of the target's own, without its fragment. */
function pathOf(input) {
  if (PLAIN.test(input)) return input;
  if (input.startsWith("/")) return pathAndQuery(new URL(`http://target${input}`));
  if (!/^[a-z][a-z\d+.-]*:/i.test(input)) return pathAndQuery(new URL(input, "http://target/"));
  const url = new URL(input);
  if (url.username !== "" || url.password !== "") throw new TypeError("a URL with credentials is none for a request; give them as `auth`");
  return url.origin + pathAndQuery(url);
}

function pathAndQuery({ pathname, search }) {
  return pathname + search;
}

class Sent {
  #resolve;
  #reject;
  #signal;
  #upload;
  #id = -1;

  constructor(core, signal, resolve, reject) {
    this.core = core;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get signal() {
    return this.#signal;
  }

  send(lines, flags, { bytes, stream }) {
    if (stream !== undefined) this.#upload = new Upload(stream);
    if (this.#signal?.aborted) {
      this.#upload?.enough();
      return this.#reject(this.#signal.reason);
    }
    this.#id = wire.send(this.core, this, lines.text, lines.count, stream === undefined ? flags : flags | wire.UPLOAD, bytes);
    this.#upload?.begin(this.#id);
    if (this.#signal !== undefined) signals.watch(this.#signal, this);
  }

  /** For `signals`: the caller does not want it any more (A3). */
  stop(reason) {
    wire.giveUp(this.#id);
    this.#upload?.enough();
    this.#reject(reason);
  }

  // For `wire`.

  responded(status, head, body, first, attempts) {
    this.#forget();
    try {
      this.#resolve(this.respond(status, head, body ?? new Incoming(this.core, this.#id, first, this.#signal), attempts));
    } catch (error) {
      this.#reject(error);
    }
  }

  failed(error, isAnswering) {
    const failure = this.#upload?.failure;
    if (failure !== undefined) error = failure.error;
    this.#upload?.enough();
    // H2
    if (isAnswering) return this.#fallBack(error);
    this.#forget();
    this.#reject(error);
  }

  invalid(why) {
    this.#forget();
    this.#upload?.enough();
    this.#reject(new TypeError(why));
  }

  async #fallBack(error) {
    const { fallback } = this.core;
    let isOver = false;
    this.stop = (reason) => {
      isOver = true;
      native.giveUp(native.instance, this.#id);
      this.#reject(reason);
    };
    try {
      const answer = typeof fallback === "function" ? await fallback(error) : fallback;
      if (isOver) return;
      native.answer(native.instance, this.#id, true);
      this.#resolve(answer);
    } catch (failed) {
      if (isOver) return;
      native.answer(native.instance, this.#id, false);
      if (failed instanceof Error && failed !== error && !("cause" in failed) && Object.isExtensible(failed)) {
        Object.defineProperty(failed, "cause", { value: error, configurable: true, writable: true });
      }
      this.#reject(failed);
    }
    this.#forget();
  }

  #forget() {
    if (this.#signal !== undefined) signals.forget(this.#signal, this);
  }
}

/** The flags of a request that may safely be made twice, or not. */
function repeating(idempotent) {
  if (idempotent === undefined || idempotent === null) return 0;
  if (typeof idempotent !== "boolean") throw new TypeError("idempotent: expected true or false");
  return idempotent ? wire.IDEMPOTENT : wire.NOT_IDEMPOTENT;
}

/** Calls back with each name and value of what may be given as headers; whether one is `content-type`. */
function eachHeader(headers, tell) {
  let hasType = false;
  const one = (name, value) => {
    if (value === undefined) return;
    tell(name, typeof value === "string" ? value.trim() : String(value));
    hasType ||= name.length === 12 && name.toLowerCase() === "content-type";
  };
  if (headers === undefined || headers === null) return false;
  if (typeof headers !== "object") throw new TypeError("headers: expected an object, a Headers, or a list of pairs");
  if (typeof headers[Symbol.iterator] === "function") {
    for (const [name, value] of headers) one(String(name), value);
  } else {
    for (const name of Object.keys(headers)) {
      const value = headers[name];
      if (Array.isArray(value)) for (const each of value) one(name, each);
      else one(name, value);
    }
  }
  return hasType;
}

module.exports = { Lines, Sent, eachHeader, pathOf, repeating };
