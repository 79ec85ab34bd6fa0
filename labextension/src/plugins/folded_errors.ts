import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";

import { FoldedErrors } from "../cards/folded_errors";
import { IFalConnection, IFalNotebooks } from "../tokens";

export const foldedErrorsPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:folded-errors",
  description: "Folds the traceback of an app that could not start while its card shows the same error.",
  autoStart: true,
  requires: [IFalConnection, IFalNotebooks],
  activate: (_app: JupyterFrontEnd, connection: IFalConnection, notebooks: IFalNotebooks) => {
    new FoldedErrors(connection, notebooks);
  },
};
