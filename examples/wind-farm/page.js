// SPDX-License-Identifier: MIT
// page.js: one stream, the channels on it, and the newest of what came. Nothing from elsewhere.
"use strict";

const SITES = ["north", "south", "east"];
const RATED_KW = 3000;
const TURN_MS = 4000; // of a rotor in a wind of 10 m/s
const ROWS_MAX = 80; // in the log; older ones go
const REOPEN_MS = 5000; // after an answer on which a browser gives up

const byId = (id) => document.getElementById(id);
const format = new Intl.NumberFormat("en");
const count = (number, what) => `${format.format(number)} ${what}${number === 1 ? "" : "s"}`;
const title = (site) => site[0].toUpperCase() + site.slice(1);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function fromTemplate(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

// ---- The log ----

function logRow(className, text, site) {
  const row = document.createElement("li");
  const time = document.createElement("time");
  const what = document.createElement("b");
  row.className = className;
  if (site) row.dataset.site = site;
  time.textContent = new Date().toLocaleTimeString("en-GB");
  what.textContent = text;
  row.append(time, what);
  byId("log").prepend(row);
  while (byId("log").children.length > ROWS_MAX) byId("log").lastElementChild.remove();
  return row;
}

function logDetail(row, text) {
  const detail = document.createElement("span");
  detail.textContent = text;
  row.append(detail);
}

// ---- Turbines and sites ----

class Tile {
  constructor(name) {
    this.name = name;
    this.item = fromTemplate("tile");
    this.item.dataset.turbine = name;
    this.item.querySelector(".name").textContent = name;
    this.turn = this.item.querySelector(".rotor").animate(
      [{ transform: "rotate(0)" }, { transform: "rotate(360deg)" }],
      { duration: TURN_MS, iterations: Infinity });
    this.turn.currentTime = Math.random() * TURN_MS;
    if (calm.matches) this.turn.pause();
  }

  draw({ kw, wind, reading }) {
    const put = (part, text) => {
      this.item.querySelector(part).textContent = text;
    };
    put(".mw", (kw / 1000).toFixed(2));
    put(".wind", `Wind ${wind.toFixed(1)} m/s`);
    put(".number", `Reading ${format.format(reading)}`);
    this.item.querySelector(".meter span").style.setProperty("--share", kw / RATED_KW);
    this.turn.updatePlaybackRate(kw > 0 ? wind / 10 : 0);
  }

  remove() {
    this.item.classList.add("going");
    delete this.item.dataset.turbine;
    // Where nothing moves there is no end of it to wait for.
    if (calm.matches) this.item.remove();
    else this.item.addEventListener("animationend", () => this.item.remove());
  }
}

class Site {
  constructor(name) {
    this.name = name;
    this.newest = new Map(); // reading by turbine: the same state that the server keeps
    this.tiles = new Map();
    this.joining = null; // until its first live reading: what came before that
    this.card = fromTemplate("site");
    this.card.dataset.site = name;
    this.card.querySelector("h2").textContent = title(name);
    this.toggle = this.card.querySelector("input");
    this.toggle.setAttribute("aria-label", `Follow ${title(name)}`);
    this.toggle.addEventListener("change", () => follow(name, this.toggle.checked));
    byId("sites").append(this.card);
  }

  clear() {
    this.newest.clear();
    drawSoon();
  }

  // What comes without an id of its own is the state; the first with one is live.
  noteJoining(isState) {
    if (!this.joining) return;
    if (isState) {
      this.joining.state += 1;
      return;
    }
    const { row, state } = this.joining;
    if (!row) return;
    logDetail(row, state === 0 ? "There was no reading yet"
      : `${count(state, "newest reading")} came first, then live`);
    this.joining = null;
  }

  drawSum() {
    const kw = [...this.newest.values()].reduce((sum, reading) => sum + reading.kw, 0);
    this.card.classList.toggle("followed", wanted.has(this.name));
    this.toggle.checked = wanted.has(this.name);
    this.card.querySelector(".sum").textContent = this.newest.size === 0 ? ""
      : `${count(this.newest.size, "turbine")}, ${(kw / 1000).toFixed(1)} MW`;
  }

  draw() {
    for (const [name, tile] of this.tiles) {
      if (this.newest.has(name)) continue;
      tile.remove();
      this.tiles.delete(name);
    }
    for (const [name, reading] of this.newest) {
      if (!this.tiles.has(name)) this.addTile(name);
      this.tiles.get(name).draw(reading);
    }
    this.drawSum();
  }

  addTile(name) {
    const tile = new Tile(name);
    const next = [...this.tiles.values()].filter((other) => other.name > name)
      .sort((a, b) => (a.name < b.name ? -1 : 1))[0];
    this.card.querySelector(".tiles").insertBefore(tile.item, next?.item ?? null);
    this.tiles.set(name, tile);
  }
}

// ---- Drawing: once for each frame of the screen, however many events come in between ----

const wanted = new Set(["north", "south"]);
const sites = new Map(SITES.map((name) => [name, new Site(name)]));
const seen = new Map(); // by turbine: the number of its newest reading, also after it is gone
let received = 0;
let drawing = false;

function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const site of sites.values()) site.draw();
    const taken = [...seen.values()].reduce((sum, number) => sum + number, 0);
    byId("received").textContent = format.format(received);
    byId("taken").textContent = format.format(taken);
    byId("share").style.setProperty("--share", taken > 0 ? received / taken : 0);
  });
}

// ---- Events ----

let lastId = ""; // of the stream so far; an event without an id leaves it as it is

function onReading(event) {
  const reading = JSON.parse(event.data);
  const site = sites.get(reading.site);
  const isState = event.lastEventId === lastId;
  lastId = event.lastEventId;
  if (!wanted.has(reading.site)) return; // it was on its way when the site was left
  site.newest.set(reading.turbine, reading);
  site.noteJoining(isState);
  seen.set(reading.turbine, reading.reading);
  received += 1;
  drawSoon();
}

// The tombstone: there is no newest reading of this turbine any more, for nobody.
function onGone(event) {
  const { site, turbine } = JSON.parse(event.data);
  lastId = event.lastEventId;
  sites.get(site).newest.delete(turbine);
  drawSoon();
}

function onService(event) {
  const { site, turbine, service } = JSON.parse(event.data);
  lastId = event.lastEventId;
  logRow("", `${turbine} ${service === "begins" ? "goes out for service" : "is back in service"}`,
    site);
}

// Why something is missing, in words.
const REASONS = {
  restart: "The server was restarted, and starts counting anew.",
  evicted: "Not all that this page had missed is still there.",
  slow: "This page was too slow for longer than the server remembers.",
};

// Among what was lost may be that a turbine is gone. So all start anew; each reports soon.
function onGap(event) {
  const { reason } = JSON.parse(event.data);
  lastId = event.lastEventId;
  logDetail(logRow("notice", "Something was missed"), REASONS[reason] ?? `Reason: ${reason}`);
  for (const site of sites.values()) site.clear();
  seen.clear();
  received = 0;
}

// ---- Channels: joined and left by requests of their own, while the stream stays open ----

/*
 * The server changes the streams of a session. Its name is as good as a password for that, so it
 * comes from the browser's secure random numbers. (crypto.randomUUID is not there where the page
 * comes over plain HTTP from another machine.)
 */
const session = [...crypto.getRandomValues(new Uint8Array(16))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("");

let joined = new Set(); // what the stream has, as far as this page was told
let connections = 0;
let opened = 0; // when, or 0 while it is not open
let changes = 0;
let settling = false;

function follow(name, on) {
  if (on) wanted.add(name);
  else wanted.delete(name);
  sites.get(name).clear();
  sites.get(name).joining = null;
  drawSoon();
  settle();
}

// Asks for one change after the other until the stream has what is wanted.
async function settle() {
  if (settling) return;
  settling = true;
  const differs = (name) => wanted.has(name) !== joined.has(name);
  for (let name; opened && (name = SITES.find(differs)) !== undefined;) await change(name);
  settling = false;
}

async function change(name) {
  const on = wanted.has(name);
  const site = sites.get(name);
  const connection = connections;
  const query = new URLSearchParams({ session, channel: name });
  // Its events may come before the answer to the request.
  if (on) site.joining = { state: 0, row: null };
  const response = await fetch(`${on ? "join" : "leave"}?${query}`, { method: "POST" })
    .catch(() => null);
  if (connection !== connections || !opened) return; // it was for a stream that is no more
  if (!response?.ok) {
    logRow("notice", `Could not ${on ? "join" : "leave"} ${title(name)}`, name);
    if (on) wanted.delete(name);
    else wanted.add(name);
    drawSoon();
    return;
  }
  if (on) joined.add(name);
  else joined.delete(name);
  changes += 1;
  byId("changes").textContent = changes;
  const row = logRow("done", `${on ? "Joined" : "Left"} ${title(name)}`, name);
  if (on && site.joining) site.joining.row = row;
}

// ---- The stream ----

const STATES = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  closed: "Disconnected",
};

function showState(state) {
  byId("state").dataset.state = state;
  byId("state-text").textContent = STATES[state];
}

function showOpenFor() {
  const seconds = Math.floor((Date.now() - opened) / 1000);
  const minutes = Math.floor(seconds / 60);
  byId("open-for").textContent = !opened ? "–"
    : minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function onOpen(channels) {
  connections += 1;
  opened = Date.now();
  changes = 0;
  joined = new Set(channels);
  byId("connections").textContent = connections;
  byId("times").textContent = connections === 1 ? "time" : "times";
  byId("changes").textContent = changes;
  showOpenFor();
  showState("live");
  const row = logRow("done", connections === 1 ? "Connected" : "Connected again");
  logDetail(row, channels.length > 0 ? `with ${channels.map(title).join(" and ")}`
    : "with the notices alone");
  // The stream goes on after the last id with the channels of its address. What else is wanted
  // is joined now, and starts anew, because it may have changed in the meantime.
  for (const name of SITES) if (!joined.has(name)) sites.get(name).clear();
  settle();
}

/*
 * The browser reconnects by itself, always to the same address. So that names the channels that
 * were wanted when it was made, and onOpen settles what has changed since. Nothing has to be kept
 * about this page on the server.
 */
function listen() {
  const channels = [...wanted];
  const query = new URLSearchParams([["session", session],
    ...channels.map((name) => ["channel", name])]);
  const source = new EventSource(`stream/?${query}`);
  source.addEventListener("open", () => onOpen(channels));
  source.addEventListener("reading", onReading);
  source.addEventListener("gone", onGone);
  source.addEventListener("service", onService);
  source.addEventListener("gap", onGap);
  // A block that carries nothing but the stream's id.
  source.addEventListener("sse-position", (event) => { lastId = event.lastEventId; });
  source.addEventListener("error", () => {
    opened = 0;
    showOpenFor();
    if (source.readyState === EventSource.CONNECTING) {
      showState("reconnecting");
      return;
    }
    showState("closed");
    setTimeout(listen, REOPEN_MS);
  });
}

byId("url").textContent = new URL("stream/?channel=north", location.href).href;
setInterval(showOpenFor, 1000);
drawSoon();
listen();
