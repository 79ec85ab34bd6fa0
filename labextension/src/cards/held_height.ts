/** The room of a card while its cell runs again: it stays as high as it was, and says that a card comes. */
import { cellRuns } from "./card_data";

const PAUSE = 250; // milliseconds between two looks; a card that comes within one needs no word

/** What stands in the room of a card; style.mjs hides it as soon as the cell has an output. */
function waitingLine(top: number, left: number): HTMLElement {
  const line = document.createElement("div");
  line.className = "fj-awaited";
  line.setAttribute("role", "status");
  line.textContent = "The cell runs. Its card comes here.";
  line.style.top = `${top}px`;
  line.style.left = `${left}px`;
  return line;
}

/**
 * While a cell runs again its outputs keep their height until the new card is there, so that the cells below do not
 * jump. It loses them just before it runs; a new kernel takes seconds to come to the next one.
 */
export function keepHeight(card: HTMLElement): void {
  const outputs = card.closest<HTMLElement>(".jp-Cell-outputWrapper");
  const cell = outputs?.closest(".jp-Cell") ?? null;
  const height = outputs?.offsetHeight ?? 0;
  if (!outputs || !height || outputs.style.minHeight) {
    return;
  }
  const [place, room] = [card, outputs].map((node) => node.getBoundingClientRect());
  const line = waitingLine(Math.max(0, place.top - room.top), Math.max(0, place.left - room.left));
  outputs.style.minHeight = `${height}px`;
  let rests = 0; // looks at which the cell did not run: its last output is drawn a little later
  const timer = window.setInterval(() => {
    const now = outputs.querySelector(".fj-card")
      ? (outputs.querySelector<HTMLElement>(".jp-OutputArea")?.offsetHeight ?? 0)
      : 0;
    rests = cellRuns(cell) ? 0 : rests + 1;
    if (now >= height || rests > 3) {
      window.clearInterval(timer);
      outputs.style.minHeight = "";
      line.remove();
    } else if (!rests && !now && !line.isConnected) {
      outputs.append(line);
    }
  }, PAUSE);
}
