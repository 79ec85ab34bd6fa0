// @ts-check
/** Style of results and logs, beyond what style.mjs has. Colours are tokens. */

export const RESULT_STYLE = `
`;
