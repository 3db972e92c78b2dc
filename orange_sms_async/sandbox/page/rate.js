/** The rate strip: the last sixty seconds of arrivals against the limit. */

import { read } from "/_sandbox/page/api.js";
import { drawing, find, make } from "/_sandbox/page/dom.js";
import { on } from "/_sandbox/page/events.js";
import { number, say } from "/_sandbox/page/texts.js";

const SPAN = 60; // seconds shown
const HEIGHT = 80;
const TICKS = 2000; // beyond so many on a line a screen has no room for more
const EVERY = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 250;

const figures = {};
const bars = [];
let arrivals = []; // [time, status, how many came within the second before it]
let first = 0; // of those, the first that is not older than a second
let loaded = 0; // when the newest arrival came that was loaded, not reported by an event
let limit = null;
let changed = true;

export async function open() {
  find("#rate-figures").replaceChildren(...["arrived", "refused", "unanswered", "most", "limit"].map(figure));
  find("#rate-chart").replaceChildren(chart());
  // An event comes a little late: its arrival may have been loaded meanwhile.
  on("arrival", ([time, status]) => time > loaded && add(time, status));
  on("reload", load);
  setInterval(draw, EVERY);
  await load();
  draw();
}

async function load() {
  const before = new Set(arrivals);
  const rate = await read("rate");
  if (rate === null) return;
  const newest = rate.arrivals.at(-1)?.[0] ?? 0;
  const meanwhile = arrivals.filter((each) => !before.has(each) && each[0] > newest);
  loaded = newest;
  limit = rate.limit;
  arrivals = [];
  first = 0;
  for (const [time, status] of [...rate.arrivals, ...meanwhile]) add(time, status);
}

function add(time, status) {
  while (first < arrivals.length && time - arrivals[first][0] >= 1) first += 1;
  arrivals.push([time, status, arrivals.length - first + 1]);
  changed = true;
  if (arrivals.length % 10_000 === 0) forget(time); // a hidden page does not draw, but still receives events
}

function forget(now) {
  const old = arrivals.findIndex(([time]) => time > now - SPAN - 1);
  const gone = old < 0 ? arrivals.length : old;
  arrivals.splice(0, gone);
  first = Math.max(0, first - gone);
}

function figure(key) {
  figures[key] = make("dd", {}, "0");
  return make("div", { class: `figure ${key}` }, make("dt", {}, say(`rate.${key}`)), figures[key]);
}

// Three ways to end, three drawings: full, hatched with an edge, and hollow.
const KINDS = ["taken", "refused", "unanswered"];

function kindOf(status) {
  if (status === null) return "unanswered";
  return status === 201 ? "taken" : "refused";
}

function chart() {
  const hatch = drawing(
    "pattern",
    { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    drawing("rect", { class: "hatch-ground", width: 5, height: 5 }),
    drawing("rect", { class: "hatch-line", width: 2.4, height: 5 }),
  );
  for (let i = 0; i <= SPAN; i += 1) {
    bars.push(Object.fromEntries(KINDS.map((kind) => [kind, drawing("rect", { class: kind, width: `${80 / SPAN}%` })])));
  }
  return drawing(
    "svg",
    { role: "img", "aria-labelledby": "rate-words", height: HEIGHT + 14, width: "100%" },
    drawing("title", { id: "rate-words" }),
    drawing("defs", {}, hatch),
    drawing("line", { class: "ground", x1: "0", x2: "100%", y1: HEIGHT, y2: HEIGHT }),
    ...bars.flatMap((bar) => Object.values(bar)),
    drawing("line", { class: "limit-line", x1: "0", x2: "100%" }),
    drawing("text", { class: "limit-word", x: "4" }),
    drawing(
      "svg",
      { y: HEIGHT + 3, height: 10, width: "100%", viewBox: "0 0 6000 10", preserveAspectRatio: "none" },
      drawing("path", { class: "ticks", "vector-effect": "non-scaling-stroke" }),
    ),
  );
}

function draw() {
  if (arrivals.length === 0 && !changed) return;
  const now = Date.now() / 1000;
  forget(now);
  const seen = arrivals.filter(([time]) => time > now - SPAN);
  changed = arrivals.length > 0;
  const counts = bySecond(seen);
  const most = seen.reduce((peak, [, , together]) => Math.max(peak, together), 0);
  const tallest = Math.max(...[...counts.values()].map((each) => each.taken + each.refused + each.unanswered), 0);
  const scale = (HEIGHT - 20) / Math.max(tallest, limit ?? 0, 1);
  bars.forEach((bar, i) => drawBar(bar, Math.floor(now) - SPAN + i, counts, now, scale));
  drawLimit(scale);
  find(".ticks").setAttribute("d", seen.slice(-TICKS).map(([time]) => `M${tick(time, now)} 0v10`).join(""));
  tell(seen, most);
}

const tick = (time, now) => Math.round((time - now + SPAN) * 100);

function bySecond(seen) {
  const counts = new Map();
  for (const [time, status] of seen) {
    const second = Math.floor(time);
    if (!counts.has(second)) counts.set(second, { taken: 0, refused: 0, unanswered: 0 });
    counts.get(second)[kindOf(status)] += 1;
  }
  return counts;
}

function drawBar(bar, second, counts, now, scale) {
  const count = counts.get(second);
  let top = HEIGHT;
  for (const kind of KINDS) {
    const height = (count?.[kind] ?? 0) * scale;
    top -= height;
    bar[kind].setAttribute("x", `${((second - now + SPAN) / SPAN) * 100}%`);
    bar[kind].setAttribute("y", top);
    bar[kind].setAttribute("height", height);
  }
}

function drawLimit(scale) {
  const y = limit === null ? -10 : HEIGHT - limit * scale;
  for (const name of ["y1", "y2"]) find(".limit-line").setAttribute(name, y);
  find(".limit-word").setAttribute("y", y - 4);
  find(".limit-word").textContent = limit === null ? "" : say("limit_of", { limit });
}

function tell(seen, most) {
  const kinds = { taken: 0, refused: 0, unanswered: 0 };
  for (const [, status] of seen) kinds[kindOf(status)] += 1;
  const { refused, unanswered } = kinds;
  const told = { arrived: seen.length, refused, unanswered, most };
  for (const [key, value] of Object.entries(told)) figures[key].textContent = number(value);
  figures.limit.textContent = limit === null ? say("no_limit") : number(limit);
  find(".figure.most").classList.toggle("over", limit !== null && most > limit);
  find(".figure.refused").classList.toggle("some", refused > 0);
  find("#rate-words").textContent = say("rate_words", { ...told, limit: figures.limit.textContent });
}
