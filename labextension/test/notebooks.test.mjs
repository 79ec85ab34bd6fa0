// Two views of one notebook share its cells' models, and each has cells of its own.
import { describe, expect, it } from "vitest";

globalThis.DragEvent ??= class extends MouseEvent {}; // jsdom has none, and Lumino extends it

const { keepCard } = await import("../src/cards/kept_card.ts");
const { Notebooks } = await import("../src/notebooks/notebooks.ts");

const MIME = "application/vnd.fal-jupyter.card+json";

function signal() {
  const listeners = [];
  return { connect: (listener) => listeners.push(listener), emit: () => listeners.forEach((one) => void one()) };
}

function outputList() {
  const changed = signal();
  const all = [];
  const add = (value) => (all.push(value), changed.emit());
  const get = (at) => ({ data: all[at].data ?? {}, toJSON: () => all[at] });
  const clear = () => (all.splice(0), changed.emit());
  return {
    all,
    add,
    changed,
    clear,
    get,
    get length() {
      return all.length;
    },
  };
}

function cellOf(model) {
  const node = document.createElement("div");
  node.innerHTML = '<div class="jp-InputPrompt">[3]:</div>';
  return { model, node };
}

/** The notebooks of a page, and what opens a view of one. */
function page(commands) {
  let extension;
  const notebooks = new Notebooks({
    docRegistry: { addWidgetExtension: (_, one) => (extension = one) },
    shell: { activateById: () => {} },
    commands,
  });
  const open = async (...models) => {
    const cells = { changed: signal() };
    const content = { widgets: models.map(cellOf), model: { cells } };
    const panel = { content, context: { ready: Promise.resolve() }, node: document.createElement("div") };
    const closed = extension.createNew(panel);
    await Promise.resolve();
    return { cells, closed, content, panel };
  };
  return { notebooks, open };
}

const modelOf = () => ({ id: "a", type: "code", contentChanged: signal(), outputs: outputList() });

describe("a second view of a notebook", () => {
  it("has cells that observers hear of, each once", async () => {
    const { notebooks, open } = page();
    const added = [];
    notebooks.observe({ cellAdded: (cell) => added.push(cell) });
    const model = modelOf();
    const [first, second] = [await open(model), await open(model)];
    second.cells.changed.emit();
    expect(added).toEqual([...first.content.widgets, ...second.content.widgets]);
  });

  it("keeps the card of a cell that fails when the first view is closed", async () => {
    const { notebooks, open } = page();
    notebooks.observe({ cellAdded: (cell) => keepCard(cell.node, cell.model.outputs, () => true) });
    const model = modelOf();
    const card = { output_type: "display_data", data: { [MIME]: { alias: "hello" } } };
    model.outputs.add(card);
    const [first, second] = [await open(model), await open(model)];
    first.closed.dispose();
    const prompt = second.content.widgets[0].node.querySelector(".jp-InputPrompt");
    prompt.textContent = "[*]:";
    model.outputs.clear();
    model.outputs.add({ output_type: "error", ename: "SyntaxError" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    prompt.textContent = "[4]:";
    await expect.poll(() => model.outputs.all.at(-1), { timeout: 5000 }).toBe(card);
    expect(model.outputs.all).toHaveLength(2);
  });
});

it("a cell that was dropped into a notebook is selected alone", async () => {
  const { notebooks, open } = page();
  const of = (text) => ({ ...modelOf(), sharedModel: { getSource: () => text } });
  const { content } = await open(of("above"), of("below"));
  const known = notebooks.models();
  content.widgets.splice(1, 0, cellOf(of("new")));
  Object.assign(content, { selected: [0, 1], activeCellIndex: 0, deselectAll: () => (content.selected = []) });
  notebooks.selectNew(known, "new");
  expect([content.selected, content.activeCellIndex]).toEqual([[], 1]);
});

it("the outputs of an app's cell are in sight where the page shows some of them", async () => {
  const { notebooks, open } = page();
  const model = { ...modelOf(), sharedModel: { getSource: () => "1" } };
  model.outputs.add({ output_type: "display_data", data: { [MIME]: { alias: "hello", panel: "card" } } });
  const { content, panel } = await open(model);
  const at = (top, bottom) => ({ getBoundingClientRect: () => ({ top, bottom }) });
  Object.assign(content, { node: at(0, 500) });
  const isInSight = (top, bottom, isVisible = true) => {
    panel.isVisible = isVisible;
    content.widgets[0].node.querySelector = () => at(top, bottom); // the cell's source may be in sight, and not they
    return notebooks.isInSight("hello");
  };
  expect([isInSight(100, 200), isInSight(400, 900), isInSight(600, 900), isInSight(-90, -1)]).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect([isInSight(100, 200, false), notebooks.isInSight("other")]).toEqual([false, false]);
});

describe("a cell that is inserted", () => {
  /** A page without a notebook, whose file browser shows a folder that has these files. */
  function emptyPage(...files) {
    const saved = [];
    const browser = { id: "filebrowser", model: { path: "work" } };
    const opened = { context: { ready: Promise.resolve() }, content: { widgets: [1, 2], activeCellIndex: 0 } };
    const { notebooks, open } = page({ execute: async (id, args) => (saved.push([id, args]), opened) });
    const contents = {
      get: async () => ({ content: files.map((name) => ({ name })) }),
      save: async (path, { content }) => saved.push([path, content.cells.map((one) => one.source)]),
    };
    notebooks.app.serviceManager = { contents };
    Object.assign(notebooks.app.shell, { widgets: () => [browser] });
    return { notebooks, open, opened, saved };
  }

  it("has a new notebook where none is open, and is the active cell there", async () => {
    const { notebooks, opened, saved } = emptyPage("hello.ipynb");
    await notebooks.insertCell("%%fal_app\nclass Hello(fal.App):\n    pass");
    expect(saved).toEqual([
      ["work/hello-1.ipynb", ["%load_ext fal_jupyter", "%%fal_app\nclass Hello(fal.App):\n    pass"]],
      ["docmanager:open", { path: "work/hello-1.ipynb", factory: "Notebook" }],
    ]);
    expect(opened.content.activeCellIndex).toBe(1);
    await notebooks.insertCell("import fal_jupyter");
    expect(saved[2][0]).toBe("work/untitled.ipynb");
  });

  it("goes into the notebook that was used last where none is in sight", async () => {
    const { notebooks, open, saved } = emptyPage();
    const { panel, content } = await open(modelOf());
    const sources = [];
    Object.assign(panel, { id: "hidden", isVisible: false, isDisposed: false });
    content.activeCell = {
      model: { type: "code", sharedModel: { getSource: () => "", setSource: (text) => sources.push(text) } },
    };
    await notebooks.insertCell("1 + 1");
    expect([sources, saved]).toEqual([["1 + 1"], []]);
    panel.isDisposed = true;
    notebooks.panels.clear();
    await notebooks.insertCell("1 + 1");
    expect(saved).toHaveLength(2);
  });
});

describe("a cell that a button runs", () => {
  it("stays where it is seen, and is scrolled to where it is not", async () => {
    const scrolls = [];
    const content = () => opened.content;
    const { notebooks, open } = page({
      execute: async () => content().scrollToItem(content().activeCellIndex, "smart"),
    });
    const opened = await open({ ...modelOf(), sharedModel: { getSource: () => "1" } });
    content().scrollToItem = async (...all) => scrolls.push(all);
    content().scrollToCell = async (cell) => scrolls.push(cell);
    const [cell] = content().widgets;
    const at = (node, top, bottom) => (node.getBoundingClientRect = () => ({ top, bottom, height: bottom - top }));
    at(opened.panel.node, 0, 500);

    at(cell.node, -900, 300);
    await notebooks.run({ panel: opened.panel, cell });
    expect(scrolls).toEqual([]);

    at(cell.node, -900, -100);
    await notebooks.run({ panel: opened.panel, cell });
    expect(scrolls).toEqual([cell]);

    await content().scrollToItem(0, "smart");
    expect(scrolls).toEqual([cell, [0, "smart"]]);
  });
});
