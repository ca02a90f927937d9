// SPDX-License-Identifier: MIT
// browser.mjs: what the tests in a real browser share: the browser, a server, checks, screenshots.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const BUILD = process.env.SSE_BUILD;
const PATIENCE_MS = 30000;

// A browser of its own that talks to nobody else, with a profile that is thrown away.
export async function openBrowser(options) {
  const profile = await mkdtemp(join(tmpdir(), "libsse-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  };
  return { context, page: context.pages()[0] ?? await context.newPage(), close };
}

// Firefox, or null where it is not installed. Debian's speaks WebDriver BiDi, but lacks commands
// that newer versions of playwright-core need.
export async function openFirefox() {
  if (!process.env.FIREFOX) return null;
  const { firefox } = await import("playwright-bidi");
  const browser = await firefox.launch({ channel: "moz-firefox",
    executablePath: process.env.FIREFOX });
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE_MS);
  return { context, close: () => browser.close() };
}

// Starts a demo, and waits for its line "...: listening on URL".
export function startServer(name, ...args) {
  const child = spawn(join(BUILD, "examples", name), args, { stdio: ["ignore", "pipe", "inherit"] });
  // A test that ends early leaves no server behind.
  process.on("exit", () => child.kill("SIGKILL"));
  const ended = new Promise((resolve) => {
    child.on("exit", (code) => resolve(code));
  });
  const stop = async () => {
    child.kill("SIGTERM");
    return ended;
  };
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout.on("data", (bytes) => {
      said += bytes;
      const url = said.match(/listening on (\S+)/)?.[1];
      if (url) resolve({ url, port: new URL(url).port, stop });
    });
    ended.then((code) => reject(new Error(`${name} ended with ${code}`)));
  });
}

export async function screenshot(page, name) {
  await page.screenshot({ path: join(BUILD, "browser", `${name}.png`), fullPage: true });
}

let passed = 0;
let failed = 0;

// One test: a name, and a function that throws if it does not hold.
export async function test(name, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error.stack).replaceAll("\n", "\n      ")}`);
  }
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
