// The page's connection to the admin server: snapshots, each second; events; the policy; and what may be done with a token.

/** @import { Config, Snapshot, Told } from "./schema.js" */

/** How soon it is asked again, after so many failures in a row. */
const AGAIN_MS = [1000, 1000, 2000, 5000];
const PATIENCE_MS = 5000;
const KINDS = ["attempt", "retry", "hedge", "call", "circuit", "endpoint", "endpoints", "settings", "internal"];

/** @param {string} path @param {RequestInit} [init] */
const ask = async (path, init) => {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...init });
  if (!response.ok) throw new Error((await response.text()).trim().slice(0, 200) || `HTTP ${response.status}`);
  return response;
};

/** Asks for a snapshot each second, for ever. `lost` is told each time that there is no answer. Gives a way to ask at once.
 * @param {(snapshot: Snapshot) => void} got @param {(againMs: number) => void} lost */
export const poll = (got, lost) => {
  let failures = 0;
  let isAsking = false;
  let timer = 0;
  const next = async () => {
    if (isAsking) return;
    isAsking = true;
    clearTimeout(timer);
    const begun = performance.now();
    const snapshot = await ask("v1/snapshot").then((response) => response.json()).catch(() => null);
    failures = snapshot ? 0 : failures + 1;
    const wait = AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)] ?? 0;
    timer = window.setTimeout(next, snapshot ? Math.max(wait - (performance.now() - begun), 0) : wait);
    isAsking = false;
    if (snapshot) got(snapshot);
    else lost(wait);
  };
  // Timers of a page that is not looked at are slow.
  document.addEventListener("visibilitychange", () => document.hidden || next());
  addEventListener("online", next);
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
