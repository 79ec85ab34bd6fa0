// @ts-check
/**
 * The Try tab: a form of what an endpoint takes, its answer as it comes, two results side by side, and a call that
 * survives the page.
 */
import { button, h, newId, replace, setText } from "../elements/dom.mjs";
import { ago, clock, pathText } from "../text/format.mjs";
import { isOutOfUse, setUsable } from "../elements/focus.mjs";
import { glyph } from "../elements/glyphs.mjs";
import { encodedBody } from "../form/form_body.mjs";
import { isFileRecord } from "../form/form_file.mjs";
import { markRefused } from "../form/form_errors.mjs";
import { endpointForm, fillForm, keepDraft, takeDraft } from "../form/form_endpoint.mjs";
import { askJson, askSchema } from "../connection/host.mjs";
import { FileInput, fileOf, isRecord } from "../text/literals.mjs";
import { parsedJson, writtenJson } from "../text/exact_json.mjs";
import { markdownView } from "../elements/markdown.mjs";
import { queryValues } from "../inspector/recorded.mjs";
import { recordedValue, wholeInput } from "../inspector/recorded_input.mjs";
import { plainText } from "../text/plain.mjs";
import { FileComparison } from "./same_file.mjs";
import { keptBodyView } from "../outputs/result.mjs";
import { runningView } from "./running.mjs";
import { endpointSchema, filledPath } from "../form/schema.mjs";
import { isEventStream } from "../outputs/stream_view.mjs";
import { callBefore, recordedTrial } from "./before.mjs";
import { areOfOneEndpoint, trialPane } from "./trial.mjs";

const RECENT = 10 * 60 * 1000;
const KEPT_INPUTS = 20;
const LONG_DOC = 400;

/** @typedef {ReturnType<typeof trialPane>} Trial */
/**
 * What a call was made with; `unknown` where that is not kept; `seed` of its answer, which the form shall have; `missing`
 * are the fields whose files are not kept, "" for the body itself.
 * @typedef {{path: string, value: any, query: Record<string, any>, unknown?: boolean, seed?: any,
 *   missing?: string[]}} Input
 */

/**
 * Inputs of calls that this page made: a file is larger than what the gateway keeps of a request.
 * @type {Map<string, Input>}
 */
const madeInputs = new Map();

/** Apps whose form is shown in its whole length, also by their next card. @type {Set<string>} */
const wholeForms = new Set();

/**
 * Listen for requests to be edited: "Edit and run again" in a request's details sends `fj-edit-request` with
 * `{alias, id}`, *Reuse* of an output with its `seed` too. The card around it comes first, then any card of that app in the page.
 * @param {HTMLElement} frame
 * @param {string} alias
 * @param {(id: string, seed?: any) => void} edit
 * @param {AbortSignal} signal
 */
export function onEditRequest(frame, alias, edit, signal) {
  const hear = (/** @type {any} */ event) => {
    if (event.defaultPrevented || event.detail?.alias !== alias || !event.detail?.id) return;
    event.preventDefault();
    edit(String(event.detail.id), event.detail.seed);
  };
  frame.addEventListener("fj-edit-request", hear, { signal });
  document.addEventListener("fj-edit-request", hear, { signal });
}

/** Why there is no form yet, by the state of the app. @param {string} state */
export function noFormWords(state) {
  if (state === "Stopped") return "The app is stopped. Start it to try it.";
  if (state === "Zero") return "The form is made when a runner is ready. Start 1 runner to have it.";
  return "The form is made when the first runner is ready.";
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string}} options
 * @param {AbortSignal} signal
 * @returns {{call: (path?: string) => {endpoint: string, path: string, value: any, method: string, query: Record<string,
 *   any>, encoding: string} | null, edit: (id: string, seed?: any) => void, hasForm: () => boolean}} `call`: what the form of
 *   an endpoint holds, of the chosen one without a path, null for a form that was not shown yet; `edit` fills it from a
 *   request; `hasForm`: once there is one
 */
export function tryPanel(root, host, options, signal) {
  return new TryPanel(root, host, options, signal).handle();
}

class TryPanel {
  /** @type {any} */
  schema = null;

  /** the revision that the schema is of */
  schemaOf = 0;
  asking = false;

  /** the state of the app when its schema could not be fetched: it is fetched again when that changes */
  refused = "";

  /** @type {import("../form/form_field.mjs").Control | null} */
  form = null;

  /** @type {import("../form/form_field.mjs").Control | null} */
  query = null;
  takes = endpointSchema({}, "/");

  /** @type {Input | null} what the form shall be filled with once it is there */
  wanted = null;

  /** @type {string[]} what of that the form cannot have */
  lost = [];

  /** @type {string | null} */
  running = null;
  shown = "";

  /** @type {AbortController | null} of the answer that is read now */
  reading = null;

  /** @type {Trial | null} */
  current = null;

  /** @type {Trial | null} the last result before that succeeded, or the one that was chosen */
  former = null;
  comparing = false;

  /** the former result was chosen to stay */
  chosen = false;

  /** @type {{current: Trial, former: Trial | null, comparing: boolean, chosen: boolean}[]} the results of the other endpoints, one entry each */
  others = [];

  /** @type {import("../types.d.ts").AppState | undefined} the app as it was seen last: its form can be read after its end */
  lastSeen = undefined;

  /** the revision by which the results were marked */
  marked = 0;

  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{alias: string}} options
   * @param {AbortSignal} signal
   */
  constructor(root, host, { alias }, signal) {
    this.root = root;
    this.host = host;
    this.alias = alias;
    this.signal = signal;
    this.draft =
      this.host.kind === "saved" ? { path: "", forms: new Map(), changed: () => undefined } : takeDraft(this.alias);
    this.path = this.draft.path;
    this.touched = this.draft.forms.size > 0; // what a card of the app had before is not written over
    this.files = new FileComparison(this.host, this.signal, () => this.drawTrials());
    this.draft.changed = () => ((this.touched = true), setText(this.hint, ""), this.markResults());
    this.signal.addEventListener("abort", () => this.draft.forms.size && keepDraft(this.alias, this.draft));

    this.choose = h("select", {
      class: "fj-input fj-endpoint-choice",
      id: newId(),
      onchange: () => ((this.path = this.choose.value), this.showResultsOf(this.path), this.drawForm()),
    });
    this.doc = h("div", {
      class: "fj-doc",
      hidden: true,
      tabindex: "0",
      role: "group",
      "aria-label": "About the endpoint",
    });
    this.samples = h("div", { class: "fj-bar-row fj-samples", role: "group", "aria-label": "examples", hidden: true });
    this.fields = h("div", { class: "fj-fields" });
    this.hint = h("div", { class: "fj-hint", role: "status" });
    this.run = button([glyph("play"), "Run"], () => this.start(), {
      class: "fj-button fj-primary fj-run-button",
      title: "Ctrl Enter",
    });
    this.reset = button("Reset", () => this.beginAgain(0, "The form was reset."), {
      title: "Defaults and examples again",
    });
    this.whole = button("Show all fields", () => this.toggleWhole(), {
      class: "fj-choice",
      "aria-pressed": "false",
      title: "Show the form in its whole length",
      hidden: true,
    });
    this.head = h(
      "div",
      { class: "fj-form" },
      h("label", { class: "fj-mono", htmlFor: this.choose.id }, "endpoint"),
      h("div", { class: "fj-field" }, this.choose),
    );
    this.left = this.formPane();
    this.right = h(
      "div",
      { class: "fj-pane fj-trials" },
      h("strong", null, "Result"),
      h("p", { class: "fj-answer fj-muted" }, "Run shows the answer here."),
    );
    this.split = h("div", { class: "fj-split", onkeydown: this.runByKey }, this.left, this.right);
    root.append(this.split);
    this.watchLength();
    this.signal.addEventListener("abort", this.host.store.watch(this.look));
    this.look();
    if (this.host.kind === "saved") this.drawSaved();
  }

  /** The endpoint, its documentation, its fields, and what can be done with them. */
  formPane() {
    return h(
      "div",
      { class: "fj-try-form" },
      this.head,
      this.doc,
      this.samples,
      this.fields,
      h(
        "div",
        { class: "fj-bar-row" },
        this.run,
        h("span", { class: "fj-muted fj-second" }, "Ctrl Enter"),
        h("span", { class: "fj-space" }),
        this.whole,
        this.reset,
      ),
      h("div", { class: "fj-bar-row" }, this.hint),
    );
  }

  runByKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    event.stopPropagation();
    this.start();
  };

  isWhole() {
    return this.root.classList.contains("fj-whole");
  }

  toggleWhole() {
    this.root.classList.toggle("fj-whole");
    this.whole.setAttribute("aria-pressed", String(this.isWhole()));
    wholeForms[this.isWhole() ? "add" : "delete"](this.alias);
  }

  /** Offer "Show all fields" where the form is longer than its pane. */
  watchLength() {
    if (wholeForms.has(this.alias)) this.toggleWhole();
    if (typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(() => {
      this.whole.hidden = !this.isWhole() && this.fields.scrollHeight <= this.fields.clientHeight + 1;
    });
    observer.observe(this.fields);
    this.signal.addEventListener("abort", () => observer.disconnect());
  }

  app() {
    return this.host.store.view.apps.find((one) => one.alias === this.alias);
  }

  /**
   * Draw the form of the chosen endpoint, with what was typed into it before.
   * @param {{fresh?: boolean, which?: number}} [how] `fresh`: as it begins, with the example `which`, -1 for none
   */
  drawForm({ fresh = false, which = 0 } = {}) {
    const state = this.app();
    if (!this.schema || !state) return;
    const endpoint = state.endpoints.find((one) => one.path === this.path);
    if (fresh) this.draft.forms.delete(this.path);
    const made = endpointForm(this.schema, this.path, endpoint?.signature ?? "", {
      changed: () => this.draft.changed(),
      former: this.draft.forms.get(this.path),
      which,
    });
    this.draft.forms.set(this.path, made);
    this.draft.path = this.path;
    this.choose.title = this.path; // a long one is cut
    ({ takes: this.takes, form: this.form, query: this.query } = made);
    const parts = [this.query?.element, this.form.element].filter(Boolean);
    if (made.bodyFirst) parts.reverse();
    if (parts.length !== this.fields.childNodes.length || parts.some((one, at) => one !== this.fields.childNodes[at]))
      replace(this.fields, parts); // what has the focus keeps it
    this.samples.hidden = this.takes.examples.length < 2;
    replace(
      this.samples,
      this.takes.examples.map(({ name }, at) =>
        button(name, () => this.beginAgain(at, "The example took the form's place."), {
          class: "fj-choice fj-cut",
          "aria-pressed": String(at === made.which),
        }),
      ),
    );
    this.drawDoc(endpoint?.doc ?? "");
    setText(this.hint, "");
    this.markResults();
  }

  /**
   * Let the form begin again with an example; what it held can be had back.
   * @param {number} which
   * @param {string} sentence
   */
  beginAgain(which, sentence) {
    const [path, before] = [this.path, this.draft.forms.get(this.path)];
    const held = before && heldBy(before);
    this.drawForm({ fresh: true, which });
    const made = this.draft.forms.get(path);
    if (!before || !made || held === heldBy(made)) return;
    const undo = () => {
      this.draft.forms.set(path, before);
      this.drawForm();
      this.reset.focus();
    };
    replace(this.hint, `${sentence} `, button([glyph("undo"), "Undo"], undo, { class: "fj-choice fj-undo" }));
  }

  drawDoc(/** @type {string} */ text) {
    this.doc.hidden = !text.trim();
    const [first, ...rest] = text.trim().split(/\n\s*\n/);
    const folds = rest.length > 0 && text.length > LONG_DOC;
    replace(
      this.doc,
      text.trim()
        ? folds
          ? [markdownView(first), h("details", null, h("summary", null, "more"), markdownView(rest.join("\n\n")))]
          : markdownView(text.trim())
        : null,
    );
  }

  /** Fill the form with what a call was made with. @param {Input} input */
  fill(input) {
    if (!this.schema) return void (this.wanted = input);
    this.wanted = null;
    const { value, query } = withSeed(input, this.schema);
    if (![...this.choose.options].some((/** @type {HTMLOptionElement} */ one) => one.value === input.path)) return;
    this.path = this.choose.value = input.path;
    this.showResultsOf(this.path);
    this.drawForm({ fresh: true, which: -1 });
    const typed = Object.entries(query).map(([name, one]) => [name, typedAs(this.takes.query.properties[name], one)]);
    const made = this.draft.forms.get(this.path);
    this.lost = made ? fillForm(made, value, Object.fromEntries(typed)) : [];
    this.markResults();
  }

  /**
   * What a request was made with, by this page or as the gateway has it; a sentence where it is not known.
   * @param {import("../types.d.ts").RequestDetail} detail
   * @returns {Promise<Input | string>}
   */
  async inputOf(detail) {
    const { request, input, query: asked } = detail;
    const made = madeInputs.get(request.id);
    if (made) return made;
    const query = queryValues(asked ?? "");
    const path = pathText(request.path);
    const whole = await wholeInput(this.host, detail, this.signal).catch(() => null);
    const known = recordedValue(whole ?? input, whole !== null);
    if (known) return { path, query, value: withoutFiles(known.value), missing: missingFiles(known.value) };
    if (whole) return "The input of that request is neither JSON nor a form.";
    return Object.keys(query).length
      ? { path, query, value: undefined, missing: [""] }
      : `The input of that request is ${input ? "kept in part only" : "not kept any more"}.`;
  }

  /** @param {string} id @param {any} [seed] that of the request's answer, whatever its input said */
  async edit(id, seed) {
    try {
      const detail = await askJson(this.host, "GET", `requests/${encodeURIComponent(id)}`, { signal: this.signal });
      const input = await this.inputOf(detail);
      if (typeof input === "string") return setText(this.hint, input);
      this.fill({ ...input, seed });
      this.touched = true;
      setText(
        this.hint,
        this.wanted
          ? "The form is filled when a runner is ready."
          : this.path === input.path
            ? `Filled from the call of ${clock(detail.request.began, false)}. ${nextWords(input.missing, this.lost)}`
            : `The app has no endpoint ${input.path} any more.`,
      );
      /** @type {any} */ (this.fields.querySelector("input, textarea, select"))?.focus({ preventScroll: true });
      this.head.scrollIntoView?.({ block: "nearest" }); // the tab that was left may have been much longer
    } catch (error) {
      setText(this.hint, message(error));
    }
  }

  /** A sentence in place of the form. */
  drawNotice(/** @type {string} */ text) {
    replace(this.fields, h("p", { class: "fj-empty" }, text));
  }

  async loadSchema() {
    const state = this.app();
    const { link } = this.host.store.view;
    if (!this.schema && !state && (link === "live" || link === "off"))
      this.drawNotice("The app is gone. Run its cell to try it.");
    if (
      this.asking ||
      this.host.kind === "saved" ||
      !state ||
      link !== "live" ||
      (this.schema && this.schemaOf === state.serving)
    )
      return;
    const appState = [
      state.serving,
      state.state,
      state.runners.map((one) => `${one.id} ${["PENDING", "SETUP"].includes(one.state)}`),
    ].join(" ");
    if (this.refused === appState) return;
    // a former runner may have described the endpoints
    const rests = state.state === "Stopped" || state.state === "Zero";
    if (rests && this.schema) return;
    if (!rests && !state.runners.some((one) => one.state === "IDLE" || one.state === "RUNNING")) {
      // no runner can describe the endpoints
      if (!this.schema) this.drawNotice(noFormWords(state.state));
      return;
    }
    this.asking = true;
    try {
      this.schema = await askSchema(this.host, this.alias, this.signal);
      this.schemaOf = state.serving;
      this.refused = "";
      const paths = state.endpoints.map((one) => one.path);
      replace(
        this.choose,
        state.endpoints.map((one) =>
          h("option", { value: one.path }, `${endpointSchema(this.schema, one.path).method} ${one.path}`),
        ),
      );
      this.path = this.choose.value = paths.includes(this.path) ? this.path : (paths[0] ?? "/");
      const hint = this.wanted ? this.hint.textContent : ""; // of the call that fills the form
      this.drawForm();
      this.renewOtherForms(state);
      if (this.wanted) this.fill(this.wanted);
      if (hint) setText(this.hint, hint);
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      const wait = status === 409;
      if (status) this.refused = appState;
      if (!this.schema)
        this.drawNotice(wait ? noFormWords(state.state) : `The form could not be made: ${message(error)}`);
    }
    this.asking = false;
  }

  /** Make the forms of the endpoints that are not chosen by the new schema: programs are made of them. */
  renewOtherForms(/** @type {import("../types.d.ts").AppState} */ { endpoints }) {
    for (const [path, former] of this.draft.forms) {
      const endpoint = endpoints.find((one) => one.path === path);
      if (!endpoint || path === this.path) continue;
      const how = { changed: () => this.draft.changed(), former, which: former.which };
      this.draft.forms.set(path, endpointForm(this.schema, path, endpoint.signature, how));
    }
  }

  async start() {
    if (this.running || isOutOfUse(this.run) || !this.form || this.host.kind === "saved") return;
    const problems = [this.query?.problem(), this.form.problem()].filter(Boolean);
    if (problems.length) {
      setText(this.hint, "");
      this.showProblem();
      return;
    }
    const agrees = this.host.agrees?.() ?? true;
    if (agrees !== true && (!(await agrees) || this.running)) return;
    /** @type {Input} */
    const input = { path: this.path, value: this.form.read(), query: this.query?.read() ?? {} };
    const { path: filled, asked } = filledPath(this.path, input.query);
    const target = asked ? `${filled}?${asked}` : filled;
    const view = this.begin(input);
    this.setBusy("…");
    try {
      const { body, type } = encodedBody(
        input.value === undefined ? (this.takes.hasBody ? null : {}) : input.value,
        this.takes.encoding,
      );
      const made = await askJson(this.host, "POST", `apps/${encodeURIComponent(this.alias)}/calls`, {
        query: { path: target, method: this.takes.method },
        headers: { "Content-Type": type },
        body,
      });
      madeInputs.set(made.request_id, input);
      if (madeInputs.size > KEPT_INPUTS) madeInputs.delete(madeInputs.keys().next().value ?? "");
      this.follow(made.request_id, view, true);
    } catch (error) {
      view.stop.abort();
      this.right.style.minHeight = "";
      this.setBusy(null);
      this.current?.fail(message(error), view.body);
    }
  }

  /** Put the focus where the first problem is, and what is wrong there in sight: the fields scroll. */
  showProblem() {
    /** @type {HTMLElement | null} */ (this.left.querySelector('[aria-invalid="true"]'))?.focus();
    const errors = /** @type {HTMLElement[]} */ ([...this.left.querySelectorAll(".fj-error")]);
    errors.find((one) => !one.hidden && one.textContent)?.scrollIntoView?.({ block: "nearest" });
  }

  /**
   * A new result takes the place of the former one, with the header of a call on its way.
   * @param {Input} input
   * @param {number} [passed]
   */
  begin(input, passed) {
    this.takeResultsOf(input.path);
    this.reading?.abort();
    const stop = (this.reading = new AbortController());
    this.signal.addEventListener("abort", () => stop.abort(), { once: true });
    const over = new AbortController();
    stop.signal.addEventListener("abort", () => over.abort(), { once: true });
    if (this.former && !areOfOneEndpoint(this.former, input)) this.comparing = this.chosen = false;
    if (this.current?.succeeded && !this.chosen) this.former = this.current;
    this.right.style.minHeight = `${this.right.offsetHeight}px`; // what is below stays where it is until the answer is here
    const call = {
      path: input.path,
      value: input.unknown ? null : inputFields(input),
      streamOf: this.streamOf(input),
    };
    this.current = trialPane(this.host, call, this.files.isSame);
    const view = runningView(this.host, { alias: this.alias, path: input.path, passed }, over.signal);
    view.followedBy(this.run);
    this.current.running(view);
    this.drawTrials();
    return { ...view, stop, over, pane: this.current };
  }

  /** The endpoint of a call, whose streams are shown as the last one was: its path may be filled. @param {{path: string}} call */
  streamOf(call) {
    const endpoint = this.app()?.endpoints.find((one) => areOfOneEndpoint(one, call));
    return `${this.alias} ${endpoint?.path ?? call.path}`;
  }

  /** Say of the results what they belong to, where the form holds something else or another revision serves. */
  markResults() {
    this.marked = this.app()?.serving ?? 0;
    const now = this.form && {
      path: this.path,
      value: inputFields({ path: this.path, value: this.form.read(), query: this.query?.read() ?? {} }),
    };
    this.current?.mark(now, this.marked, this.app()?.code_since);
    if (this.former !== this.current) this.former?.mark(null, 0); // it is there to be compared with
  }

  /**
   * Take up the last results of an endpoint, and keep those of the one before; false where it has none.
   * @param {string} path
   */
  takeResultsOf(path) {
    const { current, former, comparing, chosen } = this;
    if (!current || areOfOneEndpoint(current, { path })) return false;
    const kept = this.others.find((one) => areOfOneEndpoint(one.current, { path }));
    this.others = this.others.filter((one) => one !== kept && !areOfOneEndpoint(one.current, current));
    this.others.push({ current, former, comparing, chosen });
    if (kept) ({ current: this.current, former: this.former, comparing: this.comparing, chosen: this.chosen } = kept);
    return Boolean(kept);
  }

  /** Show the last results of an endpoint; a running call stays in sight. @param {string} path */
  showResultsOf(path) {
    if (this.running === null && this.takeResultsOf(path)) this.drawTrials();
  }

  /** One result, or two of them side by side. */
  drawTrials() {
    if (!this.current) return;
    // results of two endpoints have nothing in common
    const comparable = this.former !== null && areOfOneEndpoint(this.former, this.current);
    const two = this.comparing && comparable && this.former && this.former !== this.current;
    const isKept = this.comparing && this.former === this.current;
    this.split.classList.toggle("fj-comparing", Boolean(two));
    const stand = [two ? this.former?.element : null, this.current.element].filter(Boolean);
    if (stand.length !== this.right.children.length || stand.some((one, at) => one !== this.right.children[at]))
      replace(this.right, stand); // a player in it plays on
    if (this.former) replace(this.former.tools);
    this.former?.compare(two ? this.former.formerWords(this.current) : null);
    this.current.compare(two ? this.former : isKept ? "kept: the next result stands beside it" : null);
    replace(
      this.current.tools,
      this.compareButton(comparable ? this.former : null),
      two
        ? button("Keep this one", () => this.keepCurrent(), {
            class: "fj-choice",
            title: "Compare the next results with this one",
          })
        : null,
    );
    this.markResults();
  }

  /** The button that shows the result before: one that is here, or one that the gateway has. @param {Trial | null} former */
  compareButton(former) {
    if (!this.current) return null;
    const before = former ? undefined : callBefore(this.host.store.view.requests, this.alias, this.current);
    if (!former && !before) return null;
    const [revision, now] = [former?.revision() ?? before?.revision ?? 0, this.current.revision()];
    const of = revision && now && revision !== now ? ` (r${revision})` : "";
    return button("Compare", () => this.compare(before?.id), {
      class: "fj-choice",
      "aria-pressed": String(this.comparing),
      title: this.comparing ? "Show one result alone" : `Show the result before${of} beside it`,
    });
  }

  /** Show two results or one. @param {string} [before] the call whose result is fetched first */
  async compare(before) {
    const { current } = this;
    if (before) {
      const inputOf = async (/** @type {import("../types.d.ts").RequestDetail} */ detail) => {
        const input = await this.inputOf(detail);
        return typeof input === "string" ? null : inputFields(input);
      };
      const former = await recordedTrial(this.host, before, inputOf, this.signal, this.files.isSame).catch(() => null);
      if (this.current !== current) return; // another call was begun
      if (!former) return setText(this.hint, "The result before is not kept any more.");
      this.former = former;
    }
    this.comparing = before ? true : !this.comparing;
    this.chosen &&= this.comparing;
    this.drawTrials();
    this.focusTool();
  }

  keepCurrent() {
    this.former = this.current;
    this.chosen = true;
    this.drawTrials();
    this.focusTool();
  }

  focusTool() {
    return /** @type {any} */ (this.current?.tools.querySelector("button"))?.focus();
  }

  setBusy(/** @type {string | null} */ id) {
    this.running = id;
    this.drawRun();
  }

  drawRun() {
    const { link } = this.host.store.view;
    const state = this.app();
    const isGone = !state && (link === "live" || link === "off");
    const stopped = isGone || state?.state === "Stopped";
    setUsable(this.run, this.running === null && !stopped);
    const other = this.host.otherOwner?.() ?? "";
    this.run.classList.toggle("fj-primary", !other);
    this.run.title = isGone
      ? "The app is gone: run its cell first"
      : stopped
        ? "The app is stopped: start it first"
        : other
          ? `Ctrl Enter: calls the app of ${other}`
          : "Ctrl Enter";
  }

  /**
   * Show a request's answer, from its beginning and as it comes.
   * @param {string} id
   * @param {ReturnType<TryPanel["begin"]>} view
   * @param {boolean} [made] whether this form made it
   */
  async follow(id, view, made = false) {
    const { stop, over, pane, body } = view;
    this.shown = pane.id = id;
    this.setBusy(id);
    view.sent(id);
    let isGone = false;
    try {
      const answer = await this.host.ask("GET", `requests/${id}/answer`, { signal: stop.signal });
      isGone = answer.status !== 200;
      if (isGone)
        throw new Error(
          answer.status === 404
            ? "the answer to that request is not held any more"
            : answer.status === 502 || answer.status === 503
              ? "The gateway ended while it had the request: run it again."
              : `the gateway answered ${answer.status}`,
        );
      const type = answer.headers.get("content-type") ?? "";
      const data = await pane.body(answer, type, stop.signal, () => view.answering(isEventStream(type)));
      over.abort();
      const detail = await askJson(this.host, "GET", `requests/${id}`, { signal: stop.signal });
      pane.end(detail, data, body);
      if (made && detail.request.status === 422) this.markRefused(pane, new TextDecoder().decode(data));
      if (pane === this.current) this.drawTrials();
    } catch (error) {
      over.abort();
      if (!isGone && !stop.signal.aborted && (await pane.broken(id, stop.signal, body))) isGone = true;
      else if (!stop.signal.aborted) pane.fail(message(error), body);
      this.markResults();
      if (!isGone) this.shown = ""; // no answer came: the request goes on, and is shown again when the feed is back
    }
    if (this.reading === stop) {
      this.setBusy(null);
      this.right.style.minHeight = "";
    }
  }

  /** Mark the fields that an endpoint refused; the focus goes to the first, unless the user is elsewhere by now. */
  markRefused(/** @type {Trial} */ { path }, /** @type {string} */ answer) {
    if (path !== this.path || !this.form) return;
    const first = markRefused({ form: this.form, query: this.query }, answer);
    const active = document.activeElement;
    if (first && (!active || active === document.body || this.root.contains(active))) first.focus();
    first?.scrollIntoView?.({ block: "nearest" });
  }

  /** A call of this card that was made before the page was opened: its answer is held. */
  async adopt() {
    if (this.shown || this.running || this.host.kind === "saved" || this.host.store.view.link !== "live") return;
    const mine = this.host.store.view.requests.filter((one) => one.alias === this.alias && one.origin === "panel");
    const latest =
      mine.find((one) => one.state !== "done") ??
      mine.find((one) => this.host.store.view.time - one.began - one.total_ms < RECENT);
    if (!latest) return;
    this.shown = latest.id;
    this.setBusy("…");
    /** @type {Input | string} */
    let input = "";
    try {
      input = await this.inputOf(await askJson(this.host, "GET", `requests/${latest.id}`, { signal: this.signal }));
    } catch {
      // its answer says what became of it
    }
    if (typeof input !== "string" && !this.touched) {
      this.fill(input);
      if (input.missing?.length) setText(this.hint, nextWords(input.missing));
    }
    const followed = this.follow(
      latest.id,
      this.begin(
        typeof input === "string" ? { path: pathText(latest.path), value: {}, query: {}, unknown: true } : input,
        Math.max(0, this.host.store.view.time - latest.began),
      ),
    );
    if (latest.state === "done") return;
    const note = `A call that began ${ago(this.host.store.view.time - latest.began)} is still running: its answer comes here.`;
    setText(this.hint, note);
    await followed;
    if (this.hint.textContent === note) setText(this.hint, "");
  }

  /** The newest result as the notebook has it, and what it was made with. */
  drawSaved() {
    const last = this.host.picture?.last;
    const again = h("p", { class: "fj-empty" }, "Run the cell again to try the app here.");
    for (const one of [this.head, this.reset, this.run.parentElement]) if (one) one.hidden = true;
    if (!last) return replace(this.fields, again);
    this.left.classList.add("fj-pane");
    replace(
      this.fields,
      h("strong", null, "Input"),
      Object.entries(queryValues(last.query ?? "")).map(([name, value]) =>
        h("div", { class: "fj-mono" }, plainText(`${name} = ${value}`)),
      ),
      last.input?.size ? keptBodyView(last.input, this.signal) : null,
      last.input?.size || last.query ? null : h("p", { class: "fj-muted" }, "no input"),
      again,
    );
    const pane = trialPane(this.host, { path: last.request.path, value: null });
    pane.saved(
      last,
      this.host.picture?.outputs?.find((one) => one.id === last.request.id),
    );
    replace(this.right, pane.element);
  }

  look = () => {
    this.lastSeen = this.app() ?? this.lastSeen;
    this.drawRun();
    if (this.marked !== (this.app()?.serving ?? 0)) this.markResults();
    this.loadSchema();
    this.adopt();
  };

  /** What the caller of tryPanel gets. */
  handle() {
    return {
      call: (of = this.path) => {
        const endpoint = (this.app() ?? this.lastSeen)?.endpoints.find((one) => one.path === of);
        const made =
          of === this.path ? { takes: this.takes, form: this.form, query: this.query } : this.draft.forms.get(of);
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
      edit: (/** @type {string} */ id, /** @type {any} */ seed) => void this.edit(id, seed),
      hasForm: () => this.schema !== null,
    };
  }
}

/** What a call was made with, field by field. @param {Input} input @returns {Record<string, any>} */
function inputFields({ value, query }) {
  return {
    ...(value && typeof value === "object" && !Array.isArray(value) && !value.url ? value : { input: value }),
    ...query,
  };
}

/** What a form holds, as a text. @param {import("../form/form_endpoint.mjs").EndpointForm} made */
function heldBy({ form, query }) {
  return writtenJson([form.read(), query?.read() ?? null]);
}

/**
 * An input with the seed of its answer, where the endpoint takes one: -1 and none are often chance.
 * @param {Input} input
 * @param {any} schema of the app
 * @returns {Input}
 */
function withSeed(input, schema) {
  const { seed, value } = input;
  if (seed === undefined) return input;
  if (endpointSchema(schema, input.path).query.properties.seed) return { ...input, query: { ...input.query, seed } };
  const isModel = value && typeof value === "object" && !Array.isArray(value) && !value.url;
  return isModel ? { ...input, value: { ...value, seed } } : input;
}

/** A recorded form without its files, which are chosen again. @param {any} value */
function withoutFiles(value) {
  if (!fileOf(value)) return value;
  return isRecord(value) ? Object.fromEntries(Object.entries(value).filter(([, one]) => !fileOf(one))) : undefined;
}

/** The fields whose files or long texts are not kept, "" for a value that is one itself. @param {any} value @returns {string[]} */
function missingFiles(value) {
  if (value instanceof FileInput || (isRecord(value) && value.url instanceof FileInput && isFileRecord(value)))
    return [""];
  if (!isRecord(value)) return fileOf(value) ? [""] : [];
  return Object.entries(value)
    .filter(([, one]) => fileOf(one))
    .map(([name]) => name);
}

/**
 * What is to be done with a form that was filled.
 * @param {string[]} [missing] fields whose files are not kept
 * @param {string[]} [lost] values that the form cannot have
 */
function nextWords(missing = [], lost = []) {
  const names = missing.filter(Boolean).join(", ");
  const words = [
    lost.length ? `The endpoint has changed and does not take ${lost.join(", ")} any more.` : "",
    names ? `Not kept, to be chosen again: ${names}.` : missing.length ? "Its file is not kept: choose it again." : "",
  ].filter(Boolean);
  return words.length ? words.join(" ") : "Change it, then run.";
}

/** A query's text as the value that a form has of it. @param {any} schema @param {any} text */
function typedAs(schema, text) {
  if (typeof text !== "string" || !schema || schema.type === "string") return text;
  if (schema.type === "array") return [text];
  try {
    return parsedJson(text);
  } catch {
    return text;
  }
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}
