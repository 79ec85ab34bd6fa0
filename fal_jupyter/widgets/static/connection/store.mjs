// @ts-check
/** The feed's lines, merged into one view in bounded memory. */

const KEPT_REQUESTS = 300;
const KEPT_BESIDE = 100; // … and of those outside a load, which has hundreds of the same
const KEPT_POINTS = 7200; // half an hour of four a second
const KEPT_DECISIONS = 500;
const KEPT_LANES = 40;
const KEPT_USAGE = 600;
const KEPT_ENDED = 20;
const KEPT_OF_ENDED = 100; // requests of each of them
// of one runner; the gateway keeps half of them and closes short pauses, a page that runs long does without its oldest
const KEPT_MOVES = 3200;

/** @typedef {import("../types.d.ts").View} View */
/** @typedef {import("../types.d.ts").Timeline} Timeline */
/** @typedef {import("../types.d.ts").RequestState} RequestState */

/** @returns {View} */
function emptyView() {
  return {
    link: "connecting",
    reason: "",
    time: 0,
    skew: 0,
    gateway: null,
    options: [],
    apps: [],
    ended: [],
    devices: [],
    host: null,
    requests: [],
    timelines: new Map(),
    colours: new Map(),
  };
}

/** Now by the gateway's clock, which may be another machine's. @param {View} view */
export function gatewayNow(view) {
  return Date.now() + view.skew;
}

/** The time for running clocks: by the gateway's clock, which stands while nothing is heard of it. @param {View} view */
export function clockNow(view) {
  return view.link === "live" ? gatewayNow(view) : view.time;
}

/** All requests, newest first, also those of apps that ended. @param {View} view */
export function knownRequests(view) {
  const ended = view.ended.flatMap((app) => app.requests ?? []);
  return ended.length ? [...view.requests, ...ended].sort((a, b) => b.began - a.began) : view.requests;
}

/**
 * A request as it stands when its app is gone: one that was on its way has ended with the app, and its clock with it.
 * @param {number} time of the record
 */
export function endedRequest(time) {
  return (/** @type {RequestState} */ one) =>
    one.state === "done"
      ? one
      : {
          ...one,
          state: /** @type {const} */ ("done"),
          status: one.status || 503,
          total_ms: Math.max(one.total_ms, time - one.began),
          error: one.error || "lost: the app ended while it had the request",
        };
}

/**
 * A number for each app, the smallest that is free when it comes, kept as long as the app is there: one app, one
 * colour.
 * @param {Map<string, number>} known
 * @param {string[]} aliases
 */
export function appColours(known, aliases) {
  const kept = new Map(aliases.filter((alias) => known.has(alias)).map((alias) => [alias, known.get(alias) ?? 0]));
  const taken = new Set(kept.values());
  for (const alias of aliases) {
    if (kept.has(alias)) continue;
    let number = 0;
    while (taken.has(number)) number += 1;
    taken.add(number);
    kept.set(alias, number);
  }
  return kept;
}

/**
 * The record of an app that is not served any more, as it was known last.
 * @template {import("../types.d.ts").AppState} App
 * @param {App} app
 * @param {number} time of the record
 * @param {import("../types.d.ts").KnownApp["ended_by"]} [by]
 * @returns {App & import("../types.d.ts").KnownApp}
 */
export function endedApp(app, time, by) {
  const idle = { runners: [], queue: [], waiting: 0, in_flight: 0 };
  return { ...app, ...idle, state: "Stopped", gone: true, ended: time, ended_by: by };
}

/**
 * Whether a feed that comes from one gateway went on at another one: what the first one served ended with it.
 * @param {import("../types.d.ts").GatewayState | null | undefined} before
 * @param {import("../types.d.ts").GatewayState | null | undefined} now
 */
export function isAnotherGateway(before, now) {
  return Boolean(before?.pid && now?.pid && (before.pid !== now.pid || before.started !== now.started));
}

/**
 * The apps that ended while this page followed the feed, newest first, with the last of their requests. One that is
 * served again is none of them: it begins a new record.
 * @param {View} view as it was
 * @param {Set<string>} aliases apps that are served now
 * @param {import("../types.d.ts").KnownApp["ended_by"]} [by] what took away those that are not served any more
 * @param {RequestState[]} [news] requests of the line that says so
 */
function endedApps(view, aliases, by, news = []) {
  const gone = view.apps.filter((app) => !aliases.has(app.alias));
  const requests = gone.length ? mergeRequests(view.requests, news, new Set(gone.map((app) => app.alias))) : [];
  const ended = gone.map((app) => ({
    ...endedApp(app, view.time, by),
    requests: requests
      .filter((one) => one.alias === app.alias)
      .slice(0, KEPT_OF_ENDED)
      .map(endedRequest(view.time)),
  }));
  const before = view.ended.filter((app) => !aliases.has(app.alias) && !ended.some((one) => one.alias === app.alias));
  return [...ended, ...before].slice(0, KEPT_ENDED);
}

/**
 * Newest first, one record an id, at most `KEPT_REQUESTS` an app and `KEPT_BESIDE` that a load would push out.
 * @param {RequestState[]} known newest first
 * @param {RequestState[]} news in any order
 * @param {Set<string>} aliases apps that are there
 */
export function mergeRequests(known, news, aliases) {
  const fresh = new Map();
  for (const request of news) fresh.set(request.id, request);
  const merged = known.map((request) => {
    const newer = fresh.get(request.id);
    if (newer === undefined) return request;
    fresh.delete(request.id);
    return request.state === "done" && newer.state !== "done" ? request : newer;
  });
  merged.push(...fresh.values());
  merged.sort((a, b) => b.began - a.began);
  /** @type {Map<string, number>} */
  const counts = new Map();
  const count = (/** @type {string} */ key) => {
    const number = (counts.get(key) ?? 0) + 1;
    counts.set(key, number);
    return number;
  };
  return merged.filter(({ alias, origin }) => {
    const isBeside = origin !== "load" && count(`${alias} beside`) <= KEPT_BESIDE; // no alias has a space
    return aliases.has(alias) && (count(alias) <= KEPT_REQUESTS || isBeside);
  });
}

/**
 * Add a runner's new moves to those that are known.
 * @param {import("../types.d.ts").Lane | undefined} known
 * @param {import("../types.d.ts").Lane} news
 */
function mergeLane(known, news) {
  if (!known || !news.moves.length) return known ?? news;
  const first = news.moves[0][0];
  let at = known.moves.length;
  while (at > 0 && known.moves[at - 1][0] >= first) at -= 1;
  return { ...news, moves: [...known.moves.slice(Math.max(0, at - KEPT_MOVES), at), ...news.moves] };
}

/**
 * Add the news of a timeline; what is known already is not added twice.
 * @param {Timeline | undefined} known
 * @param {Timeline} news
 * @returns {Timeline}
 */
export function mergeTimeline(known, news) {
  const lastPoint = known?.points.at(-1)?.[0] ?? -Infinity;
  const lastDecision = known?.decisions.at(-1)?.time ?? -Infinity;
  const lanes = new Map((known?.lanes ?? []).map((lane) => [lane.id, lane]));
  for (const lane of news.lanes) lanes.set(lane.id, mergeLane(lanes.get(lane.id), lane));
  return {
    points: [...(known?.points ?? []), ...news.points.filter((point) => point[0] > lastPoint)].slice(-KEPT_POINTS),
    decisions: [...(known?.decisions ?? []), ...news.decisions.filter((one) => one.time > lastDecision)].slice(
      -KEPT_DECISIONS,
    ),
    lanes: [...lanes.values()].slice(-KEPT_LANES),
    usage: [
      ...(known?.usage ?? []),
      ...(news.usage ?? []).filter((one) => one[0] > (known?.usage?.at(-1)?.[0] ?? -Infinity)),
    ].slice(-KEPT_USAGE),
    older_runners: news.older_runners ?? known?.older_runners,
  };
}

/** @returns {import("../types.d.ts").Store} */
export function createStore() {
  const view = emptyView();
  /** @type {Set<(view: View) => void>} */
  const listeners = new Set();
  const tell = () => {
    for (const listener of [...listeners]) listener(view);
  };
  return {
    view,
    apply(line) {
      if (line.kind === "off") {
        const { link, reason, time } = {
          link: /** @type {const} */ ("off"),
          reason: line.reason ?? "",
          time: line.time ?? 0,
        };
        const ended = endedApps(view, new Set(), "gateway");
        Object.assign(view, emptyView(), { link, reason, time, options: view.options, ended });
      } else if (line.kind === "beat") {
        view.time = line.time ?? view.time;
        if (line.time) view.skew = line.time - Date.now();
        if (view.link === "live") return;
        view.link = "live";
      } else if (line.kind === "snapshot" || line.kind === "frame") {
        const whole = line.kind === "snapshot";
        const apps = line.apps ?? [];
        const aliases = new Set(apps.map((app) => app.alias));
        const timelines = whole ? new Map() : view.timelines;
        for (const [alias, news] of Object.entries(line.timelines ?? {}))
          timelines.set(alias, mergeTimeline(timelines.get(alias), news));
        for (const alias of [...timelines.keys()]) if (!aliases.has(alias)) timelines.delete(alias);
        Object.assign(view, {
          link: "live",
          reason: "",
          time: line.time ?? 0,
          skew: line.time ? line.time - Date.now() : view.skew,
          gateway: line.gateway ?? view.gateway,
          options: line.options ?? view.options,
          apps,
          ended: endedApps(
            view,
            aliases,
            isAnotherGateway(view.gateway, line.gateway) ? "gateway" : undefined,
            line.requests,
          ),
          devices: line.devices ?? [],
          host: line.host ?? view.host,
          colours: appColours(view.colours, [...aliases]),
          requests: mergeRequests(whole ? [] : view.requests, line.requests ?? [], aliases),
          timelines,
        });
      } else {
        return;
      }
      tell();
    },
    lose(link, reason) {
      if (view.link === link && view.reason === reason) return;
      view.link = link;
      view.reason = reason;
      tell();
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * A store that shows the picture of a saved card, and nothing else ever.
 * @param {import("../types.d.ts").CardData} card
 */
export function storeOfPicture(card) {
  const store = createStore();
  const picture = card.picture;
  if (picture) {
    store.apply({
      kind: "snapshot",
      time: picture.time,
      gateway: card.gateway,
      options: card.options,
      apps: [picture.app],
      requests: picture.requests,
      timelines: { [card.alias]: picture.timeline },
    });
  }
  store.view.link = "saved";
  store.view.options = card.options;
  return store;
}
