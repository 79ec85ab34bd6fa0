// @ts-check
/** What a form's value is sent as: JSON, or the form encodings that endpoints with `UploadFile` and `Form` take. */
import { writtenJson } from "../text/exact_json.mjs";

/** The bytes of a `data:` address. @param {string} address */
function bytesOf(address) {
  const comma = address.indexOf(",");
  const text = address.slice(comma + 1);
  return /;base64$/i.test(address.slice(0, comma))
    ? Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
    : new TextEncoder().encode(decodeURIComponent(text));
}

/**
 * What a `data:` address of a picked file says of it; null for other text. A file for a form has its name in the
 * address: `data:image/png;name=cat.png;base64,…`.
 * @param {string} text
 * @returns {{type: string, name: string} | null}
 */
export function dataAddress(text) {
  const match = /^data:([\w.+-]+\/[\w.+-]+)((?:;[^,;]*)*),/.exec(text);
  const name = /;name=([^;]*)/.exec(match?.[2] ?? "")?.[1] ?? "";
  return match && { type: match[1], name: decodeURIComponent(name) };
}

/**
 * One field of a form, a list's items one by one.
 * @param {any} value
 * @returns {{text?: string, data?: Uint8Array, type?: string, name?: string}[]}
 */
function partsOf(value) {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(partsOf);
  const file = typeof value === "string" ? dataAddress(value) : null;
  if (file) return [{ data: bytesOf(value), type: file.type, name: file.name || "file" }];
  return [{ text: typeof value === "object" ? writtenJson(value) : String(value) }];
}

/**
 * @param {any} value of the form
 * @param {string} encoding media type that the endpoint takes
 * @returns {{body: string | Uint8Array, type: string}}
 */
export function encodedBody(value, encoding) {
  const entries = value && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
  if (encoding === "application/x-www-form-urlencoded") {
    const pairs = entries.flatMap(([name, one]) => partsOf(one).map((part) => [name, part.text ?? ""]));
    return { body: new URLSearchParams(pairs).toString(), type: encoding };
  }
  if (encoding !== "multipart/form-data") return { body: writtenJson(value), type: "application/json" };
  const boundary = `fal-jupyter-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
  // FastAPI's reader takes a backslash before a quote, and leaves %22 as it is
  const plain = (/** @type {string} */ text) => text.replace(/[\r\n]/g, " ").replace(/["\\]/g, "\\$&");
  /** @type {Uint8Array[]} */
  const pieces = [];
  const write = (/** @type {string} */ text) => pieces.push(new TextEncoder().encode(text));
  for (const [name, one] of entries) {
    for (const part of partsOf(one)) {
      const file = `; filename="${plain(part.name ?? "")}"\r\nContent-Type: ${plain(part.type ?? "")}`;
      const disposition = `form-data; name="${plain(name)}"${part.data ? file : ""}`;
      write(`--${boundary}\r\nContent-Disposition: ${disposition}\r\n\r\n`);
      if (part.data) pieces.push(part.data);
      else write(part.text ?? "");
      write("\r\n");
    }
  }
  write(`--${boundary}--\r\n`);
  const body = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) body.set(piece, at), (at += piece.length);
  return { body, type: `${encoding}; boundary=${boundary}` };
}
