// @ts-check
/** Style of dashboard, requests, sidebar, beyond what style.mjs has. Colours are tokens. */

export const BOARD_STYLE = `
`;
