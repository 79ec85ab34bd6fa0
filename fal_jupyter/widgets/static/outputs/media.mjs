// @ts-check
/**
 * Pictures, sounds, films and other files of an answer. Media of the own CDN are shown at once; a stranger's server is
 * asked after a press only.
 */
import { button, h, replace } from "../elements/dom.mjs";
import { ownFile } from "../connection/host.mjs";
import { glyph } from "../elements/glyphs.mjs";
import { base64Size, dataSize, dataType } from "../text/data_type.mjs";
import { bytes, plural } from "../text/format.mjs";
import { baseType, plainText } from "../text/plain.mjs";

const PICTURE = /^image\/(png|jpeg|gif|webp|avif|bmp)$/;
const MOST_MEDIA = 48;
const MOST_LOOKED_AT = 5000;
const DEEPEST_MEDIA = 6;
/** @type {Record<string, string>} */
const BY_ENDING = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  wav: "audio/wav",
  mp3: "audio/mpeg",
  ogg: "audio/ogg",
  opus: "audio/ogg",
  flac: "audio/flac",
  m4a: "audio/mp4",
  aac: "audio/aac",
  mp4: "video/mp4",
  webm: "video/webm",
  mov: "video/quicktime",
};

/** @typedef {{address: string, type: string, name: string, size: number}} Medium `type` is "" where it is not known */

const FILE_FACTS = ["content_type", "file_name", "file_size"];

/** Whether a record with an address is a file, as `fal.toolkit.File` is written. @param {any} record */
function isFile(record) {
  return typeof record === "object" && FILE_FACTS.some((key) => key in record);
}

/** What a type is shown as: "image", "audio", "video", or "" for what is not. @param {string} type */
export function shownKind(type) {
  if (PICTURE.test(type)) return "image";
  return /^(audio|video)\//.exec(type)?.[1] ?? "";
}

/**
 * The type of what lies at an address, "" where it is nothing that is shown.
 * @param {string} address
 * @param {string} declared
 */
function typeAt(address, declared) {
  if (/^data:/i.test(address)) return dataType(address);
  if (!/^https?:\/\//i.test(address)) return "";
  return (
    (declared === "application/octet-stream" ? "" : declared) ||
    (BY_ENDING[/\.(\w{3,4})(?:[?#]|$)/.exec(address.slice(-2000))?.[1].toLowerCase() ?? ""] ?? "")
  );
}

/**
 * What lies at an address, null where that is nothing to show or save.
 * @param {string} address
 * @param {any} record that has the address, an empty one for a text
 * @returns {Medium | null}
 */
function mediumOf(address, record) {
  const declared = typeof record.content_type === "string" ? baseType(record.content_type) : "";
  const type = typeAt(address, declared) || declared;
  const isAddress = /^(data:|https?:\/\/)/i.test(address);
  if (!isAddress || !(shownKind(type) || isFile(record))) return null;
  const given = typeof record.file_name === "string" ? record.file_name : "";
  // a made-up name says nothing
  const name = !given || /^[\da-f]{16,}\./i.test(given) ? madeName(type) : given;
  const isHere = /^data:/i.test(address);
  return {
    address,
    type,
    name: plainText(name.slice(0, 200)),
    size: typeof record.file_size === "number" ? record.file_size : isHere ? dataSize(address) : 0,
  };
}

/** The name of a file without one of its own. @param {string} type */
function madeName(type) {
  return type.includes("/") ? type.replace("/", ".") : "file.bin";
}

/**
 * The pictures, sounds, films and files that a value names by an address, in its order.
 * @param {any} value
 * @returns {Medium[]}
 */
export function mediaIn(value) {
  /** @type {Map<string, Medium>} */
  const media = new Map();
  let looked = 0;
  const take = (/** @type {string} */ address, /** @type {any} */ record) => {
    const medium = mediumOf(address, record);
    if (medium && !media.has(address)) media.set(address, medium);
    return medium !== null;
  };
  const walk = (/** @type {any} */ one, /** @type {number} */ depth) => {
    looked += 1;
    if (looked > MOST_LOOKED_AT || media.size >= MOST_MEDIA) return;
    if (typeof one === "string") take(one, {});
    else if (one !== null && typeof one === "object" && depth < DEEPEST_MEDIA) {
      if (typeof one.url === "string" && take(one.url, one)) return;
      for (const key in one) if (looked <= MOST_LOOKED_AT) walk(one[key], depth + 1);
    }
  };
  walk(value, 0);
  return [...media.values()];
}

/**
 * @param {Medium[]} media
 * @param {import("../types.d.ts").Host | undefined} host
 * @param {AbortSignal} signal
 * @returns {HTMLElement}
 */
export function mediaGallery(media, host, signal) {
  /** @type {Map<string, (() => void)[]>} what waits for a press, by its server */
  const asking = new Map();
  const tiles = media.map((one) => {
    if (!shownKind(one.type)) return fileTile(one, host, signal);
    const tile = h("figure", { class: "fj-tile" });
    const own = one.address.startsWith("data:") ? one.address : (host?.media?.(one.address, signal) ?? null);
    if (own !== null) loadTile(tile, one, own);
    else {
      const from = new URL(one.address).host;
      const load = () => loadTile(tile, one, one.address);
      asking.set(from, [...(asking.get(from) ?? []), load]);
      replace(
        tile,
        h(
          "div",
          { class: "fj-tile-ask" },
          h("span", { class: "fj-muted fj-cut", title: one.name }, one.name),
          button(`Load from ${from}`, load),
        ),
      );
    }
    return tile;
  });
  const all = [...asking]
    .filter(([, loads]) => loads.length > 1)
    .map(([from, loads]) => {
      const press = button(`Load all ${loads.length} from ${from}`, () => {
        for (const load of loads) load();
        press.remove();
      });
      return press;
    });
  return h(
    "div",
    { class: "fj-media-group" },
    all.length ? h("div", { class: "fj-bar-row" }, all) : null,
    h("div", { class: `fj-gallery${media.length === 1 ? " fj-alone" : ""}` }, tiles),
  );
}

/**
 * A file that cannot be shown: its name, type and size, and the way to have it. Nothing is loaded before a press.
 * @param {Medium} file
 * @param {import("../types.d.ts").Host | undefined} host
 * @param {AbortSignal} signal
 */
function fileTile(file, host, signal) {
  const isNamed = file.name !== madeName(file.type);
  const facts = [file.type || "no type", file.size ? bytes(file.size) : ""].filter(Boolean).join(" · ");
  const action = h("span", { class: "fj-file-action" });
  const isKernels = host?.kind === "kernel" && ownFile(file.address, host.store.view.gateway);
  const load = async () => {
    replace(action, "Loading …");
    try {
      replace(action, saveLink((await host?.media?.(file.address, signal)) ?? file.address, file.name));
    } catch (error) {
      replace(action, error instanceof Error ? plainText(error.message) : String(error));
    }
  };
  const source = () =>
    file.address.startsWith("data:") ? file.address : (host?.media?.(file.address, signal) ?? file.address);
  replace(action, isKernels ? button("Load", load) : saveLink(/** @type {string} */ (source()), file.name));
  return h(
    "figure",
    { class: "fj-tile fj-file-tile" },
    glyph("file"),
    h(
      "span",
      { class: "fj-file-words" },
      h("span", { class: "fj-cut", title: isNamed ? file.name : null }, isNamed ? file.name : "File"),
      h("span", { class: "fj-muted fj-cut", title: facts }, facts),
    ),
    action,
  );
}

/** @param {HTMLElement} tile @param {Medium} medium @param {string | Promise<string>} source */
function loadTile(tile, medium, source) {
  if (typeof source === "string") return fillTile(tile, medium, source);
  replace(tile, h("div", { class: "fj-tile-ask fj-muted" }, "Loading …"));
  source.then(
    (address) => fillTile(tile, medium, address),
    (error) => replace(tile, brokenMedium(medium, "", error instanceof Error ? error.message : String(error))),
  );
}

/** @param {HTMLElement} tile @param {Medium} medium @param {string} source */
function fillTile(tile, medium, source) {
  const facts = h("span", { class: "fj-muted" }, medium.size ? bytes(medium.size) : "");
  const caption = h(
    "figcaption",
    null,
    medium.name === madeName(medium.type) ? null : h("span", { class: "fj-cut", title: medium.name }, medium.name),
    facts,
    h("span", { class: "fj-space" }),
    saveLink(source, medium.name),
  );
  replace(
    tile,
    mediumElement(
      medium,
      source,
      (width, height) => {
        facts.textContent = [width ? `${width} × ${height}` : "", medium.size ? bytes(medium.size) : ""]
          .filter(Boolean)
          .join(" · ");
      },
      () => replace(tile, brokenMedium(medium, source, "")),
    ),
    caption,
  );
}

/**
 * @param {Medium} medium
 * @param {string} source
 * @param {(width: number, height: number) => void} loaded
 * @param {() => void} failed
 * @returns {HTMLElement}
 */
function mediumElement(medium, source, loaded, failed) {
  const kind = shownKind(medium.type);
  if (kind !== "image") {
    return h(kind, {
      class: "fj-media",
      src: source,
      controls: true,
      preload: "metadata",
      "aria-label": medium.name,
      onerror: failed,
      onloadedmetadata: (/** @type {any} */ event) =>
        loaded(event.currentTarget.videoWidth ?? 0, event.currentTarget.videoHeight ?? 0),
    });
  }
  const picture = h("img", {
    class: "fj-media",
    src: source,
    alt: medium.name,
    referrerPolicy: "no-referrer",
    onerror: failed,
    onload: () => loaded(picture.naturalWidth, picture.naturalHeight),
  });
  return h(
    "button",
    {
      type: "button",
      class: "fj-tile-button",
      title: "Enlarge",
      "aria-label": `Enlarge ${medium.name}`,
      "aria-pressed": "false",
      onclick: (/** @type {MouseEvent} */ event) => {
        const pressed = /** @type {HTMLElement} */ (event.currentTarget);
        const large = pressed.closest(".fj-tile")?.classList.toggle("fj-large") ?? false;
        pressed.setAttribute("aria-pressed", String(large));
        pressed.title = large ? "Make it small again" : "Enlarge";
        if (large) pressed.scrollIntoView?.({ block: "nearest" });
      },
    },
    picture,
  );
}

/** @param {Medium} medium @param {string} source @param {string} reason */
function brokenMedium(medium, source, reason) {
  const noun = { image: "picture", audio: "sound", video: "film" }[shownKind(medium.type)] ?? "file";
  const facts = [medium.type, medium.size ? bytes(medium.size) : ""].filter(Boolean).join(", ");
  return h(
    "div",
    { class: "fj-tile-ask", role: "note" },
    h("span", null, `This ${noun} cannot be shown (${facts}).`),
    reason ? h("span", { class: "fj-muted" }, plainText(reason)) : null,
    source ? saveLink(source, medium.name) : null,
  );
}

/** Whether an address is of another server than the page. @param {string} address */
function isForeign(address) {
  return /^https?:/i.test(address) && new URL(address).origin !== globalThis.location?.origin;
}

/** @param {string} address @param {string} name @returns {HTMLElement} */
export function saveLink(address, name) {
  return h(
    "a",
    {
      href: address,
      download: name.replace(/[^\w.-]+/g, "_"),
      rel: "noopener noreferrer",
      // a browser opens another server's file instead of saving it: that must not take the place of this page
      target: isForeign(address) ? "_blank" : null,
      "aria-label": `Save ${name}`,
    },
    "Save",
  );
}

/**
 * Bytes of a picture, a sound or a film that came as the answer itself.
 * @param {string} source
 * @param {string} type
 * @param {number} size
 */
export function wholeMedium(source, type, size) {
  const tile = h("figure", { class: "fj-tile" });
  fillTile(
    tile,
    {
      address: source,
      type,
      name: `answer.${Object.keys(BY_ENDING).find((ending) => BY_ENDING[ending] === type) ?? type.split("/")[1] ?? "bin"}`,
      size,
    },
    source,
  );
  return h("div", { class: "fj-gallery fj-alone" }, tile);
}

/**
 * The pictures that an endpoint displayed.
 * @param {import("../types.d.ts").Display[]} displays
 * @returns {HTMLElement | null}
 */
export function displaysView(displays) {
  const kept = displays.filter((one) => one.base64 && shownKind(one.content_type) === "image");
  const lost = displays.length - kept.length;
  if (!displays.length) return null;
  const tiles = kept.map((one, at) => {
    const tile = h("figure", { class: "fj-tile" });
    const ending = one.content_type.split("/")[1];
    fillTile(
      tile,
      {
        address: "",
        type: one.content_type,
        name: `display-${at + 1}.${ending}`,
        size: base64Size(one.base64),
      },
      `data:${one.content_type};base64,${one.base64}`,
    );
    return tile;
  });
  return h(
    "div",
    { class: "fj-media-group fj-displays", role: "group", "aria-label": "displayed" },
    h("div", { class: "fj-label" }, "Displayed"),
    h("div", { class: `fj-gallery${kept.length === 1 ? " fj-alone" : ""}` }, tiles),
    lost ? h("p", { class: "fj-muted" }, `${plural(lost, "picture")} not kept`) : null,
  );
}

/**
 * The thumbnails that were saved of an output, and the names of what has none. A notebook may come from a stranger: its
 * bytes are shown, no address of it is asked.
 * @param {import("../types.d.ts").SavedOutput} output
 */
export function savedMedia(output) {
  const named = (/** @type {string} */ text) => h("div", { class: "fj-tile-ask fj-muted" }, plainText(text));
  const file = (/** @type {string} */ text) =>
    h("div", { class: "fj-tile fj-file-tile" }, glyph("file"), h("span", { class: "fj-file-words" }, plainText(text)));
  const tiles = output.pictures.map((one) =>
    one.base64 && shownKind(one.content_type) === "image"
      ? h(
          "figure",
          { class: "fj-tile" },
          h("img", {
            class: "fj-media",
            src: `data:${one.content_type};base64,${one.base64}`,
            alt: plainText(one.text),
            title: plainText(one.text),
          }),
          h("figcaption", null, h("span", { class: "fj-cut fj-muted" }, plainText(one.text))),
        )
      : named(one.text),
  );
  return h(
    "div",
    { class: "fj-media-group" },
    h("div", { class: `fj-gallery${output.pictures.length === 1 ? " fj-alone" : ""}` }, tiles),
    output.others.map(file),
  );
}
