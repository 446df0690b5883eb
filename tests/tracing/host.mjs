// A program that traces with OpenTelemetry's SDK, and calls through the ambassador: `host.mjs SERVER`.
import { createRequire } from "node:module";

// Beside the package, where its own development has them.
const require = createRequire(new URL("../../bindings-node/package.json", import.meta.url));
const { trace } = require("@opentelemetry/api");
const { NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");
const { AmbassadorProxy, shutdown } = require("./index.js");

new NodeTracerProvider().register();
const tracer = trace.getTracer("shop");
const proxy = new AmbassadorProxy(process.argv[2], { timeoutMs: 30_000, backoff: { baseMs: 1 } });

function tell(what, span, more) {
  const { traceId, spanId } = span.spanContext();
  console.log(JSON.stringify({ what, trace: traceId, span: spanId, ...more }));
}

const within = (what, work) =>
  tracer.startActiveSpan("order", async (span) => {
    const more = await work();
    span.end();
    tell(what, span, more);
  });

/** A function that fails first, and says what its attempts send onward. */
function charging(isAsync) {
  const onward = [];
  const charge = (attempt) => {
    onward.push(attempt.headers.traceparent);
    if (attempt.attempt === 1) throw new Error("unreachable");
  };
  return { onward, charge: isAsync ? async (attempt) => (await new Promise(setImmediate), charge(attempt)) : charge };
}

for (const [what, isAsync] of [["call", false], ["async", true]]) {
  const { onward, charge } = charging(isAsync);
  await within(what, async () => {
    await proxy.execute(charge);
    return { onward };
  });
}
await within("request", async () => {
  const { status } = await proxy.get("/request");
  if (status !== 200) throw new Error(`${status}`);
});
await within("async request", async () => {
  const { status } = await proxy.fetch("/async");
  if (status !== 200) throw new Error(`${status}`);
});
await proxy.call(() => undefined);
console.log(JSON.stringify({ what: "alone" }));
await shutdown();
