// @ts-check
/**
 * One result of the Try tab: its header while it runs and after, the answer as it comes, what it printed, and how its
 * input differs from another's.
 */
import { addWhatItDid, brokenAnswer, cancelledNote, completeAnswer } from "../outputs/answer.mjs";
import { h, replace, setText } from "../elements/dom.mjs";
import { bytes, clock, duration, pathText, runnerName } from "../text/format.mjs";
import { isFileRecord, withFilesNamed } from "../form/form_file.mjs";
import { stateMark } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { parsedJson, writtenJson } from "../text/exact_json.mjs";
import { savedMedia } from "../outputs/media.mjs";
import { hasFailed, phaseBar, phaseParts, phaseTable, wasCancelled } from "../elements/phases.mjs";
import { baseType, plainText, textView } from "../text/plain.mjs";
import { isSameFile } from "./same_file.mjs";
import { copyButton, keptBodyView, resultView } from "../outputs/result.mjs";
import { isEventStream, streamView } from "../outputs/stream_view.mjs";

const MOST_JSON = 100000; // characters of an answer that is searched for its seed
const GROWING = 20000; // characters of a text that is shown while it comes
const SHOWN_DIFFERENCES = 6;
const SHORT = 28;
const LONG_NAME = 200;

/** @param {any} value @returns {string} */
function briefly(value) {
  if (value === undefined) return "–";
  const named = withFilesNamed(value);
  const text = typeof named === "string" ? named : writtenJson(named);
  return plainText(text.length > SHORT && named === value ? `${text.slice(0, SHORT)}…` : text.slice(0, LONG_NAME));
}

/** Whether a value has fields of its own to be told by. @param {any} value */
function isModel(value) {
  return Boolean(value) && typeof value === "object" && !Array.isArray(value) && !isFileRecord(value);
}

/** The steps from a value to those within it, null where it is one value. @param {any} one @param {any} two */
function steps(one, two) {
  if (isModel(one) && isModel(two)) return [...new Set([...Object.keys(one), ...Object.keys(two)])];
  const areItems = Array.isArray(one) && Array.isArray(two) && one.length === two.length;
  return areItems && one.every((item, at) => isModel(item) && isModel(two[at])) ? [...one.keys()] : null;
}

/**
 * The fields that differ between the inputs of two calls, the innermost ones, with both values in short.
 * @param {Record<string, any>} before
 * @param {Record<string, any>} now
 * @param {import("./same_file.mjs").SameFile} [same]
 * @returns {[string, string, string][]}
 */
function changedFields(before, now, same = isSameFile) {
  const plain = (/** @type {any} */ value) => (isModel(value) ? value : { input: value });
  return changedWithin("", plain(before), plain(now), same);
}

/**
 * @param {string} path @param {any} one @param {any} two @param {import("./same_file.mjs").SameFile} same
 * @returns {[string, string, string][]}
 */
function changedWithin(path, one, two, same) {
  if (one === two || writtenJson(one) === writtenJson(two) || same(one, two)) return [];
  const within = steps(one, two);
  if (!within) return [[path, briefly(one), briefly(two)]];
  return within.flatMap((step) => {
    const place = typeof step === "number" ? `${path}[${step}]` : path ? `${path}.${step}` : step;
    return changedWithin(place, one[step], two[step], same);
  });
}

/**
 * What differs between the inputs of two calls, one short text a field.
 * @param {Record<string, any>} before
 * @param {Record<string, any>} now
 * @param {import("./same_file.mjs").SameFile} [same]
 */
export function inputDifferences(before, now, same) {
  return changedFields(before, now, same).map(([name, one, two]) => `${name} ${one} → ${two}`);
}

/**
 * Whether two calls are of one endpoint: the path of one that was taken up is filled.
 * @param {{path: string}} one
 * @param {{path: string}} other
 */
export function areOfOneEndpoint(one, other) {
  return isPathOf(one.path, other.path) || isPathOf(other.path, one.path);
}

/** Whether a path is one of an endpoint's: `/job/3` of `/job/{n}`. @param {string} path @param {string} endpoint */
function isPathOf(path, endpoint) {
  if (path === endpoint) return true;
  const parts = endpoint.split(/{\w+(?::\w+)?}/).map((part) => part.replace(/[.*+?^$()|[\]\\]/g, "\\$&"));
  return parts.length > 1 && new RegExp(`^${parts.join(".+")}$`).test(path);
}

/**
 * What a result belongs to, in sentences, where that is not what the form holds now.
 * @param {{path: string, value: Record<string, any> | null, revision: number}} result `value` is null where it is not
 *   known
 * @param {{path: string, value: Record<string, any>} | null} now what the form holds
 * @param {number} serving the revision that answers now, 0 for none
 * @param {number} [since] the first revision with its code: restarts and starts by hand only add a number
 * @param {import("./same_file.mjs").SameFile} [same]
 * @returns {string[]}
 */
export function belongsTo({ path, value, revision }, now, serving, since = serving, same = isSameFile) {
  const sentences = [];
  if (now && !isPathOf(path, now.path)) sentences.push(`This is a result of ${path}.`);
  const isSameCode = revision >= since && revision <= serving;
  if (revision && serving && !isSameCode) sentences.push(`r${revision} gave it; r${serving} serves now.`);
  const differences = now && value && path === now.path ? inputDifferences(value, now.value, same) : [];
  if (differences.length) sentences.push(`The form has changed: ${listed(differences)}.`);
  return sentences;
}

/**
 * The seed of a call: that in its answer, else the one that it was given; "" where there is none.
 * @param {Uint8Array} data @param {string} type @param {any} value what the call was made with, null where not known
 */
export function usedSeed(data, type, value) {
  const isSeed = (/** @type {any} */ seed) => typeof seed === "number" || typeof seed === "bigint";
  const given = isSeed(value?.seed) && value.seed >= 0 ? String(value.seed) : ""; // -1 is often chance
  if (!/\bjson$/.test(baseType(type)) || data.length > MOST_JSON) return given;
  try {
    const seed = parsedJson(new TextDecoder().decode(data))?.seed;
    return isSeed(seed) ? String(seed) : given;
  } catch {
    return given; // it broke off
  }
}

/** What a call was made with, and the seed that its answer has where it was left to chance. @param {{value: any, seed: string}} trial */
function valueWithSeed({ value, seed }) {
  const isChance = value && (value.seed === undefined || value.seed === null || value.seed === -1);
  return seed && isChance ? { ...value, seed: parsedJson(seed) } : value;
}

/** @param {string[]} differences */
function listed(differences) {
  const more = differences.length - SHOWN_DIFFERENCES;
  return [...differences.slice(0, SHOWN_DIFFERENCES), ...(more > 0 ? [`${more} more`] : [])].join(" · ");
}

/**
 * @param {import("../types.d.ts").Host} host
 * @param {{path: string, value: any, streamOf?: string}} call `value` is null where it is not known; `streamOf`: as in `streamView`
 * @param {import("./same_file.mjs").SameFile} [same]
 */
export function trialPane(host, call, same = isSameFile) {
  return new TrialPane(host, call, same);
}

class TrialPane {
  /**
   * @param {import("../types.d.ts").Host} host
   * @param {{path: string, value: any, streamOf?: string}} call `value` is null where it is not known; `streamOf`: as in `streamView`
   * @param {import("./same_file.mjs").SameFile} same
   */
  constructor(host, { path, value, streamOf = "" }, same) {
    this.host = host;
    this.streamOf = streamOf;
    this.same = same;
    this.path = path;
    this.value = value;
    this.title = h("div", { class: "fj-bar-row fj-trial-title" }, h("strong", null, "Result"));
    this.tools = h("span", { class: "fj-trial-tools" });
    this.changes = h("div", { class: "fj-muted fj-trial-changes", hidden: true });
    this.note = h("div", { class: "fj-trial-note", role: "note", hidden: true });
    this.answer = h("div", { class: "fj-answer" });
    this.line = h("div", { class: "fj-call-line" });
    this.element = h(
      "section",
      { class: "fj-trial", "aria-label": "Result" },
      this.title,
      this.changes,
      this.note,
      this.answer,
      this.line,
    );

    /** @type {{revision: number} | null} what is known of the call that is over */
    this.over = null;

    /** @type {ReturnType<typeof streamView> | null} */
    this.live = null;
    this.id = ""; // of its request
    this.seed = ""; // that it was made with, as far as that is known
    this.succeeded = false;
  }

  put = (/** @type {any[]} */ ...nodes) => {
    return replace(this.answer, nodes);
  };

  /** @param {import("../types.d.ts").RequestState} request */
  showLine(request) {
    const look = hasFailed(request) ? "failed" : wasCancelled(request) ? "cancelled" : "done";
    this.over = request;
    const type = baseType(request.content_type);
    const runner = request.runner ? `runner ${runnerName(request.runner)}` : "no runner had it";
    const where = [runner, type ? `${type} ${bytes(request.bytes_out)}` : ""].filter(Boolean);
    const summary = h(
      "summary",
      null,
      stateMark(
        look,
        look === "cancelled" ? `cancelled after ${duration(request.total_ms)}` : duration(request.total_ms),
      ),
      h("span", { class: "fj-line-bar" }, phaseBar(request, Date.now())),
      phaseParts(request).map((words) => h("span", { class: "fj-line-part" }, words)),
      where.map((words) => h("span", { class: "fj-muted fj-line-part" }, words)),
    );
    replace(this.line, h("details", null, summary, phaseTable(request, Date.now())));
  }

  /** Endpoint and revision. @param {import("../types.d.ts").RequestState} request */
  whose(request) {
    return [
      h("span", { class: "fj-mono fj-muted fj-cut" }, plainText(pathText(request.path))),
      request.revision ? h("span", { class: "fj-muted" }, `r${request.revision}`) : null,
    ];
  }

  /** @param {{head: HTMLElement, body: HTMLElement}} view of a running call */
  running(view) {
    replace(this.title, view.head);
    this.put();
    this.element.insertBefore(view.body, this.answer);
  }

  /**
   * A result as it was saved: the beginnings of its bodies, and the thumbnails that were made of it.
   * @param {import("../types.d.ts").RequestDetail} detail @param {import("../types.d.ts").SavedOutput | undefined}
   *   output
   */
  saved(detail, output) {
    const { request } = detail;
    const stop = new AbortController().signal;
    replace(
      this.title,
      h("strong", null, "Result"),
      h(
        "span",
        { class: "fj-muted", title: "when the answer was complete" },
        `ended ${clock(request.began + request.total_ms, false)}, as saved`,
      ),
      this.whose(request),
    );
    this.showLine(request);
    this.put(
      h(
        "div",
        null,
        output ? savedMedia(output) : null,
        output && detail.output?.text
          ? textView(detail.output.text)
          : detail.output
            ? keptBodyView(detail.output, stop)
            : h("p", { class: "fj-muted" }, "The answer was not saved."),
      ),
    );
    completeAnswer(this.answer, wasCancelled(request) ? { ...detail, error: null } : detail, this.host);
  }

  /** What had come of an answer and is shown, of a stream its events. */
  come() {
    const events = this.live?.events ?? 0;
    return { nodes: this.live && !events ? [] : [...this.answer.childNodes], events };
  }

  /** The call never became a result, or its answer has no end that is known. @param {string} sentence @param {HTMLElement} [running] */
  fail(sentence, running) {
    running?.remove();
    this.over = { revision: 0 };
    replace(
      this.title,
      h("strong", null, "Result"),
      h("span", { class: "fj-mono fj-muted fj-cut" }, plainText(this.path)),
      h("span", { class: "fj-space" }),
      this.tools,
    );
    this.put(h("div", { class: "fj-banner fj-bad", role: "alert" }, sentence), this.come().nodes);
  }

  /**
   * The answer broke off: say why, where that is known.
   * @param {string} id
   * @param {AbortSignal} stop
   * @param {HTMLElement} [running]
   * @returns {Promise<boolean>}
   */
  async broken(id, stop, running) {
    const detail = await askJson(this.host, "GET", `requests/${id}`, { signal: stop }).catch(() => null);
    const view = detail && brokenAnswer(detail, this.host, stop, this.come());
    if (!view) return false;
    running?.remove();
    const cancelled = wasCancelled(detail.request);
    const at = clock(detail.request.began + detail.request.total_ms, false);
    replace(
      this.title,
      h("strong", null, "Result"),
      cancelled
        ? [h("span", { class: "fj-chip" }, "cancelled"), h("span", { class: "fj-muted" }, `ended ${at}`)]
        : h("span", { class: "fj-muted", title: "when it broke off" }, `broke off ${at}`),
      this.whose(detail.request),
      h("span", { class: "fj-space" }),
      this.tools,
    );
    this.showLine(detail.request);
    this.put(view);
    addWhatItDid(this.answer, detail);
    this.live?.finish(detail.request);
    return true;
  }

  /**
   * Show the body as it comes.
   * @param {import("../types.d.ts").Answered} answer @param {string} type @param {AbortSignal} stop
   * @param {() => void} [begins] is called with its first piece
   * @returns {Promise<Uint8Array>}
   */
  async body(answer, type, stop, begins) {
    /** @type {Uint8Array[]} */
    const pieces = [];
    this.live = isEventStream(type) ? streamView(type, this.host, stop, this.streamOf) : null;
    let text = "";
    const decoder = new TextDecoder();
    const growing = /^(text\/|application\/(x-)?ndjson)/.test(type) && !this.live;
    if (this.live) this.put(this.live.element);
    try {
      for await (const piece of answer.chunks()) {
        if (!pieces.length) begins?.();
        pieces.push(piece);
        this.live?.push(piece);
        if (growing && text.length < GROWING) this.put(textView((text += decoder.decode(piece, { stream: true }))));
      }
    } finally {
      this.live?.end(); // what came stays, also where it broke off
    }
    const data = new Uint8Array(await new Blob(/** @type {any} */ (pieces)).arrayBuffer());
    if (!this.live) this.put(resultView(data, type, stop, this.host));
    return data;
  }

  /**
   * The call is over: its own header takes the place of the running one.
   * @param {import("../types.d.ts").RequestDetail} detail @param {Uint8Array} data @param {HTMLElement} [running]
   */
  end(detail, data, running) {
    running?.remove();
    const { request } = detail;
    this.succeeded = !hasFailed(request) && !wasCancelled(request);
    const seed = (this.seed = usedSeed(data, request.content_type, this.value));
    const chip = wasCancelled(request)
      ? h("span", { class: "fj-chip" }, "cancelled")
      : request.status >= 400
        ? h("span", { class: "fj-chip fj-failed" }, `status ${request.status}`)
        : null;
    replace(
      this.title,
      h("strong", null, "Result"),
      chip,
      h(
        "span",
        { class: "fj-muted", title: "when the answer was complete" },
        `ended ${clock(request.began + request.total_ms, false)}`,
      ),
      this.whose(request),
      seed ? h("span", { class: "fj-muted fj-cut", title: "the seed that was used" }, `seed ${seed}`) : null,
      h("span", { class: "fj-space" }),
      copyButton(this.host, () => new TextDecoder().decode(data)),
      this.tools,
    );
    this.showLine(request);
    if (wasCancelled(request))
      this.put(cancelledNote(this.live?.events ?? 0), this.live?.events ? this.live.element : null);
    completeAnswer(this.answer, wasCancelled(request) ? { ...detail, error: null } : detail, this.host);
    this.live?.finish(request);
  }

  /**
   * Say what it belongs to, and mark it, where the form holds something else or another revision serves.
   * @param {{path: string, value: Record<string, any>} | null} now
   * @param {number} serving
   * @param {number} [since] the first revision with the code of that one
   */
  mark(now, serving, since) {
    const sentences = this.over
      ? belongsTo({ path: this.path, value: this.value, revision: this.over.revision }, now, serving, since, this.same)
      : [];
    this.note.hidden = !sentences.length;
    setText(this.note, sentences.join(" "));
    this.element.classList.toggle("fj-stale", sentences.length > 0);
  }

  /** The revision that answered, 0 where none did. */
  revision = () => this.over?.revision ?? 0;

  /**
   * What this result is beside a newer one: its revision and what it was made with, as far as that differs.
   * @param {{value: any, seed: string, revision: () => number}} newer
   */
  formerWords(newer) {
    const isKnown = newer.value && this.value;
    const changed = isKnown ? changedFields(valueWithSeed(this), valueWithSeed(newer), this.same) : [];
    const of = this.revision() && newer.revision() !== this.revision() ? ` (r${this.revision()})` : "";
    return changed.length
      ? `before${of}: ${listed(changed.map(([name, one]) => `${name} ${one}`))}`
      : `the result before${of}`;
  }

  /**
   * Say how this call differs from another, or what this result is.
   * @param {{path: string, value: any, seed: string, revision: () => number} | string | null} other
   */
  compare(other) {
    this.changes.hidden = !other;
    if (!other) return;
    if (typeof other === "string") return setText(this.changes, other);
    const revisions =
      other.revision() && this.over?.revision && other.revision() !== this.over.revision
        ? [`r${other.revision()} → r${this.over.revision}`]
        : [];
    const differences = [
      ...(areOfOneEndpoint(other, this) ? [] : [`${other.path} → ${this.path}`]),
      ...revisions,
      ...(other.value && this.value ? inputDifferences(valueWithSeed(other), valueWithSeed(this), this.same) : []),
    ];
    setText(
      this.changes,
      differences.length
        ? listed(differences)
        : other.value && this.value
          ? "the same input"
          : "its input is not known",
    );
  }
}
