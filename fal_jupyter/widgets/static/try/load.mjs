// @ts-check
/** Load on an app: many calls of what the form holds, some at a time; a question before more than a hundred; percentiles while they run. */
import { button, h, newId, replace, setText } from "../elements/dom.mjs";
import { setUsable } from "../elements/focus.mjs";
import { encodedBody } from "../form/form_body.mjs";
import { count, duration, plural, rate } from "../text/format.mjs";
import { glyph } from "../elements/glyphs.mjs";
import { ENOUGH } from "../requests/endpoint_figures.mjs";
import { filledPath } from "../form/schema.mjs";

const MOST = { calls: 100000, at_once: 256 };
const UNASKED = 100; // calls that start without a question

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
export function loadPanel(root, host, options, signal) {
  if (host.kind !== "saved") new LoadPanel(root, host, options, signal); // a saved picture has no app to call
}

class LoadPanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{alias: string, call: () => {path: string, value: any, method?: string, query?: Record<string, any>} | null,
   *   confirmIn: (place: HTMLElement) => (title: string, text: string, button: string) => Promise<boolean>}} options
   *   what the form holds, and how a question is asked within the panel
   * @param {AbortSignal} signal
   */
  constructor(root, host, { alias, call, confirmIn }, signal) {
    this.host = host;
    this.alias = alias;
    this.call = call;
    this.confirmIn = confirmIn;
    this.signal = signal;

    /** @type {AbortController | null} */
    this.going = null;
    /** @type {{target: string, calls: number, atOnce: number} | null} the load that the user last said yes to */
    this.agreed = null;
    this.calls = this.number("number of calls", 100, MOST.calls);
    this.atOnce = this.number("calls at a time", 8, MOST.at_once);
    this.question = h("div", null);
    this.state = h("div", { role: "status" });
    this.fill = h("div", { style: { width: "0%" } });
    this.bar = h(
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
      this.fill,
    );
    this.figures = h("div", {
      class: "fj-figures fj-load-figures",
      hidden: true,
    });
    this.begin = button([glyph("play"), "Start load"], () => this.ask());
    this.end = button("Stop", () => this.going?.abort(), { hidden: true });
    root.append(
      h(
        "details",
        { class: "fj-load" },
        h("summary", null, "Load"),
        h(
          "div",
          { class: "fj-bar-row" },
          this.calls,
          h("label", { htmlFor: this.calls.id }, "calls of the endpoint and values above,"),
          this.atOnce,
          h("label", { htmlFor: this.atOnce.id }, "at a time"),
          this.begin,
          this.end,
        ),
        this.question,
        h("div", { class: "fj-load-report" }, this.bar, this.figures, this.state),
      ),
    );
    this.signal.addEventListener("abort", this.host.store.watch(this.look));
    this.look();

    this.asking = false;
  }

  number(/** @type {string} */ label, /** @type {number} */ value, /** @type {number} */ most) {
    return h("input", {
      class: "fj-input fj-box",
      type: "number",
      id: newId(),
      min: "1",
      max: String(most),
      step: "1",
      value: String(value),
      "aria-label": label,
    });
  }

  look = () => {
    const state = this.host.store.view.apps.find((one) => one.alias === this.alias);
    const usable = Boolean(state) && state?.state !== "Stopped" && this.host.store.view.link === "live";
    setUsable(this.begin, usable);
    this.begin.title = usable ? "" : "The app does not run: start it first";
  };

  problem() {
    for (const [one, most, word] of /** @type {[any, number, string][]} */ ([
      [this.calls, MOST.calls, "calls"],
      [this.atOnce, MOST.at_once, "calls at a time"],
    ])) {
      const wrong = !/^\d+$/.test(one.value) || Number(one.value) < 1 || Number(one.value) > most;
      one.setAttribute("aria-invalid", String(wrong));
      if (wrong) return `Give 1 to ${count(most)} ${word}.`;
    }
    return "";
  }

  async ask() {
    if (this.asking) return; // the question is there; a disabled button could not have the focus back
    const what = this.call();
    const problem = this.problem() || (what ? "" : "The form is not ready.");
    setText(this.state, problem);
    if (problem || !what || this.going) return;
    const agrees = this.host.agrees?.() ?? true;
    if (agrees !== true && (!(await agrees) || this.going || this.asking)) return;
    if (Number(this.calls.value) <= UNASKED || this.isAgreed(what)) {
      this.run(what);
      return;
    }
    this.asking = true;
    const title = `Make ${plural(Number(this.calls.value), "call")} of ${what.path}, ${count(Number(this.atOnce.value))} at a time?`;
    const sure = await this.confirmIn(this.question)(
      title,
      "They run on this machine as any other call does, and are listed in Requests.",
      "Start",
    );
    this.asking = false;
    if (!sure || this.going) return;
    this.agreed = this.figuresOf(what);
    this.run(what);
  }

  /** What a question asks for. @param {{path: string, method?: string}} what */
  figuresOf({ path, method = "POST" }) {
    return { target: `${method} ${path}`, calls: Number(this.calls.value), atOnce: Number(this.atOnce.value) };
  }

  /** True where the user has said yes to as much of the same endpoint. @param {{path: string, method?: string}} what */
  isAgreed(what) {
    const { target, calls, atOnce } = this.figuresOf(what);
    return this.agreed?.target === target && calls <= this.agreed.calls && atOnce <= this.agreed.atOnce;
  }

  /** @param {{path: string, value: any, method?: string, query?: Record<string, any>, encoding?: string}} what */
  async run(what) {
    const stop = (this.going = new AbortController());
    const leave = () => stop.abort();
    this.signal.addEventListener("abort", leave);
    this.begin.hidden = true;
    this.end.hidden = false;
    this.end.focus();
    this.mark("going");
    this.begun();
    setText(this.state, `Running ${what.path}.`);
    const { path, asked } = filledPath(what.path, what.query ?? {});
    /** @type {LoadReport | null} */
    let last = null;
    try {
      const { body, type } = encodedBody(what.value ?? {}, what.encoding ?? "application/json");
      const answer = await this.host.ask("POST", `apps/${encodeURIComponent(this.alias)}/load`, {
        query: {
          path: asked ? `${path}?${asked}` : path,
          method: what.method ?? "POST",
          calls: this.calls.value,
          at_once: this.atOnce.value,
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
        if (lines.length) this.show((last = JSON.parse(lines[lines.length - 1])));
      }
      if (!last?.over) throw new Error("The load ended before all calls were made.");
      this.mark(last.failed ? "failed" : "over");
      const failed = last.failed ? `, ${count(last.failed)} of them failed` : "";
      const took = duration(last.seconds * 1000);
      const words = `Finished: ${plural(last.done, "call")} of ${what.path} in ${took}${failed}.`;
      replace(this.state, last.failed ? glyph("failed", "fj-failed") : glyph("ok", "fj-ok"), ` ${words}`);
    } catch (error) {
      const isStopped = stop.signal.aborted;
      this.mark(isStopped ? "stopped" : "failed");
      const words = last
        ? `Stopped after ${plural(last.done, "call")} of ${what.path}; those on their way were cancelled.`
        : "Stopped.";
      setText(this.state, isStopped ? words : error instanceof Error ? error.message : String(error));
    }
    this.signal.removeEventListener("abort", leave);
    const focused = document.activeElement === this.end;
    this.going = null;
    this.begin.hidden = false;
    this.end.hidden = true;
    if (focused) this.begin.focus();
  }

  /** Colour the bar as the load stands. @param {"going" | "over" | "failed" | "stopped"} state */
  mark(state) {
    this.bar.className = `fj-progress fj-load-${state}`;
  }

  /** What is shown of a load that has no report yet: nothing of the one before. */
  begun() {
    const times = { seconds: 0, rate: 0, p50_ms: 0, p95_ms: 0, max_ms: 0 };
    this.show({ done: 0, failed: 0, running: 0, total: Number(this.calls.value), over: false, ...times });
  }

  /** @param {LoadReport} report */
  show(report) {
    const share = Math.round((100 * report.done) / report.total);
    this.bar.hidden = this.figures.hidden = false;
    this.bar.setAttribute("aria-valuenow", String(share));
    this.fill.style.width = `${share}%`;
    const figure = (/** @type {string} */ label, /** @type {string} */ value, /** @type {string} */ more = "") =>
      h("div", { class: "fj-figure" }, h("div", { class: "fj-label" }, label), h("strong", { class: more }, value));
    const succeeded = report.done - report.failed;
    replace(
      this.figures,
      figure("done", `${count(report.done)} of ${count(report.total)}`),
      figure("failed", count(report.failed), report.failed ? "fj-failed" : ""),
      figure("rate", rate(report.rate)),
      figure("p50", succeeded ? duration(report.p50_ms) : "–"),
      succeeded >= ENOUGH ? figure("p95", duration(report.p95_ms)) : null,
      figure("max", succeeded ? duration(report.max_ms) : "–"),
    );
  }
}
