import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { copyIcon, refreshIcon, runIcon, stopIcon } from "@jupyterlab/ui-components";

import { ALIAS, addCommand, type CommandSpec } from "../commands/add_commands";
import { onApp } from "../commands/choose_app";
import { appsIcon } from "../icons";
import { actOnApp } from "../shared/card/card.mjs";
import { askJson } from "../shared/connection/host.mjs";
import { IFalConnection } from "../tokens";

export const appCommandsPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:app-commands",
  description: "Commands that start, stop, restart and unload apps and copy their addresses.",
  autoStart: true,
  requires: [IFalConnection],
  optional: [ICommandPalette],
  activate: (app: JupyterFrontEnd, { host }: IFalConnection, palette: ICommandPalette | null) => {
    const act = (verb: "start" | "stop" | "restart" | "unload") =>
      onApp(host.store, (found) => actOnApp(host, found.alias, verb));
    const specs: CommandSpec[] = [
      {
        id: "start-app",
        label: "Start a Stopped App",
        caption: "Start it again with the same code and settings",
        icon: runIcon,
        args: ALIAS,
        execute: act("start"),
      },
      {
        id: "stop-app",
        label: "Stop an App",
        caption: "End its runners; it keeps its record and can be started again",
        icon: stopIcon,
        args: ALIAS,
        execute: act("stop"),
      },
      {
        id: "restart-app",
        label: "Restart an App",
        caption: "Start new runners, then stop the old ones",
        icon: refreshIcon,
        args: ALIAS,
        execute: act("restart"),
      },
      {
        id: "unload-app",
        label: "Unload an App",
        caption: "No runner until its next call",
        icon: stopIcon,
        args: ALIAS,
        execute: act("unload"),
      },
      {
        id: "copy-url",
        label: "Copy the Address of an App",
        caption: "The prefix of its endpoints",
        icon: copyIcon,
        args: ALIAS,
        execute: onApp(host.store, (found) => host.copy(host.address(found))),
      },
      {
        id: "start-gateway",
        label: "Start a Gateway",
        caption: "The process that serves the apps; cells start it by themselves",
        icon: appsIcon,
        execute: () => askJson(host, "POST", "start"),
      },
    ];
    for (const spec of specs) {
      addCommand(app, palette, spec);
    }
  },
};
