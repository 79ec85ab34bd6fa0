/**
 * A Lumino widget around one of the shared panels: drawn when it is attached, gone without a trace when it is disposed.
 */
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";

export type Draw = (root: HTMLElement, signal: AbortSignal) => void;

export class PanelWidget extends Widget {
  constructor(private readonly draw: Draw) {
    super();
    this.addClass("fj-root");
  }

  protected onBeforeAttach(message: Message): void {
    super.onBeforeAttach(message);
    if (!this.stop) {
      this.stop = new AbortController();
      this.draw(this.node, this.stop.signal);
    }
  }

  dispose(): void {
    this.stop?.abort();
    super.dispose();
  }

  private stop: AbortController | null = null;
}
