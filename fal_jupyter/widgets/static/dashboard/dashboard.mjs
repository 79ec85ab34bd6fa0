// @ts-check
/** Everything that runs, over all notebooks: figures, apps, memory, requests, queue, and one request in a drawer. */
import { h, joinedTexts, replace, scheduler, update } from "../elements/dom.mjs";
import { percentileWords, sparkLine } from "../requests/endpoint_figures.mjs";
import { bytes, count, duration, percent, plural, rate } from "../text/format.mjs";
import { iconButton, stateGlyph } from "../elements/glyphs.mjs";
import { actOnApp, runnerWords } from "../card/card.mjs";
import { appMark, newestFailed, ownerWords } from "../card/card_states.mjs";
import { inspectorPanel } from "../inspector/inspector.mjs";
import { keepOwnKeys } from "../elements/keys.mjs";
import { ledgerPanel, startButton } from "./ledger.mjs";
import { queueTable, allQueuesWords } from "../requests/queue.mjs";
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
  const waits = view.apps.flatMap((app) => app.queue.map((one) => view.time - one.since));
  const calls = view.apps.reduce((sum, app) => sum + app.stats.calls, 0);
  const failed = view.apps.reduce((sum, app) => sum + app.stats.failed, 0);
  const cold = view.apps.reduce((sum, app) => sum + app.stats.cold, 0);
  const perSecond = view.apps.reduce((sum, app) => sum + app.stats.rate, 0);
  const endedCalls = view.ended.reduce((sum, app) => sum + app.stats.calls, 0);
  const slowest = [...view.apps].sort((a, b) => b.stats.p95_ms - a.stats.p95_ms)[0];
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
      waits.length ? `longest ${duration(Math.max(...waits))}` : "",
    ],
    [
      "Calls",
      count(calls, true),
      perSecond > 0
        ? `${rate(perSecond)} now`
        : calls
          ? "none in the last 10 s"
          : endedCalls
            ? `${count(endedCalls)} of ended apps`
            : "",
    ],
    [
      "p95",
      slowest && slowest.stats.sample >= 20 ? duration(slowest.stats.p95_ms) : "–",
      slowest && slowest.stats.sample >= 20 ? slowest.alias : "needs 20 calls",
    ],
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
  ensureStyle(root);
  let column = 1;
  let down = false;
  const notice = h("div", null);
  const starter = startButton(host);
  const figures = h("div", { class: "fj-figures" });
  const filter = h("input", {
    class: "fj-input",
    type: "search",
    placeholder: "Filter apps",
    "aria-label": "Filter apps",
    style: { maxWidth: "180px" },
    oninput: () => draw(),
  });
  const appsTold = h("span", { class: "fj-muted" });
  const apps = h("div", { class: "fj-scroll" });
  const memory = h("div", null);
  const usage = h("div", { class: "fj-scroll" });
  const requests = h("div", null);
  const queue = h("div", { class: "fj-scroll" });
  const queueTold = h("span", { class: "fj-muted" });
  const drawer = h("aside", { class: "fj-drawer", hidden: true, "aria-label": "request inspector" });
  const panel = (/** @type {string} */ title, /** @type {any[]} */ more, /** @type {any} */ body) =>
    h("section", { class: "fj-panel", "aria-label": title }, h("header", null, h("h2", null, title), more), body);
  const main = h(
    "div",
    { class: "fj-board-main" },
    notice,
    figures,
    panel("Apps", [appsTold, h("span", { class: "fj-space" }), filter], apps),
    panel("Memory", [h("span", { class: "fj-muted" }, "each block is one runner or program")], memory),
    h("div", { class: "fj-two" }, panel("Recent requests", [], requests), panel("Queue", [queueTold], queue)),
    panel("Use over time", [h("span", { class: "fj-muted" }, "the last five minutes")], usage),
  );
  const frame = h(
    "div",
    {
      class: "fj fj-dashboard",
      style: { height: "100%", position: "relative" },
      onkeydown: (/** @type {KeyboardEvent} */ event) =>
        event.key === "Escape" && !drawer.hidden && (event.stopPropagation(), close()),
    },
    h("div", { class: "fj-board" }, main, drawer),
  );
  root.replaceChildren(keepOwnKeys(frame));
  signal.addEventListener("abort", () => root.replaceChildren());

  /** @type {AbortController | null} */
  let inspecting = null;
  let inspected = "";
  /** @type {(id: string | null) => HTMLElement | null} */
  let markRow = () => null;
  const leave = () => {
    inspecting?.abort();
    replace(drawer);
    drawer.hidden = true;
    inspected = "";
  };
  const close = () => {
    const id = inspected;
    leave();
    const row = markRow(id);
    markRow(null);
    row?.focus();
  };
  const inspect = (/** @type {string} */ id) => {
    leave();
    inspected = id;
    const stop = (inspecting = new AbortController());
    signal.addEventListener("abort", () => stop.abort(), { once: true });
    drawer.hidden = false;
    inspectorPanel(drawer, host, { id, close, arrive: true }, stop.signal);
    markRow(id)?.scrollIntoView?.({ block: "nearest" }); // the drawer took room: its row stays in sight
  };
  const told = h("div", { role: "alert" });
  const act = (/** @type {string} */ alias, /** @type {"start" | "stop" | "restart"} */ action) => async () => {
    try {
      await actOnApp(host, alias, action);
      replace(told);
    } catch (error) {
      replace(told, h("div", { class: "fj-banner fj-bad" }, error instanceof Error ? error.message : String(error)));
    }
  };

  const appRow = (/** @type {AppState} */ app) => {
    const { stats } = app;
    const owner = plainText(app.owner_name || app.owner_kind);
    const machine = plainText(app.machine.split(" (")[0]);
    const revision = `r${app.serving || app.revision}`;
    const under = (/** @type {string} */ kind, /** @type {string[]} */ parts) =>
      h("div", { class: `fj-label fj-cut ${kind}`, title: parts.filter(Boolean).join(" · ") }, joinedTexts(parts));
    const [failed, memory] = [percent(stats.failed, stats.calls), memoryOf(app) ? bytes(memoryOf(app)) : "0"];
    return h(
      "tr",
      { dataset: { app: app.alias } },
      h("td", null, appMark(app)),
      h(
        "td",
        { class: "fj-app-cell" },
        h("strong", { class: "fj-cut", title: plainText(app.alias) }, plainText(app.alias)),
        under("fj-under-wider", [owner, machine, revision]),
        under("fj-under-mid", [stats.rate > 0 ? rate(stats.rate) : "", percentileWords(stats)]),
        under("fj-narrow", [
          `${count(app.waiting)} waiting`,
          stats.calls ? `${failed} failed` : "",
          memoryOf(app) ? memory : "",
        ]),
        under("fj-tight", [plural(app.runners.length, "runner"), app.runners.length ? runnerWords(app) : ""]),
      ),
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
        { class: "fj-number fj-mid", title: stats.sample >= 20 ? null : "needs 20 calls" },
        stats.sample >= 20 ? duration(stats.p95_ms) : "–",
      ),
      h("td", { class: "fj-number fj-roomy" }, failed),
      h("td", { class: "fj-number fj-roomy" }, memory),
      h("td", { class: "fj-wider" }, revision),
      h(
        "td",
        { class: "fj-row-actions" },
        app.state === "Stopped"
          ? iconButton("play", `Start ${app.alias}`, act(app.alias, "start"))
          : [
              iconButton("restart", `Restart ${app.alias}`, act(app.alias, "restart")),
              iconButton("stop", `Stop ${app.alias}`, act(app.alias, "stop")),
            ],
        host.openLogs ? iconButton("logs", `Logs of ${app.alias}`, () => host.openLogs?.(app.alias)) : null,
      ),
    );
  };

  /** An app that ended with its kernel: its figures stay. @param {import("../types.d.ts").KnownApp} app */
  const endedRow = (app) => {
    const row = appRow(app);
    row.classList.add("fj-muted");
    replace(row.firstElementChild, appMark(app), h("div", { class: "fj-label" }, `with ${ownerWords(app)}`));
    replace(
      row.lastElementChild,
      host.runCell ? iconButton("play", `Run the cell of ${app.alias}`, () => host.runCell?.(app.alias)) : null,
    );
    return row;
  };

  const draw = () => {
    const view = host.store.view;
    update(notice, noticeOf(view), told);
    update(
      figures,
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
    const wanted = filter.value.toLowerCase();
    const isWanted = (/** @type {AppState} */ app) =>
      `${app.alias} ${app.class_name} ${app.owner_name}`.toLowerCase().includes(wanted);
    const shown = sortedApps(view.apps, column, down).filter(isWanted);
    const ended = sortedApps(view.ended, column, down).filter(isWanted);
    update(
      appsTold,
      !view.apps.length
        ? ""
        : `${shown.length < view.apps.length ? `${shown.length} of ` : ""}${view.apps.length} from ${plural(new Set(view.apps.map((app) => app.owner_pid)).size, "notebook or program", "notebooks and programs")}`,
    );
    const heads = COLUMNS.map(([name, kind], at) =>
      h(
        "th",
        { scope: "col", class: kind, "aria-sort": at === column ? (down ? "descending" : "ascending") : null },
        h(
          "button",
          {
            type: "button",
            class: "fj-sort",
            onclick: () => ((down = at === column ? !down : false), (column = at), draw()),
          },
          name,
          at === column ? (down ? " ▼" : " ▲") : "",
        ),
      ),
    );
    update(
      apps,
      view.apps.length || view.ended.length
        ? h(
            "table",
            { class: "fj-table fj-apps" },
            h(
              "thead",
              null,
              h("tr", null, heads, h("th", { scope: "col" }, h("span", { class: "fj-visually-hidden" }, "Actions"))),
            ),
            h("tbody", null, shown.map(appRow), ended.map(endedRow)),
          )
        : h(
            "p",
            { class: "fj-empty" },
            "No app is running. Put %%fal_app above a fal.App class in a notebook and run the cell: it shows up here.",
          ),
    );
    update(queueTold, allQueuesWords(view));
    update(
      queue,
      queueTable(view, (id) => void host.ask("DELETE", `requests/${id}`).catch(() => undefined)),
    );
  };
  const noticeOf = (/** @type {View} */ view) => {
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
        h("div", null, "No gateway is running. The first %%fal_app cell starts one by itself. ", starter),
      );
    if (view.link === "connecting") return h("div", { class: "fj-banner" }, "Connecting …");
    return null;
  };
  ledgerPanel(memory, host, {}, signal);
  usagePanel(usage, host, {}, signal);
  markRow = requestsPanel(requests, host, { open: inspect }, signal).choose;
  const look = scheduler(root, signal, draw);
  signal.addEventListener("abort", host.store.watch(look));
  draw();
  if (options.request) inspect(options.request);
  return { inspect };
}
