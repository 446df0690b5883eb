// All targets, the worst first: what fails and what is done about it, in one headline, some totals, and a row for each.

import { count, percent, plural, rate, time, words } from "./format.js";
import { by, chart, find, h, list, mark, say, shape } from "./draw.js";
import { of } from "./history.js";

/** @import { Endpoint, Finding, Findings, Headline, Row } from "./schema.js" */
/** @import { Series } from "./history.js" */

export const link = (/** @type {string} */ name) => "#/target/" + encodeURIComponent(name);

/** What fails, and what is done about it; so many lines at most. @type {Findings} */
export const findings = (parent, most) => {
  const lines = list(parent, (/** @type {[number, Finding]} */ [index]) => String(index), () => {
    const [fails, does] = [h("b.fails"), h("span")];
    return { node: h("li", {}, fails, " → ", does), update: ([, finding]) => (say(fails, finding.fails), say(does, finding.does)) };
  });
  return (verdict) => lines(verdict.findings.slice(0, most).map((finding, index) => [index, finding]));
};

/** Draws calls per second and how many are lost; and how long they take. Gives the most of each.
 * @param {Element} ratesIn @param {Element} [timesIn] */
export const pictures = (ratesIn, timesIn) => {
  const rates = chart(ratesIn, "area total", "area lost", "line");
  const times = timesIn && chart(timesIn, "area high", "line p99", "line");
  return (/** @type {Series} */ series) => {
    const [all, high, { p50_ns, p99_ns }] = [series.steps(of.calls), series.quantile("p99_ns"), series.samples.at(-1)?.latency ?? {}];
    return /** @type {const} */ ([
      rates([all, series.steps(of.lost), all], series.span, `Calls: ${rate(series.rate(of.calls))}, of which ${rate(series.rate(of.lost))} fail or are refused`),
      times?.([high, high, series.quantile("p50_ns")], series.span, `Duration of calls: median ${time(p50_ns)}, 99th percentile ${time(p99_ns)}`),
    ]);
  };
};

const make = (/** @type {Row} */ { target: { name, target } }) => {
  const state = shape();
  const [word, out, bar] = [h("span"), h("span"), h("span.bar")];
  const [success, calls, median, retries, flight] = [h("b"), h("b"), h("b"), h("b"), h("b")];
  const [lost, high, left] = [h("small"), h("small"), h("small")];
  const [found, points] = [h("ul.findings"), h("span.points")];
  const cell = (/** @type {string} */ label, /** @type {Node[]} */ ...content) => h("td", { "data-label": label }, ...content);
  const [rates, times] = [cell("Calls", calls), cell("Duration", h("span.pair", {}, median, high))];
  const title = h("span.title", {}, h("a.name", { href: link(name), title: name }, name), h("span.address", {}, target === name ? "" : target), h("span.strip", {}, points, out));
  const node = h("tr", {}, cell("Circuit", state.node, word), h("th", { scope: "row" }, title, found), rates, cell("Success", success, lost), times, cell("Retries", retries, bar, left), cell("In flight", flight));
  const [tell, draw] = [findings(found, 2), pictures(rates, times)];
  const shapes = list(points, (/** @type {Endpoint} */ { address }) => address, () => {
    const { node, show } = shape();
    return { node, update: ({ state }) => (show(state), mark(node, "data-state", state)) };
  });
  /** @param {Row} row */
  const update = ({ target, series, verdict }) => {
    const { p50_ns, p99_ns } = target.latency.calls["10s"];
    const { circuit, endpoints } = target;
    const [all, well] = [endpoints?.length ?? 0, endpoints?.filter(({ state }) => state === "healthy").length ?? 0];
    const away = series.rate(of.lost);
    mark(node, "data-tone", verdict.tone);
    node.classList.toggle("ill", verdict.rank > 1);
    state.show(circuit?.state ?? "none");
    say(word, words(circuit?.state ?? "no breaker"));
    tell(verdict);
    shapes(endpoints?.slice(0, 16) ?? []);
    say(out, all === 0 ? "" : `${well < all ? well + " of " : ""}${plural(all, "endpoint")}`);
    say(calls, rate(series.rate(of.calls)));
    say(success, percent(series.success));
    say(lost, away > 0 ? rate(away) + " lost" : "");
    say(median, time(p50_ns));
    say(high, `p99 ${time(p99_ns)}`);
    say(retries, rate(series.rate(of.retries)));
    bar.style.setProperty("--share", (verdict.budget ?? 0) * 100 + "%");
    mark(bar, "data-low", String((verdict.budget ?? 1) < 0.25));
    say(left, verdict.budget === null ? "no budget" : `${percent(verdict.budget)} left`);
    say(flight, count(target.in_flight));
    // Not those that are scrolled away.
    if (node.checkVisibility({ contentVisibilityAuto: true })) draw(series);
  };
  return { node, update };
};

/** @param {Row[]} rows @returns {Headline} */
const headline = (rows) => {
  for (const [tone, what, form] of /** @type {const} */ ([["bad", "failing", "bad"], ["warn", "degraded", "unhealthy"], ["held", "isolated", "isolated"]])) {
    const some = rows.filter(({ verdict }) => verdict.tone === tone);
    const names = some.map(({ target }) => target.name).join(" and ");
    if (some.length > 2 || names.length > 48) return [tone, `${some.length} of ${rows.length} targets are ${what}`, form];
    if (some.length > 0) return [tone, `${names} ${some.length === 1 ? "is" : "are"} ${what}`, form];
  }
  return rows.length > 0 ? ["good", rows.length === 1 ? `${rows[0]?.target.name} is well` : `All ${rows.length} targets are well`, "good"] : ["idle", "No target yet", "none"];
};

/** What the ambassador does now, in one sentence. @param {Row[]} rows @param {Series} all */
const deeds = (rows, all) => {
  const open = rows.filter(({ target }) => target.circuit?.state === "open").length;
  const out = rows.flatMap(({ target }) => target.endpoints ?? []).filter(({ state }) => state !== "healthy").length;
  const [refused, retries, fallback] = [all.rate(of.refused), all.rate(of.retries), all.rate(of.fallback)];
  const does = [
    open > 0 && `keeps ${plural(open, "circuit")} open`,
    refused > 0 && `refuses ${rate(refused)} at once`,
    retries > 0 && `retries ${rate(retries)}`,
    out > 0 && `leaves out ${plural(out, "endpoint")}`,
    fallback > 0 && `answers ${rate(fallback)} by a fallback`,
  ].filter(Boolean);
  if (rows.length === 0) return "A target is here as soon as the app makes a proxy for it.";
  if (does.length === 0) return "Calls go straight through; there is nothing to be done.";
  return `The ambassador ${does.length > 1 ? does.slice(0, -1).join(", ") + " and " : ""}${does.at(-1)}.`;
};

const search = find("#search", HTMLInputElement);
const put = list(find("#targets tbody", HTMLElement), (/** @type {Row} */ { target }) => target.name, make);
const icon = shape();
/** @type {Row[]} */
let all = [];

const filter = () => {
  const wanted = search.value.trim().toLowerCase();
  const shown = all.filter(({ target }) => `${target.name} ${target.target}`.toLowerCase().includes(wanted));
  put(shown);
  say("shown", `${shown.length < all.length ? shown.length + " of " : ""}${plural(all.length, "target")}`);
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
search.addEventListener("input", filter);
