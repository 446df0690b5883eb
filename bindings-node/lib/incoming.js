// The body of a response as it comes, a piece at a time, each when somebody asks for it.
"use strict";

const signals = require("./signals.js");
const wire = require("./wire.js");

/** Who lets go of a response without reading it gives it up, as if it had been cancelled. */
const dropped = new FinalizationRegistry((id) => wire.giveUp(id));

class Incoming {
  #id;
  #first;
  #signal;
  #isOver = false;
  #failure;
  #waits;
  /** Told when the caller's signal ends it. */
  onStop = undefined;

  constructor(core, id, first, signal) {
    this.core = core;
    this.#id = id;
    this.#first = first;
    this.#signal = signal;
    if (signal !== undefined) signals.watch(signal, this);
    dropped.register(this, id, this);
  }

  /** The next piece; undefined at the end. */
  next() {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (this.#first !== undefined) {
      const first = this.#first;
      this.#first = undefined;
      return Promise.resolve(first);
    }
    if (this.#isOver) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waits = { resolve, reject };
      wire.pull(this.#id, this);
    });
  }

  /** Nobody wants the rest. */
  cancel() {
    if (this.#isOver) return;
    this.#end();
    this.#first = undefined;
    wire.giveUp(this.#id);
    this.#waits?.resolve(undefined);
  }

  // For `wire`.

  piece(piece) {
    this.#waits.resolve(piece);
  }

  ended() {
    this.#end();
    this.#waits.resolve(undefined);
  }

  failed(error) {
    this.#end();
    this.#failure = { error };
    this.#waits.reject(error);
  }

  /** For `signals`. */
  stop(reason) {
    if (this.#isOver) return;
    this.#end();
    this.#first = undefined;
    this.#failure = { error: reason };
    wire.giveUp(this.#id);
    this.#waits?.reject(reason);
    this.onStop?.(reason);
  }

  #end() {
    this.#isOver = true;
    dropped.unregister(this);
    if (this.#signal !== undefined) signals.forget(this.#signal, this);
  }

  [Symbol.asyncIterator]() {
    return {
      next: async () => {
        const value = await this.next();
        return value === undefined ? { done: true, value } : { done: false, value };
      },
      return: async () => {
        this.cancel();
        return { done: true, value: undefined };
      },
    };
  }

  /** As the body of a `Response`. */
  stream() {
    return new ReadableStream(
      {
        type: "bytes",
        start: (controller) => {
          this.onStop = (reason) => controller.error(reason);
        },
        pull: async (controller) => {
          const piece = await this.next();
          if (piece !== undefined) return controller.enqueue(piece);
          if (this.#failure !== undefined) return;
          controller.close();
          // Somebody reads into a buffer of his own.
          controller.byobRequest?.respond(0);
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }
}

module.exports = { Incoming };
