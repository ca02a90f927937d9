// SPDX-License-Identifier: MIT
// tabs.js: the tabs of a site, one of which leads and has the connection.
import { POSITION, isBefore } from "./event_stream.js";
import { Connection, RETRY_MAX_MS, randomHex } from "./connection.js";

/** @import { Message } from "./event_stream.js" */
/** @import { Refusal, State } from "./connection.js" */
/** @import { Client, Options } from "./sse.js" */

/**
 * What tabs send each other: "hello" with the channels of a tab, from time to time; "bye"; "again";
 * and from the leader "lead", with which it introduces itself, and "news".
 * @typedef {object} Note
 * @property {string} kind
 * @property {string} from
 * @property {string} [to]  one tab; otherwise all
 * @property {number} term  of the leader
 * @property {number} seq  number of the newest note of this leader
 * @property {string[]} [channels]  of a tab
 * @property {boolean} [fresh]  the tab needs to know the others
 * @property {string} [id]  position of the leader
 * @property {string[]} [covered]  channels whose events after that the connection delivers
 * @property {string} [since]  or after this, if it is not ""
 * @property {State} [state]
 * @property {Message[]} [messages]
 */

// A poll that finds no event waits for this time, and then answers with the position of the server.
const CATCH_UP_S = 0.1;
const CATCH_UP_AGAIN_MS = 500;
const WAITING_MAX = 10000; // messages; with more, a tab that is behind joins again

export class Tabs {
  leads = false;
  #client;
  #connection;
  #name;
  #watchMs;
  #id = "";
  /** @type {BroadcastChannel | undefined} while this tab takes part and shares */
  #channel;
  #election = new AbortController();
  #leading = new AbortController();
  #release = () => {}; // gives the lock of the leader back
  #part = () => {}; // gives the lock of this tab back
  #timer = 0;
  /** @type {Map<string, string[]>} channels of the other tabs */
  #others = new Map();
  #term = 0;
  #seq = 0;
  #joined = false; // this tab has had each note of the term up to #seq
  #behind = false;
  #catching = false;
  /** @type {Message[]} what the leader has posted while this tab is behind */
  #waiting = [];
  /** @type {string[]} */
  #covered = [];
  #least = ""; // the id that this tab must reach at least if it is behind
  #heard = true;

  /** @param {Client} client @param {Options} options */
  constructor(client, options) {
    const { share = true, url, watchMs = 10000 } = options;
    this.#client = client;
    this.#watchMs = watchMs;
    this.#name = share && navigator.locks && typeof BroadcastChannel === "function"
      ? `sse ${share === true ? new URL(url, document.baseURI) : share}` : "";
    this.#connection = new Connection(options, {
      position: () => client.lastEventId,
      receive: (messages) => {
        this.#post("news", { messages });
        client.take(messages);
      },
      tell: (state) => {
        this.#post("news", { state });
        client.tell(state);
      },
      cover: () => this.#post("news", this.#coverage),
    });
  }

  async join() {
    if (this.#id) return;
    const id = this.#id = randomHex(8);
    if (!this.#name) {
      this.#lead();
      return;
    }
    // Held while this tab takes part, so that who waits for it learns when the tab is gone.
    const part = await this.#hold(`${this.#name} ${id}`);
    if (this.#id !== id) { // it left in the meantime
      part();
      return;
    }
    this.#part = part;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.addEventListener("message", ({ data }) => this.#read(data));
    this.#hello(true);
    this.#elect();
    this.#watchLeader();
  }

  /** @param {string} name @returns {Promise<() => void>} gives the lock back */
  #hold(name) {
    return new Promise((held) => {
      navigator.locks.request(name, () => new Promise((resolve) => held(() => resolve(undefined))));
    });
  }

  leave() {
    clearInterval(this.#timer);
    this.#post("bye");
    this.#id = "";
    this.#election.abort();
    this.#stopLeading();
    this.#channel?.close();
    this.#channel = undefined;
    this.#others.clear();
    this.#joined = false;
    this.#waiting = [];
    this.#part();
  }

  /** The channels of this tab have changed. */
  changed() {
    this.#hello(false);
    if (this.leads) this.#connection.want(this.#union());
  }

  again() {
    if (this.leads) this.#connection.again();
    else this.#post("again");
  }

  #union() {
    return [...new Set([this.#client.channels, ...this.#others.values()].flat())].sort();
  }

  get #coverage() {
    const { covered, since } = this.#connection;
    return { covered, since: isBefore(this.#client.lastEventId, since) ? since : "" };
  }

  /** @param {string} kind @param {Partial<Note>} [body] */
  #post(kind, body) {
    if (kind === "news") this.#seq += 1;
    this.#channel?.postMessage({
      kind, from: this.#id, term: this.#term, seq: this.#seq, id: this.#client.lastEventId, ...body,
    });
  }

  /** @param {boolean} fresh @param {string} [to] */
  #hello(fresh, to) {
    this.#post("hello", { fresh, to, channels: this.#client.channels });
  }

  /** @param {string} [to] */
  #introduce(to) {
    this.#post("lead", { to, ...this.#coverage, state: this.#connection.state });
  }

  /** @param {Note} note */
  #read(note) {
    if (note.to && note.to !== this.#id) return;
    if (note.kind === "hello") this.#meet(note);
    else if (note.kind === "bye") this.#forget(note.from);
    else if (note.kind === "again" && this.leads) this.#connection.again();
    else if (note.kind === "lead") this.#follow(note);
    else if (note.kind === "news" && note.term >= this.#term && !this.leads) this.#heed(note);
  }

  // ---- Who is there ----

  /** @param {Note} note */
  #meet({ from, channels = [], fresh }) {
    if (this.leads && !this.#others.has(from)) this.#awaitEnd(from);
    this.#others.set(from, channels);
    if (fresh) this.#hello(false, from);
    if (!this.leads) return;
    this.#connection.want(this.#union());
    if (fresh) this.#introduce(from);
    else this.#post("news"); // the leader is there
  }

  /** @param {string} tab */
  #forget(tab) {
    if (this.#others.delete(tab) && this.leads) this.#connection.want(this.#union());
  }

  /** @param {string} tab */
  #awaitEnd(tab) {
    const { signal } = this.#leading;
    navigator.locks.request(`${this.#name} ${tab}`, { signal }, () => this.#forget(tab))
      .catch(() => {}); // this tab leads no longer
  }

  // ---- Who leads ----

  async #elect(steal = false) {
    this.#election.abort(); // leaves the queue
    const election = this.#election = new AbortController();
    const how = steal ? { steal } : { signal: election.signal };
    // The lock may have been granted just before the request was aborted.
    const lead = () => (election.signal.aborted ? undefined : this.#lead());
    await navigator.locks.request(this.#name, how, lead).catch(() => {});
    if (election.signal.aborted) return;
    // The lock was stolen, because this tab did not answer.
    this.#stopLeading();
    this.#hello(true);
    this.#elect();
  }

  #lead() {
    if (!this.#id) return undefined;
    this.leads = true;
    this.#leading = new AbortController();
    this.#term = Math.max(Date.now(), this.#term + 1);
    this.#seq = 0;
    this.#behind = false;
    this.#waiting = [];
    this.#client.lead();
    this.#connection.start(this.#union());
    this.#introduce();
    for (const tab of this.#others.keys()) this.#awaitEnd(tab);
    return new Promise((resolve) => {
      this.#release = () => resolve(undefined);
    });
  }

  #stopLeading() {
    if (!this.leads) return;
    this.leads = false;
    this.#joined = false;
    this.#leading.abort();
    this.#connection.stop();
    this.#release();
  }

  // A leader that is frozen or busy keeps the lock but does not answer.
  #watchLeader() {
    let last = Date.now();
    this.#heard = true;
    this.#timer = setInterval(() => {
      const late = Date.now() - last > 2 * this.#watchMs; // this tab itself was
      last = Date.now();
      if (this.leads) return;
      if (!this.#heard && !late) this.#elect(true);
      this.#heard = false;
      this.#hello(!this.#joined);
    }, this.#watchMs);
  }

  // ---- To follow ----

  /** @param {Note} note */
  #follow({ term, seq, id = "", covered = [], since = "", state, to }) {
    if (term < this.#term || (term === this.#term && this.#joined)) return;
    this.#stopLeading();
    this.#term = term;
    this.#seq = seq;
    this.#joined = true;
    this.#heard = true;
    this.#covered = covered;
    this.#least = since || id;
    this.#waiting = [];
    this.#behind = !this.#client.follow(id, this.#covers() && since === "");
    if (!to) this.#hello(false);
    if (state) this.#client.tell(state);
    this.#catchUp();
  }

  /** @param {Note} note */
  #heed({ term, seq, id = "", covered, since, state, messages }) {
    this.#heard = true;
    if (!this.#joined) return;
    const missed = term !== this.#term || seq !== this.#seq + 1;
    if (missed || this.#waiting.length > WAITING_MAX) {
      this.#joined = false;
      this.#hello(true);
      return;
    }
    this.#seq = seq;
    if (covered) this.#cover(covered, since || id);
    if (state) this.#client.tell(state);
    if (messages && this.#behind) this.#waiting.push(...messages);
    else if (messages) this.#client.take(messages);
    this.#catchUp();
  }

  /** @param {string[]} covered @param {string} least */
  #cover(covered, least) {
    const has = new Set(covered);
    // A leader that does not know this tab may leave its channels, and then subscribe again.
    const leaves = (/** @type {string} */ channel) =>
      this.#covered.includes(channel) && !has.has(channel);
    if (!this.#behind && this.#client.channels.some(leaves)) {
      this.#behind = true;
      this.#waiting = [];
    }
    this.#covered = covered;
    this.#least = least;
  }

  #covers() {
    return this.#client.channels.every((channel) => this.#covered.includes(channel));
  }

  // While this tab is behind and the connection has its channels: what is after its position.
  async #catchUp() {
    if (this.#catching) return;
    this.#catching = true;
    let waitMs = CATCH_UP_AGAIN_MS;
    while (this.#behind && this.#joined && this.#covers()) {
      const waiting = this.#waiting;
      const messages = await this.#poll();
      if (waiting !== this.#waiting) continue; // there is another leader
      this.#client.take(messages ?? []);
      if (messages && this.#meets(messages)) {
        this.#behind = false;
        this.#waiting = [];
        this.#client.skip();
        this.#client.take(waiting);
      } else if (messages?.some(({ type }) => type !== POSITION)) {
        waitMs = CATCH_UP_AGAIN_MS; // there may be more
      } else {
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        waitMs = Math.min(2 * waitMs, RETRY_MAX_MS);
      }
    }
    this.#catching = false;
  }

  // Whether what the leader has posted continues these messages: it has one of them, too; or there
  // is no event, from a server that is not behind the leader's. Either counts from the id on after
  // which the connection has the channels.
  /** @param {Message[]} messages */
  #meets(messages) {
    const events = messages.filter(({ type }) => type !== POSITION);
    const posted = new Set(this.#waiting.map(({ id }) => id));
    return events.length > 0
      ? events.some(({ id }) => id && posted.has(id) && !isBefore(id, this.#least))
      : !isBefore(this.#client.lastEventId, this.#least);
  }

  async #poll() {
    try {
      return await this.#connection.poll(this.#client.lastEventId, this.#client.channels,
        CATCH_UP_S);
    } catch (error) {
      const { message, status = 0 } = /** @type {Refusal} */ (error);
      if (status === 204) return [];
      this.#client.tell({ what: "error", detail: { status, message, final: false } });
      return undefined;
    }
  }
}
