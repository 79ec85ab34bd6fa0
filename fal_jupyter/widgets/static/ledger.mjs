// @ts-check
/** Who holds the machine's memory: a bar for each GPU and for the host, a block for each runner, over all notebooks. */
import { button, h, replace, scheduler } from "./dom.mjs";
import { bytes, percent, runnerName } from "./format.mjs";
import { ensureStyle } from "./style.mjs";
import { plainText } from "./result.mjs";

/** @typedef {{name: string, detail: string, size: number, letter: string, tone: string, runner: string}} Block */

const TONES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
const ANGLES = [0, 45, 90, 135, 20, 70];

/** Colour and pattern of the number-th app. @param {number} number */
function fillOf(number) {
  const tone = TONES[number % TONES.length];
  const angle = ANGLES[Math.floor(number / 1) % ANGLES.length];
  return number % TONES.length === 0 ? tone : `repeating-linear-gradient(${angle}deg, ${tone} 0 5px, color-mix(in srgb, ${tone} 70%, transparent) 5px 7px)`;
}

/**
 * The blocks of the host's memory: one a runner, then what everybody else uses.
 * @param {import("./types.d.ts").View} view
 * @returns {Block[]}
 */
export function hostBlocks(view) {
  const blocks = view.apps.flatMap((app, at) => app.runners.filter((one) => one.memory > 0).map((one) => ({
    name: `${app.alias} runner ${runnerName(one.id)}`, detail: app.owner_name, size: one.memory, letter: app.alias[0].toUpperCase() + runnerName(one.id), tone: fillOf(at), runner: one.id,
  })));
  const ours = blocks.reduce((sum, one) => sum + one.size, 0);
  const other = Math.max(0, (view.host?.used ?? 0) - ours);
  if (other) blocks.push({ name: "other programs", detail: "", size: other, letter: "", tone: "repeating-linear-gradient(45deg, #9aa3ad 0 2px, transparent 2px 5px)", runner: "" });
  return blocks;
}

/**
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {object} _
 * @param {AbortSignal} signal
 */
export function ledgerPanel(root, host, _, signal) {
  ensureStyle(root);
  const body = h("div", { class: "fj-ledger" });
  root.append(body);
  const stop = async (/** @type {string} */ runner) => {
    const sure = host.confirm ? await host.confirm(`Stop runner ${runner}?`, "It finishes its requests first. Its app starts another one if it needs it.", "Stop") : true;
    if (sure) host.ask("DELETE", `runners/${encodeURIComponent(runner)}`).catch(() => undefined);
  };
  const bar = (/** @type {string} */ name, /** @type {string} */ detail, /** @type {Block[]} */ blocks, /** @type {number} */ whole) => {
    const used = blocks.reduce((sum, one) => sum + one.size, 0);
    const shown = blocks.filter((one) => one.size / Math.max(1, whole) > 0.001);
    return h("div", { class: "fj-bar-row" }, h("div", { style: { width: "110px" } }, h("strong", null, name), h("div", { class: "fj-label fj-cut" }, plainText(detail))),
      h("div", { style: { flex: "1 1 180px", minWidth: "0" } }, h("div", { class: "fj-meter", role: "img", "aria-label": `${name}: ${bytes(used)} of ${bytes(whole)} used` },
        shown.map((one) => h("span", { style: { width: `${(100 * one.size) / Math.max(1, whole)}%`, background: one.tone }, title: `${one.name} ${bytes(one.size)}` }))),
      h("div", { class: "fj-label", style: { whiteSpace: "normal" } }, blocks.map((one) => h("span", { style: { marginRight: "12px" } }, h("strong", null, plainText(one.name)), ` ${bytes(one.size)} ${plainText(one.detail)} `,
        one.runner && host.kind !== "saved" ? h("button", { type: "button", class: "fj-sort", style: { color: "var(--fj-link)" }, onclick: () => stop(one.runner) }, "Stop") : null)))),
      h("div", { class: "fj-number", style: { width: "110px" } }, h("strong", null, bytes(Math.max(0, whole - used))), h("div", { class: "fj-label" }, `free of ${bytes(whole)}`)));
  };
  const draw = () => {
    const view = host.store.view;
    if (!view.host) return replace(body, h("p", { class: "fj-empty" }, view.link === "off" ? "No gateway is running, so nobody measures." : "Nothing was measured yet."));
    const gpus = view.devices.map((one) => {
      const at = view.apps.findIndex((app) => app.alias === one.alias);
      const size = one.used >= 0 ? one.used : one.holder ? one.memory : 0;
      const block = { name: one.holder || "other programs", detail: one.holder && one.used < 0 ? "has it to itself" : "", size, letter: "", tone: at >= 0 ? fillOf(at) : "#9aa3ad", runner: one.runner };
      return bar(`gpu ${one.index}`, `${one.name}${one.busy >= 0 ? ` · ${Math.round(one.busy)} %` : ""}`, size ? [block] : [], one.memory);
    });
    const none = view.devices.length ? null : h("p", { class: "fj-muted fj-bar-row" }, "There is no GPU on this machine: runners share its cores and memory.");
    replace(body, gpus, none, bar("host", `${view.host.cores} cores${view.host.busy >= 0 ? ` · ${percent(view.host.busy, 100)}` : ""}`, hostBlocks(view), view.host.memory));
  };
  const look = scheduler(root, signal, draw);
  signal.addEventListener("abort", host.store.watch(look));
  draw();
}

/** A button that starts a gateway, for panels that are empty for want of one. @param {import("./types.d.ts").Host} host */
export function startButton(host) {
  const told = h("span", { class: "fj-failed", role: "alert" });
  const press = async () => {
    told.textContent = "";
    try {
      const answer = await host.ask("POST", "start");
      if (answer.status >= 400) told.textContent = (await answer.json()).detail ?? `the server answered ${answer.status}`;
    } catch (error) {
      told.textContent = error instanceof Error ? error.message : String(error);
    }
  };
  return h("span", null, button("Start a gateway", press), " ", told);
}
