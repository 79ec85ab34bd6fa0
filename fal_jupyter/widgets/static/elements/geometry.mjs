// @ts-check
/** The numbers of a chart, without any drawing: ticks, steps, stacks, lanes. */
import { byNumber } from "../text/format.mjs";

/** @typedef {import("../types.d.ts").Timeline} Timeline */

/** Columns of a point, as protocol/feed.py SERIES has them. */
export const WAITING = 1;
export const RUNNING = 2;
/** Runner states from the bottom of the stack to its top, with their column. @type {[string, number][]} */
export const STACK = [
  ["RUNNING", 6],
  ["IDLE", 5],
  ["SETUP", 4],
  ["PENDING", 3],
  ["CRASH_BACKOFF", 9],
  ["DRAINING", 7],
  ["TERMINATING", 8],
];

/**
 * Ticks of a count from 0 to the first round number that holds `most`: 0, 2, 4 or 0, 6, 12.
 * @param {number} most
 * @param {number} [parts] at most so many steps
 * @returns {number[]}
 */
export function countTicks(most, parts = 2) {
  const least = Math.max(1, Math.ceil(most / parts));
  const power = 10 ** Math.floor(Math.log10(least));
  const step =
    [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((one) => one * power).find((one) => one >= least && Number.isInteger(one)) ??
    least;
  const ticks = [0];
  while (ticks[ticks.length - 1] < most || ticks.length < 2) ticks.push(ticks.length * step);
  return ticks;
}

/**
 * Moments on round clock times between `from` and `to` (milliseconds).
 * @param {number} from
 * @param {number} to
 * @param {number} [about]
 */
export function timeTicks(from, to, about = 6) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].map((one) => one * 1000);
  const step = steps.find((one) => (to - from) / one <= about) ?? 7200000;
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  return ticks;
}

const LABEL = 56; // pixels of `14:32:08` at 11 px, with a little air

/**
 * The times below an axis: round ones, none nearer to the next than its text is wide, none beyond the axis' ends.
 * @param {number} from
 * @param {number} to
 * @param {number} left in pixels
 * @param {number} right in pixels
 * @returns {{time: number, x: number}[]}
 */
export function timeLabels(from, to, left, right) {
  const place = (/** @type {number} */ time) => left + ((time - from) / Math.max(1, to - from)) * (right - left);
  const most = Math.max(1, Math.floor((right - left) / (LABEL + 16)));
  const labels = [];
  let end = left - LABEL / 2; // the text may begin left of the axis by a half of itself, where the gutter is
  for (const time of timeTicks(from, to, most)) {
    const x = Math.min(right - LABEL / 2 + 8, place(time));
    if (x - LABEL / 2 < end) continue;
    labels.push({ time, x: round(x) });
    end = x + LABEL / 2;
  }
  return labels;
}

/**
 * The first number of 1, 2, 5 and their tens that holds `value`; a multiple of `step` where there is one.
 * @param {number} value
 * @param {number} [step]
 */
export function roundUp(value, step = 0) {
  if (step) return Math.max(step, Math.ceil(value / step) * step);
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= value) ?? value;
}

/** The measurement in force at a moment, null before the first one. @param {number[][]} usage @param {number} moment */
export function usageAt(usage, moment) {
  return pointAt(usage, moment);
}

// milliseconds without a measurement after which nothing is known: the gateway measures only while a panel is open
const UNMEASURED = 12000;

// a saved picture has every n-th measurement: so many of them are apart by the same
const THINNED = 8;

/** Milliseconds between two measurements after which there is a gap. @param {number[][]} usage */
function unmeasuredAfter(usage) {
  const steps = usage.slice(1).map((one, at) => one[0] - usage[at][0]);
  if (steps.length < THINNED) return UNMEASURED;
  const usual = steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)];
  return Math.max(UNMEASURED, 2.5 * usual);
}

/**
 * A line through measurements, and the area below it; a gap where nothing was measured.
 * @param {number[][]} usage
 * @param {number} column
 * @param {number} from
 * @param {number} to
 * @param {(time: number) => number} x
 * @param {(value: number) => number} y
 */
export function pathOfUsage(usage, column, from, to, x, y) {
  let line = "";
  let area = "";
  const gap = unmeasuredAfter(usage);
  /** @type {number[][]} */
  let part = [];
  const end = () => {
    if (part.length) {
      const points = part.map((one) => `${round(x(one[0]))},${round(y(one[column]))}`).join("L");
      line += `M${points}`;
      area += `M${round(x(part[0][0]))},${round(y(0))}L${points}L${round(x(part[part.length - 1][0]))},${round(y(0))}Z`;
    }
    part = [];
  };
  for (const one of usage) {
    if (one[0] < from || one[0] > to) continue;
    if (part.length && one[0] - part[part.length - 1][0] > gap) end();
    part.push(one);
  }
  end();
  return { line, area };
}

/**
 * The points from `from` to `to`, with the state at `from` carried in and the last one carried to `to`. Points within
 * `pixel` milliseconds become their peak and their end: no peak is lost, and none is drawn longer than it lasted, or a
 * pixel.
 * @param {number[][]} points
 * @param {number} from
 * @param {number} to
 * @param {number} [pixel]
 */
export function clipPoints(points, from, to, pixel = 0) {
  /** @type {number[][]} */
  const clipped = [];
  /** @type {number[][]} */
  let group = [];
  const first = firstAfter(points, from);
  if (first > 0) clipped.push([from, ...points[first - 1].slice(1)]);
  for (let at = first; at < points.length && points[at][0] <= to; at += 1) {
    if (group.length && points[at][0] - group[0][0] >= pixel) {
      clipped.push(...peakAndEnd(group));
      group = [];
    }
    group.push(points[at]);
  }
  clipped.push(...peakAndEnd(group));
  const last = clipped[clipped.length - 1];
  return last ? [...clipped, [to, ...last.slice(1)]] : [];
}

/** A group's highest counts, from its beginning on, and how it ended. @param {number[][]} group */
function peakAndEnd(group) {
  if (group.length < 3) return group;
  const peak = group.reduce((one, two) => (two[RUNNING] > one[RUNNING] ? two : one));
  const first = [...peak];
  first[0] = group[0][0];
  first[WAITING] = Math.max(...group.map((one) => one[WAITING]));
  const last = group[group.length - 1];
  return first.every((value, column) => !column || value === last[column]) ? [first] : [first, last];
}

/** The number of the first point after a moment, by binary search. @param {number[][]} points @param {number} moment */
function firstAfter(points, moment) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= moment) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The point in force at a moment, or null before the first one. @param {number[][]} points @param {number} moment */
export function pointAt(points, moment) {
  return points[firstAfter(points, moment) - 1] ?? null;
}

/** Runners in all at a point. @param {number[]} point */
export function runnersAt(point) {
  return STACK.reduce((sum, [, column]) => sum + point[column], 0);
}

/**
 * A path of steps through one column.
 * @param {number[][]} points clipped
 * @param {number} column
 * @param {(time: number) => number} x
 * @param {(value: number) => number} y
 */
export function stepPath(points, column, x, y) {
  let path = "";
  for (const [at, point] of points.entries()) {
    const px = round(x(point[0]));
    const py = round(y(point[column]));
    path += at === 0 ? `M${px},${py}` : `H${px}V${py}`;
  }
  return path;
}

/**
 * A path of steps that fills between the sum of `below` and that plus `column`; "" where the column is nothing
 * throughout.
 * @param {number[][]} points clipped
 * @param {number} column
 * @param {number[]} below
 * @param {(time: number) => number} x
 * @param {(value: number) => number} y
 */
export function stackPath(points, column, below, x, y) {
  if (!points.some((point) => point[column] > 0)) return "";
  let path = "";
  for (let at = 0; at < points.length - 1; ) {
    let end = at;
    if (points[at][column] > 0) {
      const base = below.reduce((sum, one) => sum + points[at][one], 0);
      const top = base + points[at][column];
      while (
        end < points.length - 1 &&
        below.reduce((sum, one) => sum + points[end][one], 0) === base &&
        points[end][column] === points[at][column]
      )
        end += 1;
      path += `M${round(x(points[at][0]))},${round(y(base))}V${round(y(top))}H${round(x(points[end][0]))}V${round(y(base))}Z`;
    } else end += 1;
    at = end;
  }
  return path;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/**
 * The spans of a runner's states between two moments.
 * @param {[number, string][]} moves
 * @param {number} from
 * @param {number} to
 */
export function laneSpans(moves, from, to) {
  const spans = [];
  for (let at = 0; at < moves.length; at += 1) {
    const [began, state] = moves[at];
    const ended = moves[at + 1]?.[0] ?? to;
    if (state === "GONE" || ended < from || began > to) continue;
    spans.push({ state, from: Math.max(began, from), to: Math.min(ended, to) });
  }
  return spans;
}

/**
 * The lanes to draw, in the order in which they began: those with something in the span; of more than `most` those that
 * live or lived last.
 * @param {import("../types.d.ts").Lane[]} lanes
 * @param {number} from
 * @param {number} to
 * @param {number} most
 */
export function chosenLanes(lanes, from, to, most) {
  const seen = lanes.filter((lane) => laneSpans(lane.moves, from, to).length > 0);
  const ended = (/** @type {import("../types.d.ts").Lane} */ lane) => {
    const [time, state] = lane.moves[lane.moves.length - 1];
    return state === "GONE" ? time : Infinity;
  };
  const began = (/** @type {import("../types.d.ts").Lane} */ lane) => lane.moves[0][0];
  const latest = [...seen]
    .sort((a, b) => (ended(a) === ended(b) ? began(a) - began(b) : ended(b) - ended(a)))
    .slice(0, most);
  return {
    lanes: latest.sort((a, b) => began(a) - began(b) || byNumber(a.id, b.id)),
    more: seen.length - latest.length,
  };
}

/**
 * The decisions that get a mark: of several within `apart` pixels the weightiest, the latest of equals; a note weighs
 * least.
 * @param {import("../types.d.ts").Decision[]} decisions
 * @param {(time: number) => number} x
 * @param {number} [apart]
 * @returns {{decision: import("../types.d.ts").Decision, x: number, room: number, several:
 *   import("../types.d.ts").Decision[]}[]} `room`: pixels to the next mark; `several`: all that it stands for
 */
export function placeMarks(decisions, x, apart = 26) {
  /**
   * @type {{decision: import("../types.d.ts").Decision, x: number, room: number, several:
   *   import("../types.d.ts").Decision[]}[]}
   */
  const marks = [];
  for (const decision of decisions) {
    const place = x(decision.time);
    const before = marks[marks.length - 1];
    if (!before || place - before.x >= apart) marks.push({ decision, x: place, room: Infinity, several: [decision] });
    else
      marks[marks.length - 1] = {
        ...before,
        decision: decision.kind !== "note" || before.decision.kind === "note" ? decision : before.decision,
        several: [...before.several, decision],
      };
  }
  for (let at = 0; at + 1 < marks.length; at += 1) marks[at].room = marks[at + 1].x - marks[at].x;
  return marks;
}
