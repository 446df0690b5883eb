// Small tools to draw with: elements, text that is only touched when it changes, lists that keep their elements, lines over time.
// Names come from outside: they go into the page as text, never as markup.

/** @import { Draw, Find, H, List, Mark, Say, Svg } from "./schema.js" */

/** @type {H} */
export const h = (tag, attributes = {}, ...children) => {
  const [name, ...classes] = tag.split(".");
  /** @type {any} */
  const element = document.createElement(name ?? "");
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

/** @type {Find} */
export const find = (selector, type) => {
  const found = document.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`${selector} is not in the page`);
  return found;
};

export const by = (/** @type {string} */ id) => find("#" + id, HTMLElement);

/** @type {Say} */
export const say = (node, text) => {
  const within = typeof node === "string" ? by(node) : node;
  const present = within?.firstChild;
  if (!present) within?.append(text || "\u200b");
  else if (present.nodeValue !== text) present.nodeValue = text;
};

/** @type {Mark} */
export const mark = (element, name, value) => {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

/** @type {Svg} */
const svg = (tag, attributes, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

/** One of the shapes that the page has; what it means is said beside it. @param {string} [name] */
export const shape = (name = "none") => {
  const use = svg("use", { href: "#shape-" + name });
  return { node: svg("svg", { class: "shape", "aria-hidden": "true", viewBox: "0 0 16 16" }, use), show: (/** @type {string} */ other) => mark(use, "href", "#shape-" + other) };
};

const [WIDTH, HEIGHT] = [240, 48];

/** A picture of some lines over the last minutes, each with a class; `area` in it fills what is below.
 * @param {Element} parent @param {string[]} classes @returns {Draw} */
export const chart = (parent, ...classes) => {
  const lines = classes.map((name) => svg("path", { class: name, "vector-effect": "non-scaling-stroke" }));
  const node = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, ...lines);
  parent.prepend(node);
  return (all, span, label) => {
    const to = all[0]?.at(-1)?.[0] ?? 0;
    const most = Math.max(...all.map((points) => Math.max(...points.map(([, value]) => value ?? 0))), 1e-9);
    lines.forEach((line, index) => {
      const isArea = classes[index]?.includes("area");
      let [path, last] = ["", ""];
      const end = () => isArea && last && (path += `L${last} ${HEIGHT}Z`);
      for (const [at, value] of all[index] ?? []) {
        const x = (((at - to) / span + 1) * WIDTH).toFixed(1);
        if (value === null) end();
        else path += `${last ? "L" : isArea ? `M${x} ${HEIGHT}L` : "M"}${x} ${(HEIGHT - (value / most) * (HEIGHT - 2)).toFixed(1)}`;
        last = value === null ? "" : x;
      }
      end();
      mark(line, "d", path);
    });
    mark(node, "aria-label", label);
    return most;
  };
};

/** @type {List} */
export const list = (parent, key, make) => {
  /** @type {Map<string, ReturnType<typeof make>>} */
  const present = new Map();
  const move = (/** @type {Element} */ node, /** @type {Element | null} */ before) => {
    // `moveBefore` keeps the focus; not every browser has it.
    if ("moveBefore" in parent && node.parentNode) /** @type {any} */ (parent).moveBefore(node, before);
    else parent.insertBefore(node, before);
  };
  return (items) => {
    const keys = new Set(items.map(key));
    for (const [name, { node }] of present) {
      if (keys.has(name)) continue;
      node.remove();
      present.delete(name);
    }
    let at = parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      const row = present.get(name) ?? make(item);
      present.set(name, row);
      // One that goes down would otherwise move all that it passes.
      if (at && at !== row.node && at.nextElementSibling === row.node) {
        move(at, null);
        at = row.node;
      }
      if (at === row.node) at = at.nextElementSibling;
      else move(row.node, at);
      row.update?.(item);
    }
  };
};

/** A table with a header on top and one in each row: `[header, state, …cells]`, of which only what changes is touched.
 * @param {string} id @param {string[]} headers */
export const table = (id, ...headers) => {
  const body = h("tbody");
  const head = h("tr", {}, ...headers.map((header) => h("th", { scope: "col" }, header)));
  by(id).append(h("div.scroll", { tabindex: "0" }, h("table", {}, h("thead", {}, head), body)));
  return list(body, (/** @type {string[]} */ [name]) => name ?? "", ([name]) => {
    const cells = headers.slice(1).map(() => h("td"));
    const node = h("tr", {}, h("th", { scope: "row" }, name ?? ""), ...cells);
    return { node, update: ([, state, ...texts]) => (mark(node, "data-state", state ?? ""), cells.forEach((cell, index) => say(cell, texts[index] ?? ""))) };
  });
};
