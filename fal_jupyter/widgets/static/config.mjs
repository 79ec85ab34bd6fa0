// @ts-check
/** Scaling and time limits of a running app: what is in force, what the class says, what fal's default is, and changes that act at once. */
import { button, h, newId, replace, scheduler, setText } from "./dom.mjs";
import { duration, plainNumber } from "./format.mjs";
import { glyph, iconButton } from "./glyphs.mjs";
import { askJson } from "./host.mjs";

/** @typedef {import("./types.d.ts").OptionRule} OptionRule */

/** @type {Record<string, [string, string]>} group and words of each option */
const WORDS = {
  min_concurrency: ["Scaling", "runners always kept"],
  max_concurrency: ["Scaling", "most runners at once"],
  concurrency_buffer: ["Scaling", "spare runners above demand"],
  concurrency_buffer_perc: ["Scaling", "spare runners, percent of demand"],
  scaling_delay: ["Scaling", "wait before adding a runner"],
  keep_alive: ["Scaling", "idle time before a runner ends"],
  warm: ["Scaling", "kept ready while the notebook lives"],
  max_multiplexing: ["Requests", "calls at once in one runner"],
  request_timeout: ["Requests", "a call is ended after"],
  startup_timeout: ["Requests", "setup() is given up after"],
  termination_grace_period_seconds: ["Requests", "time to end in order"],
};
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
    if (text === "" || !Number.isFinite(value)) found[name] = unit ? "Give seconds as a number: 300." : "Give a whole number.";
    else if (!unit && !Number.isInteger(value)) found[name] = "Give a whole number.";
    else if (value < low || (high !== null && value > high)) found[name] = high === null ? `It must be ${low} or more.` : `It must be ${low} to ${high}.`;
  }
  const least = Number(typed.min_concurrency);
  const most = Number(typed.max_concurrency);
  if (!found.min_concurrency && !found.max_concurrency && least > most) {
    found.max_concurrency = `max_concurrency is ${most} but min_concurrency is ${least}. Use ${least} or more.`;
  }
  return found;
}

/** The slider's place (0 to 1000) for a value, logarithmic where nothing bounds it. @param {OptionRule} rule @param {number} value */
export function sliderPlace(rule, value) {
  const top = rule.high ?? HIGHEST[/** @type {"" | "s"} */ (rule.unit)];
  if (rule.high !== null) return Math.round((1000 * (value - rule.low)) / (top - rule.low));
  return Math.round((1000 * Math.log1p(Math.max(0, value - rule.low))) / Math.log1p(top - rule.low));
}

/** The value at a slider's place. @param {OptionRule} rule @param {number} place */
export function sliderValue(rule, place) {
  const top = rule.high ?? HIGHEST[/** @type {"" | "s"} */ (rule.unit)];
  const exact = rule.high !== null ? rule.low + (place / 1000) * (top - rule.low) : rule.low + Math.expm1((place / 1000) * Math.log1p(top - rule.low));
  return Math.round(exact);
}

/** The options as a class says them. @param {Record<string, number>} values */
export function classAttributes(values) {
  return Object.entries(values).filter(([name]) => name !== "warm").map(([name, value]) => `    ${name} = ${plainNumber(value)}`).join("\n");
}

/**
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {{alias: string, onEdited?: (count: number) => void}} options
 * @param {AbortSignal} signal
 */
export function configPanel(root, host, { alias, onEdited }, signal) {
  const app = () => host.store.view.apps.find((one) => one.alias === alias);
  /** @type {Record<string, string>} what was typed and is not applied */
  const edits = {};
  /** @type {Map<string, {rule: OptionRule, box: any, slider: any, note: HTMLElement, error: HTMLElement, cells: HTMLElement[]}>} */
  const rows = new Map();
  /** @type {{values: Record<string, number>, asked: number} | null} applied, and not yet seen in a frame */
  let awaited = null;
  const grid = h("div", { class: "fj-config" });
  const banner = h("div", { class: "fj-config-told", role: "status", "aria-live": "polite" });
  const apply = button([glyph("play"), "Apply live"], () => send(edited()), { class: "fj-button fj-primary" });
  const reset = button("Reset", () => (clear(), draw()));
  const byClass = button([glyph("undo"), "Back to the class"], () => send(null));
  const copy = button([glyph("copy"), "Copy as class attributes"], () => {
    const state = app();
    if (state) host.copy(classAttributes({ ...state.overrides, ...edited() }) || classAttributes(state.scaling));
  });
  const foot = h("span", { class: "fj-muted" });
  const slot = h("section", { dataset: { slot: "what-if" }, hidden: true });
  root.append(grid, banner, h("div", { class: "fj-foot" }, apply, reset, byClass, copy, h("span", { class: "fj-space" }), foot), slot);

  const clear = () => {
    for (const name of Object.keys(edits)) delete edits[name];
  };
  const edited = () => Object.fromEntries(Object.entries(edits).map(([name, text]) => [name, Number(text)]));
  const typed = () => Object.fromEntries(Object.entries(app()?.scaling ?? {}).map(([name, value]) => [name, edits[name] ?? plainNumber(value)]));

  const change = (/** @type {string} */ name, /** @type {string} */ text) => {
    const state = app();
    if (!state) return;
    if (text.trim() !== "" && Number(text) === state.scaling[name]) delete edits[name];
    else edits[name] = text;
    replace(banner);
    draw();
  };

  const build = () => {
    const order = Object.keys(WORDS);
    const rules = [...host.store.view.options].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    let group = "";
    for (const rule of rules) {
      const [groupName, words] = WORDS[rule.name] ?? ["Other", ""];
      if (groupName !== group) grid.append(h("div", { class: "fj-group" }, (group = groupName)));
      const id = newId();
      const errorId = newId();
      const box = h("input", { class: "fj-input fj-box", id, type: "text", inputMode: "decimal", autocomplete: "off", "aria-describedby": errorId, dataset: { option: rule.name }, oninput: () => change(rule.name, box.value) });
      const slider = h("input", { type: "range", min: 0, max: 1000, "aria-label": `${rule.name}, slider`, dataset: { slider: rule.name }, oninput: () => change(rule.name, String(sliderValue(rule, Number(slider.value)))) });
      const error = h("div", { class: "fj-error", id: errorId, role: "alert" });
      const note = h("div", { class: "fj-muted" });
      const cells = [
        h("div", null, h("label", { class: "fj-mono", htmlFor: id }, rule.name), h("div", { class: "fj-label" }, words)),
        h("div", { class: "fj-field" }, slider, box, h("span", { class: "fj-muted", style: { width: "10px" } }, rule.unit), error), note,
      ];
      grid.append(...cells);
      rows.set(rule.name, { rule, box, slider, note, error, cells });
    }
  };

  const draw = () => {
    const state = app();
    if (!state) return;
    if (!rows.size) build();
    if (awaited && Object.entries(awaited.values).every(([name, value]) => state.scaling[name] === value)) {
      const took = duration(Date.now() - awaited.asked);
      awaited = null;
      replace(banner, h("div", { class: "fj-banner fj-good" }, glyph("done", "fj-ok"), h("div", null, h("strong", null, `Applied in ${took}.`), " The class in its cell still says what it said: Copy as class attributes takes it there.")));
    }
    const problems = problemsOf(host.store.view.options, typed());
    const count = Object.keys(edits).length;
    for (const [name, { rule, box, slider, note, error, cells }] of rows) {
      const now = state.scaling[name];
      const text = edits[name] ?? plainNumber(now);
      if (box.value !== text) box.value = text;
      const value = Number(text);
      if (Number.isFinite(value)) slider.value = String(sliderPlace(rule, value));
      const wrong = name in edits || problems[name]?.includes("min_concurrency") ? (problems[name] ?? "") : "";
      box.setAttribute("aria-invalid", String(Boolean(wrong)));
      setText(error, wrong);
      for (const cell of cells) cell.classList.toggle("fj-edited", name in edits);
      const unit = rule.unit ? " s" : "";
      if (name in edits) {
        replace(note, h("span", { class: "fj-chip fj-run" }, "edited"), ` was ${plainNumber(now)}${unit}`, iconButton("undo", `Undo ${name}`, () => (delete edits[name], draw())));
      } else {
        const from = name in state.overrides ? `set here, class: ${plainNumber(state.by_class[name])}${unit}` : state.by_class[name] === rule.default ? `default ${plainNumber(rule.default)}${unit}` : `class: ${plainNumber(state.by_class[name])}${unit}, default ${plainNumber(rule.default)}${unit}`;
        replace(note, from);
      }
    }
    const wrong = Object.keys(problems).length;
    apply.disabled = !count || wrong > 0 || host.kind === "saved";
    reset.disabled = !count;
    byClass.disabled = !Object.keys(state.overrides).length || host.kind === "saved";
    setText(apply.lastChild ?? apply, count ? `Apply ${count} live` : "Apply live");
    setText(foot, host.kind === "saved" ? "A saved picture: run the cell again to change it." : wrong ? `Fix ${wrong} ${wrong === 1 ? "value" : "values"} to apply` : "Applied at the next scaling decision. No runner restarts.");
    onEdited?.(count);
  };

  const send = async (/** @type {Record<string, number> | null} */ values) => {
    if (values && !Object.keys(values).length) return;
    const asked = Date.now();
    apply.disabled = true;
    try {
      await askJson(host, "POST", `apps/${encodeURIComponent(alias)}/scaling`, { headers: { "Content-Type": "application/json" }, body: JSON.stringify(values ? { set: values } : { reset: true }) });
      clear();
      awaited = { values: values ?? app()?.by_class ?? {}, asked };
    } catch (error) {
      clear(); // the controls go back to what is in force
      replace(banner, h("div", { class: "fj-banner fj-bad", role: "alert" }, glyph("failed", "fj-failed"), h("div", null, h("strong", null, "Not applied. "), error instanceof Error ? error.message : String(error))));
    }
    draw();
  };

  const look = scheduler(root, signal, draw);
  signal.addEventListener("abort", host.store.watch(look));
  draw();
}
