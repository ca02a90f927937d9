// SPDX-License-Identifier: MIT
// dice_roll.mjs: the dice-roll page: rolls, chart, restart of the server, looks.
import assert from "node:assert/strict";
import { finish, openBrowser, screenshot, startServer, test } from "./browser.mjs";

let server = await startServer("dice-roll", "--port", "0", "--interval", "0.05");
const { context, page, close } = await openBrowser({ viewport: { width: 1200, height: 860 } });

const complaints = []; // errors in the page, and whatever it asks of anybody else
page.on("pageerror", (error) => complaints.push(String(error)));
context.on("request", (request) => {
  if (!request.url().startsWith(server.url)) complaints.push(`asked for ${request.url()}`);
});

const number = async (id) => Number((await page.textContent(id)).replaceAll(",", ""));
const total = () => number("#total");
const totalAbove = (least) => page.waitForFunction(
  (count) => Number(document.querySelector("#total").textContent.replaceAll(",", "")) > count,
  least);
const state = (wanted) => page.waitForSelector(`#state[data-state="${wanted}"]`);
const sumOf = (chart) => page.$$eval(`${chart} .count`, (counts) => counts
  .reduce((sum, count) => sum + Number(count.textContent.replaceAll(",", "")), 0));

await test("the page opens and the stream is live", async () => {
  const response = await page.goto(server.url);
  assert.equal(response.status(), 200);
  await state("live");
  assert.equal(await page.textContent("#state-text"), "Live");
});

await test("rolls arrive, newest first", async () => {
  await totalAbove(10);
  const rows = await page.$$eval("#rolls li:not(.notice)", (items) => items.map((item) =>
    [...item.querySelectorAll(".chip")].map((chip) => Number(chip.textContent))));
  assert.ok(rows.length > 10);
  for (const [d6, d20] of rows) {
    assert.ok(d6 >= 1 && d6 <= 6 && d20 >= 1 && d20 <= 20);
  }
  const times = await page.$$eval("#rolls time", (items) => items.map((item) => item.textContent));
  assert.deepEqual(times, [...times].sort().reverse());
});

await test("the list is bounded", async () => {
  await totalAbove(80);
  assert.equal(await page.$$eval("#rolls li", (items) => items.length), 60);
});

await test("the charts move and add up", async () => {
  const heights = () => page.$$eval("#d20-chart .bar",
    (bars) => bars.map((bar) => getComputedStyle(bar, "::before").height).join());
  const before = await heights();
  await totalAbove(await total() + 10);
  assert.notEqual(await heights(), before);
  const [d6, d20, all] = await page.evaluate(() => ["#d6-chart", "#d20-chart"].map((chart) =>
    [...document.querySelectorAll(`${chart} .count`)]
      .reduce((sum, count) => sum + Number(count.textContent.replaceAll(",", "")), 0))
    .concat(Number(document.querySelector("#total").textContent.replaceAll(",", ""))));
  assert.equal(d6, all);
  assert.equal(d20, all);
});

// In pixels: how far the dashed line is from where the even share of the tallest bar would end.
const lineIsOff = (chart, sideways) => page.$eval(chart, (list, along) => {
  const counts = [...list.querySelectorAll(".count")].map((count) => Number(count.textContent));
  const bar = list.querySelector(".bar").getBoundingClientRect();
  const line = list.querySelector(".even").getBoundingClientRect();
  const share = counts.reduce((sum, count) => sum + count) / counts.length / Math.max(...counts);
  return Math.abs(along ? line.left - bar.left - share * bar.width
    : bar.bottom - line.top - share * bar.height);
}, sideways);

await test("the dashed line is where the even share is", async () => {
  assert.ok(await lineIsOff("#d6-chart", false) < 4);
  assert.ok(await lineIsOff("#d20-chart", false) < 4);
});

await test("light", async () => {
  await page.emulateMedia({ colorScheme: "light" });
  await totalAbove(300);
  await screenshot(page, "light");
});

await test("dark", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await screenshot(page, "dark");
});

await test("phone, without scrolling sideways", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.setViewportSize({ width: 360, height: 780 });
    await page.emulateMedia({ colorScheme });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    assert.ok(await lineIsOff("#d20-chart", true) < 4);
    await screenshot(page, `phone-${colorScheme}`);
  }
  await page.setViewportSize({ width: 1200, height: 860 });
  await page.emulateMedia({ colorScheme: "light" });
});

await test("the server stops: the page says that it reconnects", async () => {
  assert.equal(await server.stop(), 0);
  await state("reconnecting");
  await screenshot(page, "reconnecting");
});

await test("the server is back on its port: the page goes on by itself", async () => {
  const before = await total();
  server = await startServer("dice-roll", "--port", server.port, "--interval", "0.05");
  await state("restarted");
  await totalAbove(before);
  await page.waitForSelector("#rolls .notice");
  assert.match(await page.textContent("#rolls .notice"), /restarted/);
  await page.$eval("#rolls .notice", (notice) => notice.scrollIntoView({ block: "center" }));
  await screenshot(page, "restarted");
  await state("live");
});

await test("after the restart nothing is lost or doubled", async () => {
  // The page has the second server's rolls from its first one on, so they must be what curl gets.
  await page.evaluate(() => {
    window.seen = [];
    const source = new EventSource("stream/");
    source.addEventListener("message", (event) => window.seen.push(event.lastEventId));
  });
  await page.waitForFunction(() => window.seen.length > 40);
  const ids = await page.evaluate(() => window.seen.map((id) => Number(id.split(".")[1])));
  ids.forEach((id, index) => assert.equal(id, ids[0] + index));
});

await test("the page is readable without a mouse and complains about nothing", async () => {
  assert.equal(await page.getAttribute("#state", "aria-live"), "polite");
  assert.ok(await sumOf("#d6-chart") > 0);
  assert.deepEqual(complaints, []);
});

await close();
assert.equal(await server.stop(), 0);
finish();
