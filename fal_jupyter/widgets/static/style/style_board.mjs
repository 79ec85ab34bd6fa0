// @ts-check
/** Style of dashboard, requests, sidebar, beyond what style.mjs has. Colours are tokens. */

export const BOARD_STYLE = `
.fj .fj-cut,
.fj .fj-mono,
.fj bdi {
  unicode-bidi: isolate;
}
.fj .fj-board-main {
  container-type: inline-size;
  container-name: fj;
}
.fj .fj-figures {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(118px, 1fr));
  overflow: hidden;
}
.fj .fj-board-main > .fj-figures {
  grid-template-columns: repeat(8, minmax(0, 1fr));
}
.fj .fj-figure:first-child {
  grid-column: span 2;
}
.fj .fj-figure .fj-label {
  overflow-wrap: anywhere;
}
.fj .fj-figure {
  margin-bottom: -1px;
  border-bottom: 1px solid var(--fj-border);
  min-width: 0;
}
.fj .fj-table td .fj-under-wider,
.fj .fj-table td .fj-under-mid,
.fj .fj-table td .fj-narrow,
.fj .fj-table td .fj-tight {
  display: none;
}
.fj .fj-board-main > div:has(> [role="alert"]:empty:only-child) {
  display: none;
}
.fj .fj-row > .fj-tree-meter ~ .fj-aside {
  flex-shrink: 0;
}
.fj .fj-apps td.fj-app-cell {
  max-width: 0;
  width: 24%;
  padding-top: 5px;
  padding-bottom: 5px;
}
.fj .fj-table.fj-apps td.fj-app-cell .fj-cut {
  max-width: none;
}
.fj .fj-apps .fj-label {
  white-space: normal;
  overflow-wrap: anywhere;
}
.fj .fj-row-actions {
  position: sticky;
  right: 0;
  background: var(--fj-surface);
  width: 1%;
}
.fj .fj-table tr:hover .fj-row-actions {
  background: var(--fj-sunken);
}
.fj .fj-requests {
  table-layout: fixed;
}
.fj .fj-requests .fj-wide {
  width: auto;
  min-width: 0;
}
.fj .fj-requests td {
  overflow: hidden;
  text-overflow: ellipsis;
}
.fj .fj-table.fj-requests td .fj-cut,
.fj .fj-table.fj-requests td.fj-cut {
  max-width: none;
}
.fj .fj-requests td:first-child {
  overflow: visible;
}
.fj .fj-requests .fj-c-state {
  width: 40px;
}
.fj .fj-c-began {
  width: 84px;
}
.fj .fj-c-app {
  width: 15%;
}
.fj .fj-c-path {
  width: 18%;
}
.fj .fj-c-total {
  width: 112px;
}
.fj .fj-c-runner {
  width: 84px;
}
.fj .fj-requests .fj-narrow {
  white-space: normal;
  overflow-wrap: anywhere;
}
.fj .fj-c-rev {
  width: 42px;
}
.fj .fj-clamp {
  display: -webkit-box;
  -webkit-box-orient: vertical;
  -webkit-line-clamp: 2;
  overflow: hidden;
  white-space: normal;
  overflow-wrap: anywhere;
}
.fj .fj-phase-cancelled {
  background: repeating-linear-gradient(45deg, var(--fj-pending-fill) 0 4px, transparent 4px 6px);
  border-color: var(--fj-pending) !important;
}
.fj .fj-where {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr));
  gap: 2px 24px;
  margin: 4px 0 0;
  font-size: 12px;
}
.fj .fj-where > div {
  display: grid;
  grid-template-columns: 84px minmax(0, 1fr);
  gap: 8px;
}
.fj .fj-where dt {
  color: var(--fj-muted);
  font-weight: 400;
  float: none;
  width: auto;
}
.fj .fj-where dd {
  margin: 0;
  overflow-wrap: anywhere;
  unicode-bidi: isolate;
}
.fj .fj-scroll > table > thead > tr > th {
  position: sticky;
  top: 0;
  z-index: 1;
  background: var(--fj-surface);
  box-shadow: inset 0 -1px 0 var(--fj-border);
}
.fj .fj-requests-both {
  display: flex;
  align-items: flex-start;
}
.fj .fj-requests-list {
  flex: 1 1 0;
  min-width: 0;
  container-type: inline-size;
  container-name: fj;
}
.fj .fj-detail:not(:empty) {
  flex: none;
  width: clamp(340px, 42%, 480px);
  max-height: 640px;
  overflow: auto;
  border-left: 1px solid var(--fj-border);
  container-type: inline-size;
  container-name: fj;
}
.fj .fj-inspector:focus {
  outline: none;
}
.fj .fj-inspector:focus-visible > .fj-head {
  outline: 2px solid var(--fj-brand);
  outline-offset: -2px;
}
.fj .fj-inspector .fj-foot {
  position: sticky;
  bottom: 0;
  border-top: 1px solid var(--fj-border);
}
.fj .fj-phase-table {
  table-layout: fixed;
  max-width: 760px;
}
.fj .fj-table.fj-phase-table :is(td, th):last-child {
  padding-right: 12px;
}
.fj .fj-phase-table .fj-wide {
  width: auto;
  min-width: 0;
}
.fj .fj-c-phase {
  width: 92px;
}
.fj .fj-c-time {
  width: 84px;
}
.fj .fj-axis {
  position: relative;
  height: 16px;
}
.fj .fj-axis > span {
  position: absolute;
  top: 0;
}
.fj .fj-axis-cell {
  background: repeating-linear-gradient(90deg, var(--fj-border) 0 1px, transparent 1px var(--fj-step, 100%)) content-box
    no-repeat !important;
}
.fj .fj-queue {
  table-layout: fixed;
}
.fj .fj-c-place {
  width: 30px;
}
.fj .fj-c-wait {
  width: 64px;
}
.fj .fj-c-cancel {
  width: 36px;
}
.fj .fj-c-for {
  width: 35%;
}
.fj .fj-queue td {
  white-space: normal;
  overflow-wrap: anywhere;
}
.fj .fj-queue td.fj-number {
  white-space: nowrap;
}
.fj .fj-table.fj-queue td.fj-cut,
.fj .fj-table.fj-queue td .fj-cut {
  max-width: none;
  white-space: nowrap;
}
.fj .fj-queue .fj-icon-button {
  width: 22px;
  height: 22px;
}
.fj .fj-tree strong {
  font-weight: 500;
}
.fj .fj-row > .fj-runner-name {
  flex-shrink: 0;
  max-width: 60%;
}
.fj .fj-row > .fj-aside {
  flex: 0 20 auto;
  max-width: none;
  min-width: 48px;
  text-align: right;
}
.fj .fj-row > strong.fj-muted ~ .fj-aside,
.fj .fj-row > .fj-aside:has(> .fj-failed) {
  flex-shrink: 0;
}
.fj .fj-row > strong.fj-cut ~ .fj-muted.fj-cut {
  flex-shrink: 9999;
}
.fj .fj-inspector > .fj-foot:empty {
  display: none;
}
.fj .fj-section-more {
  font-weight: 400;
}
.fj .fj-tree .fj-row {
  user-select: none;
}
.fj .fj-row > .fj-mono.fj-cut {
  max-width: 60%;
  flex-shrink: 0;
}
.fj .fj-row > .fj-mono.fj-cut + .fj-cut {
  flex-shrink: 30;
}
.fj .fj-link {
  font-size: inherit;
  line-height: inherit;
  border: 0;
  background: none;
  padding: 0;
  color: var(--fj-link);
  cursor: pointer;
  text-align: left;
  max-width: 100%;
}
.fj .fj-link:hover {
  text-decoration: underline;
}
.fj .fj-usages {
  display: flex;
  flex-wrap: wrap;
  gap: 4px 12px;
  padding: 4px 12px 8px;
}
.fj .fj-usage-figure {
  margin: 0;
  min-width: 0;
}
.fj .fj-usage-app + .fj-usage-app {
  border-top: 1px solid var(--fj-border);
}
.fj .fj-usage-name {
  display: flex;
  gap: 8px;
  padding: 6px 12px 0;
}
.fj svg.fj-usage {
  cursor: default;
}
.fj svg .fj-usage-area {
  fill: var(--fj-idle-fill);
  opacity: 0.5;
  stroke: none;
}
.fj .fj-by-endpoint {
  border-bottom: 1px solid var(--fj-border);
}
.fj .fj-by-endpoint > summary {
  padding: 4px 12px;
  cursor: pointer;
  font-size: 12px;
  color: var(--fj-muted);
}
.fj-drag-image {
  padding: 2px 8px;
  background: var(--jp-layout-color1, #fff);
  color: var(--jp-ui-font-color1, #000);
  border: 1px solid var(--jp-border-color1, #888);
  font-size: 12px;
}
.fj .fj-endpoints th.fj-cut {
  max-width: 220px;
}
@container fj (max-width: 1180px) {
  .fj .fj-drawer {
    position: static;
    box-shadow: none;
    width: clamp(280px, 34%, 360px);
  }
}
@container fj (max-width: 760px) {
  .fj .fj-requests-both {
    display: block;
  }
  .fj .fj-detail:not(:empty) {
    width: 100%;
    max-height: none;
    border-left: 0;
    border-top: 2px solid var(--fj-edge);
  }
}
@container fj (max-width: 820px) {
  .fj .fj-board {
    flex-direction: column;
  }
  .fj .fj-drawer {
    width: 100%;
    flex: 0 1 50%;
    min-height: 160px;
    border-left: 0;
    border-top: 2px solid var(--fj-edge);
  }
}
@container fj (max-width: 1180px) {
  .fj .fj-wider {
    display: none;
  }
  .fj .fj-table td .fj-under-wider {
    display: block;
  }
}
@container fj (max-width: 900px) {
  .fj .fj-mid {
    display: none;
  }
  .fj .fj-table td .fj-under-mid {
    display: block;
  }
  .fj .fj-apps td.fj-app-cell {
    width: 34%;
  }
}
@container fj (max-width: 780px) {
  .fj .fj-wide-spark {
    display: none;
  }
}
@container fj (max-width: 900px) {
  .fj .fj-board-main > .fj-figures {
    grid-template-columns: repeat(4, minmax(0, 1fr));
  }
}
@container fj (max-width: 440px) {
  .fj .fj-board-main > .fj-figures {
    grid-template-columns: repeat(2, minmax(0, 1fr));
  }
}
@container fj (max-width: 1200px) {
  .fj .fj-two {
    grid-template-columns: minmax(0, 1fr);
  }
}
@container fj (max-width: 900px) {
  .fj .fj-of-all .fj-roomy {
    display: none;
  }
  .fj .fj-table.fj-of-all td .fj-narrow {
    display: block;
  }
  .fj .fj-of-all .fj-c-path {
    width: 30%;
  }
}
@container fj (max-width: 640px) {
  .fj .fj-roomy {
    display: none;
  }
  .fj .fj-table td .fj-narrow {
    display: block;
  }
  .fj .fj-apps {
    table-layout: fixed;
  }
  .fj .fj-apps .fj-c-state {
    width: 108px;
  }
  .fj .fj-apps td .fj-state {
    white-space: normal;
  }
  .fj .fj-apps .fj-c-runners {
    width: 62px;
  }
  .fj .fj-apps th:last-child {
    width: 98px;
  }
  .fj .fj-apps td.fj-app-cell {
    width: auto;
  }
  .fj .fj-requests .fj-c-path {
    width: 34%;
  }
  .fj .fj-requests .fj-c-total {
    width: 86px;
  }
  .fj .fj-requests td .fj-chip {
    display: block;
    width: max-content;
    margin-left: auto;
  }
}
@container fj (max-width: 520px) {
  .fj .fj-requests td .fj-tight {
    display: block;
  }
  .fj .fj-requests .fj-c-began,
  .fj .fj-requests td.fj-c-began {
    display: none;
  }
}
@container fj (max-width: 440px) {
  .fj .fj-table td .fj-tight {
    display: block;
  }
  .fj .fj-apps .fj-c-runners,
  .fj .fj-apps td.fj-c-runners {
    display: none;
  }
  .fj .fj-apps .fj-c-state {
    width: 38px;
    overflow: hidden;
  }
  .fj .fj-apps td .fj-state > span {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
  }
  .fj .fj-apps .fj-c-state .fj-sort {
    font-size: 0;
  }
  .fj .fj-requests .fj-c-path {
    width: 40%;
  }
  .fj .fj-requests .fj-c-total {
    width: 76px;
  }
  .fj .fj-requests .fj-c-state {
    width: 34px;
  }
}
`;
