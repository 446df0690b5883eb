// What TypeScript says of the package, from an ECMAScript module; checked by `npm run lint`, never run. An error that is
// expected and does not come is an error.
import { AmbassadorProxy, CallTimeoutError, ConfigError, shutdown, version } from "ambassador-proxy";
import type { AmbassadorEvent, AmbassadorOptions, Attempt, Caller, Circuit, Health, RetryMessage } from "ambassador-proxy";
import type { HttpResponse, HttpStream } from "ambassador-proxy";
import { AmbassadorDispatcher, setGlobalDispatcher } from "ambassador-proxy/undici";
import { scripted, seedJitter, virtualTime } from "ambassador-proxy/testing";

function is<T>(_value: T): void {}

const proxy = new AmbassadorProxy("payment-api.example.com", { maxRetries: 3, timeoutMs: 2000 });

async function charge(amount: number, currency = "EUR"): Promise<{ amount: number; currency: string }> {
  return { amount, currency };
}

// call: arguments are those of the function, and so is the result, for asynchronous and other functions alike.
is<Promise<{ amount: number; currency: string }>>(proxy.call(charge, 99.99));
is<Promise<{ amount: number; currency: string }>>(proxy.call(charge, 99.99, "USD"));
is<Promise<number>>(proxy.call((text: string) => text.length, "text"));
is<Promise<void>>(proxy.call(() => {}));
// @ts-expect-error an argument is missing
void proxy.call(charge);
// @ts-expect-error an argument is of another type
void proxy.call(charge, "99.99");
// @ts-expect-error there is one argument too many
void proxy.call(charge, 99.99, "EUR", 1);
// @ts-expect-error not a function
void proxy.call(42);
// @ts-expect-error the result is no string
is<Promise<string>>(proxy.call(charge, 99.99));

// execute
is<Promise<number>>(
  proxy.execute((ctx) => {
    is<Attempt>(ctx);
    is<number | null>(ctx.remainingMs);
    ctx.retryAfterMs = 500;
    // @ts-expect-error only the ambassador counts
    ctx.attempt = 2;
    return ctx.attempt;
  }),
);
is<Promise<Response>>(
  proxy.execute((ctx) => fetch("http://localhost", { headers: ctx.headers, signal: ctx.signal }), {
    signal: AbortSignal.timeout(1000),
  }),
);

// wrap keeps arguments and `this`.
const wrapped = proxy.wrap(charge);
is<(amount: number, currency?: string) => Promise<{ amount: number; currency: string }>>(wrapped);
const account = {
  balance: 7,
  read: proxy.wrap(function (this: { balance: number }, more: number) {
    return this.balance + more;
  }),
};
is<Promise<number>>(account.read(1));

// with
is<Caller>(proxy.with({ signal: AbortSignal.abort() }));
is<Promise<number>>(proxy.with({ signal: null }).call(() => 1));
// @ts-expect-error no signal
proxy.with({ signal: "stop" });

// options
const options: AmbassadorOptions = {
  deadlineMs: null,
  backoff: { baseMs: 50, jitter: "equal" },
  retryOn: [TypeError, (error) => error === "busy"],
  notOn: ConfigError,
  classify: (end) => (end.ok ? "ok" : end.error instanceof TypeError ? "fail" : undefined),
};
new AmbassadorProxy("payment-api.example.com", options);
new AmbassadorProxy("payment-api.example.com", { backoff: null });
// @ts-expect-error no such setting
new AmbassadorProxy("payment-api.example.com", { maxRetrys: 3 });
// @ts-expect-error no such jitter
new AmbassadorProxy("payment-api.example.com", { backoff: { jitter: "some" } });

// policies
new AmbassadorProxy("payment-api.example.com", {
  budget: { ratio: 0.1, minPerSecond: 1, windowMs: 5000 },
  breaker: { failureRate: 0.2, consecutiveFailures: null, slowCallMs: 250, probes: 1 },
  bulkhead: { maxConcurrent: "adaptive", maxQueue: 100, queueTimeoutMs: null },
  rateLimit: { rate: 100, perMs: 1000, burst: null, maxWaitMs: 50 },
});
new AmbassadorProxy("payment-api.example.com", { budget: null, breaker: false, bulkhead: null, rateLimit: false, fallback: null });
// @ts-expect-error there is nothing to be switched on without a number
new AmbassadorProxy("payment-api.example.com", { bulkhead: true });
// @ts-expect-error no such limit
new AmbassadorProxy("payment-api.example.com", { bulkhead: { maxConcurrent: "many" } });
new AmbassadorProxy("payment-api.example.com", { hedge: { afterMs: 50 }, idempotent: true });
new AmbassadorProxy("payment-api.example.com", { hedge: { afterMs: "p95", max: 2 }, idempotent: true });
new AmbassadorProxy("payment-api.example.com", { hedge: null, idempotent: false });
// @ts-expect-error no such quantile
new AmbassadorProxy("payment-api.example.com", { hedge: { afterMs: "p96" }, idempotent: true });
is<number | "p50" | "p90" | "p95" | "p99" | undefined>(proxy.policy.hedge?.afterMs);
is<boolean>(proxy.policy.idempotent);
is<number>(proxy.health().hedges);
is<number | undefined>(proxy.policy.breaker?.openForMs);
is<number | "adaptive" | null | undefined>(proxy.policy.bulkhead?.maxConcurrent);
is<Circuit | undefined>(proxy.health().circuit?.state);

// fallback: what it answers with is part of the result.
const answering = new AmbassadorProxy("payment-api.example.com", { fallback: async (error) => (error instanceof CallTimeoutError ? "late" : "later") });
is<AmbassadorProxy<string>>(answering);
is<Promise<number | string>>(answering.call(() => 1));
is<Promise<number | string>>(answering.with({ signal: null }).call(() => 1));
is<() => Promise<number | string>>(answering.wrap(() => 1));
is<Promise<number | boolean>>(new AmbassadorProxy("payment-api.example.com", { fallback: false as boolean }).execute((ctx) => ctx.attempt));
// @ts-expect-error it may be a string
is<Promise<number>>(answering.call(() => 1));
is<Promise<number>>(new AmbassadorProxy("payment-api.example.com", { fallback: (error) => { throw error; } }).call(() => 1));
is<AmbassadorOptions<string>>({ fallback: "later" });

// events
const stopListening = answering.onEvent((event) => {
  is<AmbassadorEvent>(event);
  is<string>(event.name);
  if (event.type === "circuit") is<number | undefined>(event.openForMs);
  if (event.type === "hedge") is<number>(event.afterMs);
  if (event.type === "attempt" || event.type === "call") is<number>(event.elapsedMs);
  // @ts-expect-error not every event has it
  event.elapsedMs;
});
is<() => void>(stopListening);
proxy.isolate();
proxy.reset();

// requests
is<Promise<Response>>(proxy.fetch("/charges", { method: "POST", body: new FormData(), signal: AbortSignal.timeout(10), idempotent: true }));
is<Promise<Response>>(proxy.fetch(new URL("https://payment-api.example.com/")));
is<Promise<HttpResponse>>(proxy.request({ method: "POST", path: "/charges", query: { a: [1, 2] }, headers: { "x-a": "b" }, json: { amount: 99.99 } }));
is<Promise<HttpResponse>>(proxy.get("/charges"));
is<Promise<HttpStream>>(proxy.get("/charges", { stream: true }));
proxy.post("/charges", { body: Buffer.from("x") }).then((response) => {
  is<string | undefined>(response.headers["content-type"]);
  is<string[] | undefined>(response.headers["set-cookie"]);
  is<Buffer>(response.body);
  is<{ id: string }>(response.json<{ id: string }>());
});
is<Promise<HttpResponse>>(proxy.with({ signal: AbortSignal.timeout(10) }).delete("/charges/42"));
// @ts-expect-error a path is needed
void proxy.get({});
// @ts-expect-error no body is such an object
void proxy.post("/charges", { body: { amount: 99.99 } });
is<void>(proxy.setEndpoints(["10.0.0.7:8443", { url: "10.0.0.8", weight: 2, zone: null, metadata: { rack: "7" } }]));
setGlobalDispatcher(new AmbassadorDispatcher({ maxRetries: 2, origins: { "https://payment-api.example.com": proxy } }));
// @ts-expect-error a dispatcher has many names
new AmbassadorDispatcher({ name: "payments" });

// testing
{
  const time = virtualTime({ after: () => {} });
  time.advance(5);
  is<number[]>(time.waitsMs);
  is<Disposable>(time);
  seedJitter(proxy, 7);
  seedJitter(answering, 7);
  const charge = scripted().fails(new Error("unreachable"), { times: 2 }).returns({ status: "charged" }).hangs();
  is<Promise<{ status: string }>>(proxy.call(charge, 99.99));
  is<Promise<{ status: string }>>(proxy.execute(charge));
}

// errors, and the rest
const error = new CallTimeoutError("late");
is<string>(error.code);
is<number>(error.elapsedMs);
is<number | undefined>(error.retryAfterMs);
is<Health>(proxy.health());
is<number>(proxy.health().calls.rejected);
is<number | null>(proxy.policy.timeoutMs);
is<string>(version);
is<Promise<boolean>>(shutdown(100));
is<(message: RetryMessage) => string>((message) => message.line);
