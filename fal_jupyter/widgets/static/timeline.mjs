// @ts-check
/** The scaling timeline: requests, runners by state, a lane each, and the decisions with their sentences. */
import { h, newId, replace, scheduler, setText, svg } from "./dom.mjs";
import { clock, plural, runnerName } from "./format.mjs";
import { STACK, RUNNING, WAITING, chosenLanes, clipPoints, countTicks, laneSpans, pointAt, stackPath, stepPath, timeTicks } from "./geometry.mjs";
import { glyph, iconButton, stateLook } from "./glyphs.mjs";
import { plainText } from "./result.mjs";
import { requestsPanel } from "./requests.mjs";

/** @typedef {import("./types.d.ts").Decision} Decision */

const LEFT = 96;
const RIGHT = 12;
const MARKS = 22;
const CHART = 66;
const LANE = 20;
const LANES = 8;
/** @type {[string, number][]} */
const WINDOWS = [["1 min", 60000], ["5 min", 300000], ["30 min", 1800000]];
const HATCHED = { SETUP: 45, PENDING: 135, CRASH_BACKOFF: -45, DRAINING: 0, TERMINATING: 0 };
/** @type {Record<string, [string, string]>} */
const KINDS = { up: ["up", "fj-run"], down: ["down", "fj-draining"], retry: ["retry", "fj-failed"], note: ["note", "fj-muted"] };

/**
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {{alias: string}} options
 * @param {AbortSignal} signal
 */
export function timelinePanel(root, host, { alias }, signal) {
  let width = 0;
  let chosenWindow = WINDOWS[1][1];
  let paused = 0;
  let asTable = false;
  /** @type {Decision | null} */
  let decision = null;
  /** @type {number | null} moment under the pointer */
  let cross = null;
  /** @type {{from: number, to: number} | null} */
  let brush = null;
  /** @type {number | null} where a brush began */
  let brushFrom = null;
  const prefix = newId();
  const legend = h("span", { class: "fj-legend" }, ["PENDING", "SETUP", "IDLE", "RUNNING", "DRAINING", "CRASH_BACKOFF"].map((state) => {
    const look = stateLook(state);
    const swatch = svg("svg", { class: "fj-swatch", viewBox: "0 0 16 9", "aria-hidden": "true" }, svg("rect", { class: `fj-fill-${state}`, x: .5, y: .5, width: 15, height: 8 }));
    return h("span", null, h("span", { class: look.tone }, glyph(look.shape)), swatch, look.word);
  }));
  const windows = h("span", { role: "group", "aria-label": "how long", style: { display: "inline-flex" } }, WINDOWS.map(([word, ms]) => h("button", {
    type: "button", class: "fj-choice", dataset: { ms }, "aria-pressed": String(ms === chosenWindow), onclick: () => {
      chosenWindow = ms;
      for (const one of windows.children) one.setAttribute("aria-pressed", String(Number(one.dataset.ms) === ms));
      draw();
    },
  }, word)));
  const pause = iconButton("pause", "Pause", () => {
    paused = paused ? 0 : now();
    pause.setAttribute("aria-pressed", String(Boolean(paused)));
    replace(pause, glyph(paused ? "play" : "pause"));
    draw();
  });
  const table = iconButton("table", "Show the same data as a table", () => ((asTable = !asTable), table.setAttribute("aria-pressed", String(asTable)), draw()));
  const chart = h("div", { class: "fj-timeline-chart" });
  const readout = h("div", { class: "fj-readout", role: "status" });
  const marked = h("div", null);
  root.append(h("div", { class: "fj-bar-row" }, legend, h("span", { class: "fj-space" }), windows, pause, table), chart, readout, marked);

  const now = () => (host.kind === "saved" || host.store.view.link !== "live" ? host.store.view.time : Date.now());
  /** @type {{from: number, to: number}} */
  let range = { from: 0, to: 1 };
  const timeAt = (/** @type {number} */ x) => range.from + ((x - LEFT) / Math.max(1, width - LEFT - RIGHT)) * (range.to - range.from);

  const draw = () => {
    const timeline = host.store.view.timelines.get(alias);
    width = Math.max(320, chart.clientWidth || 720);
    const to = paused || now();
    const first = timeline?.points[0]?.[0] ?? to;
    range = { from: Math.max(to - chosenWindow, Math.min(first, to - 10000)), to };
    if (!timeline || !timeline.points.length) {
      replace(chart, h("p", { class: "fj-empty" }, "No runner has started yet. The timeline begins with the first one."));
      replace(readout);
      return;
    }
    const decisions = timeline.decisions.filter((one) => one.time >= range.from && one.time <= range.to);
    replace(chart, asTable ? decisionTable(decisions, timeline.points) : picture(timeline, decisions));
    drawReadout(decisions);
  };

  /** @param {Decision[]} decisions @param {number[][]} points */
  const decisionTable = (decisions, points) => h("div", { class: "fj-scroll", tabIndex: 0 }, h("table", { class: "fj-table" },
    h("thead", null, h("tr", null, ["Time", "Runners", "Why", "Waiting"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, decisions.map((one) => h("tr", null, h("td", null, clock(one.time, false)), h("td", null, moveWords(one)), h("td", { style: { whiteSpace: "normal" } }, plainText(one.reason)),
      h("td", { class: "fj-number" }, String(pointAt(points, one.time)?.[WAITING] ?? 0)))))));

  /** @param {import("./types.d.ts").Timeline} timeline @param {Decision[]} decisions */
  const picture = (timeline, decisions) => {
    const { from, to } = range;
    const x = (/** @type {number} */ time) => LEFT + ((time - from) / Math.max(1, to - from)) * (width - LEFT - RIGHT);
    const points = clipPoints(timeline.points, from, to);
    const requests = Math.max(1, ...points.map((one) => Math.max(one[WAITING], one[RUNNING])));
    const runners = Math.max(1, ...points.map((one) => STACK.reduce((sum, [, column]) => sum + one[column], 0)));
    const requestTicks = countTicks(requests, 2);
    const runnerTicks = countTicks(runners, 2);
    const scale = (/** @type {number} */ top, /** @type {number[]} */ ticks) => (/** @type {number} */ value) => top + CHART - (value / (ticks.at(-1) ?? 1)) * (CHART - 6);
    const requestsY = scale(MARKS, requestTicks);
    const runnersTop = MARKS + CHART + 10;
    const runnersY = scale(runnersTop, runnerTicks);
    const { lanes, more } = chosenLanes(timeline.lanes, from, to, LANES);
    const lanesTop = runnersTop + CHART + 10;
    const bottom = lanesTop + lanes.length * LANE + (more ? 14 : 0);
    const height = bottom + 20;
    const under = cross === null ? timeline.points.at(-1) : pointAt(timeline.points, cross);
    const parts = [
      svg("defs", null, Object.entries(HATCHED).map(([state, angle]) => svg("pattern", { id: `${prefix}-${state}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${angle})` }, svg("path", { d: "M0,3H6", class: "fj-hatch-line" })))),
      timeTicks(from, to, Math.max(2, Math.floor((width - LEFT) / 110))).map((tick) => [svg("line", { class: "fj-grid", x1: x(tick), x2: x(tick), y1: MARKS, y2: bottom }), svg("text", { x: x(tick), y: bottom + 14, "text-anchor": "middle" }, clock(tick, false))]),
      [[requestTicks, requestsY], [runnerTicks, runnersY]].map(([ticks, y]) => /** @type {number[]} */ (ticks).map((tick) => [svg("line", { class: "fj-grid", x1: LEFT, x2: width - RIGHT, y1: /** @type {any} */ (y)(tick), y2: /** @type {any} */ (y)(tick) }), svg("text", { x: LEFT - 6, y: /** @type {any} */ (y)(tick) + 4, "text-anchor": "end" }, tick)])),
      svg("text", { class: "fj-strong", x: 8, y: MARKS + 14 }, "Requests"), svg("text", { x: 8, y: MARKS + 30 }, `waiting ${under?.[WAITING] ?? 0}`), svg("text", { x: 8, y: MARKS + 44 }, `running ${under?.[RUNNING] ?? 0}`),
      svg("text", { class: "fj-strong", x: 8, y: runnersTop + 14 }, "Runners"), svg("text", { x: 8, y: runnersTop + 30 }, `${under ? STACK.reduce((sum, [, column]) => sum + under[column], 0) : 0} there`),
    ];
    const below = /** @type {number[]} */ ([]);
    for (const [state, column] of STACK) {
      const d = stackPath(points, column, below, x, runnersY);
      if (d) parts.push(svg("path", { class: `fj-fill-${state}`, d }));
      if (d && state in HATCHED) parts.push(svg("path", { d, fill: `url(#${prefix}-${state})`, stroke: "none" }));
      below.push(column);
    }
    parts.push(svg("path", { class: "fj-run-line", d: stepPath(points, RUNNING, x, requestsY) }), svg("path", { class: "fj-wait-line", d: stepPath(points, WAITING, x, requestsY) }));
    lanes.forEach((lane, at) => {
      const y = lanesTop + at * LANE;
      parts.push(svg("text", { class: "fj-strong", x: 8, y: y + 13 }, `runner ${runnerName(lane.id)}`), svg("line", { class: "fj-grid", x1: LEFT, x2: width - RIGHT, y1: y + LANE - 2, y2: y + LANE - 2 }));
      for (const span of laneSpans(lane.moves, from, to)) {
        const thin = span.state === "IDLE";
        const box = { x: x(span.from), y: y + (thin ? 6 : 3), width: Math.max(1.5, x(span.to) - x(span.from)), height: thin ? 6 : 12 };
        parts.push(svg("rect", { class: `fj-fill-${span.state}`, ...box }, svg("title", null, `${lane.id} ${stateLook(span.state).word}`)));
        if (span.state in HATCHED) parts.push(svg("rect", { ...box, fill: `url(#${prefix}-${span.state})`, stroke: "none" }));
      }
    });
    if (more) parts.push(svg("text", { x: 8, y: bottom - 2 }, `and ${plural(more, "runner")} more`));
    for (const [at, one] of decisions.entries()) parts.push(mark(one, x(one.time), bottom, at, decisions));
    if (brush) parts.push(svg("rect", { class: "fj-brush", x: x(Math.max(from, brush.from)), y: MARKS, width: Math.max(1, x(Math.min(to, brush.to)) - x(Math.max(from, brush.from))), height: bottom - MARKS }));
    const line = svg("line", { class: "fj-cross", y1: MARKS, y2: bottom, x1: -10, x2: -10, visibility: cross === null ? "hidden" : "visible" });
    if (cross !== null) (line.setAttribute("x1", x(cross)), line.setAttribute("x2", x(cross)));
    parts.push(line);
    const view = svg("svg", { class: "fj-chart", viewBox: `0 0 ${width} ${height}`, height, role: "group", "aria-label": `runners and requests of ${alias}, ${clock(from, false)} to ${clock(to, false)}` }, parts);
    view.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => moved(event, view));
    view.addEventListener("pointerleave", () => ((cross = null), brushFrom === null && look()));
    view.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (!(event.target instanceof Element && event.target.closest(".fj-mark"))) brushFrom = at(event, view);
    });
    view.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => endBrush(at(event, view)));
    return view;
  };

  /** @param {PointerEvent} event @param {Element} view */
  const at = (event, view) => {
    const box = view.getBoundingClientRect();
    return Math.min(range.to, Math.max(range.from, timeAt(((event.clientX - box.left) * width) / Math.max(1, box.width))));
  };
  /** @param {PointerEvent} event @param {Element} view */
  const moved = (event, view) => {
    cross = at(event, view);
    if (brushFrom !== null) brush = { from: Math.min(brushFrom, cross), to: Math.max(brushFrom, cross) };
    look();
  };
  const endBrush = (/** @type {number} */ to) => {
    if (brushFrom === null) return;
    const span = { from: Math.min(brushFrom, to), to: Math.max(brushFrom, to) };
    brushFrom = null;
    brush = span.to - span.from > (range.to - range.from) / 200 ? span : null;
    drawMarked();
    draw();
  };
  /** @type {AbortController | null} */
  let markedStop = null;
  const drawMarked = () => {
    markedStop?.abort();
    replace(marked);
    if (!brush) return;
    const stop = (markedStop = new AbortController());
    signal.addEventListener("abort", () => stop.abort(), { once: true });
    const list = h("div", null);
    replace(marked, h("div", { class: "fj-bar-row" }, h("strong", null, `Requests from ${clock(brush.from)} to ${clock(brush.to)}`), h("span", { class: "fj-space" }), iconButton("close", "Forget the mark", () => ((brush = null), drawMarked(), draw()))), list);
    requestsPanel(list, host, { alias, span: () => brush }, stop.signal);
  };

  /** @param {Decision} one @param {number} px @param {number} bottom @param {number} index @param {Decision[]} all */
  const mark = (one, px, bottom, index, all) => {
    const [shape] = KINDS[one.kind] ?? KINDS.note;
    const d = { up: "M0,-6L6,5H-6Z", down: "M0,6L6,-5H-6Z", retry: "M0,-6L6,0L0,6L-6,0Z", note: "M-3,0a3,3,0,1,0,6,0a3,3,0,1,0,-6,0" }[shape];
    const choose = () => ((decision = one), draw());
    const label = `${clock(one.time, false)}, ${moveWords(one)}: ${plainText(one.reason)}`;
    const view = svg("g", { class: `fj-mark fj-mark-${one.kind}`, transform: `translate(${Math.round(px)},11)`, tabindex: decision === one || (!decision && index === all.length - 1) ? 0 : -1, role: "button", "aria-label": label, "data-mark": index },
      svg("title", null, label), svg("rect", { x: -8, y: -10, width: 16, height: 20, fill: "transparent" }), svg("path", { d }), svg("line", { class: "fj-mark-line", x1: 0, x2: 0, y1: 11, y2: bottom - 11 }),
      decision === one ? svg("circle", { r: 10, fill: "none", stroke: "currentColor", "stroke-width": 1.5 }) : null);
    view.addEventListener("click", choose);
    view.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Enter: index, " ": index }[event.key];
      if (next === undefined || !all[next]) return;
      event.preventDefault();
      decision = all[next];
      draw();
      /** @type {any} */ (chart.querySelector(`[data-mark="${next}"]`))?.focus();
    });
    return view;
  };

  /** @param {Decision[]} decisions */
  const drawReadout = (decisions) => {
    const one = decision && decisions.includes(decision) ? decision : decisions.at(-1);
    if (!one) return replace(readout, h("span", { class: "fj-muted" }, "No decision in this span."));
    const [shape, tone] = KINDS[one.kind] ?? KINDS.note;
    replace(readout, h("span", { class: tone }, glyph(shape)), h("span", { class: "fj-muted" }, clock(one.time, false)), h("strong", null, moveWords(one)), h("span", null, plainText(one.reason)), h("span", { class: "fj-muted" }, plainText(one.seen)));
  };

  const look = scheduler(root, signal, () => !paused && draw());
  signal.addEventListener("abort", host.store.watch(look));
  const observer = typeof ResizeObserver === "undefined" ? null : new ResizeObserver(() => chart.clientWidth && Math.abs(chart.clientWidth - width) > 2 && draw());
  observer?.observe(chart);
  const ticking = setInterval(() => host.store.view.link === "live" && look(), 1000); // the window moves on while nothing happens
  signal.addEventListener("abort", () => (clearInterval(ticking), observer?.disconnect()));
  setText(readout, "");
  draw();
}

/** `2 → 4`, or what it was. @param {Decision} one */
export function moveWords(one) {
  return one.before !== one.after ? `${one.before} → ${one.after}` : one.kind === "retry" ? "retry" : `${one.after}`;
}
