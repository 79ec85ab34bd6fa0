import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";

import { Panels } from "../panels/panels";
import { IFalPanels } from "../tokens";

export const panelsPlugin: JupyterFrontEndPlugin<IFalPanels> = {
  id: "fal-jupyter:panels",
  description: "Opens and restores panels of the main area; dashboard, ledger, logs and inspector need it.",
  autoStart: true,
  optional: [ILayoutRestorer],
  provides: IFalPanels,
  activate: (app: JupyterFrontEnd, restorer: ILayoutRestorer | null): IFalPanels => new Panels(app, restorer),
};
