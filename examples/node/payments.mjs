// A payment service: the service posts its orders, and the ambassador does the networking. It chooses one of the API's endpoints,
// sends one idempotency key with all attempts of a call, so that an answer lost on the way never charges twice, and decides
// whether, when and where to try again.
//
// `node payments.mjs [--calls N] URL...`, where the URLs are the endpoints of a payment API as `ambassador demo` starts one. Retry
// lines go to stderr; the last line on stdout is a report in JSON.
import { randomUUID } from "node:crypto";
import { AmbassadorProxy } from "ambassador-proxy";

/** @typedef {{ order: string, amount: number }} Order */

const USAGE = "usage: node payments.mjs [--calls N] URL...";
/** Calls in flight at once. */
const AT_ONCE = 4;

/** Charges orders. It knows the API, not how to reach it. */
class PaymentService {
  /** @param {string[]} urls */
  constructor(urls) {
    this.ambassador = new AmbassadorProxy("http://payment-api.example.com", {
      endpoints: urls,
      idempotencyKey: "auto",
      maxRetries: 6,
      timeoutMs: 400,
      backoff: { baseMs: 50, maxMs: 500 },
      // This API fails often, and is not down for that: only when nearly all fails.
      breaker: { failureRate: 0.9 },
    });
  }

  /**
   * @param {Order} order
   * @returns {Promise<Order>} the receipt
   */
  async charge(order) {
    const response = await this.ambassador.post("/charges", { json: order });
    if (!response.ok) throw new Error(`the payment API answered ${response.status}`);
    return response.json();
  }
}

/**
 * @param {string[]} given
 * @returns {{ urls: string[], calls: number } | undefined}
 */
function readArguments(given) {
  const urls = [];
  let calls = 40;
  for (let at = 0; at < given.length; at++) {
    const argument = given[at] ?? "";
    if (argument === "--calls") {
      calls = Number(given[++at]);
      if (!Number.isInteger(calls) || calls < 0) return undefined;
    } else if (!argument.startsWith("-")) {
      urls.push(argument);
    } else {
      return undefined;
    }
  }
  return urls.length === 0 ? undefined : { urls, calls };
}

/**
 * @param {string[]} urls
 * @param {number} calls
 */
async function chargeAll(urls, calls) {
  const service = new PaymentService(urls);
  const run = randomUUID().slice(0, 8);
  const begun = performance.now();
  let next = 0;
  let charged = 0;
  const till = async () => {
    while (next < calls) {
      next += 1;
      const order = { order: `node-${next}-${run}`, amount: 99.99 };
      try {
        const receipt = await service.charge(order);
        if (receipt.order === order.order) charged += 1;
        else console.error(`${order.order}: the receipt is for ${receipt.order}`);
      } catch (error) {
        console.error(`${order.order}: ${error instanceof Error ? error.message : error}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, till));
  const { attempts, retries } = service.ambassador.health();
  return {
    language: "Node",
    calls,
    attempts: attempts.ok + attempts.failure + attempts.timeout + attempts.cancelled,
    retries,
    timeouts: attempts.timeout,
    charged,
    failed: calls - charged,
    seconds: Math.round(performance.now() - begun) / 1000,
  };
}

const asked = readArguments(process.argv.slice(2));
if (asked === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  console.log(JSON.stringify(await chargeAll(asked.urls, asked.calls)));
}
