// Signals from outside that stop calls (A3): one listener for each signal, however many calls it stops.
"use strict";

/** The calls in flight of each signal. */
const watched = new WeakMap();

/** From now on the signal stops this flight, by its `stop(reason)`. */
function watch(signal, flight) {
  let flights = watched.get(signal);
  if (flights === undefined) {
    flights = new Set();
    watched.set(signal, flights);
    signal.addEventListener("abort", aborted);
  }
  flights.add(flight);
}

/** The flight has ended. */
function forget(signal, flight) {
  const flights = watched.get(signal);
  if (flights === undefined) return;
  flights.delete(flight);
  if (flights.size > 0) return;
  watched.delete(signal);
  signal.removeEventListener("abort", aborted);
}

function aborted() {
  const flights = watched.get(this);
  if (flights === undefined) return;
  watched.delete(this);
  this.removeEventListener("abort", aborted);
  for (const flight of flights) flight.stop(this.reason);
}

module.exports = { watch, forget };
