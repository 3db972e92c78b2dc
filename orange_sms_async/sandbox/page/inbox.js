/** The list: messages as they arrive, newest first, or their recipients; searched and bounded. */

import { path, read, change } from "/_sandbox/page/api.js";
import { arrange, atMostEvery, eachFrame, find, foreign, make } from "/_sandbox/page/dom.js";
import { on } from "/_sandbox/page/events.js";
import { badge } from "/_sandbox/page/status.js";
import { phoneNumber, say, time } from "/_sandbox/page/texts.js";

const ROWS = 200; // what the list holds by itself; each page that is asked for adds to it
const PAGE = 50;

const list = find("#list");
let shown = []; // newest first
const rows = new Map();
let room = ROWS;
let more = false;
let wanted = "";
let byRecipient = false;
let current = "";
let asked = 0;

export function open() {
  on("message", add);
  on("receipt", ({ resource_id, status }) => update(resource_id, status));
  on("cleared", () => replace([], false));
  on("reload", () => reload());
  find("#search").addEventListener("input", (event) => search(event.target.value));
  find("#older").addEventListener("click", older);
  find("#by-message").addEventListener("click", () => sort(false));
  find("#by-recipient").addEventListener("click", () => sort(true));
  find("#empty").addEventListener("click", empty);
  return reload();
}

/** Mark the row of what is open beside the list. */
export function mark(href) {
  current = href;
  for (const link of list.querySelectorAll("a")) point(link);
}

export function focusRow(href) {
  const link = [...list.querySelectorAll("a")].find((each) => each.getAttribute("href") === href);
  link?.focus();
}

function point(link) {
  if (link.getAttribute("href") === current) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

/** People write numbers with spaces; Orange does not. */
const searched = (text) => (/^[+\d\s]+$/.test(text) ? text.replaceAll(/\s/g, "") : text.trim());

const search = (text) => {
  wanted = searched(text);
  room = ROWS;
  soon();
};

function sort(recipients) {
  byRecipient = recipients;
  find("#by-message").setAttribute("aria-pressed", String(!recipients));
  find("#by-recipient").setAttribute("aria-pressed", String(recipients));
  replace([], false);
  reload();
}

async function empty() {
  if (confirm(say("empty_really"))) await change("DELETE", "messages", {}, say("emptied"));
}

const soon = atMostEvery(300, () => reload());
const later = atMostEvery(1000, () => reload());

async function reload() {
  const mine = ++asked;
  const before = new Set(shown);
  const answer = byRecipient
    ? await read(path(["recipients"], { q: wanted }))
    : await read(path(["messages"], { q: wanted, limit: PAGE }));
  // What was asked for since then will be answered, too.
  if (answer === null || mine !== asked) return;
  if (byRecipient) replace(answer.recipients.map((each) => ({ ...each.last, ...each })), false);
  else replace([...arrivedSince(before, answer.messages), ...answer.messages], answer.more);
}

/** A message that came while the question was under way can be newer than the answer. */
function arrivedSince(before, [newest]) {
  return shown.filter((each) => !before.has(each) && each.number > (newest?.number ?? 0));
}

async function older() {
  const last = shown.at(-1);
  const query = { q: wanted, before: last.number, limit: PAGE };
  const answer = await read(path(["messages"], query));
  if (answer === null || shown.at(-1) !== last) return;
  room += answer.messages.length;
  shown.push(...answer.messages);
  more = answer.more;
  draw();
}

function add(message) {
  // Whether a search finds it, and how many a recipient has, is for the sandbox to say.
  if (byRecipient || wanted) {
    later();
    return;
  }
  if (shown.length > 0 && message.number <= shown[0].number) return;
  shown.unshift(message);
  if (shown.length > room) {
    shown.length = room;
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

function replace(messages, hasMore) {
  shown = messages;
  more = hasMore;
  draw();
}

const draw = eachFrame(() => {
  const keys = new Set(shown.map(key));
  for (const each of rows.keys()) if (!keys.has(each)) rows.delete(each);
  arrange(list, shown.map(rowOf));
  find("#older").hidden = !more;
  nothing();
});

function nothing() {
  const place = find("#nothing");
  place.hidden = shown.length > 0;
  place.textContent = say(wanted ? "nothing_found" : "nothing_yet");
  find("#empty").hidden = shown.length === 0;
}

// A recipient's row is drawn anew when another message becomes the last one.
const key = (message) => `${byRecipient ? message.messages : ""}:${message.resource_id}`;

function rowOf(message) {
  const known = rows.get(key(message));
  if (known === undefined) {
    const row = make("li", {}, link(message));
    row.status = message.status;
    rows.set(key(message), row);
    return row;
  }
  if (known.status !== message.status) {
    known.status = message.status;
    find(".badge", known).replaceWith(badge(message.status));
  }
  return known;
}

function link(message) {
  const href = byRecipient ? toRecipient(message.address) : toMessage(message.resource_id);
  const count = byRecipient ? message.messages : message.segments;
  const made = make(
    "a",
    { href, class: "row" },
    make("bdi", { class: "row-number", dir: "ltr" }, phoneNumber(message.address)),
    make("time", { class: "row-time" }, time(message.time)),
    make("span", { class: "row-text" }, foreign(message.text)),
    make(
      "span",
      { class: "row-foot" },
      badge(message.status),
      make("span", { class: "row-sender" }, foreign(message.sender_name)),
      make("span", {}, say(byRecipient ? "messages_count" : "segments_count", { count })),
    ),
  );
  point(made);
  return made;
}

export const toMessage = (resourceId) => `#/message/${encodeURIComponent(resourceId)}`;
export const toRecipient = (address) => `#/recipient/${address.replace("tel:", "")}`;

/** Tell screen readers what arrived, no more often than one can listen. */
export function announce() {
  let count = 0;
  let last = null;
  const tell = atMostEvery(4000, () => {
    if (count === 0) return;
    const to = phoneNumber(last.address);
    find("#announcer").textContent = say("arrived", { count, number: to });
    count = 0;
  });
  on("message", (message) => {
    count += 1;
    last = message;
    tell();
  });
}
