// The live page of one process: brings together what the server tells, which view is asked for, and what the reader may do.

import { at, bytes, count, percent, plural, rate, time, wait, words } from "./format.js";
import { by, find, h, list, mark, say } from "./draw.js";
import * as detail from "./detail.js";
import * as events from "./events.js";
import { History, of } from "./history.js";
import * as server from "./link.js";
import * as overview from "./overview.js";
import { judge } from "./verdict.js";

/** @import { Row, Snapshot } from "./schema.js" */
/** @import { Series } from "./history.js" */

const history = new History();
/** @type {Row[]} */
let rows = [];

/** To those who cannot see that something changed. @param {string} text */
const announce = (text) => by("announced").replaceChildren(h("p", {}, text));

// ---- Totals, and the process itself

const draw = overview.pictures(by("all-chart"));

const own = list(by("own"), (/** @type {[name: string, value: string, isBad?: boolean]} */ [name]) => name, ([name]) => {
  const value = h("dd");
  const node = h("div", {}, h("dt", {}, name), value);
  return { node, update: ([, text, isBad]) => (say(value, text), mark(node, "data-tone", isBad ? "warn" : "")) };
});

/** @param {Snapshot} snapshot */
const totals = ({ process, other, ready, not_ready, language, pid, version, now_ms, started_ms }) => {
  const { all } = history;
  const { runtime, workers, events } = process;
  draw(all);
  say("all-calls", rate(all.rate(of.calls)));
  say("all-success", percent(all.success));
  say("all-retries", rate(all.rate(of.retries)));
  say("all-refused", rate(all.rate(of.refused)));
  say("all-flight", count(all.samples.at(-1)?.of.in_flight));
  mark(by("all-success"), "data-tone", (all.success ?? 1) < 0.95 ? "bad" : "");
  own([
    ["Ready", ready ? "yes" : `no: ${not_ready.join("; ")}`, !ready],
    ["Runtime lag", time(runtime.lag_ns), (runtime.lag_ns ?? 0) > 50e6],
    ["Runtime queue", count(runtime.queue)],
    ["Workers", `${count(workers.busy)} of ${count(workers.limit)}${workers.waiting ? `, ${count(workers.waiting)} waiting` : ""}`, !!workers.waiting],
    ["Memory", bytes(process.memory_bytes)],
    ["Events dropped", count(events.dropped), events.dropped > 0],
    ["Up", time((now_ms - started_ms) * 1e6)],
  ]);
  say("process", `${language} · pid ${pid} · ambassador ${version}`);
  by("other").hidden = !other;
  if (other) say("other", `${plural(other.targets, "more target")} beyond the cap on names, counted together.`);
};

/** The browser's tab tells it too. @param {string} what */
const title = (what) => {
  document.title = (what && what + " · ") + "Ambassador";
};

// ---- What takes the token: to isolate, to reset, and to see anything at all of a server that others can reach

const [dialog, token] = [find("#act", HTMLDialogElement), find("#token", HTMLInputElement)];
const TITLES = { isolate: "Isolate", reset: "Reset", unlock: "Unlock" };
/** @type {keyof typeof TITLES} */
let what = "unlock";
const begin = (/** @type {keyof typeof TITLES} */ wanted) => {
  what = wanted;
  by("refused").hidden = true;
  say("act-title", `${TITLES[what]} ${what === "unlock" ? "this page" : detail.name}?`);
  say("act-do", TITLES[what]);
  for (const name of Object.keys(TITLES)) by("act-" + name).hidden = name !== what;
  dialog.showModal();
  (token.value ? by("act-do") : token).focus();
};
by("isolate").addEventListener("click", () => begin("isolate"));
by("reset").addEventListener("click", () => begin("reset"));
by("act-not").addEventListener("click", () => dialog.close());
dialog.addEventListener("submit", async (event) => {
  event.preventDefault();
  server.use(token.value.trim());
  const why = what !== "unlock" && (await server.act(detail.name ?? "", what));
  if (!why) dialog.close();
  say("refused", `Refused: ${why}`);
  by("refused").hidden = !why;
  token.select();
  again();
});

// ---- What the server tells

const show = () => {
  const { snapshot } = history;
  if (!snapshot) return;
  rows = snapshot.targets.map((target) => {
    const row = { target, series: /** @type {Series} */ (history.targets.get(target.name)) };
    return { ...row, verdict: judge(row) };
  });
  // Only what it is like decides the order, so that rows do not move with each number.
  rows.sort((a, b) => b.verdict.rank - a.verdict.rank || a.target.name.localeCompare(b.target.name));
  totals(snapshot);
  document.documentElement.dataset["at"] = String(snapshot.now_ms);
  const failing = rows.filter(({ verdict }) => verdict.tone === "bad").length;
  title(failing > 0 ? `${failing} failing` : "");
  if (detail.name === null) overview.show(history.all, rows);
  else detail.show(rows.find(({ target }) => target.name === detail.name));
};

/** @type {Map<string, string>} */
let circuits = new Map();
let lostAt = 0;

const tellLost = () => {
  const last = history.snapshot;
  say("lost-since", `No connection for ${wait((Date.now() - lostAt || 1) * 1e6)}; it is tried again each second.`);
  say("lost-last", last ? `What you see is from ${at(last.now_ms)}, and may no longer be true.` : "Nothing has been heard of the process yet.");
};

const again = server.poll((snapshot, isLocked) => {
  if (isLocked) return dialog.open || begin("unlock");
  if (snapshot && lostAt) announce("Connected again.");
  lostAt = snapshot ? 0 : lostAt || Date.now();
  mark(by("connection"), "data-state", snapshot ? "live" : "lost");
  say("connection-word", snapshot ? "Live" : "No connection");
  document.documentElement.classList.toggle("is-lost", !snapshot);
  by("lost").hidden = !!snapshot;
  if (!snapshot) {
    title("No connection");
    return tellLost();
  }
  const states = new Map(snapshot.targets.map(({ name, circuit }) => [name, circuit?.state ?? "none"]));
  for (const [name, state] of states) if ((circuits.get(name) ?? state) !== state) announce(`${name}: circuit ${words(state)}`);
  circuits = states;
  if (history.add(snapshot)) announce("The process was started anew, and so were its counters.");
  show();
});

/** What every call does is asked for only by who wants to see it. @type {string} */
let level = "";
let stop = () => {};
const listen = () => {
  const wanted = find("#kinds [value=call]", HTMLInputElement).checked || find("#kinds [value=attempt]", HTMLInputElement).checked ? "debug" : "info";
  if (wanted === level) return;
  level = wanted;
  stop();
  stop = server.listen(wanted, (event) => events.add(event), (isOpen) => (by("deaf").hidden = isOpen));
};
by("kinds").addEventListener("input", listen);
listen();

// ---- Which view

const route = async () => {
  const [, encoded = ""] = /^#\/target\/(.+)$/.exec(location.hash) ?? [];
  const before = detail.name;
  try {
    detail.choose(decodeURIComponent(encoded) || null);
  } catch {
    // No name of ours is spelled so.
    detail.choose(null);
  }
  const { name } = detail;
  by("overview").hidden = name !== null;
  events.show(name);
  show();
  if (name === null) {
    for (const link of document.querySelectorAll("a.name")) if (link instanceof HTMLElement && link.textContent === before) link.focus();
    return;
  }
  scrollTo(0, 0);
  by("name").focus({ preventScroll: true });
  const config = await server.config().catch(() => null);
  if (detail.name === name) detail.configure(config?.targets.find((target) => target.name === name)?.policy);
};
addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && detail.name !== null) location.hash = "#/";
  if (event.key === "/" && detail.name === null) {
    event.preventDefault();
    by("search").focus();
  }
});
void route();
