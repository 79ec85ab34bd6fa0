/** The renderer of an app's card: live below this server, a picture of what was where nothing of it runs. */
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

import { savedHost } from './shared/host.mjs';
import { drawPanel } from './shared/widget.mjs';
import type { CardData } from './shared/types';
import { CARD_MIME, isLive } from './card_data';
import type { LabHost } from './host';

/** Milliseconds for the first line of the feed to come, before a card shows its saved picture. */
const WAIT_FOR_FEED = 4000;

export class CardRenderer extends Widget implements IRenderMime.IRenderer {
  constructor(private readonly host: LabHost) {
    super();
    this.addClass('fj-output');
  }

  /** Draw the card, or go on with the one that is drawn: a refreshed picture must not take away what the user types. */
  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const card = model.data[CARD_MIME] as unknown as CardData;
    const same = this.card !== null && this.card.alias === card.alias && this.card.panel === card.panel && this.card.tab === card.tab;
    this.card = card;
    if (!same || this.saved) {
      this.choose();
    }
  }

  dispose(): void {
    this.stop?.abort();
    this.unwatch?.();
    window.clearTimeout(this.timer);
    super.dispose();
  }

  /** Live where the app runs; else its picture, until the app is there. */
  private choose(): void {
    this.unwatch?.();
    window.clearTimeout(this.timer);
    const view = this.host.store.view;
    if (this.card && isLive(this.card, view)) {
      this.drawCard(false);
      return;
    }
    this.unwatch = this.host.store.watch(now => {
      if (this.card && isLive(this.card, now)) {
        this.unwatch?.();
        window.clearTimeout(this.timer);
        this.drawCard(false);
      }
    });
    const wait = view.link === 'connecting' ? WAIT_FOR_FEED : 0;
    this.timer = window.setTimeout(() => this.drawCard(true), wait);
    if (wait === 0) {
      window.clearTimeout(this.timer);
      this.drawCard(true);
    }
  }

  private drawCard(saved: boolean): void {
    this.stop?.abort();
    this.stop = new AbortController();
    this.saved = saved;
    if (this.card) {
      const host = saved ? { ...savedHost(this.card), runCell: this.host.runCell, goToCell: this.host.goToCell } : this.host;
      drawPanel(this.node, host, this.card, this.stop.signal);
    }
  }

  private card: CardData | null = null;
  private saved = false;
  private stop: AbortController | null = null;
  private unwatch: (() => void) | null = null;
  private timer = 0;
}
