// Plays a script with the npm package, in virtual time, and prints what happens, a line of JSON each: `streams.mjs SCRIPT`.
import { readFileSync } from "node:fs";
import { AmbassadorProxy, shutdown } from "ambassador-proxy";
import { seedJitter, virtualTime } from "ambassador-proxy/testing";

/** What the functions of a script fail with. */
class Failure extends Error {}
/** One that may not be tried again. */
class Final extends Failure {}
/** Control flow. */
const CANCELLED = new Error("the caller went away");

const tell = (fields) => console.log(JSON.stringify(fields));
const nanoseconds = (ms) => Math.round(ms * 1e6);
const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

const time = virtualTime();
const options = { notOn: Final };
const steps = readFileSync(process.argv[2], "utf8")
  .split("\n")
  .map((line) => line.replace(/#.*/, "").trim().split(/\s+/))
  .filter(([word]) => word !== "");
let proxy;
let calls = 0;
let waits = 0;

const STEPS = {
  set(setting, text) {
    const [group, field] = camel(setting).split(".");
    const value = Number.isNaN(Number(text)) ? text : Number(text);
    if (field === undefined) options[group] = value;
    else (options[group] ??= {})[field] = value;
  },
  proxy() {
    const isFirst = proxy === undefined;
    proxy = new AmbassadorProxy("payment-api.example.com", options);
    if (isFirst) proxy.onEvent((event) => tell(spelled(event)));
  },
  seed: (number) => seedJitter(proxy, Number(number)),
  advance: (ms) => time.advance(Number(ms)),
  isolate: () => proxy.isolate(),
  reset: () => proxy.reset(),
  shutdown: () => shutdown(),
  call,
};

async function step() {
  const [word, ...rest] = steps.shift();
  await STEPS[word](...rest);
}

async function call(...attempts) {
  const number = ++calls;
  const begun = time.elapsedMs;
  const stop = new AbortController();
  let ran = 0;
  const fn = async (ctx) => {
    tellWaits();
    const [end, ...before] = (attempts[ran++] ?? "error").split(":");
    for (const what of before) {
      const [word, length] = what.split("=");
      if (word === "within") await step();
      else if (word === "takes") time.advance(Number(length));
      else if (word === "hint") ctx.retryAfterMs = Number(length);
    }
    if (end === "error") throw new Failure("an error");
    if (end === "final") throw new Final("an error that may not be tried again");
    if (end === "cancel") stop.abort(CANCELLED);
  };
  const [gives, after] = await proxy.execute(fn, { signal: stop.signal }).then(
    () => ["value"],
    (error) => [nameOf(error), error.retryAfterMs],
  );
  tellWaits();
  const again = after === undefined ? {} : { retry_after_ns: nanoseconds(after) };
  tell({ call: number, gives, attempts: ran, elapsed_ns: nanoseconds(time.elapsedMs - begun), ...again });
}

function nameOf(error) {
  if (error === CANCELLED) return "cancelled";
  return error instanceof Failure ? "error" : String(error.code).replace("ERR_AMBASSADOR_", "");
}

function tellWaits() {
  for (const ms of time.waitsMs.slice(waits)) tell({ wait_ns: nanoseconds(ms) });
  waits = time.waitsMs.length;
}

/** As the core spells it: `elapsedMs` is `elapsed_ns` there. */
function spelled(event) {
  const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(
    Object.entries(event).map(([name, value]) => (name.endsWith("Ms") ? [snake(name).replace(/_ms$/, "_ns"), nanoseconds(value)] : [snake(name), value])),
  );
}

while (steps.length > 0) await step();
time.restore();
