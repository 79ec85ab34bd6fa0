// @ts-check
/** What anywidget calls: finds where the panel lives, and draws the panel that the card asks for. */
import { cardPanel } from "./card/card.mjs";
import { configPanel } from "./scaling/config.mjs";
import { dashboardPanel } from "./dashboard/dashboard.mjs";
import { h } from "./elements/dom.mjs";
import { detectServer, kernelHost, savedHost, serverHost } from "./connection/host.mjs";
import { keepOwnKeys } from "./elements/keys.mjs";
import { requestsPanel } from "./requests/requests.mjs";
import { ensureStyle } from "./style/style.mjs";
import { timelinePanel } from "./scaling/timeline.mjs";

/** @typedef {import("./types.d.ts").CardData} CardData */

/**
 * Draw what a card asks for.
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {CardData} card
 * @param {AbortSignal} signal
 * @returns {{refresh: () => void} | void} for a card: call it when the card's data has changed
 */
export function drawPanel(root, host, card, signal) {
  ensureStyle(root);
  const { alias, panel } = card;
  const panels = new Map(Object.entries({ config: configPanel, timeline: timelinePanel, requests: requestsPanel }));
  const alone = panels.get(panel); // a map: the name comes from a saved notebook, and may be "constructor"
  if (panel === "dashboard") dashboardPanel(root, host, {}, signal);
  else if (alone) {
    const frame = keepOwnKeys(
      h("section", { class: "fj fj-card", "aria-label": `${panel} of ${alias}`, dataset: { app: alias } }),
    );
    root.replaceChildren(frame);
    alone(frame, host, { alias }, signal);
  } else return cardPanel(root, host, card, signal);
}

/**
 * @param {{model: any, el: HTMLElement}} given by anywidget
 * @returns {() => void} takes it all away again
 */
export function render({ model, el }) {
  const stop = new AbortController();
  const root = h("div", { class: "fj-root" });
  el.append(root);
  const card = model.get("card");
  const begin = async () => {
    const server = model.get("bare") ? null : await detectServer(card.gateway);
    if (stop.signal.aborted) return;
    const host = server ? serverHost({ ...server, signal: stop.signal }) : kernelHost(model, stop.signal);
    drawPanel(root, host, card, stop.signal);
  };
  if (card.saved) drawPanel(root, savedHost(card), card, stop.signal);
  else begin();
  return () => {
    stop.abort();
    root.remove();
  };
}

export default { render };
