/** A panel of the main area that scrolls as a whole. */
import { h } from "../shared/elements/dom.mjs";
import { keepOwnKeys } from "../shared/elements/keys.mjs";
import { ensureStyle } from "../shared/style/style.mjs";
import type { Draw } from "./panel_widget";

export function scrolling(draw: Draw): Draw {
  return (root, signal) => {
    ensureStyle(root);
    const frame = keepOwnKeys(h("div", { class: "fj fj-scrolls" }));
    root.append(frame);
    draw(frame, signal);
  };
}
