// @ts-check
/**
 * Programs for endpoints that take a form (`Form`, `File`, `UploadFile`): fal's clients send JSON only, so these say it
 * in plain HTTP.
 */
import { dataType, fileNameOf } from "../text/data_type.mjs";
import { writtenJson } from "../text/exact_json.mjs";
import { dataAddress } from "../form/form_body.mjs";
import {
  FileInput,
  JAVASCRIPT,
  PYTHON,
  isRecord,
  programLines,
  pythonWord,
  shellWord,
  written,
} from "../text/literals.mjs";

const STEP = 8192; // arguments of one call

/** @typedef {import("./call.d.ts").PreparedCall} PreparedCall */
/**
 * One field: a list's items are fields of the same name.
 * @typedef {{name: string, text?: string, file?: FileInput}} FormEntry
 */

/**
 * A form's value with a file in place of each picked one, which the program reads from its folder.
 * @param {any} value
 * @returns {any}
 */
export function formFiles(value) {
  const data = typeof value === "string" ? dataAddress(value) : null;
  if (data) {
    const type = dataType(value) || data.type;
    return new FileInput(/^[\w-][\w.-]*$/.test(data.name) ? data.name : fileNameOf(type), type);
  }
  if (Array.isArray(value)) return value.map(formFiles);
  return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, formFiles(one)])) : value;
}

/** @param {string} name @param {any} value @returns {FormEntry[]} */
function entriesOf(name, value) {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((one) => entriesOf(name, one));
  if (value instanceof FileInput) return [{ name, file: value }];
  return [{ name, text: typeof value === "object" ? writtenJson(value) : String(value) }];
}

/** The fields of a form's value. @param {any} value with files in it @returns {FormEntry[]} */
export function formEntries(value) {
  return isRecord(value) ? Object.entries(value).flatMap(([name, one]) => entriesOf(name, one)) : [];
}

/** How a cell writes a file of a form. @type {import("../text/literals.mjs").Grammar} */
export const FORM_CELL = { ...PYTHON, file: (file) => `Path(${pythonWord(file.name)})` };

/** @param {PreparedCall} call @returns {string} where it is posted */
function formTarget({ way, base, app, url, path, below }) {
  return way === "queue"
    ? `${base}/queue/${app}${below}`
    : `${url}${path}${below.slice(path === "/" ? 0 : path.length)}`;
}

/** @param {PreparedCall} call */
export function formPython(call) {
  const { value, method, way, made, key, base, app } = call;
  const entries = formEntries(value);
  const files = entries.filter((one) => one.file);
  const texts = entries.filter((one) => !one.file);
  /** @type {Record<string, any>} */
  const data = {};
  for (const { name, text } of texts) data[name] = name in data ? [data[name], text].flat() : text;
  const list = files
    .map(
      ({ name, file }) =>
        `        (${pythonWord(name)}, (${pythonWord(file?.name)}, open(${pythonWord(file?.name)}, "rb"), ${pythonWord(file?.type)})),\n`,
    )
    .join("");
  const args = [
    `    ${pythonWord(formTarget(call))},\n`,
    `    headers={"Authorization": ${made ? pythonWord(`Key ${key}`) : "f\"Key {os.environ['FAL_KEY']}\""}},\n`,
    texts.length ? `    data=${written(data, PYTHON, ",", "    ")},\n` : "",
    list ? `    files=[\n${list}    ],\n` : "",
    "    timeout=None,\n",
  ].join("");
  const queue = way === "queue";
  const head = programLines(made ? false : "import os\n", queue && "import fal_client", "import httpx", "");
  if (way === "stream")
    return programLines(
      head,
      `with httpx.stream(\n    ${pythonWord(method)},\n${args}) as answer:`,
      "    for line in answer.iter_lines():",
      "        print(line)",
    );
  const post = programLines(
    `answer = httpx.request(\n    ${pythonWord(method)},\n${args})`,
    "answer.raise_for_status()",
  );
  if (!queue) return programLines(head, post, "print(answer.json())");
  return programLines(
    head,
    `fal_client.client.QUEUE_URL_FORMAT = ${pythonWord(`${base}/queue/`)}  # this machine`,
    post,
    `print(fal_client.SyncClient(key=${made ? pythonWord(key) : 'os.environ["FAL_KEY"]'}).result(${pythonWord(app)}, answer.json()["request_id"]))`,
  );
}

/** @param {PreparedCall} call */
export function formJavascript(call) {
  const { value, method, way, made, key, base, app } = call;
  const entries = formEntries(value);
  const word = JAVASCRIPT.word;
  const fields = entries.map(({ name, text, file }) =>
    file
      ? `form.append(${word(name)}, new Blob([await readFile(${word(file.name)})], { type: ${word(file.type)} }), ${word(file.name)});`
      : `form.append(${word(name)}, ${word(text)});`,
  );
  const request = `${base}/queue/${app}/requests`;
  const answer = {
    stream: [
      "const text = answer.body.pipeThrough(new TextDecoderStream());",
      "for await (const piece of text) console.log(piece);",
    ],
    queue: [
      "const { request_id } = await answer.json();",
      `const place = ${word(`${request}/`)} + request_id;`,
      'await (await fetch(place + "/status/stream", { headers })).text(); // until it is done',
      "console.log(await (await fetch(place, { headers })).json());",
    ],
  }[way] ?? ["console.log(await answer.json());"];
  return programLines(
    entries.some((one) => one.file) && 'import { readFile } from "node:fs/promises";\n',
    `const headers = { Authorization: ${made ? word(`Key ${key}`) : '"Key " + process.env.FAL_KEY'} };`,
    "const form = new FormData();",
    ...fields,
    `const answer = await fetch(${word(formTarget(call))}, { method: ${word(method)}, headers, body: form });`,
    "if (!answer.ok) throw new Error(await answer.text());",
    ...answer,
  );
}

/** The options of curl that make the form. @param {any} value with files in it */
export function formCurl(value) {
  return formEntries(value).map(({ name, text, file }) =>
    file
      ? `-F ${shellWord(`${name}=@${file.name};type=${file.type}`)}`
      : `--form-string ${shellWord(`${name}=${text}`)}`,
  );
}

/**
 * A recorded form as the value that it was made of; null where it is none that can be read whole.
 * @param {Uint8Array} data
 * @param {string} type its content type
 * @param {boolean} [withBytes] a file as its address with its bytes, as a picker of the form has it
 * @returns {Record<string, any> | null}
 */
export function formOfBody(data, type, withBytes = false) {
  /** @type {Record<string, any>} */
  const value = {};
  const put = (/** @type {string} */ name, /** @type {any} */ one) =>
    (value[name] = name in value ? [value[name], one].flat() : one);
  if (/^application\/x-www-form-urlencoded/i.test(type)) {
    for (const [name, text] of new URLSearchParams(new TextDecoder().decode(data))) put(name, text);
    return value;
  }
  const boundary = /^multipart\/form-data;.*boundary="?([^";]+)/i.exec(type)?.[1];
  if (!boundary) return null;
  let latin = ""; // a character for each byte
  for (let at = 0; at < data.length; at += STEP) latin += String.fromCharCode(...data.subarray(at, at + STEP));
  const [, ...parts] = `\r\n${latin}`.split(`\r\n--${boundary}`);
  if (!parts.at(-1)?.startsWith("--")) return null;
  const utf8 = (/** @type {string} */ text) => new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0)));
  for (const part of parts.slice(0, -1)) {
    const at = part.indexOf("\r\n\r\n");
    const head = part.slice(0, at);
    const word = (/** @type {string} */ name) =>
      new RegExp(`[; ]${name}="((?:[^"\\\\]|\\\\.)*)"`).exec(head)?.[1].replace(/\\(.)/g, "$1").replace(/%22/g, '"');
    const name = word("name");
    const filename = word("filename");
    if (at < 0 || name === undefined) return null;
    const kind = /content-type:\s*([^\r\n]*)/i.exec(head)?.[1] ?? "application/octet-stream";
    const address = `data:${kind.split(";")[0]};name=${encodeURIComponent(utf8(filename ?? ""))}`;
    if (filename === undefined) put(utf8(name), utf8(part.slice(at + 4)));
    else put(utf8(name), withBytes ? `${address};base64,${btoa(part.slice(at + 4))}` : formFiles(`${address},-`));
  }
  return value;
}
