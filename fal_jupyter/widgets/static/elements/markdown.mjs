// @ts-check
/**
 * Markdown of a docstring as elements: headings, paragraphs, lists, quotes, code, tables, emphasis, links. It makes
 * elements and text nodes and nothing else: HTML in the text stays text, links lead to http, https and mailto only, and
 * pictures are links, since looking at a card must not ask a stranger's server for anything.
 */
import { h } from "./dom.mjs";
import { plainText } from "../text/plain.mjs";

const MOST_MARKDOWN = 20000;
const DEEPEST_MARKDOWN = 6;
const FENCE = /^ {0,3}(```+|~~~+)\s*(\S*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const UNDERLINE = /^ {0,3}(=+|-+)\s*$/;
const INDENTED = /^ {4,}\S/;
const DOCTEST = /^ {0,3}>>> /; // Python's prompt, not a quotation in a quotation in a quotation
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,4}[.)])\s+/;
const TABLE_RULE = /^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const INLINE = new RegExp(
  [
    /\\([!-/:-@[-`{-~])/, // an escaped character
    /(`{1,3})([^`]+)\2(?!`)/, // code; \2 is the group's number in the whole
    /(!?)\[([^\]]{0,300})\]\(\s*<?([^\s)>]{1,2000})>?(?:\s+"[^"\n]{0,200}")?\s*\)/, // a link or a picture
    /\*\*(?=\S)((?:[^*]|\*(?!\*)){0,1000}?\S)\*\*(?!\*)/, // strong
    /\b__(?=\S)([^_]{0,1000}[^_\s])__\b/, // strong
    /\*(?=\S)([^*]{0,1000}[^*\s])\*/, // emphasis
    /\b_(?=\S)([^_]{0,1000}[^_\s])_\b/, // emphasis
    /<(https?:\/\/[^\s<>]{1,2000})>/, // an address between angle brackets
    /(https?:\/\/[^\s<>)\]]{1,2000})/, // an address
  ]
    .map((kind) => kind.source)
    .join("|"),
  "g",
);

/** @param {string} text @param {string} address @param {number} depth */
function safeLink(text, address, depth) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return null;
  return h(
    "a",
    { href: url.href, target: "_blank", rel: "noopener noreferrer", title: plainText(url.href) },
    ...inline(text, depth + 1, true),
  );
}

/** @param {string} text @param {number} depth @param {boolean} [inLink] a link holds no other @returns {any[]} */
function inline(text, depth, inLink = false) {
  if (depth > DEEPEST_MARKDOWN) return [text];
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, escaped, , code, , label, address, strong, strongToo, em, emToo, angled, bare] = match;
    if (match.index > at) parts.push(text.slice(at, match.index));
    at = match.index + whole.length;
    if (escaped !== undefined) parts.push(escaped);
    else if (code !== undefined) parts.push(h("code", { class: "fj-mono" }, code.trim()));
    else if (address !== undefined) parts.push((inLink ? null : safeLink(label || address, address, depth)) ?? whole);
    else if (angled !== undefined) parts.push((inLink ? null : safeLink(angled, angled, DEEPEST_MARKDOWN)) ?? whole);
    else if (bare !== undefined) {
      const address = bare.replace(/[.,:;!?'"*]{1,20}$/, ""); // what ends a sentence is not part of it
      parts.push((inLink ? null : safeLink(address, address, DEEPEST_MARKDOWN)) ?? address, bare.slice(address.length));
    } else if ((strong ?? strongToo) !== undefined)
      parts.push(h("strong", null, ...inline(strong ?? strongToo, depth + 1, inLink)));
    else parts.push(h("em", null, ...inline(em ?? emToo, depth + 1, inLink)));
  }
  if (at < text.length) parts.push(text.slice(at));
  return parts;
}

/** @param {string} line */
function cells(line) {
  return line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

/** Whether a line of a paragraph goes on with it. @param {string} line */
function continues(line) {
  return Boolean(line.trim()) && ![FENCE, HEADING, QUOTE, ITEM, RULE, UNDERLINE].some((start) => start.test(line));
}

/** @param {string[]} lines @param {number} depth @returns {any[]} */
function blocks(lines, depth) {
  if (depth > DEEPEST_MARKDOWN) return [h("p", null, lines.join("\n"))];
  const reader = new BlockReader(lines, depth);
  const parts = [];
  while (reader.at < lines.length) {
    const part = reader.block();
    if (part) parts.push(part);
  }
  return parts;
}

const codeBlock = (/** @type {string} */ code) => h("pre", { class: "fj-code", tabIndex: 0 }, code);

/** Reads lines of Markdown block by block. */
class BlockReader {
  /** @param {string[]} lines @param {number} depth */
  constructor(lines, depth) {
    this.lines = lines;
    this.depth = depth;
    this.at = 0;
  }

  /** The lines from here on that `more` takes. @param {(line: string) => boolean} more */
  take(more) {
    const from = this.at;
    while (this.at < this.lines.length && more(this.lines[this.at])) this.at++;
    return this.lines.slice(from, this.at);
  }

  /** The next block; null for an empty line. */
  block() {
    const line = this.lines[this.at];
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    const item = ITEM.exec(line);
    if (!line.trim()) return this.skip(null);
    if (fence) {
      this.at++;
      const code = this.take((one) => !one.trim().startsWith(fence[1]));
      return this.skip(codeBlock(code.join("\n")));
    }
    if (heading) return this.skip(h(`h${Math.min(6, heading[1].length + 2)}`, null, ...inline(heading[2], 0)));
    if (RULE.test(line)) return this.skip(h("hr", null));
    if (DOCTEST.test(line)) return codeBlock(this.take((one) => Boolean(one.trim())).join("\n"));
    if (INDENTED.test(line)) {
      const code = this.take((one) => INDENTED.test(one) || !one.trim()).map((one) => one.slice(4));
      return codeBlock(code.join("\n").trimEnd());
    }
    if (QUOTE.test(line)) {
      const quoted = this.take((one) => QUOTE.test(one)).map((one) => one.replace(QUOTE, ""));
      return h("blockquote", null, ...blocks(quoted, this.depth + 1));
    }
    if (item) return this.list(item[2]);
    if (line.includes("|") && TABLE_RULE.test(this.lines[this.at + 1] ?? "")) return this.table();
    return this.paragraph();
  }

  /** Go over a line. @template T @param {T} part @returns {T} */
  skip(part) {
    this.at++;
    return part;
  }

  /** @param {string} marker of its first item */
  list(marker) {
    const ordered = /\d/.test(marker);
    const items = [];
    for (let next = this.at; ; next = this.at) {
      while (next < this.lines.length && !this.lines[next].trim()) next++;
      const mark = ITEM.exec(this.lines[next] ?? "");
      if (!mark || /\d/.test(mark[2]) !== ordered || RULE.test(this.lines[next])) break;
      const first = this.lines[next].slice(mark[0].length);
      this.at = next + 1;
      const rest = this.restOfItem().map((one) => one.replace(/^ {2,4}/, ""));
      items.push(h("li", null, ...(rest.length ? blocks([first, ...rest], this.depth + 1) : inline(first, 0))));
    }
    return h(ordered ? "ol" : "ul", ordered ? { start: Number.parseInt(marker, 10) } : null, ...items);
  }

  restOfItem() {
    const { lines } = this;
    const from = this.at;
    while (
      this.at < lines.length &&
      (/^ {2,}\S/.test(lines[this.at]) ||
        (lines[this.at - 1].trim() && continues(lines[this.at])) ||
        (!lines[this.at].trim() && /^ {2,}\S/.test(lines[this.at + 1] ?? "")))
    )
      this.at++;
    return lines.slice(from, this.at);
  }

  table() {
    const head = cells(this.lines[this.at]);
    const row = (/** @type {string} */ name, /** @type {string[]} */ texts) =>
      h("tr", null, ...texts.map((cell) => h(name, null, ...inline(cell, 0))));
    this.at += 2;
    const rows = this.take((one) => one.includes("|")).map((one) => row("td", cells(one).slice(0, head.length)));
    return h("table", { class: "fj-table" }, h("thead", null, row("th", head)), h("tbody", null, ...rows));
  }

  paragraph() {
    const from = this.at++;
    this.take(continues);
    const words = inline(this.lines.slice(from, this.at).join("\n"), 0);
    const underline = UNDERLINE.exec(this.lines[this.at] ?? "");
    if (underline) this.at++;
    return h(!underline ? "p" : underline[1][0] === "=" ? "h3" : "h4", null, ...words);
  }
}

/** @param {string} text @returns {HTMLElement} */
export function markdownView(text) {
  const shown = plainText(text.slice(0, MOST_MARKDOWN)).replace(/\t/g, "    ");
  return h(
    "div",
    { class: "fj-markdown" },
    ...blocks(shown.split("\n"), 0),
    text.length > MOST_MARKDOWN ? h("p", { class: "fj-muted" }, "…") : null,
  );
}
