/**
 * What "Write to cell" wrote into an app's cell since it ran: as long as the app runs with those values, the cell is in
 * force without another run. The page knows it until the next run, and a save puts it into the card.
 */
import type { AppState, CardData, WrittenCell } from "../shared/types";
import { sourceHash } from "./source";

/** By card: the kernel, which sends cards anew, does not know of it. */
const known = new Map<string, WrittenCell>();

function keyOf({ app, alias, source }: CardData): string {
  return [app, alias, source].join("\n");
}

/** What was written into the cell of a card since its run. */
export function writtenOf(card: CardData): WrittenCell | undefined {
  const written = known.get(keyOf(card)) ?? card.written;
  if (written) {
    known.set(keyOf(card), written);
  }
  return written;
}

/** Note that `values` were written into the cell of a card; a cell that the user edited as well stays an edited one. */
export function noteWritten(card: CardData, before: string, after: string, values: Record<string, number>): void {
  const [last, hash] = [writtenOf(card), sourceHash(before)];
  if (hash === card.source || hash === last?.source) {
    const earlier = hash === card.source ? {} : last?.values;
    known.set(keyOf(card), { source: sourceHash(after), values: { ...earlier, ...values } });
  }
}

/** True where the cell says something else than what its app runs with. */
export function isEdited(source: string, card: CardData, app: AppState): boolean {
  const [hash, written] = [sourceHash(source), writtenOf(card)];
  const isWritten = written?.source === hash;
  const inForce = isWritten && Object.entries(written.values).every(([name, value]) => app.scaling[name] === value);
  return hash !== card.source && !inForce;
}
