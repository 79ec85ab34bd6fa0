/** The card in an output: its MIME type, and when it is live. */
import type { CardData, View } from "../shared/types";

export const CARD_MIME = "application/vnd.fal-jupyter.card+json";

/** True where the running gateway serves the card's app, also where its cell brought it back at another gateway. */
export function isLive(card: CardData, view: View): boolean {
  return view.link === "live" && (card.panel === "dashboard" || view.apps.some((app) => app.alias === card.alias));
}

/**
 * Whether a cell runs now, by its prompt; after the kernel's end and in a page that was opened again it does not. An
 * output that is not in the page yet is a new one.
 */
export function cellRuns(cell: Element | null): boolean {
  return !cell || (cell.querySelector(".jp-InputPrompt")?.textContent?.includes("*") ?? false);
}
