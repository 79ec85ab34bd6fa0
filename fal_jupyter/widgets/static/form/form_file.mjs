// @ts-check
/** The picker of a file: chosen, dropped, pasted or given by its address, with a preview, and taken away again. */
import { button, h, newId, replace, setText } from "../elements/dom.mjs";
import { dataSize, dataType } from "../text/data_type.mjs";
import { dataAddress } from "./form_body.mjs";
import { fieldFrame } from "./form_field.mjs";
import { bytes } from "../text/format.mjs";
import { glyph, iconButton } from "../elements/glyphs.mjs";
import { FileInput } from "../text/literals.mjs";
import { isUpload, startOf } from "./schema.mjs";

/** @typedef {import("./schema.mjs").Schema} Schema */
/**
 * A file that is picked: its address (`data:` where it was read here), and what is known of it.
 * @typedef {{url: string, name?: string, type?: string, size?: number}} Picked
 */

const ACCEPTED = { image: "image/*", audio: "audio/*", video: "video/*", file: "" };
const NOUNS = { image: "an image", audio: "a sound file", video: "a video", file: "a file" };

/** @param {File} chosen @returns {Promise<Picked>} */
export function readFile(chosen) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () =>
      resolve({ url: String(reader.result), name: chosen.name, type: chosen.type, size: chosen.size });
    reader.onerror = () => reject(new Error(`${chosen.name} could not be read.`));
    reader.readAsDataURL(chosen);
  });
}

/** The media type of a file: one that was read by its path is only declared as bytes. @param {Picked} picked */
function typeOf({ url, type = "" }) {
  return !type || type === "application/octet-stream" ? dataType(url) || type : type.toLowerCase();
}

/** @param {Picked} picked */
function sizeOf({ url, size }) {
  return size ?? (url.startsWith("data:") ? dataSize(url) : undefined);
}

/**
 * A picked file in words: its name or address, and its facts; of a picture the subtype is enough.
 * @param {Picked} picked
 * @param {string} kind as `mediaKind` gives it
 */
export function pickedWords(picked, kind) {
  const size = sizeOf(picked);
  const type = typeOf(picked);
  const local = picked.url.startsWith("data:");
  return {
    title: picked.name ?? (local ? `${kind} of this call` : picked.url),
    tooltip: local ? (picked.name ?? "") : picked.url,
    type,
    facts: [size === undefined ? "" : bytes(size), type.replace(/^image\//, "")].filter(Boolean),
  };
}

/**
 * What is picked, to look at or listen to. A remote file is shown when it is asked for: an app's example must not make
 * this page call a stranger.
 * @param {Picked} picked
 * @param {string} kind
 * @param {(text: string) => void} measured gets its size in pixels or its length
 * @returns {Node}
 */
function preview(picked, kind, measured) {
  const type = typeOf(picked) || `${kind}/*`;
  const broken = (/** @type {any} */ event) =>
    event.currentTarget.replaceWith(h("span", { class: "fj-thumb fj-muted" }, "no preview"));
  const show = () => {
    if (type.startsWith("image/")) {
      return h("img", {
        class: "fj-thumb",
        src: picked.url,
        alt: `preview of ${picked.name ?? "the image"}`,
        referrerPolicy: "no-referrer",
        onerror: broken,
        onload: (/** @type {any} */ event) =>
          measured(`${event.currentTarget.naturalWidth} × ${event.currentTarget.naturalHeight}`),
      });
    }
    if (type.startsWith("audio/"))
      return h("audio", {
        class: "fj-player",
        src: picked.url,
        controls: true,
        onerror: broken,
        "aria-label": `preview of ${picked.name ?? "the sound"}`,
      });
    if (type.startsWith("video/"))
      return h("video", {
        class: "fj-player",
        src: picked.url,
        controls: true,
        onerror: broken,
        "aria-label": `preview of ${picked.name ?? "the video"}`,
      });
    return h("span", { class: "fj-thumb" }, glyph("logs"));
  };
  if (/^(data|blob):/i.test(picked.url)) return show();
  if (!/^https?:/i.test(picked.url) || kind === "file") return h("span", { class: "fj-thumb" }, glyph("link"));
  const place = h("span", { class: "fj-thumb" });
  place.append(
    h(
      "button",
      {
        type: "button",
        class: "fj-choice",
        title: "Load it from its address",
        onclick: () => place.replaceWith(show()),
      },
      "Show",
    ),
  );
  return place;
}

/** @param {any} value @returns {Picked | null} */
function pickedOf(value) {
  if (typeof value === "string") return value ? { url: value, name: dataAddress(value)?.name || undefined } : null;
  return value?.url
    ? {
        url: String(value.url),
        name: value.file_name ?? undefined,
        type: value.content_type ?? undefined,
        size: value.file_size ?? undefined,
      }
    : null;
}

/**
 * @param {Schema} schema resolved
 * @param {string} kind as `mediaKind` gives it
 * @param {import("./form_field.mjs").How & {picked?: Picked}} how
 * @returns {import("./form_field.mjs").Control}
 */
export function fileControl(schema, kind, how) {
  return new FileControl(schema, kind, how).handle();
}

class FileControl {
  /**
   * @param {Schema} schema resolved
   * @param {string} kind as `mediaKind` gives it
   * @param {import("./form_field.mjs").How & {picked?: Picked}} how
   */
  constructor(schema, kind, how) {
    this.schema = schema;
    this.kind = kind;
    this.how = how;

    /** @type {Picked | null} */
    this.picked = null;
    this.reading = false;
    this.uploads = isUpload(this.schema); // it is sent itself, with its name
    this.noun = NOUNS[/** @type {keyof typeof NOUNS} */ (this.kind)];
    this.input = this.fileInput();
    this.address = this.addressInput();
    this.zone = this.dropZone();
    this.look = h("span", { class: "fj-look" });
    this.title = h("span", { class: "fj-cut" });
    this.facts = h("span", { class: "fj-muted fj-nowrap" });
    this.remove = iconButton(
      "close",
      `Remove the ${this.kind}`,
      () => (this.put(null), this.how.changed(), this.input.focus()),
    );
    this.chosen = h(
      "div",
      { class: "fj-picked", hidden: true, ondragover: this.zone.ondragover },
      this.look,
      h("span", { class: "fj-picked-words" }, this.title, this.facts),
      this.remove,
    );
    const frame = fieldFrame(this.zone, this.schema, this.chosen);
    this.element = frame.element;
    this.showAt = frame.show;
    this.element.classList.add("fj-picker");
    this.whole = this.schema.type === "object";
    this.put(
      this.how.picked ??
        pickedOf(this.how.required ? startOf(this.schema, this.how.examples !== false) : this.schema.default),
    );
  }

  fileInput() {
    return h("input", {
      type: "file",
      id: this.how.id ?? newId(),
      class: "fj-file fj-visually-hidden",
      accept: ACCEPTED[/** @type {keyof typeof ACCEPTED} */ (this.kind)],
      "aria-label": this.how.id ? null : `choose ${this.noun}`,
      onchange: () => (this.take(this.input.files?.[0]), (this.input.value = "")), // the same file can be chosen again
    });
  }

  addressInput() {
    const typed = () => this.address.value.trim();
    return h("input", {
      class: "fj-input",
      type: "text",
      placeholder: "or an address: https://…",
      "aria-label": `address of the ${this.kind}`,
      spellcheck: false,
      autocomplete: "off",
      onchange: () => typed() && this.put({ url: typed() }),
      oninput: () => {
        // read as typed; drawn when the box is left
        this.picked = typed() ? { url: typed() } : null;
        if (this.picked) this.show("");
        this.how.changed();
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) =>
        event.key === "Enter" &&
        !event.ctrlKey &&
        !event.metaKey &&
        (event.preventDefault(), typed() && this.put({ url: typed() })),
    });
  }

  /** Where a file is chosen, dropped, pasted or given by its address. */
  dropZone() {
    return h(
      "div",
      {
        class: "fj-drop",
        title: `Drop or paste ${this.noun} here`,
        ondragover: (/** @type {DragEvent} */ event) => (
          event.preventDefault(), event.stopPropagation(), this.zone.classList.add("fj-drop-here")
        ),
        ondragleave: () => this.zone.classList.remove("fj-drop-here"),
        ondrop: (/** @type {DragEvent} */ event) => (
          event.preventDefault(),
          event.stopPropagation(),
          this.zone.classList.remove("fj-drop-here"),
          this.take(event.dataTransfer?.files[0])
        ),
        onpaste: (/** @type {ClipboardEvent} */ event) =>
          event.clipboardData?.files.length && (event.preventDefault(), this.take(event.clipboardData.files[0])),
      },
      this.input,
      h(
        "span",
        { class: "fj-button", "aria-hidden": "true", onclick: () => this.input.click() },
        `Choose ${this.noun}`,
      ),
      h("span", { class: "fj-muted fj-drop-hint" }, "or drop it here"),
      this.uploads ? null : this.address,
    );
  }

  show(/** @type {string} */ problem) {
    return this.showAt(problem, this.input);
  }

  put(/** @type {Picked | null} */ next) {
    const wasHere = this.zone.contains(document.activeElement); // what has the focus is about to be hidden
    this.picked = next;
    this.zone.hidden = Boolean(next);
    this.chosen.hidden = !next;
    if (wasHere && next) this.remove.focus();
    this.show("");
    this.address.value = "";
    if (!next) return replace(this.look);
    const { title, tooltip, type, facts } = pickedWords(next, this.kind);
    setText(this.title, title);
    this.title.title = tooltip;
    setText(this.facts, facts.join(" · "));
    this.facts.title = type;
    replace(
      this.look,
      preview(
        next,
        this.kind,
        (measured) => this.picked === next && setText(this.facts, [measured, ...facts].join(" · ")),
      ),
    );
  }

  async take(/** @type {File | undefined} */ file) {
    if (!file) return;
    if (this.kind !== "file" && file.type && !file.type.startsWith(`${this.kind}/`)) {
      this.show(`${file.name} is not ${this.noun}.`);
      return;
    }
    this.reading = true;
    try {
      this.put(await readFile(file));
      this.how.changed();
    } catch (error) {
      this.show(error instanceof Error ? error.message : String(error));
    }
    this.reading = false;
  }

  value = () => {
    if (!this.picked) return undefined;
    const { url, name, type } = this.picked;
    if (this.uploads && name && !/^data:[^,]*;name=/.test(url))
      return url.replace(
        /^data:([^;,]*)/,
        (_, kind) => `data:${kind || "application/octet-stream"};name=${encodeURIComponent(name)}`,
      );
    if (!this.whole) return url;
    return url.startsWith("data:") && name
      ? { url, file_name: name, ...(type ? { content_type: type } : {}) }
      : { url };
  };

  problem() {
    if (this.reading) return "The file is still being read.";
    if (!this.picked)
      return this.how.required && !this.schema.nullable
        ? `${this.noun[0].toUpperCase()}${this.noun.slice(1)} is required.`
        : "";
    if (this.uploads)
      return this.picked.url.startsWith("data:") ? "" : "This endpoint takes the file itself: choose it.";
    return /^(https?:\/\/|data:|blob:|\/)/i.test(this.picked.url) ? "" : "An address begins with https:// or data:.";
  }

  /** What the caller of fileControl gets. */
  handle() {
    return {
      element: this.element,
      read: this.value,
      problem: () => this.show(this.problem()),
      write: (/** @type {any} */ given) => this.put(pickedOf(given)),
    };
  }
}

const FILE_RECORD_KEYS = new Set(["url", "content_type", "file_name", "file_size", "file_data", "width", "height"]);

/** True for a file alone; an input may have the address of one among its other values. @param {Record<string, any>} value */
export function isFileRecord(value) {
  return Boolean(value.url) && Object.keys(value).every((key) => FILE_RECORD_KEYS.has(key));
}

/**
 * A value with each file replaced by its name, without addresses and bytes.
 * @param {any} value
 * @param {number} [depth]
 * @returns {any}
 */
export function withFilesNamed(value, depth = 0) {
  if (typeof value === "string") return isAddress(value) ? addressName(value) : value;
  if (value instanceof FileInput) return value.words ?? value.name;
  if (value === null || typeof value !== "object" || depth > 6) return value;
  if (Array.isArray(value))
    return keptSame(
      value,
      value.map((one) => withFilesNamed(one, depth + 1)),
    );
  if (
    isFileRecord(value) &&
    (value.url instanceof FileInput || (typeof value.url === "string" && isAddress(value.url)))
  )
    return typeof value.file_name === "string" && value.file_name ? value.file_name : withFilesNamed(value.url);
  const entries = Object.entries(value);
  const named = entries.map(([, one]) => withFilesNamed(one, depth + 1));
  return entries.every(([, one], at) => one === named[at])
    ? value
    : Object.fromEntries(entries.map(([name], at) => [name, named[at]]));
}

/** @param {any[]} before @param {any[]} now */
function keptSame(before, now) {
  return before.every((one, at) => one === now[at]) ? before : now;
}

/** @param {string} text */
function isAddress(text) {
  return /^(data:[^,]{0,300},|https?:\/\/)/i.test(text);
}

/** `fox.png`, `an image of 2 kB`, else `a file`. @param {string} address */
function addressName(address) {
  if (!/^data:/i.test(address)) {
    const last = /([^/?#]+\.\w{2,5})(?:[?#]|$)/.exec(address.replace(/^https?:\/\/[^/]*/i, ""))?.[1] ?? "";
    return last && last.length <= 40 && !/^[\da-f]{16,}\./i.test(last) ? last : "a file";
  }
  const named = dataAddress(address.slice(0, 500))?.name;
  if (named) return named;
  const kind = typeOf({ url: address }).split("/")[0];
  return `${{ image: "an image", audio: "a sound", video: "a video" }[kind] ?? "a file"} of ${bytes(sizeOf({ url: address }) ?? 0)}`;
}

/**
 * The button that picks several files at once.
 * @param {string} kind
 * @param {(picked: Picked[]) => void} add
 */
export function manyFiles(kind, add) {
  const input = h("input", {
    type: "file",
    multiple: true,
    hidden: true,
    accept: ACCEPTED[/** @type {keyof typeof ACCEPTED} */ (kind)],
    tabIndex: -1,
    onchange: async () => {
      const files = [...input.files];
      input.value = "";
      add(await Promise.all(files.map(readFile)));
    },
  });
  return [button([glyph("add"), "Choose files"], () => input.click()), input];
}
