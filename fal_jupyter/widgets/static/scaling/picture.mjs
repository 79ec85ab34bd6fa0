// @ts-check
/**
 * The picture of the scaling timeline: its parts as SVG, from numbers only. `update` of dom.mjs brings it to the page.
 */
import { svg } from "../elements/dom.mjs";
import { clock, plural, runnerName } from "../text/format.mjs";
import {
  RUNNING,
  STACK,
  WAITING,
  chosenLanes,
  clipPoints,
  countTicks,
  laneSpans,
  placeMarks,
  pointAt,
  runnersAt,
  stackPath,
  stepPath,
  timeLabels,
} from "../elements/geometry.mjs";
import { stateLook } from "../elements/glyphs.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {import("../types.d.ts").Decision} Decision */
/**
 * @typedef {object} Drawn what is drawn
 * @property {import("../types.d.ts").Timeline} timeline
 * @property {number} from
 * @property {number} to
 * @property {number} width in pixels
 * @property {string} prefix of ids
 * @property {number} most runners at once, by the app's options; 0 where unknown
 * @property {Map<string, string>} devices their names by id
 * @property {Decision | null} chosen
 * @property {number | null} cross moment of the cross-hair
 * @property {{from: number, to: number} | null} brush
 * @property {(decision: Decision, focus: boolean) => void} choose
 * @property {(decision: Decision | null) => void} hover
 */

export const RIGHT = 12;
const MARKS = 26;
const REQUESTS = 58;
const RUNNERS = 72;
const LANE = 20;
const LANES = 8;
/** Patterns of states, by the angle of their lines. @type {Record<string, number>} */
const HATCHED = { SETUP: 45, PENDING: 135, CRASH_BACKOFF: -45, DRAINING: 0, TERMINATING: 0 };
/** @type {Record<string, string>} */
const SHAPES_OF_MARKS = {
  up: "M0,-6L6,5H-6Z",
  down: "M0,6L6,-5H-6Z",
  retry: "M0,-7L7,0L0,7L-7,0Z",
  note: "M-3,0a3,3,0,1,0,6,0a3,3,0,1,0,-6,0",
};

/** Pixels at the left that hold names and values. @param {number} width of the picture */
export function gutterOf(width) {
  return width < 480 ? 84 : 112;
}

/** `2 → 4`, or what it was. @param {Decision} one */
export function moveWords(one) {
  return one.before !== one.after ? `${one.before} → ${one.after}` : one.kind === "retry" ? "retry" : `${one.after}`;
}

/** What decisions that share a mark changed together. @param {Decision[]} several */
export function markWords(several) {
  const moved = several.filter((one) => one.before !== one.after);
  if (moved.length < 2) return moveWords(moved[0] ?? several[several.length - 1]);
  const [first, last] = [moved[0].before, moved[moved.length - 1].after];
  if (first !== last) return `${first} → ${last}`;
  const turn = moved.map((one) => one.after).sort((one, two) => Math.abs(two - first) - Math.abs(one - first))[0];
  return `${first} → ${turn} → ${last}`;
}

/**
 * The numbers beside a mark where there is room for them, else how many decisions it stands for.
 * @param {{decision: Decision, several: Decision[], x: number, room: number}} one
 * @param {string} words
 * @param {number} right
 */
function markText(one, words, right) {
  const room = Math.min(one.room, right + RIGHT - one.x);
  const many = one.several.length > 1 ? ` in ${one.several.length} steps` : "";
  if (one.decision.kind === "note" && !many) return null;
  const text = [`${words}${many}`, words, String(one.several[one.several.length - 1].after)].find(
    (each) => 11 + 6.2 * each.length + 9 <= room,
  );
  return text ? svg("text", { x: 10, y: 4 }, text) : null;
}

/** Patterns are taken from the page by id. @param {string} prefix */
export function patternsOf(prefix) {
  return svg(
    "defs",
    null,
    Object.entries(HATCHED).map(([state, angle]) =>
      svg(
        "pattern",
        {
          id: `${prefix}-${state}`,
          width: 6,
          height: 6,
          patternUnits: "userSpaceOnUse",
          patternTransform: `rotate(${angle})`,
        },
        svg("path", { d: "M0,3H6", class: "fj-hatch-line" }),
      ),
    ),
  );
}

/**
 * An area of a state: its colour, and its pattern on it.
 * @param {string} state
 * @param {string} prefix
 * @param {string} tag
 * @param {Record<string, any>} shape
 */
export function stateArea(state, prefix, tag, shape) {
  return [
    svg(tag, { class: `fj-fill-${state}`, ...shape }),
    state in HATCHED ? svg(tag, { ...shape, class: "fj-hatch", fill: `url(#${prefix}-${state})` }) : null,
  ];
}

/** @param {number} across @param {number} down @param {any} words */
const chartText = (across, down, words, kind = "") => svg("text", { x: across, y: down, class: kind || null }, words);

/** @param {number} bottom @param {number} height @param {number[]} ticks @returns {(value: number) => number} */
const verticalScale = (bottom, height, ticks) => (value) => bottom - (value / ticks[ticks.length - 1]) * height;

/**
 * The children of the SVG and its height.
 * @param {Drawn} drawn
 */
export function timelinePicture(drawn) {
  const { timeline, from, to, width, cross, brush } = drawn;
  const left = gutterOf(width);
  const right = width - RIGHT;
  const x = (/** @type {number} */ time) =>
    Math.round((left + ((time - from) / Math.max(1, to - from)) * (right - left)) * 10) / 10;
  const points = clipPoints(timeline.points, from, to, (to - from) / Math.max(1, right - left));
  const requestTicks = countTicks(Math.max(1, ...points.map((one) => Math.max(one[WAITING], one[RUNNING]))));
  const runnerTicks = countTicks(Math.max(1, ...points.map(runnersAt)));
  const requestsBottom = MARKS + 8 + REQUESTS;
  const runnersBottom = requestsBottom + 12 + RUNNERS;
  const requestsY = verticalScale(requestsBottom, REQUESTS, requestTicks);
  const runnersY = verticalScale(runnersBottom, RUNNERS, runnerTicks);
  const chosen = chosenLanes(timeline.lanes, from, to, LANES);
  const lanes = chosen.lanes;
  const more = chosen.more + (timeline.older_runners ?? 0); // those, a saved picture does not have
  const lanesTop = runnersBottom + 8;
  const bottom = lanesTop + lanes.length * LANE + (more ? 16 : 0);
  const ticks = [
    ...requestTicks.map((tick) => [tick, requestsY(tick)]),
    ...runnerTicks.map((tick) => [tick, runnersY(tick)]),
  ];
  /** @type {number[]} */
  const below = [];
  const stack = STACK.map(([state, column]) => {
    const d = stackPath(points, column, below, x, runnersY);
    below.push(column);
    return d ? stateArea(state, drawn.prefix, "path", { d }) : null;
  });
  const lines = [
    svg("path", { class: "fj-wait-line", d: stepPath(points, WAITING, x, requestsY) }),
    svg("path", { class: "fj-run-line", d: stepPath(points, RUNNING, x, requestsY) }),
  ];
  const visible = timeline.decisions.filter((one) => one.time >= from && one.time <= to);
  const marks = placeMarks(visible, x);
  const span =
    brush && brush.to > from && brush.from < to ? [x(Math.max(from, brush.from)), x(Math.min(to, brush.to))] : null;
  const marked = span && { x: span[0], y: MARKS, width: Math.max(1, span[1] - span[0]), height: bottom - MARKS };
  const upright = (/** @type {number} */ at) => ({ x1: at, x2: at, y1: MARKS, y2: bottom });
  return {
    height: bottom + 22,
    marks,
    children: [
      patternsOf(drawn.prefix),
      axesOf(drawn, ticks, left, right, bottom, x),
      marked ? svg("rect", { class: "fj-brush", ...marked }) : null,
      svg("g", { "data-key": "gutter" }, gutterTexts(drawn, left, requestsBottom)),
      svg("g", { "data-key": "stack" }, stack),
      svg("g", { "data-key": "lines" }, lines),
      svg(
        "g",
        { "data-key": "lanes" },
        lanes.map((one, at) => laneGroup(drawn, one, lanesTop + at * LANE, left, x)),
      ),
      more ? chartText(8, bottom - 3, `${plural(more, "runner")} not shown`) : null,
      span ? span.map((at) => svg("line", { class: "fj-brush-edge", ...upright(at) })) : null,
      svg("g", { "data-key": "mark lines", class: "fj-mark-lines" }, markLines(drawn, marks, bottom)),
      svg("g", { "data-key": "marks" }, markGroups(drawn, marks, right)),
      cross === null ? null : svg("line", { class: "fj-cross", "data-key": "cross", ...upright(x(cross)) }),
    ],
  };
}

/**
 * Times below the chart, and its grid.
 * @param {Drawn} drawn
 * @param {number[][]} ticks values and where they are
 * @param {number} left
 * @param {number} right
 * @param {number} bottom
 * @param {(time: number) => number} x
 */
function axesOf({ from, to }, ticks, left, right, bottom, x) {
  return [
    timeLabels(from, to, left, right).map((one) => [
      svg("line", { class: "fj-grid", x1: x(one.time), x2: x(one.time), y1: MARKS, y2: bottom }),
      svg("text", { x: one.x, y: bottom + 15, "text-anchor": "middle" }, clock(one.time, false)),
    ]),
    ticks.map(([tick, y]) => [
      svg("line", { class: "fj-grid", x1: left, x2: right, y1: y, y2: y }),
      svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, tick),
    ]),
    svg("line", { class: "fj-grid", x1: left, x2: right, y1: bottom, y2: bottom }),
  ];
}

/** The labels at the left of the chart. @param {Drawn} drawn @param {number} left @param {number} requestsBottom */
function gutterTexts({ timeline, to, cross, most }, left, requestsBottom) {
  const value = pointAt(timeline.points, cross ?? to);
  const waiting = value ? value[WAITING] : 0;
  const running = value ? value[RUNNING] : 0;
  return [
    chartText(8, 17, cross === null ? "Decisions" : clock(cross), cross === null ? "" : "fj-strong"),
    chartText(8, MARKS + 16, "Requests", "fj-strong"),
    svg("line", { class: "fj-wait-line", x1: 8, x2: 24, y1: MARKS + 29, y2: MARKS + 29 }),
    chartText(28, MARKS + 33, left > 100 ? `waiting ${waiting}` : `wait ${waiting}`),
    svg("line", { class: "fj-run-line", x1: 8, x2: 24, y1: MARKS + 45, y2: MARKS + 45 }),
    chartText(28, MARKS + 49, left > 100 ? `running ${running}` : `run ${running}`),
    chartText(8, requestsBottom + 24, "Runners", "fj-strong"),
    chartText(8, requestsBottom + 40, `${value ? runnersAt(value) : 0}${most ? ` of ${most}` : ""}`),
  ];
}

/**
 * A runner's lane: its states over time.
 * @param {Drawn} drawn
 * @param {import("../types.d.ts").Lane} one
 * @param {number} y
 * @param {number} left
 * @param {(time: number) => number} x
 */
function laneGroup(drawn, one, y, left, x) {
  const device = one.devices.map((id) => drawn.devices.get(id) ?? "gpu").join(" ");
  return svg(
    "g",
    { "data-key": one.id },
    svg("title", null, plainText(`${one.id}, r${one.revision}`)),
    svg(
      "text",
      { x: 8, y: y + 14 },
      svg("tspan", { class: "fj-strong" }, `runner ${plainText(runnerName(one.id)).slice(0, 8)}`),
      left > 100 && device ? svg("tspan", { dx: 6 }, device.slice(0, 6)) : null,
    ),
    laneSpans(one.moves, drawn.from, drawn.to).map((span) => {
      const thin = span.state === "IDLE";
      const wide = Math.max(2, x(span.to) - x(span.from));
      const box = {
        x: x(span.from),
        y: y + (thin ? 7 : 4),
        width: wide,
        height: thin ? 6 : 12,
        "data-state": span.state,
        "data-from": span.from,
        "data-to": span.to,
      };
      const word = stateLook(span.state).word.toUpperCase();
      const named = !thin && span.state === "RUNNING" && wide > 64;
      return [
        stateArea(span.state, drawn.prefix, "rect", box),
        named ? svg("text", { class: "fj-on-lane", x: x(span.from) + 6, y: y + 14 }, word) : null,
      ];
    }),
  );
}

/** @param {Drawn} drawn @param {ReturnType<typeof placeMarks>} marks @param {number} bottom */
function markLines(drawn, marks, bottom) {
  return marks
    .filter((one) => one.decision.kind !== "note" || one.decision === drawn.chosen)
    .map((one) => {
      const here = one.decision === drawn.chosen ? "fj-mark-here" : "";
      return svg("line", {
        "data-key": `line ${one.decision.time}`,
        class: `fj-mark-line fj-mark-line-${one.decision.kind} ${here}`,
        x1: one.x,
        x2: one.x,
        y1: 23,
        y2: bottom,
      });
    });
}

/**
 * The marks of decisions; arrow keys go from one to the next.
 * @param {Drawn} drawn
 * @param {ReturnType<typeof placeMarks>} marks
 * @param {number} right
 */
function markGroups(drawn, marks, right) {
  const last = marks[marks.length - 1];
  const shown = marks.some((one) => one.decision === drawn.chosen) ? drawn.chosen : last?.decision;
  return marks.map((one, number) => {
    const { decision } = one;
    const words = markWords(one.several);
    const several = one.several.length > 1 ? `, the last of ${one.several.length} decisions` : "";
    const label = `${clock(decision.time, false)}, ${words}: ${plainText(decision.reason)}${several}`;
    const go = (/** @type {KeyboardEvent} */ event) => {
      const next = {
        ArrowRight: marks[number + 1],
        ArrowLeft: marks[number - 1],
        Home: marks[0],
        End: last,
        Enter: one,
        " ": one,
      }[event.key];
      if (!next) return;
      event.preventDefault();
      event.stopPropagation();
      drawn.choose(next.decision, true);
    };
    return svg(
      "g",
      {
        class: `fj-mark fj-mark-${decision.kind in SHAPES_OF_MARKS ? decision.kind : "note"}`,
        transform: `translate(${one.x},13)`,
        tabindex: decision === shown ? "0" : "-1",
        role: "button",
        "aria-label": label,
        "data-key": `mark ${decision.time}`,
        onclick: () => drawn.choose(decision, false),
        onfocus: () => drawn.hover(decision),
        onkeydown: go,
        onpointerenter: () => drawn.hover(decision),
        onpointerleave: () => drawn.hover(null),
      },
      svg("rect", { x: -7, y: -11, width: 14, height: 22, fill: "transparent" }),
      decision === drawn.chosen ? svg("circle", { class: "fj-mark-ring", r: 10 }) : null,
      svg("path", { d: SHAPES_OF_MARKS[decision.kind] ?? SHAPES_OF_MARKS.note }),
      markText(one, words, right),
    );
  });
}
