import { Notification } from "@jupyterlab/apputils";

/** Say in a notification why something could not be done. */
export function complain(error: unknown): void {
  Notification.error(error instanceof Error ? error.message : String(error));
}
