// @ts-check
/** Keys in a panel: those that it uses stay in it, all others reach the shortcuts of the page around it. */
import { keepFocus } from "./focus.mjs";

/**
 * Lumino, whose shortcuts JupyterLab has, looks for none from an element with this attribute on. It looks from the
 * key's target upwards, so the mark has to be there: a selector that ends with `:focus` is met before any frame around
 * it.
 */
const NO_SHORTCUTS = "data-lm-suppress-shortcuts";
const NOT_TYPED = new Set(["button", "checkbox", "color", "file", "image", "radio", "range", "reset", "submit"]);
/** With Ctrl or Cmd in a field of text. */
const EDITS = new Set([
  "a",
  "c",
  "v",
  "x",
  "y",
  "z",
  "ArrowLeft",
  "ArrowRight",
  "ArrowUp",
  "ArrowDown",
  "Home",
  "End",
  "Backspace",
  "Delete",
]);
/** With Shift beside it: the others are shortcuts of the page, as Ctrl Shift C for its palette. */
const SHIFTED_EDITS = new Set(["v", "z", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);

/** @param {any} element */
function isTyped(element) {
  return (
    element?.tagName === "TEXTAREA" ||
    Boolean(element?.isContentEditable) ||
    (element?.tagName === "INPUT" && !NOT_TYPED.has(element.type))
  );
}

/**
 * True for a key that a panel takes for itself: what is typed, moves or presses, and what edits a text. A shortcut of
 * one letter, as D D of a notebook in command mode, does not apply while a panel has the focus.
 * @param {KeyboardEvent} event
 * @param {boolean} [isMac]
 */
export function isOwnKey(event, isMac = /Mac/.test(globalThis.navigator?.platform ?? "")) {
  const { key, altKey, ctrlKey, metaKey, shiftKey } = event;
  if (/^F\d+$/.test(key)) return false;
  if (!(altKey || ctrlKey || metaKey) || event.getModifierState?.("AltGraph")) return true;
  // runs the form; it must not run the cell from one place of the card and the form from another
  if (key === "Enter") return true;
  const name = key.length === 1 ? key.toLowerCase() : key;
  // copies what is selected; and Ctrl A of a notebook would select all its cells, which are not in sight
  if (!isTyped(event.target)) return (name === "c" || name === "a") && !shiftKey && !altKey;
  if (isMac && !metaKey) return true; // Option types characters, Ctrl moves as in Emacs
  return !altKey && (shiftKey ? SHIFTED_EDITS : EDITS).has(name);
}

/**
 * Move in a menu by the arrow keys, Home and End.
 * @param {KeyboardEvent} event
 * @param {HTMLElement} list
 */
export function moveInMenu(event, list) {
  const items = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[role="menuitem"]')]);
  const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const to = { ArrowDown: at + 1, ArrowUp: Math.max(at, 0) - 1, Home: 0, End: -1 }[event.key];
  if (to === undefined || !items.length) return;
  event.preventDefault();
  event.stopPropagation();
  items.at(to % items.length)?.focus();
}

let listens = false;

/**
 * Keep the keys that a panel uses from the shortcuts of the page; all others go on to them. Its focus stays in it, too.
 * @template {HTMLElement} T
 * @param {T} frame
 * @returns {T}
 */
export function keepOwnKeys(frame) {
  keepFocus(frame);
  frame.dataset.fjKeys = "";
  if (listens) return frame;
  listens = true;
  // in the capture phase of the window, first of all listeners: those that look for shortcuts read the mark, some of
  // them before the panel has its key
  window.addEventListener(
    "keydown",
    (event) => {
      const { target } = event;
      if (target instanceof Element && target.closest("[data-fj-keys]"))
        target.toggleAttribute(NO_SHORTCUTS, isOwnKey(event));
    },
    { capture: true },
  );
  return frame;
}
