// The pictures of the page in docs/images, made when they are asked for: AMBASSADOR_IMAGES names the folder.

import { after, before, test } from "node:test";

import { MockVisit, launch } from "./browser.mjs";
import { Mock } from "./mock.mjs";
import { many, shop, trouble } from "./scenes.mjs";

const folder = process.env["AMBASSADOR_IMAGES"];
/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  if (folder) browser = await launch();
});
after(() => browser?.close());

const SIZE = { width: 1440, height: 1100 };
const PICTURES = /** @type {const} */ ([
  ["admin-light", { viewport: SIZE }],
  ["admin-dark", { viewport: SIZE, colorScheme: "dark" }],
  ["admin-narrow", { viewport: { width: 360, height: 1000 }, deviceScaleFactor: 2 }],
  ["admin-target", { viewport: SIZE }],
  ["admin-200-targets", { viewport: SIZE }],
]);

for (const [name, options] of PICTURES) {
  test(name, { skip: !folder }, async () => {
    const mock = new Mock();
    if (name === "admin-200-targets") many(mock.world, 200);
    else shop(mock.world);
    const visit = await MockVisit.to(browser, mock, options);
    await visit.until(() => /** @type {HTMLElement} */ (document.querySelector("#deaf")).hidden);
    await visit.later(100);
    if (name !== "admin-200-targets") trouble(mock.world);
    mock.tell("retry", "recommendations", "WARN", "attempt 1 failed; the next one follows after 52ms");
    mock.tell("endpoint", "payments", "WARN", "the endpoint 10.4.0.12:8443 is ejected for 30s: its attempts fail", { to: "ejected" });
    mock.tell("circuit", "payments", "ERROR", "the circuit is open for 5s; it was closed", { to: "open" });
    await visit.until(() => document.querySelectorAll("#stream li").length === 3);
    if (name === "admin-target") await visit.page.goto(`${visit.url}#/target/payments`);
    await visit.later(30);
    await visit.page.screenshot({ path: `${folder}/${name}.png` });
    await visit.end();
  });
}
