// @ts-check
/**
 * A call of the Try tab on its way: its clock, its place in the queue, the progress that it prints, and the way to end
 * it.
 */
import { button, h, replace, setText, update } from "../elements/dom.mjs";
import { inherits, setUsable } from "../elements/focus.mjs";
import { duration, plural, runnerName, runningTime } from "../text/format.mjs";
import { glyph, stateMark } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { doingOf } from "../elements/phases.mjs";
import { newPen, runNodes, terminalLine } from "../elements/terminal.mjs";
import { streams } from "../snippets/snippets.mjs";
import { plainText } from "../text/plain.mjs";

const TICK = 100; // milliseconds between two looks at the clock …
const LISTEN = 400; // … and between two at what was printed
const TAIL = 3;
const WAITED = 100; // milliseconds of waiting that are worth a word
const LONGEST_BAR = 1000; // characters: the time of the search grows with the square of a text
const LONGEST_LINE = 1000; // characters that are shown of one
const TQDM = /([^\r\n|]*?):?\s*(\d{1,3})%\|[^|]*\|\s*([\d.,]+[kMGTP]?)\/([\d.,]+[kMGTP]?)\s*\[([^\]\r\n]*)\]/g;

/** The last progress bar of a line. @param {string} line */
function barIn(line) {
  return line.includes("%|") ? [...line.slice(-LONGEST_BAR).matchAll(TQDM)].at(-1) : undefined;
}

/**
 * The last progress bar in printed text, as tqdm writes it: its label, percent, and counts.
 * @param {string} text
 * @returns {{label: string, percent: number, counts: string, times: string} | null}
 */
export function progressIn(text) {
  const bar = plainText(text.replaceAll("\r", "\n"))
    .split("\n")
    .map(barIn)
    .filter((found) => found !== undefined)
    .at(-1);
  if (!bar) return null;
  const [, label = "", percent, done, total, times] = bar;
  return {
    label: label.trim(),
    percent: Math.min(100, Number(percent)),
    counts: `${done} of ${total}`,
    times: times.replace("<", ", left ").replace(/, *\?it\/s$/, ""),
  };
}

/**
 * The last lines as a terminal would have left them, with the codes of their colours: what a carriage return wrote over
 * is gone, and bars are shown as bars. A line that is cut is plain: the cut might be within a code.
 * @param {string[]} texts
 */
export function lastLines(texts) {
  return texts
    .map((text) => {
      const line = text.replace(/\r+$/, "").split("\r").at(-1) ?? "";
      return { line: line.trimEnd(), plain: plainText(line).trimEnd() };
    })
    .filter(({ plain }) => plain && !barIn(plain))
    .slice(-TAIL)
    .map(({ line, plain }) => (line.length > LONGEST_LINE ? shortened(plain) : line));
}

/** @param {string} plain */
function shortened(plain) {
  return plain.length > LONGEST_LINE ? `${plain.slice(0, LONGEST_LINE)} …` : plain;
}

/** @param {number} place */
function ordinal(place) {
  const last = place % 10;
  const teen = place % 100 > 10 && place % 100 < 14;
  return `${place}${teen ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[last] ?? "th")}`;
}

/**
 * The place of a waiting request in the queue, in a sentence.
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
export function runningView(host, call, signal) {
  return new RunningView(host, call, signal).handle();
}

class RunningView {
  /**
   * @param {import("../types.d.ts").Host} host
   * @param {{alias: string, path: string, passed?: number}} call `passed`: milliseconds since it began, of a call that is
   *   taken up
   * @param {AbortSignal} signal the call is over
   */
  constructor(host, { alias, path, passed = 0 }, signal) {
    this.host = host;
    this.alias = alias;
    this.path = path;
    this.signal = signal;
    this.began = performance.now() - passed;
    this.answers = ""; // what it does since the first byte of its answer
    this.id = "";
    this.printed = "";
    this.ending = false;

    /** @type {string[]} */
    this.lines = [];
    this.state = h("span", { role: "status", "aria-live": "polite" });
    this.passedTime = h("span", { class: "fj-clock" });
    this.cancel = button(
      [glyph("stop"), "Cancel"],
      async () => {
        this.ending = true;
        setUsable(this.cancel, false);
        this.draw();
        try {
          await this.host.ask("DELETE", `requests/${this.id}`);
        } catch {
          this.ending = false;
          setUsable(this.cancel, true); // the cancellation did not arrive
        }
      },
      { hidden: true },
    );
    this.head = h(
      "div",
      { class: "fj-running-head" },
      this.state,
      this.passedTime,
      h("span", { class: "fj-mono fj-cut fj-muted", title: path }, path),
      h("span", { class: "fj-space" }),
      this.cancel,
    );
    this.where = h("div", { class: "fj-running-where fj-muted" });
    this.progress = h("div", { class: "fj-running-progress" });
    this.tail = h("pre", {
      class: "fj-code fj-terminal fj-running-tail",
      hidden: true,
      "aria-label": "the last lines printed",
    });
    this.body = h("div", { class: "fj-running" }, this.where, this.progress, this.tail);

    this.asking = false;
    const timers = [setInterval(this.draw, TICK), setInterval(this.listen, LISTEN)];
    this.signal.addEventListener(
      "abort",
      () => {
        for (const timer of timers) clearInterval(timer);
        replace(this.body);
      },
      { once: true },
    );
    this.draw();
  }

  /**
   * What the call does now, as far as that is known: the feed may be behind the answer, or not have the call yet.
   * @param {import("../types.d.ts").AppState | undefined} app
   * @param {import("../types.d.ts").RequestState | undefined} request
   */
  phaseOf(app, request) {
    if (this.answers) return this.answers;
    if (request) return request.state === "done" ? "answering" : doingOf(request).word;
    return app?.queue.some((one) => one.id === this.id) ? "waiting" : "sent";
  }

  draw = () => {
    if (this.signal.aborted) return;
    const app = this.host.store.view.apps.find((one) => one.alias === this.alias);
    const request = this.host.store.view.requests.find((one) => one.id === this.id);
    const phase = this.phaseOf(app, request);
    const waited = request && phase !== "waiting" ? request.queue_ms + request.start_ms + request.transfer_ms : 0;
    setText(this.passedTime, runningTime(performance.now() - this.began - waited));
    update(this.state, stateMark(phase, this.ending ? "cancelling" : undefined));
    const first = app?.runners.find((one) => one.state === "SETUP" || one.state === "PENDING");
    const expected = phase === "waiting" && first && app?.setup_ms ? app.setup_ms : 0;
    const endpoint = app?.endpoints.find((one) => one.path === this.path);
    const onRunner = [
      request?.runner ? `on runner ${runnerName(request.runner)}` : "",
      waited >= WAITED ? `after ${duration(waited)} of waiting` : "",
      phase === "running" && endpoint && streams(endpoint) ? "no event yet" : "",
    ];
    setText(this.where, phase === "waiting" ? queueWords(app, this.id) : onRunner.filter(Boolean).join(" · "));
    const bar = progressIn(this.printed);
    if (bar)
      update(
        this.progress,
        bar.label ? h("span", { class: "fj-cut" }, bar.label) : null,
        this.track(bar.percent, bar.label || "progress"),
        h("span", null, `${bar.percent} %`),
        h("span", { class: "fj-muted" }, `${bar.counts} · ${bar.times}`),
      );
    else if (expected && first)
      update(
        this.progress,
        this.track(Math.min(100, (100 * (this.host.store.view.time - first.since)) / expected), "the runner's start"),
        h("span", { class: "fj-muted" }, `setup() of about ${duration(expected)}`),
      );
    else update(this.progress);
    this.tail.hidden = !this.lines.length;
    const pen = newPen();
    update(
      this.tail,
      this.lines.map((line, at) => [at ? "\n" : null, runNodes(terminalLine(line, pen))]),
    );
  };

  track(/** @type {number} */ percent, /** @type {string} */ name) {
    return h(
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
  }

  listen = async () => {
    if (!this.id || this.asking || document.hidden || !this.head.isConnected) return;
    this.asking = true;
    try {
      /** @type {import("../types.d.ts").LogRecord[]} */
      const records = await askJson(this.host, "GET", `apps/${encodeURIComponent(this.alias)}/logs`, {
        query: { lines: "20", request: this.id, unfinished: "1" },
        signal: this.signal,
      });
      this.printed = records.map((one) => one.text).join("\n");
      this.lines = lastLines(records.map((one) => one.text));
    } catch {
      // what it prints is shown when it has ended
    }
    this.asking = false;
  };

  /** What the caller of runningView gets. */
  handle() {
    return {
      head: this.head,
      body: this.body,
      /** The button has the focus of Cancel after the call. @param {HTMLElement} heir */
      followedBy: (heir) => inherits(this.cancel, () => [heir]),
      /** The gateway has the call. @param {string} request its id */
      sent: (request) => {
        this.id = request;
        this.cancel.hidden = false;
        this.draw();
      },
      /** Its answer has begun. @param {boolean} isStream */
      answering: (isStream) => {
        this.answers = isStream ? "streaming" : "answering";
        this.draw();
      },
      cancel: () => !this.cancel.hidden && this.cancel.click(),
    };
  }
}
