// SPDX-License-Identifier: MIT
// services.mjs: what keeps dice-roll running: supervisord, systemd and FreeBSD's rc.
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { BUILD, freePort, freshDirectory, isOpen, openStream, OUT, place, run, start, test, until }
  from "./harness.mjs";

const DICE = join(BUILD, "examples", "dice-roll");
const me = userInfo().username;

const isAlive = (pid) => existsSync(`/proc/${pid}`)
  && !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));

async function hearsRolls(port) {
  const stream = await openStream(`http://127.0.0.1:${port}/stream/`);
  await stream.has(2);
  stream.close();
}

// ---- supervisord ----

// Whom the program runs as: nobody, as shipped, if that user can reach it in this tree.
async function canBeRunByNobody() {
  if (process.getuid() !== 0) return false;
  const { status } = await run("setpriv", ["--reuid=nobody", "--clear-groups", DICE, "--help"])
    .catch(() => ({ status: 1 }));
  return status === 0;
}

async function startSupervisor(port) {
  const directory = freshDirectory("supervisor");
  const asNobody = await canBeRunByNobody();
  const program = place("supervisor.conf", [
    ["/usr/local/bin/dice-roll", DICE],
    ["--port 5000", `--port ${port}`],
    ["/var/log/supervisor", directory],
    ...asNobody ? [] : [["user=nobody", `user=${me}`]],
  ], "supervisor/dice-roll.conf");
  const config = join(directory, "supervisord.conf");
  const socket = join(directory, "socket");
  writeFileSync(config, `[unix_http_server]
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
  const child = start("supervisord", ["--nodaemon", "--configuration", config], "supervisord.log");
  const control = (...args) => run("supervisorctl", ["--configuration", config, ...args]);
  const pid = async () => Number((await control("pid", "dice-roll")).output);
  const is = (state) => until(state, async () =>
    (await control("status", "dice-roll")).output.includes(` ${state} `));
  return { child, control, pid, is, asNobody, log: join(directory, "dice-roll.log") };
}

await test("supervisord: start, restart, back after a crash, stop with status 0", async () => {
  const port = await freePort();
  const supervisor = await startSupervisor(port);
  await supervisor.is("RUNNING");
  await hearsRolls(port);
  const first = await supervisor.pid();
  const { uid } = statSync(`/proc/${first}`);
  assert.equal(uid !== process.getuid(), supervisor.asNobody);
  assert.match(readFileSync(supervisor.log, "utf8"), /^dice-roll: listening on http:/);

  assert.equal((await supervisor.control("restart", "dice-roll")).status, 0);
  const second = await supervisor.pid();
  assert.notEqual(second, first);
  await hearsRolls(port);

  process.kill(second, "SIGKILL");
  await until("another process", async () => ![0, second].includes(await supervisor.pid()));
  await supervisor.is("RUNNING");
  await hearsRolls(port);

  // With a stream open, which must not keep it from ending.
  const stream = await openStream(`http://127.0.0.1:${port}/stream/`);
  const third = await supervisor.pid();
  assert.equal((await supervisor.control("stop", "dice-roll")).status, 0);
  await stream.ended;
  await supervisor.is("STOPPED");
  assert.ok(!isAlive(third));
  assert.equal(await isOpen(port), false);
  const log = readFileSync(join(OUT, "supervisor/supervisord.log"), "utf8");
  assert.match(log, /stopped: dice-roll \(exit status 0\)/);
  assert.doesNotMatch(log, /killing 'dice-roll'/); // that would be SIGKILL after stopwaitsecs

  assert.equal((await supervisor.control("start", "dice-roll")).status, 0);
  await hearsRolls(port);
  const last = await supervisor.pid();
  assert.equal(await supervisor.child.stop(), 0);
  assert.ok(!isAlive(last));
});

await test("supervisord: a port in use is FATAL after retries, and the log says why", async () => {
  const port = await freePort();
  const other = start(DICE, ["--port", String(port)], "other.log");
  await until("dice-roll", () => isOpen(port));
  const supervisor = await startSupervisor(port);
  await supervisor.is("FATAL");
  assert.match(readFileSync(supervisor.log, "utf8"), /cannot listen on 127\.0\.0\.1 port .*in use/);
  assert.equal(await supervisor.child.stop(), 0);
  assert.equal(await other.stop(), 0);
});

// ---- systemd ----

const hasAnalyze = await run("systemd-analyze", ["--version"]).then(() => true, () => false);
if (hasAnalyze) {
  await test("systemd-analyze: the unit is valid, and exposes little", async () => {
    const unit = place("dice-roll.service", [["/usr/local/bin/dice-roll", DICE]]);
    assert.deepEqual(await run("systemd-analyze", ["verify", "--man=no", unit]),
      { status: 0, output: "" });
    // In tenths: above 2.0 of 10 it fails. A unit without any of these lines has 9.6.
    const security = await run("systemd-analyze",
      ["security", "--offline=true", "--no-pager", "--threshold=20", unit]);
    assert.equal(security.status, 0, security.output);
  });
} else {
  console.log("skip  systemd-analyze is not there");
}

// ---- FreeBSD's rc ----

await test("rc.d: start, status, restart, stop, with a stub of rc.subr and daemon(8)", async () => {
  const directory = freshDirectory("rc");
  const port = await freePort();
  const conf = join(directory, "rc.conf");
  const stubs = resolve("tests/proxies");
  const script = place("dice_roll", [
    ["/etc/rc.subr", join(stubs, "rc.subr")],
    ["/usr/sbin/daemon", join(stubs, "daemon")],
    ["/usr/local/bin/dice-roll", DICE],
    ["/var/run", directory],
  ], "rc/dice_roll");
  const rc = (...args) => run("sh", [script, ...args], { env: { ...process.env, rc_conf: conf } });
  const pidOf = () => Number(readFileSync(join(directory, "dice_roll.pid"), "utf8"));

  assert.equal((await run("sh", ["-n", script])).status, 0);
  writeFileSync(conf, "");
  assert.match((await rc("start")).output, /Set dice_roll_enable to YES/);
  assert.ok(!existsSync(join(directory, "dice_roll.pid")));

  writeFileSync(conf, `dice_roll_enable=YES
dice_roll_user=${me}
dice_roll_flags="--port ${port} --interval 0.05"
`);
  assert.equal((await rc("status")).status, 1);
  const started = await rc("start");
  assert.deepEqual(started, { status: 0, output: `Starting dice_roll as ${me}.\n` });
  const first = pidOf();
  try {
    await until("dice-roll", () => isOpen(port));
    await hearsRolls(port);
    assert.equal((await rc("status")).output, `dice_roll is running as pid ${first}.\n`);
    assert.equal((await rc("start")).status, 1);
    assert.equal(pidOf(), first);
    assert.equal((await rc("restart")).status, 0);
    assert.ok(!isAlive(first));
    await until("dice-roll", () => isOpen(port));
    await hearsRolls(port);
    assert.equal((await rc("stop")).status, 0);
    assert.equal(await isOpen(port), false);
    assert.equal((await rc("status")).status, 1);
  } finally {
    // It is nobody's child any more, so it is not among those that end with the tests.
    if (isAlive(pidOf())) process.kill(pidOf(), "SIGTERM");
  }
});

// The defaults are words of the program, not of daemon(8), to which rc.subr gives the flags.
await test("rc.d: without a word in rc.conf the program gets its default options", async () => {
  const directory = freshDirectory("rc-defaults");
  const conf = join(directory, "rc.conf");
  const script = place("dice_roll", [
    ["/etc/rc.subr", resolve("tests/proxies/rc.subr")],
    ["/usr/sbin/daemon", "echo"],
    ["install -o", "echo install -o"],
  ], "rc-defaults/dice_roll");
  writeFileSync(conf, "dice_roll_enable=YES\n");
  const { output } = await run("sh", [script, "start"], { env: { ...process.env, rc_conf: conf } });
  assert.equal(output, [
    "install -o nobody -m 644 /dev/null /var/run/dice_roll.pid",
    "Starting dice_roll as nobody.",
    "-p /var/run/dice_roll.pid -T dice-roll /usr/local/bin/dice-roll "
      + "--listen 127.0.0.1 --port 5000 --threads 2",
    ""].join("\n"));
});

for (const [tool, ...args] of [["checkbashisms"], ["shellcheck", "--severity=warning",
  "--exclude=SC2034"]]) { // what rc.subr reads seems unused
  const there = await run(tool, ["--version"]).then(() => true, () => false);
  if (!there) console.log(`skip  ${tool} is not there`);
  else {
    await test(`rc.d: ${tool} finds nothing`, async () => {
      const { status, output } = await run(tool, [...args, "examples/deploy/dice_roll"]);
      assert.deepEqual({ status, output }, { status: 0, output: "" });
    });
  }
}
