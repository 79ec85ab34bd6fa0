/** A kernel learns at its start what its notebook is called; a page tells it when that changes. */
import type { ISignal } from "@lumino/signaling";

import type { Store, View } from "../shared/types";
import { cardOf, type NotebookPanel } from "./notebook_panel";

interface Reply {
  content: { status: string };
}
interface Kernel {
  id: string;
  status: string;
  requestExecute(content: Record<string, unknown>): { done: Promise<Reply> };
}
interface NamedPanel {
  content: NotebookPanel["content"];
  context: { path: string; localPath?: string; pathChanged?: ISignal<unknown, unknown> };
  sessionContext: { session: { kernel: unknown } | null; statusChanged?: ISignal<unknown, unknown> };
  disposed?: ISignal<unknown, unknown>;
}

/** The process of this notebook's kernel where the feed has it by another name: that which made one of the cards here. */
function misnamed(panel: NamedPanel, view: View, name: string): number {
  const others = view.apps.filter((app) => app.owner_kind === "kernel" && app.owner_name !== name);
  const cards = others.length ? panel.content.widgets.map((cell) => cardOf(cell.model)) : [];
  const own = others.find((app) =>
    cards.some((card) => card?.alias === app.alias && card.picture?.app.owner_pid === app.owner_pid),
  );
  return own?.owner_pid ?? 0;
}

/** Have the kernel say its new name to the gateway: nothing of it is seen in the notebook or in the history. */
async function tell(kernel: Kernel, name: string): Promise<boolean> {
  const named = `getattr(__import__("sys").modules.get("fal_jupyter.notebook.session"), "rename_notebook", str)(${JSON.stringify(name)})`;
  const { content } = await kernel.requestExecute({
    code: "",
    silent: true,
    store_history: false,
    allow_stdin: false,
    stop_on_error: false,
    user_expressions: { named },
  }).done;
  return content.status === "ok";
}

/**
 * Let the kernel of a notebook have its name, when the notebook is renamed and where the feed has an app of it by another
 * one: it was renamed while no page had it, or its kernel was started anew with the name that it had first. A busy kernel
 * gets it when it is idle, each process once.
 */
export function followName(panel: NamedPanel, store: Pick<Store, "view" | "watch">): void {
  const notified = new Set<string>();
  let renamed = false;
  const look = () => {
    const name = (panel.context.localPath ?? panel.context.path).split("/").pop() ?? "";
    const kernel = panel.sessionContext.session?.kernel as Kernel | null | undefined;
    if (!name || kernel?.status !== "idle") {
      return;
    }
    const owner = misnamed(panel, store.view, name);
    const address = `${kernel.id} ${owner} ${name}`;
    if ((!renamed && !owner) || notified.has(address)) {
      return;
    }
    const again = renamed;
    renamed = false;
    notified.add(address);
    const failed = () => {
      notified.delete(address);
      renamed ||= again;
    };
    void tell(kernel, name).then((done) => done || failed(), failed);
  };
  panel.context.pathChanged?.connect(() => {
    notified.clear();
    renamed = true;
    look();
  });
  panel.sessionContext.statusChanged?.connect(look);
  let seen = "";
  const unwatch = store.watch(({ apps }) => {
    const owners = apps.map((app) => `${app.alias} ${app.owner_pid} ${app.owner_name}`).join();
    if (owners !== seen) {
      seen = owners;
      look();
    }
  });
  panel.disposed?.connect(unwatch);
}
