// @ts-check
/** JSON as it is written: whole numbers that a double cannot hold (seeds have 64 bits) stay what they are, as BigInt. */

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const WHOLE = /^-?\d+$/;

/** What stands for a whole number within a text, and is nowhere else. @returns {string} */
const newMark = () => `whole-${[1, 2, 3].map(() => Math.random().toString(36).slice(2)).join("")}:`;

/** @param {string} text */
const isLarge = (text) => WHOLE.test(text) && !Number.isSafeInteger(Number(text));

/**
 * The value of JSON text.
 * @param {string} text
 * @returns {any}
 */
export function parsedJson(text) {
  const plain = JSON.parse(text);
  if (!/\d{16}/.test(text)) return plain;
  let known = false;
  const exact = (
    /** @type {string} */ _,
    /** @type {any} */ value,
    /** @type {{source?: string} | undefined} */ context,
  ) => {
    known ||= context?.source !== undefined;
    return typeof value === "number" && isLarge(context?.source ?? "") ? BigInt(context?.source ?? 0) : value;
  };
  const value = /** @type {any} */ (JSON.parse)(text, exact);
  return known ? value : parsedByMarks(text);
}

/** As `parsedJson`, where the browser does not tell the source of a number. @param {string} text */
function parsedByMarks(text) {
  const mark = newMark();
  return JSON.parse(
    text.replace(TOKEN, (token) => (isLarge(token) ? `"${mark}${token}"` : token)),
    (_, value) => (typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value),
  );
}

/**
 * A value as JSON text, BigInt with all its digits; "null" for none.
 * @param {any} value
 * @param {number} [space]
 */
export function writtenJson(value, space) {
  let mark = ""; // not every browser has JSON.rawJSON
  const marked = (/** @type {string} */ _, /** @type {any} */ one) =>
    typeof one === "bigint" ? (mark ||= newMark()) + one : one;
  const text = JSON.stringify(value, marked, space) ?? "null";
  return mark ? text.replace(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1") : text;
}
