// @ts-check
/** Numbers of a form: a slider beside the box for a narrow range, dice beside it for a wide one, else the box alone. */
import { h, newId } from "../elements/dom.mjs";
import { asText, emptyValue, fieldFrame } from "./form_field.mjs";
import { iconButton } from "../elements/glyphs.mjs";
import { problemOf, startOf } from "./schema.mjs";

/** @typedef {import("./schema.mjs").Schema} Schema */

const NARROW_STEPS = 1000; // more cannot be told apart on a slider of a form's width
const NARROW_SPAN = 100; // of numbers with a fraction
const WIDE_SPAN = 65535;
const SEED_LIMIT = 2 ** 32 - 1;

/**
 * How a number is asked for: `slider` for a narrow range, `dice` for whole numbers where any will do: a seed, or a
 * range beyond 16 bits.
 * @param {Schema} schema resolved
 * @param {string} name
 */
export function numberKind(schema, name) {
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  const whole = schema.type === "integer";
  const bounded = low !== undefined && high !== undefined && high > low;
  if (whole && (/(^|_)seed$/i.test(name) || (bounded && high - low > WIDE_SPAN))) return "dice";
  if (!bounded) return "box";
  const steps = (high - low) / (schema.multipleOf ?? 1);
  return (whole || schema.multipleOf ? steps <= NARROW_STEPS : high - low <= NARROW_SPAN) ? "slider" : "box";
}

/** A whole number within the bounds, of 32 bits where they allow more. @param {Schema} schema */
export function rolled(schema) {
  const step = schema.multipleOf ?? 1;
  const low = Math.ceil(Math.max(schema.minimum ?? (schema.exclusiveMinimum ?? -1) + 1, -SEED_LIMIT) / step);
  const high = Math.floor(
    Math.min(schema.maximum ?? (schema.exclusiveMaximum ?? SEED_LIMIT + 1) - 1, SEED_LIMIT) / step,
  );
  return (low + Math.floor(Math.random() * (Math.max(low, high) - low + 1))) * step;
}

/** The number of a text; a whole one that a double cannot hold (seeds have 64 bits) as BigInt. @param {string} text */
function numberOf(text) {
  const value = Number(text);
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text) : value;
}

/** @param {Schema} schema @param {import("./form_field.mjs").How} how @returns {import("./form_field.mjs").Control} */
export function numberControl(schema, how) {
  const name = how.name ?? String(schema.title ?? "");
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  const whole = schema.type === "integer";
  const kind = numberKind(schema, name);
  const start = startOf(schema, how.examples !== false);
  const input = h("input", {
    class: `fj-input${kind === "slider" ? " fj-box" : ""}`,
    id: how.id ?? newId(),
    type: "text",
    inputMode: whole ? "numeric" : "decimal",
    value: asText(start),
    placeholder:
      schema.nullable || (!how.required && schema.default === undefined) ? (kind === "dice" ? "random" : "null") : "",
    autocomplete: "off",
    oninput: () => (sync(), show(problem(), input), how.changed()),
  });
  const put = (/** @type {string} */ text) => {
    input.value = text;
    sync();
    show(problem(), input);
    how.changed();
  };
  const slider =
    kind === "slider" &&
    h("input", {
      type: "range",
      min: low,
      max: high,
      step: schema.multipleOf ?? (whole ? 1 : "any"),
      value: start ?? low,
      tabIndex: -1,
      "aria-hidden": "true",
      oninput: () => put(whole ? slider.value : String(Number(Number(slider.value).toPrecision(4)))),
    });
  const dice =
    kind === "dice" ? iconButton("dice", `a random ${name || "number"}`, () => put(String(rolled(schema)))) : null;
  const parts = slider ? [slider, input] : [input, dice];
  const { element, show } = fieldFrame(parts[0], schema, ...parts.slice(1));
  const sync = () => {
    if (slider && typeof read() === "number" && Number.isFinite(read())) slider.value = String(read());
  };
  const read = () => (input.value.trim() === "" ? emptyValue(schema) : numberOf(input.value.trim()));
  const problem = () => {
    const value = read();
    if (value === undefined || value === null)
      return how.required && schema.default === undefined && !schema.nullable ? "It is required." : "";
    return Number.isNaN(value) ? `Give ${whole ? "a whole number" : "a number"}.` : problemOf(schema, value);
  };
  return {
    element,
    read,
    problem: () => show(problem(), input),
    write: (value) => ((input.value = asText(value)), sync(), show("", input)),
  };
}
