// What is wrong with a target, what the ambassador does about it, and how bad it is. It only reads what the core has decided:
// nothing here changes what happens to a call.

import { count, percent, rate, wait } from "./format.js";
import { of } from "./history.js";

/** @import { Finding, Judged, Rejection, Row, Target, Tone, Verdict } from "./schema.js" */

/** From which share of lost calls on a target is failing, and from which of failed attempts on it is worth a word. */
const [FAILING, NOTICED] = [0.05, 0.01];

/** @param {Target} target @returns {Finding | undefined} */
const circuit = ({ circuit }) => {
  switch (circuit?.state) {
    case "open":
      return { fails: "Too many attempts failed", does: `refuses calls at once, ${circuit.open_for_ns ? `probes again in ${wait(circuit.open_for_ns)}` : "the next call is a probe"}` };
    case "half_open":
      return { fails: "It failed until now", does: "lets a few probes through to see whether it is back" };
    case "isolated":
      return { fails: "Isolated by hand", does: "refuses every call until it is reset" };
  }
};

/** @param {Target} target @returns {Judged[]} */
const endpoints = ({ endpoints }) => {
  const all = endpoints ?? [];
  const out = all.filter(({ state }) => state !== "healthy");
  const left = all.length - out.length;
  const back = Math.max(...out.map((endpoint) => endpoint.ejected_for_ns ?? 0));
  const does = (left ? `uses the other${left > 1 ? " " + left : ""}` : "asks them all the same") + (back > 0 ? `, tries again in ${wait(back)}` : "");
  return [
    out[0] && { fails: out.length === 1 ? `Endpoint ${out[0].address} fails` : `${out.length} of ${all.length} endpoints fail`, does },
    all.some(({ stale }) => stale) && { fails: "Discovery fails", does: "keeps the last known endpoints" },
  ];
};

/** @param {Omit<Row, "verdict">} row @param {number | null} budget @returns {Judged[]} */
const calls = ({ target, series }, budget) => {
  const [failed, failedAttempts] = [series.share(of.failed, of.unfailed) ?? 0, series.share(of.failedAttempts, of.okAttempts) ?? 0];
  const [retries, fallback] = [series.rate(of.retries), series.rate(of.fallback)];
  const does = [
    budget === 0 ? "has spent the retry budget" : retries > 0 ? `retries ${rate(retries)}` : failed > 0 && "hands the errors back",
    fallback > 0 && `answers ${rate(fallback)} by the fallback`,
    failed === 0 && "no call is lost",
  ].filter(Boolean).join(", ");
  const isLate = series.rate(({ calls }) => calls.timeout) > series.rate(of.failed) / 2;
  const refuses = (/** @type {Rejection} */ why) => series.rate(({ rejections }) => rejections[why]) > 0;
  return [
    target.circuit?.state !== "open" && (failed > 0 ? { fails: `${percent(failed)} of calls ${isLate ? "time out" : "fail"}`, does } : failedAttempts >= NOTICED && { fails: `${percent(failedAttempts)} of attempts fail`, does }),
    refuses("bulkhead_full") && { fails: `More calls at once than ${count(target.bulkhead?.limit)}`, does: "refuses the rest" },
    refuses("rate_limited") && { fails: "More calls than its rate limit", does: "refuses the rest" },
    refuses("no_endpoint") && { fails: "No endpoint is known", does: "refuses calls at once" },
  ];
};

/** @param {Omit<Row, "verdict">} row @returns {Verdict} */
export const judge = (row) => {
  const { target, series } = row;
  // What is left of all that the budget allows in its ten seconds.
  const [tokens, spent] = [target.budget?.tokens ?? 0, series.rate(of.retries) * 10];
  const budget = target.budget ? (tokens > 0 ? tokens / (tokens + spent) : 0) : null;
  const findings = [circuit(target), ...endpoints(target), ...calls(row, budget)].filter((finding) => !!finding);
  const state = target.circuit?.state;
  /** @type {[number, Tone, string]} */
  const [rank, tone, word] =
    state === "open" ? [6, "bad", "failing"]
    : state === "half_open" ? [4, "warn", "recovering"]
    : state === "isolated" ? [3, "held", "isolated"]
    : 1 - (series.success ?? 1) >= FAILING ? [5, "bad", "failing"]
    : findings.length > 0 ? [2, "warn", "degraded"]
    : target.latency.calls["60s"].count > 0 || target.in_flight > 0 ? [1, "good", "well"]
    : [0, "idle", "idle"];
  return { rank, tone, word, findings, budget };
};
