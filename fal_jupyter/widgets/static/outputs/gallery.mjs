// @ts-check
/**
 * The outputs of an app: what its calls gave in pictures, sounds, films and files, each with the input, seed and revision that
 * made it.
 */
import { button, h, scheduler, setText } from "../elements/dom.mjs";
import { ownerWords } from "../card/card_states.mjs";
import { bytes, clock, duration, plural } from "../text/format.mjs";
import { glyph } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { parsedJson, writtenJson } from "../text/exact_json.mjs";
import { displaysView, mediaGallery, mediaIn, savedMedia, shownKind } from "./media.mjs";
import { baseType, plainText } from "../text/plain.mjs";
import { withFilesNamed } from "../form/form_file.mjs";
import { queryValues } from "../inspector/recorded.mjs";
import { recordedValue } from "../inspector/recorded_input.mjs";
import { resultView } from "./result.mjs";

const AT_A_TIME = 12;
const ASKED_AT_ONCE = 4;
const SHOWN_INPUT = 120;

/** @typedef {import("../types.d.ts").RequestState} RequestState */
/** @typedef {import("../types.d.ts").RequestDetail} RequestDetail */

/** Whether a request may have given something to look at. @param {RequestState} request */
export function mayHaveOutput(request) {
  const type = baseType(request.content_type);
  return (
    request.state === "done" &&
    request.origin !== "load" && // hundreds of the same would crowd out what was made by hand
    request.status >= 200 &&
    request.status < 300 &&
    (type.endsWith("json") || type === "text/event-stream" || shownKind(type) !== "")
  );
}

/**
 * @param {import("../types.d.ts").Body | null} body
 * @returns {any} the value of a kept body of JSON, undefined where there is none
 */
export function keptValue(body) {
  if (!body || body.truncated || !body.text) return undefined;
  try {
    if (baseType(body.content_type) !== "text/event-stream") return parsedJson(body.text);
    const last =
      body.text
        .trimEnd()
        .split(/\r?\n\r?\n/)
        .at(-1) ?? "";
    return parsedJson(last.replace(/^data: ?/gm, "")); // the last event of a stream is its result
  } catch {
    return undefined;
  }
}

/** The inputs in a line: texts first, then the rest; files are named only. @param {any} input */
export function inputWords(input) {
  const named = withFilesNamed(input);
  if (named === null || typeof named !== "object") return named === undefined ? "" : plainText(String(named));
  const entries = Object.entries(named).filter(
    ([, one]) => one !== null && one !== "" && !(Array.isArray(one) && !one.length),
  );
  const rank = (/** @type {[string, any]} */ [name, one]) => (typeof one === "string" && one === input[name] ? 0 : 1);
  const words = entries
    .sort((one, two) => rank(one) - rank(two))
    .map(([name, one], at) => {
      const text =
        typeof one === "string"
          ? one
          : Array.isArray(one) && one.every((each) => typeof each === "string")
            ? one.join(", ")
            : writtenJson(one);
      return at === 0 && rank([name, one]) === 0 ? text : `${name} ${text}`;
    });
  return plainText(words.join(" · "));
}

/** The seed in a call's input or output, undefined where there is none. @param {any} value */
function seedOf(value) {
  const seed = value && typeof value === "object" ? value.seed : undefined;
  return seed === null || typeof seed === "object" ? undefined : seed;
}

/** An input without the seed that stands beside it already. @param {any} input @param {any} seed */
function withoutSeed(input, seed) {
  if (seed === undefined || seedOf(input) !== seed) return input;
  const { seed: _, ...rest } = input;
  return rest;
}

/**
 * What a call was made with in a line: its body, and what was asked in its address.
 * @param {RequestDetail} detail
 * @param {any} input the body's value, undefined where only its beginning is kept
 * @param {Record<string, any>} query
 * @param {any} seed that stands beside it
 */
function callWords({ input: body }, input, query, seed) {
  const words =
    input === undefined && body?.truncated ? `an input of ${bytes(body.size)}` : inputWords(withoutSeed(input, seed));
  const asked = Object.entries(query).filter(([name]) => name !== "seed");
  return plainText(
    [words, ...asked.map(([name, one]) => `${name} ${[one].flat().join(", ")}`)].filter(Boolean).join(" · "),
  );
}

/**
 * How many outputs are shown, and of how many answers, where not each of them has one; and how long they are there.
 * @param {number} outputs
 * @param {number} answers
 * @param {boolean} more are there, not shown
 * @param {import("../types.d.ts").KnownApp | undefined} app
 */
function outputsWords(outputs, answers, more, app) {
  if (!outputs) return "";
  if (!app || app.gone) return `the last ${plural(outputs, "output")} before ${ownerWords(app)} ended`;
  const kept = `kept until ${ownerWords(app)} ends`; // also while the app is stopped
  if (more) return `the last ${plural(outputs, "output")}, ${kept}`;
  const among = answers > outputs ? ` in the last ${answers} answers` : "";
  return `${plural(outputs, "output")}${among}, ${kept}`;
}

/** How many outputs were saved, and of how many. @param {number} saved @param {number} known 0 where they were not counted */
function savedWords(saved, known) {
  if (known > saved) return `${saved} of ${plural(known, "output")}, as saved`;
  return known ? `${plural(saved, "output")}, as saved` : `the last ${plural(saved, "output")}, as saved`;
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string}} options
 * @param {AbortSignal} signal
 */
export function galleryPanel(root, host, options, signal) {
  new GalleryPanel(root, host, options, signal);
}

class GalleryPanel {
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

    /** What each request gave: null where that is nothing to look at. @type {Map<string, HTMLElement | null>} */
    this.known = new Map();

    /** @type {Set<string>} */
    this.asking = new Set();
    this.most = AT_A_TIME;
    this.message = h("span", { class: "fj-muted", role: "status" });
    this.note = h("span", { class: "fj-muted", role: "status" });
    this.list = h("div", { class: "fj-outputs", role: "list", "aria-label": `outputs of ${this.alias}` });
    this.more = button("Show earlier ones", () => ((this.most += AT_A_TIME), look()), { hidden: true });
    this.empty = h("p", { class: "fj-empty" });
    this.ofLoad = h(
      "div",
      { class: "fj-bar-row fj-muted", hidden: true },
      "Calls of Load are not collected here: Requests has them.",
    );
    this.root.append(
      h("div", { class: "fj-bar-row" }, this.message, h("span", { class: "fj-space" }), this.note),
      this.ofLoad,
      this.list,
      this.empty,
      h("div", { class: "fj-bar-row" }, this.more),
    );

    const look = scheduler(this.root, this.signal, this.draw);
    this.signal.addEventListener("abort", this.host.store.watch(look));
    this.draw();
  }

  reuse(/** @type {string} */ id, /** @type {any} */ seed) {
    const taken = !this.root.dispatchEvent(
      new CustomEvent("fj-edit-request", {
        bubbles: true,
        composed: true,
        cancelable: true,
        detail: { alias: this.alias, id, ...(seed === undefined ? {} : { seed }) },
      }),
    );
    setText(this.note, taken ? "" : "Open the notebook of the app to edit this call.");
  }

  /** @param {RequestState} request @returns {Promise<HTMLElement | null>} */
  async read(request) {
    /** @type {RequestDetail} */
    const detail = await askJson(this.host, "GET", `requests/${request.id}`, { signal: this.signal });
    const input = recordedValue(detail.input)?.value;
    const query = queryValues(detail.query ?? "");
    const output = keptValue(detail.output);
    const type = baseType(request.content_type);
    let view = displaysView(detail.displays ?? []);
    if (shownKind(type)) view = (await this.wholeOutput(detail, type)) ?? view;
    else {
      const media = mediaIn(output);
      if (media.length) view = mediaGallery(media, this.host, this.signal);
    }
    if (!view) return null;
    const seed = seedOf(output) ?? seedOf(input) ?? seedOf(query);
    return outputCard(
      request,
      view,
      callWords(detail, input, query, seed),
      seed === undefined ? "" : String(seed),
      button([glyph("undo"), "Reuse"], () => this.reuse(request.id, seed), {
        title:
          seed === undefined ? "Fill the form of Try with this input" : "Fill the form of Try with this input and seed",
        "aria-label": `Reuse the input of ${request.path}, ${clock(request.began, false)}`,
      }),
    );
  }

  /** Small copies, as the notebook has them: of a saved card, and of an app that ended with its kernel. */
  drawSaved() {
    const outputs = this.host.picture?.outputs ?? [];
    setText(this.message, savedWords(outputs.length, this.host.picture?.output_count ?? 0));
    this.list.replaceChildren(
      ...outputs.map((one) => outputCard(one, savedMedia(one), plainText(one.input), one.seed)),
    );
    this.empty.hidden = true;
  }

  /**
   * A body that is a picture itself: all of it, while it is kept or held.
   * @param {RequestDetail} detail
   * @param {string} type
   */
  async wholeOutput(detail, type) {
    const body = detail.output;
    if (body?.base64 && !body.truncated)
      return resultView(
        Uint8Array.from(atob(body.base64), (c) => c.charCodeAt(0)),
        type,
        this.signal,
        this.host,
      );
    if (!detail.buffered) return null;
    const answer = await this.host.ask("GET", `requests/${detail.request.id}/answer`, { signal: this.signal });
    return answer.status === 200 ? resultView(await answer.bytes(), type, this.signal, this.host) : null;
  }

  draw = () => {
    const requests = this.host.store.view.requests.filter((one) => one.alias === this.alias);
    const candidates = requests.filter(mayHaveOutput);
    this.ofLoad.hidden = !requests.some((one) => one.origin === "load");
    const readable = candidates.filter((one) => this.known.get(one.id));
    if (!readable.length && this.host.picture?.outputs?.length) return this.drawSaved();
    const shown = readable.slice(0, this.most);
    const wanted = /** @type {HTMLElement[]} */ (shown.map((one) => this.known.get(one.id)));
    if (wanted.length !== this.list.children.length || wanted.some((one, at) => this.list.children[at] !== one)) {
      for (const one of [...this.list.children]) if (!wanted.includes(/** @type {HTMLElement} */ (one))) one.remove();
      for (const [at, one] of wanted.entries())
        if (this.list.children[at] !== one) this.list.insertBefore(one, this.list.children[at] ?? null);
    }
    const unread = candidates.filter((one) => !this.known.has(one.id));
    this.more.hidden = !(readable.length > this.most || (unread.length && readable.length >= this.most));
    this.empty.hidden = shown.length > 0;
    const app = /** @type {import("../types.d.ts").KnownApp | undefined} */ (
      this.host.store.view.apps.find((one) => one.alias === this.alias)
    );
    setText(this.message, outputsWords(shown.length, candidates.length, !this.more.hidden, app));
    const gone = !app || app.gone;
    setText(
      this.empty,
      this.host.kind === "saved"
        ? "No output was saved. Outputs of new calls come here when the cell has run."
        : gone
          ? "What the calls gave ended with the kernel. Outputs of new calls come here when the app's cell has run."
          : unread.length
            ? "Looking at what the calls gave …"
            : app.state === "Stopped"
              ? "No call gave a picture, a sound, a film or a file. Start the app and run one in Try."
              : "Pictures, sounds, films and files that calls give are collected here. Run one in Try.",
    );
    if (this.host.kind === "saved" || gone || this.host.store.view.link !== "live") return;
    for (const request of unread.slice(0, this.most * 4)) {
      if (this.asking.size >= ASKED_AT_ONCE || readable.length + this.asking.size >= this.most) break;
      if (!this.asking.has(request.id)) this.ask(request);
    }
  };

  async ask(/** @type {RequestState} */ request) {
    this.asking.add(request.id);
    let card = null;
    try {
      card = await this.read(request);
    } catch {
      card = null; // not kept any more
    }
    this.asking.delete(request.id);
    this.known.set(request.id, card);
    if (!this.signal.aborted) this.draw();
  }
}

/**
 * One output with what made it.
 * @param {{id: string, began: number, total_ms: number, revision: number}} request @param {HTMLElement} view @param
 *   {string} words @param {string} seed @param {HTMLElement} [action]
 */
function outputCard(request, view, words, seed, action) {
  const cut = words.length > SHOWN_INPUT ? `${words.slice(0, SHOWN_INPUT)}…` : words;
  const chips = [seed ? `seed ${plainText(seed.slice(0, 40))}` : "", request.revision ? `r${request.revision}` : ""];
  return h(
    "article",
    { class: "fj-output-card", role: "listitem", dataset: { request: request.id } },
    view,
    h(
      "div",
      { class: "fj-output-words", title: words.slice(0, 2000) },
      cut || h("span", { class: "fj-muted" }, "no input"),
    ),
    h(
      "div",
      { class: "fj-output-foot" },
      h(
        "div",
        { class: "fj-bar-row fj-output-facts" },
        chips.filter(Boolean).map((one) => h("span", { class: "fj-chip fj-muted" }, one)),
        h(
          "span",
          { class: "fj-muted" },
          `began ${clock(request.began, false)} · ${duration(request.total_ms).replaceAll(" ", "\u00a0")}`,
        ),
      ),
      action ?? null,
    ),
  );
}
