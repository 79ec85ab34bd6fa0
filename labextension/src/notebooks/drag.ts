/** Cells that are dragged into a notebook: JupyterLab takes Lumino's drags, not the browser's. */
import { MimeData } from "@lumino/coreutils";
import { Drag } from "@lumino/dragdrop";

import { h } from "../shared/elements/dom.mjs";

const CELLS = "application/vnd.jupyter.cells";

/** Drag a code cell from a point of the page; whoever takes no cells gets its text. Gives how it was dropped, "none" where it was not. */
export function dragCell(source: string, label: string, x: number, y: number): Promise<string> {
  const mimeData = new MimeData();
  mimeData.setData("text/plain", source);
  mimeData.setData(CELLS, [{ cell_type: "code", source, metadata: {}, outputs: [], execution_count: null }]);
  const dragImage = h("div", { class: "fj-drag-image" }, label);
  return new Drag({ mimeData, dragImage, supportedActions: "copy", proposedAction: "copy" }).start(x, y);
}
