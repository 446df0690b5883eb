// The stream of events: what happened, newest first, of the kinds that one wants to see; it can be held still.

import { at } from "./format.js";
import { by, find, h, list, shape } from "./draw.js";
import { link } from "./overview.js";

/** @import { Kept, Told } from "./schema.js" */

/** How many are remembered of each kind, so that many of one do not push out the others; and how many are shown. */
const [KEPT, SHOWN] = [300, 100];
/** @type {Record<string, string>} */
const GROUPS = { circuit: "circuit", endpoint: "endpoint", endpoints: "endpoint", retry: "retry", hedge: "retry", call: "call", attempt: "attempt" };
const TONES = { ERROR: "bad", WARN: "warn", INFO: "good", DEBUG: "", TRACE: "" };

/** What became of it, as a shape. @param {Told} event */
const form = ({ type, to = "dot", outcome }) => {
  if (outcome) return outcome === "ok" || outcome === "fallback" ? "healthy" : "ejected";
  return { retry: "retry", hedge: "retry", internal: "bad" }[type] ?? (to === "back" ? "healthy" : to);
};

const rows = list(by("stream"), (/** @type {Kept} */ { id }) => String(id), (event) => {
  const { name, level, message, at_ms } = event;
  const text = h("span", {}, h("a", { href: link(name), title: name }, name), " ", message.replace(name + ": ", ""));
  return { node: h("li", { "data-tone": TONES[level] }, shape(form(event)).node, h("time", {}, at(at_ms)), text) };
});

/** @type {Map<string, Kept[]>} */
const kept = new Map();
let [ids, isDrawn] = [0, true];
/** @type {string | null} */
let only = null;

const group = (/** @type {Told} */ { type }) => GROUPS[type] ?? "other";
const all = () => [...kept.values()].flat().sort((one, other) => other.id - one.id);

const refresh = () => {
  isDrawn = true;
  const kinds = ["other", ...[...by("kinds").querySelectorAll("input")].filter(({ checked }) => checked).map(({ value }) => value)];
  const words = find("#words", HTMLInputElement).value.trim().toLowerCase();
  const shown = all().filter((event) => kinds.includes(group(event)) && (only === null || event.name === only) && event.message.toLowerCase().includes(words));
  rows(shown.slice(0, SHOWN));
  by("quiet").hidden = shown.length > 0;
};

/** Only those of that target, or of all. @param {string | null} name */
export const show = (name) => {
  only = name;
  refresh();
};

/** @param {Told} event */
export const add = (event) => {
  const some = kept.get(group(event)) ?? [];
  kept.set(group(event), some);
  some.push({ ...event, id: ids++ });
  if (some.length > KEPT * 2) some.splice(0, KEPT);
  isDrawn = false;
};

by("events").addEventListener("input", refresh);
// Often enough to seem at once, and not for each of thousands.
setInterval(() => isDrawn || find("#pause", HTMLInputElement).checked || refresh(), 250);
