/** The app that a command works on. */
import { InputDialog, Notification } from "@jupyterlab/apputils";

import type { AppState, Store } from "../shared/types";

/** The app that is meant: named, the only one, or chosen from a list. */
async function chosenApp(store: Store, alias: string | undefined): Promise<AppState | undefined> {
  const { apps } = store.view;
  if (alias) {
    return apps.find((one) => one.alias === alias);
  }
  if (apps.length < 2) {
    return apps[0];
  }
  const answer = await InputDialog.getItem({ title: "Which app?", items: apps.map((one) => one.alias) });
  return apps.find((one) => one.alias === answer.value);
}

/** Make a command's work of work on one app. */
export function onApp(store: Store, work: (app: AppState) => unknown) {
  return async (args: Record<string, string>): Promise<void> => {
    const app = await chosenApp(store, args.alias);
    if (!app) {
      Notification.info("No fal app is running: run a cell that begins with %%fal_app.", { autoClose: 5000 });
      return;
    }
    await work(app);
  };
}
