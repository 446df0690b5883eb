// A payment service over real HTTP: fetch inside `execute`. Each call sends one idempotency key with all its attempts, so
// that an answer lost on the way never charges twice. The ambassador decides whether, when and how often to try again.
//
// `node payments.mjs [--calls N] URL`, where URL is a payment API as `ambassador demo` starts one. Retry lines go to stderr;
// the last line on stdout is a report in JSON.
import { randomUUID } from "node:crypto";
import { AmbassadorProxy } from "ambassador-proxy";

/** @typedef {{ order: string, amount: number }} Order */
/** @typedef {import("ambassador-proxy").Attempt} Attempt */

const USAGE = "usage: node payments.mjs [--calls N] URL";
/** Calls in flight at once. */
const AT_ONCE = 4;

/** What the API answered, when it was not with a receipt. */
class Refused extends Error {
  /** @param {number} status */
  constructor(status) {
    super(`the payment API answered ${status}`);
    this.status = status;
  }
}

/**
 * An order that the API calls wrong stays wrong.
 * @param {unknown} error
 */
function isFinal(error) {
  return error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429;
}

/** Charges orders. It knows the API, not how to reach it in bad times. */
class PaymentService {
  /** @param {string} url */
  constructor(url) {
    const api = url.replace(/\/+$/, "");
    this.charges = `${api}/charges`;
    this.ambassador = new AmbassadorProxy(api.replace(/^.*:\/\//, ""), {
      maxRetries: 6,
      timeoutMs: 400,
      backoff: { baseMs: 50, maxMs: 500, jitter: "full" },
      // This API fails often, and is not down for that: only when nearly all fails.
      breaker: { failureRate: 0.9 },
      notOn: isFinal,
    });
  }

  /** @param {Order} order */
  charge(order) {
    return this.ambassador.execute((ctx) => this.doCharge(ctx, order));
  }

  /**
   * @param {Attempt} ctx
   * @param {Order} order
   * @returns {Promise<Order>} the receipt
   */
  async doCharge(ctx, order) {
    const response = await fetch(this.charges, {
      method: "POST",
      headers: { "content-type": "application/json", ...ctx.headers },
      body: JSON.stringify(order),
      signal: ctx.signal,
    });
    const wait = Number(response.headers.get("retry-after") ?? NaN);
    if (wait >= 0) ctx.retryAfterMs = wait * 1000;
    if (!response.ok) {
      // Read to its end, so that the connection can be used again.
      await response.arrayBuffer();
      throw new Refused(response.status);
    }
    return /** @type {Promise<Order>} */ (response.json());
  }
}

/**
 * @param {string[]} given
 * @returns {{ url: string, calls: number } | undefined}
 */
function readArguments(given) {
  let url;
  let calls = 40;
  for (let at = 0; at < given.length; at++) {
    const argument = given[at] ?? "";
    if (argument === "--calls") {
      calls = Number(given[++at]);
      if (!Number.isInteger(calls) || calls < 0) return undefined;
    } else if (url === undefined && !argument.startsWith("-")) {
      url = argument;
    } else {
      return undefined;
    }
  }
  return url === undefined ? undefined : { url, calls };
}

/**
 * @param {string} url
 * @param {number} calls
 */
async function chargeAll(url, calls) {
  const service = new PaymentService(url);
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
  console.log(JSON.stringify(await chargeAll(asked.url, asked.calls)));
}
