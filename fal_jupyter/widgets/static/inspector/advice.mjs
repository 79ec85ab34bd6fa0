// @ts-check
/** What a request waited for, and which option would change that, by the values in force now. */
import { h } from "../elements/dom.mjs";
import { plural } from "../text/format.mjs";

const TOLD_FROM = 0.05; // of a request's time
const WORTH = 50; // milliseconds in the queue

/**
 * Runners that are kept without any call, and the option that says so.
 * @param {Record<string, number>} scaling
 * @returns {[number, string]}
 */
function keptReady({ min_concurrency = 0, warm = 0, max_concurrency = Infinity }) {
  return [
    Math.min(Math.max(min_concurrency, warm), max_concurrency),
    warm > min_concurrency ? "warm" : "min_concurrency",
  ];
}

/**
 * Sentences, none where it did not wait.
 * @param {import("../types.d.ts").RequestState} request
 * @param {import("../types.d.ts").AppState | undefined} app
 */
export function waitAdvice(request, app) {
  if (request.state === "waiting") return [];
  const whole = Math.max(1, request.total_ms);
  const share = (/** @type {number} */ ms) => `${Math.round((100 * ms) / whole)} %`;
  const option = (/** @type {string} */ name, /** @type {number | string} */ value = "") =>
    h("span", { class: "fj-mono" }, `${name} ${value}`.trim());
  const scaling = app && app.state !== "Stopped" ? app.scaling : null;
  const most = scaling?.max_concurrency ?? Infinity;
  const advice = [];
  if (request.cold && request.start_ms / whole >= TOLD_FROM) {
    const [kept, by] = scaling ? keptReady(scaling) : [0, ""];
    const ready = [` ${plural(kept, "runner")} ${kept === 1 ? "is" : "are"} kept ready now (`, option(by, kept), ")"];
    advice.push(
      h(
        "p",
        null,
        `${share(request.start_ms)} was the start of a runner.`,
        !scaling
          ? null
          : kept === 0
            ? [" ", option("min_concurrency", 1), " keeps one ready."]
            : kept < most
              ? [
                  ...ready,
                  "; ",
                  option("min_concurrency", kept + 1),
                  " or a ",
                  option("concurrency_buffer"),
                  " keeps more.",
                ]
              : [...ready, ", as many as ", option("max_concurrency"), " allows."],
      ),
    );
  }
  if (request.queue_ms / whole >= TOLD_FROM && request.queue_ms >= WORTH) {
    advice.push(
      h(
        "p",
        null,
        `${share(request.queue_ms)} was waiting for a free runner.`,
        Number.isFinite(most)
          ? [" ", option("max_concurrency"), ` is ${most} now; a higher one lets more calls run at once.`]
          : null,
      ),
    );
  }
  return advice;
}
