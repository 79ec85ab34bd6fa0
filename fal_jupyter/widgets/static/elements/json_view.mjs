// @ts-check
/** Data as it is read: a tree of JSON that folds, a table of records, the rows of CSV text. */
import { h, link, replace } from "./dom.mjs";
import { bytes, plural } from "../text/format.mjs";
import { plainText } from "../text/plain.mjs";

const SHOWN_ITEMS = 20;
const SHOWN_STRING = 300;
const SHOWN_ROWS = 200;
const AT_ONCE = 100;

/** What is left of a sum of decimals, such as 0.1 + 0.2, relative to it. */
const NOISE = 1e-14;

const DIGITS = 6;
const DECIMALS = 2; // of a number with many digits before its point

/**
 * A number as it is read: whole ones whole, others rounded to six digits or more, among them all before the point. All
 * of a column have this one form; where digits are left out, the element has the exact number as its title.
 * @param {number | bigint} value
 */
export function shownNumber(value) {
  const exact = String(value);
  if (typeof value === "bigint" || !Number.isFinite(value) || Number.isInteger(value)) return exact;
  const before = String(Math.trunc(Math.abs(value))).length;
  const rounded = Number(value.toPrecision(Math.max(DIGITS, before + DECIMALS)));
  const isNoise = Math.abs(rounded - value) <= NOISE * Math.abs(value);
  return isNoise || Math.trunc(rounded) === Math.trunc(value) ? String(rounded) : exact;
}

/** The exact number where {@link shownNumber} leaves digits out, for a title. @param {number | bigint} value */
function exactNumber(value) {
  const exact = String(value);
  return shownNumber(value) === exact ? null : exact;
}

/** `3 keys`, `12 items`. @param {any} value */
export function sizeWords(value) {
  return Array.isArray(value) ? plural(value.length, "item") : plural(Object.keys(value).length, "key");
}

/** @param {any} value */
function isFlat(value) {
  return (
    value !== null &&
    typeof value === "object" &&
    !Array.isArray(value) &&
    Object.values(value).every((one) => one === null || typeof one !== "object")
  );
}

/** A table where the value is a list of flat records, else a tree. @param {any} value @returns {HTMLElement} */
export function dataView(value) {
  return Array.isArray(value) && value.length > 1 && value.every(isFlat)
    ? recordTable(value)
    : h("div", { class: "fj-json", tabIndex: 0 }, jsonTree(value, null, 0));
}

/**
 * @param {any} value
 * @param {string | null} name
 * @param {number} depth
 * @returns {Node}
 */
export function jsonTree(value, name, depth) {
  const label = name === null ? null : [h("span", null, plainText(name)), ": "];
  if (value === null || typeof value !== "object") return h("div", { class: "fj-leaf" }, label, scalar(value));
  const entries = Array.isArray(value)
    ? value.map((one, at) => /** @type {[string, any]} */ ([String(at), one]))
    : Object.entries(value);
  if (!entries.length) return h("div", { class: "fj-leaf" }, label, Array.isArray(value) ? "[]" : "{}");
  const folded = depth > 0 && (depth > 3 || entries.length > SHOWN_ITEMS);
  const children = h("div", { class: "fj-children" });
  const details = h(
    "details",
    { open: !folded },
    h("summary", null, label, h("span", { class: "fj-muted" }, sizeWords(value))),
    children,
  );
  let filled = 0;
  const fill = () => {
    const next = entries.slice(filled, filled + AT_ONCE);
    for (const [key, one] of next) children.append(jsonTree(one, key, depth + 1));
    filled += next.length;
    if (filled >= entries.length) return;
    const more = h(
      "button",
      { type: "button", class: "fj-choice", onclick: () => (more.remove(), fill()) },
      `${entries.length - filled} more`,
    );
    children.append(more);
  };
  if (folded) details.addEventListener("toggle", fill, { once: true });
  else fill();
  return details;
}

/** @param {any} value */
function scalar(value) {
  if (typeof value === "number" || typeof value === "bigint") return numberView(value);
  if (typeof value !== "string") return h("span", { class: "fj-value" }, String(value));
  const shown = JSON.stringify(plainText(value.length > SHOWN_STRING ? value.slice(0, SHOWN_STRING) : value));
  if (value.length <= SHOWN_STRING) {
    return h("span", { class: "fj-string" }, /^https?:\/\/\S+$/i.test(value) ? link(value, shown) : shown);
  }
  const place = h("span", { class: "fj-string" }, `${shown.slice(0, -1)}… `);
  const more = h(
    "button",
    { type: "button", class: "fj-choice", onclick: () => replace(place, JSON.stringify(plainText(value))) },
    `${bytes(value.length)}`,
  );
  place.append(more);
  return place;
}

/** @param {number | bigint} value */
function numberView(value) {
  const exact = exactNumber(value);
  return h("span", { class: exact ? "fj-value fj-rounded" : "fj-value", title: exact }, shownNumber(value));
}

/** @param {Record<string, any>[]} rows */
function recordTable(rows) {
  const heads = [...new Set(rows.slice(0, SHOWN_ROWS).flatMap((row) => Object.keys(row)))].slice(0, 30);
  return tableView(
    heads,
    rows.map((row) => heads.map((head) => row[head])),
  );
}

/**
 * A table; a column of numbers is aligned at its right, with its head.
 * @param {string[]} heads
 * @param {any[][]} rows
 * @returns {HTMLElement}
 */
export function tableView(heads, rows) {
  const shown = rows.slice(0, SHOWN_ROWS);
  const isMissing = (/** @type {any} */ value) => value === undefined || value === null || value === "";
  const isNumber = (/** @type {any} */ value) =>
    typeof value === "number" ||
    typeof value === "bigint" ||
    (typeof value === "string" && /^-?\d{1,15}(\.\d+)?$/.test(value));
  const numeric = heads.map(
    (_, at) => shown.some((row) => isNumber(row[at])) && shown.every((row) => isMissing(row[at]) || isNumber(row[at])),
  );
  const cell = (/** @type {any} */ value, /** @type {number} */ at) => {
    const look = (/** @type {string} */ more) => (numeric[at] ? "fj-number" : more);
    if (typeof value === "number") {
      const exact = exactNumber(value);
      const shown = exact ? h("span", { class: "fj-rounded" }, shownNumber(value)) : shownNumber(value);
      return h("td", { class: look(""), title: exact }, shown);
    }
    const text = isMissing(value) ? "–" : plainText(String(value));
    const isLong = text.length > 60;
    return h("td", { class: look(isLong ? "fj-cut" : ""), title: isLong ? text : null }, text);
  };
  const table = h(
    "table",
    { class: "fj-table" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        heads.map((head, at) => h("th", { scope: "col", class: numeric[at] ? "fj-number" : "" }, plainText(head))),
      ),
    ),
    h(
      "tbody",
      null,
      shown.map((row) =>
        h(
          "tr",
          null,
          heads.map((_, at) => cell(row[at], at)),
        ),
      ),
    ),
  );
  const more =
    rows.length > shown.length
      ? h("p", { class: "fj-muted" }, `${shown.length} of ${plural(rows.length, "row")} shown`)
      : null;
  return h("div", { class: "fj-scroll", tabIndex: 0 }, table, more);
}

/** The rows of CSV text (RFC 4180). @param {string} text @returns {string[][]} */
export function csvRows(text) {
  /** @type {string[][]} */
  const rows = [];
  /** @type {string[]} */
  let row = [];
  for (const match of text.matchAll(/("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/g)) {
    row.push(match[1].startsWith('"') ? match[1].slice(1, -1).replace(/""/g, '"') : match[1]);
    if (match[2] !== ",") {
      if (row.length > 1 || row[0] !== "") rows.push(row);
      row = [];
      if (match[2] === "") break;
    }
  }
  return rows;
}
