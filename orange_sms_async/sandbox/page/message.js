/** One message in full: its request, the answer and its receipts. */

import { change, path, read } from "/_sandbox/page/api.js";
import { atMostEvery, find, foreign, make } from "/_sandbox/page/dom.js";
import { on } from "/_sandbox/page/events.js";
import { STATUSES, badge, words } from "/_sandbox/page/status.js";
import { moment, number, phoneNumber, say, time } from "/_sandbox/page/texts.js";

const place = find("#detail");
let wanted = null;

export function open() {
  on("receipt", ({ resource_id }) => {
    if (resource_id === wanted) again();
  });
  on("cleared", () => again());
  on("reload", () => again());
}

const again = atMostEvery(500, async () => {
  if (wanted === null) return;
  const message = await read(path(["messages", wanted]));
  if (message?.resource_id === wanted) find(".receipts", place)?.replaceWith(receipts(message));
});

/** Show it, and return what the sandbox knows about it: null when it does not remember. */
export async function show(resourceId) {
  wanted = resourceId;
  const message = await read(path(["messages", resourceId]));
  if (wanted !== resourceId) return null;
  place.hidden = false;
  place.setAttribute("aria-labelledby", "detail-title");
  place.replaceChildren(...(message === null ? forgotten() : whole(message)));
  return message;
}

export function hide() {
  wanted = null;
  place.hidden = true;
  place.replaceChildren();
}

const title = () => make("h2", { id: "detail-title", tabindex: "-1" }, say("detail"));

const forgotten = () => [title(), make("p", { class: "nothing" }, say("forgotten"))];

function whole(message) {
  const { request, answer } = message;
  return [
    title(),
    make("p", { class: "whole-text", dir: "auto" }, message.text),
    facts(message),
    receipts(message),
    exchange("request", `${request.method} ${request.path}`, request),
    exchange("answer", String(answer.status ?? say("no_answer")), answer),
  ];
}

function facts(message) {
  const rows = {
    to: make("a", { href: `#/recipient/${message.address.replace("tel:", "")}` }, make("bdi", { dir: "ltr" }, phoneNumber(message.address))),
    sender_name: foreign(message.sender_name),
    sender_address: make("bdi", { dir: "ltr" }, phoneNumber(message.sender_address)),
    arrived_at: moment(message.time),
    size: size(message),
    resource_id: make("code", {}, message.resource_id),
  };
  return make("dl", { class: "facts" }, pairs(rows));
}

const pairs = (rows) => Object.entries(rows).map(([key, value]) => [make("dt", {}, say(key)), make("dd", {}, value)]).flat();

function size({ segments, encoding, text, on_net }) {
  const parts = [
    say("segments_count", { count: segments }),
    say("characters_count", { count: [...text].length }),
    encoding,
    on_net ? say("on_net") : null,
  ];
  return parts.filter((part) => part).join(" · ");
}

function receipts(message) {
  const items = message.receipts.map((receipt) =>
    make("li", {}, make("time", {}, time(receipt.time)), badge(receipt.status), outcome(receipt), raw(receipt)),
  );
  return make(
    "section",
    { class: "receipts" },
    make("h3", {}, say("receipts")),
    items.length ? make("ol", { class: "timeline" }, items) : make("p", { class: "nothing" }, say("no_receipt")),
    deliver(message),
  );
}

function outcome({ answer, error }) {
  if (answer === null) return make("span", { class: "outcome bad" }, say("endpoint_silent", { error: error ?? "" }));
  const tone = answer === 200 ? "good" : "bad";
  return make("span", { class: `outcome ${tone}` }, say("endpoint_said", { status: String(answer) }));
}

function raw({ body, answer_body }) {
  return make(
    "details",
    {},
    make("summary", {}, say("as_posted")),
    make("pre", { dir: "ltr" }, asText(body)),
    answer_body ? [make("p", { class: "label" }, say("endpoint_body")), make("pre", { dir: "auto" }, asText(answer_body))] : null,
  );
}

const asText = (body) => (typeof body === "string" ? body : JSON.stringify(body, null, 2));

function deliver({ resource_id }) {
  const choices = Object.keys(STATUSES).map((status) => make("option", { value: status }, words(status)));
  const select = make("select", { id: "receipt-status" }, choices);
  const send = (event) => {
    event.preventDefault();
    change("POST", "deliver", { resource_id, status: select.value }, say("delivered_now"), { 409: say("nowhere") });
  };
  return make(
    "form",
    { class: "inline", onsubmit: send },
    make("label", { for: "receipt-status" }, say("deliver_now")),
    select,
    make("button", {}, say("deliver")),
  );
}

export function exchange(kind, line, { headers, body }) {
  return make(
    "section",
    { class: "exchange" },
    make("h3", {}, say(kind)),
    make("p", { class: "line" }, make("code", { dir: "ltr" }, line)),
    make(
      "details",
      {},
      make("summary", {}, say("headers_count", { count: headers.length })),
      make("pre", { dir: "ltr" }, headers.map(([name, value]) => `${name}: ${value}`).join("\n")),
    ),
    make("pre", { dir: "ltr" }, body),
    make("p", { class: "bytes" }, say("bytes", { bytes: number(new TextEncoder().encode(body).length) })),
  );
}
