/** The page's language, and everything it says: words from en.json or fr.json, numbers, times. */

import { find } from "/_sandbox/page/dom.js";

/** The sandbox chose it, by `?lang=` or by what the browser prefers. */
export const language = document.documentElement.lang;

const texts = await (await fetch(`/_sandbox/page/${language}.json`)).json();
const locale = { en: "en-GB", fr: "fr-FR" }[language];
const plural = new Intl.PluralRules(locale);
const numbers = new Intl.NumberFormat(locale, { maximumFractionDigits: 2 });
const shares = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
// Contracts end at midnight UTC: in local time they would end a day later, east of Greenwich.
const dates = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" });
const regions = new Intl.DisplayNames(locale, { type: "region" });

/** Say a text; with a `count`, in the form that goes with it. Fields are {in braces}. */
export function say(key, values = {}) {
  const form = values.count === undefined ? "" : `.${plural.select(values.count)}`;
  const text = texts[key + form] ?? texts[`${key}.other`] ?? texts[key] ?? key;
  return text.replaceAll(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? numbers.format(value) : value;
  });
}

export const knows = (key) => key in texts;
export const number = (value) => numbers.format(value);
export const share = (value) => shares.format(value);
export const time = (seconds) => clock.format(seconds * 1000);
export const moment = (seconds) => moments.format(seconds * 1000);
export const date = (iso) => dates.format(new Date(iso));

// Orange's 13 countries: they name them by three letters, browsers by two.
export const COUNTRIES = {
  BFA: "BF", BWA: "BW", CIV: "CI", CMR: "CM", COD: "CD", GIN: "GN", GNB: "GW",
  JOR: "JO", LBR: "LR", MDG: "MG", MLI: "ML", SEN: "SN", TUN: "TN",
};

export const country = (code) => (COUNTRIES[code] ? regions.of(COUNTRIES[code]) : code);

/** A number as people read it: calling code, then pairs. */
export function phoneNumber(address) {
  const digits = address.replace(/^tel:\+?/, "").replace(/^\+/, "");
  const rest = digits.slice(3);
  const pairs = rest.slice(rest.length % 2 ? 3 : 0).match(/../g) ?? [];
  if (rest.length % 2) pairs.unshift(rest.slice(0, 3));
  return `+${digits.slice(0, 3)}\u00a0${pairs.join("\u00a0")}`;
}

/** Fill what index.html leaves empty. */
export function fill() {
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = say(element.dataset.text);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  find("#search").placeholder = say("search_for");
  switches();
}

function switches() {
  for (const link of document.querySelectorAll("[data-lang]")) {
    const show = () => {
      link.href = `?lang=${link.dataset.lang}${location.hash}`;
    };
    show();
    addEventListener("hashchange", show);
    if (link.dataset.lang === language) link.setAttribute("aria-current", "true");
  }
}
