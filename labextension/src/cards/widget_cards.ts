/**
 * What a file has of the panels that anywidget draws (`fal_jupyter.widget`). JupyterLab draws a widget anew when its
 * output changes, which would lose what a user types in it. So its card of now is put into the saved JSON only; our
 * renderer draws it when the notebook is opened again.
 */
import type { CardData } from "../shared/types";
import { CARD_MIME } from "./card_data";

const WIDGET_VIEW = "application/vnd.jupyter.widget-view+json";

type Data = Record<string, unknown>;
interface Output {
  data: Data;
  metadata?: Data;
}
interface SavedOutput {
  data?: Data;
  metadata?: Data;
}
interface SavedNotebook {
  cells: { outputs?: SavedOutput[] }[];
}
export interface SavedModel {
  toJSON(): unknown;
}
/** A card in an output, and how it is replaced. */
export interface WrittenCard {
  card: CardData;
  data: Data;
  write(data: Data): void;
}

/** Newer data of outputs; an output that is made anew has none. */
const newer = new WeakMap<Output, Data>();

/** The id of the widget that an output shows, or "". */
export function widgetId(data: Data): string {
  return (data[WIDGET_VIEW] as { model_id?: string } | undefined)?.model_id ?? "";
}

/** The card of a widget: the kernel sends it as metadata, because JupyterLab would draw one in the data. */
export function widgetCard(output: Output): WrittenCard | null {
  const sent = output.metadata?.[CARD_MIME];
  if (!sent || !widgetId(output.data)) {
    return null;
  }
  const data = newer.get(output) ?? { ...output.data, [CARD_MIME]: sent };
  return { card: data[CARD_MIME] as CardData, data, write: (next) => newer.set(output, next) };
}

/** An output with the card among its data. */
function withCard(output: SavedOutput, cards: Map<string, Data>): SavedOutput {
  const data = output.data && output.metadata?.[CARD_MIME] ? cards.get(widgetId(output.data)) : undefined;
  const metadata = Object.entries(output.metadata ?? {}).filter(([name]) => name !== CARD_MIME);
  return data ? { ...output, data, metadata: Object.fromEntries(metadata) } : output;
}

/** Let the JSON of a notebook's model have the cards of widgets. */
export function writeWidgetCards(model: SavedModel, outputs: () => Output[]): void {
  const toJSON = model.toJSON.bind(model);
  model.toJSON = () => {
    const notebook = toJSON() as SavedNotebook;
    const cards = new Map<string, Data>();
    for (const { data } of outputs().flatMap((one) => widgetCard(one) ?? [])) {
      cards.set(widgetId(data), data);
    }
    const cells = notebook.cells.map((cell) =>
      cell.outputs ? { ...cell, outputs: cell.outputs.map((one) => withCard(one, cards)) } : cell,
    );
    return cards.size ? { ...notebook, cells } : notebook;
  };
}
