/** Apps under Running Sessions, where people look for what they want to end. */
import type { IRunningSessionManagers, IRunningSessions } from "@jupyterlab/running";
import { Signal } from "@lumino/signaling";

import { actOnApp, runnerWords } from "./shared/card.mjs";
import type { AppState, View } from "./shared/types";
import { appsIcon } from "./icons";
import type { LabHost } from "./host";
import type { Notebooks } from "./notebooks";
import type { Surfaces } from "./surfaces";

/** The apps that run: a stopped one has nothing to end. */
const appsOf = (view: View): AppState[] => view.apps.filter((app) => app.state !== "Stopped");

export function addRunning(
  managers: IRunningSessionManagers,
  host: LabHost,
  notebooks: Notebooks,
  surfaces: Surfaces,
): void {
  const changed = new Signal<object, void>({});
  let told = "";
  host.store.watch((view) => {
    const now = appsOf(view)
      .map((app) => `${app.alias} ${runnerWords(app)}`)
      .join();
    if (now !== told) {
      told = now;
      changed.emit();
    }
  });
  const item = (app: AppState): IRunningSessions.IRunningItem => ({
    open: () => {
      if (!notebooks.goToCell(app.alias)) {
        surfaces.open("dashboard");
      }
    },
    icon: () => appsIcon,
    label: () => app.alias,
    labelTitle: () => `${app.app} of ${app.owner_name}`,
    detail: () => `${runnerWords(app)} runners`,
    shutdown: () => void actOnApp({ ...host, confirm: undefined }, app.alias, "stop").catch(() => undefined),
  });
  managers.add({
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
}
