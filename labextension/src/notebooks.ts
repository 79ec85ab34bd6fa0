/**
 * Notebooks of this page: the chip at app cells, finding an app's cell, inserting cells.
 *
 * Panels come by the document registry's widget extension, and of a panel only what is written down here is used: that spares the
 * 160 MB of `@jupyterlab/notebook`, whose token we would need else, and works in JupyterLab and Notebook 7 alike.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { DisposableDelegate, type IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import { ensureStyle } from './shared/style.mjs';
import type { AppState, CardData } from './shared/types';
import { CARD_MIME } from './card_data';
import { chipLook, isAppCell, makeChip, tellChip, type ChipAction } from './chip';
import type { LabHost } from './host';

interface Outputs {
  length: number;
  get(index: number): { data: Record<string, unknown> };
  changed: ISignal<unknown, unknown>;
}
interface CellModel {
  id: string;
  type: string;
  sharedModel: { getSource(): string; setSource(text: string): void };
  contentChanged: ISignal<unknown, unknown>;
  outputs?: Outputs;
}
interface Cell extends Widget {
  model: CellModel;
  inputArea?: Widget | null;
}
interface Content extends Widget {
  widgets: Cell[];
  activeCell: Cell | null;
  activeCellIndex: number;
  model: { cells: { changed: ISignal<unknown, unknown> } } | null;
  scrollToCell?(cell: Cell): Promise<void>;
}
export interface NotebookPanel extends Widget {
  content: Content;
  context: { path: string; ready: Promise<void> };
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

export class Notebooks {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly host: LabHost
  ) {
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: (panel: Widget): IDisposable => this.add(panel as NotebookPanel)
    });
    host.store.watch(() => this.drawSoon());
  }

  /** Whether chips are shown. */
  set chips(shown: boolean) {
    this.shown = shown;
    this.drawSoon();
  }

  /** The notebook that the user looks at. */
  get current(): NotebookPanel | null {
    const widget = this.app.shell.currentWidget;
    const found = [...this.panels].find(panel => panel === widget || panel.node.contains(document.activeElement));
    return found ?? [...this.panels].find(panel => panel.isVisible) ?? null;
  }

  /** True where the notebook that the user looks at made the app. */
  holds(alias: string): boolean {
    return this.current?.content.widgets.some(cell => cardOf(cell.model)?.alias === alias) ?? false;
  }

  /** Insert a code cell below the active one. */
  async insertCell(source: string): Promise<void> {
    const panel = this.current;
    if (!panel) {
      throw new Error('There is no notebook to insert the cell into: open one first.');
    }
    this.app.shell.activateById(panel.id);
    const cell = panel.content.activeCell;
    if (cell?.model.type !== 'code' || cell.model.sharedModel.getSource().trim() !== '') {
      await this.app.commands.execute('notebook:insert-cell-below');
    }
    panel.content.activeCell?.model.sharedModel.setSource(source);
  }

  /** Show the cell that made an app, or the one of an id; false where no open notebook has it. */
  goToCell(alias: string, id = ''): boolean {
    for (const panel of this.panels) {
      const at = panel.content.widgets.findIndex(cell => (id ? cell.model.id === id : cardOf(cell.model)?.alias === alias));
      if (at >= 0) {
        this.app.shell.activateById(panel.id);
        panel.content.activeCellIndex = at;
        void panel.content.scrollToCell?.(panel.content.widgets[at]);
        return true;
      }
    }
    return false;
  }

  /** Run the cell that made an app. */
  runCell(alias: string): void {
    if (this.goToCell(alias)) {
      void this.app.commands.execute('notebook:run-cell');
    }
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
        }
      }
      draw();
    };
    void panel.context.ready.then(() => {
      panel.content.model?.cells.changed.connect(watch);
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
    const place = cell.node.querySelector<HTMLElement>(':scope > .fj-cell-chip');
    const source = cell.model.type === 'code' ? cell.model.sharedModel.getSource() : '';
    if (!this.shown || !isAppCell(source)) {
      place?.remove();
      return;
    }
    const chip = place ?? makeChip(() => this.actionsOf(panel, cell));
    tellChip(chip, chipLook(source, cardOf(cell.model), this.appOf(cell)));
    if (!place) {
      ensureStyle(chip);
      cell.node.append(chip);
    }
  }

  private appOf(cell: Cell): AppState | undefined {
    const card = cardOf(cell.model);
    return card ? this.host.store.view.apps.find(one => one.alias === card.alias) : undefined;
  }

  /** What the chip's menu offers: running the cell always, the rest where the app is there. */
  private actionsOf(panel: NotebookPanel, cell: Cell): ChipAction[] {
    const run = () => {
      panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
      void this.app.commands.execute('notebook:run-cell');
    };
    const found = this.appOf(cell);
    const verb = (shape: string, word: string, id: string, args = {}) => ({ shape, word, press: () => void this.app.commands.execute(`fal-jupyter:${id}`, args) });
    const ofApp = found && { alias: found.alias };
    const stopped = found?.state === 'Stopped';
    const more = ofApp && stopped ? [verb('play', 'Start app', 'start-app', ofApp)] : ofApp ? [verb('restart', 'Restart runners one by one', 'restart-app', ofApp), verb('stop', 'Stop app', 'stop-app', ofApp), verb('copy', 'Copy address', 'copy-url', ofApp)] : [];
    return [{ shape: 'play', word: 'Run the cell', press: run }, ...more, verb('dashboard', 'Show in dashboard', 'open-dashboard')];
  }

  private readonly panels = new Set<NotebookPanel>();
  private shown = true;
  private timer = 0;
}
