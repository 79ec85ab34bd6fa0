import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { IRunningSessionManagers, type IRunningSessions } from "@jupyterlab/running";
import { Signal } from "@lumino/signaling";

import { appsIcon } from "../icons";
import { actOnApp, runnerWords } from "../shared/card/card.mjs";
import type { AppState, View } from "../shared/types";
import { IFalConnection, IFalNotebooks } from "../tokens";

/** The apps that run: a stopped one has nothing to end. */
const appsOf = (view: View): AppState[] => view.apps.filter((app) => app.state !== "Stopped");

/** Apps under Running Sessions, where people look for what they want to end. */
export const runningPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:running",
  description: "Lists the apps under Running Terminals and Kernels, where they can be stopped.",
  autoStart: true,
  requires: [IFalConnection],
  optional: [IRunningSessionManagers, IFalNotebooks],
  activate: (
    { commands }: JupyterFrontEnd,
    { host }: IFalConnection,
    managers: IRunningSessionManagers | null,
    notebooks: IFalNotebooks | null,
  ) => {
    const changed = new Signal<object, void>({});
    let known = "";
    host.store.watch((view) => {
      const now = appsOf(view)
        .map((app) => `${app.alias} ${runnerWords(app)}`)
        .join();
      if (now !== known) {
        known = now;
        changed.emit();
      }
    });
    const item = (app: AppState): IRunningSessions.IRunningItem => ({
      open: () => {
        if (!notebooks?.goToCell(app.alias) && commands.hasCommand("fal-jupyter:open-dashboard")) {
          void commands.execute("fal-jupyter:open-dashboard");
        }
      },
      icon: () => appsIcon,
      label: () => app.alias,
      labelTitle: () => `${app.app} of ${app.owner_name}`,
      detail: () => `${runnerWords(app)} runners`,
      shutdown: () => void actOnApp({ ...host, confirm: undefined }, app.alias, "stop").catch(() => undefined),
    });
    managers?.add({
      name: "fal apps",
      running: () => appsOf(host.store.view).map(item),
      shutdownAll: () => {
        for (const app of appsOf(host.store.view)) {
          item(app).shutdown?.();
        }
      },
      refreshRunning: () => changed.emit(),
      runningChanged: changed,
      shutdownLabel: "Stop",
      shutdownAllLabel: "Stop All",
      shutdownAllConfirmationText: "Stop all fal apps? Their runners end; their cards start them again.",
    });
  },
};
