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

/** Whether a frame is the user's own and not a library's. @param {string} filename */
function isOwn(filename) {
  return !/site-packages|dist-packages|\/lib\/python\d|<frozen/.test(filename);
}

/**
 * The innermost frame of the user's own code; `isCell` where a notebook's cell holds it.
 * @param {import("../types.d.ts").ErrorDescription} error
 */
export function ownFrame(error) {
  const frame = error.frames.filter((one) => isOwn(one.filename)).at(-1);
  return frame && { ...frame, isCell: CELL_FILE.test(frame.filename) };
}

/**
 * @param {import("../types.d.ts").ErrorDescription} error
 * @param {import("../types.d.ts").Host} host
 * @param {string} alias of the app whose code raised it
 * @returns {HTMLElement}
 */
export function errorView(error, host, alias) {
  const own = error.frames.filter((frame) => isOwn(frame.filename));
  const frame = own.at(-1) ?? error.frames.at(-1);
  const where =
    frame &&
    h(
      "div",
      null,
      h(
        "div",
        { class: "fj-muted" },
        `${plainText(placeOf(frame.filename))}, line ${frame.lineno}, in ${plainText(frame.function)}`,
      ),
      h(
        "pre",
        { class: "fj-code" },
        h("span", { class: "fj-here" }, `${String(frame.lineno).padStart(4)}  ${plainText(frame.line || "")}`),
      ),
    );
  const library = error.frames.length - own.length;
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
    where,
    whole,
    errorActions(error, host, alias),
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
  const frame = ownFrame(error);
  return h(
    "div",
    { class: "fj-bar-row fj-error-actions" },
    frame && host.goToLine && frame.isCell
      ? button([glyph("link"), `Go to line ${frame.lineno}`], () => host.goToLine?.(alias, frame.lineno, frame.line))
      : null,
    button([glyph("copy"), "Copy traceback"], () => host.copy(error.text)),
  );
}
