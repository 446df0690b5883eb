// What a call costs that succeeds at once, and one that an open circuit refuses, in nanoseconds: the bare function, the peers,
// and ours. A plain loop of awaited calls; each figure is the median of several rounds, and the rounds of all rows alternate,
// so that a slow moment of the machine is shared. Prints Markdown tables; `make bench` puts them into `benches/README.md`.
import { AmbassadorProxy } from "ambassador-proxy";
import {
  ConsecutiveBreaker,
  ExponentialBackoff,
  TimeoutStrategy,
  bulkhead,
  circuitBreaker,
  handleAll,
  retry,
  timeout,
  wrap,
} from "cockatiel";
import CircuitBreaker from "opossum";
import pRetry from "p-retry";

const ROUNDS = 15;
const ROUND_MS = 40;
/** Longer than the benchmark. */
const HOUR_MS = 3_600_000;

/** The user's function: nothing, but asynchronous, as those are that call a service. */
let charged = 0;
async function charge() {
  charged += 1;
  return charged;
}
function chargeAtOnce() {
  charged += 1;
  return charged;
}
async function fail() {
  throw new Error("the service is down");
}
function ignore() {}

const bounded = new AmbassadorProxy("payment-api.example.com");
const unbounded = new AmbassadorProxy("other-api.example.com", { timeoutMs: null });
const few = { bulkhead: { maxConcurrent: 100 } };
const limited = new AmbassadorProxy("limited-api.example.com", few);
const limitedUnbounded = new AmbassadorProxy("limited-other-api.example.com", { ...few, timeoutMs: null });
const wrapped = bounded.wrap(charge);

// As ours by default: three attempts, 2 s each, waits from 2 s on.
const retries = retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff({ initialDelay: 2000 }) });
const bound = timeout(2000, TimeoutStrategy.Aggressive);
const breaker = circuitBreaker(handleAll, { halfOpenAfter: 5000, breaker: new ConsecutiveBreaker(20) });
const retriesAndBound = wrap(retries, bound);
const retriesBreakerAndBound = wrap(retries, breaker, bound);
const limits = bulkhead(100);
const allUnbounded = wrap(limits, retries, breaker);
const all = wrap(limits, retries, breaker, bound);
const opossum = new CircuitBreaker(charge, { timeout: 2000 });
const opossumUnbounded = new CircuitBreaker(charge, { timeout: false });

// Three circuits that one failure has opened.
const refusing = new AmbassadorProxy("refusing-api.example.com", {
  maxRetries: 1,
  breaker: { consecutiveFailures: 1, openForMs: HOUR_MS, openMaxMs: HOUR_MS },
});
const refusingCockatiel = circuitBreaker(handleAll, { halfOpenAfter: HOUR_MS, breaker: new ConsecutiveBreaker(1) });
const refusingOpossum = new CircuitBreaker(fail, { timeout: false, resetTimeout: HOUR_MS });
await refusing.call(fail).catch(ignore);
await refusingCockatiel.execute(fail).catch(ignore);
await refusingOpossum.fire().catch(ignore);

/** A table: its title, its rows, and the row that the others are compared with, with the name it has there. */
const tables = [
  {
    title: "a call that succeeds at once",
    rows: [
      ["the bare function", charge],
      ["cockatiel, retry", () => retries.execute(charge)],
      ["cockatiel, retry, breaker and bulkhead", () => allUnbounded.execute(charge)],
      ["cockatiel, retry and timeout", () => retriesAndBound.execute(charge)],
      ["cockatiel, retry, breaker and timeout", () => retriesBreakerAndBound.execute(charge)],
      ["cockatiel, retry, breaker, bulkhead and timeout", () => all.execute(charge)],
      ["p-retry", () => pRetry(charge, { retries: 2 })],
      ["opossum (breaker), without timeout", () => opossumUnbounded.fire()],
      ["opossum (breaker and timeout)", () => opossum.fire()],
      ["**Ambassador**, `timeoutMs: null`", () => unbounded.call(charge)],
      ["**Ambassador**, bulkhead, `timeoutMs: null`", () => limitedUnbounded.call(charge)],
      ["**Ambassador**, defaults (each attempt bounded)", () => bounded.call(charge)],
      ["**Ambassador**, bulkhead (each attempt bounded)", () => limited.call(charge)],
      ["**Ambassador**, `wrap`", wrapped],
      ["**Ambassador**, `execute` with context", () => bounded.execute(charge)],
      ["**Ambassador**, a function that is not asynchronous", () => bounded.call(chargeAtOnce)],
    ],
    // The peer that does the same: a call that is bounded and may be tried again.
    peer: "cockatiel, retry and timeout",
  },
  {
    title: "a call that an open circuit refuses",
    rows: [
      ["cockatiel (breaker)", () => refusingCockatiel.execute(charge).catch(ignore)],
      ["opossum (breaker)", () => refusingOpossum.fire().catch(ignore)],
      ["**Ambassador**", () => refusing.call(charge).catch(ignore)],
    ],
    peer: "opossum (breaker)",
  },
];

/** The event loop turns now and then, as it does in any program: some peers leave work behind for it. */
const TURN = 200;

async function nanoseconds(work, calls) {
  const begun = process.hrtime.bigint();
  for (let call = 1; call <= calls; call++) {
    await work();
    if (call % TURN === 0) await new Promise(setImmediate);
  }
  return Number(process.hrtime.bigint() - begun) / calls;
}

/** Enough calls for a round. */
async function callsOf(work) {
  for (let calls = 1000; ; calls *= 2) {
    const ns = await nanoseconds(work, calls);
    if (ns * calls >= (ROUND_MS / 4) * 1e6) return calls * 4;
  }
}

/** The median of each row. */
async function medians(rows) {
  const counts = [];
  for (const [, work] of rows) counts.push(await callsOf(work));
  const figures = rows.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [at, [, work]] of rows.entries()) {
      figures[at].push(await nanoseconds(work, counts[at]));
    }
  }
  return figures.map((row) => row.sort((a, b) => a - b)[ROUNDS >> 1]);
}

for (const { title, rows, peer } of tables) {
  const found = await medians(rows);
  const one = found[rows.findIndex(([name]) => name === peer)];
  console.log(`| Node: ${title} | ns | ${peer} = 1 |`);
  console.log("| --- | ---: | ---: |");
  for (const [at, [name]] of rows.entries()) {
    console.log(`| ${name} | ${found[at].toFixed(0)} | ${(found[at] / one).toFixed(2)} |`);
  }
  console.log();
}
for (const circuit of [opossum, opossumUnbounded, refusingOpossum]) circuit.shutdown();
