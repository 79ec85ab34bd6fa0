// @ts-check
/** Style of the panels over all apps and of the timeline, beyond what style.mjs has. Colours are tokens here as well. */

const LEDGER_LIGHT = "--fj-mem-0: #0072b2; --fj-mem-1: #e69f00; --fj-mem-2: #009e73; --fj-mem-3: #cc79a7; --fj-mem-other: #9aa3ad;";
const LEDGER_DARK = "--fj-mem-0: #3d9be0; --fj-mem-1: #d9971a; --fj-mem-2: #1fa97c; --fj-mem-3: #c57aa4; --fj-mem-other: #78828d;";

export const PANEL_STYLE = `
.fj { ${LEDGER_LIGHT} }
@media (prefers-color-scheme: dark) { body:not([data-jp-theme-light]):not(.vscode-light) .fj { ${LEDGER_DARK} } }
body[data-jp-theme-light="false"] .fj, body.vscode-dark .fj, body.vscode-high-contrast .fj, html[theme="dark"] .fj, .fj.fj-dark { ${LEDGER_DARK} }
html[theme="light"] .fj, .fj.fj-light { ${LEDGER_LIGHT} }
.fj .fj-table td.fj-cut, .fj .fj-table td .fj-cut { max-width: 200px; overflow: hidden; text-overflow: ellipsis; }
.fj .fj-table td .fj-cut { display: block; }
.fj svg.fj-chart { touch-action: pan-y; user-select: none; cursor: crosshair; }
.fj svg.fj-chart:focus-visible { outline-offset: -2px; }
.fj svg .fj-hatch { stroke: none; pointer-events: none; }
.fj svg.fj-chart text.fj-on-lane { fill: var(--fj-on-run); font-size: 10px; pointer-events: none; }
.fj svg .fj-fill-RUNNING, .fj svg .fj-fill-IDLE, .fj svg .fj-fill-SETUP { stroke-width: 1; }
.fj svg.fj-chart .fj-mark text { fill: var(--fj-text); } .fj svg .fj-mark { outline: none; }
.fj svg .fj-mark-ring { fill: none; stroke: var(--fj-brand); stroke-width: 1.5; } .fj svg .fj-mark:focus-visible .fj-mark-ring { stroke-width: 2.5; }
.fj svg .fj-mark-up .fj-mark-line { stroke: var(--fj-run); } .fj svg .fj-mark-down .fj-mark-line { stroke: var(--fj-draining); } .fj svg .fj-mark-retry .fj-mark-line { stroke: var(--fj-failed); }
.fj svg .fj-mark-note .fj-mark-line { display: none; } .fj svg .fj-mark-here { stroke-dasharray: none; }
.fj svg .fj-brush-edge { stroke: var(--fj-brand); stroke-width: 1; }
.fj .fj-readout { flex-wrap: nowrap; } .fj .fj-readout > * { flex: none; white-space: nowrap; } .fj .fj-readout > .fj-readout-text { flex: 1 1 auto; white-space: normal; overflow-wrap: anywhere; min-width: 0; max-height: 54px; overflow: auto; }
.fj .fj-readout .fj-glyph { align-self: flex-start; margin-top: 1px; }
.fj .fj-nowrap { display: inline-flex; align-items: center; gap: 8px; white-space: nowrap; }
.fj .fj-row > * { flex: none; } .fj .fj-row > .fj-cut, .fj .fj-row > .fj-space { flex: 0 1 auto; } .fj .fj-row > .fj-space { flex: 1 0 4px; } .fj .fj-row > .fj-aside { white-space: nowrap; max-width: 50%; overflow: hidden; text-overflow: ellipsis; }
.fj .fj-row .fj-icon-button { width: 22px; height: 22px; }
.fj .fj-tree-meter { height: 6px; flex: 1 1 40px !important; border: 1px solid var(--fj-edge); border-radius: 3px; overflow: hidden; min-width: 30px; } .fj .fj-tree-meter > span { display: block; height: 100%; background: var(--fj-run-fill); }
.fj .fj-sunken-row { background: var(--fj-sunken); border-top: 1px solid var(--fj-border); }
.fj [hidden] { display: none !important; }
@container fj (max-width: 480px) { .fj .fj-readout { flex-wrap: wrap; } .fj .fj-readout > .fj-readout-text { flex-basis: 100%; } }
`;
