/** The host of every panel in JupyterLab and Notebook 7: the server's `fal/api/…`, and one feed for the whole page. */
import { showDialog, Dialog } from "@jupyterlab/apputils";
import { PageConfig, URLExt } from "@jupyterlab/coreutils";
import { ServerConnection } from "@jupyterlab/services";

import { answeredByFetch, ownFile, readFeed, withQuery } from "../shared/connection/host.mjs";
import { createStore } from "../shared/connection/store.mjs";
import type { Answered, AppState, Asked, Host } from "../shared/types";
import type { Preferences } from "./preferences";

/** Milliseconds that a page may be hidden before its feed ends. */
const HIDDEN_TOO_LONG = 60_000;

/** What only some pages can do for their panels; the plugins that can offer it. */
export type PageAbilities = Pick<
  Partial<Host>,
  | "goToCell"
  | "goToError"
  | "goToLine"
  | "runCell"
  | "writeToCell"
  | "openDashboard"
  | "openLogs"
  | "insertCell"
  | "dragCell"
> & {
  /** Whether the card of an app and its cell's outputs are in sight. */
  isInSight?(alias: string): boolean;
  /** Go from a card to the cell above it. */
  leaveCard?(node: Node): void;
};
export type LabHost = Host & PageAbilities;

/**
 * Make the page's host; its feed begins now, pauses while the page is hidden for long, and ends with the page.
 */
export function createHost(settings: ServerConnection.ISettings, preferences: Preferences): LabHost {
  const store = createStore();

  const ask = async (method: string, path: string, asked: Asked = {}): Promise<Answered> => {
    const address = URLExt.join(settings.baseUrl, "fal/api", withQuery(path, asked.query));
    const init: RequestInit = {
      method,
      headers: asked.headers,
      body: asked.body as BodyInit | undefined,
      signal: asked.signal,
    };
    try {
      return answeredByFetch(await ServerConnection.makeRequest(address, init, settings));
    } catch (error) {
      if (asked.signal?.aborted) {
        throw error;
      }
      throw new Error("the server does not answer");
    }
  };

  readWhileSeen(
    (signal: AbortSignal) => void readFeed((stop: AbortSignal) => ask("GET", "feed", { signal: stop }), store, signal),
    preferences,
  );

  return {
    kind: "server",
    store,
    ask,
    address: (app: AppState) =>
      URLExt.join(new URL(settings.baseUrl, PageConfig.getBaseUrl()).href, "fal/run", app.app),
    media: (address: string) => {
      const path = ownFile(address, store.view.gateway);
      return path ? URLExt.join(settings.baseUrl, "fal", path) : null;
    },
    copy: async (text: string) => {
      await navigator.clipboard.writeText(text).catch(() => copyByHand(text));
    },
    confirm: async (title: string, text: string, button: string) => {
      if (!preferences.confirmStop) {
        return true;
      }
      const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label: button })];
      return (await showDialog({ title, body: text, buttons })).button.accept;
    },
  };
}

/** Keep one feed open while something is shown: `read` reads until its signal aborts. */
function readWhileSeen(read: (signal: AbortSignal) => void, preferences: Preferences): void {
  let feed: AbortController | null = null;
  let timer = 0;
  const begin = () => {
    window.clearTimeout(timer);
    if (!feed) {
      feed = new AbortController();
      read(feed.signal);
    }
  };
  const end = () => {
    feed?.abort();
    feed = null;
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      begin();
    } else if (preferences.pauseHidden) {
      timer = window.setTimeout(end, HIDDEN_TOO_LONG);
    }
  });
  window.addEventListener("pagehide", end);
  window.addEventListener("pageshow", begin);
  begin();
}

/** Copy where the page has no clipboard of its own: one without TLS. */
function copyByHand(text: string): void {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
