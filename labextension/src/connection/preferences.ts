/** The user's settings, as in schema/plugin.json; until they are loaded their defaults. */
import type { ISettingRegistry } from "@jupyterlab/settingregistry";
import { Signal } from "@lumino/signaling";

export class Preferences {
  confirmStop = true;
  pauseHidden = true;
  statusBar = true;
  cellChip = true;
  notify = true;
  readonly changed = new Signal<this, void>(this);

  /** Follow the settings from now on. */
  follow(settings: ISettingRegistry.ISettings): void {
    const read = () => {
      this.confirmStop = settings.get("confirmStop").composite as boolean;
      this.pauseHidden = settings.get("pauseHidden").composite as boolean;
      this.statusBar = settings.get("statusBar").composite as boolean;
      this.cellChip = settings.get("cellChip").composite as boolean;
      this.notify = settings.get("notify").composite as boolean;
      this.changed.emit();
    };
    settings.changed.connect(read);
    read();
  }
}
