// @ts-check
/**
 * The sidebar's tree: apps, their runners and queue, devices, and the latest requests, each with what can be done to
 * it.
 */
import { button, CLOCK_TICK, h, newId, replace, scheduler, update } from "../elements/dom.mjs";
import { actOnApp } from "../card/card.mjs";
import { appLook, newestFailed, ownerWords, setupPassed } from "../card/card_states.mjs";
import { clockNow, knownRequests } from "../connection/store.mjs";
import { bytes, duration, pathText, plural, rate, runnerName, runningTime } from "../text/format.mjs";
import { glyph, iconButton, requestLook, stateGlyph, stateLook } from "../elements/glyphs.mjs";
import { keepOwnKeys, moveInMenu } from "../elements/keys.mjs";
import { startButton } from "../dashboard/ledger.mjs";
import { beganToRun, hasFailed, totalOf } from "../elements/phases.mjs";
import { plainText } from "../text/plain.mjs";
import { ensureStyle } from "../style/style.mjs";
import { connectCell } from "./connect.mjs";
import { APP_CELL } from "./templates.mjs";

/** @typedef {import("../types.d.ts").View} View */
/** @typedef {import("../types.d.ts").AppState} AppState */
/** @typedef {import("../types.d.ts").RequestState} RequestState */

const RECENT = 8;
const FOLDED = "fal-jupyter:folded-sections"; // in the browser's storage
const DRAG_FROM = 6; // pixels that the pointer moves before a press is a drag

/**
 * The state of all apps in a few words, failing ones first, as a status bar shows it.
 * @param {View} view
 * @returns {{shape: string, tone: string, text: string, failing: number}}
 */
export function summaryOf(view) {
  if (view.link === "off") return { shape: "stopped", tone: "fj-pending", text: "fal off", failing: 0 };
  if (view.link === "lost") return { shape: "warning", tone: "fj-failed", text: "fal: no update", failing: 0 };
  if (view.link === "connecting") return { shape: "pending", tone: "fj-pending", text: "fal …", failing: 0 };
  if (!view.apps.length) return { shape: "stopped", tone: "fj-pending", text: "fal no apps", failing: 0 };
  const stopped = view.apps.filter((app) => app.state === "Stopped").length;
  if (stopped === view.apps.length)
    return { shape: "stopped", tone: "fj-pending", text: `fal ${plural(stopped, "app")} stopped`, failing: 0 };
  const runners = view.apps.flatMap((app) => app.runners);
  const starting = runners.filter((one) => one.state === "PENDING" || one.state === "SETUP").length;
  const waiting = view.apps.reduce((sum, app) => sum + app.waiting, 0);
  const failing = view.apps.filter((app) => app.state === "Failing" || newestFailed(app)).length;
  const ready = view.apps.filter((app) => app.state === "Ready" && !newestFailed(app)).length;
  const begin = view.apps.filter((app) => app.state === "Starting").length;
  const zero = view.apps.filter((app) => app.state === "Zero").length;
  // the first number has its noun, so do runners and calls: each says what it counts
  const [first, ...others] = /** @type {[number, string][]} */ ([
    [failing, "failing"],
    [ready, "ready"],
    [begin, "starting"],
    [zero, "at zero"],
  ]).filter(([number]) => number);
  const text = [
    first ? `fal ${plural(first[0], "app")} ${first[1]}` : `fal ${plural(view.apps.length, "app")}`,
    ...others.map(([number, word]) => `${number} ${word}`),
    `${plural(runners.length, "runner")}${starting ? `, ${starting} starting` : ""}`,
    waiting ? `${plural(waiting, "call")} waiting` : "",
  ]
    .filter(Boolean)
    .join(" · ");
  if (failing) return { shape: "failed", tone: "fj-failed", text, failing };
  if (!runners.length) return { shape: "zero", tone: "fj-pending", text, failing };
  return { shape: starting ? "setup" : "ok", tone: starting ? "fj-setup" : "fj-ok", text, failing };
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {object} _
 * @param {AbortSignal} signal
 */
export function treePanel(root, host, _, signal) {
  new TreePanel(root, host, _, signal);
}

class TreePanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {object} _
   * @param {AbortSignal} signal
   */
  constructor(root, host, _, signal) {
    this.host = host;
    this.signal = signal;
    ensureStyle(root);

    /** @type {Set<string>} */
    this.folded = new Set(storedFolds());
    this.current = "";
    this.starter = startButton(this.host);
    this.message = h("div", { role: "alert" });
    this.tree = h("div", { class: "fj-tree", role: "tree", "aria-label": "apps of this machine" });
    this.frame = h("div", { class: "fj fj-with-menu", style: { minHeight: "100%" } }, this.message, this.tree);
    root.replaceChildren(keepOwnKeys(this.frame));

    this.closeMenu = () => {};

    this.frame.id = newId();
    const look = scheduler(root, this.signal, () => !this.frame.querySelector(".fj-menu") && this.draw());
    this.signal.addEventListener("abort", this.host.store.watch(look));
    const ticking = setInterval(() => this.hasClock() && look(), CLOCK_TICK);
    this.signal.addEventListener("abort", () => clearInterval(ticking));
    this.draw();
  }

  attempt(/** @type {() => Promise<any>} */ work) {
    return async () => {
      replace(this.message);
      try {
        await work();
      } catch (error) {
        replace(
          this.message,
          h("div", { class: "fj-banner fj-bad" }, error instanceof Error ? error.message : String(error)),
        );
      }
    };
  }

  del(/** @type {string} */ path) {
    return this.attempt(async () => {
      const answer = await this.host.ask("DELETE", path);
      if (answer.status >= 400) throw new Error((await answer.json()).detail);
    });
  }

  /** @param {AppState} app @returns {[string, string, () => void][]} shape, word, action */
  appActions(app) {
    return /** @type {any} */ (
      [
        ...(app.state === "Stopped"
          ? [["play", "Start app", this.attempt(() => actOnApp(this.host, app.alias, "start"))]]
          : [
              ["restart", "Restart runners one by one", this.attempt(() => actOnApp(this.host, app.alias, "restart"))],
              ["moon", "Unload until the next call", this.attempt(() => actOnApp(this.host, app.alias, "unload"))],
              ["stop", "Stop app", this.attempt(() => actOnApp(this.host, app.alias, "stop"))],
            ]),
        this.host.goToCell && ["link", "Go to its cell", () => this.host.goToCell?.(app.alias)],
        ["copy", "Copy address", () => this.host.copy(this.host.address(app))],
        this.host.openLogs && ["logs", "Logs", () => this.host.openLogs?.(app.alias)],
        this.host.openDashboard && ["dashboard", "Show in dashboard", () => this.host.openDashboard?.()],
        this.host.insertCell && ["add", "Insert a connect cell", () => this.host.insertCell?.(connectCell(app))],
      ].filter(Boolean)
    );
  }

  /** @param {AppState} app @param {string} runner @returns {[string, string, () => void][]} */
  runnerActions(app, runner) {
    return /** @type {any} */ (
      [
        [
          "stop",
          "Stop runner",
          async () => {
            const sure = this.host.confirm
              ? await this.host.confirm(
                  `Stop ${runner}?`,
                  "It finishes its requests first; the app starts another one if it needs it.",
                  "Stop",
                )
              : true;
            if (sure) await this.del(`runners/${encodeURIComponent(runner)}`)();
          },
        ],
        ["failed", "Kill runner", this.del(`runners/${encodeURIComponent(runner)}?kill=1`)],
        this.host.openLogs && ["logs", "Logs of this runner", () => this.host.openLogs?.(app.alias, runner)],
      ].filter(Boolean)
    );
  }

  /**
   * Drag an app out of the tree: a notebook takes it as a cell that calls it, everything else as that cell's text.
   * @param {AppState} app
   */
  dragged(app) {
    if (!this.host.dragCell) {
      return {
        draggable: true,
        ondragstart: (/** @type {DragEvent} */ event) => {
          event.dataTransfer?.setData("text/plain", connectCell(app));
          event.dataTransfer?.setData(
            "application/vnd.jupyter.cells",
            JSON.stringify([
              { cell_type: "code", source: connectCell(app), metadata: {}, outputs: [], execution_count: null },
            ]),
          );
        },
      };
    }
    return {
      onpointerdown: (/** @type {PointerEvent} */ press) => {
        if (press.button !== 0) return;
        const stop = new AbortController(); // the pointer may leave the row with its first move
        const end = () => stop.abort();
        document.addEventListener(
          "pointermove",
          (/** @type {PointerEvent} */ event) => {
            if (!(event.buttons & 1)) return end();
            if (Math.hypot(event.clientX - press.clientX, event.clientY - press.clientY) < DRAG_FROM) return;
            end();
            this.host.dragCell?.(connectCell(app), app.alias, event.clientX, event.clientY);
          },
          { signal: stop.signal },
        );
        for (const type of ["pointerup", "pointercancel"])
          document.addEventListener(type, end, { signal: stop.signal });
        this.signal.addEventListener("abort", end, { signal: stop.signal });
      },
    };
  }

  menu(/** @type {[string, string, () => void][]} */ actions, /** @type {HTMLElement} */ at) {
    this.closeMenu();
    let closed = false; // its focus leaves while it is taken away: that must not take it away again
    const close = () => {
      if (closed) return;
      closed = true;
      list.remove();
    };
    this.closeMenu = close;
    const top = at.getBoundingClientRect().bottom - this.frame.getBoundingClientRect().top;
    const list = h(
      "div",
      { class: "fj-menu", role: "menu", style: { right: "8px", top: `${top}px` } },
      actions.map(([shape, word, press]) =>
        h(
          "button",
          { type: "button", role: "menuitem", onclick: () => (close(), at.focus(), press()) },
          glyph(shape),
          word,
        ),
      ),
    );
    list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      moveInMenu(event, list);
      if (event.key === "Escape") event.stopPropagation(), close(), at.focus();
    });
    list.addEventListener(
      "focusout",
      (/** @type {FocusEvent} */ event) => !list.contains(/** @type {any} */ (event.relatedTarget)) && close(),
    );
    this.frame.append(list);
    list.firstChild?.focus();
  }

  /**
   * @param {string} key
   * @param {number} level
   * @param {any[]} content
   * @param {{aside?: any, actions?: [string, string, () => void][], expanded?: boolean, press?: () => void, label:
   *   string, drag?: Record<string, any>, leaf?: boolean, section?: boolean}} how `label`: what its name says beside the
   *   words that are seen; `leaf`: it has the place of an arrow, and none
   */
  row(key, level, content, how) {
    const { actions = [], expanded } = how;
    const toggle = () => this.toggle(key);
    const quick = actions
      .slice(0, 3)
      .map(([shape, word, press]) =>
        iconButton(shape, word, (event) => (event.stopPropagation(), this.focus(key), press()), { tabIndex: -1 }),
      );
    // words that stand apart are apart for whoever reads them, too
    const spaced = content.flatMap((one, at) => (at ? [" ", one] : [one]));
    return h(
      "div",
      {
        class: how.section ? "fj-row fj-section" : "fj-row",
        role: "treeitem",
        "aria-level": level,
        "aria-label": [[content, how.aside].flat().map(seenWords).filter(Boolean).join(" "), how.label]
          .filter(Boolean)
          .join(", "),
        "aria-expanded": expanded === undefined ? null : String(expanded),
        dataset: { key },
        tabindex: key === this.current ? 0 : -1,
        style: { paddingLeft: `${rowIndent(level, expanded !== undefined || Boolean(how.leaf))}px` },
        ...how.drag,
        onclick: () => (this.focus(key), how.press ? how.press() : expanded !== undefined && toggle()),
        oncontextmenu: (/** @type {any} */ event) =>
          actions.length && (event.preventDefault(), event.stopPropagation(), this.menu(actions, event.currentTarget)),
        onkeydown: (/** @type {any} */ event) =>
          this.keyed(event, key, event.currentTarget, actions, expanded, toggle, how.press),
      },
      expanded !== undefined ? glyph(expanded ? "open" : "folded") : how.leaf ? h("span", { class: "fj-glyph" }) : null,
      spaced,
      h("span", { class: "fj-space" }),
      how.aside === undefined ? null : " ",
      how.aside === undefined
        ? null
        : h("span", { class: "fj-aside fj-muted", title: typeof how.aside === "string" ? how.aside : null }, how.aside),
      actions.length
        ? h(
            "span",
            { class: "fj-actions" },
            quick,
            iconButton(
              "more",
              "More actions",
              (/** @type {any} */ event) => (
                event.stopPropagation(), this.menu(actions, event.currentTarget.closest(".fj-row"))
              ),
              { tabIndex: -1 },
            ),
          )
        : null,
    );
  }

  toggle(/** @type {string} */ key) {
    if (!this.folded.delete(key)) this.folded.add(key);
    if (key.startsWith("section:")) storeFolds([...this.folded].filter((one) => one.startsWith("section:")));
    this.draw();
  }

  /** @param {string} key @returns {HTMLElement | undefined} */
  rowOf(key) {
    return /** @type {HTMLElement[]} */ ([...this.tree.querySelectorAll(".fj-row")]).find(
      (one) => one.dataset.key === key,
    );
  }

  focus(/** @type {string} */ key) {
    this.current = key;
    for (const one of this.tree.querySelectorAll(".fj-row")) one.tabIndex = one.dataset.key === key ? 0 : -1;
    this.rowOf(key)?.focus();
  }

  /**
   * @param {KeyboardEvent} event
   * @param {string} key
   * @param {HTMLElement} element
   * @param {any[]} actions
   * @param {boolean | undefined} expanded
   * @param {() => void} toggle
   * @param {(() => void) | undefined} press
   */
  keyed(event, key, element, actions, expanded, toggle, press) {
    if (event.target !== element) return;
    const rows = /** @type {HTMLElement[]} */ ([...this.tree.querySelectorAll(".fj-row")]);
    const at = rows.indexOf(element);
    const level = (/** @type {HTMLElement | undefined} */ one) => Number(one?.getAttribute("aria-level") ?? 0);
    const parent = rows
      .slice(0, Math.max(0, at))
      .reverse()
      .find((one) => level(one) < level(element));
    const inner = level(rows[at + 1]) > level(element) ? rows[at + 1] : undefined;
    const to = {
      ArrowDown: rows[at + 1],
      ArrowUp: rows[at - 1],
      Home: rows[0],
      End: rows[rows.length - 1],
      ArrowRight: expanded ? inner : undefined,
      ArrowLeft: expanded ? undefined : parent,
    }[event.key];
    if (to) this.focus(to.dataset.key ?? "");
    else if ((event.key === "ArrowRight" && expanded === false) || (event.key === "ArrowLeft" && expanded))
      toggle(), this.focus(key);
    else if (event.key === "Enter") (press ?? toggle)();
    else if (event.key === "Delete" && actions.length) actions.find(([, word]) => /^Stop/.test(word))?.[2]();
    else if ((event.key === "F10" && event.shiftKey) || event.key === "ContextMenu")
      actions.length && this.menu(/** @type {any} */ (actions), element);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * What a runner does now.
   * @param {AppState} app
   * @param {import("../types.d.ts").RunnerState} one
   * @param {View} view
   */
  doingOf(app, one, view) {
    const now = clockNow(view);
    if (one.state === "SETUP") {
      // its glyph says that it is in setup: the numbers have the room
      return app.setup_ms > now - one.since
        ? `${setupPassed(one, now)} of ${duration(app.setup_ms)}`
        : `setup ${setupPassed(one, now)}`;
    }
    if (one.state !== "RUNNING") return one.memory ? bytes(one.memory) : stateLook(one.state).word;
    const request =
      one.in_flight === 1
        ? view.requests.find(
            (other) => other.runner === one.id && (other.state === "running" || other.state === "streaming"),
          )
        : undefined;
    return request
      ? `${runningTime(now - beganToRun(request))} in ${plainText(pathText(request.path))}`
      : `${one.in_flight} in flight`;
  }

  /** The right end of an app's row. @param {AppState} app @param {View} view */
  asideOf(app, view) {
    if (app.state === "Ready" && !newestFailed(app)) return app.stats.rate > 0 ? rate(app.stats.rate) : undefined;
    const again = (app.failure?.retry_at ?? 0) - clockNow(view);
    if (app.state === "Failing" && again > 0) {
      const wait = again < 99000 ? `${Math.ceil(again / 1000)} s` : `${Math.ceil(again / 60000)} m`;
      return h("span", { class: "fj-failed" }, `retry in ${wait}`);
    }
    return app.state === "Zero" ? "zero" : appLook(app).word.toLowerCase();
  }

  /** @param {AppState} app @param {View} view @param {boolean} inner whether it has rows of its own */
  appRow(app, view, inner) {
    const key = `app:${app.alias}`;
    const look = appLook(app);
    const aside = this.asideOf(app, view);
    const name = plainText(`${app.alias} of ${app.owner_name || app.owner_kind}`);
    const label = [
      look.word.toLowerCase() === aside ? "" : look.word,
      app.serving && app.serving !== app.revision ? `r${app.revision} not ready` : "",
      plural(app.runners.length, "runner"),
    ];
    return this.row(
      key,
      2,
      [
        glyph(look.shape, look.tone),
        h("strong", { class: "fj-cut", title: name }, plainText(app.alias)),
        h("span", { class: "fj-muted" }, `r${app.serving || app.revision}`),
        severalOwners(view.apps)
          ? h("span", { class: "fj-muted fj-cut", title: name }, plainText(app.owner_name))
          : null,
      ],
      {
        aside,
        actions: this.appActions(app),
        expanded: inner ? !this.folded.has(key) : undefined,
        drag: this.dragged(app),
        leaf: !inner,
        label: label.filter(Boolean).join(", "),
      },
    );
  }

  /** @param {AppState} app @param {View} view @param {AppState["runners"][number]} one */
  runnerRow(app, view, one) {
    const device = one.devices
      .map((id) => view.devices.find((device) => device.id === id))
      .map((device) => (device ? `gpu ${device.index}` : "gpu"))
      .join(" ");
    const name = `runner ${plainText(runnerName(one.id))}`;
    return this.row(
      `runner:${one.id}`,
      3,
      [
        stateGlyph(one.state),
        h("span", { class: "fj-cut fj-runner-name", title: plainText(one.id) }, name),
        h("span", { class: "fj-muted" }, device),
      ],
      {
        aside: this.doingOf(app, one, view),
        actions: this.runnerActions(app, one.id),
        label: `${plainText(one.id)}, ${stateLook(one.state).word}`,
      },
    );
  }

  /** @param {View} view @param {AppState["queue"][number]} one */
  waitingRow(view, one) {
    const path = plainText(pathText(one.path));
    const cell = view.requests.find((other) => other.id === one.id)?.cell_number;
    return this.row(
      `request:${one.id}`,
      4,
      [
        h("span", { class: "fj-mono fj-cut", title: path }, path),
        cell ? h("span", { class: "fj-muted" }, `cell [${cell}]`) : null,
      ],
      {
        aside: runningTime(clockNow(view) - one.since),
        actions: [["close", "Cancel request", this.del(`requests/${one.id}`)]],
        press: () => this.host.openDashboard?.(one.id),
        label: "waiting",
      },
    );
  }

  /** @param {AppState} app @param {View} view */
  queueRows(app, view) {
    const key = `queue:${app.alias}`;
    const expanded = !this.folded.has(key);
    const head = this.row(key, 3, [stateGlyph("waiting"), "queue"], {
      aside: String(app.waiting),
      expanded,
      label: `waiting for ${plainText(app.alias)}`,
    });
    if (!expanded) return [head];
    const rows = [head, ...app.queue.map((one) => this.waitingRow(view, one))];
    const more = app.waiting - app.queue.length;
    const words = h("span", { class: "fj-muted" }, `and ${more} more`);
    if (more > 0) rows.push(this.row(`more:${app.alias}`, 4, [words], { label: "requests waiting" }));
    return rows;
  }

  /** @param {AppState} app @param {View} view */
  appRows(app, view) {
    const inner = app.runners.length > 0 || app.waiting > 0;
    const first = this.appRow(app, view, inner);
    if (!inner || this.folded.has(`app:${app.alias}`)) return [first];
    const runners = app.runners.map((one) => this.runnerRow(app, view, one));
    return [first, ...runners, ...(app.waiting ? this.queueRows(app, view) : [])];
  }

  /** An app that ended with its kernel: what there was stays in sight. @param {import("../types.d.ts").KnownApp} app */
  endedRow = (app) => {
    const hasCell = app.owner_kind === "kernel";
    return this.row(
      `app:${app.alias}`,
      2,
      [
        glyph("stopped", "fj-pending"),
        h(
          "strong",
          {
            class: "fj-cut fj-muted",
            title: plainText(`${app.alias} of ${app.owner_name || app.owner_kind}, ${plural(app.stats.calls, "call")}`),
          },
          plainText(app.alias),
        ),
      ],
      {
        aside: `${ownerWords(app).replace("its ", "")} ended`,
        actions: /** @type {any} */ (
          [
            hasCell && this.host.runCell && ["play", "Run its cell", () => this.host.runCell?.(app.alias)],
            hasCell && this.host.goToCell && ["link", "Go to its cell", () => this.host.goToCell?.(app.alias)],
          ].filter(Boolean)
        ),
        leaf: true,
        label: `stopped with ${ownerWords(app)}, ${plural(app.stats.calls, "call")}`,
      },
    );
  };

  meter(/** @type {number} */ used, /** @type {number} */ whole) {
    return h(
      "span",
      { class: "fj-tree-meter", "aria-hidden": "true" },
      h("span", { style: { width: `${Math.min(100, (100 * used) / Math.max(1, whole))}%` } }),
    );
  }

  busyWords(/** @type {number} */ busy) {
    return busy >= 0 ? `${Math.round(busy)} % busy` : "";
  }

  ofWords(/** @type {number} */ used, /** @type {number} */ whole) {
    return `${bytes(used).replace(bytes(whole).slice(bytes(whole).indexOf(" ")), "")} of ${bytes(whole)}`;
  } // 3.2 of 16.4 GB

  /** @param {import("../types.d.ts").DeviceState} one */
  deviceRow = (one) => {
    const words = [one.name, this.busyWords(one.busy), one.holder || "free"].filter(Boolean).join(", ");
    return this.row(
      `device:${one.id}`,
      2,
      [
        h("span", { class: "fj-nowrap", title: plainText(words) }, `gpu ${one.index}`),
        this.meter(one.used >= 0 ? one.used : one.holder ? one.memory : 0, one.memory),
      ],
      { aside: one.used >= 0 ? this.ofWords(one.used, one.memory) : bytes(one.memory), label: plainText(words) },
    );
  };

  /** @param {import("../types.d.ts").HostState} one */
  hostRow(one) {
    const words = [
      plural(one.cores, "core"),
      this.busyWords(one.busy),
      `${bytes(one.used)} of ${bytes(one.memory)} memory in use`,
    ]
      .filter(Boolean)
      .join(", ");
    return this.row(
      "device:host",
      2,
      [
        h(
          "span",
          { class: "fj-nowrap", title: words },
          "host ",
          h("span", { class: "fj-muted" }, plural(one.cores, "core")),
        ),
        this.meter(one.used, one.memory),
      ],
      {
        aside: this.ofWords(one.used, one.memory),
        label: ["memory in use", this.busyWords(one.busy)].filter(Boolean).join(", "),
      },
    );
  }

  /**
   * A section: its title, which folds it, and its rows.
   * @param {string} name @param {string} more @param {() => any[]} rows
   */
  section(name, more, rows) {
    const key = `section:${name}`;
    const expanded = !this.folded.has(key);
    const words = h("span", { class: "fj-muted fj-section-more" }, more);
    return [this.row(key, 1, [name, words], { expanded, section: true, label: "" }), expanded ? rows() : null];
  }

  /** @param {View} view @param {RequestState} one */
  recentRow(view, one) {
    const look = requestLook(one);
    const path = plainText(pathText(one.path));
    return this.row(
      `recent:${one.id}`,
      2,
      [
        h("span", { class: look.tone }, glyph(look.shape)),
        h("span", { class: "fj-mono fj-cut", title: path }, path),
        h("span", { class: "fj-muted fj-cut", title: plainText(one.alias) }, plainText(one.alias)),
      ],
      { aside: duration(totalOf(one, view.time)), press: () => this.host.openDashboard?.(one.id), label: look.word },
    );
  }

  /** @param {View} view */
  sections(view) {
    const lost =
      view.link === "lost"
        ? h("div", { class: "fj-banner fj-bad" }, h("div", null, `No update: ${plainText(view.reason)}. Trying again.`))
        : null;
    // those on their way are with their runners and in the queue
    const recent = knownRequests(view)
      .filter((one) => one.state === "done")
      .slice(0, RECENT);
    const failed = recent.filter(hasFailed).length;
    return [
      lost,
      this.section("Apps", String(view.apps.length), () => [
        view.apps.length ? view.apps.map((app) => this.appRows(app, view)) : this.emptyState(view),
        view.ended.map(this.endedRow),
      ]),
      this.section("Devices", plural(view.devices.length, "GPU"), () => [
        view.devices.map(this.deviceRow),
        view.host ? this.hostRow(view.host) : null,
      ]),
      recent.length
        ? this.section("Recent", failed ? `${failed} failed` : "", () => recent.map((one) => this.recentRow(view, one)))
        : null,
    ];
  }

  draw() {
    const view = this.host.store.view;
    const had = this.tree.contains(document.activeElement) ? this.current : "";
    const hasSections = view.link === "live" || view.apps.length > 0;
    update(this.tree, hasSections ? this.sections(view) : [this.emptyState(view), view.ended.map(this.endedRow)]);
    if (!this.tree.querySelector('.fj-row[tabindex="0"]')) {
      const first = this.tree.querySelector(".fj-row");
      if (first) (first.tabIndex = 0), (this.current = first.dataset.key);
    }
    if (had && !this.tree.contains(document.activeElement)) this.focus(this.rowOf(had) ? had : this.current);
  }

  emptyState(/** @type {View} */ view) {
    if (view.link === "connecting") return h("p", { class: "fj-empty" }, "Connecting …");
    if (view.link === "lost")
      return h(
        "div",
        { class: "fj-empty" },
        h("strong", null, "No update"),
        h("p", null, `${plainText(view.reason)}. Trying again.`),
      );
    return h(
      "div",
      { class: "fj-empty" },
      h("strong", null, "No app is running"),
      h(
        "p",
        null,
        "Put ",
        h("span", { class: "fj-mono" }, "%%fal_app"),
        " above a ",
        h("span", { class: "fj-mono" }, "fal.App"),
        " class and run the cell.",
      ),
      h(
        "p",
        { style: { marginTop: "8px" } },
        this.host.insertCell
          ? button([glyph("add"), "Insert an app cell"], () => this.host.insertCell?.(APP_CELL), {
              class: "fj-button fj-primary",
            })
          : null,
        view.link === "off" && !this.host.insertCell ? this.starter : null,
      ),
    );
  }

  /** Whether a row shows the time of a setup, of a call, or until the next attempt. */
  hasClock() {
    const { link, apps } = this.host.store.view;
    const isRunning = (/** @type {import("../types.d.ts").RunnerState} */ { state }) =>
      state === "SETUP" || state === "RUNNING";
    return (
      link === "live" && apps.some((app) => app.state === "Failing" || app.waiting > 0 || app.runners.some(isRunning))
    );
  }
}

/**
 * Pixels left of a row: what is within an app stands right of the app's own symbol, also where it has no arrow.
 * @param {number} level
 * @param {boolean} hasArrow or its place
 */
export function rowIndent(level, hasArrow) {
  return 8 + Math.max(0, level - 2) * 18 + (level > 2 && !hasArrow ? 18 : 0);
}

/** The sections that were folded when the sidebar was drawn last, in this page or an earlier one. @returns {string[]} */
function storedFolds() {
  try {
    const stored = JSON.parse(localStorage.getItem(FOLDED) ?? "[]");
    return Array.isArray(stored) ? stored.map(String) : [];
  } catch {
    return []; // a page without storage
  }
}

/** @param {string[]} sections */
function storeFolds(sections) {
  try {
    localStorage.setItem(FOLDED, JSON.stringify(sections));
  } catch {
    // they are open again in the next page
  }
}

/** Whether the apps are of more than one notebook or program. @param {AppState[]} apps */
function severalOwners(apps) {
  return new Set(apps.map((one) => `${one.owner_pid} ${one.owner_name}`)).size > 1;
}

/** The words of a part of a row. @param {any} part @returns {string} */
function seenWords(part) {
  return part === null || part === undefined || part === false
    ? ""
    : (typeof part === "object" ? (part.textContent ?? "") : String(part)).trim();
}
