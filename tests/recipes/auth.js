// SPDX-License-Identifier: MIT
// auth.js: the page's half of auth.c, with tickets. getTicket() fetches one, onEvent() takes events.

// [page]
async function listen(getTicket, onEvent, lastId = "") {
  const ticket = await getTicket();
  const query = new URLSearchParams({ ticket, last_id: lastId });
  const source = new EventSource("/stream?" + query);
  const note = (event) => (lastId = event.lastEventId || lastId);
  source.addEventListener("sse-position", note);
  source.addEventListener("message", (event) => {
    note(event);
    onEvent(event);
  });
  source.addEventListener("error", () => {
    source.close(); // its own retry would show the spent ticket
    const again = () => listen(getTicket, onEvent, lastId);
    setTimeout(again, 2000 + 1000 * Math.random());
  });
}
// [/page]

if (typeof module !== "undefined") module.exports = listen;
