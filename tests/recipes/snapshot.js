// SPDX-License-Identifier: MIT
// snapshot.js: the page's half of snapshot.c. load() gives the state, show() displays it.

// [page]
function follow(load, show) {
  let source = null;
  let loads = 0;

  async function reload() {
    const mine = ++loads;
    if (source) source.close();
    const state = await load();
    if (mine === loads) listen(state);
  }

  function listen(state) {
    source = new EventSource("/stream?last_id=" + state.id);
    source.addEventListener("gap", reload);
    source.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      if (change.version <= state.version) return; // the snapshot has it
      state.version = change.version;
      state.items[change.item] = change.value;
      show(state);
    });
    show(state);
  }

  return reload();
}
// [/page]

if (typeof module !== "undefined") module.exports = follow;
