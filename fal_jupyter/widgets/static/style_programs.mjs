// @ts-check
/** Style of snippets, templates, load, beyond what style.mjs has. Colours are tokens. */

export const PROGRAMS_STYLE = `
`;
