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

import { h, replace } from './shared/dom.mjs';
import { glyph } from './shared/glyphs.mjs';
import { ensureStyle } from './shared/style.mjs';
import type { AppState, CardData } from './shared/types';
import { CARD_MIME } from './card';
import { sourceHash } from './source';
import type { LabHost } from './host';

interface Outputs {
  length: number;
  get(index: number): { data: Record<string, unknown> };
  changed: ISignal<unknown, unknown>;
}
interface CellModel {
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

const APP_CELL = /^\s*%%fal_app\b/m;

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

export interface ChipLook {
  shape: string;
  tone: string;
  text: string;
  title: string;
}

/** What the chip of an app cell says. */
export function chipLook(source: string, card: CardData | null, app: AppState | undefined): ChipLook {
  if (!card) {
    return { shape: 'stopped', tone: 'fj-pending', text: 'not running', title: 'Run the cell to have its app' };
  }
  const edited = sourceHash(source) !== card.source;
  if (!app) {
    return { shape: 'stopped', tone: 'fj-pending', text: 'not running', title: 'Its app was stopped, or its notebook is new: run the cell' };
  }
  const revision = `r${app.serving || app.revision}`;
  if (app.state === 'Failing') {
    return { shape: 'failed', tone: 'fj-failed', text: `r${app.revision} fails`, title: app.reason };
  }
  if (edited) {
    return { shape: 'edited', tone: 'fj-setup', text: `${revision} serves, edited`, title: 'The cell was edited since: run it to serve what it says' };
  }
  if (app.state === 'Starting' || (app.serving && app.serving !== app.revision)) {
    return { shape: 'setup', tone: 'fj-setup', text: `r${app.revision} starting`, title: app.reason };
  }
  const ready = app.runners.filter(one => one.state === 'IDLE' || one.state === 'RUNNING').length;
  return { shape: ready ? 'ok' : 'zero', tone: ready ? 'fj-ok' : 'fj-pending', text: `${revision} · ${ready} ready`, title: 'The cell and its runners agree' };
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

  /** Insert a code cell below the active one. */
  async insertCell(source: string): Promise<void> {
    const panel = this.current;
    if (!panel) {
      return;
    }
    this.app.shell.activateById(panel.id);
    const cell = panel.content.activeCell;
    if (!cell || cell.model.type !== 'code' || cell.model.sharedModel.getSource().trim() !== '') {
      await this.app.commands.execute('notebook:insert-cell-below');
    }
    panel.content.activeCell?.model.sharedModel.setSource(source);
  }

  /** Show the cell that made an app; false where no open notebook has it. */
  goToCell(alias: string): boolean {
    for (const panel of this.panels) {
      const at = panel.content.widgets.findIndex(cell => cardOf(cell.model)?.alias === alias);
      if (at >= 0) {
        this.app.shell.activateById(panel.id);
        panel.content.activeCellIndex = at;
        void panel.content.scrollToCell?.(panel.content.widgets[at]);
        return true;
      }
    }
    return false;
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
        panel.content.widgets.forEach(cell => this.drawChip(panel, cell));
      }
    }, 150);
  }

  private drawChip(panel: NotebookPanel, cell: Cell): void {
    const place = cell.node.querySelector<HTMLElement>(':scope > .fj-cell-chip');
    const source = cell.model.type === 'code' ? cell.model.sharedModel.getSource() : '';
    if (!this.shown || !APP_CELL.test(source)) {
      place?.remove();
      return;
    }
    const card = cardOf(cell.model);
    const app = card ? this.host.store.view.apps.find(one => one.alias === card.alias) : undefined;
    const look = chipLook(source, card, app);
    const told = `${look.shape}|${look.text}|${look.title}`;
    if (place?.dataset.told === told) {
      return;
    }
    const chip = place ?? h('div', { class: 'fj fj-cell-chip', dataset: { lmSuppressShortcuts: 'true' } });
    chip.dataset.told = told;
    const press = () => {
      panel.content.activeCellIndex = panel.content.widgets.indexOf(cell);
      void this.app.commands.execute('notebook:run-cell');
    };
    const button = h('button', { type: 'button', class: `fj-chip ${look.tone}`, title: `${look.title}. Click to run the cell.`, onclick: press });
    replace(button, glyph(look.shape, look.tone), ' ', look.text);
    replace(chip, button);
    if (!place) {
      ensureStyle(chip);
      cell.node.append(chip);
    }
  }

  private readonly panels = new Set<NotebookPanel>();
  private shown = true;
  private timer = 0;
}
