// The traceback of an app that could not start, below the card that shows the same error.
import { afterEach, describe, expect, it } from "vitest";
import { CARD_MIME } from "../src/cards/card_data.ts";
import { FoldedErrors, isOnCard, isOver } from "../src/cards/folded_errors.ts";
import { CARD, madeApp, madeHost, madeLine } from "./made.mjs";

const EVALUE = "Broken could not start: setup() raised OSError: no weights\nin the folder";
const ERROR = { ename: "SetupFailed", evalue: EVALUE, traceback: ["Traceback:", "…", `SetupFailed: ${EVALUE}`] };
const failure = (more = {}) => ({
  time: 5,
  revision: 1,
  text: "setup() failed",
  error: { type: "OSError", message: "no weights\nin the folder", text: "", phase: "setup", frames: [] },
  retry_at: 0,
  ...more,
});
const failing = (more = {}) => madeApp("hello", { state: "Failing", serving: 0, failure: failure(), ...more });
afterEach(() => document.body.replaceChildren());

describe("an error of a cell", () => {
  it("is on the card of the app while that fails with the same one", () => {
    expect(isOnCard(ERROR, CARD, failing())).toBe(true);
    expect(isOnCard({ ...ERROR, ename: "OSError" }, CARD, failing())).toBe(false);
    expect(isOnCard(ERROR, CARD, failing({ state: "Ready" }))).toBe(false); // a retry succeeded
    expect(isOnCard(ERROR, CARD, undefined)).toBe(false);
    const other = failure({ error: { ...failure().error, message: "no disk" } }); // a retry failed otherwise
    expect(isOnCard(ERROR, CARD, failing({ failure: other }))).toBe(false);
    const exited = { ename: "SetupFailed", evalue: "Broken could not start: it exited with 3" };
    expect(isOnCard(exited, CARD, failing({ failure: failure({ error: null, text: "it exited with 3" }) }))).toBe(true);
    const bare = failure({ error: { ...failure().error, message: "" } });
    expect(isOnCard({ ...ERROR, evalue: "setup() raised OSError" }, CARD, failing({ failure: bare }))).toBe(true);
  });

  it("is over once the app has started", () => {
    expect(isOver(ERROR, CARD, madeApp("hello"))).toBe(true);
    expect(isOver({ ...ERROR, ename: "OSError" }, CARD, madeApp("hello"))).toBe(false);
    expect(isOver(ERROR, CARD, failing())).toBe(false);
    expect(isOver(ERROR, CARD, madeApp("hello", { serving: 1, revision: 2 }))).toBe(false); // the next one has not started
    expect(isOver(ERROR, { ...CARD, revision: 2 }, madeApp("hello"))).toBe(false); // the former one serves on
    expect(isOver(ERROR, CARD, undefined)).toBe(false);
  });

  it("is there before the feed tells of it, and then only of this start", () => {
    const starting = { state: "Starting", serving: 0 };
    expect(isOnCard(ERROR, CARD, madeApp("hello", starting))).toBe(true);
    expect(isOnCard(ERROR, CARD, madeApp("hello", { ...starting, revision: 2 }))).toBe(false);
    const retry = { ...starting, revision: 2, failure: failure() };
    expect(isOnCard(ERROR, CARD, madeApp("hello", retry))).toBe(true);
    const ofRevision = failure({ error: null, text: "another one" });
    expect(isOnCard(ERROR, CARD, madeApp("hello", { ...starting, failure: ofRevision }))).toBe(false);
    const earlier = failure({ revision: 0, error: null, text: "an earlier one" });
    expect(isOnCard(ERROR, CARD, madeApp("hello", { ...starting, failure: earlier }))).toBe(true);
  });
});

function signal() {
  const listeners = [];
  return { connect: (listener) => listeners.push(listener), emit: () => listeners.forEach((one) => void one()) };
}

/** A cell with these outputs, as JupyterLab has drawn it. */
function drawnCell(outputs, renderer = "fj-output") {
  const node = document.createElement("div");
  const widgets = outputs.map(({ type }) => {
    const child = document.createElement("div");
    child.className = "jp-OutputArea-child";
    child.innerHTML = `<div class="jp-OutputArea-output ${type === "error" ? "" : renderer}">${type}</div>`;
    node.append(child);
    return { node: child };
  });
  document.body.append(node);
  const list = { length: outputs.length, get: (at) => outputs[at], changed: signal() };
  return { node, outputArea: { widgets }, model: { outputs: list }, isDisposed: false };
}

const outputs = (card = {}) => [
  { type: "display_data", data: { [CARD_MIME]: { ...CARD, ...card } } },
  { type: "error", data: { "application/vnd.jupyter.error": ERROR } },
];

function page(cell, app) {
  const host = madeHost(madeLine({ apps: [app] }));
  let added;
  const notebooks = { observe: (observer) => (added = observer.cellAdded), cells: () => [{ cell }] };
  new FoldedErrors({ host }, notebooks);
  added(cell);
  const [, error] = cell.outputArea.widgets.map((one) => one.node);
  const isFolded = () => error.classList.contains("fj-folds-error") && error.querySelector(".fj-folded-error") !== null;
  return { host, error, isFolded };
}

describe("the traceback below a card", () => {
  it("is one line while the card shows the error, and once the app has started", () => {
    const { host, error, isFolded } = page(drawnCell(outputs()), failing());
    expect(isFolded()).toBe(true);
    expect(error.querySelector(".fj-folded-error span").textContent).toBe(
      "SetupFailed: Broken could not start: setup() raised OSError: no weights",
    );
    host.store.apply({ ...madeLine({ apps: [madeApp("hello")] }), seq: 2 });
    expect(isFolded()).toBe(true);
    expect(error.querySelector(".fj-folded-error span").textContent).toMatch(
      /^It has started since. Before: SetupFailed/,
    );
  });

  it("is whole again when the card shows another error", () => {
    const { host, error, isFolded } = page(drawnCell(outputs()), failing());
    const other = failure({ error: { ...failure().error, message: "no disk" } });
    host.store.apply({ ...madeLine({ apps: [failing({ failure: other })] }), seq: 2 });
    expect(isFolded()).toBe(false);
    expect(error.children).toHaveLength(1);
  });

  it("stays unfolded where the user asked for it, with the focus in it", () => {
    const { host, error, isFolded } = page(drawnCell(outputs()), failing());
    error.querySelector("button").click();
    expect(isFolded()).toBe(false);
    expect(document.activeElement).toBe(error.querySelector(".jp-OutputArea-output"));
    host.store.apply({ ...madeLine({ apps: [failing()] }), seq: 2 });
    expect(isFolded()).toBe(false);
  });

  it("is as it was where it has one line only", () => {
    const [card, error] = outputs();
    error.data = { "application/vnd.jupyter.error": { ...ERROR, evalue: "x", traceback: ["SetupFailed: x"] } };
    expect(page(drawnCell([card, error]), madeApp("hello", { state: "Starting" })).isFolded()).toBe(false);
  });

  it("is whole below a card that is not drawn live, and below one of another app", () => {
    expect(page(drawnCell(outputs(), "saved-html"), failing()).isFolded()).toBe(false);
    expect(page(drawnCell(outputs({ alias: "other" })), failing()).isFolded()).toBe(false);
  });

  it("is folded when it comes, before the page shows it", () => {
    const all = outputs().slice(0, 1);
    const cell = drawnCell(outputs());
    cell.model.outputs = { ...cell.model.outputs, length: 1, get: (at) => all[at] };
    const { isFolded } = page(cell, failing());
    expect(isFolded()).toBe(false);
    all.push(outputs()[1]);
    cell.model.outputs.length = 2;
    cell.model.outputs.changed.emit();
    expect(isFolded()).toBe(true);
  });
});
