// SPDX-License-Identifier: MIT
// browsers.mjs: Chromium and Firefox, each with the page of tests/clients.
//
// The page asks this program for what to do and reports to it what it sees, so that a browser
// needs no more than a command line. Both talk to nobody but this machine.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reports } from "./stage.mjs";

const STARTS_WITHIN_MS = 60000;
const ENDS_WITHIN_MS = 5000;

// Whatever a fresh profile would fetch, tell or ask on its first start.
const FIREFOX_PREFS = {
  "app.normandy.enabled": false,
  "app.update.enabled": false,
  "browser.newtabpage.enabled": false,
  "browser.region.update.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "captivedetect.canonicalURL": "",
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.push.connection.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "extensions.update.enabled": false,
  "geo.enabled": false,
  "media.gmp-manager.updateEnabled": false,
  "messaging-system.rsexperimentloader.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "network.dns.disablePrefetch": true,
  "network.prefetch-next": false,
  "network.proxy.type": 0,
  "network.trr.mode": 5,
  "services.settings.server": "data:,",
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.server": "data:,",
};

async function firefoxCommand(profile, url) {
  const prefs = Object.entries(FIREFOX_PREFS)
    .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
  await writeFile(join(profile, "user.js"), prefs.join(""));
  return ["--headless", "--no-remote", "--profile", profile, url];
}

// Without a debugging port a headless Chromium ends when the page has loaded.
const chromiumCommand = (profile, url) => ["--headless", "--no-sandbox", "--disable-gpu",
  "--disable-quic", "--no-first-run", "--no-proxy-server", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
  `--user-data-dir=${profile}`, url];

// The other end of page.js.
class Remote {
  reports = new Reports();
  #tasks = [];
  #asking = null; // the response to a page that waits for a task
  #server = createServer((request, response) => this.#serve(request, response));
  #pageIsThere;
  ready = new Promise((resolve) => {
    this.#pageIsThere = resolve;
  });

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${this.#server.address().port}/`;
  }

  async #serve(request, response) {
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Cache-Control", "no-store");
    if (request.url === "/task") {
      this.#asking = response;
      this.#pageIsThere();
      this.#answer();
    } else if (request.url === "/report") {
      const { name, ...what } = JSON.parse((await request.toArray()).join(""));
      this.reports.add(name, what);
      response.end();
    } else {
      response.writeHead(404).end();
    }
  }

  #answer() {
    if (!this.#asking || this.#tasks.length === 0) return;
    this.#asking.end(JSON.stringify(this.#tasks.shift()));
    this.#asking = null;
  }

  send(task) {
    this.#tasks.push(task);
    this.#answer();
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

// A browser is the head of a process group of its own, so that all it has started ends with it.
function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // nobody of it is left
  }
}

const running = new Map(); // browser: its profile

async function endBrowser(child) {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, "exit");
    const killer = setTimeout(() => signalGroup(child, "SIGKILL"), ENDS_WITHIN_MS);
    signalGroup(child, "SIGTERM");
    await ended;
    clearTimeout(killer);
  }
  forgetBrowser(child);
}

// Helpers of the browser may still be writing to the profile.
function forgetBrowser(child) {
  if (child.pid) signalGroup(child, "SIGKILL");
  rmSync(running.get(child), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  running.delete(child);
}

// However this program ends, it leaves neither browsers nor profiles behind.
process.on("exit", () => [...running.keys()].forEach(forgetBrowser));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

async function openBrowser(program, command, serverUrl) {
  const remote = new Remote();
  const driver = await remote.start();
  const profile = await mkdtemp(join(tmpdir(), "libsse-clients-"));
  const url = `${serverUrl}?driver=${encodeURIComponent(driver)}`;
  const child = spawn(program, await command(profile, url), {
    detached: true,
    stdio: "ignore",
    env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: "1" },
  });
  running.set(child, profile);
  const end = async () => {
    if (child.pid) await endBrowser(child);
    remote.stop();
  };
  try {
    await Promise.race([remote.ready,
      once(child, "error").then(([error]) => Promise.reject(error)),
      once(child, "exit").then(([code]) => Promise.reject(new Error(`it ended: ${code}`))),
      new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error("its page does not come")), STARTS_WITHIN_MS).unref();
      })]);
  } catch (error) {
    await end();
    throw new Error(`${program}: ${error.message}`);
  }
  return {
    reports: remote.reports,
    open: (name, source, types) => remote.send({ what: "open", name, url: source, types }),
    close: (name) => remote.send({ what: "close", name }),
    end,
  };
}

export const openChromium = ({ url }) => openBrowser(process.env.CHROMIUM, chromiumCommand, url);
export const openFirefox = ({ url }) => openBrowser(process.env.FIREFOX, firefoxCommand, url);
