// One target: its last minutes, all that is counted, its endpoints, and the policy in effect with where each value came from.

import { count, percent, plural, rate, time, wait, words } from "./format.js";
import { by, find, mark, say, shape, table } from "./draw.js";
import { of } from "./history.js";
import { findings, pictures } from "./overview.js";

/** @import { Endpoint, Quantiles, Row, Setting } from "./schema.js" */

const GLYPHS = { healthy: "●", ejected: "✕", unhealthy: "▲" };

/** @param {string} name @param {Quantiles} of */
const quantiles = (name, of) => [name, "", count(of.count), ...[of.p50_ns, of.p90_ns, of.p99_ns, of.p999_ns].map(time)];

/** @param {Endpoint} endpoint */
const endpoint = ({ address, state, ejected_for_ns, stale, zone, weight, in_flight, ewma_ns, consecutive_failures, times_ejected }) => {
  const health = `${GLYPHS[state]} ${state}${ejected_for_ns ? `, back in ${wait(ejected_for_ns)}` : ""}${stale ? ", stale" : ""}`;
  return [address, state, health, zone ?? "–", count(weight), count(in_flight), time(ewma_ns), count(consecutive_failures), count(times_ejected)];
};

/** @param {Setting} setting */
const setting = ({ field, value, origin }) => [field, origin.split(" ")[0] ?? "", value === null ? "none" : typeof value === "string" ? value : JSON.stringify(value), origin];

/** @param {Row} row */
const facts = ({ target, verdict }) => {
  const { circuit, budget, bulkhead } = target;
  const counters = /** @type {const} */ (["in_flight", "retries", "hedges", "late_results", "abandoned", "internal_errors", "events_dropped"]);
  return [
    ["circuit", circuit ? words(circuit.state) + (circuit.open_for_ns ? ` for ${wait(circuit.open_for_ns)}` : "") : "no breaker"],
    ["failures in its window", circuit ? `${count(circuit.failures)} of ${plural(circuit.outcomes, "attempt")}` : "–"],
    ["opened", circuit ? plural(circuit.transitions.open, "time") : "–"],
    ["retries left", budget ? `${count(budget.tokens)}, ${percent(verdict.budget)}` : "no budget"],
    ["bulkhead", bulkhead ? `${count(bulkhead.occupied)} of ${count(bulkhead.limit)}, ${count(bulkhead.queued)} waiting` : "none"],
    ...counters.map((name) => [words(name), count(target[name])]),
  ].map(([name = "", value = ""]) => [name, "", value]);
};

/** @type {string | null} */
export let name = null;
const [state, draw] = [shape(), pictures(by("calls-chart"), by("times-chart"))];
by("state").append(state.node);
const tell = findings(find("#detail .findings", HTMLElement), 9);
const counts = /** @type {const} */ (["calls", "attempts", "rejections"]).map((of) => /** @type {const} */ ([of, table(of, of === "rejections" ? "Reason" : "Outcome", "now", "in all")]));
const lengths = table("quantiles", "Of", "Count", "p50", "p90", "p99", "p99.9");
const now = table("facts", "What", "Now");
const endpoints = table("endpoints", "Address", "Health", "Zone", "Weight", "In flight", "Average", "Failures in a row", "Ejections");
const policy = table("policy", "Setting", "Value", "Where it comes from");

/** @param {string | null} wanted */
export const choose = (wanted) => {
  name = wanted;
  by("detail").hidden = name === null;
  say("name", name ?? "");
};

/** What was set comes first. @param {Setting[]} [told] None when the server does not tell. */
export const configure = (told) => {
  const isSet = (/** @type {Setting} */ { origin }) => origin !== "default";
  by("no-policy").hidden = told !== undefined;
  policy((told ?? []).toSorted((one, other) => +isSet(other) - +isSet(one)).map(setting));
};

/** @param {Row | undefined} row None when there is no such target. */
export const show = (row) => {
  by("gone").hidden = row !== undefined;
  by("present").hidden = row === undefined;
  if (!row) return;
  const { target, series, verdict } = row;
  const { calls: whole, attempts } = target.latency;
  mark(by("detail"), "data-tone", verdict.tone);
  state.show(target.circuit?.state ?? "none");
  say("word", `${target.circuit ? "circuit " + words(target.circuit.state) : "no breaker"} · ${verdict.word}`);
  say("address", target.target);
  tell(verdict);
  const [most, longest] = draw(series);
  say("calls-most", rate(most));
  say("times-most", time(longest));
  for (const since of document.querySelectorAll(".since")) say(since, `${time(series.span * 1e6)} ago`);
  say("calls-now", `${rate(series.rate(of.calls))}, ${percent(series.success)} succeed`);
  say("times-now", `p50 ${time(whole["10s"].p50_ns)}, p99 ${time(whole["10s"].p99_ns)}`);
  for (const [of, put] of counts) {
    put(Object.entries(target[of]).map(([name, all]) => [words(name), "", rate(series.rate((counters) => /** @type {Record<string, number>} */ (counters[of])[name] ?? 0)), count(all)]));
  }
  lengths([quantiles("calls, 10 s", whole["10s"]), quantiles("calls, 1 min", whole["60s"]), quantiles("attempts, 10 s", attempts["10s"]), quantiles("attempts, 1 min", attempts["60s"])]);
  now(facts(row));
  endpoints((target.endpoints ?? []).map(endpoint));
  by("no-endpoints").hidden = target.endpoints !== null;
};
