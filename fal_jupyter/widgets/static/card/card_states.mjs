// @ts-check
/**
 * How the app of a card stands: one line that is always there, and what takes the place of the form while there is no
 * runner.
 */
import { button, h, replace, update } from "../elements/dom.mjs";
import { errorView, ownFrame } from "../elements/errors.mjs";
import { ago, clock, dayAndTime, duration, pathText, plural } from "../text/format.mjs";
import { glyph, stateGlyph, stateLook } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { hasFailed } from "../elements/phases.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {import("../types.d.ts").AppState} AppState */
/** @typedef {import("../types.d.ts").View} View */

const START_STEPS = [
  ["PENDING", "process"],
  ["SETUP", "setup()"],
  ["IDLE", "ready"],
];
const PRINTED_LINES = 3;

/** True where the last publication could not start while an older revision answers. @param {AppState} app */
export function newestFailed(app) {
  return Boolean(app.failure && app.serving && app.failure.revision === app.revision && app.revision > app.serving);
}

/** What ended an app that is not served any more. @param {AppState | undefined} app */
export function ownerWords(app) {
  return app && app.owner_kind !== "kernel" ? "its program" : "its kernel";
}

/** Of when the record of an app is that has gone. @param {import("../types.d.ts").KnownApp | undefined} app */
function endedWords(app) {
  return app?.ended ? `; its record until ${clock(app.ended, false)} is shown` : "";
}

/**
 * How an app stands as a mark of it: what could not start is said also where an older revision answers.
 * @param {AppState} app
 */
export function appLook(app) {
  return app.state === "Ready" && newestFailed(app)
    ? { ...stateLook("Failing"), word: `r${app.revision} failed` }
    : stateLook(app.state);
}

/** How an app stands: glyph and word. @param {AppState} app @param {string} [before] a word before that of the mark */
export function appMark(app, before = "") {
  const look = appLook(app);
  return h(
    "span",
    { class: `fj-state ${look.tone}` },
    glyph(look.shape, look.tone),
    h("span", null, before + look.word),
  );
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
 */
export function setupPassed(runner) {
  const ms = Math.max(0, Date.now() - runner.since);
  return ms < 60_000 ? `${Math.floor(ms / 1000)} s` : duration(ms);
}

/** The runner whose start is awaited. @param {AppState} app */
export function startingRunner(app) {
  const found = app.runners.filter((one) => one.state === "SETUP" || one.state === "PENDING");
  return found.find((one) => one.revision === app.revision) ?? found[0];
}

/**
 * @param {import("../types.d.ts").Host} host
 * @param {import("../types.d.ts").CardData} card
 * @param {() => void} redraw
 * @param {() => boolean} isStaged whether the stage, with the steps of a start, is before the user
 * @param {AbortSignal} signal
 */
export function cardStates(host, card, redraw, isStaged, signal) {
  const line = h("div", { class: "fj-card-notice" });
  const stage = h("div", { class: "fj-card-stage", hidden: true });
  const tail = h("pre", {
    class: "fj-code fj-card-tail",
    dataset: { key: "printed" },
    "aria-label": "the last lines printed",
  });
  /** @type {string[]} */
  let printed = [];
  let printedOf = "";
  let unfolded = false; // the error of a revision that is not needed now
  const output = h("pre", {
    class: "fj-code fj-card-tail fj-card-build",
    tabIndex: 0,
    dataset: { key: "built" },
    "aria-label": "output of the installer",
  });
  /** @type {import("../types.d.ts").Build | null} what was told last of the environment */
  let build = null;
  let buildBegan = 0; // by this page's clock

  /** The last lines that the runner's setup() printed. @param {AppState} now @param {string} runner */
  const readTail = async (now, runner) => {
    const of = `${runner} ${now.log}`;
    if (printedOf === of) return;
    printedOf = of;
    try {
      /** @type {import("../types.d.ts").LogRecord[]} */
      const records = await askJson(host, "GET", `apps/${encodeURIComponent(card.alias)}/logs`, {
        query: { lines: String(PRINTED_LINES), runner },
        signal,
      });
      printed = records.map((one) => plainText(one.text));
    } catch {
      printed = []; // the Logs tab says why
    }
    tail.textContent = printed.join("\n");
    if (!signal.aborted) redraw();
  };

  /** Take what the cell told last of the environment. */
  const readBuild = () => {
    if (!card.build || card.build === build) return;
    build = card.build;
    buildBegan = Date.now() - build.passed;
    const atEnd = output.scrollTop + output.clientHeight >= output.scrollHeight - 8;
    output.textContent = build.lines.map(plainText).join("\n");
    if (atEnd) output.scrollTop = output.scrollHeight;
  };

  const banner = (/** @type {string} */ tone, /** @type {any} */ sign, /** @type {any[]} */ ...content) =>
    h("div", { class: `fj-banner ${tone}` }, sign, h("div", { class: "fj-card-sentence" }, content));
  const grey = (/** @type {string} */ shape) => glyph(shape, "fj-pending");

  /** @param {View} view @param {AppState | undefined} now @param {AppState | undefined} state */
  const sentence = (view, now, state) => {
    const ends = view.time ? ` What is shown ends at ${clock(view.time, false)}.` : "";
    if (view.link === "saved")
      return banner(
        "",
        grey("stopped"),
        `A picture of ${dayAndTime(view.time)}. Nothing of it runs now; run the cell again to have the app here.`,
      );
    if (view.link === "lost")
      return banner(
        "fj-bad",
        glyph("warning", "fj-failed"),
        h("strong", null, `No update: ${plainText(view.reason)}.`),
        `${ends} Trying again.`,
      );
    if (isBuilding(card, host)) return building(now);
    if (card.build?.error && (!now || now.state === "Ready"))
      return banner(
        "fj-bad",
        glyph("failed", "fj-failed"),
        h(
          "div",
          { class: "fj-card-row" },
          h("strong", null, "Its environment could not be made."),
          now ? [`Calls go to r${now.serving}.`, h("span", { class: "fj-space" }), fold("the error")] : null,
        ),
      );
    if (!now && card.build && !card.build.took)
      return banner("", grey("stopped"), "Its environment was not finished. Run the cell again.");
    if (!state && (view.link === "live" || (view.link === "connecting" && !view.reason)))
      return h("p", { class: "fj-empty" }, "Looking for the app …");
    if (view.link === "connecting") return banner("", null, view.reason ? plainText(view.reason) : "Connecting …");
    if (view.link === "off")
      return banner("", grey("stopped"), "No gateway is running. Running the cell again starts one, and the app.");
    if (!now)
      return banner(
        "",
        grey("stopped"),
        `Stopped with ${ownerWords(state)} after ${plural(state?.stats.calls ?? 0, "call")}${endedWords(state)}. Running ${card.cell || "its cell"} again begins a new record.`,
      );
    if (now.state === "Stopped")
      return banner(
        "",
        grey("stopped"),
        `Stopped after ${plural(now.stats.calls, "call")}. Calls of it are refused; Start brings it back as it was.`,
      );
    if (now.state === "Failing") return failing(now);
    if (now.state === "Starting") return starting(now);
    if (now.state === "Zero") return zero(view, now);
    if (newestFailed(now)) return kept(now);
    if (now.serving && now.serving !== now.revision) return rebuilding(now);
    return ready(view, now);
  };

  const building = (/** @type {AppState | undefined} */ now) => {
    const passed =
      !stage.hidden && isStaged() && !now
        ? h("span", null, "The app is starting.")
        : h(
            "span",
            { class: "fj-nowrap" },
            h("strong", { class: "fj-mono" }, "environment"),
            ` ${duration(Date.now() - buildBegan)}`,
          );
    const last = h("span", { class: "fj-mono fj-muted fj-cut" }, plainText(build?.lines.at(-1) ?? ""));
    const more = now
      ? [h("span", { class: "fj-nowrap" }, `Calls go to r${now.serving || now.revision}.`), fold("the output")]
      : [];
    return banner(
      "fj-warn fj-card-starting",
      stateGlyph("SETUP"),
      h("div", { class: "fj-card-row" }, passed, stage.hidden ? last : null, h("span", { class: "fj-space" }), more),
    );
  };

  const fold = (/** @type {string} */ what) =>
    h(
      "button",
      {
        type: "button",
        class: "fj-choice",
        "aria-pressed": String(unfolded),
        onclick: () => ((unfolded = !unfolded), redraw()),
      },
      `${unfolded ? "Hide" : "Show"} ${what}`,
    );

  /** What the next call costs, when the last one was, and why no runner is up. */
  const zero = (/** @type {View} */ view, /** @type {AppState} */ now) => {
    const last = view.requests.find((one) => one.alias === card.alias && one.state === "done");
    const costs = now.setup_ms >= 1 ? [" and takes about ", h("strong", null, duration(now.setup_ms)), " longer"] : "";
    const why = now.asleep ? "It was unloaded by hand." : plainText(now.reason) ? `${plainText(now.reason)}.` : "";
    return banner(
      "",
      grey("zero"),
      "The next call starts a runner",
      costs,
      ". ",
      last ? `Last call ${ago(view.time - last.began)}. ` : "",
      h("span", { class: "fj-muted" }, why),
    );
  };

  const ready = (/** @type {View} */ view, /** @type {AppState} */ now) => {
    const going = view.requests.filter((one) => one.alias === card.alias && one.state !== "done");
    if (going.length) {
      const first = going[going.length - 1];
      const does = { waiting: "waiting", streaming: "streaming" }[first.state] ?? "running";
      return banner(
        "fj-quiet",
        null,
        h("span", { class: "fj-mono" }, plainText(pathText(first.path))),
        ` has been ${does} since ${clock(first.began, false)}`,
        going.length > 1 ? `, ${plural(going.length - 1, "call")} more after it` : "",
        ".",
      );
    }
    const last = view.requests.find((one) => one.alias === card.alias && one.state === "done");
    if (!last)
      return banner(
        "fj-quiet",
        null,
        "No call yet. Press Run, or call ",
        h("span", { class: "fj-mono" }, `${now.class_name}.${now.endpoints[0]?.name ?? "call"}(…)`),
        " in a cell.",
      );
    return banner(
      "fj-quiet",
      null,
      "Last call ",
      h("span", { class: "fj-mono" }, plainText(last.path)),
      ` began at ${clock(last.began, false)}, took ${duration(last.total_ms)}`,
      hasFailed(last) ? ", failed" : "",
      ".",
    );
  };

  const waits = (/** @type {AppState} */ now) =>
    now.waiting ? h("span", { class: "fj-muted fj-nowrap" }, `${plural(now.waiting, "call")} waiting`) : null;

  const passedOf = (/** @type {import("../types.d.ts").RunnerState | undefined} */ one) =>
    one ? Math.max(0, Date.now() - one.since) : 0;

  const starting = (/** @type {AppState} */ now) => {
    const first = startingRunner(now);
    const passed = passedOf(first);
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
      : !stage.hidden && isStaged()
        ? ["The app is starting.", now.setup_ms ? ` Its setup() took ${duration(now.setup_ms)} last time.` : ""]
        : [
            h("strong", { class: "fj-mono" }, first.state === "SETUP" ? "setup()" : "process"),
            ` ${duration(passed)}${now.setup_ms ? ` of about ${duration(now.setup_ms)}` : ""}`,
          ];
    const shown =
      !(isStaged() && !stage.hidden) && printed.length
        ? h("span", { class: "fj-mono fj-muted fj-cut" }, printed[printed.length - 1])
        : null;
    if (first) readTail(now, first.id);
    return banner(
      "fj-warn fj-card-starting",
      stateGlyph("SETUP"),
      h(
        "div",
        { class: "fj-card-row" },
        h("span", { class: "fj-nowrap" }, what),
        shown,
        h("span", { class: "fj-space" }),
        waits(now),
      ),
      bar,
    );
  };

  const rebuilding = (/** @type {AppState} */ now) => {
    const first = startingRunner(now);
    return banner(
      "fj-warn",
      stateGlyph("SETUP"),
      h("strong", null, `r${now.revision} ${first ? "has been starting" : "is starting"}`),
      first ? ` for ${duration(passedOf(first))}` : "",
      `; calls go to r${now.serving} until it is ready.`,
    );
  };

  const again = (/** @type {AppState} */ now) => {
    const first = startingRunner(now);
    if (first)
      return `The app tries again by itself: ${first.state === "SETUP" ? "setup()" : "process"} ${duration(passedOf(first))}.`;
    const at = now.failure?.retry_at ?? 0;
    if (!at) return "";
    return at > Date.now()
      ? `The app goes on trying by itself: next attempt in ${duration(at - Date.now())}.`
      : "The app goes on trying by itself.";
  };

  const what = (/** @type {AppState} */ now) => {
    const error = now.failure?.error;
    return error
      ? `${error.phase === "setup" ? "setup() raised " : error.phase === "load" ? "its import raised " : ""}${plainText(error.type)}`
      : plainText(now.failure?.text ?? now.reason).slice(0, 200);
  };

  const failing = (/** @type {AppState} */ now) =>
    banner(
      "fj-bad",
      glyph("failed", "fj-failed"),
      h(
        "div",
        { class: "fj-card-row" },
        h("strong", null, what(now)),
        now.failure ? h("span", { class: "fj-muted" }, ago(Date.now() - now.failure.time)) : null,
        h("span", { class: "fj-muted" }, again(now)),
        h("span", { class: "fj-space" }),
        waits(now),
      ),
    );

  const kept = (/** @type {AppState} */ now) =>
    banner(
      "fj-bad",
      glyph("failed", "fj-failed"),
      h(
        "div",
        { class: "fj-card-row" },
        h("strong", null, `r${now.failure?.revision} could not start: ${what(now)}.`),
        `Calls go to r${now.serving}.`,
        h("span", { class: "fj-muted" }, again(now)),
        h("span", { class: "fj-space" }),
        fold("the error"),
      ),
    );

  // --- what takes the form's place
  /** @type {{of: number, node: HTMLElement} | null} the failure that is shown: what is unfolded in it stays so */
  let crash = null;
  const crashOf = (/** @type {AppState} */ now) => {
    const { failure } = now;
    const of = failure?.time ?? 0;
    if (crash?.of === of) return crash.node;
    const error = failure?.error;
    const frame = error && ownFrame(error);
    const go =
      frame && host.goToLine && frame.isCell
        ? button([glyph("link"), `Go to line ${frame.lineno}`], () =>
            host.goToLine?.(card.alias, frame.lineno, frame.line),
          )
        : null;
    const copy = error ? button([glyph("copy"), "Copy traceback"], () => host.copy(error.text)) : null;
    crash = {
      of,
      node: h(
        "div",
        { class: "fj-pane", dataset: { key: `crash ${of}` } },
        error ? errorView(error) : h("div", { class: "fj-banner fj-bad" }, plainText(failure?.text ?? now.reason)),
        go || copy ? h("div", { class: "fj-bar-row fj-card-crash-actions" }, go, copy) : null,
      ),
    };
    return crash.node;
  };

  const steps = (/** @type {View} */ view, /** @type {AppState} */ now) => {
    const first = startingRunner(now);
    if (!first) return h("p", { class: "fj-empty" }, plainText(now.reason) || "A runner is wanted.");
    const moves = view.timelines.get(card.alias)?.lanes.find((one) => one.id === first.id)?.moves ?? [];
    const began = (/** @type {string} */ state) => moves.find(([, one]) => one === state)?.[0];
    const at = START_STEPS.findIndex(([state]) => state === first.state);
    const made = isMadeFor(now) ? [step("environment", -1, 0, duration(card.build?.took ?? 0))] : [];
    return stepList([
      ...made,
      ...START_STEPS.map(([state, word], number) => {
        const from = began(state);
        const to = began(START_STEPS[number + 1]?.[0] ?? "");
        return step(
          word,
          number,
          at,
          number === at
            ? duration(passedOf(first))
            : number < at && from !== undefined && to !== undefined
              ? duration(to - from)
              : "",
        );
      }),
    ]);
  };

  /** True for the revision that the card's environment was made for. @param {AppState} now */
  const isMadeFor = (now) => Boolean(card.build?.took) && card.revision === now.revision;
  const stepList = (/** @type {HTMLElement[]} */ items) =>
    h("ol", { class: "fj-card-steps", "aria-label": "steps of the start" }, items);
  /**
   * One step: before the one *at* which the start is, that one, or after it.
   * @param {string} word
   * @param {number} number
   * @param {number} at
   * @param {string} took
   */
  const step = (word, number, at, took) =>
    h(
      "li",
      {
        class: number === at ? "fj-setup" : number < at ? "fj-ok" : "fj-pending",
        "aria-current": number === at ? "step" : null,
      },
      glyph(number < at ? "done" : number === at ? "setup" : "pending"),
      h("span", null, word),
      took ? h("span", { class: "fj-muted" }, ` ${took}`) : null,
    );

  const buildStage = () => {
    const error = card.build?.error;
    const copy = h(
      "div",
      { class: "fj-bar-row" },
      button([glyph("copy"), "Copy the output"], () => host.copy(output.textContent ?? "")),
    );
    if (error)
      return [
        h(
          "div",
          { class: "fj-pane" },
          h("div", { class: "fj-banner fj-bad", role: "alert" }, h("div", null, plainText(error))),
        ),
        output,
        copy,
      ];
    return [
      stepList([
        step("environment", 0, 0, duration(Date.now() - buildBegan)),
        ...START_STEPS.map(([, word]) => step(word, 1, 0, "")),
      ]),
      output,
    ];
  };

  let view = host.store.view;
  /** @param {AppState | undefined} now */
  const drawStage = (now) => {
    readBuild();
    const live = view.link === "live" && now;
    const builds = view.link !== "saved" && (isBuilding(card, host) || Boolean(build?.error)) && (!now || unfolded);
    const fails = live && (now.state === "Failing" || (newestFailed(now) && unfolded));
    const begins = live && now.state === "Starting" && !now.serving;
    stage.hidden = !(builds || fails || begins);
    if (builds) update(stage, buildStage());
    else if (fails) update(stage, crashOf(now));
    else if (begins) {
      const first = startingRunner(now);
      // the cell prints it
      const below = first && first.revision === card.prints && now.failure?.revision !== card.prints;
      update(
        stage,
        steps(view, now),
        printed.length && !below ? tail : null,
        below || printed.length ? null : h("p", { class: "fj-empty" }, "What setup() prints appears here."),
      );
    } else replace(stage);
  };

  /** @param {AppState | undefined} now @param {AppState | undefined} state */
  const draw = (now, state) => {
    view = host.store.view;
    if (!now || !(newestFailed(now) || isBuilding(card, host) || card.build?.error)) unfolded = false;
    drawStage(now);
    update(line, sentence(view, now, state));
  };

  return {
    line,
    stage,
    draw,
    /**
     * True where the form could not be used now, and what is on the stage says why.
     * @param {AppState | undefined} now
     */
    replacesForm: (now) => !stage.hidden && (!now || now.state !== "Ready"),
  };
}
