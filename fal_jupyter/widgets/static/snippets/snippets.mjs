// @ts-check
/**
 * Calls of an endpoint as programs: a cell, Python, JavaScript, curl. What a program needs besides itself (a key, a
 * file) is said in its first lines.
 */
import { programView } from "../elements/highlight.mjs";
import { button, h, newId, replace, setText } from "../elements/dom.mjs";
import { glyph } from "../elements/glyphs.mjs";
import { pathText } from "../text/format.mjs";
import { askJson } from "../connection/host.mjs";
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
import { recordedValue } from "../inspector/recorded_input.mjs";
import { endpointSchema, examplesOf, filledPath, isForm, mediaKind, resolveSchema } from "../form/schema.mjs";
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
    const wished =
      typeof own === "string" && /^[\w-][\w.-]{0,80}$/.test(own) && !/^[\da-f]{16,}\./i.test(own)
        ? own
        : fileNameOf(type);
    let name = wished;
    for (let at = 2; names.has(name); at += 1) name = wished.replace(/(?=\.|$)/, `-${at}`);
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

/**
 * One call of one endpoint.
 * @typedef {{className: string, endpoint: string, path: string, app: string, url: string, value: any, key: string,
 *   method?: string, query?: Record<string, any>, encoding?: string, way?: string, yields?: boolean, model?: string,
 *   signature?: string, names?: string[]}} Call `encoding` is the media type that the endpoint takes; `url` is the
 *   prefix `http://127.0.0.1:PORT/run/owner/alias`; `query` what the endpoint takes there only; `way` one of `WAYS`;
 *   `yields`: its answer is a line of JSON for each value; `model` is a parameter whose fields are not known; `names`
 *   of all endpoints
 */

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
 * @typedef {Call & {value: any, method: string, way: string, form: boolean, made: boolean, files: FileInput[], query:
 *   Record<string, any>, below: string, base: string}} Facts
 */

/**
 * Whether a field has the name of the model that holds it: as a keyword it would be the whole model.
 * @param {string} signature
 * @param {Record<string, any>} value
 */
function isHidden(signature, value) {
  const [, name = "", type = ""] = /\((?:self, )?(\w+): ([\w.]+)[^,]*\)/.exec(signature) ?? [];
  return name in value && !/^(str|int|float|bool|list|dict|bytes|tuple|set|Any|None)$/.test(type);
}

/** @param {Facts} call */
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
  // a whole input stands first, and what the endpoint takes beside it follows by name
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

/** @param {Facts} call */
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

/** @param {Facts} call */
function javascriptOf({ app, path, value, method, way, files, made, key, below, base }) {
  const hosts = [
    ["https://fal.run", "/run"],
    ...(way === "queue" ? [["https://queue.fal.run", "/queue"]] : []),
    ...(files.length || way === "session" ? [["https://rest.fal.ai", "/rest"]] : []),
  ];
  const input = `input: ${written(value, JAVASCRIPT, ",", "    ")}`;
  const verb = method === "POST" ? "" : `, method: ${JSON.stringify(method.toLowerCase())}`;
  const id = JSON.stringify(app + below);
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

/** @param {Facts} call */
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
 * @returns {any}
 */
export function sampleOf(schema, root, name = "", depth = 0) {
  const found = resolveSchema(schema, root);
  const [example] = examplesOf(found);
  if (example !== undefined) return example;
  if (found.default !== undefined) return found.default;
  if (found.enum) return found.enum[0];
  const media = mediaKind(found, name);
  if (media) {
    const file = new FileInput(...SAMPLE_FILES[media]);
    return found.type === "object" ? { url: file } : file;
  }
  if (found.nullable || depth > DEEPEST_SAMPLE) return null;
  if (found.type === "object") {
    const needed = Object.entries(found.properties ?? {}).filter(
      ([key, one]) => found.required?.includes(key) || examplesOf(resolveSchema(one, root)).length,
    );
    return Object.fromEntries(needed.map(([key, one]) => [key, sampleOf(one, root, key, depth + 1)]));
  }
  if (found.type === "array")
    return Array.from({ length: found.minItems ?? 0 }, () => sampleOf(found.items, root, name, depth + 1));
  if (found.type === "integer" || found.type === "number") return found.minimum ?? found.maximum ?? 1;
  return found.type === "boolean" ? false : found.type === "string" ? "x".repeat(found.minLength ?? 0) || "text" : {};
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

/** How an endpoint can be called. @param {import("../types.d.ts").EndpointState} endpoint @returns {string[]} */
export function waysOf(endpoint) {
  if (endpoint.protocol === "realtime") return ["session"];
  return streams(endpoint) || /(^|\/)stream$/.test(endpoint.path) ? ["stream", "run", "queue"] : ["run", "queue"];
}

const NAMES = { cell: "cell", python: "fal_client", javascript: "JavaScript", curl: "curl" };
const GRAMMARS = { cell: "python", python: "python", javascript: "javascript", curl: "shell" };
/** @type {Map<string, string>} keys made in this page, by app */
const madeKeys = new Map();

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string, call: (path?: string) => {endpoint: string, path: string, value: any, method?: string,
 *   query?: Record<string, any>, encoding?: string} | null}} options what the form of an endpoint holds, of the chosen one
 *   without a path
 * @param {AbortSignal} signal
 */
export function snippetsPanel(root, host, { alias, call }, signal) {
  let kind = "cell";
  let wished = ""; // the way that was chosen; an endpoint that does not have it is shown in its own
  let way = "run";
  let chosen = ""; // the endpoint that was chosen here; before that the form's
  /** @type {any} */
  let schema = null;
  let schemaOf = -1;
  let drawn = "";
  const code = h("pre", { class: "fj-code fj-program", tabIndex: 0, "aria-label": "program" });
  const note = h("span", { class: "fj-muted", role: "status" });
  const app = () => host.store.view.apps.find((one) => one.alias === alias);
  const endpoints = () => [
    ...(app()?.endpoints ?? []),
    ...(app()?.sockets ?? []).filter((one) => one.protocol === "realtime"),
  ];
  const endpoint = () => endpoints().find((one) => one.path === (chosen || call()?.path)) ?? endpoints()[0];
  const choose = h("select", {
    class: "fj-input fj-program-endpoint",
    id: newId(),
    "aria-label": "endpoint",
    onchange: () => ((chosen = choose.value), draw()),
  });
  const languages = h("span", { class: "fj-choices", role: "group", "aria-label": "language" });
  const ways = h("span", { class: "fj-choices", role: "group", "aria-label": "way of calling" });
  const say = (/** @type {string} */ text) => setText(note, text);

  /** @param {import("../types.d.ts").EndpointState} one */
  const callOf = (one) => {
    const form = call(one.path);
    if (form?.path === one.path) return form;
    const found = schema && one.protocol === "http" ? endpointSchema(schema, one.path) : null;
    if (!found && one.protocol === "http") {
      const last = host.picture?.last; // what a saved notebook has of it
      const known = last && pathText(last.request.path) === one.path ? recordedValue(last.input) : null;
      return {
        endpoint: one.name,
        path: one.path,
        ...(known ? { ...known, method: last?.request.method } : sampleOfSignature(one.signature)),
      };
    }
    const query = found
      ? Object.fromEntries(
          found.query.required.map((/** @type {string} */ name) => [
            name,
            sampleOf(found.query.properties[name], schema, name),
          ]),
        )
      : {};
    return {
      endpoint: one.name,
      path: one.path,
      value: found ? (found.examples[0]?.value ?? sampleOf(found.schema, schema)) : {},
      method: found?.method ?? "POST",
      query,
      encoding: found?.encoding,
    };
  };
  const text = () => {
    const state = app();
    const one = endpoint();
    if (!state || !one) return "";
    const programs = snippetsOf({
      ...callOf(one),
      way,
      yields: one.yields,
      signature: one.signature,
      names: endpoints().map((each) => each.name),
      className: state.class_name,
      app: state.app,
      url: state.url,
      key: madeKeys.get(alias) ?? PLACEHOLDER,
    });
    return programs[kind] ?? programs.cell;
  };
  const make = button([glyph("add"), "Make a key"], async () => {
    try {
      const answer = await askJson(host, "POST", `apps/${encodeURIComponent(alias)}/keys`);
      madeKeys.set(alias, answer.key);
      say("This key is good until the app's notebook ends. It is shown here only.");
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
    draw();
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let fading;
  const word = h("span", null, "Copy");
  let copied = "";
  const copy = button([glyph("copy"), word], async () => {
    await host.copy(text());
    setText(word, "Copied");
    copied = text();
    say("Copied.");
    clearTimeout(fading);
    fading = setTimeout(() => (setText(word, "Copy"), note.textContent === "Copied." && say("")), COPIED_FOR);
  });
  signal.addEventListener("abort", () => clearTimeout(fading));

  /** @param {Record<string, string>} words @param {string} now @param {(name: string) => void} press */
  const choices = (words, now, press) =>
    Object.entries(words).map(([name, one]) =>
      h(
        "button",
        {
          type: "button",
          class: "fj-choice",
          dataset: { key: name },
          "aria-pressed": String(name === now),
          onclick: () => (press(name), draw(), place(name)),
        },
        one,
      ),
    );
  /** Focus stays where it was pressed. @param {string} name */
  const place = (name) => /** @type {any} */ (root.querySelector(`.fj-choice[data-key="${name}"]`))?.focus();
  /** True where the app's address has ended with it. */
  const isPast = () =>
    host.kind === "saved" ||
    !app() ||
    Boolean(/** @type {import("../types.d.ts").KnownApp | undefined} */ (app())?.gone);
  const draw = () => {
    const one = endpoint();
    // another program is shown
    if (copied && copied !== text()) (copied = ""), setText(word, "Copy"), note.textContent === "Copied." && say("");
    if (isPast()) kind = "cell"; // the others name an address where nothing is any more
    replace(
      choose,
      endpoints().map((each) => h("option", { value: each.path }, each.path)),
    );
    if (one) choose.value = one.path;
    const known = one ? waysOf(one) : [];
    way = known.includes(wished) ? wished : (known[0] ?? "run");
    if (way === "session" && kind === "curl") kind = "cell"; // curl has no such session
    const names = {
      ...NAMES,
      python: one && (isForm(callOf(one).encoding) || (one.yields && way === "stream")) ? "Python" : NAMES.python,
    }; // fal's client sends JSON only, and reads no JSON lines
    const words = Object.fromEntries(
      Object.entries(names).filter(
        ([name]) => (way !== "session" || name !== "curl") && (name === "cell" || !isPast()),
      ),
    );
    replace(
      languages,
      choices(words, kind, (name) => (kind = name)),
    );
    replace(
      ways,
      known.length > 1
        ? choices(
            Object.fromEntries(known.map((name) => [name, WAYS[/** @type {keyof typeof WAYS} */ (name)]])),
            way,
            (name) => (wished = name),
          )
        : null,
    );
    make.hidden =
      kind === "cell" || madeKeys.has(alias) || host.kind === "saved" || !app() || app()?.state === "Stopped";
    look();
  };
  const look = () => {
    const now = text();
    if (now === drawn && code.firstChild) return;
    drawn = now;
    replace(
      code,
      now ? programView(now, GRAMMARS[/** @type {keyof typeof GRAMMARS} */ (kind)]) : "No endpoint is known yet.",
    );
    copy.disabled = !now;
  };
  /** What endpoints take, for those that the form does not show. */
  const readSchema = async () => {
    const state = app();
    if (
      !state ||
      host.kind === "saved" ||
      host.store.view.link !== "live" ||
      schemaOf === state.serving ||
      !state.runners.some((one) => one.state === "IDLE" || one.state === "RUNNING")
    )
      return;
    schemaOf = state.serving;
    try {
      schema = await askJson(host, "GET", `apps/${encodeURIComponent(alias)}/schema`, { signal });
      look();
    } catch {
      schema = null; // the programs are then without arguments, as where no runner is up
    }
  };
  root.append(
    h("div", { class: "fj-bar-row" }, choose, languages, ways, h("span", { class: "fj-space" }), make, copy),
    code,
    h("div", { class: "fj-bar-row fj-program-note" }, note),
  );
  draw();
  readSchema();
  let stands = "";
  // a form that changed in the Try tab, or an app that came, is seen here at once; a text that is the same stays
  // selected
  const stop = host.store.watch(() => {
    readSchema();
    const now = JSON.stringify([endpoints().map((one) => one.path), endpoint()?.path]);
    if (now !== stands) {
      stands = now;
      if (document.activeElement !== choose) draw();
    }
    look();
  });
  signal.addEventListener("abort", stop);
}
