// @ts-check
/**
 * The style of every panel: tokens first, then components. Everything is below `.fj`; colours are in the tokens only,
 * and follow JupyterLab's variables where those are there. Widths come from container queries, never from the window.
 *
 * Components: .fj-card .fj-head .fj-facts .fj-fact .fj-tabs .fj-tab .fj-tab-panel .fj-button (.fj-primary .fj-danger)
 * .fj-icon-button .fj-chip .fj-banner (.fj-warn .fj-bad .fj-good) .fj-table .fj-number .fj-mono .fj-muted .fj-field
 * .fj-input .fj-error .fj-bar .fj-phase-* .fj-split .fj-tree .fj-row .fj-figures .fj-figure .fj-log .fj-code
 * .fj-readout .fj-empty .fj-drawer
 */

import { BOARD_STYLE } from "./style_board.mjs";
import { CARD_STYLE } from "./style_card.mjs";
import { PANEL_STYLE } from "./style_panels.mjs";
import { PROGRAMS_STYLE } from "./style_programs.mjs";
import { RESULT_STYLE } from "./style_result.mjs";
import { TRY_STYLE } from "./style_try.mjs";

const LIGHT = `
  --fj-text: var(--jp-ui-font-color1, #1f2328);
  --fj-muted: #636363;
  --fj-surface: var(--jp-layout-color1, #fff);
  --fj-sunken: var(--jp-layout-color2, #f6f7f8);
  --fj-border: var(--jp-border-color2, #dcdfe3);
  --fj-edge: #8a8a8a;
  --fj-brand: var(--jp-brand-color1, #1976d2);
  --fj-accept: var(--jp-accept-color-normal, #1565c0);
  --fj-link: #0d5fb8;
  --fj-pending: #596473;
  --fj-pending-fill: #e9ecf0;
  --fj-setup: #8a4f00;
  --fj-setup-fill: #f5c04f;
  --fj-idle: #2a6a9c;
  --fj-idle-fill: #9ccdf2;
  --fj-run: #00569a;
  --fj-run-fill: #0072b2;
  --fj-draining: #8a3a6f;
  --fj-draining-fill: #d186b2;
  --fj-failed: #ad3800;
  --fj-failed-fill: #d55e00;
  --fj-ok: #0b6b4d;
  --fj-ok-fill: #0b7a58;
  --fj-transfer-fill: #7b8794;
  --fj-tint-setup: #fff6e5;
  --fj-tint-failed: #fdeee7;
  --fj-tint-run: #e8f2fb;
  --fj-tint-ok: #e6f4ee;
  --fj-on-run: #fff;
  --fj-string: #a31515;
  --fj-value: #1b6e2f;`;
const DARK = `
  --fj-text: var(--jp-ui-font-color1, #e6e8eb);
  --fj-muted: #b3b3b3;
  --fj-surface: var(--jp-layout-color1, #16191d);
  --fj-sunken: var(--jp-layout-color2, #22262b);
  --fj-border: var(--jp-border-color2, #3a3f46);
  --fj-edge: #7d7d7d;
  --fj-brand: var(--jp-brand-color1, #4aa3f0);
  --fj-accept: var(--jp-accept-color-normal, #1565c0);
  --fj-link: #7cbcf7;
  --fj-pending: #b3bcc8;
  --fj-pending-fill: #3b424b;
  --fj-setup: #f2b453;
  --fj-setup-fill: #e3ab36;
  --fj-idle: #93cbef;
  --fj-idle-fill: #23506f;
  --fj-run: #7cc0f8;
  --fj-run-fill: #3d9be0;
  --fj-draining: #e3a8cb;
  --fj-draining-fill: #ad6891;
  --fj-failed: #ff9f75;
  --fj-failed-fill: #d1491b;
  --fj-ok: #55cda5;
  --fj-ok-fill: #1f9c74;
  --fj-transfer-fill: #87919d;
  --fj-tint-setup: #33291a;
  --fj-tint-failed: #38251d;
  --fj-tint-run: #1b2c3b;
  --fj-tint-ok: #1b2f28;
  --fj-on-run: #10151b;
  --fj-string: #f2a48f;
  --fj-value: #8fd19e;`;

export const STYLE = `
.fj {
  ${LIGHT}
  color: var(--fj-text);
  background: var(--fj-surface);
  font: 400 13px / 18px var(--jp-ui-font-family, system-ui, sans-serif);
  font-variant-numeric: tabular-nums;
  container-type: inline-size;
  container-name: fj;
  text-align: left;
  box-sizing: border-box;
}
@media (prefers-color-scheme: dark) {
  body:not([data-jp-theme-light]):not(.vscode-light) .fj {
    ${DARK}
  }
}
body[data-jp-theme-light="false"] .fj,
body.vscode-dark .fj,
body.vscode-high-contrast .fj,
html[theme="dark"] .fj,
.fj.fj-dark {
  ${DARK}
}
html[theme="light"] .fj,
.fj.fj-light {
  ${LIGHT}
}
.fj *,
.fj *::before {
  box-sizing: border-box;
}
.fj p {
  margin: 0;
}
.fj :focus-visible {
  outline: 2px solid var(--fj-brand);
  outline-offset: 1px;
}
.fj .fj-glyph {
  width: 16px;
  height: 16px;
  flex: none;
  vertical-align: -3px;
}
.fj .fj-glyph .fj-solid {
  fill: currentColor;
  stroke: none;
}
.fj .fj-glyph .fj-line {
  fill: none;
  stroke: currentColor;
  stroke-width: 1.5;
  stroke-linecap: round;
  stroke-linejoin: round;
}
.fj .fj-glyph .fj-dashed {
  fill: none;
  stroke: currentColor;
  stroke-width: 1.5;
  stroke-dasharray: 2.4 2;
}
.fj .fj-glyph .fj-dots {
  fill: none;
  stroke: currentColor;
  stroke-width: 2.4;
  stroke-linecap: round;
}
.fj .fj-glyph .fj-on-solid {
  fill: none;
  stroke: var(--fj-surface);
  stroke-width: 1.6;
  stroke-linecap: round;
  stroke-linejoin: round;
}
.fj .fj-ok {
  color: var(--fj-ok);
}
.fj .fj-setup {
  color: var(--fj-setup);
}
.fj .fj-failed {
  color: var(--fj-failed);
}
.fj .fj-pending {
  color: var(--fj-pending);
}
.fj .fj-idle {
  color: var(--fj-idle);
}
.fj .fj-run {
  color: var(--fj-run);
}
.fj .fj-draining {
  color: var(--fj-draining);
}
.fj .fj-muted {
  color: var(--fj-muted);
}
.fj .fj-state {
  display: inline-flex;
  align-items: center;
  gap: 6px;
  font-weight: 600;
  white-space: nowrap;
}
.fj .fj-mono {
  font-family: var(--jp-code-font-family, monospace);
  font-size: 12px;
}
.fj a {
  color: var(--fj-link);
}
.fj .fj-cut {
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
  min-width: 0;
}
.fj-card {
  border: 1px solid var(--fj-border);
  border-radius: 4px;
  max-width: 1232px;
  margin: 4px 0;
}
.fj .fj-head {
  display: flex;
  align-items: center;
  gap: 8px;
  min-height: 36px;
  padding: 4px 8px 4px 12px;
}
.fj .fj-head-state,
.fj .fj-running-head > [role="status"] {
  display: inline-flex;
  line-height: 20px;
}
.fj .fj-head .fj-name {
  font-size: 14px;
  font-weight: 600;
  padding-left: 8px;
  border-left: 1px solid var(--fj-border);
}
.fj .fj-space {
  flex: 1;
}
.fj .fj-facts {
  display: flex;
  flex-wrap: wrap;
  background: var(--fj-sunken);
  border: 1px solid var(--fj-border);
  border-width: 1px 0;
}
.fj .fj-fact {
  padding: 6px 12px;
  border-left: 1px solid var(--fj-border);
  margin-left: -1px;
  flex: 1 0 auto;
  max-width: 100%;
  min-width: 0;
}
.fj .fj-label {
  font-size: 11px;
  color: var(--fj-muted);
}
.fj .fj-fact > div:last-child {
  display: flex;
  align-items: center;
  gap: 6px;
  min-height: 20px;
}
.fj .fj-tabs {
  display: flex;
  flex-wrap: wrap;
  border-bottom: 1px solid var(--fj-border);
  padding: 0 4px;
}
.fj .fj-tab {
  height: 30px;
  padding: 0 clamp(6px, 1.25cqi, 10px);
  border: 0;
  background: none;
  color: inherit;
  font: inherit;
  cursor: pointer;
  white-space: nowrap;
  border-bottom: 2px solid transparent;
  margin-bottom: -1px;
}
.fj .fj-tab[aria-selected="true"] {
  border-bottom-color: var(--fj-brand);
  font-weight: 600;
}
.fj .fj-tab-label {
  display: inline-grid;
}
.fj .fj-tab-label::after {
  content: attr(data-label);
  height: 0;
  overflow: hidden;
  visibility: hidden;
  font-weight: 600;
} /* as wide as when it is chosen */
.fj .fj-tab:focus-visible {
  outline-offset: -2px;
}
.fj .fj-tab-count {
  color: var(--fj-muted);
  font-size: 11px;
  margin-left: 6px;
  font-weight: 400;
}
.fj .fj-tab-panel {
  min-height: 180px;
}
.fj .fj-button {
  height: 26px;
  padding: 0 10px;
  border: 1px solid var(--fj-edge);
  border-radius: 2px;
  background: var(--fj-surface);
  color: inherit;
  font: inherit;
  cursor: pointer;
  display: inline-flex;
  align-items: center;
  gap: 6px;
  white-space: nowrap;
}
.fj .fj-button:hover {
  background: var(--fj-sunken);
}
.fj .fj-button:disabled,
.fj .fj-button[aria-disabled="true"] {
  opacity: 0.5;
  cursor: default;
}
.fj .fj-primary,
.fj .fj-primary:hover {
  background: var(--fj-accept);
  border-color: var(--fj-accept);
  color: #fff;
  font-weight: 500;
}
.fj .fj-icon-button {
  width: 26px;
  height: 26px;
  border: 0;
  border-radius: 2px;
  background: none;
  color: inherit;
  cursor: pointer;
  display: inline-flex;
  align-items: center;
  justify-content: center;
  flex: none;
  padding: 0;
}
.fj .fj-icon-button:hover {
  background: var(--fj-sunken);
}
.fj .fj-chip {
  border: 1px solid currentColor;
  border-radius: 2px;
  font-size: 11px;
  line-height: 16px;
  padding: 0 5px;
  white-space: nowrap;
}
.fj .fj-choice {
  border: 1px solid var(--fj-border);
  background: none;
  color: inherit;
  font: inherit;
  font-size: 12px;
  height: 22px;
  padding: 0 8px;
  border-radius: 2px;
  cursor: pointer;
}
.fj .fj-choice[aria-pressed="true"] {
  border-color: var(--fj-brand);
  background: var(--fj-tint-run);
}
.fj .fj-bar-row {
  display: flex;
  align-items: center;
  gap: 8px;
  flex-wrap: wrap;
  padding: 6px 12px;
}
.fj .fj-banner {
  border-left: 3px solid var(--fj-edge);
  background: var(--fj-sunken);
  padding: 8px 12px;
  display: flex;
  gap: 8px;
  align-items: flex-start;
}
.fj .fj-banner > div {
  flex: 1;
  min-width: 0;
}
.fj .fj-warn {
  border-color: var(--fj-setup);
  background: var(--fj-tint-setup);
}
.fj .fj-bad {
  border-color: var(--fj-failed);
  background: var(--fj-tint-failed);
}
.fj .fj-good {
  border-color: var(--fj-ok);
  background: var(--fj-tint-ok);
}
.fj .fj-table {
  border-collapse: collapse;
  width: 100%;
  font-size: 12px;
  margin: 0;
  table-layout: auto;
  color: inherit;
}
.fj .fj-table th,
.fj .fj-table td {
  text-align: left;
  padding: 3px 8px;
  height: 25px;
  border: 0;
  border-bottom: 1px solid var(--fj-border);
  background: none;
  white-space: nowrap;
  vertical-align: middle;
  max-width: none;
  color: inherit;
}
.fj .fj-table th {
  font-weight: 400;
  color: var(--fj-muted);
  font-size: 11px;
}
.fj .fj-table th:first-child,
.fj .fj-table td:first-child {
  padding-left: 12px;
}
.fj .fj-table .fj-number,
.fj .fj-number {
  text-align: right;
}
.fj .fj-table tbody tr {
  background: none;
}
.fj .fj-table tbody tr:hover {
  background: var(--fj-sunken);
}
.fj .fj-table tr[aria-selected="true"],
.fj .fj-chosen {
  background: var(--fj-tint-run);
  box-shadow: inset 3px 0 0 var(--fj-brand);
}
.fj .fj-table .fj-wide {
  width: 40%;
  min-width: 120px;
}
.fj .fj-scroll {
  overflow: auto;
  max-height: 420px;
}
.fj .fj-sort {
  border: 0;
  background: none;
  font: inherit;
  color: inherit;
  cursor: pointer;
  padding: 0;
}
.fj .fj-form {
  display: grid;
  grid-template-columns: minmax(100px, 32%) 1fr;
  gap: 8px 12px;
  padding: 12px;
  align-items: start;
}
.fj .fj-form > label,
.fj .fj-form > .fj-field-label {
  padding-top: 4px;
  overflow-wrap: anywhere;
}
.fj .fj-required {
  color: var(--fj-failed);
}
.fj .fj-field {
  display: flex;
  flex-wrap: wrap;
  gap: 6px 8px;
  align-items: center;
  min-width: 0;
}
.fj .fj-hint {
  font-size: 11px;
  color: var(--fj-muted);
  width: 100%;
  overflow-wrap: anywhere;
}
.fj .fj-input {
  font: inherit;
  color: inherit;
  background: var(--fj-surface);
  border: 1px solid var(--fj-edge);
  border-radius: 2px;
  height: 26px;
  padding: 0 8px;
  min-width: 0;
  flex: 1 1 120px;
  width: 100%;
  margin: 0;
}
.fj textarea.fj-input {
  height: auto;
  min-height: 44px;
  padding: 4px 8px;
  resize: vertical;
}
.fj .fj-box {
  flex: 0 0 84px;
  text-align: right;
}
.fj .fj-input[aria-invalid="true"] {
  border-color: var(--fj-failed);
  box-shadow: 0 0 0 1px var(--fj-failed);
}
.fj input[type="range"] {
  flex: 1 1 90px;
  min-width: 60px;
  accent-color: var(--fj-brand);
  height: 20px;
}
.fj input[type="range"].fj-unset {
  appearance: none;
  background: linear-gradient(var(--fj-border), var(--fj-border)) center / 100% 4px no-repeat;
}
.fj input[type="range"].fj-unset::-webkit-slider-thumb {
  appearance: none;
  width: 14px;
  height: 14px;
  border: 1px dashed var(--fj-muted);
  border-radius: 50%;
  background: var(--fj-surface);
}
.fj input[type="range"].fj-unset::-moz-range-thumb {
  width: 12px;
  height: 12px;
  border: 1px dashed var(--fj-muted);
  border-radius: 50%;
  background: var(--fj-surface);
}
.fj .fj-error {
  color: var(--fj-failed);
  font-size: 12px;
  width: 100%;
  display: flex;
  gap: 4px;
}
.fj fieldset {
  border: 1px solid var(--fj-border);
  border-radius: 2px;
  margin: 0;
  padding: 0;
  min-width: 0;
  width: 100%;
}
.fj fieldset[aria-invalid="true"],
.fj .fj-list[aria-invalid="true"] {
  outline: 1px solid var(--fj-failed);
  outline-offset: 2px;
}
.fj fieldset > .fj-error {
  padding: 4px 8px 0;
}
.fj legend {
  font-size: 11px;
  color: var(--fj-muted);
  padding: 0 4px;
  margin-left: 8px;
}
.fj .fj-list {
  width: 100%;
  display: flex;
  flex-direction: column;
  gap: 6px;
}
.fj .fj-list-item {
  display: flex;
  gap: 4px;
  align-items: flex-start;
}
.fj .fj-list-item > :first-child {
  flex: 1;
  min-width: 0;
}
.fj .fj-drop {
  border: 1px dashed var(--fj-edge);
  padding: 6px 8px;
  width: 100%;
  display: flex;
  gap: 8px;
  align-items: center;
  flex-wrap: wrap;
}
.fj .fj-split {
  display: grid;
  grid-template-columns: minmax(0, 1fr) minmax(0, 1.2fr);
}
.fj .fj-split > * + * {
  border-left: 1px solid var(--fj-border);
}
.fj .fj-pane {
  padding: 12px;
  min-width: 0;
}
.fj .fj-code,
.fj .fj-log {
  font: 12px / 18px var(--jp-code-font-family, monospace);
  white-space: pre;
  overflow: auto;
  margin: 0;
  padding: 8px 12px;
  background: var(--fj-sunken);
  color: var(--fj-text);
  max-height: 360px;
  tab-size: 4;
}
.fj .fj-log {
  white-space: pre-wrap;
  overflow-wrap: anywhere;
  height: 240px;
}
.fj .fj-code .fj-here {
  background: var(--fj-tint-failed);
  border-left: 3px solid var(--fj-failed);
  margin-left: -8px;
  padding-left: 8px;
  display: block;
}
.fj .fj-error-view .fj-banner {
  white-space: pre-line;
}
.fj .fj-json {
  font: 12px / 18px var(--jp-code-font-family, monospace);
  overflow-wrap: anywhere;
}
.fj .fj-json .fj-children {
  padding-left: 16px;
  border-left: 1px solid var(--fj-border);
  margin-left: 5px;
}
.fj .fj-json summary {
  cursor: pointer;
  list-style-position: outside;
  margin-left: 14px;
}
.fj .fj-json .fj-leaf {
  margin-left: 14px;
}
.fj .fj-string {
  color: var(--fj-string);
}
.fj .fj-value {
  color: var(--fj-value);
}
.fj .fj-rounded {
  text-decoration: underline dotted var(--fj-edge) 1px;
  text-underline-offset: 3px;
}
.fj .fj-media {
  max-width: 100%;
  max-height: 360px;
  display: block;
}
.fj .fj-phases {
  display: inline-flex;
  height: 10px;
  align-items: stretch;
  vertical-align: middle;
  width: 100%;
}
.fj .fj-phases > span {
  min-width: 2px;
  border: 1px solid transparent;
  flex: none;
}
.fj .fj-phase-queue {
  background: repeating-linear-gradient(135deg, var(--fj-pending-fill) 0 3px, transparent 3px 6px);
  border: 1px dashed var(--fj-pending) !important;
}
.fj .fj-phase-start {
  background: repeating-linear-gradient(135deg, var(--fj-setup-fill) 0 5px, var(--fj-tint-setup) 5px 7px);
  border-color: var(--fj-setup) !important;
}
.fj .fj-phase-transfer {
  background: var(--fj-transfer-fill);
}
.fj .fj-phase-run {
  background: var(--fj-run-fill);
  border-color: var(--fj-run) !important;
}
.fj .fj-phase-stream {
  background: repeating-linear-gradient(90deg, var(--fj-run-fill) 0 4px, var(--fj-idle-fill) 4px 6px);
  border-color: var(--fj-run) !important;
}
.fj .fj-phase-answer {
  background: var(--fj-idle-fill);
  border-color: var(--fj-run) !important;
}
.fj .fj-stream-sign {
  margin-right: 4px;
}
.fj .fj-phase-failed {
  background: repeating-linear-gradient(45deg, var(--fj-failed-fill) 0 4px, var(--fj-tint-failed) 4px 6px);
  border-color: var(--fj-failed) !important;
}
.fj .fj-legend {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 4px 12px;
  font-size: 11px;
  align-items: center;
}
.fj .fj-legend > span {
  display: inline-flex;
  align-items: center;
  gap: 4px;
}
.fj .fj-swatch {
  width: 16px;
  height: 9px;
  border: 1px solid transparent;
  display: inline-block;
}
.fj .fj-progress {
  height: 6px;
  border: 1px solid var(--fj-border);
  background: var(--fj-surface);
  width: 100%;
}
.fj .fj-progress > div {
  height: 100%;
  background: var(--fj-setup-fill);
  max-width: 100%;
}
.fj .fj-empty {
  padding: 24px 12px;
  color: var(--fj-muted);
}
.fj .fj-figures {
  display: flex;
  flex-wrap: wrap;
  border: 1px solid var(--fj-border);
  border-radius: 4px;
}
.fj .fj-figure {
  flex: 1 1 110px;
  padding: 8px 12px;
  border-left: 1px solid var(--fj-border);
  margin-left: -1px;
}
.fj .fj-figure strong {
  font-size: 20px;
  line-height: 26px;
  font-weight: 600;
}
.fj .fj-panel {
  border: 1px solid var(--fj-border);
  border-radius: 4px;
  min-width: 0;
  overflow: hidden;
}
.fj .fj-panel > header {
  display: flex;
  align-items: center;
  gap: 8px;
  padding: 6px 12px;
  min-height: 36px;
  border-bottom: 1px solid var(--fj-border);
  flex-wrap: wrap;
}
.fj .fj-panel > header h2,
.fj h2 {
  font-size: 13px;
  font-weight: 600;
  margin: 0;
  line-height: 18px;
}
.fj .fj-board {
  display: flex;
  height: 100%;
  min-height: 0;
}
.fj .fj-board-main {
  flex: 1;
  overflow: auto;
  padding: 12px;
  display: flex;
  flex-direction: column;
  gap: 12px;
  min-width: 0;
}
.fj .fj-board-main > * {
  flex: none;
}
.fj .fj-drawer {
  width: 360px;
  overflow: auto;
  border-left: 1px solid var(--fj-border);
  background: var(--fj-surface);
  flex: none;
}
.fj .fj-two {
  display: grid;
  grid-template-columns: minmax(0, 2fr) minmax(0, 1fr);
  gap: 12px;
  align-items: start;
}
.fj .fj-tree {
  font-size: 13px;
}
.fj .fj-row {
  display: flex;
  align-items: center;
  gap: 6px;
  height: 24px;
  padding: 0 8px;
  cursor: default;
  min-width: 0;
}
.fj .fj-row:hover,
.fj .fj-row:focus-visible {
  background: var(--fj-sunken);
}
.fj .fj-row:focus-visible {
  outline-offset: -2px;
}
.fj .fj-row .fj-actions {
  display: none;
}
.fj .fj-row:hover .fj-actions,
.fj .fj-row:focus-within .fj-actions {
  display: inline-flex;
}
.fj .fj-row:hover .fj-aside,
.fj .fj-row:focus-within .fj-aside {
  display: none;
}
.fj .fj-section {
  display: flex;
  align-items: center;
  gap: 6px;
  font-weight: 600;
  font-size: 12px;
  background: var(--fj-sunken);
  padding: 3px 8px;
  border: 1px solid var(--fj-border);
  border-width: 1px 0;
}
.fj .fj-menu {
  position: absolute;
  z-index: 50;
  background: var(--fj-surface);
  border: 1px solid var(--fj-border);
  box-shadow: 0 2px 8px rgb(0 0 0 / 25%);
  min-width: 200px;
  padding: 4px 0;
}
.fj .fj-menu button {
  display: flex;
  gap: 8px;
  width: 100%;
  border: 0;
  background: none;
  color: inherit;
  font: inherit;
  padding: 4px 12px;
  text-align: left;
  cursor: pointer;
  align-items: center;
}
.fj .fj-menu button:hover,
.fj .fj-menu button:focus-visible {
  background: var(--fj-tint-run);
  outline-offset: -2px;
}
.fj.fj-with-menu,
.fj .fj-with-menu {
  position: relative;
}
.fj .fj-meter {
  height: 14px;
  border: 1px solid var(--fj-edge);
  display: flex;
  flex: 1;
  min-width: 40px;
}
.fj .fj-meter > span {
  display: block;
  height: 100%;
  min-width: 1px;
  border-right: 1px solid var(--fj-surface);
}
.fj .fj-config {
  display: grid;
  grid-template-columns: minmax(150px, 190px) minmax(180px, 1fr) minmax(120px, 200px) 96px;
}
.fj .fj-config > * {
  padding: 5px 12px;
  border-bottom: 1px solid var(--fj-border);
  min-height: 36px;
  min-width: 0;
}
.fj .fj-config .fj-group {
  grid-column: 1 / -1;
  background: var(--fj-sunken);
  font-weight: 600;
  font-size: 12px;
  min-height: 0;
}
.fj .fj-config .fj-edited {
  background: var(--fj-tint-run);
}
.fj .fj-foot {
  display: flex;
  gap: 8px;
  padding: 8px 12px;
  background: var(--fj-sunken);
  flex-wrap: wrap;
  align-items: center;
}
.fj .fj-readout {
  min-height: 44px;
  padding: 6px 12px;
  border-top: 1px solid var(--fj-border);
  display: flex;
  gap: 8px;
  align-items: baseline;
  flex-wrap: wrap;
}
.fj svg.fj-chart {
  display: block;
  width: 100%;
}
.fj svg.fj-chart text {
  fill: var(--fj-muted);
  font-size: 11px;
}
.fj svg.fj-chart .fj-strong {
  fill: var(--fj-text);
  font-weight: 600;
}
.fj svg.fj-chart .fj-grid {
  stroke: var(--fj-border);
  stroke-width: 1;
}
.fj svg.fj-chart .fj-wait-line {
  fill: none;
  stroke: var(--fj-pending);
  stroke-width: 1.5;
  stroke-dasharray: 3 2;
}
.fj svg.fj-chart .fj-run-line {
  fill: none;
  stroke: var(--fj-run);
  stroke-width: 1.5;
}
.fj svg.fj-chart .fj-cross {
  stroke: var(--fj-text);
  stroke-width: 1;
}
.fj svg .fj-fill-PENDING {
  fill: var(--fj-pending-fill);
  stroke: var(--fj-pending);
  stroke-dasharray: 2 2;
}
.fj svg .fj-fill-SETUP {
  fill: var(--fj-setup-fill);
  stroke: var(--fj-setup);
}
.fj svg .fj-fill-IDLE {
  fill: var(--fj-idle-fill);
  stroke: var(--fj-idle);
}
.fj svg .fj-fill-RUNNING {
  fill: var(--fj-run-fill);
  stroke: var(--fj-run);
}
.fj svg .fj-fill-DRAINING,
.fj svg .fj-fill-TERMINATING {
  fill: var(--fj-draining-fill);
  stroke: var(--fj-draining);
}
.fj svg .fj-fill-CRASH_BACKOFF {
  fill: var(--fj-failed-fill);
  stroke: var(--fj-failed);
}
.fj svg .fj-mark {
  cursor: pointer;
}
.fj svg .fj-mark-up {
  fill: var(--fj-run);
}
.fj svg .fj-mark-down {
  fill: var(--fj-draining);
}
.fj svg .fj-mark-retry {
  fill: var(--fj-failed);
}
.fj svg .fj-mark-note {
  fill: var(--fj-muted);
}
.fj svg .fj-mark:focus-visible {
  outline: 2px solid var(--fj-brand);
}
.fj svg .fj-mark-line {
  stroke-dasharray: 2 3;
  stroke: var(--fj-edge);
}
.fj svg .fj-brush {
  fill: var(--fj-brand);
  opacity: 0.12;
}
.fj svg .fj-spark {
  fill: var(--fj-idle-fill);
  stroke: var(--fj-run);
  stroke-width: 1;
}
.fj .fj-hatch-line {
  stroke: rgb(255 255 255 / 65%);
  stroke-width: 1.5;
}
.fj .fj-visually-hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}
.fj-cell-chip.fj {
  position: absolute;
  right: 12px;
  top: 6px;
  z-index: 5;
  container-type: normal;
  background: none;
  font-size: 11px;
}
.jp-Cell.jp-mod-active > .fj-cell-chip {
  top: -22px;
}
.fj-cell-chip .fj-chip {
  background: var(--fj-surface);
  cursor: pointer;
  display: inline-flex;
  align-items: center;
  gap: 4px;
  font: inherit;
  padding: 1px 6px;
}
.fj-folded-error.fj {
  flex: 1 1 0;
  min-width: 0;
  container-type: normal;
  display: flex;
  align-items: baseline;
  gap: 8px;
  background: var(--jp-rendermime-error-background);
  padding: 4px 8px;
  overflow-wrap: anywhere;
}
.fj-folded-error > span {
  flex: 1;
  min-width: 0;
}
.fj-folded-error > button {
  flex: none;
}
@media screen {
  .fj-folds-error > .jp-OutputArea-output {
    display: none;
  }
}
@media print {
  .fj-folded-error.fj {
    display: none;
  }
}
.fj-status-frame.fj {
  container-type: normal;
  background: none;
  color: inherit;
  line-height: inherit;
}
.fj .fj-status {
  border: 0;
  background: none;
  color: inherit;
  font: inherit;
  cursor: pointer;
  padding: 0 4px;
  height: 100%;
}
.fj-sidebar {
  overflow: auto;
  background: var(--jp-layout-color1);
}
.fj-root > .fj-scrolls {
  height: 100%;
  overflow: auto;
}
.fj-root > .fj-scrolls:has(> .fj-log) {
  display: flex;
  flex-direction: column;
}
.fj-root > .fj-scrolls > .fj-log {
  flex: 1 1 auto;
  height: auto;
  min-height: 120px;
  max-height: none;
}
.fj-output {
  padding: 2px 0;
}
.cm-line.fj-line-shown {
  animation: fj-line-shown 3s ease-out;
}
@keyframes fj-line-shown {
  0%,
  60% {
    background: var(--jp-warn-color3, rgb(255 200 0 / 35%));
  }
}
.jp-Cell-outputWrapper:has(> .fj-awaited) {
  position: relative;
}
.fj-awaited {
  position: absolute;
  padding: 8px 0;
  color: var(--jp-ui-font-color2);
  font-size: var(--jp-ui-font-size1);
  animation: fj-live 2s ease-in-out infinite;
}
.jp-OutputArea:has(.jp-OutputArea-output) ~ .fj-awaited {
  display: none;
}
.fj .fj-live {
  animation: fj-live 2s ease-in-out infinite;
}
@keyframes fj-live {
  50% {
    opacity: 0.45;
  }
}
@media (prefers-reduced-motion: reduce) {
  .fj-awaited,
  .fj .fj-live {
    animation: none;
  }
}
@media (forced-colors: active) {
  .fj .fj-phases > span,
  .fj .fj-swatch,
  .fj .fj-meter > span {
    border: 1px solid CanvasText !important;
  }
}
@container fj (max-width: 1180px) {
  .fj .fj-drawer {
    position: absolute;
    right: 0;
    top: 0;
    bottom: 0;
    box-shadow: 0 0 12px rgb(0 0 0 / 30%);
    max-width: 100%;
  }
  .fj .fj-optional {
    display: none;
  }
}
@container fj (max-width: 820px) {
  .fj .fj-fact {
    flex-basis: 30%;
    border-bottom: 1px solid var(--fj-border);
    margin-bottom: -1px;
  }
  .fj .fj-two {
    grid-template-columns: minmax(0, 1fr);
  }
}
@container fj (max-width: 720px) {
  .fj .fj-split {
    grid-template-columns: minmax(0, 1fr);
  }
  .fj .fj-split > * + * {
    border-left: 0;
    border-top: 1px solid var(--fj-border);
  }
}
@container fj (max-width: 700px) {
  .fj .fj-second {
    display: none;
  }
}
@container fj (max-width: 560px) {
  .fj .fj-third {
    display: none;
  }
}
@container fj (max-width: 420px) {
  .fj .fj-form {
    grid-template-columns: minmax(0, 1fr);
  }
}
`;

/**
 * Put the style where `root` lives, once.
 * @param {HTMLElement} root
 */
export function ensureStyle(root) {
  const home = root.getRootNode();
  const place = home instanceof ShadowRoot ? home : document.head;
  if (place.querySelector("style[data-fj]")) return;
  const style = document.createElement("style");
  style.dataset.fj = "";
  style.textContent = [STYLE, PANEL_STYLE, CARD_STYLE, TRY_STYLE, RESULT_STYLE, BOARD_STYLE, PROGRAMS_STYLE].join("");
  place.append(style);
}
