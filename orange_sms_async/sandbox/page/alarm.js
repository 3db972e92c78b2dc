/** What is set to go wrong, in words: at the top of every view, with the way back to normal. */

import { change } from "/_sandbox/page/api.js";
import { find, icon, make } from "/_sandbox/page/dom.js";
import { knows, say, share } from "/_sandbox/page/texts.js";

const SHARES = ["doubled", "reordered", "late", "before_answer", "lost", "revived", "unnamed"];

/** Who answers: Orange's gateway, its SMS backend, its token endpoint, or nobody clearly. */
export function groupOf(fault) {
  if (/^\d+\/\d+$/.test(fault)) return "gateway";
  if (/^(SVC|POL)/.test(fault)) return "backend";
  return fault.startsWith("invalid_") ? "token" : "silence";
}

/** A fault's code, if it has one, and its words: the gateway's are Orange's, in any language. */
export function named(fault, known) {
  const label = known.find(({ name }) => name === fault)?.label;
  if (label === undefined) return { code: "", words: fault }; // set by a program, in parts of its own
  const code = groupOf(fault) === "silence" ? "" : fault.split(" ")[0];
  return { code, words: knows(`fault.${fault}`) ? say(`fault.${fault}`) : label };
}

export function nameOf(fault, known) {
  const { code, words } = named(fault, known);
  return code ? `${code} ${words}` : words;
}

/** Everything that is not as usual, a sentence each. */
function sentences({ next, chance, latency, jitter, receipts, known }) {
  const told = next.map(({ on, fault, left }) =>
    say(`next.${on}`, { count: left, fault: nameOf(fault, known) }),
  );
  if (chance !== null) {
    told.push(say(`chance.${chance.on}`, { share: share(chance.share), fault: nameOf(chance.fault, known) }));
  }
  if (latency > 0 || jitter > 0) told.push(say(jitter > 0 ? "line_unsteady" : "line_slow", { latency, jitter }));
  for (const kind of SHARES) {
    if (receipts[kind] > 0) told.push(say(`receipts_are.${kind}`, { share: share(receipts[kind]), seconds: receipts.late_by }));
  }
  if (receipts.repeats > 0) told.push(say("receipts_repeated", { count: receipts.repeats }));
  if (receipts.status !== null) told.push(say("receipts_say", { status: receipts.status }));
  return told;
}

const normal = () => change("DELETE", "faults", {}, say("normal_again"));

export function show(faults) {
  const told = sentences(faults);
  const place = find("#alarm");
  const same = place.dataset.told === told.join("\n");
  if (same) return; // a status that is written again is read out again
  place.dataset.told = told.join("\n");
  place.replaceChildren(...(told.length === 0 ? [] : alarm(told)));
}

function alarm(told) {
  const link = make("a", { href: "#/faults" }, say("faults_set", { count: told.length }));
  return [
    icon("warning"),
    link,
    make("ul", {}, told.map((sentence) => make("li", {}, sentence))),
    make("button", { type: "button", onclick: normal }, say("all_normal")),
  ];
}
