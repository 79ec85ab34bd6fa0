// @ts-check
/**
 * Scaling and time limits of a running app: what is in force, what the class says, what fal's default is, and changes
 * that act at once.
 */
import { button, h, newId, replace, scheduler, setText, update } from "../elements/dom.mjs";
import { isOutOfUse, setUsable } from "../elements/focus.mjs";
import { duration, plainNumber } from "../text/format.mjs";
import { glyph, iconButton } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {import("../types.d.ts").OptionRule} OptionRule */
/**
 * An option's row of the grid, and the parts of it that change.
 * @typedef {{rule: OptionRule, box: any, slider: any, note: HTMLElement, error: HTMLElement, cells: HTMLElement[]}}
 *   OptionCells
 */

/**
 * Options that decide how many runners stay: whoever sets one gets no warm runner beside it, as for a class that says
 * one.
 */
const REPLACE_WARM = ["min_concurrency", "keep_alive"];

/** @type {Record<string, [string, string]>} group and words of each option */
const WORDS = {
  min_concurrency: ["Scaling", "runners always kept"],
  max_concurrency: ["Scaling", "most runners at once"],
  concurrency_buffer: ["Scaling", "spare runners above demand"],
  concurrency_buffer_perc: ["Scaling", "spare runners, percent of demand"],
  scaling_delay: ["Scaling", "wait before adding a runner"],
  max_multiplexing: ["Requests", "calls at once in one runner"],
  request_timeout: ["Requests", "a call is ended after"],
  request_start_timeout: ["Requests", "a waiting call is given up after; 0: never"],
  keep_alive: ["Lifecycle", "idle time before a runner ends"],
  warm: ["Lifecycle", "kept ready while the notebook lives"],
  startup_timeout: ["Lifecycle", "setup() is given up after"],
  termination_grace_period_seconds: ["Lifecycle", "time to end in order"],
};
/** When a changed value counts, of those that do not count at once. @type {Record<string, string>} */
const APPLIES = { request_start_timeout: "to new calls", termination_grace_period_seconds: "when a runner ends" };
const PATIENCE = 5000;
const HIGHEST = { "": 100, s: 7200 };

/** An option's name, which a narrow column breaks after an underscore. @param {string} name */
const brokenName = (name) => name.split("_").flatMap((part, at) => (at ? ["_", h("wbr"), part] : [part]));

/**
 * What is wrong with the values, by option; the rules of the gateway, applied while the user types.
 * @param {OptionRule[]} rules
 * @param {Record<string, string>} typed
 * @returns {Record<string, string>}
 */
export function problemsOf(rules, typed) {
  /** @type {Record<string, string>} */
  const problems = {};
  for (const { name, low, high, unit } of rules) {
    const text = (typed[name] ?? "").trim();
    const value = Number(text);
    if (text === "" || !Number.isFinite(value))
      problems[name] = unit ? "Give seconds as a number: 300." : "Give a whole number.";
    else if (!unit && !Number.isInteger(value)) problems[name] = "Give a whole number.";
    else if (value < low || (high !== null && value > high))
      problems[name] = high === null ? `It must be ${low} or more.` : `It must be ${low} to ${high}.`;
  }
  const least = Number(typed.min_concurrency);
  const most = Number(typed.max_concurrency);
  if (!problems.min_concurrency && !problems.max_concurrency && least > most) {
    problems.max_concurrency = `max_concurrency is ${most} but min_concurrency is ${least}. Use ${least} or more.`;
  }
  return problems;
}

/**
 * The slider's place (0 to 1000) for a value, logarithmic where nothing bounds it.
 * @param {OptionRule} rule
 * @param {number} value
 */
export function sliderPlace(rule, value) {
  const top = rule.high ?? HIGHEST[/** @type {"" | "s"} */ (rule.unit)];
  if (rule.high !== null) return Math.round((1000 * (value - rule.low)) / (top - rule.low));
  return Math.round((1000 * Math.log1p(Math.max(0, value - rule.low))) / Math.log1p(top - rule.low));
}

/** The value at a slider's place. @param {OptionRule} rule @param {number} place */
export function sliderValue(rule, place) {
  const top = rule.high ?? HIGHEST[/** @type {"" | "s"} */ (rule.unit)];
  const exact =
    rule.high !== null
      ? rule.low + (place / 1000) * (top - rule.low)
      : rule.low + Math.expm1((place / 1000) * Math.log1p(top - rule.low));
  return Math.round(exact);
}

/**
 * The value that a key leads to: one more or less, on a long scale about a twentieth; undefined for other keys.
 * @param {OptionRule} rule @param {number} value @param {string} key
 * @returns {number | undefined}
 */
export function keyedValue(rule, value, key) {
  const top = rule.high ?? HIGHEST[/** @type {"" | "s"} */ (rule.unit)];
  const step = rule.high !== null ? 1 : Math.max(1, Math.round(value / 20));
  const to = {
    ArrowRight: value + step,
    ArrowUp: value + step,
    ArrowLeft: value - step,
    ArrowDown: value - step,
    PageUp: value + 10 * step,
    PageDown: value - 10 * step,
    Home: rule.low,
    End: top,
  }[key];
  return to === undefined ? undefined : Math.min(Math.max(top, value), Math.max(rule.low, Math.round(to)));
}

/**
 * The note beside an option: that it was changed and is not in force yet, else where its value comes from.
 * @param {OptionRule} rule
 * @param {import("../types.d.ts").AppState} state
 * @param {Record<string, string>} edits what was typed and is not in force yet
 * @param {Record<string, number>} bases what was in force when each edit began
 * @param {boolean} applying the edits were sent
 * @returns {{chip: string, tone: string, text: string}}
 */
export function optionNote(rule, state, edits, bases, applying) {
  const { name } = rule;
  const unit = rule.unit ? "\u00a0s" : ""; // a number keeps its unit on its line
  const now = state.scaling[name];
  if (name in edits) {
    const elsewhere = bases[name] !== now && !applying;
    return {
      chip: applying ? "applying" : "not applied",
      tone: elsewhere ? "fj-setup" : "fj-run",
      text: `in force: ${plainNumber(now)}${unit}${elsewhere ? ", changed elsewhere" : ""}`,
    };
  }
  const ofClass = state.by_class[name];
  // no class says warm
  const source = ofClass === rule.default ? "default" : name === "warm" ? "for a notebook" : "class";
  const setHere = name in state.overrides;
  const replacing =
    name === "warm"
      ? REPLACE_WARM.filter((one) => one in state.overrides || (now > 0 && one in edits)).join(" and ")
      : "";
  if (replacing && !setHere && now > 0)
    return { chip: "becomes 0", tone: "fj-run", text: `with ${replacing}, which then decides` };
  if (replacing && !setHere && now !== ofClass)
    return { chip: "", tone: "", text: `0 since ${replacing} was set here; ${source}: ${plainNumber(ofClass)}` };
  const text = `${source}: ${plainNumber(ofClass)}${unit}`;
  if (setHere) return { chip: "set here", tone: "", text };
  return {
    chip: "",
    tone: "",
    text: source === "default" ? text : `${text}, default ${plainNumber(rule.default)}${unit}`,
  };
}

/**
 * Which buttons of the panel can be pressed.
 * @param {import("../types.d.ts").AppState} state
 * @param {{count: number, faults: number, saved: boolean, applying: boolean}} edits how many there are, and how many are
 *   wrong; `saved`: the panel is a picture in a saved notebook
 */
export function usableActions(state, { count, faults, saved, applying }) {
  const running = !saved && state.state !== "Stopped";
  const overridden = Object.keys(state.overrides).length > 0;
  return {
    apply: running && count > 0 && !faults && !applying,
    reset: count > 0,
    write: !faults && (count > 0 || overridden),
    byClass: running && overridden,
  };
}

/**
 * The sentence beside the buttons: what hinders a change, else what a change does.
 * @param {import("../types.d.ts").KnownApp} state
 * @param {number} faults
 * @param {boolean} saved
 */
export function configAdvice(state, faults, saved) {
  if (saved) return "A saved picture: run the cell again to change it.";
  if (state.gone) return "The app is gone. Run its cell to change it.";
  if (state.state === "Stopped") return "The app is stopped. Start it to change it.";
  if (faults) return `Fix ${faults} ${faults === 1 ? "value" : "values"} to apply`;
  return `No runner restarts.${state.owner_kind === "kernel" ? " Values set here last until the kernel ends or restarts." : ""}`;
}

/** The options as a class says them. @param {Record<string, number>} values */
export function classAttributes(values) {
  return Object.entries(values)
    .filter(([name]) => name !== "warm")
    .map(([name, value]) => `    ${name} = ${plainNumber(value)}`)
    .join("\n");
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string, onEdited?: (count: number) => void}} options
 * @param {AbortSignal} signal
 */
export function configPanel(root, host, options, signal) {
  new ConfigPanel(root, host, options, signal);
}

class ConfigPanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{alias: string, onEdited?: (count: number) => void}} options
   * @param {AbortSignal} signal
   */
  constructor(root, host, { alias, onEdited }, signal) {
    this.host = host;
    this.alias = alias;
    this.onEdited = onEdited;
    this.signal = signal;

    /** @type {Record<string, string>} what was typed and is not in force yet */
    this.edits = {};

    /** @type {Record<string, number>} what was in force when the edit began */
    this.bases = {};

    /** @type {Map<string, OptionCells>} */
    this.rows = new Map();

    /**
     * @type {{values: Record<string, number> | null, asked: number, written: string} | null} applied (null: back to the
     *   class), and not yet seen in a frame; `written`: what was written to the cell before
     */
    this.awaited = null;

    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.patience = undefined;
    this.signal.addEventListener("abort", () => clearTimeout(this.patience));
    this.grid = h("div", { class: "fj-config" });
    this.banner = h("div", { class: "fj-config-message", role: "status", "aria-live": "polite" });
    this.apply = button([glyph("play"), "Apply live"], () => this.send(this.edited()), {
      class: "fj-button fj-primary",
    });
    this.reset = button("Reset", () => (this.clear(), this.draw()));
    this.byClass = button([glyph("undo"), "Back to the class"], () => this.send(null));
    const copy = button([glyph("copy"), "Copy as class attributes"], () => {
      const state = this.app();
      if (state)
        this.host.copy(classAttributes({ ...state.overrides, ...this.edited() }) || classAttributes(state.scaling));
    });
    this.write = button([glyph("edited"), "Write to cell"], () => this.writeToCell(), {
      title: "Write the changed values into the class in its cell, and apply them",
    });
    this.write.hidden = !this.host.writeToCell;
    this.foot = h("span", { class: "fj-muted" });
    const slot = h("section", { dataset: { slot: "what-if" }, hidden: true });
    root.append(
      this.grid,
      this.banner,
      h(
        "div",
        { class: "fj-foot" },
        this.apply,
        this.reset,
        this.byClass,
        this.write,
        copy,
        h("span", { class: "fj-space" }),
        this.foot,
      ),
      slot,
    );

    const look = scheduler(root, this.signal, this.draw);
    this.signal.addEventListener("abort", this.host.store.watch(look));
    this.signal.addEventListener("abort", () => replace(root));
    this.draw();
  }

  async writeToCell() {
    const state = this.app();
    if (!state || !this.host.writeToCell || (await this.host.agrees?.()) === false) return;
    const values = { ...state.overrides, ...this.edited() };
    try {
      await this.host.writeToCell(this.alias, state.class_name, values);
    } catch (error) {
      return this.drawFailure("Not written.", error instanceof Error ? error.message : String(error));
    }
    const words = Object.entries(values)
      .map(([name, value]) => `${name} = ${plainNumber(value)}`)
      .join(", ");
    if (!this.apply.disabled) return this.send(this.edited(), words);
    this.drawSuccess(
      "Written to the cell: ",
      h("span", { class: "fj-mono" }, words),
      ". It counts when the cell runs again.",
    );
  }

  drawSuccess(/** @type {string} */ what, /** @type {(Node | string)[]} */ ...more) {
    update(
      this.banner,
      h("div", { class: "fj-banner fj-good" }, glyph("done", "fj-ok"), h("div", null, h("strong", null, what), more)),
    );
  }

  drawFailure(/** @type {string} */ what, /** @type {string} */ reason) {
    update(
      this.banner,
      h(
        "div",
        { class: "fj-banner fj-bad", role: "alert" },
        glyph("failed", "fj-failed"),
        h("div", null, h("strong", null, `${what} `), plainText(reason)),
      ),
    );
  }

  /** @returns {import("../types.d.ts").KnownApp | undefined} */
  app() {
    return this.host.store.view.apps.find((one) => one.alias === this.alias);
  }

  forget(/** @type {string} */ name) {
    delete this.edits[name];
    delete this.bases[name];
  }

  clear() {
    for (const name of Object.keys(this.edits)) this.forget(name);
  }

  edited() {
    return Object.fromEntries(Object.entries(this.edits).map(([name, text]) => [name, Number(text)]));
  }

  typed() {
    return Object.fromEntries(
      Object.entries(this.app()?.scaling ?? {}).map(([name, value]) => [name, this.edits[name] ?? plainNumber(value)]),
    );
  }

  change(/** @type {string} */ name, /** @type {string} */ text) {
    const state = this.app();
    if (!state) return;
    if (text.trim() !== "" && Number(text) === state.scaling[name]) this.forget(name);
    else {
      if (!(name in this.edits)) this.bases[name] = state.scaling[name];
      this.edits[name] = text;
    }
    update(this.banner);
    this.draw();
  }

  build() {
    const order = Object.keys(WORDS);
    const rules = [...this.host.store.view.options].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    let group = "";
    this.grid.append(
      ...["Setting", "Value", "Default or change", "Applies"].map((name) =>
        h("div", { class: "fj-label fj-config-head" }, name),
      ),
    );
    for (const rule of rules) {
      const [groupName, words] = WORDS[rule.name] ?? ["Other", ""];
      if (groupName !== group) this.grid.append(h("div", { class: "fj-group" }, (group = groupName)));
      const row = this.optionRow(rule, words);
      this.grid.append(...row.cells);
      this.rows.set(rule.name, row);
    }
  }

  /**
   * The cells of an option, and the controls in them.
   * @param {OptionRule} rule
   * @param {string} words
   * @returns {OptionCells}
   */
  optionRow(rule, words) {
    const id = newId();
    const errorId = newId();
    const box = h("input", {
      class: "fj-input fj-box",
      id,
      type: "text",
      inputMode: "decimal",
      autocomplete: "off",
      "aria-describedby": errorId,
      dataset: { option: rule.name },
      oninput: () => this.change(rule.name, box.value),
    });
    const slider = this.optionSlider(rule, box);
    const error = h("div", { class: "fj-error", id: errorId, role: "alert" });
    const note = h("div", { class: "fj-muted fj-config-note" });
    const cells = [
      h(
        "div",
        null,
        h("label", { class: "fj-mono", htmlFor: id }, brokenName(rule.name)),
        h("div", { class: "fj-label" }, words),
      ),
      h(
        "div",
        { class: "fj-field" },
        h(
          "span",
          {
            class: "fj-slider",
            style: { "--fj-at": String(sliderPlace(rule, rule.default) / 1000) },
            title: `default ${plainNumber(rule.default)}`,
          },
          slider,
        ),
        box,
        h("span", { class: "fj-muted", style: { width: "10px" } }, rule.unit),
        error,
      ),
      note,
      h("div", { class: "fj-muted fj-config-note fj-config-applies" }, APPLIES[rule.name] ?? "at once"),
    ];
    return { rule, box, slider, note, error, cells };
  }

  optionSlider(/** @type {OptionRule} */ rule, /** @type {any} */ box) {
    const slider = h("input", {
      type: "range",
      min: 0,
      max: 1000,
      "aria-label": `${rule.name}, slider`,
      dataset: { slider: rule.name },
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        const to = keyedValue(rule, Number(box.value) || rule.low, event.key);
        if (to === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        this.change(rule.name, String(to));
      },
      oninput: () => this.change(rule.name, String(sliderValue(rule, Number(slider.value)))),
    });
    return slider;
  }

  /** Say that what was applied is in force, once a frame shows it. @param {import("../types.d.ts").AppState} state */
  confirmed(state) {
    const { values = null, asked = 0, written = "" } = this.awaited ?? {};
    const seen = values
      ? Object.entries(values).every(([name, value]) => state.scaling[name] === value)
      : !Object.keys(state.overrides).length;
    if (!this.awaited || !seen) return;
    this.awaited = null;
    clearTimeout(this.patience);
    for (const [name, value] of Object.entries(values ?? {})) if (Number(this.edits[name]) === value) this.forget(name);
    const passed = duration(Date.now() - asked);
    if (written)
      return this.drawSuccess(
        "Written to the cell: ",
        h("span", { class: "fj-mono" }, written),
        `. Applied in ${passed}.`,
      );
    const what = values
      ? ` The class in its cell still has the old values: ${this.host.writeToCell ? "Write to cell" : "Copy as class attributes"} puts the new ones there.`
      : " What the class says is in force again.";
    this.drawSuccess(`Applied in ${passed}.`, what);
  }

  draw = () => {
    const state = this.app();
    if (!state) return;
    if (!this.rows.size) this.build();
    this.confirmed(state);
    const problems = problemsOf(this.host.store.view.options, this.typed());
    const count = Object.keys(this.edits).length;
    const faults = Object.keys(problems).length;
    const saved = this.host.kind === "saved";
    const usable = usableActions(state, { count, faults, saved, applying: Boolean(this.awaited) });
    setUsable(this.apply, usable.apply);
    setUsable(this.reset, usable.reset);
    setUsable(this.write, usable.write);
    setUsable(this.byClass, usable.byClass);
    for (const [name, row] of this.rows) {
      this.drawValue(row, state, problems[name] ?? "");
      this.drawNote(row, state);
    }
    setText(this.apply.lastChild ?? this.apply, count ? `Apply ${count} live` : "Apply live");
    setText(this.foot, configAdvice(state, faults, saved));
    this.onEdited?.(count);
  };

  drawValue(
    /** @type {OptionCells} */ { rule, box, slider, error, cells },
    /** @type {import("../types.d.ts").AppState} */ state,
    /** @type {string} */ problem,
  ) {
    const edited = rule.name in this.edits;
    const text = this.edits[rule.name] ?? plainNumber(state.scaling[rule.name]);
    if (box.value !== text) box.value = text;
    const value = Number(text);
    if (Number.isFinite(value)) {
      if (document.activeElement !== slider || sliderValue(rule, Number(slider.value)) !== value)
        slider.value = String(sliderPlace(rule, value)); // a thumb that is dragged is not pushed
      slider.setAttribute("aria-valuetext", `${plainNumber(value)}${rule.unit ? " seconds" : ""}`);
    }
    const wrong = edited || problem.includes("min_concurrency") ? problem : "";
    box.setAttribute("aria-invalid", String(Boolean(wrong)));
    setText(error, wrong);
    for (const cell of cells) cell.classList.toggle("fj-edited", edited);
  }

  drawNote(/** @type {OptionCells} */ { rule, note }, /** @type {import("../types.d.ts").AppState} */ state) {
    const { chip, tone, text } = optionNote(rule, state, this.edits, this.bases, Boolean(this.awaited));
    const mark = chip ? h("span", { class: `fj-chip ${tone}`.trim() }, chip) : null;
    const words = chip ? h("span", { class: "fj-cut", title: text }, ` ${text}`) : text;
    if (!(rule.name in this.edits)) return update(note, mark, words);
    const count = Object.keys(this.edits).length;
    const send = h(
      "button",
      {
        type: "button",
        class: "fj-choice",
        title: count > 1 ? `Apply all ${count} changes` : null,
        onclick: () => this.apply.click(),
      },
      "Apply",
    );
    const undo = iconButton("undo", `Undo ${rule.name}`, () => {
      this.forget(rule.name);
      this.draw();
    });
    update(note, mark, isOutOfUse(this.apply) ? null : send, undo, words);
  }

  refused(/** @type {string} */ reason) {
    this.clear(); // the controls go back to what is in force
    this.awaited = null;
    this.drawFailure("Not applied.", reason);
    this.draw();
  }

  async send(/** @type {Record<string, number> | null} */ values, written = "") {
    if (this.awaited || (values && !Object.keys(values).length)) return;
    const agrees = this.host.agrees?.() ?? true;
    if (agrees !== true && (!(await agrees) || this.awaited)) return;
    this.awaited = { values, asked: Date.now(), written };
    update(this.banner);
    this.draw();
    try {
      await askJson(this.host, "POST", `apps/${encodeURIComponent(this.alias)}/scaling`, {
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(values ? { set: values } : { reset: true }),
      });
      if (!values) this.clear();
      clearTimeout(this.patience);
      this.patience = setTimeout(
        () =>
          this.awaited &&
          this.refused(
            "The gateway took the values, but they did not come into force: somebody else may have changed them.",
          ),
        PATIENCE,
      );
      this.draw();
    } catch (error) {
      if (!this.signal.aborted) this.refused(error instanceof Error ? error.message : String(error));
    }
  }
}
