// @ts-check
/** Everything that runs, over all notebooks: figures, apps, memory, requests, queue, and one request in a drawer. */
import { CLOCK_TICK, h, joinedTexts, replace, scheduler, update } from "../elements/dom.mjs";
import { ENOUGH, percentileWords, sparkLine, TOO_FEW } from "../requests/endpoint_figures.mjs";
import { bytes, count, duration, percent, plural, rate, runningTime } from "../text/format.mjs";
import { iconButton, stateGlyph } from "../elements/glyphs.mjs";
import { actOnApp, runnerWords } from "../card/card.mjs";
import { appMark, newestFailed, ownerWords } from "../card/card_states.mjs";
import { inspectorPanel } from "../inspector/inspector.mjs";
import { keepOwnKeys } from "../elements/keys.mjs";
import { ledgerPanel, startButton } from "./ledger.mjs";
import { queueTable, allQueuesWords, longestWait } from "../requests/queue.mjs";
import { requestsPanel } from "../requests/requests.mjs";
import { plainText } from "../text/plain.mjs";
import { ensureStyle } from "../style/style.mjs";
import { usagePanel } from "../scaling/usage.mjs";

/** @typedef {import("../types.d.ts").AppState} AppState */
/** @typedef {import("../types.d.ts").View} View */

/**
 * @type {[string, string, (app: AppState) => any][]} name, class, what it is sorted by; where there is no room for a
 *   column, its value is below the app's name
 */
const COLUMNS = [
  ["State", "fj-c-state", (app) => app.state],
  ["App", "", (app) => app.alias],
  ["Notebook", "fj-wider", (app) => app.owner_name],
  ["Machine", "fj-wider", (app) => app.machine],
  ["Runners", "fj-c-runners", (app) => app.runners.length],
  ["Waiting", "fj-number fj-roomy", (app) => app.waiting],
  ["Calls, 5 min", "fj-wide-spark", (app) => app.stats.spark.reduce((a, b) => a + b, 0)],
  ["Rate", "fj-number fj-mid", (app) => app.stats.rate],
  ["p50", "fj-number fj-mid", (app) => app.stats.p50_ms],
  ["p95", "fj-number fj-mid", (app) => app.stats.p95_ms],
  ["Failed", "fj-number fj-roomy", (app) => app.stats.failed / Math.max(1, app.stats.calls)],
  ["Memory", "fj-number fj-roomy", memoryOf],
  ["Rev", "fj-wider", (app) => app.revision],
];

/** Bytes that an app's runners hold. @param {AppState} app */
function memoryOf(app) {
  return app.runners.reduce((sum, one) => sum + one.memory, 0);
}

/**
 * The cell with an app's name, and below it the values of the columns for which there is no room.
 * @param {AppState} app
 * @param {string[]} origin notebook, machine and revision
 */
function nameCell(app, origin) {
  const { stats } = app;
  const under = (/** @type {string} */ kind, /** @type {string[]} */ parts) =>
    h("div", { class: `fj-label fj-cut ${kind}`, title: parts.filter(Boolean).join(" · ") }, joinedTexts(parts));
  return h(
    "td",
    { class: "fj-app-cell" },
    h("strong", { class: "fj-cut", title: plainText(app.alias) }, plainText(app.alias)),
    under("fj-under-wider", origin),
    under("fj-under-mid", [stats.rate > 0 ? rate(stats.rate) : "", percentileWords(stats)]),
    under("fj-narrow", [
      `${count(app.waiting)} waiting`,
      stats.calls ? `${percent(stats.failed, stats.calls)} failed` : "",
      memoryOf(app) ? bytes(memoryOf(app)) : "",
    ]),
    under("fj-tight", [plural(app.runners.length, "runner"), app.runners.length ? runnerWords(app) : ""]),
  );
}

/**
 * Apps in the order of a column; of equals, by name.
 * @param {AppState[]} apps
 * @param {number} column
 * @param {boolean} down
 */
export function sortedApps(apps, column, down) {
  const value = COLUMNS[column][2];
  const sign = down ? -1 : 1;
  return [...apps].sort((a, b) => {
    const [one, two] = [value(a), value(b)];
    return (one < two ? -sign : one > two ? sign : 0) || a.alias.localeCompare(b.alias);
  });
}

/**
 * The figures at the top.
 * @param {View} view
 * @returns {[string, string, string][]} name, figure, more
 */
export function figuresOf(view) {
  const runners = view.apps.flatMap((app) => app.runners);
  const ready = view.apps.filter((app) => app.state === "Ready" && !newestFailed(app)).length;
  const failing = view.apps.filter((app) => app.state === "Failing" || newestFailed(app)).length;
  const stopped = view.apps.filter((app) => app.state === "Stopped").length;
  const most = view.apps
    .filter((app) => app.state !== "Stopped")
    .reduce((sum, app) => sum + (app.scaling.max_concurrency ?? 0), 0);
  const starting = runners.filter((one) => one.state === "SETUP" || one.state === "PENDING").length;
  const waited = longestWait(view);
  const calls = view.apps.reduce((sum, app) => sum + app.stats.calls, 0);
  const failed = view.apps.reduce((sum, app) => sum + app.stats.failed, 0);
  const cold = view.apps.reduce((sum, app) => sum + app.stats.cold, 0);
  const perSecond = view.apps.reduce((sum, app) => sum + app.stats.rate, 0);
  const endedCalls = view.ended.reduce((sum, app) => sum + app.stats.calls, 0);
  const [slowest] = view.apps
    .filter((app) => app.stats.sample >= ENOUGH)
    .sort((a, b) => b.stats.p95_ms - a.stats.p95_ms);
  return [
    [
      "Apps",
      String(view.apps.length),
      [`${ready} ready`, failing ? `${failing} failing` : "", stopped ? `${stopped} stopped` : ""]
        .filter(Boolean)
        .join(" · "),
    ],
    [
      "Runners",
      String(runners.length),
      [`of ${count(most)} at most`, starting ? `${starting} starting` : ""].filter(Boolean).join(" · "),
    ],
    [
      "Waiting",
      String(view.apps.reduce((sum, app) => sum + app.waiting, 0)),
      waited ? `longest ${runningTime(waited)}` : "",
    ],
    [
      "Calls",
      count(calls, true),
      perSecond > 0
        ? `${rate(perSecond)} now`
        : calls
          ? "none in the last 10\u00a0s"
          : endedCalls
            ? `${count(endedCalls)} of ended apps`
            : "",
    ],
    ["p95", slowest ? duration(slowest.stats.p95_ms) : "–", slowest ? slowest.alias : TOO_FEW],
    ["Failed", percent(failed, calls), `${count(failed)} of ${count(calls, true)}`],
    [
      "Cold starts",
      count(view.apps.reduce((sum, app) => sum + (app.stats.cold_starts ?? 0), 0)),
      cold ? `${plural(cold, "call")} waited` : "no call waited",
    ],
  ];
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{request?: string}} options
 * @param {AbortSignal} signal
 * @returns {{inspect: (id: string) => void}}
 */
export function dashboardPanel(root, host, options, signal) {
  return new DashboardPanel(root, host, options, signal).handle();
}

class DashboardPanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{request?: string}} options
   * @param {AbortSignal} signal
   */
  constructor(root, host, options, signal) {
    this.host = host;
    this.signal = signal;
    ensureStyle(root);
    this.column = 1;
    this.down = false;
    this.notice = h("div", null);
    this.starter = startButton(this.host);
    this.figures = h("div", { class: "fj-figures" });
    this.filter = h("input", {
      class: "fj-input",
      type: "search",
      placeholder: "Filter apps",
      "aria-label": "Filter apps",
      style: { maxWidth: "180px" },
      oninput: () => this.draw(),
    });
    this.appsTold = h("span", { class: "fj-muted" });
    this.apps = h("div", { class: "fj-scroll" });
    const memory = h("div", null);
    const usage = h("div", { class: "fj-scroll" });
    const requests = h("div", null);
    this.queue = h("div", { class: "fj-scroll" });
    this.queueTold = h("span", { class: "fj-muted" });
    this.drawer = h("aside", { class: "fj-drawer", hidden: true, "aria-label": "request inspector" });
    root.replaceChildren(keepOwnKeys(this.frame(memory, requests, usage)));
    this.signal.addEventListener("abort", () => root.replaceChildren());

    /** @type {AbortController | null} */
    this.inspecting = null;
    this.inspected = "";

    /** @type {(id: string | null) => HTMLElement | null} */
    this.markRow = () => null;
    this.message = h("div", { role: "alert" });
    ledgerPanel(memory, this.host, {}, this.signal);
    usagePanel(usage, this.host, {}, this.signal);
    this.markRow = requestsPanel(requests, this.host, { open: this.inspect }, this.signal).choose;
    const look = scheduler(root, this.signal, this.draw);
    this.signal.addEventListener("abort", this.host.store.watch(look));
    const waiting = setInterval(() => longestWait(this.host.store.view) && look(), CLOCK_TICK);
    this.signal.addEventListener("abort", () => clearInterval(waiting));
    this.draw();
    if (options.request) this.inspect(options.request);
  }

  /**
   * The layout, with the places of the panels that draw themselves.
   * @param {HTMLElement} memory
   * @param {HTMLElement} requests
   * @param {HTMLElement} usage
   */
  frame(memory, requests, usage) {
    const main = h(
      "div",
      { class: "fj-board-main" },
      this.notice,
      this.figures,
      this.panel("Apps", [this.appsTold, h("span", { class: "fj-space" }), this.filter], this.apps),
      this.panel("Memory", [h("span", { class: "fj-muted" }, "each block is one runner or program")], memory),
      h(
        "div",
        { class: "fj-two" },
        this.panel("Recent requests", [], requests),
        this.panel("Queue", [this.queueTold], this.queue),
      ),
      this.panel("Use over time", [h("span", { class: "fj-muted" }, "the last five minutes")], usage),
    );
    return h(
      "div",
      {
        class: "fj fj-dashboard",
        style: { height: "100%", position: "relative" },
        onkeydown: (/** @type {KeyboardEvent} */ event) =>
          event.key === "Escape" && !this.drawer.hidden && (event.stopPropagation(), this.close()),
      },
      h("div", { class: "fj-board" }, main, this.drawer),
    );
  }

  panel(/** @type {string} */ title, /** @type {any[]} */ more, /** @type {any} */ body) {
    return h(
      "section",
      { class: "fj-panel", "aria-label": title },
      h("header", null, h("h2", null, title), more),
      body,
    );
  }

  leave() {
    this.inspecting?.abort();
    replace(this.drawer);
    this.drawer.hidden = true;
    this.inspected = "";
  }

  close = () => {
    const id = this.inspected;
    this.leave();
    const row = this.markRow(id);
    this.markRow(null);
    row?.focus();
  };

  inspect = (/** @type {string} */ id) => {
    this.leave();
    this.inspected = id;
    const stop = (this.inspecting = new AbortController());
    this.signal.addEventListener("abort", () => stop.abort(), { once: true });
    this.drawer.hidden = false;
    inspectorPanel(this.drawer, this.host, { id, close: this.close, arrive: true }, stop.signal);
    this.markRow(id)?.scrollIntoView?.({ block: "nearest" }); // the drawer took room: its row stays in sight
  };

  act(/** @type {string} */ alias, /** @type {"start" | "stop" | "restart"} */ action) {
    return async () => {
      try {
        await actOnApp(this.host, alias, action);
        replace(this.message);
      } catch (error) {
        replace(
          this.message,
          h("div", { class: "fj-banner fj-bad" }, error instanceof Error ? error.message : String(error)),
        );
      }
    };
  }

  appRow = (/** @type {AppState} */ app) => {
    const { stats } = app;
    const owner = plainText(app.owner_name || app.owner_kind);
    const machine = plainText(app.machine.split(" (")[0]);
    const revision = `r${app.serving || app.revision}`;
    const [failed, memory] = [percent(stats.failed, stats.calls), memoryOf(app) ? bytes(memoryOf(app)) : "0"];
    return h(
      "tr",
      { dataset: { app: app.alias } },
      h("td", null, appMark(app)),
      nameCell(app, [owner, machine, revision]),
      h("td", { class: "fj-wider fj-cut", title: owner }, owner),
      h("td", { class: "fj-wider fj-cut", title: plainText(app.machine) }, machine),
      h(
        "td",
        { class: "fj-c-runners", title: runnerWords(app) },
        app.runners.length ? app.runners.slice(0, 10).map((one) => stateGlyph(one.state)) : "0",
        app.runners.length > 10 ? ` +${app.runners.length - 10}` : null,
        h("span", { class: "fj-visually-hidden" }, runnerWords(app)),
      ),
      h("td", { class: "fj-number fj-roomy" }, count(app.waiting)),
      h("td", { class: "fj-wide-spark" }, sparkLine(stats.spark)),
      h("td", { class: "fj-number fj-mid" }, rate(stats.rate)),
      h("td", { class: "fj-number fj-mid" }, stats.sample ? duration(stats.p50_ms) : "–"),
      h(
        "td",
        { class: "fj-number fj-mid", title: stats.sample >= ENOUGH ? null : TOO_FEW },
        stats.sample >= ENOUGH ? duration(stats.p95_ms) : "–",
      ),
      h("td", { class: "fj-number fj-roomy" }, failed),
      h("td", { class: "fj-number fj-roomy" }, memory),
      h("td", { class: "fj-wider" }, revision),
      this.rowActions(app),
    );
  };

  rowActions(/** @type {AppState} */ app) {
    return h(
      "td",
      { class: "fj-row-actions" },
      app.state === "Stopped"
        ? iconButton("play", `Start ${app.alias}`, this.act(app.alias, "start"))
        : [
            iconButton("restart", `Restart ${app.alias}`, this.act(app.alias, "restart")),
            iconButton("stop", `Stop ${app.alias}`, this.act(app.alias, "stop")),
          ],
      this.host.openLogs ? iconButton("logs", `Logs of ${app.alias}`, () => this.host.openLogs?.(app.alias)) : null,
    );
  }

  /** An app that ended with its kernel: its figures stay. @param {import("../types.d.ts").KnownApp} app */
  endedRow = (app) => {
    const row = this.appRow(app);
    row.classList.add("fj-muted");
    replace(row.firstElementChild, appMark(app), h("div", { class: "fj-label" }, `with ${ownerWords(app)}`));
    replace(
      row.lastElementChild,
      app.owner_kind === "kernel" && this.host.runCell
        ? iconButton("play", `Run the cell of ${app.alias}`, () => this.host.runCell?.(app.alias))
        : null,
    );
    return row;
  };

  draw = () => {
    const view = this.host.store.view;
    update(this.notice, this.noticeOf(view), this.message);
    this.drawFigures(view);
    const wanted = this.filter.value.toLowerCase();
    const isWanted = (/** @type {AppState} */ app) =>
      `${app.alias} ${app.class_name} ${app.owner_name}`.toLowerCase().includes(wanted);
    const shown = sortedApps(view.apps, this.column, this.down).filter(isWanted);
    const ended = sortedApps(view.ended, this.column, this.down).filter(isWanted);
    const owners = plural(
      new Set(view.apps.map((app) => app.owner_pid)).size,
      "notebook or program",
      "notebooks and programs",
    );
    const filtered = shown.length < view.apps.length ? `${shown.length} of ` : "";
    update(this.appsTold, view.apps.length ? `${filtered}${view.apps.length} from ${owners}` : "");
    update(
      this.apps,
      view.apps.length || view.ended.length
        ? h(
            "table",
            { class: "fj-table fj-apps" },
            h(
              "thead",
              null,
              h(
                "tr",
                null,
                this.heads(),
                h("th", { scope: "col" }, h("span", { class: "fj-visually-hidden" }, "Actions")),
              ),
            ),
            h("tbody", null, shown.map(this.appRow), ended.map(this.endedRow)),
          )
        : h(
            "p",
            { class: "fj-empty" },
            "No app is running. Put %%fal_app above a fal.App class in a notebook and run the cell: it shows up here.",
          ),
    );
    update(this.queueTold, allQueuesWords(view));
    update(
      this.queue,
      queueTable(view, (id) => void this.host.ask("DELETE", `requests/${id}`).catch(() => undefined)),
    );
  };

  drawFigures(/** @type {View} */ view) {
    update(
      this.figures,
      figuresOf(view).map(([name, figure, more]) =>
        h(
          "div",
          { class: "fj-figure" },
          h("div", { class: "fj-label" }, name),
          h("strong", null, figure),
          h("div", { class: "fj-label" }, plainText(more)),
        ),
      ),
    );
  }

  /** The heads of the columns: a click sorts by that column, another one turns the order around. */
  heads() {
    return COLUMNS.map(([name, kind], at) =>
      h(
        "th",
        {
          scope: "col",
          class: kind,
          "aria-sort": at === this.column ? (this.down ? "descending" : "ascending") : null,
        },
        h(
          "button",
          {
            type: "button",
            class: "fj-sort",
            onclick: () => ((this.down = at === this.column ? !this.down : false), (this.column = at), this.draw()),
          },
          name,
          at === this.column ? (this.down ? " ▼" : " ▲") : "",
        ),
      ),
    );
  }

  noticeOf(/** @type {View} */ view) {
    if (view.link === "lost")
      return h(
        "div",
        { class: "fj-banner fj-bad" },
        h(
          "div",
          null,
          h("strong", null, `No update: ${plainText(view.reason)}.`),
          " The last known state is shown. Trying again.",
        ),
      );
    if (view.link === "off")
      return h(
        "div",
        { class: "fj-banner" },
        h("div", null, "No gateway is running. The first %%fal_app cell starts one by itself. ", this.starter),
      );
    if (view.link === "connecting") return h("div", { class: "fj-banner" }, "Connecting …");
    return null;
  }

  /** What the caller of dashboardPanel gets. */
  handle() {
    return { inspect: this.inspect };
  }
}
