// @ts-check
/** The scaling timeline: requests, runners by state, a lane each, and the decisions with their sentences. */
import { h, newId, replace, scheduler, setProperty, svg, update } from "../elements/dom.mjs";
import { clock, duration, plural } from "../text/format.mjs";
import { RUNNING, WAITING, pointAt } from "../elements/geometry.mjs";
import { glyph, iconButton, stateLook } from "../elements/glyphs.mjs";
import { RIGHT, gutterOf, moveWords, patternsOf, stateArea, timelinePicture } from "./picture.mjs";
import { plainText } from "../text/plain.mjs";
import { hasFailed, wasCancelled } from "../elements/phases.mjs";
import { requestsPanel } from "../requests/requests.mjs";
import { usagePanel } from "./usage.mjs";

/** @typedef {import("../types.d.ts").Decision} Decision */
/** @typedef {{from: number, to: number}} Span times in milliseconds */

/** @type {[string, number][]} */
const WINDOWS = [
  ["1 min", 60000],
  ["5 min", 300000],
  ["30 min", 1800000],
];
/** @type {Record<string, [string, string, string]>} shape, tone and sign of a decision */
const KINDS = {
  up: ["up", "fj-run", "▲"],
  down: ["down", "fj-draining", "▼"],
  retry: ["retry", "fj-failed", "◆"],
  note: ["note", "fj-muted", "•"],
};
const SHOWN_STATES = ["PENDING", "SETUP", "IDLE", "RUNNING", "DRAINING", "CRASH_BACKOFF"];
const TABLE_ROWS = 200;

/**
 * A reason as a sentence of its own: a capital, but for a name of an option or a runner, and a full stop.
 * @param {string} reason
 */
function prose(reason) {
  const begins = /^[a-z]+(?= )/.test(reason) ? reason[0].toUpperCase() + reason.slice(1) : reason;
  return /[.!?]$/.test(begins) || !begins ? begins : `${begins}.`;
}

/** A sentence with the options that it names in the type of code. @param {string} text */
export function sentenceView(text) {
  return plainText(text)
    .split(/(?<![\w./-])([a-z]+(?:_[a-z]+)+)(?![\w/-]|\.\w)/)
    .map((part, at) => (at % 2 ? h("span", { class: "fj-mono" }, part) : part));
}

/** @param {number} one @param {number} two @returns {Span} */
function spanBetween(one, two) {
  return { from: Math.min(one, two), to: Math.max(one, two) };
}

/**
 * Where a key moves the cross-hair; with Shift the span from its other end is marked. Null for a key that does nothing.
 * @param {{key: string, shiftKey: boolean}} event
 * @param {{cross: number | null, brush: Span | null, range: Span}} chart
 * @returns {{cross: number | null, span?: Span | null} | null} `span`: what is marked now; absent where that stays
 */
export function movedByKey({ key, shiftKey }, { cross, brush, range }) {
  if (key === "Escape") return cross !== null || brush ? { cross: null, span: null } : null;
  const direction = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!direction) return null;
  const start = cross ?? range.to;
  const step = (range.to - range.from) / 100;
  const moved = Math.min(range.to, Math.max(range.from, start + direction * step));
  if (!shiftKey) return { cross: moved };
  if (!brush) return { cross: moved, span: spanBetween(start, moved) };
  const anchor = Math.abs(start - brush.from) < Math.abs(start - brush.to) ? brush.to : brush.from;
  return { cross: moved, span: spanBetween(anchor, moved) };
}

/**
 * The times that the chart shows: the chosen window, less where the first point is younger, but at least ten seconds.
 * @param {number} to
 * @param {number} chosen milliseconds
 * @param {number | undefined} first time of the first point
 * @returns {Span}
 */
export function shownSpan(to, chosen, first = to) {
  return { from: Math.max(to - chosen, Math.min(first, to - 10000)), to };
}

/**
 * Calls waiting and running when a decision was made: as it saw them; the points of the chart are a little later.
 * @param {{time: number, seen: string}} decision
 * @param {number[][]} points
 */
export function countsAt({ time, seen }, points) {
  const [, waiting, running] = /^(\d+) waiting, (\d+) in flight/.exec(seen) ?? [];
  const point = pointAt(points, time);
  return { waiting: waiting ?? point?.[WAITING] ?? "–", running: running ?? point?.[RUNNING] ?? "–" };
}

/** The states of runners with their symbols and patterns. @param {string} prefix of the ids of its patterns */
function stateLegend(prefix) {
  return h(
    "span",
    { class: "fj-legend" },
    SHOWN_STATES.map((state) => {
      const look = stateLook(state);
      const swatch = svg(
        "svg",
        { class: "fj-swatch", viewBox: "0 0 16 9", "aria-hidden": "true" },
        state === "PENDING" ? patternsOf(`${prefix}-l`) : null,
        stateArea(state, `${prefix}-l`, "rect", { x: 0.5, y: 0.5, width: 15, height: 8 }),
      );
      return h("span", null, glyph(look.shape, look.tone), swatch, look.word);
    }),
  );
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string}} options
 * @param {AbortSignal} signal
 */
export function timelinePanel(root, host, options, signal) {
  new TimelinePanel(root, host, options, signal);
}

class TimelinePanel {
  width = 0;
  chosenWindow = WINDOWS[1][1];

  /** @type {{to: number, timeline: import("../types.d.ts").Timeline | undefined} | null} what a pause froze */
  frozen = null;
  asTable = false;

  /** @type {Decision | null} */
  chosen = null;

  /** @type {Decision | null} */
  hovered = null;

  /** @type {number | null} the time at the cross-hair */
  cross = null;

  /** @type {Span | null} the marked span */
  brush = null;
  range = { from: 0, to: 1 };

  /** @type {{several: Decision[]}[]} the marks in the picture */
  placed = [];

  /** the gateway's clock less this machine's, in milliseconds */
  skew = 0;

  /** @type {{redraw: () => void} | null} of memory, CPU and GPU */
  charts = null;
  prefix = newId();

  /** the animation frame that draws next; 0 for none */
  asked = 0;

  /** @type {{stop: AbortController, redraw: () => void, title: Element} | null} the requests of the marked span */
  below = null;

  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{alias: string}} options
   * @param {AbortSignal} signal
   */
  constructor(root, host, { alias }, signal) {
    this.host = host;
    this.alias = alias;
    this.signal = signal;
    this.statusLine = h("span", { class: "fj-muted fj-third" });
    this.empty = h("p", { class: "fj-empty" });
    this.picture = svg("svg", { class: "fj-chart", tabindex: "0", role: "group", "aria-roledescription": "timeline" });
    this.list = h("div", {
      class: "fj-scroll",
      tabIndex: 0,
      role: "region",
      "aria-label": `Decisions of ${this.alias}`,
    });
    this.chart = h("div", { class: "fj-timeline-chart" }, this.empty, this.picture, this.list);
    this.readout = h("div", { class: "fj-readout", role: "status" });
    this.marked = h("div", { class: "fj-marked" });
    const usage = h(
      "details",
      { class: "fj-by-endpoint", open: true },
      h("summary", null, "Memory, CPU and GPU of its runners"),
    );
    root.append(this.toolbar(), this.chart, this.readout, usage, this.marked);
    this.signal.addEventListener("abort", () => cancelAnimationFrame(this.asked));
    this.followPointer();
    setProperty(this.picture, "onkeydown", this.pressKey);
    this.followTime(root);
    this.draw();
    this.charts = usagePanel(usage, this.host, { alias: this.alias, span: () => this.range }, this.signal);
  }

  toolbar() {
    return h(
      "div",
      { class: "fj-bar-row" },
      stateLegend(this.prefix),
      h("span", { class: "fj-space" }),
      h(
        "span",
        { class: "fj-nowrap" },
        this.statusLine,
        this.windowChoices(),
        this.toggle("pause", "Pause", (button) => {
          this.frozen = this.frozen
            ? null
            : { to: this.now(), timeline: this.host.store.view.timelines.get(this.alias) };
          replace(button, glyph(this.frozen ? "play" : "pause"));
          return Boolean(this.frozen);
        }),
        this.toggle("table", "Show the same data as a table", () => (this.asTable = !this.asTable)),
      ),
    );
  }

  /**
   * A button that stays pressed.
   * @param {string} shape
   * @param {string} name
   * @param {(button: HTMLElement) => boolean} press returns whether it is pressed now
   */
  toggle(shape, name, press) {
    const button = iconButton(
      shape,
      name,
      () => {
        button.setAttribute("aria-pressed", String(press(button)));
        this.draw();
      },
      { "aria-pressed": "false" },
    );
    return button;
  }

  windowChoices() {
    const choices = WINDOWS.map(([word, ms]) =>
      h(
        "button",
        {
          type: "button",
          class: "fj-choice",
          dataset: { ms },
          "aria-pressed": String(ms === this.chosenWindow),
          onclick: () => {
            this.chosenWindow = ms;
            for (const one of choices) one.setAttribute("aria-pressed", String(Number(one.dataset.ms) === ms));
            this.draw();
            this.charts?.redraw();
          },
        },
        word,
      ),
    );
    return h("span", { role: "group", "aria-label": "how long a time", style: { display: "inline-flex" } }, choices);
  }

  /** The pointer moves the cross-hair, and marks a span by dragging. */
  followPointer() {
    /** @type {number | null} where dragging began */
    let from = null;
    setProperty(this.picture, "onpointermove", (/** @type {PointerEvent} */ event) => {
      this.cross = this.timeAt(event);
      if (from !== null) this.brush = spanBetween(from, this.cross);
      this.soon();
    });
    const leave = () => {
      this.cross = null;
      this.soon();
    };
    setProperty(this.picture, "onpointerleave", leave);
    setProperty(this.picture, "onblur", leave);
    setProperty(this.picture, "onpointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0 || (event.target instanceof Element && event.target.closest(".fj-mark"))) return;
      from = this.timeAt(event);
      this.picture.setPointerCapture?.(event.pointerId);
    });
    setProperty(this.picture, "onpointerup", (/** @type {PointerEvent} */ event) => {
      if (from === null) return;
      const span = spanBetween(from, this.timeAt(event));
      from = null;
      this.mark(span.to - span.from > (this.range.to - this.range.from) / 150 ? span : null);
    });
    setProperty(this.picture, "onpointercancel", () => (from = null));
  }

  pressKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.target !== this.picture) return;
    const move = movedByKey(event, this);
    if (!move) return;
    this.cross = move.cross;
    if (move.span !== undefined) this.mark(move.span);
    this.soon();
    event.preventDefault();
    event.stopPropagation();
  };

  /** Redraw on changes, at another width, and every second, since time moves on while nothing happens. */
  followTime(/** @type {HTMLElement} */ root) {
    const look = scheduler(root, this.signal, () => {
      if (!this.frozen) this.draw();
    });
    const tick = scheduler(root, this.signal, () => {
      if (this.frozen) return;
      this.draw();
      this.charts?.redraw();
    });
    const watched = this.host.store.watch((view) => {
      if (view.link === "live") this.skew = view.time - Date.now();
      look();
    });
    const observer =
      typeof ResizeObserver === "undefined"
        ? null
        : new ResizeObserver(
            () => this.chart.clientWidth && Math.abs(this.chart.clientWidth - this.width) > 2 && this.soon(),
          );
    observer?.observe(this.chart);
    const ticking = setInterval(() => this.host.store.view.link === "live" && tick(), 1000);
    this.signal.addEventListener("abort", () => {
      watched();
      clearInterval(ticking);
      observer?.disconnect();
      replace(root);
    });
  }

  /** The gateway's clock: this machine's need not agree with it. */
  now() {
    return this.host.kind === "saved" || this.host.store.view.link !== "live"
      ? this.host.store.view.time
      : Math.max(this.host.store.view.time, Date.now() + this.skew);
  }

  draw() {
    if (this.signal.aborted) return;
    const { view } = this.host.store;
    const timeline = this.frozen ? this.frozen.timeline : view.timelines.get(this.alias);
    const there = Boolean(timeline?.points.length);
    this.width = Math.max(300, this.chart.clientWidth || 720);
    const to = this.frozen ? this.frozen.to : this.now();
    this.range = shownSpan(to, this.chosenWindow, timeline?.points[0]?.[0]);
    this.empty.hidden = there;
    setProperty(this.picture, "style", { display: there && !this.asTable ? "block" : "none" });
    this.list.hidden = !there || !this.asTable;
    const status =
      view.link === "live"
        ? this.frozen
          ? `paused at ${clock(this.frozen.to, false)}`
          : "live, 4 updates/s"
        : `ends at ${clock(view.time, false)}`;
    update(this.statusLine, view.link === "lost" ? [glyph("warning", "fj-failed"), " "] : null, status);
    if (!timeline || !there) {
      update(
        this.empty,
        view.link === "live"
          ? "No runner has started yet. The timeline begins with the first call."
          : "No timeline is known. It is shown as soon as the gateway answers.",
      );
      update(this.readout);
      return;
    }
    if (this.asTable) this.drawTable(timeline);
    else this.drawPicture(timeline);
    this.drawReadout(timeline);
  }

  drawPicture(/** @type {import("../types.d.ts").Timeline} */ timeline) {
    const { view } = this.host.store;
    const { children, height, marks } = timelinePicture({
      timeline,
      ...this.range,
      width: this.width,
      prefix: this.prefix,
      chosen: this.chosen,
      cross: this.cross,
      brush: this.brush,
      choose: this.choose,
      most: view.apps.find((one) => one.alias === this.alias)?.scaling.max_concurrency ?? 0,
      devices: new Map(view.devices.map((one) => [one.id, `gpu ${one.index}`])),
      hover: (one) => {
        if (this.hovered === one) return;
        this.hovered = one;
        this.soon();
      },
    });
    const span = `${clock(this.range.from, false)} to ${clock(this.range.to, false)}`;
    const keys = "Arrow keys move the cross-hair, with Shift they mark a span.";
    const label = `Requests and runners of ${this.alias}, ${span}. ${keys}`;
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${this.width} ${height}`, height, "aria-label": label }))
      if (this.picture.getAttribute(name) !== String(value)) this.picture.setAttribute(name, String(value));
    update(this.picture, children);
    this.placed = marks;
  }

  choose = (/** @type {Decision} */ decision, /** @type {boolean} */ focus) => {
    this.chosen = decision;
    this.hovered = null;
    this.draw();
    if (focus) this.picture.querySelector(`[data-key="mark ${decision.time}"]`)?.focus();
  };

  drawTable(/** @type {import("../types.d.ts").Timeline} */ timeline) {
    const heads = [
      ["Time", ""],
      ["Runners", ""],
      ["Why", "fj-wide"],
      ["Waiting", "fj-number"],
      ["Running", "fj-number"],
    ];
    const decisions = timeline.decisions
      .filter((one) => one.time >= this.range.from && one.time <= this.range.to)
      .reverse();
    update(
      this.list,
      h(
        "table",
        { class: "fj-table" },
        h("caption", { class: "fj-visually-hidden" }, `Decisions of ${this.alias}, newest first`),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            heads.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)),
          ),
        ),
        h(
          "tbody",
          null,
          decisions.slice(0, TABLE_ROWS).map((one) => {
            const { waiting, running } = countsAt(one, timeline.points);
            const [, tone, sign] = KINDS[one.kind] ?? KINDS.note;
            return h(
              "tr",
              { dataset: { key: String(one.time) } },
              h("td", null, clock(one.time, false)),
              h("td", null, h("span", { class: tone, "aria-hidden": "true" }, sign), ` ${moveWords(one)}`),
              h("td", { style: { whiteSpace: "normal", overflowWrap: "anywhere" } }, sentenceView(prose(one.reason))),
              h("td", { class: "fj-number" }, waiting),
              h("td", { class: "fj-number" }, running),
            );
          }),
        ),
      ),
      decisions.length ? null : h("p", { class: "fj-empty" }, "No decision in this time."),
      decisions.length > TABLE_ROWS
        ? h("p", { class: "fj-bar-row fj-muted" }, `${TABLE_ROWS} of ${decisions.length} shown, the latest`)
        : null,
    );
  }

  drawReadout(/** @type {import("../types.d.ts").Timeline} */ timeline) {
    const last = timeline.decisions[timeline.decisions.length - 1];
    const one = this.hovered ?? (this.chosen && this.chosen.time >= this.range.from ? this.chosen : last);
    if (!one)
      return update(
        this.readout,
        h("span", { class: "fj-muted" }, "No scaling decision yet: the running runners were enough."),
      );
    const [shape, tone] = KINDS[one.kind] ?? KINDS.note;
    const several = this.asTable ? 1 : (this.placed.find((mark) => mark.several.includes(one))?.several.length ?? 1);
    update(
      this.readout,
      glyph(shape, tone),
      h(
        "span",
        { class: "fj-muted" },
        `${one.time < this.range.from ? "before this time, " : ""}${clock(one.time, false)}`,
      ),
      h("strong", null, moveWords(one)),
      h(
        "span",
        { class: "fj-readout-text" },
        sentenceView(prose(one.reason)),
        " ",
        h(
          "span",
          { class: "fj-muted" },
          one.seen ? `At that time: ${plainText(one.seen)}.` : "",
          several > 1 ? ` One of ${several} decisions at this mark; the table has each.` : "",
        ),
      ),
    );
  }

  // --- the pointer: a cross-hair, and a span that is marked by dragging
  timeAt(/** @type {PointerEvent} */ event) {
    const box = this.picture.getBoundingClientRect();
    const left = gutterOf(this.width);
    const across = ((event.clientX - box.left) * this.width) / Math.max(1, box.width);
    return Math.min(
      this.range.to,
      Math.max(
        this.range.from,
        this.range.from + ((across - left) / (this.width - left - RIGHT)) * (this.range.to - this.range.from),
      ),
    );
  }

  soon() {
    if (!this.asked) this.asked = requestAnimationFrame(() => ((this.asked = 0), this.draw()));
  }

  mark(/** @type {{from: number, to: number} | null} */ span) {
    this.brush = span;
    this.drawMarked();
    this.soon();
  }

  drawMarked() {
    if (!this.brush) {
      this.below?.stop.abort();
      this.below = null;
      replace(this.marked);
      return;
    }
    if (!this.below) {
      const stop = new AbortController();
      this.signal.addEventListener("abort", () => stop.abort(), { once: true, signal: stop.signal });
      const title = h("h2", null);
      const place = h("div", null);
      replace(
        this.marked,
        h(
          "div",
          { class: "fj-bar-row fj-sunken-row" },
          title,
          h("span", { class: "fj-space" }),
          iconButton("close", "Clear the marked span", () => this.mark(null)),
        ),
        place,
      );
      this.below = {
        stop,
        title,
        ...requestsPanel(place, this.host, { alias: this.alias, span: () => this.brush }, stop.signal),
      };
    } else this.below.redraw();
    const inside = this.host.store.view.requests.filter(
      (one) =>
        one.alias === this.alias &&
        this.brush &&
        one.began <= this.brush.to &&
        one.began + one.total_ms >= this.brush.from,
    );
    const waits = inside.map((one) => one.queue_ms + one.start_ms).sort((a, b) => a - b);
    update(
      this.below.title,
      `Requests in the marked ${duration(this.brush.to - this.brush.from)} `,
      h("span", { class: "fj-muted", style: { fontWeight: "400" } }, spanWords(inside, waits)),
    );
  }
}

/**
 * Figures of the requests of a marked span.
 * @param {import("../types.d.ts").RequestState[]} inside
 * @param {number[]} waits in milliseconds, sorted
 */
function spanWords(inside, waits) {
  const cancelled = inside.filter(wasCancelled).length;
  return [
    plural(inside.length, "call"),
    ...(waits.length ? [`p50 wait ${duration(waits[Math.ceil(waits.length / 2) - 1])}`] : []),
    `${inside.filter((one) => one.cold).length} cold`,
    `${inside.filter(hasFailed).length} failed`,
    ...(cancelled ? [`${cancelled} cancelled`] : []),
  ].join(" · ");
}
