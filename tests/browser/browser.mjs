// A page in Debian's chromium, as the tests drive it: time stands still until they let it go on, and whatever the page says on its console
// or asks of anybody is kept.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

/** @import { Browser, BrowserContextOptions, Page } from "playwright-core" */
/** @import { Mock } from "./mock.mjs" */

/** @returns {Promise<Browser>} */
export const launch = () => {
  const executablePath = process.env["AMBASSADOR_CHROMIUM"] ?? "/usr/bin/chromium";
  // The sandbox of a browser that root runs does not work; it only sees pages of ours.
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
};

export class Visit {
  /** What the page complained of. @type {string[]} */
  complaints = [];
  /** What it asked for. @type {string[]} */
  requests = [];

  /** @param {Page} page @param {string} url */
  constructor(page, url) {
    this.page = page;
    this.url = url;
    page.setDefaultTimeout(60_000);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && this.complaints.push(message.text()));
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("request", (request) => this.requests.push(request.url()));
  }

  /** @param {Browser} browser @param {string} url @param {BrowserContextOptions} [options] */
  static async begin(browser, url, options) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "light", locale: "en-US", timezoneId: "UTC", ...options });
    return new Visit(await context.newPage(), url);
  }

  /** Time on the page goes on, a quarter of a second at a time, until that holds. @template A @param {(argument: A) => unknown} holds @param {A} [argument] */
  async until(holds, argument) {
    const begun = Date.now();
    while (!(await this.page.evaluate(/** @type {any} */ (holds), argument))) {
      assert(Date.now() - begun < 60_000, `it never was so: ${holds}`);
      await this.page.clock.runFor(250);
    }
  }

  /** What one reads there. @param {string} selector */
  async text(selector) {
    return (await this.page.locator(selector).first().innerText()).replaceAll("\u200b", "").replace(/\s+/g, " ").trim();
  }

  async end() {
    await this.page.context().close();
    const elsewhere = this.requests.filter((request) => !request.startsWith(this.url) && !request.startsWith("data:"));
    assert.deepEqual(elsewhere, [], "it asks nothing of another origin");
  }
}

/** A visit to a mock, whose time is the page's. */
export class MockVisit extends Visit {
  /** @type {Mock} */
  mock = /** @type {any} */ (null);

  /** @param {Browser} browser @param {Mock} mock @param {BrowserContextOptions} [options] */
  static async to(browser, mock, options) {
    const visit = await MockVisit.#begin(browser, mock, options);
    await visit.shown();
    return visit;
  }

  /** To one that asks for its token. @param {Browser} browser @param {Mock} mock */
  static async toLocked(browser, mock) {
    const visit = await MockVisit.#begin(browser, mock);
    await visit.page.locator("dialog[open]").waitFor();
    return visit;
  }

  /** @param {Browser} browser @param {Mock} mock @param {BrowserContextOptions} [options] */
  static async #begin(browser, mock, options) {
    const url = await mock.start();
    const { page } = await Visit.begin(browser, url, options);
    const visit = new MockVisit(page, url);
    visit.mock = mock;
    await page.clock.install({ time: mock.world.now });
    await page.goto(url);
    return visit;
  }

  /** Until the page shows the newest snapshot. */
  async shown() {
    const begun = Date.now();
    while ((await this.page.evaluate(() => document.documentElement.dataset["at"])) !== String(this.mock.world.now)) {
      assert(Date.now() - begun < 60_000, "the newest snapshot is never shown");
      await this.page.clock.runFor(20);
    }
  }

  /** So many snapshots later, a second each. @param {number} snapshots */
  async later(snapshots) {
    for (let n = 0; n < snapshots; n++) {
      const { served } = this.mock;
      const begun = Date.now();
      while (this.mock.served === served) {
        assert(Date.now() - begun < 60_000, "no snapshot is asked for");
        await this.page.clock.runFor(100);
      }
      await this.shown();
    }
  }

  /** @override */
  async end() {
    await super.end();
    this.mock.stop();
  }
}
