// SPDX-License-Identifier: MIT
// clients.mjs: the clients, and what is known of each; the manual's table says the same.
//
// idAtLine    an id is taken when its line has come, before the event is whole
// ownRetry    ms that it waits before it reconnects, unless it is told
// leastRetry  ms that it waits at least, whatever it is told
// keepsNul    a NUL in a payload is dispatched
// spoils      payloads that arrive as another one
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { openChromium, openFirefox } from "./browsers.mjs";
import { openEventSource, openFetchEventSource, openParser } from "./libraries.mjs";

const require = createRequire(import.meta.url);
const packageVersion = (name) => require(`./node_modules/${name}/package.json`).version;
const programVersion = (program) => execFileSync(program, ["--version"], {
  encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).match(/\d[\d.]*/)[0];

export const CLIENTS = {
  "chromium": {
    version: () => programVersion(process.env.CHROMIUM),
    open: openChromium,
    facts: { idAtLine: false, ownRetry: 3000, leastRetry: 0, keepsNul: true },
  },
  "firefox": {
    version: () => programVersion(process.env.FIREFOX),
    open: openFirefox,
    facts: { idAtLine: false, ownRetry: 5000, leastRetry: 500, keepsNul: false },
  },
  "eventsource-2": {
    version: () => packageVersion("eventsource-2"),
    open: () => openEventSource(require("eventsource-2")),
    facts: { idAtLine: true, ownRetry: 1000, leastRetry: 0, keepsNul: true },
  },
  "eventsource-3": {
    version: () => packageVersion("eventsource-3"),
    open: async () => openEventSource((await import("eventsource-3")).EventSource),
    facts: { idAtLine: false, ownRetry: 3000, leastRetry: 0, keepsNul: true },
  },
  "eventsource": {
    version: () => packageVersion("eventsource"),
    open: async () => openEventSource((await import("eventsource")).EventSource),
    facts: { idAtLine: false, ownRetry: 3000, leastRetry: 0, keepsNul: true },
  },
  "eventsource-parser-3": {
    version: () => packageVersion("eventsource-parser-3"),
    open: async () => openParser((await import("eventsource-parser-3")).createParser, false),
    facts: { idAtLine: false, ownRetry: 3000, leastRetry: 0, keepsNul: true },
  },
  "eventsource-parser": {
    version: () => packageVersion("eventsource-parser"),
    open: async () => openParser((await import("eventsource-parser")).createParser, true),
    facts: { idAtLine: false, ownRetry: 3000, leastRetry: 0, keepsNul: true },
  },
  "fetch-event-source": {
    version: () => packageVersion("@microsoft/fetch-event-source"),
    open: () => openFetchEventSource(
      require("@microsoft/fetch-event-source").fetchEventSource),
    facts: { idAtLine: true, ownRetry: 1000, leastRetry: 0, keepsNul: true,
      spoils: { "\uFEFFa mark in front": "a mark in front", "\n": "" } },
  },
};
