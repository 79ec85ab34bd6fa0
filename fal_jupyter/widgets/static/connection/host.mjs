// @ts-check
/** Where a panel lives: below a Jupyter server with our extension, beside a kernel only, or in a saved page. */
import { parsedJson } from "../text/exact_json.mjs";
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
 * Read the feed into `store` until `signal` aborts; reconnects by itself, and keeps the state of the connection in the store.
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
  /** @type {Map<string, KernelAnswer>} */
  const waiting = new Map();
  const listen = (/** @type {any} */ message, /** @type {DataView[]} */ buffers = []) => {
    if (message.feed) {
      expect(QUIET_TOO_LONG);
      for (const line of message.feed) store.apply(line);
    }
    waiting.get(message.id)?.take(message, buffers);
  };
  model.on("msg:custom", listen);
  signal.addEventListener("abort", () => {
    clearTimeout(quiet);
    model.off("msg:custom", listen);
    for (const one of waiting.values()) one.end(new Error("the panel was closed"));
  });
  expect(BUSY);
  model.send({ listen: true });
  let requests = 0;
  const ask = (/** @type {string} */ method, /** @type {string} */ path, /** @type {Asked} */ options = {}) => {
    requests += 1;
    const id = `${Date.now()}-${requests}`;
    const answer = new KernelAnswer(() => model.send({ id, stop: true }), options.signal);
    waiting.set(id, answer);
    answer.ended = () => waiting.delete(id);
    sendBody(options.body).then((buffers) => {
      const headers = options.headers ?? {};
      model.send({ id, method, path: withQuery(path, options.query), headers }, undefined, buffers);
    }, answer.reject);
    return answer.head;
  };
  const media = kernelMedia(store, (path) => ask("GET", path, { signal }), signal);
  return { kind: "kernel", store, ask: /** @type {any} */ (ask), address: (app) => app.url, copy: copyText, media };
}

/** The answer to one request of a kernel, as its messages come. */
class KernelAnswer {
  /** @param {() => void} cancel @param {AbortSignal | undefined} signal */
  constructor(cancel, signal) {
    /** @type {Promise<Answered>} */
    this.head = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.ended = () => {};
    /** @type {Uint8Array[]} */
    this.pieces = [];
    this.over = false;
    /** @type {Error | undefined} */
    this.failure = undefined;
    this.wake = () => {};
    this.signal = signal;
    this.stop = () => {
      cancel();
      this.end(new DOMException("stopped", "AbortError"));
    };
    signal?.addEventListener("abort", this.stop);
  }

  /** @param {any} message @param {DataView[]} buffers */
  take(message, buffers) {
    if (message.error) this.end(new Error(message.error));
    else if (message.end) this.end();
    else if (message.chunk) {
      for (const view of buffers) this.pieces.push(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
      this.wake();
    } else {
      const text = async () => new TextDecoder().decode(await this.bytes());
      this.resolve?.({
        status: message.status,
        headers: new Headers(message.headers ?? {}),
        bytes: () => this.bytes(),
        text,
        json: async () => JSON.parse(await text()),
        chunks: () => this.chunks(),
      });
    }
  }

  /** @param {Error} [error] */
  end(error) {
    this.over = true;
    this.failure = error;
    this.ended();
    this.signal?.removeEventListener("abort", this.stop);
    if (error) this.reject?.(error);
    this.wake();
  }

  async *chunks() {
    for (let at = 0; ; ) {
      if (at < this.pieces.length) yield this.pieces[at++];
      else if (this.failure) throw this.failure;
      else if (this.over) return;
      else await new Promise((/** @type {(value?: any) => void} */ done) => (this.wake = done));
    }
  }

  async bytes() {
    const pieces = [];
    for await (const piece of this.chunks()) pieces.push(piece);
    return new Uint8Array(await new Blob(/** @type {any} */ (pieces)).arrayBuffer());
  }
}

/**
 * Files of the gateway's CDN that come over the comm, as the page's own addresses.
 * @param {import("../types.d.ts").Store} store
 * @param {(path: string) => Promise<Answered>} get
 * @param {AbortSignal} signal
 */
function kernelMedia(store, get, signal) {
  /** @type {Map<string, Promise<string>>} */
  const files = new Map();
  const load = async (/** @type {string} */ path) => {
    const answer = await get(path);
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
  return (/** @type {string} */ address) => {
    const path = ownFile(address, store.view.gateway);
    if (!path) return null;
    const loading = files.get(path) ?? load(path);
    files.set(path, loading);
    loading.catch(() => files.delete(path));
    return loading;
  };
}

/** @param {any} body @returns {Promise<ArrayBuffer[]>} */
async function sendBody(body) {
  if (body === undefined) return [];
  return [await new Blob([body]).arrayBuffer()];
}

/**
 * A saved page: it has no gateway to ask.
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
 * @param {(answer: Answered) => Promise<any>} [read]
 * @returns {Promise<any>}
 */
export async function askJson(host, method, path, asked, read = (answer) => answer.json()) {
  const answer = await host.ask(method, path, asked);
  /** @type {any} */
  let value = null;
  try {
    value = await read(answer);
  } catch {
    // the answer of a proxy before the gateway: only its status counts
  }
  if (answer.status >= 400)
    throw Object.assign(new Error(sentenceOf(value, answer.status)), { status: answer.status, value });
  return value;
}

/**
 * An app's OpenAPI document; bounds and defaults of 64 bits are exact.
 * @param {Host} host
 * @param {string} alias
 * @param {AbortSignal} signal
 */
export function askSchema(host, alias, signal) {
  const exact = async (/** @type {Answered} */ answer) => parsedJson(await answer.text());
  return askJson(host, "GET", `apps/${encodeURIComponent(alias)}/schema`, { signal }, exact);
}

/** @param {any} value @param {number} status */
function sentenceOf(value, status) {
  const detail = typeof value?.detail === "string" ? value.detail : (value?.message ?? `the server answered ${status}`);
  return value?.hint ? `${detail} (${value.hint})` : detail;
}
