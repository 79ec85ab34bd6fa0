// @ts-check
/** The card under an app's cell: how it stands, and everything that can be done with it, in tabs. */
import { button, h, replace, scheduler, tabList, update } from "./dom.mjs";
import { errorView } from "./errors.mjs";
import { ago, clock, count, duration, plural } from "./format.mjs";
import { glyph, iconButton, stateGlyph, stateMark } from "./glyphs.mjs";
import { askJson } from "./host.mjs";
import { configPanel } from "./config.mjs";
import { galleryPanel } from "./gallery.mjs";
import { loadPanel } from "./load.mjs";
import { logsPanel } from "./logs.mjs";
import { markdownView } from "./markdown.mjs";
import { requestsPanel } from "./requests.mjs";
import { plainText } from "./result.mjs";
import { snippetsPanel } from "./snippets.mjs";
import { ensureStyle } from "./style.mjs";
import { timelinePanel } from "./timeline.mjs";
import { onEditRequest, tryPanel } from "./tryit.mjs";

/** @typedef {import("./types.d.ts").AppState} AppState */

export const TABS = [
  { name: "try", label: "Try" }, { name: "outputs", label: "Outputs" }, { name: "requests", label: "Requests" }, { name: "timeline", label: "Scaling" }, { name: "config", label: "Config" },
  { name: "logs", label: "Logs" }, { name: "snippets", label: "Snippets" },
];

/** What publishing the revision did. @param {AppState} app */
export function revisionWords(app) {
  const shown = app.serving && app.serving !== app.revision ? `r${app.serving} serves, r${app.revision} is starting` : `r${app.revision}`;
  const told = { new: "", nothing: "nothing changed", scaled: `scaling changed: ${app.told}`, rebuild: `rebuilt: ${app.told}`, restart: app.told }[app.verdict] ?? app.told;
  return told ? `${shown} ${told}` : shown;
}

/** Runners in words: `2 ready · 1 starting`. @param {AppState} app */
export function runnerWords(app) {
  const number = (/** @type {string[]} */ ...states) => app.runners.filter((one) => states.includes(one.state)).length;
  const parts = [[number("IDLE", "RUNNING"), "ready"], [number("PENDING", "SETUP"), "starting"], [number("DRAINING", "TERMINATING"), "ending"], [number("CRASH_BACKOFF"), "failed"]];
  return parts.filter(([found]) => found).map(([found, word]) => `${found} ${word}`).join(" · ") || "0";
}

/** A question before something ends, as `Host.confirm`. @typedef {(title: string, text: string, button: string) => Promise<boolean>} Confirm */

/**
 * What can be done to an app; throws a sentence where it could not be done.
 * @param {import("./types.d.ts").Host} host
 * @param {string} alias
 * @param {"start" | "stop" | "restart" | "unload"} action
 * @param {Confirm} [confirm] asks before a stop; the host's own question where it is left out
 */
export async function actOnApp(host, alias, action, confirm = host.confirm) {
  const path = `apps/${encodeURIComponent(alias)}`;
  if (action === "stop") {
    const sure = confirm ? await confirm(`Stop ${alias}?`, "Its runners end, and calls of it are refused until it is started again.", "Stop") : true;
    if (sure) await askJson(host, "DELETE", path);
  } else {
    await askJson(host, "POST", `${path}/${action}`);
  }
}

/**
 * Ask within a panel, for pages that have no dialog of their own. Escape keeps things as they are.
 * @param {HTMLElement} place
 * @returns {Confirm}
 */
export function askWithin(place) {
  return (title, text, word) => new Promise((resolve) => {
    const before = /** @type {any} */ (document.activeElement);
    const answer = (/** @type {boolean} */ sure) => {
      replace(place);
      before?.focus?.();
      resolve(sure);
    };
    const keep = button("Cancel", () => answer(false));
    replace(place, h("div", { class: "fj-banner fj-warn", role: "alertdialog", "aria-label": title, onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && answer(false) },
      h("div", null, h("strong", null, title), ` ${text}`), h("span", { class: "fj-space" }), button(word, () => answer(true), { class: "fj-button fj-danger" }), keep));
    keep.focus();
  });
}

/**
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {import("./types.d.ts").CardData} card
 * @param {AbortSignal} signal
 */
export function cardPanel(root, host, card, signal) {
  ensureStyle(root);
  const { alias } = card;
  const app = () => host.store.view.apps.find((one) => one.alias === alias);
  /** @type {AppState | undefined} what was known last, for the time after its end */
  let last = card.picture?.app;
  const headState = h("span", { class: "fj-head-state", role: "status", "aria-live": "polite" });
  const told = h("div", { class: "fj-card-told", role: "alert" });
  const about = h("details", { class: "fj-about", hidden: true });
  const act = (/** @type {"start" | "stop" | "restart" | "unload"} */ action) => async () => {
    replace(told);
    try {
      await actOnApp(host, alias, action, host.confirm ?? askWithin(told));
    } catch (error) {
      replace(told, h("div", { class: "fj-banner fj-bad" }, error instanceof Error ? error.message : String(error)));
    }
  };
  const actions = h("span", { class: "fj-with-menu fj-head-actions" });
  const head = h("div", { class: "fj-head" }, headState, h("span", { class: "fj-name fj-cut", title: card.app }, alias), h("span", { class: "fj-muted fj-mono fj-cut fj-third" }, `${card.class_name}${card.cell ? ` · ${card.cell}` : ""}`), h("span", { class: "fj-space" }), actions);
  const facts = h("div", { class: "fj-facts" });
  const body = h("div", { class: "fj-card-body" });
  const frame = h("section", { class: "fj fj-card", "aria-label": `app ${alias}`, dataset: { app: alias, lmSuppressShortcuts: "true" } }, head, facts, about, told, body);
  root.replaceChildren(frame);

  const menu = () => {
    const open = actions.querySelector(".fj-menu");
    if (open) return open.remove();
    const state = app();
    const item = (/** @type {string} */ shape, /** @type {string} */ word, /** @type {() => void} */ press) => h("button", { type: "button", role: "menuitem", onclick: () => (close(), press()) }, glyph(shape), word);
    const items = [
      state && state.state !== "Stopped" ? item("moon", "Unload until the next call", act("unload")) : null, state ? item("link", "Copy address", () => host.copy(host.address(state))) : null,
      host.openDashboard ? item("dashboard", "Show in dashboard", () => host.openDashboard?.()) : null, host.openLogs ? item("logs", "Open logs", () => host.openLogs?.(alias)) : null,
    ];
    const list = h("div", { class: "fj-menu", role: "menu", style: { right: "0", top: "28px" } }, items);
    let closed = false; // its focus leaves while it is taken away: that must not take it away again
    const close = () => {
      if (closed) return;
      closed = true;
      list.remove();
    };
    list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && (close(), more.focus()));
    list.addEventListener("focusout", (/** @type {FocusEvent} */ event) => !list.contains(/** @type {any} */ (event.relatedTarget)) && close());
    actions.append(list);
    /** @type {any} */ (list.firstChild)?.focus();
  };
  const more = iconButton("more", "More actions", menu, { "aria-haspopup": "menu" });
  const restart = iconButton("restart", "Restart the runners, one after another", act("restart"));
  const stop = iconButton("stop", "Stop the app", act("stop"));
  const start = button([glyph("play"), "Start"], act("start"), { class: "fj-button fj-primary", title: "Start the app as it was" });
  const runCell = button([glyph("play"), "Run its cell"], () => host.runCell?.(alias), { class: "fj-button fj-primary" });
  actions.append(restart, stop, more);
  head.append(start, runCell);

  // --- the tabs: each is built when it is first shown, and keeps what was typed into it
  /** @type {Map<string, HTMLElement>} */
  const built = new Map();
  /** @type {{call: () => any, edit: (id: string) => void}} */
  let trying = { call: () => null, edit: () => undefined };
  const build = (/** @type {string} */ name) => {
    const place = h("div", { class: `fj-panel-${name}`, dataset: { panel: name } });
    if (name === "try") (trying = tryPanel(place, host, { alias }, signal)), loadPanel(place, host, { alias, call: () => trying.call(), confirmIn: askWithin }, signal);
    else if (name === "outputs") galleryPanel(place, host, { alias }, signal);
    else if (name === "requests") requestsPanel(place, host, { alias }, signal);
    else if (name === "timeline") timelinePanel(place, host, { alias }, signal);
    else if (name === "config") configPanel(place, host, { alias, onEdited: (number) => tabs.count("config", number ? `${number} edited` : "") }, signal);
    else if (name === "logs") logsPanel(place, host, { alias }, signal);
    else snippetsPanel(place, host, { alias, call: () => trying.call() }, signal);
    return place;
  };
  const chosen = TABS.some((one) => one.name === card.tab) ? card.tab : host.kind === "saved" ? "requests" : "try";
  const tabs = tabList(TABS, chosen, (name) => {
    for (const one of built.values()) one.hidden = true;
    const place = built.get(name) ?? build(name);
    if (!built.has(name)) {
      built.set(name, place);
      tabs.panel.append(place);
    }
    place.hidden = false;
    tabs.panel.setAttribute("aria-labelledby", tabs.list.querySelector(`[data-tab="${name}"]`)?.id ?? "");
  });
  const notice = h("div", { class: "fj-card-notice" });
  body.append(notice, tabs.list, tabs.panel);
  onEditRequest(frame, alias, (id) => (tabs.list.querySelector('[data-tab="try"]')?.click(), trying.edit(id)), signal);
  let started = false;

  const draw = () => {
    const view = host.store.view;
    const now = app();
    last = now ?? last;
    const state = now ?? last;
    const gone = !now && view.link === "live";
    const word = view.link === "saved" ? undefined : gone ? "Stopped" : view.link === "off" ? "Stopped" : undefined;
    update(headState, stateMark(word ?? state?.state ?? "Starting", view.link === "saved" && state ? `${stateMark(state.state).textContent}, saved` : undefined));
    const live = Boolean(now) && view.link === "live";
    const alive = live && now?.state !== "Stopped";
    actions.hidden = !live;
    restart.hidden = stop.hidden = !alive;
    start.hidden = !live || alive;
    runCell.hidden = !host.runCell || !(gone || view.link === "off");
    if (!state) return update(notice, view.link === "live" || (view.link === "connecting" && !view.reason) ? h("p", { class: "fj-empty" }, "Looking for the app …") : noticeOf(view, now, state));
    drawFacts(state, alive);
    drawAbout(state.about ?? ""); // a picture that was saved before there was any has none
    update(notice, noticeOf(view, now, state));
    tabs.count("requests", state.stats.calls ? count(state.stats.calls, true) : "");
    if (!started) (started = true), tabs.start();
  };

  /** @type {string | undefined} what is shown of it: what is unfolded stays so */
  let aboutOf;
  const drawAbout = (/** @type {string} */ text) => {
    if (text === aboutOf) return;
    aboutOf = text;
    about.hidden = !text;
    replace(about, text ? [h("summary", null, "About"), markdownView(text)] : null);
  };

  const drawFacts = (/** @type {AppState} */ state, /** @type {boolean} */ alive) => {
    const fact = (/** @type {string} */ label, /** @type {any[]} */ ...value) => h("div", { class: "fj-fact" }, h("div", { class: "fj-label" }, label), h("div", null, value));
    const address = host.address(state);
    const endpoints = state.endpoints.map((one) => one.path);
    const shown = endpoints.slice(0, 4).join(" · ") + (endpoints.length > 4 ? ` · ${endpoints.length - 4} more` : "");
    const machine = state.machine.split(" (")[0];
    update(facts, fact("Endpoints", h("span", { class: "fj-mono fj-cut", title: endpoints.join(" ") }, shown)), fact("Machine", h("span", { class: "fj-cut", title: state.machine }, machine)),
      fact("Runners", alive ? state.runners.slice(0, 8).map((one) => h("span", { title: one.id }, stateGlyph(one.state))) : null, h("span", null, alive ? runnerWords(state) : "0")),
      fact("Setup", h("span", null, state.setup_ms ? duration(state.setup_ms) : "–")), fact("Revision", h("span", { class: "fj-cut", title: revisionWords(state) }, revisionWords(state))),
      fact("Address", h("span", { class: "fj-mono fj-cut", title: address, style: { maxWidth: "260px" } }, address.replace(/^https?:\/\//, "")), iconButton("copy", "Copy the address", () => host.copy(address))));
  };

  /** @param {import("./types.d.ts").View} view @param {AppState | undefined} now @param {AppState | undefined} state */
  const noticeOf = (view, now, state) => {
    if (view.link === "saved") return h("div", { class: "fj-banner" }, glyph("stopped", "fj-pending"), h("div", null, `A picture of ${new Date(view.time).toLocaleString()}. Run the cell again to have the app here.`));
    const ends = view.time ? ` What is shown ends at ${clock(view.time, false)}.` : "";
    if (view.link === "lost") return h("div", { class: "fj-banner fj-bad" }, glyph("warning", "fj-failed"), h("div", null, h("strong", null, `No update: ${plainText(view.reason)}.`), `${ends} Trying again.`));
    if (view.link === "connecting") return h("div", { class: "fj-banner" }, view.reason ? plainText(view.reason) : "Connecting …");
    if (view.link === "off") return h("div", { class: "fj-banner" }, glyph("stopped", "fj-pending"), h("div", null, "No gateway is running. Running the cell again starts one, and the app."));
    if (!now) return h("div", { class: "fj-banner" }, glyph("stopped", "fj-pending"), h("div", null, `Stopped after ${plural(state?.stats.calls ?? 0, "call")}. Running ${card.cell || "its cell"} again brings it back.`));
    if (now.state === "Stopped") return h("div", { class: "fj-banner" }, glyph("stopped", "fj-pending"), h("div", null, `Stopped after ${plural(now.stats.calls, "call")}. Calls of it are refused; Start brings it back as it was.`));
    if (now.state === "Failing") return failing(now);
    if (now.state === "Starting") return starting(now);
    if (now.state === "Zero") return h("div", { class: "fj-banner" }, glyph("zero", "fj-pending"), h("div", null, "No runner is up. The next call starts one", now.setup_ms ? h("span", null, " and takes about ", h("strong", null, duration(now.setup_ms)), " longer") : null, `. ${plainText(now.reason)}`));
    return null;
  };

  const tail = h("pre", { class: "fj-code", hidden: true, "aria-label": "the last lines printed" });
  let tailOf = "";
  /** The last three lines that the runner's setup() printed. @param {AppState} now @param {string} runner */
  const readTail = async (now, runner) => {
    if (tailOf === `${runner} ${now.log}`) return;
    tailOf = `${runner} ${now.log}`;
    try {
      /** @type {import("./types.d.ts").LogRecord[]} */
      const lines = await askJson(host, "GET", `apps/${encodeURIComponent(alias)}/logs`, { query: { lines: "3", runner }, signal });
      tail.hidden = !lines.length;
      tail.textContent = lines.map((one) => plainText(one.text)).join("\n");
    } catch {
      tail.hidden = true; // the Logs tab says why
    }
  };

  const starting = (/** @type {AppState} */ now) => {
    const first = now.runners.find((one) => one.state === "SETUP" || one.state === "PENDING");
    const passed = first ? Math.max(0, Date.now() - first.since) : 0;
    const bar = now.setup_ms ? h("div", { class: "fj-progress" }, h("div", { style: { width: `${Math.min(100, (100 * passed) / now.setup_ms)}%` } })) : null;
    const expected = now.setup_ms ? ` of about ${duration(now.setup_ms)}` : "";
    const waits = now.waiting ? `${plural(now.waiting, "call")} waiting` : "";
    if (first) readTail(now, first.id);
    return [h("div", { class: "fj-banner fj-warn" }, h("div", { style: { width: "100%" } }, h("div", { class: "fj-bar-row", style: { padding: "0" } }, h("strong", { class: "fj-mono" }, first ? "setup()" : ""), first ? `${duration(passed)}${expected}` : plainText(now.reason), h("span", { class: "fj-space" }), waits), bar)), tail];
  };

  /** @type {{of: number, node: HTMLElement} | null} the failure that is shown: what is unfolded in it stays so */
  let failed = null;
  const failing = (/** @type {AppState} */ now) => {
    const failure = now.failure;
    const again = failure?.retry_at ? `next attempt in ${duration(Math.max(0, failure.retry_at - Date.now()))}` : "";
    const of = failure?.time ?? 0;
    if (failed?.of !== of) failed = { of, node: h("div", { class: "fj-pane" }, failure?.error ? errorView(failure.error) : h("div", { class: "fj-banner fj-bad" }, plainText(failure?.text ?? now.reason))) };
    return [failed.node, h("div", { class: "fj-bar-row" }, button([glyph("restart"), "Retry now"], act("restart")), h("span", { class: "fj-muted" }, failure ? `failed ${ago(Date.now() - failure.time)}, ${again}` : ""), h("span", { class: "fj-space" }), now.waiting ? `${plural(now.waiting, "call")} waiting` : "")];
  };

  const look = scheduler(root, signal, draw);
  signal.addEventListener("abort", host.store.watch(look));
  const ticking = setInterval(() => {
    const state = app()?.state;
    if (state === "Starting" || state === "Failing") look(); // clocks run
  }, 500);
  signal.addEventListener("abort", () => clearInterval(ticking));
  signal.addEventListener("abort", () => root.replaceChildren());
  draw();
}
