// SPDX-License-Identifier: MIT
// broadcast_world.mjs: many tabs and servers in one program, with a clock and chance of their own.
//
// Each tab is the client in a context of its own. Its locks, its messages and the answers of two
// servers, which read one log, take times that chance decides; tabs are opened, closed, killed,
// frozen and busy, and streams are cut or held back. judge() says what a tab has lost or repeated.
import { setMaxListeners } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import vm from "node:vm";

const CHANNELS = ["a", "b", "c"];
const EPOCH = "world";
const LASTS_MS = 40000; // then nothing is disturbed or published any more
const SETTLES_MS = 240000; // by then each tab has everything
const TABS_MAX = 6;
const OPTIONS = { url: "/sse/", watchMs: 2000, patienceMs: 1500, silenceMs: 5000,
  streamAgainMs: 3000, retryMs: 200 };

setMaxListeners(0);
const script = new vm.Script(
  await readFile(join(process.env.SSE_BUILD, "gen", "broadcast", "sse.jquery.js"), "utf8"));

// Mulberry32.
function chanceOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export class World {
  now = 0;
  tabs = [];
  log = []; // { number, channel }; the index is number - 1
  buffers = false;
  #tasks = []; // { at, order, run }
  #order = 0;
  #nodes = [];
  #locks = new Map(); // by name: { holder, queue }
  #streams = new Set();

  constructor(seed) {
    this.random = chanceOf(seed);
    this.#nodes = [{ head: 0 }, { head: 0 }];
    this.base = 1700000000000;
  }

  // ---- Time ----

  below = (limit) => Math.floor(this.random() * limit);
  chance = (share) => this.random() < share;
  latency = () => (this.chance(0.05) ? this.below(400) : 1 + this.below(15));

  later(ms, run) {
    const task = { at: this.now + ms, order: this.#order++, run };
    const index = this.#tasks.findLastIndex((other) => other.at <= task.at);
    this.#tasks.splice(index + 1, 0, task);
    return task;
  }

  cancel(task) {
    const index = this.#tasks.indexOf(task);
    if (index >= 0) this.#tasks.splice(index, 1);
  }

  async run(done) {
    while (this.#tasks.length > 0 && !done()) {
      const task = this.#tasks.shift();
      this.now = task.at;
      task.run();
      await new Promise(setImmediate); // all promises that are settled go on
    }
  }

  // ---- The servers ----

  publish(channel) {
    this.log.push({ number: this.log.length + 1, channel });
    for (const node of this.#nodes) {
      const head = this.log.length;
      this.later(this.chance(0.2) ? this.below(2000) : this.below(10), () => {
        node.head = Math.max(node.head, head);
        for (const stream of this.#streams) if (stream.node === node) stream.look();
      });
    }
  }

  cutStreams() {
    for (const stream of [...this.#streams]) stream.end();
  }

  beat() {
    for (const stream of this.#streams) stream.beat();
  }

  #after(cursor, channels, node) {
    return this.log.slice(cursor, node.head).filter(({ channel }) => channels.has(channel));
  }

  // The answer of a server; `tab` is who asked, `stream` gets what follows.
  answer(tab, path, form, lastId) {
    const node = this.#nodes[this.below(2)];
    const channels = new Set(form.getAll("channel"));
    const number = lastId ? Number(lastId.split(".")[1]) : node.head;
    if (this.chance(0.05)) return { status: 503 };
    if (path === "poll") return this.#poll(node, channels, number, Number(form.get("timeout")));
    if (path === "stream") {
      return { status: 200, type: "text/event-stream",
        stream: (send) => this.#open(tab, node, channels, number, form.get("session"), send) };
    }
    const stream = [...this.#streams].find((one) => one.node === node
      && one.session === form.get("session"));
    if (!stream) return { status: 404 };
    stream.look();
    for (const channel of channels) {
      if (path === "subscribe") stream.channels.add(channel);
      else stream.channels.delete(channel);
    }
    return { status: 200, json: { id: `${EPOCH}.${node.head}` } };
  }

  #poll(node, channels, number, timeout) {
    const position = (at) => ({ id: `${EPOCH}.${at}`, event: "sse-position", data: "" });
    const until = this.now + 1000 * timeout;
    const look = () => {
      const events = this.#after(number, channels, node).slice(0, 3 + this.below(20));
      if (events.length === 0 && this.now < until) return undefined;
      const items = events.map((event) =>
        ({ id: `${EPOCH}.${event.number}`, event: "tick", data: JSON.stringify(event) }));
      if (items.length === 0 && timeout > 0) items.push(position(Math.max(node.head, number)));
      return [position(number), ...items];
    };
    return { status: 200, type: "application/json", look };
  }

  #open(tab, node, channels, number, session, send) {
    let cursor = number;
    let sent = number;
    const stream = { node, channels, session,
      look: () => {
        for (const event of this.#after(cursor, channels, node)) {
          send(`event: tick\ndata: ${JSON.stringify(event)}\nid: ${EPOCH}.${event.number}\n\n`);
          sent = event.number;
        }
        cursor = Math.max(cursor, node.head);
      },
      beat: () => {
        if (sent < cursor) send(`event: sse-position\ndata:\nid: ${EPOCH}.${cursor}\n\n`);
        else send(":\n");
        sent = cursor;
      },
      end: () => {
        this.#streams.delete(stream);
        send(null);
      } };
    this.#streams.add(stream);
    send(`retry: 200\nevent: sse-position\ndata:\nid: ${EPOCH}.${cursor}\n\n`);
    stream.look();
    return () => this.#streams.delete(stream);
  }

  // ---- Locks and messages ----

  lock(tab, name, options, grant) {
    const lock = this.#locks.get(name) ?? { holder: null, queue: [] };
    this.#locks.set(name, lock);
    return new Promise((resolve, reject) => {
      const request = { tab, grant, resolve, reject };
      options.signal?.addEventListener("abort", () => {
        if (!lock.queue.includes(request)) return;
        lock.queue.splice(lock.queue.indexOf(request), 1);
        reject(options.signal.reason);
      });
      if (options.steal) {
        const { holder } = lock;
        if (holder) holder.tab.post(this.latency(), () => holder.reject(new Error("stolen")));
        lock.holder = null;
        lock.queue.unshift(request);
      } else lock.queue.push(request);
      this.#grant(lock);
    });
  }

  #grant(lock) {
    if (lock.holder || lock.queue.length === 0) return;
    const request = lock.holder = lock.queue.shift();
    request.tab.post(this.latency(), async () => {
      const result = await request.grant();
      request.resolve(result);
      this.#release(lock, request);
    });
  }

  #release(lock, request) {
    if (lock.holder !== request) return;
    lock.holder = null;
    this.later(this.below(5), () => this.#grant(lock));
  }

  // What a tab held and waited for when it died.
  releaseAll(tab) {
    for (const lock of this.#locks.values()) {
      lock.queue = lock.queue.filter((request) => request.tab !== tab);
      if (lock.holder?.tab === tab) this.#release(lock, lock.holder);
    }
  }
}

// ---- A tab ----

export class Tab {
  seen = []; // numbers, in the order of dispatch
  problems = [];
  dead = false;
  #world;
  #busyUntil = 0;
  #backlog = []; // what is to run now
  #handlers = {};
  #elements = [];
  #mutate = () => {};
  #last = new Map(); // by receiver: when the last message to it arrives
  #channel = null;
  #closers = new Set();

  constructor(world, channels, position) {
    this.#world = world;
    this.channels = channels;
    this.position = position; // a number, or undefined
    world.tabs.push(this);
    this.#elements = [channels];
    this.context = this.#makeContext();
    script.runInContext(this.context);
    this.client = this.context.sse({ ...OPTIONS,
      lastEventId: position === undefined ? undefined : `${EPOCH}.${position}` });
    this.client.addEventListener("sse.tick", ({ detail }) => this.seen.push(detail.number));
    this.client.addEventListener("sse.gap", () => this.problems.push("a gap"));
  }

  // Runs something in the tab, in the order of time; a busy tab does it later, a dead one never.
  post(ms, run) {
    const state = { run };
    state.task = this.#world.later(ms, () => {
      this.#backlog.push(state);
      if (this.#backlog.length === 1) this.#work();
    });
    return state;
  }

  cancel(state) {
    this.#world.cancel(state.task);
    state.run = () => {};
  }

  #work() {
    const wait = this.#busyUntil - this.#world.now;
    if (this.dead) return;
    if (wait > 0) {
      this.#world.later(wait, () => this.#work());
      return;
    }
    this.#backlog[0].run();
    this.#world.later(0, () => {
      this.#backlog.shift();
      if (this.#backlog.length > 0) this.#work();
    });
  }

  busy(ms) {
    this.#busyUntil = Math.max(this.#busyUntil, this.#world.now + ms);
  }

  kill() {
    this.dead = true;
    this.#world.releaseAll(this);
    for (const close of this.#closers) close();
  }

  // As the browser does before and after it freezes a page, or when it is left.
  signal(type) {
    if (!this.dead) this.#handlers[type]?.({ persisted: true });
  }

  add(channel) {
    this.#elements = [this.channels, [channel]];
    this.#mutate();
  }

  remove() {
    this.#elements = [this.channels];
    this.#mutate();
  }

  #makeContext() {
    const world = this.#world;
    const tab = this;
    const listen = (type, handler) => {
      this.#handlers[type] = handler;
    };
    return vm.createContext({
      EventTarget, Event, CustomEvent, AbortController, Headers, URL, URLSearchParams, TextDecoder,
      navigator: { locks: { request: (name, ...rest) =>
        world.lock(tab, name, rest.length > 1 ? rest[0] : {}, rest.at(-1)) } },
      location: new URL("http://localhost/"),
      document: { baseURI: "http://localhost/", addEventListener: listen,
        querySelector: () => null,
        querySelectorAll: () => this.#elements.map((channels) => ({
          getAttribute: (name) => (name === "data-sse-channels" ? String(channels) : ""),
          dispatchEvent: () => true })) },
      MutationObserver: class {
        constructor(callback) {
          tab.#mutate = callback;
        }
        observe() {}
      },
      addEventListener: listen,
      BroadcastChannel: class extends EventTarget {
        constructor() {
          super();
          tab.#channel = this;
        }
        postMessage(data) {
          tab.#say(structuredClone(data));
        }
        close() {
          tab.#channel = null;
        }
      },
      fetch: (url, init) => this.#fetch(url, init),
      setTimeout: (run, ms) => this.post(ms, run),
      clearTimeout: (state) => state && this.cancel(state),
      setInterval: (run, ms) => {
        const state = { stopped: false };
        const again = () => this.post(ms, () => {
          if (state.stopped) return;
          run();
          again();
        });
        again();
        return state;
      },
      clearInterval: (state) => Object.assign(state ?? {}, { stopped: true }),
      Date: { now: () => world.base + world.now, parse: Date.parse },
      Math: Object.assign(Object.create(Math), { random: world.random, max: Math.max,
        min: Math.min }),
      crypto: { getRandomValues: (bytes) => bytes.map(() => world.below(256)) },
    });
  }

  // Messages between two tabs keep their order; those of different tabs may overtake.
  #say(data) {
    for (const other of this.#world.tabs) {
      if (other === this || other.dead || !other.#channel) continue;
      const channel = other.#channel;
      const at = Math.max(this.#last.get(other) ?? 0, this.#world.now + this.#world.latency());
      this.#last.set(other, at);
      if (this.#world.chance(0.002)) continue; // lost, for whatever reason
      other.post(at - this.#world.now, () => {
        // Of a tab that died, what was under way may be lost.
        if (this.dead && (this.lost ??= this.#world.chance(0.5))) return;
        if (other.#channel !== channel) return;
        channel.dispatchEvent(new MessageEvent("message", { data }));
      });
    }
  }

  async #fetch(address, { body, headers, signal }) {
    const world = this.#world;
    const url = new URL(address);
    const form = new URLSearchParams(body ?? url.search);
    const path = url.pathname.replace("/sse/", "");
    const wait = (ms) => new Promise((resolve, reject) => {
      if (signal?.aborted) reject(signal.reason);
      signal?.addEventListener("abort", () => reject(signal.reason));
      this.post(ms, resolve);
    });
    const type = (value) => ({ get: (name) => (name === "Content-Type" ? value : null) });
    await wait(world.latency());
    const answer = world.answer(this, path, form, headers.get("Last-Event-ID"));
    if (answer.stream) return this.#body(answer, signal, type(answer.type), wait);
    let json = answer.json ?? answer.look?.();
    while (answer.look && !json) {
      await wait(20);
      json = answer.look();
    }
    await wait(world.latency());
    return { status: answer.status, headers: type(answer.type ?? null), text: async () => "",
      json: async () => structuredClone(json) };
  }

  // The body of a stream, whose pieces arrive in order.
  async #body(answer, signal, headers, wait) {
    const pieces = [];
    let wake = () => {};
    let last = 0;
    const buffers = this.#world.buffers;
    const close = answer.stream((piece) => {
      last = Math.max(last, this.#world.now + this.#world.latency());
      if (buffers) return;
      this.post(last - this.#world.now, () => {
        pieces.push(piece);
        wake();
      });
    });
    this.#closers.add(close);
    signal.addEventListener("abort", () => {
      close();
      wake();
    });
    await wait(buffers ? 1e9 : this.#world.latency());
    return { status: 200, headers, body: { getReader: () => ({
      read: async () => {
        while (pieces.length === 0 && !signal.aborted) {
          await new Promise((resolve) => {
            wake = resolve;
          });
        }
        if (signal.aborted) throw signal.reason;
        const piece = pieces.shift();
        return { done: piece === null, value: piece && new TextEncoder().encode(piece) };
      },
    }) } };
  }
}

// ---- A history ----

// Disturbs the world at random for a while.
function disturb(world) {
  const alive = world.tabs.filter((tab) => !tab.dead);
  const tab = alive[world.below(alive.length)];
  const what = world.below(20);
  if (alive.length < 2 || (what < 4 && alive.length < TABS_MAX)) {
    const channels = CHANNELS.filter(() => world.chance(0.6));
    const position = world.chance(0.5) ? world.below(world.log.length + 1) : undefined;
    new Tab(world, channels.length > 0 ? channels : ["a"], position);
  } else if (what < 6) {
    tab.signal("pagehide");
    tab.kill();
  } else if (what < 8) tab.kill();
  else if (what < 10) tab.busy(100 + world.below(12000));
  else if (what < 12) {
    const [before, after] = world.chance(0.5) ? ["freeze", "resume"] : ["pagehide", "pageshow"];
    tab.signal(before);
    world.later(world.below(8000), () => tab.signal(after));
  } else if (what < 14) world.cutStreams();
  else if (what < 15) world.buffers = !world.buffers;
  else if (what < 18) tab.add(CHANNELS[world.below(3)]);
  else tab.remove();
}

function publishAndDisturb(world) {
  const publish = () => {
    world.publish(CHANNELS[world.below(3)]);
    if (world.now < LASTS_MS) {
      world.later(world.chance(0.03) ? world.below(4000) : world.below(60), publish);
    }
  };
  const trouble = () => {
    disturb(world);
    if (world.now < LASTS_MS) world.later(world.below(2500), trouble);
    else world.buffers = false;
  };
  const beat = () => {
    world.beat();
    if (world.now < SETTLES_MS) world.later(1000, beat);
  };
  publish();
  trouble();
  beat();
}

// What a tab should have received of its channels: everything after its position, or, without one,
// after the first that it received.
function judge(world, tab) {
  const problems = [...tab.problems];
  const { seen, channels, position, dead } = tab;
  const wants = (number) => channels.includes(world.log[number - 1].channel);
  const own = seen.filter(wants);
  const first = position ?? own[0] - 1;
  const wanted = world.log.map(({ number }) => number)
    .filter((number) => number > first && wants(number));
  const at = wanted.findIndex((number, index) => own[index] !== number);
  if (at >= 0 && !(dead && at === own.length)) problems.push(`${own[at]}, wanted ${wanted[at]}`);
  if (new Set(seen).size !== seen.length) problems.push("an event twice");
  return problems;
}

// Plays one history; returns what was wrong with it.
export async function play(seed) {
  const world = new World(seed);
  publishAndDisturb(world);
  const settled = () => world.now > LASTS_MS + 5000 && world.tabs.every((tab) => tab.dead
    || tab.seen.includes(world.log.findLast(({ channel }) =>
      tab.channels.includes(channel)).number));
  await world.run(() => world.now > SETTLES_MS || settled());
  return world.tabs.flatMap((tab, index) =>
    judge(world, tab).map((problem) => `history ${seed}, tab ${index}: ${problem}`));
}
