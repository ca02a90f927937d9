// SPDX-License-Identifier: MIT
// dashboard.js: reads the server's numbers every second and shows them. Nothing from elsewhere.
import { Chart, Reasons, bytes, count, duration, rate } from "./dashboard_chart.js";
import { authorization, tryChannel } from "./dashboard_tester.js";

const POLL_MS = 1000;
const PATIENCE_MS = 5000; // for an answer
const LATENCY_MS = 10000; // the deliveries of this time make a point of the latency
const RESTARTED_MS = 30000; // how long the page says that the server was restarted
const CHANNELS_MS = 3000; // between two lists of channels, at least
const CHANNELS_SHARE = 20; // and this many times what the last one took
const CHANNELS_MAX = 100; // rows of the table

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// ---- What the server says ----

// A sample of each line, by what is before its value: `name` or `name{label="value"}`.
function parseMetrics(text) {
  const metrics = new Map();
  for (const line of text.split("\n")) {
    const space = line.lastIndexOf(" ");
    if (line[0] !== "#" && space > 0) metrics.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return metrics;
}

function byLabel(metrics, name, label) {
  const start = `${name}{${label}="`;
  return new Map([...metrics].filter(([key]) => key.startsWith(start))
    .map(([key, value]) => [key.slice(start.length, -2), value]));
}

// The quantile of what a histogram has counted since an earlier sample, interpolated as by
// histogram_quantile() of Prometheus. null: it has counted nothing.
function quantile(metrics, before, name, share) {
  let low = 0;
  let seen = 0;
  const wanted = share * (metrics.get(`${name}_count`) - before.get(`${name}_count`));
  if (!(wanted > 0)) return null;
  for (const [text, counted] of byLabel(metrics, `${name}_bucket`, "le")) {
    const high = text === "+Inf" ? low : Number(text);
    const here = counted - before.get(`${name}_bucket{le="${text}"}`);
    if (here >= wanted) return low + ((high - low) * (wanted - seen)) / (here - seen);
    low = high;
    seen = here;
  }
  return low;
}

// The body of an answer, or an error that has the status, if there was an answer.
async function ask(path) {
  const response = await fetch(path, { headers: authorization(), cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS) });
  const text = await response.text();
  if (!response.ok) throw Object.assign(new Error(text.trim()), { status: response.status });
  return text;
}

// ---- Charts ----

const perSecond = (format) => (number) => `${format(number)}/s`;
const charts = [
  { id: "clients", title: "Clients", series: ["clients"], format: count, least: 4 },
  { id: "published", title: "Events published", series: ["events"], format: perSecond(rate), least: 1 },
  { id: "delivered", title: "Events delivered", series: ["events"], format: perSecond(rate), least: 1 },
  { id: "bytes", title: "Bytes delivered", series: ["bytes"], format: perSecond(bytes), least: 100 },
  { id: "latency", title: "Latency", series: ["50%", "99%"], format: duration, least: 1e-5 },
  { id: "waiting", title: "Events waiting", series: ["log", "loop"], format: count,
    least: 4 },
].map((config) => new Chart(byId("charts"), config));

const gaps = new Reasons(byId("gaps"), {
  evicted: "events were no longer retained",
  restart: "the server or its log is a new one",
  unknown: "the client's id is not known",
  future: "the client's id is not in use yet",
  malformed: "what the client sent is not an id",
  slow: "the client fell behind",
});
const ends = new Reasons(byId("ends"), {
  host: "the connection was closed, or a poll answered",
  io: "the connection broke",
  closed: "the client closed the connection",
  callback: "a callback of the host failed",
  stalled: "the client accepted nothing for too long",
  aged: "the stream reached its maximum age",
  pinned: "the client held too much memory for too long",
  slow: "the client did not keep up",
  disconnected: "an operator disconnected the client",
  dismissed: "an operator ended the stream gently",
  finished: "its channels are finished",
  drained: "the server shuts down",
});

function drawCharts(time, values) {
  charts.forEach((chart, index) => {
    chart.add(time, values?.[index] ?? null);
    chart.draw();
  });
}

// What each chart is given, in their order. before is the last sample, if there is one.
function valuesOf(metrics, before, seconds, earlier) {
  const speed = (name) => (before ? (metrics.get(name) - before.get(name)) / seconds : null);
  const latency = (share) => (earlier ? quantile(metrics, earlier, "libsse_latency_seconds", share)
    : null);
  return [
    [metrics.get("libsse_streams")],
    [speed("libsse_published_events_total")],
    [speed("libsse_delivered_events_total")],
    [speed("libsse_delivered_bytes_total")],
    [latency(0.5), latency(0.99)],
    [metrics.get("broadcast_engine_waiting_events"), metrics.get("libsse_lag_events")],
  ];
}

// ---- The engine ----

function showHealth(health, text) {
  if (byId("health").textContent !== text) byId("health").textContent = text;
  byId("health").dataset.health = health;
}

async function showProblem() {
  const problem = await ask("health/ready").catch((error) => error.message);
  showHealth("bad", problem.startsWith("the engine fails") ? problem.replace("the", "The")
    : "The engine fails");
}

async function drawEngine(metrics) {
  const engine = (name) => metrics.get(`broadcast_engine_${name}`);
  const kind = [...byLabel(metrics, "broadcast_engine_info", "kind").keys()][0];
  byId("kind").textContent = kind ?? "–";
  byId("head").textContent = String(engine("head"));
  byId("appended").textContent = count(engine("appended_total"));
  byId("failed").textContent = count(engine("failed_total"));
  byId("waiting").textContent = count(engine("waiting_events"));
  byId("waiting-bytes").textContent = bytes(engine("waiting_bytes"));
  byId("lag").textContent = `${duration(metrics.get("libsse_lag_seconds"))} behind`;
  byId("memory").textContent = `${bytes(metrics.get("libsse_memory_bytes"))} of ${
    bytes(metrics.get("libsse_memory_max_bytes"))}`;
  if (engine("failing")) await showProblem();
  else showHealth("good", "The log works");
}

// ---- The state of the page ----

const STATES = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "No answer, trying again",
  refused: "Secret needed",
  paused: "Paused",
};

let noticeUntil = Infinity; // when the notice is removed

function showState(state) {
  if (byId("state").dataset.state === state) return;
  byId("state").dataset.state = state;
  byId("state-text").textContent = STATES[state];
}

function showNotice(text, forMs = Infinity) {
  if (byId("notice").textContent !== text) byId("notice").textContent = text;
  byId("notice").hidden = text === "";
  noticeUntil = Date.now() + forMs;
}

const clock = () => new Date().toLocaleTimeString("en-GB");

// ---- Polling ----

let samples = []; // { time, metrics } of LATENCY_MS, oldest first
let away = ""; // since when there is no answer
let awake = () => {}; // ends the wait of watched()
const isWatched = () => !document.hidden && byId("pause").getAttribute("aria-pressed") === "false";

// The counters of one process never decrease.
function isRestart(metrics, before) {
  return [...metrics].some(([key, value]) => /_(total|count)(\{|$)/.test(key)
    && value < before.get(key));
}

async function take(metrics) {
  const time = performance.now();
  if (samples.length > 0 && isRestart(metrics, samples.at(-1).metrics)) {
    samples = [];
    gaps.restart();
    ends.restart();
    showNotice(`The server was restarted. Its counts began at zero at ${clock()}.`, RESTARTED_MS);
  } else if (away || Date.now() > noticeUntil || byId("state").dataset.state === "refused") {
    showNotice("");
  }
  away = "";
  const before = samples.at(-1);
  drawCharts(time, valuesOf(metrics, before?.metrics, (time - before?.time) / 1000,
    samples[0]?.metrics));
  samples.push({ time, metrics });
  while (samples.length > 2 && samples[0].time < time - LATENCY_MS) samples.shift();
  gaps.draw(time, byLabel(metrics, "libsse_gaps_total", "reason"));
  ends.draw(time, byLabel(metrics, "libsse_streams_closed_total", "reason"));
  showState("live");
  await drawEngine(metrics);
}

function fail(error) {
  drawCharts(performance.now(), null);
  showHealth("unknown", "Not known");
  if (error.status === 401 || error.status === 403) {
    showState("refused");
    showNotice(`The server does not show its numbers: ${error.message}. Enter the secret below, `
      + "under Publish.");
    return;
  }
  away ||= clock();
  showState("reconnecting");
  showNotice(error.status ? `The server has answered ${error.status} since ${away}: ${error.message}`
    : `The server has not answered since ${away}. This page continues when it is back.`);
}

// Waits while nobody looks at the page. The charts have a break there.
async function watched() {
  if (isWatched()) return;
  if (!document.hidden) showState("paused");
  await new Promise((resolve) => { awake = resolve; });
  if (samples.length > 1) samples = samples.slice(-1);
}

async function poll() {
  for (;;) {
    await watched();
    const next = sleep(POLL_MS);
    const text = await ask("metrics").catch(fail);
    if (text) await take(parseMetrics(text));
    await next;
  }
}

function look() {
  if (isWatched()) awake();
}
document.addEventListener("visibilitychange", look);
byId("pause").addEventListener("click", () => {
  const pressed = byId("pause").getAttribute("aria-pressed") === "true";
  byId("pause").setAttribute("aria-pressed", String(!pressed));
  if (!pressed) showState("paused");
  look();
});

// ---- Channels ----

let channels = []; // { channel, clients }, most clients first
const rows = new Map(); // by channel, of the table
let inView = false;

function addRow(channel) {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  const clients = document.createElement("td");
  const cell = document.createElement("td");
  const button = document.createElement("button");
  name.scope = "row";
  name.textContent = channel;
  clients.className = "number";
  button.type = "button";
  button.textContent = "Listen";
  button.setAttribute("aria-label", `Listen to ${channel}`);
  button.addEventListener("click", () => tryChannel(channel));
  cell.append(button);
  row.append(name, clients, cell);
  rows.set(channel, { row, clients });
  return rows.get(channel);
}

function drawChannels() {
  const text = byId("find").value;
  const found = channels.filter(({ channel }) => channel.includes(text));
  const shown = found.slice(0, CHANNELS_MAX);
  const wanted = shown.map(({ channel, clients }) => {
    const made = rows.get(channel) ?? addRow(channel);
    made.clients.textContent = count(clients);
    return made.row;
  });
  const body = byId("channel-rows");
  // A row that is moved loses the focus, so rows stay unless their order changes.
  if (wanted.length !== body.children.length
      || wanted.some((row, index) => row !== body.children[index])) {
    const focused = document.activeElement;
    const hadFocus = body.contains(focused);
    body.replaceChildren(...wanted);
    if (hadFocus && body.contains(focused)) focused.focus({ preventScroll: true });
  }
  const kept = new Set(shown.map(({ channel }) => channel));
  for (const channel of rows.keys()) if (!kept.has(channel)) rows.delete(channel);
  byId("channels-note").textContent = channels.length === 0 ? "No channel has clients."
    : found.length > shown.length ? `The first ${count(shown.length)} of ${count(found.length)}.`
      : found.length === channels.length ? `${count(found.length)} in all.`
        : `${count(found.length)} of ${count(channels.length)}.`;
}

async function listChannels() {
  try {
    channels = JSON.parse(await ask("channels"));
    channels.sort((a, b) => b.clients - a.clients || (a.channel < b.channel ? -1 : 1));
    drawChannels();
  } catch (error) {
    byId("channels-note").textContent = error.status ? `${error.message}.`
      : "The list is not up to date: the server does not answer.";
  }
}

// The list may be long. So it is asked for only while it can be seen, and less often if it is.
async function pollChannels() {
  for (;;) {
    const began = performance.now();
    const wanted = isWatched() && inView;
    if (wanted) await listChannels();
    await sleep(wanted ? Math.max(CHANNELS_MS, (performance.now() - began) * CHANNELS_SHARE) : 250);
  }
}

new IntersectionObserver((entries) => {
  inView = entries.at(-1).isIntersecting;
}).observe(byId("channels"));
byId("find").addEventListener("input", drawChannels);

byId("node").textContent = location.host;
poll();
pollChannels();
