// The live page against a process that is not there, whose targets fail as they are told: what it shows, what may be done with it, and
// what it costs.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { MockVisit, launch } from "./browser.mjs";
import { Mock, TOKEN } from "./mock.mjs";
import { many, shop, trouble } from "./scenes.mjs";

/** @import { Browser, BrowserContextOptions } from "playwright-core" */

/** @type {Browser} */
let browser;
/** @type {Mock} */
let mock;
/** @type {MockVisit} */
let visit;
/** What the browser itself may say on the console, of connections that a test cuts. */
let isCut = false;

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(() => {
  mock = new Mock();
  isCut = false;
});
afterEach(async () => {
  await visit.end();
  const complaints = visit.complaints.filter((text) => !(isCut && text.startsWith("Failed to load resource")));
  assert.deepEqual(complaints, [], "the console stays quiet");
});

/** @param {BrowserContextOptions} [options] */
const open = async (options) => {
  visit = await MockVisit.to(browser, mock, options);
  return visit.page;
};
const names = () => visit.page.locator("#targets tbody .name").allInnerTexts();
const row = (/** @type {string} */ name) => `#targets tbody tr:has(a.name:text-is("${name}"))`;

describe("what one sees", () => {
  test("all is well: one sentence says so", async () => {
    shop(mock.world);
    await open();
    await visit.later(3);
    assert.equal(await visit.text("#verdict"), "All 8 targets are well");
    assert.equal(await visit.page.title(), "Ambassador");
  });

  test("the worst comes first, with what fails and what is done about it", async () => {
    shop(mock.world);
    const page = await open();
    await visit.later(3);
    trouble(mock.world);
    await visit.later(12);
    assert.deepEqual((await names()).slice(0, 5), ["payments", "shipping-rates", "fraud-check", "inventory", "recommendations"]);
    assert.equal(await visit.text("#verdict"), "payments and shipping-rates are failing");
    assert.match(await visit.text("#deeds"), /^The ambassador keeps 1 circuit open, refuses [\d.]+\/s at once, retries [\d.]+\/s, leaves out 2 endpoints and answers [\d.]+\/s by a fallback\.$/);
    assert.equal(await visit.text(`${row("payments")} .findings`), "Too many attempts failed → refuses calls at once, probes again in 4s Endpoint 10.4.0.12:8443 fails → uses the other, tries again in 25s");
    assert.equal(await page.title(), "2 failing · Ambassador");
  });

  test("a breaker's state is a shape and a word, whatever its colour", async () => {
    for (const circuit of /** @type {const} */ (["closed", "open", "half_open", "isolated"])) mock.world.have({ name: circuit, calls: 1, circuit });
    mock.world.have({ name: "none", calls: 1, circuit: null });
    const page = await open();
    const shapes = await page.locator("#targets tbody tr").evaluateAll((rows) => rows.map((row) => [row.querySelector("a")?.textContent, row.querySelector("td use")?.getAttribute("href")]));
    assert.deepEqual(new Map(/** @type {[string, string][]} */ (shapes)), new Map(["open", "half_open", "isolated", "closed", "none"].map((state) => [state, `#shape-${state}`])));
    for (const [name, word] of Object.entries({ open: "open", half_open: "half open", isolated: "isolated", closed: "closed", none: "no breaker" })) {
      assert.equal(await visit.text(`${row(name)} td >> nth=0`), word);
    }
    assert.equal(await page.locator("symbol").evaluateAll((symbols) => new Set(symbols.map((symbol) => symbol.innerHTML)).size), await page.locator("symbol").count(), "no two shapes look the same");
  });

  test("a circuit that opens and closes is told to those who cannot see it", async () => {
    mock.world.have({ name: "payments", calls: 20 });
    const page = await open();
    for (const circuit of /** @type {const} */ (["open", "half_open", "closed"])) {
      mock.world.have({ name: "payments", calls: 20, circuit });
      await visit.later(1);
      assert.equal(await page.locator("#announced[role=status]").innerText(), `payments: circuit ${circuit.replace("_", " ")}`);
    }
  });

  test("names are text, whatever they look like", async () => {
    const name = `<img src=x onerror="document.title='taken'"> & <b>"pay"</b>`;
    mock.world.have({ name, target: name, calls: 3, circuit: "open", endpoints: [{ address: name, state: "ejected", ejected_for_ns: 1e9 }] });
    const page = await open();
    assert.deepEqual(await names(), [name]);
    mock.tell("endpoint", name, "WARN", `the endpoint ${name} is ejected`, { to: "ejected" });
    await visit.until(() => document.querySelector("#stream li"));
    await page.locator("a.name").click();
    await visit.later(1);
    assert.equal(await page.locator("#name").innerText(), name);
    assert.equal(await page.locator("img, main b b").count(), 0);
  });

  test("the process's own health is on the page, and stands out when it is bad", async () => {
    shop(mock.world);
    const page = await open();
    assert.match(await visit.text("#own"), /Ready yes Runtime lag 84 μs Runtime queue 0 Workers 3 of 64 Memory 48 MB Events dropped 0 Up 3\.2h/);
    assert.equal(await page.locator("#own [data-tone=warn]").count(), 0);
    mock.world.notReady = ["discovery of payments has found nothing yet"];
    mock.world.dropped = 17;
    await visit.later(1);
    assert.deepEqual(await page.locator("#own [data-tone=warn]").allInnerTexts(), ["Ready\nno: discovery of payments has found nothing yet", "Events dropped\n17"]);
  });

  test("targets beyond the cap are counted, and said to be", async () => {
    mock.world.have({ name: "payments", calls: 10 });
    const zero = { ok: 0, failure: 0, timeout: 0, rejected: 0, cancelled: 0, fallback: 0 };
    mock.world.other = { targets: 30, in_flight: 5, calls: { ...zero, ok: 100 }, retries: 0, hedges: 0 };
    await open();
    assert.equal(await visit.text("#other"), "30 more targets beyond the cap on names, counted together.");
  });
});

describe("one target", () => {
  test("a click leads to it and the back button back, to where one was", async () => {
    shop(mock.world);
    const page = await open();
    await page.locator(row("search")).click({ position: { x: 300, y: 5 } });
    await visit.until(() => !(/** @type {HTMLElement} */ (document.querySelector("#detail")).hidden));
    assert.equal(new URL(page.url()).hash, "#/target/search");
    assert.equal(await page.locator("#name").innerText(), "search");
    await page.goBack();
    await visit.until(() => !(/** @type {HTMLElement} */ (document.querySelector("#overview")).hidden));
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "search");
    await page.goForward();
    await visit.until(() => !(/** @type {HTMLElement} */ (document.querySelector("#detail")).hidden));
  });

  test("its numbers are those of the snapshot", async () => {
    shop(mock.world);
    trouble(mock.world);
    const page = await open();
    await page.goto(`${visit.url}#/target/payments`);
    await visit.later(4);
    const { targets } = mock.world.snapshot();
    const payments = targets.find(({ name }) => name === "payments");
    assert(payments);
    for (const of of /** @type {const} */ (["calls", "attempts", "rejections"])) {
      const shown = await page.locator(`#${of} tbody tr`).evaluateAll((rows) => rows.map((row) => [row.children[0]?.textContent, row.children[2]?.textContent]));
      assert.deepEqual(shown, Object.entries(payments[of]).map(([name, count]) => [name.replaceAll("_", " "), count.toLocaleString("en-US")]));
    }
    const endpoints = await page.locator("#endpoints tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].slice(0, 2).map((cell) => cell.textContent)));
    assert.deepEqual(endpoints, [["10.4.0.11:8443", "● healthy"], ["10.4.0.12:8443", "✕ ejected, back in 25s"]]);
  });

  test("its policy says where each value comes from", async () => {
    shop(mock.world);
    const page = await open();
    await page.goto(`${visit.url}#/target/payments`);
    await page.locator("#policy tbody tr").first().waitFor();
    const settings = () => page.locator("#policy tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent).join(" | ")));
    const all = await settings();
    assert(all.includes("timeout | 400ms | config ambassador.toml:12") && all.includes("deadline | none | default") && all.includes("auth.bearer | *** | constructor"), all.join("\n"));
    assert(all.slice(0, 5).every((line) => !line.endsWith("| default")) && all.slice(5).every((line) => line.endsWith("| default")), "what was set comes first");
  });

  test("one that is not there is said not to be", async () => {
    shop(mock.world);
    const page = await open();
    await page.goto(`${visit.url}#/target/nobody`);
    await visit.later(1);
    assert(await page.locator("#gone").isVisible() && !(await page.locator("#present").isVisible()));
  });

  test("isolating it takes the token, and resetting too", async () => {
    shop(mock.world);
    const page = await open();
    await page.goto(`${visit.url}#/target/mail`);
    await visit.later(1);
    isCut = true; // The browser says on the console that it was refused.
    await page.locator("#isolate").click();
    assert.equal(await page.locator("#act-title").innerText(), "Isolate mail?");
    await page.locator("#token").fill("guessed");
    await page.keyboard.press("Enter");
    await page.locator("#refused").waitFor();
    assert.equal(await page.locator("#refused").innerText(), "Refused: the token is wrong");
    assert.deepEqual(mock.done, []);
    await page.locator("#token").fill(TOKEN);
    await page.locator("#act-do").click();
    await page.locator("#act").waitFor({ state: "hidden" });
    await visit.until(() => document.querySelector("#word")?.textContent?.includes("circuit isolated"));
    // It is known now.
    await page.locator("#reset").click();
    await page.keyboard.press("Enter");
    await page.locator("#act").waitFor({ state: "hidden" });
    await visit.until(() => document.querySelector("#word")?.textContent?.includes("circuit closed"));
    assert.deepEqual(mock.done, ["isolate mail", "reset mail"]);
  });
});

test("a server that others can reach tells nothing without its token", async () => {
  shop(mock.world);
  mock.isLocked = true;
  isCut = true; // The browser says on the console that it was refused.
  visit = await MockVisit.toLocked(browser, mock);
  const { page } = visit;
  assert.equal(await page.locator("#act-title").innerText(), "Unlock this page?");
  await page.locator("#token").fill(TOKEN);
  await page.keyboard.press("Enter");
  await visit.shown();
  assert.equal((await names()).length, 8);
  await visit.until(() => /** @type {HTMLElement} */ (document.querySelector("#deaf")).hidden);
});

describe("the stream of events", () => {
  const lines = () => visit.page.locator("#stream li > span").allInnerTexts();
  const tell = () => {
    mock.tell("circuit", "payments", "ERROR", "the circuit is open for 5s; it was closed", { to: "open" });
    mock.tell("endpoint", "inventory", "WARN", "the endpoint a:1 is ejected for 30s: its attempts fail", { to: "ejected" });
    mock.tell("retry", "search", "WARN", "attempt 1 failed; the next one follows after 52ms");
  };
  const listened = () => visit.until(() => /** @type {HTMLElement} */ (document.querySelector("#deaf")).hidden);

  test("the newest is first, of the kinds and with the words that one asks for", async () => {
    shop(mock.world);
    const page = await open();
    await listened();
    tell();
    await visit.until(() => document.querySelectorAll("#stream li").length === 3);
    assert.deepEqual(await lines(), ["search attempt 1 failed; the next one follows after 52ms", "inventory the endpoint a:1 is ejected for 30s: its attempts fail", "payments the circuit is open for 5s; it was closed"]);
    await page.getByLabel("Retries").uncheck();
    assert.equal((await lines()).length, 2);
    await page.getByLabel("Filter events").fill("PAYMENTS");
    assert.deepEqual(await lines(), ["payments the circuit is open for 5s; it was closed"]);
  });

  test("held still it stays as it is", async () => {
    shop(mock.world);
    const page = await open();
    await listened();
    tell();
    await visit.until(() => document.querySelectorAll("#stream li").length === 3);
    await page.getByLabel("Hold still").check();
    tell();
    await visit.later(2);
    assert.equal((await lines()).length, 3);
    await page.getByLabel("Hold still").uncheck();
    assert.equal((await lines()).length, 6);
  });

  test("every call is asked for only by who wants to see it", async () => {
    shop(mock.world);
    const page = await open();
    await listened();
    assert(visit.requests.some((request) => request.endsWith("/v1/events?level=info")));
    await page.getByLabel("Attempts", { exact: true }).check();
    await visit.until(() => /** @type {HTMLElement} */ (document.querySelector("#deaf")).hidden);
    assert(visit.requests.at(-1)?.endsWith("/v1/events?level=debug"));
  });

  test("of one target there are only its own", async () => {
    shop(mock.world);
    const page = await open();
    await listened();
    tell();
    await visit.until(() => document.querySelectorAll("#stream li").length === 3);
    await page.goto(`${visit.url}#/target/inventory`);
    await visit.until(() => document.querySelectorAll("#stream li").length === 1);
    assert.match((await lines())[0] ?? "", /^inventory /);
  });
});

describe("when nobody answers", () => {
  test("it is said plainly, and all is as before when somebody does again", async () => {
    shop(mock.world);
    const page = await open();
    await visit.later(2);
    isCut = true;
    mock.fall();
    await visit.until(() => !(/** @type {HTMLElement} */ (document.querySelector("#lost")).hidden));
    assert.match(await visit.text("#lost"), /^No connection for \d+s; it is tried again each second\. What you see is from \d\d:\d\d:\d\d, and may no longer be true\.$/);
    assert.equal(await visit.text("#connection"), "No connection");
    assert.equal(await page.title(), "No connection · Ambassador");
    assert.equal((await names()).length, 8, "what was known is still to be read");
    mock.rise();
    await visit.until(() => /** @type {HTMLElement} */ (document.querySelector("#lost")).hidden);
    await visit.later(1);
    assert.equal(await visit.text("#connection"), "Live");
    await visit.until(() => /** @type {HTMLElement} */ (document.querySelector("#deaf")).hidden);
    mock.tell("circuit", "payments", "ERROR", "the circuit is open", { to: "open" });
    await visit.until(() => document.querySelector("#stream li"));
  });

  test("a process that was started anew is no continuation of the one before", async () => {
    mock.world.have({ name: "payments", calls: 1000 });
    const page = await open();
    await visit.later(5);
    const after = new Mock().world;
    after.now = mock.world.now;
    after.started = mock.world.now;
    after.pid = 4712;
    after.have({ name: "payments", calls: 10 });
    mock.world = after;
    await visit.later(3);
    assert.match(await visit.text("#process"), /pid 4712/);
    assert.match(await page.locator("#all-calls").innerText(), /^(8|9|10|11|12)(\.\d)?\/s$/);
  });
});

describe("for everybody", () => {
  test("on a phone nothing is wider than the screen", async () => {
    shop(mock.world);
    trouble(mock.world);
    mock.world.have({ name: "a-very-long-name-without-any-place-to-break.".repeat(4), calls: 1 });
    const page = await open({ viewport: { width: 360, height: 800 } });
    await visit.later(2);
    const width = () => page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(await width(), 360);
    await page.goto(`${visit.url}#/target/payments`);
    await visit.later(1);
    assert.equal(await width(), 360);
  });

  test("without a mouse: find a target, open it, come back", async () => {
    shop(mock.world);
    const page = await open();
    await page.keyboard.press("/");
    await page.keyboard.type("fraud");
    assert.deepEqual(await names(), ["fraud-check"]);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "fraud-check");
    const outline = await page.evaluate(() => getComputedStyle(/** @type {Element} */ (document.activeElement)).outlineStyle);
    assert.equal(outline, "solid", "one sees where one is");
    await page.keyboard.press("Enter");
    await visit.until(() => document.activeElement?.id === "name");
    await page.keyboard.press("Escape");
    await visit.until(() => document.activeElement?.textContent === "fraud-check");
  });

  test("a row that moves keeps the focus", async () => {
    shop(mock.world);
    const page = await open();
    await page.locator(`${row("search")} a`).focus();
    mock.world.have({ name: "search", calls: 10, circuit: "open" });
    await visit.later(1);
    assert.equal((await names())[0], "search");
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), "search");
  });

  test("headings, tables and inputs say what they are", async () => {
    shop(mock.world);
    const page = await open();
    for (const hash of ["", "#/target/payments"]) {
      await page.goto(visit.url + hash);
      await visit.later(1);
      assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
      const nameless = await page.evaluate(() => [
        ...[...document.querySelectorAll("thead th, tbody th")].filter((cell) => !cell.getAttribute("scope")).map((cell) => cell.outerHTML),
        ...[...document.querySelectorAll("input, select")].filter((input) => !input.closest("label") && !input.getAttribute("aria-label")).map((input) => input.outerHTML),
        ...[...document.querySelectorAll("svg[role=img]")].filter((image) => image.getAttribute("aria-label") === null && image.closest("section:not([hidden])")).map((image) => image.outerHTML),
      ]);
      assert.deepEqual(nameless, []);
    }
    await page.goto(visit.url + "#/");
    await visit.later(1);
    assert.equal(await page.getByRole("row").count(), 9);
    assert.equal(await page.getByRole("columnheader").count(), 7);
  });

  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    test(`${colorScheme}: everything can be read`, async () => {
      shop(mock.world);
      trouble(mock.world);
      const page = await open({ colorScheme });
      await visit.later(12);
      const faint = await page.evaluate(() => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        if (!canvas) throw new Error("no canvas");
        const luminance = (/** @type {string[]} */ ...layers) => {
          for (const layer of layers) (canvas.fillStyle = layer), canvas.fillRect(0, 0, 1, 1);
          const [r = 0, g = 0, b = 0] = [...canvas.getImageData(0, 0, 1, 1).data].map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const grounds = (/** @type {Element | null} */ element) => {
          const all = [];
          for (; element; element = element.parentElement) all.unshift(getComputedStyle(element).backgroundColor);
          return all;
        };
        const found = [];
        for (const element of document.querySelectorAll("body *")) {
          if (![...element.childNodes].some((node) => node instanceof Text && node.data.trim() && node.data !== "\u200b") || !element.checkVisibility()) continue;
          const ground = grounds(element);
          const [ink, paper] = [luminance(...ground, getComputedStyle(element).color), luminance(...ground)];
          const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
          if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${element.tagName} ${element.id} ${element.textContent?.slice(0, 40)}`);
        }
        return found;
      });
      assert.deepEqual(faint, []);
    });
  }

  test("light or dark is as the system has it", async () => {
    shop(mock.world);
    const page = await open({ colorScheme: "dark" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await ground();
    await page.emulateMedia({ colorScheme: "light" });
    assert.notEqual(await ground(), dark);
  });

  test("nothing moves", async () => {
    shop(mock.world);
    const page = await open();
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
  });
});

test("200 targets, 60 snapshots: all is shown, and nothing is built anew", async (t) => {
  many(mock.world, 200);
  const page = await open();
  await visit.later(12);
  await page.evaluate(() => {
    const seen = { built: 0, tasks: /** @type {number[]} */ ([]) };
    Object.assign(window, { seen });
    // Rows come and go only when targets do; a chip or a line in a row when its target's state changes, which it does not here.
    new MutationObserver((changes) => (seen.built += changes.length)).observe(/** @type {Node} */ (document.querySelector("#targets")), { childList: true, subtree: true });
    new PerformanceObserver((list) => seen.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
  });
  const rows = await page.locator("#targets tbody tr").elementHandles();
  assert.equal(rows.length, 200);
  await visit.later(60);
  const { built, tasks } = /** @type {{ built: number, tasks: number[] }} */ (await page.evaluate(() => /** @type {any} */ (window).seen));
  t.diagnostic(`tasks of over 50 ms in 60 updates of 200 targets: ${tasks.length}, the longest ${Math.max(0, ...tasks)} ms`);
  assert.equal(built, 0);
  for (const handle of rows) assert(await handle.evaluate((node) => node.isConnected));
  assert.match(await visit.text("#shown"), /^200 targets$/);
});
