// @ts-check
/** Requests as a table with a waterfall: state, when, where the time went; a click opens the inspector. */
import { requestsCsv, saveText } from "./csv.mjs";
import { h, joinedTexts, newId, replace, scheduler, setText, update } from "../elements/dom.mjs";
import { endpointTable, percentileWords } from "./endpoint_figures.mjs";
import { clock, count, duration, pathText, plural, runnerName } from "../text/format.mjs";
import { clockNow, knownRequests } from "../connection/store.mjs";
import { roundUp } from "../elements/geometry.mjs";
import { glyph, iconButton, requestLook } from "../elements/glyphs.mjs";
import { devicesOf, inspectorPanel } from "../inspector/inspector.mjs";
import {
  failureWords,
  hasFailed,
  isStream,
  phaseBar,
  phaseLegend,
  phaseWords,
  totalOf,
  wasCancelled,
} from "../elements/phases.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {import("../types.d.ts").RequestState} RequestState */
/**
 * The scale of all bars, in milliseconds: their `whole` length, and the time at their left edge; null where each bar
 * begins with its request.
 * @typedef {{from: number | null, whole: number}} TimeScale
 */

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
 * How many requests came since the rows were drawn; older ones that a filter lets through now are none.
 * @param {RequestState[]} rows at least one, newest first
 * @param {RequestState[]} matching
 */
export function arrivedSince(rows, matching) {
  const shown = new Set(rows.map((one) => one.id));
  const oldest = rows[rows.length - 1].began;
  return matching.filter((one) => !shown.has(one.id) && one.began >= oldest).length;
}

/**
 * The scale of the bars; null where each bar fills its row.
 * @param {RequestState[]} rows
 * @param {number} now
 * @param {{common: boolean, shared: boolean}} wanted `common`: one time axis; `shared`: one scale of lengths
 * @returns {TimeScale | null}
 */
export function timeScale(rows, now, { common, shared }) {
  if (!rows.length || !(common || shared)) return null;
  if (common) {
    const from = Math.min(...rows.map((one) => one.began));
    const until = Math.max(...rows.map((one) => one.began + totalOf(one, now)));
    return { from, whole: Math.max(1, until - from) };
  }
  const longest = Math.max(1, ...rows.map((one) => totalOf(one, now)));
  return { from: null, whole: roundUp(longest, 10 ** Math.floor(Math.log10(longest)) / 2) };
}

/**
 * The texts of a request's row: its path, its runner, and the line under the path where there is no room for columns.
 * @param {RequestState} request
 * @param {boolean} named with the app
 */
export function rowTexts({ alias, path, runner, revision }, named) {
  const runnerText = runner ? plainText(runnerName(runner)).slice(0, 12) : "";
  return {
    path: plainText(pathText(path)),
    runner: runnerText,
    under: [named ? plainText(alias) : "", runnerText && `runner ${runnerText}`, revision ? `r${revision}` : ""].filter(
      Boolean,
    ),
  };
}

/**
 * The sentence under the table: how many are shown, and the figures of the app.
 * @param {number} shown
 * @param {number} matching
 * @param {string} figures
 * @param {"" | "span" | "filter"} chosenBy what lets only some requests through
 */
export function summaryWords(shown, matching, figures, chosenBy) {
  if (!shown)
    return {
      span: "No request in the marked span.",
      filter: "No request matches the filter.",
      "": "No request yet. Each call shows up here, with where its time went.",
    }[chosenBy];
  const some = shown < matching ? `${shown} of ${matching} shown` : "";
  return [some, figures || (some ? "" : `${shown} shown`)].filter(Boolean).join(" · ");
}

/** The sign of an answer that comes in pieces. */
function streamSign() {
  return h(
    "span",
    { class: "fj-stream-sign", title: "stream: the answer comes in pieces" },
    glyph("stream", "fj-run"),
    h("span", { class: "fj-visually-hidden" }, "stream "),
  );
}

/** @param {RequestState} one @param {number} now @param {TimeScale | null} scale */
function phaseCell(one, now, scale) {
  const failure = hasFailed(one) ? plainText(failureWords(one)) : "";
  return h(
    "td",
    { class: "fj-wide", title: phaseWords(one, now) },
    scale ? phaseBar(one, now, scale.whole, scale.from === null ? 0 : one.began - scale.from) : phaseBar(one, now),
    failure ? h("div", { class: "fj-failed fj-clamp", title: failure }, failure) : null,
    wasCancelled(one) ? h("div", { class: "fj-muted" }, "cancelled") : null,
  );
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
export function requestsPanel(root, host, options, signal) {
  return new RequestsPanel(root, host, options, signal).handle();
}

class RequestsPanel {
  kind = "all";

  /** one time axis for all bars */
  common = false;

  /** one scale for the lengths of all bars */
  shared = true;
  paused = false;

  /** the pointer is over the table: no row moves under it */
  hovered = false;

  /** @type {RequestState[]} */
  rows = [];

  /** @type {string | null} */
  chosen = null;

  /** @type {Map<string, {request: RequestState, drawnWith: string, element: Element}>} the rows in the page */
  built = new Map();

  /** @type {string | null} the row that is reached by Tab; the others by arrow keys */
  active = null;

  /** @type {AbortController | null} */
  inspecting = null;

  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{alias?: string, open?: (id: string) => void, span?: () => {from: number, to: number} | null}} options
   *   `open`: where a click leads; here, where absent
   * @param {AbortSignal} signal
   */
  constructor(root, host, { alias, open, span }, signal) {
    this.host = host;
    this.alias = alias;
    this.open = open;
    this.span = span;
    this.signal = signal;
    this.most = this.alias && !this.span ? 0 : ROWS; // rows; 0: as many as there is room for without scrolling
    this.filter = h("input", {
      class: "fj-input",
      type: "search",
      placeholder: "Filter",
      "aria-label": "Filter the requests",
      id: newId(),
      style: { maxWidth: "180px" },
      oninput: () => this.draw(true),
    });
    this.kinds = h("span", {
      role: "group",
      "aria-label": "which requests",
      style: { display: "inline-flex", gap: "4px" },
    });
    this.fresh = h("button", { type: "button", class: "fj-choice", hidden: true, onclick: () => this.draw(true) });
    this.oneScale = this.toggle("one scale", true, () => (this.shared = !this.shared));
    this.oneScale.title = "Bars of the same length took the same time; off: each bar fills its row";
    this.csv = h(
      "button",
      { type: "button", class: "fj-choice", title: "Save these requests as a CSV file", onclick: () => this.save() },
      "CSV",
    );
    this.bodyRows = h("tbody", null);
    this.scaleText = h("span", { class: "fj-muted", style: { fontWeight: "400" } });
    this.summary = h("div", { class: "fj-bar-row" });
    this.scroll = h(
      "div",
      {
        class: "fj-scroll",
        onpointerenter: () => (this.hovered = true),
        onpointerleave: () => ((this.hovered = false), this.draw(false)),
      },
      this.table(),
    );
    this.detail = h("div", { class: "fj-detail" });
    this.endpoints = h("div", { class: "fj-scroll", style: { maxHeight: "220px" } });
    this.endpointsNamed = h("summary", null);
    this.byEndpoint = h("details", { class: "fj-by-endpoint", hidden: true }, this.endpointsNamed, this.endpoints);
    root.append(
      this.toolbar(),
      this.byEndpoint,
      h(
        "div",
        { class: "fj-requests-both" },
        h("div", { class: "fj-requests-list" }, this.scroll, this.summary),
        this.detail,
      ),
    );
    this.listen(root);
    this.draw(true);
  }

  toolbar() {
    const pause = iconButton(
      "pause",
      "Pause",
      () => (
        (this.paused = !this.paused),
        pause.setAttribute("aria-pressed", String(this.paused)),
        replace(pause, glyph(this.paused ? "play" : "pause")),
        this.draw(true)
      ),
    );
    return h(
      "div",
      { class: "fj-bar-row" },
      this.kinds,
      this.filter,
      h("span", { class: "fj-space" }),
      this.fresh,
      this.oneScale,
      this.toggle("common time axis", false, () => (this.common = !this.common)),
      this.csv,
      pause,
    );
  }

  /**
   * A button that stays pressed.
   * @param {string} name
   * @param {boolean} pressed
   * @param {() => boolean} press returns whether it is pressed now
   */
  toggle(name, pressed, press) {
    const button = h(
      "button",
      {
        type: "button",
        class: "fj-choice",
        "aria-pressed": String(pressed),
        onclick: () => (button.setAttribute("aria-pressed", String(press())), this.draw(true)),
      },
      name,
    );
    return button;
  }

  table() {
    const heads = [
      ["", "fj-c-state"],
      ["Started", "fj-c-began"],
      ...(this.alias ? [] : [["App", "fj-c-app fj-roomy"]]),
      ["Endpoint", "fj-c-path"],
      ["Where the time went", "fj-wide"],
      ["Total", "fj-c-total fj-number"],
      ["Runner", "fj-c-runner fj-roomy"],
      ["Rev", "fj-c-rev fj-roomy"],
    ];
    const cells = heads.map(([name, kind]) =>
      h(
        "th",
        { scope: "col", class: kind },
        kind === "fj-wide"
          ? h(
              "div",
              { class: "fj-scale-head" },
              h("span", { class: "fj-cut fj-scale-word", dataset: { short: "Time" } }, name),
              this.scaleText,
            )
          : name || h("span", { class: "fj-visually-hidden" }, "State"),
      ),
    );
    return h(
      "table",
      { class: `fj-table fj-requests${this.alias ? "" : " fj-of-all"}` },
      h("caption", { class: "fj-visually-hidden" }, "Requests, newest first"),
      h("thead", null, h("tr", null, cells)),
      this.bodyRows,
    );
  }

  /** Redraw on changes and while bars of unfinished requests grow; Escape closes the inspector. */
  listen(/** @type {HTMLElement} */ root) {
    root.addEventListener(
      "keydown",
      (event) => {
        if (event.key !== "Escape" || this.open || !this.chosen) return;
        event.preventDefault();
        event.stopPropagation();
        this.shut();
      },
      { signal: this.signal },
    );
    const look = scheduler(root, this.signal, () => this.draw(false));
    this.signal.addEventListener("abort", this.host.store.watch(look));
    const running = setInterval(() => this.rows.some((one) => one.state !== "done") && look(), 250);
    this.signal.addEventListener("abort", () => clearInterval(running));
    this.signal.addEventListener("abort", () => replace(root));
  }

  save() {
    const text = requestsCsv(this.chosenHere(), this.host.store.view.time);
    saveText(`${this.alias || "fal"}-requests.csv`, "text/csv", text);
  }

  /** Those of the app, or of all apps and of those that ended. */
  all() {
    const { view } = this.host.store;
    return this.alias ? view.requests.filter((one) => one.alias === this.alias) : knownRequests(view);
  }

  /** All that the filter lets through, also what is not in the page. */
  chosenHere() {
    return chosenRequests(this.all(), {
      alias: this.alias,
      kind: this.kind,
      text: this.filter.value,
      ...(this.span?.() ?? {}),
    });
  }

  inspect(/** @type {string} */ id) {
    if (this.open) return this.open(id);
    this.inspecting?.abort();
    this.chosen = this.chosen === id ? null : id;
    replace(this.detail);
    if (this.chosen) {
      const stop = (this.inspecting = new AbortController());
      this.signal.addEventListener("abort", () => stop.abort(), { once: true });
      inspectorPanel(this.detail, this.host, { id, close: this.shut, arrive: true }, stop.signal);
    }
    this.draw(true);
    this.rowOf(this.chosen)?.scrollIntoView?.({ block: "nearest" }); // rows are taller beside the details
  }

  rowOf(/** @type {string | null} */ id) {
    return /** @type {HTMLElement | null} */ (
      [...this.bodyRows.children].find((one) => /** @type {HTMLElement} */ (one).dataset.request === id) ?? null
    );
  }

  shut = () => {
    const id = this.chosen;
    if (id) this.inspect(id);
    this.rowOf(id)?.focus();
  };

  moveInRows(/** @type {() => void} */ press) {
    return (/** @type {KeyboardEvent} */ event) => {
      const here = /** @type {any} */ (event.currentTarget);
      const next = {
        ArrowDown: here.nextElementSibling,
        ArrowUp: here.previousElementSibling,
        Home: this.bodyRows.firstElementChild,
        End: this.bodyRows.lastElementChild,
      }[event.key];
      if (event.key === "Enter" || event.key === " ") press();
      else if (next) next.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
  }

  row(
    /** @type {RequestState} */ one,
    /** @type {number} */ now,
    /** @type {TimeScale | null} */ scale,
    /** @type {string | null} */ tab,
  ) {
    const look = requestLook(one);
    const device = devicesOf(this.host.store.view, one.alias, one.runner);
    const { path, runner, under } = rowTexts(one, !this.alias);
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
      this.alias ? null : h("td", { class: "fj-roomy fj-cut", title: plainText(one.alias) }, plainText(one.alias)),
      h(
        "td",
        { class: "fj-cut", title: path },
        isStream(one) ? streamSign() : null,
        h("span", { class: "fj-mono" }, path),
        h("div", { class: "fj-label fj-narrow", title: under.join(" · ") }, joinedTexts(under)),
        h("div", { class: "fj-label fj-tight" }, clock(one.began)),
      ),
      phaseCell(one, now, scale),
      h(
        "td",
        { class: "fj-number" },
        one.cold ? h("span", { class: "fj-chip fj-setup" }, "cold") : null,
        " ",
        h("strong", { class: one.state === "done" ? "" : "fj-run" }, duration(totalOf(one, now))),
      ),
      h(
        "td",
        { class: "fj-roomy", title: plainText(one.runner) || null },
        runner ? joinedTexts([runner, device]) : "–",
      ),
      h("td", { class: "fj-roomy" }, one.revision ? `r${one.revision}` : "–"),
    ];
    const press = () => this.inspect(one.id);
    return h(
      "tr",
      {
        tabindex: one.id === tab ? 0 : -1,
        dataset: { request: one.id },
        class: one.id === this.chosen ? "fj-chosen" : null,
        "aria-current": one.id === this.chosen ? "true" : null,
        onclick: press,
        onfocus: () => (this.active = one.id),
        onkeydown: this.moveInRows(press),
      },
      cells,
    );
  }

  draw(/** @type {boolean} */ asked) {
    const matching = this.chosenHere();
    const busy = this.hovered || this.scroll.contains(document.activeElement);
    if ((this.paused || busy) && !asked && this.rows.length) {
      const arrived = arrivedSince(this.rows, matching);
      this.fresh.hidden = !arrived;
      setText(this.fresh, `${arrived} new`);
      if (this.paused) return;
      const current = new Map(matching.map((one) => [one.id, one]));
      this.rows = this.rows.map((one) => current.get(one.id) ?? one); // no row moves under the pointer
    } else {
      this.rows = matching.slice(0, this.most || rowsWithin(matching, FIRST_HEIGHT));
      this.fresh.hidden = true;
    }
    this.drawRows();
    this.drawKinds();
    this.drawEndpoints();
    this.csv.disabled = !matching.length;
    this.drawSummary(matching.length);
  }

  drawRows() {
    const now = clockNow(this.host.store.view);
    const marked = Boolean(this.span?.());
    const scale = timeScale(this.rows, now, { common: this.common || marked, shared: this.shared });
    setText(this.scaleText, scale ? `0 to ${duration(scale.whole)}` : "");
    if (this.scaleText.parentElement)
      this.scaleText.parentElement.title = [...this.scaleText.parentElement.childNodes]
        .map((one) => one.textContent)
        .filter(Boolean)
        .join(" · ");
    this.oneScale.disabled = this.common || marked;
    // a row that ended and is shown as before stays as it is: only what changed is built
    const tab = this.rows.some((one) => one.id === this.active) ? this.active : this.rows[0]?.id;
    const drawnWith = this.rows.map(
      (one) => `${one.id === this.chosen} ${one.id === tab} ${scale ? `${scale.from} ${scale.whole}` : ""}`,
    );
    const elements = this.rows.map((one, at) => {
      const before = this.built.get(one.id);
      return before && one.state === "done" && before.request === one && before.drawnWith === drawnWith[at]
        ? before.element
        : this.row(one, now, scale, tab ?? null);
    });
    update(this.bodyRows, elements);
    this.built = new Map(
      this.rows.map((request, at) => [
        request.id,
        { request, drawnWith: drawnWith[at], element: this.bodyRows.children[at] },
      ]),
    );
  }

  drawKinds() {
    const choices = ["all", "failed", "cold", "cancelled"].map((name) =>
      h(
        "button",
        {
          type: "button",
          class: "fj-choice",
          "aria-pressed": String(name === this.kind),
          onclick: () => ((this.kind = name), this.draw(true)),
        },
        name,
      ),
    );
    update(this.kinds, choices);
  }

  app() {
    return this.host.store.view.apps.find((one) => one.alias === this.alias);
  }

  drawEndpoints() {
    const called = this.alias && !this.span ? (this.app()?.by_endpoint ?? []) : [];
    this.byEndpoint.hidden = !called.length;
    if (!called.length) return;
    setText(this.endpointsNamed, `${plural(called.length, "endpoint")} called: p50, p95 and failures of each`);
    update(
      this.endpoints,
      endpointTable(called, (path) => ((this.filter.value = path), this.draw(true))),
    );
  }

  drawSummary(/** @type {number} */ matching) {
    const app = this.app();
    const figures = app?.stats?.calls ? figuresWords(app.stats, (app.by_endpoint?.length ?? 0) > 1) : "";
    const chosenBy = this.span?.() ? "span" : this.all().length ? "filter" : "";
    const words = summaryWords(this.rows.length, matching, figures, chosenBy);
    const older = h(
      "button",
      { type: "button", class: "fj-choice", onclick: () => ((this.most = ROWS), this.draw(true)) },
      "Show older ones",
    );
    update(
      this.summary,
      h("span", this.rows.length ? null : { class: "fj-muted" }, words),
      !this.most && this.rows.length < matching ? older : null,
      h("span", { class: "fj-space" }),
      this.rows.length ? phaseLegend(this.rows) : null,
    );
  }

  choose = (/** @type {string | null} */ id) => {
    this.chosen = id;
    this.draw(true);
    return this.rowOf(id);
  };

  /** What the caller of requestsPanel gets. */
  handle() {
    return { redraw: () => this.draw(true), choose: this.choose };
  }
}

/**
 * @param {import("../types.d.ts").Stats} stats
 * @param {boolean} several the figures are of several endpoints together
 */
function figuresWords(stats, several) {
  return [
    percentileWords(stats, several ? "of all endpoints " : ""),
    plural(stats.calls, "call"),
    `${count(stats.failed)} failed`,
    stats.cancelled ? `${count(stats.cancelled)} cancelled` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}
