// SPDX-License-Identifier: MIT
// harness.mjs: what the tests share: checks, programs, files as shipped but for places, streams.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, readlinkSync, rmSync,
  writeFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { constants, createGunzip } from "node:zlib";

export const BUILD = process.env.SSE_BUILD;
export const OUT = join(BUILD, "proxies");
const PATIENCE_MS = 20000;

// ---- Checks ----

let passed = 0;
let failed = 0;

// One test: a name, and a function that throws if it does not hold.
export async function test(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error.stack).replaceAll("\n", "\n      ")}`);
  }
}

export async function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  await endAll();
  process.exit(failed === 0 ? 0 : 1);
}

// Fails if a promise takes too long. The bound is for what hangs and plays no part in what passes.
export function patiently(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// For what nobody tells of: a port that opens, a socket of another process that closes.
export async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  while (!await holds()) {
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

// ---- Programs: each is ended by its own id, at the latest when the tests end ----

const running = new Set();

// What a test that failed has left behind. They are asked first, since nginx and supervisord have
// processes of their own to end; supervisord gives its program ten seconds.
async function endAll() {
  const ended = Promise.allSettled([...running].map((child) => child.stop()));
  await Promise.race([ended, new Promise((resolve) => { setTimeout(resolve, 15000); })]);
  running.forEach((child) => child.kill("SIGKILL"));
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => endAll().then(() => process.exit(1)));
}

export function start(program, args, log) {
  const output = openSync(join(OUT, log), "a");
  const child = spawn(program, args, { stdio: ["ignore", "pipe", output] });
  closeSync(output);
  running.add(child);
  child.ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      child.over = true;
      running.delete(child);
      resolve(code ?? signal);
    });
  });
  child.ended.catch(() => {});
  child.stop = (signal = "SIGTERM") => {
    child.kill(signal);
    return patiently(child.ended, `the end of ${program}`);
  };
  return child;
}

// Runs a program to its end, which comes soon.
export async function run(program, args, options = {}) {
  const child = spawn(program, args,
    { stdio: ["ignore", "pipe", "pipe"], timeout: PATIENCE_MS, ...options });
  let output = "";
  for (const pipe of [child.stdout, child.stderr]) pipe.on("data", (bytes) => { output += bytes; });
  const status = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
  return { status, output };
}

// Starts the demo, and waits for its line "...: listening on URL".
export async function startDice(...args) {
  const child = start(join(BUILD, "examples", "dice-roll"), args, "dice-roll.log");
  const url = new Promise((resolve, reject) => {
    let said = "";
    child.stdout.on("data", (bytes) => {
      said += bytes;
      const found = said.match(/listening on (\S+)\n/)?.[1];
      if (found) resolve(found);
    });
    child.ended.then((code) => reject(new Error(`dice-roll ended with ${code}`)), reject);
  });
  child.url = await patiently(url, "dice-roll");
  child.port = new URL(child.url).port;
  // How many sockets the program has open; the listener is one of them.
  child.sockets = () => readdirSync(`/proc/${child.pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${child.pid}/fd/${fd}`).startsWith("socket:");
    } catch {
      return false; // closed meanwhile
    }
  }).length;
  return child;
}

// ---- Ports ----

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export function isOpen(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

// ---- Shipped files ----

// Writes a copy of examples/deploy/NAME in which ours stands for the operator's: [text, ours]...
// A text that is not in the file any more would leave the test without its object, so it fails.
export function place(name, edits, copy = name) {
  let text = readFileSync(join("examples/deploy", name), "utf8");
  for (const [theirs, ours] of edits) {
    assert.ok(text.includes(theirs), `${name} has no "${theirs}"`);
    text = text.replaceAll(theirs, () => ours);
  }
  const path = join(OUT, copy);
  writeFileSync(path, text);
  return path;
}

export function freshDirectory(name) {
  const path = join(OUT, name);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  return path;
}

// ---- Streams ----

// The client's half. events: {id, seq, type, data, at}; blocks without data only carry an id.
class Stream {
  events = [];
  comments = 0;
  lastId = "";
  #text = "";
  #block = [];
  #waiting = new Set();

  constructor(end) {
    this.close = end;
    this.ended = new Promise((resolve) => {
      this.hasEnded = () => {
        this.over = true;
        this.#tell();
        resolve();
      };
    });
  }

  // A heartbeat is a line that no blank line follows; it stands between two blocks.
  feed(bytes) {
    const lines = (this.#text + bytes).split("\n");
    this.#text = lines.pop();
    for (const line of lines) {
      const retry = line.match(/^retry: (\d+)$/)?.[1];
      if (retry !== undefined) {
        this.retry = retry; // it counts at its line, and may have no block
      } else if (line.startsWith(":")) {
        assert.deepEqual(this.#block, [], "a heartbeat inside a block");
        this.comments += 1;
      } else if (line !== "") {
        this.#block.push(line);
      } else {
        this.#take(this.#block.splice(0));
      }
    }
    this.#tell();
  }

  #take(lines) {
    const event = { type: "message", data: undefined, at: performance.now() };
    for (const line of lines) {
      const [, name, value] = line.match(/^([a-z]*):? ?(.*)$/);
      if (name === "event") event.type = value;
      if (name === "data") {
        event.data = event.data === undefined ? value : `${event.data}\n${value}`;
      }
      if (name === "id") this.lastId = value;
    }
    event.id = this.lastId;
    event.seq = Number(event.id.split(".")[1]);
    if (event.data) this.events.push(event);
  }

  #tell() {
    for (const look of this.#waiting) look();
  }

  // Waits for something to hold of this stream; fails if the stream ends before.
  when(what, holds) {
    return patiently(new Promise((resolve, reject) => {
      const look = () => {
        if (!holds(this) && !this.over) return;
        this.#waiting.delete(look);
        if (holds(this)) resolve(this);
        else reject(new Error(`the stream ended before ${what}`));
      };
      this.#waiting.add(look);
      look();
    }), what);
  }

  has(count) {
    return this.when(`${count} events`, () => this.events.length >= count);
  }

  // Waits until the stream has passed a number.
  reaches(seq) {
    return this.when(`event ${seq}`, () => this.events.at(-1)?.seq >= seq);
  }
}

function streamHeaders(lastId, origin) {
  return { accept: "text/event-stream", ...lastId && { "last-event-id": lastId },
    ...origin && { origin } };
}

// What a compressor has flushed is decoded at once; what it holds back is not there.
function decoded(response) {
  const coding = response.headers["content-encoding"];
  if (coding === undefined) return response;
  assert.equal(coding, "gzip");
  return response.pipe(createGunzip({ flush: constants.Z_SYNC_FLUSH }));
}

function follow(stream, body) {
  body.setEncoding("utf8");
  body.on("data", (bytes) => stream.feed(bytes));
  body.on("error", () => {});
  body.on("close", () => stream.hasEnded());
  return stream;
}

// Opens a stream over HTTP/1.1, with or without TLS, on a connection of its own.
export function openStream(url, { lastId, ca, origin, codings } = {}) {
  return patiently(new Promise((resolve, reject) => {
    const headers = { ...streamHeaders(lastId, origin),
      ...codings && { "accept-encoding": codings } };
    const request = (url.startsWith("https:") ? https : http)
      .get(url, { ca, agent: false, headers });
    request.on("error", reject);
    request.on("response", (response) => {
      const stream = new Stream(() => request.destroy());
      stream.status = response.statusCode;
      stream.headers = response.headers;
      resolve(follow(stream, decoded(response)));
    });
  }), url);
}

// One HTTP/2 connection, on which any number of streams can be opened.
export function openSession(url, ca) {
  return patiently(new Promise((resolve, reject) => {
    const session = http2.connect(url, { ca });
    session.on("error", reject);
    session.on("connect", () => resolve(session));
  }), url);
}

export function openStreamOn(session, path, lastId, origin) {
  return patiently(new Promise((resolve, reject) => {
    const request = session.request({ ":path": path, ...streamHeaders(lastId, origin) });
    request.on("error", reject);
    request.on("response", (headers) => {
      const stream = new Stream(() => request.close(http2.constants.NGHTTP2_CANCEL));
      stream.status = headers[":status"];
      stream.headers = headers;
      resolve(follow(stream, request));
    });
  }), path);
}

// What a stream had between two numbers must be without gap, without duplicate, and as told here.
export function assertExact(events, first, last, reference) {
  const told = new Map(reference.events.map((event) => [event.seq, event]));
  const got = events.filter((event) => event.seq <= last);
  assert.deepEqual(got.map((event) => event.seq),
    Array.from({ length: last - first + 1 }, (_, index) => first + index));
  for (const { seq, id, type, data } of got) {
    assert.equal(type, "message");
    assert.deepEqual({ id, data }, { id: told.get(seq).id, data: told.get(seq).data });
  }
}
