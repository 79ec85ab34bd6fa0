// @ts-check
/** Style of the card and the chip, beyond what style.mjs has. Colours are tokens. */

export const CARD_STYLE = `
.fj .fj-facts {
  flex-wrap: nowrap;
}
.fj .fj-fact {
  overflow: hidden;
  flex: 1 1 auto;
  min-width: 64px;
}
.fj .fj-fact[data-fact="Endpoints"] {
  flex-shrink: 4;
  min-width: 104px;
}
.fj .fj-fact:is([data-fact="Revision"], [data-fact="Address"]) {
  max-width: 32%;
}
.fj .fj-fact:is([data-fact="Machine"], [data-fact="Setup"]) {
  flex: 0 0 auto;
  max-width: 180px;
}
.fj .fj-fact[data-fact="Runners"] {
  flex: 0 0 auto;
  min-width: 116px;
  max-width: 24%;
}
.fj .fj-fact > div:last-child {
  white-space: nowrap;
}
.fj .fj-fact > div:last-child > :not(.fj-cut) {
  flex: none;
}
.fj .fj-fact > div:last-child > .fj-wrap {
  flex: 0 1 auto;
  min-width: 0;
  white-space: normal;
  overflow-wrap: anywhere;
}
.fj .fj-fact .fj-icon-button {
  height: 20px;
}
.fj .fj-fact .fj-glyph {
  vertical-align: top;
}
@container fj (max-width: 820px) {
  .fj .fj-fact.fj-fact.fj-fact {
    min-width: 0;
    max-width: none;
  }
  .fj .fj-facts {
    display: grid;
    grid-template-columns: minmax(0, 1.4fr) minmax(0, 1fr) minmax(0, 1.2fr);
  }
}
@container fj (max-width: 420px) {
  .fj .fj-facts {
    grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
  }
}
.fj .fj-card-notice {
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  min-height: 37px;
  border-bottom: 1px solid var(--fj-border);
}
.fj .fj-head-actions {
  flex: none;
  white-space: nowrap;
}
.fj .fj-card-sentence {
  overflow-wrap: anywhere;
}
@container fj (max-width: 960px) {
  .fj .fj-card-notice {
    min-height: 55px;
  }
}
@container fj (max-width: 560px) {
  .fj .fj-card-notice {
    min-height: 73px;
  }
}
.fj .fj-card-body {
  --fj-room: 208px;
  --fj-panel: calc(var(--fj-room) + 31px);
}
@container fj (max-width: 720px) {
  .fj .fj-card-body {
    --fj-panel: calc(var(--fj-room) + 98px);
  }
}
.fj .fj-card-body > .fj-tab-panel {
  min-height: var(--fj-panel);
}
.fj .fj-card-stage {
  max-height: max(var(--fj-panel), var(--fj-held, 0px));
  overflow: auto;
}
.fj .fj-scale-head {
  display: flex;
  min-width: 0;
}
.fj .fj-scale-head > .fj-muted {
  flex: none;
}
@container fj (max-width: 760px) {
  .fj .fj-scale-word {
    flex: none;
    font-size: 0;
  }
  .fj .fj-scale-word::before {
    content: attr(data-short);
    font-size: 11px;
  }
}
.fj .fj-scale-head > .fj-muted:not(:empty)::before {
  content: "\\00a0\\00b7\\00a0";
}
@container fj (max-width: 620px) {
  .fj .fj-scale-word:has(+ .fj-muted:not(:empty)) {
    display: none;
  }
  .fj .fj-scale-head > .fj-muted:not(:empty)::before {
    content: "";
  }
}
.fj .fj-panel-try:not(.fj-whole) .fj-try-form {
  max-height: 560px;
  display: flex;
  flex-direction: column;
}
.fj .fj-try-form > * {
  flex: none;
}
.fj .fj-panel-try:not(.fj-whole) .fj-try-form > .fj-fields {
  flex: 0 1 auto;
  min-height: 72px;
  overflow: auto;
  scrollbar-width: thin;
}
.fj .fj-panel-try:not(.fj-whole) .fj-doc {
  max-height: 116px;
  overflow: auto;
}
.fj .fj-panel-requests .fj-requests-list > .fj-scroll {
  height: max(240px, calc(var(--fj-panel) - 116px));
  max-height: none;
}
.fj .fj-panel-outputs {
  min-height: var(--fj-panel);
  max-height: max(640px, var(--fj-panel));
  overflow-y: auto;
}
.fj .fj-panel-outputs:has(.fj-large) {
  max-height: none;
}
.fj .fj-panel-logs > .fj-log {
  height: max(240px, calc(var(--fj-panel) - 42px));
  max-height: none;
}
.fj .fj-panel-snippets .fj-program {
  min-height: 180px;
}
.fj .fj-panel-requests .fj-requests-both:has(> .fj-detail:not(:empty)) .fj-requests-list > .fj-scroll {
  height: auto;
  min-height: 240px;
  max-height: 560px;
}
.fj .fj-panel-try:not(.fj-whole) .fj-comparing .fj-try-form {
  max-height: none;
}
.fj .fj-panel-requests > .fj-by-endpoint[hidden] {
  display: block !important;
  visibility: hidden;
}
.fj .fj-panel-requests > .fj-by-endpoint > summary {
  min-height: 26px;
}
.fj .fj-past .fj-panel-requests > .fj-scroll,
.fj .fj-past .fj-panel-timeline,
.fj .fj-past .fj-panel-config {
  filter: grayscale(1);
}
.fj .fj-panel-timeline {
  height: max(520px, var(--fj-panel));
  overflow-y: auto;
}
.fj .fj-panel-timeline:has(> .fj-marked:not(:empty)) {
  height: auto;
  min-height: max(520px, var(--fj-panel));
}
.fj .fj-tab-panel:has(> .fj-panel-try:not([hidden], .fj-away)) {
  display: flex;
  flex-direction: column;
}
.fj .fj-tab-panel > .fj-panel-try:not([hidden], .fj-away) {
  display: flex;
  flex-direction: column;
  flex: 1 0 auto;
}
.fj .fj-tab-panel > .fj-panel-try > .fj-split {
  flex: 1 0 auto;
}
.fj .fj-card-build {
  max-height: 150px;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
.fj .fj-card-notice > .fj-banner,
.fj .fj-card-notice > .fj-empty {
  padding-top: 8px;
  padding-bottom: 8px;
  margin: 0;
  position: relative;
}
.fj .fj-quiet {
  border-color: transparent;
  background: none;
  color: var(--fj-muted);
}
.fj .fj-card-row {
  display: flex;
  flex-wrap: wrap;
  align-items: baseline;
  gap: 0 10px;
  min-width: 0;
}
.fj .fj-card-row > .fj-cut {
  flex: 0 1 auto;
  max-width: 60%;
}
.fj .fj-card-notice .fj-choice {
  height: 18px;
  line-height: 16px;
}
.fj .fj-card-starting .fj-progress {
  position: absolute;
  left: 0;
  right: 0;
  bottom: 0;
  height: 3px;
  margin: 0;
  border: 0;
}
.fj .fj-card-steps {
  list-style: none;
  display: flex;
  flex-wrap: wrap;
  gap: 4px 20px;
  margin: 0;
  padding: 12px;
}
.fj .fj-card-steps li {
  display: inline-flex;
  align-items: center;
  gap: 6px;
}
.fj .fj-card-steps li[aria-current] {
  font-weight: 600;
}
.fj .fj-card-steps .fj-muted {
  font-weight: 400;
}
.fj .fj-card-tail {
  margin: 0 12px 12px;
}
.fj .fj-card-stage:not(.fj-away, [hidden]):has(> .fj-card-steps) {
  min-height: max(var(--fj-panel), var(--fj-held, 0px));
  display: flex;
  flex-direction: column;
}
.fj .fj-card-stage > .fj-card-steps {
  flex: none;
}
.fj .fj-card-steps + :is(.fj-card-tail, .fj-card-silent) {
  flex: 1 1 0;
  min-height: 34px;
  max-height: none;
}
.fj .fj-card-silent {
  margin: 0 12px 12px;
  padding: 8px 12px;
  background: var(--fj-sunken);
}
.fj .fj-error-actions {
  padding: 8px 0;
}
.fj .fj-away {
  display: none;
}
.jp-Cell.jp-mod-active > .fj-cell-chip.fj {
  top: 6px;
  right: calc(12px + var(--fj-beside, 0px));
}
.fj-cell-chip .fj-chip {
  max-width: 340px;
  overflow: hidden;
  text-overflow: ellipsis;
}
.fj-cell-chip .fj-chip.fj-dashed {
  border-style: dashed;
  background: var(--fj-tint-setup);
}
.fj-cell-chip .fj-chip.fj-failed {
  background: var(--fj-tint-failed);
}
`;
