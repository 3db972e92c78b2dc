/** What was refused or left without an answer, newest first: why in words, and all of it as it travelled. */

import { path, read } from "/_sandbox/page/api.js";
import { nameOf } from "/_sandbox/page/alarm.js";
import { arrange, atMostEvery, eachFrame, find, make } from "/_sandbox/page/dom.js";
import { on } from "/_sandbox/page/events.js";
import { exchange } from "/_sandbox/page/message.js";
import { knows, say, time } from "/_sandbox/page/texts.js";

const ROWS = 100; // each page that is asked for adds to it
const PAGE = 50;
const MOST = 200; // that the sandbox gives at once

const place = find("#requests");
const list = make("ol", { class: "refusals" });
const nothing = make("p", { class: "nothing" });
const olderButton = make("button", { type: "button", class: "older", onclick: () => older() }, say("older_requests"));
const rows = new Map();
let shown = []; // newest first
let room = ROWS;
let more = false;
let wanted = "";
let asked = 0;
let known = []; // faults, for their names

export async function open() {
  const field = make("input", { type: "search", id: "request-search", autocomplete: "off", spellcheck: "false", placeholder: say("requests_for") });
  field.addEventListener("input", () => {
    wanted = field.value.trim();
    room = ROWS;
    soon();
  });
  place.replaceChildren(
    make("h2", { class: "quiet" }, say("requests")),
    make(
      "section",
      { class: "card wide" },
      make("h3", {}, say("refused_requests")),
      make("p", { class: "note" }, say("requests_note")),
      make("p", { class: "finding" }, make("label", { class: "quiet", for: "request-search" }, say("search_requests")), field),
      list,
      nothing,
      olderButton,
    ),
  );
  on("request", add);
  on("reload", soon);
  known = (await read("faults"))?.known ?? [];
  await load();
}

const soon = atMostEvery(300, () => load());
const later = atMostEvery(1000, () => load());

async function load() {
  const mine = ++asked;
  const limit = Math.min(MOST, Math.max(PAGE, shown.length)); // what was asked for stays
  const answer = await read(path(["requests"], { q: wanted, limit }));
  if (answer === null || mine !== asked) return;
  const [newest] = answer.requests;
  // What came while the question was under way is newer than the answer; after a reset all is older.
  const since = wanted ? [] : shown.filter((each) => newest && each.number > newest.number && each.time > newest.time);
  shown = [...since, ...answer.requests];
  more = answer.more;
  draw();
}

async function older() {
  const last = shown.at(-1);
  const answer = await read(path(["requests"], { q: wanted, before: last.number, limit: PAGE }));
  if (answer === null || shown.at(-1)?.number !== last.number) return;
  room += answer.requests.length;
  shown.push(...answer.requests);
  more = answer.more;
  draw();
}

function add(request) {
  if (wanted) {
    later();
    return;
  }
  if (shown.length > 0 && request.number <= shown[0].number) return;
  shown.unshift(request);
  if (shown.length > room) {
    shown.length = room;
    more = true;
  }
  draw();
}

const draw = eachFrame(() => {
  const ids = new Set(shown.map((each) => each.request_id));
  for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
  arrange(list, shown.map(row));
  nothing.hidden = shown.length > 0;
  nothing.textContent = say(wanted ? "nothing_found" : "nothing_refused");
  olderButton.hidden = !more;
});

function row(request) {
  if (!rows.has(request.request_id)) rows.set(request.request_id, make("li", {}, refusal(request)));
  return rows.get(request.request_id);
}

/** The rule in the reader's language, where it is known by name. */
const words = ({ reason, wrong, fault }) => {
  if (fault) return say("fault_met", { fault: nameOf(fault, known) });
  return knows(`wrong.${reason}`) ? say(`wrong.${reason}`) : wrong ?? "";
};

function refusal(request) {
  const full = make("div", { class: "full" });
  const details = make(
    "details",
    { class: "refusal" },
    make(
      "summary",
      {},
      make("span", { class: "badge bad" }, String(request.status ?? say("no_answer"))),
      make("time", {}, time(request.time)),
      make("code", { dir: "ltr" }, `${request.method} ${request.path}`),
      make("span", { class: "why" }, words(request)),
    ),
    full,
  );
  details.addEventListener("toggle", async () => {
    if (!details.open || full.children.length > 0) return;
    const whole = await read(path(["requests", request.request_id]));
    full.replaceChildren(...(whole === null ? [make("p", { class: "nothing" }, say("forgotten_request"))] : inFull(whole)));
  });
  return details;
}

function inFull({ request_id, request, answer }) {
  return [
    make("dl", { class: "facts" }, make("dt", {}, "X-OAPI-Request-Id"), make("dd", {}, make("code", {}, request_id))),
    exchange("request", `${request.method} ${request.path}`, request),
    exchange("answer", String(answer.status ?? say("no_answer")), answer),
  ];
}
