// @ts-check
/** Load on an app: many calls of what the form holds, some at a time, behind a question; percentiles while they run. */
import { button, h, newId, replace, setText } from "../elements/dom.mjs";
import { encodedBody } from "../form/form_body.mjs";
import { count, duration, plural, rate } from "../text/format.mjs";
import { glyph } from "../elements/glyphs.mjs";
import { filledPath } from "../form/schema.mjs";

const MOST = { calls: 100000, at_once: 256 };
const ENOUGH = 20; // calls below which a 95th percentile says nothing

/**
 * A report of the gateway.
 * @typedef {{done: number, failed: number, running: number, total: number, seconds: number, rate: number, p50_ms:
 *   number, p95_ms: number, max_ms: number, over: boolean}} LoadReport
 */

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string, call: () => {path: string, value: any, method?: string, query?: Record<string, any>} | null,
 *   confirmIn: (place: HTMLElement) => (title: string, text: string, button: string) => Promise<boolean>}} options
 *   what the form holds, and how a question is asked within the panel
 * @param {AbortSignal} signal
 */
export function loadPanel(root, host, { alias, call, confirmIn }, signal) {
  if (host.kind === "saved") return; // there is nobody to call
  /** @type {AbortController | null} */
  let going = null;
  const number = (/** @type {string} */ label, /** @type {number} */ value, /** @type {number} */ most) =>
    h("input", {
      class: "fj-input fj-box",
      type: "number",
      id: newId(),
      min: "1",
      max: String(most),
      step: "1",
      value: String(value),
      "aria-label": label,
    });
  const calls = number("number of calls", 100, MOST.calls);
  const atOnce = number("calls at a time", 8, MOST.at_once);
  const question = h("div", null);
  const state = h("div", { role: "status" });
  const fill = h("div", { style: { width: "0%" } });
  const bar = h(
    "div",
    {
      class: "fj-progress",
      role: "progressbar",
      "aria-label": "calls done",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": 0,
      hidden: true,
    },
    fill,
  );
  const figures = h("div", { class: "fj-figures fj-load-figures", hidden: true });
  const begin = button([glyph("play"), "Start load"], () => ask());
  const end = button("Stop", () => going?.abort(), { hidden: true });
  root.append(
    h(
      "details",
      { class: "fj-load" },
      h("summary", null, "Load"),
      h(
        "div",
        { class: "fj-bar-row" },
        calls,
        h("label", { htmlFor: calls.id }, "calls of the endpoint and values above,"),
        atOnce,
        h("label", { htmlFor: atOnce.id }, "at a time"),
        begin,
        end,
      ),
      question,
      h("div", { class: "fj-load-report" }, bar, figures, state),
    ),
  );

  const look = () => {
    const state = host.store.view.apps.find((one) => one.alias === alias);
    begin.disabled = !state || state.state === "Stopped" || host.store.view.link !== "live";
    begin.title = begin.disabled ? "The app does not run: start it first" : "";
  };
  signal.addEventListener("abort", host.store.watch(look));
  look();

  const problem = () => {
    for (const [one, most, word] of /** @type {[any, number, string][]} */ ([
      [calls, MOST.calls, "calls"],
      [atOnce, MOST.at_once, "calls at a time"],
    ])) {
      const wrong = !/^\d+$/.test(one.value) || Number(one.value) < 1 || Number(one.value) > most;
      one.setAttribute("aria-invalid", String(wrong));
      if (wrong) return `Give 1 to ${count(most)} ${word}.`;
    }
    return "";
  };

  let asking = false;
  const ask = async () => {
    if (asking) return; // the question is there; a disabled button could not have the focus back
    const what = call();
    const told = problem() || (what ? "" : "The form is not ready.");
    setText(state, told);
    if (told || !what || going) return;
    asking = true;
    const title = `Make ${plural(Number(calls.value), "call")} of ${what.path}, ${count(Number(atOnce.value))} at a time?`;
    const sure = await confirmIn(question)(
      title,
      "They run on this machine as any other call does, and are listed in Requests.",
      "Start",
    );
    asking = false;
    if (sure && !going) run(what);
  };

  /** @param {{path: string, value: any, method?: string, query?: Record<string, any>, encoding?: string}} what */
  const run = async (what) => {
    const stop = (going = new AbortController());
    const leave = () => stop.abort();
    signal.addEventListener("abort", leave);
    begin.hidden = true;
    end.hidden = false;
    end.focus();
    setText(state, "Running.");
    const { path, asked } = filledPath(what.path, what.query ?? {});
    /** @type {LoadReport | null} */
    let last = null;
    try {
      const { body, type } = encodedBody(what.value ?? {}, what.encoding ?? "application/json");
      const answer = await host.ask("POST", `apps/${encodeURIComponent(alias)}/load`, {
        query: {
          path: asked ? `${path}?${asked}` : path,
          method: what.method ?? "POST",
          calls: calls.value,
          at_once: atOnce.value,
        },
        headers: { "Content-Type": type },
        body,
        signal: stop.signal,
      });
      if (answer.status !== 200)
        throw new Error((await answer.json())?.detail ?? `the gateway answered ${answer.status}`);
      let rest = "";
      const decoder = new TextDecoder();
      for await (const piece of answer.chunks()) {
        const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        if (lines.length) show((last = JSON.parse(lines[lines.length - 1])));
      }
      if (!last?.over) throw new Error("The load ended before all calls were made.");
      setText(state, `${plural(last.done, "call")} in ${duration(last.seconds * 1000)}.`);
    } catch (error) {
      if (stop.signal.aborted) setText(state, last ? `Stopped after ${plural(last.done, "call")}.` : "Stopped.");
      else setText(state, error instanceof Error ? error.message : String(error));
    }
    signal.removeEventListener("abort", leave);
    const focused = document.activeElement === end;
    going = null;
    begin.hidden = false;
    end.hidden = true;
    if (focused) begin.focus();
  };

  /** @param {LoadReport} report */
  const show = (report) => {
    const share = Math.round((100 * report.done) / report.total);
    bar.hidden = figures.hidden = false;
    bar.setAttribute("aria-valuenow", String(share));
    fill.style.width = `${share}%`;
    const figure = (/** @type {string} */ label, /** @type {string} */ value, /** @type {string} */ more = "") =>
      h("div", { class: "fj-figure" }, h("div", { class: "fj-label" }, label), h("strong", { class: more }, value));
    const enough = report.done >= ENOUGH;
    replace(
      figures,
      figure("done", `${count(report.done)} of ${count(report.total)}`),
      figure("failed", count(report.failed), report.failed ? "fj-failed" : ""),
      figure("rate", rate(report.rate)),
      figure("p50", report.done ? duration(report.p50_ms) : "–"),
      enough ? figure("p95", duration(report.p95_ms)) : null,
      figure("max", report.done ? duration(report.max_ms) : "–"),
    );
  };
}
