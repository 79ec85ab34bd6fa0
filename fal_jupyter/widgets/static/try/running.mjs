// @ts-check
/**
 * A call of the Try tab on its way: its clock, its place in the queue, the progress that it prints, and the way to end
 * it.
 */
import { button, h, replace, setText, update } from "../elements/dom.mjs";
import { duration, plural, runnerName } from "../text/format.mjs";
import { glyph, stateMark } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { plainText } from "../text/plain.mjs";

const TICK = 100; // milliseconds between two looks at the clock …
const LISTEN = 400; // … and between two at what was printed
const TAIL = 3;
const TQDM = /(?:([^\r\n|]*?):?\s*)?(\d{1,3})%\|[^|]*\|\s*([\d.,]+[kMGTP]?)\/([\d.,]+[kMGTP]?)\s*\[([^\]\r\n]*)\]/g;

/**
 * The last progress bar in printed text, as tqdm writes it: its label, percent, and counts.
 * @param {string} text
 * @returns {{label: string, percent: number, counts: string, times: string} | null}
 */
export function progressIn(text) {
  const found = [...plainText(text.replaceAll("\r", "\n")).matchAll(TQDM)].at(-1);
  if (!found) return null;
  const [, label = "", percent, done, total, times] = found;
  return {
    label: label.trim(),
    percent: Math.min(100, Number(percent)),
    counts: `${done} of ${total}`,
    times: times.replace("<", ", left ").replace(/, *\?it\/s$/, ""),
  };
}

/**
 * The last lines as a terminal would have left them: what a carriage return wrote over is gone, and bars are shown as
 * bars.
 * @param {string[]} texts
 */
export function lastLines(texts) {
  return texts
    .map((text) => plainText(text.replace(/\r+$/, "").split("\r").at(-1) ?? "").trimEnd())
    .filter((text) => text && !new RegExp(TQDM.source).test(text))
    .slice(-TAIL);
}

/** @param {number} place */
function ordinal(place) {
  const last = place % 10;
  const teen = place % 100 > 10 && place % 100 < 14;
  return `${place}${teen ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[last] ?? "th")}`;
}

/**
 * Where a waiting request stands, in a sentence.
 * @param {import("../types.d.ts").AppState | undefined} app
 * @param {string} id
 */
export function queueWords(app, id) {
  if (!app) return "waiting for the app";
  const at = app.queue.findIndex((one) => one.id === id);
  const place =
    at < 0
      ? app.waiting > app.queue.length
        ? `after ${plural(app.queue.length, "other")}`
        : ""
      : at === 0
        ? "next in the queue"
        : `${ordinal(at + 1)} of ${app.waiting} in the queue`;
  const ready = app.runners.filter((one) => one.state === "IDLE" || one.state === "RUNNING").length;
  const starting = app.runners.some((one) => one.state === "PENDING" || one.state === "SETUP");
  const why = ready
    ? `${plural(ready, "runner")} at work`
    : starting || app.state === "Zero"
      ? "a runner is starting"
      : app.state === "Failing"
        ? "no runner starts: see the error above"
        : "";
  return [place, why].filter(Boolean).join(" · ");
}

/**
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string, path: string, passed?: number}} call `passed`: milliseconds since it began, of a call that is
 *   taken up
 * @param {AbortSignal} signal the call is over
 */
export function runningView(host, { alias, path, passed = 0 }, signal) {
  const began = performance.now() - passed;
  let id = "";
  let printed = "";
  let ending = false;
  /** @type {string[]} */
  let lines = [];
  const state = h("span", { role: "status", "aria-live": "polite" });
  const passedTime = h("span", { class: "fj-clock" });
  const cancel = button(
    [glyph("stop"), "Cancel"],
    async () => {
      ending = cancel.disabled = true;
      draw();
      try {
        await host.ask("DELETE", `requests/${id}`);
      } catch {
        ending = cancel.disabled = false; // nobody heard it
      }
    },
    { hidden: true },
  );
  const head = h(
    "div",
    { class: "fj-running-head" },
    state,
    passedTime,
    h("span", { class: "fj-mono fj-cut fj-muted", title: path }, path),
    h("span", { class: "fj-space" }),
    cancel,
  );
  const where = h("div", { class: "fj-running-where fj-muted" });
  const progress = h("div", { class: "fj-running-progress" });
  const tail = h("pre", { class: "fj-code fj-running-tail", hidden: true, "aria-label": "the last lines printed" });
  const body = h("div", { class: "fj-running" }, where, progress, tail);

  const draw = () => {
    if (signal.aborted) return;
    const app = host.store.view.apps.find((one) => one.alias === alias);
    const request = host.store.view.requests.find((one) => one.id === id);
    const stands =
      request && request.state !== "done"
        ? request.state
        : app?.queue.some((one) => one.id === id)
          ? "waiting"
          : "running";
    const time = performance.now() - began;
    setText(passedTime, duration(time < 1000 ? Math.floor(time / 100) * 100 : time));
    update(state, stateMark(stands, ending ? "cancelling" : undefined));
    const first = app?.runners.find((one) => one.state === "SETUP" || one.state === "PENDING");
    const expected = stands === "waiting" && first && app?.setup_ms ? app.setup_ms : 0;
    setText(
      where,
      !id
        ? "sent"
        : stands === "waiting"
          ? queueWords(app, id)
          : request?.runner
            ? `on runner ${runnerName(request.runner)}`
            : "",
    );
    const bar = progressIn(printed);
    if (bar)
      update(
        progress,
        bar.label ? h("span", { class: "fj-cut" }, bar.label) : null,
        track(bar.percent, bar.label || "progress"),
        h("span", null, `${bar.percent} %`),
        h("span", { class: "fj-muted" }, `${bar.counts} · ${bar.times}`),
      );
    else if (expected && first)
      update(
        progress,
        track(Math.min(100, (100 * (host.store.view.time - first.since)) / expected), "the runner's start"),
        h("span", { class: "fj-muted" }, `setup() of about ${duration(expected)}`),
      );
    else update(progress);
    tail.hidden = !lines.length;
    setText(tail, lines.join("\n"));
  };
  const track = (/** @type {number} */ percent, /** @type {string} */ name) =>
    h(
      "div",
      {
        class: "fj-progress",
        role: "progressbar",
        "aria-label": name,
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "aria-valuenow": String(Math.round(percent)),
      },
      h("div", { style: { width: `${Math.max(0, percent)}%` } }),
    );

  let asking = false;
  const listen = async () => {
    if (!id || asking || document.hidden || !head.isConnected) return;
    asking = true;
    try {
      /** @type {import("../types.d.ts").LogRecord[]} */
      const found = await askJson(host, "GET", `apps/${encodeURIComponent(alias)}/logs`, {
        query: { lines: "20", request: id, unfinished: "1" },
        signal,
      });
      printed = found.map((one) => one.text).join("\n");
      lines = lastLines(found.map((one) => one.text));
    } catch {
      // what it prints is shown when it has ended
    }
    asking = false;
  };
  const timers = [setInterval(draw, TICK), setInterval(listen, LISTEN)];
  signal.addEventListener(
    "abort",
    () => {
      for (const timer of timers) clearInterval(timer);
      replace(body);
    },
    { once: true },
  );
  draw();
  return {
    head,
    body,
    /** The gateway has the call. @param {string} request its id */
    sent: (request) => {
      id = request;
      cancel.hidden = false;
      draw();
    },
    cancel: () => !cancel.hidden && !cancel.disabled && cancel.click(),
  };
}
