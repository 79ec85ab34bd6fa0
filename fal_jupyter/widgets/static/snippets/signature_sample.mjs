// @ts-check
/** What an endpoint needs, by its signature alone: of an app that is not there its schema is not known. */
import { FileInput } from "../text/literals.mjs";
import { parametersOf } from "../text/signature.mjs";

/** @type {Record<string, any>} */
const PLAIN_SAMPLES = {
  str: "text",
  int: 1,
  float: 1,
  bool: false,
  list: [],
  dict: {},
  set: [],
  tuple: [],
  Any: null,
  "": null,
};
/** @type {Record<string, [string, string]>} */
const FILE_SAMPLES = {
  Image: ["input.png", "image/png"],
  Audio: ["input.wav", "audio/wav"],
  Video: ["input.mp4", "video/mp4"],
  File: ["input.bin", "application/octet-stream"],
};

/**
 * The least that a call can be made with; `model` is the parameter that takes the whole input and whose fields are not
 * known, as in `input: TintIn`.
 * @param {string} signature
 * @returns {{value: any, model: string}}
 */
export function sampleOfSignature(signature) {
  const needed = parametersOf(signature).filter((one) => !one.hasDefault);
  const known = needed.map(({ text: one, name, hint }) => {
    const kind = hint.split("[")[0].split(".").pop()?.trim() ?? "";
    const file = FILE_SAMPLES[kind];
    return {
      one,
      name,
      isPlain: kind in PLAIN_SAMPLES,
      isFile: file !== undefined,
      value: file ? { url: new FileInput(...file) } : kind in PLAIN_SAMPLES ? PLAIN_SAMPLES[kind] : {},
    };
  });
  const [first] = known;
  if (known.length === 1 && !first.isPlain) return { value: first.value, model: first.isFile ? "" : first.one };
  return { value: Object.fromEntries(known.map(({ name, value }) => [name, value])), model: "" };
}
