// The worlds that tests and pictures show: a shop's outbound calls on a bad day, and a process with very many targets.

import { World } from "./world.mjs";

/** @import { Like } from "./world.mjs" */

/** @type {Like} */
const PAYMENTS = { name: "payments", target: "https://payment-api.example.com", calls: 118, retried: 0.005, p50: 21, p99: 96, endpoints: [{ address: "10.4.0.11:8443" }, { address: "10.4.0.12:8443" }] };

/** A shop whose targets are well. @param {World} world */
export const shop = (world) =>
  world.have(
    PAYMENTS,
    { name: "inventory", target: "http://inventory.internal:8080", calls: 64, p50: 6, p99: 31, endpoints: [{}, {}, {}, {}] },
    { name: "search", target: "http://search.internal:9200", calls: 412, p50: 11, p99: 58, bulkhead: { limit: 40, occupied: 6, queued: 0 }, endpoints: [{}, {}, {}] },
    { name: "recommendations", target: "http://recommend.internal", calls: 203, p50: 34, p99: 180, endpoints: [{}, {}] },
    { name: "fraud-check", target: "https://fraud.example.net", calls: 117, p50: 48, p99: 210 },
    { name: "shipping-rates", target: "https://rates.carrier.example", calls: 22, p50: 120, p99: 480, tokens: 96 },
    { name: "mail", target: "smtp-relay.internal", calls: 0.4, p50: 71, p99: 130 },
    { name: "ledger-export", target: "http://ledger.internal", calls: 0, circuit: null, tokens: null },
  );

/** The same one's bad day: a circuit is open, an endpoint left out, a limit reached, one target isolated. @param {World} world */
export const trouble = (world) =>
  world.have(
    { name: "payments", calls: 3, failing: 1, retried: 0, refused: { circuit_open: 112 }, circuit: "open", openFor: 3_400_000_000, tokens: 41, p50: 380, p99: 400, endpoints: [{ address: "10.4.0.11:8443", consecutive_failures: 4 }, { address: "10.4.0.12:8443", state: "ejected", ejected_for_ns: 24_200_000_000, times_ejected: 2, consecutive_failures: 5 }] },
    { name: "recommendations", failing: 0, fallback: 0.08, retried: 0.16, calls: 203, tokens: 22, p50: 52, p99: 400 },
    { name: "inventory", calls: 64, retried: 0.04, tokens: 88, endpoints: [{}, {}, { state: "ejected", ejected_for_ns: 11_000_000_000, times_ejected: 1, consecutive_failures: 5 }, {}] },
    { name: "fraud-check", calls: 0, refused: { circuit_open: 117 }, circuit: "isolated" },
    { name: "shipping-rates", calls: 22, refused: { rate_limited: 6 } },
  );

/** @param {World} world @param {number} count */
export const many = (world, count) => {
  for (let n = 0; n < count; n++) {
    const name = `service-${String(n).padStart(3, "0")}.region-${n % 4}.internal`;
    const is = n % 23;
    world.have({
      name,
      calls: 5 + ((n * 37) % 90),
      p50: 4 + (n % 40),
      p99: 30 + (n % 160),
      endpoints: Array.from({ length: 1 + (n % 5) }, (_, index) => (is === 3 && index === 0 ? { state: "ejected", ejected_for_ns: 9_000_000_000, times_ejected: 1 } : {})),
      ...(is === 7 ? { circuit: "open", openFor: 2_000_000_000, refused: { circuit_open: 40 }, failing: 1 } : is === 11 ? { retried: 0.1, tokens: 40 } : {}),
    });
  }
};
