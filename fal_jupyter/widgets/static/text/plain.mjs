// @ts-check
/**
 * Text of users as it can be shown: no character of it acts on the page, on the direction of the text or on the
 * terminal.
 */
import { h } from "../elements/dom.mjs";
import { bytes } from "./format.mjs";

const SHOWN_TEXT = 100000;

/** Text without colours of a terminal, with control characters made visible. @param {string} text */
export function plainText(text) {
  return withoutControls(
    text
      // eslint-disable-next-line no-control-regex
      .replace(/\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g, "")
      .replace(/(?:\u001b\[|\u009b)[0-9;:?]*[ -/]*[@-~]/g, ""),
  );
}

/** Control characters made visible, those of the direction too. @param {string} text */
export function withoutControls(text) {
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, (c) =>
      c === "\u007f" ? "\u2421" : String.fromCharCode(0x2400 + c.charCodeAt(0)),
    )
    .replace(/[\u0080-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\u2423");
}

const NAME_LENGTH = 32;

/** A long name as its beginning and its end. @param {string} name @param {number} [most] */
export function shortText(name, most = NAME_LENGTH) {
  const [text, half] = [plainText(name), Math.floor((most - 1) / 2)];
  return text.length > most ? `${text.slice(0, most - 1 - half)}…${text.slice(-half)}` : text;
}

/** As `shortText`, with the whole name in the title of a shortened one. @param {string} name @param {number} [most] */
export function shortName(name, most = NAME_LENGTH) {
  const [whole, text] = [plainText(name), shortText(name, most)];
  return h("span", text === whole ? null : { title: whole }, text);
}

/** The type without its parameters. @param {string} type */
export function baseType(type) {
  return type.split(";")[0].trim().toLowerCase();
}

/** The text that bytes are in UTF-8, null where they are none. @param {Uint8Array} data */
export function textOfBytes(data) {
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
