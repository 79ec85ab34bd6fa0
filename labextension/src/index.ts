/**
 * The list of plugins. Every token but the renderer's is optional, so that Notebook 7 has what JupyterLab has, as far
 * as it has a place for it.
 */
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, Notification } from "@jupyterlab/apputils";
import { ILauncher } from "@jupyterlab/launcher";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import { IRunningSessionManagers } from "@jupyterlab/running";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { IStatusBar } from "@jupyterlab/statusbar";
import { Widget } from "@lumino/widgets";

import { newestFailed } from "./shared/card_states.mjs";
import { h, replace } from "./shared/dom.mjs";
import { glyph, iconButton } from "./shared/glyphs.mjs";
import { ensureStyle } from "./shared/style.mjs";
import { summaryOf, treePanel } from "./shared/tree.mjs";
import type { View } from "./shared/types";
import { CardRenderer } from "./card";
import { CARD_MIME } from "./card_data";
import { addCommands } from "./commands";
import { complain } from "./complain";
import { dragCell } from "./drag";
import { createHost, type Wishes } from "./host";
import { appsIcon } from "./icons";
import { Notebooks } from "./notebooks";
import { PanelWidget } from "./panel";
import { addRunning } from "./running";
import { Surfaces } from "./surfaces";

const ID = "fal-jupyter:plugin";
const RANK = -20; // before the widget view, whose rank is -10: a card needs no kernel
const SIDEBAR = "fal-jupyter-sidebar";

const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: "Cards, sidebar, dashboard, logs, status bar and commands of fal_jupyter.",
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [ICommandPalette, ILauncher, ILayoutRestorer, IRunningSessionManagers, ISettingRegistry, IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    rendermime: IRenderMimeRegistry,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    running: IRunningSessionManagers | null,
    settings: ISettingRegistry | null,
    statusBar: IStatusBar | null,
  ) => {
    const wishes: Wishes & { statusBar: boolean; notify: boolean } = {
      confirmStop: true,
      pauseHidden: true,
      statusBar: true,
      notify: true,
    };
    const host = createHost(app.serviceManager.serverSettings, wishes);
    const notebooks = new Notebooks(app, host);
    const surfaces = new Surfaces(app, host, restorer);
    host.openDashboard = (request) => surfaces.open("dashboard", { request });
    host.openLogs = (alias, runner) => surfaces.open("logs", { alias, runner });
    host.insertCell = (source) => void notebooks.insertCell(source).catch(complain);
    host.goToCell = (alias, cell) => void notebooks.goToCell(alias, cell);
    host.dragCell = dragCell;
    host.runCell = (alias) => void notebooks.runCell(alias).catch(complain);
    host.leaveCard = (node) => notebooks.leaveCard(node);
    host.goToLine = (alias, line, text) => void notebooks.goToLine(alias, line, text).catch(complain);
    host.writeToCell = (alias, className, values) => notebooks.writeToCell(alias, className, values);

    rendermime.addFactory(
      { safe: true, mimeTypes: [CARD_MIME], defaultRank: RANK, createRenderer: () => new CardRenderer(host) },
      RANK,
    );
    addSidebar(app, host, restorer);
    addCommands(app, host, surfaces, notebooks, palette, launcher);
    const status = statusBar ? addStatus(app, host, statusBar, wishes) : () => undefined;
    if (running) {
      addRunning(running, host, notebooks, surfaces);
    }
    notify(host.store.watch, wishes);
    void settings
      ?.load(ID)
      .then((loaded) => {
        const read = () => {
          wishes.confirmStop = loaded.get("confirmStop").composite as boolean;
          wishes.pauseHidden = loaded.get("pauseHidden").composite as boolean;
          wishes.statusBar = loaded.get("statusBar").composite as boolean;
          wishes.notify = loaded.get("notify").composite as boolean;
          notebooks.chips = loaded.get("cellChip").composite as boolean;
          status();
        };
        loaded.changed.connect(read);
        read();
      })
      .catch(() => undefined);
  },
};

function addSidebar(app: JupyterFrontEnd, host: ReturnType<typeof createHost>, restorer: ILayoutRestorer | null): void {
  const open = (id: string) => () => void app.commands.execute(`fal-jupyter:${id}`);
  const sidebar = new PanelWidget((root, signal) => {
    const tree = h("div", { class: "fj-sidebar-tree" });
    const head = h(
      "div",
      { class: "fj fj-sidebar-head" },
      h(
        "div",
        { class: "fj-bar-row" },
        h("strong", null, "fal apps"),
        h("span", { class: "fj-space" }),
        iconButton("dashboard", "Open the dashboard", open("open-dashboard")),
        iconButton("table", "Open the memory ledger", open("open-ledger")),
      ),
    );
    ensureStyle(head);
    root.append(head, tree);
    treePanel(tree, host, {}, signal);
  });
  sidebar.id = SIDEBAR;
  sidebar.addClass("fj-sidebar");
  sidebar.title.icon = appsIcon;
  sidebar.title.caption = "fal apps";
  app.shell.add(sidebar, "left", { rank: 350, type: "fal apps" });
  restorer?.add(sidebar, SIDEBAR);
}

/** The item of the status bar; a click shows the sidebar. */
function addStatus(
  app: JupyterFrontEnd,
  host: ReturnType<typeof createHost>,
  bar: IStatusBar,
  wishes: { statusBar: boolean },
): () => void {
  const item = new Widget();
  item.addClass("jp-StatusBar-TextItem");
  const button = h("button", { type: "button", class: "fj-status", onclick: () => app.shell.activateById(SIDEBAR) });
  const frame = h("span", { class: "fj fj-status-frame" }, button);
  item.node.append(frame);
  const draw = () => {
    ensureStyle(frame);
    item.setHidden(!wishes.statusBar);
    const look = summaryOf(host.store.view);
    if (button.dataset.told !== look.text + look.shape) {
      button.dataset.told = look.text + look.shape;
      button.title = `${look.text}. Click for the sidebar.`;
      replace(button, h("span", { class: look.tone }, glyph(look.shape)), " ", look.text);
    }
  };
  host.store.watch(draw);
  draw();
  bar.registerStatusItem("fal-jupyter:status", { item, align: "left", rank: 90 });
  return draw;
}

/** Say once what the user should know and may not be looking at. */
function notify(watch: (listener: (view: View) => void) => () => void, wishes: { notify: boolean }): void {
  const failing = new Map<string, number>(); // by app: the revision that was said to fail
  let live = false;
  let told = "";
  watch((view) => {
    if (view.link === "lost" && live && wishes.notify) {
      told ||= Notification.warning(`fal: no update, ${view.reason}. Trying again.`, { autoClose: false });
    }
    if (view.link === "live" && told) {
      Notification.dismiss(told);
      told = "";
    }
    const known = live; // what failed before this page was opened is no news
    live = view.link === "live" || (live && view.link === "lost");
    for (const app of view.apps) {
      const behind = newestFailed(app);
      if (app.state !== "Failing" && !behind) {
        failing.delete(app.alias);
      } else if (failing.get(app.alias) !== app.revision) {
        failing.set(app.alias, app.revision);
        if (known && wishes.notify) {
          Notification.error(
            `${app.alias}${behind ? ` r${app.revision}` : ""} could not start${behind ? `, calls go to r${app.serving}` : ""}: ${(app.failure?.text ?? app.reason).slice(0, 200)}`,
            { autoClose: 8000 },
          );
        }
      }
    }
  });
}

export default plugin;
