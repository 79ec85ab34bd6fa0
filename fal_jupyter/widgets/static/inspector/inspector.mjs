// @ts-check
/** One request, whole: where its time went, what came in and went out, what it printed and raised. */
import { waitAdvice } from "./advice.mjs";
import { refusalView } from "../outputs/answer.mjs";
import { button, h, replace, scheduler } from "../elements/dom.mjs";
import { editRequest } from "./edit_request.mjs";
import { errorView } from "../elements/errors.mjs";
import { bytes, clock, duration, pathText } from "../text/format.mjs";
import { glyph, iconButton, requestLook } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { displaysView } from "../outputs/media.mjs";
import { failureWords, hasFailed, phaseTable, totalOf, wasCancelled } from "../elements/phases.mjs";
import { plainText } from "../text/plain.mjs";
import { recordedPrograms } from "./recorded.mjs";
import { bodyBytes } from "./recorded_input.mjs";
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
  return `${bytes(most(1))}${most(4) > 0 ? `, on GPUs ${bytes(most(4))}` : ""} (${measured.length === 1 ? "measured once" : `${measured.length} measurements`})`;
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{id: string, close?: () => void, arrive?: boolean}} options `arrive`: it is opened by hand, comes into sight
 *   and has the focus
 * @param {AbortSignal} signal
 */
export function inspectorPanel(root, host, { id, close, arrive = false }, signal) {
  /** @type {RequestDetail | null} */
  let detail = null;
  let busy = false;
  let drawn = "";
  const body = h("div", { class: "fj-inspector", role: "region", "aria-label": `request ${id}`, tabIndex: -1 });
  root.append(body);
  if (arrive) setTimeout(() => signal.aborted || body.focus({ preventScroll: true })); // after the click that opened it
  /** What is known of it came: all of it that has room is in sight. */
  const show = () => {
    if (arrive) root.scrollIntoView?.({ block: "nearest" });
    arrive = false;
  };
  const known = () => host.store.view.requests.find((one) => one.id === id);

  const fetchDetail = async () => {
    const state = known()?.state ?? "";
    if (
      busy ||
      host.kind === "saved" ||
      (detail && (detail.request.state === "done" || detail.request.state === state))
    )
      return draw();
    busy = true;
    try {
      detail = await askJson(host, "GET", `requests/${encodeURIComponent(id)}`, { signal });
      draw();
      show();
    } catch (error) {
      if (!signal.aborted && !known())
        replace(body, top(null), h("p", { class: "fj-empty" }, error instanceof Error ? error.message : String(error)));
      else draw();
    }
    busy = false;
  };

  const top = (/** @type {import("../types.d.ts").RequestState | null} */ request) => {
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
      h("span", { class: "fj-mono fj-cut" }, id.slice(0, 8)),
      h("span", { class: "fj-space" }),
      iconButton("copy", "Copy the request's id", () => host.copy(id)),
      close ? iconButton("close", "Close", close) : null,
    );
  };

  const draw = () => {
    const request = detail?.request ?? known();
    if (!request) return;
    const live = request.state !== "done";
    const now = JSON.stringify([request, Boolean(detail)]);
    if (!live && drawn === now) return;
    drawn = now;
    const app = host.store.view.apps.find((one) => one.alias === request.alias);
    const runner = app?.runners.find((one) => one.id === request.runner);
    const usual = app?.by_endpoint?.find((one) => one.path === request.path);
    const standing =
      app && request.revision
        ? request.revision === (app.serving || app.revision)
          ? " current"
          : request.revision > app.serving
            ? ""
            : ` before r${app.serving}`
        : "";
    const facts = [
      ["App", plainText(request.alias)],
      ["Endpoint", `${request.method} ${plainText(pathText(request.path))}`],
      [
        "Called from",
        request.cell_number
          ? cellOf(request)
          : ({ cell: "a cell", http: "a program, over HTTP", panel: "a panel" }[request.origin] ?? request.origin),
      ],
      ["Began", clock(request.began)],
      ["Runner", request.runner ? `${request.runner}${runner?.pid ? `, pid ${runner.pid}` : ""}` : "none"],
      [
        "Device",
        devicesOf(host.store.view, request.alias, request.runner, true) || (request.runner ? "no GPU of its own" : "–"),
      ],
      ["Revision", request.revision ? `r${request.revision}${standing}` : "–"],
      [
        "Status",
        wasCancelled(request)
          ? `${request.status}, cancelled by its caller`
          : request.status
            ? String(request.status)
            : "–",
      ],
    ];
    const memory = memoryDuring(host.store.view, request);
    if (memory) facts.push(["Peak memory", memory]);
    replace(
      body,
      top(request),
      h(
        "div",
        { class: "fj-pane" },
        h(
          "div",
          { class: "fj-bar-row", style: { padding: "0" } },
          h("strong", { style: { fontSize: "20px" } }, duration(totalOf(request, Date.now()))),
          request.cold ? h("span", { class: "fj-chip fj-setup" }, "cold") : null,
          h("span", { class: "fj-space" }),
          usual?.sample
            ? h(
                "span",
                { class: "fj-muted", title: `The median of the last ${usual.sample} calls of this endpoint` },
                `p50 of ${plainText(pathText(request.path))} ${duration(usual.p50_ms)}`,
              )
            : null,
        ),
        waitAdvice(request, app),
      ),
      phaseTable(request, Date.now()),
      h(
        "div",
        { class: "fj-pane" },
        h("h2", null, "Where"),
        h(
          "dl",
          { class: "fj-where" },
          facts.map(([name, value]) =>
            h("div", null, h("dt", null, name), h("dd", { title: typeof value === "string" ? value : null }, value)),
          ),
        ),
      ),
      detail?.error
        ? h("div", { class: "fj-pane" }, errorView(detail.error))
        : ((detail && refusalView(detail)) ??
            (request.error || hasFailed(request)
              ? h("div", { class: `fj-banner ${hasFailed(request) ? "fj-bad" : ""}` }, plainText(failureWords(request)))
              : null)),
      bodyPart("Input", detail?.input ?? null, request.bytes_in),
      live ? null : bodyPart("Output", detail?.output ?? null, request.bytes_out),
      detail?.displays?.length ? h("div", { class: "fj-pane" }, displaysView(detail.displays)) : null,
      detail?.logs.length
        ? h(
            "div",
            { class: "fj-pane" },
            h("h2", null, "Printed"),
            terminalView(detail.logs.map((one) => one.text).join("\n")),
          )
        : null,
      h(
        "div",
        { class: "fj-foot" },
        live
          ? button([glyph("stop"), "Cancel"], () => host.ask("DELETE", `requests/${id}`).catch(() => undefined))
          : again(request),
      ),
    );
  };

  const bodyPart = (
    /** @type {string} */ name,
    /** @type {import("../types.d.ts").Body | null} */ one,
    /** @type {number} */ size,
  ) =>
    h(
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
      one
        ? one.size
          ? keptBodyView(one, signal, host)
          : h("span", { class: "fj-muted" }, "empty")
        : h(
            "span",
            { class: "fj-muted" },
            detail ? (detail.request.state === "done" ? "not kept any more" : "shown when the request has ended") : "…",
          ),
    );

  const again = (/** @type {import("../types.d.ts").RequestState} */ request) => {
    const input = detail?.input;
    if (!input || input.truncated || host.kind === "saved") return null;
    const told = h("span", { class: "fj-muted", "aria-live": "polite" });
    const say = (/** @type {any} */ error) =>
      (told.textContent = error instanceof Error ? error.message : String(error));
    const copy = (/** @type {string} */ word, /** @type {string} */ text) =>
      button([glyph("copy"), `Copy as ${word}`], () =>
        host.copy(text).then(() => (told.textContent = `copied as ${word}`), say),
      );
    const programs =
      detail &&
      recordedPrograms(
        host.store.view.apps.find((one) => one.alias === request.alias),
        detail,
      );
    const edits = Boolean(host.goToCell || root.closest(".fj-card")) && programs;
    const press = async () => {
      try {
        const data = input.base64 ? bodyBytes(input) : input.text;
        const path = detail?.query ? `${request.path}?${detail.query}` : request.path;
        const headers = { "Content-Type": input.content_type || "application/json" };
        const made = await askJson(host, "POST", `apps/${encodeURIComponent(request.alias)}/calls`, {
          query: { path, method: request.method },
          headers,
          body: data,
        });
        told.textContent = `called again as ${made.request_id.slice(0, 8)}`;
      } catch (error) {
        say(error);
      }
    };
    return [
      edits
        ? button(
            [glyph("edited"), "Edit and run again"],
            () => void editRequest(root, host, request.alias, request.id).catch(say),
          )
        : null,
      button([glyph("restart"), "Call again"], press),
      programs ? [copy("Python", programs.python), copy("curl", programs.curl)] : null,
      told,
    ];
  };

  /** The cell that asked, as a link where it can be shown. @param {import("../types.d.ts").RequestState} request */
  const cellOf = (request) => {
    const owner = host.store.view.apps.find((one) => one.alias === request.alias)?.owner_name;
    const words = `cell [${request.cell_number}]${owner ? ` of ${plainText(owner)}` : ""}`;
    return request.cell && host.goToCell
      ? h(
          "button",
          {
            type: "button",
            class: "fj-link fj-cut",
            title: `Go to ${words}`,
            onclick: () => host.goToCell?.(request.alias, request.cell),
          },
          words,
        )
      : words;
  };

  const look = scheduler(root, signal, fetchDetail);
  signal.addEventListener("abort", host.store.watch(look));
  fetchDetail();
}
