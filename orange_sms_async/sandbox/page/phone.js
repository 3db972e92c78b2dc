/** A recipient's phone: what it has received, under the sender names it shows, oldest first. */

import { change, path, read } from "/_sandbox/page/api.js";
import { arrange, eachFrame, find, foreign, icon, make } from "/_sandbox/page/dom.js";
import { on } from "/_sandbox/page/events.js";
import { toMessage } from "/_sandbox/page/inbox.js";
import { badge } from "/_sandbox/page/status.js";
import { phoneNumber, say, time } from "/_sandbox/page/texts.js";

const BUBBLES = 100; // each page that is asked for adds to it
const PAGE = 50;

const place = find("#handset");
let address = null;
let shown = []; // oldest first
let replies = []; // of this recipient, oldest first
let room = BUBBLES;
let more = false;
let current = null;

export function open() {
  on("message", (message) => {
    if (message.address === address && !shown.some((each) => each.number === message.number)) add(message);
  });
  on("reply", (reply) => {
    if (reply.address !== address || replies.some((each) => each.message_id === reply.message_id)) return;
    replies.push(reply);
    draw();
  });
  on("receipt", ({ resource_id, status }) => update(resource_id, status));
  on("cleared", () => {
    shown = [];
    more = false;
    draw();
  });
  on("reload", () => address && load(address));
}

/** Show the phone of a number, with one message picked out or none. */
export async function show(of, resourceId = null) {
  current = resourceId;
  place.hidden = false;
  if (of === address) {
    draw();
  } else {
    address = of;
    shown = [];
    replies = [];
    room = BUBBLES;
    frame();
    await load(of);
  }
  // What is out of sight has an estimated height until it is seen: the second time it is a real one.
  for (const wait of [1, 2, 3]) requestFrames(wait, center);
}

function requestFrames(count, call) {
  requestAnimationFrame(() => (count > 1 ? requestFrames(count - 1, call) : call()));
}

/** By hand: scrollIntoView would move the page as well. */
function center() {
  const bubble = find(".bubble[aria-current]", place);
  if (bubble === null) return;
  const screen = find(".screen", place);
  const above = bubble.getBoundingClientRect().top - screen.getBoundingClientRect().top;
  screen.scrollTop += above - (screen.clientHeight - bubble.offsetHeight) / 2;
}

export function hide() {
  place.hidden = true;
  place.replaceChildren();
  address = null;
  shown = [];
}

async function load(of) {
  const before = new Set(shown);
  const [answer, written] = await Promise.all([
    read(path(["messages"], { address: of, limit: PAGE })),
    read(path(["replies"], { address: of })),
  ]);
  if (of !== address || answer === null || written === null) return;
  replies = written.replies.reverse();
  const newest = answer.messages[0]?.number ?? 0;
  const meanwhile = shown.filter((each) => !before.has(each) && each.number > newest);
  shown = [...answer.messages.reverse(), ...meanwhile];
  more = answer.more;
  draw();
}

async function older() {
  const [first] = shown;
  const answer = await read(path(["messages"], { address, before: first.number, limit: PAGE }));
  if (answer === null || shown[0] !== first) return;
  room += answer.messages.length;
  shown.unshift(...answer.messages.reverse());
  more = answer.more;
  draw();
}

function add(message) {
  shown.push(message);
  if (shown.length > room) {
    shown = shown.slice(-room);
    more = true;
  }
  draw();
}

function update(resourceId, status) {
  const message = shown.find((each) => each.resource_id === resourceId);
  if (message === undefined) return;
  message.status = status;
  draw();
}

function frame() {
  const heading = make("h2", { id: "handset-title", tabindex: "-1" }, make("bdi", { dir: "ltr" }, phoneNumber(address)));
  place.setAttribute("aria-labelledby", "handset-title");
  place.replaceChildren(
    make("a", { class: "back", href: "#/" }, icon("back"), say("back")),
    make(
      "div",
      { class: "phone" },
      make("header", { class: "phone-top" }, heading, make("p", { class: "phone-count" })),
      make(
        "div",
        { class: "screen" },
        make("button", { type: "button", class: "older", onclick: older }, say("older")),
        make("ol", { class: "bubbles" }),
      ),
      answering(),
    ),
  );
}

/** The recipient's own words, which go to the user's endpoint. */
function answering() {
  const input = make("input", { id: "reply", required: true, autocomplete: "off", maxlength: "1000", placeholder: "…" });
  const send = async (event) => {
    event.preventDefault();
    const done = await change("POST", "reply", { address, text: input.value }, say("replied"), { 409: say("reply_nowhere") });
    if (done) event.target.reset();
  };
  return make(
    "form",
    { class: "answering", onsubmit: send },
    make("label", { class: "quiet", for: "reply" }, say("reply_as")),
    input,
    make("button", { class: "main" }, say("reply")),
  );
}

const draw = eachFrame(() => {
  if (address === null) return;
  const screen = find(".screen", place);
  const follows = current === null && screen.scrollHeight - screen.scrollTop - screen.clientHeight < 80;
  const bubbles = find(".bubbles", place);
  const known = new Map([...bubbles.children].map((each) => [each.dataset.key, each]));
  const all = [...shown, ...replies].sort((one, other) => one.time - other.time);
  arrange(bubbles, all.map((each, i) => (each.message_id ? said(known, each) : refreshed(known, each, all[i - 1]))));
  find(".older", screen).hidden = !more;
  find(".phone-count", place).textContent = say("messages_count", { count: shown.length }) + (more ? " +" : "");
  if (follows) screen.scrollTop = screen.scrollHeight;
});

/** A bubble that has not changed stays the same element, and keeps the focus. */
function refreshed(known, message, before) {
  const led = before?.sender_name !== message.sender_name;
  const key = `${message.resource_id} ${message.status} ${led} ${message.resource_id === current}`;
  return known.get(key) ?? bubble(message, led, key);
}

function said(known, reply) {
  const { message_id, text, answer, error } = reply;
  const outcome = answer === null ? say("endpoint_silent", { error: error ?? "" }) : say("endpoint_said", { status: String(answer) });
  return known.get(message_id) ?? make(
    "li",
    { "data-key": message_id },
    make(
      "div",
      { class: "bubble own" },
      foreign(text, "p"),
      make("span", { class: "bubble-foot" }, make("time", {}, time(reply.time)), make("span", {}, outcome)),
    ),
  );
}

function bubble(message, led, key) {
  const { resource_id, sender_name, text, segments, status } = message;
  return make(
    "li",
    { "data-key": key },
    led ? make("p", { class: "sender" }, foreign(sender_name)) : null,
    make(
      "a",
      { class: "bubble", href: toMessage(resource_id), "aria-current": resource_id === current ? "true" : false },
      foreign(text, "p"),
      make(
        "span",
        { class: "bubble-foot" },
        make("time", {}, time(message.time)),
        make("span", {}, say("segments_count", { count: segments })),
        badge(status),
      ),
    ),
  );
}
