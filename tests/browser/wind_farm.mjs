// SPDX-License-Identifier: MIT
// wind_farm.mjs: the wind farm's page: state first, joins and leaves on one connection, tombstones.
import assert from "node:assert/strict";
import { finish, openBrowser, screenshot, startServer, test } from "./browser.mjs";

const OPTIONS = ["--interval", "0.1", "--service", "8"];
let server = await startServer("wind-farm", "--port", "0", ...OPTIONS);
const { context, page, close } = await openBrowser({ viewport: { width: 1200, height: 860 } });

const complaints = []; // errors in the page, and whatever it asks of anybody else
let streams = 0; // how often a page asked for a stream
page.on("pageerror", (error) => complaints.push(String(error)));
context.on("request", (request) => {
  if (!request.url().startsWith(server.url)) complaints.push(`asked for ${request.url()}`);
});
page.on("request", (request) => {
  if (request.resourceType() === "eventsource") streams += 1;
});

// What really came over a page's stream, whatever the page made of it.
async function tap(tapped) {
  const messages = [];
  const devtools = await context.newCDPSession(tapped);
  devtools.on("Network.eventSourceMessageReceived", ({ eventName, data }) => {
    if (["reading", "gone", "service"].includes(eventName)) {
      messages.push({ type: eventName, ...JSON.parse(data) });
    }
  });
  await devtools.send("Network.enable");
  return messages;
}
const messages = await tap(page);

async function until(holds) {
  for (let tries = 0; tries < 600; tries++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`timed out: ${holds}`);
}

// Waits until so many more readings of a site have come.
async function more(site, count) {
  const from = messages.length;
  const came = () => messages.slice(from).filter((one) => one.site === site
    && one.type === "reading").length;
  await until(() => came() >= count);
  return messages.slice(from);
}

const state = (wanted) => page.waitForSelector(`#state[data-state="${wanted}"]`);
const toggle = (site) => page.click(`[data-site="${site}"] input`);
const number = async (id) => Number((await page.textContent(id)).replaceAll(",", ""));
const tilesOf = (site, where = page) => where.$$eval(`.site[data-site="${site}"] [data-turbine]`,
  (tiles) => tiles.map((tile) => tile.dataset.turbine));
const hasTiles = (site, least) => page.waitForFunction(([name, count]) => document
  .querySelectorAll(`.site[data-site="${name}"] [data-turbine]`).length >= count, [site, least]);
const log = (text) => page.waitForFunction((wanted) => [...document.querySelectorAll("#log li")]
  .find((row) => row.textContent.includes(wanted))?.textContent, text)
  .then((row) => row.jsonValue());

await test("the page opens on two sites, with one connection", async () => {
  const response = await page.goto(server.url);
  assert.equal(response.status(), 200);
  await state("live");
  await hasTiles("north", 4);
  await hasTiles("south", 4);
  assert.deepEqual(await tilesOf("north"), ["N1", "N2", "N3", "N4"]);
  assert.equal(await page.textContent("#connections"), "1");
});

await test("each turbine's newest reading is shown", async () => {
  const shown = () => page.textContent('[data-turbine="S2"] .number');
  const before = await shown();
  await more("south", 20);
  await page.waitForFunction((old) => document
    .querySelector('[data-turbine="S2"] .number').textContent !== old, before);
  assert.ok(await number("#received") > 20);
  assert.ok(await number("#received") <= await number("#taken"));
});

await test("of a site that is not followed nothing is sent", async () => {
  assert.deepEqual(await tilesOf("east"), []);
  assert.ok(!messages.some((one) => one.site === "east" && one.type !== "service"));
});

await test("a site is joined on the open connection, its state first", async () => {
  const from = messages.length;
  await toggle("east");
  await hasTiles("east", 4);
  assert.match(await log("came first, then live"), /Joined East[34] newest readings/);
  const east = messages.slice(from).filter((one) => one.site === "east" && one.type === "reading");
  assert.equal(new Set(east.slice(0, 3).map((one) => one.turbine)).size, 3);
  assert.equal(streams, 1);
  assert.equal(await page.textContent("#connections"), "1");
  assert.equal(await page.textContent("#changes"), "1");
});

await test("a site is left on the open connection", async () => {
  await page.focus('[data-site="north"] input');
  await page.keyboard.press("Space");
  await log("Left North");
  assert.deepEqual(await tilesOf("north"), []);
  await more("south", 4); // what was on its way when the site was left
  const after = await more("south", 30);
  assert.ok(after.length > 30);
  assert.ok(!after.some((one) => one.site === "north" && one.type !== "service"));
  assert.equal(streams, 1);
});

await test("one who comes back gets the newest readings, none that are out of date", async () => {
  const taken = (turbine) => messages.filter((one) => one.turbine === turbine
    && one.type === "reading").map((one) => one.reading);
  const last = taken("N2").at(-1);
  const had = taken("N2").length;
  await toggle("north");
  await log("Joined North");
  await more("north", 12);
  const numbers = taken("N2").slice(had);
  assert.ok(numbers[0] > last + 5);
  numbers.slice(1).forEach((one, index) => assert.equal(one, numbers[index] + 1));
  assert.equal(streams, 1);
});

await test("light", async () => {
  await page.emulateMedia({ colorScheme: "light" });
  await more("south", 20);
  await screenshot(page, "wind-farm-light");
});

await test("dark", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await screenshot(page, "wind-farm-dark");
});

await test("whatever the width, nothing is cut off or scrolls sideways", async () => {
  for (const width of [1060, 1050, 710, 700, 320]) {
    await page.setViewportSize({ width, height: 780 });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    assert.ok(await page.$$eval("[data-turbine] p", (lines) => lines.length > 30
      && lines.every((line) => line.scrollWidth <= line.clientWidth)));
    if (width === 710) await screenshot(page, "wind-farm-tablet");
  }
});

await test("phone", async () => {
  await page.setViewportSize({ width: 360, height: 780 });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await screenshot(page, `wind-farm-phone-${colorScheme}`);
  }
  await page.setViewportSize({ width: 1200, height: 860 });
  await page.emulateMedia({ colorScheme: "light" });
});

// The next turbine that goes out, and the tiles of its site in a page that is opened then; null if
// it was back before that page was there.
async function visitWithoutOne() {
  const from = messages.length;
  const out = () => messages.slice(from).find((one) => one.type === "gone");
  await until(out);
  const { site, turbine } = out();
  const visitor = await context.newPage();
  const theirs = await tap(visitor);
  await visitor.goto(server.url);
  if (site === "east") await visitor.click('[data-site="east"] input');
  await visitor.waitForFunction((name) => document
    .querySelectorAll(`.site[data-site="${name}"] [data-turbine]`).length >= 3, site);
  const tiles = await tilesOf(site, visitor);
  const away = !messages.slice(from).some((one) => one.turbine === turbine
    && one.service === "ends");
  await visitor.close();
  return away ? { site, turbine, tiles, theirs } : null;
}

await test("a turbine that is gone is gone for those who come later, too", async () => {
  let visit = null;
  for (let tries = 0; tries < 3 && !visit; tries++) visit = await visitWithoutOne();
  const { site, turbine, tiles, theirs } = visit;
  assert.equal(tiles.length, 3);
  assert.ok(!tiles.includes(turbine));
  assert.ok(!theirs.some((one) => one.turbine === turbine));
  assert.ok(!(await tilesOf(site)).includes(turbine));
  await log(`${turbine} goes out for service`);
  await screenshot(page, "wind-farm-service");
  await page.waitForSelector(`[data-turbine="${turbine}"]`);
  await log(`${turbine} is back in service`);
});

await test("the server stops: the page says that it reconnects", async () => {
  await toggle("north");
  await log("Left North");
  assert.equal(streams, 1);
  assert.equal(await page.textContent("#connections"), "1");
  assert.equal(await server.stop(), 0);
  await state("reconnecting");
  assert.equal(await page.textContent("#open-for"), "–");
});

await test("the server is back: the page has the channels that it had last", async () => {
  server = await startServer("wind-farm", "--port", server.port, ...OPTIONS);
  await state("live");
  await hasTiles("south", 3);
  await hasTiles("east", 3);
  await log("Connected again");
  await log("The server was restarted");
  assert.equal(await page.textContent("#connections"), "2");
  await page.waitForFunction(() => document.querySelector("#changes").textContent === "2");
  await more("south", 4);
  const after = await more("south", 20);
  assert.ok(after.some((one) => one.site === "east"));
  assert.ok(!after.some((one) => one.site === "north" && one.type !== "service"));
  assert.deepEqual(await tilesOf("north"), []);
  await screenshot(page, "wind-farm-restarted");
});

await test("nothing moves for those who want it so", async () => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.reload();
  await hasTiles("north", 3);
  assert.ok(await page.$$eval(".rotor", (rotors) => rotors.length > 0
    && rotors.every((rotor) => rotor.getAnimations().every((one) => one.playState !== "running"))));
});

await test("the page is readable without a mouse and complains about nothing", async () => {
  assert.equal(await page.getAttribute("#state", "aria-live"), "polite");
  assert.equal(await page.getByRole("switch", { name: "Follow East" }).count(), 1);
  assert.deepEqual(complaints, []);
});

await close();
assert.equal(await server.stop(), 0);
finish();
