// @ts-check
/** What an app prints: its last lines, followed as they come. */
import { h, newId, replace, scheduler } from "./dom.mjs";
import { clock, runnerName } from "./format.mjs";
import { glyph, iconButton } from "./glyphs.mjs";
import { askJson } from "./host.mjs";
import { plainText } from "./result.mjs";

const LINES = 500;
const STREAMS = ["note", "", "stderr"];

/**
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {{alias: string, runner?: string, request?: string}} options
 * @param {AbortSignal} signal
 */
export function logsPanel(root, host, options, signal) {
  const { alias } = options;
  /** @type {import("./types.d.ts").LogRecord[]} */
  let records = [];
  let runner = options.runner ?? "";
  let known = -1;
  let paused = false;
  let busy = false;
  const filter = h("input", { class: "fj-input", type: "search", placeholder: "Filter", "aria-label": "Filter the lines", style: { maxWidth: "220px" }, oninput: () => show() });
  const choice = h("select", { class: "fj-input", style: { maxWidth: "160px" }, "aria-label": "Runner", id: newId(), onchange: () => ((runner = choice.value), show()) });
  const told = h("span", { class: "fj-muted", "aria-live": "polite" });
  const pause = iconButton("pause", "Pause", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    replace(pause, glyph(paused ? "play" : "pause"));
    if (!paused) look();
  });
  const lines = h("pre", { class: "fj-log", tabIndex: 0, role: "log", "aria-live": "off", "aria-label": `what ${alias} prints` });
  root.append(h("div", { class: "fj-bar-row" }, filter, choice, h("span", { class: "fj-space" }), told, iconButton("copy", "Copy the lines", () => host.copy(lines.textContent ?? "")), pause), lines);

  const show = () => {
    const atEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 8;
    const wanted = filter.value.toLowerCase();
    const found = records.filter((one) => (!runner || one.runner === runner) && (!wanted || one.text.toLowerCase().includes(wanted)));
    replace(lines, found.map((one) => h("span", null,
      h("span", { class: "fj-muted" }, `${clock(one.time * 1000)} ${one.runner ? `runner ${runnerName(one.runner)} ` : ""}`),
      STREAMS[one.stream] ? h("span", { class: one.stream === 2 ? "fj-setup" : "fj-muted" }, `${STREAMS[one.stream]} `) : null, plainText(one.text), "\n")));
    if (!found.length) replace(lines, records.length ? "No line fits the filter.\n" : "Nothing was printed yet. What setup() and the endpoints print appears here.\n");
    if (atEnd) lines.scrollTop = lines.scrollHeight;
    const names = [...new Set(records.map((one) => one.runner).filter(Boolean))];
    if (choice.options.length !== names.length + 1) {
      replace(choice, h("option", { value: "" }, "all runners"), names.map((name) => h("option", { value: name }, `runner ${runnerName(name)}`)));
      choice.value = names.includes(runner) ? runner : "";
    }
  };
  const fetchLines = async () => {
    const app = host.store.view.apps.find((one) => one.alias === alias);
    if (busy || paused || host.kind === "saved" || !app || app.log === known) return;
    busy = true;
    known = app.log;
    try {
      const query = { lines: String(LINES), ...(options.request ? { request: options.request } : {}) };
      records = await askJson(host, "GET", `apps/${encodeURIComponent(alias)}/logs`, { query, signal });
      told.textContent = "";
    } catch (error) {
      told.textContent = error instanceof Error ? error.message : String(error);
    }
    busy = false;
    if (!signal.aborted) show();
  };
  const look = scheduler(root, signal, fetchLines);
  signal.addEventListener("abort", host.store.watch(look));
  show();
  look();
}
