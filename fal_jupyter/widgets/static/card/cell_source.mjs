// @ts-check
/**
 * Writes scaling options into the text of an app's cell: where they are written already, else as attributes of the
 * class.
 */
import { plainNumber } from "../text/format.mjs";

/** Options of the magic's line, by fal's names: they count more than the class. @type {Record<string, string>} */
const FLAGS = {
  min_concurrency: "--min",
  max_concurrency: "--max",
  keep_alive: "--keep-alive",
  max_multiplexing: "--multiplex",
  warm: "--warm",
};

/** @param {string} line */
function indentOf(line) {
  return /^\s*/.exec(line)?.[0] ?? "";
}

/**
 * The line after a bracketed or plain statement that begins at `at`: the first one behind its last bracket.
 * @param {string[]} lines
 * @param {number} at
 */
function endOfHeader(lines, at) {
  let depth = 0;
  for (let n = at; n < lines.length; n += 1) {
    for (const sign of lines[n].replace(/(["'])(?:\\.|(?!\1).)*\1/g, "").replace(/#.*/, ""))
      depth += "([{".includes(sign) ? 1 : ")]}".includes(sign) ? -1 : 0;
    if (depth <= 0) return n;
  }
  return lines.length - 1;
}

/**
 * The line behind a docstring that begins at `at`, or `at` where there is none.
 * @param {string[]} lines
 * @param {number} at
 */
function behindDocstring(lines, at) {
  const quote = /^\s*[rRuU]?("""|'''|"|')/.exec(lines[at] ?? "")?.[1];
  if (!quote) return at;
  const from = lines[at].indexOf(quote) + quote.length;
  if (lines[at].indexOf(quote, from) >= 0) return at + 1;
  for (let n = at + 1; quote.length === 3 && n < lines.length; n += 1) if (lines[n].includes(quote)) return n + 1;
  return at;
}

/**
 * The cell's text with `values` written into it.
 * @param {string} source
 * @param {string} className
 * @param {Record<string, number>} values by fal's names
 * @returns {string}
 * @throws {Error} one sentence, where the text has no place for them
 */
export function withOptions(source, className, values) {
  const lines = source.split("\n");
  const at = lines.findIndex((line) => new RegExp(`^\\s*class\\s+${className}\\b`).test(line));
  if (at < 0) throw new Error(`The cell has no class ${className}.`);
  const header = endOfHeader(lines, at);
  if (!/:\s*(#.*)?$/.test(lines[header]))
    throw new Error(`The class ${className} is written in one line: give its body lines of its own first.`);
  const magic = lines.findIndex((line) => /^\s*%%fal_app\b/.test(line));
  let first = header + 1;
  while (first < lines.length && !lines[first].trim()) first += 1;
  const inner = indentOf(lines[first] ?? "");
  if (inner.length <= indentOf(lines[at]).length) throw new Error(`The class ${className} has no body in this cell.`);
  let end = first;
  while (
    end < lines.length &&
    (!lines[end].trim() || indentOf(lines[end]).length >= inner.length || /^\s*#/.test(lines[end]))
  )
    end += 1;
  /** @type {string[]} */
  const added = [];
  for (const [name, value] of Object.entries(values)) {
    const text = plainNumber(value);
    const flag = magic >= 0 && FLAGS[name] ? new RegExp(`(\\s${FLAGS[name]}[ =])\\S+`) : null;
    const attribute = new RegExp(`^(${inner}${name}\\s*(?::[^=]+)?=\\s*)[^#\\n]*?(\\s*#.*)?$`);
    const keyword = new RegExp(`(\\b${name}\\s*=\\s*)[^,)]+`);
    const written = lines.findIndex((line, n) => n > header && n < end && attribute.test(line));
    const given = lines.findIndex((line, n) => n >= at && n <= header && keyword.test(line));
    if (flag?.test(lines[magic])) lines[magic] = lines[magic].replace(flag, (_, before) => before + text);
    else if (written >= 0)
      lines[written] = lines[written].replace(attribute, (_, before, after) => before + text + (after ?? ""));
    else if (given >= 0) lines[given] = lines[given].replace(keyword, (_, before) => before + text);
    else if (name === "warm") lines[magic] = magic >= 0 ? `${lines[magic]} --warm ${text}` : lines[magic];
    else added.push(`${inner}${name} = ${text}`);
  }
  const place = behindDocstring(lines, first);
  if (added.length && /^\s*(@|(async\s+)?def\b|class\b)/.test(lines[place] ?? "")) added.push("");
  lines.splice(place, 0, ...added);
  return lines.join("\n");
}
