// @ts-check
/** Style of snippets, templates, load, beyond what style.mjs has. Colours are tokens. */

export const PROGRAMS_STYLE = `
.fj .fj-program {
  min-height: 96px;
}
.fj .fj-program-note {
  min-height: 30px;
}
.fj .fj-program-endpoint {
  flex: 0 1 180px;
  width: auto;
}
.fj .fj-choices {
  display: inline-flex;
  flex-wrap: wrap;
  gap: 4px;
}
.fj .fj-choices + .fj-choices:not(:empty) {
  border-left: 1px solid var(--fj-border);
  padding-left: 8px;
}
.fj .fj-code-comment {
  color: var(--fj-muted);
}
.fj .fj-code-string {
  color: var(--fj-string);
}
.fj .fj-code-number {
  color: var(--fj-value);
}
.fj .fj-code-word {
  color: var(--fj-run);
}
.fj .fj-load {
  border-top: 1px solid var(--fj-border);
}
.fj .fj-load > summary {
  padding: 6px 12px;
  cursor: pointer;
  font-weight: 500;
}
.fj .fj-load-report {
  padding: 0 12px 12px;
  min-height: 18px;
  display: grid;
  gap: 8px;
}
.fj .fj-load-figures {
  border-radius: 2px;
}
.fj .fj-load-figures .fj-figure {
  flex-basis: 80px;
}
.fj .fj-load-figures strong {
  font-size: 13px;
  line-height: 18px;
}
`;
