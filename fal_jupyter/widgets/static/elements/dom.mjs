// @ts-check
/** Elements from plain data. Text becomes text nodes and nothing else: no string ever reaches the parser of HTML. */
import { isOutOfUse } from "./focus.mjs";

/** @typedef {Node | string | number | boolean | null | undefined | any[]} Child */

const SVG_SPACE = "http://www.w3.org/2000/svg";

/**
 * Give an element. Properties: `class`, `style` (an object), `dataset` (an object), `on…` (listeners), what exists as a
 * property of the element (`value`, `disabled`, …), everything else as an attribute; `null` and `false` leave an
 * attribute out.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {any}
 */
export function h(tag, props, ...children) {
  return build(document.createElement(tag), props, children);
}

/**
 * Give an element of SVG; all properties are attributes but for listeners.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {any}
 */
export function svg(tag, props, ...children) {
  return build(document.createElementNS(SVG_SPACE, tag), props, children);
}

/**
 * @param {any} element
 * @param {Record<string, any> | null | undefined} props
 * @param {Child[]} children
 */
function build(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) setProperty(element, name, value);
  append(element, children);
  return element;
}

/**
 * Set one property as `h` does.
 * @param {any} element
 * @param {string} name
 * @param {any} value
 */
export function setProperty(element, name, value) {
  if (name.startsWith("on") && typeof value === "function") {
    setHandler(element, name.slice(2).toLowerCase(), value);
  } else if (name === "class") {
    if (value) element.setAttribute("class", value);
    else element.removeAttribute("class");
  } else if (name === "style") {
    for (const [key, one] of Object.entries(value)) {
      if (key.startsWith("--")) element.style.setProperty(key, one);
      else element.style[key] = one;
    }
  } else if (name === "dataset") {
    for (const [key, one] of Object.entries(value)) element.dataset[key] = one;
  } else if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
    if (name in element && typeof element[name] === "boolean") element[name] = false;
  } else if (
    name in element &&
    !(element instanceof SVGElement) &&
    !name.startsWith("aria") &&
    name !== "list" &&
    name !== "role"
  ) {
    element[name] = value;
  } else {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * What `h` was given as listeners: kept beside the element, so that `update` can exchange them.
 * @type {WeakMap<Node, Record<string, (event: any) => void>>}
 */
const HANDLERS = new WeakMap();

/** @param {any} element @param {string} type @param {(event: any) => void} handler */
function setHandler(element, type, handler) {
  const kept = HANDLERS.get(element) ?? {};
  HANDLERS.set(element, kept);
  if (!(type in kept))
    element.addEventListener(type, (/** @type {Event} */ event) => HANDLERS.get(element)?.[type]?.call(element, event));
  kept[type] = handler;
}

/**
 * Make `node` look as `replace` would, but keep the nodes that are there: focus, hover and a press in progress survive,
 * and nothing is built anew that only changed its text. Children with `data-key` (or `data-request`, `data-app`) are
 * matched by it, others by their place. Listeners have to come from `h` and to use `event.currentTarget`, since the
 * element they were written for may never reach the page.
 * @param {Element} node
 * @param {...Child} children
 */
export function update(node, ...children) {
  updateChildren(node, flatten(children));
}

/** @param {Child[]} children @returns {Node[]} */
function flatten(children) {
  return children.flatMap((child) => {
    if (Array.isArray(child)) return flatten(child);
    if (child instanceof Node) return [child];
    return child === null || child === undefined || typeof child === "boolean"
      ? []
      : [document.createTextNode(String(child))];
  });
}

/** @param {any} node */
function keyOf(node) {
  return node.nodeType === 1
    ? (node.getAttribute("data-key") ?? node.getAttribute("data-request") ?? node.getAttribute("data-app"))
    : null;
}

/** @param {any} one @param {any} two */
function isLike(one, two) {
  return one.nodeType === two.nodeType && one.nodeName === two.nodeName && keyOf(one) === keyOf(two);
}

/** @param {Element} node @param {Node[]} wanted */
function updateChildren(node, wanted) {
  const keyed = new Map([...node.childNodes].map((child) => [keyOf(child), child]));
  const keys = new Set(wanted.map(keyOf));
  const stay = new Set(wanted);
  let at = node.firstChild;
  for (const next of wanted) {
    // what is wanted no more makes room, so that its neighbours keep their places
    while (at && at !== next && !stay.has(at) && keyOf(at) !== null && !keys.has(keyOf(at))) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    if (next === at) {
      at = at.nextSibling;
      continue;
    }
    const key = keyOf(next);
    const known = key === null ? at : keyed.get(key);
    if (known && !stay.has(known) && known.parentNode === node && isLike(known, next)) {
      if (known === at) at = at.nextSibling;
      else node.insertBefore(known, at);
      updateNode(known, next);
    } else node.insertBefore(next, at);
    if (key !== null) keyed.delete(key); // a key that comes twice is a node of its own
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

/** @param {any} old @param {any} next */
function updateNode(old, next) {
  if (old.nodeType !== 1) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const handlers = HANDLERS.get(next) ?? {};
  const before = HANDLERS.get(old) ?? {};
  for (const type of Object.keys(before)) if (!(type in handlers)) before[type] = () => undefined;
  for (const [type, handler] of Object.entries(handlers)) setHandler(old, type, handler);
  updateChildren(old, [...next.childNodes]);
}

/**
 * @param {any} element
 * @param {Child[]} children
 */
function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child instanceof Node) element.appendChild(child);
    else if (child !== null && child !== undefined && child !== false && child !== true) {
      element.appendChild(document.createTextNode(String(child)));
    }
  }
}

/**
 * Put `children` in place of what is in `node`.
 * @param {Element} node
 * @param {...Child} children
 */
export function replace(node, ...children) {
  node.replaceChildren();
  append(node, children);
}

/**
 * Set the text of `node`, if it is another one: screen readers announce nothing for an unchanged node.
 * @param {Node} node
 * @param {string | number} text
 */
export function setText(node, text) {
  const now = String(text);
  if (node.textContent !== now) node.textContent = now;
}

/**
 * A link that leads to the web, or only its text where it would lead anywhere else.
 * @param {string} address
 * @param {string} text
 * @returns {Node}
 */
export function link(address, text) {
  return /^https?:\/\//i.test(address)
    ? h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, text)
    : document.createTextNode(text);
}

export const CLOCK_TICK = 250; // milliseconds between two looks at a clock, on every surface

/**
 * Give a function that asks for a redraw: `draw` is called at most four times a second, and only while `root` is seen.
 * @param {HTMLElement} root
 * @param {AbortSignal} signal
 * @param {() => void} draw
 * @returns {() => void}
 */
export function scheduler(root, signal, draw) {
  let seen = typeof IntersectionObserver === "undefined";
  let wanted = false;
  let pressed = false;
  let last = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const later = () => {
    if (!wanted || !seen || pressed || document.hidden || timer !== undefined || signal.aborted) return;
    timer = setTimeout(run, Math.max(0, last + 250 - Date.now()));
  };
  const run = () => {
    timer = undefined;
    if (signal.aborted || !seen || pressed || document.hidden) return;
    wanted = false;
    last = Date.now();
    draw();
  };
  if (!seen) {
    const observer = new IntersectionObserver((entries) => {
      seen = entries.some((entry) => entry.isIntersecting);
      later();
    });
    observer.observe(root);
    signal.addEventListener("abort", () => observer.disconnect());
  }
  // a button that is exchanged between press and release is never clicked: nothing is drawn meanwhile
  root.addEventListener("pointerdown", () => (pressed = true), { signal, capture: true });
  const release = () => pressed && setTimeout(() => ((pressed = false), later()));
  for (const type of ["pointerup", "pointercancel", "dragend"])
    document.addEventListener(type, release, { signal, capture: true });
  document.addEventListener("visibilitychange", later, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return () => {
    wanted = true;
    later();
  };
}

/**
 * Texts of users in one line, each with its own direction: a name in Hebrew or Arabic leaves the others where they are.
 * @param {string[]} parts those that are "" are left out
 */
export function joinedTexts(parts) {
  return parts.filter(Boolean).map((part, at) => [at ? " · " : "", h("bdi", null, part)]);
}

let counted = 0;

/** Give an id that no other element of the page has. */
export function newId() {
  counted += 1;
  return `fj-${counted}-${Math.random().toString(36).slice(2, 7)}`;
}

/**
 * A button with its word.
 * @param {Child} content
 * @param {() => void} press
 * @param {Record<string, any>} [props]
 * @returns {HTMLButtonElement}
 */
export function button(content, press, props = {}) {
  const onclick = (/** @type {any} */ event) => !isOutOfUse(event.currentTarget) && press();
  return h("button", { type: "button", class: "fj-button", ...props, onclick }, content);
}

/**
 * Tabs with their keys: arrows, Home, End. `select` draws a tab's panel.
 * @param {{name: string, label: string}[]} tabs
 * @param {string} chosen
 * @param {(name: string) => void} select
 */
export function tabList(tabs, chosen, select) {
  const panelId = newId();
  /** @type {Map<string, HTMLButtonElement>} */
  const buttons = new Map();
  const list = h("div", { class: "fj-tabs", role: "tablist" });
  const choose = (/** @type {string} */ name) => {
    for (const [one, element] of buttons) {
      element.setAttribute("aria-selected", String(one === name));
      element.tabIndex = one === name ? 0 : -1;
    }
    select(name);
  };
  for (const { name, label } of tabs) {
    const tab = h(
      "button",
      {
        type: "button",
        class: "fj-tab",
        role: "tab",
        id: newId(),
        "aria-controls": panelId,
        dataset: { tab: name },
        onclick: () => choose(name),
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          const names = [...buttons.keys()];
          const at = names.indexOf(name);
          const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
          if (to === undefined) return;
          event.preventDefault();
          const next = names[(to + names.length) % names.length];
          choose(next);
          buttons.get(next)?.focus();
        },
      },
      h("span", { class: "fj-tab-label", dataset: { label } }, label),
      h("span", { class: "fj-tab-count" }),
    );
    buttons.set(name, tab);
    list.append(tab);
  }
  const panel = h("div", { class: "fj-tab-panel", role: "tabpanel", id: panelId, tabIndex: -1 });
  return {
    list,
    panel,
    start: () => choose(chosen),
    /** @param {string} name @param {string} count */
    count: (name, count) => {
      const place = buttons.get(name)?.querySelector(".fj-tab-count");
      if (place) setText(place, count);
    },
  };
}
