// SPDX-License-Identifier: MIT
// main.mjs: tries every scenario with every client, or with those that are named.
import { CLIENTS } from "./clients.mjs";
import { SCENARIOS } from "./scenarios.mjs";
import { Stage, startServer } from "./stage.mjs";

// A browser has six connections to a server at most.
const SIDE_BY_SIDE = 5;

const count = { passed: 0, failed: 0 };

// One check: whatever it throws is a failure that is told, and the rest goes on.
async function check(name, body) {
  try {
    const told = await body();
    count.passed += 1;
    console.log(`ok    ${name}${typeof told === "string" ? `: ${told}` : ""}`);
    return told;
  } catch (error) {
    count.failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error.stack).replaceAll("\n", "\n      ")}`);
    return undefined;
  }
}

// Runs the scenarios, a few at a time; then looks at those that promised nothing more would come.
async function tryScenarios(server, name, client, facts) {
  const left = SCENARIOS.map((scenario, index) => ({ ...scenario, index }));
  const later = [];
  const work = async () => {
    for (let one = left.shift(); one; one = left.shift()) {
      const { index, run, params = {} } = one;
      const stage = new Stage(server, client, `${name}-${index}`);
      const told = await check(`${name}: ${one.name}`, () => run(stage, facts, params));
      if (typeof told === "function") later.push([one.name, told]);
      else await stage.close();
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  for (const [scenario, body] of later) await check(`${name}: ${scenario}, at the end`, body);
}

async function tryClient(server, name) {
  const { open, facts } = CLIENTS[name];
  const client = await open(server);
  try {
    await tryScenarios(server, name, client, facts);
  } finally {
    await client.end();
  }
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(CLIENTS);
for (const name of names) {
  if (!CLIENTS[name]) throw new Error(`no client ${name}; there are ${Object.keys(CLIENTS)}`);
}
const server = await startServer();
await Promise.all(names.map((name) => check(`${name} ${CLIENTS[name].version()}`,
  () => tryClient(server, name))));
server.stop();
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exit(count.failed === 0 ? 0 : 1);
