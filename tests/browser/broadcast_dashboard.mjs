// SPDX-License-Identifier: MIT
// broadcast_dashboard.mjs: the dashboard of the broadcast server: charts, channels, and the tester.
import assert from "node:assert/strict";
import { finish, openBrowser, screenshot, startServer, test } from "./browser.mjs";

const SECRET = "s3cret ü";
const DESKTOP = { width: 1280, height: 900 };

let server = await startServer("broadcast", "--port", "0");
const guarded = await startServer("broadcast", "--port", "0", "--publish-secret", SECRET);
const { context, page, close } = await openBrowser({ viewport: DESKTOP });

const complaints = []; // errors in the page, and whatever it asks of anybody else
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("console", (message) => {
  // A server that is away and a refusal are complaints of the browser, not of the page.
  if (!message.text().startsWith("Failed to load resource")) complaints.push(message.text());
});
context.on("request", (request) => {
  const known = [server, guarded].some(({ url }) => request.url().startsWith(url));
  if (!known && !request.url().startsWith("data:")) complaints.push(`asked for ${request.url()}`);
});

// ---- Other clients and publishers ----

const post = async (path, fields) => (await fetch(new URL(path, server.url),
  { method: "POST", body: new URLSearchParams(fields) })).json();
const publish = (fields) => post("publish", { channel: "base", ...fields });

// A client that listens; it is there when this returns, and ends when the result is called.
async function listen(query) {
  const controller = new AbortController();
  const response = await fetch(new URL(`stream?${query}`, server.url),
    { signal: controller.signal });
  response.text().catch(() => {});
  return () => controller.abort();
}

// Publishes until the page shows what is waited for.
async function publishUntil(shown) {
  let done = false;
  shown.catch(() => {}).finally(() => { done = true; });
  while (!done) await publish({ message: "x".repeat(100) });
  return shown;
}

// ---- What the page shows ----

const text = (selector) => page.textContent(selector);
const state = (wanted) => page.waitForSelector(`#state[data-state="${wanted}"]`);
const shows = (selector, wanted) => page.waitForFunction(([where, what]) => document
  .querySelector(where)?.textContent.includes(what), [selector, wanted]);
// What is in the head of a chart comes to be something that `holds`; it is also given as a number.
async function chartShows(id, holds) {
  let shown;
  for (let tries = 0; tries < 600; tries++) {
    shown = await text(`[data-chart="${id}"] .key b`);
    if (holds(shown, parseFloat(shown.replaceAll(",", "")))) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`the chart of ${id} shows ${shown}`);
}
const counted = (list, reason, wanted) => shows(`#${list} [data-reason="${reason}"] .total`, wanted);
const log = (kind, wanted) => page.waitForFunction(([className, what]) => [...document
  .querySelectorAll(`#log .${className}`)].find((row) => row.textContent.includes(what))?.innerText,
[kind, wanted]).then((row) => row.jsonValue());
const subscribeTo = async (channels) => {
  if (await text("#listen") === "Unsubscribe") await page.click("#listen");
  await page.fill("#listen-to", channels);
  await page.click("#listen");
  await shows("#listening", "Subscribed.");
};

// ---- Charts and counts ----

await test("the page opens, and has its parts from the server", async () => {
  const response = await page.goto(`${server.url}dashboard`);
  assert.equal(response.status(), 200);
  assert.match(response.headers()["content-security-policy"], /default-src 'self'/);
  await state("live");
  assert.equal(await page.locator("[data-chart]").count(), 6);
  await shows("#kind", "memory");
  await shows("#health", "The log works");
});

await test("the chart of clients moves when one comes and when it leaves", async () => {
  await chartShows("clients", (shown) => shown === "0");
  const leave = await listen("channel=quiet");
  await chartShows("clients", (shown) => shown === "1");
  leave();
  await chartShows("clients", (shown) => shown === "0");
  await counted("ends", "host", "1");
  await shows('#ends [data-reason="host"] .recent', "+1");
});

await test("the charts of events, bytes and latency move when events are published", async () => {
  const leave = await listen("channel=base");
  await publishUntil(chartShows("published", (_, number) => number > 20));
  await publishUntil(chartShows("delivered", (_, number) => number > 20));
  await publishUntil(chartShows("bytes", (shown) => shown.includes("kB/s")));
  await chartShows("latency", (shown) => shown.endsWith("s"));
  await chartShows("published", (_, number) => number === 0);
  const head = await publish({ message: "last" });
  await shows("#head", head.id.split(".")[1]);
  leave();
  const path = await page.getAttribute('[data-chart="published"] .line', "d");
  const heights = new Set([...path.matchAll(/[\d.]+ ([\d.]+)/g)].map(([, y]) => y));
  assert.ok(heights.size > 1, path);
  assert.match(await page.getAttribute('[data-chart="published"] svg', "aria-label"),
    /^Events published, last three minutes: now .*\/s, highest .*\/s$/);
});

await test("gaps are counted by reason", async () => {
  const leave = await listen("channel=base&last_event_id=nobody-knows");
  await counted("gaps", "unknown", "1");
  await counted("gaps", "evicted", "0");
  leave();
});

await test("a chart tells what was under the pointer", async () => {
  const box = await page.locator('[data-chart="clients"] .plot').boundingBox();
  await page.mouse.move(box.x + box.width * 0.98, box.y + box.height / 2);
  await shows('[data-chart="clients"] .when', "s ago");
  await page.mouse.move(0, 0);
  await page.waitForFunction(() => document
    .querySelector('[data-chart="clients"] .when').textContent === "");
});

await test("an engine that fails has its problem on the page", async () => {
  await page.route("**/metrics", async (route) => {
    const response = await route.fetch();
    const body = await response.text();
    await route.fulfill({ response,
      body: body.replace("broadcast_engine_failing 0", "broadcast_engine_failing 1") });
  });
  await page.route("**/health/ready", (route) => route.fulfill({ status: 503,
    body: "the engine fails: the disk is full\n" }));
  await page.waitForSelector('#health[data-health="bad"]');
  assert.equal(await text("#health"), "The engine fails: the disk is full");
  await page.unrouteAll();
  await page.waitForSelector('#health[data-health="good"]');
});

// ---- Channels ----

await test("the channels that have clients are listed, most clients first, and can be found", async () => {
  const leave = [await listen("channel=a&channel=%3Cb%3Ebold"), await listen("channel=a")];
  await page.locator("#channels").scrollIntoViewIfNeeded();
  await shows("#channel-rows", "<b>bold");
  const rows = () => page.$$eval("#channel-rows tr", (all) => all.map((row) =>
    [...row.children].slice(0, 2).map((cell) => cell.textContent)));
  assert.deepEqual(await rows(), [["a", "2"], ["<b>bold", "1"]]);
  await page.fill("#find", "bold");
  assert.deepEqual(await rows(), [["<b>bold", "1"]]);
  assert.equal(await text("#channels-note"), "1 of 2.");
  await page.fill("#find", "");
  await page.getByRole("button", { name: "Listen to <b>bold" }).click();
  await shows("#listening", "Subscribed.");
  await shows("#channel-rows tr:nth-child(2)", "2");
  assert.equal(await page.inputValue("#publish-to"), "<b>bold");
  leave.forEach((one) => one());
  await page.click("#listen");
  await shows("#channels-note", "No channel has clients.");
});

// ---- The tester ----

await test("the tester shows an event with its type and id", async () => {
  await subscribeTo("base, other");
  await log("position", "position");
  await page.fill("#publish-to", "other");
  await page.fill("#type", "paid");
  await page.fill("#message", "two\nlines");
  await page.click("#publish button");
  await shows("#published", "Published as ");
  const id = (await text("#published")).match(/as (\S+)\.$/)[1];
  const row = await log("event", id);
  assert.match(row, /paid/);
  assert.match(row, /two\nlines/);
});

await test("commands of curl do the same", async () => {
  await page.fill("#message", "it's");
  await page.click("#publish button");
  await log("event", "it's");
  assert.equal(await text("#curl"), `curl -N '${server.url}stream?channel=base&channel=other'

curl '${server.url}publish' \\
  --data-urlencode 'channel=other' \\
  --data-urlencode 'event=paid' \\
  --data-urlencode 'message=it'\\''s'`);
});

await test("an event that is published again has the id that it had", async () => {
  await page.click("summary");
  await page.fill("#id", "order-17");
  await page.click("#publish button");
  await shows("#published", "Published as order-17.");
  await page.click("#publish button");
  await shows("#published", "It was published before, as order-17.");
  await page.fill("#id", "");
  await page.check("#ephemeral");
  await page.fill("#message", "not retained");
  await page.click("#publish button");
  await shows("#published", "Published, without id.");
  assert.match(await log("event", "not retained"), /without id/);
  await page.uncheck("#ephemeral");
  await page.click("summary");
});

await test("markup in an event stays text", async () => {
  const markup = '<img src="x" onerror="window.hit = 1"><script>window.hit = 1</script>';
  await publish({ message: markup, event: "<i>type</i>" });
  const row = await log("event", markup);
  assert.match(row, /<i>type<\/i>/);
  assert.equal(await page.locator("#log img, #log script, #log i").count(), 0);
  assert.equal(await page.evaluate(() => window.hit), undefined);
});

await test("a refusal is shown as the server says it", async () => {
  await page.fill("#publish-to", "x".repeat(300));
  await page.click("#publish button");
  await shows("#published", "400: a channel's name is 1 to 255 bytes");
  await page.fill("#publish-to", "base");
  await page.fill("#message", '{"order":17,"paid":true}');
  await page.click("#publish button");
  await shows("#published", "Published as ");
  await page.click("#listen");
  await page.fill("#listen-to", "x".repeat(300));
  await page.click("#listen");
  await shows("#listening", "400: a channel's name is 1 to 255 bytes");
});

await test("a channel that is finished ends the subscription", async () => {
  await subscribeTo("last");
  await post("finish", { channel: "last" });
  await shows("#listening", "All of these channels are finished.");
  await counted("ends", "finished", "1");
});

await test("a screen reader is told how much has arrived, and not each event", async () => {
  await subscribeTo("base");
  await page.evaluate(() => {
    window.said = 0;
    new MutationObserver(() => { window.said += 1; }).observe(document.querySelector("#heard"),
      { childList: true, characterData: true, subtree: true });
  });
  for (let i = 0; i < 20; i++) await publish({ message: `chatter ${i}` });
  await log("event", "chatter 19");
  await page.waitForFunction(() => /^\d\d+ events arrived$/.test(document
    .querySelector("#heard").textContent));
  assert.ok(await page.evaluate(() => window.said) < 5);
  assert.equal(await page.getAttribute("#log", "aria-live"), null);
  assert.equal(await page.getAttribute("#log", "role"), null);
});

// ---- Looks ----

await test("light and dark", async () => {
  const leave = await Promise.all(["orders/42", "orders/42", "news", "scores/a-very-long-name-of-a-"
    + "channel-that-does-not-end-where-a-phone-does"].map((one) => listen(`channel=${one}`)));
  await page.locator("#channels").scrollIntoViewIfNeeded();
  await shows("#channel-rows", "scores/a-very");
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: "light" });
  const light = await paper();
  await screenshot(page, "broadcast-dashboard-light");
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await paper(), light);
  await screenshot(page, "broadcast-dashboard-dark");
  await page.emulateMedia({ colorScheme: "light" });
  for (const [width, height] of [[1060, 800], [1050, 800], [710, 800], [700, 800], [360, 740]]) {
    await page.setViewportSize({ width, height });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), width);
  }
  leave.forEach((one) => one());
});

await test("on a phone nothing is cut off, and all controls have the size of a thumb", async () => {
  const cut = await page.$$eval("main p, main span, main dd, main th, main b", (all) => all
    .filter((one) => one.className !== "hidden" && one.scrollWidth > one.clientWidth + 1
      && getComputedStyle(one).display !== "inline").map((one) => one.outerHTML));
  assert.deepEqual(cut, []);
  const small = await page.$$eval("button, input:not([type=checkbox]), select, textarea, summary, "
    + ".check", (all) => all.filter((one) => one.checkVisibility()
    && one.getBoundingClientRect().height < 44).map((one) => one.outerHTML));
  assert.deepEqual(small, []);
  await screenshot(page, "broadcast-dashboard-phone-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await screenshot(page, "broadcast-dashboard-phone-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(DESKTOP);
});

// The ratio of WCAG 2, of each text that is on the page, against what is painted behind it.
const pale = () => page.evaluate(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    for (const colour of colours) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => rgb.map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (node) => (node ? [...behind(node.parentElement),
    getComputedStyle(node).backgroundColor] : ["white"]);
  return [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility()
    && !node.closest("svg, noscript") && [...node.childNodes].some((child) =>
    child.nodeType === Node.TEXT_NODE && child.data.trim() !== "")).map((node) => {
    const colours = behind(node);
    const [a, b] = [over(colours), over([...colours, getComputedStyle(node).color])].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return { ratio, text: node.textContent.slice(0, 40), of: node.className || node.tagName };
  }).filter(({ ratio }) => ratio < 4.5);
});

await test("the contrast of all texts is that of WCAG AA", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await pale(), []);
  }
  await page.emulateMedia({ colorScheme: "light" });
});

await test("all can be reached and used with the keyboard, and says what it is", async () => {
  const unnamed = await page.$$eval("input, select, textarea", (all) => all
    .filter((one) => one.labels.length === 0).map((one) => one.id));
  assert.deepEqual(unnamed, []);
  await page.focus("#message");
  const seen = new Set();
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    seen.add(await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return document.activeElement === document.body ? "" : outlineStyle === "none"
        || parseFloat(outlineWidth) < 2 ? "no outline" : document.activeElement.id;
    }));
  }
  assert.ok(!seen.has("no outline"));
  for (const id of ["pause", "find", "listen-to", "start", "listen", "publish-to", "type", "secret",
    "log", "clear", "curl"]) assert.ok(seen.has(id), id);
});

// ---- Nobody looks, nobody is there ----

await test("a page that is paused or hidden asks for nothing", async () => {
  // Its clock is the test's own; it would be that of all pages of the browser.
  const { page: other, close: closeOther } = await openBrowser();
  await other.clock.install();
  let asked = 0;
  other.on("request", () => { asked += 1; });
  const isIn = (wanted) => other.waitForSelector(`#state[data-state="${wanted}"]`);
  // Ten polls are due in this time. One may have been on its way.
  const asksNothing = async () => {
    const before = asked;
    await other.clock.runFor(10000);
    assert.ok(asked <= before + 1, `${asked - before} requests`);
  };
  const hide = (hidden) => other.evaluate((value) => {
    Object.defineProperty(document, "hidden", { configurable: true, value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await other.goto(`${server.url}dashboard`);
  await isIn("live");
  await other.click("#pause");
  await isIn("paused");
  await asksNothing();
  await other.click("#pause");
  await isIn("live");
  await hide(true);
  await asksNothing();
  const before = asked;
  await hide(false);
  await other.waitForResponse(/metrics$/);
  assert.ok(asked > before);
  await closeOther();
});

await test("the server stops: the page says so", async () => {
  await subscribeTo("base");
  assert.equal(await server.stop(), 0);
  await state("reconnecting");
  await shows("#notice", "The server has not answered since ");
  await log("note", "connection lost");
  await screenshot(page, "broadcast-dashboard-away");
});

await test("nothing moves for those who want it so", async () => {
  const moving = () => page.evaluate(() => document.getAnimations().length);
  await page.emulateMedia({ reducedMotion: "no-preference" });
  assert.ok(await moving() > 0);
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.equal(await moving(), 0);
});

await test("the server is back: the page goes on, counts anew, and shows the gap", async () => {
  server = await startServer("broadcast", "--port", server.port);
  await state("live");
  await shows("#notice", "The server was restarted");
  await log("note", "connected again");
  await log("gap", "restart");
  await counted("gaps", "restart", "1");
  await counted("gaps", "unknown", "0");
  assert.equal(await page.locator('#ends [data-reason="finished"]').count(), 0);
  await publish({ message: "after the restart" });
  await log("event", "after the restart");
  await screenshot(page, "broadcast-dashboard-restarted");
});

// ---- A secret ----

await test("publishing needs the secret, where the server has one", async () => {
  await page.goto(`${guarded.url}dashboard`);
  await state("live");
  await page.click("#publish button");
  await shows("#published", "401: the publish secret is missing or wrong");
  assert.equal(await page.evaluate(() => document.activeElement.id), "secret");
  await page.keyboard.type(SECRET);
  await page.keyboard.press("Enter");
  await shows("#published", "Published as ");
  assert.match(await text("#curl"), /"Authorization: Bearer \$SECRET"/);
});

await test("the secret is kept nowhere but in its field", async () => {
  const kept = await page.evaluate(async () => JSON.stringify([{ ...localStorage },
    { ...sessionStorage }, document.cookie, location.href, document.documentElement.outerHTML,
    await indexedDB.databases()]));
  assert.ok(!kept.includes(SECRET));
  await page.reload();
  assert.equal(await page.inputValue("#secret"), "");
});

await test("numbers that need the secret are shown when it is entered", async () => {
  // As the server could guard them. The header has bytes; the browser gives each as a character.
  await page.route(/\/(metrics|channels)$/, (route) => {
    const header = route.request().headers().authorization ?? "";
    const isKnown = [header, Buffer.from(header, "latin1").toString()].includes(`Bearer ${SECRET}`);
    return isKnown ? route.continue()
      : route.fulfill({ status: 401, body: "the publish secret is missing or wrong\n" });
  });
  await state("refused");
  await shows("#notice", "the publish secret is missing or wrong");
  assert.equal(await page.getAttribute("#health", "data-health"), "unknown");
  await page.fill("#secret", SECRET);
  await state("live");
  await page.waitForSelector("#notice", { state: "hidden" });
  await page.unrouteAll();
});

await test("the page complains about nothing, and asks nobody else", async () => {
  assert.deepEqual(complaints, []);
});

await close();
assert.equal(await server.stop(), 0);
assert.equal(await guarded.stop(), 0);
finish();
