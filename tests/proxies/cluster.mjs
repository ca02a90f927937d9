// SPDX-License-Identifier: MIT
// cluster.mjs: three nodes of the broadcast server on one Redis, as examples/deploy/broadcast has it.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { userInfo } from "node:os";
import { BUILD, freePort, freshDirectory, isOpen, openStream, patiently, place, run, start, test,
  until } from "./harness.mjs";
import { ca, fetchText, proxies, startProxy } from "./kinds.mjs";

const BROADCAST = join(BUILD, "examples", "broadcast");
const FOLDER = "broadcast";

// ---- Redis, nodes and publishers ----

async function startRedis() {
  const port = await freePort();
  const child = start("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", "",
    "--dir", freshDirectory("redis")], "redis.log");
  child.stdout.resume();
  await until("Redis", () => isOpen(port));
  return { child, url: `redis://127.0.0.1:${port}` };
}

// A node on a port, which a node that is started anew gets again.
function makeNode(port, engine) {
  const node = {
    port,
    url: `http://127.0.0.1:${port}/`,
    start: async () => {
      node.child = start(BROADCAST, ["--port", port, "--engine", engine], "nodes.log");
      node.child.stdout.resume();
      await until(`node ${port}`, async () => await isOpen(port)
        && (await fetchText(`${node.url}health/ready`)).status === 200);
    },
    kill: () => node.child.stop("SIGKILL"),
    // How many clients of a channel it has.
    clients: async (channel) => new Map(JSON.parse((await fetchText(`${node.url}stats`)).body))
      .get(channel) ?? 0,
    publish: async (channel, message) => {
      const answer = await fetch(`${node.url}publish`,
        { method: "POST", body: new URLSearchParams({ channel, message }) });
      assert.equal(answer.status, 200, await answer.text());
    },
  };
  return node;
}

// A client that returns with its last id whenever its stream ends, as an EventSource does.
async function follow(proxy, channel) {
  const client = { events: [], stream: undefined, closed: false };
  const url = `${proxy.url}stream?channel=${channel}`;
  let seen = () => {};
  const live = async () => {
    let lastId = "";
    while (!client.closed) {
      const stream = await openStream(url, { ca, lastId });
      client.stream = stream;
      assert.equal(stream.status, 200);
      let told = 0;
      const ended = stream.ended.then(() => true);
      const take = () => {
        client.events.push(...stream.events.slice(told).map(({ type, data }) => ({ type, data })));
        told = stream.events.length;
        seen();
      };
      for (let over = false; !over;) {
        over = await Promise.race([ended, stream.when("an event", () =>
          stream.events.length > told || stream.over).then(() => stream.over, () => true)]);
        take();
      }
      lastId = stream.lastId || lastId;
    }
  };
  client.life = live();
  client.life.catch(() => {});
  client.has = (count) => patiently(Promise.race([client.life, new Promise((resolve) => {
    seen = () => { if (client.events.length >= count) resolve(); };
    seen();
  })]), `${count} events`);
  client.close = async () => {
    client.closed = true;
    client.stream.close();
    await patiently(client.life, "the end of the client");
  };
  return client;
}

const messages = (first, last) => Array.from({ length: last - first + 1 },
  (_, index) => ({ type: "message", data: String(first + index) }));

const hasRedis = (await run(BROADCAST, ["--version"])).output.includes(" redis");
if (!hasRedis) console.log("skip  the broadcast server was built without hiredis");

// ---- Proxies ----

for (const kind of hasRedis ? proxies : []) {
  await test(`${kind.name}: a node is killed, and its client goes on at another`, async () => {
    const redis = await startRedis();
    const nodes = [];
    for (let i = 0; i < 3; i += 1) {
      nodes.push(makeNode(String(await freePort()), `${redis.url}?key=${kind.name}`));
      await nodes[i].start();
    }
    const proxy = await startProxy(kind, { folder: FOLDER, name: "broadcast",
      upstreams: nodes.map(({ port }, i) => [`127.0.0.1:${8888 + i}`, `127.0.0.1:${port}`]) });
    // The proxy may have to look at the nodes first.
    await until("a node behind the proxy", async () =>
      (await fetchText(`${proxy.url}position`)).status === 200);

    const client = await follow(proxy, "news");
    const holders = async () => {
      const counts = await Promise.all(nodes.map((node) =>
        node.child.over ? 0 : node.clients("news")));
      return nodes.filter((_, i) => counts[i] > 0);
    };
    let count = 0;
    const publishAt = async (node) => {
      count += 1;
      await node.publish("news", String(count));
    };
    for (let round = 0; round < 2; round += 1) {
      await until("the client at a node", async () => (await holders()).length === 1);
      for (const node of nodes) await publishAt(node);
      await client.has(count);
      const [holder] = await holders();
      const others = nodes.filter((node) => node !== holder);
      await holder.kill();
      for (const node of others) await publishAt(node);
      await client.has(count);
      await holder.start();
    }
    assert.deepEqual(client.events, messages(1, count));

    await client.close();
    await hasNoNode(proxy, nodes);
    await proxy.stop();
    await redis.child.stop();
  });
}

// What a browser is given while there is no node.
async function hasNoNode(proxy, nodes) {
  await Promise.all(nodes.map((node) => node.kill()));
  const origin = "https://other.example";
  const answer = await openStream(`${proxy.url}stream?channel=news`, { ca, origin });
  await patiently(answer.ended, "the end of the answer");
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["content-type"], "text/event-stream");
  assert.equal(answer.headers["access-control-allow-origin"], origin);
  assert.equal(answer.retry, "3000");
  assert.ok((await fetchText(`${proxy.url}position`)).status >= 502);
}

// ---- What keeps nodes running ----

const me = userInfo().username;

const hasAnalyze = await run("systemd-analyze", ["--version"]).then(() => true, () => false);
if (hasAnalyze) {
  await test("systemd-analyze: the unit of a node is valid, and exposes little", async () => {
    const unit = place(join(FOLDER, "broadcast@.service"),
      [["/usr/local/bin/broadcast", BROADCAST]], "broadcast@8888.service");
    assert.deepEqual(await run("systemd-analyze", ["verify", "--man=no", unit]),
      { status: 0, output: "" });
    // In tenths, as for dice-roll.
    const security = await run("systemd-analyze",
      ["security", "--offline=true", "--no-pager", "--threshold=20", unit]);
    assert.equal(security.status, 0, security.output);
  });
} else {
  console.log("skip  systemd-analyze is not there");
}

await test("supervisord: three nodes, and one is back after a crash", async () => {
  const directory = freshDirectory("supervisor-broadcast");
  const config = join(directory, "broadcast.conf");
  writeFileSync(config, "engine = memory\n");
  // Three ports in a row that are free now.
  let first;
  do first = await freePort();
  while ((await Promise.all([1, 2].map((i) => isOpen(first + i)))).includes(true));
  const program = place(join(FOLDER, "supervisor.conf"), [
    ["/usr/local/bin/broadcast", BROADCAST],
    ["/etc/broadcast.conf", config],
    ["numprocs_start=8888", `numprocs_start=${first}`],
    ["user=nobody", `user=${me}`], // the tree may not be for everyone
    ["/var/log/supervisor", directory],
  ], "supervisor-broadcast/program.conf");
  const socket = join(directory, "socket");
  const daemon = join(directory, "supervisord.conf");
  writeFileSync(daemon, `[unix_http_server]
file=${socket}
[supervisord]
logfile=${directory}/supervisord.log
pidfile=${directory}/supervisord.pid
childlogdir=${directory}
${process.getuid() === 0 ? "user=root" : ""}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${socket}
[include]
files=${program}
`);
  const child = start("supervisord", ["--nodaemon", "--configuration", daemon], "supervisord.log");
  const pid = async (port) => Number((await run("supervisorctl",
    ["--configuration", daemon, "pid", `broadcast:${port}`])).output);
  const isLive = async (port) => await isOpen(port)
    && (await fetchText(`http://127.0.0.1:${port}/health/live`)).status === 200;
  const ports = [first, first + 1, first + 2];
  for (const port of ports) await until(`node ${port}`, () => isLive(port));
  const before = await pid(first);
  process.kill(before, "SIGKILL");
  await until("another process", async () => {
    const now = await pid(first);
    return now > 0 && now !== before;
  });
  await until(`node ${first}`, () => isLive(first));
  assert.equal(await child.stop(), 0);
  for (const port of ports) assert.equal(await isOpen(port), false);
});

await test("rc.d: a node is started and stopped, with a stub of rc.subr", async () => {
  const directory = freshDirectory("rc-broadcast");
  const port = await freePort();
  const conf = join(directory, "rc.conf");
  const file = join(directory, "broadcast.conf");
  const pidFile = join(directory, "broadcast.pid");
  writeFileSync(file, `port = ${port}\n`);
  writeFileSync(conf, `broadcast_enable=YES
broadcast_user=${me}
`);
  const stubs = resolve("tests/proxies");
  const script = place(join(FOLDER, "broadcast"), [
    ["/etc/rc.subr", join(stubs, "rc.subr")],
    ["/usr/sbin/daemon", join(stubs, "daemon")],
    ["/usr/local/bin/broadcast", BROADCAST],
    ["/usr/local/etc/broadcast.conf", file],
    ["/var/run", directory],
  ], "rc-broadcast/broadcast");
  const rc = (...args) => run("sh", [script, ...args], { env: { ...process.env, rc_conf: conf } });
  assert.deepEqual(await rc("start"), { status: 0, output: `Starting broadcast as ${me}.\n` });
  const pid = Number(readFileSync(pidFile, "utf8"));
  try {
    await until("the node", () => isOpen(port));
    assert.equal((await rc("status")).output, `broadcast is running as pid ${pid}.\n`);
  } finally {
    assert.equal((await rc("stop")).status, 0);
  }
  assert.equal(await isOpen(port), false);
});

for (const [tool, ...args] of [["checkbashisms"], ["shellcheck", "--severity=warning",
  "--exclude=SC2034"]]) { // what rc.subr reads seems unused
  const there = await run(tool, ["--version"]).then(() => true, () => false);
  if (!there) console.log(`skip  ${tool} is not there`);
  else {
    await test(`rc.d: ${tool} finds nothing in broadcast`, async () => {
      const { status, output } = await run(tool, [...args, "examples/deploy/broadcast/broadcast"]);
      assert.deepEqual({ status, output }, { status: 0, output: "" });
    });
  }
}
