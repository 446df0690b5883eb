// Requests on their way to the core, and what becomes of them. What is sent within one turn of the event loop goes in one native call;
// what has come goes out in one delivery, whose records src/inbox.rs writes. Nothing is decided here.
"use strict";

const { native } = require("./bridge.js");
const { BY_CODE } = require("./errors.js");
const events = require("./events.js");
const log = require("./log.js");

/** Flags of a request; src/requests.rs has the same. */
const STREAM = 1;
const IDEMPOTENT = 2;
const NOT_IDEMPOTENT = 4;
const UPLOAD = 8;
const TIMEOUT = 16;
const DEADLINE = 32;
const PARENT = 64;

/** What a record tells; src/inbox.rs has the same. */
const WHOLE = 1;
const HEAD = 2;
const PIECE = 3;
const END = 4;
const FAILED = 5;
const RETRY = 6;
const WANT = 7;
const ENOUGH = 8;
const INVALID = 9;

/** A record's numbers, and a request's. */
const PLACES = 6;
const NUMBERS = 5;

const NO_BODY = Buffer.alloc(0);

/** What waits for something, by its id. */
const awaited = new Map();
const uploading = new Map();
let last = 0;
let isOpen = false;

// What is sent when this turn is over.
let lines = "";
let numbers = new Int32Array(64 * NUMBERS);
let count = 0;
let bodies = [];

/**
 * Sends a request, for who waits for it: `responded(status, head, body, first, attempts)`, where `body` is `null` when it is a stream, of which
 * `first` has come; `failed(error, isAnswering)`, `invalid(why)`. Its lines are method, path, bounds and two lines of its parent where flags tell of them, and names and values of headers.
 *
 * @returns its id
 */
function send(core, waits, own, ownLines, flags, body) {
  if (!isOpen) open();
  do last = (last + 1) % 2 ** 31;
  while (awaited.has(last));
  if (awaited.size === 0) native.hold(native.instance, true);
  awaited.set(last, waits);
  if (count * NUMBERS === numbers.length) numbers = grown(numbers);
  const at = count * NUMBERS;
  numbers[at] = last;
  numbers[at + 1] = core.number;
  numbers[at + 2] = flags;
  numbers[at + 3] = ownLines;
  numbers[at + 4] = body === undefined ? -1 : bodies.push(body) - 1;
  lines = count === 0 ? own : `${lines}\n${own}`;
  count += 1;
  if (count === 1) process.nextTick(flush);
  return last;
}

function grown(full) {
  const larger = new Int32Array(2 * full.length);
  larger.set(full);
  return larger;
}

function open() {
  native.openInbox(native.instance, deliver);
  isOpen = true;
}

function flush() {
  const [sent, own, given] = [count, lines, bodies];
  count = 0;
  lines = "";
  if (given.length > 0) bodies = [];
  try {
    native.send(native.instance, own, numbers, sent, given);
  } catch (error) {
    // A fault of the natives' own: nobody else will tell those who wait.
    for (const id of Array.from({ length: sent }, (_, at) => numbers[at * NUMBERS])) {
      const waits = awaited.get(id);
      forget(id);
      waits?.failed(error, false);
    }
  }
}

/** Nobody waits for anything of that request any more. */
function giveUp(id) {
  if (count > 0) flush();
  native.giveUp(native.instance, id);
  forget(id);
}

function forget(id) {
  if (awaited.delete(id) && awaited.size === 0) native.hold(native.instance, false);
}

/** Waits for the next piece of that response's body: `piece(buffer)`, `ended()`, `failed(error)`. */
function pull(id, waits) {
  if (awaited.size === 0) native.hold(native.instance, true);
  awaited.set(id, waits);
  native.pull(native.instance, id);
}

/** Who brings that request's body: `want()`, and `enough()` at its end. */
function uploads(id, upload) {
  uploading.set(id, upload);
}

/** All of it was brought. */
function uploaded(id) {
  uploading.delete(id);
}

function deliver(records, pieces) {
  const places = new Int32Array(records);
  const bytes = Buffer.from(records);
  let next = 0;
  let at = 0;
  let heard;
  while (at < bytes.length) {
    const place = at >> 2;
    const id = places[place];
    const head = at + 4 * PLACES;
    const body = head + places[place + 3];
    const length = places[place + 4];
    const piece = length < 0 ? Buffer.from(pieces[next++]) : undefined;
    at = (body + Math.max(length, 0) + 3) & ~3;
    const kind = places[place + 1];
    if (kind === WANT) {
      uploading.get(id)?.want();
      continue;
    }
    if (kind === ENOUGH) {
      uploading.get(id)?.enough();
      uploading.delete(id);
      continue;
    }
    const waits = awaited.get(id);
    if (waits === undefined) continue;
    const { core } = waits;
    if (core.hub.listening !== undefined) (heard ??= new Set()).add(core);
    switch (kind) {
      case WHOLE:
        forget(id);
        waits.responded(places[place + 2], bytes.subarray(head, body), piece ?? (length === 0 ? NO_BODY : bytes.subarray(body, body + length)), undefined, places[place + 5]);
        break;
      case HEAD:
        forget(id);
        waits.responded(places[place + 2], bytes.subarray(head, body), null, piece, places[place + 5]);
        break;
      case PIECE:
        forget(id);
        waits.piece(piece ?? NO_BODY);
        break;
      case END:
        forget(id);
        waits.ended();
        break;
      case FAILED:
        forget(id);
        waits.failed(errorOf(core, bytes.utf8Slice(head, body)), places[place + 2] === 1);
        break;
      case RETRY:
        tellRetry(core, places[place + 2], bytes.utf8Slice(head, body), places[place + 5]);
        break;
      case INVALID:
        forget(id);
        waits.invalid(bytes.utf8Slice(head, body));
    }
  }
  heard?.forEach(events.hear);
}

/** An error of the ambassador's: code, attempts, milliseconds taken, when to come again, and what it says, a line each. */
function errorOf(core, told) {
  const [code, attempts, elapsedMs, retryAfterMs] = told.split("\n", 4);
  const message = told.slice(code.length + attempts.length + elapsedMs.length + retryAfterMs.length + 4);
  return new BY_CODE[code](message, {
    target: core.target,
    attempts: Number(attempts),
    elapsedMs: Number(elapsedMs),
    retryAfterMs: retryAfterMs === "" ? undefined : Number(retryAfterMs),
  });
}

/** R7: the core has made the line; what it says is told apart for who listens: wait, endpoint, code and status, a line each. */
function tellRetry(core, attempt, told, cause) {
  const [waitMs, endpoint, code, status] = told.split("\n", 4);
  const line = told.slice(waitMs.length + endpoint.length + code.length + status.length + 4);
  const retry = {
    line,
    target: core.target,
    attempt,
    waitMs: Number(waitMs),
    error: line.slice(cause),
    endpoint,
    code: code === "" ? undefined : code,
    status: status === "" ? undefined : Number(status),
  };
  log.sayRetry(retry, core.name);
}

module.exports = { STREAM, IDEMPOTENT, NOT_IDEMPOTENT, UPLOAD, TIMEOUT, DEADLINE, PARENT, send, giveUp, pull, uploads, uploaded };
