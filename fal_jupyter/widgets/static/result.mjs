// @ts-check
/** An answer by its type: text, a tree of JSON, picture, sound, film, table, stream. Active content is shown as text, never run. */
import { h, link, replace } from "./dom.mjs";
import { bytes, plural } from "./format.mjs";
import { iconButton } from "./glyphs.mjs";

const SHOWN_ITEMS = 20;
const SHOWN_STRING = 300;
const SHOWN_TEXT = 100000;
const SHOWN_ROWS = 200;
const PICTURE = /^image\/(png|jpeg|gif|webp|avif|bmp)$/;

/** Text as it can be shown: without colours of a terminal, with control characters made visible. @param {string} text */
export function plainText(text) {
  return text
    // eslint-disable-next-line no-control-regex
    .replace(/\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g, "")
    .replace(/(?:\u001b\[|\u009b)[0-9;:?]*[ -/]*[@-~]/g, "")
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, (c) => (c === "\u007f" ? "\u2421" : String.fromCharCode(0x2400 + c.charCodeAt(0))))
    .replace(/[\u0080-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\u2423");
}

/** @param {string} type */
function baseType(type) {
  return type.split(";")[0].trim().toLowerCase();
}

/**
 * Show a whole body.
 * @param {Uint8Array} data
 * @param {string} contentType
 * @param {AbortSignal} signal its pictures' addresses are given back when it aborts
 * @returns {Node}
 */
export function resultView(data, contentType, signal) {
  const type = baseType(contentType);
  const blob = () => {
    const address = URL.createObjectURL(new Blob([/** @type {any} */ (data)], { type }));
    signal.addEventListener("abort", () => URL.revokeObjectURL(address));
    return address;
  };
  if (PICTURE.test(type)) return h("img", { class: "fj-media", src: blob(), alt: `the answer, ${type}, ${bytes(data.length)}` });
  if (type.startsWith("audio/")) return h("audio", { class: "fj-media", src: blob(), controls: true });
  if (type.startsWith("video/")) return h("video", { class: "fj-media", src: blob(), controls: true });
  const text = decoded(data);
  if (text === null) return h("p", null, `${plural(data.length, "byte")} of ${type || "no type"} `, save(blob(), "answer.bin"));
  if (type === "application/json" || type.endsWith("+json")) {
    try {
      return jsonView(JSON.parse(text));
    } catch {
      return textView(text);
    }
  }
  if (type === "text/csv") return csvView(text);
  if (type === "text/event-stream") {
    const view = streamView();
    view.push(data);
    view.end();
    return view.element;
  }
  return textView(text);
}

/** @param {string} address @param {string} name */
function save(address, name) {
  return h("a", { href: address, download: name }, "Save");
}

/** @param {Uint8Array} data */
function decoded(data) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(data);
  } catch {
    return null;
  }
}

/** @param {string} text */
export function textView(text) {
  const shown = plainText(text.slice(0, SHOWN_TEXT));
  const cut = text.length > SHOWN_TEXT ? `\n… ${bytes(text.length - SHOWN_TEXT)} more` : "";
  return h("pre", { class: "fj-code", tabIndex: 0 }, shown + cut);
}

/** @param {any} value */
function isFlat(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && Object.values(value).every((one) => one === null || typeof one !== "object");
}

/**
 * A value of JSON: a table where it is a list of flat records, pictures where it names them, else a tree.
 * @param {any} value
 * @returns {Node}
 */
export function jsonView(value) {
  const media = mediaIn(value, 0);
  const body = Array.isArray(value) && value.length > 1 && value.every(isFlat) ? recordTable(value) : h("div", { class: "fj-json" }, tree(value, null, 0));
  return media.length ? h("div", null, media, body) : body;
}

/** Pictures, sounds and films that the value names by an address. @param {any} value @param {number} depth @returns {Node[]} */
function mediaIn(value, depth) {
  if (value === null || typeof value !== "object" || depth > 4) return [];
  if (Array.isArray(value)) return value.slice(0, 12).flatMap((one) => mediaIn(one, depth + 1));
  const type = typeof value.content_type === "string" ? baseType(value.content_type) : "";
  if (typeof value.url === "string" && /^(https?:|data:(image|audio|video)\/)/i.test(value.url)) {
    const kind = type || baseType(/^data:([^;,]+)/i.exec(value.url)?.[1] ?? "");
    const show = mediaElement(kind, value.url, String(value.file_name ?? kind));
    if (show && value.url.startsWith("data:")) return [show()];
    if (show) return [askedMedia(value.url, show)]; // whoever steers an app's answer must not make this page call him
  }
  return Object.values(value).flatMap((one) => mediaIn(one, depth + 1));
}

/** @param {string} kind @param {string} src @param {string} alt @returns {(() => Node) | null} */
function mediaElement(kind, src, alt) {
  if (PICTURE.test(kind)) return () => h("img", { class: "fj-media", src, alt, referrerPolicy: "no-referrer" });
  if (kind.startsWith("audio/")) return () => h("audio", { class: "fj-media", src, controls: true });
  if (kind.startsWith("video/")) return () => h("video", { class: "fj-media", src, controls: true });
  return null;
}

/** @param {string} address @param {() => Node} show */
function askedMedia(address, show) {
  const place = h("p", null);
  place.append(h("button", { type: "button", class: "fj-button", onclick: () => replace(place, show()) }, `Load from ${new URL(address).host}`));
  return place;
}

/**
 * @param {any} value
 * @param {string | null} name
 * @param {number} depth
 * @returns {Node}
 */
function tree(value, name, depth) {
  const label = name === null ? null : [h("span", null, plainText(name)), ": "];
  if (value === null || typeof value !== "object") return h("div", { class: "fj-leaf" }, label, scalar(value));
  const entries = Array.isArray(value) ? value.map((one, at) => /** @type {[string, any]} */ ([String(at), one])) : Object.entries(value);
  const told = Array.isArray(value) ? plural(entries.length, "item") : plural(entries.length, "key");
  if (!entries.length) return h("div", { class: "fj-leaf" }, label, Array.isArray(value) ? "[]" : "{}");
  const folded = depth > 0 && (depth > 3 || entries.length > SHOWN_ITEMS);
  const children = h("div", { class: "fj-children" });
  const details = h("details", { open: !folded }, h("summary", null, label, h("span", { class: "fj-muted" }, told)), children);
  let filled = 0;
  const fill = () => {
    const next = entries.slice(filled, filled + 100);
    for (const [key, one] of next) children.append(tree(one, key, depth + 1));
    filled += next.length;
    if (filled >= entries.length) return;
    const more = h("button", { type: "button", class: "fj-choice", onclick: () => (more.remove(), fill()) }, `${entries.length - filled} more`);
    children.append(more);
  };
  if (folded) details.addEventListener("toggle", fill, { once: true });
  else fill();
  return details;
}

/** @param {any} value */
function scalar(value) {
  if (typeof value !== "string") return h("span", { class: "fj-value" }, String(value));
  const shown = JSON.stringify(plainText(value.length > SHOWN_STRING ? value.slice(0, SHOWN_STRING) : value));
  if (value.length <= SHOWN_STRING) {
    return h("span", { class: "fj-string" }, /^https?:\/\/\S+$/i.test(value) ? link(value, shown) : shown);
  }
  const place = h("span", { class: "fj-string" }, `${shown.slice(0, -1)}… `);
  const more = h("button", { type: "button", class: "fj-choice", onclick: () => replace(place, JSON.stringify(plainText(value))) }, `${bytes(value.length)}`);
  place.append(more);
  return place;
}

/** @param {Record<string, any>[]} rows */
function recordTable(rows) {
  const heads = [...new Set(rows.slice(0, SHOWN_ROWS).flatMap((row) => Object.keys(row)))].slice(0, 30);
  return tableView(heads, rows.map((row) => heads.map((head) => row[head])));
}

/** @param {string[]} heads @param {any[][]} rows */
function tableView(heads, rows) {
  const shown = rows.slice(0, SHOWN_ROWS);
  const cell = (/** @type {any} */ value) => h("td", { class: typeof value === "number" ? "fj-number" : "" }, value === undefined || value === null ? "–" : plainText(String(value)));
  const table = h("table", { class: "fj-table" }, h("thead", null, h("tr", null, heads.map((head) => h("th", { scope: "col" }, plainText(head))))),
    h("tbody", null, shown.map((row) => h("tr", null, row.map(cell)))));
  const more = rows.length > shown.length ? h("p", { class: "fj-muted" }, `${shown.length} of ${plural(rows.length, "row")} shown`) : null;
  return h("div", { class: "fj-scroll", tabIndex: 0 }, table, more);
}

/** The rows of CSV text (RFC 4180). @param {string} text @returns {string[][]} */
export function csvRows(text) {
  /** @type {string[][]} */
  const rows = [];
  /** @type {string[]} */
  let row = [];
  for (const match of text.matchAll(/("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/g)) {
    row.push(match[1].startsWith('"') ? match[1].slice(1, -1).replace(/""/g, '"') : match[1]);
    if (match[2] !== ",") {
      if (row.length > 1 || row[0] !== "") rows.push(row);
      row = [];
      if (match[2] === "") break;
    }
  }
  return rows;
}

/** @param {string} text */
function csvView(text) {
  const [heads, ...rows] = csvRows(text);
  return heads ? tableView(heads, rows) : textView(text);
}

/** The copy button of a body. @param {import("./types.d.ts").Host} host @param {() => string} text */
export function copyButton(host, text) {
  return iconButton("copy", "Copy", () => host.copy(text()));
}

/** An answer that is shown while it comes: events of a stream one by one, other text as it grows. */
export function streamView() {
  const element = h("div", { class: "fj-json fj-stream", "aria-live": "off" });
  const decoder = new TextDecoder();
  let rest = "";
  let shown = 0;
  const show = (/** @type {string} */ event) => {
    const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, "")).join("\n");
    if (!data) return;
    shown += 1;
    if (shown > 500) element.firstChild?.remove();
    try {
      element.append(tree(JSON.parse(data), null, 1));
    } catch {
      element.append(h("div", { class: "fj-leaf" }, plainText(data)));
    }
  };
  return {
    element,
    /** @param {Uint8Array} piece */
    push(piece) {
      const events = (rest + decoder.decode(piece, { stream: true })).split(/\r?\n\r?\n/);
      rest = events.pop() ?? "";
      for (const event of events) show(event);
    },
    end() {
      if (rest) show(rest);
      rest = "";
    },
  };
}

/** A body as the inspector keeps it. @param {import("./types.d.ts").Body} body @param {AbortSignal} signal */
export function keptBodyView(body, signal) {
  const data = body.base64 ? Uint8Array.from(atob(body.base64), (c) => c.charCodeAt(0)) : new TextEncoder().encode(body.text);
  const note = body.truncated ? h("p", { class: "fj-muted" }, `the first ${bytes(data.length)} of ${bytes(body.size)} are kept`) : null;
  const view = body.truncated ? textView(body.base64 ? `${plural(data.length, "byte")} that are no text` : body.text) : resultView(data, body.content_type, signal);
  return h("div", null, view, note);
}
