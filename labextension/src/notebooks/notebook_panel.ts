/**
 * A notebook panel, as far as this extension uses it.
 *
 * What is written down here spares the 160 MB of `@jupyterlab/notebook`, and is the same in JupyterLab and Notebook 7.
 */
import type { ISignal } from "@lumino/signaling";
import type { Widget } from "@lumino/widgets";

import { CARD_MIME } from "../cards/card_data";
import { isAppCell } from "../cards/chip";
import type { Outputs as KeptOutputs } from "../cards/kept_card";
import type { OutputList, SavedContext } from "../cards/saving";
import type { AppState, CardData, GatewayState } from "../shared/types";
import type { SessionContext } from "./kernel";

type Outputs = OutputList & KeptOutputs;
export interface CellModel {
  id: string;
  type: string;
  sharedModel: { getSource(): string; setSource(text: string): void };
  contentChanged: ISignal<unknown, unknown>;
  outputs?: Outputs;
  /** The number before the cell; null until it has been run. */
  executionCount?: number | null;
}
interface Editor {
  setCursorPosition(position: { line: number; column: number }): void;
  /** CodeMirror's view. */
  editor?: { state: { doc: { line(number: number): { from: number } } }; domAtPos(at: number): { node: Node } };
  focus(): void;
}
export interface Cell extends Widget {
  model: CellModel;
  inputArea?: Widget | null;
  /** One widget for each output, as far as they are shown. */
  outputArea?: { widgets: readonly Widget[] };
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
  scrollToItem?(index: number, ...more: unknown[]): Promise<void>;
}
export interface NotebookPanel extends Widget {
  content: Content;
  context: SavedContext & { path: string; ready: Promise<void> };
  sessionContext: SessionContext;
}

/** A cell and the notebook that has it. */
export interface CellLocation {
  panel: NotebookPanel;
  cell: Cell;
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

export function sourceOf(cell: Cell): string {
  return cell.model.sharedModel.getSource();
}

/** True for the cell whose run made the app: it has its card, and a cell that only shows a panel of it has not. */
export function makesApp(cell: Cell, alias: string): boolean {
  const card = cardOf(cell.model);
  return card?.alias === alias && (card.source !== "" || isAppCell(sourceOf(cell)));
}

/** The number of the other cell of the same notebook that made the app's newest revision; 0 where none is known. */
export function otherMaker({ panel, cell }: CellLocation, app?: AppState, gateway?: GatewayState | null): number {
  const made = (other: Cell) => {
    const card = cardOf(other.model);
    const isOfGateway = !gateway || card?.gateway?.started === gateway.started;
    return other !== cell && app && makesApp(other, app.alias) && isOfGateway && card?.revision === app.revision;
  };
  return panel.content.widgets.find(made)?.model.executionCount ?? 0;
}
