// @ts-check
/** Style of the card and the chip, beyond what style.mjs has. Colours are tokens. */

export const CARD_STYLE = `
.fj .fj-facts { display: grid; grid-template-columns: minmax(0, 1.8fr) minmax(0, 1.5fr) minmax(0, 1.7fr) minmax(64px, 0.7fr) minmax(0, 1.9fr) minmax(0, 2.2fr); }
.fj .fj-fact { overflow: hidden; }
.fj .fj-fact .fj-glyph { vertical-align: top; }
@container fj (max-width: 820px) { .fj .fj-facts { grid-template-columns: minmax(0, 1.4fr) minmax(0, 1fr) minmax(0, 1.2fr); } }
@container fj (max-width: 420px) { .fj .fj-facts { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); } }
.fj .fj-card-notice { min-height: 36px; border-bottom: 1px solid var(--fj-border); }
.fj .fj-card-notice > .fj-banner, .fj .fj-card-notice > .fj-empty { min-height: 36px; padding-top: 8px; padding-bottom: 8px; margin: 0; position: relative; }
.fj .fj-quiet { border-color: transparent; background: none; color: var(--fj-muted); }
.fj .fj-card-row { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 10px; min-width: 0; }
.fj .fj-card-row > .fj-cut { flex: 0 1 auto; max-width: 60%; }
.fj .fj-card-notice .fj-choice { height: 18px; line-height: 16px; }
.fj .fj-card-starting .fj-progress { position: absolute; left: 0; right: 0; bottom: 0; height: 3px; margin: 0; border: 0; }
.fj .fj-card-steps { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0; padding: 12px; }
.fj .fj-card-steps li { display: inline-flex; align-items: center; gap: 6px; }
.fj .fj-card-steps li[aria-current] { font-weight: 600; } .fj .fj-card-steps .fj-muted { font-weight: 400; }
.fj .fj-card-tail { margin: 0 12px 12px; }
.fj .fj-card-crash-actions { padding: 8px 0 0; }
.fj .fj-away { display: none; }
.jp-Cell.jp-mod-active > .fj-cell-chip.fj { top: 6px; right: calc(12px + var(--fj-beside, 0px)); }
.fj-cell-chip .fj-chip { max-width: 340px; overflow: hidden; text-overflow: ellipsis; }
.fj-cell-chip .fj-chip.fj-dashed { border-style: dashed; background: var(--fj-tint-setup); }
.fj-cell-chip .fj-chip.fj-failed { background: var(--fj-tint-failed); }
`;
