// Numbers, units and times as a person reads them, by Intl, in the language of the browser. What is not known is a dash.

/** @import { Maybe, Spell } from "./schema.js" */

const NONE = "–";
const locale = navigator.language;
const number = (/** @type {Intl.NumberFormatOptions} */ options) => new Intl.NumberFormat(locale, options).format;
// `s` and `h`, but not `m`, which might be anything.
const inUnit = (/** @type {string} */ unit) => number({ style: "unit", unit, unitDisplay: unit === "second" || unit === "hour" ? "narrow" : "short" });
const tenths = (/** @type {number} */ value) => (value < 10 ? Math.round(value * 10) / 10 : Math.round(value));

const integer = number({ maximumFractionDigits: 0 });
const short = number({ notation: "compact", maximumSignificantDigits: 3 });
const percents = [0, 1, 2].map((digits) => number({ style: "percent", maximumFractionDigits: digits }));
const [seconds, megabytes] = [inUnit("second"), inUnit("megabyte")];
/** Below how many nanoseconds which unit is used. */
const TIMES = /** @type {const} */ ([
  [1e6, 1e3, inUnit("microsecond")],
  [1e9, 1e6, inUnit("millisecond")],
  [120e9, 1e9, seconds],
  [7200e9, 60e9, inUnit("minute")],
  [172800e9, 3600e9, inUnit("hour")],
  [Infinity, 86400e9, inUnit("day")],
]);
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** Exact, with the separators of the language. @type {Spell} */
export const count = (value) => (value == null ? NONE : integer(value));

/** Per second, with at most three digits: `12.4/s`, `3.2K/s`. @param {number} value */
export const rate = (value) => `${value > 0 && value < 0.1 ? "<" + short(0.1) : short(tenths(value))}/s`;

/** Never rounded up to all, nor down to none. @param {Maybe} share */
export const percent = (share) => {
  if (share == null) return NONE;
  const digits = share > 0.999 ? 2 : share > 0.99 || share < 0.1 ? 1 : 0;
  const step = 10 ** (digits + 2);
  const rounded = share < 0.5 ? Math.max(Math.ceil(share * step - 1e-6), 0) : Math.floor(share * step + 1e-6);
  return percents[digits]?.(rounded / step) ?? "";
};

/** A length of time. @type {Spell} */
export const time = (ns) => {
  const [, one, spell] = TIMES.find(([below]) => (ns ?? 0) < below) ?? [];
  return ns == null || !one || !spell ? NONE : spell(tenths(ns / one));
};

/** A time to wait for, in whole seconds, rounded up. @param {number} ns */
export const wait = (ns) => (ns < 120e9 ? seconds(Math.ceil(ns / 1e9)) : time(ns));

/** @type {Spell} */
export const bytes = (value) => (value == null ? NONE : megabytes(tenths(value / 1e6)));

/** The time of day. @param {number} ms */
export const at = (ms) => clock.format(ms);

/** `1 endpoint`, `2 endpoints`. @param {number} n @param {string} one */
export const plural = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;

/** `half_open` as words. @param {string} name */
export const words = (name) => name.replaceAll("_", " ");
