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
const INLINE =
  /\\([!-/:-@[-`{-~])|(`{1,3})([^`]+)\2(?!`)|(!?)\[([^\]]{0,300})\]\(\s*<?([^\s)>]{1,2000})>?(?:\s+"[^"\n]{0,200}")?\s*\)|\*\*(?=\S)((?:[^*]|\*(?!\*)){0,1000}?\S)\*\*(?!\*)|\b__(?=\S)([^_]{0,1000}[^_\s])__\b|\*(?=\S)([^*]{0,1000}[^*\s])\*|\b_(?=\S)([^_]{0,1000}[^_\s])_\b|<(https?:\/\/[^\s<>]{1,2000})>|(https?:\/\/[^\s<>)\]]{1,2000})/g;

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
  const parts = [];
  let at = 0;
  const take = (/** @type {(line: string) => boolean} */ more) => {
    const from = at;
    while (at < lines.length && more(lines[at])) at++;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    const item = ITEM.exec(line);
    if (!line.trim()) {
      at++;
    } else if (fence) {
      at++;
      const code = take((one) => !one.trim().startsWith(fence[1]));
      at++;
      parts.push(h("pre", { class: "fj-code", tabIndex: 0 }, code.join("\n")));
    } else if (heading) {
      at++;
      parts.push(h(`h${Math.min(6, heading[1].length + 2)}`, null, ...inline(heading[2], 0)));
    } else if (RULE.test(line)) {
      at++;
      parts.push(h("hr", null));
    } else if (DOCTEST.test(line)) {
      parts.push(h("pre", { class: "fj-code", tabIndex: 0 }, take((one) => Boolean(one.trim())).join("\n")));
    } else if (INDENTED.test(line)) {
      const code = take((one) => INDENTED.test(one) || !one.trim()).map((one) => one.slice(4));
      parts.push(h("pre", { class: "fj-code", tabIndex: 0 }, code.join("\n").trimEnd()));
    } else if (QUOTE.test(line)) {
      parts.push(
        h(
          "blockquote",
          null,
          ...blocks(
            take((one) => QUOTE.test(one)).map((one) => one.replace(QUOTE, "")),
            depth + 1,
          ),
        ),
      );
    } else if (item) {
      const ordered = /\d/.test(item[2]);
      const items = [];
      for (let next = at; ; next = at) {
        while (next < lines.length && !lines[next].trim()) next++;
        const mark = ITEM.exec(lines[next] ?? "");
        if (!mark || /\d/.test(mark[2]) !== ordered || RULE.test(lines[next])) break;
        const first = lines[next].slice(mark[0].length);
        at = next + 1;
        const from = at;
        while (
          at < lines.length &&
          (/^ {2,}\S/.test(lines[at]) ||
            (lines[at - 1].trim() && continues(lines[at])) ||
            (!lines[at].trim() && /^ {2,}\S/.test(lines[at + 1] ?? "")))
        )
          at++;
        const rest = lines.slice(from, at);
        items.push(
          h(
            "li",
            null,
            ...(rest.length
              ? blocks([first, ...rest.map((one) => one.replace(/^ {2,4}/, ""))], depth + 1)
              : inline(first, 0)),
          ),
        );
      }
      parts.push(h(ordered ? "ol" : "ul", ordered ? { start: Number.parseInt(item[2], 10) } : null, ...items));
    } else if (line.includes("|") && TABLE_RULE.test(lines[at + 1] ?? "")) {
      const head = cells(line);
      at += 2;
      const rows = take((one) => one.includes("|")).map((one) =>
        h(
          "tr",
          null,
          ...cells(one)
            .slice(0, head.length)
            .map((cell) => h("td", null, ...inline(cell, 0))),
        ),
      );
      parts.push(
        h(
          "table",
          { class: "fj-table" },
          h("thead", null, h("tr", null, ...head.map((cell) => h("th", null, ...inline(cell, 0))))),
          h("tbody", null, ...rows),
        ),
      );
    } else {
      const from = at++;
      take(continues);
      const words = inline(lines.slice(from, at).join("\n"), 0);
      const underline = UNDERLINE.exec(lines[at] ?? "");
      if (underline) at++;
      parts.push(h(!underline ? "p" : underline[1][0] === "=" ? "h3" : "h4", null, ...words));
    }
  }
  return parts;
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
