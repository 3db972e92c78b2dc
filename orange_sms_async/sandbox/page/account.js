/** The account: units, expiry, sender names, tokens; seen and edited. */

import { change, read } from "/_sandbox/page/api.js";
import { arrange, atMostEvery, find, foreign, make } from "/_sandbox/page/dom.js";
import { on } from "/_sandbox/page/events.js";
import { COUNTRIES, country, date, say } from "/_sandbox/page/texts.js";

const place = find("#account");
const contracts = make("div", { class: "contracts" });
const names = make("ul", { class: "names" });
const tokens = make("ul", { class: "tokens" });
const cards = new Map();

export function open() {
  place.replaceChildren(
    make("h2", { class: "quiet" }, say("account")),
    make("section", { class: "card wide" }, make("h3", {}, say("contracts")), contracts, elsewhere()),
    make("section", { class: "card" }, make("h3", {}, say("sender_names")), note("sender_names_note"), names, approval()),
    make("section", { class: "card" }, make("h3", {}, say("tokens")), note("tokens_note"), tokens, expiry()),
  );
  on("account", load);
  on("message", () => place.hidden || perhaps()); // units go with every message
  on("reload", load);
  load();
  setInterval(ages, 1000);
}

const perhaps = atMostEvery(1000, () => load());
const note = (key) => make("p", { class: "note" }, say(key));

const load = atMostEvery(500, async () => {
  const account = await read("account");
  if (account === null) return;
  arrange(contracts, account.contracts.map(card));
  arrange(names, account.sender_names.map(name));
  arrange(tokens, account.tokens.map(token));
  ages();
});

/** A form, whose fields are read by name when it is sent. */
function form(send, ...children) {
  const submit = (event) => {
    event.preventDefault();
    send(Object.fromEntries(new FormData(event.target)), event.target);
  };
  return make("form", { class: "inline", onsubmit: submit }, children);
}

const field = (key, attributes) => make("label", {}, make("span", {}, say(key)), make("input", { required: true, ...attributes }));
const count = (key, attributes) => field(key, { type: "number", step: "1", inputmode: "numeric", ...attributes });

// Contracts.

function card(contract) {
  const key = `${contract.country} ${contract.offer_name}`;
  if (!cards.has(key)) cards.set(key, newCard(contract));
  const { element, update } = cards.get(key);
  update(contract);
  return element;
}

function newCard({ country: code, offer_name }) {
  const units = make("span", { class: "units" });
  const until = make("span", { class: "until" });
  const status = make("span");
  const set = count("units_left", { name: "available_units", min: "0" });
  const ends = field("expires_on", { name: "expiration_date", type: "date" });
  const element = make(
    "details",
    { class: "contract" },
    make("summary", {}, make("span", { class: "country" }, country(code), make("small", {}, offer_name)), units, until, status),
    buying({ country: code, offer_name }),
    form((fields) => edit({ country: code, offer_name }, fields), set, ends, make("button", {}, say("save"))),
    form(
      () => change("POST", "account/expire", { country: code, offer_name }, say("expired_now", { country: country(code) })),
      make("button", {}, say("let_expire")),
    ),
  );
  const update = (contract) => {
    units.textContent = say("units_count", { count: contract.available_units });
    until.textContent = say("until", { date: date(contract.expiration_date) });
    status.className = `badge ${contract.status === "ACTIVE" ? "good" : "bad"}`;
    status.textContent = say(contract.status === "ACTIVE" ? "active" : "expired");
    if (element.contains(document.activeElement)) return; // do not overwrite what is being typed
    find("input", set).value = contract.available_units;
    find("input", ends).value = contract.expiration_date.slice(0, 10);
  };
  return { element, update };
}

function buying(contract) {
  const units = count("units", { name: "units", min: "1", value: "1000" });
  const days = count("days", { name: "days", min: "1", max: "3650", value: "30" });
  return form((fields) => buy({ ...contract, ...fields }), units, days, make("button", { class: "main" }, say("buy")));
}

function buy({ country: code, offer_name, units, days }) {
  const body = { country: code, offer_name, units: Number(units), days: Number(days) };
  change("POST", "account/buy", body, say("bought", { count: body.units, country: country(code) }));
}

function edit(contract, { available_units, expiration_date }) {
  const body = {
    ...contract,
    available_units: Number(available_units),
    expiration_date: `${expiration_date}T23:59:59Z`, // bundles end with their day
  };
  change("POST", "account/contract", body, say("saved"));
}

/** A bundle for a country there is no contract with, or on the other offer. */
function elsewhere() {
  const option = (code) => make("option", { value: code }, country(code));
  const countries = Object.keys(COUNTRIES).sort((a, b) => country(a).localeCompare(country(b)));
  return make(
    "details",
    { class: "contract other" },
    make("summary", {}, say("buy_elsewhere")),
    form(
      buy,
      make("label", {}, make("span", {}, say("country")), make("select", { name: "country" }, countries.map(option))),
      make(
        "label",
        {},
        make("span", {}, say("offer")),
        make("select", { name: "offer_name" }, ["SMS_OCB", "SMS_OCB2"].map((offer) => make("option", {}, offer))),
      ),
      count("units", { name: "units", min: "1", value: "1000" }),
      count("days", { name: "days", min: "1", max: "3650", value: "30" }),
      make("button", { class: "main" }, say("buy")),
    ),
  );
}

// Sender names.

function name(sender_name) {
  const remove = () => change("DELETE", "account/sender-names", { sender_name }, say("name_removed", { name: sender_name }));
  const label = say("remove_name", { name: sender_name });
  return make("li", {}, foreign(sender_name), make("button", { type: "button", "aria-label": label, title: label, onclick: remove }, "×"));
}

function approval() {
  const input = field("sender_name", { name: "sender_name", maxlength: "11", pattern: "[A-Za-z0-9 ]{1,11}", title: say("sender_name_rule") });
  return form(
    async ({ sender_name }, sent) => {
      if (await change("POST", "account/sender-names", { sender_name }, say("name_approved", { name: sender_name }))) sent.reset();
    },
    input,
    make("button", { class: "main" }, say("approve")),
  );
}

// Tokens.

function token({ age, expires_in_seconds, expired }) {
  const born = Date.now() / 1000 - age;
  const element = make("li", {}, make("span", { class: "age" }), make("span", { class: `badge ${expired ? "bad" : "good"}` }, say(expired ? "expired" : "in_use")));
  element.tell = () => {
    const now = Date.now() / 1000 - born;
    const left = Math.max(0, expires_in_seconds - (now - age));
    find(".age", element).textContent = say(expired ? "token_age" : "token_left", { age: duration(now), left: duration(left) });
  };
  return element;
}

function duration(seconds) {
  const whole = Math.floor(seconds);
  const unit = (value, name) => new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: name, unitDisplay: "short" }).format(value);
  if (whole < 60) return unit(whole, "second");
  if (whole < 3600) return unit(Math.floor(whole / 60), "minute");
  return unit(Math.floor(whole / 3600), "hour");
}

function ages() {
  for (const each of tokens.children) each.tell();
}

function expiry() {
  return form(() => change("POST", "token/expire", {}, say("tokens_expired")), make("button", {}, say("expire_tokens")));
}
