// SPDX-License-Identifier: MIT
// event_stream.js: the format text/event-stream, and the ids of the server.

/** @typedef {{ id?: string, type: string, data: string }} Message  id is undefined without one */

export const GAP = "gap"; // type of an event that reports lost events
export const POSITION = "sse-position"; // type of an event that only carries an id
export const FINISHED = "finished"; // type of the last event of a stream without channels

/**
 * Whether an id of the server comes before another. Ids of different epochs, and ids that the
 * application gave, have no order.
 * @param {string} id
 * @param {string} other
 */
export function isBefore(id, other) {
  const [a, b] = [id, other].map((one) => /^([\w-]{1,11})\.(\d+)$/.exec(one));
  return a !== null && b !== null && a[1] === b[1] && BigInt(a[2]) < BigInt(b[2]);
}

/** Parses a stream (HTML standard, 9.2.6) that arrives in pieces of decoded text. */
export class EventStreamParser {
  /** @type {number | undefined} the last reconnection time that was received, in ms */
  retry;
  #line = ""; // the part of the last line that has arrived
  #afterCr = false;
  /** @type {string[]} */
  #data = [];
  #type = "";
  /** @type {string | undefined} */
  #id;

  /** @param {string} text @returns {Message[]} the events that are complete with this piece */
  push(text) {
    if (text === "") return [];
    const rest = this.#afterCr && text[0] === "\n" ? text.slice(1) : text;
    const lines = (this.#line + rest).split(/\r\n|\r|\n/);
    this.#line = lines.pop() ?? "";
    this.#afterCr = text.endsWith("\r");
    return lines.flatMap((line) => (line === "" ? this.#end() : this.#field(line)));
  }

  /** @param {string} line @returns {Message[]} */
  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
    return [];
  }

  // A block without data is no event, but its id counts.
  #end() {
    const type = this.#data.length === 0 ? POSITION : this.#type || "message";
    const message = { type, id: this.#id, data: this.#data.join("\n") };
    const counts = this.#data.length > 0 || this.#id !== undefined;
    this.#data = [];
    this.#type = "";
    this.#id = undefined;
    return counts ? [message] : [];
  }
}
