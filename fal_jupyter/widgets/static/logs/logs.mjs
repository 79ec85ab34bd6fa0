// @ts-check
/** What an app prints: its last lines as a terminal shows them, by level, runner and request, followed as they come. */
import { button, h, newId, replace, scheduler, setText, update } from "../elements/dom.mjs";
import { byNumber, clock, plural, runnerName } from "../text/format.mjs";
import { namedCells } from "../elements/errors.mjs";
import { glyph, iconButton } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { newPen, runNodes, terminalLine, textOfRuns } from "../elements/terminal.mjs";

const LINES = 500;
const STREAMS = ["note", "", "stderr"];
/** @type {[string, string][]} */
const LEVELS = [
  ["0", "all levels"],
  ["1", "info and worse"],
  ["2", "warnings and errors"],
  ["3", "errors"],
];
const LEVEL_WORDS = ["debug", "", "warning", "error"];

/** @typedef {import("../types.d.ts").LogRecord} LogRecord */
/**
 * One line as it is shown.
 * @typedef {{key: string, record: LogRecord, level: number, goesOn: boolean, runs: {text: string, look: string}[],
 *   plain: string}} Line
 */

/** 0 debug, 1 info, 2 warning, 3 error; 1 where the line says nothing. @param {string} text */
export function levelOf(text) {
  const level =
    /^.{0,80}?\b(DEBUG|TRACE|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b(?![\w-])/.exec(text)?.[1] ??
    /^\s*\[?(debug|info|warning|error)\s*[:\]]/i.exec(text)?.[1].toUpperCase();
  if (level)
    return level === "DEBUG" || level === "TRACE" ? 0 : level === "INFO" ? 1 : level.startsWith("WARN") ? 2 : 3;
  if (/^[\w.]*(Error|Exception|Interrupt|Exit)\b(:|$)/.test(text)) return 3;
  return /\b\w*Warning:/.test(text) ? 2 : 1;
}

/**
 * Records as lines: colours go on from line to line of one stream, and a traceback is an error from its first line to
 * its last.
 * @param {LogRecord[]} records
 * @returns {Line[]}
 */
export function logLines(records) {
  /** @type {Map<string, {pen: import("../elements/terminal.mjs").Pen, inTraceback: boolean}>} */
  const streams = new Map();
  /** @type {Map<string, number>} */
  const seen = new Map();
  return records.map((record) => {
    const from = `${record.runner} ${record.request} ${record.stream}`;
    const stream = streams.get(from) ?? { pen: newPen(), inTraceback: false };
    streams.set(from, stream);
    const runs = terminalLine(namedCells(record.text), stream.pen);
    const plain = textOfRuns(runs);
    let level = levelOf(plain);
    const goesOn = stream.inTraceback;
    if (goesOn) {
      level = 3;
      stream.inTraceback = /^(\s|$)/.test(plain);
    } else if (/^\s*Traceback \(most recent call last\)/.test(plain)) {
      level = 3;
      stream.inTraceback = true;
    }
    const name = `${record.time} ${from} ${record.text.length}`;
    const copies = seen.get(name) ?? 0;
    seen.set(name, copies + 1);
    return { key: `${name} ${copies}`, record, level, goesOn, runs, plain };
  });
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string, runner?: string, request?: string}} options
 * @param {AbortSignal} signal
 */
export function logsPanel(root, host, options, signal) {
  new LogsPanel(root, host, options, signal);
}

class LogsPanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{alias: string, runner?: string, request?: string}} options
   * @param {AbortSignal} signal
   */
  constructor(root, host, options, signal) {
    this.host = host;
    this.signal = signal;
    this.alias = options.alias;

    /** @type {Line[]} */
    this.lines = this.host.picture?.logs ? logLines(this.host.picture.logs) : [];
    this.runner = options.runner ?? "";
    this.request = options.request ?? "";
    this.known = "";
    this.busy = false;
    this.paused = false;
    this.follows = true;
    this.newest = ""; // key of the last line that was seen at the end

    this.filter = h("input", {
      class: "fj-input fj-logs-filter",
      type: "search",
      placeholder: "Filter",
      "aria-label": "Filter the lines",
      oninput: () => this.show(),
    });
    this.levels = this.levelChoice();
    this.runners = h("select", {
      class: "fj-input fj-logs-choice",
      "aria-label": "Runner",
      id: newId(),
      onchange: () => ((this.runner = this.runners.value), this.ask()),
    });
    this.requests = h("select", {
      class: "fj-input fj-logs-choice",
      "aria-label": "Request",
      id: newId(),
      onchange: () => ((this.request = this.requests.value), this.ask()),
    });
    this.message = h("span", { class: "fj-muted", role: "status" });
    this.follow = button("Follow", () => this.setFollow(!this.follows), {
      "aria-pressed": "true",
      title: "Stay at the last line",
      class: "fj-choice",
    });
    this.place = this.terminal();
    root.append(
      h(
        "div",
        { class: "fj-bar-row fj-logs-bar" },
        this.filter,
        this.levels,
        this.runners,
        this.requests,
        h("span", { class: "fj-space" }),
        this.message,
        this.follow,
        iconButton("copy", "Copy the lines", () => this.host.copy(this.place.textContent ?? "")),
        this.pauseButton(),
      ),
      this.place,
    );

    this.size = "";
    this.watchSize();
    this.look = scheduler(root, this.signal, this.fetchLines);
    this.signal.addEventListener("abort", this.host.store.watch(this.look));
    this.show();
    this.look();
  }

  levelChoice() {
    return h(
      "select",
      { class: "fj-input fj-logs-choice", "aria-label": "Level", id: newId(), onchange: () => this.show() },
      LEVELS.map(([value, word]) => h("option", { value }, word)),
    );
  }

  pauseButton() {
    const pause = iconButton(
      "pause",
      "Pause",
      () => {
        this.paused = !this.paused;
        pause.setAttribute("aria-pressed", String(this.paused));
        replace(pause, glyph(this.paused ? "play" : "pause"));
        if (!this.paused) this.look();
      },
      { "aria-pressed": "false" },
    );
    return pause;
  }

  terminal() {
    return h("pre", {
      class: "fj-log fj-terminal",
      tabIndex: 0,
      role: "log",
      "aria-live": "off",
      "aria-label": `what ${this.alias} prints`,
      onscroll: () => {
        if (!this.resized() && this.isAtEnd() !== this.follows) this.setFollow(this.isAtEnd());
      },
    });
  }

  watchSize() {
    if (typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(this.resized);
    observer.observe(this.place);
    this.signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Whether the size of the box has changed, so that the user did not scroll it. */
  resized = () => {
    const now = `${this.place.clientWidth} ${this.place.clientHeight}`;
    if (now === this.size) return false;
    this.size = now;
    if (this.follows) this.place.scrollTop = this.place.scrollHeight;
    return true;
  };

  isAtEnd() {
    return this.place.scrollTop + this.place.clientHeight >= this.place.scrollHeight - 8;
  }

  setFollow(/** @type {boolean} */ wanted) {
    this.follows = wanted;
    this.follow.setAttribute("aria-pressed", String(this.follows));
    if (this.follows) this.place.scrollTop = this.place.scrollHeight;
    this.tell();
  }

  shownLines() {
    const wanted = this.filter.value.toLowerCase();
    const least = Number(this.levels.value);
    return this.lines.filter(
      (one) =>
        one.level >= least &&
        (!this.runner || one.record.runner === this.runner) &&
        (!this.request || one.record.request === this.request) &&
        (!wanted || one.plain.toLowerCase().includes(wanted)),
    );
  }

  tell() {
    const lines = this.shownLines();
    if (this.follows) this.newest = lines.at(-1)?.key ?? "";
    const fresh = this.follows ? 0 : lines.length - 1 - lines.findIndex((one) => one.key === this.newest);
    const cut =
      this.host.kind === "saved" && lines.length && lines.length === this.lines.length
        ? `the last ${plural(this.lines.length, "line")}, as saved`
        : this.lines.length >= LINES && lines.length === this.lines.length
          ? `the last ${plural(LINES, "line")}`
          : lines.length < this.lines.length
            ? `${lines.length} of ${plural(this.lines.length, "line")}`
            : "";
    setText(this.message, fresh > 0 && this.newest ? `${fresh} new` : cut);
  }

  show() {
    const wanted = this.filter.value.toLowerCase();
    const lines = this.shownLines();
    const top = this.place.scrollTop;
    if (lines.length)
      update(
        this.place,
        lines.map((one) => logLineView(one, wanted)),
      );
    else update(this.place, this.lines.length ? "No line fits the filter.\n" : this.nothing());
    this.place.scrollTop = this.follows ? this.place.scrollHeight : top;
    this.tell();
    fillChoice(
      this.runners,
      [
        ["", "all runners"],
        ...logNames(
          this.lines.map((one) => one.record.runner),
          this.runner,
        )
          .sort(byNumber)
          .map((name) => /** @type {[string, string]} */ ([name, `runner ${runnerName(name)}`])),
      ],
      this.runner,
    );
    fillChoice(
      this.requests,
      [
        ["", "all requests"],
        ...logNames(
          this.lines.map((one) => one.record.request),
          this.request,
        )
          .reverse()
          .map((id) => /** @type {[string, string]} */ ([id, this.requestWords(id)])),
      ],
      this.request,
    );
  }

  nothing() {
    const app = /** @type {import("../types.d.ts").KnownApp | undefined} */ (
      this.host.store.view.apps.find((one) => one.alias === this.alias)
    );
    if (this.host.kind === "saved") return "No line was saved. New lines come here when the cell has run.\n";
    if (!app || app.gone)
      return "What the app printed ended with the kernel. New lines come here when its cell has run.\n";
    return app.state === "Stopped"
      ? "The app printed nothing. Start it to see what it prints.\n"
      : "Nothing was printed yet. What setup() and the endpoints print appears here.\n";
  }

  requestWords(/** @type {string} */ id) {
    const known = this.host.store.view.requests.find((one) => one.id === id);
    return known ? `${known.path} ${clock(known.began, false)}` : id.slice(0, 8);
  }

  ask() {
    this.known = "";
    this.show();
    this.look();
  }

  fetchLines = async () => {
    const app = /** @type {import("../types.d.ts").KnownApp | undefined} */ (
      this.host.store.view.apps.find((one) => one.alias === this.alias)
    );
    const now = app ? `${app.log} ${this.runner} ${this.request}` : "";
    if (!this.lines.length) this.show(); // the sentence in its place depends on the state of the app
    if (this.busy || this.paused || this.host.kind === "saved" || !app || app.gone || now === this.known) return;
    this.busy = true;
    this.known = now;
    try {
      const query = {
        lines: String(LINES),
        ...(this.request ? { request: this.request } : {}),
        ...(this.runner ? { runner: this.runner } : {}),
      };
      this.lines = logLines(
        await askJson(this.host, "GET", `apps/${encodeURIComponent(this.alias)}/logs`, { query, signal: this.signal }),
      );
      this.busy = false;
      if (!this.signal.aborted) this.show();
    } catch (error) {
      this.busy = false;
      if (!this.signal.aborted) setText(this.message, error instanceof Error ? error.message : String(error));
    }
    if (
      `${this.host.store.view.apps.find((one) => one.alias === this.alias)?.log} ${this.runner} ${this.request}` !==
      this.known
    )
      this.look();
  };
}

/** @param {Line} one @param {string} wanted */
function logLineView(one, wanted) {
  const { record, level } = one;
  const word = one.goesOn ? "" : record.stream === 0 ? STREAMS[0] : LEVEL_WORDS[level] || STREAMS[record.stream] || "";
  return h(
    "span",
    { class: `fj-log-line fj-level-${level}`, dataset: { key: one.key } },
    h("span", { class: "fj-muted" }, `${clock(record.time * 1000)} `),
    h("span", { class: "fj-muted" }, record.runner ? `runner ${runnerName(record.runner)} ` : ""),
    h(
      "span",
      { class: `fj-log-word ${level === 3 ? "fj-failed" : level === 2 ? "fj-setup" : "fj-muted"}` },
      word ? `${word} ` : "",
    ),
    h("span", null, runNodes(one.runs, wanted)),
    "\n",
  );
}

/** Different names in their order, the chosen one always. @param {string[]} all @param {string} chosen */
function logNames(all, chosen) {
  return [...new Set([...all, chosen])].filter(Boolean);
}

/**
 * Give a select its options where they are others than before.
 * @param {any} select
 * @param {[string, string][]} options
 * @param {string} chosen
 */
function fillChoice(select, options, chosen) {
  const now = JSON.stringify(options);
  if (select.dataset.options !== now) {
    select.dataset.options = now;
    replace(
      select,
      options.map(([value, word]) => h("option", { value }, word)),
    );
  }
  select.value = chosen;
}
