// All targets, the worst first: what fails and what is done about it, in one headline, some totals, and a row for each.

import * as format from "./format.js";
import { by, chart, find, h, list, mark, say, shape } from "./draw.js";
import { of } from "./history.js";

/** @import { Endpoint, Finding, Row, Target, Verdict } from "./schema.js" */
/** @import { Series } from "./history.js" */

export const link = (/** @type {string} */ name) => "#/target/" + encodeURIComponent(name);

/** The breaker's state, whose shape it is. @param {Target} target */
export const circuit = (target) => target.circuit?.state ?? "none";

/** What fails, and what is done about it; so many lines at most. @param {Element} parent @param {number} most */
export const findings = (parent, most) => {
  const lines = list(parent, (/** @type {[number, Finding]} */ [index]) => String(index), () => {
    const [fails, does] = [h("b.fails"), h("span")];
    return { node: h("li", {}, fails, " → ", does), update: ([, finding]) => (say(fails, finding.fails), say(does, finding.does)) };
  });
  return (/** @type {Verdict} */ verdict) => lines(verdict.findings.slice(0, most).map((finding, index) => [index, finding]));
};

/** Calls per second, and how many of them are lost. @param {Series} series */
export const calls = (series) => {
  const all = series.steps(of.calls);
  const label = `Calls per second: ${format.rate(series.rate(of.calls))}, of which ${format.rate(series.rate(of.lost))} fail or are refused`;
  return /** @type {const} */ ([[all, series.steps(of.lost), all], series.span, label]);
};

/** @param {Series} series */
export const durations = (series) => {
  const { p50_ns, p99_ns } = series.samples.at(-1)?.latency ?? {};
  const high = series.quantile("p99_ns");
  return /** @type {const} */ ([[high, high, series.quantile("p50_ns")], series.span, `Duration of calls: median ${format.time(p50_ns)}, 99th percentile ${format.time(p99_ns)}`]);
};

export const pictures = () => /** @type {const} */ ([chart("area total", "area lost", "line"), chart("area high", "line p99", "line")]);

/** So many shapes of endpoints are shown at most. */
const SHAPES = 16;

const make = (/** @type {Row} */ { target: { name, target } }) => {
  const [state, [rates, times]] = [shape(), pictures()];
  const [word, out, bar] = [h("span"), h("span"), h("span.bar")];
  const [success, rate, median, retries, flight] = [h("b"), h("b"), h("b"), h("b"), h("b")];
  const [lost, high, left] = [h("small"), h("small"), h("small")];
  const [found, reasons, points] = [h("ul.findings"), h("ul"), h("span.points")];
  const cell = (/** @type {string} */ label, /** @type {Node[]} */ ...content) => h("td", { "data-label": label }, ...content);
  const title = h("span.title", {}, h("a.name", { href: link(name), title: name }, name), h("span.address", {}, target === name ? "" : target), h("span.strip", {}, points, out), reasons);
  const node = h(
    "tr",
    {},
    cell("Circuit", state.node, word),
    h("th", { scope: "row" }, title, found),
    cell("Calls", rates.node, rate),
    cell("Success", success, lost),
    cell("Duration", times.node, h("span.pair", {}, median, high)),
    cell("Retries", retries, bar, left),
    cell("In flight", flight),
  );
  const tell = findings(found, 2);
  const chips = list(reasons, (/** @type {[string, number]} */ [reason]) => reason, ([reason]) => {
    const value = h("b");
    return { node: h("li", {}, format.words(reason), " ", value), update: ([, rate]) => say(value, format.rate(rate) + "/s") };
  });
  const shapes = list(points, (/** @type {Endpoint} */ { address }) => address, () => {
    const { node, show } = shape();
    return { node, update: ({ state }) => (show(state), mark(node, "data-state", state)) };
  });
  let isSeen = true;
  /** @type {Row | null} */
  let last = null;
  const draw = (/** @type {Row} */ { series }) => (rates.draw(...calls(series)), times.draw(...durations(series)));
  // A browser tells which rows it does not paint.
  node.addEventListener("contentvisibilityautostatechange", (event) => {
    isSeen = !(/** @type {ContentVisibilityAutoStateChangeEvent} */ (event).skipped);
    if (isSeen && last) draw(last);
  });
  /** @param {Row} row */
  const update = (row) => {
    const { target, series, verdict } = (last = row);
    const { p50_ns, p99_ns } = target.latency.calls["10s"];
    const endpoints = target.endpoints ?? [];
    const well = endpoints.filter(({ state }) => state === "healthy").length;
    mark(node, "data-tone", verdict.tone);
    mark(node, "data-circuit", circuit(target));
    state.show(circuit(target));
    say(word, target.circuit ? format.words(target.circuit.state) : "no breaker");
    tell(verdict);
    shapes(endpoints.slice(0, SHAPES));
    say(out, endpoints.length === 0 ? "" : `${well < endpoints.length ? well + " of " : ""}${format.plural(endpoints.length, "endpoint")}`);
    const refused = Object.keys(target.rejections).map((name) => /** @type {[string, number]} */ ([name, series.rate(({ rejections }) => rejections[/** @type {"shutdown"} */ (name)])]));
    chips(refused.filter(([, rate]) => rate > 0));
    say(rate, format.rate(series.rate(of.calls)) + "/s");
    say(success, format.percent(series.success));
    say(lost, series.rate(of.lost) > 0 ? format.rate(series.rate(of.lost)) + "/s lost" : "");
    say(median, format.time(p50_ns));
    say(high, `p99 ${format.time(p99_ns)}`);
    say(retries, format.rate(series.rate(of.retries)) + "/s");
    bar.style.setProperty("--share", (verdict.budget ?? 0) * 100 + "%");
    mark(bar, "data-low", String(verdict.budget !== null && verdict.budget < 0.25));
    say(left, verdict.budget === null ? "no budget" : `${format.percent(verdict.budget)} left`);
    say(flight, format.count(target.in_flight));
    if (isSeen) draw(row);
  };
  return { node, update };
};

/** @param {Row[]} rows @returns {[tone: string, text: string, shape: string]} */
const headline = (rows) => {
  for (const [tone, what, form] of /** @type {const} */ ([["bad", "failing", "bad"], ["warn", "in trouble, but served", "unhealthy"], ["held", "isolated", "isolated"]])) {
    const some = rows.filter(({ verdict }) => verdict.tone === tone);
    const names = some.map(({ target }) => target.name).join(" and ");
    if (some.length > 2 || names.length > 48) return [tone, `${some.length} of ${rows.length} targets are ${what}`, form];
    if (some.length > 0) return [tone, `${names} ${some.length === 1 ? "is" : "are"} ${what}`, form];
  }
  return rows.length > 0 ? ["good", rows.length === 1 ? `${rows[0]?.target.name} is well` : `All ${rows.length} targets are well`, "good"] : ["idle", "No target yet", "none"];
};

/** What the ambassador does now, in one sentence. @param {Row[]} rows @param {Series} all */
const deeds = (rows, all) => {
  const open = rows.filter(({ target }) => circuit(target) === "open").length;
  const out = rows.flatMap(({ target }) => target.endpoints ?? []).filter(({ state }) => state !== "healthy").length;
  const [refused, retries, fallback] = [all.rate(of.refused), all.rate(of.retries), all.rate(of.fallback)];
  const does = [
    open > 0 && `keeps ${format.plural(open, "circuit")} open`,
    refused > 0 && `refuses ${format.rate(refused)} calls/s at once`,
    retries > 0 && `retries ${format.rate(retries)}/s`,
    out > 0 && `leaves out ${format.plural(out, "endpoint")}`,
    fallback > 0 && `answers ${format.rate(fallback)}/s by a fallback`,
  ].filter(Boolean);
  if (rows.length === 0) return "A target is here as soon as the app makes a proxy for it.";
  if (does.length === 0) return "Calls go straight through; there is nothing to be done.";
  return `The ambassador ${does.length > 1 ? does.slice(0, -1).join(", ") + " and " : ""}${does.at(-1)}.`;
};

const search = find("#search", HTMLInputElement);
const trouble = find("#trouble", HTMLInputElement);
const body = find("#targets tbody", HTMLElement);
const put = list(body, (/** @type {Row} */ { target }) => target.name, make);
const icon = shape();
/** @type {Row[]} */
let all = [];

const filter = () => {
  const wanted = search.value.trim().toLowerCase();
  const shown = all.filter(({ target, verdict }) => (!trouble.checked || verdict.rank > 1) && `${target.name} ${target.target}`.toLowerCase().includes(wanted));
  put(shown);
  say("shown", `${shown.length < all.length ? shown.length + " of " : ""}${format.plural(all.length, "target")}`);
};

/** @param {Series} series Of all together. @param {Row[]} rows The worst first. */
export const show = (series, rows) => {
  all = rows;
  const [tone, text, form] = headline(rows);
  mark(by("headline"), "data-tone", tone);
  icon.show(form);
  say("verdict", text);
  say("deeds", deeds(rows, series));
  filter();
};

by("icon").append(icon.node);
for (const input of [search, trouble]) input.addEventListener("input", filter);
// The whole row leads where its name does, unless one only wants to copy from it.
body.addEventListener("click", ({ target }) => {
  if (target instanceof Element && !target.closest("a") && getSelection()?.isCollapsed) target.closest("tr")?.querySelector("a")?.click();
});
