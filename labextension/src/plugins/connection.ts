import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ISettingRegistry } from "@jupyterlab/settingregistry";

import { createHost } from "../connection/host";
import { Preferences } from "../connection/preferences";
import { IFalConnection } from "../tokens";

const ID = "fal-jupyter:plugin"; // the id of the settings, too

/** One connection and one feed for all plugins of the page. */
export const connectionPlugin: JupyterFrontEndPlugin<IFalConnection> = {
  id: ID,
  description: "Connection to the gateway of fal_jupyter and settings; the other fal-jupyter plugins need it.",
  autoStart: true,
  optional: [ISettingRegistry],
  provides: IFalConnection,
  activate: (app: JupyterFrontEnd, settings: ISettingRegistry | null): IFalConnection => {
    const preferences = new Preferences();
    const host = createHost(app.serviceManager.serverSettings, preferences);
    void settings
      ?.load(ID)
      .then((loaded) => preferences.follow(loaded))
      .catch(() => undefined); // the defaults hold
    return { host, preferences, offer: (abilities) => void Object.assign(host, abilities) };
  },
};
