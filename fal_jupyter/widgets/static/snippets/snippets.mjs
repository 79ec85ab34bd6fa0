// @ts-check
/**
 * Calls of an endpoint as programs: a cell, Python, JavaScript, curl. What a program needs besides itself (a key, a
 * file) is said in its first lines.
 */
import { programView } from "../elements/highlight.mjs";
import { button, h, newId, replace, setText } from "../elements/dom.mjs";
import { setUsable } from "../elements/focus.mjs";
import { glyph } from "../elements/glyphs.mjs";
import { pathText } from "../text/format.mjs";
import { askJson, askSchema } from "../connection/host.mjs";
import { dataType, fileNameOf } from "../text/data_type.mjs";
import {
  CELL,
  FileInput,
  JAVASCRIPT,
  JSON_TEXT,
  PYTHON,
  filesOf,
  isKeyword,
  isRecord,
  programLines,
  pythonCall,
  pythonWord,
  shellWord,
  written,
} from "../text/literals.mjs";
import { hasLongText, recordedValue } from "../inspector/recorded_input.mjs";
import { endpointSchema, examplesOf, fieldMedia, filledPath, isForm, resolveSchema } from "../form/schema.mjs";
import { sampleOfSignature } from "./signature_sample.mjs";
import { FORM_CELL, formCurl, formFiles, formJavascript, formPython } from "./snippets_form.mjs";
import { linesJavascript, linesPython } from "./snippets_lines.mjs";

export const PLACEHOLDER = "$FAL_KEY";
const DEEPEST_SAMPLE = 5;
const SHORT_DATA = 120; // a data address up to this length stays in the program
const COPIED_FOR = 2000;
/** The file that stands for a kind of media: its name and type. @type {Record<string, [string, string]>} */
const SAMPLE_FILES = {
  image: ["input.png", "image/png"],
  audio: ["input.wav", "audio/wav"],
  video: ["input.mp4", "video/mp4"],
  file: ["input.bin", "application/octet-stream"],
};

/** What a record of a file may have besides its address: it is `fal.toolkit`'s `File` or `Image`. */
const FILE_FIELDS = new Set(["url", "content_type", "file_name", "file_size", "width", "height"]);

/**
 * The value with a file in place of each long data address, each of a name of its own.
 * @param {any} value
 * @param {Set<string>} names that are taken
 * @param {any} [holder] the record that has the address
 * @returns {any}
 */
function withFiles(value, names, holder) {
  if (typeof value === "string" && value.length > SHORT_DATA) {
    const type = dataType(value);
    if (!/^[\w.+-]+\/[\w.+-]+$/.test(type)) return value;
    const own = holder?.file_name;
    const preferred =
      typeof own === "string" && /^[\w-][\w.-]{0,80}$/.test(own) && !/^[\da-f]{16,}\./i.test(own)
        ? own
        : fileNameOf(type);
    let name = preferred;
    for (let at = 2; names.has(name); at += 1) name = preferred.replace(/(?=\.|$)/, `-${at}`);
    names.add(name);
    return new FileInput(name, type);
  }
  if (Array.isArray(value)) return value.map((one) => withFiles(one, names));
  return isRecord(value)
    ? Object.fromEntries(
        Object.entries(value).map(([key, one]) => [key, withFiles(one, names, key === "url" ? value : undefined)]),
      )
    : value;
}

/** The value with the whole file in place of a record of it, as a cell makes it. @param {any} value @returns {any} */
function wholeFiles(value) {
  if (Array.isArray(value)) return value.map(wholeFiles);
  if (!isRecord(value)) return value;
  if (value.url instanceof FileInput && Object.keys(value).every((key) => FILE_FIELDS.has(key)))
    return new FileInput(value.url.name, value.url.type, true);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, wholeFiles(one)]));
}

/** @typedef {import("./call.d.ts").Call} Call */
/** @typedef {import("./call.d.ts").PreparedCall} PreparedCall */

/** How a call is made, with its word. */
export const WAYS = { run: "run", queue: "queue", stream: "stream", session: "realtime" };

/**
 * The programs, by language. A way that a language does not have is left out.
 * @param {Call} call
 * @returns {Record<string, string>}
 */
export function snippetsOf(call) {
  const { app, url, method = "POST", way = "run" } = call;
  const { path, asked } = filledPath(call.path, call.query ?? {});
  const form = isForm(call.encoding);
  const value = form ? formFiles(call.value ?? {}) : withFiles(call.value ?? {}, new Set());
  const files = filesOf(value);
  const facts = {
    ...call,
    path,
    value,
    method,
    way,
    form,
    made: call.key !== PLACEHOLDER,
    files,
    query: call.query ?? {},
    below: (path === "/" ? "" : path) + (asked ? `?${asked}` : ""),
    base: url.slice(0, url.length - `/run/${app}`.length),
  };
  const lines = way === "stream" && call.yields; // JSON lines, which fal's clients do not read as a stream
  const python = form ? formPython(facts) : lines ? linesPython(facts) : pythonOf(facts);
  const needs = (/** @type {string} */ mark, /** @type {boolean} */ key) => needed(mark, key, files, call.model ?? "");
  /** @type {Record<string, string>} */
  const programs = {
    cell: needs("#", false) + cellOf(facts),
    python: needs("#", !facts.made && !/fal_jupyter/.test(python)) + python,
    javascript:
      needs("//", !facts.made) + (form ? formJavascript(facts) : lines ? linesJavascript(facts) : javascriptOf(facts)),
  };
  if (way !== "session") programs.curl = needs("#", !facts.made) + curlOf(facts);
  return programs;
}

/**
 * What a program needs besides itself, in its first lines.
 * @param {string} mark of a comment
 * @param {boolean} key
 * @param {FileInput[]} files
 * @param {string} model whose fields are not known
 */
function needed(mark, key, files, model) {
  const names = [...new Set(files.map((one) => one.name))];
  return [
    key && `${mark} FAL_KEY: first, in the shell: eval $(fal-jupyter env)\n`,
    model && `${mark} ${model}: its fields go into the braces\n`,
    names.length > 0 &&
      `${mark} ${names.join(", ")}: ${names.length > 1 ? "files of yours" : "a file of yours"}, in the folder where this runs\n`,
  ]
    .filter(Boolean)
    .join("");
}

/**
 * Whether a field has the name of the model that holds it: as a keyword it would be the whole model.
 * @param {string} signature
 * @param {Record<string, any>} value
 */
function isHidden(signature, value) {
  const [, name = "", type = ""] = /\((?:self, )?(\w+): ([\w.]+)[^,]*\)/.exec(signature) ?? [];
  return name in value && !/^(str|int|float|bool|list|dict|bytes|tuple|set|Any|None)$/.test(type);
}

/** @param {PreparedCall} call */
function cellOf({
  className,
  endpoint,
  value: sent,
  query,
  way,
  form,
  files,
  model = "",
  signature = "",
  names = [endpoint],
}) {
  const how = form ? FORM_CELL : CELL;
  const isFile = /^\((self, )?\w+: [\w.]*(Image|File|Audio|Video)\b/.test(signature); // the input itself; elsewhere `url` is a field of it
  const value = form
    ? sent
    : isRecord(sent) && !isFile
      ? Object.fromEntries(Object.entries(sent).map(([key, one]) => [key, wholeFiles(one)]))
      : wholeFiles(sent);
  const given = isRecord(value) ? { ...query, ...value } : value;
  const entries = isRecord(given) ? Object.entries(given) : null;
  const keywords = (/** @type {[string, any][]} */ given) =>
    given.map(([name, one]) => `${name}=${written(one, how, ",", "    ")}`);
  // a whole input comes first, and what the endpoint takes beside it follows by name
  const beside = Object.entries(query).filter(([name]) => isKeyword(name));
  const args =
    !model && entries?.every(([name]) => isKeyword(name)) && !isHidden(signature, given)
      ? keywords(entries)
      : [written(value, how, ",", "    "), ...keywords(beside)];
  const kinds = [...new Set(files.map((one) => one.kind))].sort();
  const read =
    files.length > 0 && (form ? "from pathlib import Path\n" : `from fal.toolkit import ${kinds.join(", ")}\n`);
  const part = { session: "realtime", stream: "stream", queue: "submit" }[way] ?? "";
  // where an endpoint has the name of the part, the part comes behind the endpoint's name
  const target = names.includes(part) ? `${className}.${endpoint}.${part}` : `${className}.${part}.${endpoint}`;
  if (way === "session")
    return programLines(
      `with ${target}() as session:`,
      `    session.send(${written(value, how, ",", "    ")})`,
      "    print(session.recv())",
    );
  if (way === "stream") return programLines(read, `for piece in ${pythonCall(target, args)}:`, "    print(piece)");
  if (way === "queue") return programLines(read, `job = ${pythonCall(target, args)}`, "job.get()");
  return programLines(read, pythonCall(`${className}.${endpoint}`, args));
}

/** @param {PreparedCall} call */
function pythonOf({ app, path, value, method, way, files, made, key, below, base }) {
  const at = below.replace(/^\//, "");
  const args = [pythonWord(app), `arguments=${written(value, PYTHON, ",", "    ")}`];
  if (below) args.push(`path=${pythonWord(at)}`);
  if (way === "run" && method !== "POST") args.push(`method=${pythonWord(method)}`);
  const socket = base.replace(/^http/, "ws");
  const place = {
    run: `RUN_URL_FORMAT = ${pythonWord(`${base}/run/`)}`,
    stream: `RUN_URL_FORMAT = ${pythonWord(`${base}/run/`)}`,
    queue: `QUEUE_URL_FORMAT = ${pythonWord(`${base}/queue/`)}`,
    session: `REALTIME_URL_FORMAT = ${pythonWord(`${socket}/run/`)}`,
  }[way];
  if (way === "stream" && !below) args.push('path=""'); // its own default is /stream
  const call = {
    run: () => programLines(`result = ${pythonCall("client.run", args)}`, "print(result)"),
    queue: () => programLines(`job = ${pythonCall("client.submit", args)}`, "print(job.get())"),
    stream: () => programLines(`for event in ${pythonCall("client.stream", args)}:`, "    print(event)"),
    session: () =>
      programLines(
        `with client.realtime(${pythonWord(app)}, path=${pythonWord(path)}, use_jwt=False) as session:`,
        `    session.send(${written(value, PYTHON, ",", "    ")})`,
        "    print(session.recv())",
      ),
  }[way];
  const own = programLines(
    "import fal_client",
    "",
    `fal_client.client.${place}  # this machine`,
    `client = fal_client.SyncClient(key=${pythonWord(key)})`,
  );
  return programLines(
    made
      ? own
      : programLines(
          files.length > 0 && "import fal_client",
          "import fal_jupyter",
          "",
          "client = fal_jupyter.fal_client()  # fal's own client, with a key for this machine's apps",
        ),
    call?.(),
  );
}

/** @param {PreparedCall} call */
function javascriptOf({ app, path, value, method, way, files, made, key, below, base }) {
  const hosts = [
    ["https://fal.run", "/run"],
    ...(way === "queue" ? [["https://queue.fal.run", "/queue"]] : []),
    ...(files.length || way === "session" ? [["https://rest.fal.ai", "/rest"]] : []),
  ];
  const input = `input: ${written(value, JAVASCRIPT, ",", "    ")}`;
  const verb = method === "POST" ? "" : `, method: ${JSON.stringify(method.toLowerCase())}`;
  // with the slash before a query that follows the app's name: the client asks for the status of what comes before it
  const id = JSON.stringify(app + (way === "queue" && below.startsWith("?") ? `/${below}` : below));
  const call = {
    run: () => programLines(`const { data } = await fal.run(${id}, { ${input}${verb} });`, "console.log(data);"),
    queue: () =>
      programLines(`const { data } = await fal.subscribe(${id}, { ${input}${verb} });`, "console.log(data);"),
    stream: () =>
      programLines(
        `const stream = await fal.stream(${id}, { ${input} });`,
        "for await (const event of stream) console.log(event);",
      ),
    session: () =>
      programLines(
        `const session = fal.realtime.connect(${JSON.stringify(app)}, {`,
        `    path: ${JSON.stringify(path)},`,
        "    onResult: (result) => {",
        "        console.log(result);",
        "        session.close();",
        "    },",
        "    onError: console.error,",
        "});",
        `session.send(${written(value, JAVASCRIPT, ",")});`,
      ),
  }[way];
  return programLines(
    files.length > 0 && 'import { readFile } from "node:fs/promises";',
    'import { createFalClient } from "@fal-ai/client";',
    "",
    `const base = ${JSON.stringify(base)}; // this machine`,
    `const hosts = { ${hosts.map(([host, prefix]) => `${JSON.stringify(host)}: ${JSON.stringify(prefix)}`).join(", ")} };`,
    "const local = (address) => {",
    "    const { origin, pathname, search } = new URL(address);",
    "    return hosts[origin] ? base + hosts[origin] + pathname + search : address;",
    "};",
    way === "session" &&
      programLines(
        "const Socket = globalThis.WebSocket; // browsers, and Node.js from 22",
        "globalThis.WebSocket = class extends Socket {",
        "    constructor(address, protocols) {",
        '        super(local(address.replace("wss:", "https:")).replace("http:", "ws:"), protocols);',
        "    }",
        "};",
      ),
    "const fal = createFalClient({",
    `    credentials: ${made ? JSON.stringify(key) : "process.env.FAL_KEY"},`,
    "    fetch: (address, init) => fetch(local(String(address)), init),",
    "});",
    files.length > 0 && "const file = async (name, type) => new Blob([await readFile(name)], { type });",
    "",
    call?.(),
  );
}

/** @param {PreparedCall} call */
function curlOf({ url, app, path, value, method, way, form, files: within, made, key, below, base }) {
  const auth = `-H ${made ? shellWord(`Authorization: Key ${key}`) : `"Authorization: Key ${PLACEHOLDER}"`}`;
  const target =
    way === "queue" ? `${base}/queue/${app}${below}` : `${url}${path}${below.slice(path === "/" ? 0 : path.length)}`;
  const files = form ? [] : within;
  const json = written(value, JSON_TEXT, "");
  // a file is written into the text by the shell, which then looks at the rest of it as well
  const read = (/** @type {string} */ text) =>
    files.reduce(
      (found, one) =>
        found
          .split(JSON_TEXT.file(one))
          .join(`"data:${one.type};base64,$(base64 < ${shellWord(one.name)} | tr -d '\\n')"`),
      text.replace(/[\\`$]/g, "\\$&"),
    );
  const file = files.length > 0;
  const body = file ? ["-d @- <<JSON", read(json), "JSON"].join("\n") : `-d ${shellWord(json)}`;
  const quiet = way === "stream" ? "-sSN" : "-sS";
  const post = [
    `curl ${quiet} ${method === "POST" ? "" : `-X ${method} `}${shellWord(target)}`,
    auth,
    ...(form
      ? formCurl(value)
      : method === "GET" && json === "{}"
        ? []
        : ["-H 'Content-Type: application/json'", body]),
  ].join(" \\\n  ");
  if (way !== "queue") return post;
  const request = `"${base}/queue/${app}/requests/$id`;
  const taken = `sed -E 's/.*"request_id": ?"([^"]+)".*/\\1/'`;
  return [
    file ? `id=$({\n${post}\n} | ${taken})` : `id=$(${post} \\\n  | ${taken})`,
    `curl -sSN ${request}/status/stream" ${auth} > /dev/null  # until it is done`,
    `curl -sS ${request}" ${auth}`,
  ].join("\n");
}

/**
 * A value that an endpoint takes: its examples, its defaults where something is required, else the least that fits.
 * @param {any} schema
 * @param {any} root the whole document
 * @param {string} [name] of the field
 * @param {number} [depth]
 * @param {boolean} [inJson] whether it is sent in a JSON body, where bytes are text
 * @returns {any}
 */
export function sampleOf(schema, root, name = "", depth = 0, inJson = false) {
  const resolved = resolveSchema(schema, root);
  const [example] = examplesOf(resolved);
  if (example !== undefined) return example;
  if (resolved.default !== undefined) return resolved.default;
  if (resolved.enum) return resolved.enum[0];
  const media = fieldMedia(resolved, { name, inJson });
  if (media) {
    const file = new FileInput(...SAMPLE_FILES[media]);
    return resolved.type === "object" ? { url: file } : file;
  }
  if (resolved.nullable || depth > DEEPEST_SAMPLE) return null;
  if (resolved.type === "object") {
    const needed = Object.entries(resolved.properties ?? {}).filter(
      ([key, one]) => resolved.required?.includes(key) || examplesOf(resolveSchema(one, root)).length,
    );
    return Object.fromEntries(needed.map(([key, one]) => [key, sampleOf(one, root, key, depth + 1, inJson)]));
  }
  if (resolved.type === "array")
    return Array.from({ length: resolved.minItems ?? 0 }, () =>
      sampleOf(resolved.items, root, name, depth + 1, inJson),
    );
  if (resolved.type === "integer" || resolved.type === "number") return resolved.minimum ?? resolved.maximum ?? 1;
  return resolved.type === "boolean"
    ? false
    : resolved.type === "string"
      ? "x".repeat(resolved.minLength ?? 0) || "text"
      : {};
}

/**
 * Whether an endpoint answers piece by piece, as far as its class says.
 * @param {import("../types.d.ts").EndpointState} endpoint
 */
export function streams(endpoint) {
  return (
    endpoint.yields === true ||
    /->.*(StreamingResponse|EventSourceResponse|Iterator|Generator|Iterable)/.test(endpoint.signature)
  );
}

/**
 * How an endpoint can be called in a language. Where fal's clients run or queue a call they read its answer as one JSON
 * value, which an answer in pieces is not.
 * @param {import("../types.d.ts").EndpointState} endpoint
 * @param {string} [language]
 * @returns {string[]}
 */
export function waysOf(endpoint, language = "cell") {
  if (endpoint.protocol === "realtime") return ["session"];
  if (streams(endpoint) && (language === "python" || language === "javascript")) return ["stream"];
  return streams(endpoint) || /(^|\/)stream$/.test(endpoint.path) ? ["stream", "run", "queue"] : ["run", "queue"];
}

const NAMES = { cell: "cell", python: "fal_client", javascript: "JavaScript", curl: "curl" };
const GRAMMARS = { cell: "python", python: "python", javascript: "javascript", curl: "shell" };
/** @type {Map<string, string>} keys made in this page, by app */
const madeKeys = new Map();

/**
 * The languages of the programs that call an endpoint, and the word of each.
 * @param {{way: string, yields: boolean, form: boolean, past: boolean}} endpoint `form`: it takes a form instead of JSON;
 *   `past`: there is no address to call any more
 * @returns {Record<string, string>}
 */
export function languagesOf({ way, yields, form, past }) {
  if (past) return { cell: NAMES.cell };
  // fal's client sends only JSON, and does not read JSON lines
  const python = form || (yields && way === "stream") ? "Python" : NAMES.python;
  const { curl, ...others } = { ...NAMES, python };
  return way === "session" ? others : { ...others, curl }; // curl has no WebSocket session
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string, call: (path?: string) => {endpoint: string, path: string, value: any, method?: string,
 *   query?: Record<string, any>, encoding?: string} | null}} options what the form of an endpoint holds, of the chosen one
 *   without a path
 * @param {AbortSignal} signal
 */
export function snippetsPanel(root, host, options, signal) {
  new SnippetsPanel(root, host, options, signal);
}

class SnippetsPanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {{alias: string, call: (path?: string) => {endpoint: string, path: string, value: any, method?: string,
   *   query?: Record<string, any>, encoding?: string} | null}} options what the form of an endpoint holds, of the chosen one
   *   without a path
   * @param {AbortSignal} signal
   */
  constructor(root, host, { alias, call }, signal) {
    this.root = root;
    this.host = host;
    this.alias = alias;
    this.call = call;
    this.signal = signal;
    this.kind = "cell";
    this.preferredWay = ""; // the way that was chosen; an endpoint that does not have it is shown in its own
    this.way = "run";
    this.chosen = ""; // the endpoint that was chosen here; before that the form's

    /** @type {any} */
    this.schema = null;
    this.schemaOf = -1;
    this.drawn = "";
    this.code = h("pre", { class: "fj-code fj-program", tabIndex: 0, "aria-label": "program" });
    this.note = h("span", { class: "fj-muted", role: "status" });
    this.choose = h("select", {
      class: "fj-input fj-program-endpoint",
      id: newId(),
      "aria-label": "endpoint",
      onchange: () => ((this.chosen = this.choose.value), this.draw()),
    });
    this.languages = h("span", { class: "fj-choices", role: "group", "aria-label": "language" });
    this.ways = h("span", { class: "fj-choices", role: "group", "aria-label": "way of calling" });
    this.make = button([glyph("add"), "Make a key"], () => this.makeKey());
    this.word = h("span", null, "Copy");
    this.copied = "";

    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.fading = undefined;
    this.copy = button([glyph("copy"), this.word], () => this.copyText());
    this.signal.addEventListener("abort", () => clearTimeout(this.fading));
    this.root.append(
      h(
        "div",
        { class: "fj-bar-row" },
        this.choose,
        this.languages,
        this.ways,
        h("span", { class: "fj-space" }),
        this.make,
        this.copy,
      ),
      this.code,
      h("div", { class: "fj-bar-row fj-program-note" }, this.note),
    );
    this.draw();
    this.readSchema();
    this.signal.addEventListener("abort", this.host.store.watch(this.storeObserver()));
  }

  /** Redraws for a changed form of the Try tab and for a new app; an unchanged text keeps its selection. */
  storeObserver() {
    let drawn = "";
    return () => {
      this.readSchema();
      const now = JSON.stringify([this.endpoints().map((one) => one.path), this.endpoint()?.path]);
      if (now !== drawn) {
        drawn = now;
        if (document.activeElement !== this.choose) this.draw();
      }
      this.look();
    };
  }

  async makeKey() {
    try {
      const answer = await askJson(this.host, "POST", `apps/${encodeURIComponent(this.alias)}/keys`);
      madeKeys.set(this.alias, answer.key);
      this.say("This key is good until the app's notebook ends. It is shown here only.");
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
    this.draw();
  }

  async copyText() {
    await this.host.copy(this.text());
    setText(this.word, "Copied");
    this.copied = this.text();
    this.say("Copied.");
    clearTimeout(this.fading);
    this.fading = setTimeout(() => this.forgetCopied(), COPIED_FOR);
  }

  /** The button says Copy again. */
  forgetCopied() {
    setText(this.word, "Copy");
    if (this.note.textContent === "Copied.") this.say("");
  }

  app() {
    return this.host.store.view.apps.find((one) => one.alias === this.alias);
  }

  endpoints() {
    return [
      ...(this.app()?.endpoints ?? []),
      ...(this.app()?.sockets ?? []).filter((one) => one.protocol === "realtime"),
    ];
  }

  endpoint() {
    return this.endpoints().find((one) => one.path === (this.chosen || this.call()?.path)) ?? this.endpoints()[0];
  }

  say(/** @type {string} */ text) {
    return setText(this.note, text);
  }

  /** @param {import("../types.d.ts").EndpointState} one */
  callOf(one) {
    const form = this.call(one.path);
    if (form?.path === one.path) return form;
    const described = this.schema && one.protocol === "http" ? endpointSchema(this.schema, one.path) : null;
    if (!described && one.protocol === "http") {
      const last = this.host.picture?.last; // what a saved notebook has of it
      const known = last && pathText(last.request.path) === one.path ? recordedValue(last.input) : null;
      const isUsable = known && !hasLongText(known.value);
      return {
        endpoint: one.name,
        path: one.path,
        ...(isUsable ? { ...known, method: last?.request.method } : sampleOfSignature(one.signature)),
      };
    }
    const query = described
      ? Object.fromEntries(
          described.query.required.map((/** @type {string} */ name) => [
            name,
            sampleOf(described.query.properties[name], this.schema, name, 0, true), // bytes in a query are text
          ]),
        )
      : {};
    return {
      endpoint: one.name,
      path: one.path,
      value: described
        ? (described.examples[0]?.value ?? sampleOf(described.schema, this.schema, "", 0, !isForm(described.encoding)))
        : {},
      method: described?.method ?? "POST",
      query,
      encoding: described?.encoding,
    };
  }

  text() {
    const state = this.app();
    const one = this.endpoint();
    if (!state || !one) return "";
    const programs = snippetsOf({
      ...this.callOf(one),
      way: this.way,
      yields: one.yields,
      signature: one.signature,
      names: this.endpoints().map((each) => each.name),
      className: state.class_name,
      app: state.app,
      url: state.url,
      key: madeKeys.get(this.alias) ?? PLACEHOLDER,
    });
    return programs[this.kind] ?? programs.cell;
  }

  /** @param {Record<string, string>} words @param {string} now @param {(name: string) => void} press */
  choices(words, now, press) {
    return Object.entries(words).map(([name, one]) =>
      h(
        "button",
        {
          type: "button",
          class: "fj-choice",
          dataset: { key: name },
          "aria-pressed": String(name === now),
          onclick: () => (press(name), this.draw(), this.place(name)),
        },
        one,
      ),
    );
  }

  /** Focus stays where it was pressed. @param {string} name */
  place(name) {
    return /** @type {any} */ (this.root.querySelector(`.fj-choice[data-key="${name}"]`))?.focus();
  }

  /** True where the app's address has ended with it. */
  isPast() {
    return (
      this.host.kind === "saved" ||
      !this.app() ||
      Boolean(/** @type {import("../types.d.ts").KnownApp | undefined} */ (this.app())?.gone)
    );
  }

  draw() {
    const one = this.endpoint();
    if (this.copied && this.copied !== this.text()) {
      this.copied = "";
      this.forgetCopied();
    }
    if (this.isPast()) this.kind = "cell"; // the others name an address where nothing is any more
    replace(
      this.choose,
      this.endpoints().map((each) => h("option", { value: each.path }, each.path)),
    );
    if (one) this.choose.value = one.path;
    const known = one ? waysOf(one, this.kind) : [];
    this.way = known.includes(this.preferredWay) ? this.preferredWay : (known[0] ?? "run");
    if (this.way === "session" && this.kind === "curl") this.kind = "cell"; // curl has no such session
    const words = languagesOf({
      way: this.way,
      yields: Boolean(one?.yields),
      form: Boolean(one && isForm(this.callOf(one).encoding)),
      past: this.isPast(),
    });
    replace(
      this.languages,
      this.choices(words, this.kind, (name) => (this.kind = name)),
    );
    replace(
      this.ways,
      known.length > 1
        ? this.choices(
            Object.fromEntries(known.map((name) => [name, WAYS[/** @type {keyof typeof WAYS} */ (name)]])),
            this.way,
            (name) => (this.preferredWay = name),
          )
        : null,
    );
    this.make.hidden =
      this.kind === "cell" ||
      madeKeys.has(this.alias) ||
      this.host.kind === "saved" ||
      !this.app() ||
      this.app()?.state === "Stopped";
    this.look();
  }

  look() {
    const now = this.text();
    if (now === this.drawn && this.code.firstChild) return;
    this.drawn = now;
    replace(
      this.code,
      now ? programView(now, GRAMMARS[/** @type {keyof typeof GRAMMARS} */ (this.kind)]) : "No endpoint is known yet.",
    );
    setUsable(this.copy, Boolean(now));
  }

  /** What endpoints take, for those that the form does not show. */
  async readSchema() {
    const state = this.app();
    if (
      !state ||
      this.host.kind === "saved" ||
      this.host.store.view.link !== "live" ||
      this.schemaOf === state.serving ||
      !state.runners.some((one) => one.state === "IDLE" || one.state === "RUNNING")
    )
      return;
    this.schemaOf = state.serving;
    try {
      this.schema = await askSchema(this.host, this.alias, this.signal);
      this.look();
    } catch {
      this.schema = null; // the programs are then without arguments, as where no runner is up
    }
  }
}
