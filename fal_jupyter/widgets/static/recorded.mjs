// @ts-check
/** A recorded request as what it was made of, and as programs that make it again. */
import { pathText } from "./format.mjs";
import { isForm } from "./schema.mjs";
import { PLACEHOLDER, snippetsOf } from "./snippets.mjs";
import { formOfBody } from "./snippets_form.mjs";

/** @typedef {import("./types.d.ts").RequestDetail} RequestDetail */

/** The bytes of a kept body. @param {import("./types.d.ts").Body} body */
export function bodyBytes(body) {
  return body.base64 ? Uint8Array.from(atob(body.base64), (c) => c.charCodeAt(0)) : new TextEncoder().encode(body.text);
}

/**
 * What a request was made with: JSON, or a form with a file in place of each file that was sent. Null where it is not known or something else.
 * @param {import("./types.d.ts").Body | null} input
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
    return { value: input.text ? JSON.parse(input.text) : {}, encoding: "application/json" };
  } catch {
    return null;
  }
}

/** A query's parameters; one that stands there several times is a list. @param {string} text @returns {Record<string, any>} */
export function queryValues(text) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const [name, value] of new URLSearchParams(text)) found[name] = name in found ? [found[name], value].flat() : value;
  return found;
}

/**
 * The request as programs, with the environment's key in place of its own; null where its input is not known.
 * @param {import("./types.d.ts").AppState | undefined} app
 * @param {RequestDetail} detail
 */
export function recordedPrograms(app, { request, input, query }) {
  const known = app && recordedValue(input);
  if (!app || !known) return null;
  const path = pathText(request.path);
  const endpoint = app.endpoints.find((one) => one.path === path);
  const way = endpoint && /->.*(StreamingResponse|EventSourceResponse|Iterator|Generator|Iterable)/.test(endpoint.signature) ? "stream" : "run";
  return snippetsOf({
    className: app.class_name, endpoint: endpoint?.name ?? path.slice(1), path: request.path, app: app.app, url: app.url, key: PLACEHOLDER, method: request.method,
    query: queryValues(query ?? ""), way, names: app.endpoints.map((one) => one.name), signature: endpoint?.signature ?? "", ...known,
  });
}
