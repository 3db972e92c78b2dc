/** What happens in the sandbox, as it happens: server-sent events, for as long as the page is open. */

import { find } from "/_sandbox/page/dom.js";
import { say } from "/_sandbox/page/texts.js";

const KINDS = ["message", "receipt", "reply", "request", "arrival", "account", "faults", "cleared", "reload"];
const AGAIN = 2000; // milliseconds until the next try where the browser has given up

const listeners = Object.fromEntries(KINDS.map((kind) => [kind, []]));

export function on(kind, listener) {
  listeners[kind].push(listener);
}

function tell(kind, content) {
  for (const listener of listeners[kind]) listener(content);
}

/** A browser tries again by itself after a lost connection, and gives up after an answer such as 503. */
export function listen() {
  const stream = new EventSource("/_sandbox/events");
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => tell(kind, JSON.parse(event.data || "{}")));
  }
  stream.addEventListener("open", () => {
    show(true);
    tell("reload", {}); // for what happened before the connection was open, or while another sandbox ran
  });
  stream.addEventListener("error", () => {
    show(false);
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN);
  });
}

function show(live) {
  const place = find("#live");
  place.classList.toggle("broken", !live);
  place.textContent = say(live ? "live" : "reconnecting");
}
