/** The chip at an app cell: what it says, and what it offers. */
import { newestFailed, setupPassed, startingRunner } from "../shared/card/card_states.mjs";
import { backWords } from "../shared/card/owner_guard.mjs";
import { h, replace } from "../shared/elements/dom.mjs";
import { glyph } from "../shared/elements/glyphs.mjs";
import { isOwnKey, keepOwnKeys } from "../shared/elements/keys.mjs";
import { plural } from "../shared/text/format.mjs";
import { shortText } from "../shared/text/plain.mjs";
import type { AppState, CardData, GatewayState } from "../shared/types";
import { linesEdited } from "./served_text";
import { isEdited } from "./written";

export interface ChipLook {
  shape: string;
  tone: string;
  text: string;
  title: string;
}

/** One line of the chip's menu. */
export interface ChipAction {
  shape: string;
  word: string;
  press: () => void;
}

const APP_CELL = /^\s*%%fal_app\b/m;
let menus = 0;

/** True for a cell that makes an app; other magics may stand above. */
export function isAppCell(source: string): boolean {
  return APP_CELL.test(source);
}

/** True while a runner of the newest revision comes up. */
export function isStarting(app: AppState): boolean {
  return app.state === "Starting" || (app.state === "Ready" && app.serving !== app.revision && !newestFailed(app));
}

/** True where the app was published again since this cell made its card: by another cell, or by another kernel. */
function isStale(card: CardData, app: AppState, gateway: GatewayState | null): boolean {
  const other = gateway !== null && card.gateway !== null && card.gateway.started !== gateway.started;
  return other || (app.revision > card.revision && app.verdict !== "restart");
}

const NOT_RUNNING = { shape: "stopped", tone: "fj-pending", text: "not running" };

/** What is known of an app cell. */
export interface CellState {
  source: string;
  /** The card below it; null before its first run. */
  card: CardData | null;
  app: AppState | undefined;
  gateway?: GatewayState | null;
  /** The cell runs now. */
  runs?: boolean;
  /** The gateway's clock, milliseconds since 1970. */
  now?: number;
  /** The number of the notebook's cell that made the app since, 0 for none. */
  otherCell?: number;
  /** The notebook that took the app over, "" where none did. */
  owner?: string;
}

/** What the chip of an app cell says. */
export function chipLook(cell: CellState): ChipLook {
  const { source, card, app, gateway = null, runs = false, now = Date.now(), otherCell = 0, owner = "" } = cell;
  if (!card) {
    return { ...NOT_RUNNING, title: "Run the cell to have its app" };
  }
  if (runs && card.build && !card.build.took && !card.build.error) {
    return {
      shape: "setup",
      tone: "fj-setup fj-dashed",
      text: app ? `${servingOf(app)} serves · environment` : "environment",
      title: "The isolated environment of its app is being made",
    };
  }
  if (!app) {
    return { ...NOT_RUNNING, title: "Its app was stopped, or its kernel is new: run the cell" };
  }
  if (owner) {
    const title = `The app is of ${owner} now. ${backWords("this cell", source)}`;
    return { shape: "stopped", tone: "fj-pending", text: `taken over by ${shortText(owner, 24)}`, title };
  }
  const edited = editOf(cell.source, card, app);
  return notServingLook(app, edited, now) ?? servingLook(app, edited, isStale(card, app, gateway), otherCell);
}

/** A cell that says something else than what its app runs with. */
interface Edit {
  /** `3 lines differ`, "" where the text that was run is not known. */
  lines: string;
}

function editOf(source: string, card: CardData, app: AppState): Edit | null {
  if (!isEdited(source, card, app)) {
    return null;
  }
  const lines = linesEdited(source, card);
  return { lines: lines ? `${plural(lines, "line")} ${lines === 1 ? "differs" : "differ"}` : "" };
}

/** The revision that answers calls. */
function servingOf(app: AppState): string {
  return `r${app.serving || app.revision}`;
}

/** What the chip says of an app that is stopped or whose newest revision does not serve; null of any other. */
function notServingLook(app: AppState, edited: Edit | null, now: number): ChipLook | null {
  const editedText = edited ? " · edited" : "";
  const editedTone = edited ? " fj-dashed" : "";
  const editedTitle = edited ? ` The cell was edited since${edited.lines && `, ${edited.lines}`}: run it.` : "";
  const withEdited = (title: string) => (edited ? `${title}.${editedTitle}` : title);
  if (app.state === "Stopped") {
    return {
      shape: "stopped",
      tone: "fj-pending",
      text: `stopped${editedText}`,
      title: `Start the app as it was, or run the cell${edited ? `, which was edited since${edited.lines && ` (${edited.lines})`}` : ""}`,
    };
  }
  if (app.state === "Failing") {
    const error = app.failure?.error ? `: ${app.failure.error.type.split(".").at(-1)}` : "";
    return {
      shape: "failed",
      tone: `fj-failed${editedTone}`,
      text: `r${app.revision} failed${error}${editedText}`,
      title: `${app.failure?.text ?? app.reason}. The app retries automatically.${editedTitle}`,
    };
  }
  if (newestFailed(app)) {
    return {
      shape: "failed",
      tone: `fj-failed${editedTone}`,
      text: `r${app.revision} failed · ${servingOf(app)} serves${editedText}`,
      title: withEdited(app.failure?.text ?? app.reason),
    };
  }
  if (!isStarting(app)) {
    return null;
  }
  const runner = startingRunner(app);
  const inSetup = runner?.state === "SETUP";
  const passed = inSetup ? ` ${setupPassed(runner, now)}` : "";
  if (app.serving && app.serving !== app.revision) {
    const serving = servingOf(app);
    return {
      shape: "setup",
      tone: "fj-setup fj-dashed",
      text: `${serving} serves · r${app.revision} setup${passed}${editedText}`,
      title: `The cell's class was built again: calls go to ${serving} until r${app.revision} is ready.${editedTitle}`,
    };
  }
  return {
    shape: "setup",
    tone: `fj-setup${editedTone}`,
    text: `r${app.revision} ${inSetup ? `setup${passed}` : "starting"}${editedText}`,
    title: withEdited(app.reason || "Its first runner comes up"),
  };
}

/** What the chip says of an app whose newest revision serves. */
function servingLook(app: AppState, edited: Edit | null, stale: boolean, otherCell: number): ChipLook {
  const serving = servingOf(app);
  const dashed = { shape: "edited", tone: "fj-setup fj-dashed" };
  if (edited) {
    const { lines } = edited;
    const title = `The cell was edited since${lines && `, ${lines}`}: run it to serve what it says`;
    return { ...dashed, text: `${serving} serves · edited${lines && `: ${lines}`}`, title };
  }
  if (stale && otherCell) {
    const title = `Cell ${otherCell} made ${serving}: run this cell to serve what it says`;
    return { ...dashed, text: `${serving} is by cell ${otherCell}`, title };
  }
  if (stale) {
    const title = `Another cell or kernel made ${serving}: run this cell to serve what it says`;
    return { ...dashed, text: `${serving} is from elsewhere`, title };
  }
  const ready = app.runners.filter((one) => one.state === "IDLE" || one.state === "RUNNING").length;
  if (ready) {
    return { shape: "ok", tone: "fj-ok", text: `${serving} · ${ready} ready`, title: "The cell and its runners agree" };
  }
  const title = "The next call starts a runner";
  return { shape: "zero", tone: "fj-pending", text: `${serving} · scaled to zero`, title };
}

const looks = new WeakMap<HTMLElement, () => void>();

/**
 * Keep the chip before the card, as it is seen, and clear of the toolbar of the active cell, which lies at the same
 * corner and comes and goes.
 */
export function standAside(chip: HTMLElement, cell: HTMLElement): void {
  const known = looks.get(chip);
  if (known) {
    known();
    return;
  }
  let toolbar: HTMLElement | null = null;
  const measure = () =>
    chip.style.setProperty("--fj-beside", toolbar?.offsetWidth ? `${toolbar.offsetWidth + 4}px` : "0px");
  const sizes = new ResizeObserver(measure);
  const look = () => {
    const outputs = cell.querySelector(":scope > .jp-Cell-outputWrapper");
    if (outputs && chip.parentNode === cell && chip.nextSibling !== outputs) {
      cell.insertBefore(chip, outputs);
    }
    const found = cell.querySelector<HTMLElement>(".jp-cell-toolbar, .jp-cell-menu");
    if (found !== toolbar) {
      sizes.disconnect();
      toolbar = found;
      if (toolbar) {
        sizes.observe(toolbar);
      }
    }
    measure();
  };
  new MutationObserver(look).observe(cell, { childList: true });
  looks.set(chip, look);
  look();
}

/** Open the menu of a chip below its button; the function returned closes it. */
function openMenu(chip: HTMLElement, button: HTMLElement, actions: ChipAction[]): () => void {
  const id = `fj-chip-menu-${(menus += 1)}`;
  const items = actions.map(({ shape, word, press }) =>
    h(
      "button",
      {
        type: "button",
        role: "menuitem",
        onclick: () => {
          close();
          press();
        },
      },
      glyph(shape),
      word,
    ),
  );
  const list = h(
    "div",
    { class: "fj-menu", role: "menu", id, "aria-label": "app of this cell", style: { right: "0", top: "100%" } },
    items,
  );
  let closed = false; // removing the menu takes its focus away, which must not remove it again
  const close = () => {
    if (!closed) {
      closed = true;
      button.setAttribute("aria-expanded", "false");
      list.remove();
    }
  };
  list.addEventListener("keydown", (event: KeyboardEvent) => {
    const at = items.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      items[(at + step + items.length) % items.length].focus();
    }
    if (event.key === "Escape") {
      close();
      button.focus();
    }
    if (isOwnKey(event)) {
      event.stopPropagation();
    }
  });
  list.addEventListener("focusout", (event: FocusEvent) => {
    if (!chip.contains(event.relatedTarget as Node | null)) {
      close();
    }
  });
  button.setAttribute("aria-expanded", "true");
  chip.append(list);
  items[0]?.focus();
  return close;
}

/** Make a chip; `actions` is called each time its menu opens. */
export function makeChip(actions: () => ChipAction[]): HTMLElement {
  const button = h("button", { type: "button", class: "fj-chip", "aria-haspopup": "menu", "aria-expanded": "false" });
  const chip = keepOwnKeys(h("div", { class: "fj fj-cell-chip", style: { zIndex: "20" } }, button));
  let close = () => {};
  const toggle = () => {
    if (button.getAttribute("aria-expanded") === "true") {
      close();
    } else {
      close = openMenu(chip, button, actions());
    }
  };
  // On the press already: it makes the cell the active one, whose toolbar the chip steps aside for, so that no click
  // would follow.
  button.addEventListener("mousedown", (event: MouseEvent) => {
    if (event.button === 0) {
      event.preventDefault();
      toggle();
    }
  });
  button.addEventListener("click", (event: MouseEvent) => {
    if (event.detail === 0) {
      toggle(); // by keys, or by what presses buttons for people
    }
  });
  return chip;
}

/** Draw what a chip says, if that has changed. */
export function updateChip(chip: HTMLElement, look: ChipLook): void {
  const drawn = `${look.shape}|${look.text}|${look.title}`;
  const button = chip.querySelector<HTMLElement>(".fj-chip");
  if (!button || chip.dataset.drawn === drawn) {
    return;
  }
  chip.dataset.drawn = drawn;
  button.className = `fj-chip ${look.tone}`;
  button.title = look.title;
  replace(button, glyph(look.shape, look.tone), " ", look.text);
}
