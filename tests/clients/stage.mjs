// SPDX-License-Identifier: MIT
// stage.mjs: the server of tests/clients, what a client reported, and waiting for either.
import { spawn } from "node:child_process";
import { join } from "node:path";

const PATIENCE_MS = 20000;

// Starts the server, and waits for its line "...: listening on URL".
export function startServer() {
  const program = join(process.env.SSE_BUILD, "tests", "clients", "server");
  const child = spawn(program, { stdio: ["ignore", "pipe", "inherit"] });
  const stop = () => child.kill("SIGTERM");
  process.on("exit", stop);
  return new Promise((resolve, reject) => {
    child.on("exit", (code, signal) => reject(new Error(`the server ended: ${code ?? signal}`)));
    child.stdout.on("data", (bytes) => {
      const url = String(bytes).match(/listening on (\S+)/)?.[1];
      if (url) resolve({ url, stop });
    });
  });
}

// What a client saw, by the name of the source, and who waits for more of it.
export class Reports {
  #seen = new Map();
  #waiting = new Set();

  add(name, what) {
    this.of(name).push(what);
    for (const look of [...this.#waiting]) look();
  }

  of(name) {
    if (!this.#seen.has(name)) this.#seen.set(name, []);
    return this.#seen.get(name);
  }

  // Waits until found(list) is true.
  until(name, what, found) {
    return new Promise((resolve, reject) => {
      const settle = (done) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        done();
      };
      const look = () => {
        if (found(this.of(name))) settle(resolve);
      };
      const timer = setTimeout(() => settle(() => reject(new Error(
        `no ${what}; it saw ${JSON.stringify(this.of(name), null, 1)}`))), PATIENCE_MS);
      this.#waiting.add(look);
      look();
    });
  }
}

// One scenario's part of the server, and one client's source that listens to it.
export class Stage {
  #server;
  #client;
  #name;

  constructor(server, client, name) {
    this.#server = server;
    this.#client = client;
    this.#name = name;
  }

  async #ask(path, params = {}, body = undefined) {
    const query = new URLSearchParams({ scene: this.#name, ...params });
    const response = await fetch(`${this.#server.url}${path}?${query}`,
      { method: body === undefined ? "GET" : "POST", body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text;
  }

  // ---- The server ----

  make = (params) => this.#ask("scene", params);
  cut = (torn = "") => this.#ask("cut", {}, torn);
  release = () => this.#ask("release");
  restart = () => this.#ask("restart");
  answer = (as, retry = 0) => this.#ask("answer", { as, retry });

  async publish(...payloads) {
    for (const payload of payloads) await this.#ask("publish", {}, payload);
  }

  publishTo = (params, payload) => this.#ask("publish", params, payload);

  // Waits until found(visits) is true, and gives the visits.
  async visits(what, found) {
    const deadline = Date.now() + PATIENCE_MS;
    for (let log = { version: 0, visits: [] }; ;) {
      log = JSON.parse(await this.#ask("log", { since: log.version }));
      for (const visit of log.visits) complete(visit);
      if (found(log.visits)) return log.visits;
      if (Date.now() > deadline) throw new Error(`no ${what}: ${JSON.stringify(log, null, 1)}`);
    }
  }

  // Waits for a number of streams that are open and have had their first block.
  async streams(count) {
    const visits = await this.visits(`stream ${count}`,
      (all) => all.length >= count && all[count - 1].verdict && all[count - 1].began);
    return visits[count - 1];
  }

  // ---- The client ----

  async open({ position = "event", retry = 300, heartbeat = 0, types = [], otherOrigin = false }) {
    const query = new URLSearchParams({ scene: this.#name, position, retry, heartbeat });
    const url = otherOrigin ? this.#server.url.replace("127.0.0.1", "localhost") : this.#server.url;
    await this.#client.open(this.#name, `${url}stream?${query}`, ["message", "gap", ...types]);
  }

  close = () => this.#client.close(this.#name);
  events = () => this.#client.reports.of(this.#name).filter(({ kind }) => kind === "event");
  state = (kind, count = 1) => this.#client.reports.until(this.#name, `${count} times ${kind}`,
    (seen) => seen.filter((one) => one.kind === kind).length >= count);

  // Waits for an event with that payload, and gives all up to then.
  async until(payload) {
    await this.#client.reports.until(this.#name, `event ${JSON.stringify(payload)}`,
      (seen) => seen.some(({ kind, data }) => kind === "event" && data === payload));
    return this.events();
  }
}

// Adds what the driver wants to know of the bytes that a visitor was given.
function complete(visit) {
  const body = visit.wrote.split("\r\n\r\n").slice(1).join("\r\n\r\n");
  visit.began = body.includes("\n");
  // A heartbeat is a line between two blocks, so no blank line follows it.
  visit.heartbeats = [...body.matchAll(/^:$/gm)].length;
  visit.blocks = body.replace(/^:\n/gm, "").split("\n\n").slice(0, -1);
  visit.retry = Number(body.match(/^retry: (\d+)$/m)?.[1] ?? NaN);
  visit.firstId = visit.blocks[0]?.match(/^id: (\S+)$/m)?.[1] ?? null;
}
