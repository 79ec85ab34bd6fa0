// @ts-check
/** Where a panel lives: below a Jupyter server with our extension, beside a kernel only, or in a saved page. */
import { createStore, storeOfPicture } from "./store.mjs";

/** @typedef {import("../types.d.ts").Answered} Answered */
/** @typedef {import("../types.d.ts").Asked} Asked */
/** @typedef {import("../types.d.ts").Host} Host */
/** @typedef {import("../types.d.ts").Store} Store */

const QUIET_TOO_LONG = 40000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10000;
const BUSY = 10000;

/**
 * A `Response` of fetch as panels read it.
 * @param {Response} response
 * @returns {Answered}
 */
export function answeredByFetch(response) {
  return {
    status: response.status,
    headers: response.headers,
    bytes: async () => new Uint8Array(await response.arrayBuffer()),
    text: () => response.text(),
    json: () => response.json(),
    async *chunks() {
      const reader = response.body?.getReader();
      if (!reader) return;
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return;
          yield value;
        }
      } finally {
        reader.cancel().catch(() => undefined);
      }
    },
  };
}

/**
 * Write a query behind a path.
 * @param {string} path
 * @param {Record<string, string>} [query]
 */
export function withQuery(path, query) {
  const written = new URLSearchParams(query ?? {}).toString();
  return written ? `${path}?${written}` : path;
}

/**
 * Read the feed into `store` until `signal` aborts; reconnects by itself, and says how it stands.
 * @param {(signal: AbortSignal) => Promise<Answered>} open
 * @param {Store} store
 * @param {AbortSignal} signal
 */
export async function readFeed(open, store, signal) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop);
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let quiet;
    try {
      quiet = setTimeout(stop, QUIET_TOO_LONG);
      const answer = await open(attempt.signal);
      if (answer.status !== 200) throw new Error(sentenceOfStatus(answer.status));
      const decoder = new TextDecoder();
      let rest = "";
      for await (const piece of answer.chunks()) {
        clearTimeout(quiet);
        quiet = setTimeout(stop, QUIET_TOO_LONG);
        const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line) store.apply(JSON.parse(line));
        pause = FIRST_PAUSE;
      }
      throw new Error("the connection to the server ended");
    } catch (error) {
      if (signal.aborted) return;
      store.lose(
        "lost",
        error instanceof Error && !attempt.signal.aborted ? error.message : "the server does not answer",
      );
    } finally {
      clearTimeout(quiet);
      signal.removeEventListener("abort", stop);
      attempt.abort();
    }
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      signal.addEventListener("abort", () => (clearTimeout(timer), resolve(undefined)), { once: true });
    });
    pause = Math.min(LONGEST_PAUSE, pause * 2);
  }
}

/** @param {number} status */
function sentenceOfStatus(status) {
  if (status === 401 || status === 403) return "the server wants you to log in again";
  if (status === 404) return "this server does not have the extension of fal_jupyter";
  return `the server answered ${status}`;
}

/**
 * The path of a file of the gateway's own CDN (`cdn/files/ID/NAME`), "" for every other address.
 * @param {string} address
 * @param {import("../types.d.ts").GatewayState | null} gateway
 */
export function ownFile(address, gateway) {
  if (!gateway?.base || !address.startsWith(`${gateway.base}/cdn/files/`)) return "";
  const path = address.slice(gateway.base.length + 1).replace(/[?#].*$/, "");
  return /^cdn\/files\/[0-9a-f]{32}\/[\w.%~+-]*$/.test(path) && !/(^|\/|%2f|%5c)(\.|%2e){1,2}(\/|%2f|%5c|$)/i.test(path)
    ? path
    : "";
}

/** @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea"); // no clipboard of its own: a page without TLS, an iframe
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/**
 * A Jupyter server with our extension.
 * @param {{base: string, token?: string, signal: AbortSignal}} where `base` ends with a slash
 * @returns {Host}
 */
export function serverHost({ base, token, signal }) {
  const store = createStore();
  const ask = async (/** @type {string} */ method, /** @type {string} */ path, /** @type {Asked} */ asked = {}) => {
    /** @type {Record<string, string>} */
    const headers = { ...asked.headers };
    const xsrf = /(?:^|; )_xsrf=([^;]+)/.exec(document.cookie)?.[1];
    if (xsrf) headers["X-XSRFToken"] = decodeURIComponent(xsrf);
    if (token) headers.Authorization = `token ${token}`;
    const address = withQuery(`${base}fal/api/${path}`, asked.query);
    try {
      const body = /** @type {any} */ (asked.body);
      return answeredByFetch(
        await fetch(address, { method, headers, body, signal: asked.signal, credentials: "same-origin" }),
      );
    } catch (error) {
      if (asked.signal?.aborted) throw error;
      throw new Error("the server does not answer");
    }
  };
  readFeed((stop) => ask("GET", "feed", { signal: stop }), store, signal);
  return {
    kind: "server",
    store,
    ask,
    address: (app) => new URL(`${base}fal/run/${app.app}`, location.href).href,
    media: (address) => {
      const path = ownFile(address, store.view.gateway);
      return path ? `${base}fal/${path}` : null;
    },
    copy: copyText,
  };
}

/**
 * Find the Jupyter server of this page: its base and token, where it has our extension and serves that gateway.
 * @param {import("../types.d.ts").GatewayState | null} gateway
 * @returns {Promise<{base: string, token: string} | null>}
 */
export async function detectServer(gateway) {
  try {
    const config = JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "null");
    if (!config?.baseUrl) return null;
    /** @type {Record<string, string>} */
    const headers = config.token ? { Authorization: `token ${config.token}` } : {};
    const response = await fetch(`${config.baseUrl}fal/api/hello`, { headers, credentials: "same-origin" });
    if (response.status !== 200) return null;
    const hello = await response.json();
    const same = !gateway || (hello.pid === gateway.pid && hello.start_time === gateway.started);
    return same ? { base: config.baseUrl, token: config.token ?? "" } : null;
  } catch {
    return null; // no page of a Jupyter server
  }
}

/**
 * A kernel at the other end of a widget's comm.
 * @param {any} model of anywidget
 * @param {AbortSignal} signal
 * @returns {Host}
 */
export function kernelHost(model, signal) {
  const store = createStore();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let quiet;
  /** Say so when the kernel is silent for `ms`. @param {number} ms */
  const expect = (ms) => {
    clearTimeout(quiet);
    quiet = setTimeout(() => {
      if (store.view.link === "connecting")
        store.lose("connecting", "The kernel is busy or gone: waiting for its answer …");
      else if (store.view.link === "live") store.lose("lost", "the kernel does not answer");
    }, ms);
  };
  /**
   * @type {Map<string, {head: (message: any) => void, piece: (data: Uint8Array) => void, end: (error?: Error) =>
   *   void}>}
   */
  const waiting = new Map();
  let asked = 0;
  const listen = (/** @type {any} */ message, /** @type {DataView[]} */ buffers = []) => {
    if (message.feed) {
      expect(QUIET_TOO_LONG);
      for (const line of message.feed) store.apply(line);
    }
    const one = waiting.get(message.id);
    if (!one) return;
    if (message.error) one.end(new Error(message.error));
    else if (message.end) one.end();
    else if (message.chunk)
      for (const view of buffers) one.piece(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    else one.head(message);
  };
  model.on("msg:custom", listen);
  signal.addEventListener("abort", () => {
    clearTimeout(quiet);
    model.off("msg:custom", listen);
    for (const one of waiting.values()) one.end(new Error("the panel was closed"));
  });
  expect(BUSY);
  model.send({ listen: true });
  const ask = (/** @type {string} */ method, /** @type {string} */ path, /** @type {Asked} */ options = {}) =>
    new Promise((resolve, reject) => {
      asked += 1;
      const id = `${Date.now()}-${asked}`;
      /** @type {Uint8Array[]} */
      const pieces = [];
      let over = false;
      /** @type {Error | undefined} */
      let failed;
      let wake = () => {};
      const stop = () => (model.send({ id, stop: true }), end(new DOMException("stopped", "AbortError")));
      const end = (/** @type {Error | undefined} */ error) => {
        over = true;
        failed = error;
        waiting.delete(id);
        options.signal?.removeEventListener("abort", stop);
        if (error) reject(error);
        wake();
      };
      async function* chunks() {
        for (let at = 0; ; ) {
          if (at < pieces.length) yield pieces[at++];
          else if (failed) throw failed;
          else if (over) return;
          else await new Promise((/** @type {(value?: any) => void} */ done) => (wake = done));
        }
      }
      const bytes = async () => {
        const found = [];
        for await (const piece of chunks()) found.push(piece);
        return new Uint8Array(await new Blob(/** @type {any} */ (found)).arrayBuffer());
      };
      const text = async () => new TextDecoder().decode(await bytes());
      waiting.set(id, {
        head: (message) => {
          const headers = new Headers(message.headers ?? {});
          resolve({ status: message.status, headers, bytes, text, json: async () => JSON.parse(await text()), chunks });
        },
        piece: (data) => (pieces.push(data), wake()),
        end,
      });
      options.signal?.addEventListener("abort", stop);
      sendBody(options.body).then((buffers) => {
        model.send(
          { id, method, path: withQuery(path, options.query), headers: options.headers ?? {} },
          undefined,
          buffers,
        );
      }, reject);
    });
  /** @type {Map<string, Promise<string>>} bytes that came over the comm, as the page's own addresses */
  const files = new Map();
  const load = async (/** @type {string} */ path) => {
    const answer = await /** @type {Promise<Answered>} */ (ask("GET", path, { signal }));
    if (answer.status !== 200)
      throw new Error(
        answer.status === 404 ? "the file is not kept any more" : `the gateway answered ${answer.status}`,
      );
    const type = answer.headers.get("content-type") ?? "";
    const made = URL.createObjectURL(
      new Blob([/** @type {any} */ (await answer.bytes())], {
        type: /^(image\/(?!svg)|audio\/|video\/)/.test(type) ? type : "application/octet-stream",
      }),
    );
    signal.addEventListener("abort", () => URL.revokeObjectURL(made));
    return made;
  };
  const media = (/** @type {string} */ address) => {
    const path = ownFile(address, store.view.gateway);
    if (!path) return null;
    const loading = files.get(path) ?? load(path);
    files.set(path, loading);
    loading.catch(() => files.delete(path));
    return loading;
  };
  return { kind: "kernel", store, ask: /** @type {any} */ (ask), address: (app) => app.url, copy: copyText, media };
}

/** @param {any} body @returns {Promise<ArrayBuffer[]>} */
async function sendBody(body) {
  if (body === undefined) return [];
  return [await new Blob([body]).arrayBuffer()];
}

/**
 * A saved page: there is nobody to ask.
 * @param {import("../types.d.ts").CardData} card
 * @returns {Host}
 */
export function savedHost(card) {
  return {
    kind: "saved",
    store: storeOfPicture(card),
    picture: card.picture,
    ask: async () => {
      throw new Error("this is a saved picture: run the cell again to have the app here");
    },
    address: (app) => app.url,
    copy: copyText,
  };
}

/**
 * Ask, and give the JSON of a good answer.
 * @param {Host} host
 * @param {"GET" | "POST" | "DELETE"} method
 * @param {string} path
 * @param {Asked} [asked]
 * @returns {Promise<any>}
 */
export async function askJson(host, method, path, asked) {
  const answer = await host.ask(method, path, asked);
  /** @type {any} */
  let value = null;
  try {
    value = await answer.json();
  } catch {
    // an answer of somebody before the gateway: only its status counts
  }
  if (answer.status >= 400)
    throw Object.assign(new Error(sentenceOf(value, answer.status)), { status: answer.status, value });
  return value;
}

/** @param {any} value @param {number} status */
function sentenceOf(value, status) {
  const detail = typeof value?.detail === "string" ? value.detail : (value?.message ?? `the server answered ${status}`);
  return value?.hint ? `${detail} (${value.hint})` : detail;
}
