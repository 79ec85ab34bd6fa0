import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";

import { CARD_MIME } from "../cards/card_data";
import { CardRenderer } from "../cards/renderer";
import { IFalConnection } from "../tokens";

const RANK = -20; // before the widget view, whose rank is -10: a card needs no kernel

export const rendererPlugin: JupyterFrontEndPlugin<void> = {
  id: "fal-jupyter:renderer",
  description: "Draws the cards and panels of fal apps in the outputs of cells.",
  autoStart: true,
  requires: [IFalConnection, IRenderMimeRegistry],
  activate: (_app: JupyterFrontEnd, { host }: IFalConnection, registry: IRenderMimeRegistry) => {
    const createRenderer = () => new CardRenderer(host);
    registry.addFactory({ safe: true, mimeTypes: [CARD_MIME], defaultRank: RANK, createRenderer }, RANK);
  },
};
