// SPDX-License-Identifier: MIT
// page.js: opens and closes event sources as the driver says, and reports what they dispatch.
//
// The driver is another server, at ?driver=URL. Its answers come one by one, so that they are
// carried out in its order.

const driver = new URLSearchParams(location.search).get("driver");
const sources = new Map();

let reports = Promise.resolve(); // one after the other, so that they arrive in order
function report(name, what) {
  const body = JSON.stringify({ name, ...what });
  reports = reports.then(() => fetch(`${driver}report`, { method: "POST", body }));
}

function open({ name, url, types }) {
  const source = new EventSource(url);
  sources.set(name, source);
  source.addEventListener("open", () => report(name, { kind: "open" }));
  source.addEventListener("error", () => {
    report(name, { kind: source.readyState === EventSource.CLOSED ? "closed" : "error" });
  });
  for (const type of types) {
    source.addEventListener(type, (event) => {
      report(name, { kind: "event", type, data: event.data, id: event.lastEventId });
    });
  }
}

function close({ name }) {
  sources.get(name).close();
}

for (;;) {
  const task = await (await fetch(`${driver}task`)).json();
  if (task.what === "open") open(task);
  if (task.what === "close") close(task);
  if (task.what === "end") break;
}
