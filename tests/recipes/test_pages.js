// SPDX-License-Identifier: MIT
// test_pages.js: the scripts of sse-recipes(7), with an EventSource and a server of the test's own.
const assert = require("assert");
const follow = require("./snapshot.js");
const listen = require("./auth.js");
const read = require("./tokens.js");

class Source extends EventTarget {
  static opened = [];
  constructor(url) {
    super();
    this.url = url;
    this.closed = false;
    Source.opened.push(this);
  }
  close() {
    this.closed = true;
  }
  emit(type, data, lastEventId = "") {
    this.dispatchEvent(Object.assign(new Event(type), { data, lastEventId }));
  }
}
global.EventSource = Source;

// Loads that the test answers, and what the page showed last.
function page() {
  const loads = [];
  const shown = {};
  Source.opened = [];
  follow(() => new Promise((done) => loads.push(done)), (state) => Object.assign(shown, state));
  return { loads, shown };
}
const change = (version, value) => JSON.stringify({ version, item: 0, value });
const settle = () => new Promise((done) => setImmediate(done));

async function changesDuringTheLoad() {
  const { loads, shown } = page();
  assert.equal(Source.opened.length, 0); // not before there is an id
  loads[0]({ id: "E.3", version: 5, items: [50] });
  await settle();
  const [source] = Source.opened;
  assert.equal(source.url, "/stream?last_id=E.3");
  assert.deepEqual(shown, { id: "E.3", version: 5, items: [50] });
  for (const version of [4, 5, 6]) source.emit("change", change(version, version * 10));
  assert.deepEqual(shown, { id: "E.3", version: 6, items: [60] });
  source.emit("change", change(7, 70));
  assert.deepEqual(shown, { id: "E.3", version: 7, items: [70] });
  assert.equal(loads.length, 1);
}

async function gapLoadsAgain() {
  const { loads, shown } = page();
  loads[0]({ id: "E.3", version: 1, items: [10] });
  await settle();
  Source.opened[0].emit("gap", "{}");
  assert.ok(Source.opened[0].closed);
  loads[1]({ id: "E.8", version: 8, items: [80] });
  await settle();
  assert.equal(Source.opened[1].url, "/stream?last_id=E.8");
  Source.opened[1].emit("change", change(9, 90));
  assert.deepEqual(shown, { id: "E.8", version: 9, items: [90] });
}

async function twoGapsOneStream() {
  const { loads } = page();
  loads[0]({ id: "E.3", version: 1, items: [10] });
  await settle();
  Source.opened[0].emit("gap", "{}");
  Source.opened[0].emit("gap", "{}");
  loads[2]({ id: "E.9", version: 9, items: [90] });
  loads[1]({ id: "E.8", version: 8, items: [80] });
  await settle();
  assert.equal(Source.opened.length, 2);
  assert.equal(Source.opened[1].url, "/stream?last_id=E.9");
}

// After a restart of the program versions begin anew.
async function restart() {
  const { loads, shown } = page();
  loads[0]({ id: "E.99", version: 100, items: [1] });
  await settle();
  Source.opened[0].emit("gap", "{}");
  loads[1]({ id: "F.2", version: 3, items: [3] });
  await settle();
  assert.deepEqual(shown, { id: "F.2", version: 3, items: [3] });
  Source.opened[1].emit("change", change(4, 4));
  assert.deepEqual(shown, { id: "F.2", version: 4, items: [4] });
}

async function aFinishedTextIsClosed() {
  const tokens = [];
  let ends = 0;
  Source.opened = [];
  read("generation-0", (token) => tokens.push(token), () => ends++);
  const [source] = Source.opened;
  source.emit("token", "Once");
  source.emit("token", "upon");
  assert.ok(!source.closed);
  source.emit("finished", "");
  assert.ok(source.closed);
  assert.equal(ends, 1);
  assert.deepEqual(tokens, ["Once", "upon"]);
}

async function ticketForEachConnection() {
  let tickets = 0;
  const heard = [];
  const timers = [];
  const later = global.setTimeout;
  global.setTimeout = (run) => timers.push(run);
  Source.opened = [];
  await listen(async () => "ticket" + ++tickets, (event) => heard.push(event.data));
  const [first] = Source.opened;
  assert.equal(first.url, "/stream?ticket=ticket1&last_id=");
  first.emit("sse-position", "", "E.1");
  first.emit("message", "one", "E.2");
  first.emit("error");
  assert.ok(first.closed);
  await timers[0]();
  assert.equal(Source.opened[1].url, "/stream?ticket=ticket2&last_id=E.2");
  Source.opened[1].emit("sse-position", "", "E.5");
  Source.opened[1].emit("error");
  await timers[1]();
  global.setTimeout = later;
  assert.equal(Source.opened[2].url, "/stream?ticket=ticket3&last_id=E.5");
  assert.deepEqual(heard, ["one"]);
}

(async () => {
  const tests = [changesDuringTheLoad, gapLoadsAgain, twoGapsOneStream, restart,
    aFinishedTextIsClosed, ticketForEachConnection];
  for (const test of tests) await test();
  console.log(`${tests.length} passed, 0 failed`);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
