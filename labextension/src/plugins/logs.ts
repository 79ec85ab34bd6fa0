import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { consoleIcon } from "@jupyterlab/ui-components";

import { ALIAS, addCommand } from "../commands/add_commands";
import { onApp } from "../commands/choose_app";
import { scrolling } from "../panels/scrolling";
import { logsPanel } from "../shared/logs/logs.mjs";
import { IFalConnection, IFalPanels } from "../tokens";

export const logsPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:logs",
  description: "The output of an app, or of one of its runners, as a panel of the main area.",
  autoStart: true,
  requires: [IFalConnection, IFalPanels],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, connection: IFalConnection, panels: IFalPanels, palette: ICommandPalette | null) => {
    const { host } = connection;
    const open = panels.register({
      kind: "logs",
      icon: consoleIcon,
      title: ({ alias, runner }) => `Logs of ${alias}${runner ? `, ${runner}` : ""}`,
      idParts: ({ alias, runner }) => [alias, runner],
      draw: ({ alias = "", runner }) => scrolling((root, signal) => logsPanel(root, host, { alias, runner }, signal)),
    });
    connection.offer({ openLogs: (alias, runner) => open({ alias, runner }) });
    const ofChosen = onApp(host.store, ({ alias }) => open({ alias }));
    addCommand(app, palette, {
      id: "open-logs",
      label: "Open the Logs of an App",
      caption: "The output of an app",
      icon: consoleIcon,
      args: { ...ALIAS, runner: { type: "string", description: "One runner only" } },
      execute: (args) => (args.alias ? open(args) : ofChosen(args)),
    });
  },
};
