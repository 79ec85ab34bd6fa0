// @ts-check
/** The five parts of a request's time, as a bar and as a table: they sum to its total. */
import { h } from "./dom.mjs";
import { duration } from "../text/format.mjs";

/** @typedef {import("../types.d.ts").RequestState} RequestState */

/** @type {{key: "queue_ms" | "start_ms" | "transfer_ms" | "run_ms" | "stream_ms", name: string, word: string}[]} */
export const PHASES = [
  { key: "queue_ms", name: "queue", word: "queue" },
  { key: "start_ms", name: "start", word: "cold start" },
  { key: "transfer_ms", name: "transfer", word: "transfer" },
  { key: "run_ms", name: "run", word: "run" },
  { key: "stream_ms", name: "stream", word: "stream" },
];

/** Whether an answer comes in pieces, as far as its type says; false before it begins. @param {RequestState} request */
export function isStream({ content_type }) {
  return /event-stream|jsonl|ndjson|json-?lines|^(audio|video)\//i.test(content_type ?? "");
}

/** What the part after the first byte is called: an answer that does not stream has one, too. @param {RequestState} request */
function lastWord(request) {
  return isStream(request) ? "stream" : "answer";
}

/** When a runner had the whole request: milliseconds since 1970. @param {RequestState} request */
export function beganToRun({ began, queue_ms, start_ms, transfer_ms }) {
  return began + queue_ms + start_ms + transfer_ms;
}

/**
 * What a request on its way does, and since when (milliseconds since 1970): `waiting`, `running`, and from the first byte
 * of its answer on `streaming`, or `answering` where that is no stream.
 * @param {RequestState} request
 */
export function doingOf(request) {
  const { state, began } = request;
  const ran = beganToRun(request);
  if (state === "streaming")
    return { word: isStream(request) ? "streaming" : "answering", since: ran + request.run_ms };
  return { word: state, since: state === "waiting" ? began : ran };
}

/** Whether its caller took a request back: nginx's 499, as fal has it. @param {RequestState} request */
export function wasCancelled(request) {
  return request.state === "done" && request.status === 499;
}

/** Whether a request went wrong. @param {RequestState} request */
export function hasFailed(request) {
  return request.state === "done" && !wasCancelled(request) && (request.status >= 400 || Boolean(request.error));
}

/** @type {Record<number, string>} */
const STATUS_WORDS = {
  400: "bad request",
  401: "not authorized",
  403: "forbidden",
  404: "not found",
  405: "method not allowed",
  413: "the input is too large",
  415: "unsupported media type",
  422: "the input was refused",
  429: "too many requests",
  500: "the endpoint failed",
  502: "the runner gave no answer",
  503: "not available",
  504: "timed out",
};

/** Why a request failed, in a line: its error, else what its status means. @param {RequestState} request */
export function failureWords({ error, status }) {
  return (
    error ||
    [status, STATUS_WORDS[status] ?? (status < 500 ? "the request was refused" : "the endpoint failed")].join(": ")
  );
}

/**
 * The parts with their times, those of a request on its way up to `now`.
 * @param {RequestState} request
 * @param {number} [now] wall clock in milliseconds
 */
export function phasesOf(request, now) {
  const parts = PHASES.map(({ key, name, word }) => ({
    name: key === "stream_ms" ? lastWord(request) : name,
    word: key === "stream_ms" ? lastWord(request) : word,
    ms: Math.max(0, request[key]),
  }));
  if (request.state !== "done" && now !== undefined) {
    const grown = now - request.began - parts.reduce((sum, part) => sum + part.ms, 0);
    const at = { waiting: request.cold && request.queue_ms < 1 ? 1 : 0, running: 3, streaming: 4 }[request.state] ?? 3;
    parts[at].ms += Math.max(0, grown);
  }
  return parts;
}

/**
 * Milliseconds in all, those of a request on its way up to `now`.
 * @param {RequestState} request
 * @param {number} [now]
 */
export function totalOf(request, now) {
  return phasesOf(request, now).reduce((sum, part) => sum + part.ms, 0);
}

/** The class of a part: what the endpoint did is drawn as the end that it had. @param {RequestState} request @param {string} name */
function phaseLook(request, name) {
  const end = hasFailed(request) ? "failed" : wasCancelled(request) ? "cancelled" : "";
  return `fj-phase-${end && ["run", "stream", "answer"].includes(name) ? end : name}`;
}

/**
 * The bar: each part at least two pixels wide, `whole` milliseconds fill it.
 * @param {RequestState} request
 * @param {number} now
 * @param {number} [whole]
 * @param {number} [offset] milliseconds before the request began
 */
export function phaseBar(request, now, whole, offset = 0) {
  const parts = phasesOf(request, now);
  const total = whole ?? parts.reduce((sum, part) => sum + part.ms, 0);
  const share = (/** @type {number} */ ms) => `${total > 0 ? (100 * ms) / total : 0}%`;
  const shown = parts
    .filter((part) => part.ms > 0)
    .map((part) =>
      h("span", {
        class: phaseLook(request, part.name),
        style: { width: share(part.ms) },
        title: `${part.word} ${duration(part.ms)}`,
      }),
    );
  const space = offset > 0 ? h("span", { style: { width: share(offset), border: "0", minWidth: "0" } }) : null;
  return h("span", { class: "fj-phases", "aria-hidden": "true" }, space, shown);
}

/** The parts in words, those that are nothing left out. @param {RequestState} request @param {number} [now] */
export function phaseParts(request, now) {
  return phasesOf(request, now)
    .filter((part) => part.ms >= 0.05 || part.name === "run")
    .map((part) => `${part.word} ${duration(part.ms)}`);
}

/** The same in one line. @param {RequestState} request @param {number} [now] */
export function phaseWords(request, now) {
  return phaseParts(request, now).join(" · ");
}

/**
 * Round times for the axis of a request, at most four, and their words: only the last one has the unit.
 * @param {number} whole milliseconds
 */
export function phaseTicks(whole) {
  if (!(whole > 0)) return [];
  const rough = whole / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10);
  const ticks = [0, 1, 2, 3].map((at) => at * step).filter((ms) => ms <= whole * 0.9);
  const [unit, factor] =
    ticks[ticks.length - 1] >= 60000 ? ["min", 60000] : ticks[ticks.length - 1] >= 1000 ? ["s", 1000] : ["ms", 1];
  return ticks.map((ms, at) => ({
    share: ms / whole,
    text: `${Number((ms / Number(factor)).toPrecision(3))}${at && at === ticks.length - 1 ? ` ${unit}` : ""}`,
  }));
}

/** A table of the parts. @param {RequestState} request @param {number} now */
export function phaseTable(request, now) {
  const parts = phasesOf(request, now);
  const whole = parts.reduce((sum, part) => sum + part.ms, 0);
  let before = 0;
  const ticks = phaseTicks(whole);
  const step = ticks.length > 1 ? { "--fj-step": `${100 * ticks[1].share}%` } : {};
  const rows = parts
    .filter((part) => part.ms >= 0.05 || part.name === "run")
    .map((part) => {
      const offset = before;
      before += part.ms;
      const bar = h(
        "span",
        { class: "fj-phases", "aria-hidden": "true" },
        h("span", { style: { width: `${whole ? (100 * offset) / whole : 0}%`, border: "0", minWidth: "0" } }),
        part.ms > 0
          ? h("span", { class: phaseLook(request, part.name), style: { width: `${(100 * part.ms) / whole}%` } })
          : null,
      );
      return h(
        "tr",
        null,
        h("th", { scope: "row" }, part.word),
        h("td", { class: "fj-wide fj-axis-cell", style: step }, bar),
        h("td", { class: "fj-number" }, duration(part.ms)),
      );
    });
  const axis = h(
    "div",
    { class: "fj-axis", "aria-hidden": "true" },
    ticks.map(({ share, text }) => h("span", { style: { left: `${100 * share}%` } }, text)),
  );
  return h(
    "table",
    { class: "fj-table fj-phase-table" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        h("th", { scope: "col", class: "fj-c-phase" }, "Phase"),
        h("th", { scope: "col" }, h("span", { class: "fj-visually-hidden" }, "Where in the request's time"), axis),
        h("th", { scope: "col", class: "fj-c-time fj-number" }, "Time"),
      ),
    ),
    h(
      "tbody",
      null,
      rows,
      h(
        "tr",
        null,
        h("th", { scope: "row" }, h("strong", null, "total")),
        h("td"),
        h("td", { class: "fj-number" }, h("strong", null, duration(whole))),
      ),
    ),
  );
}

/**
 * What the colours and patterns mean; the last part has the words of the requests, as in a saved card.
 * @param {RequestState[]} requests
 */
export function phaseLegend(requests) {
  const last = [...new Set(requests.map(lastWord))].sort();
  const named = (/** @type {string} */ name) => ({ name, word: name });
  return h(
    "span",
    { class: "fj-legend" },
    [...PHASES.slice(0, -1), ...[...last, "failed", "cancelled"].map(named)].map(({ name, word }) =>
      h("span", null, h("span", { class: `fj-swatch fj-phase-${name}` }), word),
    ),
  );
}
