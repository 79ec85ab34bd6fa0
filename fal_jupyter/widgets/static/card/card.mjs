// @ts-check
/** The card under an app's cell: its state, and everything that can be done with it, in tabs. */
import { button, h, replace, scheduler, tabList, update } from "../elements/dom.mjs";
import { appLook, appMark, cardStates, isBuilding, newestFailed, takenMark, takenOverBy } from "./card_states.mjs";
import { configPanel } from "../scaling/config.mjs";
import { inherits } from "../elements/focus.mjs";
import { count, duration } from "../text/format.mjs";
import { galleryPanel } from "../outputs/gallery.mjs";
import { glyph, iconButton, stateGlyph, stateLook, stateMark } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { keepingLast } from "../connection/kept_host.mjs";
import { keepOwnKeys, moveInMenu } from "../elements/keys.mjs";
import { loadPanel } from "../try/load.mjs";
import { logsPanel } from "../logs/logs.mjs";
import { markdownView } from "../elements/markdown.mjs";
import { requestsPanel } from "../requests/requests.mjs";
import { askingBeforeOthers } from "./owner_guard.mjs";
import { plainText } from "../text/plain.mjs";
import { snippetsPanel } from "../snippets/snippets.mjs";
import { ensureStyle } from "../style/style.mjs";
import { timelinePanel } from "../scaling/timeline.mjs";
import { onEditRequest, tryPanel } from "../try/tryit.mjs";

/** @typedef {import("../types.d.ts").AppState} AppState */

/**
 * The tabs of a card, `TABS` of `protocol/feed.py`: each with its word, and how it is drawn.
 * @type {{name: string, label: string, draw: (place: HTMLElement, card: CardPanel) => void}[]}
 */
export const TABS = [
  { name: "try", label: "Try", draw: (place, card) => card.buildTry(place) },
  {
    name: "outputs",
    label: "Outputs",
    draw: (place, { kept, alias, signal }) => galleryPanel(place, kept, { alias }, signal),
  },
  {
    name: "requests",
    label: "Requests",
    draw: (place, { kept, alias, signal }) => requestsPanel(place, kept, { alias }, signal),
  },
  {
    name: "timeline",
    label: "Scaling",
    draw: (place, { kept, alias, signal }) => timelinePanel(place, kept, { alias }, signal),
  },
  { name: "config", label: "Config", draw: (place, card) => card.buildConfig(place) },
  { name: "logs", label: "Logs", draw: (place, { kept, alias, signal }) => logsPanel(place, kept, { alias }, signal) },
  {
    name: "snippets",
    label: "Snippets",
    draw: (place, card) =>
      snippetsPanel(place, card.kept, { alias: card.alias, call: (path) => card.trying.call(path) }, card.signal),
  },
];

/** What publishing the revision did. @param {AppState} app */
export function revisionWords(app) {
  const shown =
    app.serving && app.serving !== app.revision
      ? `r${app.serving} serves, r${app.revision} ${newestFailed(app) ? "failed" : "is starting"}`
      : `r${app.revision}`;
  const why = app.verdict_reason ?? ""; // a card saved by an older version has none
  const because = why && `: ${why}`;
  const change =
    { new: "", nothing: "nothing changed", scaled: `scaling changed${because}`, rebuild: `rebuilt${because}` }[
      app.verdict
    ] ?? why;
  return change ? `${shown} ${change}` : shown;
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
      .filter(([runners]) => runners)
      .map(([runners, word]) => `${runners} ${word}`)
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
 * @param {string} [other] the notebook whose app it is now, where that is not the one that acts: then all is asked before
 */
export async function actOnApp(host, alias, action, confirm = host.confirm, other = "") {
  const path = `apps/${encodeURIComponent(alias)}`;
  const word = action[0].toUpperCase() + action.slice(1);
  if (other && action !== "stop" && confirm) {
    const sure = await confirm(`${word} ${alias} of ${other}?`, `The app is of ${other} now.`, word);
    if (!sure) return;
  }
  if (action === "stop") {
    const sure = confirm
      ? await confirm(
          other ? `Stop ${alias} of ${other}?` : `Stop ${alias}?`,
          "Its runners end, and calls of it are refused until it is started again. Its requests and outputs stay.",
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
 * Tabs and their heights of cards that were taken away, by app: a new one of the same app begins with it.
 * @type {Map<string, {tab: string, height: number}>}
 */
const heights = new Map();

/** The tabs that were brought to the front in this page, by card. @type {Map<string, string>} */
const fronts = new Map();

/** @param {import("../types.d.ts").CardData} card */
const frontKey = ({ app, alias, source, tab }) => [app, alias, source, tab].join("\n");

/** The tab that was brought to the front of a card in this page. @param {import("../types.d.ts").CardData} card */
export const frontTab = (card) => fronts.get(frontKey(card));

const MOST_GLYPHS = 4; // of runners, in the facts

const ROOM = { least: 208, most: 560, beside: 116, row: 34, line: 18, characters: 64 };

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

/**
 * The tab that a card opens with: the one it was saved with, else Try, or Requests in a saved notebook.
 * @param {string | undefined} saved
 * @param {string} hostKind
 */
export function firstTab(saved, hostKind) {
  if (TABS.some((one) => one.name === saved)) return /** @type {string} */ (saved);
  return hostKind === "saved" ? "requests" : "try";
}

/** True while the head of an app's card shows a running clock. @param {AppState | undefined} app */
export function showsClock(app) {
  return Boolean(app && (app.state === "Starting" || app.state === "Failing" || app.serving !== app.revision));
}

/** The state of an app when it was saved: a word without the colour of a living state. @param {AppState} app */
function greyMark(app) {
  const look = appLook(app);
  return h(
    "span",
    { class: "fj-state fj-pending" },
    glyph(look.shape, "fj-pending"),
    h("span", null, `${look.word}, saved`),
  );
}

/** What the class takes along from the notebook: the names, and below them kind, size and cell. @param {string[]} captures */
function capturesView(captures) {
  const names = plainText(captures.map((one) => one.split(" (")[0]).join(", "));
  const items = captures.map((one) => h("li", null, plainText(one)));
  const shown = h("span", { class: "fj-mono", title: names }, names);
  return [h("summary", null, "Takes along from the notebook: ", shown), h("ul", null, items)];
}

/** An address without what says nothing new: its scheme, and the host where that is the page's own. @param {string} address */
export function addressWords(address) {
  const [, host = "", path = ""] = /^https?:\/\/([^/]*)(.*)$/i.exec(address) ?? [];
  return host && path && host === location.host ? path : host ? host + path : address;
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {import("../types.d.ts").CardData} card the last data from its cell; after a change of it `refresh` is called
 * @param {AbortSignal} signal
 * @returns {{refresh: () => void}}
 */
export function cardPanel(root, host, card, signal) {
  return new CardPanel(root, host, card, signal).handle();
}

class CardPanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {import("../types.d.ts").CardData} card the last data from its cell; after a change of it `refresh` is called
   * @param {AbortSignal} signal
   */
  constructor(root, host, card, signal) {
    this.card = card;
    this.signal = signal;
    ensureStyle(root);
    this.alias = this.card.alias;
    this.host = askingBeforeOthers(host, this.alias, () => this.other(), this.confirm);
    this.kept = keepingLast(this.host, this.card, this.signal);
    this.tab = firstTab(this.card.front || this.card.tab, this.host.kind);
    this.states = cardStates(
      this.host,
      this.card,
      () => this.draw(),
      () => this.tab === "try",
      () => this.trying?.hasForm() ?? false, // it begins before the tabs are there
      this.signal,
    );
    this.headState = h("span", { class: "fj-head-state", role: "status", "aria-live": "polite" });
    this.message = h("div", { class: "fj-card-message", role: "alert" });
    this.about = h("details", { class: "fj-about", hidden: true });
    this.captures = h("details", { class: "fj-about fj-captures", hidden: true });
    this.actions = h("span", { class: "fj-with-menu fj-head-actions" });
    this.facts = h("div", { class: "fj-facts" });
    this.body = h("div", { class: "fj-card-body" });
    this.more = iconButton("more", "More actions", this.menu, { "aria-haspopup": "menu" });
    this.restart = iconButton("restart", "Restart the runners, one after another", this.act("restart"));
    this.stop = iconButton("stop", "Stop the app", this.act("stop"));
    this.start = button([glyph("play"), "Start"], this.act("start"), {
      class: "fj-button fj-primary",
      title: "Start the app as it was",
    });
    this.runCell = button([glyph("play"), "Run its cell"], () => this.host.runCell?.(this.alias), {
      class: "fj-button fj-primary",
      title: "Load fal_jupyter into the kernel where it is missing, and run the cell",
    });
    this.warm = button([glyph("play"), "Start 1 runner"], this.act("start"), { class: "fj-button" });
    this.retry = button([glyph("restart"), "Retry now"], this.act("restart"), {
      class: "fj-button",
      title: "Start it at once, without waiting for the next attempt",
    });
    this.frame = this.cardFrame();
    keepOwnKeys(this.frame);
    root.replaceChildren(this.frame);

    // --- the tabs: each is built when it is first shown, and keeps what was typed into it
    /** @type {Map<string, HTMLElement>} */
    this.built = new Map();

    this.heldFor = ""; // the state at which the height is held
    this.tryRoom = { body: 0, panel: 0 }; // heights of the Try tab when it was left

    /** @type {{call: (path?: string) => any, edit: (id: string, seed?: any) => void, hasForm: () => boolean}} */
    this.trying = { call: () => null, edit: () => undefined, hasForm: () => false };
    this.tabs = tabList(TABS, this.tab, (name) => this.showTab(name));
    this.tabs.panel.append(this.states.stage);
    this.body.append(this.states.line, this.tabs.list, this.tabs.panel);
    this.started = false;
    this.keepHeight();

    /** @type {string | undefined} what is shown of it: what is unfolded stays so */
    this.aboutOf = undefined;

    this.look = scheduler(root, this.signal, this.draw);
    this.listen(root);
    this.draw();
  }

  cardFrame() {
    for (const one of [this.start, this.warm, this.retry]) inherits(one, () => [this.stop]);
    inherits(this.stop, () => [this.start, this.runCell]);
    this.actions.append(this.restart, this.stop, this.more);
    const head = h(
      "div",
      { class: "fj-head" },
      this.headState,
      h("span", { class: "fj-name fj-cut", title: this.card.app }, this.alias),
      h(
        "span",
        { class: "fj-muted fj-mono fj-cut fj-third" },
        `${this.card.class_name}${this.card.cell ? ` · ${this.card.cell}` : ""}`,
      ),
      h("span", { class: "fj-space" }),
      this.start,
      this.runCell,
      this.warm,
      this.retry,
      this.actions,
    );
    return h(
      "section",
      { class: "fj fj-card", "aria-label": `app ${this.alias}`, dataset: { app: this.alias } },
      head,
      this.facts,
      this.about,
      this.captures,
      this.message,
      this.body,
    );
  }

  showTab(/** @type {string} */ name) {
    if (this.tab !== name) this.changeRoom(name);
    for (const one of this.built.values()) one.hidden = true;
    const place = this.built.get(name) ?? this.build(name);
    if (!this.built.has(name)) {
      this.built.set(name, place);
      this.tabs.panel.append(place);
    }
    place.hidden = false;
    if (this.tab !== name) fronts.set(frontKey(this.card), name);
    this.tab = name;
    this.stand();
    this.draw();
    this.tabs.panel.setAttribute("aria-labelledby", this.tabs.list.querySelector(`[data-tab="${name}"]`)?.id ?? "");
  }

  /** Redraw on changes and, while a clock is shown, with time; clear *root* when the card is taken away. */
  listen(/** @type {HTMLElement} */ root) {
    onEditRequest(
      this.frame,
      this.alias,
      (id, seed) => (this.tabs.list.querySelector('[data-tab="try"]')?.click(), this.trying.edit(id, seed)),
      this.signal,
    );
    this.signal.addEventListener("abort", this.host.store.watch(this.look));
    const ticking = setInterval(() => {
      if (isBuilding(this.card, this.host) || showsClock(this.app())) this.look();
    }, 250);
    this.signal.addEventListener("abort", () => clearInterval(ticking));
    this.signal.addEventListener("abort", () => root.replaceChildren());
  }

  app() {
    return this.host.store.view.apps.find((one) => one.alias === this.alias);
  }

  /** The notebook that took the app over, "" where none did. */
  other() {
    const now = this.app();
    return now ? takenOverBy(this.card, now, this.host.notebookName?.()) : "";
  }

  /** The page's question, or one in this card. @type {Confirm} */
  confirm = (...question) => (this.host.confirm ?? askWithin(this.message))(...question);

  act(/** @type {"start" | "stop" | "restart" | "unload"} */ action) {
    return async () => {
      replace(this.message);
      try {
        await actOnApp(this.host, this.alias, action, this.confirm, this.other());
      } catch (error) {
        replace(
          this.message,
          h("div", { class: "fj-banner fj-bad" }, error instanceof Error ? error.message : String(error)),
        );
      }
    };
  }

  menu = () => {
    const open = this.actions.querySelector(".fj-menu");
    if (open) return open.remove();
    const state = this.app();
    const item = (/** @type {string} */ shape, /** @type {string} */ word, /** @type {() => void} */ press) =>
      h(
        "button",
        { type: "button", role: "menuitem", onclick: () => (close(), this.more.focus(), press()) },
        glyph(shape),
        word,
      );
    const items = [
      state && state.state !== "Stopped" ? item("moon", "Unload until the next call", this.act("unload")) : null,
      state ? item("link", "Copy address", () => this.host.copy(this.host.address(state))) : null,
      this.host.openDashboard ? item("dashboard", "Show in dashboard", () => this.host.openDashboard?.()) : null,
      this.host.openLogs ? item("logs", "Open logs", () => this.host.openLogs?.(this.alias)) : null,
    ];
    const list = h("div", { class: "fj-menu", role: "menu", style: { right: "0", top: "28px" } }, items);
    let closed = false; // its focus leaves while it is taken away: that must not take it away again
    const close = () => {
      if (closed) return;
      closed = true;
      list.remove();
    };
    list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) =>
      event.key === "Escape" ? (event.preventDefault(), close(), this.more.focus()) : moveInMenu(event, list),
    );
    list.addEventListener(
      "focusout",
      (/** @type {FocusEvent} */ event) => !list.contains(/** @type {any} */ (event.relatedTarget)) && close(),
    );
    this.actions.append(list);
    /** @type {any} */ (list.firstChild)?.focus();
  };

  build(/** @type {string} */ name) {
    const place = h("div", { class: `fj-panel-${name}`, dataset: { panel: name } });
    TABS.find((one) => one.name === name)?.draw(place, this);
    return place;
  }

  buildTry(/** @type {HTMLElement} */ place) {
    const { host, alias, signal } = this;
    this.trying = tryPanel(place, host, { alias }, signal);
    loadPanel(place, host, { alias, call: () => this.trying.call(), confirmIn: askWithin }, signal);
  }

  buildConfig(/** @type {HTMLElement} */ place) {
    const onEdited = (/** @type {number} */ number) => this.tabs.count("config", number ? `${number} edited` : "");
    configPanel(place, this.kept, { alias: this.alias, onEdited }, this.signal);
  }

  /** The stage takes the place of the form where there is none to use, and is not seen beside other tabs. */
  stand() {
    const form = this.built.get("try");
    const replaced = this.states.replacesForm(this.app());
    this.states.stage.classList.toggle("fj-away", this.tab !== "try");
    form?.classList.toggle("fj-away", replaced);
  }

  /** The next run of the cell begins with this height; at another width it says nothing. */
  keepHeight() {
    const before = heights.get(this.alias);
    if (before?.tab === this.tab) this.body.style.minHeight = `${before.height}px`;
    this.signal.addEventListener(
      "abort",
      () => this.body.offsetHeight && heights.set(this.alias, { tab: this.tab, height: this.body.offsetHeight }),
    );
    if (typeof ResizeObserver === "undefined") return;
    let width = 0;
    const observer = new ResizeObserver(() => {
      const now = this.body.offsetWidth;
      if (width && now && now !== width) {
        heights.delete(this.alias);
        this.release();
      }
      width = now || width;
    });
    observer.observe(this.body);
    this.signal.addEventListener("abort", () => observer.disconnect());
    // what the user does himself may move what is below; only the form's absence keeps its room
    this.body.addEventListener("click", () => !this.states.replacesForm(this.app()) && this.release(), true);
  }

  /**
   * Each tab has the height that it needs. Try has that of its form also while the form is away: an app that is started
   * again must not push down what is below. @param {string} name the tab that is shown next
   */
  changeRoom(name) {
    if (this.tab === "try") this.tryRoom = { body: this.body.offsetHeight, panel: this.tabs.panel.offsetHeight };
    this.release();
    if (this.built.has("try") && !this.states.replacesForm(this.app())) this.releaseRoom();
    if (name === "try" && this.tryRoom.body && this.states.replacesForm(this.app())) this.holdRoom(this.tryRoom);
  }

  holdRoom(/** @type {{body: number, panel: number}} */ { body, panel }) {
    this.body.style.minHeight = `${body}px`;
    this.body.style.setProperty("--fj-held", `${panel}px`);
  }

  /** Give up the height that is held. */
  release() {
    this.heldFor = "";
    this.body.style.minHeight = "";
    this.body.style.removeProperty("--fj-held");
  }

  /** Give up what was reserved for the form; what it is too much by, if that is little, is not worth a jump. */
  releaseRoom() {
    const reserved = this.body.style.getPropertyValue("--fj-room");
    const height = this.body.offsetHeight;
    this.body.style.setProperty("--fj-room", `${ROOM.least}px`);
    const saved = height - this.body.offsetHeight;
    if (reserved && saved > 0 && saved < ROOM.line) this.body.style.setProperty("--fj-room", reserved);
  }

  /** A change of state never makes the card smaller: what is below it stays where it is. @param {string} state */
  hold = (state) => {
    if (this.heldFor && this.heldFor !== state && this.body.offsetHeight)
      this.holdRoom({ body: this.body.offsetHeight, panel: this.tabs.panel.offsetHeight });
    this.heldFor = state;
  };

  draw = () => {
    const view = this.host.store.view;
    const now = this.app();
    const state = now ?? this.kept.store.view.apps.find((one) => one.alias === this.alias);
    const builds = !now && isBuilding(this.card, this.host);
    const gone = !now && !builds && view.link === "live";
    this.hold(`${view.link} ${now?.state} ${builds}`);
    const other = view.link === "live" ? this.other() : "";
    if (view.link === "saved" && state) update(this.headState, greyMark(state));
    else if (other) update(this.headState, takenMark(other));
    else if (!now && this.card.build && !this.card.build.took)
      update(this.headState, stateMark(builds ? "Starting" : this.card.build.error ? "Failing" : "Stopped"));
    else if (now && view.link !== "off" && newestFailed(now) && now.state === "Ready")
      update(this.headState, appMark(now, "Ready · "));
    else update(this.headState, stateMark(gone || view.link === "off" ? "Stopped" : (state?.state ?? "Starting")));
    const live = Boolean(now) && view.link === "live";
    const alive = live && now?.state !== "Stopped";
    this.actions.hidden = !live;
    this.restart.hidden = this.stop.hidden = !alive;
    this.start.hidden = !live || alive;
    this.warm.hidden = !alive || now?.state !== "Zero";
    if (now)
      this.warm.title = `It is ready for the next call, and ends after ${now.scaling.keep_alive} s without one (keep_alive)`;
    this.retry.hidden = !alive || !(now?.state === "Failing" || (now && newestFailed(now)));
    this.runCell.hidden = !this.host.runCell || builds || !(gone || view.link === "off" || view.link === "saved");
    if (!state) return this.states.draw(now, state);
    if (!this.started)
      this.body.style.setProperty("--fj-room", `${formRoom(this.card.fields ?? 0, state.endpoints[0]?.doc ?? "")}px`);
    this.drawFacts(state, alive);
    this.frame.classList.toggle("fj-past", !now || view.link === "saved");
    this.drawCaptures();
    this.drawAbout(state.about ?? ""); // a picture that was saved before there was any has none
    this.states.draw(now, state);
    this.tabs.count("requests", state.stats.calls ? count(state.stats.calls, true) : "");
    if (!this.started) (this.started = true), this.tabs.start();
    this.stand();
  };

  drawCaptures() {
    const captures = this.card.captures ?? []; // a notebook that was saved before there were any has none
    this.captures.hidden = !captures.length;
    update(this.captures, captures.length ? capturesView(captures) : null);
  }

  drawAbout(/** @type {string} */ text) {
    if (text === this.aboutOf) return;
    this.aboutOf = text;
    this.about.hidden = !text;
    replace(this.about, text ? [h("summary", null, "About"), markdownView(text)] : null);
  }

  drawFacts(/** @type {import("../types.d.ts").KnownApp} */ state, /** @type {boolean} */ alive) {
    const fact = (/** @type {string} */ label, /** @type {any[]} */ ...value) =>
      h(
        "div",
        { class: "fj-fact", dataset: { fact: label } },
        h("div", { class: "fj-label" }, label),
        h("div", null, value),
      );
    const address = this.host.address(state);
    const isPicture = this.host.kind === "saved";
    const endpoints = state.endpoints.map((one) => one.path);
    const shown = (endpoints.length > 4 ? `${endpoints.length} in all: ` : "") + endpoints.slice(0, 4).join(" · ");
    const machine = state.machine.split(" (")[0];
    update(
      this.facts,
      fact("Endpoints", h("span", { class: "fj-mono fj-cut", title: endpoints.join(" ") }, shown)),
      fact("Machine", h("span", { class: "fj-cut", title: state.machine }, machine)),
      fact(
        "Runners",
        alive && state.runners.length <= MOST_GLYPHS // more would leave no room for their number
          ? state.runners.map((one) =>
              h("span", { title: `${one.id}, ${stateLook(one.state).word}` }, stateGlyph(one.state)),
            )
          : null,
        h(
          "span",
          { class: "fj-cut", title: alive || isPicture ? runnerWords(state) : "" },
          alive || isPicture ? runnerWords(state) : "0",
        ),
      ),
      fact("Setup", h("span", null, state.setup_ms ? duration(state.setup_ms) : "–")),
      fact(
        "Revision",
        h(
          "span",
          { class: newestFailed(state) ? "fj-wrap" : "fj-cut", title: revisionWords(state) },
          revisionWords(state),
        ),
      ),
      fact(
        "Address",
        isPicture || state.gone
          ? h("span", { class: "fj-muted", title: "Its address ended with it. The cell gives it a new one." }, "–")
          : [
              h("span", { class: "fj-mono fj-cut", title: address }, addressWords(address)),
              iconButton("copy", "Copy the address", () => this.host.copy(address)),
            ],
      ),
    );
  }

  /** What the caller of cardPanel gets. */
  handle() {
    return { refresh: this.look };
  }
}
