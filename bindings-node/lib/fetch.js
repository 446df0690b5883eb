// `proxy.fetch`: as the global `fetch`, by the core. The `Response` is the global class.
"use strict";

const { STATUS_CODES } = require("node:http");
const { native } = require("./bridge.js");
const { contentOf } = require("./content.js");
const { Lines, Sent, eachHeader, pathOf, repeating } = require("./sent.js");
const { STREAM } = require("./wire.js");

const NOTHING = {};
/** Statuses whose responses have no body. */
const NULL_BODY = new Set([101, 103, 204, 205, 304]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const METHODS = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);

class Fetched extends Sent {
  #url;
  #method;
  #isRedirectError;

  constructor(core, signal, resolve, reject, url, method, isRedirectError) {
    super(core, signal, resolve, reject);
    this.#url = url;
    this.#method = method;
    this.#isRedirectError = isRedirectError;
  }

  respond(status, head, body) {
    const isStream = !(body instanceof Uint8Array);
    const headers = new Headers();
    const flat = head.latin1Slice().split("\n");
    // The first line is the endpoint.
    for (let at = 1; at < flat.length; at += 2) headers.append(flat[at], flat[at + 1]);
    if (this.#isRedirectError && REDIRECTS.has(status) && headers.has("location")) {
      if (isStream) body.cancel();
      throw new TypeError('fetch: it was redirected, and redirect is "error"');
    }
    const isEmpty = NULL_BODY.has(status) || this.#method === "HEAD";
    if (isEmpty && isStream) body.cancel();
    const content = isEmpty ? null : isStream ? body.stream() : body;
    const response = new Response(content, { status, statusText: STATUS_CODES[status] ?? "", headers });
    Object.defineProperty(response, "url", { value: this.#url, configurable: true });
    return response;
  }
}

/** @returns a promise of a `Response` */
function fetchBy(core, input, init, bound) {
  return new Promise((resolve, reject) => {
    const asked = input instanceof Request ? input : undefined;
    const given = init ?? NOTHING;
    const method = methodOf(given.method ?? asked?.method ?? "GET");
    const path = pathOf(asked === undefined ? `${input}` : asked.url);
    const signal = signalOf(given.signal === undefined ? asked?.signal : given.signal, bound);
    const lines = new Lines(method, path);
    const bounds = lines.bounds(given.timeoutMs, given.deadlineMs) | lines.parent();
    const hasType = eachHeader(given.headers ?? asked?.headers, (name, value) => lines.header(name, value));
    const isRedirectError = redirects(core, given.redirect);
    const url = path.startsWith("/") ? baseOf(core) + path : path;
    const sent = new Fetched(core, signal, resolve, reject, url, method, isRedirectError);
    const flags = STREAM | repeating(given.idempotent) | bounds;
    const body = given.body === undefined ? (asked?.body ?? null) : given.body;
    if (body === null) return sent.send(lines, flags, NOTHING);
    if (method === "GET" || method === "HEAD") throw new TypeError(`fetch: a ${method} has no body`);
    const finish = (content) => {
      if (!hasType && content.type !== undefined) lines.header("content-type", content.type);
      sent.send(lines, flags, content);
    };
    const content = contentOf(typeof body === "object" || typeof body === "string" ? body : `${body}`);
    if (content.stream !== undefined && content.stream === given.body && given.duplex !== "half") {
      throw new TypeError('fetch: a body that is a stream needs duplex: "half"');
    }
    if (typeof content.then === "function") content.then(finish).catch(reject);
    else finish(content);
  });
}

function methodOf(method) {
  const upper = `${method}`.toUpperCase();
  return METHODS.has(upper) ? upper : `${method}`;
}

function signalOf(signal, bound) {
  if (signal === undefined || signal === null) return bound;
  if (signal instanceof AbortSignal) return signal;
  throw new TypeError("signal: expected an AbortSignal");
}

/** P5: what may be asked for is what the policy does; whether a redirect shall be an error. */
function redirects(core, mode) {
  if (mode === undefined) return false;
  const { followRedirects } = native.policy(core.handle).http;
  if (mode === "follow" && followRedirects === 0) {
    throw new TypeError('fetch: redirect "follow" needs the setting http.followRedirects, which is 0');
  }
  if ((mode === "manual" || mode === "error") && followRedirects > 0) {
    throw new TypeError(`fetch: redirect "${mode}" is not possible where http.followRedirects is ${followRedirects}`);
  }
  if (!["follow", "manual", "error"].includes(mode)) throw new TypeError("redirect: expected follow, manual or error");
  return mode === "error";
}

function baseOf(core) {
  return (core.base ??= (core.target.includes("://") ? core.target : `https://${core.target}`).replace(/\/$/, ""));
}

module.exports = { fetchBy };
