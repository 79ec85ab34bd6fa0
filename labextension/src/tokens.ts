/** What the plugins share. Importing this module has no side effects. */
import { Token } from "@lumino/coreutils";

import type { LabHost, PageAbilities } from "./connection/host";
import type { Preferences } from "./connection/preferences";
import type { Notebooks } from "./notebooks/notebooks";
import type { Panels } from "./panels/panels";

/** The connection of the page to the user's gateway. */
export interface IFalConnection {
  /** The host of every panel: requests, the feed's store, and what the other plugins offer. */
  readonly host: LabHost;
  readonly preferences: Preferences;
  /** Let panels use what only this page can do; they show no control for what no plugin offers. */
  offer(abilities: PageAbilities): void;
}
export const IFalConnection = new Token<IFalConnection>(
  "fal-jupyter:IFalConnection",
  "The connection to the gateway of fal_jupyter: requests, the feed's store, preferences.",
);

export type IFalNotebooks = Notebooks;
export const IFalNotebooks = new Token<IFalNotebooks>(
  "fal-jupyter:IFalNotebooks",
  "The open notebooks: finding, running and inserting the cells of apps.",
);

export type IFalPanels = Panels;
export const IFalPanels = new Token<IFalPanels>(
  "fal-jupyter:IFalPanels",
  "The panels of the main area: opening and restoring them.",
);

/** The id of the sidebar's widget, which the status bar shows. */
export const SIDEBAR = "fal-jupyter-sidebar";
