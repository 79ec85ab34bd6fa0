// @ts-check
/** Memory, CPU and GPU of apps over time: a chart of each, with its axes and the value of now. */
import { h, scheduler, svg, update } from "../elements/dom.mjs";
import { bytes, clock, plural } from "../text/format.mjs";
import { pathOfUsage, roundUp, timeLabels, usageAt } from "../elements/geometry.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {{name: string, column: number, words: (value: number) => string, least: number}} Measure */

const CPU = 2;
const USAGE_HEIGHT = 44;
const USAGE_LEFT = 64;
/** @type {Measure[]} */
const MEASURES = [
  { name: "memory", column: 1, words: bytes, least: 1e7 },
  { name: "CPU", column: CPU, words: (value) => `${Math.round(value)} %`, least: 100 },
  { name: "GPU", column: 3, words: (value) => `${Math.round(value)} %`, least: 100 },
  { name: "GPU memory", column: 4, words: bytes, least: 1e9 },
];

/** The measures that there is something of: those of GPUs only where a runner has one. @param {number[][]} usage */
function measuresOf(usage) {
  return MEASURES.filter(({ column }) => column <= CPU || usage.some((one) => one[column] > 0));
}

/**
 * One measure of one app.
 * @param {Measure} measure
 * @param {number[][]} usage
 * @param {{from: number, to: number, width: number, axis: boolean}} place `axis`: with the times below
 */
export function usageChart(measure, usage, { from, to, width, axis }) {
  const right = width - 8;
  const x = (/** @type {number} */ time) =>
    USAGE_LEFT + ((time - from) / Math.max(1, to - from)) * (right - USAGE_LEFT);
  const top = roundUp(
    Math.max(measure.least, ...usage.filter((one) => one[0] >= from).map((one) => one[measure.column])),
    measure.name === "CPU" || measure.name === "GPU" ? 100 : 0,
  );
  const y = (/** @type {number} */ value) => 6 + (USAGE_HEIGHT - 6) * (1 - Math.max(0, value) / top);
  const { line, area } = pathOfUsage(usage, measure.column, from, to, x, y);
  const now = usageAt(usage, to)?.[measure.column] ?? 0;
  const height = USAGE_HEIGHT + (axis ? 20 : 4);
  const most = Math.max(0, ...usage.filter((one) => one[0] >= from).map((one) => one[measure.column]));
  const words =
    `${measure.name}: ${measure.words(now)} at ${clock(to, false)}, ` +
    `at most ${measure.words(most)} since ${clock(from, false)}`;
  return svg(
    "svg",
    { class: "fj-chart fj-usage", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": words },
    svg("title", null, words),
    svg("line", { class: "fj-grid", x1: USAGE_LEFT, x2: right, y1: 6, y2: 6 }),
    svg("line", { class: "fj-grid", x1: USAGE_LEFT, x2: right, y1: USAGE_HEIGHT, y2: USAGE_HEIGHT }),
    svg("text", { x: USAGE_LEFT - 6, y: 12, "text-anchor": "end" }, measure.words(top)),
    svg("text", { x: USAGE_LEFT - 6, y: USAGE_HEIGHT, "text-anchor": "end" }, "0"),
    area ? svg("path", { class: "fj-usage-area", d: area }) : null,
    line ? svg("path", { class: "fj-run-line", d: line }) : null,
    axis
      ? timeLabels(from, to, USAGE_LEFT, right).map((one) =>
          svg("text", { x: one.x, y: USAGE_HEIGHT + 15, "text-anchor": "middle" }, clock(one.time, false)),
        )
      : null,
  );
}

/**
 * The charts of one app, one beside the other where there is room.
 * @param {number[][]} usage
 * @param {number} from
 * @param {number} to
 * @param {number} width in pixels
 */
export function usageCharts(usage, from, to, width) {
  const measures = measuresOf(usage);
  const beside = Math.max(1, Math.min(measures.length, Math.floor(width / 300)));
  const each = Math.floor((width - (beside - 1) * 12) / beside);
  return h(
    "div",
    { class: "fj-usages" },
    measures.map((measure) =>
      h(
        "figure",
        { class: "fj-usage-figure", style: { width: `${each}px` }, dataset: { key: measure.name } },
        h(
          "figcaption",
          { class: "fj-label" },
          h("strong", null, measure.name),
          ` ${measure.words(usageAt(usage, to)?.[measure.column] ?? 0)}`,
        ),
        usageChart(measure, usage, { from, to, width: each, axis: true }),
      ),
    ),
  );
}

/**
 * Charts of every app, or of one.
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias?: string, span?: () => {from: number, to: number}}} options `span`: the time that is shown; the last
 *   five minutes where it is left out
 * @param {AbortSignal} signal
 * @returns {{redraw: () => void}}
 */
export function usagePanel(root, host, { alias, span }, signal) {
  const list = h("div", { class: "fj-usage-list" });
  root.append(list);
  let drawnAt = 0;
  let asked = 0;
  const draw = () => {
    const { view } = host.store;
    const { from, to } = span?.() ?? { from: view.time - 300000, to: view.time };
    drawnAt = list.clientWidth;
    const width = Math.max(220, (drawnAt || 720) - 24);
    const apps = view.apps.filter(
      (app) => (!alias || app.alias === alias) && view.timelines.get(app.alias)?.usage?.some((one) => one[0] >= from),
    );
    update(
      list,
      apps.length
        ? apps.map((app) =>
            h(
              "section",
              { class: "fj-usage-app", dataset: { key: app.alias }, "aria-label": `use of ${app.alias}` },
              alias
                ? null
                : h(
                    "div",
                    { class: "fj-usage-name" },
                    h("strong", { class: "fj-cut", title: plainText(app.alias) }, plainText(app.alias)),
                    h("span", { class: "fj-muted" }, plural(app.runners.length, "runner")),
                  ),
              usageCharts(view.timelines.get(app.alias)?.usage ?? [], from, to, width),
            ),
          )
        : h(
            "p",
            { class: "fj-empty" },
            "No runner was measured in this time. Runners are measured while a panel is open.",
          ),
    );
  };
  const look = scheduler(root, signal, draw);
  signal.addEventListener("abort", host.store.watch(look));
  const observer =
    typeof ResizeObserver === "undefined"
      ? null
      : new ResizeObserver(() => {
          if (Math.abs(list.clientWidth - drawnAt) > 2 && !asked)
            asked = requestAnimationFrame(() => ((asked = 0), draw()));
        });
  observer?.observe(list);
  signal.addEventListener("abort", () => {
    observer?.disconnect();
    cancelAnimationFrame(asked);
    list.remove();
  });
  draw();
  return { redraw: draw };
}
