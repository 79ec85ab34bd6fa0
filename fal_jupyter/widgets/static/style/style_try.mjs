// @ts-check
/** Style of the form and the running call, beyond what style.mjs has. Colours are tokens. */

export const TRY_STYLE = `
.fj .fj-form > .fj-whole-row {
  grid-column: 1 / -1;
}
.fj .fj-try-form .fj-form {
  grid-template-columns: minmax(88px, 32%) minmax(0, 1fr);
}
.fj .fj-try-form .fj-form .fj-form {
  padding: 8px 10px;
  grid-template-columns: minmax(56px, 32%) minmax(0, 1fr);
  gap: 6px 8px;
}
.fj .fj-form .fj-form input[type="range"] {
  flex-basis: 48px;
  min-width: 40px;
}
.fj .fj-form .fj-form .fj-box {
  flex-basis: 64px;
}
.fj .fj-list-item {
  min-width: 0;
}
.fj .fj-fields > .fj-form + .fj-form {
  padding-top: 0;
}
.fj .fj-doc {
  padding: 0 12px;
  font-size: 12px;
  color: var(--fj-muted);
  overflow-wrap: anywhere;
}
.fj .fj-doc .fj-markdown {
  padding: 0;
}
.fj .fj-doc p {
  margin: 0 0 4px;
}
.fj .fj-doc + .fj-samples + .fj-fields {
  margin-top: -4px;
}
.fj .fj-samples {
  padding: 8px 12px 0;
}
.fj .fj-examples {
  display: flex;
  flex-wrap: wrap;
  gap: 4px;
  width: 100%;
}
.fj .fj-examples .fj-choice {
  max-width: 180px;
  font-size: 11px;
  height: 20px;
  padding: 0 6px;
}
.fj .fj-optional-fields {
  width: 100%;
}
.fj .fj-optional-fields:empty {
  display: none;
}
.fj .fj-which {
  flex: 0 1 auto;
  width: auto;
}
.fj .fj-folded > summary {
  font-size: 12px;
  color: var(--fj-muted);
  cursor: pointer;
}
.fj .fj-list-foot {
  display: flex;
  gap: 6px;
  flex-wrap: wrap;
}
.fj .fj-endpoint-choice {
  text-overflow: ellipsis;
}
.fj .fj-undo {
  display: inline-flex;
  align-items: center;
  gap: 4px;
}
.fj .fj-load-going > div {
  background: var(--fj-run-fill);
}
.fj .fj-load-over > div {
  background: var(--fj-ok-fill);
}
.fj .fj-load-failed > div {
  background: var(--fj-failed-fill);
}
.fj .fj-load-stopped > div {
  background: var(--fj-edge);
}
.fj .fj-drop-here {
  border-style: solid;
  background: var(--fj-tint-run);
}
.fj .fj-drop {
  position: relative;
}
.fj .fj-file:focus-visible + .fj-button {
  outline: 2px solid var(--fj-brand);
  outline-offset: 1px;
}
.fj .fj-drop > .fj-button {
  flex: none;
}
.fj .fj-drop > .fj-input {
  flex: 1 1 100%;
}
.fj .fj-drop-hint {
  font-size: 11px;
}
.fj .fj-picker:has(input[aria-invalid="true"]) > .fj-drop {
  border-color: var(--fj-failed);
}
.fj [hidden].fj-drop,
.fj [hidden].fj-picked {
  display: none;
}
.fj .fj-picked {
  border: 1px dashed var(--fj-edge);
  padding: 6px 8px;
  width: 100%;
  display: flex;
  gap: 8px;
  align-items: center;
  min-width: 0;
  flex-wrap: wrap;
}
.fj .fj-picked:has(.fj-thumb) {
  flex-wrap: nowrap;
}
.fj .fj-picked-words {
  display: flex;
  flex-direction: column;
  flex: 1 1 80px;
  min-width: 0;
  font-size: 12px;
}
.fj .fj-picked-words .fj-nowrap {
  white-space: nowrap;
  font-size: 11px;
  overflow: hidden;
  text-overflow: ellipsis;
}
.fj .fj-look {
  display: inline-flex;
}
.fj .fj-thumb {
  width: 48px;
  height: 48px;
  object-fit: contain;
  background: var(--fj-sunken);
  display: inline-flex;
  align-items: center;
  justify-content: center;
  font-size: 11px;
  text-align: center;
}
.fj .fj-thumb .fj-choice {
  padding: 0 4px;
  font-size: 11px;
}
.fj audio.fj-player {
  height: 32px;
  max-width: 220px;
}
.fj video.fj-player {
  max-width: 180px;
  max-height: 100px;
}
.fj .fj-trials {
  min-width: 0;
}
.fj .fj-trial {
  min-width: 0;
}
.fj .fj-trial-title {
  padding: 0 0 8px;
  min-height: 34px;
}
.fj .fj-trial-tools {
  display: inline-flex;
  gap: 4px;
}
.fj .fj-trial-changes {
  font-size: 12px;
  padding: 0 0 8px;
  overflow-wrap: anywhere;
}
.fj .fj-trial-note {
  font-size: 12px;
  padding: 4px 8px;
  margin: 0 0 8px;
  overflow-wrap: anywhere;
  border-left: 3px solid var(--fj-setup);
  background: var(--fj-tint-setup);
}
.fj .fj-stale > .fj-answer {
  border-left: 3px solid var(--fj-setup);
  padding-left: 8px;
}
.fj .fj-trial > .fj-call-line:not(:empty) {
  border-top: 1px solid var(--fj-border);
  margin-top: 10px;
  padding-top: 8px;
}
.fj .fj-call-line > details > summary {
  display: flex;
  flex-wrap: wrap;
  gap: 2px 12px;
  align-items: center;
  cursor: pointer;
}
.fj .fj-call-line > details > summary::before {
  content: "▸";
  width: 8px;
  color: var(--fj-muted);
}
.fj .fj-call-line > details[open] > summary::before {
  content: "▾";
}
.fj .fj-line-part {
  white-space: nowrap;
}
.fj .fj-line-bar {
  display: inline-flex;
  width: 90px;
}
.fj .fj-answer > .fj-printed,
.fj .fj-answer > details {
  margin-top: 8px;
}
.fj .fj-comparing {
  grid-template-columns: minmax(220px, 0.8fr) minmax(0, 2fr);
}
.fj .fj-comparing .fj-second {
  display: none;
}
.fj .fj-comparing > .fj-trials {
  display: grid;
  grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
  grid-template-rows: repeat(4, auto) 1fr auto;
  gap: 0;
}
.fj .fj-comparing .fj-trial {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  grid-template-rows: subgrid;
  grid-row: span 6;
}
.fj .fj-comparing .fj-trial > .fj-trial-title {
  grid-row: 1;
  align-content: start;
}
.fj .fj-comparing .fj-trial > .fj-trial-changes {
  grid-row: 2;
}
.fj .fj-comparing .fj-trial > .fj-trial-note {
  grid-row: 3;
  align-self: start;
}
.fj .fj-comparing .fj-trial > .fj-running {
  grid-row: 4;
}
.fj .fj-comparing .fj-trial > .fj-answer {
  grid-row: 5;
}
.fj .fj-comparing .fj-trial > .fj-call-line {
  grid-row: 6;
}
.fj .fj-comparing .fj-trial + .fj-trial {
  border-left: 1px solid var(--fj-border);
  padding-left: 12px;
}
.fj .fj-comparing .fj-trial:has(+ .fj-trial) {
  padding-right: 12px;
}
.fj .fj-running-head {
  display: flex;
  align-items: center;
  gap: 8px;
  flex: 1;
  min-width: 0;
}
.fj .fj-clock {
  font-weight: 600;
  min-width: 52px;
}
.fj .fj-running {
  display: flex;
  flex-direction: column;
  gap: 6px;
}
.fj .fj-running-where {
  min-height: 18px;
  font-size: 12px;
}
.fj .fj-running-progress {
  display: flex;
  gap: 8px;
  align-items: center;
  font-size: 12px;
  min-height: 18px;
}
.fj .fj-running-progress:empty {
  display: none;
}
.fj .fj-running-progress .fj-progress {
  flex: 1 1 80px;
}
.fj .fj-running-progress .fj-progress > div {
  background: var(--fj-run-fill);
}
.fj .fj-running-tail {
  max-height: 76px;
}
@container fj (max-width: 720px) {
  .fj .fj-comparing {
    grid-template-columns: minmax(0, 1fr);
  }
}
@container fj (max-width: 1100px) {
  .fj .fj-comparing .fj-try-form .fj-form {
    grid-template-columns: minmax(0, 1fr);
    gap: 4px;
  }
}
@container fj (max-width: 480px) {
  .fj .fj-comparing > .fj-trials {
    grid-template-columns: minmax(0, 1fr);
    grid-template-rows: none;
    gap: 12px 0;
  }
  .fj .fj-comparing .fj-trial {
    display: block;
  }
  .fj .fj-comparing .fj-trial + .fj-trial {
    border-left: 0;
    padding-left: 0;
  }
  .fj .fj-comparing .fj-trial:has(+ .fj-trial) {
    padding-right: 0;
  }
}
`;
