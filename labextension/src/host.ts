/** The host of every panel in JupyterLab and Notebook 7: the server's `fal/api/…`, and one feed for the whole page. */
import { showDialog, Dialog } from '@jupyterlab/apputils';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { answeredByFetch, readFeed, withQuery } from './shared/host.mjs';
import { createStore } from './shared/store.mjs';
import type { Answered, AppState, Asked, Host } from './shared/types';

export interface Wishes {
  confirmStop: boolean;
}

/** What the panels may ask of the page; the plugins fill it in as far as the page can do it. */
export type LabHost = Host & Pick<Partial<Host>, 'goToCell' | 'openDashboard' | 'openLogs' | 'insertCell'>;

/**
 * Make the page's host; its feed is read from the first look on, and ends with the page.
 */
export function createHost(settings: ServerConnection.ISettings, wishes: Wishes): LabHost {
  const store = createStore();
  const stop = new AbortController();

  const ask = async (method: string, path: string, asked: Asked = {}): Promise<Answered> => {
    const address = URLExt.join(settings.baseUrl, 'fal/api', withQuery(path, asked.query));
    const init: RequestInit = { method, headers: asked.headers, body: asked.body as BodyInit | undefined, signal: asked.signal };
    try {
      return answeredByFetch(await ServerConnection.makeRequest(address, init, settings));
    } catch (error) {
      if (asked.signal?.aborted) {
        throw error;
      }
      throw new Error('the server does not answer');
    }
  };

  void readFeed((signal: AbortSignal) => ask('GET', 'feed', { signal }), store, stop.signal);
  window.addEventListener('pagehide', () => stop.abort());

  return {
    kind: 'server',
    store,
    ask,
    address: (app: AppState) => URLExt.join(new URL(settings.baseUrl, PageConfig.getBaseUrl()).href, 'fal/run', app.app),
    copy: async (text: string) => {
      await navigator.clipboard.writeText(text).catch(() => copyByHand(text));
    },
    confirm: async (title: string, text: string, button: string) => {
      if (!wishes.confirmStop) {
        return true;
      }
      const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label: button })];
      return (await showDialog({ title, body: text, buttons })).button.accept;
    }
  };
}

/** Copy where the page has no clipboard of its own: one without TLS. */
function copyByHand(text: string): void {
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
