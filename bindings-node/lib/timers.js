// Bounds and waits: entries `{ at, place, fire() }` in a heap, and one timer of Node's for all of them. It fires never early:
// the core's clock has the last word (T1). It keeps the process alive while there is an entry, and not a moment longer.
//
// An entry that comes and goes in one turn of the event loop, as that of a call that succeeds at once, never sees the
// timer: the timer is set once before the loop goes on, if then there is an entry at all.
//
// While time is virtual (`testing.js`) no bound is armed; waits pass at once and never come here.
"use strict";

// As they are now: a test that fakes the timers of its program does not mean these.
const { setTimeout, clearTimeout } = require("node:timers");
const { nextTick } = require("node:process");
const { readClock, lengths, numbers, AT, VIRTUAL } = require("./bridge.js");

/** The longest that a timer of Node's can wait, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** Entries by instant, the earliest first: each is not later than those at twice its place, and one and two on. */
const heap = [];
let timer;
let due = Infinity;
let isTimerHeld = false;
let isSettingSoon = false;
let isVirtual = false;

/** The present instant, in nanoseconds of the core's clock. */
function now() {
  readClock();
  return lengths[AT];
}

function add(entry) {
  if (isVirtual) return;
  let place = heap.length;
  heap.push(entry);
  while (place > 0) {
    const above = (place - 1) >> 1;
    if (heap[above].at <= entry.at) break;
    put(heap[above], place);
    place = above;
  }
  put(entry, place);
  setSoon();
}

/** Takes an entry out; does nothing when it is not in. */
function remove(entry) {
  const place = entry.place;
  if (place < 0) return;
  entry.place = -1;
  const last = heap.pop();
  if (last !== entry) move(last, place);
  // Only the last one to go changes what the timer must do: one that is set too early finds nothing due, and sets itself anew.
  if (heap.length === 0) setSoon();
}

function put(entry, place) {
  heap[place] = entry;
  entry.place = place;
}

function move(entry, place) {
  while (place > 0) {
    const above = (place - 1) >> 1;
    if (heap[above].at <= entry.at) break;
    put(heap[above], place);
    place = above;
  }
  for (;;) {
    let below = 2 * place + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && heap[below + 1].at < heap[below].at) below += 1;
    if (entry.at <= heap[below].at) break;
    put(heap[below], place);
    place = below;
  }
  put(entry, place);
}

function setSoon() {
  if (isSettingSoon) return;
  isSettingSoon = true;
  nextTick(set);
}

function set() {
  isSettingSoon = false;
  if (heap.length === 0) {
    if (isTimerHeld) {
      timer.unref();
      isTimerHeld = false;
    }
    return;
  }
  const first = heap[0].at;
  const present = now();
  // Another thread has made time virtual.
  if (numbers[VIRTUAL] === 1) return;
  if (timer === undefined || first < due) {
    if (timer !== undefined) clearTimeout(timer);
    timer = setTimeout(fire, Math.min(Math.ceil((first - present) / 1e6), LONGEST));
    due = first;
    isTimerHeld = true;
  } else if (!isTimerHeld) {
    timer.ref();
    isTimerHeld = true;
  }
}

function fire() {
  timer = undefined;
  due = Infinity;
  isTimerHeld = false;
  const present = now();
  if (numbers[VIRTUAL] === 1) return;
  while (heap.length > 0 && heap[0].at <= present) {
    const entry = heap[0];
    remove(entry);
    entry.fire();
  }
  set();
}

/** For tests: time has become virtual, or real again. */
function turnVirtual(whether) {
  isVirtual = whether;
  setSoon();
}

/** So many milliseconds of real time, whatever tests make of the clock. */
function pause(ms) {
  return new Promise((over) => setTimeout(over, ms));
}

module.exports = { add, remove, now, turnVirtual, pause };
