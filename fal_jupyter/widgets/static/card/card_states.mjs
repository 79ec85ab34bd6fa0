// @ts-check
/**
 * The state of a card's app: one line that is always there, and what takes the place of the form while there is no
 * runner.
 */
import { button, h, replace, update } from "../elements/dom.mjs";
import { errorView } from "../elements/errors.mjs";
import { ago, clock, dayAndTime, duration, pathText, plural } from "../text/format.mjs";
import { glyph, stateGlyph, stateLook } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { gatewayNow } from "../connection/store.mjs";
import { doingOf, hasFailed, wasCancelled } from "../elements/phases.mjs";
import { backWords } from "./owner_guard.mjs";
import { plainText, shortName } from "../text/plain.mjs";

/** @typedef {import("../types.d.ts").AppState} AppState */
/** @typedef {import("../types.d.ts").View} View */

const START_STEPS = [
  ["PENDING", "process"],
  ["SETUP", "setup()"],
  ["IDLE", "ready"],
];
const PRINTED_LINES = 3;
const LAST_LINES = 30; // of a runner that ended without an exception

/** True where the last publication could not start while an older revision answers. @param {AppState} app */
export function newestFailed(app) {
  return Boolean(app.failure && app.serving && app.failure.revision === app.revision && app.revision > app.serving);
}

/** What ended an app that is not served any more. @param {import("../types.d.ts").KnownApp | undefined} app */
export function ownerWords(app) {
  if (app?.ended_by === "gateway") return "its gateway";
  return app && app.owner_kind !== "kernel" ? "its program" : "its kernel";
}

/**
 * The notebook or program that has the app's name now, "" where that is the one that made the card, or where that is
 * not certain. The gateway knows whom it was taken from, by process. Before it did: a notebook that was renamed has
 * another kernel and another name too: only a host that knows the name of its notebook can tell it from one that took
 * the app over; elsewhere another class must be served.
 * @param {import("../types.d.ts").CardData} card
 * @param {AppState} now
 * @param {string} [notebook] the name of the card's notebook
 */
export function takenOverBy({ picture }, now, notebook = "") {
  const { owner_pid: pid = 0, owner_name: name = "", class_name: made = "" } = picture?.app ?? {};
  if (pid && pid !== now.owner_pid && now.taken_from?.includes(pid)) {
    return now.owner_name && now.owner_name !== name ? now.owner_name : "another kernel";
  }
  const isAnother = pid && now.owner_pid && pid !== now.owner_pid && name && name !== now.owner_name;
  const isCertain = notebook ? now.owner_name !== notebook : made !== now.class_name;
  return isAnother && isCertain ? now.owner_name : "";
}

/** Of when the record of an app is that has gone. @param {import("../types.d.ts").KnownApp | undefined} app */
function endedWords(app) {
  return app?.ended ? `; its record until ${clock(app.ended, false)} is shown` : "";
}

/**
 * The state of an app as a mark; a revision that failed to start is marked even while an older one answers.
 * @param {AppState} app
 */
export function appLook(app) {
  return app.state === "Ready" && newestFailed(app)
    ? { ...stateLook("Failing"), word: `r${app.revision} failed` }
    : stateLook(app.state);
}

/** The state of an app: glyph and word. @param {AppState} app @param {string} [before] a word before that of the mark */
export function appMark(app, before = "") {
  const look = appLook(app);
  return h(
    "span",
    { class: `fj-state ${look.tone}` },
    glyph(look.shape, look.tone),
    h("span", null, before + look.word),
  );
}

/** The head's state of a card whose app is of another notebook now. @param {string} name */
export function takenMark(name) {
  const words = h("span", null, "Taken over by ", shortName(name, 24));
  return h("span", { class: "fj-state fj-pending" }, glyph("stopped", "fj-pending"), words);
}

/**
 * True while the cell of a card makes the isolated environment of its app.
 * @param {import("../types.d.ts").CardData} card
 * @param {import("../types.d.ts").Host} host
 */
export function isBuilding(card, host) {
  return Boolean(card.build && !card.build.took && !card.build.error && host.cellRuns?.() !== false);
}

/**
 * How long a runner has been in its setup(), in whole seconds: every surface says the same.
 * @param {import("../types.d.ts").RunnerState} runner
 * @param {number} now by the gateway's clock
 */
export function setupPassed(runner, now) {
  const ms = Math.max(0, now - runner.since);
  return ms < 60_000 ? `${Math.floor(ms / 1000)} s` : duration(ms);
}

/** The runner whose start is awaited. @param {AppState} app */
export function startingRunner(app) {
  const starting = app.runners.filter((one) => one.state === "SETUP" || one.state === "PENDING");
  return starting.find((one) => one.revision === app.revision) ?? starting[0];
}

/**
 * @param {import("../types.d.ts").Host} host
 * @param {import("../types.d.ts").CardData} card
 * @param {() => void} redraw
 * @param {() => boolean} isStaged whether the stage, with the steps of a start, is before the user
 * @param {() => boolean} hasForm whether an earlier start has made the form, which then stays
 * @param {AbortSignal} signal
 */
export function cardStates(host, card, redraw, isStaged, hasForm, signal) {
  return new CardStates(host, card, redraw, isStaged, hasForm, signal).handle();
}

class CardStates {
  /**
   * @param {import("../types.d.ts").Host} host
   * @param {import("../types.d.ts").CardData} card
   * @param {() => void} redraw
   * @param {() => boolean} isStaged whether the stage, with the steps of a start, is before the user
   * @param {() => boolean} hasForm whether an earlier start has made the form, which then stays
   * @param {AbortSignal} signal
   */
  constructor(host, card, redraw, isStaged, hasForm, signal) {
    this.host = host;
    this.card = card;
    this.redraw = redraw;
    this.isStaged = isStaged;
    this.hasForm = hasForm;
    this.signal = signal;
    this.line = h("div", { class: "fj-card-notice" });
    this.stage = h("div", { class: "fj-card-stage", hidden: true });
    this.tail = h("pre", {
      class: "fj-code fj-card-tail",
      dataset: { key: "printed" },
      "aria-label": "the last lines printed",
    });

    /** @type {string[]} */
    this.printed = [];
    this.printedOf = "";
    this.unfolded = false; // the error of a revision that is not needed now
    this.output = h("pre", {
      class: "fj-code fj-card-tail fj-card-build",
      tabIndex: 0,
      dataset: { key: "built" },
      "aria-label": "output of the installer",
    });

    /** @type {import("../types.d.ts").Build | null} the last report on the environment */
    this.build = null;
    this.buildBegan = 0; // by this page's clock

    // --- what takes the form's place
    /** @type {{of: number, node: HTMLElement} | null} the failure that is shown: what is unfolded in it stays so */
    this.crash = null;

    this.view = this.host.store.view;
  }

  /** The last lines that the runner's setup() printed. @param {AppState} now @param {string} runner */
  async readTail(now, runner) {
    const of = `${runner} ${now.log}`;
    if (this.printedOf === of) return;
    this.printedOf = of;
    try {
      /** @type {import("../types.d.ts").LogRecord[]} */
      const records = await askJson(this.host, "GET", `apps/${encodeURIComponent(this.card.alias)}/logs`, {
        query: { lines: String(PRINTED_LINES), runner },
        signal: this.signal,
      });
      this.printed = records.map((one) => plainText(one.text));
    } catch {
      this.printed = []; // the Logs tab says why
    }
    this.tail.textContent = this.printed.join("\n");
    if (!this.signal.aborted) this.redraw();
  }

  /** Take over the cell's last report on the environment. */
  readBuild() {
    if (!this.card.build || this.card.build === this.build) return;
    this.build = this.card.build;
    this.buildBegan = Date.now() - this.build.passed;
    const atEnd = this.output.scrollTop + this.output.clientHeight >= this.output.scrollHeight - 8;
    this.output.textContent = this.build.lines.map(plainText).join("\n");
    if (atEnd) this.output.scrollTop = this.output.scrollHeight;
  }

  banner(/** @type {string} */ tone, /** @type {any} */ sign, /** @type {any[]} */ ...content) {
    return h("div", { class: `fj-banner ${tone}` }, sign, h("div", { class: "fj-card-sentence" }, content));
  }

  grey(/** @type {string} */ shape) {
    return glyph(shape, "fj-pending");
  }

  /** @param {View} view @param {AppState | undefined} now @param {AppState | undefined} state */
  sentence(view, now, state) {
    const ends = view.time ? ` What is shown ends at ${clock(view.time, false)}.` : "";
    if (view.link === "saved")
      return this.banner(
        "",
        this.grey("stopped"),
        `Saved state of ${dayAndTime(view.time)}. Nothing of it runs now; run the cell again to have the app here.`,
      );
    if (view.link === "lost")
      return this.banner(
        "fj-bad",
        glyph("warning", "fj-failed"),
        h("strong", null, `No update: ${plainText(view.reason)}.`),
        `${ends} Trying again.`,
      );
    if (isBuilding(this.card, this.host)) return this.building(now);
    if (this.card.build?.error && (!now || now.state === "Ready"))
      return this.banner(
        "fj-bad",
        glyph("failed", "fj-failed"),
        h(
          "div",
          { class: "fj-card-row" },
          h("strong", null, "Its environment could not be made."),
          now ? [`Calls go to r${now.serving}.`, h("span", { class: "fj-space" }), this.fold("the error")] : null,
        ),
      );
    if (!now && this.card.build && !this.card.build.took)
      return this.banner("", this.grey("stopped"), "Its environment was not finished. Run the cell again.");
    if (!state && (view.link === "live" || (view.link === "connecting" && !view.reason)))
      return h("p", { class: "fj-empty" }, "Looking for the app …");
    if (view.link === "connecting") return this.banner("", null, view.reason ? plainText(view.reason) : "Connecting …");
    if (view.link === "off")
      return this.banner(
        "",
        this.grey("stopped"),
        "No gateway is running. Running the cell again starts one, and the app.",
      );
    if (!now)
      return this.banner(
        "",
        this.grey("stopped"),
        `Stopped with ${ownerWords(state)} after ${plural(state?.stats.calls ?? 0, "call")}${endedWords(state)}. ` +
          `Running ${this.card.cell || "its cell"} again begins a new record.`,
      );
    return this.served(view, now);
  }

  /** How an app stands that the gateway has. @param {View} view @param {AppState} now */
  served(view, now) {
    const other = takenOverBy(this.card, now, this.host.notebookName?.());
    if (other)
      return this.banner(
        "fj-warn",
        glyph("warning", "fj-setup"),
        h("strong", null, "This app is of ", shortName(other), " now"),
        ", which took its name over: calls and changes from here go to that one. ",
        backWords(this.card.cell || "its cell", this.host.cellSource?.()),
      );
    if (now.state === "Stopped")
      return this.banner(
        "",
        this.grey("stopped"),
        `Stopped after ${plural(now.stats.calls, "call")}. Calls of it are refused; Start brings it back as it was.`,
      );
    if (now.state === "Failing") return this.failing(now);
    if (now.state === "Starting") return this.starting(now);
    if (now.state === "Zero") return this.zero(view, now);
    if (newestFailed(now)) return this.kept(now);
    if (now.serving && now.serving !== now.revision) return this.rebuilding(now);
    return this.ready(view, now);
  }

  building(/** @type {AppState | undefined} */ now) {
    const passed =
      !this.stage.hidden && this.isStaged() && !now
        ? h("span", null, "The app is starting.")
        : h(
            "span",
            { class: "fj-nowrap" },
            h("strong", { class: "fj-mono" }, "environment"),
            ` ${duration(Date.now() - this.buildBegan)}`,
          );
    const last = h("span", { class: "fj-mono fj-muted fj-cut" }, plainText(this.build?.lines.at(-1) ?? ""));
    const more = now
      ? [h("span", { class: "fj-nowrap" }, `Calls go to r${now.serving || now.revision}.`), this.fold("the output")]
      : [];
    return this.banner(
      "fj-warn fj-card-starting",
      stateGlyph("SETUP"),
      h(
        "div",
        { class: "fj-card-row" },
        passed,
        this.stage.hidden ? last : null,
        h("span", { class: "fj-space" }),
        more,
      ),
    );
  }

  fold(/** @type {string} */ what) {
    return h(
      "button",
      {
        type: "button",
        class: "fj-choice",
        "aria-pressed": String(this.unfolded),
        onclick: () => ((this.unfolded = !this.unfolded), this.redraw()),
      },
      `${this.unfolded ? "Hide" : "Show"} ${what}`,
    );
  }

  /** What the next call costs, when the last one was, and why no runner is up. */
  zero(/** @type {View} */ view, /** @type {AppState} */ now) {
    const last = view.requests.find((one) => one.alias === this.card.alias && one.state === "done");
    const costs = now.setup_ms >= 1 ? [" and takes about ", h("strong", null, duration(now.setup_ms)), " longer"] : "";
    const why = now.unloaded ? "It was unloaded by hand." : plainText(now.reason) ? `${plainText(now.reason)}.` : "";
    return this.banner(
      "",
      this.grey("zero"),
      "The next call starts a runner",
      costs,
      ". ",
      last ? `Last call ${ago(view.time - last.began)}. ` : "",
      h("span", { class: "fj-muted" }, why),
    );
  }

  ready(/** @type {View} */ view, /** @type {AppState} */ now) {
    const going = view.requests.filter((one) => one.alias === this.card.alias && one.state !== "done");
    if (going.length) {
      const first = going[going.length - 1];
      const { word, since } = doingOf(first);
      const path = h("span", { class: "fj-mono" }, plainText(pathText(first.path)));
      return going.length > 1
        ? this.banner(
            "fj-quiet",
            null,
            `${plural(going.length, "call")} in progress, the first one of `,
            path,
            ` since ${clock(first.began, false)}.`,
          )
        : this.banner("fj-quiet", null, path, ` has been ${word} since ${clock(since, false)}.`);
    }
    const last = view.requests.find((one) => one.alias === this.card.alias && one.state === "done");
    if (!last)
      return this.banner(
        "fj-quiet",
        null,
        "No call yet. Press Run, or call ",
        h(
          "span",
          { class: "fj-mono" },
          shortName(now.class_name),
          ".",
          shortName(now.endpoints[0]?.name ?? "call"),
          "(…)",
        ),
        " in a cell.",
      );
    return this.banner(
      "fj-quiet",
      null,
      "Last call ",
      h("span", { class: "fj-mono" }, plainText(pathText(last.path))),
      ` began at ${clock(last.began, false)}, took ${duration(last.total_ms)}`,
      hasFailed(last) ? ", failed" : wasCancelled(last) ? ", cancelled" : "",
      ".",
    );
  }

  waits(/** @type {AppState} */ now) {
    return now.waiting ? h("span", { class: "fj-muted fj-nowrap" }, `${plural(now.waiting, "call")} waiting`) : null;
  }

  passedOf(/** @type {import("../types.d.ts").RunnerState | undefined} */ one) {
    return one ? Math.max(0, gatewayNow(this.view) - one.since) : 0;
  }

  starting(/** @type {AppState} */ now) {
    const first = startingRunner(now);
    const passed = this.passedOf(first);
    const bar =
      now.setup_ms && first
        ? h(
            "div",
            {
              class: "fj-progress",
              role: "progressbar",
              "aria-label": "setup",
              "aria-valuemin": "0",
              "aria-valuemax": "100",
              "aria-valuenow": String(Math.min(100, Math.round((100 * passed) / now.setup_ms))),
            },
            h("div", { style: { width: `${Math.min(100, (100 * passed) / now.setup_ms)}%` } }),
          )
        : null;
    const what = !first
      ? plainText(now.reason) || "A runner is wanted."
      : !this.stage.hidden && this.isStaged()
        ? ["The app is starting.", now.setup_ms ? ` Its setup() took ${duration(now.setup_ms)} last time.` : ""]
        : [
            h("strong", { class: "fj-mono" }, first.state === "SETUP" ? "setup()" : "process"),
            ` ${duration(passed)}${now.setup_ms ? ` of about ${duration(now.setup_ms)}` : ""}`,
          ];
    const shown =
      !(this.isStaged() && !this.stage.hidden) && this.printed.length
        ? h("span", { class: "fj-mono fj-muted fj-cut" }, this.printed[this.printed.length - 1])
        : null;
    if (first) this.readTail(now, first.id);
    return this.banner(
      "fj-warn fj-card-starting",
      stateGlyph("SETUP"),
      h(
        "div",
        { class: "fj-card-row" },
        h("span", { class: "fj-nowrap" }, what),
        shown,
        h("span", { class: "fj-space" }),
        this.waits(now),
      ),
      bar,
    );
  }

  rebuilding(/** @type {AppState} */ now) {
    const first = startingRunner(now);
    return this.banner(
      "fj-warn",
      stateGlyph("SETUP"),
      h("strong", null, `r${now.revision} ${first ? "has been starting" : "is starting"}`),
      first ? ` for ${duration(this.passedOf(first))}` : "",
      `; calls go to r${now.serving} until it is ready.`,
    );
  }

  again(/** @type {AppState} */ now) {
    const first = startingRunner(now);
    if (first)
      return `The app tries again by itself: ${first.state === "SETUP" ? "setup()" : "process"} ${duration(this.passedOf(first))}.`;
    const at = now.failure?.retry_at ?? 0;
    if (!at) return "";
    return at > Date.now()
      ? `The app retries automatically: next attempt in ${duration(at - Date.now())}.`
      : "The app retries automatically.";
  }

  what(/** @type {AppState} */ now) {
    const error = now.failure?.error;
    return error
      ? `${error.phase === "setup" ? "setup() raised " : error.phase === "load" ? "its import raised " : ""}${plainText(error.type)}`
      : plainText(now.failure?.text ?? now.reason).slice(0, 200);
  }

  failing(/** @type {AppState} */ now) {
    return this.banner(
      "fj-bad",
      glyph("failed", "fj-failed"),
      h(
        "div",
        { class: "fj-card-row" },
        h("strong", null, this.what(now)),
        now.failure ? h("span", { class: "fj-muted" }, ago(Date.now() - now.failure.time)) : null,
        h("span", { class: "fj-muted" }, this.again(now)),
        h("span", { class: "fj-space" }),
        this.waits(now),
      ),
    );
  }

  kept(/** @type {AppState} */ now) {
    return this.banner(
      "fj-bad",
      glyph("failed", "fj-failed"),
      h(
        "div",
        { class: "fj-card-row" },
        h("strong", null, `r${now.failure?.revision} could not start: ${this.what(now)}.`),
        `Calls go to r${now.serving}.`,
        h("span", { class: "fj-muted" }, this.again(now)),
        h("span", { class: "fj-space" }),
        this.fold("the error"),
      ),
    );
  }

  crashOf(/** @type {AppState} */ now) {
    const { failure } = now;
    const of = failure?.time ?? 0;
    if (this.crash?.of === of) return this.crash.node;
    const error = failure?.error;
    this.crash = {
      of,
      node: h(
        "div",
        { class: "fj-pane", dataset: { key: `crash ${of}` } },
        error
          ? errorView(error, this.host, this.card.alias)
          : [h("div", { class: "fj-banner fj-bad" }, plainText(failure?.text ?? now.reason)), this.lastWords(now)],
      ),
    };
    return this.crash.node;
  }

  /** What an app without a runner printed last: one that ended by a signal or in C code leaves nothing else. @param {AppState} now */
  lastWords(now) {
    if (now.state !== "Failing" || now.failure?.revision === this.card.prints) return null; // the cell prints it
    const printed = h("pre", { class: "fj-code", tabIndex: 0, hidden: true, "aria-label": "the last lines printed" });
    const show = (/** @type {import("../types.d.ts").LogRecord[]} */ records) => {
      printed.textContent = records.map((one) => plainText(one.text)).join("\n");
      printed.hidden = records.length === 0;
    };
    const path = `apps/${encodeURIComponent(this.card.alias)}/logs`;
    const query = { lines: String(LAST_LINES) };
    askJson(this.host, "GET", path, { query, signal: this.signal }).then(show, () => undefined); // the Logs tab says why
    return printed;
  }

  steps(/** @type {View} */ view, /** @type {AppState} */ now) {
    const first = startingRunner(now);
    if (!first) return h("p", { class: "fj-empty" }, plainText(now.reason) || "A runner is wanted.");
    const moves = view.timelines.get(this.card.alias)?.lanes.find((one) => one.id === first.id)?.moves ?? [];
    const began = (/** @type {string} */ state) => moves.find(([, one]) => one === state)?.[0];
    const at = START_STEPS.findIndex(([state]) => state === first.state);
    const made = this.isMadeFor(now) ? [this.step("environment", -1, 0, duration(this.card.build?.took ?? 0))] : [];
    return this.stepList([
      ...made,
      ...START_STEPS.map(([state, word], number) => {
        const from = began(state);
        const to = began(START_STEPS[number + 1]?.[0] ?? "");
        return this.step(
          word,
          number,
          at,
          number === at
            ? duration(this.passedOf(first))
            : number < at && from !== undefined && to !== undefined
              ? duration(to - from)
              : "",
        );
      }),
    ]);
  }

  /** True for the revision that the card's environment was made for. @param {AppState} now */
  isMadeFor(now) {
    return Boolean(this.card.build?.took) && this.card.revision === now.revision;
  }

  stepList(/** @type {HTMLElement[]} */ items) {
    return h("ol", { class: "fj-card-steps", "aria-label": "steps of the start" }, items);
  }

  /**
   * One step: before the one *at* which the start is, that one, or after it.
   * @param {string} word
   * @param {number} number
   * @param {number} at
   * @param {string} took
   */
  step(word, number, at, took) {
    return h(
      "li",
      {
        class: number === at ? "fj-setup" : number < at ? "fj-ok" : "fj-pending",
        "aria-current": number === at ? "step" : null,
      },
      glyph(number < at ? "done" : number === at ? "setup" : "pending"),
      h("span", null, word),
      took ? h("span", { class: "fj-muted" }, ` ${took}`) : null,
    );
  }

  buildStage() {
    const error = this.card.build?.error;
    const copy = h(
      "div",
      { class: "fj-bar-row" },
      button([glyph("copy"), "Copy the output"], () => this.host.copy(this.output.textContent ?? "")),
    );
    if (error)
      return [
        h(
          "div",
          { class: "fj-pane" },
          h("div", { class: "fj-banner fj-bad", role: "alert" }, h("div", null, plainText(error))),
        ),
        this.output,
        copy,
      ];
    return [
      this.stepList([
        this.step("environment", 0, 0, duration(Date.now() - this.buildBegan)),
        ...START_STEPS.map(([, word]) => this.step(word, 1, 0, "")),
      ]),
      this.output,
    ];
  }

  /** What is in the room of the log while it has no line. @param {import("../types.d.ts").RunnerState} first @param {boolean} below */
  silent(first, below) {
    const words = below
      ? "The form comes here when the app is ready. What setup() prints is below this card."
      : first.state === "SETUP"
        ? "setup() has printed nothing yet."
        : "What setup() prints appears here.";
    return h("p", { class: "fj-muted fj-card-silent" }, words);
  }

  /** @param {AppState | undefined} now */
  drawStage(now) {
    this.readBuild();
    const live = this.view.link === "live" && now;
    const builds =
      this.view.link !== "saved" &&
      (isBuilding(this.card, this.host) || Boolean(this.build?.error)) &&
      (!now || this.unfolded);
    const fails = live && (now.state === "Failing" || (newestFailed(now) && this.unfolded));
    const begins = live && now.state === "Starting" && !now.serving && !this.hasForm();
    this.stage.hidden = !(builds || fails || begins);
    if (builds) update(this.stage, this.buildStage());
    else if (fails) update(this.stage, this.crashOf(now));
    else if (begins) {
      const first = startingRunner(now);
      // the cell prints it
      const below = first && first.revision === this.card.prints && now.failure?.revision !== this.card.prints;
      update(
        this.stage,
        this.steps(this.view, now),
        !first ? null : this.printed.length && !below ? this.tail : this.silent(first, Boolean(below)),
      );
    } else replace(this.stage);
  }

  /** @param {AppState | undefined} now @param {AppState | undefined} state */
  draw = (now, state) => {
    this.view = this.host.store.view;
    if (!now || !(newestFailed(now) || isBuilding(this.card, this.host) || this.card.build?.error))
      this.unfolded = false;
    this.drawStage(now);
    update(this.line, this.sentence(this.view, now, state));
  };

  /** What the caller of cardStates gets. */
  handle() {
    return {
      line: this.line,
      stage: this.stage,
      draw: this.draw,
      /**
       * True where the form could not be used now, and what is on the stage says why.
       * @param {AppState | undefined} now
       */
      replacesForm: (now) => !this.stage.hidden && (!now || now.state !== "Ready"),
    };
  }
}
