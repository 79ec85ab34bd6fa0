// @ts-check
/** What an endpoint needs, by its signature alone: of an app that is not there its schema is not known. */
import { FileInput } from "../text/literals.mjs";

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

/** The parts between commas that no bracket and no quote holds. @param {string} text */
function topLevelParts(text) {
  const parts = [""];
  let depth = 0;
  let quote = "";
  for (const c of text) {
    if (quote) quote = c === quote ? "" : quote;
    else if (c === "'" || c === '"') quote = c;
    else if ("([{".includes(c)) depth += 1;
    else if (")]}".includes(c)) depth -= 1;
    if (c === "," && !depth && !quote) parts.push("");
    else parts[parts.length - 1] += c;
  }
  return parts;
}

/** What stands between the first bracket and the one that closes it. @param {string} signature */
function betweenBrackets(signature) {
  let depth = 0;
  for (let at = 0; at < signature.length; at += 1) {
    if (signature[at] === "(") depth += 1;
    if (signature[at] === ")" && --depth === 0) return signature.slice(1, at);
  }
  return "";
}

/**
 * The least that a call can be made with; `model` is the parameter that takes the whole input and whose fields are not
 * known, as in `input: TintIn`.
 * @param {string} signature
 * @returns {{value: any, model: string}}
 */
export function sampleOfSignature(signature) {
  const needed = topLevelParts(betweenBrackets(signature))
    .map((one) => one.trim())
    .filter((one) => /^\w/.test(one) && one !== "self" && topLevelParts(one.replace(/=/g, ",")).length === 1);
  const known = needed.map((one) => {
    const [name, hint = ""] = one.split(/:\s*/);
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
