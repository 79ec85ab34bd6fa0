// @ts-check
/** The scaling timeline: requests, runners by state, a lane each, and the decisions with their sentences. */
import { h, newId, replace, scheduler, setProperty, svg, update } from "../elements/dom.mjs";
import { clock, duration, plural } from "../text/format.mjs";
import { WAITING, pointAt } from "../elements/geometry.mjs";
import { glyph, iconButton, stateLook } from "../elements/glyphs.mjs";
import { RIGHT, gutterOf, moveWords, patternsOf, stateArea, timelinePicture } from "./picture.mjs";
import { plainText } from "../text/plain.mjs";
import { hasFailed, wasCancelled } from "../elements/phases.mjs";
import { requestsPanel } from "../requests/requests.mjs";
import { usagePanel } from "./usage.mjs";

/** @typedef {import("../types.d.ts").Decision} Decision */

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
    this.width = 0;
    this.chosenWindow = WINDOWS[1][1];

    /** @type {{to: number, timeline: import("../types.d.ts").Timeline | undefined} | null} what a pause froze */
    this.frozen = null;
    this.asTable = false;

    /** @type {Decision | null} */
    this.chosen = null;

    /** @type {Decision | null} */
    this.hovered = null;

    /** @type {number | null} */
    this.cross = null;

    /** @type {{from: number, to: number} | null} */
    this.brush = null;

    /** @type {number | null} where a brush began */
    let brushFrom = null;
    this.range = { from: 0, to: 1 };

    /** @type {{several: Decision[]}[]} the marks in the picture */
    this.placed = [];
    this.skew = 0;

    /** @type {{redraw: () => void} | null} */
    let charts = null;
    this.prefix = newId();
    const legend = h(
      "span",
      { class: "fj-legend" },
      SHOWN_STATES.map((state) => {
        const look = stateLook(state);
        const swatch = svg(
          "svg",
          { class: "fj-swatch", viewBox: "0 0 16 9", "aria-hidden": "true" },
          state === "PENDING" ? patternsOf(`${this.prefix}-l`) : null,
          stateArea(state, `${this.prefix}-l`, "rect", { x: 0.5, y: 0.5, width: 15, height: 8 }),
        );
        return h("span", null, glyph(look.shape, look.tone), swatch, look.word);
      }),
    );
    const windows = h(
      "span",
      { role: "group", "aria-label": "how long a time", style: { display: "inline-flex" } },
      WINDOWS.map(([word, ms]) =>
        h(
          "button",
          {
            type: "button",
            class: "fj-choice",
            dataset: { ms },
            "aria-pressed": String(ms === this.chosenWindow),
            onclick: () => {
              this.chosenWindow = ms;
              for (const one of windows.children)
                one.setAttribute("aria-pressed", String(Number(one.dataset.ms) === ms));
              this.draw();
              charts?.redraw();
            },
          },
          word,
        ),
      ),
    );
    const pause = iconButton(
      "pause",
      "Pause",
      () => {
        this.frozen = this.frozen ? null : { to: this.now(), timeline: this.host.store.view.timelines.get(this.alias) };
        pause.setAttribute("aria-pressed", String(Boolean(this.frozen)));
        replace(pause, glyph(this.frozen ? "play" : "pause"));
        this.draw();
      },
      { "aria-pressed": "false" },
    );
    const table = iconButton(
      "table",
      "Show the same data as a table",
      () => {
        this.asTable = !this.asTable;
        table.setAttribute("aria-pressed", String(this.asTable));
        this.draw();
      },
      { "aria-pressed": "false" },
    );
    this.standing = h("span", { class: "fj-muted fj-third" });
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
    this.marked = h("div", null);
    const usage = h(
      "details",
      { class: "fj-by-endpoint", open: true },
      h("summary", null, "Memory, CPU and GPU of its runners"),
    );
    root.append(
      h(
        "div",
        { class: "fj-bar-row" },
        legend,
        h("span", { class: "fj-space" }),
        h("span", { class: "fj-nowrap" }, this.standing, windows, pause, table),
      ),
      this.chart,
      this.readout,
      usage,
      this.marked,
    );
    this.asked = 0;
    this.signal.addEventListener("abort", () => cancelAnimationFrame(this.asked));
    setProperty(this.picture, "onpointermove", (/** @type {PointerEvent} */ event) => {
      this.cross = this.timeAt(event);
      if (brushFrom !== null)
        this.brush = { from: Math.min(brushFrom, this.cross), to: Math.max(brushFrom, this.cross) };
      this.soon();
    });
    setProperty(this.picture, "onpointerleave", () => {
      this.cross = null;
      this.soon();
    });
    setProperty(this.picture, "onpointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0 || (event.target instanceof Element && event.target.closest(".fj-mark"))) return;
      brushFrom = this.timeAt(event);
      this.picture.setPointerCapture?.(event.pointerId);
    });
    setProperty(this.picture, "onpointerup", (/** @type {PointerEvent} */ event) => {
      if (brushFrom === null) return;
      const end = this.timeAt(event);
      const span = { from: Math.min(brushFrom, end), to: Math.max(brushFrom, end) };
      brushFrom = null;
      this.mark(span.to - span.from > (this.range.to - this.range.from) / 150 ? span : null);
    });
    setProperty(this.picture, "onpointercancel", () => (brushFrom = null));
    setProperty(this.picture, "onkeydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.target !== this.picture) return;
      const step = (this.range.to - this.range.from) / 100;
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way) {
        const start = this.cross ?? this.range.to;
        this.cross = Math.min(this.range.to, Math.max(this.range.from, start + way * step));
        if (event.shiftKey) {
          const anchor = this.brush
            ? Math.abs(start - this.brush.from) < Math.abs(start - this.brush.to)
              ? this.brush.to
              : this.brush.from
            : start;
          this.mark({ from: Math.min(anchor, this.cross), to: Math.max(anchor, this.cross) });
        }
        this.soon();
      } else if (event.key === "Escape" && (this.cross !== null || this.brush)) {
        this.cross = null;
        this.mark(null);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    setProperty(this.picture, "onblur", () => {
      this.cross = null;
      this.soon();
    });

    // --- the requests of the marked span
    /** @type {{stop: AbortController, redraw: () => void, title: Element} | null} */
    this.below = null;

    const look = scheduler(root, this.signal, () => {
      if (!this.frozen) this.draw();
    });
    const tick = scheduler(root, this.signal, () => {
      if (this.frozen) return;
      this.draw();
      charts?.redraw();
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
    // the time moves on while nothing happens
    const ticking = setInterval(() => this.host.store.view.link === "live" && tick(), 1000);
    this.signal.addEventListener("abort", () => {
      watched();
      clearInterval(ticking);
      observer?.disconnect();
      replace(root);
    });
    this.draw();
    charts = usagePanel(usage, this.host, { alias: this.alias, span: () => this.range }, this.signal);
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
    const first = timeline?.points[0]?.[0] ?? to;
    this.range = { from: Math.max(to - this.chosenWindow, Math.min(first, to - 10000)), to };
    this.empty.hidden = there;
    setProperty(this.picture, "style", { display: there && !this.asTable ? "block" : "none" });
    this.list.hidden = !there || !this.asTable;
    const stands =
      view.link === "live"
        ? this.frozen
          ? `paused at ${clock(this.frozen.to, false)}`
          : "live, 4 updates/s"
        : `ends at ${clock(view.time, false)}`;
    update(this.standing, view.link === "lost" ? [glyph("warning", "fj-failed"), " "] : null, stands);
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
            const point = pointAt(timeline.points, one.time);
            const [, tone, sign] = KINDS[one.kind] ?? KINDS.note;
            return h(
              "tr",
              { dataset: { key: String(one.time) } },
              h("td", null, clock(one.time, false)),
              h("td", null, h("span", { class: tone, "aria-hidden": "true" }, sign), ` ${moveWords(one)}`),
              h("td", { style: { whiteSpace: "normal", overflowWrap: "anywhere" } }, sentenceView(prose(one.reason))),
              h("td", { class: "fj-number" }, point ? point[WAITING] : "–"),
              h("td", { class: "fj-number" }, point ? point[2] : "–"),
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
      h("span", { class: "fj-muted" }, clock(one.time, false)),
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
