// SPDX-License-Identifier: MIT
// sse.js: the browser client of the broadcast server. One connection serves all tabs of a site.
/*
 *     <p data-sse-channels="weather" data-sse-events="rain, wind"></p>
 *     <script type="module">
 *       import { sse } from "/sse.js";
 *       sse({ url: "/" });
 *       document.querySelector("p").addEventListener("sse.rain", (event) => show(event.detail));
 *     </script>
 *
 * The client subscribes to the channels of all elements. An event of type "rain", or a message
 * whose data is the JSON ["rain", data], is dispatched as "sse.rain" on each element that lists
 * "rain". These events do not bubble. All elements receive sse.open, sse.error, sse.gap and
 * sse.finished. Events are matched by type and not by channel, because a stream does not name the
 * channel of an event.
 *
 * If the page has jQuery, its handlers for "sse.rain" are called, too. sse.jquery.js is the same
 * client as a classic script; it defines sse(), and $.sse() if jQuery was loaded before.
 *
 * The client reads with fetch() and not with EventSource(), because it must begin at a given id,
 * see status codes and Retry-After, and notice that not even heartbeats arrive. EventSource() does
 * none of these, and gives up at a status other than 200.
 *
 * How no event is lost or repeated when another tab takes over:
 *
 * - Each tab has a position: the id of the last event that it dispatched. The tab that holds the
 *   lock leads: it opens the connection at its own position and posts each event to the others.
 * - A new leader announces the id that its connection begins after, and the channels. A tab that
 *   has dispatched the event of this id has missed nothing; it skips the events that it has had
 *   since. Any other tab is behind, and so is one with a channel that the connection lacks.
 * - A tab that is behind polls the server for the events of its channels after its position, and
 *   then dispatches those that the leader has posted in the meantime and the answers lack.
 * - Messages of a leader are numbered, and its term begins later than that of its predecessor, so
 *   a tab notices a message that it missed, and ignores a leader that has been replaced.
 */

import { GAP, POSITION, isBefore } from "./event_stream.js";
import { Tabs } from "./tabs.js";

/** @import { Message } from "./event_stream.js" */
/** @import { State } from "./connection.js" */

/**
 * @typedef {object} Options
 * @property {string | URL} url  address of the server, where "stream" and "poll" are
 * @property {string[]} [channels]  channels to subscribe to besides those of the elements
 * @property {string} [lastEventId]  position of the page, an id; by default the attribute
 *   data-sse-id of the first element that has it; without either, events from now on
 * @property {boolean | string} [share]  whether tabs share a connection; default true; a name
 *   separates tabs that have the same url. Tabs share only where the browser has Web Locks, which
 *   are limited to HTTPS and localhost.
 * @property {ParentNode & Node} [root]  where to look for elements; default document
 * @property {string} [selector]  which elements; default those with one of the two attributes
 * @property {string} [eventPrefix]  what the names of DOM events begin with; default "sse."
 * @property {RequestCredentials} [credentials]  as for fetch(); default "same-origin"
 * @property {HeadersInit | (() => HeadersInit | Promise<HeadersInit>)} [headers]  added to every
 *   request, such as Authorization; a function is called for each request
 * @property {number} [patienceMs]  maximum time until the first bytes arrive; after it, the client
 *   polls; default 8,000
 * @property {number} [silenceMs]  the same for an open stream; more than the heartbeat of the
 *   server; default 40,000
 * @property {number} [streamAgainMs]  time after which a client that polls tries to stream again;
 *   it doubles with each failure, up to an hour; default 60,000
 * @property {number} [retryMs]  time until the client reconnects if the server sends none; doubles
 *   with each failure, up to a minute; default 2,000
 * @property {number} [watchMs]  a leader that does not answer for this time is replaced; default
 *   10,000
 */

const RECENT_MAX = 1000; // ids that a tab remembers

/** @param {string | null} text */
const splitList = (text) => (text ?? "").split(/[\s,]+/).filter(Boolean);

export class Client extends EventTarget {
  /** @type {string[]} of all elements */
  channels = [];
  /** @type {string} the id of the last event that was dispatched */
  lastEventId;
  #options;
  #root;
  #selector;
  #tabs;
  #observer;
  #listeners = new AbortController();
  /** @type {Element[]} */
  #elements = [];
  /** @type {Map<string, Element[]>} those that list a type */
  #listed = new Map();
  /** @type {string[]} ids up to the position, oldest first */
  #recent = [];
  /** @type {Set<string>} ids that are expected again, and skipped */
  #again = new Set();
  #wantsPast; // without a position the url asks for events of the past

  /** @param {Options} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#root = options.root ?? document;
    this.#selector = options.selector ?? "[data-sse-channels], [data-sse-events]";
    this.lastEventId = options.lastEventId
      ?? this.#root.querySelector("[data-sse-id]")?.getAttribute("data-sse-id") ?? "";
    if (this.lastEventId) this.#recent.push(this.lastEventId);
    const { searchParams } = new URL(options.url, document.baseURI);
    this.#wantsPast = searchParams.has("history") || searchParams.has("from");
    this.#tabs = new Tabs(this, options);
    this.#observer = new MutationObserver(() => this.#collect());
    this.#observer.observe(this.#root, { subtree: true, childList: true,
      attributeFilter: ["data-sse-channels", "data-sse-events"] });
    this.#collect();
    this.#followLifecycle();
    this.#tabs.join();
  }

  /** Whether this tab has the connection. */
  get leads() {
    return this.#tabs.leads;
  }

  /** Connects again at once, for example after a login. */
  reconnect() {
    this.#tabs.again();
  }

  /** Ends it. The connection is closed if no other tab needs it. */
  close() {
    this.#listeners.abort();
    this.#observer.disconnect();
    this.#tabs.leave();
  }

  // A page that is frozen or kept for the back button must not hold the connection.
  #followLifecycle() {
    const { signal } = this.#listeners;
    const leave = () => this.#tabs.leave();
    const join = () => this.#tabs.join();
    addEventListener("pagehide", leave, { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && join(), { signal });
    document.addEventListener("freeze", leave, { signal });
    document.addEventListener("resume", join, { signal });
  }

  #collect() {
    const channels = new Set(this.#options.channels);
    this.#elements = [...this.#root.querySelectorAll(this.#selector)];
    this.#listed = new Map();
    for (const element of this.#elements) {
      for (const channel of splitList(element.getAttribute("data-sse-channels"))) {
        channels.add(channel);
      }
      for (const type of new Set(splitList(element.getAttribute("data-sse-events")))) {
        const listed = this.#listed.get(type);
        if (listed) listed.push(element);
        else this.#listed.set(type, [element]);
      }
    }
    const before = String(this.channels);
    this.channels = [...channels].sort();
    if (String(this.channels) !== before) this.#tabs.changed();
  }

  // ---- What the tabs call ----

  /** This tab opens the connection at its position. */
  lead() {
    this.#again.clear();
    this.#wantsPast = false;
  }

  /**
   * Another tab's connection continues after an id. Returns whether this tab has missed nothing.
   * @param {string} id
   * @param {boolean} covered  whether the connection has the channels of this tab
   */
  follow(id, covered) {
    this.#again.clear();
    if (this.lastEventId === "" && !this.#wantsPast && id) this.#advance(id);
    const index = this.#recent.lastIndexOf(id);
    if (index < 0 || !covered) return false;
    this.skip(index + 1);
    return true;
  }

  /** What this tab has had may be received again. @param {number} [from] index of the first id */
  skip(from = 0) {
    this.#again = new Set(this.#recent.slice(from));
    this.#wantsPast = false;
  }

  /** @param {Message[]} messages */
  take(messages) {
    for (const { id, type, data } of messages) {
      if (id !== undefined) {
        if (isBefore(id, this.lastEventId)) continue;
        const isRepeated = this.#again.delete(id);
        if (isRepeated && type !== GAP) continue; // a gap may have the id of an event before it
        if (!isRepeated) this.#advance(id);
      }
      if (type !== POSITION) this.#deliver(type, data);
    }
  }

  /** @param {State} state */
  tell({ what, detail }) {
    this.#dispatch(what, detail, this.#elements);
  }

  // ---- Events ----

  /** @param {string} id */
  #advance(id) {
    if (id !== this.lastEventId) this.#recent.push(id);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
    this.lastEventId = id;
  }

  /** @param {string} type @param {string} text */
  #deliver(type, text) {
    let data;
    try {
      data = JSON.parse(text);
    } catch {
      data = text;
    }
    if (type === "message" && Array.isArray(data) && data.length <= 2
      && typeof data[0] === "string") [type, data] = data;
    this.#dispatch(type, data, type === GAP ? this.#elements : this.#listed.get(type) ?? []);
  }

  /** @param {string} type @param {any} detail @param {Element[]} elements */
  #dispatch(type, detail, elements) {
    const name = (this.#options.eventPrefix ?? "sse.") + type;
    const { jQuery } = /** @type {any} */ (globalThis);
    for (const element of elements) {
      element.dispatchEvent(new CustomEvent(name, { detail }));
      if (!jQuery) continue;
      // For jQuery "sse.rain" is the event "sse" in the namespace "rain". As with cyclone-sse, the
      // event bubbles, and an array becomes several arguments; event.detail is always whole.
      try {
        jQuery(element).trigger(jQuery.Event(name, { detail }),
          Array.isArray(detail) ? detail : [detail]);
      } catch (error) {
        reportError(error);
      }
    }
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/**
 * Connects the elements of a page with the server. The client that is returned is given the events
 * of all types, under the same names.
 * @param {Options} options
 */
export function sse(options) {
  return new Client(options);
}
