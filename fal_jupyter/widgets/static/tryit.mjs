// @ts-check
/** The Try tab: a form of what an endpoint takes, its answer as it comes, and a call that survives the page. */
import { button, h, newId, replace, setText } from "./dom.mjs";
import { errorView } from "./errors.mjs";
import { endpointSchema, objectForm, control } from "./form.mjs";
import { ago, bytes, clock, duration, plural } from "./format.mjs";
import { glyph, stateMark } from "./glyphs.mjs";
import { askJson } from "./host.mjs";
import { hasFailed, phaseBar, phaseTable, phaseWords, wasCancelled } from "./phases.mjs";
import { copyButton, plainText, resultView, streamView, textView } from "./result.mjs";

const RECENT = 10 * 60 * 1000;

/**
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {{alias: string}} options
 * @param {AbortSignal} signal
 * @returns {{call: () => {endpoint: string, path: string, value: any, method: string, query: Record<string, any>} | null}} what the form holds
 */
export function tryPanel(root, host, { alias }, signal) {
  const app = () => host.store.view.apps.find((one) => one.alias === alias);
  /** @type {any} */
  let schema = null;
  let schemaOf = 0;
  let asking = false;
  /** how the app stood when its schema could not be had: it is asked again when that changes */
  let refused = "";
  /** @type {import("./form.mjs").Control | null} */
  let form = null;
  /** @type {import("./form.mjs").Control | null} */
  let query = null;
  let method = "POST";
  let path = "";
  /** @type {string | null} */
  let running = null;
  let shown = "";
  /** @type {AbortController | null} the answer that is read now */
  let reading = null;

  const choose = h("select", { class: "fj-input", id: newId(), onchange: () => ((path = choose.value), drawForm()) });
  const fields = h("div", { class: "fj-fields" });
  const told = h("div", { class: "fj-hint", role: "status" });
  const run = button([glyph("play"), "Run"], () => start(), { class: "fj-button fj-primary fj-run-button", title: "Ctrl Enter" });
  const cancel = button("Cancel", () => running && host.ask("DELETE", `requests/${running}`).catch(() => undefined), { hidden: true });
  const reset = button("Reset", () => drawForm());
  const head = h("div", { class: "fj-form" }, h("label", { class: "fj-mono", htmlFor: choose.id }, "endpoint"), h("div", { class: "fj-field" }, choose));
  const left = h("div", {
    class: "fj-try-form", onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (event.preventDefault(), event.stopPropagation(), start());
    },
  }, head, fields, h("div", { class: "fj-bar-row" }, run, cancel, h("span", { class: "fj-muted fj-second" }, "Ctrl Enter"), h("span", { class: "fj-space" }), reset), h("div", { class: "fj-bar-row" }, told));
  const came = h("span", { class: "fj-muted", title: "when the answer was complete" });
  const title = h("div", { class: "fj-bar-row", style: { padding: "0 0 8px" } });
  const answer = h("div", { class: "fj-answer" });
  const line = h("div", { class: "fj-call-line" });
  const right = h("div", { class: "fj-pane", "aria-label": "Result" }, title, answer, line);
  root.append(h("div", { class: "fj-split" }, left, right));
  replace(title, h("strong", null, "Result"));
  replace(answer, h("p", { class: "fj-muted" }, "Run shows the answer here."));

  const drawForm = () => {
    const state = app();
    if (!schema || !state) return;
    const found = endpointSchema(schema, path);
    const how = { changed: () => setText(told, ""), required: true };
    method = found.method;
    query = Object.keys(found.query.properties).length ? objectForm(found.query, schema, how) : null;
    form = found.schema.type === "object" && found.schema.properties ? objectForm(found.schema, schema, how) : control(found.schema, schema, how);
    replace(fields, query?.element, form.element);
    const endpoint = state.endpoints.find((one) => one.path === path);
    setText(told, endpoint?.doc ? plainText(endpoint.doc.split("\n")[0]) : "");
  };

  const loadSchema = async () => {
    const state = app();
    if (asking || host.kind === "saved" || !state || host.store.view.link !== "live" || (schema && schemaOf === state.serving)) return;
    const stands = [state.serving, state.state, state.runners.map((one) => `${one.id} ${["PENDING", "SETUP"].includes(one.state)}`)].join(" ");
    if (refused === stands) return;
    if (!state.runners.some((one) => one.state === "IDLE" || one.state === "RUNNING")) { // nobody could say what the endpoints take
      if (!schema) replace(fields, h("p", { class: "fj-empty" }, state.state === "Stopped" ? "The app is stopped. Start it to try it." : "The form is made when the first runner is ready."));
      return;
    }
    asking = true;
    try {
      schema = await askJson(host, "GET", `apps/${encodeURIComponent(alias)}/schema`, { signal });
      schemaOf = state.serving;
      refused = "";
      const paths = state.endpoints.map((one) => one.path);
      const before = form?.read();
      const same = path;
      replace(choose, state.endpoints.map((one) => h("option", { value: one.path }, `${endpointSchema(schema, one.path).method} ${one.path}`)));
      path = paths.includes(path) ? path : (paths[0] ?? "/");
      choose.value = path;
      drawForm();
      if (same === path && before) form?.write(before);
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      const wait = status === 409;
      if (status) refused = stands;
      if (!schema) replace(fields, h("p", { class: "fj-empty" }, wait ? "The form is made when the first runner is ready." : `The form could not be made: ${message(error)}`));
    }
    asking = false;
  };

  const start = async () => {
    if (running || run.disabled || !form || host.kind === "saved") return;
    const problem = query?.problem() || form.problem();
    if (problem) {
      setText(told, "");
      left.querySelector('[aria-invalid="true"]')?.focus();
      return;
    }
    const asked = new URLSearchParams();
    for (const [name, value] of Object.entries(query?.read() ?? {})) asked.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
    const target = [...asked.keys()].length ? `${path}?${asked}` : path;
    setBusy("…");
    try {
      const made = await askJson(host, "POST", `apps/${encodeURIComponent(alias)}/calls`, {
        query: { path: target, method }, headers: { "Content-Type": "application/json" }, body: JSON.stringify(form.read() ?? {}),
      });
      follow(made.request_id);
    } catch (error) {
      setBusy(null);
      replace(answer, h("div", { class: "fj-banner fj-bad", role: "alert" }, message(error)));
    }
  };

  const setBusy = (/** @type {string | null} */ id) => {
    running = id;
    drawRun();
    cancel.hidden = id === null || id === "…";
  };

  const drawRun = () => {
    const stopped = app()?.state === "Stopped";
    run.disabled = running !== null || stopped;
    run.title = stopped ? "The app is stopped: start it first" : "Ctrl Enter";
  };

  /** Show a request's answer, from its beginning and as it comes. @param {string} id */
  const follow = async (id) => {
    shown = id;
    reading?.abort();
    const stop = (reading = new AbortController());
    signal.addEventListener("abort", () => stop.abort(), { once: true });
    setBusy(id);
    let isGone = false;
    replace(answer, h("p", { class: "fj-muted fj-live" }, "running …"));
    try {
      const found = await host.ask("GET", `requests/${id}/answer`, { signal: stop.signal });
      isGone = found.status !== 200;
      if (isGone) throw new Error(found.status === 404 ? "the answer to that request is not held any more" : `the gateway answered ${found.status}`);
      const type = found.headers.get("content-type") ?? "";
      const status = Number(found.headers.get("x-fal-status") ?? 200);
      await showBody(found, type, status, stop.signal);
      await showEnd(id, stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) replace(answer, h("div", { class: "fj-banner fj-bad", role: "alert" }, message(error)));
      if (!isGone) shown = ""; // nobody answered: the request goes on, and is taken up again when the feed is back
    }
    if (reading === stop) setBusy(null);
  };

  /** @param {import("./types.d.ts").Answered} found @param {string} type @param {number} status @param {AbortSignal} stop */
  const showBody = async (found, type, status, stop) => {
    /** @type {Uint8Array[]} */
    const pieces = [];
    const live = type.startsWith("text/event-stream") ? streamView() : null;
    let text = "";
    const decoder = new TextDecoder();
    const growing = /^(text\/|application\/(x-)?ndjson)/.test(type) && !live;
    if (live) replace(answer, live.element);
    for await (const piece of found.chunks()) {
      pieces.push(piece);
      live?.push(piece);
      if (growing && text.length < 20000) replace(answer, textView((text += decoder.decode(piece, { stream: true }))));
    }
    live?.end();
    const data = new Uint8Array(await new Blob(/** @type {any} */ (pieces)).arrayBuffer());
    if (!live) replace(answer, resultView(data, type, stop));
    const size = h("span", { class: "fj-chip fj-muted" }, `${type.split(";")[0] || "no type"} · ${bytes(data.length)}`);
    const copied = () => new TextDecoder().decode(data);
    setText(came, "");
    replace(title, h("strong", null, "Result"), status === 499 ? h("span", { class: "fj-chip" }, "cancelled") : status >= 400 ? h("span", { class: "fj-chip fj-failed" }, `status ${status}`) : null,
      came, h("span", { class: "fj-space" }), size, copyButton(host, copied));
  };

  /** @param {string} id @param {AbortSignal} stop */
  const showEnd = async (id, stop) => {
    const detail = await askJson(host, "GET", `requests/${id}`, { signal: stop });
    showLine(detail.request);
    setText(came, clock(detail.request.began + detail.request.total_ms, false));
    if (detail.error) answer.append(errorView(detail.error));
    const logs = detail.logs.filter((/** @type {any} */ one) => one.stream === 1);
    if (logs.length) answer.append(h("details", null, h("summary", null, `${plural(logs.length, "line")} printed`), textView(logs.map((/** @type {any} */ one) => one.text).join("\n"))));
  };

  /** @param {import("./types.d.ts").RequestState} request */
  const showLine = (request) => {
    const look = hasFailed(request) ? "failed" : wasCancelled(request) ? "cancelled" : "done";
    const where = [request.runner, request.revision ? `r${request.revision}` : "no runner had it"].filter(Boolean).map((word) => ` · ${word}`).join("");
    const summary = h("summary", null, stateMark(look, look === "cancelled" ? `cancelled after ${duration(request.total_ms)}` : duration(request.total_ms)), " ", h("span", { class: "fj-mono" }, request.path), " ",
      h("span", { style: { display: "inline-block", width: "90px", marginRight: "6px" } }, phaseBar(request, Date.now())), " ", h("span", null, phaseWords(request)),
      h("span", { class: "fj-muted fj-second" }, where));
    replace(line, h("details", null, summary, phaseTable(request, Date.now())));
  };

  /** A call of this card that was made before the page was opened: its answer is held. */
  const adopt = () => {
    if (shown || running || host.kind === "saved" || host.store.view.link !== "live") return;
    const mine = host.store.view.requests.filter((one) => one.alias === alias && one.origin === "panel");
    const found = mine.find((one) => one.state !== "done") ?? mine.find((one) => host.store.view.time - one.began - one.total_ms < RECENT);
    if (!found) return;
    follow(found.id);
    if (found.state !== "done") setText(told, `A call that began ${ago(host.store.view.time - found.began)} is still running: its answer comes here.`);
  };

  const look = () => {
    drawRun();
    loadSchema();
    adopt();
  };
  signal.addEventListener("abort", host.store.watch(look));
  look();
  if (host.kind === "saved") replace(fields, h("p", { class: "fj-empty" }, "Run the cell again to try the app here."));

  return {
    call: () => {
      const endpoint = app()?.endpoints.find((one) => one.path === path);
      return endpoint ? { endpoint: endpoint.name, path, value: form?.read() ?? {}, method, query: query?.read() ?? {} } : null;
    },
  };
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}
