// One target: its last minutes, all that is counted, its endpoints, and the policy in effect with where each value came from.

import * as format from "./format.js";
import { by, find, mark, say, shape, table } from "./draw.js";
import { of } from "./history.js";
import { calls, circuit, durations, findings, pictures } from "./overview.js";

/** @import { Endpoint, Quantiles, Row, Setting } from "./schema.js" */

const GLYPHS = { healthy: "●", ejected: "✕", unhealthy: "▲" };

/** @param {string} name @param {Quantiles} of */
const quantiles = (name, of) => [name, "", format.count(of.count), ...[of.p50_ns, of.p90_ns, of.p99_ns, of.p999_ns].map(format.time)];

/** @param {Endpoint} endpoint */
const endpoint = ({ address, state, ejected_for_ns, stale, zone, weight, in_flight, ewma_ns, consecutive_failures, times_ejected }) => {
  const health = `${GLYPHS[state]} ${state}${ejected_for_ns ? `, back in ${format.wait(ejected_for_ns)}` : ""}${stale ? ", stale" : ""}`;
  return [address, state, health, zone ?? "–", format.count(weight), format.count(in_flight), format.time(ewma_ns), format.count(consecutive_failures), format.count(times_ejected)];
};

/** @param {Setting} setting */
const setting = ({ field, value, origin }) => [field, origin.split(" ")[0] ?? "", value === null ? "none" : typeof value === "string" ? value : JSON.stringify(value), origin];

/** @param {Row} row */
const facts = ({ target, verdict }) => {
  const { circuit, budget, bulkhead } = target;
  const facts = [
    ["Circuit", circuit ? format.words(circuit.state) + (circuit.open_for_ns ? ` for ${format.wait(circuit.open_for_ns)}` : "") : "no breaker"],
    ...(circuit ? [["Failures in its window", `${format.count(circuit.failures)} of ${format.plural(circuit.outcomes, "attempt")}`], ["Opened", format.plural(circuit.transitions.open, "time")]] : []),
    ["Retries left", budget ? `${format.count(budget.tokens)}, ${format.percent(verdict.budget)}` : "no budget"],
    ...(bulkhead ? [["Bulkhead", `${format.count(bulkhead.occupied)} of ${format.count(bulkhead.limit)} taken, ${format.count(bulkhead.queued)} waiting`]] : []),
    ...Object.entries({ "In flight": target.in_flight, Retries: target.retries, Hedges: target.hedges, "Late results": target.late_results, "Abandoned, still running": target.abandoned, "Internal errors": target.internal_errors, "Events dropped": target.events_dropped }).map(([name, value]) => [name, format.count(value)]),
  ];
  return facts.map(([name = "", value = ""]) => [name, "", value]);
};

/** @type {string | null} */
export let name = null;
const [state, [rates, times]] = [shape(), pictures()];
by("state").append(state.node);
by("calls-chart").append(rates.node);
by("times-chart").append(times.node);
const tell = findings(find("#detail .findings", HTMLElement), 9);
const counts = /** @type {const} */ (["calls", "attempts", "rejections"]).map((of) => /** @type {const} */ ([of, table(of, of === "rejections" ? "Reason" : "Outcome", "a second", "in all")]));
const lengths = table("quantiles", "Of", "Count", "p50", "p90", "p99", "p99.9");
const now = table("facts", "What", "Now");
const endpoints = table("endpoints", "Address", "Health", "Zone", "Weight", "In flight", "Average", "Failures in a row", "Ejections");
const policy = table("policy", "Setting", "Value", "Where it comes from");
/** @type {Setting[]} */
let settings = [];

/** @param {string | null} wanted */
export const choose = (wanted) => {
  name = wanted;
  by("detail").hidden = name === null;
  say("name", name ?? "");
};

const filter = () => policy(settings.filter(({ origin }) => !find("#changed", HTMLInputElement).checked || origin !== "default").map(setting));
by("changed").addEventListener("input", filter);

/** @param {Setting[] | undefined} told None when the server does not tell. */
export const configure = (told) => {
  settings = told ?? [];
  by("no-policy").hidden = told !== undefined;
  filter();
};

/** @param {Row | undefined} row None when there is no such target. */
export const show = (row) => {
  by("gone").hidden = row !== undefined;
  by("present").hidden = row === undefined;
  if (!row) return;
  const { target, series, verdict } = row;
  const { calls: whole, attempts } = target.latency;
  mark(by("detail"), "data-tone", verdict.tone);
  state.show(circuit(target));
  say("word", `${target.circuit ? "circuit " + format.words(target.circuit.state) : "no breaker"} · ${verdict.word}`);
  say("address", target.target);
  tell(verdict);
  say("calls-most", format.rate(rates.draw(...calls(series))) + "/s");
  say("times-most", format.time(times.draw(...durations(series))));
  for (const since of document.querySelectorAll(".since")) say(since, `${format.time(series.span * 1e6)} ago`);
  say("calls-now", `${format.rate(series.rate(of.calls))}/s, ${format.percent(series.success)} succeed`);
  say("times-now", `p50 ${format.time(whole["10s"].p50_ns)}, p99 ${format.time(whole["10s"].p99_ns)}`);
  for (const [of, put] of counts) {
    put(Object.entries(target[of]).map(([name, count]) => [format.words(name), "", format.rate(series.rate((all) => /** @type {Record<string, number>} */ (all[of])[name] ?? 0)), format.count(count)]));
  }
  lengths([quantiles("calls, 10 s", whole["10s"]), quantiles("calls, 1 min", whole["60s"]), quantiles("attempts, 10 s", attempts["10s"]), quantiles("attempts, 1 min", attempts["60s"])]);
  now(facts(row));
  endpoints((target.endpoints ?? []).map(endpoint));
  by("no-endpoints").hidden = target.endpoints !== null;
};
