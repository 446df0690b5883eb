// What may be a request's body, both of `fetch` and of `request`: bytes, which may be sent again with another attempt, or a stream.
"use strict";

const { native } = require("./bridge.js");
const wire = require("./wire.js");

/** A Blob or a form up to this is read into memory, so that it can be sent again (P4). */
const REPLAYED = 1 << 20;

/** `{ bytes, stream, type }`, of which each may be undefined; or a promise of that. */
function contentOf(body) {
  if (typeof body === "string") return { bytes: Buffer.from(body), type: "text/plain;charset=UTF-8" };
  if (body instanceof Uint8Array) return { bytes: body };
  if (ArrayBuffer.isView(body)) return { bytes: new Uint8Array(body.buffer, body.byteOffset, body.byteLength) };
  if (body instanceof ArrayBuffer || body instanceof SharedArrayBuffer) return { bytes: new Uint8Array(body) };
  if (body instanceof URLSearchParams) {
    return { bytes: Buffer.from(body.toString()), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  if (body instanceof Blob) {
    const type = body.type === "" ? undefined : body.type;
    return body.size > REPLAYED ? { stream: body.stream(), type } : body.arrayBuffer().then((buffer) => ({ bytes: new Uint8Array(buffer), type }));
  }
  if (body instanceof FormData) {
    const form = new Response(body);
    const type = form.headers.get("content-type");
    let size = 0;
    for (const [name, value] of body) size += name.length + (typeof value === "string" ? value.length : value.size);
    return size > REPLAYED ? { stream: form.body, type } : form.arrayBuffer().then((buffer) => ({ bytes: new Uint8Array(buffer), type }));
  }
  if (typeof body?.[Symbol.asyncIterator] === "function" || typeof body?.getReader === "function") {
    if (body.locked === true || body.readableDidRead === true) throw new TypeError("the body is a stream that has been read, or is being read");
    return { stream: body };
  }
  throw new TypeError("the body is no string, buffer, Blob, FormData, URLSearchParams or stream");
}

/** A request's body that is a stream: each piece is read when the core wants it. */
class Upload {
  #id;
  #pieces;
  #isOver = false;
  /** What the stream itself failed with. */
  failure = undefined;

  constructor(stream) {
    this.#pieces = iteratorOf(stream);
  }

  begin(id) {
    this.#id = id;
    wire.uploads(id, this);
  }

  /** The core wants the next piece. */
  want() {
    this.#next().catch((error) => {
      this.failure = { error };
      this.#finish("the stream failed");
    });
  }

  async #next() {
    for (;;) {
      const { done, value } = await this.#pieces.next();
      if (this.#isOver) return;
      if (done) return this.#finish(undefined);
      const piece = bytesOf(value);
      if (piece.length > 0) return native.push(native.instance, this.#id, piece);
    }
  }

  #finish(why) {
    this.#isOver = true;
    wire.uploaded(this.#id);
    native.finish(native.instance, this.#id, why);
  }

  /** The core has done with it, or the caller. */
  enough() {
    if (this.#isOver) return;
    this.#isOver = true;
    Promise.resolve(this.#pieces.return?.()).catch(() => {});
  }
}

function iteratorOf(stream) {
  if (typeof stream[Symbol.asyncIterator] === "function") return stream[Symbol.asyncIterator]();
  const reader = stream.getReader();
  return { next: () => reader.read(), return: () => reader.cancel() };
}

function bytesOf(piece) {
  if (piece instanceof Uint8Array) return piece;
  if (typeof piece === "string") return Buffer.from(piece);
  if (ArrayBuffer.isView(piece)) return new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
  if (piece instanceof ArrayBuffer) return new Uint8Array(piece);
  throw new TypeError("a piece of the body is no buffer");
}

module.exports = { REPLAYED, Upload, contentOf };
