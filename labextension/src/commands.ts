/** Every verb as a command, for the palette, the menus and the shortcuts. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { type ICommandPalette, InputDialog, Notification } from "@jupyterlab/apputils";
import { PathExt } from "@jupyterlab/coreutils";
import type { ILauncher } from "@jupyterlab/launcher";
import {
  addIcon,
  consoleIcon,
  copyIcon,
  inspectorIcon,
  listIcon,
  refreshIcon,
  runIcon,
  stopIcon,
  type LabIcon,
} from "@jupyterlab/ui-components";
import type { ReadonlyJSONObject } from "@lumino/coreutils";

import { actOnApp } from "./shared/card.mjs";
import { askJson } from "./shared/host.mjs";
import { connectCell } from "./shared/connect.mjs";
import { APP_CELL, TEMPLATES, cellsOf } from "./shared/templates.mjs";
import type { AppState } from "./shared/types";
import { complain } from "./complain";
import { appsIcon, dashboardIcon, newAppIcon } from "./icons";
import type { LabHost } from "./host";
import type { Notebooks } from "./notebooks";
import type { Surfaces } from "./surfaces";

const CATEGORY = "fal";
const ALIAS = { alias: { type: "string", description: "The app, by the second half of its name" } };

interface Verb {
  id: string;
  label: string;
  caption: string;
  icon: LabIcon;
  args?: Record<string, { type: string; description: string }>;
  execute: (args: Record<string, string>) => unknown;
}

/** A notebook of a template: it loads the extension, defines the app, and calls it. */
export function starterNotebook(cells: string[]): Record<string, unknown> {
  const cell = (source: string) => ({ cell_type: "code", execution_count: null, metadata: {}, outputs: [], source });
  return {
    cells: ["%load_ext fal_jupyter", ...cells].map(cell),
    metadata: { kernelspec: { name: "python3", display_name: "Python 3 (ipykernel)", language: "python" } },
    nbformat: 4,
    nbformat_minor: 4,
  };
}

/** A call from the notebook whose kernel has the app's class: no address and no key are needed there. */
export function callCell(app: AppState): string {
  return `${app.class_name}.${app.endpoints[0]?.name ?? "call"}()`;
}

/** Ask which template a new notebook is made of; undefined where the user changed their mind. */
async function chosenTemplate(): Promise<string | undefined> {
  const kinds = Object.entries(TEMPLATES);
  const items = kinds.map(([, one]) => `${one.label}: ${one.caption}`);
  const answer = await InputDialog.getItem({
    title: "New fal App",
    label: "What does the app return?",
    items,
    okLabel: "Create",
  });
  return answer.button.accept ? kinds[items.indexOf(answer.value ?? "")]?.[0] : undefined;
}

/** A path in `folder` that no file has: `hello.ipynb`, else `hello-1.ipynb`. */
async function freePath(app: JupyterFrontEnd, folder: string, stem: string): Promise<string> {
  const listing = await app.serviceManager.contents.get(folder, { content: true });
  const taken = new Set((listing.content as { name: string }[]).map((one) => one.name));
  let free = `${stem}.ipynb`;
  for (let number = 1; taken.has(free); number += 1) {
    free = `${stem}-${number}.ipynb`;
  }
  return PathExt.join(folder, free);
}

export function addCommands(
  app: JupyterFrontEnd,
  host: LabHost,
  surfaces: Surfaces,
  notebooks: Notebooks,
  palette: ICommandPalette | null,
  launcher: ILauncher | null,
): void {
  /** The app that is meant: named, the only one, or chosen from a list. */
  const chosen = async (args: Record<string, string>): Promise<AppState | undefined> => {
    const apps = host.store.view.apps;
    if (args.alias) {
      return apps.find((one) => one.alias === args.alias);
    }
    if (apps.length < 2) {
      return apps[0];
    }
    const answer = await InputDialog.getItem({ title: "Which app?", items: apps.map((one) => one.alias) });
    return apps.find((one) => one.alias === answer.value);
  };
  const onApp = (work: (found: AppState) => unknown) => async (args: Record<string, string>) => {
    const found = await chosen(args);
    if (!found) {
      Notification.info("No fal app is running: run a cell that begins with %%fal_app.", { autoClose: 5000 });
      return;
    }
    await work(found);
  };
  const verbs: Verb[] = [
    {
      id: "open-dashboard",
      label: "Open the Dashboard",
      caption: "All apps, runners and requests of this machine",
      icon: dashboardIcon,
      args: { request: { type: "string", description: "A request to inspect" } },
      execute: (args) => surfaces.open("dashboard", args),
    },
    {
      id: "open-ledger",
      label: "Open the Memory Ledger",
      caption: "GPU and memory use across all notebooks",
      icon: listIcon,
      execute: () => surfaces.open("ledger"),
    },
    {
      id: "open-logs",
      label: "Open the Logs of an App",
      caption: "The output of an app",
      icon: consoleIcon,
      args: { ...ALIAS, runner: { type: "string", description: "One runner only" } },
      execute: (args) =>
        args.alias
          ? surfaces.open("logs", args)
          : onApp((found) => surfaces.open("logs", { alias: found.alias }))(args),
    },
    {
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
        surfaces.open("inspector", { request });
      },
    },
    {
      id: "focus-card",
      label: "Go to the Card of the Active Cell",
      caption: "Put the focus into the card; Escape leads back to the cell",
      icon: appsIcon,
      execute: () => window.setTimeout(() => void notebooks.focusCard().catch(complain)),
    },
    {
      id: "insert-app-cell",
      label: "Insert an App Cell",
      caption: "A %%fal_app cell to begin with",
      icon: addIcon,
      execute: () => notebooks.insertCell(APP_CELL.trimEnd()),
    },
    {
      id: "insert-connect-cell",
      label: "Insert a Connect Cell",
      caption: "A cell that calls an app from any notebook",
      icon: addIcon,
      args: ALIAS,
      execute: onApp((found) =>
        notebooks.insertCell(notebooks.holds(found.alias) ? callCell(found) : connectCell(found)),
      ),
    },
    {
      id: "start-app",
      label: "Start a Stopped App",
      caption: "Start it again with the same code and settings",
      icon: runIcon,
      args: ALIAS,
      execute: onApp((found) => actOnApp(host, found.alias, "start")),
    },
    {
      id: "stop-app",
      label: "Stop an App",
      caption: "End its runners; it keeps its record and can be started again",
      icon: stopIcon,
      args: ALIAS,
      execute: onApp((found) => actOnApp(host, found.alias, "stop")),
    },
    {
      id: "restart-app",
      label: "Restart an App",
      caption: "Start new runners, then stop the old ones",
      icon: refreshIcon,
      args: ALIAS,
      execute: onApp((found) => actOnApp(host, found.alias, "restart")),
    },
    {
      id: "unload-app",
      label: "Unload an App",
      caption: "No runner until its next call",
      icon: stopIcon,
      args: ALIAS,
      execute: onApp((found) => actOnApp(host, found.alias, "unload")),
    },
    {
      id: "copy-url",
      label: "Copy the Address of an App",
      caption: "The prefix of its endpoints",
      icon: copyIcon,
      args: ALIAS,
      execute: onApp((found) => host.copy(host.address(found))),
    },
    {
      id: "start-gateway",
      label: "Start a Gateway",
      caption: "The process that serves the apps; cells start it by themselves",
      icon: appsIcon,
      execute: () => askJson(host, "POST", "start"),
    },
    {
      id: "new-notebook",
      label: "New fal App",
      caption: "A notebook with an app in it, ready to run",
      icon: newAppIcon,
      args: {
        cwd: { type: "string", description: "Where to put it" },
        template: { type: "string", description: "text, image or stream; asked for where absent" },
      },
      execute: async (args) => {
        const kind = args.template ?? (await chosenTemplate());
        if (!kind) {
          return;
        }
        const { alias, cells } = cellsOf(
          kind,
          host.store.view.apps.map((one) => one.alias),
        );
        const path = await freePath(app, args.cwd ?? "", alias);
        await app.serviceManager.contents.save(path, {
          type: "notebook",
          format: "json",
          content: starterNotebook(cells),
        });
        return app.commands.execute("docmanager:open", { path, factory: "Notebook" });
      },
    },
  ];
  for (const verb of verbs) {
    const command = `fal-jupyter:${verb.id}`;
    app.commands.addCommand(command, {
      label: (args) => (args.isPalette ? `fal: ${verb.label}` : verb.label),
      caption: verb.caption,
      icon: verb.icon,
      describedBy: { args: { type: "object", properties: verb.args ?? {} } as ReadonlyJSONObject },
      execute: async ({ isPalette: _, ...args }) => {
        try {
          return await verb.execute(args as Record<string, string>);
        } catch (error) {
          complain(error);
          return undefined;
        }
      },
    });
    palette?.addItem({ command, category: CATEGORY, args: { isPalette: true } });
  }
  launcher?.add({ command: "fal-jupyter:new-notebook", category: "fal apps", rank: 1 });
  launcher?.add({ command: "fal-jupyter:open-dashboard", category: "fal apps", rank: 2 });
}
