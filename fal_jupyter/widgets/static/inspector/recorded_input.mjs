// @ts-check
/** What a recorded request was made with: as a whole, or the small values of a large one. */
import { dataType, fileNameOf } from "../text/data_type.mjs";
import { parsedJson } from "../text/exact_json.mjs";
import { bytes } from "../text/format.mjs";
import { FileInput, filesOf, isRecord } from "../text/literals.mjs";
import { textOfBytes } from "../text/plain.mjs";
import { dataAddress } from "../form/form_body.mjs";
import { isForm } from "../form/schema.mjs";
import { formOfBody } from "../snippets/snippets_form.mjs";

/** @typedef {import("../types.d.ts").RequestDetail} RequestDetail */
/**
 * A recorded body; `data` are the bytes of one that was fetched as a whole.
 * @typedef {import("../types.d.ts").Body & {data?: Uint8Array}} RecordedBody
 */

const BODY_KINDS = { image: "an image", audio: "a sound", video: "a video" };

/** The bytes of a kept body. @param {RecordedBody} body */
export function bodyBytes(body) {
  if (body.data) return body.data;
  return body.base64 ? Uint8Array.from(atob(body.base64), (c) => c.charCodeAt(0)) : new TextEncoder().encode(body.text);
}

/**
 * What a request was made with: JSON, or a form with a file in place of each file that was sent. Of a large one each long
 * text is a file too. Null where it is not known or something else.
 * @param {RecordedBody | null} input
 * @param {boolean} [withBytes] files of a form with their bytes
 * @returns {{value: any, encoding: string} | null}
 */
export function recordedValue(input, withBytes = false) {
  if (!input || (input.truncated && !input.left_out)) return null;
  const encoding = input.content_type.split(";")[0].trim().toLowerCase();
  if (isForm(encoding)) {
    const value = formOfBody(bodyBytes(input), input.content_type, withBytes);
    return value && { value: withoutTexts(value, input), encoding };
  }
  if (input.base64) return null;
  try {
    const value = input.text ? parsedJson(input.text) : {};
    return { value: withoutTexts(value, input), encoding: "application/json" };
  } catch {
    return null;
  }
}

/** The long texts of a recorded value that is no file: a program needs all of it. @param {any} value */
export function hasLongText(value) {
  return filesOf(value).some((one) => one.isText);
}

/**
 * A value with a file in place of each text that was left out.
 * @param {any} value
 * @param {RecordedBody} body
 */
function withoutTexts(value, { left_out: leftOut = [] }) {
  const sizes = new Map(leftOut.map((one) => [one.text, one.size]));
  const names = new Set();
  /** @returns {any} */
  const walk = (/** @type {any} */ one, /** @type {any} */ holder = undefined) => {
    if (typeof one === "string" && sizes.has(one)) return leftOutFile(one, sizes.get(one) ?? 0, names, holder);
    if (Array.isArray(one)) return one.map((each) => walk(each));
    if (!isRecord(one)) return one;
    return Object.fromEntries(
      Object.entries(one).map(([key, each]) => [key, walk(each, key === "url" ? one : undefined)]),
    );
  };
  return sizes.size ? walk(value) : value;
}

/**
 * @param {string} standIn for the text
 * @param {number} size of the text in bytes
 * @param {Set<string>} names that are taken
 * @param {any} holder the record that has it as its address
 */
function leftOutFile(standIn, size, names, holder) {
  const type = dataType(standIn);
  if (!/^[\w.+-]+\/[\w.+-]+$/.test(type)) return new FileInput("input.txt", "", false, `a text of ${bytes(size)}`);
  const own = holder?.file_name ?? dataAddress(standIn)?.name;
  const preferred = typeof own === "string" && /^[\w-][\w.-]{0,80}$/.test(own) ? own : fileNameOf(type);
  let name = preferred;
  for (let at = 2; names.has(name); at += 1) name = preferred.replace(/(?=\.|$)/, `-${at}`);
  names.add(name);
  const kind = BODY_KINDS[/** @type {keyof typeof BODY_KINDS} */ (type.split("/")[0])] ?? "a file";
  const held = Math.round((size - standIn.indexOf(",") - 1) * 0.75); // of base64
  return new FileInput(name, type, false, `${kind} of ${bytes(held)}`);
}

/** Whether all of a request's input can be had. @param {RequestDetail | null | undefined} detail */
export function hasWholeInput(detail) {
  return Boolean(detail?.input && (!detail.input.truncated || detail.input.whole));
}

/**
 * All of a request's input, fetched where only a part of it is recorded.
 * @param {import("../types.d.ts").Host} host
 * @param {RequestDetail} detail
 * @param {AbortSignal} signal
 * @returns {Promise<RecordedBody | null>} null where it is not kept
 */
export async function wholeInput(host, { request, input }, signal) {
  if (!input || !input.truncated) return input;
  if (!input.whole) return null;
  const answer = await host.ask("GET", `requests/${encodeURIComponent(request.id)}/input`, { signal });
  if (answer.status !== 200) return null;
  const data = await answer.bytes();
  const text = textOfBytes(data);
  const { left_out: _, whole: __, ...body } = input;
  return { ...body, data, text: text ?? "", base64: text === null ? "-" : "", truncated: false };
}
