// @ts-check
/** Style of results and logs, beyond what style.mjs has. Colours are tokens. */

export const RESULT_STYLE = `
.fj .fj-gallery {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(136px, 1fr));
  gap: 8px;
}
.fj .fj-gallery.fj-alone {
  grid-template-columns: minmax(0, 1fr);
}
.fj .fj-media-group > .fj-bar-row {
  padding: 0 0 6px;
}
.fj .fj-displays {
  margin-top: 8px;
}
.fj .fj-tile {
  margin: 0;
  min-width: 0;
  border: 1px solid var(--fj-border);
  border-radius: 2px;
  display: flex;
  flex-direction: column;
  background: var(--fj-sunken);
}
.fj .fj-tile figcaption {
  display: flex;
  gap: 8px;
  align-items: center;
  font-size: 11px;
  padding: 2px 6px;
  min-height: 22px;
  white-space: nowrap;
  background: var(--fj-surface);
}
.fj .fj-tile .fj-media {
  display: block;
  max-width: 100%;
  width: auto;
  height: auto;
  margin: auto;
}
.fj .fj-tile audio.fj-media {
  width: 100%;
  height: 40px;
}
.fj .fj-tile video.fj-media {
  max-height: 420px;
}
.fj .fj-tile-button {
  border: 0;
  padding: 0;
  background: none;
  cursor: zoom-in;
  flex: 1;
  display: flex;
  min-height: 40px;
}
.fj .fj-tile-button .fj-media {
  max-height: 180px;
  object-fit: contain;
}
.fj .fj-alone .fj-tile-button .fj-media {
  max-height: 320px;
}
.fj .fj-tile.fj-large {
  grid-column: 1 / -1;
}
.fj .fj-tile.fj-large .fj-tile-button {
  cursor: zoom-out;
}
.fj .fj-tile-ask {
  display: flex;
  flex-direction: column;
  gap: 6px;
  align-items: center;
  justify-content: center;
  text-align: center;
  min-height: 96px;
  padding: 8px;
  overflow-wrap: anywhere;
  flex: 1;
}
.fj .fj-tile-ask > .fj-cut {
  max-width: 100%;
}
.fj .fj-tile-ask .fj-button {
  max-width: 100%;
  overflow: hidden;
  text-overflow: ellipsis;
  display: block;
}
.fj .fj-file-tile {
  grid-column: 1 / -1;
  max-width: 420px;
  flex-direction: row;
  align-items: center;
  gap: 8px;
  min-height: 44px;
  padding: 4px 8px;
}
.fj .fj-file-tile > .fj-glyph {
  flex: none;
  color: var(--fj-muted);
}
.fj .fj-file-words {
  display: flex;
  flex-direction: column;
  flex: 1;
  min-width: 0;
  overflow-wrap: anywhere;
}
.fj .fj-file-action {
  flex: none;
  max-width: 50%;
}
.fj .fj-error-view {
  overflow-wrap: anywhere;
}
.fj .fj-error-view .fj-code {
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
.fj .fj-fold {
  margin-top: 8px;
}
.fj .fj-fold > summary {
  cursor: pointer;
  padding: 2px 0;
}
.fj .fj-answer .fj-json,
.fj .fj-fold .fj-json {
  max-height: 420px;
  overflow: auto;
}
.fj .fj-stream > .fj-bar-row {
  padding: 0 0 6px;
}
.fj .fj-choices {
  display: inline-flex;
}
.fj .fj-choices .fj-choice + .fj-choice {
  margin-left: -1px;
}
.fj .fj-stream-box {
  height: 240px;
  overflow: auto;
  border: 1px solid var(--fj-border);
  padding: 6px 8px;
  overscroll-behavior: contain;
}
.fj .fj-stream-text {
  white-space: pre-wrap;
  overflow-wrap: anywhere;
  unicode-bidi: plaintext;
}
.fj .fj-stream-raw {
  margin: 0;
  font: 12px / 18px var(--jp-code-font-family, monospace);
  white-space: pre-wrap;
  overflow-wrap: anywhere;
  color: inherit;
  background: none;
  padding: 0;
}
.fj .fj-stream-events {
  list-style: none;
  margin: 0;
  padding: 0;
}
.fj .fj-stream-event,
.fj .fj-stream-events summary {
  display: flex;
  gap: 8px;
  min-width: 0;
}
.fj .fj-stream-events summary {
  cursor: pointer;
}
.fj .fj-stream-events .fj-number {
  flex: none;
  min-width: 36px;
}
.fj .fj-stream-events details > .fj-json {
  padding-left: 44px;
}
.fj .fj-stream-media:not(:empty) {
  margin-top: 8px;
}
.fj .fj-outputs {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(230px, 1fr));
  gap: 12px;
  padding: 0 12px;
  align-items: start;
}
.fj .fj-output-card {
  border: 1px solid var(--fj-border);
  border-radius: 4px;
  padding: 8px;
  min-width: 0;
}
.fj .fj-output-card .fj-gallery {
  grid-template-columns: repeat(auto-fill, minmax(96px, 1fr));
}
.fj .fj-output-card .fj-gallery.fj-alone {
  grid-template-columns: minmax(0, 1fr);
}
.fj .fj-output-card .fj-alone .fj-tile-button .fj-media {
  max-height: 180px;
}
.fj .fj-tile.fj-large .fj-tile-button > .fj-media.fj-media {
  width: 100%;
  max-height: min(85vh, 1000px);
}
.fj .fj-output-card:has(.fj-large) {
  grid-column: 1 / -1;
}
.fj .fj-output-card figcaption > :not(a, .fj-space) {
  display: none;
}
.fj .fj-tile figcaption {
  overflow: hidden;
}
.fj .fj-tile figcaption > a {
  flex: none;
}
.fj .fj-tile figcaption > .fj-muted {
  overflow: hidden;
  text-overflow: ellipsis;
}
.fj .fj-output-words {
  margin: 6px 0;
  overflow-wrap: anywhere;
  unicode-bidi: plaintext;
  min-height: 18px;
}
.fj .fj-output-foot {
  display: flex;
  align-items: flex-end;
  justify-content: space-between;
  gap: 6px;
}
.fj .fj-output-foot > .fj-button {
  flex: none;
}
.fj .fj-output-facts {
  padding: 0;
  gap: 2px 6px;
  font-size: 11px;
  min-width: 0;
}
.fj .fj-logs-bar {
  gap: 6px;
}
.fj .fj-logs-filter {
  max-width: 180px;
  flex: 1 1 110px;
}
.fj .fj-logs-choice {
  max-width: 150px;
  flex: 0 1 auto;
  width: auto;
}
.fj .fj-terminal mark {
  background: var(--fj-setup-fill);
  color: #15181c;
}
.fj .fj-log .fj-level-3,
.fj .fj-log .fj-level-2 {
  font-weight: 400;
}
.fj .fj-choice[aria-pressed="true"] {
  font-weight: 600;
}
.fj .fj-ansi-bold {
  font-weight: 700;
}
.fj .fj-ansi-dim {
  font-weight: 300;
}
.fj .fj-ansi-italic {
  font-style: italic;
}
.fj .fj-ansi-underline {
  text-decoration: underline;
}
.fj .fj-ansi-red {
  color: var(--fj-failed);
}
.fj .fj-ansi-green {
  color: var(--fj-ok);
}
.fj .fj-ansi-yellow {
  color: var(--fj-setup);
}
.fj .fj-ansi-blue {
  color: var(--fj-run);
}
.fj .fj-ansi-magenta {
  color: var(--fj-draining);
}
.fj .fj-ansi-cyan {
  color: var(--fj-idle);
}
.fj .fj-ansi-black,
.fj .fj-ansi-white {
  color: var(--fj-muted);
}
.fj .fj-ansi-on-red,
.fj .fj-ansi-on-green,
.fj .fj-ansi-on-yellow,
.fj .fj-ansi-on-blue,
.fj .fj-ansi-on-magenta,
.fj .fj-ansi-on-cyan,
.fj .fj-ansi-on-white,
.fj .fj-ansi-on-black {
  color: var(--fj-text);
}
.fj .fj-ansi-on-red {
  background: var(--fj-tint-failed);
}
.fj .fj-ansi-on-green {
  background: var(--fj-tint-ok);
}
.fj .fj-ansi-on-yellow {
  background: var(--fj-tint-setup);
}
.fj .fj-ansi-on-blue,
.fj .fj-ansi-on-cyan {
  background: var(--fj-tint-run);
}
.fj .fj-ansi-on-magenta {
  background: color-mix(in srgb, var(--fj-draining-fill) 20%, var(--fj-surface));
}
.fj .fj-ansi-on-white,
.fj .fj-ansi-on-black {
  background: color-mix(in srgb, var(--fj-edge) 25%, var(--fj-surface));
}
.fj .fj-ansi-inverse {
  color: var(--fj-surface);
}
.fj .fj-ansi-on-inverse {
  background: var(--fj-text);
  color: var(--fj-surface);
}
.fj .fj-log-line {
  display: grid;
  grid-template-columns: 11ch 10ch 8ch minmax(0, 1fr);
}
@container fj (max-width: 560px) {
  .fj .fj-logs-choice {
    max-width: 110px;
  }
  .fj .fj-log-line {
    display: block;
  }
}
`;
