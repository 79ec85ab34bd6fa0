/**
 * After a start that failed, the live card and the traceback of its cell say the same; once a later start succeeded, the traceback is
 * history. It is folded to one line then. Only elements of the page change: the notebook has the traceback whole, and so has every page without this extension.
 */
import { cardOf, type Cell } from "../notebooks/notebook_panel";
import { h, setText } from "../shared/elements/dom.mjs";
import { ensureStyle } from "../shared/style/style.mjs";
import { plainText } from "../shared/text/plain.mjs";
import type { AppState, CardData } from "../shared/types";
import type { IFalConnection, IFalNotebooks } from "../tokens";
import { isLive } from "./card_data";

const ERROR_MIME = "application/vnd.jupyter.error";

/** An error of a cell, as the kernel names it. */
export interface CellError {
  ename: string;
  evalue: string;
  traceback: string[];
}

/** True while the card of an app that could not start shows what an error of its cell says, also while the app tries again. */
export function isOnCard({ ename, evalue }: CellError, card: CardData, app: AppState | undefined): boolean {
  if (ename !== "SetupFailed" || !app || !["Failing", "Starting"].includes(app.state)) {
    return false;
  }
  const { failure } = app;
  const { type, message } = failure?.error ?? { type: failure?.text ?? "", message: "" };
  if (failure && evalue.endsWith(message ? `${type}: ${message}` : type)) {
    return true;
  }
  // the kernel reports a failure a moment before the feed does
  return app.state === "Starting" && app.revision === card.revision && failure?.revision !== app.revision;
}

/** True if an app that could not start has started since. */
export function isOver({ ename }: CellError, card: CardData, app: AppState | undefined): boolean {
  return ename === "SetupFailed" && app !== undefined && app.serving >= card.revision && app.serving === app.revision;
}

/** True for an error with more than one line. */
function hasTraceback({ traceback }: CellError): boolean {
  return traceback.join("\n").trimEnd().includes("\n");
}

export class FoldedErrors {
  constructor(
    private readonly connection: IFalConnection,
    private readonly notebooks: IFalNotebooks,
  ) {
    notebooks.observe({
      cellAdded: (cell) => {
        cell.model.outputs?.changed.connect(() => this.look(cell));
        this.look(cell);
      },
    });
    connection.host.store.watch(() => {
      for (const { cell } of this.notebooks.cells()) {
        this.look(cell);
      }
    });
  }

  private look(cell: Cell): void {
    const { outputs } = cell.model;
    for (let at = 0; !cell.isDisposed && at < (outputs?.length ?? 0); at += 1) {
      const output = outputs?.get(at);
      const node = cell.outputArea?.widgets[at]?.node;
      if (output?.type === "error" && node) {
        const error = output.data[ERROR_MIME] as CellError;
        const folds = hasTraceback(error) && !this.unfolded.has(node);
        this.fold(node, folds ? this.wordsFor(cell, error) : "");
      }
    }
  }

  /** The line in place of the traceback, empty where that is shown whole. */
  private wordsFor(cell: Cell, error: CellError): string {
    const card = cardOf(cell.model);
    const { view } = this.connection.host.store;
    const isDrawn = cell.node.querySelector(".fj-output") !== null; // it is not where the renderer is disabled
    const app = view.apps.find((one) => one.alias === card?.alias);
    if (card === null || !isDrawn || !isLive(card, view)) {
      return "";
    }
    const line = plainText(`${error.ename}: ${error.evalue.split("\n", 1)[0]}`);
    return isOnCard(error, card, app) ? line : isOver(error, card, app) ? `It has started since. Before: ${line}` : "";
  }

  private fold(node: HTMLElement, words: string): void {
    const line = node.querySelector(":scope > .fj-folded-error");
    const text = line?.querySelector("span");
    if (words && !line) {
      const added = this.foldedLine(node, words);
      ensureStyle(added);
      node.append(added);
    } else if (words && text) {
      setText(text, words);
    } else {
      line?.remove();
    }
    node.classList.toggle("fj-folds-error", words !== "");
  }

  private foldedLine(node: HTMLElement, words: string): HTMLElement {
    const unfold = () => {
      this.unfolded.add(node);
      node.querySelector(".fj-folded-error")?.remove();
      node.classList.remove("fj-folds-error");
      const traceback = node.querySelector<HTMLElement>(".jp-OutputArea-output");
      traceback?.setAttribute("tabindex", "-1");
      traceback?.focus();
    };
    return h(
      "div",
      { class: "fj fj-folded-error" },
      h("span", { class: "fj-mono" }, words),
      h("button", { type: "button", class: "fj-choice", onclick: unfold }, "Show traceback"),
    );
  }

  private readonly unfolded = new WeakSet<HTMLElement>(); // by the user, and for good
}
