// SPDX-License-Identifier: MIT
// tokens.js: the page's half of tokens.c. append() shows a token, done() that no more will come.

// [page]
function read(channel, append, done) {
  const source = new EventSource("/stream?channel=" + channel);
  source.addEventListener("token", (event) => append(event.data));
  source.addEventListener("finished", () => {
    source.close(); // or the browser would return, to be refused
    done();
  });
}
// [/page]

if (typeof module !== "undefined") module.exports = read;
