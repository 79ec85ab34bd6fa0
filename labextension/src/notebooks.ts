/**
 * Notebooks of this page: the chip at app cells, finding an app's cell, inserting cells.
 *
 * Panels come by the document registry's widget extension, and of a panel only what is written down here is used: that
 * spares the
 * 160 MB of `@jupyterlab/notebook`, whose token we would need else, and works in JupyterLab and Notebook 7 alike.
 */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { DisposableDelegate, type IDisposable } from "@lumino/disposable";
import type { ISignal } from "@lumino/signaling";
import type { Widget } from "@lumino/widgets";

import { withOptions } from "./shared/cell_source.mjs";
import { ensureStyle } from "./shared/style.mjs";
import type { AppState, CardData } from "./shared/types";
import { CARD_MIME, cellRuns } from "./card_data";
import { chipLook, isAppCell, isStarting, makeChip, standAside, tellChip, type ChipAction } from "./chip";
import { complain } from "./complain";
import type { LabHost } from "./host";
import { keepCard, type Outputs as KeptOutputs } from "./kept_card";
import { loadExtension, type SessionContext } from "./kernel";
import { refreshBeforeSave, type OutputList, type SavedContext } from "./saving";

type Outputs = OutputList & KeptOutputs;
interface CellModel {
  id: string;
  type: string;
  sharedModel: { getSource(): string; setSource(text: string): void };
  contentChanged: ISignal<unknown, unknown>;
  outputs?: Outputs;
}
interface Editor {
  setCursorPosition(position: { line: number; column: number }): void;
  focus(): void;
}
interface Cell extends Widget {
  model: CellModel;
  inputArea?: Widget | null;
  editor?: Editor | null;
  ready?: Promise<void>;
}
interface Content extends Widget {
  widgets: Cell[];
  activeCell: Cell | null;
  activeCellIndex: number;
  mode?: string;
  activeCellChanged?: ISignal<unknown, unknown>;
  deselectAll?(): void;
  model: { cells: { changed: ISignal<unknown, unknown> } } | null;
  scrollToCell?(cell: Cell): Promise<void>;
}
export interface NotebookPanel extends Widget {
  content: Content;
  context: SavedContext & { path: string; ready: Promise<void> };
  sessionContext: SessionContext;
}

/** The card among a cell's outputs, if it has one. */
export function cardOf(model: CellModel): CardData | null {
  for (let at = 0; at < (model.outputs?.length ?? 0); at += 1) {
    const card = model.outputs?.get(at).data[CARD_MIME];
    if (card) {
      return card as unknown as CardData;
    }
  }
  return null;
}

interface Found {
  panel: NotebookPanel;
  cell: Cell;
}

function sourceOf(cell: Cell): string {
  return cell.model.sharedModel.getSource();
}

/** True for the cell whose run made the app: it has its card, and a cell that only shows a panel of it has not. */
function makesApp(cell: Cell, alias: string): boolean {
  const card = cardOf(cell.model);
  return card?.alias === alias && (card.source !== "" || isAppCell(sourceOf(cell)));
}

export class Notebooks {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly host: LabHost,
  ) {
    app.docRegistry.addWidgetExtension("Notebook", {
      createNew: (panel: Widget): IDisposable => this.add(panel as NotebookPanel),
    });
    host.store.watch(() => this.drawSoon());
    // their chips have a clock
    window.setInterval(() => host.store.view.apps.some((one) => isStarting(one)) && this.drawSoon(), 1000);
  }

  /** Whether chips are shown. */
  set chips(shown: boolean) {
    this.shown = shown;
    this.drawSoon();
  }

  /** The notebook that the user looks at. */
  get current(): NotebookPanel | null {
    const widget = this.app.shell.currentWidget;
    const found = [...this.panels].find((panel) => panel === widget || panel.node.contains(document.activeElement));
    return found ?? [...this.panels].find((panel) => panel.isVisible) ?? null;
  }

  /** True where the notebook that the user looks at made the app. */
  holds(alias: string): boolean {
    return this.current?.content.widgets.some((cell) => cardOf(cell.model)?.alias === alias) ?? false;
  }

  /** Insert a code cell below the active one. */
  async insertCell(source: string): Promise<void> {
    const panel = this.current;
    if (!panel) {
      throw new Error("There is no notebook to insert the cell into: open one first.");
    }
    this.app.shell.activateById(panel.id);
    const cell = panel.content.activeCell;
    if (cell?.model.type !== "code" || cell.model.sharedModel.getSource().trim() !== "") {
      await this.app.commands.execute("notebook:insert-cell-below");
    }
    panel.content.activeCell?.model.sharedModel.setSource(source);
  }

  /** Show the cell that made an app, or the one of an id; false where no open notebook has it. */
  goToCell(alias: string, id = ""): boolean {
    const found = id ? this.find((cell) => cell.model.id === id) : this.cellOf(alias);
    if (found) {
      void this.show(found);
    }
    return found !== null;
  }

  /** Run the cell that made an app. */
  async runCell(alias: string): Promise<void> {
    const found = this.cellOf(alias);
    if (!found) {
      throw new Error(`No open notebook has the cell of ${alias}.`);
    }
    await this.run(found);
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

  /** Go from a card to the cell that it stands below. */
  leaveCard(node: Node): void {
    const panel = [...this.panels].find((one) => one.node.contains(node));
    const cell = panel?.content.widgets.find((one) => one.node.contains(node));
    if (panel && cell) {
      panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
      panel.content.mode = "command";
      cell.node.focus();
    }
  }

  /** Put the cursor at a line (from 1) of the app's cell, or of the cell that has `text` at that line. */
  async goToLine(alias: string, line: number, text: string): Promise<void> {
    const says = (cell: Cell) => sourceOf(cell).split("\n")[line - 1]?.trim() === text.trim();
    const found = this.find((cell) => makesApp(cell, alias) && says(cell)) ?? this.find(says) ?? this.cellOf(alias);
    if (!found) {
      throw new Error(`No open notebook has the cell of ${alias}.`);
    }
    await this.show(found);
    await found.cell.ready;
    found.panel.content.mode = "edit";
    found.cell.editor?.setCursorPosition({ line: line - 1, column: 0 });
    found.cell.editor?.focus();
  }

  /** Write options into the class of an app, in its cell. */
  async writeToCell(alias: string, className: string, values: Record<string, number>): Promise<void> {
    const found = this.cellOf(alias);
    if (!found) {
      throw new Error(`No open notebook has the cell of ${alias}.`);
    }
    const source = withOptions(sourceOf(found.cell), className, values);
    found.cell.model.sharedModel.setSource(source);
  }

  /** The cell that made an app; where none is known to have, one that shows its card. */
  private cellOf(alias: string): Found | null {
    return this.find((cell) => makesApp(cell, alias)) ?? this.find((cell) => cardOf(cell.model)?.alias === alias);
  }

  /** The first cell that is meant, of the notebook that the user looks at before those of others. */
  private find(meant: (cell: Cell) => boolean): Found | null {
    const { current } = this;
    for (const panel of [...(current ? [current] : []), ...this.panels]) {
      const cell = panel.content.widgets.find(meant);
      if (cell) {
        return { panel, cell };
      }
    }
    return null;
  }

  private async show({ panel, cell }: Found): Promise<void> {
    this.app.shell.activateById(panel.id);
    panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
    await panel.content.scrollToCell?.(cell);
  }

  /**
   * Run one cell. Its kernel gets the extension first: after a restart it does not have it, and the run would end with
   * the loss of the card.
   */
  private async run(found: Found): Promise<void> {
    const { commands } = this.app;
    await this.show(found);
    if (isAppCell(sourceOf(found.cell))) {
      await loadExtension(found.panel.sessionContext, () => commands.execute("notebook:change-kernel"));
      await this.show(found); // the user may have gone elsewhere meanwhile, and what runs is the active cell
    }
    found.panel.content.deselectAll?.();
    await commands.execute("notebook:run-cell");
  }

  private add(panel: NotebookPanel): IDisposable {
    this.panels.add(panel);
    const draw = () => this.drawSoon();
    const watched = new WeakSet<CellModel>();
    const watch = () => {
      for (const cell of panel.content.widgets) {
        if (!watched.has(cell.model)) {
          watched.add(cell.model);
          cell.model.contentChanged.connect(draw);
          cell.model.outputs?.changed.connect(draw);
          if (cell.model.outputs) {
            keepCard(
              cell.node,
              cell.model.outputs,
              (card) => (card as CardData).source !== "" || isAppCell(sourceOf(cell)),
            );
          }
        }
      }
      draw();
    };
    const outputs = () => panel.content.widgets.flatMap((cell) => cell.model.outputs ?? []);
    refreshBeforeSave(panel.context, outputs, () => this.host.store.view);
    void panel.context.ready.then(() => {
      panel.content.model?.cells.changed.connect(watch);
      panel.content.activeCellChanged?.connect(() => {
        draw();
        window.setTimeout(draw, 400); // the toolbar of the active cell comes a little later
      });
      watch();
    });
    return new DisposableDelegate(() => this.panels.delete(panel));
  }

  private drawSoon(): void {
    this.timer ||= window.setTimeout(() => {
      this.timer = 0;
      for (const panel of this.panels) {
        for (const cell of panel.content.widgets) {
          this.drawChip(panel, cell);
        }
      }
    }, 150);
  }

  private drawChip(panel: NotebookPanel, cell: Cell): void {
    const place = cell.node.querySelector<HTMLElement>(":scope > .fj-cell-chip");
    const source = cell.model.type === "code" ? cell.model.sharedModel.getSource() : "";
    if (!this.shown || !isAppCell(source)) {
      place?.remove();
      return;
    }
    const chip = place ?? makeChip(() => this.actionsOf(panel, cell));
    tellChip(
      chip,
      chipLook(source, cardOf(cell.model), this.appOf(cell), this.host.store.view.gateway, cellRuns(cell.node)),
    );
    if (!place) {
      ensureStyle(chip);
      cell.node.append(chip);
    }
    standAside(chip, cell.node);
  }

  private appOf(cell: Cell): AppState | undefined {
    const card = cardOf(cell.model);
    return card ? this.host.store.view.apps.find((one) => one.alias === card.alias) : undefined;
  }

  /** What the chip's menu offers: running the cell always, the rest where the app is there. */
  private actionsOf(panel: NotebookPanel, cell: Cell): ChipAction[] {
    const run = () => void this.run({ panel, cell }).catch(complain);
    const found = this.appOf(cell);
    const verb = (shape: string, word: string, id: string, args = {}) => ({
      shape,
      word,
      press: () => void this.app.commands.execute(`fal-jupyter:${id}`, args),
    });
    const ofApp = found && { alias: found.alias };
    const stopped = found?.state === "Stopped";
    const more =
      ofApp && stopped
        ? [verb("play", "Start app", "start-app", ofApp)]
        : ofApp
          ? [
              verb("restart", "Restart runners one by one", "restart-app", ofApp),
              verb("stop", "Stop app", "stop-app", ofApp),
              verb("copy", "Copy address", "copy-url", ofApp),
            ]
          : [];
    return [
      { shape: "play", word: "Run the cell", press: run },
      ...more,
      verb("dashboard", "Show in dashboard", "open-dashboard"),
    ];
  }

  private readonly panels = new Set<NotebookPanel>();
  private shown = true;
  private timer = 0;
}
