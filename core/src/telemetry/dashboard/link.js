// The page's connection to the admin server: snapshots, each second; events; the policy; and what may be done with a token.

/** @import { Config, Snapshot, Told } from "./schema.js" */

const [EVERY_MS, PATIENCE_MS] = [1000, 5000];
const KINDS = ["attempt", "retry", "hedge", "call", "circuit", "endpoint", "endpoints", "settings", "internal"];

/** @param {string} path @param {RequestInit} [init] */
const ask = async (path, init) => {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...init });
  if (!response.ok) throw new Error((await response.text()).trim().slice(0, 200) || `HTTP ${response.status}`);
  return response;
};

/** Asks for a snapshot each second, for ever; `got` is told null when there is no answer. Gives a way to ask at once.
 * @param {(snapshot: Snapshot | null) => void} got */
export const poll = (got) => {
  let isAsking = false;
  let timer = 0;
  const next = async () => {
    if (isAsking) return;
    isAsking = true;
    clearTimeout(timer);
    const begun = performance.now();
    const snapshot = await ask("v1/snapshot").then((response) => response.json()).catch(() => null);
    timer = window.setTimeout(next, Math.max(EVERY_MS - (performance.now() - begun), 0));
    isAsking = false;
    got(snapshot);
  };
  // Timers of a page that is not looked at are slow.
  document.addEventListener("visibilitychange", () => document.hidden || next());
  void next();
  return next;
};

/** Hears events, until told to stop. @param {"debug" | "info"} level @param {(event: Told) => void} heard @param {(isOpen: boolean) => void} changed */
export const listen = (level, heard, changed) => {
  /** @type {EventSource} */
  let source;
  let timer = 0;
  const begin = () => {
    source = new EventSource("v1/events?level=" + level);
    for (const type of KINDS) source.addEventListener(type, ({ data }) => heard({ ...JSON.parse(data), type }));
    source.addEventListener("open", () => changed(true));
    source.addEventListener("error", () => {
      changed(false);
      // A browser tries again by itself, but not when it was answered by an error.
      if (source.readyState === EventSource.CLOSED) timer = window.setTimeout(begin, 3000);
    });
  };
  begin();
  return () => (clearTimeout(timer), source.close());
};

/** @returns {Promise<Config>} */
export const config = async () => (await ask("v1/config")).json();

/** @param {string} name @param {string} what `isolate` or `reset` @param {string} token */
export const act = (name, what, token) => ask(`v1/targets/${encodeURIComponent(name)}/${what}`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
