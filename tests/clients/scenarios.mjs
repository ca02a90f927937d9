// SPDX-License-Identifier: MIT
// scenarios.mjs: what is tried with each client; `facts` say what is known of this one.
//
// A cut closes the door of the scene until release, so that what is published in between is
// published while the client is away, however slow the machine.
import assert from "node:assert/strict";

const datas = (events) => events.map(({ data }) => data);
const types = (events) => events.map(({ type }) => type);
const number = (id) => Number(id.split(".")[1]);
const epoch = (id) => id.split(".")[0];

// Events in a row have numbers in a row: none is lost, none comes twice.
function assertRow(events) {
  events.forEach(({ id }, index) => {
    assert.equal(id, `${epoch(events[0].id)}.${number(events[0].id) + index}`);
  });
}

// From the moment that the server closed to the next request.
const away = ([before, after]) => after.came - before.left;

// Whether the client knows the position that it was given without an event of the application's.
const keepsPosition = (position) => position === "event";

// ---- Position blocks ----

// Connect, be primed, be cut before the first event, publish, reconnect.
async function cutBeforeFirst(stage, facts, { position, otherOrigin }) {
  await stage.make();
  await stage.open({ position, otherOrigin });
  const first = await stage.streams(1);
  await stage.state("open");
  await stage.cut();
  await stage.publish("one", "two", "three");
  await stage.state("error");
  await stage.release();
  const second = await stage.streams(2);
  await stage.publish("four");
  const events = await stage.until("four");
  if (keepsPosition(position)) {
    assert.equal(second.lastId, first.firstId);
    assert.equal(second.verdict, "resumed");
    assert.deepEqual(datas(events), ["one", "two", "three", "four"]);
  } else {
    assert.equal(second.lastId, null);
    assert.equal(second.verdict, "none");
    assert.deepEqual(datas(events), ["four"]);
  }
  assertRow(events);
}

// The same after an event, whose id every client has.
async function cutAfterEvent(stage, facts, { position }) {
  await stage.make();
  await stage.open({ position });
  await stage.streams(1);
  await stage.publish("zero");
  await stage.until("zero");
  await stage.cut();
  await stage.publish("one", "two", "three");
  await stage.release();
  const second = await stage.streams(2);
  await stage.publish("four");
  const events = await stage.until("four");
  assert.equal(second.lastId, events[0].id);
  assert.equal(second.verdict, "resumed");
  assert.deepEqual(datas(events), ["zero", "one", "two", "three", "four"]);
  assertRow(events);
}

// The cut is between the id's line and the blank line: who takes the id there loses the event.
async function cutInsideEvent(stage, facts) {
  await stage.make();
  await stage.open({});
  await stage.streams(1);
  await stage.publish("one");
  const [one] = await stage.until("one");
  await stage.cut(`data: two\nid: ${epoch(one.id)}.2\n`);
  await stage.publish("two", "three");
  await stage.release();
  const second = await stage.streams(2);
  const events = await stage.until("three");
  assert.equal(number(second.lastId), facts.idAtLine ? 2 : 1);
  assert.deepEqual(datas(events), facts.idAtLine ? ["one", "three"] : ["one", "two", "three"]);
}

// Other channels have events, this one is quiet: the id is refreshed in place of a heartbeat.
async function refresh(stage, facts, { position }) {
  await stage.make();
  await stage.open({ position, heartbeat: 150 });
  const first = await stage.streams(1);
  await stage.state("open");
  for (const payload of ["a", "b", "c"]) await stage.publishTo({ channel: "other" }, payload);
  await stage.visits("refreshed position", ([visit]) => position === "off" ? visit.heartbeats > 0 :
    visit.blocks.slice(1).some((block) => /^id: \S+\.3$/m.test(block)));
  await stage.cut();
  await stage.release();
  const second = await stage.streams(2);
  assert.equal(second.lastId,
    keepsPosition(position) ? `${epoch(first.firstId)}.3` : null);
  assert.deepEqual(stage.events(), []);
}

// Nobody sees a heartbeat, between events or in silence, and the next event is whole.
async function heartbeats(stage) {
  await stage.make();
  await stage.open({ position: "off", heartbeat: 100 });
  await stage.visits("heartbeats", ([visit]) => visit?.heartbeats >= 2);
  await stage.publish("one");
  await stage.until("one");
  const heard = (await stage.visits("log", () => true))[0].heartbeats;
  await stage.visits("more of them", ([visit]) => visit.heartbeats >= heard + 2);
  await stage.publish("two", "three");
  const events = await stage.until("three");
  assert.deepEqual(datas(events), ["one", "two", "three"]);
  assert.deepEqual(types(events), ["message", "message", "message"]);
  assertRow(events);
}

// Who does listen to the type sees an event with empty data.
async function positionSeen(stage) {
  await stage.make();
  await stage.open({ types: ["sse-position"] });
  const first = await stage.streams(1);
  await stage.until("");
  assert.deepEqual(stage.events(),
    [{ kind: "event", type: "sse-position", data: "", id: first.firstId }]);
}

// ---- Gap events ----

async function gapEvicted(stage, facts, { position }) {
  await stage.make({ window: 2 });
  await stage.open({ position });
  await stage.streams(1);
  await stage.publish("zero");
  await stage.until("zero");
  await stage.cut();
  await stage.publish("one", "two", "three", "four", "five");
  await stage.release();
  const events = await stage.until("five");
  assert.deepEqual(types(events), ["message", "gap", "message", "message"]);
  assert.deepEqual(datas(events.slice(2)), ["four", "five"]);
  assert.deepEqual(JSON.parse(events[1].data), {
    reason: "evicted", requested: events[0].id, resume: events[1].id, channels: ["main"] });
  assert.equal(number(events[1].id), 4);
  assertRow(events.slice(1));
}

// A restart is told, and the id of that gap primes: nothing is lost by a cut right behind it.
async function gapRestart(stage, facts, { position }) {
  await stage.make();
  await stage.open({ position });
  await stage.streams(1);
  await stage.publish("zero");
  await stage.until("zero");
  await stage.restart();
  await stage.release();
  const second = await stage.streams(2);
  await stage.state("open", 2);
  await stage.cut();
  await stage.publish("one", "two");
  await stage.release();
  const third = await stage.streams(3);
  const events = await stage.until("two");
  assert.equal(second.verdict, "restart");
  assert.equal(third.verdict, "resumed");
  assert.equal(third.lastId, second.firstId);
  assert.deepEqual(types(events), ["message", "gap", "message", "message"]);
  assert.deepEqual(datas(events.slice(2)), ["one", "two"]);
  assert.deepEqual(JSON.parse(events[1].data), {
    reason: "restart", requested: events[0].id, resume: events[1].id, channels: ["main"] });
  assert.notEqual(epoch(events[0].id), epoch(events[1].id));
  assertRow(events.slice(1));
}

// After a restart that has retained something, that follows the gap.
async function gapRestartReplay(stage, facts, { position }) {
  await stage.make();
  await stage.open({ position });
  await stage.streams(1);
  await stage.publish("zero");
  await stage.until("zero");
  await stage.restart();
  await stage.publish("one", "two");
  await stage.release();
  const events = await stage.until("two");
  assert.deepEqual(types(events), ["message", "gap", "message", "message"]);
  assert.equal(JSON.parse(events[1].data).reason, "restart");
  assertRow(events.slice(1));
}

// ---- Reconnection times ----

async function measureAway(stage, params) {
  await stage.make();
  await stage.open(params);
  await stage.streams(1);
  await stage.state("open");
  await stage.cut();
  await stage.release();
  await stage.streams(2);
  return stage.visits("second visit", (visits) => visits.length >= 2);
}

// Longer than any client's own: only a client that honours it comes so late.
async function retryLong(stage, facts) {
  const visits = await measureAway(stage, { retry: 5500 });
  assert.ok(visits[0].retry >= 5500 && visits[0].retry <= 8250);
  assert.ok(away(visits) >= visits[0].retry, `${away(visits)} ms`);
}

// Shorter than most clients' own: only a client that honours it comes so early. Where its own is as
// short, the long one tells.
async function retryShort(stage, facts) {
  const visits = await measureAway(stage, { retry: 600 });
  assert.ok(visits[0].retry >= 600 && visits[0].retry <= 900);
  assert.ok(away(visits) >= visits[0].retry, `${away(visits)} ms`);
  if (facts.ownRetry >= 3000) assert.ok(away(visits) < facts.ownRetry, `${away(visits)} ms`);
}

// Without a retry: the client's own time.
async function retryNone(stage, facts) {
  const visits = await measureAway(stage, { retry: -1 });
  assert.ok(Number.isNaN(visits[0].retry));
  assert.ok(away(visits) >= facts.ownRetry - 50, `${away(visits)} ms`);
  return `${away(visits)} ms`;
}

// The least that a client waits, whatever it is told; less than its own time in any case.
async function retryLeast(stage, facts) {
  const visits = await measureAway(stage, { retry: 1 });
  assert.ok(away(visits) >= facts.leastRetry, `${away(visits)} ms`);
  assert.ok(away(visits) < facts.ownRetry, `${away(visits)} ms`);
  return `${away(visits)} ms`;
}

// ---- The ready-made answers ----

// 204 in the place of a reconnect: nobody comes again, which is looked at when all else is over.
async function stop(stage) {
  await stage.make();
  await stage.open({});
  await stage.streams(1);
  await stage.publish("last");
  await stage.until("last");
  await stage.cut();
  await stage.answer("stop");
  await stage.release();
  await stage.state("closed");
  return async () => {
    const visits = await stage.visits("log", () => true);
    assert.deepEqual(visits.map(({ answer }) => answer), ["stream", "stop"]);
    assert.deepEqual(datas(stage.events()), ["last"]);
  };
}

async function stopAtOnce(stage) {
  await stage.make();
  await stage.answer("stop");
  await stage.open({});
  await stage.state("closed");
  return async () => {
    const visits = await stage.visits("log", () => true);
    assert.deepEqual(visits.map(({ answer }) => answer), ["stop"]);
  };
}

async function busy(stage) {
  await stage.make();
  await stage.answer("busy", 700);
  await stage.open({});
  await stage.visits("answer", ([visit]) => visit?.left > 0);
  await stage.answer("stream");
  const visits = await stage.visits("stream", (all) => all.at(-1).verdict);
  assert.equal(visits[0].answer, "busy");
  // The server may note that the client has left some moments after it did.
  assert.ok(away(visits) >= 600, `${away(visits)} ms`);
  await stage.publish("one");
  assert.deepEqual(datas(await stage.until("one")), ["one"]);
}

// ---- Payloads ----

const PAYLOADS = [
  ["\uFEFFa mark in front", "\uFEFFa mark in front"],
  ["one\ntwo\r\nthree\rfour", "one\ntwo\nthree\nfour"],
  [" a space", " a space"],
  ["  two", "  two"],
  ["\ta tab", "\ta tab"],
  [":colon", ":colon"],
  ["data: twice", "data: twice"],
  ["", ""],
  ["\n", "\n"],
  ["behind\n\n", "behind\n\n"],
  ["P\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148 \u{1F40E}",
    "P\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd k\u016f\u0148 \u{1F40E}"],
  ["\u0085 and \u2028 end no line", "\u0085 and \u2028 end no line"],
];

// No line ends at a NUL, but not every client keeps it.
async function payloadNul(stage, facts) {
  await stage.make();
  await stage.open({});
  await stage.streams(1);
  await stage.publish("a\0b", "end");
  assert.equal((await stage.until("end"))[0].data, facts.keepsNul ? "a\0b" : "ab");
}

// The first is the first of a stream that has nothing else, so that its mark could be taken for
// the stream's.
async function payloads(stage, { spoils = {} }) {
  await stage.make();
  await stage.open({ position: "off", retry: -1 });
  await stage.visits("stream", ([visit]) => visit?.verdict);
  await stage.publish(...PAYLOADS.map(([sent]) => sent), "end");
  const events = await stage.until("end");
  assert.deepEqual(datas(events), [...PAYLOADS.map(([, wanted]) => spoils[wanted] ?? wanted), "end"]);
  assertRow(events);
}

async function typesOfEvents(stage) {
  const named = ["roll", "s mezerou", "\u017elu\u0165", ":"];
  await stage.make();
  await stage.open({ types: named });
  await stage.streams(1);
  for (const type of named) await stage.publishTo({ type }, `of ${type}`);
  await stage.publish("end");
  const events = await stage.until("end");
  assert.deepEqual(types(events), [...named, "message"]);
  assertRow(events);
}

// ---- The list ----

const POSITIONS = ["event", "off"];
const inEachForm = (name, run) => POSITIONS.map((position) => ({
  name: `${name}, position ${position}`, run, params: { position } }));

// Those that are looked at again at the end come first.
export const SCENARIOS = [
  { name: "204 stops a client for good", run: stop },
  { name: "204 at once stops a client for good", run: stopAtOnce },
  { name: "a long retry is honoured", run: retryLong },
  { name: "without a retry it waits its own time", run: retryNone },
  { name: "a short retry is honoured", run: retryShort },
  { name: "the shortest time that it waits", run: retryLeast },
  { name: "busy: it comes back later", run: busy },
  ...inEachForm("cut before the first event", cutBeforeFirst),
  ...inEachForm("cut after an event", cutAfterEvent),
  { name: "cut inside an event", run: cutInsideEvent },
  ...inEachForm("an id is refreshed", refresh),
  ...inEachForm("gap: evicted", gapEvicted),
  ...inEachForm("gap: restart, and a cut behind it", gapRestart),
  ...inEachForm("gap: restart, and a replay", gapRestartReplay),
  { name: "heartbeats are no events", run: heartbeats },
  { name: "a position that is listened to", run: positionSeen },
  { name: "cut before the first event, other origin", run: cutBeforeFirst,
    params: { position: "event", otherOrigin: true } },
  { name: "payloads arrive as they were", run: payloads },
  { name: "a NUL in a payload", run: payloadNul },
  { name: "types arrive as they were", run: typesOfEvents },
];
