// @ts-check
/** What is behind a `data:` address: its type, and how a program may call its file. */
import { baseType } from "./plain.mjs";

/** How files begin, a character for each byte. @type {[RegExp, string][]} */
const BEGINNINGS = [
  [/^\x89PNG\r\n/, "image/png"],
  [/^\xff\xd8\xff/, "image/jpeg"],
  [/^GIF8/, "image/gif"],
  [/^RIFF.{4}WEBP/s, "image/webp"],
  [/^.{4}ftypavif/s, "image/avif"],
  [/^RIFF.{4}WAVE/s, "audio/wav"],
  [/^(ID3|\xff[\xfb\xf3\xf2])/, "audio/mpeg"],
  [/^OggS/, "audio/ogg"],
  [/^fLaC/, "audio/flac"],
  [/^.{4}ftyp/s, "video/mp4"],
  [/^\x1a\x45\xdf\xa3/, "video/webm"],
  [/^%PDF-/, "application/pdf"],
];
const LOOKED_AT = 24; // characters of base64
/** @type {Record<string, string>} */
const ENDINGS = { jpeg: "jpg", plain: "txt", "octet-stream": "bin", mpeg: "mp3", quicktime: "mov", "svg+xml": "svg" };

/**
 * The type of a `data:` address, in lower case; where it is declared as bytes (for a file that was read by its path),
 * what they begin as. "" for another text.
 * @param {string} address
 */
export function dataType(address) {
  const match = /^data:([^;,]*)((?:;[^,;]*)*),/i.exec(address.slice(0, 1000));
  if (!match) return "";
  const type = baseType(match[1]).replace("image/jpg", "image/jpeg");
  if (type !== "application/octet-stream" || !/;base64$/i.test(match[2])) return type;
  try {
    const bytes = atob(address.slice(match[0].length, match[0].length + LOOKED_AT).replace(/=+$/, ""));
    return BEGINNINGS.find(([begin]) => begin.test(bytes))?.[1] ?? type;
  } catch {
    return type;
  }
}

/** The bytes that a text of base64 stands for: its padding is none. @param {string} text */
export function base64Size(text) {
  const padding = /=*$/.exec(text.slice(-2))?.[0].length ?? 0;
  return Math.floor(((text.length - padding) * 3) / 4);
}

/** The bytes behind a `data:` address. @param {string} address */
export function dataSize(address) {
  const comma = address.indexOf(",");
  const text = address.slice(comma + 1);
  if (/;base64$/i.test(address.slice(0, comma))) return base64Size(text);
  return new TextEncoder().encode(text.replace(/%[\da-f]{2}/gi, "-")).length;
}

/** `input.png` for `image/png`. @param {string} type */
export function fileNameOf(type) {
  const kind = (type.split("/")[1] ?? "bin").replace(/^x-/, "");
  return `input.${ENDINGS[kind] ?? kind.replace(/\+.*/, "")}`;
}
