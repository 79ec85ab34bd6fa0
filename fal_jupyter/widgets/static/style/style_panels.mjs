// @ts-check
/**
 * Style of the panels over all apps and of the timeline, beyond what style.mjs has. Colours are tokens here as well.
 */

const LEDGER_LIGHT = `
  --fj-mem-0: #0072b2;
  --fj-mem-1: #e69f00;
  --fj-mem-2: #009e73;
  --fj-mem-3: #cc79a7;
  --fj-mem-kernel: #4a5560;
  --fj-mem-shared: #6a51a3;
  --fj-mem-other: #9aa3ad;`;
const LEDGER_DARK = `
  --fj-mem-0: #3d9be0;
  --fj-mem-1: #d9971a;
  --fj-mem-2: #1fa97c;
  --fj-mem-3: #c57aa4;
  --fj-mem-kernel: #aab4be;
  --fj-mem-shared: #9e8cf0;
  --fj-mem-other: #78828d;`;

export const PANEL_STYLE = `
.fj {
  ${LEDGER_LIGHT}
}
@media (prefers-color-scheme: dark) {
  body:not([data-jp-theme-light]):not(.vscode-light) .fj {
    ${LEDGER_DARK}
  }
}
body[data-jp-theme-light="false"] .fj,
body.vscode-dark .fj,
body.vscode-high-contrast .fj,
html[theme="dark"] .fj,
.fj.fj-dark {
  ${LEDGER_DARK}
}
html[theme="light"] .fj,
.fj.fj-light {
  ${LEDGER_LIGHT}
}
.fj .fj-table td.fj-cut,
.fj .fj-table td .fj-cut {
  max-width: 200px;
  overflow: hidden;
  text-overflow: ellipsis;
}
.fj .fj-table td .fj-cut {
  display: block;
}
.fj svg.fj-chart {
  touch-action: pan-y;
  user-select: none;
  cursor: crosshair;
}
.fj svg.fj-chart:focus:not(:focus-visible) {
  outline: none;
}
.fj svg.fj-chart:focus-visible {
  outline-offset: -2px;
}
.fj svg .fj-hatch {
  stroke: none;
  pointer-events: none;
}
.fj svg.fj-chart text.fj-on-lane {
  fill: var(--fj-on-run);
  font-size: 10px;
  pointer-events: none;
}
.fj svg .fj-fill-RUNNING,
.fj svg .fj-fill-IDLE,
.fj svg .fj-fill-SETUP {
  stroke-width: 1;
}
.fj svg.fj-chart .fj-mark text {
  fill: var(--fj-text);
}
.fj svg .fj-mark {
  outline: none;
}
.fj svg .fj-mark-ring {
  fill: none;
  stroke: var(--fj-brand);
  stroke-width: 1.5;
}
.fj svg .fj-mark:focus-visible .fj-mark-ring {
  stroke-width: 2.5;
}
.fj svg .fj-mark-line-up {
  stroke: var(--fj-run);
}
.fj svg .fj-mark-line-down {
  stroke: var(--fj-draining);
}
.fj svg .fj-mark-line-retry {
  stroke: var(--fj-failed);
}
.fj svg .fj-mark-here {
  stroke-dasharray: none;
}
.fj svg .fj-mark-lines,
.fj svg .fj-cross,
.fj svg .fj-brush,
.fj svg .fj-brush-edge {
  pointer-events: none;
}
.fj svg .fj-brush-edge {
  stroke: var(--fj-brand);
  stroke-width: 1;
}
.fj .fj-readout {
  flex-wrap: nowrap;
}
.fj .fj-readout > * {
  flex: none;
  white-space: nowrap;
}
.fj .fj-readout > .fj-readout-text {
  flex: 1 1 auto;
  white-space: normal;
  overflow-wrap: anywhere;
  min-width: 0;
  max-height: 54px;
  overflow: auto;
}
.fj .fj-readout .fj-glyph {
  align-self: flex-start;
  margin-top: 1px;
}
.fj .fj-nowrap {
  display: inline-flex;
  align-items: center;
  gap: 8px;
  white-space: nowrap;
}
.fj .fj-row > * {
  flex: none;
}
.fj .fj-row > .fj-cut,
.fj .fj-row > .fj-space {
  flex: 0 1 auto;
}
.fj .fj-row > .fj-space {
  flex: 1 0 4px;
}
.fj .fj-row > .fj-aside {
  white-space: nowrap;
  max-width: 50%;
  overflow: hidden;
  text-overflow: ellipsis;
}
.fj .fj-row .fj-icon-button {
  width: 22px;
  height: 22px;
}
.fj .fj-tree-meter {
  height: 6px;
  flex: 1 1 40px !important;
  border: 1px solid var(--fj-edge);
  border-radius: 3px;
  overflow: hidden;
  min-width: 30px;
}
.fj .fj-tree-meter > span {
  display: block;
  height: 100%;
  background: var(--fj-run-fill);
}
.fj .fj-sunken-row {
  background: var(--fj-sunken);
  border-top: 1px solid var(--fj-border);
}
.fj [hidden] {
  display: none !important;
}
.fj .fj-table tbody tr.fj-chosen {
  background: var(--fj-tint-run);
}
.fj .fj-requests th:first-child {
  width: 34px;
}
.fj .fj-ledger-row {
  flex-wrap: nowrap;
  align-items: flex-start;
}
.fj .fj-ledger-name {
  width: 130px;
  flex: none;
  min-width: 0;
}
.fj .fj-ledger-bar {
  flex: 1 1 160px;
  min-width: 0;
}
.fj .fj-ledger-free {
  width: 110px;
  flex: none;
}
.fj .fj-ledger .fj-meter {
  height: 20px;
}
.fj .fj-ledger-words {
  display: flex;
  flex-wrap: wrap;
  gap: 0 16px;
}
.fj .fj-ledger-words > span {
  max-width: 100%;
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.fj .fj-ledger-words strong {
  color: var(--fj-text);
  font-weight: 600;
}
.fj .fj-mem {
  height: 100%;
  border: 0;
  border-right: 1px solid var(--fj-surface);
  padding: 0;
  min-width: 2px;
  flex: 0 1 auto;
  cursor: pointer;
  overflow: hidden;
  font-size: 11px;
  line-height: 16px;
  text-align: left;
  position: relative;
}
.fj .fj-mem > span {
  background: var(--fj-surface);
  color: var(--fj-text);
  padding: 0 3px;
  margin-left: 3px;
  white-space: nowrap;
}
.fj .fj-mem[aria-pressed="true"] {
  outline: 2px solid var(--fj-brand);
  outline-offset: 0;
  z-index: 1;
}
.fj .fj-mem-0 {
  background: var(--fj-mem-0);
}
.fj .fj-mem-1 {
  background: repeating-linear-gradient(
    135deg,
    var(--fj-mem-1) 0 6px,
    color-mix(in srgb, var(--fj-mem-1) 60%, var(--fj-surface)) 6px 9px
  );
}
.fj .fj-mem-2 {
  background: repeating-linear-gradient(
    90deg,
    var(--fj-mem-2) 0 5px,
    color-mix(in srgb, var(--fj-mem-2) 55%, var(--fj-surface)) 5px 7px
  );
}
.fj .fj-mem-3 {
  background: repeating-linear-gradient(
    0deg,
    var(--fj-mem-3) 0 3px,
    color-mix(in srgb, var(--fj-mem-3) 50%, var(--fj-surface)) 3px 5px
  );
}
.fj .fj-mem-4 {
  background: repeating-linear-gradient(
    45deg,
    var(--fj-mem-0) 0 6px,
    color-mix(in srgb, var(--fj-mem-0) 50%, var(--fj-surface)) 6px 9px
  );
}
.fj .fj-mem-5 {
  background: var(--fj-mem-1);
}
.fj .fj-mem-6 {
  background: repeating-linear-gradient(
    0deg,
    var(--fj-mem-2) 0 3px,
    color-mix(in srgb, var(--fj-mem-2) 50%, var(--fj-surface)) 3px 5px
  );
}
.fj .fj-mem-7 {
  background: repeating-linear-gradient(
    90deg,
    var(--fj-mem-3) 0 5px,
    color-mix(in srgb, var(--fj-mem-3) 50%, var(--fj-surface)) 5px 7px
  );
}
.fj .fj-mem-kernel {
  background: var(--fj-mem-kernel);
}
.fj .fj-mem-shared {
  background: repeating-conic-gradient(
      var(--fj-mem-shared) 0 25%,
      color-mix(in srgb, var(--fj-mem-shared) 45%, var(--fj-surface)) 0 50%
    )
    0 0 / 6px 6px;
}
.fj .fj-mem-other {
  background: radial-gradient(var(--fj-mem-other) 1px, transparent 1.4px) 0 0 / 5px 5px;
  border: 1px solid var(--fj-mem-other);
}
.fj .fj-mem-starting {
  border: 1px dashed var(--fj-setup);
  opacity: 0.75;
}
.fj .fj-board-main > .fj-panel {
  overflow: hidden;
}
.fj .fj-panel {
  container-type: inline-size;
  container-name: fj;
}
.fj .fj-apps td,
.fj .fj-apps th {
  height: 32px;
}
.fj .fj-spark {
  vector-effect: non-scaling-stroke;
}
.fj .fj-config {
  grid-template-columns: minmax(150px, 256px) minmax(216px, 420px) minmax(172px, 1fr) minmax(70px, 150px);
}
.fj .fj-config > div {
  display: flex;
  flex-direction: column;
  justify-content: center;
}
.fj .fj-config > .fj-field {
  flex-direction: row;
  align-content: center;
  row-gap: 0;
  padding-block: 0; /* what is wrong fits below the box */
}
.fj .fj-config > * {
  min-height: 45px;
}
.fj .fj-config > .fj-group {
  min-height: 0;
}
.fj .fj-config > .fj-config-head {
  min-height: 26px;
}
.fj .fj-config > div:first-child label,
.fj .fj-config label {
  overflow-wrap: anywhere;
}
/* two lines fit: a changed value, with its buttons, makes no row higher */
.fj .fj-config > .fj-config-note {
  flex-flow: row wrap;
  align-items: center;
  align-content: center;
  justify-content: flex-start;
  gap: 0 4px;
  padding-block: 4px;
  line-height: 18px;
}
.fj .fj-config > .fj-config-note > .fj-chip,
.fj .fj-config > .fj-config-note > .fj-choice {
  height: 18px;
  padding: 0 5px;
  line-height: 16px;
}
.fj .fj-config .fj-edited:has(label) {
  box-shadow: inset 3px 0 0 var(--fj-brand);
}
.fj .fj-config .fj-config-note .fj-icon-button {
  height: 18px;
  width: 20px;
}
.fj .fj-config > .fj-config-note > .fj-cut {
  flex: 1 1 100%;
}
.fj .fj-slider {
  position: relative;
  flex: 1 1 90px;
  min-width: 60px;
  display: inline-flex;
}
.fj .fj-slider::after {
  content: "";
  position: absolute;
  left: calc(8px + (100% - 16px) * var(--fj-at));
  bottom: -3px;
  width: 1px;
  height: 5px;
  background: var(--fj-edge);
}
.fj .fj-about {
  border-bottom: 1px solid var(--fj-border);
}
.fj .fj-about > summary {
  padding: 6px 12px;
  cursor: pointer;
  font-size: 11px;
  color: var(--fj-muted);
}
.fj .fj-captures > summary {
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.fj .fj-captures > ul {
  margin: 0;
  padding: 0 12px 8px 28px;
}
.fj .fj-markdown {
  padding: 0 12px 10px;
  max-width: 760px;
  max-height: 360px;
  overflow: auto;
  overflow-wrap: anywhere;
}
.fj .fj-markdown > * {
  margin: 8px 0 0;
}
.fj .fj-markdown h3,
.fj .fj-markdown h4,
.fj .fj-markdown h5,
.fj .fj-markdown h6 {
  font-size: 13px;
  font-weight: 600;
  margin: 12px 0 0;
}
.fj .fj-markdown h3 {
  font-size: 15px;
}
.fj .fj-markdown ul,
.fj .fj-markdown ol {
  padding-left: 22px;
}
.fj .fj-markdown blockquote {
  margin-left: 0;
  padding-left: 10px;
  border-left: 3px solid var(--fj-border);
}
.fj .fj-markdown .fj-table {
  width: auto;
}
.fj .fj-markdown hr {
  border: 0;
  border-top: 1px solid var(--fj-border);
}
.fj .fj-markdown :is(p, li, h3, h4, h5, h6, td, th) {
  unicode-bidi: plaintext;
  text-align: start;
}
.fj .fj-markdown :is(code, a) {
  unicode-bidi: isolate;
}
@container fj (max-width: 820px) {
  .fj .fj-table td.fj-cut,
  .fj .fj-table td .fj-cut {
    max-width: 130px;
  }
}
@container fj (max-width: 620px) {
  .fj .fj-ledger-name {
    width: 84px;
  }
  .fj .fj-ledger-free {
    width: 84px;
  }
}
@container fj (max-width: 480px) {
  .fj .fj-readout {
    flex-wrap: wrap;
  }
  .fj .fj-readout > .fj-readout-text {
    flex-basis: 100%;
  }
}
@container fj (max-width: 640px) {
  .fj .fj-config {
    grid-template-columns: minmax(0, 1fr);
  }
  .fj .fj-config > .fj-config-head {
    display: none;
  }
  .fj .fj-config > *:not(.fj-group, .fj-config-applies) {
    border-bottom: 0;
  }
  .fj .fj-config > * {
    min-height: 0;
  }
  .fj .fj-config > .fj-config-note {
    padding-top: 0;
  }
  .fj .fj-config > .fj-config-applies::before {
    content: "applies ";
  }
}
`;
