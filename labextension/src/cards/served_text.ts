/** How far the text of a cell is from the one that was run: a card has only a hash of that, so what this page has seen counts. */
import type { CardData } from "../shared/types";
import { sourceHash } from "./source";

/** Texts that are remembered, the last ones. */
const MOST_TEXTS = 200;
/** Pairs of lines that are compared at most, between what is the same at the beginning and at the end. */
const MOST_PAIRS = 1_000_000;

/** By hash: the texts from which cards were made. */
const texts = new Map<string, string[]>();

const linesOf = (source: string): string[] => source.trim().split("\n");

/** Remember the text of a cell that says what its card was made from. */
export function noteText(source: string, card: CardData): void {
  if (!texts.has(card.source) && sourceHash(source) === card.source) {
    texts.set(card.source, linesOf(source));
    if (texts.size > MOST_TEXTS) {
      texts.delete(texts.keys().next().value ?? "");
    }
  }
}

/** The number of lines that a cell's text has changed, added or lost since its run; 0 where the text of then is not known. */
export function linesEdited(source: string, card: CardData): number {
  const served = texts.get(card.source);
  return served ? differing(served, linesOf(source)) : 0;
}

/** The number of lines that differ; lines that take the place of others count once. */
export function differing(before: readonly string[], after: readonly string[]): number {
  let [from, ends] = [0, 0];
  const shorter = Math.min(before.length, after.length);
  while (from < shorter && before[from] === after[from]) {
    from += 1;
  }
  while (ends < shorter - from && before[before.length - 1 - ends] === after[after.length - 1 - ends]) {
    ends += 1;
  }
  const [old, now] = [before.slice(from, before.length - ends), after.slice(from, after.length - ends)];
  return old.length * now.length > MOST_PAIRS ? Math.max(old.length, now.length) : cost(old, now);
}

/** The edit distance of two lists of lines. */
function cost(old: readonly string[], now: readonly string[]): number {
  let above = Array.from({ length: now.length + 1 }, (_, column) => column);
  for (const [row, line] of old.entries()) {
    const costs = [row + 1];
    for (const [column, other] of now.entries()) {
      costs.push(Math.min(above[column] + (line === other ? 0 : 1), above[column + 1] + 1, costs[column] + 1));
    }
    above = costs;
  }
  return above[now.length];
}
