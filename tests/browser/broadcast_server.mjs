// SPDX-License-Identifier: MIT
// broadcast_server.mjs: what broadcast.mjs talks to: a server, and a proxy that can disturb it.
//
// The server is build/examples/broadcast, or the one at SSE_BROADCAST_URL, or else StandIn, which
// knows as much of the requests as the browser client uses.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { access, readFile } from "node:fs/promises";
import { createServer, request as httpRequest } from "node:http";
import { join } from "node:path";
import { startServer } from "./browser.mjs";

const BUILD = process.env.SSE_BUILD;
const HEARTBEAT_MS = 400;
const RETRY_MS = 100;

async function listen(handler, port = 0) {
  const server = createServer(handler);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function readBody(request) {
  return Buffer.concat(await request.toArray()).toString();
}

// ---- A server that stands in for broadcast ----

class StandIn {
  #epoch = randomBytes(6).toString("base64url");
  #events = []; // { number, channels, type, data }; the index is number - 1
  #readers = new Set(); // streams and polls that wait
  #finished = new Set();
  #server;
  #timer;

  async start(port) {
    this.#server = await listen((request, response) => this.#serve(request, response), port);
    this.#timer = setInterval(() => {
      for (const reader of this.#readers) reader.beat();
    }, HEARTBEAT_MS);
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}/`;
    return this;
  }

  async stop() {
    clearInterval(this.#timer);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request, response) {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    const body = request.method === "POST" ? await readBody(request) : "";
    const form = new URLSearchParams([...searchParams, ...new URLSearchParams(body)]);
    const channels = new Set([...form.getAll("channel"), ...form.getAll("channels")]);
    const answer = (status, object) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(object && JSON.stringify(object));
    };
    if (pathname === "/publish") {
      answer(200, { status: "ok", id: this.#publish(channels, form) });
    } else if (pathname === "/subscribe" || pathname === "/unsubscribe") {
      const stream = [...this.#readers].find(({ session }) => session === form.get("session"));
      if (!stream) return answer(404);
      for (const channel of channels) {
        if (pathname === "/subscribe") stream.channels.add(channel);
        else stream.channels.delete(channel);
      }
      answer(200, { status: "ok", id: this.#id(this.#events.length) });
    } else if (pathname === "/finish") {
      for (const channel of channels) this.#finished.add(channel);
      for (const reader of this.#readers) reader.finish();
      answer(200, { status: "ok" });
    } else if (pathname === "/position") {
      answer(200, { id: this.#id(this.#events.length) });
    } else if (channels.size === 0) {
      answer(400);
    } else if ([...channels].every((channel) => this.#finished.has(channel))) {
      response.writeHead(204).end();
    } else {
      const lastId = request.headers["last-event-id"] ?? form.get("last_event_id") ?? "";
      const open = pathname === "/poll" ? this.#poll : this.#stream;
      open.call(this, response, { channels, lastId, form });
    }
    return undefined;
  }

  #id(number) {
    return `${this.#epoch}.${number}`;
  }

  #publish(channels, form) {
    const number = this.#events.length + 1;
    const type = form.get("event") ?? "";
    this.#events.push({ number, channels, type, data: form.get("message") });
    for (const reader of this.#readers) reader.look();
    return this.#id(number);
  }

  // Where a client with an id begins: the number, and a gap if the id is of an earlier life.
  #resume(lastId, channels) {
    if (lastId.startsWith(`${this.#epoch}.`)) return { number: Number(lastId.split(".")[1]) };
    if (lastId === "") return { number: this.#events.length };
    return {
      number: 0,
      gap: JSON.stringify({ reason: "restart", requested: lastId, resume: this.#id(0),
        channels: [...channels] }),
    };
  }

  #after(number, channels) {
    return this.#events.slice(number).filter((event) =>
      [...event.channels].some((channel) => channels.has(channel)));
  }

  #stream(response, { channels, lastId, form }) {
    const { number, gap } = this.#resume(lastId, channels);
    let cursor = number;
    let sent = number; // the client knows this id
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    const position = (type, data) => `event: ${type}\ndata: ${data}\nid: ${this.#id(cursor)}\n\n`;
    response.write(`retry: ${RETRY_MS}\n${position(gap ? "gap" : "sse-position", gap ?? "")}`);
    const reader = {
      channels,
      session: form.get("session"),
      look: () => {
        for (const event of this.#after(cursor, channels)) {
          const lines = event.data.split("\n").map((line) => `data: ${line}\n`).join("");
          const type = event.type ? `event: ${event.type}\n` : "";
          response.write(`${type}${lines}id: ${this.#id(event.number)}\n\n`);
          sent = event.number;
        }
        cursor = this.#events.length;
      },
      beat: () => {
        response.write(sent < cursor ? position("sse-position", "") : ":\n");
        sent = cursor;
      },
      finish: () => {
        if ([...channels].some((channel) => !this.#finished.has(channel))) return;
        response.end(`retry: ${RETRY_MS}\nevent: finished\ndata:\n\n`);
      },
    };
    this.#attach(reader, response);
  }

  #poll(response, { channels, lastId, form }) {
    const { number, gap } = this.#resume(lastId, channels);
    const until = Date.now() + 1000 * Number(form.get("timeout") ?? 25);
    const first = gap ? ["gap", gap] : ["sse-position", ""];
    const item = (at, event, data) => ({ id: this.#id(at), event, data });
    const answer = () => {
      const items = this.#after(number, channels).map((event) =>
        item(event.number, event.type || "message", event.data));
      if (!gap && items.length === 0) {
        if (Date.now() < until) return;
        // A poll that has waited tells how far the server is.
        if (form.get("timeout") !== "0") items.push(item(this.#events.length, "sse-position", ""));
      }
      items.unshift(item(number, ...first));
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(JSON.stringify(items));
      clearTimeout(timer);
      this.#readers.delete(reader);
    };
    const timer = setTimeout(answer, until - Date.now());
    const reader = { channels, look: answer, beat: () => {}, finish: () => response.end("[]") };
    this.#attach(reader, response);
  }

  #attach(reader, response) {
    this.#readers.add(reader);
    response.on("close", () => this.#readers.delete(reader));
    reader.look();
  }
}

// Starts the server, or says where it is; `canStop` is false if it is somebody else's.
export async function startBroadcast(port = 0) {
  const url = process.env.SSE_BROADCAST_URL;
  if (url) return { url, port: new URL(url).port, canStop: false };
  const isBuilt = await access(join(BUILD, "examples", "broadcast")).then(() => true, () => false);
  const server = isBuilt ? await startServer("broadcast", "--port", String(port),
    "--heartbeat", String(HEARTBEAT_MS / 1000))
    : await new StandIn().start(port);
  return { url: server.url, port: server.port, stop: () => server.stop(), canStop: true,
    saysFinished: !isBuilt };
}

// ---- A proxy before it, which also serves the pages ----

const STATIC = {
  "/sse.js": join(BUILD, "gen", "broadcast", "sse.js"),
  "/sse.jquery.js": join(BUILD, "gen", "broadcast", "sse.jquery.js"),
  "/jquery.js": join(BUILD, "browser", "node_modules", "jquery", "dist", "jquery.js"),
};

// Below /sse/ is the server. The rest are pages of the test and what they load.
export class Front {
  pages = new Map(); // HTML by path
  requests = []; // { path, method, query, lastId } of each request below /sse/
  buffers = false; // whether it holds streams back until they end
  refuse = () => undefined; // for a path: { status, headers } to answer with
  allow = ""; // an origin that may use the server
  #open = new Set(); // { path, response }
  #server;
  #upstream;

  async start(upstream) {
    this.#upstream = upstream;
    this.#server = await listen((request, response) => this.#serve(request, response));
    this.origin = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  count = (path) => this.requests.filter((request) => request.path === path).length;
  open = (path) => [...this.#open].filter((one) => one.path === path).length;

  // Cuts what is open.
  cut(path) {
    for (const one of this.#open) if (one.path === path) one.response.destroy();
  }

  async #serve(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.origin);
    if (pathname.startsWith("/sse/")) {
      this.#forward(request, response, pathname.slice(4), searchParams);
    } else if (this.pages.has(pathname)) {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
      response.end(this.pages.get(pathname));
    } else if (STATIC[pathname]) {
      response.writeHead(200, { "Content-Type": "text/javascript; charset=utf-8" });
      response.end(await readFile(STATIC[pathname]));
    } else {
      response.writeHead(404).end();
    }
  }

  #forward(request, response, path, query) {
    const lastId = request.headers["last-event-id"] ?? query.get("last_event_id");
    this.requests.push({ path, method: request.method, query, lastId });
    const cors = this.allow ? { "Access-Control-Allow-Origin": this.allow } : {};
    const refusal = this.refuse(path);
    if (refusal) {
      response.writeHead(refusal.status, { ...refusal.headers, ...cors }).end();
      return;
    }
    const one = { path, response };
    this.#open.add(one);
    const { search } = new URL(request.url, this.origin);
    const forwarded = httpRequest(new URL(path.slice(1) + search, this.#upstream.url),
      { method: request.method, headers: { ...request.headers, connection: "close" } });
    response.on("close", () => {
      this.#open.delete(one);
      forwarded.destroy();
    });
    forwarded.on("error", () => response.destroy());
    forwarded.on("response", (answer) => {
      answer.on("error", () => response.destroy());
      if (this.buffers && path === "/stream") {
        answer.resume();
        return;
      }
      response.writeHead(answer.statusCode, { ...answer.headers, ...cors });
      response.flushHeaders();
      // The server's own is longer than a test should wait.
      answer.setEncoding("latin1");
      answer.on("data", (text) =>
        response.write(text.replace(/^retry: \d+$/m, `retry: ${RETRY_MS}`), "latin1"));
      answer.on("end", () => response.end());
    });
    request.pipe(forwarded);
  }
}
