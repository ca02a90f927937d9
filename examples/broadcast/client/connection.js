// SPDX-License-Identifier: MIT
// connection.js: the connection to the server, which one tab has: a stream, or polls.
import { EventStreamParser, FINISHED } from "./event_stream.js";

/** @import { Message } from "./event_stream.js" */
/** @import { Options } from "./sse.js" */

/** @typedef {{ what: string, detail: object }} State  "open", "error" or "finished" */

const QUERY_MAX = 1500; // bytes; a longer query is sent as a body
const POLL_S = 25;
export const RETRY_MAX_MS = 60000;
const AGAIN_MAX_MS = 3600000;
const TIMER_MAX_MS = 2 ** 31 - 1;

const CHANGED = new Error("other channels are wanted"); // reasons to abort a request
const SILENT = new Error("nothing arrives");

/** @param {number} bytes */
export const randomHex = (bytes) => [...crypto.getRandomValues(new Uint8Array(bytes))]
  .map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {string[]} channels @returns {string[][]} */
const channelFields = (channels) => channels.map((channel) => ["channel", channel]);

/** An answer other than 200. */
export class Refusal extends Error {
  /** @param {number} status @param {string | null} [retryAfter] seconds or a date */
  constructor(status, retryAfter = null) {
    super(status === 204 ? "all channels are finished" : `the server answered ${status}`);
    this.status = status;
    this.final = [204, 401, 403].includes(status);
    const at = Date.parse(retryAfter ?? "");
    const seconds = Number(retryAfter ?? 0);
    this.retryAfterMs = (seconds >= 0 ? seconds * 1000 : Math.max(0, at - Date.now())) || 0;
  }
}

/**
 * Where the connection reads the position, and what it calls.
 * @typedef {object} Hooks
 * @property {() => string} position  the id to continue after
 * @property {(messages: Message[]) => void} receive
 * @property {(state: State) => void} tell
 * @property {() => void} cover  `covered` has changed
 */

export class Connection {
  /** @type {string[]} channels of which it delivers every event after the position */
  covered = [];
  since = ""; // but not those up to this id of channels that it has subscribed to
  /** @type {State | undefined} */
  state;
  #options;
  #hooks;
  #base;
  /** @type {string[]} */
  #wanted = [];
  #running = new AbortController();
  #request = new AbortController();
  /** @type {AbortController | undefined} the request whose channels are being changed */
  #settling;
  #session = "";
  #mode = ""; // "stream" or "poll" while it is open
  #idle = false; // it waits until other channels are wanted
  #pollUntil = 0;
  #streamAgainMs;
  #retryMs;
  #failures = 0;
  #timer = 0;
  #wake = () => {};

  /** @param {Options} options @param {Hooks} hooks */
  constructor(options, hooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#base = new URL(options.url, document.baseURI);
    if (!this.#base.pathname.endsWith("/")) this.#base.pathname += "/";
    this.#streamAgainMs = options.streamAgainMs ?? 60000;
    this.#retryMs = options.retryMs ?? 2000;
  }

  /** @param {string[]} channels */
  start(channels) {
    this.#wanted = channels;
    this.covered = this.#announced();
    this.since = "";
    this.#running = new AbortController();
    this.#run(this.#running.signal);
  }

  stop() {
    this.#running.abort();
    this.#request.abort();
    this.#wake();
    this.#mode = "";
    this.state = undefined;
  }

  /** Connects again at once. */
  again() {
    this.#failures = 0;
    this.#restart();
  }

  /** @param {string[]} channels */
  want(channels) {
    if (String(channels) === String(this.#wanted)) return;
    this.#wanted = channels;
    if (this.#mode === "stream" && channels.length > 0) this.#settle();
    else if (this.#mode !== "" || this.#idle) this.#restart();
    else this.#replace();
  }

  /**
   * Polls once.
   * @param {string} position
   * @param {string[]} channels
   * @param {number} timeout in seconds, for which the server waits for an event
   * @param {AbortSignal} [signal]
   * @returns {Promise<Message[]>}
   */
  async poll(position, channels, timeout, signal) {
    const fields = [["timeout", String(timeout)], ...channelFields(channels)];
    const response = await this.#ask("poll", fields, { position, signal }, "application/json");
    /** @type {{ id?: string, event?: string, data: string }[]} */
    const items = await response.json();
    return items.map(({ id, event, data }) => ({ id, type: event || "message", data }));
  }

  // The next request delivers what is wanted from the position on; without one, from its answer on.
  #announced() {
    return this.#hooks.position() === "" ? [] : this.#wanted;
  }

  // The next request, or the one that is under way, is made for what is wanted now.
  #replace() {
    this.#cover(this.#announced(), "");
    this.#request.abort(CHANGED);
  }

  #restart() {
    this.#replace();
    this.#wake();
  }

  /** @param {AbortSignal} running */
  async #run(running) {
    while (!running.aborted) {
      this.#request = new AbortController();
      let waitMs = Infinity;
      try {
        if (this.#wanted.length > 0) {
          await (Date.now() < this.#pollUntil ? this.#readPolls() : this.#readStream());
          waitMs = 0;
        }
      } catch (error) {
        waitMs = running.aborted ? 0 : this.#failed(/** @type {Error} */ (error));
      }
      clearTimeout(this.#timer);
      this.#mode = "";
      if (waitMs > 0 && !running.aborted) await this.#pause(waitMs);
    }
  }

  /** @param {number} ms */
  async #pause(ms) {
    this.#idle = ms === Infinity;
    await new Promise((resolve) => {
      if (!this.#idle) this.#timer = setTimeout(resolve, Math.min(ms, TIMER_MAX_MS));
      this.#wake = () => resolve(undefined);
    });
    clearTimeout(this.#timer);
    this.#idle = false;
  }

  async #readStream() {
    this.#watch(this.#options.patienceMs ?? 8000, SILENT);
    const channels = this.#wanted;
    const { signal } = this.#request;
    this.#session = randomHex(16); // as good as a password for changing this stream
    const fields = [["session", this.#session], ...channelFields(channels)];
    const response = await this.#ask("stream", fields,
      { position: this.#hooks.position(), signal }, "text/event-stream");
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder(); // it also removes a byte order mark
    const parser = new EventStreamParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Error("the stream ended");
      this.#watch(this.#options.silenceMs ?? 40000, SILENT);
      const messages = parser.push(decoder.decode(value, { stream: true }));
      this.#retryMs = parser.retry ?? this.#retryMs;
      const opens = this.#mode === "";
      if (!opens) this.#streamAgainMs = this.#options.streamAgainMs ?? 60000;
      this.#receive(messages, "stream", channels);
      if (opens) this.#settle();
    }
  }

  async #readPolls() {
    const channels = this.#wanted;
    // The first answer comes at once and shows that the server is there.
    for (let timeout = 0; Date.now() < this.#pollUntil;) {
      this.#watch(timeout * 1000 + (this.#options.patienceMs ?? 8000),
        new Error("a poll is not answered"));
      const messages = await this.poll(this.#hooks.position(), channels, timeout,
        this.#request.signal);
      this.#receive(messages, "poll", channels);
      timeout = Math.max(1, Math.ceil(Math.min(POLL_S, (this.#pollUntil - Date.now()) / 1000)));
    }
  }

  /** @param {number} ms @param {Error} reason */
  #watch(ms, reason) {
    const request = this.#request;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => request.abort(reason), ms);
  }

  /** @param {Message[]} messages @param {string} mode @param {string[]} channels */
  #receive(messages, mode, channels) {
    const opens = this.#mode === "";
    this.#mode = mode;
    this.#failures = 0;
    if (opens) this.#tell("open", { mode });
    const end = messages.findIndex(({ type, data, id }) => type === FINISHED && data === ""
      && id === undefined);
    const events = end < 0 ? messages : messages.slice(0, end);
    if (events.length > 0) this.#hooks.receive(events);
    if (end >= 0) throw new Refusal(204);
    if (opens) this.#cover(channels, "");
  }

  /** @param {string[]} channels @param {string} since */
  #cover(channels, since) {
    this.covered = channels;
    this.since = since;
    this.#hooks.cover();
  }

  /** @param {string} what @param {object} detail */
  #tell(what, detail) {
    this.state = { what, detail };
    this.#hooks.tell(this.state);
  }

  /** @param {Error} error @returns {number} the time to wait, in ms */
  #failed(error) {
    if (error === CHANGED) return 0;
    if (error === SILENT) {
      this.#pollUntil = Date.now() + this.#streamAgainMs;
      this.#streamAgainMs = Math.min(2 * this.#streamAgainMs, AGAIN_MAX_MS);
      return 0;
    }
    const { status = 0, final = false, retryAfterMs = 0 } =
      error instanceof Refusal ? error : {};
    // Never earlier than the server asks for, and each client at another time.
    const backoffMs = Math.min(this.#retryMs * 2 ** this.#failures, RETRY_MAX_MS);
    const leastMs = Math.max(backoffMs, this.#retryMs, retryAfterMs);
    const waitMs = final ? Infinity : leastMs * (1 + Math.random() / 2);
    this.#failures += 1;
    this.#tell(status === 204 ? "finished" : "error",
      { status, message: error.message, final, retryMs: final ? undefined : waitMs });
    return waitMs;
  }

  // Changes the channels of the open stream, or, where the server does not, reconnects with them.
  async #settle() {
    const request = this.#request;
    const { signal } = request;
    if (this.#settling === request) return;
    this.#settling = request;
    try {
      while (!signal.aborted) {
        const add = this.#wanted.filter((channel) => !this.covered.includes(channel));
        const drop = this.covered.filter((channel) => !this.#wanted.includes(channel));
        const [path, channels] = add.length > 0 ? ["subscribe", add] : ["unsubscribe", drop];
        if (channels.length === 0) break;
        const fields = [["session", this.#session], ...channelFields(channels)];
        const how = { method: "POST", signal };
        const answer = await (await this.#ask(path, fields, how)).json();
        if (add.length === 0) {
          this.#cover(this.covered.filter((channel) => !drop.includes(channel)), this.since);
        } else {
          // An id from which on the stream has them. It may not have arrived there yet.
          const { id } = answer.id ? answer
            : await (await this.#ask("position", channelFields(add), { signal })).json();
          this.#cover([...this.covered, ...add], id);
        }
      }
    } catch {
      if (!signal.aborted) this.#replace();
    } finally {
      if (this.#settling === request) this.#settling = undefined;
    }
  }

  /**
   * @param {string} path
   * @param {string[][]} fields
   * @param {{ method?: string, position?: string, signal?: AbortSignal }} how
   * @param {string} [type] of the answer
   */
  async #ask(path, fields, { method = "GET", position = "", signal }, type = "") {
    const { credentials = "same-origin", headers } = this.#options;
    const sent = new Headers(await (typeof headers === "function" ? headers() : headers));
    const form = new URLSearchParams([...this.#base.searchParams, ...fields]);
    if (type) sent.set("Accept", type);
    // A header to another origin would cost a request before this one.
    const fits = this.#base.origin === location.origin && /^[\x21-\x7e]+$/.test(position);
    if (fits) sent.set("Last-Event-ID", position);
    else if (position) form.set("last_event_id", position);
    const body = method === "POST" || String(form).length > QUERY_MAX ? form : undefined;
    const url = new URL(path, this.#base);
    if (!body) url.search = String(form);
    const response = await fetch(url, {
      method: body ? "POST" : "GET", body, headers: sent, credentials, cache: "no-store", signal,
    });
    const { status } = response;
    if (status !== 200) {
      response.body?.cancel(); // or the answer would occupy one of the few connections
      throw new Refusal(status, response.headers.get("Retry-After"));
    }
    const answered = response.headers.get("Content-Type") ?? "";
    if (!answered.startsWith(type)) throw new Error(`${path} answers with ${answered}`);
    return response;
  }
}
