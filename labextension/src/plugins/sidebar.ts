import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";

import { appsIcon } from "../icons";
import { PanelWidget } from "../panels/panel_widget";
import { h, replace } from "../shared/elements/dom.mjs";
import { iconButton } from "../shared/elements/glyphs.mjs";
import { ensureStyle } from "../shared/style/style.mjs";
import { treePanel } from "../shared/sidebar/tree.mjs";
import { IFalConnection, SIDEBAR } from "../tokens";

const BUTTONS = [
  ["dashboard", "Open the dashboard", "fal-jupyter:open-dashboard"],
  ["table", "Open the memory ledger", "fal-jupyter:open-ledger"],
] as const;

export const sidebarPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:sidebar",
  description: "The tree of all apps, runners and devices in the left sidebar.",
  autoStart: true,
  requires: [IFalConnection],
  optional: [ILayoutRestorer],
  activate: (app: JupyterFrontEnd, { host }: IFalConnection, restorer: ILayoutRestorer | null) => {
    const sidebar = new PanelWidget((root, signal) => {
      const tree = h("div", { class: "fj-sidebar-tree" });
      const head = h("div", { class: "fj fj-sidebar-head" });
      ensureStyle(head);
      root.append(head, tree);
      drawHead(app, head);
      void app.restored.then(() => drawHead(app, head)); // all commands are known by then
      treePanel(tree, host, {}, signal);
    });
    sidebar.id = SIDEBAR;
    sidebar.addClass("fj-sidebar");
    sidebar.title.icon = appsIcon;
    sidebar.title.caption = "fal apps";
    app.shell.add(sidebar, "left", { rank: 350, type: "fal apps" });
    restorer?.add(sidebar, SIDEBAR);
  },
};

/** The title, and a button for each panel whose plugin is enabled. */
function drawHead({ commands }: JupyterFrontEnd, head: HTMLElement): void {
  const buttons = BUTTONS.filter(([, , command]) => commands.hasCommand(command)).map(([shape, label, command]) =>
    iconButton(shape, label, () => void commands.execute(command)),
  );
  replace(
    head,
    h("div", { class: "fj-bar-row" }, h("strong", null, "fal apps"), h("span", { class: "fj-space" }), buttons),
  );
}
