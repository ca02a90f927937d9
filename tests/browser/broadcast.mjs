// SPDX-License-Identifier: MIT
// broadcast.mjs: the browser client of the broadcast server, in Chromium and in Firefox.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { finish, openBrowser, openFirefox, test } from "./browser.mjs";
import { Front, startBroadcast } from "./broadcast_server.mjs";
import { play } from "./broadcast_world.mjs";

const BUILD = process.env.SSE_BUILD;
const TABS = 10;
const HISTORIES = Number(process.env.HISTORIES ?? 100);
const RARE = [6226, 6318, 11121]; // histories that need rules which others hardly need
const TICK_MS = 3;

async function until(holds) {
  for (let tries = 0; tries < 600; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`timed out: ${holds}`);
}

// ---- The parser and the types, without a browser ----

const source = await readFile("examples/broadcast/client/event_stream.js", "utf8");
const { EventStreamParser, isBefore } =
  await import(`data:text/javascript,${encodeURIComponent(source)}`);

// The cases of the HTML standard, 9.2.6, and of the web platform tests. An event is
// [type, data, id]; retry is what the parser has at the end.
const STREAMS = [
  { name: "lines of data are joined", stream: "data: YHOO\ndata: +2\ndata: 10\n\n",
    events: [["message", "YHOO\n+2\n10", undefined]] },
  { name: "one space after the colon is removed", stream: "data:test\n\ndata: test\n\ndata:  a\n\n",
    events: [["message", "test"], ["message", "test"], ["message", " a"]] },
  { name: "a comment, an id, and an empty id",
    stream: ": test stream\n\ndata: first event\nid: 1\n\n"
      + "data:second event\nid\n\ndata:  third\n\n",
    events: [["message", "first event", "1"], ["message", "second event", ""],
      ["message", " third"]] },
  { name: "empty data is data, and an end without a blank line ends nothing",
    stream: "data\n\ndata\ndata\n\ndata:", events: [["message", ""], ["message", "\n"]] },
  { name: "fields of other names are ignored",
    stream: "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\r"
      + "data:\r\n data:32\ndata:4\n\n",
    events: [["message", "\0\n 2\n1\n3\n\n4"]] },
  { name: "lines end in LF, CR or CRLF",
    stream: "data:1\r\ndata:2\r\n\r\ndata:3\r\rdata:4\n\ndata:5\r\n\ndata:6\n\r\n",
    events: [["message", "1\n2"], ["message", "3"], ["message", "4"], ["message", "5"],
      ["message", "6"]] },
  { name: "one byte order mark is removed, at the beginning",
    stream: "\ufeffdata:1\n\n\ufeffdata:2\n\ndata:3\n\n", events: [["message", "1"],
      ["message", "3"]] },
  { name: "a type counts for one event",
    stream: "event: a\ndata: 1\n\ndata: 2\n\nevent: b\n\ndata: 3\n\n",
    events: [["a", "1"], ["message", "2"], ["message", "3"]] },
  { name: "an id with NUL is ignored", stream: "id: a\0b\ndata: 1\n\nid: c\nid: d\0\ndata: 2\n\n",
    events: [["message", "1"], ["message", "2", "c"]] },
  { name: "an id without data counts", stream: "id: a\n\n:\n\nevent: b\nid: c\n\n",
    events: [["sse-position", "", "a"], ["sse-position", "", "c"]] },
  { name: "retry has digits only",
    stream: "retry: 1500\nretry: 3e3\nretry: 12x\nretry:\nretry: -1\n",
    events: [], retry: 1500 },
  { name: "characters of several bytes", stream: "data: \u00e9\u20ac\u{1f600}\n\n",
    events: [["message", "\u00e9\u20ac\u{1f600}"]] },
];

// As the client reads a stream that arrives in the given pieces.
function parse(pieces) {
  const decoder = new TextDecoder();
  const parser = new EventStreamParser();
  const events = pieces.flatMap((piece) => parser.push(decoder.decode(piece, { stream: true })));
  return { events: events.map(({ type, data, id }) => [type, data, id]), retry: parser.retry };
}

for (const { name, stream, events, retry } of STREAMS) {
  await test(`parser: ${name}, wherever it is cut`, () => {
    const bytes = new TextEncoder().encode(stream);
    const wanted = { events: events.map(([type, data, id]) => [type, data, id]), retry };
    assert.deepEqual(parse([bytes]), wanted);
    assert.deepEqual(parse([...bytes].map((byte) => Uint8Array.of(byte))), wanted);
    for (let at = 1; at < bytes.length; at++) {
      assert.deepEqual(parse([bytes.subarray(0, at), bytes.subarray(at)]), wanted);
    }
  });
}

await test("parser: an event is complete with a CR, before the LF that may follow", () => {
  const parser = new EventStreamParser();
  assert.equal(parser.push("data: 1\r\n\r").length, 1);
  assert.deepEqual(parser.push("\ndata: 2\n\n").map(({ data }) => data), ["2"]);
});

await test("ids have an order within an epoch only", () => {
  const rows = [["a.9", "a.10", true], ["a.10", "a.9", false], ["a.9", "a.9", false],
    ["a.9", "b.10", false], ["a.9~", "a.10", false], ["order-9", "order-10", false],
    ["", "a.1", false], ["a.18446744073709551614", "a.18446744073709551615", true]];
  for (const [id, other, wanted] of rows) assert.equal(isBefore(id, other), wanted, id);
});

// What programs in TypeScript write, and one line that must be refused.
const CONSUMER = `import { sse } from "../gen/broadcast/sse.js";
const client = sse({ url: "/", channels: ["a"], headers: async () => ({ Authorization: "b" }) });
const position: string = client.lastEventId;
client.addEventListener("sse.open", () => client.close());
// @ts-expect-error: there must be an url
sse({ channels: [position] });
`;

await test("the module is typed", async () => {
  const file = join(BUILD, "browser", "broadcast_types.ts");
  await writeFile(file, CONSUMER);
  const { status, stdout } = spawnSync(join(BUILD, "browser", "node_modules", ".bin", "tsc"),
    ["--allowJs", "--checkJs", "--strict", "--noEmit", "--target", "es2022", "--module", "es2022",
      "--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable", file,
      join(BUILD, "gen", "broadcast", "sse.js"), "examples/broadcast/client/sse.js"],
    { encoding: "utf8" });
  assert.equal(stdout, "");
  assert.equal(status, 0);
});

await test(`${HISTORIES} random histories of tabs: nothing is lost or repeated`, async () => {
  const seeds = Array.from({ length: HISTORIES }, (_, index) => index + 1);
  for (const seed of [...RARE, ...seeds]) assert.deepEqual(await play(seed), []);
});

// ---- The client ----

const TYPES = ["open", "error", "gap", "finished", "tick", "rain", "wind", "message"];

// A page notes what its elements receive, as [id of the element, type, detail].
const pageWith = (body, options, classic = "") => `<!doctype html><title>broadcast</title>${body}
  ${classic}<script type="module">
    import { sse } from "/sse.js";
    window.seen = [];
    window.note = ({ currentTarget, type, detail }) =>
      window.seen.push([currentTarget.id, type.replace("sse.", ""), detail]);
    window.watch = (element) => ${JSON.stringify(TYPES)}.forEach((type) =>
      element.addEventListener("sse." + type, window.note));
    document.querySelectorAll("[id]").forEach(window.watch);
    window.client = sse({ url: "/sse/", ...${JSON.stringify(options)} });
  </script>`;

const FAST = { retryMs: 100, watchMs: 400, patienceMs: 1500, silenceMs: 5000 };
const TICKS = '<p id="p" data-sse-channels="ticks" data-sse-events="tick"></p>';

const seenBy = (page, type) => page.evaluate((wanted) =>
  window.seen.filter((one) => one[1] === wanted), type);
const sees = (page, type, count = 1) => page.waitForFunction(([wanted, least]) =>
  window.seen?.filter((one) => one[1] === wanted).length >= least, [type, count]);
const ticksOf = async (page) => (await seenBy(page, "tick")).map((one) => one[2]);
const seesTick = (page, tick) => page.waitForFunction((wanted) =>
  window.seen?.some((one) => one[1] === "tick" && one[2] >= wanted), tick);

function assertRow(ticks, first = ticks[0]) {
  assert.deepEqual(ticks, ticks.map((_, index) => first + index));
}

let server = await startBroadcast();
const front = await new Front().start(server);

async function publish(channel, message, event = "") {
  const body = new URLSearchParams({ channel, message: JSON.stringify(message) });
  if (event) body.set("event", event);
  const response = await fetch(new URL("publish", server.url), { method: "POST", body });
  assert.equal(response.status, 200);
  return (await response.json()).id;
}

// Publishes ticks until it is stopped, slowly enough for the server to retain what a client misses.
class Ticker {
  last = 0;
  #channel;
  #stopped = false;
  #done;

  constructor(channel) {
    this.#channel = channel;
    this.#done = this.#run();
    this.#done.catch(() => {}); // stop() throws it
  }

  async #run() {
    while (!this.#stopped) {
      await publish(this.#channel, this.last + 1, "tick");
      this.last += 1;
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }

  async stop() {
    this.#stopped = true;
    await this.#done;
    return this.last;
  }
}

async function suite(name, { context }) {
  let number = 0;

  // One test: it opens pages on channels of its own, and leaves none behind.
  const check = (what, body) => test(`${name}: ${what}`, async () => {
    number += 1;
    const channel = `${name}-${Date.now()}-${number}`;
    front.requests.length = 0;
    const pages = [];
    const tickers = [];
    const tick = (on = channel) => {
      tickers.push(new Ticker(on));
      return tickers.at(-1);
    };
    const open = async (html, options = {}, classic = "") => {
      const path = `/${channel}/${pages.length}`;
      front.pages.set(path, pageWith(html.replaceAll("ticks", channel),
        { share: channel, ...FAST, ...options }, classic));
      const page = await context.newPage();
      page.on("pageerror", (error) => page.complaints.push(String(error)));
      page.complaints = [];
      pages.push(page);
      await page.goto(front.origin + path);
      return page;
    };
    try {
      await body({ open, channel, tick });
      for (const page of pages) assert.deepEqual(page.complaints, []);
    } finally {
      for (const ticker of tickers) await ticker.stop();
      front.buffers = false;
      front.refuse = () => undefined;
      front.allow = "";
      for (const page of pages) await page.close().catch(() => {});
    }
  });

  await check("many elements have one connection, and each receives what it lists",
    async ({ open, channel }) => {
      const elements = Array.from({ length: 24 }, (_, index) => `<p id="p${index}"
        data-sse-channels="ticks, ${channel}-${index}"
        data-sse-events="${index % 2 ? "rain wind" : "wind,tick"}"></p>`);
      const page = await open(elements.join(""));
      await sees(page, "open", 24);
      await publish(channel, ["rain", { mm: 3 }]);
      await publish(`${channel}-7`, "a text", "wind");
      await publish(channel, ["unlisted", 1]);
      await publish(`${channel}-23`, 1, "tick");
      await sees(page, "tick", 12);
      assert.deepEqual(await seenBy(page, "rain"), elements.map((_, index) =>
        [`p${index}`, "rain", { mm: 3 }]).filter((_, index) => index % 2));
      assert.deepEqual(await seenBy(page, "wind"), elements.map((_, index) =>
        [`p${index}`, "wind", "a text"]));
      assert.equal((await seenBy(page, "open")).length, 24);
      assert.equal(front.count("/stream"), 1);
      assert.equal(front.open("/stream"), 1);
      assert.equal(front.requests[0].query.getAll("channel").length, 25);
    });

  await check("a list of channels that is too long for a URL is sent as a body",
    async ({ open, channel }) => {
      const channels = Array.from({ length: 100 }, (_, index) => `${channel}-a-name-${index}`);
      const page = await open(`<p id="p" data-sse-channels="${channels}" data-sse-events="tick">`);
      await sees(page, "open");
      await publish(channels[99], 1, "tick");
      await sees(page, "tick");
      assert.equal(front.requests[0].method, "POST");
    });

  await check("a page continues after the position that it was rendered with",
    async ({ open, channel, tick }) => {
      await publish(channel, 1, "tick");
      const id = await publish(channel, 2, "tick");
      await publish(channel, 3, "tick");
      const first = await open(`<div data-sse-id="${id}"></div>${TICKS}`);
      await publish(channel, 4, "tick");
      await seesTick(first, 4);
      assert.deepEqual(await ticksOf(first), [3, 4]);
      // The same for a page that finds the connection open.
      const ticker = tick();
      const second = await open(TICKS, { lastEventId: id });
      await seesTick(second, 20);
      const last = await ticker.stop();
      await seesTick(second, last);
      const ticks = await ticksOf(second);
      assert.deepEqual(ticks.slice(0, 2), [3, 4]);
      assertRow(ticks.slice(2), 1);
      assert.equal(front.count("/stream"), 1);
    });

  await check("a page with a position and channels of its own joins an open connection",
    async ({ open, channel, tick }) => {
      const first = await open(TICKS);
      await sees(first, "open");
      const id = await publish(`${channel}-b`, 0, "tick");
      const ticker = tick(`${channel}-b`);
      const second = await open(TICKS.replace("ticks", "ticks-b"), { lastEventId: id });
      await seesTick(second, 20);
      await seesTick(second, await ticker.stop());
      assertRow(await ticksOf(second), 1);
      assert.equal(front.count("/stream"), 1);
      assert.equal(front.count("/subscribe"), 1);
    });

  for (const live of [true, false]) {
    await check(`elements come and go, ${live ? "on the open stream" : "by reconnecting"}`,
      async ({ open, channel, tick }) => {
        if (!live) front.refuse = (path) => (path.endsWith("subscribe") ? { status: 404 } : null);
        const page = await open(TICKS);
        await sees(page, "open");
        const ticker = tick();
        await page.evaluate((other) => {
          document.body.insertAdjacentHTML("beforeend",
            `<div><p id="q" data-sse-channels="${other}" data-sse-events="rain"></p></div>`);
          window.watch(document.querySelector("#q"));
        }, `${channel}-q`);
        const changed = (path, count) => until(() => (live ? front.count(path) === 1
          : front.count("/stream") === count && front.open("/stream") === 1));
        await changed("/subscribe", 2);
        await until(async () => {
          await publish(`${channel}-q`, 1, "rain");
          return (await seenBy(page, "rain")).length > 0;
        });
        await page.evaluate(() => document.querySelector("div").remove());
        await changed("/unsubscribe", 3);
        // An attribute changes the subscription, too.
        await page.evaluate((other) => {
          document.querySelector("#p").dataset.sseChannels += ` ${other}`;
          document.querySelector("#p").dataset.sseEvents += " wind";
        }, `${channel}-r`);
        await until(async () => {
          await publish(`${channel}-r`, 1, "wind");
          return (await seenBy(page, "wind")).length > 0;
        });
        await seesTick(page, await ticker.stop());
        assertRow(await ticksOf(page));
        assert.equal(front.open("/stream"), 1);
        if (live) assert.equal(front.count("/stream"), 1);
      });
  }

  const leaderOf = async (pages) => {
    for (const page of pages) {
      if (await page.evaluate(() => window.client.leads).catch(() => false)) return page;
    }
    return undefined;
  };

  const WAYS = {
    closes: (page) => page.close(),
    "goes elsewhere": (page) => page.goto("about:blank"),
    "is closed by its page": (page) => page.evaluate(() => window.client.close()),
  };

  await check(`${TABS} tabs have one connection, which others take over without loss or repeat`,
    async ({ open, tick }) => {
      let tabs = [];
      for (let count = 0; count < TABS; count++) tabs.push(await open(TICKS));
      for (const tab of tabs) await sees(tab, "open");
      assert.equal(front.count("/stream"), 1);
      assert.equal(front.open("/stream"), 1);
      const ticker = tick();
      for (const tab of tabs) await seesTick(tab, 10);
      for (const [way, end] of Object.entries(WAYS)) {
        const leader = await leaderOf(tabs);
        assert.ok(leader, way);
        await end(leader);
        tabs = tabs.filter((tab) => tab !== leader);
        await until(() => leaderOf(tabs));
        const published = ticker.last;
        for (const tab of tabs) await seesTick(tab, published + 10);
      }
      const last = await ticker.stop();
      for (const tab of tabs) {
        await seesTick(tab, last);
        assertRow(await ticksOf(tab), 1);
        assert.deepEqual(await seenBy(tab, "gap"), []);
      }
      await until(() => front.open("/stream") === 1);
      assert.equal(front.count("/stream"), 1 + Object.keys(WAYS).length);
    });

  await check("a leader that does not answer is replaced, and continues as one of the others",
    async ({ open, tick }) => {
      const tabs = [await open(TICKS), await open(TICKS), await open(TICKS)];
      for (const tab of tabs) await sees(tab, "open");
      const ticker = tick();
      for (const tab of tabs) await seesTick(tab, 10);
      const leader = await leaderOf(tabs);
      await leader.evaluate(() => {
        setTimeout(() => {
          for (const end = Date.now() + 4000; Date.now() < end;);
        });
      });
      await until(() => front.count("/stream") === 2);
      await leader.waitForFunction(() => !window.client.leads);
      const published = ticker.last;
      for (const tab of tabs) await seesTick(tab, published + 10);
      const last = await ticker.stop();
      for (const tab of tabs) {
        await seesTick(tab, last);
        assertRow(await ticksOf(tab), 1);
      }
      assert.equal(front.open("/stream"), 1);
    });

  // What the browser says before it freezes a page or keeps it for the back button, and after.
  for (const [before, after] of [["freeze", "resume"], ["pagehide", "pageshow"]]) {
    await check(`a leader hands over at ${before}, and catches up at ${after}`,
      async ({ open, tick }) => {
        const tabs = [await open(TICKS), await open(TICKS)];
        for (const tab of tabs) await sees(tab, "open");
        const ticker = tick();
        for (const tab of tabs) await seesTick(tab, 10);
        const leader = await leaderOf(tabs);
        const [other] = tabs.filter((tab) => tab !== leader);
        await leader.evaluate((type) => (type === "freeze" ? document : window)
          .dispatchEvent(new Event(type)), before);
        await until(() => leaderOf([other]));
        await seesTick(other, ticker.last + 10);
        const had = await ticksOf(leader);
        await seesTick(other, ticker.last + 10);
        assert.deepEqual(await ticksOf(leader), had);
        await leader.evaluate((type) => (type === "resume" ? document : window)
          .dispatchEvent(new PageTransitionEvent(type, { persisted: true })), after);
        await seesTick(leader, ticker.last + 10);
        const last = await ticker.stop();
        for (const tab of tabs) {
          await seesTick(tab, last);
          assertRow(await ticksOf(tab), 1);
        }
        assert.equal(front.open("/stream"), 1);
        assert.equal(await leaderOf([leader]), undefined);
      });
  }

  await check("the channels of a tab that has gone are left", async ({ open, channel }) => {
    const stays = await open(TICKS);
    const goes = await open(TICKS.replace("ticks", "ticks-b"));
    await sees(goes, "open");
    await until(() => front.count("/subscribe") === 1);
    await goes.close();
    await until(() => front.count("/unsubscribe") === 1);
    assert.equal(front.requests.at(-1).path, "/unsubscribe");
    await publish(channel, 1, "tick");
    await seesTick(stays, 1);
    assert.equal(front.count("/stream"), 1);
  });

  await check("tabs do not share where they must not", async ({ open }) => {
    await sees(await open(TICKS, { share: false }), "open");
    await sees(await open(TICKS, { share: false }), "open");
    assert.equal(front.open("/stream"), 2);
  });

  await check("where a proxy buffers it polls, and it streams again when it can",
    async ({ open, tick }) => {
      const page = await open(TICKS, { streamAgainMs: 1000 });
      const follower = await open(TICKS);
      await sees(page, "open");
      const ticker = tick();
      await seesTick(page, 10);
      front.buffers = true;
      front.cut("/stream");
      const modes = async () => (await seenBy(page, "open")).map((one) => one[2].mode);
      await until(async () => (await modes()).at(-1) === "poll");
      await seesTick(page, ticker.last + 10);
      await until(() => front.count("/stream") >= 3); // it tries the stream, in vain
      await seesTick(page, ticker.last + 10);
      front.buffers = false;
      await until(async () => (await modes()).at(-1) === "stream");
      const last = await ticker.stop();
      for (const tab of [page, follower]) {
        await seesTick(tab, last);
        assertRow(await ticksOf(tab), 1);
        assert.deepEqual(await seenBy(tab, "gap"), []);
      }
    });

  await check("elements come while it polls", async ({ open, channel }) => {
    front.buffers = true;
    const page = await open(TICKS, { streamAgainMs: 60000, patienceMs: 500 });
    await sees(page, "open");
    await page.evaluate((other) => {
      document.querySelector("#p").dataset.sseChannels += ` ${other}`;
    }, `${channel}-b`);
    await until(() => front.requests.some(({ path, query }) => path === "/poll"
      && query.getAll("channel").length === 2));
    await publish(channel, 1, "tick");
    await publish(`${channel}-b`, 2, "tick");
    await seesTick(page, 2);
    assert.deepEqual(await ticksOf(page), [1, 2]);
  });

  await check("it resumes after errors, and waits as long as the server asks",
    async ({ open, channel }) => {
      const page = await open(TICKS);
      await sees(page, "open");
      await publish(channel, 1, "tick");
      await seesTick(page, 1);
      const answers = [{ status: 500 }, { status: 502 },
        { status: 503, headers: { "Retry-After": "2" } }, { status: 404 }];
      front.refuse = (path) => (path === "/stream" ? answers.shift() : undefined);
      front.cut("/stream");
      await publish(channel, 2, "tick");
      await seesTick(page, 2);
      assert.deepEqual(await ticksOf(page), [1, 2]);
      const errors = (await seenBy(page, "error")).map((one) => one[2]);
      assert.deepEqual(errors.map(({ status }) => status), [0, 500, 502, 503, 404]);
      assert.ok(errors.every(({ final }) => !final));
      assert.ok(errors[3].retryMs >= 2000 && errors[3].retryMs <= 3000);
      assert.ok(errors[2].retryMs > errors[1].retryMs);
    });

  await check("it stops where it may not listen, until it is told to try again",
    async ({ open, channel }) => {
      front.refuse = (path) => (path === "/stream" ? { status: 403 } : undefined);
      const page = await open(TICKS);
      await sees(page, "error");
      const [[, , { status, final }]] = await seenBy(page, "error");
      assert.deepEqual({ status, final }, { status: 403, final: true });
      assert.equal(front.count("/stream"), 1);
      // Any of the tabs can tell.
      const other = await open(TICKS);
      await sees(other, "error");
      front.refuse = () => undefined;
      await other.evaluate(() => window.client.reconnect());
      await sees(page, "open");
      await publish(channel, 1, "tick");
      await seesTick(page, 1);
      assert.equal(front.count("/stream"), 2);
    });

  await check("it stops when all channels are finished", async ({ open, channel }) => {
    const page = await open(TICKS);
    await sees(page, "open");
    await fetch(new URL(`finish?channel=${channel}`, server.url), { method: "POST" });
    await sees(page, "finished");
    const late = await open(TICKS, { share: false });
    await sees(late, "finished");
    for (const tab of [page, late]) {
      assert.deepEqual((await seenBy(tab, "finished")).map((one) => one[2].final), [true]);
    }
    // A server that says so in the stream spares the client an error and a request.
    if (server.saysFinished) assert.deepEqual(await seenBy(page, "error"), []);
    const requests = front.count("/stream");
    // An element with another channel begins anew.
    await late.evaluate((other) => {
      document.querySelector("#p").dataset.sseChannels = other;
    }, `${channel}-b`);
    await sees(late, "open");
    assert.equal(front.count("/stream"), requests + 1);
  });

  if (server.canStop) {
    await check("the server is restarted", async ({ open, channel }) => {
      const tabs = [await open(TICKS), await open(TICKS)];
      for (const tab of tabs) await sees(tab, "open");
      await publish(channel, 1, "tick");
      for (const tab of tabs) await seesTick(tab, 1);
      await server.stop();
      for (const tab of tabs) await sees(tab, "error");
      server = await startBroadcast(server.port);
      await publish(channel, 2, "tick");
      for (const tab of tabs) {
        await sees(tab, "open", 2);
        await seesTick(tab, 2);
        const gaps = await seenBy(tab, "gap");
        assert.deepEqual(gaps.map((one) => one[2].reason), ["restart"]);
        assert.deepEqual(await ticksOf(tab), [1, 2]);
      }
    });
  }

  await check("it reads from another origin without a request in advance",
    async ({ open, channel }) => {
      const other = front.origin.replace("127.0.0.1", "localhost");
      front.allow = front.origin;
      const page = await open(TICKS, { url: `${other}/sse/` });
      await sees(page, "open");
      await publish(channel, 1, "tick");
      await seesTick(page, 1);
      front.cut("/stream");
      await publish(channel, 2, "tick");
      await seesTick(page, 2);
      assert.deepEqual(await ticksOf(page), [1, 2]);
      assert.ok(front.requests.every(({ method }) => method === "GET"));
      assert.ok(front.requests.at(-1).query.get("last_event_id"));
    });

  await check("jQuery's handlers are called, by the classic script", async ({ open, channel }) => {
    const page = await open("", { selector: "none" },
      `<div><p class="sse" data-sse-channels="ticks" data-sse-events="rain,wind"></p></div>
       <script src="/jquery.js"></script><script src="/sse.jquery.js"></script><script>
         window.heard = [];
         const hear = (name) => (event, ...data) =>
           window.heard.push([name, data, event.detail, event.type, event.namespace]);
         $(".sse").on("sse.rain", hear("rain")).on("sse.wind", hear("wind"))
           .on("sse.open", hear("open")).on("sse", hear("all"));
         $("div").on("sse.rain", ".sse", hear("delegated"));
         $(".sse").on("sse.wind", () => { throw new Error("of a handler"); });
         $.sse({ url: "/sse/", selector: ".sse", share: false });
       </script>`.replaceAll("ticks", channel));
    await page.waitForFunction(() => window.heard.some(([name]) => name === "open"));
    await publish(channel, ["rain", { mm: 3 }]);
    await publish(channel, [1, 2], "wind");
    await publish(channel, ["rain", "done"]);
    await page.waitForFunction(() => window.heard.some(([, data]) => data[0] === "done"));
    const heard = await page.evaluate(() => window.heard);
    assert.deepEqual(heard.find(([name]) => name === "rain"),
      ["rain", [{ mm: 3 }], { mm: 3 }, "sse", "rain"]);
    assert.deepEqual(heard.find(([name]) => name === "wind"),
      ["wind", [1, 2], [1, 2], "sse", "wind"]);
    assert.equal(heard.filter(([name]) => name === "rain").length, 2);
    assert.equal(heard.filter(([name]) => name === "delegated").length, 2);
    assert.match(page.complaints.splice(0).join(), /of a handler/);
  });
}

const ONLY = process.env.BROWSER;
for (const [name, open] of [["chromium", openBrowser], ["firefox", openFirefox]]) {
  const browser = ONLY && ONLY !== name ? null : await open();
  if (!browser) continue;
  await suite(name, browser);
  await browser.close();
}
front.stop();
if (server.canStop) await server.stop();
finish();
