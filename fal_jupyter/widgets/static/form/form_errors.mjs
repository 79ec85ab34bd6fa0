// @ts-check
/** A refused input: each problem that the endpoint tells (FastAPI's `detail`) at the field of the form that it is of. */
import { setText } from "../elements/dom.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {import("./form_field.mjs").Control} Control */

/**
 * The control of a place as pydantic has it, `["body", "size", "width"]`; null where that is no field. What is within a
 * field that has no parts, such as the address of a file, is that field's.
 * @param {{form: Control, query: Control | null}} forms
 * @param {any} place
 * @returns {Control | null}
 */
function controlAt({ form, query }, place) {
  if (!Array.isArray(place)) return null;
  const [where, ...names] = place;
  const whole = where === "body" ? form : where === "query" || where === "path" ? query : null;
  if (!whole) return null;
  const isLone = Boolean(whole.rows?.has(""));
  /** @type {Control | null} */
  let found = isLone ? whole : null;
  let within = whole;
  for (const name of names) {
    const next = within.part?.(name);
    if (!next) return within.part && !isLone ? null : found;
    found = within = next;
  }
  return found;
}

/**
 * What is marked of a control: the frame of a list or a model, as the problem is of all of it, else its box.
 * @param {HTMLElement} element of the control
 * @param {HTMLElement} box
 */
function markedOf(element, box) {
  if (element.tagName === "FIELDSET") return element;
  const frames = [":scope > .fj-list", ":scope > * > .fj-list"];
  if (box.getAttribute("role") === "switch") frames.push(":scope > .fj-optional-fields:not([hidden]) > fieldset");
  return /** @type {HTMLElement} */ (element.querySelector(frames.join()) ?? box);
}

/**
 * Show a problem at a control until that is changed; null where it has no place for one.
 * @param {HTMLElement} element of the control
 * @param {string} text
 * @returns {HTMLElement | null} what takes the focus
 */
function showAt(element, text) {
  const error = element.querySelector(":scope > .fj-error") ?? element.querySelector(":scope > * > .fj-error");
  const box = /** @type {HTMLElement | null} */ (
    element.querySelector('input:not([type="range"], [type="file"]), select, textarea, button')
  );
  if (!(error instanceof HTMLElement) || !box) return null;
  const before = error.hidden ? "" : `${error.textContent} `;
  error.hidden = false;
  setText(error, before + text);
  const at = markedOf(element, box);
  at.setAttribute("aria-invalid", "true");
  at.setAttribute("aria-describedby", error.id);
  const events = at === box ? ["input", "change"] : ["input", "change", "click"]; // items come and go by buttons
  const clear = (/** @type {Event} */ event) => {
    if (event.type === "click" && !(/** @type {Element} */ (event.target).closest("button"))) return;
    for (const one of events) element.removeEventListener(one, clear, true);
    error.hidden = true;
    setText(error, "");
    at.setAttribute("aria-invalid", "false");
    at.removeAttribute("aria-describedby");
  };
  for (const one of events) element.addEventListener(one, clear, true); // before what the field says
  return box;
}

/**
 * Mark the fields of a form by an answer with status 422.
 * @param {{form: Control, query: Control | null}} forms
 * @param {string} answer
 * @returns {HTMLElement | null} the box of the first one in the form
 */
export function markRefused(forms, answer) {
  let problems;
  try {
    problems = JSON.parse(answer)?.detail;
  } catch {
    return null;
  }
  const boxes = (Array.isArray(problems) ? problems : []).slice(0, 100).map((one) => {
    const control = typeof one?.msg === "string" ? controlAt(forms, one.loc) : null;
    return control && showAt(control.element, plainText(one.msg));
  });
  const marked = /** @type {HTMLElement[]} */ (boxes.filter(Boolean));
  const isBefore = (/** @type {HTMLElement} */ one, /** @type {HTMLElement} */ other) =>
    one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1;
  return marked.sort(isBefore)[0] ?? null;
}
