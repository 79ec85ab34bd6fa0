// @ts-check
/** What all controls of a form share: their frame with hint and error, and how an empty box is read. */
import { h, newId, setText } from "./dom.mjs";

/** @typedef {import("./schema.mjs").Schema} Schema */
/**
 * One control: `read` gives its value (`undefined`: left out), `problem` a sentence or "".
 * @typedef {{element: HTMLElement, read: () => any, problem: () => string, write: (value: any) => void}} Control
 */
/**
 * How a control is made: `id` of its box, `name` of its field, whether it is `required`, how deep it lies, whether `examples` may fill it.
 * @typedef {{id?: string, name?: string, required?: boolean, depth?: number, examples?: boolean, changed: () => void}} How
 */

/**
 * @param {HTMLElement} input
 * @param {Schema} schema
 * @param {Node[]} more
 */
export function fieldFrame(input, schema, ...more) {
  const error = h("div", { id: newId(), class: "fj-error", role: "alert", hidden: true });
  const hint = schema.description ? h("div", { class: "fj-hint" }, String(schema.description)) : null;
  const element = h("div", { class: "fj-field" }, input, more, error, hint);
  const show = (/** @type {string} */ problem, /** @type {HTMLElement} */ at = input) => {
    error.hidden = !problem;
    setText(error, problem);
    at.setAttribute("aria-invalid", String(Boolean(problem)));
    if (problem) at.setAttribute("aria-describedby", error.id);
    else at.removeAttribute("aria-describedby");
    return problem;
  };
  return { element, show };
}

/** What an empty box means: null where null is allowed and not the default anyway, else that the field is left out. @param {Schema} schema */
export function emptyValue(schema) {
  return schema.nullable && schema.default !== undefined && schema.default !== null ? null : undefined;
}

/** @param {any} value */
export function asText(value) {
  return value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}
