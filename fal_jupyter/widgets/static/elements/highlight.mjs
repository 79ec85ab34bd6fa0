// @ts-check
/** Colours for short programs. Every piece of the text is a text node, coloured or not. */
import { h } from "./dom.mjs";

const CODE_WORDS = {
  python:
    "import|from|as|with|for|in|while|if|else|def|class|return|yield|await|async|print|None|True|False|not|and|or",
  javascript:
    "import|from|const|let|new|await|async|for|of|class|extends|constructor|super|return|null|true|false|function",
  shell: "curl|until|do|done|sleep|sed|base64|tr",
};
const CODE_COMMENTS = { python: "#[^\\n]*", javascript: "\\/\\/[^\\n]*", shell: "(?<![^\\s])#[^\\n]*" };
const CODE_STRINGS = {
  python: '"(?:\\\\.|[^"\\\\\\n])*"',
  javascript: '"(?:\\\\.|[^"\\\\\\n])*"',
  shell: "'[^']*'|\"(?:\\\\.|[^\"\\\\])*\"",
};

/**
 * A program as coloured text.
 * @param {string} text
 * @param {string} language "python", "javascript" or "shell"; another one stays plain
 * @returns {Node[]}
 */
export function programView(text, language) {
  const name = /** @type {keyof typeof CODE_WORDS} */ (language);
  if (!CODE_WORDS[name]) return [document.createTextNode(text)];
  const kinds = [
    `(?<comment>${CODE_COMMENTS[name]})`,
    `(?<string>${CODE_STRINGS[name]})`,
    `(?<word>(?<![\\w$.])(?:${CODE_WORDS[name]})(?![\\w$]))`,
    "(?<number>(?<![\\w$.])-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?(?![\\w$]))",
  ];
  const token = new RegExp(kinds.join("|"), "g");
  /** @type {Node[]} */
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(token)) {
    if (match.index > at) nodes.push(document.createTextNode(text.slice(at, match.index)));
    const kind = Object.entries(match.groups ?? {}).find(([, one]) => one !== undefined)?.[0];
    nodes.push(h("span", { class: `fj-code-${kind}` }, match[0]));
    at = match.index + match[0].length;
  }
  if (at < text.length) nodes.push(document.createTextNode(text.slice(at)));
  return nodes;
}
