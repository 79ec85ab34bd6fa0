/** Main-area panels and the commands that open them. */
import type { ILayoutRestorer, JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import { consoleIcon, inspectorIcon, listIcon, type LabIcon } from "@jupyterlab/ui-components";

import { dashboardPanel } from "./shared/dashboard.mjs";
import { h } from "./shared/dom.mjs";
import { inspectorPanel } from "./shared/inspector.mjs";
import { keepOwnKeys } from "./shared/keys.mjs";
import { ledgerPanel } from "./shared/ledger.mjs";
import { logsPanel } from "./shared/logs.mjs";
import { ensureStyle } from "./shared/style.mjs";
import { appsIcon } from "./icons";
import type { LabHost } from "./host";
import { PanelWidget, type Draw } from "./panel";

type Kind = "dashboard" | "ledger" | "logs" | "inspector";
type Opened = { alias?: string; runner?: string; request?: string };
const LOOKS: Record<Kind, { title: (opened: Opened) => string; icon: LabIcon }> = {
  dashboard: { title: () => "fal apps", icon: appsIcon },
  ledger: { title: () => "fal memory", icon: listIcon },
  logs: { title: (opened) => `Logs of ${opened.alias}${opened.runner ? `, ${opened.runner}` : ""}`, icon: consoleIcon },
  inspector: { title: (opened) => `Request ${(opened.request ?? "").slice(0, 8)}`, icon: inspectorIcon },
};

export class Surfaces {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly host: LabHost,
    restorer: ILayoutRestorer | null,
  ) {
    for (const kind of Object.keys(LOOKS) as Kind[]) {
      const tracker = new WidgetTracker<MainAreaWidget<PanelWidget>>({ namespace: `fal-jupyter-${kind}` });
      this.trackers.set(kind, tracker);
      void restorer?.restore(tracker, {
        command: `fal-jupyter:open-${kind}`,
        args: (widget) => this.opened.get(widget) ?? {},
        name: (widget) => widget.id,
      });
    }
  }

  /** Open a panel, or show the one that is open. */
  open(kind: Kind, opened: Opened = {}): void {
    const id = ["fal-jupyter", kind, opened.alias, opened.runner, kind === "inspector" ? opened.request : undefined]
      .filter(Boolean)
      .join("-");
    const tracker = this.trackers.get(kind);
    const found = tracker?.find((widget) => widget.id === id);
    if (found) {
      this.app.shell.activateById(id);
      if (kind === "dashboard" && opened.request) {
        this.inspect?.(opened.request);
      }
      return;
    }
    const widget = new MainAreaWidget({ content: new PanelWidget(this.drawing(kind, opened)) });
    widget.toolbar.hide(); // each panel has its own controls
    widget.id = id;
    widget.title.label = LOOKS[kind].title(opened);
    widget.title.icon = LOOKS[kind].icon;
    widget.title.closable = true;
    this.opened.set(widget, opened as Record<string, string>);
    this.app.shell.add(widget, "main");
    if (!widget.isAttached) {
      // Notebook 7 has room for one widget in its main area, and that is the notebook
      this.app.shell.add(widget, "right");
    }
    this.app.shell.activateById(id);
    void tracker?.add(widget);
  }

  private drawing(kind: Kind, opened: Opened): Draw {
    if (kind === "dashboard") {
      return (root, signal) => {
        this.inspect = dashboardPanel(root, this.host, opened, signal).inspect;
      };
    }
    return (root, signal) => {
      ensureStyle(root);
      const frame = keepOwnKeys(h("div", { class: "fj fj-scrolls" }));
      root.append(frame);
      if (kind === "ledger") {
        ledgerPanel(frame, this.host, {}, signal);
      } else if (kind === "logs") {
        logsPanel(frame, this.host, { alias: opened.alias ?? "", runner: opened.runner }, signal);
      } else {
        inspectorPanel(frame, this.host, { id: opened.request ?? "" }, signal);
      }
    };
  }

  private inspect: ((id: string) => void) | null = null;
  private readonly trackers = new Map<Kind, WidgetTracker<MainAreaWidget<PanelWidget>>>();
  private readonly opened = new WeakMap<object, Record<string, string>>();
}
