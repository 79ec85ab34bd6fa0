// @ts-check
/** One result of the Try tab: its header while it runs and after, the answer as it comes, what it printed, and how its input differs from another's. */
import { brokenAnswer, completeAnswer } from "./answer.mjs";
import { h, replace, setText } from "./dom.mjs";
import { bytes, clock, duration, pathText } from "./format.mjs";
import { stateMark } from "./glyphs.mjs";
import { askJson } from "./host.mjs";
import { hasFailed, phaseBar, phaseTable, phaseWords, wasCancelled } from "./phases.mjs";
import { savedMedia } from "./media.mjs";
import { textView } from "./plain.mjs";
import { copyButton, keptBodyView, resultView } from "./result.mjs";
import { isEventStream, streamView } from "./stream_view.mjs";

const GROWING = 20000; // characters of a text that is shown while it comes
const SHOWN_DIFFERENCES = 6;
const SHORT = 28;

/** @param {any} value @returns {string} */
function briefly(value) {
  if (value === undefined) return "–";
  if (typeof value === "string" && value.startsWith("data:")) return `a file of ${bytes(Math.round(value.length * 0.75))}`;
  if (value && typeof value === "object" && typeof value.url === "string") return value.file_name ?? briefly(value.url);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > SHORT ? `${text.slice(0, SHORT)}…` : text;
}

/**
 * What differs between the inputs of two calls, one short text a field.
 * @param {Record<string, any>} before
 * @param {Record<string, any>} now
 */
export function inputDifferences(before, now) {
  const plain = (/** @type {any} */ value) => (value && typeof value === "object" && !Array.isArray(value) && !value.url ? value : { input: value });
  const [one, two] = [plain(before), plain(now)];
  return [...new Set([...Object.keys(one), ...Object.keys(two)])].filter((name) => JSON.stringify(one[name]) !== JSON.stringify(two[name]))
    .map((name) => `${name} ${briefly(one[name])} → ${briefly(two[name])}`);
}

/**
 * @param {import("./types.d.ts").Host} host
 * @param {{path: string, value: any}} call
 */
export function trialPane(host, { path, value }) {
  const title = h("div", { class: "fj-bar-row fj-trial-title" }, h("strong", null, "Result"));
  const tools = h("span", { class: "fj-trial-tools" });
  const changes = h("div", { class: "fj-muted fj-trial-changes", hidden: true });
  const answer = h("div", { class: "fj-answer" });
  const line = h("div", { class: "fj-call-line" });
  const element = h("section", { class: "fj-trial", "aria-label": "Result" }, title, changes, answer, line);
  /** @type {ReturnType<typeof streamView> | null} */
  let live = null;
  const put = (/** @type {any[]} */ ...nodes) => replace(answer, nodes);

  /** @param {import("./types.d.ts").RequestState} request */
  const showLine = (request) => {
    const look = hasFailed(request) ? "failed" : wasCancelled(request) ? "cancelled" : "done";
    const where = [request.runner, request.revision ? `r${request.revision}` : "no runner had it"].filter(Boolean).map((word) => ` · ${word}`).join("");
    const summary = h("summary", null, stateMark(look, look === "cancelled" ? `cancelled after ${duration(request.total_ms)}` : duration(request.total_ms)), " ", h("span", { class: "fj-mono" }, request.path), " ",
      h("span", { class: "fj-line-bar" }, phaseBar(request, Date.now())), " ", h("span", null, phaseWords(request)), h("span", { class: "fj-muted fj-second" }, where));
    replace(line, h("details", null, summary, phaseTable(request, Date.now())));
  };

  return {
    element, tools, path, value,
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
     * @param {import("./types.d.ts").RequestDetail} detail @param {import("./types.d.ts").SavedOutput | undefined} output
     */
    saved(detail, output) {
      const { request } = detail;
      const stop = new AbortController().signal;
      replace(title, h("strong", null, "Result"), h("span", { class: "fj-muted", title: "when the answer was complete" }, `${clock(request.began + request.total_ms, false)}, as saved`), h("span", { class: "fj-mono fj-muted fj-second" }, pathText(request.path)));
      showLine(request);
      put(h("div", null, output ? savedMedia(output) : null, output && detail.output?.text ? textView(detail.output.text) : detail.output ? keptBodyView(detail.output, stop) : h("p", { class: "fj-muted" }, "The answer was not saved.")));
      completeAnswer(answer, wasCancelled(request) ? { ...detail, error: null } : detail);
    },
    /** The call never became a result. @param {string} sentence @param {HTMLElement} [running] */
    fail(sentence, running) {
      running?.remove();
      replace(title, h("strong", null, "Result"), h("span", { class: "fj-space" }), tools);
      put(h("div", { class: "fj-banner fj-bad", role: "alert" }, sentence));
    },
    /** The answer broke off: say why, where that is known. @param {string} id @param {AbortSignal} stop @param {HTMLElement} [running] @returns {Promise<boolean>} */
    async broken(id, stop, running) {
      const detail = await askJson(host, "GET", `requests/${id}`, { signal: stop }).catch(() => null);
      const view = detail && brokenAnswer(detail, host, stop);
      if (!view) return false;
      running?.remove();
      replace(title, h("strong", null, "Result"), h("span", { class: "fj-space" }), tools);
      showLine(detail.request);
      put(view);
      return true;
    },
    /**
     * Show the body as it comes.
     * @param {import("./types.d.ts").Answered} found @param {string} type @param {AbortSignal} stop
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
     * @param {import("./types.d.ts").RequestDetail} detail @param {Uint8Array} data @param {string} type @param {HTMLElement} [running]
     */
    end(detail, data, type, running) {
      running?.remove();
      this.done = true;
      const { request } = detail;
      const chip = wasCancelled(request) ? h("span", { class: "fj-chip" }, "cancelled") : request.status >= 400 ? h("span", { class: "fj-chip fj-failed" }, `status ${request.status}`) : null;
      replace(title, h("strong", null, "Result"), chip, h("span", { class: "fj-muted", title: "when the answer was complete" }, clock(request.began + request.total_ms, false)),
        h("span", { class: "fj-mono fj-muted fj-second" }, request.path), h("span", { class: "fj-space" }), tools, h("span", { class: "fj-chip fj-muted fj-size" }, `${type.split(";")[0] || "no type"} · ${bytes(data.length)}`),
        copyButton(host, () => new TextDecoder().decode(data)));
      showLine(request);
      if (wasCancelled(request)) put(h("p", { class: "fj-muted" }, "The call was cancelled. Nothing it did before is undone."));
      completeAnswer(answer, wasCancelled(request) ? { ...detail, error: null } : detail);
      live?.finish(request);
    },
    /** Say how this call's input differs from another's, or what this result is. @param {{path: string, value: any} | string | null} other */
    compare(other) {
      changes.hidden = !other;
      if (!other) return;
      if (typeof other === "string") return setText(changes, other);
      const found = [...(other.path === path ? [] : [`${other.path} → ${path}`]), ...inputDifferences(other.value, value)];
      setText(changes, found.length ? `${found.slice(0, SHOWN_DIFFERENCES).join(" · ")}${found.length > SHOWN_DIFFERENCES ? ` · ${found.length - SHOWN_DIFFERENCES} more` : ""}` : "the same input");
    },
  };
}
