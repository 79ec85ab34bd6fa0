// @ts-check
/**
 * What is known at the end of a call beside its body: what went wrong comes first, then what was displayed and printed.
 */
import { h, replace } from "../elements/dom.mjs";
import { errorView } from "../elements/errors.mjs";
import { parsedJson } from "../text/exact_json.mjs";
import { bytes, plural } from "../text/format.mjs";
import { displaysView } from "./media.mjs";
import { wasCancelled } from "../elements/phases.mjs";
import { plainText } from "../text/plain.mjs";
import { keptBodyView } from "./result.mjs";
import { terminalView } from "../elements/terminal.mjs";

const HELD_ANSWER = 64 << 20; // protocol/feed.py, MAX_BUFFERED_ANSWER

/**
 * Put what `detail` knows around the body that is in `place`.
 * @param {HTMLElement} place
 * @param {import("../types.d.ts").RequestDetail} detail
 * @param {import("../types.d.ts").Host} host
 */
export function completeAnswer(place, detail, host) {
  const failed = detail.error ? errorView(detail.error, host, detail.request.alias) : refusalView(detail);
  if (failed) {
    const body = [...place.childNodes];
    replace(
      place,
      failed,
      h("details", { class: "fj-fold" }, h("summary", null, `Answer with status ${detail.request.status}`), body),
    );
  }
  addWhatItDid(place, detail);
}

/**
 * Put what a call displayed and printed below its body.
 * @param {HTMLElement} place
 * @param {import("../types.d.ts").RequestDetail} detail
 */
export function addWhatItDid(place, detail) {
  const displays = displaysView(detail.displays ?? []);
  if (displays) place.append(displays);
  const lines = printedLines(detail);
  if (lines.length)
    place.append(
      h(
        "details",
        { class: "fj-fold", open: lines.length <= 5 && !displays },
        h("summary", null, `${plural(lines.length, "line")} printed`),
        terminalView(lines.map((one) => one.text).join("\n")),
      ),
    );
}

/**
 * What a request printed, without the lines that stand for the pictures it displayed and without the traceback that is
 * shown above.
 * @param {import("../types.d.ts").RequestDetail} detail
 */
function printedLines(detail) {
  const shown = (detail.displays ?? []).filter((one) => one.base64).map((one) => one.text);
  const traceback = new Set(detail.error?.text.split("\n") ?? []);
  return detail.logs.filter((one) => {
    if (one.stream === 0 || (one.stream === 2 && traceback.has(one.text))) return false;
    const at = one.stream === 1 ? shown.indexOf(one.text) : -1;
    if (at >= 0) shown.splice(at, 1);
    return at < 0;
  });
}

/**
 * The sentences of an answer that refuses: `prompt: Field required`.
 * @param {import("../types.d.ts").RequestDetail} detail
 * @returns {HTMLElement | null}
 */
export function refusalView(detail) {
  const { status } = detail.request;
  if (status < 400 || status === 499 || !detail.output || detail.output.truncated) return null;
  let value;
  try {
    value = parsedJson(detail.output.text);
  } catch {
    return null;
  }
  const reason = value?.detail ?? value?.error ?? value?.message;
  const sentences =
    typeof reason === "string"
      ? [reason]
      : Array.isArray(reason)
        ? reason
            .slice(0, 20)
            .map(fieldSentence)
            .filter((one) => one !== null)
        : [];
  if (!sentences.length) return null;
  return h(
    "div",
    { class: "fj-banner fj-bad", role: "alert" },
    h(
      "div",
      null,
      h("strong", null, status === 422 ? "The input was refused" : `Status ${status}`),
      sentences.map((one) => h("div", null, plainText(one))),
    ),
  );
}

/** One problem of a list as FastAPI writes it. @param {any} one @returns {string | null} */
function fieldSentence(one) {
  if (typeof one?.msg !== "string") return null;
  const place = Array.isArray(one.loc) ? one.loc.filter((/** @type {any} */ part) => part !== "body").join(".") : "";
  return place ? `${place}: ${one.msg}` : one.msg;
}

/** The sentence of a call that its user cancelled. @param {number} events that had come */
export function cancelledNote(events) {
  return h(
    "p",
    { class: "fj-muted", role: "status" },
    events
      ? `You cancelled it after ${plural(events, "event")}.`
      : "You cancelled it. Nothing that it did before is undone.",
  );
}

/**
 * What is shown of an answer that broke off while it was read; null where nothing better than the error is known.
 * @param {import("../types.d.ts").RequestDetail} detail
 * @param {import("../types.d.ts").Host} host
 * @param {AbortSignal} signal
 * @param {{nodes: Node[], events: number}} [come] what had come and is shown, with how many events
 * @returns {HTMLElement | null}
 */
export function brokenAnswer(detail, host, signal, come = { nodes: [], events: 0 }) {
  const { bytes_out: size, state } = detail.request;
  if (state !== "done") return null;
  const isTooLarge = size > HELD_ANSWER;
  const sentence = isTooLarge
    ? `The answer has ${bytes(size)}; a panel holds ${bytes(HELD_ANSWER)} at most. Call it from a cell or over HTTP to have all of it.`
    : come.events
      ? `The answer broke off after ${plural(come.events, "event")}.`
      : "The answer broke off before its end.";
  const kept = detail.output?.size ? keptBodyView({ ...detail.output, truncated: true }, signal, host) : null;
  return h(
    "div",
    null,
    wasCancelled(detail.request) && !isTooLarge
      ? cancelledNote(come.events)
      : h("div", { class: "fj-banner fj-warn", role: "alert" }, sentence),
    detail.error && !wasCancelled(detail.request) ? errorView(detail.error, host, detail.request.alias) : null,
    come.nodes.length ? come.nodes : kept,
  );
}
