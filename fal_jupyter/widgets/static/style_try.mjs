// @ts-check
/** Style of the form and the running call, beyond what style.mjs has. Colours are tokens. */

export const TRY_STYLE = `
`;
