// @ts-check
/** Figures of each endpoint of an app: calls over the last five minutes, p50, p95, failures. */
import { h, svg } from "../elements/dom.mjs";
import { count, duration, pathText, percent, plural } from "../text/format.mjs";
import { plainText } from "../text/plain.mjs";

/** A spark line of steps. @param {number[]} values */
export function sparkLine(values) {
  const top = Math.max(1, ...values);
  const step = 100 / values.length;
  const path = values
    .map((value, at) => `V${(20 - (18 * value) / top).toFixed(1)}H${((at + 1) * step).toFixed(1)}`)
    .join("");
  const words = `${plural(
    values.reduce((a, b) => a + b, 0),
    "call",
  )} in five minutes`;
  return svg(
    "svg",
    { viewBox: "0 0 100 21", width: 100, height: 21, preserveAspectRatio: "none", role: "img", "aria-label": words },
    svg("path", { class: "fj-spark", d: `M0,20${path}V20Z` }),
  );
}

/** Calls that succeeded, below which a 95th percentile says nothing. */
export const ENOUGH = 20;
export const TOO_FEW = `needs ${ENOUGH} successful calls`;
export const OF_SUCCEEDED = "of the calls that succeeded";

/**
 * The median and the highest time of the calls that succeeded, or p95 where there are enough of them.
 * @param {{sample: number, p50_ms: number, p95_ms: number, max_ms: number}} figures
 * @param {string} [of] what the median is of
 */
export function percentileWords(figures, of = "") {
  if (!figures.sample) return "";
  const upper = figures.sample >= ENOUGH ? `p95 ${duration(figures.p95_ms)}` : `max ${duration(figures.max_ms)}`;
  return `p50 ${of}${duration(figures.p50_ms)} · ${upper}`;
}

/**
 * @param {import("../types.d.ts").EndpointStats[]} endpoints
 * @param {(path: string) => void} choose shows the requests of one
 */
export function endpointTable(endpoints, choose) {
  const heads = [
    ["Endpoint", ""],
    ["Calls, 5 min", "fj-roomy"],
    ["Calls", "fj-number"],
    ["p50", "fj-number"],
    ["p95", "fj-number"],
    ["Max", "fj-number fj-roomy"],
    ["Failed", "fj-number"],
  ];
  return h(
    "table",
    { class: "fj-table fj-endpoints" },
    h("caption", { class: "fj-visually-hidden" }, "Figures of each endpoint"),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        heads.map(([name, kind]) =>
          h("th", { scope: "col", class: kind, title: /^(p\d|Max)/.test(name) ? OF_SUCCEEDED : null }, name),
        ),
      ),
    ),
    h(
      "tbody",
      null,
      endpoints.map((one) => {
        const path = plainText(pathText(one.path));
        return h(
          "tr",
          { dataset: { key: one.path } },
          h(
            "th",
            { scope: "row", class: "fj-cut" },
            h(
              "button",
              {
                type: "button",
                class: "fj-link fj-mono fj-cut",
                title: `Show the requests of ${path}`,
                onclick: () => choose(pathText(one.path)),
              },
              path,
            ),
          ),
          h("td", { class: "fj-roomy" }, sparkLine(one.spark)),
          h("td", { class: "fj-number" }, count(one.calls)),
          h("td", { class: "fj-number" }, one.sample ? duration(one.p50_ms) : "–"),
          h(
            "td",
            { class: "fj-number", title: one.sample >= ENOUGH ? null : TOO_FEW },
            one.sample >= ENOUGH ? duration(one.p95_ms) : "–",
          ),
          h("td", { class: "fj-number fj-roomy" }, one.sample ? duration(one.max_ms) : "–"),
          h("td", { class: "fj-number" }, percent(one.failed, one.calls)),
        );
      }),
    ),
  );
}
