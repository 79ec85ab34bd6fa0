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
export function timelinePanel(root, host, { alias }, signal) {
  let width = 0;
  let chosenWindow = WINDOWS[1][1];
  /** @type {{to: number, timeline: import("../types.d.ts").Timeline | undefined} | null} what a pause froze */
  let frozen = null;
  let asTable = false;
  /** @type {Decision | null} */
  let chosen = null;
  /** @type {Decision | null} */
  let hovered = null;
  /** @type {number | null} */
  let cross = null;
  /** @type {{from: number, to: number} | null} */
  let brush = null;
  /** @type {number | null} where a brush began */
  let brushFrom = null;
  let range = { from: 0, to: 1 };
  /** @type {{several: Decision[]}[]} the marks in the picture */
  let placed = [];
  let skew = 0;
  /** @type {{redraw: () => void} | null} */
  let charts = null;
  const prefix = newId();
  const legend = h(
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
          "aria-pressed": String(ms === chosenWindow),
          onclick: () => {
            chosenWindow = ms;
            for (const one of windows.children) one.setAttribute("aria-pressed", String(Number(one.dataset.ms) === ms));
            draw();
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
      frozen = frozen ? null : { to: now(), timeline: host.store.view.timelines.get(alias) };
      pause.setAttribute("aria-pressed", String(Boolean(frozen)));
      replace(pause, glyph(frozen ? "play" : "pause"));
      draw();
    },
    { "aria-pressed": "false" },
  );
  const table = iconButton(
    "table",
    "Show the same data as a table",
    () => {
      asTable = !asTable;
      table.setAttribute("aria-pressed", String(asTable));
      draw();
    },
    { "aria-pressed": "false" },
  );
  const standing = h("span", { class: "fj-muted fj-third" });
  const empty = h("p", { class: "fj-empty" });
  const picture = svg("svg", { class: "fj-chart", tabindex: "0", role: "group", "aria-roledescription": "timeline" });
  const list = h("div", { class: "fj-scroll", tabIndex: 0, role: "region", "aria-label": `Decisions of ${alias}` });
  const chart = h("div", { class: "fj-timeline-chart" }, empty, picture, list);
  const readout = h("div", { class: "fj-readout", role: "status" });
  const marked = h("div", null);
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
      h("span", { class: "fj-nowrap" }, standing, windows, pause, table),
    ),
    chart,
    readout,
    usage,
    marked,
  );

  /** The gateway's clock: this machine's need not agree with it. */
  const now = () =>
    host.kind === "saved" || host.store.view.link !== "live"
      ? host.store.view.time
      : Math.max(host.store.view.time, Date.now() + skew);

  const draw = () => {
    if (signal.aborted) return;
    const { view } = host.store;
    const timeline = frozen ? frozen.timeline : view.timelines.get(alias);
    const there = Boolean(timeline?.points.length);
    width = Math.max(300, chart.clientWidth || 720);
    const to = frozen ? frozen.to : now();
    const first = timeline?.points[0]?.[0] ?? to;
    range = { from: Math.max(to - chosenWindow, Math.min(first, to - 10000)), to };
    empty.hidden = there;
    setProperty(picture, "style", { display: there && !asTable ? "block" : "none" });
    list.hidden = !there || !asTable;
    const stands =
      view.link === "live"
        ? frozen
          ? `paused at ${clock(frozen.to, false)}`
          : "live, 4 updates/s"
        : `ends at ${clock(view.time, false)}`;
    update(standing, view.link === "lost" ? [glyph("warning", "fj-failed"), " "] : null, stands);
    if (!timeline || !there) {
      update(
        empty,
        view.link === "live"
          ? "No runner has started yet. The timeline begins with the first call."
          : "No timeline is known. It is shown as soon as the gateway answers.",
      );
      update(readout);
      return;
    }
    if (asTable) drawTable(timeline);
    else drawPicture(timeline);
    drawReadout(timeline);
  };

  const drawPicture = (/** @type {import("../types.d.ts").Timeline} */ timeline) => {
    const { view } = host.store;
    const { children, height, marks } = timelinePicture({
      timeline,
      ...range,
      width,
      prefix,
      chosen,
      cross,
      brush,
      choose,
      most: view.apps.find((one) => one.alias === alias)?.scaling.max_concurrency ?? 0,
      devices: new Map(view.devices.map((one) => [one.id, `gpu ${one.index}`])),
      hover: (one) => {
        if (hovered === one) return;
        hovered = one;
        soon();
      },
    });
    const said = `Requests and runners of ${alias}, ${clock(range.from, false)} to ${clock(range.to, false)}. Arrow keys move the cross-hair, with Shift they mark a span.`;
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, height, "aria-label": said }))
      if (picture.getAttribute(name) !== String(value)) picture.setAttribute(name, String(value));
    update(picture, children);
    placed = marks;
  };

  const choose = (/** @type {Decision} */ decision, /** @type {boolean} */ focus) => {
    chosen = decision;
    hovered = null;
    draw();
    if (focus) picture.querySelector(`[data-key="mark ${decision.time}"]`)?.focus();
  };

  const drawTable = (/** @type {import("../types.d.ts").Timeline} */ timeline) => {
    const heads = [
      ["Time", ""],
      ["Runners", ""],
      ["Why", "fj-wide"],
      ["Waiting", "fj-number"],
      ["Running", "fj-number"],
    ];
    const decisions = timeline.decisions.filter((one) => one.time >= range.from && one.time <= range.to).reverse();
    update(
      list,
      h(
        "table",
        { class: "fj-table" },
        h("caption", { class: "fj-visually-hidden" }, `Decisions of ${alias}, newest first`),
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
  };

  const drawReadout = (/** @type {import("../types.d.ts").Timeline} */ timeline) => {
    const last = timeline.decisions[timeline.decisions.length - 1];
    const one = hovered ?? (chosen && chosen.time >= range.from ? chosen : last);
    if (!one)
      return update(
        readout,
        h("span", { class: "fj-muted" }, "No scaling decision yet: the running runners were enough."),
      );
    const [shape, tone] = KINDS[one.kind] ?? KINDS.note;
    const several = asTable ? 1 : (placed.find((mark) => mark.several.includes(one))?.several.length ?? 1);
    update(
      readout,
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
  };

  // --- the pointer: a cross-hair, and a span that is marked by dragging
  const timeAt = (/** @type {PointerEvent} */ event) => {
    const box = picture.getBoundingClientRect();
    const left = gutterOf(width);
    const across = ((event.clientX - box.left) * width) / Math.max(1, box.width);
    return Math.min(
      range.to,
      Math.max(range.from, range.from + ((across - left) / (width - left - RIGHT)) * (range.to - range.from)),
    );
  };
  let asked = 0;
  const soon = () => {
    if (!asked) asked = requestAnimationFrame(() => ((asked = 0), draw()));
  };
  signal.addEventListener("abort", () => cancelAnimationFrame(asked));
  const mark = (/** @type {{from: number, to: number} | null} */ span) => {
    brush = span;
    drawMarked();
    soon();
  };
  setProperty(picture, "onpointermove", (/** @type {PointerEvent} */ event) => {
    cross = timeAt(event);
    if (brushFrom !== null) brush = { from: Math.min(brushFrom, cross), to: Math.max(brushFrom, cross) };
    soon();
  });
  setProperty(picture, "onpointerleave", () => {
    cross = null;
    soon();
  });
  setProperty(picture, "onpointerdown", (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0 || (event.target instanceof Element && event.target.closest(".fj-mark"))) return;
    brushFrom = timeAt(event);
    picture.setPointerCapture?.(event.pointerId);
  });
  setProperty(picture, "onpointerup", (/** @type {PointerEvent} */ event) => {
    if (brushFrom === null) return;
    const end = timeAt(event);
    const span = { from: Math.min(brushFrom, end), to: Math.max(brushFrom, end) };
    brushFrom = null;
    mark(span.to - span.from > (range.to - range.from) / 150 ? span : null);
  });
  setProperty(picture, "onpointercancel", () => (brushFrom = null));
  setProperty(picture, "onkeydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.target !== picture) return;
    const step = (range.to - range.from) / 100;
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way) {
      const start = cross ?? range.to;
      cross = Math.min(range.to, Math.max(range.from, start + way * step));
      if (event.shiftKey) {
        const anchor = brush
          ? Math.abs(start - brush.from) < Math.abs(start - brush.to)
            ? brush.to
            : brush.from
          : start;
        mark({ from: Math.min(anchor, cross), to: Math.max(anchor, cross) });
      }
      soon();
    } else if (event.key === "Escape" && (cross !== null || brush)) {
      cross = null;
      mark(null);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  setProperty(picture, "onblur", () => {
    cross = null;
    soon();
  });

  // --- the requests of the marked span
  /** @type {{stop: AbortController, redraw: () => void, title: Element} | null} */
  let below = null;
  const drawMarked = () => {
    if (!brush) {
      below?.stop.abort();
      below = null;
      replace(marked);
      return;
    }
    if (!below) {
      const stop = new AbortController();
      signal.addEventListener("abort", () => stop.abort(), { once: true, signal: stop.signal });
      const title = h("h2", null);
      const place = h("div", null);
      replace(
        marked,
        h(
          "div",
          { class: "fj-bar-row fj-sunken-row" },
          title,
          h("span", { class: "fj-space" }),
          iconButton("close", "Clear the marked span", () => mark(null)),
        ),
        place,
      );
      below = { stop, title, ...requestsPanel(place, host, { alias, span: () => brush }, stop.signal) };
    } else below.redraw();
    const inside = host.store.view.requests.filter(
      (one) => one.alias === alias && brush && one.began <= brush.to && one.began + one.total_ms >= brush.from,
    );
    const waits = inside.map((one) => one.queue_ms + one.start_ms).sort((a, b) => a - b);
    update(
      below.title,
      `Requests in the marked ${duration(brush.to - brush.from)} `,
      h(
        "span",
        { class: "fj-muted", style: { fontWeight: "400" } },
        `${plural(inside.length, "call")}${waits.length ? ` · p50 wait ${duration(waits[Math.ceil(waits.length / 2) - 1])}` : ""} · ${inside.filter((one) => one.cold).length} cold · ${inside.filter(hasFailed).length} failed${inside.some(wasCancelled) ? ` · ${inside.filter(wasCancelled).length} cancelled` : ""}`,
      ),
    );
  };

  const look = scheduler(root, signal, () => {
    if (!frozen) draw();
  });
  const tick = scheduler(root, signal, () => {
    if (frozen) return;
    draw();
    charts?.redraw();
  });
  const watched = host.store.watch((view) => {
    if (view.link === "live") skew = view.time - Date.now();
    look();
  });
  const observer =
    typeof ResizeObserver === "undefined"
      ? null
      : new ResizeObserver(() => chart.clientWidth && Math.abs(chart.clientWidth - width) > 2 && soon());
  observer?.observe(chart);
  // the time moves on while nothing happens
  const ticking = setInterval(() => host.store.view.link === "live" && tick(), 1000);
  signal.addEventListener("abort", () => {
    watched();
    clearInterval(ticking);
    observer?.disconnect();
    replace(root);
  });
  draw();
  charts = usagePanel(usage, host, { alias, span: () => range }, signal);
}
