// @ts-check
/** An error of the user's code: its message, the line of the user's code, then the whole traceback. */
import { button, h } from "./dom.mjs";
import { glyph } from "./glyphs.mjs";
import { plural } from "../text/format.mjs";
import { plainText } from "../text/plain.mjs";

/** A name that a kernel compiles its cells under. */
const CELL_FILE = /ipykernel_\d+\/\d+\.py$|<ipython-input-(\d+)/;

/** The last part of a path, or `cell [3]` for what a kernel compiled. @param {string} filename */
function placeOf(filename) {
  const cell = CELL_FILE.exec(filename);
  if (cell) return cell[1] ? `cell [${cell[1]}]` : "the cell";
  return filename.split("/").pop() ?? filename;
}

/** A traceback with a cell in place of the file that a kernel compiled it under. @param {string} text */
export function namedCells(text) {
  return text.replace(/File "([^"\n]*)", line/g, (whole, filename) =>
    CELL_FILE.test(filename) ? `${placeOf(filename).replace(/^./, (c) => c.toUpperCase())}, line` : whole,
  );
}

/**
 * Whether a frame is the user's own: not a library's, nor one without a source, as compiled extensions and generated code have it.
 * @param {import("../types.d.ts").ErrorFrame} frame
 */
function isOwn({ filename, line }) {
  return (
    Boolean(line || CELL_FILE.test(filename)) && !/site-packages|dist-packages|\/lib\/python\d|<frozen/.test(filename)
  );
}

/**
 * The line of the user's code that raised an error, and the line of a cell that led to it where that is another one: the error of a
 * helper module is looked for there; `library` is the number of other frames.
 * @param {import("../types.d.ts").ErrorDescription} error
 */
function ownFrames(error) {
  const own = error.frames.filter(isOwn);
  const frame = own.at(-1) ?? error.frames.at(-1);
  const cell = error.frames.filter((one) => CELL_FILE.test(one.filename)).at(-1);
  return { frame, cell, calls: cell && cell !== frame ? cell : undefined, library: error.frames.length - own.length };
}

/** A line of code, with where it is. @param {import("../types.d.ts").ErrorFrame} frame @param {string} [before] */
function frameView(frame, before = "") {
  const place = `${before}${plainText(placeOf(frame.filename))}, line ${frame.lineno}, in ${plainText(frame.function)}`;
  return h(
    "div",
    null,
    h("div", { class: "fj-muted" }, place),
    frame.line &&
      h(
        "pre",
        { class: "fj-code" },
        h(
          "span",
          { class: before ? null : "fj-here" },
          `${String(frame.lineno).padStart(4)}  ${plainText(frame.line)}`,
        ),
      ),
  );
}

/**
 * @param {import("../types.d.ts").ErrorDescription} error
 * @param {import("../types.d.ts").Host} host
 * @param {string} alias of the app whose code raised it
 * @returns {HTMLElement}
 */
export function errorView(error, host, alias) {
  const { frame, calls, library } = ownFrames(error);
  const whole = h(
    "details",
    null,
    h("summary", null, `whole traceback${library ? `, with ${plural(library, "frame")} of libraries` : ""}`),
    h("pre", { class: "fj-code", tabIndex: 0 }, plainText(namedCells(error.text))),
  );
  const phase = { setup: "setup() raised ", load: "its import raised " }[error.phase] ?? "";
  return h(
    "div",
    { class: "fj-error-view" },
    h(
      "div",
      { class: "fj-banner fj-bad", role: "alert" },
      h("div", null, h("strong", null, phase, plainText(error.type)), h("div", null, plainText(error.message))),
    ),
    frame && frameView(frame),
    calls && frameView(calls, "called from "),
    errorActions(error, host, alias),
    whole,
  );
}

/**
 * The way from an error to the line of its cell, and its traceback for others.
 * @param {import("../types.d.ts").ErrorDescription} error
 * @param {import("../types.d.ts").Host} host
 * @param {string} alias
 */
function errorActions(error, host, alias) {
  if (host.kind === "saved") return null;
  const { cell, calls } = ownFrames(error);
  const label = `Go to line ${cell?.lineno}${calls ? " of the cell" : ""}`;
  return h(
    "div",
    { class: "fj-bar-row fj-error-actions" },
    cell && host.goToLine ? button([glyph("link"), label], () => host.goToLine?.(alias, cell.lineno, cell.line)) : null,
    button([glyph("copy"), "Copy traceback"], () => host.copy(error.text)),
  );
}
