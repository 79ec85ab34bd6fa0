/** The renderer of an app's card: live below this server, a picture of what was where nothing of it runs. */
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";

import { isBuilding } from "../shared/card/card_states.mjs";
import { savedHost } from "../shared/connection/host.mjs";
import { drawPanel } from "../shared/widget.mjs";
import type { CardData } from "../shared/types";
import { CARD_MIME, cellRuns, isLive } from "./card_data";
import { keepHeight } from "./held_height";
import type { LabHost } from "../connection/host";
import type { Cell } from "../notebooks/notebook_panel";

/** Milliseconds for the first line of the feed to come, before a card shows its saved picture. */
const WAIT_FOR_FEED = 4000;

/** The nearest widget of a class that an output is in. */
function within(output: Widget, kind: string): Widget | null {
  let widget: Widget | null = output;
  while (widget && !widget.hasClass(kind)) {
    widget = widget.parent;
  }
  return widget;
}

export class CardRenderer extends Widget implements IRenderMime.IRenderer {
  constructor(private readonly host: LabHost) {
    super();
    this.addClass("fj-output");
    this.node.addEventListener("keydown", (event: KeyboardEvent) => {
      const open =
        event.target instanceof Element && event.target.closest('[role="menu"], [role="alertdialog"], [role="dialog"]');
      if (event.key === "Escape" && !event.defaultPrevented && !open) {
        this.host.leaveCard?.(this.node);
      }
    });
  }

  /** Draw the card, or go on with the one that is drawn: a refreshed picture must not take away what the user types. */
  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const card = model.data[CARD_MIME] as unknown as CardData;
    const known = this.card;
    if (known && known.alias === card.alias && known.panel === card.panel && known.tab === card.tab) {
      Object.assign(known, card);
    } else {
      this.card = { ...card };
    }
    if (known !== this.card || this.saved) {
      this.choose();
    } else {
      this.refresh();
    }
  }

  protected onBeforeDetach(message: Message): void {
    keepHeight(this.node);
    super.onBeforeDetach(message);
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
    if (this.card && (isLive(this.card, view) || isBuilding(this.card, this.hostHere()))) {
      this.drawCard(false);
      return;
    }
    this.unwatch = this.host.store.watch((now) => {
      if (this.card && isLive(this.card, now)) {
        this.unwatch?.();
        window.clearTimeout(this.timer);
        this.drawCard(false);
      }
    });
    const wait = view.link === "connecting" ? WAIT_FOR_FEED : 0;
    this.timer = window.setTimeout(() => this.drawCard(true), wait);
    if (wait === 0) {
      window.clearTimeout(this.timer);
      this.drawCard(true);
    }
  }

  /** The page's host, which knows the notebook of this output, and whether its cell runs. */
  private hostHere(): LabHost {
    return {
      ...this.host,
      cellRuns: () => cellRuns(this.node.closest(".jp-Cell")),
      notebookName: () => within(this, "jp-NotebookPanel")?.title.label ?? "", // as it is called now
      cellSource: () => (within(this, "jp-CodeCell") as Cell | null)?.model.sharedModel.getSource() ?? "",
    };
  }

  private drawCard(saved: boolean): void {
    this.stop?.abort();
    this.stop = new AbortController();
    this.saved = saved;
    if (this.card) {
      const host = saved
        ? { ...savedHost(this.card), runCell: this.host.runCell, goToCell: this.host.goToCell }
        : this.hostHere();
      this.refresh = drawPanel(this.node, host, this.card, this.stop.signal)?.refresh ?? (() => {});
    }
  }

  private card: CardData | null = null;
  private saved = false;
  private refresh: () => void = () => {};
  private stop: AbortController | null = null;
  private unwatch: (() => void) | null = null;
  private timer = 0;
}
