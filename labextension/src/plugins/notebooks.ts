import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";

import { complain } from "../complain";
import { dragCell } from "../notebooks/drag";
import { Notebooks } from "../notebooks/notebooks";
import { IFalConnection, IFalNotebooks } from "../tokens";

export const notebooksPlugin: JupyterFrontEndPlugin<IFalNotebooks> = {
  id: "fal-jupyter:notebooks",
  description: "Lets panels go to the cell of an app, run it, edit it, and insert cells.",
  autoStart: true,
  requires: [IFalConnection],
  provides: IFalNotebooks,
  activate: (app: JupyterFrontEnd, connection: IFalConnection): IFalNotebooks => {
    const notebooks = new Notebooks(app);
    connection.offer({
      insertCell: (source) => void notebooks.insertCell(source).catch(complain),
      goToCell: (alias, cell) => notebooks.goToCell(alias, cell),
      goToError: (alias) => notebooks.goToError(alias),
      isInSight: (alias) => notebooks.isInSight(alias),
      dragCell: (source, label, x, y) => {
        const known = notebooks.models();
        void dragCell(source, label, x, y).then((action) => action !== "none" && notebooks.selectNew(known, source));
      },
      runCell: (alias) => void notebooks.runCell(alias).catch(complain),
      leaveCard: (node) => notebooks.leaveCard(node),
      goToLine: (alias, line, text) => void notebooks.goToLine(alias, line, text).catch(complain),
      writeToCell: (alias, className, values) => notebooks.writeToCell(alias, className, values),
    });
    return notebooks;
  },
};
