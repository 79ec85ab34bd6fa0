/** The chips of all app cells of the page: drawn anew when cells, apps or settings change. */
import type { JupyterFrontEnd } from "@jupyterlab/application";

import { complain } from "../complain";
import { cardOf, otherMaker, sourceOf, type Cell, type CellLocation } from "../notebooks/notebook_panel";
import { takenOverBy } from "../shared/card/card_states.mjs";
import { gatewayNow } from "../shared/connection/store.mjs";
import { ensureStyle } from "../shared/style/style.mjs";
import type { AppState } from "../shared/types";
import type { IFalConnection, IFalNotebooks } from "../tokens";
import { cellRuns } from "./card_data";
import { noteText } from "./served_text";
import { chipLook, isAppCell, isStarting, makeChip, standAside, updateChip, type ChipAction } from "./chip";

/** Milliseconds from a change to the drawing of the chips. */
const PAUSE = 150;

export class CellChips {
  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly connection: IFalConnection,
    private readonly notebooks: IFalNotebooks,
  ) {
    const { store } = connection.host;
    notebooks.observe({ changed: () => this.drawSoon() });
    store.watch(() => this.drawSoon());
    connection.preferences.changed.connect(() => this.drawSoon());
    window.setInterval(() => store.view.apps.some((one) => isStarting(one)) && this.drawSoon(), 1000); // a clock
  }

  private drawSoon(): void {
    this.timer ||= window.setTimeout(() => {
      this.timer = 0;
      for (const location of this.notebooks.cells()) {
        this.draw(location);
      }
    }, PAUSE);
  }

  private draw(location: CellLocation): void {
    const { cell } = location;
    const present = cell.node.querySelector<HTMLElement>(":scope > .fj-cell-chip");
    const source = cell.model.type === "code" ? sourceOf(cell) : "";
    if (!this.connection.preferences.cellChip || !isAppCell(source)) {
      present?.remove();
      return;
    }
    const { view } = this.connection.host.store;
    const chip = present ?? makeChip(() => this.actionsOf(location));
    const app = this.appOf(cell);
    const card = cardOf(cell.model);
    if (card) {
      noteText(source, card);
    }
    const look = chipLook({
      source,
      card,
      app,
      gateway: view.gateway,
      runs: cellRuns(cell.node),
      now: gatewayNow(view),
      otherCell: otherMaker(location, app, view.gateway),
      owner: this.otherOf(location),
    });
    updateChip(chip, look);
    if (!present) {
      ensureStyle(chip);
      cell.node.append(chip);
    }
    standAside(chip, cell.node);
  }

  private appOf(cell: Cell): AppState | undefined {
    const card = cardOf(cell.model);
    return card ? this.connection.host.store.view.apps.find((one) => one.alias === card.alias) : undefined;
  }

  /** The notebook that took the cell's app over, "" where none did. */
  private otherOf({ cell, panel }: CellLocation): string {
    const [card, app] = [cardOf(cell.model), this.appOf(cell)];
    return card && app ? takenOverBy(card, app, panel.title.label) : "";
  }

  /**
   * What the chip's menu offers: running the cell always, the rest where the app and the command are there and the app is
   * this notebook's.
   */
  private actionsOf(location: CellLocation): ChipAction[] {
    const run = () => void this.notebooks.run(location).catch(complain);
    const app = this.otherOf(location) ? undefined : this.appOf(location.cell);
    const ofApp = app && { alias: app.alias };
    const { commands } = this.app;
    const command = (shape: string, word: string, id: string, args = {}): ChipAction[] =>
      commands.hasCommand(`fal-jupyter:${id}`)
        ? [{ shape, word, press: () => void commands.execute(`fal-jupyter:${id}`, args) }]
        : [];
    const lifecycle = () =>
      app?.state === "Stopped"
        ? command("play", "Start app", "start-app", ofApp)
        : [
            ...command("restart", "Restart runners one by one", "restart-app", ofApp),
            ...command("stop", "Stop app", "stop-app", ofApp),
            ...command("copy", "Copy address", "copy-url", ofApp),
          ];
    return [
      { shape: "play", word: "Run the cell", press: run },
      ...(app ? lifecycle() : []),
      ...command("dashboard", "Show in dashboard", "open-dashboard"),
    ];
  }

  private timer = 0;
}
