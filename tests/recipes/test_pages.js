// SPDX-License-Identifier: MIT
// test_pages.js: the scripts of sse-recipes(7), with an EventSource and a server of the test's own.
const assert = require("assert");
const follow = require("./snapshot.js");
const listen = require("./auth.js");

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
  const source = new Source("/stream");
  const loads = [];
  const shown = {};
  follow(source, () => new Promise((done) => loads.push(done)), (state) => Object.assign(shown, state));
  return { source, loads, shown };
}
const change = (version, value) => JSON.stringify({ version, item: 0, value });
const settle = () => new Promise((done) => setImmediate(done));

async function changesDuringTheLoad() {
  const { source, loads, shown } = page();
  assert.equal(loads.length, 0); // not before the stream is open
  source.emit("open");
  assert.equal(loads.length, 1);
  source.emit("sse-position");
  for (const version of [4, 5, 6]) source.emit("change", change(version, version * 10));
  loads[0]({ version: 5, items: [50] });
  await settle();
  assert.deepEqual(shown, { version: 6, items: [60] });
  source.emit("change", change(7, 70));
  assert.deepEqual(shown, { version: 7, items: [70] });
  source.emit("open"); // a reconnect that lost nothing
  assert.equal(loads.length, 1);
}

async function aSnapshotNewerThanAllChanges() {
  const { source, loads, shown } = page();
  source.emit("open");
  source.emit("change", change(4, 40));
  loads[0]({ version: 5, items: [50] });
  await settle();
  assert.deepEqual(shown, { version: 5, items: [50] });
}

async function gapDuringTheLoad() {
  const { source, loads, shown } = page();
  source.emit("open");
  source.emit("change", change(2, 20));
  source.emit("gap", "{}");
  source.emit("change", change(9, 90));
  loads[0]({ version: 1, items: [10] }); // of before the gap
  await settle();
  assert.deepEqual(shown, {});
  loads[1]({ version: 8, items: [80] });
  await settle();
  assert.deepEqual(shown, { version: 9, items: [90] });
}

// A client that was cut off before it had an id may have missed changes.
async function cutOffBeforeTheFirstId() {
  const { source, loads } = page();
  source.emit("open");
  source.emit("open");
  assert.equal(loads.length, 2);
}

// After a restart of the program versions begin anew.
async function restart() {
  const { source, loads, shown } = page();
  source.emit("open");
  loads[0]({ version: 100, items: [1] });
  await settle();
  source.emit("gap", "{}");
  source.emit("change", change(101, 101));
  source.emit("gap", "{}");
  loads[2]({ version: 3, items: [3] });
  await settle();
  assert.deepEqual(shown, { version: 3, items: [3] });
  source.emit("change", change(4, 4));
  assert.deepEqual(shown, { version: 4, items: [4] });
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
  const tests = [changesDuringTheLoad, aSnapshotNewerThanAllChanges, gapDuringTheLoad,
    cutOffBeforeTheFirstId, restart, ticketForEachConnection];
  for (const test of tests) await test();
  console.log(`${tests.length} passed, 0 failed`);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
