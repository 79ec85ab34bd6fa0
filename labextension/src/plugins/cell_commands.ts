import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { addIcon } from "@jupyterlab/ui-components";

import { ALIAS, addCommand } from "../commands/add_commands";
import { onApp } from "../commands/choose_app";
import { complain } from "../complain";
import { appsIcon } from "../icons";
import { connectCell } from "../shared/sidebar/connect.mjs";
import { cellsOf } from "../shared/sidebar/templates.mjs";
import type { AppState } from "../shared/types";
import { IFalConnection, IFalNotebooks } from "../tokens";

export const cellCommandsPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:cell-commands",
  description: "Commands that insert app cells and calls, and that put the focus into the card of the active cell.",
  autoStart: true,
  requires: [IFalConnection, IFalNotebooks],
  optional: [ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    { host }: IFalConnection,
    notebooks: IFalNotebooks,
    palette: ICommandPalette | null,
  ) => {
    addCommand(app, palette, {
      id: "focus-card",
      label: "Go to the Card of the Active Cell",
      caption: "Put the focus into the card; Escape leads back to the cell",
      icon: appsIcon,
      execute: () => window.setTimeout(() => void notebooks.focusCard().catch(complain)),
    });
    addCommand(app, palette, {
      id: "insert-app-cell",
      label: "Insert an App Cell",
      caption: "A %%fal_app cell to begin with",
      icon: addIcon,
      execute: () => {
        const aliases = host.store.view.apps.map((one) => one.alias);
        return notebooks.insertCell(cellsOf("text", aliases).cells[0]);
      },
    });
    addCommand(app, palette, {
      id: "insert-connect-cell",
      label: "Insert a Connect Cell",
      caption: "A cell that calls an app from any notebook",
      icon: addIcon,
      args: ALIAS,
      execute: onApp(host.store, (found) =>
        notebooks.insertCell(notebooks.holds(found.alias) ? callCell(found) : connectCell(found)),
      ),
    });
  },
};

/** A call from the notebook whose kernel has the app's class: no address and no key are needed there. */
function callCell(app: AppState): string {
  return `${app.class_name}.${app.endpoints[0]?.name ?? "call"}()`;
}
