// @ts-check
/** Values as programs write them: Python, JavaScript, JSON, a shell. */

const WIDEST = 72; // characters of a line, beyond which a value takes a line for each of its parts

/**
 * A file that the program reads from its folder; `whole` where it is the file itself that is sent, not its address.
 * `words` say it where it is one that was left out of a recorded input, `isText` where it was a long text of no file.
 */
export class FileInput {
  /** @param {string} name @param {string} type @param {boolean} [whole] @param {string} [words] */
  constructor(name, type, whole = false, words = undefined) {
    this.name = name;
    this.type = type;
    this.whole = whole;
    this.words = words;
  }

  /** A long text of no file: a program has to have all of it. */
  get isText() {
    return this.words !== undefined && !this.type;
  }

  /** The class of `fal.toolkit` that it is. */
  get kind() {
    return this.type.startsWith("image/") ? "Image" : "File";
  }
}

/** @param {any} value @returns {value is Record<string, any>} */
export const isRecord = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof FileInput);

/** The files within a value. @param {any} value @returns {FileInput[]} */
export function filesOf(value) {
  if (value instanceof FileInput) return [value];
  return (Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : []).flatMap(filesOf);
}

/** The first file within a value. @param {any} value @returns {FileInput | null} */
export const fileOf = (value) => filesOf(value)[0] ?? null;

/**
 * How a language writes values. @typedef {{word: (value: any) => string, key: (name: string) => string, file: (file:
 * FileInput) => string}} Grammar
 */

/** @type {Grammar} */
export const PYTHON = {
  word: pythonWord,
  key: pythonWord,
  file: (file) => `fal_client.encode_file(${pythonWord(file.name)})`,
};
/** @type {Grammar} */
export const CELL = {
  ...PYTHON,
  file: (file) => `${file.kind}.from_path(${pythonWord(file.name)})${file.whole ? "" : ".url"}`,
};
/** @type {Grammar} */
export const JSON_TEXT = {
  word: jsonWord,
  key: JSON.stringify,
  file: (file) => JSON.stringify(`data:${file.type};base64,`),
};
/** @type {Grammar} */
export const JAVASCRIPT = {
  // a JavaScript number would round it, and a BigInt is not sent
  word: (value) => (typeof value === "bigint" ? `JSON.rawJSON("${value}")` : jsonWord(value)),
  key: (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)),
  file: (file) => `await file(${JSON.stringify(file.name)}, ${JSON.stringify(file.type)})`,
};

/**
 * A value on one line, or on one line for each part where that is too long.
 * @param {any} value
 * @param {Grammar} how
 * @param {string} tail the comma of Python and JavaScript
 * @param {string} [indent]
 * @param {number} [room]
 * @returns {string}
 */
export function written(value, how, tail, indent = "", room = WIDEST) {
  if (value instanceof FileInput) return how.file(value);
  if (!Array.isArray(value) && !isRecord(value)) return how.word(value);
  const pairs = Array.isArray(value) ? null : Object.entries(value);
  const [open, close] = pairs ? ["{", "}"] : ["[", "]"];
  const parts = (/** @type {string} */ deeper, /** @type {number} */ width) =>
    pairs
      ? pairs.map(([key, one]) => `${how.key(key)}: ${written(one, how, tail, deeper, width)}`)
      : value.map((/** @type {any} */ one) => written(one, how, tail, deeper, width));
  const flat = parts(indent, Number.POSITIVE_INFINITY).join(", ");
  const space = pairs && how === JAVASCRIPT && flat ? " " : "";
  if (flat.length + indent.length <= room) return `${open}${space}${flat}${space}${close}`;
  const deeper = `${indent}    `;
  return `${open}\n${parts(deeper, WIDEST)
    .map((/** @type {string} */ one) => deeper + one)
    .join(",\n")}${tail}\n${indent}${close}`;
}

/** A value as Python writes it, on one line. @param {any} value @returns {string} */
export function pythonLiteral(value) {
  return written(value, PYTHON, ",", "", Number.POSITIVE_INFINITY);
}

/** A word of JSON; a whole number of 64 bits is a BigInt here. @param {any} value */
function jsonWord(value) {
  return typeof value === "bigint" ? String(value) : JSON.stringify(value);
}

/** @param {any} value */
export function pythonWord(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "bigint") return String(value);
  // JSON's escapes are Python's, but for surrogate pairs, which JSON.stringify leaves alone
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A word of a shell: in single quotes, whatever it holds. @param {string} text */
export function shellWord(text) {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}

const PYTHON_KEYWORDS = new Set(
  (
    "False None True and as assert async await break class continue def del elif else except finally for from global " +
    "if import in is lambda nonlocal not or pass raise return try while with yield"
  ).split(" "),
);

/** Whether a name can be a keyword argument. @param {string} name */
export function isKeyword(name) {
  return /^[A-Za-z_]\w*$/.test(name) && !PYTHON_KEYWORDS.has(name);
}

/** A call with its arguments, over several lines where they are long. @param {string} name @param {string[]} args */
export function pythonCall(name, args) {
  const flat = `${name}(${args.join(", ")})`;
  return flat.length <= WIDEST && !flat.includes("\n")
    ? flat
    : `${name}(\n${args.map((one) => `    ${one},\n`).join("")})`;
}

export const programLines = (/** @type {any[]} */ ...lines) =>
  lines.filter((one) => typeof one === "string").join("\n");
