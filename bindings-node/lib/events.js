// Events: what happens to a target, for those who listen to it, and for the log. The core keeps what has happened; it is fetched and
// told right after the decision that it came of, when nothing of a call is under way but what the decision said.
//
// Listeners belong to the target's state, so all proxies of one name share them; here, those of one thread share a `Hub`. What happens in
// another thread comes by post. Who subscribes to the channel `ambassador:event` hears of every target.
"use strict";

const { channel } = require("node:diagnostics_channel");
const { emitWarning } = require("node:process");
const { native } = require("./bridge.js");
const log = require("./log.js");
const post = require("./post.js");

const events = channel("ambassador:event");

/** The hub of each name, for as long as a proxy of that name holds it. */
const hubs = new Map();
const forgotten = new FinalizationRegistry((name) => {
  if (hubs.get(name)?.deref() === undefined) hubs.delete(name);
});

class Hub {
  /** What makes the natives tell this thread; undefined while nobody here listens. */
  listening = undefined;
  listeners = [];
}

/** The hub of the proxies of that name. */
function hubOf(name) {
  let hub = hubs.get(name)?.deref();
  if (hub === undefined) {
    hub = new Hub();
    hubs.set(name, new WeakRef(hub));
    forgotten.register(hub, name);
  }
  return hub;
}

/** Tells that listener of every event from now on; what ends that. */
function add(core, listener) {
  const { hub } = core;
  // A function may listen twice, and stop once.
  const entry = { listener, hasThrown: false };
  hub.listeners = [...hub.listeners, entry];
  listen(core);
  return () => {
    hub.listeners = hub.listeners.filter((other) => other !== entry);
  };
}

/** From now on this thread hears of that target. */
function listen({ handle, hub }) {
  if (hub.listening !== undefined) return;
  post.hearEvents(tell);
  hub.listening = native.listen(handle);
}

/** What happens on threads of the core's is told here from now on, and logged unless another thread does so. */
function begin() {
  if (hasBegun) return;
  hasBegun = true;
  post.hearEvents(tell);
  native.attend(native.instance);
}

let hasBegun = false;

/** Who subscribes to the channel hears of this target from now on. */
function attend(core) {
  if (events.hasSubscribers) listen(core);
}

/** Something may have happened: tells those who listen. */
function hear(core) {
  const json = native.fetchEvents(core.handle);
  if (typeof json === "string") tell(json);
}

function tell(json) {
  const all = JSON.parse(json);
  for (let at = 0; at < all.length; at += 3) {
    const told = all[at];
    const event = eventOf(told);
    if (all[at + 1] !== 0) log.say(all[at + 1], all[at + 2], event);
    const listeners = hubs.get(told.name)?.deref()?.listeners ?? [];
    for (const entry of listeners) tellOne(entry, event);
    if (events.hasSubscribers) events.publish(event);
  }
}

/** F5: a listener that throws, or whose promise rejects, changes nothing; it is warned of once. */
function tellOne(entry, event) {
  const warn = (error) => {
    if (entry.hasThrown) return;
    entry.hasThrown = true;
    try {
      emitWarning(`a listener of onEvent threw: ${error instanceof Error ? error.stack : String(error)}`, "AmbassadorWarning");
    } catch {
      // It threw what cannot be shown.
    }
  };
  try {
    const told = entry.listener(event);
    if (typeof told?.then === "function") told.then(undefined, warn);
  } catch (error) {
    warn(error);
  }
}

/** The core's `elapsed_ns` is `elapsedMs` here. */
function eventOf(told) {
  const event = {};
  for (const [name, value] of Object.entries(told)) {
    const isLength = name.endsWith("_ns");
    const spelled = name.replace(/_ns$/, "_ms").replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
    event[spelled] = isLength ? value / 1e6 : value;
  }
  return Object.freeze(event);
}

module.exports = { hubOf, add, attend, begin, hear };
