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
export function requestsPanel(root, host, options, signal) {
  return new RequestsPanel(root, host, options, signal).handle();
}

class RequestsPanel {
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
    this.kind = "all";
    this.common = false;
    this.shared = true;
    this.paused = false;
    this.held = false;

    /** @type {RequestState[]} */
    this.rows = [];

    /** @type {string | null} */
    this.chosen = null;

    /** @type {Map<string, {request: RequestState, stands: string, element: Element}>} what is in the page */
    this.built = new Map();

    /** @type {string | null} the row that is reached by Tab; the others by arrow keys */
    this.active = null;

    /** @type {AbortController | null} */
    this.inspecting = null;
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
    const axis = h(
      "button",
      {
        type: "button",
        class: "fj-choice",
        "aria-pressed": "false",
        onclick: () => (
          (this.common = !this.common), axis.setAttribute("aria-pressed", String(this.common)), this.draw(true)
        ),
      },
      "common time axis",
    );
    this.oneScale = h(
      "button",
      {
        type: "button",
        class: "fj-choice",
        "aria-pressed": "true",
        title: "Bars of the same length took the same time; off: each bar fills its row",
        onclick: () => (
          (this.shared = !this.shared), this.oneScale.setAttribute("aria-pressed", String(this.shared)), this.draw(true)
        ),
      },
      "one scale",
    );
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
    this.fresh = h("button", { type: "button", class: "fj-choice", hidden: true, onclick: () => this.draw(true) });
    this.bodyRows = h("tbody", null);
    this.scaleTold = h("span", { class: "fj-muted", style: { fontWeight: "400" } });
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
              kindOf === "fj-wide" ? this.scaleTold : null,
            ),
          ),
        ),
      ),
      this.bodyRows,
    );
    this.summary = h("div", { class: "fj-bar-row" });
    this.scroll = h(
      "div",
      {
        class: "fj-scroll",
        onpointerenter: () => (this.held = true),
        onpointerleave: () => ((this.held = false), this.draw(false)),
      },
      table,
    );
    this.detail = h("div", { class: "fj-detail" });
    this.endpoints = h("div", { class: "fj-scroll", style: { maxHeight: "220px" } });
    this.endpointsNamed = h("summary", null);
    this.byEndpoint = h("details", { class: "fj-by-endpoint", hidden: true }, this.endpointsNamed, this.endpoints);
    this.csv = h(
      "button",
      {
        type: "button",
        class: "fj-choice",
        title: "Save these requests as a CSV file",
        onclick: () =>
          saveText(
            `${this.alias || "fal"}-requests.csv`,
            "text/csv",
            requestsCsv(this.chosenHere(), this.host.store.view.time),
          ),
      },
      "CSV",
    );
    root.append(
      h(
        "div",
        { class: "fj-bar-row" },
        this.kinds,
        this.filter,
        h("span", { class: "fj-space" }),
        this.fresh,
        this.oneScale,
        axis,
        this.csv,
        pause,
      ),
      this.byEndpoint,
      h(
        "div",
        { class: "fj-requests-both" },
        h("div", { class: "fj-requests-list" }, this.scroll, this.summary),
        this.detail,
      ),
    );
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
    // bars of requests on their way grow
    const running = setInterval(() => this.rows.some((one) => one.state !== "done") && look(), 250);
    this.signal.addEventListener("abort", () => clearInterval(running));
    this.signal.addEventListener("abort", () => replace(root));
    this.draw(true);
  }

  /** All that the filter lets through, also what is not in the page. */
  chosenHere() {
    return chosenRequests(this.host.store.view.requests, {
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
    /** @type {{from: number | null, whole: number} | null} */ scale,
    /** @type {string | null} */ tab,
  ) {
    const look = requestLook(one);
    const failed = hasFailed(one);
    const path = plainText(pathText(one.path));
    const runner = one.runner ? plainText(runnerName(one.runner)).slice(0, 12) : "";
    const device = devicesOf(this.host.store.view, one.alias, one.runner);
    const under = [
      this.alias ? "" : plainText(one.alias),
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
      this.alias ? null : h("td", { class: "fj-roomy fj-cut", title: plainText(one.alias) }, plainText(one.alias)),
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
    const marked = this.span?.() ?? null;
    const found = this.chosenHere();
    const busyHere = this.held || this.scroll.contains(document.activeElement);
    if ((this.paused || busyHere) && !asked && this.rows.length) {
      const known = new Map(found.map((one) => [one.id, one]));
      const here = new Set(this.rows.map((one) => one.id));
      const oldest = this.rows[this.rows.length - 1].began;
      const news = found.filter((one) => !here.has(one.id) && one.began >= oldest).length;
      this.fresh.hidden = !news;
      setText(this.fresh, `${news} new`);
      if (this.paused) return;
      this.rows = this.rows.map((old) => known.get(old.id) ?? old); // no row moves under the pointer
    } else {
      this.rows = found.slice(0, this.most || rowsWithin(found, FIRST_HEIGHT));
      this.fresh.hidden = true;
    }
    const now = this.host.kind === "saved" ? this.host.store.view.time : Date.now();
    const from = Math.min(...this.rows.map((one) => one.began));
    const until = Math.max(...this.rows.map((one) => one.began + totalOf(one, now)));
    const longest = Math.max(1, ...this.rows.map((each) => totalOf(each, now)));
    /** @type {{from: number | null, whole: number} | null} */
    const scale = !this.rows.length
      ? null
      : this.common || marked
        ? { from, whole: Math.max(1, until - from) }
        : this.shared
          ? { from: null, whole: roundUp(longest, 10 ** Math.floor(Math.log10(longest)) / 2) }
          : null;
    setText(this.scaleTold, scale ? ` · 0 to ${duration(scale.whole)}` : "");
    if (this.scaleTold.parentElement)
      this.scaleTold.parentElement.title = this.scaleTold.parentElement.textContent ?? "";
    this.oneScale.disabled = this.common || Boolean(marked);
    // a row that ended and is shown as before stays as it is: only what changed is built
    const tab = this.rows.some((one) => one.id === this.active) ? this.active : this.rows[0]?.id;
    const stands = this.rows.map(
      (one) => `${one.id === this.chosen} ${one.id === tab} ${scale ? `${scale.from} ${scale.whole}` : ""}`,
    );
    const wanted = this.rows.map((one, at) => {
      const before = this.built.get(one.id);
      return before && one.state === "done" && before.request === one && before.stands === stands[at]
        ? before.element
        : this.row(one, now, scale, tab ?? null);
    });
    update(this.bodyRows, wanted);
    this.built = new Map(
      this.rows.map((request, at) => [
        request.id,
        { request, stands: stands[at], element: this.bodyRows.children[at] },
      ]),
    );
    update(
      this.kinds,
      ["all", "failed", "cold", "cancelled"].map((name) =>
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
      ),
    );
    const here = this.host.store.view.apps.find((one) => one.alias === this.alias);
    const stats = here?.stats;
    const figures = stats?.calls
      ? figuresWords(stats, Boolean(this.alias) && (here?.by_endpoint?.length ?? 0) > 1)
      : "";
    const called = this.alias && !this.span ? (here?.by_endpoint ?? []) : [];
    this.byEndpoint.hidden = !called.length;
    if (called.length) {
      setText(this.endpointsNamed, `${plural(called.length, "endpoint")} called: p50, p95 and failures of each`);
      update(
        this.endpoints,
        endpointTable(called, (path) => ((this.filter.value = path), this.draw(true))),
      );
    }
    this.csv.disabled = !found.length;
    update(
      this.summary,
      this.rows.length
        ? h(
            "span",
            null,
            [
              this.rows.length < found.length ? `${this.rows.length} of ${found.length} shown` : "",
              figures || (this.rows.length < found.length ? "" : `${this.rows.length} shown`),
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
      !this.most && this.rows.length < found.length
        ? h(
            "button",
            { type: "button", class: "fj-choice", onclick: () => ((this.most = ROWS), this.draw(true)) },
            "Show older ones",
          )
        : null,
      h("span", { class: "fj-space" }),
      this.rows.length ? phaseLegend() : null,
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
  const upper = stats.sample >= 20 ? `p95 ${duration(stats.p95_ms)}` : `max ${duration(stats.max_ms)}`;
  return [
    `p50 ${several ? "of all endpoints " : ""}${duration(stats.p50_ms)}`,
    upper,
    plural(stats.calls, "call"),
    `${count(stats.failed)} failed`,
    ...(stats.cancelled ? [`${count(stats.cancelled)} cancelled`] : []),
  ].join(" · ");
}
