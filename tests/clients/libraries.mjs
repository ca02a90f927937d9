// SPDX-License-Identifier: MIT
// libraries.mjs: client libraries of npm, in this program.
import { Reports } from "./stage.mjs";

// ---- eventsource: the interface that browsers have ----

export function openEventSource(EventSource) {
  const reports = new Reports();
  const sources = new Map();
  const open = (name, url, types) => {
    const source = new EventSource(url);
    sources.set(name, source);
    source.addEventListener("open", () => reports.add(name, { kind: "open" }));
    // Some are still open when they dispatch the error after which they close.
    source.addEventListener("error", () => queueMicrotask(() => {
      reports.add(name, { kind: source.readyState === EventSource.CLOSED ? "closed" : "error" });
    }));
    for (const type of types) {
      source.addEventListener(type, (event) => {
        reports.add(name, { kind: "event", type, data: event.data, id: event.lastEventId });
      });
    }
  };
  return { reports, open, close: (name) => sources.get(name).close(), end: () => {} };
}

// ---- fetch-event-source: it calls onmessage for every type; errors are the application's ----

const BACK = Symbol("the server closed the stream");

export function openFetchEventSource(fetchEventSource) {
  const reports = new Reports();
  const stops = new Map();
  // What it uses of a browser.
  globalThis.window ??= { setTimeout, clearTimeout, fetch };
  globalThis.document ??= { addEventListener() {}, removeEventListener() {} };
  const open = (name, url, types) => {
    const stop = new AbortController();
    stops.set(name, stop);
    fetchEventSource(url, {
      signal: stop.signal,
      openWhenHidden: true,
      onopen: async ({ status }) => {
        if (status !== 200) throw new Error(`status ${status}`);
        reports.add(name, { kind: "open" });
      },
      // An empty message, as a blank line alone makes it, is reported as any other.
      onmessage: ({ id, event, data }) => {
        const type = event || "message";
        if (types.includes(type)) reports.add(name, { kind: "event", type, data, id });
      },
      // It comes again only after an error.
      onclose: () => { throw BACK; },
      onerror: (error) => {
        if (error instanceof Error && error.message.startsWith("status")) throw error;
        reports.add(name, { kind: "error" });
      },
    }).catch(() => reports.add(name, { kind: "closed" }));
  };
  return { reports, open, close: (name) => stops.get(name).abort(), end: () => {} };
}

// ---- eventsource-parser: a parser; to connect again is the application's ----

const OWN_RETRY_MS = 3000;

// Reads one response to its end. How the id is taken is what differs.
async function readStream(response, createParser, callbacks) {
  const parser = createParser(callbacks);
  const decoder = new TextDecoder();
  for await (const bytes of response.body) parser.feed(decoder.decode(bytes, { stream: true }));
}

class ParserLoop {
  #lastId = "";
  #retryMs = OWN_RETRY_MS;
  #stop = new AbortController();
  #takesIdsAlone;

  constructor(takesIdsAlone) {
    this.#takesIdsAlone = takesIdsAlone;
  }

  #callbacks(report) {
    const onId = this.#takesIdsAlone ? (id) => {
      this.#lastId = id;
    } : undefined;
    return {
      onId,
      onRetry: (ms) => {
        this.#retryMs = ms;
      },
      onEvent: ({ id, event = "message", data }) => {
        if (id !== undefined) this.#lastId = id;
        report({ kind: "event", type: event, data, id: this.#lastId });
      },
    };
  }

  async run(url, createParser, report) {
    for (;;) {
      const headers = { Accept: "text/event-stream" };
      if (this.#lastId) headers["Last-Event-ID"] = this.#lastId;
      const response = await fetch(url, { headers, signal: this.#stop.signal });
      if (response.status !== 200) return report({ kind: "closed" });
      report({ kind: "open" });
      await readStream(response, createParser, this.#callbacks(report));
      report({ kind: "error" });
      await new Promise((resolve) => {
        setTimeout(resolve, this.#retryMs);
      });
    }
  }

  close() {
    this.#stop.abort();
  }
}

export function openParser(createParser, takesIdsAlone) {
  const reports = new Reports();
  const loops = new Map();
  const open = (name, url, types) => {
    const loop = new ParserLoop(takesIdsAlone);
    const report = (what) => {
      if (what.kind !== "event" || types.includes(what.type)) reports.add(name, what);
    };
    loops.set(name, loop);
    loop.run(url, createParser, report).catch((error) => {
      if (error.name !== "AbortError") reports.add(name, { kind: "failed", error: String(error) });
    });
  };
  return { reports, open, close: (name) => loops.get(name).close(), end: () => {} };
}
