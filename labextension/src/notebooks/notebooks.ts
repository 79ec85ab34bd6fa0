/** Notebooks of this page: finding, running and editing an app's cell, inserting cells. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { DisposableDelegate, type IDisposable } from "@lumino/disposable";
import type { Widget } from "@lumino/widgets";

import { isAppCell } from "../cards/chip";
import { noteWritten } from "../cards/written";
import { lineWith, withOptions } from "./cell_source";
import { loadExtension } from "./kernel";
import { folderShown, openNewNotebook } from "./notebook_file";
import {
  cardOf,
  makesApp,
  sourceOf,
  type Cell,
  type CellLocation,
  type CellModel,
  type NotebookPanel,
} from "./notebook_panel";

/** What a plugin does with the notebooks of the page. */
export interface NotebookObserver {
  panelAdded?(panel: NotebookPanel): void;
  /** A cell is new in its panel; another view of the same notebook has a cell of its own for the same model. */
  cellAdded?(cell: Cell): void;
  /** The source or the outputs of a cell changed, or the list of cells, or the active cell. */
  changed?(): void;
}

/**
 * JupyterLab scrolls to the top of a cell that it runs; below a long cell that takes the card away whose button was
 * pressed. Its next scroll to the cell of that index is left out; what is returned ends this.
 */
function withoutNextScroll(content: NotebookPanel["content"], index: number): () => void {
  const scroll = content.scrollToItem;
  if (!scroll) {
    return () => {};
  }
  const ours: typeof scroll = (wanted, ...more) => {
    if (wanted !== index) {
      return scroll.call(content, wanted, ...more);
    }
    end();
    return Promise.resolve();
  };
  const end = () => {
    if (content.scrollToItem === ours) {
      content.scrollToItem = scroll;
    }
  };
  content.scrollToItem = ours;
  return end;
}

/** Scroll a line (from 1) of a cell to the middle of what is seen, and mark it for a moment. */
function showLine(cell: Cell, line: number): void {
  const view = cell.editor?.editor;
  const place = view?.domAtPos(view.state.doc.line(line).from).node;
  const shown = (place instanceof Element ? place : place?.parentElement)?.closest<HTMLElement>(".cm-line");
  if (shown) {
    shown.scrollIntoView({ block: "center" });
    shown.classList.add("fj-line-shown");
    shown.addEventListener("animationend", () => shown.classList.remove("fj-line-shown"), { once: true });
  }
}

export class Notebooks {
  constructor(private readonly app: JupyterFrontEnd) {
    app.docRegistry.addWidgetExtension("Notebook", {
      createNew: (panel: Widget): IDisposable => this.add(panel as NotebookPanel),
    });
  }

  /** Let a plugin follow the notebooks from now on; plugins do so while they are activated, before a notebook is open. */
  observe(observer: NotebookObserver): void {
    this.observers.push(observer);
  }

  /** Every cell of the open notebooks. */
  *cells(): Iterable<CellLocation> {
    for (const panel of this.panels) {
      for (const cell of panel.content.widgets) {
        yield { panel, cell };
      }
    }
  }

  /** The notebook that the user looks at. */
  get current(): NotebookPanel | null {
    const widget = this.app.shell.currentWidget;
    const panel = [...this.panels].find((panel) => panel === widget || panel.node.contains(document.activeElement));
    return panel ?? [...this.panels].find((panel) => panel.isVisible) ?? null;
  }

  /** The notebook that cells are inserted into: where none is in sight, the one that was used last. */
  private get target(): NotebookPanel | null {
    return this.current ?? (this.lastUsed?.isDisposed ? null : this.lastUsed);
  }

  /** True where the notebook that cells are inserted into made the app. */
  holds(alias: string): boolean {
    return this.target?.content.widgets.some((cell) => cardOf(cell.model)?.alias === alias) ?? false;
  }

  /** Insert a code cell below the active one; where no notebook is open, into a new one. */
  async insertCell(source: string): Promise<void> {
    const panel = this.target;
    if (!panel) {
      await this.openNotebookWith(source);
      return;
    }
    this.app.shell.activateById(panel.id);
    const cell = panel.content.activeCell;
    if (cell?.model.type !== "code" || cell.model.sharedModel.getSource().trim() !== "") {
      await this.app.commands.execute("notebook:insert-cell-below");
    }
    panel.content.activeCell?.model.sharedModel.setSource(source);
  }

  /** Make a notebook with a cell, and make that the active one. */
  private async openNotebookWith(source: string): Promise<void> {
    const name = /^class (\w+)\(fal\.App\)/m.exec(source)?.[1].toLowerCase() ?? "untitled";
    const panel = await openNewNotebook(this.app, folderShown(this.app), name, [source]);
    await panel?.context.ready;
    if (panel) {
      panel.content.activeCellIndex = panel.content.widgets.length - 1;
    }
  }

  /** The models of all cells now. */
  models(): Set<CellModel> {
    return new Set([...this.cells()].map(({ cell }) => cell.model));
  }

  /** Select the cell of a source that is not among the known ones, alone: JupyterLab selects the one above it, too. */
  selectNew(known: Set<CellModel>, source: string): void {
    for (const { panel, cell } of this.cells()) {
      if (!known.has(cell.model) && sourceOf(cell) === source) {
        panel.content.deselectAll?.();
        panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
      }
    }
  }

  /** Show the cell that made an app, or the one of an id; false where no open notebook has it. */
  goToCell(alias: string, id = ""): boolean {
    const location = id ? this.find((cell) => cell.model.id === id) : this.cellOf(alias);
    if (location) {
      void this.show(location);
    }
    return location !== null;
  }

  /** Show what the cell that made an app says below it; false where no open notebook has it. */
  goToError(alias: string): boolean {
    const location = this.cellOf(alias);
    if (location) {
      const { node } = location.cell;
      void this.show(location).then(() =>
        (node.querySelector(".fj-card") ?? node.querySelector(".jp-OutputArea-output"))?.scrollIntoView(),
      );
    }
    return location !== null;
  }

  /** Whether the outputs of the cell that made an app are in sight. */
  isInSight(alias: string): boolean {
    const location = this.cellOf(alias);
    if (!location?.panel.isVisible) {
      return false;
    }
    const outputs = location.cell.node.querySelector(".jp-Cell-outputWrapper") ?? location.cell.node;
    const [shown, page] = [outputs, location.panel.content.node].map((node) => node.getBoundingClientRect());
    return shown.bottom > page.top && shown.top < page.bottom;
  }

  /** Run the cell that made an app. */
  async runCell(alias: string): Promise<void> {
    const location = this.cellOf(alias);
    if (!location) {
      throw new Error(`No open notebook has the cell of ${alias}.`);
    }
    await this.run(location);
  }

  /** Put the focus into the card of the active cell, else into the nearest one above it or below. */
  async focusCard(): Promise<void> {
    const panel = this.current;
    const cells = panel?.content.widgets ?? [];
    const at = panel?.content.activeCellIndex ?? 0;
    const cell = [...cells.slice(0, at + 1).reverse(), ...cells.slice(at + 1)].find((one) => cardOf(one.model));
    if (!panel || !cell) {
      throw new Error("This notebook has no card: run a cell that begins with %%fal_app.");
    }
    await this.show({ panel, cell });
    panel.content.mode = "command";
    const card = cell.node.querySelector<HTMLElement>(".fj-card");
    const place =
      card?.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]') ??
      card?.querySelector<HTMLElement>("button:not(:disabled)");
    card?.scrollIntoView({ block: "nearest" });
    place?.focus({ preventScroll: true });
  }

  /** Go from a card to the cell above it. */
  leaveCard(node: Node): void {
    const panel = [...this.panels].find((one) => one.node.contains(node));
    const cell = panel?.content.widgets.find((one) => one.node.contains(node));
    if (panel && cell) {
      panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
      panel.content.mode = "command";
      cell.node.focus();
    }
  }

  /**
   * Put the cursor at a line (from 1) of the app's cell, or of the cell that has `text` at that line. Where the cell was edited since,
   * at the nearest line with that text.
   */
  async goToLine(alias: string, line: number, text: string): Promise<void> {
    const says = (cell: Cell) => sourceOf(cell).split("\n")[line - 1]?.trim() === text.trim();
    const location = this.find((cell) => makesApp(cell, alias) && says(cell)) ?? this.find(says) ?? this.cellOf(alias);
    if (!location) {
      throw new Error(`No open notebook has the cell of ${alias}.`);
    }
    await this.show(location);
    await location.cell.ready;
    location.panel.content.mode = "edit";
    location.cell.editor?.setCursorPosition({ line: lineWith(sourceOf(location.cell), line, text) - 1, column: 0 });
    location.cell.editor?.focus();
    showLine(location.cell, lineWith(sourceOf(location.cell), line, text));
  }

  /** Write options into the class of an app, in its cell. */
  async writeToCell(alias: string, className: string, values: Record<string, number>): Promise<void> {
    const location = this.cellOf(alias);
    if (!location) {
      throw new Error(`No open notebook has the cell of ${alias}.`);
    }
    const [before, card] = [sourceOf(location.cell), cardOf(location.cell.model)];
    const source = withOptions(before, className, values);
    if (card) {
      noteWritten(card, before, source, values);
    }
    location.cell.model.sharedModel.setSource(source);
  }

  /** The cell that made an app; where none is known to have, one that shows its card. */
  private cellOf(alias: string): CellLocation | null {
    return this.find((cell) => makesApp(cell, alias)) ?? this.find((cell) => cardOf(cell.model)?.alias === alias);
  }

  /** The first cell that is meant, of the notebook that the user looks at before those of others. */
  private find(meant: (cell: Cell) => boolean): CellLocation | null {
    const { current } = this;
    for (const panel of [...(current ? [current] : []), ...this.panels]) {
      const cell = panel.content.widgets.find(meant);
      if (cell) {
        return { panel, cell };
      }
    }
    return null;
  }

  private async show(location: CellLocation): Promise<void> {
    this.activate(location);
    await location.panel.content.scrollToCell?.(location.cell);
  }

  /** Make a cell the active one, and scroll to it only where nothing of it is in view: a press of its card moves nothing. */
  private async activateInView(location: CellLocation): Promise<void> {
    this.activate(location);
    const [cell, view] = [location.cell.node, location.panel.node].map((node) => node.getBoundingClientRect());
    if (cell.bottom <= view.top || cell.top >= view.bottom || !cell.height) {
      await location.panel.content.scrollToCell?.(location.cell);
    }
  }

  private activate({ panel, cell }: CellLocation): void {
    this.app.shell.activateById(panel.id);
    panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
  }

  /**
   * Run one cell. Its kernel gets the extension first: after a restart it does not have it, and the run would end with
   * the loss of the card.
   */
  async run(location: CellLocation): Promise<void> {
    const { commands } = this.app;
    await this.activateInView(location);
    if (isAppCell(sourceOf(location.cell))) {
      await loadExtension(location.panel.sessionContext, () => commands.execute("notebook:change-kernel"));
      await this.activateInView(location); // the user may have gone elsewhere meanwhile, and what runs is the active cell
    }
    const { content } = location.panel;
    content.deselectAll?.();
    const scrollAgain = withoutNextScroll(content, content.activeCellIndex);
    try {
      await commands.execute("notebook:run-cell");
    } finally {
      scrollAgain();
    }
  }

  private add(panel: NotebookPanel): IDisposable {
    this.panels.add(panel);
    this.lastUsed = panel;
    for (const observer of this.observers) {
      observer.panelAdded?.(panel);
    }
    const known = new WeakSet<CellModel>();
    void panel.context.ready.then(() => {
      panel.content.model?.cells.changed.connect(() => this.lookAtCells(panel, known));
      panel.content.activeCellChanged?.connect(() => {
        this.lastUsed = panel;
        this.notifyChanged();
        window.setTimeout(() => this.notifyChanged(), 400); // the toolbar of the active cell comes a little later
      });
      this.lookAtCells(panel, known);
    });
    return new DisposableDelegate(() => this.panels.delete(panel));
  }

  private lookAtCells(panel: NotebookPanel, known: WeakSet<CellModel>): void {
    for (const cell of panel.content.widgets) {
      if (!known.has(cell.model)) {
        known.add(cell.model);
        cell.model.contentChanged.connect(() => this.notifyChanged());
        cell.model.outputs?.changed.connect(() => this.notifyChanged());
        for (const observer of this.observers) {
          observer.cellAdded?.(cell);
        }
      }
    }
    this.notifyChanged();
  }

  private notifyChanged(): void {
    for (const observer of this.observers) {
      observer.changed?.();
    }
  }

  private readonly panels = new Set<NotebookPanel>();
  private lastUsed: NotebookPanel | null = null;
  private readonly observers: NotebookObserver[] = [];
}
