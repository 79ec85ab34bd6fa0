/**
 * The plugins, one per feature: `jupyter labextension disable fal-jupyter:NAME` takes one away, and the rest works on.
 * Tokens that Notebook 7 may not have are optional, so that it has what JupyterLab has, as far as it has a place for it.
 */
import { appCommandsPlugin } from "./plugins/app_commands";
import { cellChipPlugin } from "./plugins/cell_chip";
import { cellCommandsPlugin } from "./plugins/cell_commands";
import { connectionPlugin } from "./plugins/connection";
import { dashboardPlugin } from "./plugins/dashboard";
import { foldedErrorsPlugin } from "./plugins/folded_errors";
import { inspectorPlugin } from "./plugins/inspector";
import { launcherPlugin } from "./plugins/launcher";
import { ledgerPlugin } from "./plugins/ledger";
import { logsPlugin } from "./plugins/logs";
import { notebooksPlugin } from "./plugins/notebooks";
import { notificationsPlugin } from "./plugins/notifications";
import { outputsPlugin } from "./plugins/outputs";
import { panelsPlugin } from "./plugins/panels";
import { rendererPlugin } from "./plugins/renderer";
import { runningPlugin } from "./plugins/running";
import { sidebarPlugin } from "./plugins/sidebar";
import { statusBarPlugin } from "./plugins/status_bar";

export default [
  connectionPlugin,
  notebooksPlugin,
  panelsPlugin,
  rendererPlugin,
  outputsPlugin,
  foldedErrorsPlugin,
  cellChipPlugin,
  sidebarPlugin,
  dashboardPlugin,
  ledgerPlugin,
  logsPlugin,
  inspectorPlugin,
  appCommandsPlugin,
  cellCommandsPlugin,
  launcherPlugin,
  statusBarPlugin,
  runningPlugin,
  notificationsPlugin,
];
