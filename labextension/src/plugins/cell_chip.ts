import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";

import { CellChips } from "../cards/cell_chips";
import { IFalConnection, IFalNotebooks } from "../tokens";

export const cellChipPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:cell-chip",
  description: "Shows at each app cell which revision serves and whether the cell was edited since.",
  autoStart: true,
  requires: [IFalConnection, IFalNotebooks],
  activate: (app: JupyterFrontEnd, connection: IFalConnection, notebooks: IFalNotebooks) => {
    new CellChips(app, connection, notebooks);
  },
};
