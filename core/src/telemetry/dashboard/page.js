// The live page of one process: brings together what the server tells, which view is asked for, and what the reader may do.

import * as format from "./format.js";
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

const [picture] = overview.pictures();
by("all-chart").append(picture.node);

const own = list(by("own"), (/** @type {[name: string, value: string, isBad?: boolean]} */ [name]) => name, ([name]) => {
  const value = h("dd");
  const node = h("div", {}, h("dt", {}, name), value);
  return { node, update: ([, text, isBad]) => (say(value, text), mark(node, "data-tone", isBad ? "warn" : "")) };
});

/** @param {Snapshot} snapshot */
const totals = ({ process, other, ready, not_ready, language, pid, version, now_ms, started_ms }) => {
  const { all } = history;
  const { runtime, workers, memory_bytes } = process;
  picture.draw(...overview.calls(all));
  say("all-calls", format.rate(all.rate(of.calls)) + "/s");
  say("all-success", format.percent(all.success));
  say("all-retries", format.rate(all.rate(of.retries)) + "/s");
  say("all-refused", format.rate(all.rate(of.refused)) + "/s");
  say("all-flight", format.count(all.samples.at(-1)?.of.in_flight));
  mark(by("all-success"), "data-tone", (all.success ?? 1) < 0.95 ? "bad" : "");
  own([
    ["Ready", ready ? "yes" : `no: ${not_ready.join("; ")}`, !ready],
    ["Runtime lag", format.time(runtime.lag_ns), (runtime.lag_ns ?? 0) > 50e6],
    ["Runtime queue", format.count(runtime.queue)],
    ["Workers", `${format.count(workers.busy)} of ${format.count(workers.limit)}${workers.waiting ? `, ${format.count(workers.waiting)} waiting` : ""}`, !!workers.waiting],
    ["Memory", format.bytes(memory_bytes)],
    ["Events dropped", format.count(process.events.dropped), process.events.dropped > 0],
    ["Up", format.time((now_ms - started_ms) * 1e6)],
  ]);
  say("process", `${language} · pid ${pid} · ambassador ${version}`);
  by("other").hidden = !other;
  if (other) say("other", `${format.plural(other.targets, "more target")} beyond the cap on names, counted together: ${format.count(other.in_flight)} in flight.`);
};

/** The browser's tab tells it too. @param {string} what */
const title = (what) => {
  const text = what && what + " · ";
  if (document.title !== `${text}Ambassador`) document.title = `${text}Ambassador`;
};

// ---- What the server tells

let isDue = false;
const show = () => {
  isDue = false;
  const { snapshot } = history;
  if (!snapshot) return;
  rows = snapshot.targets.map((target) => {
    const row = { target, series: /** @type {Series} */ (history.targets.get(target.name)) };
    return { ...row, verdict: judge(row) };
  });
  // Only what it is like decides the order, so that rows do not move with each number.
  rows.sort((a, b) => b.verdict.rank - a.verdict.rank || a.target.name.localeCompare(b.target.name));
  totals(snapshot);
  const failing = rows.filter(({ verdict }) => verdict.tone === "bad").length;
  title(failing > 0 ? `${failing} failing` : "");
  if (detail.name === null) overview.show(history.all, rows);
  else detail.show(rows.find(({ target }) => target.name === detail.name));
};

/** @type {Map<string, string>} */
let circuits = new Map();
let [lostAt, nextAt, ticking] = [0, 0, 0];

const tellLost = () => {
  const last = history.snapshot;
  const next = nextAt > Date.now() ? `in ${format.wait((nextAt - Date.now()) * 1e6)}` : "now";
  say("lost-since", `No connection for ${format.wait(Math.max(Date.now() - lostAt, 1000) * 1e6)}. Trying again ${next}.`);
  say("lost-last", last ? `What you see is from ${format.at(last.now_ms)}, and may no longer be true.` : "Nothing has been heard of the process yet.");
};

/** @param {boolean} isLive */
const connection = (isLive) => {
  mark(by("connection"), "data-state", isLive ? "live" : "lost");
  say("connection-word", isLive ? "Live" : "No connection");
  document.documentElement.classList.toggle("is-lost", !isLive);
  by("lost").hidden = isLive;
  clearInterval(ticking);
  lostAt = isLive ? 0 : Date.now();
};

const again = server.poll(
  (snapshot) => {
    if (lostAt) announce("Connected again.");
    connection(true);
    const states = new Map(snapshot.targets.map(({ name, circuit }) => [name, circuit?.state ?? "none"]));
    for (const [name, state] of states) if ((circuits.get(name) ?? state) !== state) announce(`${name}: circuit ${format.words(state)}`);
    circuits = states;
    if (history.add(snapshot)) announce("The process was started anew; its counters begin anew.");
    // A page in the background draws no frames, but its tab still tells how it is.
    if (document.hidden) show();
    else if (!isDue) requestAnimationFrame(show);
    isDue = true;
  },
  (againMs) => {
    nextAt = Date.now() + againMs;
    if (!lostAt) {
      connection(false);
      ticking = window.setInterval(tellLost, 1000);
      title("No connection");
    }
    tellLost();
  },
);
by("retry").addEventListener("click", again);

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

// ---- Isolate and reset

const [dialog, token] = [find("#act", HTMLDialogElement), find("#token", HTMLInputElement)];
const ACTIONS = {
  isolate: ["Isolate", "Every call to it is refused at once, in this process, until it is reset."],
  reset: ["Reset", "Its circuit closes with an empty window, and calls go to it again."],
};
let what = "";
for (const [id, [word = "", meaning = ""]] of Object.entries(ACTIONS)) {
  by(id).addEventListener("click", () => {
    what = id;
    by("refused").hidden = true;
    say("act-title", `${word} ${detail.name}?`);
    say("act-meaning", meaning);
    say("act-do", word);
    dialog.showModal();
    (token.value ? by("act-do") : token).focus();
  });
}
by("act-not").addEventListener("click", () => dialog.close());
dialog.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await server.act(detail.name ?? "", what, token.value.trim());
    dialog.close();
    void again();
  } catch (error) {
    say("refused", `Refused: ${error instanceof Error ? error.message : error}`);
    by("refused").hidden = false;
    token.select();
  }
});

// ---- Light or dark: as the system has it, until told otherwise

void route();
const theme = find("#theme", HTMLSelectElement);
const paint = () => mark(document.documentElement, "data-theme", theme.value);
theme.value = localStorage.getItem(theme.id) ?? "";
theme.addEventListener("change", () => (paint(), localStorage.setItem(theme.id, theme.value)));
paint();
