// @ts-check
/**
 * The focus stays in its panel: a button that goes away or out of use by its own press leaves it to the button that took
 * its place, never to the page, where keys go nowhere and a screen reader is lost.
 */

const REACHED = "button, a[href], input, select, textarea, summary, [tabindex='0']";

/** @type {WeakMap<Element, () => (HTMLElement | null | undefined)[]>} the elements that take over the focus of one that is gone */
const HEIRS = new WeakMap();

/**
 * Register the elements that take over the focus of another: the first of them that can have it does.
 * @template {Element} E
 * @param {E} element
 * @param {() => (HTMLElement | null | undefined)[]} heirs
 * @returns {E}
 */
export function inherits(element, heirs) {
  HEIRS.set(element, heirs);
  return element;
}

/** True for a button that is out of use. @param {HTMLButtonElement} element */
export function isOutOfUse(element) {
  return element.disabled || element.getAttribute("aria-disabled") === "true";
}

/**
 * Put a button into use or out of it. One that has the focus keeps it until the user moves on.
 * @param {HTMLButtonElement} element
 * @param {boolean} usable
 */
export function setUsable(element, usable) {
  const isHeld = !usable && document.activeElement === element && !element.disabled;
  element.disabled = !usable && !isHeld;
  if (!isHeld) return element.removeAttribute("aria-disabled");
  if (element.getAttribute("aria-disabled") === "true") return;
  element.setAttribute("aria-disabled", "true");
  const settle = () => {
    if (element.getAttribute("aria-disabled") !== "true") return;
    element.removeAttribute("aria-disabled");
    element.disabled = true;
  };
  element.addEventListener("blur", settle, { once: true });
}

/** @param {any} element */
function canHaveFocus(element) {
  return Boolean(
    element?.isConnected && !element.disabled && !element.closest("[hidden]") && (element.checkVisibility?.() ?? true),
  );
}

/**
 * Pass the focus on, within `frame`, when what has it is taken away, hidden, or put out of use.
 * @param {HTMLElement} frame
 */
export function keepFocus(frame) {
  /** @type {HTMLElement | null} */
  let last = null;
  /** @type {HTMLElement[]} what was around it, the innermost first */
  let around = [];
  frame.addEventListener("focusin", ({ target }) => {
    last = /** @type {HTMLElement} */ (target);
    around = [];
    for (let one = last.parentElement; one && frame.contains(one); one = one.parentElement) around.push(one);
  });
  frame.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !frame.contains(/** @type {Node} */ (relatedTarget))) last = null;
  });
  frame.addEventListener(
    "pointerdown",
    ({ target }) => last?.contains(/** @type {Node} */ (target)) || (last = null),
    true,
  );
  const pass = () => {
    const active = document.activeElement;
    if (!last || !frame.isConnected || (active && active !== document.body && active !== last)) return;
    const heirs = [last, ...(HEIRS.get(last)?.() ?? [])];
    const heir = heirs.find(canHaveFocus) ?? nearest(around);
    if (heir !== active) heir?.focus({ preventScroll: true });
  };
  const observer = new MutationObserver((records) => {
    const gone = last;
    if (!gone) return;
    const isTaken = records.some((one) => [...one.removedNodes].some((node) => node.contains(gone)));
    // what takes its place comes with the same change, often after this
    if (isTaken || !canHaveFocus(gone)) setTimeout(pass);
  });
  observer.observe(frame, {
    subtree: true,
    childList: true,
    attributes: true,
    attributeFilter: ["hidden", "disabled"],
  });
}

/** @param {HTMLElement[]} places @returns {HTMLElement | undefined} */
function nearest(places) {
  for (const place of places.filter((one) => one.isConnected)) {
    const found = /** @type {HTMLElement[]} */ ([...place.querySelectorAll(REACHED)]).find(canHaveFocus);
    if (found) return found;
  }
  return undefined;
}
