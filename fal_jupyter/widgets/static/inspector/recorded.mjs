// @ts-check
/** A recorded request as what it was made of, and as programs that make it again. */
import { pathText } from "../text/format.mjs";
import { recordedValue } from "./recorded_input.mjs";
import { PLACEHOLDER, snippetsOf, streams } from "../snippets/snippets.mjs";

/** @typedef {import("../types.d.ts").RequestDetail} RequestDetail */

/**
 * A query's parameters; one that occurs several times is a list.
 * @param {string} text
 * @returns {Record<string, any>}
 */
export function queryValues(text) {
  /** @type {Record<string, any>} */
  const parameters = {};
  for (const [name, value] of new URLSearchParams(text))
    parameters[name] = name in parameters ? [parameters[name], value].flat() : value;
  return parameters;
}

/**
 * The request as programs, with the environment's key in place of its own; null where its input is not known.
 * @param {import("../types.d.ts").AppState | undefined} app
 * @param {RequestDetail} detail
 */
export function recordedPrograms(app, { request, input, query }) {
  const known = app && recordedValue(input);
  if (!app || !known) return null;
  const path = pathText(request.path);
  const endpoint = app.endpoints.find((one) => one.path === path);
  const way = endpoint && streams(endpoint) ? "stream" : "run";
  return snippetsOf({
    className: app.class_name,
    endpoint: endpoint?.name ?? path.slice(1),
    path: request.path,
    app: app.app,
    url: app.url,
    key: PLACEHOLDER,
    method: request.method,
    query: queryValues(query ?? ""),
    way,
    yields: endpoint?.yields,
    names: app.endpoints.map((one) => one.name),
    signature: endpoint?.signature ?? "",
    ...known,
  });
}
