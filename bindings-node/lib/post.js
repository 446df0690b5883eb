// What comes from other threads, or from natives that may run none of our code: that the turn of a call in the bulkhead's queue has
// come (L1), and events (`events.js`). It comes by the event loop, and keeps no process alive.
"use strict";

const { native } = require("./bridge.js");

/** What to do when the turn of a ticket has come. */
const turns = new Map();
let last = 0;
let isOpen = false;
let tellEvents;

/** A ticket for the queue: its turn calls `come`. */
function ticketFor(come) {
  open();
  last = (last + 1) % 2 ** 31;
  turns.set(last, come);
  return last;
}

/** Nobody waits for its turn any more. */
function giveBack(ticket) {
  turns.delete(ticket);
}

/** From now on other threads may tell events, as JSON. */
function hearEvents(tell) {
  tellEvents = tell;
  open();
}

function open() {
  if (isOpen) return;
  native.openPost(native.instance, deliver);
  isOpen = true;
}

function deliver(message) {
  if (typeof message === "number") turns.get(message)?.();
  else tellEvents?.(message);
}

module.exports = { ticketFor, giveBack, hearEvents };
