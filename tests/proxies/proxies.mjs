// SPDX-License-Identifier: MIT
// proxies.mjs: dice-roll behind nginx, HAProxy and Caddy, as examples/deploy configures them.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { assertExact, freePort, isOpen, openSession, openStream, openStreamOn, OUT, patiently,
  start, startDice, test, until } from "./harness.mjs";
import { ca, caddy, fetchText, haproxy, nginx, proxies, startProxy } from "./kinds.mjs";

const modules = createRequire(join(OUT, "..", "proxies-npm", "package.json"));
const AS_ROOT = process.getuid() === 0;

// ---- Clients ----

// The two ways in which a browser opens a stream.
const fronts = [
  { name: "HTTP/1.1", open: (proxy, lastId, origin) =>
    openStream(`${proxy.url}stream/`, { ca, lastId, origin }) },
  { name: "HTTP/2", open: async (proxy, lastId, origin) => {
    const session = await openSession(proxy.url, ca);
    assert.equal(session.alpnProtocol, "h2");
    session.on("error", () => {}); // the proxy may go away
    const stream = await openStreamOn(session, "/stream/", lastId, origin);
    const close = stream.close;
    stream.close = () => { close(); session.close(); };
    return stream;
  } },
];

// How much later than the direct stream a proxied one had each event: the median, in ms.
function lag(stream, direct) {
  const lags = stream.events.filter(({ seq }) => direct.has(seq))
    .map(({ seq, at }) => at - direct.get(seq)).sort((a, b) => a - b);
  return lags[Math.floor(lags.length / 2)];
}

// ---- Events arrive at once ----

const EVENTS = 10;
const AT_ONCE_MS = 100; // of 400 from one event to the next

for (const kind of proxies) {
  await test(`${kind.name}: events arrive at once, with default buffering`, async () => {
    const dice = await startDice("--port", "0", "--interval", "0.4");
    const proxy = await startProxy(kind, dice.port);
    const direct = await openStream(`${dice.url}stream/`);
    const streams = await Promise.all(fronts.map((front) => front.open(proxy)));
    await Promise.all([direct, ...streams].map((stream) => stream.has(EVENTS)));
    const published = new Map(direct.events.map(({ seq, at }) => [seq, at]));
    for (const stream of streams) {
      assert.equal(stream.status, 200);
      assert.equal(stream.headers["content-type"], "text/event-stream");
      assert.ok(lag(stream, published) < AT_ONCE_MS, `${lag(stream, published)} ms late`);
      // None waits until the next one pushes it.
      for (const { seq, at } of stream.events) {
        assert.ok(!published.has(seq + 1) || at < published.get(seq + 1), `${seq} was pushed`);
      }
      stream.close();
    }
    await proxy.stop();
    assert.equal(await dice.stop(), 0);
  });
}

await test("nginx: X-Accel-Buffering does it: where that is ignored, events wait", async () => {
  const dice = await startDice("--port", "0", "--interval", "0.05");
  const proxy = await startProxy(nginx, dice.port, ["proxy_read_timeout 60s;",
    "proxy_read_timeout 60s; proxy_ignore_headers X-Accel-Buffering;"]);
  const direct = await openStream(`${dice.url}stream/`);
  let stream;
  // Not even the head comes, so this is not waited for yet.
  const opened = fronts[0].open(proxy).then((result) => { stream = result; });
  await direct.has(2 * EVENTS);
  assert.equal(stream?.events.length ?? 0, 0);
  // What waited is there when the program ends.
  assert.equal(await dice.stop(), 0);
  await opened;
  await patiently(stream.ended, "the end of the stream");
  assert.ok(stream.events.length >= EVENTS);
  await proxy.stop();
});

// A program that streams in chunks, as hosts other than the demo's do.
async function startChunked() {
  const sent = new Map();
  const server = http.createServer((request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    let seq = 0;
    const timer = setInterval(() => {
      seq += 1;
      sent.set(seq, performance.now());
      response.write(`data: {}\nid: x.${seq}\n\n`);
    }, 400);
    response.on("close", () => clearInterval(timer));
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  return { sent, port: server.address().port, close: () => server.close() };
}

async function lagOfChunks(...changes) {
  const chunked = await startChunked();
  const proxy = await startProxy(haproxy, chunked.port,
    ["    http-request redirect scheme https code 301 unless { ssl_fc }\n", ""], ...changes);
  const stream = await openStream(`${proxy.plain}stream/`);
  await stream.has(5);
  stream.close();
  await proxy.stop();
  chunked.close();
  return lag(stream, chunked.sent);
}

await test("HAProxy: chunks without TLS need http-no-delay, or wait 200 ms", async () => {
  const [shipped, without] = await Promise.all([lagOfChunks(),
    lagOfChunks(["    option http-no-delay\n", ""])]);
  assert.ok(shipped < AT_ONCE_MS, `${shipped} ms late`);
  assert.ok(without > AT_ONCE_MS, `only ${without} ms late without it`);
});

// ---- Compression ----

// Caddy 2.6.2 does not know no-transform; its file says how to leave the streams out.
const ENCODE = readFileSync("examples/deploy/Caddyfile", "utf8")
  .match(/^\t# {4}(@pages .*)\n\t# {4}(encode .*)$/m).slice(1).join("\n\t");

// Proxies that compress text/event-stream if they may. Those with a `coding` take no notice of
// no-transform (RFC 9111, 5.2.2.6), but flush what has come.
const compressors = [
  { name: "nginx, gzip", coding: "gzip", start: (upstream) => startProxy(nginx, upstream,
    ["    access_log ", "    gzip on;\n    gzip_types text/event-stream;\n    access_log "]) },
  { name: "HAProxy, compression", start: (upstream) => startProxy(haproxy, upstream,
    ["    option http-no-delay\n", "    option http-no-delay\n    compression algo gzip\n" +
      "    compression type text/event-stream\n"]) },
  { name: "Caddy, encode as its file says", start: (upstream) => startProxy(caddy, upstream,
    ["reverse_proxy 127.0.0.1:5000", `${ENCODE}\n\treverse_proxy 127.0.0.1:5000`]) },
  { name: "Apache, mod_deflate", coding: "gzip", start: startApache },
  { name: "Node, compression", start: startNode },
];

async function startApache(upstream) {
  const port = await freePort();
  const config = join(OUT, `apache-${port}.conf`);
  const loaded = ["mpm_event", "authz_core", "proxy", "proxy_http", "filter", "deflate"]
    .map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`);
  writeFileSync(config, [...loaded, `ServerRoot ${OUT}`, "ServerName localhost",
    `Listen 127.0.0.1:${port}`, `PidFile ${join(OUT, `apache-${port}.pid`)}`,
    `ErrorLog ${join(OUT, "apache.log")}`,
    ...AS_ROOT ? ["User www-data", "Group www-data"] : [],
    `ProxyPass / http://127.0.0.1:${upstream}/`, "SetOutputFilter DEFLATE", ""].join("\n"));
  const child = start("apache2", ["-X", "-f", config], "apache2.log");
  await until("Apache", () => isOpen(port));
  // It is one process, which would wait for the silent stream of a client that has left.
  return { url: `http://localhost:${port}/`, stop: () => child.stop("SIGKILL") };
}

// The middleware that programs with Express use, and the proxy that they use with it.
async function startNode(upstream) {
  const compress = modules("compression")();
  const proxy = modules("http-proxy").createProxyServer({ target: `http://127.0.0.1:${upstream}` });
  proxy.on("error", () => {});
  const server = http.createServer((request, response) => {
    compress(request, response, () => proxy.web(request, response));
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  return { url: `http://127.0.0.1:${server.address().port}/`,
    stop: () => { server.close(); server.closeAllConnections(); } };
}

const openCompressed = (proxy, lastId) =>
  openStream(`${proxy.url}stream/`, { ca, lastId, codings: "gzip, deflate, br, zstd" });

// Neither head nor first block needs an event that pushes it.
async function beginsInSilence(kind) {
  const dice = await startDice("--port", "0", "--interval", "3600", "--heartbeat", "3600");
  const proxy = await kind.start(dice.port);
  const stream = await openCompressed(proxy);
  assert.equal(stream.headers["content-encoding"], kind.coding);
  assert.match(stream.headers["cache-control"], /\bno-transform\b/);
  await stream.when("the first block", () => stream.retry && stream.lastId);
  stream.close();
  await proxy.stop();
  assert.equal(await dice.stop(), 0);
}

const REPLAYED = 12; // over 512 bytes, from which on Caddy compresses

// Neither an event nor a replay waits for the next event, of which each comes 400 ms later.
async function comesAtOnce(kind) {
  const dice = await startDice("--port", "0", "--interval", "0.4");
  const proxy = await kind.start(dice.port);
  const direct = await openStream(`${dice.url}stream/`);
  const live = await openCompressed(proxy);
  await direct.has(REPLAYED);
  const replay = await openCompressed(proxy, direct.events[0].id);
  const last = direct.events.at(-1).seq + 5;
  await Promise.all([direct, live, replay].map((stream) => stream.reaches(last)));
  const published = new Map(direct.events.map(({ seq, at }) => [seq, at]));
  for (const stream of [live, replay]) {
    assertExact(stream.events, stream.events[0].seq, last, direct);
    for (const { seq, at } of stream.events.slice(stream === replay ? REPLAYED : 0)) {
      assert.ok(!published.has(seq + 1) || at < published.get(seq + 1), `${seq} was pushed`);
    }
    stream.close();
  }
  assert.equal(replay.events[0].seq, direct.events[0].seq + 1);
  await proxy.stop();
  assert.equal(await dice.stop(), 0);
}

const compressed = compressors.map((kind) => [kind, beginsInSilence(kind), comesAtOnce(kind)]);
for (const [, first, second] of compressed) [first, second].forEach((result) => result.catch(() => {}));
for (const [kind, first, second] of compressed) {
  await test(`${kind.name}: head and first block come in silence`, () => first);
  await test(`${kind.name}: events come at once, also after a replay`, () => second);
}

await test("Node, compression: without no-transform not even the head comes", async () => {
  const chunked = await startChunked();
  const proxy = await startNode(chunked.port);
  let came = false;
  openCompressed(proxy).then(() => { came = true; }, () => {});
  await until("five events", () => chunked.sent.size >= 5);
  assert.equal(came, false);
  await proxy.stop();
  chunked.close();
});

// ---- Timeouts and the heartbeat ----

const HEARTBEATS = 7; // of a second each, against timeouts of three

async function outlives(kind, front) {
  const dice = await startDice("--port", "0", "--interval", "3600", "--heartbeat", "1");
  const proxy = await startProxy(kind, dice.port, ...kind.timeouts("3s"));
  const stream = await front.open(proxy);
  await stream.when(`${HEARTBEATS} heartbeats`, () => stream.comments >= HEARTBEATS);
  stream.close();
  await proxy.stop();
  assert.equal(await dice.stop(), 0);
}

async function isCut(kind, front) {
  const dice = await startDice("--port", "0", "--interval", "3600", "--heartbeat", "3600");
  const proxy = await startProxy(kind, dice.port, ...kind.timeouts("3s"));
  const stream = await front.open(proxy);
  await patiently(stream.ended, "the proxy to cut the stream");
  assert.equal(stream.comments, 0);
  await proxy.stop();
  assert.equal(await dice.stop(), 0);
}

const each = (check, kind) => Promise.all(fronts.map((front) => check(kind, front)));
const inTime = proxies.filter((kind) => kind.timeouts).map((kind) => [kind, each(outlives, kind), each(isCut, kind)]);
for (const [, outlived, cut] of inTime) [outlived, cut].forEach((result) => result.catch(() => {}));
for (const [kind, outlived, cut] of inTime) {
  await test(`${kind.name}: a heartbeat of 1 s outlives timeouts of 3 s`, () => outlived);
  await test(`${kind.name}: without a heartbeat the same timeouts cut the stream`, () => cut);
}

// ---- HTTP/2, and clients that go away ----

const CROWD = 20;

for (const kind of proxies) {
  await test(`${kind.name}: curl --http2 is answered with HTTP/2 and hears events`, async () => {
    const dice = await startDice("--port", "0", "--interval", "0.05");
    const proxy = await startProxy(kind, dice.port);
    const curl = start("curl", ["--http2", "--silent", "--show-error", "--no-buffer", "--include",
      "--cacert", join(OUT, "cert.pem"), `${proxy.url}stream/`], "curl.log");
    let said = "";
    curl.stdout.on("data", (bytes) => { said += bytes; });
    await until("three events", () => said.split("\ndata: {").length > 3);
    assert.match(said, /^HTTP\/2 200 \r\n/);
    await curl.stop();
    await proxy.stop();
    assert.equal(await dice.stop(), 0);
  });

  await test(`${kind.name}: ${CROWD} streams on one HTTP/2 connection end with it`, async () => {
    const dice = await startDice("--port", "0", "--interval", "0.05");
    const proxy = await startProxy(kind, dice.port);
    const direct = await openStream(`${dice.url}stream/`);
    const before = dice.sockets();
    const session = await openSession(proxy.url, ca);
    const streams = await Promise.all(Array.from({ length: CROWD },
      () => openStreamOn(session, "/stream/")));
    assert.equal(session.alpnProtocol, "h2");
    await Promise.all(streams.map((stream) => stream.has(1)));
    assert.equal(dice.sockets(), before + CROWD);
    const last = Math.max(...streams.map((stream) => stream.events[0].seq)) + EVENTS;
    await Promise.all([direct, ...streams].map((stream) => stream.reaches(last)));
    for (const { events } of streams) assertExact(events, events[0].seq, last, direct);
    session.destroy();
    await until("the server to notice", () => dice.sockets() === before);
    await proxy.stop();
    assert.equal(await dice.stop(), 0);
  });

  for (const front of fronts) {
    // HAProxy notices an HTTP/1.1 client that has gone by the next writes: heartbeats, here.
    const heartbeat = kind === haproxy && front === fronts[0] ? "0.5" : "3600";
    const how = heartbeat === "3600" ? "at once" : "by the heartbeat";
    await test(`${kind.name}: a client on ${front.name} goes away: the server notices ${how}`,
      async () => {
        const dice = await startDice("--port", "0", "--interval", "3600", "--heartbeat", heartbeat);
        const proxy = await startProxy(kind, dice.port);
        const before = dice.sockets();
        const streams = [await front.open(proxy), await front.open(proxy)];
        assert.equal(dice.sockets(), before + 2);
        streams[0].close();
        await until("the server to notice", () => dice.sockets() === before + 1);
        streams[1].close();
        await until("the server to notice", () => dice.sockets() === before);
        await proxy.stop();
        assert.equal(await dice.stop(), 0);
      });
  }
}

await test("Caddy: with flush_interval -1 the server notices by the heartbeat", async () => {
  const dice = await startDice("--port", "0", "--interval", "3600", "--heartbeat", "0.5");
  const proxy = await startProxy(caddy, dice.port, ["reverse_proxy 127.0.0.1:5000",
    "reverse_proxy 127.0.0.1:5000 {\n\t\tflush_interval -1\n\t}"]);
  const before = dice.sockets();
  const stream = await fronts[0].open(proxy);
  assert.equal(dice.sockets(), before + 1);
  stream.close();
  await until("the server to notice", () => dice.sockets() === before);
  await proxy.stop();
  assert.equal(await dice.stop(), 0);
});

// ---- Resume ----

// Each front loses its stream and comes back with its last id, after the server has gone on.
async function comesBackExactly(kind, changes, interrupt) {
  const dice = await startDice("--port", "0", "--interval", "0.02");
  const proxy = await startProxy(kind, dice.port, ...changes);
  const direct = await openStream(`${dice.url}stream/`);
  const first = await Promise.all(fronts.map((front) => front.open(proxy)));
  await Promise.all(first.map((stream) => stream.has(EVENTS)));
  await interrupt(proxy);
  await Promise.all(first.map((stream) => patiently(stream.ended, "the stream to be cut")));
  const missed = Math.max(...first.map((stream) => stream.events.at(-1).seq)) + EVENTS;
  await direct.reaches(missed);
  if (proxy.child.over) await proxy.restart();
  const second = await Promise.all(fronts.map((front, i) => front.open(proxy, first[i].lastId)));
  const last = missed + EVENTS;
  await Promise.all([direct, ...second].map((stream) => stream.reaches(last)));
  fronts.forEach((front, i) => {
    assertExact([...first[i].events, ...second[i].events], first[i].events[0].seq, last, direct);
    // Something was missed.
    assert.ok(second[i].events[0].seq <= missed - EVENTS + 1);
    second[i].close();
  });
  await proxy.stop();
  assert.equal(await dice.stop(), 0);
}

// The streams stay open through a reload.
async function goesOn(kind) {
  const dice = await startDice("--port", "0", "--interval", "0.02");
  const proxy = await startProxy(kind, dice.port);
  const direct = await openStream(`${dice.url}stream/`);
  const streams = await Promise.all(fronts.map((front) => front.open(proxy)));
  await Promise.all(streams.map((stream) => stream.has(EVENTS)));
  await kind.reload(proxy);
  const last = Math.max(...streams.map((stream) => stream.events.at(-1).seq)) + 2 * EVENTS;
  await Promise.all([direct, ...streams].map((stream) => stream.reaches(last)));
  for (const stream of streams) {
    assertExact(stream.events, stream.events[0].seq, last, direct);
    stream.close();
  }
  await proxy.stop();
  assert.equal(await dice.stop(), 0);
}

await test("Caddy reloads: streams go on", () => goesOn(caddy));

for (const kind of proxies) {
  await test(`${kind.name} restarts: exactly the missed events arrive`,
    () => comesBackExactly(kind, [], (proxy) => proxy.stop()));
  if (kind.unhurried) {
    await test(`${kind.name} reloads: streams end in time, and exactly the missed events arrive`,
      () => comesBackExactly(kind, [kind.unhurried], kind.reload));
  }

  await test(`${kind.name}: while the program is away browsers are told to try again`, async () => {
    let dice = await startDice("--port", "0", "--interval", "0.02");
    const proxy = await startProxy(kind, dice.port);
    const stream = await fronts[1].open(proxy);
    await stream.has(EVENTS);
    assert.equal(await dice.stop(), 0);
    await patiently(stream.ended, "the end of the stream");
    const origins = [undefined, "https://other.example"];
    for (const [front, origin] of fronts.flatMap((one) => origins.map((other) => [one, other]))) {
      const answer = await front.open(proxy, stream.lastId, origin);
      await patiently(answer.ended, "the end of the answer");
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["content-type"], "text/event-stream");
      assert.match(answer.headers["cache-control"], /^no-store/);
      assert.equal(answer.retry, "3000");
      // A page of another origin, with or without cookies, takes an answer without them for the end.
      assert.equal(answer.headers["access-control-allow-origin"], origin);
      if (origin) assert.equal(answer.headers["access-control-allow-credentials"], "true");
      assert.match(answer.headers.vary, /\bOrigin\b/);
      assert.deepEqual(answer.events, []);
    }
    // A page is another matter.
    assert.ok((await fetchText(proxy.url)).status >= 502);
    dice = await startDice("--port", dice.port, "--interval", "0.02");
    const back = await fronts[1].open(proxy, stream.lastId);
    await back.has(EVENTS);
    assert.deepEqual(back.events.map(({ type }) => type),
      ["gap", ...Array(back.events.length - 1).fill("message")]);
    assert.equal(JSON.parse(back.events[0].data).reason, "restart");
    await proxy.stop();
    assert.equal(await dice.stop(), 0);
  });

  await test(`${kind.name}: the page comes over TLS, and plain HTTP is sent there`, async () => {
    const dice = await startDice("--port", "0", "--interval", "0.02");
    const proxy = await startProxy(kind, dice.port);
    const page = await fetchText(proxy.url);
    assert.equal(page.status, 200);
    assert.match(page.headers["content-type"], /^text\/html/);
    const plain = await fetchText(`${proxy.plain}stream/`);
    assert.equal(plain.status, kind === caddy ? 308 : 301);
    assert.match(plain.headers.location, /^https:\/\/localhost(:\d+)?\/stream\/$/);
    await proxy.stop();
    assert.equal(await dice.stop(), 0);
  });
}
