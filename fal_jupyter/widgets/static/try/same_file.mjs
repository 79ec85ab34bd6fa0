// @ts-check
/**
 * Whether the files of two inputs are the same: a file that was chosen here is a `data:` address, the same one from a cell an address
 * of the gateway. Their bytes are compared, where this page can read both.
 */
import { dataSize } from "../text/data_type.mjs";
import { bodyBytes } from "../inspector/recorded_input.mjs";
import { isFileRecord } from "../form/form_file.mjs";

const MOST_BYTES = 64 << 20;
const MOST_PAIRS = 8;

/** @typedef {(one: any, two: any) => boolean} SameFile */

/** The address of a file and its name, null for another value. @param {any} value */
function addressedFile(value) {
  const isRecord = value && typeof value === "object" && !Array.isArray(value) && isFileRecord(value);
  const address = isRecord ? value.url : value;
  if (typeof address !== "string" || !/^(data:[^,]{0,1000},|https?:)/i.test(address)) return null;
  return { address, name: String((isRecord && value.file_name) || "") };
}

/** What stands behind the comma of a `data:` address of base64, "" for another one. @param {string} address */
function base64Of(address) {
  const [head] = /^data:[^,]{0,1000};base64,/i.exec(address) ?? [""];
  return head ? address.slice(head.length) : "";
}

/**
 * Whether two values are one file: their bytes where both have them, else what `read` says of their addresses.
 * @param {any} one
 * @param {any} two
 * @param {(one: string, two: string) => boolean} [read]
 */
export function isSameFile(one, two, read = () => false) {
  const [a, b] = [addressedFile(one), addressedFile(two)];
  if (!a || !b || (a.name && b.name && a.name !== b.name)) return false;
  if (a.address === b.address) return true;
  const [first, second] = [base64Of(a.address), base64Of(b.address)];
  return first && second ? first === second : read(a.address, b.address);
}

/** Reads the files of the gateway to compare them, and remembers the last ones. */
export class FileComparison {
  /**
   * @param {import("../types.d.ts").Host} host
   * @param {AbortSignal} signal
   * @param {() => void} known is called when files that were read turn out to differ
   */
  constructor(host, signal, known) {
    this.host = host;
    this.signal = signal;
    this.known = known;

    /** @type {{one: string, two: string, same: boolean}[]} */
    this.pairs = [];
  }

  /** @type {SameFile} */
  isSame = (one, two) => isSameFile(one, two, (first, second) => this.areSame(first, second));

  /** Files that are being read count as the same: nothing is said of them that may be wrong. @param {string} one @param {string} two */
  areSame(one, two) {
    const known = this.pairs.find((pair) => pair.one === one && pair.two === two);
    if (known) return known.same;
    if (![one, two].every((address) => /^data:/i.test(address) || this.host.media?.(address, this.signal)))
      return false;
    const pair = { one, two, same: true };
    this.pairs = [pair, ...this.pairs].slice(0, MOST_PAIRS);
    void this.compare(pair);
    return true;
  }

  /** @param {{one: string, two: string, same: boolean}} pair */
  async compare(pair) {
    const [one, two] = await Promise.all([this.bytesOf(pair.one), this.bytesOf(pair.two)]);
    pair.same = one !== null && two !== null && one.length === two.length && one.every((byte, at) => byte === two[at]);
    if (!pair.same && !this.signal.aborted) this.known();
  }

  /** @param {string} address @returns {Promise<Uint8Array | null>} null where it cannot be read */
  async bytesOf(address) {
    try {
      if (/^data:/i.test(address)) return dataBytes(address);
      const place = await this.host.media?.(address, this.signal);
      if (!place) return null;
      const answer = await fetch(place, { signal: this.signal, credentials: "same-origin" });
      if (!answer.ok || Number(answer.headers.get("content-length") ?? 0) > MOST_BYTES) return null;
      return new Uint8Array(await answer.arrayBuffer());
    } catch {
      return null;
    }
  }
}

/** @param {string} address */
function dataBytes(address) {
  if (dataSize(address) > MOST_BYTES) return null;
  const base64 = base64Of(address);
  const text = base64 ? "" : decodeURIComponent(address.slice(address.indexOf(",") + 1));
  return bodyBytes({ content_type: "", size: 0, text, base64, truncated: false });
}
