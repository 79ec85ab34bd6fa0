// @ts-check
/** Requests as a table with a waterfall: state, when, where the time went; a click opens the inspector. */
import { requestsCsv, saveText } from "./csv.mjs";
import { h, joinedTexts, newId, replace, scheduler, setText, update } from "../elements/dom.mjs";
import { endpointTable } from "./endpoint_figures.mjs";
import { clock, count, duration, pathText, plural, runnerName } from "../text/format.mjs";
import { roundUp } from "../elements/geometry.mjs";
import { glyph, iconButton, requestLook } from "../elements/glyphs.mjs";
import { devicesOf, inspectorPanel } from "../inspector/inspector.mjs";
import {
  failureWords,
  hasFailed,
  phaseBar,
  phaseLegend,
  phaseWords,
  totalOf,
  wasCancelled,
} from "../elements/phases.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {import("../types.d.ts").RequestState} RequestState */

const ROWS = 100;
const FIRST_HEIGHT = 215; // pixels of rows that a card's list has without a scroll bar of its own
const ROW_HEIGHT = 25;
const TEXT_HEIGHT = 18;

/**
 * The requests that a filter lets through, newest first.
 * @param {RequestState[]} requests
 * @param {{alias?: string, kind: string, text: string, from?: number, to?: number}} filter
 */
export function chosenRequests(requests, { alias, kind, text, from, to }) {
  const wanted = text.toLowerCase();
  return requests.filter(
    (one) =>
      (!alias || one.alias === alias) &&
      (kind !== "failed" || hasFailed(one)) &&
      (kind !== "cold" || one.cold) &&
      (kind !== "cancelled" || wasCancelled(one)) &&
      (!wanted ||
        `${one.alias} ${one.path} ${pathText(one.path)} ${one.id} ${one.error}`.toLowerCase().includes(wanted)) &&
      (from === undefined || one.began + one.total_ms >= from) &&
      (to === undefined || one.began <= to),
  );
}

/**
 * How many of the first requests stand in a height: one that did not succeed has a line of text.
 * @param {RequestState[]} requests
 * @param {number} height
 */
function rowsWithin(requests, height) {
  let left = height;
  const at = requests.findIndex(
    (one) => (left -= ROW_HEIGHT + (hasFailed(one) || wasCancelled(one) ? TEXT_HEIGHT : 0)) < 0,
  );
  return at < 0 ? requests.length : Math.max(1, at);
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias?: string, open?: (id: string) => void, span?: () => {from: number, to: number} | null}} options
 *   `open`: where a click leads; here, where absent
 * @param {AbortSignal} signal
 * @returns {{redraw: () => void, choose: (id: string | null) => HTMLElement | null}} `choose` marks the row of a
 *   request that is shown elsewhere, and gives it
 */
export function requestsPanel(root, host, { alias, open, span }, signal) {
  let most = alias && !span ? 0 : ROWS; // rows; 0: as many as there is room for without scrolling
  let kind = "all";
  let common = false;
  let shared = true;
  let paused = false;
  let held = false;
  /** @type {RequestState[]} */
  let rows = [];
  /** @type {string | null} */
  let chosen = null;
  /** @type {Map<string, {request: RequestState, stands: string, element: Element}>} what is in the page */
  let built = new Map();
  /** @type {string | null} the row that is reached by Tab; the others by arrow keys */
  let active = null;
  /** @type {AbortController | null} */
  let inspecting = null;
  const filter = h("input", {
    class: "fj-input",
    type: "search",
    placeholder: "Filter",
    "aria-label": "Filter the requests",
    id: newId(),
    style: { maxWidth: "180px" },
    oninput: () => draw(true),
  });
  const kinds = h("span", {
    role: "group",
    "aria-label": "which requests",
    style: { display: "inline-flex", gap: "4px" },
  });
  const axis = h(
    "button",
    {
      type: "button",
      class: "fj-choice",
      "aria-pressed": "false",
      onclick: () => ((common = !common), axis.setAttribute("aria-pressed", String(common)), draw(true)),
    },
    "common time axis",
  );
  const oneScale = h(
    "button",
    {
      type: "button",
      class: "fj-choice",
      "aria-pressed": "true",
      title: "Bars of the same length took the same time; off: each bar fills its row",
      onclick: () => ((shared = !shared), oneScale.setAttribute("aria-pressed", String(shared)), draw(true)),
    },
    "one scale",
  );
  const pause = iconButton(
    "pause",
    "Pause",
    () => (
      (paused = !paused),
      pause.setAttribute("aria-pressed", String(paused)),
      replace(pause, glyph(paused ? "play" : "pause")),
      draw(true)
    ),
  );
  const fresh = h("button", { type: "button", class: "fj-choice", hidden: true, onclick: () => draw(true) });
  const bodyRows = h("tbody", null);
  const scaleTold = h("span", { class: "fj-muted", style: { fontWeight: "400" } });
  const heads = [
    ["", "fj-c-state"],
    ["Started", "fj-c-began"],
    ...(alias ? [] : [["App", "fj-c-app fj-roomy"]]),
    ["Endpoint", "fj-c-path"],
    ["Where the time went", "fj-wide"],
    ["Total", "fj-c-total fj-number"],
    ["Runner", "fj-c-runner fj-roomy"],
    ["Rev", "fj-c-rev fj-roomy"],
  ];
  const table = h(
    "table",
    { class: "fj-table fj-requests" },
    h("caption", { class: "fj-visually-hidden" }, "Requests, newest first"),
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        heads.map(([name, kindOf]) =>
          h(
            "th",
            { scope: "col", class: kindOf === "fj-wide" ? "fj-wide fj-cut" : kindOf },
            name || h("span", { class: "fj-visually-hidden" }, "State"),
            kindOf === "fj-wide" ? scaleTold : null,
          ),
        ),
      ),
    ),
    bodyRows,
  );
  const summary = h("div", { class: "fj-bar-row" });
  const scroll = h(
    "div",
    { class: "fj-scroll", onpointerenter: () => (held = true), onpointerleave: () => ((held = false), draw(false)) },
    table,
  );
  const detail = h("div", { class: "fj-detail" });
  const endpoints = h("div", { class: "fj-scroll", style: { maxHeight: "220px" } });
  const endpointsNamed = h("summary", null);
  const byEndpoint = h("details", { class: "fj-by-endpoint", hidden: true }, endpointsNamed, endpoints);
  const csv = h(
    "button",
    {
      type: "button",
      class: "fj-choice",
      title: "Save these requests as a CSV file",
      onclick: () =>
        saveText(`${alias || "fal"}-requests.csv`, "text/csv", requestsCsv(chosenHere(), host.store.view.time)),
    },
    "CSV",
  );
  root.append(
    h(
      "div",
      { class: "fj-bar-row" },
      kinds,
      filter,
      h("span", { class: "fj-space" }),
      fresh,
      oneScale,
      axis,
      csv,
      pause,
    ),
    byEndpoint,
    h("div", { class: "fj-requests-both" }, h("div", { class: "fj-requests-list" }, scroll, summary), detail),
  );
  /** All that the filter lets through, also what is not in the page. */
  const chosenHere = () =>
    chosenRequests(host.store.view.requests, { alias, kind, text: filter.value, ...(span?.() ?? {}) });

  const inspect = (/** @type {string} */ id) => {
    if (open) return open(id);
    inspecting?.abort();
    chosen = chosen === id ? null : id;
    replace(detail);
    if (chosen) {
      const stop = (inspecting = new AbortController());
      signal.addEventListener("abort", () => stop.abort(), { once: true });
      inspectorPanel(detail, host, { id, close: shut, arrive: true }, stop.signal);
    }
    draw(true);
  };
  const rowOf = (/** @type {string | null} */ id) =>
    /** @type {HTMLElement | null} */ (
      [...bodyRows.children].find((one) => /** @type {HTMLElement} */ (one).dataset.request === id) ?? null
    );
  const shut = () => {
    const id = chosen;
    if (id) inspect(id);
    rowOf(id)?.focus();
  };
  root.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || open || !chosen) return;
      event.preventDefault();
      event.stopPropagation();
      shut();
    },
    { signal },
  );

  const moveInRows = (/** @type {() => void} */ press) => (/** @type {KeyboardEvent} */ event) => {
    const here = /** @type {any} */ (event.currentTarget);
    const next = {
      ArrowDown: here.nextElementSibling,
      ArrowUp: here.previousElementSibling,
      Home: bodyRows.firstElementChild,
      End: bodyRows.lastElementChild,
    }[event.key];
    if (event.key === "Enter" || event.key === " ") press();
    else if (next) next.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const row = (
    /** @type {RequestState} */ one,
    /** @type {number} */ now,
    /** @type {{from: number | null, whole: number} | null} */ scale,
    /** @type {string | null} */ tab,
  ) => {
    const look = requestLook(one);
    const failed = hasFailed(one);
    const path = plainText(pathText(one.path));
    const runner = one.runner ? plainText(runnerName(one.runner)).slice(0, 12) : "";
    const device = devicesOf(host.store.view, one.alias, one.runner);
    const under = [
      alias ? "" : plainText(one.alias),
      runner && `runner ${runner}`,
      one.revision ? `r${one.revision}` : "",
    ];
    const total = totalOf(one, now);
    const cells = [
      h(
        "td",
        null,
        h(
          "span",
          { class: look.tone, title: look.word },
          glyph(look.shape, look.tone),
          h("span", { class: "fj-visually-hidden" }, look.word),
        ),
      ),
      h("td", { class: "fj-c-began" }, clock(one.began)),
      alias ? null : h("td", { class: "fj-roomy fj-cut", title: plainText(one.alias) }, plainText(one.alias)),
      h(
        "td",
        { class: "fj-cut", title: path },
        h("span", { class: "fj-mono" }, path),
        h("div", { class: "fj-label fj-narrow", title: under.filter(Boolean).join(" · ") }, joinedTexts(under)),
        h("div", { class: "fj-label fj-tight" }, clock(one.began)),
      ),
      h(
        "td",
        { class: "fj-wide", title: phaseWords(one, now) },
        scale ? phaseBar(one, now, scale.whole, scale.from === null ? 0 : one.began - scale.from) : phaseBar(one, now),
        failed
          ? h("div", { class: "fj-failed fj-clamp", title: plainText(failureWords(one)) }, plainText(failureWords(one)))
          : wasCancelled(one)
            ? h("div", { class: "fj-muted" }, "cancelled")
            : null,
      ),
      h(
        "td",
        { class: "fj-number" },
        one.cold ? h("span", { class: "fj-chip fj-setup" }, "cold") : null,
        " ",
        h("strong", { class: one.state === "done" ? "" : "fj-run" }, duration(total)),
      ),
      h(
        "td",
        { class: "fj-roomy", title: plainText(one.runner) || null },
        runner ? joinedTexts([runner, device]) : "–",
      ),
      h("td", { class: "fj-roomy" }, one.revision ? `r${one.revision}` : "–"),
    ];
    const press = () => inspect(one.id);
    return h(
      "tr",
      {
        tabindex: one.id === tab ? 0 : -1,
        dataset: { request: one.id },
        class: one.id === chosen ? "fj-chosen" : null,
        "aria-current": one.id === chosen ? "true" : null,
        onclick: press,
        onfocus: () => (active = one.id),
        onkeydown: moveInRows(press),
      },
      cells,
    );
  };

  const draw = (/** @type {boolean} */ asked) => {
    const marked = span?.() ?? null;
    const found = chosenHere();
    const busyHere = held || scroll.contains(document.activeElement);
    if ((paused || busyHere) && !asked && rows.length) {
      const known = new Map(found.map((one) => [one.id, one]));
      const here = new Set(rows.map((one) => one.id));
      const oldest = rows[rows.length - 1].began;
      const news = found.filter((one) => !here.has(one.id) && one.began >= oldest).length;
      fresh.hidden = !news;
      setText(fresh, `${news} new`);
      if (paused) return;
      rows = rows.map((old) => known.get(old.id) ?? old); // no row moves under the pointer
    } else {
      rows = found.slice(0, most || rowsWithin(found, FIRST_HEIGHT));
      fresh.hidden = true;
    }
    const now = host.kind === "saved" ? host.store.view.time : Date.now();
    const from = Math.min(...rows.map((one) => one.began));
    const until = Math.max(...rows.map((one) => one.began + totalOf(one, now)));
    const longest = Math.max(1, ...rows.map((each) => totalOf(each, now)));
    /** @type {{from: number | null, whole: number} | null} */
    const scale = !rows.length
      ? null
      : common || marked
        ? { from, whole: Math.max(1, until - from) }
        : shared
          ? { from: null, whole: roundUp(longest, 10 ** Math.floor(Math.log10(longest)) / 2) }
          : null;
    setText(scaleTold, scale ? ` · 0 to ${duration(scale.whole)}` : "");
    if (scaleTold.parentElement) scaleTold.parentElement.title = scaleTold.parentElement.textContent ?? "";
    oneScale.disabled = common || Boolean(marked);
    // a row that ended and is shown as before stays as it is: only what changed is built
    const tab = rows.some((one) => one.id === active) ? active : rows[0]?.id;
    const stands = rows.map(
      (one) => `${one.id === chosen} ${one.id === tab} ${scale ? `${scale.from} ${scale.whole}` : ""}`,
    );
    const wanted = rows.map((one, at) => {
      const before = built.get(one.id);
      return before && one.state === "done" && before.request === one && before.stands === stands[at]
        ? before.element
        : row(one, now, scale, tab ?? null);
    });
    update(bodyRows, wanted);
    built = new Map(
      rows.map((request, at) => [request.id, { request, stands: stands[at], element: bodyRows.children[at] }]),
    );
    update(
      kinds,
      ["all", "failed", "cold", "cancelled"].map((name) =>
        h(
          "button",
          {
            type: "button",
            class: "fj-choice",
            "aria-pressed": String(name === kind),
            onclick: () => ((kind = name), draw(true)),
          },
          name,
        ),
      ),
    );
    const here = host.store.view.apps.find((one) => one.alias === alias);
    const stats = here?.stats;
    const figures =
      stats && stats.calls
        ? `p50 ${alias && (here?.by_endpoint?.length ?? 0) > 1 ? "of all endpoints " : ""}${duration(stats.p50_ms)} · ${stats.sample >= 20 ? `p95 ${duration(stats.p95_ms)}` : `max ${duration(stats.max_ms)}`} · ${plural(stats.calls, "call")} · ${count(stats.failed)} failed${stats.cancelled ? ` · ${count(stats.cancelled)} cancelled` : ""}`
        : "";
    const called = alias && !span ? (here?.by_endpoint ?? []) : [];
    byEndpoint.hidden = !called.length;
    if (called.length) {
      setText(endpointsNamed, `${plural(called.length, "endpoint")} called: p50, p95 and failures of each`);
      update(
        endpoints,
        endpointTable(called, (path) => ((filter.value = path), draw(true))),
      );
    }
    csv.disabled = !found.length;
    update(
      summary,
      rows.length
        ? h(
            "span",
            null,
            [
              rows.length < found.length ? `${rows.length} of ${found.length} shown` : "",
              figures || (rows.length < found.length ? "" : `${rows.length} shown`),
            ]
              .filter(Boolean)
              .join(" · "),
          )
        : h(
            "span",
            { class: "fj-muted" },
            marked
              ? "No request in the marked span."
              : "No request yet. Each call shows up here, with where its time went.",
          ),
      !most && rows.length < found.length
        ? h(
            "button",
            { type: "button", class: "fj-choice", onclick: () => ((most = ROWS), draw(true)) },
            "Show older ones",
          )
        : null,
      h("span", { class: "fj-space" }),
      rows.length ? phaseLegend() : null,
    );
  };
  const look = scheduler(root, signal, () => draw(false));
  signal.addEventListener("abort", host.store.watch(look));
  // bars of requests on their way grow
  const running = setInterval(() => rows.some((one) => one.state !== "done") && look(), 250);
  signal.addEventListener("abort", () => clearInterval(running));
  signal.addEventListener("abort", () => replace(root));
  draw(true);
  const choose = (/** @type {string | null} */ id) => {
    chosen = id;
    draw(true);
    return rowOf(id);
  };
  return { redraw: () => draw(true), choose };
}
