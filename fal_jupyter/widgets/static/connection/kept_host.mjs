// @ts-check
/** A host that goes on showing an app which is gone: its record, requests and timeline as they were known last. */

import { endedApp, endedRequest, isAnotherGateway } from "./store.mjs";

/** @typedef {import("../types.d.ts").View} View */

/**
 * @param {import("../types.d.ts").Host} host
 * @param {import("../types.d.ts").CardData} card
 * @param {AbortSignal} signal
 * @returns {import("../types.d.ts").Host}
 */
export function keepingLast(host, card, signal) {
  const { store } = host;
  const { alias, picture } = card;
  let known = picture
    ? {
        time: picture.time,
        app: picture.app,
        requests: picture.requests,
        timeline: /** @type {import("../types.d.ts").Timeline | undefined} */ (picture.timeline),
        gateway: /** @type {import("../types.d.ts").GatewayState | null} */ (card.gateway),
      }
    : null;
  const look = () => {
    const { apps, requests, timelines } = store.view;
    const app = apps.find((one) => one.alias === alias);
    if (!app) return;
    known = { time: store.view.time, app, requests, timeline: timelines.get(alias), gateway: store.view.gateway };
  };
  signal.addEventListener("abort", store.watch(look));
  look();
  /** @type {{of: typeof known, requests: View["requests"]} | null} the same rows at each draw */
  let ended = null;
  const endedRequests = (/** @type {NonNullable<typeof known>} */ of) => {
    if (ended?.of !== of) {
      const own = of.requests.filter((one) => one.alias === alias);
      ended = { of, requests: own.map(endedRequest(of.time)) };
    }
    return ended.requests;
  };
  const view = () => {
    const now = store.view;
    if (!known || now.apps.some((one) => one.alias === alias)) return now;
    const by = isAnotherGateway(known.gateway, now.gateway)
      ? "gateway"
      : now.ended.find((one) => one.alias === alias)?.ended_by;
    const app = endedApp(known.app, known.time, by);
    const timelines = known.timeline ? new Map([...now.timelines, [alias, known.timeline]]) : now.timelines;
    // while the page connects it is not known yet whether a call goes on
    const isOver = now.link === "live" || now.link === "off";
    const requests = isOver ? endedRequests(known) : known.requests.filter((one) => one.alias === alias);
    return {
      ...now,
      apps: [...now.apps, app],
      requests: [...now.requests, ...requests],
      timelines,
    };
  };
  const kept = Object.create(store, { view: { get: view } });
  const isGone = () => view() !== store.view;
  return Object.create(host, {
    store: { value: kept },
    picture: { get: () => (isGone() ? card.picture : host.picture) },
  });
}
