/**
 * What a notebook has when it is saved: the kernel writes a card's output when a cell ends, and calls that the card
 * makes come later. So before a notebook is saved, the outputs of apps that changed since are asked of the kernel.
 * Nothing is done between two saves: an untouched notebook stays unmodified.
 */
import { frontTab } from "../shared/card/card.mjs";
import { ownerWords, takenOverBy } from "../shared/card/card_states.mjs";
import type { AppState, CardData, KnownApp, Picture, View } from "../shared/types";
import { dayAndTime } from "../shared/text/format.mjs";
import { CARD_MIME } from "./card_data";
import { feedPicture } from "./feed_picture";
import { writtenOf } from "./written";
import { widgetCard, widgetId, writeWidgetCards, type SavedModel, type WrittenCard } from "./widget_cards";

/** Milliseconds that a save waits for the kernel; while one is busy, the cards are written by the feed. */
const PATIENCE = 3000;

interface Output {
  type?: string;
  data: Record<string, unknown>;
  metadata?: Record<string, unknown>;
  toJSON(): Record<string, unknown>;
}
export interface OutputList {
  length: number;
  get(index: number): Output;
  set(index: number, value: Record<string, unknown>): void;
}
interface Reply {
  content: { status: string; user_expressions?: Record<string, { status?: string; data?: Record<string, unknown> }> };
}
export interface Kernel {
  status: string;
  requestExecute(content: Record<string, unknown>): { done: Promise<Reply> };
}
type Save = (...args: unknown[]) => Promise<unknown>;
export interface SavedContext {
  model: SavedModel;
  save: Save;
  saveAs: Save;
  sessionContext?: { session?: { kernel?: Kernel | null } | null };
}

/** What of an app is worth writing its outputs again for. */
function stampOf(app: AppState): string {
  const { state, revision, serving, failure, runners, scaling, stats, log } = app;
  return JSON.stringify([state, revision, serving, failure?.time ?? 0, runners.length, scaling, stats.calls, log]);
}

/** Whether a picture lacks the app's newest ended call: the feed tells of calls before the figures of their app. */
function lacksNewestCall(picture: Picture, alias: string, view: View): boolean {
  const newest = view.requests?.find((one) => one.alias === alias && one.state === "done");
  return Boolean(newest && !picture.requests?.some((one) => one.id === newest.id));
}

function listOf(outputs: OutputList): Output[] {
  return Array.from({ length: outputs.length }, (_, at) => outputs.get(at));
}

/** The cards that are outputs. */
function cardsOf(outputs: OutputList): WrittenCard[] {
  return listOf(outputs).flatMap((output, at) => {
    const { data } = output;
    const card = data[CARD_MIME] as CardData | undefined;
    const write = (next: Record<string, unknown>) => outputs.set(at, { ...output.toJSON(), data: next });
    return card ? [{ card, data, write }] : [];
  });
}

/** The cards that a file has: outputs and those of widgets. */
function savedCardsOf(outputs: OutputList): WrittenCard[] {
  return [...cardsOf(outputs), ...listOf(outputs).flatMap((output) => widgetCard(output) ?? [])];
}

/**
 * Cards that are older than what is known of their apps; the dashboard's card has no stamp. Each says of when it is, and stays
 * while its app does not change, so that a save that changes nothing leaves the file alone.
 */
function staleCards(all: OutputList[], view: View): WrittenCard[] {
  const isOld = ({ card }: WrittenCard) => {
    const { alias, panel, picture } = card;
    const app = view.apps.find((one) => one.alias === alias);
    if (view.link !== "live" || panel === "dashboard") {
      return view.link === "live";
    }
    if (app && takenOverBy(card, app)) {
      return false; // a fresh picture would be of the notebook that has the app now
    }
    return app && picture && (stampOf(app) !== stampOf(picture.app) || lacksNewestCall(picture, alias, view));
  };
  return all.flatMap(savedCardsOf).filter(isOld);
}

/** Apps whose outputs in the notebook are to be asked for; "" means the dashboard. */
export function staleApps(all: OutputList[], view: View): string[] {
  return [...new Set(staleCards(all, view).map((one) => one.card.alias))];
}

/** The widgets of these apps' outputs. */
function staleWidgets(all: OutputList[], view: View): string[] {
  return [...new Set(staleCards(all, view).flatMap((one) => widgetId(one.data) || []))];
}

/** Ask the kernel for the outputs of some apps: nothing of it is seen in the notebook or in the history. */
async function askKernel(kernel: Kernel, aliases: string[], widgets: string[]): Promise<Record<string, unknown>[]> {
  const asked = [aliases, ...(widgets.length ? [widgets] : [])].map((one) => JSON.stringify(one)).join(", ");
  const made = `getattr(__import__("sys").modules.get("fal_jupyter.notebook.session"), "OutputsToSave", list)(${asked})`;
  const future = kernel.requestExecute({
    code: "",
    silent: true,
    store_history: false,
    allow_stdin: false,
    user_expressions: { made },
  });
  const late = new Promise<null>((resolve) => window.setTimeout(() => resolve(null), PATIENCE));
  const reply = await Promise.race([future.done, late]);
  const found = reply?.content.user_expressions?.made?.data?.["application/json"];
  return Array.isArray(found) ? found : [];
}

/** The line above a saved card whose app ended before the save; other pages show the card without our renderer. */
function endedLine(app: KnownApp, time: number): { text: string; html: string } {
  const text = `Stopped: ${ownerWords(app)} had ended when this was saved, ${dayAndTime(time)}.`;
  return { text, html: `<div style="opacity: 0.75; margin: 4px 0">■ ${text}</div>` };
}

/** Mark the outputs of apps that ended while this page was open: only this page still knows. */
export function markEnded(all: OutputList[], view: View, now: number): void {
  for (const outputs of all) {
    for (const { card, data: old, write } of savedCardsOf(outputs)) {
      const ended = view.ended.find((app) => app.alias === card.alias);
      const { picture } = card;
      if (!ended || !picture || picture.app.state === "Stopped") {
        continue;
      }
      const { state, runners, waiting, in_flight } = ended;
      const app = { ...picture.app, state, runners, waiting, in_flight };
      const line = endedLine(ended, now);
      write({
        ...old,
        "text/html": line.html + joined(old["text/html"]),
        "text/plain": `${line.text}\n${joined(old["text/plain"])}`,
        [CARD_MIME]: { ...card, picture: { ...picture, app } },
      });
    }
  }
}

/** Text of an output, which a file has as lines. */
function joined(text: unknown): string {
  return [text ?? ""].flat().join("");
}

/** Put fresh outputs in the place of those of the same panel of the same app. */
export function replaceOutputs(all: OutputList[], fresh: Record<string, unknown>[]): void {
  for (const outputs of all) {
    for (const { card, data: old, write } of savedCardsOf(outputs)) {
      const data = fresh.find((one) => {
        const made = one[CARD_MIME] as CardData;
        const isSamePanel = made.alias === card.alias && made.panel === card.panel && made.tab === card.tab;
        return isSamePanel && made.source === card.source && widgetId(one) === widgetId(old);
      });
      if (data && data["text/html"] !== old["text/html"]) {
        write(data);
      }
    }
  }
}

/** Write what only the page knows of each card: the tab in front, with which it opens, and what was written to its cell. */
export function markCards(all: OutputList[]): void {
  for (const outputs of all) {
    for (const { card, data, write } of cardsOf(outputs)) {
      const [front, written] = [frontTab(card) ?? card.front, writtenOf(card)];
      if (front !== card.front || JSON.stringify(written) !== JSON.stringify(card.written)) {
        write({ ...data, [CARD_MIME]: { ...card, ...(front && { front }), ...(written && { written }) } });
      }
    }
  }
}

/** Give stale cards the state that the page knows, for their kernel is busy; their static form stays one of its own time. */
function drawByFeed(all: OutputList[], view: View): WrittenCard[] {
  return staleCards(all, view).filter(({ card, data, write }) => {
    const app = view.apps.find((one) => one.alias === card.alias);
    if (app && card.picture) {
      write({ ...data, [CARD_MIME]: { ...card, picture: feedPicture(app, card.picture, view) } });
    }
    return app && card.picture;
  });
}

/** Let a notebook's outputs be fresh whenever it is saved. */
export function refreshBeforeSave(context: SavedContext, outputsOf: () => OutputList[], view: () => View): void {
  const drawnHere = { aliases: new Set<string>(), widgets: new Set<string>() }; // whose static form is older than they are
  const refresh = async () => {
    const kernel = context.sessionContext?.session?.kernel;
    const stale = [...new Set([...staleApps(outputsOf(), view()), ...drawnHere.aliases])];
    if (stale.length && kernel?.status === "idle") {
      const widgets = [...new Set([...staleWidgets(outputsOf(), view()), ...drawnHere.widgets])];
      replaceOutputs(outputsOf(), await askKernel(kernel, stale, widgets));
      drawnHere.aliases.clear();
      drawnHere.widgets.clear();
    } else if (kernel?.status === "busy") {
      for (const card of drawByFeed(outputsOf(), view())) {
        drawnHere.aliases.add(card.card.alias);
        drawnHere.widgets.add(widgetId(card.data));
      }
      drawnHere.widgets.delete("");
    }
    markEnded(outputsOf(), view(), Date.now());
  };
  const mark = () => markCards(outputsOf());
  writeWidgetCards(context.model, () => outputsOf().flatMap(listOf));
  for (const name of ["save", "saveAs"] as const) {
    const save = context[name].bind(context);
    context[name] = async (...args) => {
      await refresh().catch((error) => console.warn("fal_jupyter: the cards are saved as they were", error));
      mark();
      return save(...args);
    };
  }
}
