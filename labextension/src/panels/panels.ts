/** Panels of the main area: each kind is registered by its plugin; open ones are restored after a reload. */
import type { ILayoutRestorer, JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget, WidgetTracker } from "@jupyterlab/apputils";
import type { LabIcon } from "@jupyterlab/ui-components";

import { PanelWidget, type Draw } from "./panel_widget";

/** What a panel shows: an app, one of its runners, or a request. */
export type PanelArguments = { alias?: string; runner?: string; request?: string };
type PanelMainArea = MainAreaWidget<PanelWidget>;

/** One kind of panel. Its command is `fal-jupyter:open-KIND`. */
export interface PanelKind {
  kind: string;
  icon: LabIcon;
  title: (shown: PanelArguments) => string;
  /** The parts of the id that tell panels of this kind apart. */
  idParts: (shown: PanelArguments) => (string | undefined)[];
  draw: (shown: PanelArguments) => Draw;
  /** Called where the panel is open already. */
  shownAgain?: (shown: PanelArguments) => void;
}

export class Panels {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly restorer: ILayoutRestorer | null,
  ) {}

  /** Add a kind of panel; give what opens one of it, or shows the one that is open. */
  register(kind: PanelKind): (shown?: PanelArguments) => void {
    const tracker = new WidgetTracker<PanelMainArea>({ namespace: `fal-jupyter-${kind.kind}` });
    void this.restorer?.restore(tracker, {
      command: `fal-jupyter:open-${kind.kind}`,
      args: (widget) => this.shown.get(widget) ?? {},
      name: (widget) => widget.id,
    });
    return (shown = {}) => this.open(kind, tracker, shown);
  }

  private open(kind: PanelKind, tracker: WidgetTracker<PanelMainArea>, shown: PanelArguments): void {
    const id = ["fal-jupyter", kind.kind, ...kind.idParts(shown)].filter(Boolean).join("-");
    if (tracker.find((widget) => widget.id === id)) {
      this.app.shell.activateById(id);
      kind.shownAgain?.(shown);
      return;
    }
    const widget = new MainAreaWidget({ content: new PanelWidget(kind.draw(shown)) });
    widget.toolbar.hide(); // each panel has its own controls
    widget.id = id;
    widget.title.label = kind.title(shown);
    widget.title.icon = kind.icon;
    widget.title.closable = true;
    this.shown.set(widget, shown as Record<string, string>);
    this.app.shell.add(widget, "main");
    if (!widget.isAttached) {
      this.app.shell.add(widget, "right"); // Notebook 7 has room for one widget in its main area, and that is the notebook
    }
    this.app.shell.activateById(id);
    void tracker.add(widget);
  }

  private readonly shown = new WeakMap<object, Record<string, string>>();
}
