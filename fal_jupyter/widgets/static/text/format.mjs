// @ts-check
/** Numbers as people read them: a space before the unit, never a µs, `–` for what is missing. */

export const MISSING = "–";

/**
 * A duration in milliseconds: `<0.1 ms`, `2.1 ms`, `412 ms`, `3.24 s`, `14.4 s`, `4 m 12 s`, `2 h 05 m`.
 * @param {number | null | undefined} ms
 */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return MISSING;
  if (ms <= 0) return "0";
  if (ms < 0.1) return "<0.1 ms";
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} m`;
}

/** The time of a clock that runs: below a second in tenths, so that it can be read. @param {number} ms */
export function runningTime(ms) {
  const passed = Math.max(0, ms);
  return duration(passed < 1000 ? Math.floor(passed / 100) * 100 : passed);
}

/**
 * A count: `1,204` in full, or short (`1.2 k`) where there is little room.
 * @param {number} number
 * @param {boolean} [short]
 */
export function count(number, short = false) {
  if (!short || number < 1000) return Math.round(number).toLocaleString("en-US");
  if (number < 1e6) return `${(number / 1000).toFixed(1)} k`;
  return `${(number / 1e6).toFixed(1)} M`;
}

/** @param {number} perSecond */
export function rate(perSecond) {
  if (perSecond <= 0) return "0";
  if (perSecond >= 1000) return `${(perSecond / 1000).toFixed(1)} k/s`;
  return `${perSecond.toFixed(1)}/s`;
}

/** Bytes, in units of thousands. @param {number | null | undefined} size */
export function bytes(size) {
  if (size === null || size === undefined || size < 0) return MISSING;
  if (size < 1000) return `${size} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = size;
  let at = -1;
  do {
    value /= 1000;
    at += 1;
  } while (value >= 999.5 && at < units.length - 1);
  return `${at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** @param {number} share of the whole, @param {number} whole */
export function percent(share, whole) {
  if (!whole) return MISSING;
  const value = (100 * share) / whole;
  if (value > 0 && value < 0.1) return "<0.1 %";
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/** The local clock: `14:32:08.4`. @param {number} ms since 1970 @param {boolean} [tenths] */
export function clock(ms, tenths = true) {
  const date = new Date(ms);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const plain = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return tenths ? `${plain}.${Math.floor(date.getMilliseconds() / 100)}` : plain;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** The local day and clock, as the saved picture has them: `29 Nov 2026, 16:27:39`. @param {number} ms since 1970 */
export function dayAndTime(ms) {
  const date = new Date(ms);
  return `${date.getDate()} ${MONTHS[date.getMonth()]} ${date.getFullYear()}, ${clock(ms, false)}`;
}

/** Order of runners and the like by their names: `a-9` before `a-10`. @param {string} one @param {string} two */
export function byNumber(one, two) {
  return one.localeCompare(two, "en", { numeric: true });
}

/** How long ago: `3 s ago`. @param {number} ms */
export function ago(ms) {
  return ms < 1000
    ? "just now"
    : `${duration(Math.floor(ms / 1000) * 1000)} ago`.replace(".00 s", " s").replace(".0 s", " s");
}

/** `1 call`, `2 calls`. @param {number} number @param {string} noun @param {string} [many] */
export function plural(number, noun, many) {
  return `${count(number)} ${number === 1 ? noun : (many ?? `${noun}s`)}`;
}

/**
 * A path as people read it: percent-encoded text decoded, but for what would change its meaning (`%2F`) or its line.
 * @param {string} path
 */
export function pathText(path) {
  let text = path;
  try {
    text = decodeURI(path);
  } catch {
    return path; // not UTF-8: as it is
  }
  return text.replace(/[\s\u0000-\u001f\u007f-\u009f]/g, (c) => (c === " " ? c : encodeURIComponent(c)));
}

/** A runner's short name: the number at the end of its id. @param {string} id */
export function runnerName(id) {
  return /-(\d+)$/.exec(id)?.[1] ?? id;
}

/** A number as one types it in Python; a dash where there is none. @param {number | undefined} value */
export function plainNumber(value) {
  if (typeof value !== "number") return "–";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}
