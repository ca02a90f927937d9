// SPDX-License-Identifier: MIT
// dashboard_tester.js: subscribes and publishes, and shows each block of the stream that arrives.

const ROWS_MAX = 200; // in the log; older ones go
const DATA_MAX = 4000; // characters of an event that are shown
const RETRY_MS = 3000; // between two connections, until the server says another time
const ANNOUNCE_MS = 5000; // a screen reader is told how much has arrived, not more often than that

const byId = (id) => document.getElementById(id);
const plural = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

// ---- The secret: it is nowhere but in its field ----

// A header has bytes; other characters than those of ASCII are sent in UTF-8, as in a form.
export function authorization() {
  const secret = byId("secret").value;
  return secret === "" ? {}
    : { Authorization: `Bearer ${String.fromCharCode(...new TextEncoder().encode(secret))}` };
}

// ---- The format of a stream: HTML standard, 9.2.6 ----

/*
 * An EventSource passes on only the event types that it has listeners for, and neither positions nor
 * the reason of a refusal. The tester shows all of them, so it reads the stream itself.
 */
class Parser {
  constructor() {
    this.rest = "";
    this.retryMs = RETRY_MS;
    this.begin();
  }

  begin() {
    this.block = { type: "", data: [], id: null };
  }

  // The blocks that are complete with this text.
  push(text) {
    const blocks = [];
    // A CR at the end of the text may be half of a CRLF.
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    for (const line of lines) {
      if (line !== "") {
        this.addLine(line);
        continue;
      }
      const { type, data, id } = this.block;
      if (data.length > 0 || id !== null) blocks.push({ type: type || "message", data: data.join("\n"), id });
      this.begin();
    }
    return blocks;
  }

  addLine(line) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.block.type = value;
    else if (field === "data") this.block.data.push(value);
    else if (field === "id" && !value.includes("\0")) this.block.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
  }
}

// ---- The log ----

let pending = []; // rows that are not in the log yet, oldest first
let unannounced = 0; // events
let announcing = 0;

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function addRow(kind, title, id, text) {
  const row = element("li", kind, "");
  row.append(element("time", "", new Date().toLocaleTimeString("en-GB")), element("b", "", title));
  if (id) row.append(element("code", "", id));
  if (text) {
    row.append(element("p", "data", text.length > DATA_MAX ? `${text.slice(0, DATA_MAX)}…` : text));
  }
  pending.push(row);
  if (pending.length > ROWS_MAX) pending.shift();
  if (pending.length === 1) requestAnimationFrame(drawRows);
}

function drawRows() {
  const log = byId("log");
  // Whoever has scrolled down to read is not moved.
  const from = log.scrollTop > 0 ? log.scrollHeight - log.scrollTop : 0;
  log.prepend(...pending.reverse());
  pending = [];
  while (log.children.length > ROWS_MAX) log.lastElementChild.remove();
  if (from > 0) log.scrollTop = log.scrollHeight - from;
}

function announceSoon() {
  unannounced += 1;
  announcing ||= setTimeout(() => {
    byId("heard").textContent = `${plural(unannounced, "event")} arrived`;
    announcing = 0;
    unannounced = 0;
  }, ANNOUNCE_MS);
}

const GAPS = {
  evicted: "Some of what this page missed is no longer retained.",
  restart: "The server was restarted, or its log has a new history.",
  unknown: "The server does not know the id that this page sent.",
  future: "The id that this page sent is not in use yet.",
  malformed: "What this page sent is not an id.",
  slow: "This page fell behind.",
};

function showGap({ data, id }) {
  let gap = {};
  try {
    gap = JSON.parse(data);
  } catch {
    // An event of the type gap that the server did not write has any data.
  }
  addRow("gap", gap?.reason ? `gap: ${gap.reason}` : "gap", id,
    [GAPS[gap?.reason], data].filter(Boolean).join("\n"));
}

function showBlock(block) {
  if (block.type === "sse-position") {
    addRow("position", "position", block.id, "");
  } else if (block.type === "gap") {
    showGap(block);
  } else {
    addRow("event", block.type, block.id ?? "without id", block.data);
  }
  if (block.type !== "sse-position") announceSoon();
}

// ---- curl ----

let listened = ""; // the commands for the last subscription and the last publish
let posted = "";

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const address = (path) => new URL(path, location.href).href;

function showCurl() {
  byId("curl").textContent = [listened, posted].filter(Boolean).join("\n\n");
  byId("copy").hidden = !navigator.clipboard;
}

byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(byId("curl").textContent);
  byId("copy").textContent = "Copied";
  setTimeout(() => { byId("copy").textContent = "Copy"; }, 2000);
});

// ---- Subscribing ----

let subscription = null; // what ends it: an AbortController

const channelsOf = (id) => byId(id).value.split(",").map((one) => one.trim()).filter(Boolean);

function showListening(text, isBad = false) {
  byId("listening").textContent = text;
  byId("listening").classList.toggle("bad", isBad);
  byId("listen").textContent = subscription ? "Unsubscribe" : "Subscribe";
}

function stopListening(text, isBad = false) {
  subscription?.abort();
  subscription = null;
  showListening(text, isBad);
}

// One connection, to its end. It goes on after `state.lastId`. True: it was refused for good.
async function listenOnce(query, state, signal) {
  const headers = { Accept: "text/event-stream" };
  if (state.lastId !== null) headers["Last-Event-ID"] = state.lastId;
  const response = await fetch(`stream?${query}`, { headers, signal, cache: "no-store" });
  if (response.status === 204) {
    stopListening("All of these channels are finished.");
    return true;
  }
  if (!response.ok) {
    const line = `${response.status}: ${(await response.text()).trim()}`;
    if (response.status >= 500) throw new Error(line);
    stopListening(line, true);
    return true;
  }
  showListening("Subscribed.");
  if (state.isLost) addRow("note", "connected again", "", "");
  state.isLost = false;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new Parser();
  for (let got; !(got = await reader.read()).done;) {
    for (const block of parser.push(got.value)) {
      if (block.id !== null) state.lastId = block.id;
      showBlock(block);
    }
    state.retryMs = parser.retryMs;
  }
  return false;
}

async function listen(query) {
  const { signal } = (subscription = new AbortController());
  const state = { lastId: null, retryMs: RETRY_MS, isLost: false };
  showListening("Connecting.");
  while (!signal.aborted) {
    let problem = "";
    try {
      if (await listenOnce(query, state, signal)) return;
    } catch (error) {
      problem = error instanceof TypeError ? "" : error.message;
    }
    if (signal.aborted) return;
    if (!state.isLost) addRow("note", "connection lost", "", problem);
    state.isLost = true;
    showListening("The connection is lost. Trying again.", true);
    await new Promise((resolve) => { setTimeout(resolve, state.retryMs); });
  }
}

function subscribe() {
  const query = new URLSearchParams(channelsOf("listen-to").map((one) => ["channel", one]));
  const [name, value] = byId("start").value.split("=");
  if (value) query.append(name, value);
  listened = `curl -N ${quote(address(`stream?${query}`))}`;
  showCurl();
  listen(query);
}

byId("subscribe").addEventListener("submit", (event) => {
  event.preventDefault();
  if (subscription) stopListening("Unsubscribed.");
  else subscribe();
});

// For the table of channels.
export function tryChannel(channel) {
  stopListening("");
  byId("listen-to").value = channel;
  byId("publish-to").value = channel;
  subscribe();
  byId("log").scrollIntoView({ block: "nearest" });
}

// ---- Publishing ----

function fieldsToPublish() {
  const fields = channelsOf("publish-to").map((one) => ["channel", one]);
  for (const [name, id] of [["event", "type"], ["id", "id"], ["state", "key"]]) {
    if (byId(id).value !== "") fields.push([name, byId(id).value]);
  }
  if (byId("ephemeral").checked) fields.push(["ephemeral", "1"]);
  fields.push(["message", byId("message").value]);
  return fields;
}

function showPublished(text, isBad) {
  byId("published").textContent = text;
  byId("published").classList.toggle("bad", isBad);
}

async function publish() {
  const fields = fieldsToPublish();
  const secret = byId("secret").value === "" ? "" : ' -H "Authorization: Bearer $SECRET"';
  posted = [`curl${secret} ${quote(address("publish"))}`,
    ...fields.map((field) => `  --data-urlencode ${quote(field.join("="))}`)].join(" \\\n");
  showCurl();
  const response = await fetch("publish", { method: "POST", headers: authorization(),
    body: new URLSearchParams(fields) });
  const text = (await response.text()).trim();
  byId("secret").setAttribute("aria-invalid", String(response.status === 401));
  if (!response.ok) {
    showPublished(`${response.status}: ${text}`, true);
    if (response.status === 401) byId("secret").focus();
    return;
  }
  const { id, repeated } = JSON.parse(text);
  showPublished(repeated ? `It was published before, as ${id}.`
    : id ? `Published as ${id}.` : "Published, without id.", false);
}

byId("publish").addEventListener("submit", (event) => {
  event.preventDefault();
  publish().catch(() => showPublished("The server does not answer.", true));
});

byId("clear").addEventListener("click", () => {
  pending = [];
  byId("log").replaceChildren();
});
