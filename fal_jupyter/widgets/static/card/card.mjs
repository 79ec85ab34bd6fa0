// @ts-check
/** The card under an app's cell: how it stands, and everything that can be done with it, in tabs. */
import { button, h, replace, scheduler, tabList, update } from "../elements/dom.mjs";
import { appLook, appMark, cardStates, isBuilding, newestFailed } from "./card_states.mjs";
import { configPanel } from "../scaling/config.mjs";
import { count, duration } from "../text/format.mjs";
import { galleryPanel } from "../outputs/gallery.mjs";
import { glyph, iconButton, stateGlyph, stateLook, stateMark } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { keepingLast } from "../connection/kept_host.mjs";
import { keepOwnKeys } from "../elements/keys.mjs";
import { loadPanel } from "../try/load.mjs";
import { logsPanel } from "../logs/logs.mjs";
import { markdownView } from "../elements/markdown.mjs";
import { requestsPanel } from "../requests/requests.mjs";
import { snippetsPanel } from "../snippets/snippets.mjs";
import { ensureStyle } from "../style/style.mjs";
import { timelinePanel } from "../scaling/timeline.mjs";
import { onEditRequest, tryPanel } from "../try/tryit.mjs";

/** @typedef {import("../types.d.ts").AppState} AppState */

export const TABS = [
  { name: "try", label: "Try" },
  { name: "outputs", label: "Outputs" },
  { name: "requests", label: "Requests" },
  { name: "timeline", label: "Scaling" },
  { name: "config", label: "Config" },
  { name: "logs", label: "Logs" },
  { name: "snippets", label: "Snippets" },
];

/** What publishing the revision did. @param {AppState} app */
export function revisionWords(app) {
  const shown =
    app.serving && app.serving !== app.revision
      ? `r${app.serving} serves, r${app.revision} ${newestFailed(app) ? "failed" : "is starting"}`
      : `r${app.revision}`;
  const told =
    {
      new: "",
      nothing: "nothing changed",
      scaled: `scaling changed: ${app.told}`,
      rebuild: `rebuilt: ${app.told}`,
      restart: app.told,
    }[app.verdict] ?? app.told;
  return told ? `${shown} ${told}` : shown;
}

/** Runners in words, each in one of them: `2 ready · 1 busy · 1 starting`. @param {AppState} app */
export function runnerWords(app) {
  const number = (/** @type {string[]} */ ...states) => app.runners.filter((one) => states.includes(one.state)).length;
  const parts = [
    [number("IDLE"), "ready"],
    [number("RUNNING"), "busy"],
    [number("PENDING", "SETUP"), "starting"],
    [number("DRAINING", "TERMINATING"), "ending"],
    [number("CRASH_BACKOFF"), "failed"],
  ];
  return (
    parts
      .filter(([found]) => found)
      .map(([found, word]) => `${found} ${word}`)
      .join(" · ") || "0"
  );
}

/**
 * A question before something ends, as `Host.confirm`.
 * @typedef {(title: string, text: string, button: string) => Promise<boolean>} Confirm
 */

/**
 * What can be done to an app; throws a sentence where it could not be done.
 * @param {import("../types.d.ts").Host} host
 * @param {string} alias
 * @param {"start" | "stop" | "restart" | "unload"} action
 * @param {Confirm} [confirm] asks before a stop; the host's own question where it is left out
 */
export async function actOnApp(host, alias, action, confirm = host.confirm) {
  const path = `apps/${encodeURIComponent(alias)}`;
  if (action === "stop") {
    const sure = confirm
      ? await confirm(
          `Stop ${alias}?`,
          "Its runners end, and calls of it are refused until it is started again.",
          "Stop",
        )
      : true;
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
  return (title, text, word) =>
    new Promise((resolve) => {
      const before = /** @type {any} */ (document.activeElement);
      const answer = (/** @type {boolean} */ sure) => {
        replace(place);
        before?.focus?.();
        resolve(sure);
      };
      const keep = button("Cancel", () => answer(false));
      replace(
        place,
        h(
          "div",
          {
            class: "fj-banner fj-warn",
            role: "alertdialog",
            "aria-label": title,
            onkeydown: (/** @type {KeyboardEvent} */ event) =>
              event.key === "Escape" && (event.preventDefault(), answer(false)),
          },
          h("div", null, h("strong", null, title), ` ${text}`),
          h("span", { class: "fj-space" }),
          button(word, () => answer(true), { class: "fj-button fj-danger" }),
          keep,
        ),
      );
      keep.focus();
    });
}

/**
 * Heights of cards that were taken away, by app: a new one of the same app begins with it.
 * @type {Map<string, number>}
 */
const heights = new Map();

const ROOM = { least: 208, most: 520, beside: 158, row: 35, line: 18, characters: 64 };

/**
 * The height of the Try tab, by what is known before there is a form: a form that needs more scrolls, so that nothing
 * below a card moves when it comes.
 * @param {number} fields rows of the form
 * @param {string} doc of the endpoint
 */
export function formRoom(fields, doc) {
  const lines = doc ? Math.min(6, Math.ceil(doc.trim().length / ROOM.characters)) : 0;
  return Math.min(ROOM.most, Math.max(ROOM.least, ROOM.beside + fields * ROOM.row + lines * ROOM.line));
}

/** How an app stood when it was saved: a word without the colour of a living state. @param {AppState} app */
function greyMark(app) {
  const look = appLook(app);
  return h(
    "span",
    { class: "fj-state fj-pending" },
    glyph(look.shape, "fj-pending"),
    h("span", null, `${look.word}, saved`),
  );
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {import("../types.d.ts").CardData} card what its cell told last: it may change, after which `refresh` is called
 * @param {AbortSignal} signal
 * @returns {{refresh: () => void}}
 */
export function cardPanel(root, host, card, signal) {
  ensureStyle(root);
  const { alias } = card;
  const app = () => host.store.view.apps.find((one) => one.alias === alias);
  const kept = keepingLast(host, card, signal);
  const chosen = TABS.some((one) => one.name === card.tab) ? card.tab : host.kind === "saved" ? "requests" : "try";
  let tab = chosen;
  const states = cardStates(
    host,
    card,
    () => draw(),
    () => tab === "try",
    signal,
  );
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
  const head = h(
    "div",
    { class: "fj-head" },
    headState,
    h("span", { class: "fj-name fj-cut", title: card.app }, alias),
    h("span", { class: "fj-muted fj-mono fj-cut fj-third" }, `${card.class_name}${card.cell ? ` · ${card.cell}` : ""}`),
    h("span", { class: "fj-space" }),
  );
  const facts = h("div", { class: "fj-facts" });
  const body = h("div", { class: "fj-card-body" });
  const frame = h(
    "section",
    { class: "fj fj-card", "aria-label": `app ${alias}`, dataset: { app: alias } },
    head,
    facts,
    about,
    told,
    body,
  );
  keepOwnKeys(frame);
  root.replaceChildren(frame);

  const menu = () => {
    const open = actions.querySelector(".fj-menu");
    if (open) return open.remove();
    const state = app();
    const item = (/** @type {string} */ shape, /** @type {string} */ word, /** @type {() => void} */ press) =>
      h("button", { type: "button", role: "menuitem", onclick: () => (close(), press()) }, glyph(shape), word);
    const items = [
      state && state.state !== "Stopped" ? item("moon", "Unload until the next call", act("unload")) : null,
      state ? item("link", "Copy address", () => host.copy(host.address(state))) : null,
      host.openDashboard ? item("dashboard", "Show in dashboard", () => host.openDashboard?.()) : null,
      host.openLogs ? item("logs", "Open logs", () => host.openLogs?.(alias)) : null,
    ];
    const list = h("div", { class: "fj-menu", role: "menu", style: { right: "0", top: "28px" } }, items);
    let closed = false; // its focus leaves while it is taken away: that must not take it away again
    const close = () => {
      if (closed) return;
      closed = true;
      list.remove();
    };
    list.addEventListener(
      "keydown",
      (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && (event.preventDefault(), close(), more.focus()),
    );
    list.addEventListener(
      "focusout",
      (/** @type {FocusEvent} */ event) => !list.contains(/** @type {any} */ (event.relatedTarget)) && close(),
    );
    actions.append(list);
    /** @type {any} */ (list.firstChild)?.focus();
  };
  const more = iconButton("more", "More actions", menu, { "aria-haspopup": "menu" });
  const restart = iconButton("restart", "Restart the runners, one after another", act("restart"));
  const stop = iconButton("stop", "Stop the app", act("stop"));
  const start = button([glyph("play"), "Start"], act("start"), {
    class: "fj-button fj-primary",
    title: "Start the app as it was",
  });
  const runCell = button([glyph("play"), "Run its cell"], () => host.runCell?.(alias), {
    class: "fj-button fj-primary",
    title: "Load fal_jupyter into the kernel where it is missing, and run the cell",
  });
  const warm = button([glyph("play"), "Start 1 runner"], act("start"), { class: "fj-button" });
  const retry = button([glyph("restart"), "Retry now"], act("restart"), {
    class: "fj-button",
    title: "Start it at once, without waiting for the next attempt",
  });
  actions.append(restart, stop, more);
  head.append(start, runCell, warm, retry, actions);

  // --- the tabs: each is built when it is first shown, and keeps what was typed into it
  /** @type {Map<string, HTMLElement>} */
  const built = new Map();
  /** @type {{call: (path?: string) => any, edit: (id: string) => void}} */
  let trying = { call: () => null, edit: () => undefined };
  const build = (/** @type {string} */ name) => {
    const place = h("div", { class: `fj-panel-${name}`, dataset: { panel: name } });
    if (name === "try")
      (trying = tryPanel(place, host, { alias }, signal)),
        loadPanel(place, host, { alias, call: () => trying.call(), confirmIn: askWithin }, signal);
    else if (name === "outputs") galleryPanel(place, kept, { alias }, signal);
    else if (name === "requests") requestsPanel(place, kept, { alias }, signal);
    else if (name === "timeline") timelinePanel(place, kept, { alias }, signal);
    else if (name === "config")
      configPanel(
        place,
        kept,
        { alias, onEdited: (number) => tabs.count("config", number ? `${number} edited` : "") },
        signal,
      );
    else if (name === "logs") logsPanel(place, kept, { alias }, signal);
    else snippetsPanel(place, kept, { alias, call: (path) => trying.call(path) }, signal);
    return place;
  };
  const tabs = tabList(TABS, chosen, (name) => {
    if (tab !== name && body.offsetHeight) {
      // a shorter tab does not pull up what is below, nor does the next run of the cell
      heights.set(alias, body.offsetHeight);
      hold.of = "";
      body.style.removeProperty("--fj-held");
      body.style.minHeight = `${body.offsetHeight}px`;
    }
    for (const one of built.values()) one.hidden = true;
    const place = built.get(name) ?? build(name);
    if (!built.has(name)) {
      built.set(name, place);
      tabs.panel.append(place);
    }
    place.hidden = false;
    tab = name;
    stand();
    draw();
    tabs.panel.setAttribute("aria-labelledby", tabs.list.querySelector(`[data-tab="${name}"]`)?.id ?? "");
  });
  tabs.panel.append(states.stage);
  body.append(states.line, tabs.list, tabs.panel);
  onEditRequest(frame, alias, (id) => (tabs.list.querySelector('[data-tab="try"]')?.click(), trying.edit(id)), signal);
  let started = false;

  /** The stage takes the place of the form where there is none to use, and is not seen beside other tabs. */
  const stand = () => {
    const form = built.get("try");
    const replaced = states.replacesForm(app());
    states.stage.classList.toggle("fj-away", tab !== "try");
    form?.classList.toggle("fj-away", replaced);
  };
  /** A change of state never makes the card smaller: what is below it stays where it is. @param {string} state */
  const hold = (state) => {
    if (hold.of && hold.of !== state && body.offsetHeight) {
      body.style.minHeight = `${body.offsetHeight}px`;
      body.style.setProperty("--fj-held", `${tabs.panel.offsetHeight}px`);
    }
    hold.of = state;
  };
  hold.of = "";
  if (heights.has(alias)) body.style.minHeight = `${heights.get(alias)}px`;
  signal.addEventListener("abort", () => body.offsetHeight && heights.set(alias, body.offsetHeight));

  const draw = () => {
    const view = host.store.view;
    const now = app();
    const state = now ?? kept.store.view.apps.find((one) => one.alias === alias);
    const builds = !now && isBuilding(card, host);
    const gone = !now && !builds && view.link === "live";
    hold(`${view.link} ${now?.state} ${builds}`);
    if (view.link === "saved" && state) update(headState, greyMark(state));
    else if (!now && card.build && !card.build.took)
      update(headState, stateMark(builds ? "Starting" : card.build.error ? "Failing" : "Stopped"));
    else if (now && view.link !== "off" && newestFailed(now) && now.state === "Ready")
      update(headState, appMark(now, "Ready · "));
    else update(headState, stateMark(gone || view.link === "off" ? "Stopped" : (state?.state ?? "Starting")));
    const live = Boolean(now) && view.link === "live";
    const alive = live && now?.state !== "Stopped";
    actions.hidden = !live;
    restart.hidden = stop.hidden = !alive;
    start.hidden = !live || alive;
    warm.hidden = !alive || now?.state !== "Zero";
    if (now)
      warm.title = `It is ready for the next call, and ends after ${now.scaling.keep_alive} s without one (keep_alive)`;
    retry.hidden = !alive || !(now?.state === "Failing" || (now && newestFailed(now)));
    runCell.hidden = !host.runCell || builds || !(gone || view.link === "off" || view.link === "saved");
    if (!state) return states.draw(now, state);
    if (!started) body.style.setProperty("--fj-room", `${formRoom(card.fields ?? 0, state.endpoints[0]?.doc ?? "")}px`);
    drawFacts(state, alive);
    frame.classList.toggle("fj-past", !now || view.link === "saved");
    drawAbout(state.about ?? ""); // a picture that was saved before there was any has none
    states.draw(now, state);
    tabs.count("requests", state.stats.calls ? count(state.stats.calls, true) : "");
    if (!started) (started = true), tabs.start();
    stand();
  };
  /** @type {string | undefined} what is shown of it: what is unfolded stays so */
  let aboutOf;
  const drawAbout = (/** @type {string} */ text) => {
    if (text === aboutOf) return;
    aboutOf = text;
    about.hidden = !text;
    replace(about, text ? [h("summary", null, "About"), markdownView(text)] : null);
  };

  const drawFacts = (/** @type {import("../types.d.ts").KnownApp} */ state, /** @type {boolean} */ alive) => {
    const fact = (/** @type {string} */ label, /** @type {any[]} */ ...value) =>
      h("div", { class: "fj-fact" }, h("div", { class: "fj-label" }, label), h("div", null, value));
    const address = host.address(state);
    const isPicture = host.kind === "saved";
    const endpoints = state.endpoints.map((one) => one.path);
    const shown = endpoints.slice(0, 4).join(" · ") + (endpoints.length > 4 ? ` · ${endpoints.length - 4} more` : "");
    const machine = state.machine.split(" (")[0];
    update(
      facts,
      fact("Endpoints", h("span", { class: "fj-mono fj-cut", title: endpoints.join(" ") }, shown)),
      fact("Machine", h("span", { class: "fj-cut", title: state.machine }, machine)),
      fact(
        "Runners",
        alive
          ? state.runners
              .slice(0, 8)
              .map((one) => h("span", { title: `${one.id}, ${stateLook(one.state).word}` }, stateGlyph(one.state)))
          : null,
        h(
          "span",
          { class: "fj-cut", title: alive || isPicture ? runnerWords(state) : "" },
          alive || isPicture ? runnerWords(state) : "0",
        ),
      ),
      fact("Setup", h("span", null, state.setup_ms ? duration(state.setup_ms) : "–")),
      fact("Revision", h("span", { class: "fj-cut", title: revisionWords(state) }, revisionWords(state))),
      fact(
        "Address",
        isPicture || state.gone
          ? h("span", { class: "fj-muted", title: "Its address ended with it. The cell gives it a new one." }, "–")
          : [
              h("span", { class: "fj-mono fj-cut", title: address }, address.replace(/^https?:\/\//, "")),
              iconButton("copy", "Copy the address", () => host.copy(address)),
            ],
      ),
    );
  };

  const look = scheduler(root, signal, draw);
  signal.addEventListener("abort", host.store.watch(look));
  const ticking = setInterval(() => {
    const now = app();
    if (
      isBuilding(card, host) ||
      (now && (now.state === "Starting" || now.state === "Failing" || now.serving !== now.revision))
    )
      look(); // clocks run
  }, 250);
  signal.addEventListener("abort", () => clearInterval(ticking));
  signal.addEventListener("abort", () => root.replaceChildren());
  draw();
  return { refresh: look };
}
