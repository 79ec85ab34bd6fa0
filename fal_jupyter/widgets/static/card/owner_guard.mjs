// @ts-check
/** What a card asks, and says, where its app is of another notebook now. */

/**
 * A host that asks before the first call or change of a card goes to the app of another notebook: a panel awaits `agrees`.
 * @param {import("../types.d.ts").Host} host
 * @param {string} alias
 * @param {() => string} other the notebook whose app it is now, "" where it is the card's own
 * @param {(title: string, text: string, button: string) => Promise<boolean>} confirm
 * @returns {import("../types.d.ts").Host}
 */
export function askingBeforeOthers(host, alias, other, confirm) {
  let agreed = "";
  /** @type {Promise<boolean> | null} the question that is open */
  let asking = null;
  const ask = async (/** @type {string} */ name) => {
    try {
      const text = `The app is of ${name} now: calls and changes from this card go to it.`;
      const sure = await confirm(`Send this to ${alias} of ${name}?`, text, "Send");
      if (sure) agreed = name;
      return sure;
    } finally {
      asking = null;
    }
  };
  const agrees = () => {
    const name = other();
    return !name || name === agreed || (asking ??= ask(name));
  };
  return Object.create(host, { otherOwner: { value: other }, agrees: { value: agrees } });
}

/**
 * How an app is had back, by the text of the cell that made it.
 * @param {string} cell what the cell is called
 * @param {string} [source] "" where it is not known
 */
export function backWords(cell, source = "") {
  const taking = /^[ \t]*%%fal_app\b[^\n]*--take-over\b/m.test(source) || /\btake_over\s*=\s*True\b/.test(source);
  if (taking) return `To have it back, run ${cell} again.`;
  const isServed = source && !/^[ \t]*%%fal_app\b/m.test(source) && /\bserve\s*\(/.test(source);
  return `To have it back, add ${isServed ? "take_over=True to serve(…) in" : "--take-over to"} ${cell} and run it.`;
}
