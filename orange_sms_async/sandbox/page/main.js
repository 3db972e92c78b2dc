/** The page: its parts are opened, and the address after the # says which of them are seen. */

import { find } from "/_sandbox/page/dom.js";
import { listen } from "/_sandbox/page/events.js";
import { fill } from "/_sandbox/page/texts.js";
import * as account from "/_sandbox/page/account.js";
import * as faults from "/_sandbox/page/faults.js";
import * as inbox from "/_sandbox/page/inbox.js";
import * as message from "/_sandbox/page/message.js";
import * as phone from "/_sandbox/page/phone.js";
import * as rate from "/_sandbox/page/rate.js";
import * as requests from "/_sandbox/page/requests.js";
import * as welcome from "/_sandbox/page/welcome.js";

const VIEWS = ["messages", "requests", "account", "faults"];
let opened = null; // the row the reader came from, to go back to

function view(name) {
  for (const each of VIEWS) {
    find(`#${each}`).hidden = each !== name;
    const tab = find(`.tabs [data-view=${each}]`);
    if (each === name) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
}

/** Show what the address says; `#/message/ID`, `#/recipient/+NUMBER`, `#/requests`, `#/account`, `#/faults`. */
async function route() {
  const [, kind = "", id = ""] = location.hash.split("/").map(decodeURIComponent);
  view(VIEWS.includes(kind) ? kind : "messages");
  find("#messages").classList.toggle("opened", Boolean(id));
  find("#welcome").hidden = Boolean(id);
  inbox.mark(id ? location.hash : "");
  if (kind === "message" && id) await openMessage(id);
  else if (kind === "recipient" && id) await openRecipient(id);
  else close();
}

async function openMessage(id) {
  const shown = await message.show(id);
  if (shown !== null) await phone.show(shown.address, id);
  else phone.hide();
}

async function openRecipient(number) {
  message.hide();
  await phone.show(`tel:${number}`);
}

function close() {
  message.hide();
  phone.hide();
}

/** Move the focus into what was opened, and later back to the row it came from. */
async function go() {
  const from = opened;
  await route();
  const target = find("#detail-title") ?? find("#handset-title");
  opened = target === null ? null : location.hash;
  if (target !== null) {
    target.focus({ preventScroll: true });
    scrollTo(0, 0);
  } else if (from !== null && !find("#messages").hidden) inbox.focusRow(from);
}

function onKey(event) {
  if (event.key === "Escape" && opened !== null && !event.target.closest("input, select")) location.hash = "#/";
}

fill();
addEventListener("hashchange", go);
addEventListener("keydown", onKey);
for (const part of [inbox, phone, message, requests, account, faults, rate, welcome]) part.open();
inbox.announce();
listen();
await route();
if (find("#detail-title") ?? find("#handset-title")) opened = location.hash;
document.body.dataset.ready = "true";
