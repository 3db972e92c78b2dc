/** The fault panel: faults for requests and receipts, at a click. */

import { change, read } from "/_sandbox/page/api.js";
import { groupOf, nameOf, named, show } from "/_sandbox/page/alarm.js";
import { atMostEvery, find, make } from "/_sandbox/page/dom.js";
import { on } from "/_sandbox/page/events.js";
import { number, say, share } from "/_sandbox/page/texts.js";

const place = find("#faults");
const kinds = make("div", { class: "kinds" });
const noChance = make(
  "button",
  { type: "button", onclick: () => set({ chance: null }, say("chance_off")) },
  say("no_chance"),
);
const settings = []; // of the sliders and fields: how each shows what is set

export async function open() {
  place.replaceChildren(
    make("h2", { class: "quiet" }, say("faults")),
    make("section", { class: "card" }, make("h3", {}, say("requests_meet")), which(), kinds),
    make(
      "div",
      { class: "stack" },
      make("section", { class: "card" }, make("h3", {}, say("line")), note("line_note"), slow("latency"), slow("jitter")),
      make("section", { class: "card" }, make("h3", {}, say("receipts")), note("receipts_note"), receipts()),
    ),
  );
  on("faults", load);
  on("reload", load);
  await load();
}

const note = (key) => make("p", { class: "note" }, say(key));

const load = atMostEvery(300, async () => {
  const faults = await read("faults");
  if (faults === null) return;
  show(faults);
  if (kinds.children.length === 0) kinds.replaceChildren(...grouped(faults.known));
  for (const setting of settings) setting(faults);
  noChance.hidden = faults.chance === null;
});

// Requests: first which of them, then a click on their fault.

function which() {
  const radio = (value, checked) => make("input", { type: "radio", name: "how", value, id: `how-${value}`, checked });
  const times = make("input", { type: "number", id: "times", min: "1", max: "10000", value: "1", "aria-label": say("how_many") });
  const percent = make("input", { type: "number", id: "percent", min: "0.1", max: "100", step: "0.1", value: "10", "aria-label": say("probability") });
  const operation = make("select", { id: "on" }, ["message", "token", "account"].map((each) => make("option", { value: each }, say(`on.${each}`))));
  // Changing the number also chooses that way of counting.
  times.addEventListener("input", () => { find("#how-next").checked = true; });
  percent.addEventListener("input", () => { find("#how-chance").checked = true; });
  return make(
    "div",
    { class: "which", role: "group", "aria-label": say("which_requests") },
    make("label", { for: "on" }, say("on")),
    operation,
    make("span", { class: "way" }, radio("next", true), make("label", { for: "how-next" }, say("how_next")), times),
    make("span", { class: "way" }, radio("chance", false), make("label", { for: "how-chance" }, say("how_chance")), percent, make("span", {}, "%")),
    noChance,
  );
}

const set = (body, done) => change("POST", "faults", body, done);

function meet(fault, name) {
  const { value: operation } = find("#on");
  if (find("#how-chance").checked) {
    const part = Number(find("#percent").value) / 100;
    set({ chance: { fault, share: part, on: operation } }, say(`chance.${operation}`, { share: share(part), fault: name }));
  } else {
    const count = Number(find("#times").value);
    set({ next: { fault, times: count, on: operation } }, say(`next.${operation}`, { count, fault: name }));
  }
}

/** Every error the sandbox knows, as buttons, by who says it. */
function grouped(known) {
  return ["silence", "gateway", "backend", "token"].map((group) => {
    const members = known.filter(({ name }) => groupOf(name) === group);
    return make(
      "div",
      { class: "group", role: "group", "aria-labelledby": `group-${group}` },
      make("h4", { id: `group-${group}` }, say(`group.${group}`)),
      make("ul", {}, members.map(({ name }) => make("li", {}, fault(name, known)))),
    );
  });
}

function fault(name, known) {
  const { code, words } = named(name, known);
  const parts = code ? [make("b", {}, code), ` ${words}`] : [words];
  const click = () => meet(name, nameOf(name, known));
  return make("button", { type: "button", class: "fault", onclick: click }, parts);
}

// The connection and the receipts: what is moved is set at once.

function slider(key, attributes, { from, to, told }) {
  const input = make("input", { type: "range", min: "0", step: "any", ...attributes });
  const output = make("output", {});
  const write = () => { output.textContent = told(Number(input.value)); };
  input.addEventListener("input", write);
  input.addEventListener("change", () => set(to(Number(input.value)), say("saved")));
  settings.push((faults) => {
    if (input !== document.activeElement || !input.matches(":active")) input.value = from(faults);
    write();
  });
  return make("label", { class: "slider" }, make("span", {}, say(key)), input, output);
}

const seconds = (value) => say("seconds", { seconds: value });

const slow = (key) =>
  slider(key, { max: "5", step: "0.05" }, {
    from: (faults) => faults[key],
    to: (value) => ({ [key]: value }),
    told: seconds,
  });

const receiptShare = (key) =>
  slider(`receipt.${key}`, { max: "100", step: "1" }, {
    from: (faults) => Math.round(faults.receipts[key] * 100),
    to: (value) => ({ receipts: { [key]: value / 100 } }),
    told: (value) => share(value / 100),
  });

const receiptSeconds = (key, max) =>
  slider(`receipt.${key}`, { max, step: "0.1" }, {
    from: (faults) => faults.receipts[key],
    to: (value) => ({ receipts: { [key]: value } }),
    told: seconds,
  });

const repeats = () =>
  slider("receipt.repeats", { max: "10", step: "1" }, {
    from: (faults) => faults.receipts.repeats,
    to: (value) => ({ receipts: { repeats: value } }),
    told: (value) => number(value),
  });

function receipts() {
  const status = make("input", { type: "text", list: "statuses", maxlength: "60", placeholder: say("status_usual") });
  status.addEventListener("change", () => set({ receipts: { status: status.value.trim() || null } }, say("saved")));
  settings.push((faults) => {
    if (status !== document.activeElement) status.value = faults.receipts.status ?? "";
  });
  const offered = ["DeliveredToTerminal", "DeliveredToNetwork", "MessageWaiting", "DeliveryUncertain", "DeliveryImpossible", "SomethingElse"];
  return make(
    "div",
    { class: "sliders" },
    ["doubled", "reordered", "lost", "before_answer", "revived", "unnamed", "late"].map(receiptShare),
    receiptSeconds("late_by", "120"),
    repeats(),
    receiptSeconds("delay", "60"),
    make("label", { class: "slider" }, make("span", {}, say("receipt.status")), status),
    make("datalist", { id: "statuses" }, offered.map((value) => make("option", { value }))),
  );
}
