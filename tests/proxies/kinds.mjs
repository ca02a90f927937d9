// SPDX-License-Identifier: MIT
// kinds.mjs: nginx, HAProxy and Caddy, as examples/deploy configures them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { join } from "node:path";
import { freePort, isOpen, OUT, patiently, place, run, start, until } from "./harness.mjs";

export const ca = readFileSync(join(OUT, "cert.pem"));
const AS_ROOT = process.getuid() === 0;

// ---- The proxies ----

// edits: the operator's places and ours. timeouts: the lines that end a silent stream. reload: what
// a reload does to the process that has the streams.
export const nginx = {
  name: "nginx",
  file: "nginx.conf",
  edits: ({ port, tlsPort, site }) => [
    ["/run/nginx.pid", join(OUT, "nginx.pid")],
    ["/var/log/nginx", OUT],
    [`/etc/ssl/certs/${site.name}.pem`, join(OUT, "cert.pem")],
    [`/etc/ssl/private/${site.name}.key`, join(OUT, "key.pem")],
    ["listen 80 ", `listen 127.0.0.1:${port} `],
    ["listen 443 ", `listen 127.0.0.1:${tlsPort} `],
    ...site.upstreams,
    // The package's own places may be written by root alone, and are none of ours.
    ["    default_type application/octet-stream;",
      ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((kind) => `    ${kind}_temp_path ${join(OUT, `nginx-${kind}`)};`).join("\n")],
    ["worker_rlimit_nofile 40000;", ""], // more than a container may have
    ["worker_connections 16384;", "worker_connections 512;"],
  ],
  start: (config) => start("nginx", ["-p", OUT, "-c", config, "-g", "daemon off;"], "nginx.log"),
  timeouts: (text) => [["proxy_read_timeout 60s", `proxy_read_timeout ${text}`]],
  unhurried: ["worker_shutdown_timeout 30s", "worker_shutdown_timeout 1s"],
  reload: async (proxy) => { proxy.child.kill("SIGHUP"); },
};

export const haproxy = {
  name: "HAProxy",
  file: "haproxy.cfg",
  edits: ({ port, tlsPort, site }) => [
    ["log /dev/log local0", "log stderr format raw local0"], // which a container has not
    ["maxconn 20000", "maxconn 500"],
    ["bind :80\n", `bind 127.0.0.1:${port}\n`],
    [`bind :443 ssl crt /etc/haproxy/${site.name}.pem`,
      `bind 127.0.0.1:${tlsPort} ssl crt ${join(OUT, "both.pem")}`],
    ...site.upstreams,
    ...AS_ROOT ? [] : ["chroot /var/lib/haproxy", "user haproxy", "group haproxy"]
      .map((line) => [`    ${line}\n`, ""]),
  ],
  start: (config) => start("haproxy", ["-db", "-f", config], "haproxy.log"),
  timeouts: (text) => ["client", "server"].map((side) =>
    [`timeout ${side} 60s`, `timeout ${side} ${text}`]),
  unhurried: ["hard-stop-after 30s", "hard-stop-after 1s"],
  // In the foreground there is no master that starts a successor, so the test does.
  reload: async (proxy) => {
    assert.equal(await proxy.child.stop("SIGUSR1"), 0);
    await proxy.restart();
  },
};

// It has no timeout that ends a silent stream. It writes its state to OUT, and is reloaded through a
// socket.
export const caddy = {
  name: "Caddy",
  file: "Caddyfile",
  edits: ({ port, tlsPort, site }) => [
    ["\tgrace_period 30s", [`\tadmin unix/${join(OUT, `caddy-${port}.sock`)}`, `\thttp_port ${port}`,
      `\thttps_port ${tlsPort}`, "\tdefault_bind 127.0.0.1", "\tskip_install_trust",
      "\tgrace_period 1s"].join("\n")],
    ["localhost {\n", `localhost {\n\ttls ${join(OUT, "cert.pem")} ${join(OUT, "key.pem")}\n`],
    ...site.upstreams,
  ],
  start: (config) => start("env", [`XDG_DATA_HOME=${OUT}`, `XDG_CONFIG_HOME=${OUT}`, "caddy", "run",
    "--adapter", "caddyfile", "--config", config], "caddy.log"),
  reload: async (proxy) => {
    const { status, output } = await run("caddy", ["reload", "--force", "--adapter", "caddyfile",
      "--address", `unix/${join(OUT, `caddy-${proxy.port}.sock`)}`, "--config", proxy.config]);
    assert.equal(status, 0, output);
  },
};

export const proxies = [nginx, haproxy, caddy];
let copies = 0;

const diceRoll = (port) =>
  ({ folder: "", name: "dice-roll", upstreams: [["127.0.0.1:5000", `127.0.0.1:${port}`]] });

// Starts a proxy in front of a port, or of another site than dice-roll, with the shipped
// configuration but for these lines. A site: {folder, name, upstreams}, the last of them edits.
export async function startProxy(kind, upstream, ...changes) {
  const site = typeof upstream === "object" ? upstream : diceRoll(upstream);
  const [port, tlsPort] = [await freePort(), await freePort()];
  copies += 1;
  const config = place(join(site.folder, kind.file),
    [...changes, ...kind.edits({ port, tlsPort, site })], `${copies}-${kind.name}.cfg`);
  const proxy = {
    config,
    port,
    plain: `http://localhost:${port}/`,
    url: `https://localhost:${tlsPort}/`,
    restart: async () => {
      proxy.child = kind.start(config);
      const ended = proxy.child.ended.then((code) => {
        throw new Error(`${kind.name} ended with ${code}: ${OUT}/${kind.name.toLowerCase()}.log`);
      });
      ended.catch(() => {});
      await Promise.race([ended, until(kind.name, () => isOpen(tlsPort))]);
    },
    stop: () => proxy.child.stop(),
  };
  await proxy.restart();
  return proxy;
}

export function fetchText(url) {
  return patiently(new Promise((resolve, reject) => {
    (url.startsWith("https:") ? https : http).get(url, { ca, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => { body += text; })
        .on("end", () => resolve({ status: response.statusCode, headers: response.headers, body }));
    }).on("error", reject);
  }), url);
}
