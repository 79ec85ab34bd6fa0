/** A cell whose run fails before its app has a new card keeps the one that it had, below the error. */
import type { ISignal } from "@lumino/signaling";

import { CARD_MIME, cellRuns } from "./card_data";

interface Output {
  data: Record<string, unknown>;
  toJSON(): Record<string, unknown>;
}
export interface Outputs {
  length: number;
  get(index: number): Output;
  add(value: Record<string, unknown>): number;
  changed: ISignal<unknown, unknown>;
}

/** Milliseconds between two looks at whether the cell still runs. */
const PAUSE = 200;

function listOf(outputs: Outputs): Output[] {
  return Array.from({ length: outputs.length }, (_, at) => outputs.get(at));
}

/** True for what a run leaves that came to no card: an error, a magic that IPython does not know, or nothing. */
export function hasFailed(outputs: Record<string, unknown>[]): boolean {
  const isError = ({ output_type, name, text }: Record<string, unknown>) =>
    output_type === "error" ||
    (output_type === "stream" && name === "stderr" && /^UsageError/m.test([text].flat().join("")));
  return !outputs.length || outputs.some(isError);
}

/**
 * Keep the card of a cell through runs that fail; what the user clears stays away. `isKept` says for which cards that
 * holds.
 */
export function keepCard(cell: Element, outputs: Outputs, isKept: (card: unknown) => boolean): void {
  let card: Record<string, unknown> | null = null;
  let looks = 0;
  const look = () => {
    looks = 0;
    if (cellRuns(cell)) {
      looks = window.setTimeout(look, PAUSE);
    } else if (card && !listOf(outputs).some((one) => one.data?.[CARD_MIME])) {
      const kept = card;
      card = null;
      if (hasFailed(listOf(outputs).map((one) => one.toJSON()))) {
        outputs.add(kept);
      }
    }
  };
  const changed = () => {
    const found = listOf(outputs).find((one) => one.data?.[CARD_MIME]);
    if (found) {
      card = isKept(found.data[CARD_MIME]) ? found.toJSON() : null;
    } else if (card && !looks) {
      // a run clears them and shows its prompt in the same step; whoever clears them by hand has none
      looks = window.setTimeout(() => {
        looks = 0;
        if (cellRuns(cell)) {
          look();
        } else {
          card = null;
        }
      });
    }
  };
  outputs.changed.connect(changed);
  changed();
}
