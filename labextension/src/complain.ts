import { Notification } from "@jupyterlab/apputils";

/** Milliseconds for which a failure is shown; without a time JupyterLab only counts it at its bell. */
export const FAILURE_STAYS = 8000;

/** Say in a notification why something could not be done. */
export function complain(error: unknown): void {
  Notification.error(error instanceof Error ? error.message : String(error), { autoClose: FAILURE_STAYS });
}
