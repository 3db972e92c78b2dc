/** A message's status, as a word and a drawing: never by colour alone. */

import { icon, make } from "/_sandbox/page/dom.js";
import { knows, say } from "/_sandbox/page/texts.js";

// Orange's five words, and the drawing and tone that go with each.
export const STATUSES = {
  DeliveredToTerminal: ["delivered", "good"],
  DeliveredToNetwork: ["network", "calm"],
  MessageWaiting: ["waiting", "calm"],
  DeliveryUncertain: ["uncertain", "odd"],
  DeliveryImpossible: ["impossible", "bad"],
};

/** Say a status in the reader's words; one that Orange does not document stays as it came. */
export function words(status) {
  const key = `status.${status || "accepted"}`;
  return knows(key) ? say(key) : status;
}

export function badge(status) {
  const [drawing, tone] = STATUSES[status] ?? (status ? ["uncertain", "odd"] : ["accepted", "calm"]);
  const text = make("bdi", {}, words(status));
  return make("span", { class: `badge ${tone}`, title: status || false }, icon(drawing), text);
}
