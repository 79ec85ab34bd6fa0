// @ts-check
/**
 * One result of the Try tab: its header while it runs and after, the answer as it comes, what it printed, and how its
 * input differs from another's.
 */
import { brokenAnswer, completeAnswer } from "../outputs/answer.mjs";
import { h, replace, setText } from "../elements/dom.mjs";
import { bytes, clock, duration, pathText } from "../text/format.mjs";
import { withFilesNamed } from "../form/form_file.mjs";
import { stateMark } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { writtenJson } from "../elements/json_view.mjs";
import { savedMedia } from "../outputs/media.mjs";
import { hasFailed, phaseBar, phaseParts, phaseTable, wasCancelled } from "../elements/phases.mjs";
import { baseType, plainText, textView } from "../text/plain.mjs";
import { copyButton, keptBodyView, resultView } from "../outputs/result.mjs";
import { isEventStream, streamView } from "../outputs/stream_view.mjs";

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

/**
 * What differs between the inputs of two calls, one short text a field.
 * @param {Record<string, any>} before
 * @param {Record<string, any>} now
 */
export function inputDifferences(before, now) {
  const plain = (/** @type {any} */ value) =>
    value && typeof value === "object" && !Array.isArray(value) && !value.url ? value : { input: value };
  const [one, two] = [plain(before), plain(now)];
  return [...new Set([...Object.keys(one), ...Object.keys(two)])]
    .filter((name) => one[name] !== two[name] && JSON.stringify(one[name]) !== JSON.stringify(two[name]))
    .map((name) => `${name} ${briefly(one[name])} → ${briefly(two[name])}`);
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
 * @returns {string[]}
 */
export function belongsTo({ path, value, revision }, now, serving) {
  const said = [];
  if (now && !isPathOf(path, now.path)) said.push(`This is a result of ${path}.`);
  if (revision && serving && revision !== serving) said.push(`r${revision} gave it; r${serving} serves now.`);
  const found = now && value && path === now.path ? inputDifferences(value, now.value) : [];
  if (found.length) said.push(`The form has changed: ${listed(found)}.`);
  return said;
}

/** @param {string[]} differences */
function listed(differences) {
  return `${differences.slice(0, SHOWN_DIFFERENCES).join(" · ")}${differences.length > SHOWN_DIFFERENCES ? ` · ${differences.length - SHOWN_DIFFERENCES} more` : ""}`;
}

/**
 * @param {import("../types.d.ts").Host} host
 * @param {{path: string, value: any}} call `value` is null where it is not known
 */
export function trialPane(host, { path, value }) {
  const title = h("div", { class: "fj-bar-row fj-trial-title" }, h("strong", null, "Result"));
  const tools = h("span", { class: "fj-trial-tools" });
  const changes = h("div", { class: "fj-muted fj-trial-changes", hidden: true });
  const note = h("div", { class: "fj-trial-note", role: "note", hidden: true });
  const answer = h("div", { class: "fj-answer" });
  const line = h("div", { class: "fj-call-line" });
  const element = h("section", { class: "fj-trial", "aria-label": "Result" }, title, changes, note, answer, line);
  /** @type {{revision: number} | null} what is known of the call that is over */
  let over = null;
  /** @type {ReturnType<typeof streamView> | null} */
  let live = null;
  const put = (/** @type {any[]} */ ...nodes) => replace(answer, nodes);

  /** @param {import("../types.d.ts").RequestState} request */
  const showLine = (request) => {
    const look = hasFailed(request) ? "failed" : wasCancelled(request) ? "cancelled" : "done";
    over = request;
    const type = baseType(request.content_type);
    const where = [request.runner || "no runner had it", type ? `${type} ${bytes(request.bytes_out)}` : ""].filter(
      Boolean,
    );
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
    replace(line, h("details", null, summary, phaseTable(request, Date.now())));
  };

  /** Endpoint and revision. @param {import("../types.d.ts").RequestState} request */
  const whose = (request) => [
    h("span", { class: "fj-mono fj-muted fj-cut" }, plainText(pathText(request.path))),
    request.revision ? h("span", { class: "fj-muted" }, `r${request.revision}`) : null,
  ];

  return {
    element,
    tools,
    path,
    value,
    done: false,
    put,
    /** @param {{head: HTMLElement, body: HTMLElement}} view of a running call */
    running(view) {
      replace(title, view.head);
      put();
      element.insertBefore(view.body, answer);
    },
    /**
     * A result as it was saved: the beginnings of its bodies, and the thumbnails that were made of it.
     * @param {import("../types.d.ts").RequestDetail} detail @param {import("../types.d.ts").SavedOutput | undefined}
     *   output
     */
    saved(detail, output) {
      const { request } = detail;
      const stop = new AbortController().signal;
      replace(
        title,
        h("strong", null, "Result"),
        h(
          "span",
          { class: "fj-muted", title: "when the answer was complete" },
          `ended ${clock(request.began + request.total_ms, false)}, as saved`,
        ),
        whose(request),
      );
      showLine(request);
      put(
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
      completeAnswer(answer, wasCancelled(request) ? { ...detail, error: null } : detail);
    },
    /** The call never became a result. @param {string} sentence @param {HTMLElement} [running] */
    fail(sentence, running) {
      running?.remove();
      over = { revision: 0 };
      replace(
        title,
        h("strong", null, "Result"),
        h("span", { class: "fj-mono fj-muted fj-cut" }, plainText(path)),
        h("span", { class: "fj-space" }),
        tools,
      );
      put(h("div", { class: "fj-banner fj-bad", role: "alert" }, sentence));
    },
    /**
     * The answer broke off: say why, where that is known.
     * @param {string} id
     * @param {AbortSignal} stop
     * @param {HTMLElement} [running]
     * @returns {Promise<boolean>}
     */
    async broken(id, stop, running) {
      const detail = await askJson(host, "GET", `requests/${id}`, { signal: stop }).catch(() => null);
      const view = detail && brokenAnswer(detail, host, stop);
      if (!view) return false;
      running?.remove();
      replace(
        title,
        h("strong", null, "Result"),
        h(
          "span",
          { class: "fj-muted", title: "when it broke off" },
          `broke off ${clock(detail.request.began + detail.request.total_ms, false)}`,
        ),
        whose(detail.request),
        h("span", { class: "fj-space" }),
        tools,
      );
      showLine(detail.request);
      put(view);
      return true;
    },
    /**
     * Show the body as it comes.
     * @param {import("../types.d.ts").Answered} found @param {string} type @param {AbortSignal} stop
     * @returns {Promise<Uint8Array>}
     */
    async body(found, type, stop) {
      /** @type {Uint8Array[]} */
      const pieces = [];
      live = isEventStream(type) ? streamView(type, host, stop) : null;
      let text = "";
      const decoder = new TextDecoder();
      const growing = /^(text\/|application\/(x-)?ndjson)/.test(type) && !live;
      if (live) put(live.element);
      for await (const piece of found.chunks()) {
        pieces.push(piece);
        live?.push(piece);
        if (growing && text.length < GROWING) put(textView((text += decoder.decode(piece, { stream: true }))));
      }
      live?.end();
      const data = new Uint8Array(await new Blob(/** @type {any} */ (pieces)).arrayBuffer());
      if (!live) put(resultView(data, type, stop, host));
      return data;
    },
    /**
     * The call is over: its own header takes the place of the running one.
     * @param {import("../types.d.ts").RequestDetail} detail @param {Uint8Array} data @param {HTMLElement} [running]
     */
    end(detail, data, running) {
      running?.remove();
      this.done = true;
      const { request } = detail;
      const chip = wasCancelled(request)
        ? h("span", { class: "fj-chip" }, "cancelled")
        : request.status >= 400
          ? h("span", { class: "fj-chip fj-failed" }, `status ${request.status}`)
          : null;
      replace(
        title,
        h("strong", null, "Result"),
        chip,
        h(
          "span",
          { class: "fj-muted", title: "when the answer was complete" },
          `ended ${clock(request.began + request.total_ms, false)}`,
        ),
        whose(request),
        h("span", { class: "fj-space" }),
        copyButton(host, () => new TextDecoder().decode(data)),
        tools,
      );
      showLine(request);
      if (wasCancelled(request))
        put(h("p", { class: "fj-muted" }, "The call was cancelled. Nothing it did before is undone."));
      completeAnswer(answer, wasCancelled(request) ? { ...detail, error: null } : detail);
      live?.finish(request);
    },
    /**
     * Say what it belongs to, and grey it, where the form holds something else or another revision serves.
     * @param {{path: string, value: Record<string, any>} | null} now
     * @param {number} serving
     */
    mark(now, serving) {
      const said = over ? belongsTo({ path, value, revision: over.revision }, now, serving) : [];
      note.hidden = !said.length;
      setText(note, said.join(" "));
      element.classList.toggle("fj-stale", said.length > 0);
    },
    /** The revision that answered, 0 where none did. */
    revision: () => over?.revision ?? 0,
    /**
     * Say how this call differs from another, or what this result is.
     * @param {{path: string, value: any, revision: () => number} | string | null} other
     */
    compare(other) {
      changes.hidden = !other;
      if (!other) return;
      if (typeof other === "string") return setText(changes, other);
      const revisions =
        other.revision() && over?.revision && other.revision() !== over.revision
          ? [`r${other.revision()} → r${over.revision}`]
          : [];
      const found = [
        ...(other.path === path ? [] : [`${other.path} → ${path}`]),
        ...revisions,
        ...(other.value && value ? inputDifferences(other.value, value) : []),
      ];
      setText(
        changes,
        found.length ? listed(found) : other.value && value ? "the same input" : "its input is not known",
      );
    },
  };
}
