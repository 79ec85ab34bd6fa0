import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { ILauncher } from "@jupyterlab/launcher";

import { addCommand } from "../commands/add_commands";
import { newNotebook } from "../commands/new_notebook";
import { newAppIcon } from "../icons";
import { folderShown } from "../notebooks/notebook_file";
import { IFalConnection } from "../tokens";

const CATEGORY = "fal apps";

export const launcherPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:launcher",
  description: "New notebooks from a template, and the launcher's section of fal apps.",
  autoStart: true,
  requires: [IFalConnection],
  optional: [ICommandPalette, ILauncher],
  activate: (
    app: JupyterFrontEnd,
    { host }: IFalConnection,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
  ) => {
    const aliases = () => host.store.view.apps.map((one) => one.alias);
    addCommand(app, palette, {
      id: "new-notebook",
      label: "New fal App",
      caption: "A notebook with an app in it, ready to run",
      icon: newAppIcon,
      args: {
        cwd: { type: "string", description: "Where to put it" },
        template: { type: "string", description: "text, image or stream; asked for where absent" },
      },
      execute: (args) => newNotebook(app, args.cwd ?? folderShown(app), args.template, aliases()),
    });
    launcher?.add({ command: "fal-jupyter:new-notebook", category: CATEGORY, rank: 1 });
    void app.restored.then(() => {
      if (app.commands.hasCommand("fal-jupyter:open-dashboard")) {
        launcher?.add({ command: "fal-jupyter:open-dashboard", category: CATEGORY, rank: 2 });
      }
    });
  },
};
