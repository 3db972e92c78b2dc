/** What stands beside the list while nothing is opened: how to send a first message here. */

import { find, make } from "/_sandbox/page/dom.js";
import { say } from "/_sandbox/page/texts.js";

export function open() {
  find("#welcome").append(
    make("img", { src: "/_sandbox/page/icon.svg", alt: "", width: "56", height: "56" }),
    make("h2", {}, say("welcome")),
    make("p", {}, say("welcome_how")),
    make("pre", {}, `export ORANGE_SMS_BASE_URL=${location.origin}`),
    make("p", {}, say("welcome_open")),
  );
}
