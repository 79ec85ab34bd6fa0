// @ts-check
/** What a request was made with, to look at: what was asked in its address, its values, and its pictures as far as they are kept. */
import { button, h, replace } from "../elements/dom.mjs";
import { bytes, plural } from "../text/format.mjs";
import { dataView } from "../elements/json_view.mjs";
import { plainText } from "../text/plain.mjs";
import { jsonView, keptBodyView, resultView } from "../outputs/result.mjs";
import { withFilesNamed } from "../form/form_file.mjs";
import { baseType } from "../text/plain.mjs";
import { isForm } from "../form/schema.mjs";
import { filesOf } from "../text/literals.mjs";
import { queryValues } from "./recorded.mjs";
import { bodyBytes, recordedValue, wholeInput } from "./recorded_input.mjs";

/** @typedef {import("../types.d.ts").RequestDetail} RequestDetail */

const FETCHED_BY_ITSELF = 32 << 20; // bytes; a larger input is fetched after a press

/** The parameters in a request's address, a line each. @param {string | undefined} query */
export function queryLines(query) {
  return Object.entries(queryValues(query ?? "")).map(([name, value]) =>
    h("div", { class: "fj-mono" }, plainText(`${name} = ${[value].flat().join(", ")}`)),
  );
}

/**
 * @param {RequestDetail} detail
 * @param {AbortSignal} signal
 * @param {import("../types.d.ts").Host} host
 * @returns {HTMLElement}
 */
export function inputView(detail, signal, host) {
  const body = detail.input;
  const lines = queryLines(detail.query);
  if (!body?.size) return h("div", null, lines, lines.length ? null : h("span", { class: "fj-muted" }, "empty"));
  const place = h("div", null, valueView(body, signal, host));
  if (body.truncated) {
    if (!body.whole) replace(place, valueView(body, signal, host), goneNote(body));
    else if (body.size <= FETCHED_BY_ITSELF) void showWhole(place, detail, signal, host);
    else {
      const show = button(`Show all ${bytes(body.size)}`, () => void showWhole(place, detail, signal, host));
      replace(place, valueView(body, signal, host), show);
    }
  }
  return h("div", null, lines, place);
}

/** @param {import("./recorded_input.mjs").RecordedBody} body @param {AbortSignal} signal @param {import("../types.d.ts").Host} host */
function valueView(body, signal, host) {
  const isFormBody = isForm(baseType(body.content_type));
  const known = body.left_out || body.data || isFormBody ? recordedValue(body) : null;
  if (!known)
    return body.data ? resultView(body.data, body.content_type, signal, host) : keptBodyView(body, signal, host);
  const isWholeJson = body.data && !isFormBody;
  return isWholeJson ? jsonView(known.value, host, signal) : dataView(withFilesNamed(known.value));
}

/** What is missing. @param {import("../types.d.ts").Body} body */
function goneNote(body) {
  const known = recordedValue(body);
  const files = known ? filesOf(known.value).length : 0;
  const words = files ? `${plural(files, "long text")} of this input ${files === 1 ? "is" : "are"} not kept.` : "";
  return h("p", { class: "fj-muted" }, words);
}

/**
 * @param {HTMLElement} place
 * @param {RequestDetail} detail
 * @param {AbortSignal} signal
 * @param {import("../types.d.ts").Host} host
 */
async function showWhole(place, detail, signal, host) {
  const body = await wholeInput(host, detail, signal).catch(() => null);
  if (signal.aborted || !detail.input) return;
  if (body) replace(place, valueView(body, signal, host));
  else replace(place, valueView(detail.input, signal, host), goneNote(detail.input));
}

/** The bytes with which a request is made again. @param {import("./recorded_input.mjs").RecordedBody} body */
export const sentBytes = (body) => (body.data || body.base64 ? bodyBytes(body) : body.text);
