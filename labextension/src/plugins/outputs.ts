import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";

import { isAppCell } from "../cards/chip";
import { keepCard } from "../cards/kept_card";
import { refreshBeforeSave } from "../cards/saving";
import { followName } from "../notebooks/naming";
import { sourceOf } from "../notebooks/notebook_panel";
import type { CardData } from "../shared/types";
import { IFalConnection, IFalNotebooks } from "../tokens";

export const outputsPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:outputs",
  description:
    "Keeps cards through runs that fail, refreshes them before their notebook is saved, and tells kernels its name.",
  autoStart: true,
  requires: [IFalConnection, IFalNotebooks],
  activate: (_app: JupyterFrontEnd, { host }: IFalConnection, notebooks: IFalNotebooks) => {
    notebooks.observe({
      panelAdded: (panel) => {
        const outputs = () => panel.content.widgets.flatMap((cell) => cell.model.outputs ?? []);
        refreshBeforeSave(panel.context, outputs, () => host.store.view);
        followName(panel, host.store);
      },
      cellAdded: (cell) => {
        const isKept = (card: unknown) => (card as CardData).source !== "" || isAppCell(sourceOf(cell));
        if (cell.model.outputs) {
          keepCard(cell.node, cell.model.outputs, isKept);
        }
      },
    });
  },
};
