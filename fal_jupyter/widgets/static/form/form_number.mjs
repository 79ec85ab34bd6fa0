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
  const [from, to] = [schema.minimum ?? schema.exclusiveMinimum, schema.maximum ?? schema.exclusiveMaximum];
  const isExact = typeof from !== "bigint" && typeof to !== "bigint";
  const [low, high] = [Number(from), Number(to)];
  const whole = schema.type === "integer";
  const bounded = from !== undefined && to !== undefined && high > low;
  if (whole && (/(^|_)seed$/i.test(name) || (bounded && high - low > WIDE_SPAN))) return "dice";
  if (!bounded) return "box";
  if (!isExact) return "box"; // a slider has no more digits than a double
  const steps = (high - low) / Number(schema.multipleOf ?? 1);
  return (whole || schema.multipleOf ? steps <= NARROW_STEPS : high - low <= NARROW_SPAN) ? "slider" : "box";
}

/** The lowest or highest number that is allowed; 0 or 32 bits where there is no bound. @param {Schema} schema @param {"Min" | "Max"} side */
function boundOf(schema, side) {
  const [bound, beyond] = [schema[`${side.toLowerCase()}imum`], schema[`exclusive${side}imum`]];
  if (bound !== undefined) return bound;
  if (beyond === undefined) return side === "Min" ? 0 : SEED_LIMIT;
  const step = side === "Min" ? 1 : -1;
  return typeof beyond === "bigint" ? beyond + BigInt(step) : beyond + step;
}

/** A whole number within the bounds, of 32 bits where they allow more. @param {Schema} schema */
export function rolled(schema) {
  const [from, to] = [boundOf(schema, "Min"), boundOf(schema, "Max")];
  if ((typeof from === "bigint" && from > 0n) || (typeof to === "bigint" && to < 0n)) return rolledBeyond(schema);
  const step = Number(schema.multipleOf ?? 1);
  const low = Math.ceil(Math.max(Number(from), -SEED_LIMIT) / step);
  const high = Math.floor(Math.min(Number(to), SEED_LIMIT) / step);
  return (low + Math.floor(Math.random() * (Math.max(low, high) - low + 1))) * step;
}

/** As `rolled`, where all that is allowed is beyond a double's whole numbers. @param {Schema} schema */
function rolledBeyond(schema) {
  const isNegative = Number(boundOf(schema, "Max")) < 0;
  const step = BigInt(Math.max(1, Math.trunc(Number(schema.multipleOf ?? 1))));
  const start = BigInt(boundOf(schema, isNegative ? "Max" : "Min"));
  const sign = isNegative ? -1n : 1n;
  const least = (sign * start + step - 1n) / step; // of steps away from zero
  const end =
    schema[isNegative ? "minimum" : "maximum"] ?? schema[isNegative ? "exclusiveMinimum" : "exclusiveMaximum"];
  const room =
    end === undefined
      ? SEED_LIMIT
      : Number((sign * BigInt(typeof end === "bigint" ? end : Math.trunc(end))) / step - least);
  return sign * (least + BigInt(Math.floor(Math.random() * Math.max(1, Math.min(room, SEED_LIMIT))))) * step;
}

/**
 * The number of a text; a whole one that a double cannot hold (seeds have 64 bits) as BigInt; the text where it is none.
 * @param {string} text
 */
function numberOf(text) {
  const value = Number(text);
  if (Number.isNaN(value)) return text;
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
    if (!slider) return;
    const value = read();
    const isSet = typeof value === "number" && Number.isFinite(value);
    slider.value = String(isSet ? value : low);
    slider.classList.toggle("fj-unset", !isSet);
    slider.title = isSet ? "" : "not set";
    if (isSet) slider.removeAttribute("aria-valuetext");
    else slider.setAttribute("aria-valuetext", "not set");
  };
  const read = () => (input.value.trim() === "" ? emptyValue(schema) : numberOf(input.value.trim()));
  const problem = () => {
    const value = read();
    if (value === undefined || value === null)
      return how.required && schema.default === undefined && !schema.nullable ? "It is required." : "";
    return typeof value === "string" ? `Give ${whole ? "a whole number" : "a number"}.` : problemOf(schema, value);
  };
  sync();
  return {
    element,
    read,
    problem: () => show(problem(), input),
    write: (value) => ((input.value = asText(value)), sync(), show("", input)),
  };
}
