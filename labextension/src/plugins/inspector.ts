import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { inspectorIcon } from "@jupyterlab/ui-components";

import { addCommand } from "../commands/add_commands";
import { scrolling } from "../panels/scrolling";
import { inspectorPanel } from "../shared/inspector/inspector.mjs";
import { IFalConnection, IFalPanels } from "../tokens";

export const inspectorPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:inspector",
  description: "One request as a panel of the main area: its time, input, output and logs.",
  autoStart: true,
  requires: [IFalConnection, IFalPanels],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, { host }: IFalConnection, panels: IFalPanels, palette: ICommandPalette | null) => {
    const open = panels.register({
      kind: "inspector",
      icon: inspectorIcon,
      title: ({ request = "" }) => `Request ${request.slice(0, 8)}`,
      idParts: ({ request }) => [request],
      draw: ({ request = "" }) => scrolling((root, signal) => inspectorPanel(root, host, { id: request }, signal)),
    });
    addCommand(app, palette, {
      id: "open-inspector",
      label: "Inspect the Latest Request",
      caption: "One request: its time, input, output, logs",
      icon: inspectorIcon,
      args: { request: { type: "string", description: "The request; the latest where absent" } },
      execute: (args) => {
        const request = args.request ?? host.store.view.requests[0]?.id;
        if (!request) {
          throw new Error("No request is known: call an app first.");
        }
        open({ request });
      },
    });
  },
};
