// @ts-check
/** What all controls of a form share: their frame with hint and error, and how an empty box is read. */
import { h, newId, setText } from "../elements/dom.mjs";
import { writtenJson } from "../text/exact_json.mjs";

/** @typedef {import("./schema.mjs").Schema} Schema */
/**
 * One control: `read` gives its value (`undefined`: left out), `problem` a sentence or "". A form of fields has their
 * `rows`; `part` gives the control of a field or an item within it.
 * @typedef {{element: HTMLElement, read: () => any, problem: () => string, write: (value: any) => void, rows?: Rows,
 *   part?: (name: string | number) => Control | null | undefined}} Control
 */
/**
 * A field of a form: its schema as texts (see `schemaTexts`), the value that it began with as a text, null where that
 * was given by hand, and whether it has the value of a former form.
 * @typedef {{control: Control, nodes: Node[], text: string, whole: string, start: string | null, taken: boolean}} Row
 * @typedef {Map<string, Row>} Rows by name
 */
/**
 * How a control is made: `id` of its box, `name` of its field, whether it is `required`, how deep it lies, whether
 * `examples` may fill it; `isItem`: of a list, where an empty text is one; `inJson`: it is sent in a JSON body; `former`:
 * the rows of an earlier form of the same endpoint, whose values stay where their fields are the same.
 * @typedef {{id?: string, name?: string, required?: boolean, depth?: number, examples?: boolean, isItem?: boolean,
 *   inJson?: boolean, changed: () => void, former?: Rows}} How
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

/** @param {Control} control */
function valueText(control) {
  const value = control.read();
  return value === undefined ? "" : writtenJson(value);
}

/**
 * The row of a field: that of a former form where the field is the same and its value was changed, else a new one.
 * @param {{text: string, whole: string}} texts of the field's schema
 * @param {Row | undefined} former
 * @param {() => {control: Control, nodes: Node[]}} make
 * @returns {Row}
 */
export function fieldRow(texts, former, make) {
  const taken = former !== undefined && former.text === texts.text && former.start !== valueText(former.control);
  if (taken && former.whole === texts.whole) return { ...former, taken };
  const made = make();
  const start = valueText(made.control);
  if (taken) made.control.write(former.control.read());
  return { ...made, ...texts, start, taken };
}

/**
 * Fill the fields that have no value of a former form with an example of the whole body, and take what they hold now as
 * what they begin with.
 * @param {Rows} rows
 * @param {any} example
 */
export function beginRows(rows, example) {
  for (const [name, row] of rows) {
    if (row.taken) continue;
    if (name === "" && example !== undefined) row.control.write(example);
    else if (example && typeof example === "object" && name in example) row.control.write(example[name]);
    row.start = valueText(row.control);
  }
}

/**
 * What an empty box means: null where null is allowed and not the default anyway, else that the field is left out.
 * @param {Schema} schema
 */
export function emptyValue(schema) {
  return schema.nullable && schema.default !== undefined && schema.default !== null ? null : undefined;
}

/** A value as the text of a box; a whole number of 64 bits comes as a BigInt. @param {any} value */
export function asText(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "string" || typeof value === "bigint" ? String(value) : writtenJson(value);
}
