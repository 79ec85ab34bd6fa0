import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";

import { addCommand } from "../commands/add_commands";
import { appsIcon, dashboardIcon } from "../icons";
import { dashboardPanel } from "../shared/dashboard/dashboard.mjs";
import { IFalConnection, IFalPanels } from "../tokens";

export const dashboardPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:dashboard",
  description: "The dashboard of all apps, runners and requests.",
  autoStart: true,
  requires: [IFalConnection, IFalPanels],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, connection: IFalConnection, panels: IFalPanels, palette: ICommandPalette | null) => {
    let inspect: ((request: string) => void) | null = null;
    const open = panels.register({
      kind: "dashboard",
      icon: appsIcon,
      title: () => "fal apps",
      idParts: () => [],
      draw: (shown) => (root, signal) => {
        inspect = dashboardPanel(root, connection.host, shown, signal).inspect;
      },
      shownAgain: ({ request }) => request && inspect?.(request),
    });
    connection.offer({ openDashboard: (request) => open({ request }) });
    addCommand(app, palette, {
      id: "open-dashboard",
      label: "Open the Dashboard",
      caption: "All apps, runners and requests of this machine",
      icon: dashboardIcon,
      args: { request: { type: "string", description: "A request to inspect" } },
      execute: open,
    });
  },
};
