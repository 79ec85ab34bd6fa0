// @ts-check
/**
 * An answer by its type: text, a tree of JSON, picture, sound, film, table, stream. Active content is shown as text,
 * never run.
 */
import { button, h, replace } from "../elements/dom.mjs";
import { bytes, plural } from "../text/format.mjs";
import { iconButton } from "../elements/glyphs.mjs";
import { csvRows, dataView, sizeWords, tableView } from "../elements/json_view.mjs";
import { parsedJson } from "../text/exact_json.mjs";
import { mediaGallery, mediaIn, shownKind, saveLink, wholeMedium } from "./media.mjs";
import { baseType, textOfBytes, textView } from "../text/plain.mjs";
import { isEventStream, streamView } from "./stream_view.mjs";

const AT_ONCE_BYTES = 4 << 20; // larger JSON is read after a press

const LONG_TEXT = 100000; // beyond it only the beginning is shown

/**
 * Show a whole body.
 * @param {Uint8Array} data
 * @param {string} contentType
 * @param {AbortSignal} signal its pictures' addresses are given back when it aborts
 * @param {import("../types.d.ts").Host} [host] for files of the own CDN
 * @returns {HTMLElement}
 */
export function resultView(data, contentType, signal, host) {
  const type = baseType(contentType);
  const blob = () => {
    const address = URL.createObjectURL(
      new Blob([/** @type {any} */ (data)], { type: shownKind(type) ? type : "application/octet-stream" }),
    );
    signal.addEventListener("abort", () => URL.revokeObjectURL(address));
    return address;
  };
  if (!data.length) return h("p", { class: "fj-muted" }, "The answer is empty.");
  if (shownKind(type)) return wholeMedium(blob(), type, data.length);
  const isJson = type === "application/json" || type.endsWith("+json");
  if (isJson && data.length > AT_ONCE_BYTES) return largeView(data, () => whole(), saveLink(blob(), "answer.json"));
  return whole();

  function whole() {
    const text = textOfBytes(data);
    if (text === null)
      return h("p", null, `${bytes(data.length)} of ${type || "no type"} `, saveLink(blob(), "answer.bin"));
    if (isJson) {
      try {
        return jsonView(parsedJson(text), host, signal);
      } catch {
        return textView(text);
      }
    }
    if (type === "text/csv") {
      const [heads, ...rows] = csvRows(text);
      return heads ? tableView(heads, rows) : textView(text);
    }
    if (isEventStream(type)) {
      const view = streamView(type, host, signal);
      view.push(data);
      view.end();
      return view.element;
    }
    return data.length > LONG_TEXT ? h("div", null, textView(text), saveLink(blob(), "answer.txt")) : textView(text);
  }
}

/**
 * A body that takes the page a while to read: its beginning first.
 * @param {Uint8Array} data
 * @param {() => Node} read
 * @param {Node} save
 */
function largeView(data, read, save) {
  const place = h("div", null);
  const beginning = new TextDecoder().decode(data.subarray(0, 20000));
  replace(
    place,
    h(
      "div",
      { class: "fj-bar-row" },
      `${bytes(data.length)} of JSON; the first 20 kB are shown. `,
      button("Read all of it", () => replace(place, read())),
      save,
    ),
    textView(beginning),
  );
  return place;
}

/**
 * A value of JSON: what it names to look at in front and the value folded, a table where it is a list of flat records,
 * else a tree. Beside files only, which show nothing of themselves, the value stays open.
 * @param {any} value
 * @param {import("../types.d.ts").Host} [host]
 * @param {AbortSignal} [signal]
 * @returns {HTMLElement}
 */
export function jsonView(value, host, signal = new AbortController().signal) {
  const media = mediaIn(value);
  if (!media.length) return dataView(value);
  const open = !media.some((one) => shownKind(one.type));
  const folded = h(
    "details",
    { class: "fj-fold", open },
    h("summary", null, "JSON ", h("span", { class: "fj-muted" }, typeof value === "string" ? "" : sizeWords(value))),
  );
  const fill = () => folded.append(dataView(value));
  if (open) fill();
  else folded.addEventListener("toggle", fill, { once: true });
  return h("div", null, mediaGallery(media, host, signal), folded);
}

/** The copy button of a body. @param {import("../types.d.ts").Host} host @param {() => string} text */
export function copyButton(host, text) {
  return iconButton("copy", "Copy", () => host.copy(text()));
}

/**
 * A body as the inspector keeps it.
 * @param {import("../types.d.ts").Body} body
 * @param {AbortSignal} signal
 * @param {import("../types.d.ts").Host} [host]
 */
export function keptBodyView(body, signal, host) {
  const data = body.base64
    ? Uint8Array.from(atob(body.base64), (c) => c.charCodeAt(0))
    : new TextEncoder().encode(body.text);
  const note =
    data.length < body.size
      ? h("p", { class: "fj-muted" }, `the first ${bytes(data.length)} of ${bytes(body.size)} are kept`)
      : null;
  const view =
    body.truncated && !isEventStream(body.content_type)
      ? textView(body.base64 ? `${plural(data.length, "byte")} that are not text` : body.text)
      : resultView(data, body.content_type, signal, host);
  return h("div", null, view, note);
}
