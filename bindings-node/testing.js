// For tests of whatever uses the ambassador: virtual time, in which no wait is waited; jitter of a seed; and functions that fail as
// they are told. index.js does not load this.
"use strict";

const { native } = require("./lib/bridge.js");
const { handleOf } = require("./lib/proxy.js");
const { shown } = require("./lib/settings.js");
const timers = require("./lib/timers.js");

class VirtualTime {
  #isOver = false;
  #elapsedMs = 0;
  #waitsMs = [];

  constructor() {
    if (!native.startVirtualTime()) {
      throw new Error("time is virtual already: tests in virtual time run one at a time");
    }
    timers.turnVirtual(true);
  }

  advance(ms) {
    if (!(typeof ms === "number" && ms >= 0 && ms < Infinity)) {
      throw new RangeError(`advance: expected a number of milliseconds from 0 on, got ${shown(ms)}`);
    }
    if (this.#isOver) throw new Error("advance: time is real again");
    native.advanceVirtualTime(ms);
  }

  get elapsedMs() {
    return this.#isOver ? this.#elapsedMs : (native.virtualTime() ?? 0);
  }

  get waitsMs() {
    return this.#isOver ? [...this.#waitsMs] : native.waits();
  }

  restore() {
    if (this.#isOver) return;
    this.#elapsedMs = this.elapsedMs;
    this.#waitsMs = this.waitsMs;
    this.#isOver = true;
    native.stopVirtualTime();
    timers.turnVirtual(false);
  }
}

// Not in every Node that this package is for.
if (typeof Symbol.dispose === "symbol") {
  Object.defineProperty(VirtualTime.prototype, Symbol.dispose, { value: VirtualTime.prototype.restore, configurable: true, writable: true });
}

function virtualTime(test) {
  const time = new VirtualTime();
  try {
    test?.after(() => time.restore());
  } catch (error) {
    time.restore();
    throw error;
  }
  return time;
}

function seedJitter(proxy, seed) {
  if (!(Number.isSafeInteger(seed) && seed >= 0)) {
    throw new RangeError(`seedJitter: expected a whole number from 0 on, got ${shown(seed)}`);
  }
  native.seedJitter(handleOf(proxy), seed);
}

const ENDS = {
  returns: (value) => value,
  fails: (error) => {
    throw error;
  },
  hangs: () => new Promise(() => {}),
};

function scripted() {
  const steps = [];
  const calls = [];
  const fn = async (...args) => {
    const step = steps[Math.min(calls.length, steps.length - 1)];
    calls.push(args);
    if (step === undefined) return undefined;
    const { takesMs } = step;
    if (takesMs > 0) {
      if (native.virtualTime() === null) throw new Error("scripted: takesMs needs virtual time");
      native.advanceVirtualTime(takesMs);
    }
    return step.end();
  };
  const add = (end, { times = 1, takesMs = 0 } = {}) => {
    if (!(Number.isSafeInteger(times) && times > 0)) {
      throw new RangeError(`scripted: expected times to be a whole number from 1 on, got ${shown(times)}`);
    }
    if (!(typeof takesMs === "number" && takesMs >= 0 && takesMs < Infinity)) {
      throw new RangeError(`scripted: expected takesMs to be a number of milliseconds from 0 on, got ${shown(takesMs)}`);
    }
    for (let time = 0; time < times; time++) steps.push({ end, takesMs });
    return fn;
  };
  fn.calls = calls;
  fn.returns = (value, options) => add(() => ENDS.returns(value), options);
  fn.fails = (error, options) => add(() => ENDS.fails(error), options);
  fn.hangs = (options) => add(ENDS.hangs, options);
  return fn;
}

module.exports = { scripted, seedJitter, virtualTime };
