/** Elements made by hand: whatever is put into them is text, never markup. */

export const find = (selector, within = document) => within.querySelector(selector);

/** Attributes that begin with `on` are listeners; true is an attribute without a value, false none. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function drawing(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function icon(name) {
  const use = drawing("use", { href: `#icon-${name}` });
  return drawing("svg", { class: "icon", "aria-hidden": "true" }, use);
}

/** Somebody's text, in its own direction, whatever stands beside it. */
export const foreign = (text, kind = "bdi") => make(kind, { dir: "auto" }, text);

/** Make these the children, in this order; what is there already is not moved, and keeps the focus. */
export function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  let next = parent.firstChild;
  for (const child of children) {
    if (child === next) next = next.nextSibling;
    else parent.insertBefore(child, next);
  }
}

/** Call it in the next frame, however often it was asked for until then. */
export function eachFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** Call it at once, and then at most every so many milliseconds; the last call is never lost. */
export function atMostEvery(milliseconds, call) {
  let timer = null;
  let again = false;
  const run = () => {
    again = false;
    timer = setTimeout(() => {
      timer = null;
      if (again) run();
    }, milliseconds);
    call();
  };
  return () => {
    if (timer === null) run();
    else again = true;
  };
}
