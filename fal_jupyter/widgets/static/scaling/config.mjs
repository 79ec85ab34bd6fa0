// @ts-check
/**
 * Scaling and time limits of a running app: what is in force, what the class says, what fal's default is, and changes
 * that act at once.
 */
import { button, h, newId, replace, scheduler, setText, update } from "../elements/dom.mjs";
import { duration, plainNumber } from "../text/format.mjs";
import { glyph, iconButton } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {import("../types.d.ts").OptionRule} OptionRule */

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
const PATIENCE = 5000;
const HIGHEST = { "": 100, s: 7200 };

/**
 * What is wrong with the values, by option; the rules of the gateway, so that it is said while one types.
 * @param {OptionRule[]} rules
 * @param {Record<string, string>} typed
 * @returns {Record<string, string>}
 */
export function problemsOf(rules, typed) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const { name, low, high, unit } of rules) {
    const text = (typed[name] ?? "").trim();
    const value = Number(text);
    if (text === "" || !Number.isFinite(value))
      found[name] = unit ? "Give seconds as a number: 300." : "Give a whole number.";
    else if (!unit && !Number.isInteger(value)) found[name] = "Give a whole number.";
    else if (value < low || (high !== null && value > high))
      found[name] = high === null ? `It must be ${low} or more.` : `It must be ${low} to ${high}.`;
  }
  const least = Number(typed.min_concurrency);
  const most = Number(typed.max_concurrency);
  if (!found.min_concurrency && !found.max_concurrency && least > most) {
    found.max_concurrency = `max_concurrency is ${most} but min_concurrency is ${least}. Use ${least} or more.`;
  }
  return found;
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
export function configPanel(root, host, { alias, onEdited }, signal) {
  /** @returns {import("../types.d.ts").KnownApp | undefined} */
  const app = () => host.store.view.apps.find((one) => one.alias === alias);
  /** @type {Record<string, string>} what was typed and is not in force yet */
  const edits = {};
  /** @type {Record<string, number>} what was in force when the edit began */
  const bases = {};
  /**
   * @type {Map<string, {rule: OptionRule, box: any, slider: any, note: HTMLElement, error: HTMLElement, cells:
   *   HTMLElement[]}>}
   */
  const rows = new Map();
  /**
   * @type {{values: Record<string, number> | null, asked: number} | null} applied (null: back to the class), and not
   *   yet seen in a frame
   */
  let awaited = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let patience;
  signal.addEventListener("abort", () => clearTimeout(patience));
  const grid = h("div", { class: "fj-config" });
  const banner = h("div", { class: "fj-config-told", role: "status", "aria-live": "polite" });
  const apply = button([glyph("play"), "Apply live"], () => send(edited()), { class: "fj-button fj-primary" });
  const reset = button("Reset", () => (clear(), draw()));
  const byClass = button([glyph("undo"), "Back to the class"], () => send(null));
  const copy = button([glyph("copy"), "Copy as class attributes"], () => {
    const state = app();
    if (state) host.copy(classAttributes({ ...state.overrides, ...edited() }) || classAttributes(state.scaling));
  });
  const write = button(
    [glyph("edited"), "Write to cell"],
    async () => {
      const state = app();
      if (!state || !host.writeToCell) return;
      const values = { ...state.overrides, ...edited() };
      try {
        await host.writeToCell(alias, state.class_name, values);
        const words = Object.entries(values)
          .map(([name, value]) => `${name} = ${plainNumber(value)}`)
          .join(", ");
        update(
          banner,
          h(
            "div",
            { class: "fj-banner fj-good" },
            glyph("done", "fj-ok"),
            h(
              "div",
              null,
              h("strong", null, "Written to the cell: "),
              h("span", { class: "fj-mono" }, words),
              ". It counts when the cell runs again.",
            ),
          ),
        );
      } catch (error) {
        update(
          banner,
          h(
            "div",
            { class: "fj-banner fj-bad", role: "alert" },
            glyph("failed", "fj-failed"),
            h(
              "div",
              null,
              h("strong", null, "Not written. "),
              plainText(error instanceof Error ? error.message : String(error)),
            ),
          ),
        );
      }
    },
    { title: "Write the changed values into the class in its cell" },
  );
  write.hidden = !host.writeToCell;
  const foot = h("span", { class: "fj-muted" });
  const slot = h("section", { dataset: { slot: "what-if" }, hidden: true });
  root.append(
    grid,
    banner,
    h("div", { class: "fj-foot" }, apply, reset, byClass, write, copy, h("span", { class: "fj-space" }), foot),
    slot,
  );

  const forget = (/** @type {string} */ name) => {
    delete edits[name];
    delete bases[name];
  };
  const clear = () => {
    for (const name of Object.keys(edits)) forget(name);
  };
  const edited = () => Object.fromEntries(Object.entries(edits).map(([name, text]) => [name, Number(text)]));
  const typed = () =>
    Object.fromEntries(
      Object.entries(app()?.scaling ?? {}).map(([name, value]) => [name, edits[name] ?? plainNumber(value)]),
    );

  const change = (/** @type {string} */ name, /** @type {string} */ text) => {
    const state = app();
    if (!state) return;
    if (text.trim() !== "" && Number(text) === state.scaling[name]) forget(name);
    else {
      if (!(name in edits)) bases[name] = state.scaling[name];
      edits[name] = text;
    }
    update(banner);
    draw();
  };

  const build = () => {
    const order = Object.keys(WORDS);
    const rules = [...host.store.view.options].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    let group = "";
    grid.append(
      ...["Setting", "Value", "Default or change"].map((name) => h("div", { class: "fj-label fj-config-head" }, name)),
    );
    for (const rule of rules) {
      const [groupName, words] = WORDS[rule.name] ?? ["Other", ""];
      if (groupName !== group) grid.append(h("div", { class: "fj-group" }, (group = groupName)));
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
        oninput: () => change(rule.name, box.value),
      });
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
          change(rule.name, String(to));
        },
        oninput: () => change(rule.name, String(sliderValue(rule, Number(slider.value)))),
      });
      const error = h("div", { class: "fj-error", id: errorId, role: "alert" });
      const note = h("div", { class: "fj-muted fj-config-note" });
      const cells = [
        h(
          "div",
          null,
          h("label", { class: "fj-mono", htmlFor: id }, rule.name),
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
      ];
      grid.append(...cells);
      rows.set(rule.name, { rule, box, slider, note, error, cells });
    }
  };

  /** Say that what was applied is in force, once a frame shows it. @param {import("../types.d.ts").AppState} state */
  const confirmed = (state) => {
    const { values = null, asked = 0 } = awaited ?? {};
    const seen = values
      ? Object.entries(values).every(([name, value]) => state.scaling[name] === value)
      : !Object.keys(state.overrides).length;
    if (!awaited || !seen) return;
    awaited = null;
    clearTimeout(patience);
    for (const [name, value] of Object.entries(values ?? {})) if (Number(edits[name]) === value) forget(name);
    const what = values
      ? ` The class in its cell still says what it said: ${host.writeToCell ? "Write to cell" : "Copy as class attributes"} takes it there.`
      : " What the class says is in force again.";
    update(
      banner,
      h(
        "div",
        { class: "fj-banner fj-good" },
        glyph("done", "fj-ok"),
        h("div", null, h("strong", null, `Applied in ${duration(Date.now() - asked)}.`), what),
      ),
    );
  };

  const draw = () => {
    const state = app();
    if (!state) return;
    if (!rows.size) build();
    confirmed(state);
    const problems = problemsOf(host.store.view.options, typed());
    const count = Object.keys(edits).length;
    const faults = Object.keys(problems).length;
    apply.disabled = !count || faults > 0 || Boolean(awaited) || host.kind === "saved" || state.state === "Stopped";
    for (const [name, { rule, box, slider, note, error, cells }] of rows) {
      const now = state.scaling[name];
      const text = edits[name] ?? plainNumber(now);
      if (box.value !== text) box.value = text;
      const value = Number(text);
      if (Number.isFinite(value)) {
        if (document.activeElement !== slider || sliderValue(rule, Number(slider.value)) !== value)
          slider.value = String(sliderPlace(rule, value)); // a thumb that is dragged is not pushed
        slider.setAttribute("aria-valuetext", `${plainNumber(value)}${rule.unit ? " seconds" : ""}`);
      }
      const wrong = name in edits || problems[name]?.includes("min_concurrency") ? (problems[name] ?? "") : "";
      box.setAttribute("aria-invalid", String(Boolean(wrong)));
      setText(error, wrong);
      for (const cell of cells) cell.classList.toggle("fj-edited", name in edits);
      const unit = rule.unit ? " s" : "";
      if (name in edits) {
        const elsewhere = bases[name] !== now && !awaited;
        const soon = Boolean(awaited);
        const send = h(
          "button",
          {
            type: "button",
            class: "fj-choice",
            title: count > 1 ? `Apply all ${count} changes` : null,
            onclick: () => apply.click(),
          },
          "Apply",
        );
        update(
          note,
          h("span", { class: elsewhere ? "fj-chip fj-setup" : "fj-chip fj-run" }, soon ? "applying" : "not applied"),
          elsewhere
            ? ` in force: ${plainNumber(now)}${unit}, changed elsewhere `
            : ` in force: ${plainNumber(now)}${unit} `,
          apply.disabled ? null : send,
          iconButton("undo", `Undo ${name}`, () => {
            forget(name);
            draw();
          }),
        );
      } else {
        const ofClass = state.by_class[name];
        // no class says warm
        const source = ofClass === rule.default ? "default" : name === "warm" ? "for a notebook" : "class";
        const byOther = REPLACE_WARM.filter(
          (one) => name === "warm" && (one in state.overrides || (now > 0 && one in edits)),
        );
        const told = `${source}: ${plainNumber(ofClass)}${unit}${source === "default" ? "" : `, default ${plainNumber(rule.default)}${unit}`}`;
        if (name === "warm" && byOther.length && !(name in state.overrides) && (now > 0 || now !== ofClass)) {
          update(
            note,
            now > 0
              ? [
                  h("span", { class: "fj-chip fj-run" }, "becomes 0"),
                  ` with ${byOther.join(" and ")}, which then decides`,
                ]
              : `0 since ${byOther.join(" and ")} was set here; ${source}: ${plainNumber(ofClass)}`,
          );
        } else
          update(
            note,
            name in state.overrides
              ? [h("span", { class: "fj-chip" }, "set here"), ` ${source}: ${plainNumber(ofClass)}${unit}`]
              : told,
          );
      }
    }
    reset.disabled = !count;
    write.disabled = faults > 0 || !(count || Object.keys(state.overrides).length);
    byClass.disabled = !Object.keys(state.overrides).length || host.kind === "saved" || state.state === "Stopped";
    setText(apply.lastChild ?? apply, count ? `Apply ${count} live` : "Apply live");
    setText(
      foot,
      host.kind === "saved"
        ? "A saved picture: run the cell again to change it."
        : state.gone
          ? "The app is gone. Run its cell to change it."
          : state.state === "Stopped"
            ? "The app is stopped. Start it to change it."
            : faults
              ? `Fix ${faults} ${faults === 1 ? "value" : "values"} to apply`
              : "Applied at the next scaling decision. No runner restarts.",
    );
    onEdited?.(count);
  };

  const refused = (/** @type {string} */ reason) => {
    clear(); // the controls go back to what is in force
    awaited = null;
    update(
      banner,
      h(
        "div",
        { class: "fj-banner fj-bad", role: "alert" },
        glyph("failed", "fj-failed"),
        h("div", null, h("strong", null, "Not applied. "), plainText(reason)),
      ),
    );
    draw();
  };

  const send = async (/** @type {Record<string, number> | null} */ values) => {
    if (awaited || (values && !Object.keys(values).length)) return;
    awaited = { values, asked: Date.now() };
    update(banner);
    draw();
    try {
      await askJson(host, "POST", `apps/${encodeURIComponent(alias)}/scaling`, {
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(values ? { set: values } : { reset: true }),
      });
      if (!values) clear();
      clearTimeout(patience);
      patience = setTimeout(
        () =>
          awaited &&
          refused(
            "The gateway took the values, but they did not come into force: somebody else may have changed them.",
          ),
        PATIENCE,
      );
      draw();
    } catch (error) {
      if (!signal.aborted) refused(error instanceof Error ? error.message : String(error));
    }
  };

  const look = scheduler(root, signal, draw);
  signal.addEventListener("abort", host.store.watch(look));
  signal.addEventListener("abort", () => replace(root));
  draw();
}
