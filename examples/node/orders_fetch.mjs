// A program that was written for `fetch`, and knows nothing of the ambassador: it pays for orders, and downloads their receipts. Put behind
// the ambassador by the module that is imported before it, with no change of its own:
//
//     node --import ./examples/node/behind.mjs examples/node/orders_fetch.mjs URL
//
// where URL is a payment API; without `--import`, it calls as it always did.

/** What the API answered, when it was not what was asked for. */
class Refused extends Error {}

class Payments {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
  }

  /**
   * @param {string} order
   * @param {number} amount
   * @returns {Promise<string>} the receipt's number
   */
  async pay(order, amount) {
    const response = await fetch(`${this.url}/charges`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-shop": "7", "idempotency-key": `order-${order}` },
      body: JSON.stringify({ order, amount }),
      signal: AbortSignal.timeout(5000),
    });
    if (!response.ok) throw new Refused(`the API answered ${response.status}`);
    const { receipt } = /** @type {{ receipt: string }} */ (await response.json());
    return receipt;
  }

  /**
   * @param {string} receipt
   * @returns {Promise<number>} its length, read piece by piece
   */
  async receipt(receipt) {
    const response = await fetch(`${this.url}/receipts/${receipt}`, { headers: { "x-shop": "7" } });
    if (!response.ok || response.body === null) throw new Refused(`the API answered ${response.status}`);
    let length = 0;
    for await (const piece of response.body) length += piece.length;
    return length;
  }
}

const [url] = process.argv.slice(2);
if (url === undefined) throw new Error("usage: node [--import ./examples/node/behind.mjs] orders_fetch.mjs URL");
const payments = new Payments(url);
let paid = 0;
let failed = 0;
for (let order = 0; order < 20; order++) {
  try {
    if ((await payments.receipt(await payments.pay(String(order), 9.99))) > 0) paid += 1;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    console.error(`order ${order}: ${error.message}`);
    failed += 1;
  }
}
console.log(`paid ${paid}, failed ${failed}`);
