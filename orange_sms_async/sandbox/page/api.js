/** The sandbox's JSON API: the page can do nothing that a program could not. */

import { find } from "/_sandbox/page/dom.js";
import { say } from "/_sandbox/page/texts.js";

const PREFIX = "/_sandbox/";
let token = null;

/** Read something; null when there is no such thing (any more). */
export async function read(path) {
  const answer = await fetch(PREFIX + path);
  return answer.ok ? answer.json() : null;
}

async function ask(method, path, body) {
  token ??= (await read("token")).token;
  const headers = { "Content-Type": "application/json", "X-Sandbox-Token": token };
  return fetch(PREFIX + path, { method, headers, body: JSON.stringify(body) });
}

/** Change something and say so, or say why not; return whether it was done. `refused` has words for some statuses. */
export async function change(method, path, body, done, refused = {}) {
  try {
    let answer = await ask(method, path, body);
    if (answer.status === 403) {
      token = null; // the sandbox was started again, and has another
      answer = await ask(method, path, body);
    }
    if (answer.ok) tell("#notice", done);
    else tell("#complaint", refused[answer.status] ?? say("refused_because", { reason: await reason(answer) }));
    return answer.ok;
  } catch {
    tell("#complaint", say("unreachable"));
    return false;
  }
}

async function reason(answer) {
  try {
    return (await answer.json()).error ?? answer.status;
  } catch {
    return answer.status;
  }
}

let hiding = null;

function tell(selector, text) {
  clearTimeout(hiding);
  for (const each of ["#notice", "#complaint"]) find(each).textContent = each === selector ? text : "";
  hiding = setTimeout(() => {
    find(selector).textContent = "";
  }, 6000);
}

/** Path parts come from addresses and ids: `+` and `/` stay what they are. */
export const path = (parts, query = {}) =>
  parts.map(encodeURIComponent).join("/") + (Object.keys(query).length ? `?${new URLSearchParams(query)}` : "");
