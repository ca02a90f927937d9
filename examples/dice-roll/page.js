// SPDX-License-Identifier: MIT
// page.js: listens to the stream and shows it. No library, nothing from elsewhere.
"use strict";

const ROWS_MAX = 60; // in the list; older ones go
const RESTARTED_MS = 6000; // how long the state says that the server was restarted
const REOPEN_MS = 5000; // after an answer on which a browser gives up

const byId = (id) => document.getElementById(id);
const format = new Intl.NumberFormat("en");

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// ---- Charts ----

class Chart {
  constructor(name, faces) {
    this.counts = new Array(faces).fill(0);
    this.total = 0;
    this.sum = 0;
    this.latest = 0;
    this.name = name;
    this.list = byId(`${name}-chart`);
    this.bars = this.counts.map((_, index) => this.addBar(index + 1));
    this.even = element("li", "even");
    this.even.setAttribute("aria-hidden", "true");
    this.list.append(this.even);
  }

  addBar(face) {
    const item = element("li");
    const count = element("span", "count", "0");
    item.append(element("span", "face", face), element("span", "hidden", "came up"), count,
      element("span", "hidden", "times"), element("span", "bar"));
    this.list.append(item);
    return { item, count };
  }

  add(face) {
    this.counts[face - 1] += 1;
    this.total += 1;
    this.sum += face;
    this.latest = face;
  }

  draw() {
    if (this.total === 0) return;
    const highest = Math.max(...this.counts);
    this.bars.forEach(({ item, count }, index) => {
      item.style.setProperty("--share", this.counts[index] / highest);
      item.classList.toggle("latest", index + 1 === this.latest);
      count.textContent = format.format(this.counts[index]);
    });
    const share = this.total / this.counts.length;
    this.list.style.setProperty("--even", share / highest);
    byId(`${this.name}-share`).textContent = share.toFixed(1);
    byId(`${this.name}-last`).textContent = this.latest;
    byId(`${this.name}-mean`).textContent = (this.sum / this.total).toFixed(2);
  }
}

const d6 = new Chart("d6", 6);
const d20 = new Chart("d20", 20);

// Which of the seven pips each face shows.
const PIPS = ["", "0001000", "1000001", "1001001", "1100011", "1101011", "1110111"];

function drawDice() {
  if (d6.total === 0) return;
  byId("d6-die").querySelectorAll("circle").forEach((pip, index) => {
    pip.classList.toggle("on", PIPS[d6.latest][index] === "1");
  });
  byId("d20-face").textContent = d20.latest;
}

// ---- The list ----

const pending = []; // rows that are not in the list yet, oldest first

function addRow(row) {
  pending.push(row);
  if (pending.length > ROWS_MAX) pending.shift();
  drawSoon();
}

function clock(date) {
  return `${date.toLocaleTimeString("en-GB")}.${Math.floor(date.getMilliseconds() / 100)}`;
}

function rollRow(roll) {
  const row = element("li", "new");
  row.append(element("time", "", clock(new Date())));
  const chips = [["d6", "six-sided", roll["1D6"], 6], ["d20", "twenty-sided", roll["1D20"], 20]];
  for (const [name, title, face, faces] of chips) {
    const chip = element("span", `chip ${name}${face === faces ? " top" : ""}`, face);
    chip.title = title;
    row.append(chip);
  }
  return row;
}

function noticeRow(title, text) {
  const row = element("li", "notice");
  row.append(element("b", "", title), element("span", "", `${clock(new Date())} ${text}`));
  return row;
}

function drawRows() {
  const list = byId("rolls");
  // Who has scrolled down to read is not moved on.
  const from = list.scrollTop > 0 ? list.scrollHeight - list.scrollTop : 0;
  for (const row of pending.splice(0)) list.prepend(row);
  while (list.children.length > ROWS_MAX) list.lastElementChild.remove();
  if (from > 0) list.scrollTop = list.scrollHeight - from;
}

// ---- Drawing: once for each frame of the screen, however many events come in between ----

let drawing = false;

function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    d6.draw();
    d20.draw();
    drawDice();
    drawRows();
    byId("total").textContent = format.format(d6.total);
  });
}

// ---- The stream ----

const STATES = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  restarted: "Live, server restarted",
  closed: "Disconnected",
};

let restartedTimer = 0;

function showState(state) {
  clearTimeout(restartedTimer);
  byId("state").dataset.state = state;
  byId("state-text").textContent = STATES[state];
  if (state === "restarted") restartedTimer = setTimeout(() => showState("live"), RESTARTED_MS);
}

// Why something is missing, in words.
const REASONS = {
  restart: "The server was restarted. What it rolled just before is lost.",
  evicted: "This page was away for longer than the server remembers.",
  slow: "This page was too slow for longer than the server remembers.",
};

function onRoll(event) {
  const roll = JSON.parse(event.data);
  d6.add(roll["1D6"]);
  d20.add(roll["1D20"]);
  addRow(rollRow(roll));
}

// The server tells in the stream itself when something could not be delivered.
function onGap(event) {
  const gap = JSON.parse(event.data);
  const counted = gap.count > 0 ? `${format.format(gap.count)} rolls missed` : "Some rolls missed";
  addRow(noticeRow(counted, REASONS[gap.reason] ?? `The server says: ${gap.reason}.`));
  if (gap.reason === "restart") showState("restarted");
}

// The browser reconnects by itself, and sends the id of the last event that it has seen.
function listen() {
  const source = new EventSource("stream/");
  source.addEventListener("open", () => showState("live"));
  source.addEventListener("message", onRoll);
  source.addEventListener("gap", onGap);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CONNECTING) {
      showState("reconnecting");
      return;
    }
    showState("closed");
    setTimeout(listen, REOPEN_MS);
  });
}

byId("url").textContent = new URL("stream/", location.href).href;
listen();
