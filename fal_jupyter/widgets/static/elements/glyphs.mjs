// @ts-check
/**
 * State glyphs and icons, drawn here: one shape a state, so that no meaning hangs on a colour. Always beside a word.
 */
import { h, svg } from "./dom.mjs";
import { doingOf, hasFailed, wasCancelled } from "./phases.mjs";

/** @type {Record<string, [string, string][]>} */
const SHAPES = {
  ok: [
    ["circle", "cx=8 cy=8 r=6.5 class=fj-solid"],
    ["path", "d=M5,8.2l2.2,2.2l4,-4.6 class=fj-on-solid"],
  ],
  setup: [
    ["circle", "cx=8 cy=8 r=5.5 class=fj-line"],
    ["path", "d=M8,2.5a5.5,5.5,0,0,0,0,11z class=fj-solid"],
  ],
  idle: [
    ["circle", "cx=8 cy=8 r=5.5 class=fj-line"],
    ["circle", "cx=8 cy=8 r=2 class=fj-solid"],
  ],
  running: [["path", "d=M4.5,2.8l8,5.2l-8,5.2z class=fj-solid"]],
  pending: [["circle", "cx=8 cy=8 r=5.5 class=fj-dashed"]],
  draining: [
    ["path", "d=M3.5,3h9M3.5,6h9 class=fj-line"],
    ["path", "d=M8,8v5M5.5,10.8l2.5,2.6l2.5,-2.6 class=fj-line"],
  ],
  failed: [
    ["path", "d=M5.3,1.5h5.4l3.8,3.8v5.4l-3.8,3.8h-5.4l-3.8,-3.8v-5.4z class=fj-solid"],
    ["path", "d=M5.7,5.7l4.6,4.6M10.3,5.7l-4.6,4.6 class=fj-on-solid"],
  ],
  zero: [["path", "d=M12.8,9.6a5.4,5.4,0,1,1,-6.4,-6.4a4.4,4.4,0,0,0,6.4,6.4z class=fj-line"]],
  stopped: [["rect", "x=3.5 y=3.5 width=9 height=9 class=fj-solid"]],
  done: [["path", "d=M3,8.4l3.3,3.3l6.7,-7.4 class=fj-line"]],
  cross: [["path", "d=M4,4l8,8M12,4l-8,8 class=fj-line"]],
  up: [["path", "d=M8,3l5.5,10h-11z class=fj-solid"]],
  down: [["path", "d=M8,13l5.5,-10h-11z class=fj-solid"]],
  retry: [["path", "d=M8,2l6,6l-6,6l-6,-6z class=fj-solid"]],
  note: [["circle", "cx=8 cy=8 r=3 class=fj-solid"]],
  edited: [
    ["path", "d=M8,2l6,6l-6,6l-6,-6z class=fj-line"],
    ["path", "d=M8,5.5v5M5.5,8h5 class=fj-line"],
  ],
  restart: [["path", "d=M12.8,6.2a5.2,5.2,0,1,0,0.4,2.6M13,2.8v3.6h-3.6 class=fj-line"]],
  stop: [["rect", "x=4 y=4 width=8 height=8 class=fj-line"]],
  more: [["path", "d=M3,8h.01M8,8h.01M13,8h.01 class=fj-dots"]],
  copy: [["path", "d=M5.5,5.5h7v8h-7zM3.5,10.5v-8h7 class=fj-line"]],
  play: [["path", "d=M5,3.5l7,4.5l-7,4.5z class=fj-line"]],
  pause: [["path", "d=M5.5,3.5v9M10.5,3.5v9 class=fj-line"]],
  close: [["path", "d=M4,4l8,8M12,4l-8,8 class=fj-line"]],
  logs: [["path", "d=M3,4h10M3,8h10M3,12h6 class=fj-line"]],
  dashboard: [["path", "d=M2.5,11.5a5.5,5.5,0,1,1,11,0M8,11.5l3,-4 class=fj-line"]],
  add: [["path", "d=M8,3v10M3,8h10 class=fj-line"]],
  undo: [["path", "d=M4,6.5h5.5a3,3,0,0,1,0,6h-3.5M6.5,3.5l-3,3l3,3 class=fj-line"]],
  folded: [["path", "d=M6,4l4,4l-4,4 class=fj-line"]],
  open: [["path", "d=M4,6l4,4l4,-4 class=fj-line"]],
  moon: [["path", "d=M12.8,9.6a5.4,5.4,0,1,1,-6.4,-6.4a4.4,4.4,0,0,0,6.4,6.4z class=fj-line"]],
  table: [["path", "d=M2.5,3.5h11v9h-11zM2.5,6.5h11M6.5,3.5v9 class=fj-line"]],
  warning: [["path", "d=M8,2.5l6,11h-12zM8,6.5v3.5M8,11.7v.1 class=fj-line"]],
  dice: [
    ["rect", "x=2.5 y=2.5 width=11 height=11 rx=2 class=fj-line"],
    ["path", "d=M5.5,5.5h.01M10.5,5.5h.01M8,8h.01M5.5,10.5h.01M10.5,10.5h.01 class=fj-dots"],
  ],
  stream: [["path", "d=M2,5.2q2,-2.6,4,0t4,0t4,0M2,10.8q2,-2.6,4,0t4,0t4,0 class=fj-line"]],
  file: [["path", "d=M4,1.8h5l3.2,3.2v9.2h-8.2zM9,1.8v3.2h3.2 class=fj-line"]],
  link: [
    [
      "path",
      "d=M6.5,9.5l3,-3M7,4.8l1.5,-1.5a3,3,0,0,1,4.2,4.2l-1.5,1.5M9,11.2l-1.5,1.5a3,3,0,0,1,-4.2,-4.2l1.5,-1.5 class=fj-line",
    ],
  ],
};

/**
 * A glyph by its shape; hidden from screen readers, since its word is beside it.
 * @param {string} shape
 * @param {string} [tone] class of its colour
 * @returns {SVGElement}
 */
export function glyph(shape, tone = "") {
  const parts = (SHAPES[shape] ?? SHAPES.note).map(([tag, written]) => {
    /** @type {Record<string, string>} */
    const attributes = {};
    for (const piece of written.split(" ")) {
      const at = piece.indexOf("=");
      attributes[piece.slice(0, at)] = piece.slice(at + 1);
    }
    return svg(tag, attributes);
  });
  const box = { viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true", focusable: "false" };
  return svg("svg", { ...box, class: `fj-glyph ${tone}` }, ...parts);
}

/** @type {Record<string, {shape: string, tone: string, word: string}>} */
const STATES = {
  Ready: { shape: "ok", tone: "fj-ok", word: "Ready" },
  Starting: { shape: "setup", tone: "fj-setup", word: "Starting" },
  Failing: { shape: "failed", tone: "fj-failed", word: "Failing" },
  Zero: { shape: "zero", tone: "fj-pending", word: "Scaled to zero" },
  Stopping: { shape: "draining", tone: "fj-draining", word: "Stopping" },
  Stopped: { shape: "stopped", tone: "fj-pending", word: "Stopped" },
  PENDING: { shape: "pending", tone: "fj-pending", word: "pending" },
  SETUP: { shape: "setup", tone: "fj-setup", word: "setup" },
  IDLE: { shape: "idle", tone: "fj-idle", word: "idle" },
  RUNNING: { shape: "running", tone: "fj-run", word: "running" },
  DRAINING: { shape: "draining", tone: "fj-draining", word: "draining" },
  TERMINATING: { shape: "draining", tone: "fj-draining", word: "ending" },
  CRASH_BACKOFF: { shape: "failed", tone: "fj-failed", word: "crash back-off" },
  GONE: { shape: "stopped", tone: "fj-pending", word: "gone" },
  sent: { shape: "pending", tone: "fj-pending", word: "sent" },
  waiting: { shape: "pending", tone: "fj-pending", word: "waiting" },
  running: { shape: "running", tone: "fj-run", word: "running" },
  streaming: { shape: "stream", tone: "fj-run", word: "streaming" },
  answering: { shape: "running", tone: "fj-run", word: "answering" },
  done: { shape: "done", tone: "fj-ok", word: "succeeded" },
  failed: { shape: "failed", tone: "fj-failed", word: "failed" },
  cancelled: { shape: "close", tone: "fj-pending", word: "cancelled" },
};

/** Shape, tone and word of a state. @param {string} state */
export function stateLook(state) {
  return STATES[state] ?? { shape: "note", tone: "", word: state };
}

/** The glyph of a state. @param {string} state */
export function stateGlyph(state) {
  const look = stateLook(state);
  return glyph(look.shape, look.tone);
}

/** Glyph and word. @param {string} state @param {string} [word] */
export function stateMark(state, word) {
  const look = stateLook(state);
  return h(
    "span",
    { class: `fj-state ${look.tone}` },
    glyph(look.shape, look.tone),
    h("span", null, word ?? look.word),
  );
}

/** The state of a request, in the terms of `stateLook`. @param {import("../types.d.ts").RequestState} request */
export function requestLook(request) {
  return stateLook(hasFailed(request) ? "failed" : wasCancelled(request) ? "cancelled" : doingOf(request).word);
}

/**
 * A small button with an icon; its label is read and shown as a tip.
 * @param {string} shape
 * @param {string} label
 * @param {(event: MouseEvent) => void} press
 * @param {Record<string, any>} [props]
 * @returns {HTMLButtonElement}
 */
export function iconButton(shape, label, press, props = {}) {
  return h(
    "button",
    { type: "button", class: "fj-icon-button", title: label, "aria-label": label, ...props, onclick: press },
    glyph(shape),
  );
}
