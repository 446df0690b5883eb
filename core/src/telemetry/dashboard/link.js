// The page's connection to the admin server: snapshots, each second; events; the policy; and what may be done with a token.

/** @import { Config, Snapshot, Told } from "./schema.js" */

const [EVERY_MS, PATIENCE_MS] = [1000, 5000];

/** What the server is shown. It stays here: a page that is loaded anew does not know it. */
let token = "";
export const use = (/** @type {string} */ wanted) => (token = wanted);

/** An answer that is not as wished is thrown. @param {string} path @param {RequestInit} [init] */
const ask = async (path, init) => {
  const headers = /** @type {HeadersInit} */ (token ? { authorization: `Bearer ${token}` } : {});
  const response = await fetch(path, { cache: "no-store", headers, ...init });
  if (!response.ok) throw response;
  return response;
};
const soon = () => ({ signal: AbortSignal.timeout(PATIENCE_MS) });

/** Asks for a snapshot each second, for ever; `got` is told null when there is none, and whether that takes a token. Gives a way to ask
 * at once. @param {(snapshot: Snapshot | null, isLocked: boolean) => void} got */
export const poll = (got) => {
  let isAsking = false;
  let timer = 0;
  const next = async () => {
    if (isAsking) return;
    isAsking = true;
    clearTimeout(timer);
    const begun = performance.now();
    const [snapshot, status] = await ask("v1/snapshot", soon()).then(async (response) => [await response.json(), 200]).catch((error) => [null, error.status]);
    timer = window.setTimeout(next, Math.max(EVERY_MS - (performance.now() - begun), 0));
    isAsking = false;
    got(snapshot, status === 401);
  };
  // Timers of a page that is not looked at are slow.
  document.addEventListener("visibilitychange", () => document.hidden || next());
  void next();
  return next;
};

/** Hears events, again and again, until it is told to stop. Not by EventSource, which cannot show a token.
 * @param {"debug" | "info"} level @param {(event: Told) => void} heard @param {(isOpen: boolean) => void} changed */
export const listen = (level, heard, changed) => {
  const stop = new AbortController();
  const hear = async () => {
    const { body } = await ask(`v1/events?level=${level}`, { signal: stop.signal });
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    changed(true);
    for (let rest = ""; ; ) {
      const { value = "", done } = (await reader?.read()) ?? { done: true };
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop() ?? "";
      for (const part of parts) {
        const [, type = "", data] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? [];
        if (data) heard({ name: "", level: "WARN", message: "events came too fast; some were missed", at_ms: Date.now(), ...JSON.parse(data), type });
      }
    }
  };
  const again = async () => {
    await hear().catch(() => {});
    if (stop.signal.aborted) return;
    changed(false);
    setTimeout(again, EVERY_MS);
  };
  void again();
  return () => stop.abort();
};

/** @returns {Promise<Config>} */
export const config = async () => (await ask("v1/config", soon())).json();

/** Gives why not, when it was refused. @param {string} name @param {string} what `isolate` or `reset` */
export const act = (name, what) =>
  ask(`v1/targets/${encodeURIComponent(name)}/${what}`, { method: "POST", ...soon() }).then(
    () => "",
    async (error) => (error instanceof Response ? (await error.text()).trim().slice(0, 200) || `HTTP ${error.status}` : String(error)),
  );
