// The front door: `AmbassadorProxy`, and `Caller`, what it shares with the same proxy bound to a signal.
"use strict";

const { native } = require("./bridge.js");
const events = require("./events.js");
const { fetchBy } = require("./fetch.js");
const { request } = require("./request.js");
const { start } = require("./start.js");
const tracing = require("./tracing.js");
const { open, policyOf, refusal, setEndpoints, shown } = require("./settings.js");

class Caller {
  #core;
  #signal;

  constructor(core, signal) {
    this.#core = core;
    this.#signal = signal;
  }

  call(fn, ...args) {
    if (typeof fn !== "function") return Promise.reject(notAFunction("call", fn));
    return start(this.#core, fn, undefined, args, this.#signal);
  }

  execute(fn, options) {
    if (typeof fn !== "function") return Promise.reject(notAFunction("execute", fn));
    try {
      return start(this.#core, fn, undefined, undefined, options === undefined ? this.#signal : this.#signalOf(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  wrap(fn, options) {
    if (typeof fn !== "function") throw notAFunction("wrap", fn);
    const core = this.#core;
    const signal = options === undefined ? this.#signal : this.#signalOf(options);
    const wrapped = function (...args) {
      return start(core, fn, this, args, signal);
    };
    for (const property of ["name", "length"]) {
      Object.defineProperty(wrapped, property, { value: fn[property], configurable: true });
    }
    return wrapped;
  }

  fetch(input, init) {
    return fetchBy(this.#core, input, init, this.#signal);
  }

  request(options) {
    return this.#request(options);
  }

  get(path, options) {
    return this.#request({ ...options, path, method: "GET" });
  }

  head(path, options) {
    return this.#request({ ...options, path, method: "HEAD" });
  }

  options(path, options) {
    return this.#request({ ...options, path, method: "OPTIONS" });
  }

  post(path, options) {
    return this.#request({ ...options, path, method: "POST" });
  }

  put(path, options) {
    return this.#request({ ...options, path, method: "PUT" });
  }

  patch(path, options) {
    return this.#request({ ...options, path, method: "PATCH" });
  }

  delete(path, options) {
    return this.#request({ ...options, path, method: "DELETE" });
  }

  #request(options) {
    try {
      const signal = options?.signal;
      return request(this.#core, options, signal === undefined ? this.#signal : this.#signalOf(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  with(options) {
    return new Caller(this.#core, this.#signalOf(options));
  }

  #signalOf(options) {
    const signal = options?.signal;
    if (signal === undefined || signal === null) return this.#signal;
    if (signal instanceof AbortSignal) return signal;
    throw refusal("signal", signal, "an AbortSignal");
  }
}

/** For tests: what the natives know a proxy by. */
let handleOf;
/** For the dispatcher: the proxy as calls know it. */
let coreOf;

class AmbassadorProxy extends Caller {
  #core;
  #handle;
  #functions;

  constructor(targetHost, options = {}) {
    const { core, functions } = open(targetHost, options);
    super(core, undefined);
    this.#core = core;
    this.#handle = core.handle;
    this.#functions = functions;
    tracing.attend();
    events.begin();
    events.attend(core);
    // C4: it may have changed the settings of a state that somebody listens to.
    events.hear(core);
  }

  get target() {
    return native.target(this.#handle);
  }

  get policy() {
    // Made anew: of what is shared, the newest proxy's settings hold (C4).
    return policyOf(this.#handle, this.#functions);
  }

  effectivePolicy() {
    return JSON.parse(native.effectivePolicy(this.#handle, true));
  }

  policyJson() {
    return native.effectivePolicy(this.#handle, false);
  }

  health() {
    return JSON.parse(native.health(this.#handle));
  }

  setEndpoints(endpoints) {
    events.attend(this.#core);
    setEndpoints(this.#handle, endpoints);
    events.hear(this.#core);
  }

  isolate() {
    events.attend(this.#core);
    native.isolate(this.#handle);
    events.hear(this.#core);
  }

  reset() {
    events.attend(this.#core);
    native.reset(this.#handle);
    events.hear(this.#core);
  }

  onEvent(listener) {
    if (typeof listener !== "function") throw notAFunction("onEvent", listener);
    return events.add(this.#core, listener);
  }

  static {
    handleOf = (proxy) => proxy.#handle;
    coreOf = (proxy) => proxy.#core;
  }
}

function notAFunction(method, given) {
  return new TypeError(`${method}: expected a function, got ${shown(given)}`);
}

module.exports = { AmbassadorProxy, coreOf, handleOf };
