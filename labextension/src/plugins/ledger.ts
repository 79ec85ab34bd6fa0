import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { listIcon } from "@jupyterlab/ui-components";

import { addCommand } from "../commands/add_commands";
import { scrolling } from "../panels/scrolling";
import { ledgerPanel } from "../shared/dashboard/ledger.mjs";
import { IFalConnection, IFalPanels } from "../tokens";

export const ledgerPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:ledger",
  description: "The memory ledger: GPU and memory use across all notebooks.",
  autoStart: true,
  requires: [IFalConnection, IFalPanels],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, { host }: IFalConnection, panels: IFalPanels, palette: ICommandPalette | null) => {
    const open = panels.register({
      kind: "ledger",
      icon: listIcon,
      title: () => "fal memory",
      idParts: () => [],
      draw: () => scrolling((root, signal) => ledgerPanel(root, host, {}, signal)),
    });
    addCommand(app, palette, {
      id: "open-ledger",
      label: "Open the Memory Ledger",
      caption: "GPU and memory use across all notebooks",
      icon: listIcon,
      execute: () => open(),
    });
  },
};
