// @ts-check
/**
 * What a program prints, as a terminal shows it: `\r` and backspace write over, colours and weights are classes of
 * spans, nothing else acts.
 */
import { h } from "./dom.mjs";
import { withoutControls } from "../text/plain.mjs";

const WIDEST_LINE = 20000;
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
// one control sequence: CSI with parameters and its final character, an OSC (window title, link), or another escape
const SEQUENCE =
  /(?:\u001b\[|\u009b)([0-9;:?<=>]*)[ -/]*([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-~]/y;

/**
 * How the next character is written.
 * @typedef {{colour: string, back: string, bold: boolean, dim: boolean, italic: boolean, underline: boolean, inverse:
 *   boolean}} Pen
 */

/** @returns {Pen} */
export function newPen() {
  return { colour: "", back: "", bold: false, dim: false, italic: false, underline: false, inverse: false };
}

/** The nearest of the eight colours. @param {number} red @param {number} green @param {number} blue */
function nearestColour(red, green, blue) {
  const most = Math.max(red, green, blue);
  if (most < 50) return COLOURS[0];
  const half = most * 0.6;
  return COLOURS[(red > half ? 1 : 0) + (green > half ? 2 : 0) + (blue > half ? 4 : 0)];
}

/**
 * A colour of `38;5;N` or `38;2;R;G;B`; gives its name and how many numbers it took.
 * @param {number[]} numbers
 * @param {number} at
 * @returns {[string, number]}
 */
function extended(numbers, at) {
  if (numbers[at] === 2) return [nearestColour(numbers[at + 1] ?? 0, numbers[at + 2] ?? 0, numbers[at + 3] ?? 0), 4];
  const index = numbers[at + 1] ?? 0;
  if (index < 16) return [COLOURS[index % 8], 2];
  if (index > 231) return [index < 244 ? COLOURS[0] : COLOURS[7], 2];
  const cube = index - 16;
  return [nearestColour(Math.floor(cube / 36) * 51, (Math.floor(cube / 6) % 6) * 51, (cube % 6) * 51), 2];
}

/** @param {Pen} pen @param {string} parameters of SGR */
function dip(pen, parameters) {
  const numbers = parameters.split(/[;:]/).map((one) => Number(one) || 0);
  for (let at = 0; at < numbers.length; at++) {
    const one = numbers[at];
    if (one === 0) Object.assign(pen, newPen());
    else if (one === 1) pen.bold = true;
    else if (one === 2) pen.dim = true;
    else if (one === 3) pen.italic = true;
    else if (one === 4) pen.underline = true;
    else if (one === 7) pen.inverse = true;
    else if (one === 22) pen.bold = pen.dim = false;
    else if (one === 23) pen.italic = false;
    else if (one === 24) pen.underline = false;
    else if (one === 27) pen.inverse = false;
    else if ((one >= 30 && one <= 37) || (one >= 90 && one <= 97)) pen.colour = COLOURS[one % 10];
    else if (one === 39) pen.colour = "";
    else if ((one >= 40 && one <= 47) || (one >= 100 && one <= 107)) pen.back = COLOURS[one % 10];
    else if (one === 49) pen.back = "";
    else if (one === 38 || one === 48) {
      const [name, took] = extended(numbers, at + 1);
      if (one === 38) pen.colour = name;
      else pen.back = name;
      at += took;
    }
  }
}

/** @param {Pen} pen */
function classesOf(pen) {
  const [front, back] = pen.inverse ? [pen.back || "inverse", pen.colour || "inverse"] : [pen.colour, pen.back];
  return [
    front ? `fj-ansi-${front}` : "",
    back ? `fj-ansi-on-${back}` : "",
    pen.bold ? "fj-ansi-bold" : "",
    pen.dim ? "fj-ansi-dim" : "",
    pen.italic ? "fj-ansi-italic" : "",
    pen.underline ? "fj-ansi-underline" : "",
  ]
    .filter(Boolean)
    .join(" ");
}

/**
 * The runs of one line as they stand at its end.
 * @param {string} line without its `\n`
 * @param {Pen} [pen] goes on in the next line
 * @returns {{text: string, look: string}[]}
 */
export function terminalLine(line, pen = newPen()) {
  if (!/[\u001b\u009b\b\r]/.test(line)) {
    const look = classesOf(pen);
    return [{ text: withoutControls(line), look }];
  }
  /** @type {string[]} */
  const letters = [];
  /** @type {string[]} */
  const looks = [];
  let column = 0;
  let look = classesOf(pen);
  for (let at = 0; at < line.length; ) {
    const letter = line[at];
    if (letter === "\u001b" || letter === "\u009b") {
      SEQUENCE.lastIndex = at;
      const match = SEQUENCE.exec(line);
      if (match) {
        const [whole, parameters = "", final] = match;
        const number = Math.min(WIDEST_LINE, Math.max(1, Number.parseInt(parameters, 10) || 1));
        if (final === "m") look = (dip(pen, parameters), classesOf(pen));
        else if (final === "K") {
          const from = parameters === "1" || parameters === "2" ? 0 : column;
          const to = parameters === "1" ? Math.min(column + 1, letters.length) : letters.length;
          if (to === letters.length) letters.length = looks.length = Math.min(from, letters.length);
          else letters.fill(" ", from, to), looks.fill("", from, to);
        } else if (final === "C") column += number;
        else if (final === "D") column = Math.max(0, column - number);
        else if (final === "G") column = number - 1;
        at += whole.length;
        continue;
      }
    }
    at += 1;
    if (letter === "\r") column = 0;
    else if (letter === "\b") column = Math.max(0, column - 1);
    else if (column < WIDEST_LINE) {
      const point = line.codePointAt(at - 1) ?? 0;
      const whole = point > 0xffff ? String.fromCodePoint(point) : letter;
      at += whole.length - 1;
      while (letters.length < column) letters.push(" "), looks.push("");
      letters[column] = whole;
      looks[column] = look;
      column += 1;
    }
  }
  /** @type {{text: string, look: string}[]} */
  const runs = [];
  for (const [at, letter] of letters.entries()) {
    const last = runs.at(-1);
    if (last && last.look === looks[at]) last.text += letter;
    else runs.push({ text: letter, look: looks[at] });
  }
  return runs.map((one) => ({ text: withoutControls(one.text), look: one.look }));
}

/** The text of a line, as it is searched. @param {{text: string}[]} runs */
export function textOfRuns(runs) {
  return runs.map((one) => one.text).join("");
}

/**
 * Runs as nodes, with what is searched for marked.
 * @param {{text: string, look: string}[]} runs
 * @param {string} [wanted] in lower case
 * @returns {any[]}
 */
export function runNodes(runs, wanted = "") {
  return runs.map((one) => {
    const parts = wanted ? marked(one.text, wanted) : [one.text];
    return one.look ? h("span", { class: one.look }, parts) : parts;
  });
}

/** @param {string} text @param {string} wanted @returns {any[]} */
function marked(text, wanted) {
  const parts = [];
  const lower = text.toLowerCase();
  let at = 0;
  for (let next = lower.indexOf(wanted); next >= 0 && lower.length === text.length; next = lower.indexOf(wanted, at)) {
    parts.push(text.slice(at, next), h("mark", null, text.slice(next, next + wanted.length)));
    at = next + wanted.length;
  }
  return [...parts, text.slice(at)];
}

/** Several lines. @param {string} text @returns {HTMLElement} */
export function terminalView(text) {
  const pen = newPen();
  const lines = text.slice(-100000).split(/\r?\n/);
  return h(
    "pre",
    { class: "fj-code fj-terminal", tabIndex: 0 },
    lines.map((line, at) => [runNodes(terminalLine(line, pen)), at < lines.length - 1 ? "\n" : null]),
  );
}
