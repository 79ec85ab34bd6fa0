// @ts-check
/** Calls of an endpoint as programs: a cell, Python, JavaScript, curl; each runs as it is, with a key made here or the environment's FAL_KEY. */
import { button, h, replace } from "./dom.mjs";
import { glyph, iconButton } from "./glyphs.mjs";
import { askJson } from "./host.mjs";

export const PLACEHOLDER = "$FAL_KEY";

/** A value as Python writes it. @param {any} value @returns {string} */
export function pythonLiteral(value) {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return pythonString(value);
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(", ")}]`;
  return `{${Object.entries(value).map(([key, one]) => `${pythonString(key)}: ${pythonLiteral(one)}`).join(", ")}}`;
}

/** @param {string} text */
function pythonString(text) {
  // JSON's escapes are Python's, but for surrogate pairs, which JSON.stringify leaves alone
  return JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A word of a shell: in single quotes, whatever it holds. @param {string} text */
export function shellWord(text) {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}

/** Whether a name can be a keyword argument. @param {string} name */
function isKeyword(name) {
  const taken = /^(False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield)$/;
  return /^[A-Za-z_]\w*$/.test(name) && !taken.test(name);
}

/**
 * The programs.
 * @param {{className: string, endpoint: string, path: string, app: string, url: string, value: any, key: string, method?: string, query?: Record<string, any>}} call
 *   `url` is the prefix `http://127.0.0.1:PORT/run/owner/alias`; `query` what the endpoint takes there only
 * @returns {Record<string, string>}
 */
export function snippetsOf(call) {
  const { className, endpoint, path, app, url, value, key, method = "POST" } = call;
  const asked = new URLSearchParams(Object.entries(call.query ?? {}).map(([name, one]) => [name, typeof one === "object" ? JSON.stringify(one) : String(one)])).toString();
  const query = asked ? `?${asked}` : "";
  const below = (path === "/" ? "" : path) + query;
  const given = value && typeof value === "object" && !Array.isArray(value) ? { ...call.query, ...value } : value;
  const entries = given && typeof given === "object" && !Array.isArray(given) ? Object.entries(given) : null;
  const made = key !== PLACEHOLDER; // else each program takes the key from its environment
  const lines = (/** @type {(string | false)[]} */ ...all) => all.filter((one) => one !== false).join("\n");
  const keywords = entries && entries.every(([name]) => isKeyword(name));
  const args = keywords ? entries.map(([name, one]) => `${name}=${pythonLiteral(one)}`).join(", ") : entries && !entries.length ? "" : pythonLiteral(value);
  const base = url.slice(0, url.length - `/run/${app}`.length);
  const json = JSON.stringify(value ?? {});
  return {
    cell: `${className}.${endpoint}(${args})`,
    python: lines(
      made && "import os", made && "", made && `os.environ["FAL_KEY"] = ${pythonString(key)}`, "import fal_client", "",
      `fal_client.client.RUN_URL_FORMAT = ${pythonString(`${base}/run/`)}`,
      `print(fal_client.run(${pythonString(app)}, arguments=${pythonLiteral(value ?? {})}${below ? `, path=${pythonString(below.replace(/^\//, ""))}` : ""}${method === "POST" ? "" : `, method=${pythonString(method)}`}))`,
    ),
    javascript: lines(
      'import { createFalClient } from "@fal-ai/client";', "", "const fal = createFalClient({", `  credentials: ${made ? JSON.stringify(key) : "process.env.FAL_KEY"},`,
      `  fetch: (url, init) => fetch(String(url).replace("https://fal.run/", ${JSON.stringify(`${base}/run/`)}), init),`, "});",
      `const { data } = await fal.run(${JSON.stringify(app + below)}, { input: ${json}${method === "POST" ? "" : `, method: ${JSON.stringify(method.toLowerCase())}`} });`, "console.log(data);",
    ),
    curl: [
      `curl -sS ${method === "POST" ? "" : `-X ${method} `}${shellWord(url + path + query)}`, `-H ${made ? shellWord(`Authorization: Key ${key}`) : `"Authorization: Key ${PLACEHOLDER}"`}`, "-H 'Content-Type: application/json'",
      `-d ${shellWord(json)}`,
    ].join(" \\\n  "),
  };
}

const NAMES = { cell: "notebook", python: "Python client", javascript: "JavaScript client", curl: "curl" };
/** @type {Map<string, string>} keys made in this page, by app */
const madeKeys = new Map();

/**
 * @param {HTMLElement} root
 * @param {import("./types.d.ts").Host} host
 * @param {{alias: string, call: () => {endpoint: string, path: string, value: any, method?: string, query?: Record<string, any>} | null}} options what the form holds
 * @param {AbortSignal} signal
 */
export function snippetsPanel(root, host, { alias, call }, signal) {
  let kind = "cell";
  const code = h("pre", { class: "fj-code", tabIndex: 0, "aria-label": "the program" });
  const told = h("span", { class: "fj-muted", "aria-live": "polite" });
  const choices = h("div", { class: "fj-bar-row", role: "group", "aria-label": "language" });
  const app = () => host.store.view.apps.find((one) => one.alias === alias);
  const text = () => {
    const state = app();
    const endpoint = state?.endpoints[0];
    if (!state || !endpoint) return "";
    const made = call() ?? { endpoint: endpoint.name, path: endpoint.path, value: {} };
    return snippetsOf({ ...made, className: state.class_name, app: state.app, url: state.url, key: madeKeys.get(alias) ?? PLACEHOLDER })[kind];
  };
  const make = button([glyph("add"), "Make a key"], async () => {
    try {
      const answer = await askJson(host, "POST", `apps/${encodeURIComponent(alias)}/keys`);
      madeKeys.set(alias, answer.key);
      told.textContent = "This key is good until the app's notebook ends. It is shown here only.";
    } catch (error) {
      told.textContent = error instanceof Error ? error.message : String(error);
    }
    draw();
  });
  const draw = () => {
    replace(choices, Object.entries(NAMES).map(([name, word]) => h("button", {
      type: "button", class: "fj-choice", "aria-pressed": String(name === kind), onclick: () => ((kind = name), draw()),
    }, word)), h("span", { class: "fj-space" }), kind === "cell" || madeKeys.has(alias) || host.kind === "saved" ? null : make, iconButton("copy", "Copy", () => host.copy(text())));
    code.textContent = text();
  };
  root.append(choices, code, h("div", { class: "fj-bar-row" }, told));
  draw();
  // a form that changed in the Try tab, or an app that came, is seen here at once; a text that is the same stays selected
  const stop = host.store.watch(() => code.textContent !== text() && draw());
  signal.addEventListener("abort", stop);
}
