// @ts-check
/** One request, whole: where its time went, what came in and went out, what it printed and raised. */
import { waitAdvice } from "./advice.mjs";
import { refusalView } from "../outputs/answer.mjs";
import { button, CLOCK_TICK, h, replace, scheduler, setText } from "../elements/dom.mjs";
import { editRequest } from "./edit_request.mjs";
import { setUsable } from "../elements/focus.mjs";
import { errorView } from "../elements/errors.mjs";
import { bytes, clock, duration, pathText, plural } from "../text/format.mjs";
import { glyph, iconButton, requestLook } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { clockNow, endedRequest, knownRequests } from "../connection/store.mjs";
import { displaysView } from "../outputs/media.mjs";
import { failureWords, hasFailed, phaseTable, totalOf, wasCancelled } from "../elements/phases.mjs";
import { plainText } from "../text/plain.mjs";
import { recordedPrograms } from "./recorded.mjs";
import { inputView, sentBytes } from "./input_view.mjs";
import { hasLongText, hasWholeInput, recordedValue, wholeInput } from "./recorded_input.mjs";
import { keptBodyView } from "../outputs/result.mjs";
import { terminalView } from "../elements/terminal.mjs";

/** @typedef {import("../types.d.ts").RequestDetail} RequestDetail */

/**
 * The GPUs of a runner, also of one that is gone: `gpu 1, H100`.
 * @param {import("../types.d.ts").View} view
 * @param {string} alias
 * @param {string} runner
 * @param {boolean} [named] with the model's name
 */
export function devicesOf(view, alias, runner, named = false) {
  const ids =
    view.timelines.get(alias)?.lanes.find((lane) => lane.id === runner)?.devices ??
    view.apps.find((one) => one.alias === alias)?.runners.find((one) => one.id === runner)?.devices ??
    [];
  return ids
    .map((id) => view.devices.find((device) => device.id === id))
    .map((device) => (device ? `gpu ${device.index}${named ? `, ${plainText(device.name)}` : ""}` : "gpu"))
    .join(", ");
}

/**
 * The most that the runners of a request's app held while it ran, as far as that was measured (every three seconds,
 * while a panel is open).
 * @param {import("../types.d.ts").View} view
 * @param {import("../types.d.ts").RequestState} request
 */
export function memoryDuring(view, request) {
  const from = request.began + request.queue_ms + request.start_ms;
  const until = request.began + request.total_ms;
  const measured = (view.timelines.get(request.alias)?.usage ?? []).filter(([time]) => time >= from && time <= until);
  if (!request.runner || !measured.length) return "";
  const most = (/** @type {number} */ column) => Math.max(...measured.map((one) => one[column] ?? 0));
  // measured of all runners of the app together: of one call it says something where there was one runner
  const runners = (view.timelines.get(request.alias)?.lanes ?? []).filter(
    (lane) =>
      lane.moves.some(([time, state]) => time <= until && state !== "GONE") &&
      !lane.moves.some(([time, state]) => time < from && state === "GONE"),
  );
  if (runners.length > 1) return "";
  const onGpus = most(4) > 0 ? `, on GPUs ${bytes(most(4))}` : "";
  const times = measured.length === 1 ? "measured once" : `${measured.length} measurements`;
  return `${bytes(most(1))}${onGpus} (${times})`;
}

/** @type {Record<string, string>} */
const ORIGINS = { cell: "a cell", http: "a program, over HTTP", panel: "a panel", load: "Load in Try" };

/**
 * Where a request came from and where it ran, as names and values in words.
 * @param {import("../types.d.ts").View} view
 * @param {import("../types.d.ts").RequestState} request
 * @returns {[string, string][]}
 */
export function requestFacts(view, request) {
  const app = view.apps.find((one) => one.alias === request.alias);
  const runner = app?.runners.find((one) => one.id === request.runner);
  const memory = memoryDuring(view, request);
  return [
    ["App", plainText(request.alias)],
    ["Endpoint", `${request.method} ${plainText(pathText(request.path))}`],
    ["Called from", callerWords(request, app)],
    ["Began", clock(request.began)],
    ["Runner", request.runner ? `${request.runner}${runner?.pid ? `, pid ${runner.pid}` : ""}` : "none"],
    ["Device", devicesOf(view, request.alias, request.runner, true) || (request.runner ? "no GPU of its own" : "–")],
    ["Revision", request.revision ? `r${request.revision}${revisionAge(request.revision, app)}` : "–"],
    ["Status", statusWords(request)],
    ...(memory ? [/** @type {[string, string]} */ (["Peak memory", memory])] : []),
  ];
}

/** @param {import("../types.d.ts").RequestState} request @param {import("../types.d.ts").AppState | undefined} app */
function callerWords(request, app) {
  if (!request.cell_number)
    return Object.hasOwn(ORIGINS, request.origin) ? ORIGINS[request.origin] : plainText(request.origin);
  return `cell [${request.cell_number}]${app?.owner_name ? ` of ${plainText(app.owner_name)}` : ""}`;
}

/**
 * Whether a revision is the one that serves or an earlier one; "" for one that does not serve yet.
 * @param {number} revision
 * @param {import("../types.d.ts").AppState | undefined} app
 */
function revisionAge(revision, app) {
  if (!app) return "";
  if (revision === (app.serving || app.revision)) return " current";
  return revision > app.serving ? "" : `, now r${app.serving}`;
}

/** @param {import("../types.d.ts").RequestState} request */
function statusWords(request) {
  if (wasCancelled(request)) return `${request.status}, cancelled by its caller`;
  return request.status ? String(request.status) : "–";
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{id: string, close?: () => void, arrive?: boolean}} options `arrive`: it is opened by hand, comes into sight
 *   and has the focus
 * @param {AbortSignal} signal
 */
export function inspectorPanel(root, host, options, signal) {
  new InspectorPanel(root, host, options, signal);
}

class InspectorPanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{id: string, close?: () => void, arrive?: boolean}} options `arrive`: it is opened by hand, comes into sight
   *   and has the focus
   * @param {AbortSignal} signal
   */
  constructor(root, host, { id, close, arrive = false }, signal) {
    this.root = root;
    this.host = host;
    this.id = id;
    this.close = close;
    this.arrive = arrive;
    this.signal = signal;

    /** @type {RequestDetail | null} */
    this.detail = null;
    this.busy = false;
    this.drawn = "";

    /** @type {{of: RequestDetail | null, view: HTMLElement | null}} */
    this.viewed = { of: null, view: null };
    this.body = h("div", { class: "fj-inspector", role: "region", "aria-label": `request ${this.id}`, tabIndex: -1 });
    this.total = h("strong", { style: { fontSize: "20px" } });
    this.phases = h("div", null);
    this.root.append(this.body);
    if (this.arrive) setTimeout(() => this.signal.aborted || this.body.focus({ preventScroll: true })); // after the click that opened it

    const look = scheduler(this.root, this.signal, this.fetchDetail);
    this.signal.addEventListener("abort", this.host.store.watch(look));
    const ticking = setInterval(() => this.request()?.state !== "done" && this.drawTime(), CLOCK_TICK);
    this.signal.addEventListener("abort", () => clearInterval(ticking));
    this.fetchDetail();
  }

  /** What is known of it came: all of it that has room is in sight. */
  show() {
    if (this.arrive) this.root.scrollIntoView?.({ block: "nearest" });
    this.arrive = false;
  }

  known() {
    return knownRequests(this.host.store.view).find((one) => one.id === this.id);
  }

  /** The request in its last known state. One that was running is lost if its app is gone. */
  request() {
    const [detailed, known] = [this.detail?.request, this.known()];
    if (!detailed || detailed.state === "done") return detailed ?? known;
    if (known?.state === "done") return known;
    const { link, apps, time } = this.host.store.view;
    const isGone = (link === "live" || link === "off") && !apps.some((one) => one.alias === detailed.alias);
    return isGone ? endedRequest(time || Date.now())(detailed) : detailed;
  }

  /** Whether all that is left of it is its record: the rest ended with its app. */
  isOfEnded() {
    const { ended, requests } = this.host.store.view;
    const has = (/** @type {import("../types.d.ts").RequestState} */ one) => one.id === this.id;
    return !requests.some(has) && ended.some((app) => app.requests?.some(has));
  }

  fetchDetail = async () => {
    const state = this.known()?.state ?? "";
    if (this.isOfEnded()) return (this.draw(), this.show());
    if (
      this.busy ||
      this.host.kind === "saved" ||
      (this.detail && (this.detail.request.state === "done" || this.detail.request.state === state))
    )
      return this.draw();
    this.busy = true;
    try {
      this.detail = await askJson(this.host, "GET", `requests/${encodeURIComponent(this.id)}`, { signal: this.signal });
      this.draw();
      this.show();
    } catch (error) {
      if (!this.signal.aborted && !this.known() && !this.detail)
        replace(
          this.body,
          this.top(null),
          h("p", { class: "fj-empty" }, error instanceof Error ? error.message : String(error)),
        );
      else this.draw();
    }
    this.busy = false;
  };

  top(/** @type {import("../types.d.ts").RequestState | null} */ request) {
    const look = request ? requestLook(request) : null;
    return h(
      "div",
      { class: "fj-head" },
      look
        ? h(
            "span",
            { class: `fj-state ${look.tone}` },
            glyph(look.shape, look.tone),
            look.word[0].toUpperCase() + look.word.slice(1),
          )
        : null,
      h("span", { class: "fj-mono fj-cut" }, this.id.slice(0, 8)),
      h("span", { class: "fj-space" }),
      iconButton("copy", "Copy the request's id", () => this.host.copy(this.id)),
      this.close ? iconButton("close", "Close", this.close) : null,
    );
  }

  /** The time of the request so far: it goes on between two lines of the feed. */
  drawTime() {
    const request = this.request();
    if (!request) return;
    const now = clockNow(this.host.store.view);
    setText(this.total, duration(totalOf(request, now)));
    replace(this.phases, phaseTable(request, now));
  }

  draw() {
    const request = this.request();
    if (!request) return;
    const live = request.state !== "done";
    const now = JSON.stringify([request, Boolean(this.detail), this.isOfEnded()]);
    if (!live && this.drawn === now) return;
    this.drawn = now;
    this.drawTime();
    const app = this.host.store.view.apps.find((one) => one.alias === request.alias);
    replace(
      this.body,
      this.top(request),
      this.timePane(request, app),
      this.phases,
      this.factsPane(request),
      this.failurePane(request),
      this.bodyPart("Input", this.detail?.input ?? null, request.bytes_in, this.inputView()),
      live ? null : this.bodyPart("Output", this.detail?.output ?? null, request.bytes_out),
      this.detail?.displays?.length ? h("div", { class: "fj-pane" }, displaysView(this.detail.displays)) : null,
      this.detail?.logs.length
        ? h(
            "div",
            { class: "fj-pane" },
            h("h2", null, "Printed"),
            terminalView(this.detail.logs.map((one) => one.text).join("\n")),
          )
        : null,
      h(
        "div",
        { class: "fj-foot" },
        live
          ? button([glyph("stop"), "Cancel"], () =>
              this.host.ask("DELETE", `requests/${this.id}`).catch(() => undefined),
            )
          : this.again(request),
      ),
    );
  }

  /** The total time beside what is usual for the endpoint, and advice about the wait. */
  timePane(
    /** @type {import("../types.d.ts").RequestState} */ request,
    /** @type {import("../types.d.ts").AppState | undefined} */ app,
  ) {
    const usual = app?.by_endpoint?.find((one) => one.path === request.path);
    return h(
      "div",
      { class: "fj-pane" },
      h(
        "div",
        { class: "fj-bar-row", style: { padding: "0" } },
        this.total,
        request.cold ? h("span", { class: "fj-chip fj-setup" }, "cold") : null,
        h("span", { class: "fj-space" }),
        usual?.sample
          ? h(
              "span",
              {
                class: "fj-muted",
                title: `The median of the last ${plural(usual.sample, "call")} of this endpoint that succeeded`,
              },
              `p50 of ${plainText(pathText(request.path))} ${duration(usual.p50_ms)}`,
            )
          : null,
      ),
      waitAdvice(request, app),
    );
  }

  factsPane(/** @type {import("../types.d.ts").RequestState} */ request) {
    const facts = requestFacts(this.host.store.view, request).map(([name, value]) => {
      const shown = name === "Called from" && request.cell_number ? this.cellLink(request, value) : value;
      return h("div", null, h("dt", null, name), h("dd", { title: typeof shown === "string" ? shown : null }, shown));
    });
    return h("div", { class: "fj-pane" }, h("h2", null, "Where"), h("dl", { class: "fj-where" }, facts));
  }

  /** Why the request failed: the traceback, what was refused, or a sentence; null for one that did not fail. */
  failurePane(/** @type {import("../types.d.ts").RequestState} */ request) {
    if (this.detail?.error)
      return h("div", { class: "fj-pane" }, errorView(this.detail.error, this.host, request.alias));
    const refusal = this.detail && refusalView(this.detail);
    if (refusal) return refusal;
    return request.error || hasFailed(request)
      ? h("div", { class: `fj-banner ${hasFailed(request) ? "fj-bad" : ""}` }, plainText(failureWords(request)))
      : null;
  }

  /** The input of what is known now, made once: a large one is fetched for it. */
  inputView() {
    const { detail } = this;
    if (this.viewed.of !== detail)
      this.viewed = {
        of: detail,
        view: detail && (detail.input || detail.query) ? inputView(detail, this.signal, this.host) : null,
      };
    return this.viewed.view;
  }

  bodyPart(
    /** @type {string} */ name,
    /** @type {import("../types.d.ts").Body | null} */ one,
    /** @type {number} */ size,
    /** @type {HTMLElement | null} */ view = null,
  ) {
    return h(
      "div",
      { class: "fj-pane" },
      h(
        "h2",
        null,
        name,
        " ",
        h(
          "span",
          { class: "fj-muted", style: { fontWeight: "400" } },
          `${one?.content_type.split(";")[0] ?? ""} ${bytes(size)}`,
        ),
      ),
      view,
      view && (one || !size)
        ? null
        : one
          ? one.size
            ? keptBodyView(one, this.signal, this.host)
            : h("span", { class: "fj-muted" }, "empty")
          : h(
              "span",
              { class: "fj-muted" },
              this.detail
                ? this.detail.request.state === "done"
                  ? "not kept any more"
                  : "shown when the request has ended"
                : this.isOfEnded()
                  ? "ended with its app"
                  : "…",
            ),
    );
  }

  /** What can be done with a request that is over; what cannot be done says why. */
  again(/** @type {import("../types.d.ts").RequestState} */ request) {
    const detail = this.detail;
    if (!detail || this.host.kind === "saved") return null;
    const message = h("span", { class: "fj-muted", "aria-live": "polite" });
    const say = (/** @type {any} */ error) =>
      (message.textContent = error instanceof Error ? error.message : String(error));
    const hasAll = hasWholeInput(detail);
    const known = recordedValue(detail.input);
    const gone = detail.input ? "A part of its input is not kept any more" : "Its input is not kept any more";
    const odd = !known && hasAll && !detail.input?.truncated ? "Its input is neither JSON nor a form" : "";
    const why = known || hasAll ? odd : gone;
    const press = (/** @type {any} */ label, /** @type {string} */ reason, /** @type {() => Promise<any>} */ act) => {
      const made = button(label, () => act().catch(say), { title: reason || null });
      setUsable(made, !reason);
      return made;
    };
    const copy = (/** @type {string} */ word, /** @type {"python" | "curl"} */ language) =>
      press([glyph("copy"), `Copy as ${word}`], known && !hasAll && hasLongText(known.value) ? gone : why, async () => {
        await this.host.copy(await this.program(detail, language));
        message.textContent = `copied as ${word}`;
      });
    return [
      this.host.goToCell || this.root.closest(".fj-card")
        ? press([glyph("edited"), "Edit and run again"], why, () =>
            editRequest(this.root, this.host, request.alias, request.id),
          )
        : null,
      press([glyph("restart"), "Call again"], hasAll ? "" : gone, async () => {
        message.textContent = `called again as ${await this.callAgain(detail)}`;
      }),
      copy("Python", "python"),
      copy("curl", "curl"),
      message,
    ];
  }

  /** Make the same request once more. @param {RequestDetail} detail @returns {Promise<string>} the beginning of its id */
  async callAgain(detail) {
    const { request, query } = detail;
    const input = await wholeInput(this.host, detail, this.signal);
    if (!input) throw new Error("A part of its input is not kept any more.");
    const made = await askJson(this.host, "POST", `apps/${encodeURIComponent(request.alias)}/calls`, {
      query: { path: query ? `${request.path}?${query}` : request.path, method: request.method },
      headers: { "Content-Type": input.content_type || "application/json" },
      body: sentBytes(input),
    });
    return made.request_id.slice(0, 8);
  }

  /** The request as a program. @param {RequestDetail} detail @param {"python" | "curl"} language */
  async program(detail, language) {
    const app = this.host.store.view.apps.find((one) => one.alias === detail.request.alias);
    const known = recordedValue(detail.input);
    const isEnough = known && !hasLongText(known.value); // a program reads its files from their folder
    const input = isEnough ? detail.input : await wholeInput(this.host, detail, this.signal);
    const programs = input && recordedPrograms(app, { ...detail, input });
    if (!programs) throw new Error(app ? "Its input cannot be written as a program." : "The app is gone.");
    return programs[language];
  }

  /**
   * The cell that called, as a link where the host can show it.
   * @param {import("../types.d.ts").RequestState} request
   * @param {string} words
   */
  cellLink(request, words) {
    return request.cell && this.host.goToCell
      ? h(
          "button",
          {
            type: "button",
            class: "fj-link fj-cut",
            title: `Go to ${words}`,
            onclick: () => this.host.goToCell?.(request.alias, request.cell),
          },
          words,
        )
      : words;
  }
}
