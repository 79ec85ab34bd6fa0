// @ts-check
/** Style of the card and the chip, beyond what style.mjs has. Colours are tokens. */

export const CARD_STYLE = `
`;
