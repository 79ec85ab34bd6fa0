// @ts-check
/** Geometry of the scaling timeline: scales, round ticks, steps, stacks and lanes, all clipped to a span of time. No DOM here. */

/** @typedef {import("./types.d.ts").Lane} Lane */
/** @typedef {import("./types.d.ts").Decision} Decision */
/** @typedef {(value: number) => number} Scale */

/** Columns of a point, as SERIES of protocol/feed.py has them. */
export const COLUMNS = ["time", "waiting", "running", "PENDING", "SETUP", "IDLE", "RUNNING", "DRAINING", "TERMINATING", "CRASH_BACKOFF"];
/** Runners' states from the bottom of the stack to its top. */
export const STACKED = ["RUNNING", "IDLE", "SETUP", "CRASH_BACKOFF", "PENDING", "DRAINING", "TERMINATING"];
export const MOST_LANES = 8;

const STEPS_OF_TIME = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].map((seconds) => seconds * 1000);

/**
 * A straight scale from `[low, high]` to `[from, to]`.
 * @param {number} low @param {number} high @param {number} from @param {number} to
 * @returns {Scale}
 */
export function straightScale(low, high, from, to) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

/**
 * Ticks of a count, from 0 to the first round number that holds `high`: 0, 2, 4 or 0, 6, 12.
 * @param {number} high
 * @param {number} [parts] at most so many steps
 * @returns {number[]}
 */
export function countTicks(high, parts = 2) {
  const least = Math.max(1, Math.ceil(high / parts));
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((one) => one * power).find((one) => one >= least && Number.isInteger(one)) ?? least;
  const ticks = [];
  for (let at = 0; at < high + step && ticks.length <= parts; at += step) ticks.push(at);
  return ticks;
}

/**
 * Ticks of the clock on round times, `apart` pixels from each other at least.
 * @param {number} from @param {number} to milliseconds @param {number} width pixels @param {number} [apart]
 * @returns {number[]}
 */
export function timeTicks(from, to, width, apart = 90) {
  const span = Math.max(1, to - from);
  const step = STEPS_OF_TIME.find((one) => (one / span) * width >= apart) ?? STEPS_OF_TIME[STEPS_OF_TIME.length - 1];
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) ticks.push(at);
  return ticks;
}

/** The number of the first point after `time`, by halving. @param {number[][]} points @param {number} time */
export function firstAfter(points, time) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The point in force at `time`, or null before the first one. @param {number[][]} points @param {number} time */
export function pointAt(points, time) {
  const at = firstAfter(points, time) - 1;
  return at < 0 ? null : points[at];
}

/**
 * The points that are seen from `from` to `to`: the one in force at `from` is moved there. Of several points in one pixel only the
 * last one stays, but that a peak is never lost: `peak` columns keep their largest value.
 * @param {number[][]} points @param {number} from @param {number} to @param {number} [pixel] milliseconds of a pixel
 * @returns {number[][]}
 */
export function clipPoints(points, from, to, pixel = 0) {
  const first = firstAfter(points, from);
  const last = firstAfter(points, to);
  /** @type {number[][]} */
  const seen = first > 0 ? [[from, ...points[first - 1].slice(1)]] : [];
  for (let at = first; at < last; at += 1) {
    const before = seen[seen.length - 1];
    if (before && pixel > 0 && at > first && points[at][0] - before[0] < pixel) {
      const merged = [...points[at]];
      merged[0] = before[0];
      merged[1] = Math.max(merged[1], before[1]);
      merged[2] = Math.max(merged[2], before[2]);
      seen[seen.length - 1] = merged;
    } else seen.push(points[at]);
  }
  return seen;
}

/**
 * A line of steps through a column, to the right end `end`.
 * @param {number[][]} points clipped @param {number} column @param {Scale} x @param {Scale} y @param {number} end
 */
export function stepPath(points, column, x, y, end) {
  if (!points.length) return "";
  let path = "";
  let level = NaN;
  for (const point of points) {
    if (point[column] === level) continue;
    const across = round1(x(point[0]));
    path += path ? `H${across}V${round1(y(point[column]))}` : `M${across},${round1(y(point[column]))}`;
    level = point[column];
  }
  return `${path}H${round1(x(end))}`;
}

/** @param {number} value */
function round1(value) {
  return Math.round(value * 10) / 10;
}

/**
 * The stack of runners: rectangles of each state, side by side ones of one height joined, as one path a state.
 * @param {number[][]} points clipped @param {Scale} x @param {Scale} y @param {number} end
 * @returns {Map<string, string>}
 */
export function stackPaths(points, x, y, end) {
  /** @type {Map<string, string>} */
  const paths = new Map(STACKED.map((state) => [state, ""]));
  /** @type {Map<string, {since: number, low: number, high: number}>} */
  const open = new Map();
  const close = (/** @type {string} */ state, /** @type {number} */ until) => {
    const one = open.get(state);
    if (!one) return;
    open.delete(state);
    const [left, right] = [round1(x(one.since)), round1(x(until))];
    if (right <= left) return;
    paths.set(state, `${paths.get(state)}M${left},${round1(y(one.low))}V${round1(y(one.high))}H${right}V${round1(y(one.low))}Z`);
  };
  for (const point of points) {
    let low = 0;
    for (const state of STACKED) {
      const high = low + (point[COLUMNS.indexOf(state)] || 0);
      const one = open.get(state);
      if (!one || one.low !== low || one.high !== high) {
        close(state, point[0]);
        if (high > low) open.set(state, { since: point[0], low, high });
      }
      low = high;
    }
  }
  for (const state of STACKED) close(state, end);
  return paths;
}

/** Runners in all at a point. @param {number[]} point */
export function runnersAt(point) {
  return STACKED.reduce((sum, state) => sum + (point[COLUMNS.indexOf(state)] || 0), 0);
}

/**
 * A runner's states from `from` to `to`; the last one goes on to `to` unless it is GONE.
 * @param {Lane} lane @param {number} from @param {number} to
 * @returns {{state: string, from: number, to: number}[]}
 */
export function laneSpans(lane, from, to) {
  const spans = [];
  for (let at = 0; at < lane.moves.length; at += 1) {
    const [since, state] = lane.moves[at];
    const until = lane.moves[at + 1]?.[0] ?? to;
    if (state !== "GONE" && until > from && since < to) spans.push({ state, from: Math.max(from, since), to: Math.min(to, until) });
  }
  return spans;
}

/**
 * The lanes that are shown: those seen in the span, in the order in which they began; of more than `most` those that live now or lived last.
 * @param {Lane[]} lanes @param {number} from @param {number} to @param {number} [most]
 * @returns {{shown: Lane[], folded: number}}
 */
export function chooseLanes(lanes, from, to, most = MOST_LANES) {
  const seen = lanes.filter((lane) => laneSpans(lane, from, to).length > 0);
  const end = (/** @type {Lane} */ lane) => (lane.moves[lane.moves.length - 1][1] === "GONE" ? lane.moves[lane.moves.length - 1][0] : Infinity);
  const kept = new Set([...seen].sort((a, b) => (end(b) === end(a) ? b.moves[0][0] - a.moves[0][0] : end(b) - end(a))).slice(0, most));
  const shown = seen.filter((lane) => kept.has(lane)).sort((a, b) => a.moves[0][0] - b.moves[0][0]);
  return { shown, folded: seen.length - shown.length };
}

/**
 * The decisions that get a mark: of several within `apart` pixels the weightiest, the latest of equals; notes weigh least.
 * @param {Decision[]} decisions @param {number} from @param {number} to @param {Scale} x @param {number} [apart]
 * @returns {{decision: Decision, at: number, label: boolean}[]} `label`: there is room for words at its right
 */
export function placeMarks(decisions, from, to, x, apart = 14) {
  const weight = (/** @type {Decision} */ one) => (one.kind === "note" ? 0 : 1);
  /** @type {{decision: Decision, at: number, label: boolean}[]} */
  const marks = [];
  for (const decision of decisions) {
    if (decision.time < from || decision.time > to) continue;
    const at = x(decision.time);
    const before = marks[marks.length - 1];
    if (before && at - before.at < apart) {
      if (weight(decision) >= weight(before.decision)) marks[marks.length - 1] = { decision, at, label: true };
    } else marks.push({ decision, at, label: true });
  }
  for (let i = 0; i + 1 < marks.length; i += 1) marks[i].label = marks[i + 1].at - marks[i].at >= 64;
  return marks;
}

/** The mark of a decision: its shape as written in a sentence. @param {string} kind */
export function decisionSign(kind) {
  return { up: "▲", down: "▼", retry: "◆" }[kind] ?? "•";
}
