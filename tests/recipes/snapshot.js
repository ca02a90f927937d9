// SPDX-License-Identifier: MIT
// snapshot.js: the page's half of snapshot.c. load() gives the state, show() displays it.

// [page]
function follow(source, load, show) {
  let state = null; // null while a snapshot is being loaded
  let waiting = []; // changes that came meanwhile
  let loads = 0;
  let resumes = false; // the browser has an id, with which it can resume

  function apply(change) {
    if (change.version <= state.version) return; // the snapshot has it
    state.version = change.version;
    state.items[change.item] = change.value;
  }

  async function reload() {
    const mine = ++loads;
    state = null;
    waiting = [];
    const loaded = await load();
    if (mine !== loads) return; // a later one has begun
    state = loaded;
    waiting.forEach(apply);
    show(state);
  }

  source.addEventListener("open", () => resumes || reload());
  source.addEventListener("sse-position", () => (resumes = true));
  source.addEventListener("gap", reload);
  source.addEventListener("change", (event) => {
    const change = JSON.parse(event.data);
    if (state === null) return waiting.push(change);
    apply(change);
    show(state);
  });
}
// [/page]

if (typeof module !== "undefined") module.exports = follow;
