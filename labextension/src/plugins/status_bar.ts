import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { PageConfig } from "@jupyterlab/coreutils";
import { IStatusBar } from "@jupyterlab/statusbar";
import { Widget } from "@lumino/widgets";

import { h, replace } from "../shared/elements/dom.mjs";
import { glyph } from "../shared/elements/glyphs.mjs";
import { ensureStyle } from "../shared/style/style.mjs";
import { summaryOf } from "../shared/sidebar/tree.mjs";
import { IFalConnection, SIDEBAR } from "../tokens";

const DASHBOARD = "fal-jupyter:open-dashboard";

/** The item of the status bar; a click shows the sidebar, or the dashboard where the sidebar is disabled. */
export const statusBarPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:status-bar",
  description: "Shows in the status bar how the apps stand.",
  autoStart: true,
  requires: [IFalConnection],
  optional: [IStatusBar],
  activate: (app: JupyterFrontEnd, { host, preferences }: IFalConnection, statusBar: IStatusBar | null) => {
    if (!statusBar) {
      return;
    }
    const hasSidebar = !PageConfig.Extension.isDisabled("fal-jupyter:sidebar");
    const item = new Widget();
    item.addClass("jp-StatusBar-TextItem");
    const button = h("button", {
      type: "button",
      class: "fj-status",
      onclick: () => {
        if (hasSidebar) {
          app.shell.activateById(SIDEBAR);
        } else if (app.commands.hasCommand(DASHBOARD)) {
          void app.commands.execute(DASHBOARD);
        }
      },
    });
    const frame = h("span", { class: "fj fj-status-frame" }, button);
    item.node.append(frame);
    let drawn = "";
    const draw = () => {
      ensureStyle(frame);
      item.setHidden(!preferences.statusBar);
      const look = summaryOf(host.store.view);
      if (drawn !== look.text + look.shape) {
        drawn = look.text + look.shape;
        button.title = `${look.text}. Click for the ${hasSidebar ? "sidebar" : "dashboard"}.`;
        replace(button, h("span", { class: look.tone }, glyph(look.shape)), " ", look.text);
      }
    };
    host.store.watch(draw);
    preferences.changed.connect(draw);
    draw();
    statusBar.registerStatusItem("fal-jupyter:status", { item, align: "left", rank: 90 });
  },
};
