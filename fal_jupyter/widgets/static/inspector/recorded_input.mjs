// @ts-check
/** What a recorded request was made with. */
import { parsedJson } from "../text/exact_json.mjs";
import { isForm } from "../form/schema.mjs";
import { formOfBody } from "../snippets/snippets_form.mjs";

/** The bytes of a kept body. @param {import("../types.d.ts").Body} body */
export function bodyBytes(body) {
  return body.base64 ? Uint8Array.from(atob(body.base64), (c) => c.charCodeAt(0)) : new TextEncoder().encode(body.text);
}

/**
 * What a request was made with: JSON, or a form with a file in place of each file that was sent. Null where it is not
 * known or something else.
 * @param {import("../types.d.ts").Body | null} input
 * @returns {{value: any, encoding: string} | null}
 */
export function recordedValue(input) {
  if (!input || input.truncated) return null;
  const encoding = input.content_type.split(";")[0].trim().toLowerCase();
  if (isForm(encoding)) {
    const value = formOfBody(bodyBytes(input), input.content_type);
    return value && { value, encoding };
  }
  if (input.base64) return null;
  try {
    return { value: input.text ? parsedJson(input.text) : {}, encoding: "application/json" };
  } catch {
    return null;
  }
}
