// @ts-check
/** The result before: that of an earlier call, also where an earlier card or revision made it. */
import { askJson } from "../connection/host.mjs";
import { hasFailed, wasCancelled } from "../elements/phases.mjs";
import { bodyBytes } from "../inspector/recorded_input.mjs";
import { resultView } from "../outputs/result.mjs";
import { pathText } from "../text/format.mjs";
import { areOfOneEndpoint, trialPane } from "./trial.mjs";

/** @typedef {import("../types.d.ts").RequestState} RequestState */

/**
 * The last call of Try before another that succeeded, of the same endpoint; undefined where there is none.
 * @param {RequestState[]} requests
 * @param {string} alias
 * @param {{id: string, path: string}} current
 */
export function callBefore(requests, alias, current) {
  const began = requests.find((one) => one.id === current.id)?.began ?? Number.POSITIVE_INFINITY;
  return requests
    .filter(
      (one) =>
        one.alias === alias &&
        one.origin === "panel" &&
        one.id !== current.id &&
        one.began < began &&
        one.state === "done" &&
        !hasFailed(one) &&
        !wasCancelled(one) &&
        areOfOneEndpoint({ path: pathText(one.path) }, current),
    )
    .sort((one, two) => two.began - one.began)[0];
}

/**
 * The result of a call as the gateway has it: its whole answer while that is held, else what is kept of it.
 * @param {import("../types.d.ts").Host} host
 * @param {string} id
 * @param {(detail: import("../types.d.ts").RequestDetail) => Promise<Record<string, any> | null>} inputOf
 * @param {AbortSignal} signal
 * @param {import("./same_file.mjs").SameFile} [same]
 * @returns {Promise<ReturnType<typeof trialPane> | null>} null where its answer is gone
 */
export async function recordedTrial(host, id, inputOf, signal, same) {
  /** @type {import("../types.d.ts").RequestDetail} */
  const detail = await askJson(host, "GET", `requests/${encodeURIComponent(id)}`, { signal });
  const pane = trialPane(host, { path: pathText(detail.request.path), value: await inputOf(detail) }, same);
  pane.id = id;
  const answer = detail.buffered ? await host.ask("GET", `requests/${id}/answer`, { signal }) : null;
  if (answer?.status === 200) {
    pane.end(detail, await pane.body(answer, answer.headers.get("content-type") ?? "", signal));
    return pane;
  }
  const { output } = detail;
  if (!output || output.truncated) return null;
  const data = bodyBytes(output);
  pane.put(resultView(data, output.content_type, signal, host));
  pane.end(detail, data);
  return pane;
}
