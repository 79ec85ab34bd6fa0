// @ts-check
/**
 * The Try tab: a form of what an endpoint takes, its answer as it comes, two results side by side, and a call that
 * survives the page.
 */
import { button, h, newId, replace, setText } from "../elements/dom.mjs";
import { ago, clock, pathText } from "../text/format.mjs";
import { glyph } from "../elements/glyphs.mjs";
import { encodedBody } from "../form/form_body.mjs";
import { endpointForm, fillForm, keepDraft, takeDraft } from "../form/form_endpoint.mjs";
import { askJson } from "../connection/host.mjs";
import { fileOf } from "../text/literals.mjs";
import { markdownView } from "../elements/markdown.mjs";
import { queryValues } from "../inspector/recorded.mjs";
import { recordedValue } from "../inspector/recorded_input.mjs";
import { keptBodyView } from "../outputs/result.mjs";
import { runningView } from "./running.mjs";
import { endpointSchema, filledPath } from "../form/schema.mjs";
import { trialPane } from "./trial.mjs";

const RECENT = 10 * 60 * 1000;
const KEPT_INPUTS = 20;
const LONG_DOC = 400;

/** @typedef {ReturnType<typeof trialPane>} Trial */
/**
 * What a call was made with; `unknown` where that is not kept.
 * @typedef {{path: string, value: any, query: Record<string, any>, unknown?: boolean}} Input
 */

/**
 * Inputs of calls that this page made: a file is larger than what the gateway keeps of a request.
 * @type {Map<string, Input>}
 */
const madeInputs = new Map();

/**
 * Hear who wants a request of an app edited: "Edit and run again" in a request's details sends `fj-edit-request` with
 * `{alias, id}`. The card around it comes first, then any card of that app in the page.
 * @param {HTMLElement} frame
 * @param {string} alias
 * @param {(id: string) => void} edit
 * @param {AbortSignal} signal
 */
export function onEditRequest(frame, alias, edit, signal) {
  const hear = (/** @type {any} */ event) => {
    if (event.defaultPrevented || event.detail?.alias !== alias || !event.detail?.id) return;
    event.preventDefault();
    edit(String(event.detail.id));
  };
  frame.addEventListener("fj-edit-request", hear, { signal });
  document.addEventListener("fj-edit-request", hear, { signal });
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string}} options
 * @param {AbortSignal} signal
 * @returns {{call: (path?: string) => {endpoint: string, path: string, value: any, method: string, query: Record<string,
 *   any>, encoding: string} | null, edit: (id: string) => void}} `call`: what the form of an endpoint holds, of the chosen
 *   one without a path, null for a form that was not shown yet; `edit` fills it from a request
 */
export function tryPanel(root, host, { alias }, signal) {
  const app = () => host.store.view.apps.find((one) => one.alias === alias);
  /** @type {any} */
  let schema = null;
  let schemaOf = 0;
  let asking = false;
  /** how the app stood when its schema could not be had: it is asked again when that changes */
  let refused = "";
  /** @type {import("../form/form_field.mjs").Control | null} */
  let form = null;
  /** @type {import("../form/form_field.mjs").Control | null} */
  let query = null;
  let takes = endpointSchema({}, "/");
  const draft = host.kind === "saved" ? { path: "", forms: new Map(), changed: () => undefined } : takeDraft(alias);
  let { path } = draft;
  let touched = draft.forms.size > 0; // what a card of the app had before is not written over
  /** @type {Input | null} what the form shall be filled with once it is there */
  let wanted = null;
  /** @type {string | null} */
  let running = null;
  let shown = "";
  /** @type {AbortController | null} the answer that is read now */
  let reading = null;
  /** @type {Trial | null} */
  let current = null;
  /** @type {Trial | null} the result before */
  let former = null;
  let comparing = false;
  let marked = 0; // the revision by which the results were marked
  draft.changed = () => ((touched = true), setText(told, ""), markResults());
  signal.addEventListener("abort", () => draft.forms.size && keepDraft(alias, draft));

  const choose = h("select", { class: "fj-input", id: newId(), onchange: () => ((path = choose.value), drawForm()) });
  const doc = h("div", {
    class: "fj-doc",
    hidden: true,
    tabindex: "0",
    role: "group",
    "aria-label": "About the endpoint",
  });
  const samples = h("div", { class: "fj-bar-row fj-samples", role: "group", "aria-label": "examples", hidden: true });
  const fields = h("div", { class: "fj-fields" });
  const told = h("div", { class: "fj-hint", role: "status" });
  const run = button([glyph("play"), "Run"], () => start(), {
    class: "fj-button fj-primary fj-run-button",
    title: "Ctrl Enter",
  });
  const reset = button("Reset", () => drawForm({ fresh: true }), { title: "Defaults and examples again" });
  const whole = button(
    "All fields",
    () => {
      root.classList.toggle("fj-whole");
      whole.setAttribute("aria-pressed", String(root.classList.contains("fj-whole")));
    },
    { class: "fj-choice", "aria-pressed": "false", title: "Show the form in its whole length", hidden: true },
  );
  const head = h(
    "div",
    { class: "fj-form" },
    h("label", { class: "fj-mono", htmlFor: choose.id }, "endpoint"),
    h("div", { class: "fj-field" }, choose),
  );
  const left = h(
    "div",
    { class: "fj-try-form" },
    head,
    doc,
    samples,
    fields,
    h(
      "div",
      { class: "fj-bar-row" },
      run,
      h("span", { class: "fj-muted fj-second" }, "Ctrl Enter"),
      h("span", { class: "fj-space" }),
      whole,
      reset,
    ),
    h("div", { class: "fj-bar-row" }, told),
  );
  const right = h(
    "div",
    { class: "fj-pane fj-trials" },
    h("strong", null, "Result"),
    h("p", { class: "fj-answer fj-muted" }, "Run shows the answer here."),
  );
  const split = h(
    "div",
    {
      class: "fj-split",
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey))
          event.preventDefault(), event.stopPropagation(), start();
      },
    },
    left,
    right,
  );
  root.append(split);
  if (typeof ResizeObserver !== "undefined") {
    const observer = new ResizeObserver(
      () => (whole.hidden = !root.classList.contains("fj-whole") && fields.scrollHeight <= fields.clientHeight + 1),
    );
    observer.observe(fields);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /**
   * Draw the form of the chosen endpoint, with what was typed into it before.
   * @param {{fresh?: boolean, which?: number}} [how] `fresh`: as it begins, with the example `which`, -1 for none
   */
  const drawForm = ({ fresh = false, which = 0 } = {}) => {
    const state = app();
    if (!schema || !state) return;
    const endpoint = state.endpoints.find((one) => one.path === path);
    if (fresh) draft.forms.delete(path);
    const made = endpointForm(schema, path, endpoint?.signature ?? "", {
      changed: () => draft.changed(),
      former: draft.forms.get(path),
      which,
    });
    draft.forms.set(path, made);
    draft.path = path;
    ({ takes, form, query } = made);
    const parts = [query?.element, form.element].filter(Boolean);
    if (parts.length !== fields.childNodes.length || parts.some((one, at) => one !== fields.childNodes[at]))
      replace(fields, parts); // what has the focus keeps it
    samples.hidden = takes.examples.length < 2;
    replace(
      samples,
      takes.examples.map(({ name }, at) =>
        button(name, () => drawForm({ fresh: true, which: at }), {
          class: "fj-choice fj-cut",
          "aria-pressed": String(at === made.which),
        }),
      ),
    );
    drawDoc(endpoint?.doc ?? "");
    setText(told, "");
    markResults();
  };

  const drawDoc = (/** @type {string} */ text) => {
    doc.hidden = !text.trim();
    const [first, ...rest] = text.trim().split(/\n\s*\n/);
    const folds = rest.length > 0 && text.length > LONG_DOC;
    replace(
      doc,
      text.trim()
        ? folds
          ? [markdownView(first), h("details", null, h("summary", null, "more"), markdownView(rest.join("\n\n")))]
          : markdownView(text.trim())
        : null,
    );
  };

  /** Fill the form with what a call was made with. @param {Input} input */
  const fill = (input) => {
    if (!schema) return void (wanted = input);
    wanted = null;
    if (![...choose.options].some((/** @type {HTMLOptionElement} */ one) => one.value === input.path)) return;
    path = choose.value = input.path;
    drawForm({ fresh: true, which: -1 });
    const typed = Object.entries(input.query).map(([name, one]) => [name, typedAs(takes.query.properties[name], one)]);
    const made = draft.forms.get(path);
    if (made) fillForm(made, input.value, Object.fromEntries(typed));
    markResults();
  };

  /**
   * What a request was made with, by this page or as the gateway has it; a sentence where it is not known.
   * @param {import("../types.d.ts").RequestDetail} detail
   * @returns {Input | string}
   */
  const inputOf = ({ request, input, query: asked }) => {
    const made = madeInputs.get(request.id);
    if (made) return made;
    if (!input) return "The input of that request is not kept any more.";
    if (input.truncated) return "The input of that request was too large to be kept.";
    const known = recordedValue(input);
    return known
      ? { path: pathText(request.path), value: withoutFiles(known.value), query: queryValues(asked ?? "") }
      : "The input of that request is neither JSON nor a form.";
  };

  const edit = async (/** @type {string} */ id) => {
    try {
      const detail = await askJson(host, "GET", `requests/${encodeURIComponent(id)}`, { signal });
      const input = inputOf(detail);
      if (typeof input === "string") return setText(told, input);
      fill(input);
      touched = true;
      setText(
        told,
        wanted
          ? "The form is filled when a runner is ready."
          : path === input.path
            ? `Filled from the call of ${clock(detail.request.began, false)}. Change it, then run.`
            : `The app has no endpoint ${input.path} any more.`,
      );
      /** @type {any} */ (fields.querySelector("input, textarea, select"))?.focus();
    } catch (error) {
      setText(told, message(error));
    }
  };

  const loadSchema = async () => {
    const state = app();
    const { link } = host.store.view;
    if (!schema && !state && (link === "live" || link === "off"))
      replace(fields, h("p", { class: "fj-empty" }, "The app is gone. Run its cell to try it."));
    if (asking || host.kind === "saved" || !state || link !== "live" || (schema && schemaOf === state.serving)) return;
    const stands = [
      state.serving,
      state.state,
      state.runners.map((one) => `${one.id} ${["PENDING", "SETUP"].includes(one.state)}`),
    ].join(" ");
    if (refused === stands) return;
    // a former runner may have said what the endpoints take
    const rests = state.state === "Stopped" || state.state === "Zero";
    if (rests && schema) return;
    const noForm = () =>
      replace(
        fields,
        h(
          "p",
          { class: "fj-empty" },
          {
            Stopped: "The app is stopped. Start it to try it.",
            Zero: "The form is made when a runner is ready. Start 1 runner to have it.",
          }[state.state] ?? "The form is made when the first runner is ready.",
        ),
      );
    if (!rests && !state.runners.some((one) => one.state === "IDLE" || one.state === "RUNNING")) {
      // nobody could say what the endpoints take
      if (!schema) noForm();
      return;
    }
    asking = true;
    try {
      schema = await askJson(host, "GET", `apps/${encodeURIComponent(alias)}/schema`, { signal });
      schemaOf = state.serving;
      refused = "";
      const paths = state.endpoints.map((one) => one.path);
      replace(
        choose,
        state.endpoints.map((one) =>
          h("option", { value: one.path }, `${endpointSchema(schema, one.path).method} ${one.path}`),
        ),
      );
      path = choose.value = paths.includes(path) ? path : (paths[0] ?? "/");
      drawForm();
      if (wanted) fill(wanted);
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      const wait = status === 409;
      if (status) refused = stands;
      if (!schema && wait) noForm();
      else if (!schema) replace(fields, h("p", { class: "fj-empty" }, `The form could not be made: ${message(error)}`));
    }
    asking = false;
  };

  const start = async () => {
    if (running || run.disabled || !form || host.kind === "saved") return;
    const problems = [query?.problem(), form.problem()].filter(Boolean);
    if (problems.length) {
      setText(told, "");
      left.querySelector('[aria-invalid="true"]')?.focus();
      return;
    }
    /** @type {Input} */
    const input = { path, value: form.read(), query: query?.read() ?? {} };
    const { path: filled, asked } = filledPath(path, input.query);
    const target = asked ? `${filled}?${asked}` : filled;
    const view = begin(input);
    setBusy("…");
    try {
      const { body, type } = encodedBody(
        input.value === undefined ? (takes.hasBody ? null : {}) : input.value,
        takes.encoding,
      );
      const made = await askJson(host, "POST", `apps/${encodeURIComponent(alias)}/calls`, {
        query: { path: target, method: takes.method },
        headers: { "Content-Type": type },
        body,
      });
      madeInputs.set(made.request_id, input);
      if (madeInputs.size > KEPT_INPUTS) madeInputs.delete(madeInputs.keys().next().value ?? "");
      follow(made.request_id, view);
    } catch (error) {
      view.stop.abort();
      right.style.minHeight = "";
      setBusy(null);
      current?.fail(message(error), view.body);
    }
  };

  /**
   * A new result takes the place of the former one, with the header of a call on its way.
   * @param {Input} input
   * @param {number} [passed]
   */
  const begin = (input, passed) => {
    reading?.abort();
    const stop = (reading = new AbortController());
    signal.addEventListener("abort", () => stop.abort(), { once: true });
    const over = new AbortController();
    stop.signal.addEventListener("abort", () => over.abort(), { once: true });
    if (current?.done && !comparing) former = current;
    right.style.minHeight = `${right.offsetHeight}px`; // what is below stays where it is until the answer is here
    current = trialPane(host, { path: input.path, value: input.unknown ? null : inputFields(input) });
    const view = runningView(host, { alias, path: input.path, passed }, over.signal);
    current.running(view);
    drawTrials();
    return { ...view, stop, over, pane: current };
  };

  /** Say of the results what they belong to, where the form holds something else or another revision serves. */
  const markResults = () => {
    marked = app()?.serving ?? 0;
    const now = form && { path, value: inputFields({ path, value: form.read(), query: query?.read() ?? {} }) };
    current?.mark(now, marked);
    if (former !== current) former?.mark(null, 0); // it is there to be compared with
  };

  /** One result, or two of them side by side. */
  const drawTrials = () => {
    if (!current) return;
    const two = comparing && former && former !== current;
    const isKept = comparing && former === current;
    split.classList.toggle("fj-comparing", Boolean(two));
    const stand = [two ? former?.element : null, current.element].filter(Boolean);
    if (stand.length !== right.children.length || stand.some((one, at) => one !== right.children[at]))
      replace(right, stand); // a player in it plays on
    if (former) replace(former.tools);
    former?.compare(two ? "the result before" : null);
    current.compare(two ? former : isKept ? "kept: the next result stands beside it" : null);
    replace(
      current.tools,
      former
        ? button("Compare", () => ((comparing = !comparing), drawTrials(), focusTool()), {
            class: "fj-choice",
            "aria-pressed": String(comparing),
            title: comparing ? "Show one result alone" : "Show the result before beside it",
          })
        : null,
      two
        ? button("Keep this one", () => ((former = current), drawTrials(), focusTool()), {
            class: "fj-choice",
            title: "Compare the next results with this one",
          })
        : null,
    );
    markResults();
  };
  const focusTool = () => /** @type {any} */ (current?.tools.querySelector("button"))?.focus();

  const setBusy = (/** @type {string | null} */ id) => {
    running = id;
    drawRun();
  };

  const drawRun = () => {
    const { link } = host.store.view;
    const state = app();
    const isGone = !state && (link === "live" || link === "off");
    const stopped = isGone || state?.state === "Stopped";
    run.disabled = running !== null || stopped;
    run.title = isGone
      ? "The app is gone: run its cell first"
      : stopped
        ? "The app is stopped: start it first"
        : "Ctrl Enter";
  };

  /**
   * Show a request's answer, from its beginning and as it comes.
   * @param {string} id
   * @param {ReturnType<typeof begin>} view
   */
  const follow = async (id, view) => {
    const { stop, over, pane, body } = view;
    shown = id;
    setBusy(id);
    view.sent(id);
    let isGone = false;
    try {
      const found = await host.ask("GET", `requests/${id}/answer`, { signal: stop.signal });
      isGone = found.status !== 200;
      if (isGone)
        throw new Error(
          found.status === 404
            ? "the answer to that request is not held any more"
            : `the gateway answered ${found.status}`,
        );
      const type = found.headers.get("content-type") ?? "";
      const data = await pane.body(found, type, stop.signal);
      over.abort();
      pane.end(await askJson(host, "GET", `requests/${id}`, { signal: stop.signal }), data, body);
      if (pane === current) drawTrials();
    } catch (error) {
      over.abort();
      if (!isGone && !stop.signal.aborted && (await pane.broken(id, stop.signal, body))) isGone = true;
      else if (!stop.signal.aborted) pane.fail(message(error), body);
      markResults();
      if (!isGone) shown = ""; // nobody answered: the request goes on, and is taken up again when the feed is back
    }
    if (reading === stop) {
      setBusy(null);
      right.style.minHeight = "";
    }
  };

  /** A call of this card that was made before the page was opened: its answer is held. */
  const adopt = async () => {
    if (shown || running || host.kind === "saved" || host.store.view.link !== "live") return;
    const mine = host.store.view.requests.filter((one) => one.alias === alias && one.origin === "panel");
    const found =
      mine.find((one) => one.state !== "done") ??
      mine.find((one) => host.store.view.time - one.began - one.total_ms < RECENT);
    if (!found) return;
    shown = found.id;
    setBusy("…");
    /** @type {Input | string} */
    let input = "";
    try {
      input = inputOf(await askJson(host, "GET", `requests/${found.id}`, { signal }));
    } catch {
      // its answer says what became of it
    }
    if (typeof input !== "string" && !touched) fill(input);
    follow(
      found.id,
      begin(
        typeof input === "string" ? { path: pathText(found.path), value: {}, query: {}, unknown: true } : input,
        Math.max(0, host.store.view.time - found.began),
      ),
    );
    if (found.state !== "done")
      setText(
        told,
        `A call that began ${ago(host.store.view.time - found.began)} is still running: its answer comes here.`,
      );
  };

  /** The newest result as the notebook has it, and what it was made with. */
  const drawSaved = () => {
    const last = host.picture?.last;
    const again = h("p", { class: "fj-empty" }, "Run the cell again to try the app here.");
    for (const one of [head, reset, run.parentElement]) if (one) one.hidden = true;
    if (!last) return replace(fields, again);
    left.classList.add("fj-pane");
    replace(
      fields,
      h("strong", null, "Input"),
      last.input?.size ? keptBodyView(last.input, signal) : h("p", { class: "fj-muted" }, "no input"),
      again,
    );
    const pane = trialPane(host, { path: last.request.path, value: null });
    pane.saved(
      last,
      host.picture?.outputs?.find((one) => one.id === last.request.id),
    );
    replace(right, pane.element);
  };

  const look = () => {
    drawRun();
    if (marked !== (app()?.serving ?? 0)) markResults();
    loadSchema();
    adopt();
  };
  signal.addEventListener("abort", host.store.watch(look));
  look();
  if (host.kind === "saved") drawSaved();

  return {
    call: (of = path) => {
      const endpoint = app()?.endpoints.find((one) => one.path === of);
      const made = of === path ? { takes, form, query } : draft.forms.get(of);
      return endpoint && made
        ? {
            endpoint: endpoint.name,
            path: of,
            value: made.form?.read() ?? {},
            method: made.takes.method,
            query: made.query?.read() ?? {},
            encoding: made.takes.encoding,
          }
        : null;
    },
    edit: (id) => void edit(id),
  };
}

/** What a call was made with, field by field. @param {Input} input @returns {Record<string, any>} */
function inputFields({ value, query }) {
  return {
    ...(value && typeof value === "object" && !Array.isArray(value) && !value.url ? value : { input: value }),
    ...query,
  };
}

/** A recorded form without its files, which are chosen again. @param {any} value */
function withoutFiles(value) {
  const parts = fileOf(value) ? Object.entries(value).filter(([, one]) => !fileOf(one)) : null;
  return parts ? Object.fromEntries(parts) : value;
}

/** A query's text as the value that a form has of it. @param {any} schema @param {any} text */
function typedAs(schema, text) {
  if (typeof text !== "string" || !schema || schema.type === "string") return text;
  if (schema.type === "array") return [text];
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}
