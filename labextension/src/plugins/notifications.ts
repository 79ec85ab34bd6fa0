import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { Notification } from "@jupyterlab/apputils";

import { FAILURE_STAYS } from "../complain";
import { newestFailed } from "../shared/card/card_states.mjs";
import type { LabHost } from "../connection/host";
import type { AppState, View } from "../shared/types";
import { IFalConnection } from "../tokens";

const LONGEST_REASON = 200;

export const notificationsPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:notifications",
  description: "Notifies when an app fails to start and when the connection is lost.",
  autoStart: true,
  requires: [IFalConnection],
  activate: (_app: JupyterFrontEnd, { host, preferences }: IFalConnection) => {
    const notifier = new Notifier(() => preferences.notify, host);
    host.store.watch((view) => notifier.update(view));
  },
};

/** Notifies once of each failed revision and of each loss of the connection. */
export class Notifier {
  constructor(
    private readonly enabled: () => boolean,
    private readonly host: Pick<LabHost, "goToError" | "openLogs" | "isInSight">,
  ) {}

  update(view: View): void {
    this.notifyOfConnection(view);
    const known = this.live; // what failed before this page was opened is no news
    this.live = view.link === "live" || (this.live && view.link === "lost");
    for (const app of view.apps) {
      const behind = newestFailed(app);
      if (app.state !== "Failing" && !behind) {
        this.failedRevisions.delete(app.alias);
      } else if (this.failedRevisions.get(app.alias) !== app.revision) {
        this.failedRevisions.set(app.alias, app.revision);
        // it would cover the error that it is about
        if (known && this.enabled() && !this.host.isInSight?.(app.alias)) {
          this.notifyOfFailure(app, Boolean(behind));
        }
      }
    }
  }

  /** The error itself is shown at the app's cell: the notification leads there, or to the logs of an app without a cell. */
  private notifyOfFailure(app: AppState, behind: boolean): void {
    const { goToError, openLogs } = this.host;
    const hasCell = app.owner_kind === "kernel" && goToError;
    const actions = hasCell
      ? [{ label: "Show the error", callback: () => void (goToError(app.alias) || openLogs?.(app.alias)) }]
      : openLogs
        ? [{ label: "Open its logs", callback: () => openLogs(app.alias) }]
        : [];
    Notification.error(failureText(app, behind), { autoClose: FAILURE_STAYS, actions });
  }

  private notifyOfConnection(view: View): void {
    if (view.link === "lost" && this.live && this.enabled()) {
      this.lost ||= Notification.warning(`fal: no update, ${view.reason}. Trying again.`, { autoClose: false });
    }
    if (view.link === "live" && this.lost) {
      Notification.dismiss(this.lost);
      this.lost = "";
    }
  }

  private readonly failedRevisions = new Map<string, number>(); // by alias
  private live = false;
  private lost = ""; // the id of the notification of a lost connection
}

function failureText(app: AppState, behind: boolean): string {
  const revision = behind ? ` r${app.revision}` : "";
  const serving = behind ? `, calls go to r${app.serving}` : "";
  const reason = app.failure?.error?.type ?? (app.failure?.text ?? app.reason).slice(0, LONGEST_REASON);
  return `${app.alias}${revision} could not start${serving}: ${reason}`;
}
