// @ts-check
/** The numbers of a chart, without any drawing: ticks, steps, stacks, lanes. */

/** @typedef {import("./types.d.ts").Timeline} Timeline */

/** Columns of a point, as protocol/feed.py SERIES has them. */
export const WAITING = 1;
export const RUNNING = 2;
/** Runner states from the bottom of the stack to its top, with their column. @type {[string, number][]} */
export const STACK = [["RUNNING", 6], ["IDLE", 5], ["SETUP", 4], ["PENDING", 3], ["CRASH_BACKOFF", 9], ["DRAINING", 7], ["TERMINATING", 8]];

/**
 * Round ticks from 0 to at least `most`, whole numbers only.
 * @param {number} most
 * @param {number} [about] how many
 */
export function countTicks(most, about = 3) {
  const top = Math.max(1, Math.ceil(most));
  const rough = top / about;
  const power = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const step = Math.max(1, [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? power * 10);
  const ticks = [];
  for (let at = 0; at < top + step; at += step) ticks.push(at);
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

/**
 * The points from `from` to `to`, with the state at `from` carried in and the last one carried to `to`.
 * @param {number[][]} points
 * @param {number} from
 * @param {number} to
 */
export function clipPoints(points, from, to) {
  let before = null;
  const inside = [];
  for (const point of points) {
    if (point[0] < from) before = point;
    else if (point[0] <= to) inside.push(point);
  }
  const found = before ? [[from, ...before.slice(1)], ...inside] : inside;
  const last = found.at(-1);
  return last ? [...found, [to, ...last.slice(1)]] : [];
}

/** The point in force at a moment, or null. @param {number[][]} points @param {number} at */
export function pointAt(points, at) {
  let found = null;
  for (const point of points) {
    if (point[0] > at) break;
    found = point;
  }
  return found;
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
 * A path of steps that fills between the sum of `below` and that plus `column`; "" where the column is nothing throughout.
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
      while (end < points.length - 1 && below.reduce((sum, one) => sum + points[end][one], 0) === base && points[end][column] === points[at][column]) end += 1;
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
 * The lanes to draw: those with something in the span, living ones first, the newest first; and how many are left out.
 * @param {import("./types.d.ts").Lane[]} lanes
 * @param {number} from
 * @param {number} to
 * @param {number} most
 */
export function chosenLanes(lanes, from, to, most) {
  const shown = lanes.filter((lane) => laneSpans(lane.moves, from, to).length > 0);
  const kept = shown.slice(-most);
  return { lanes: kept, more: shown.length - kept.length };
}
