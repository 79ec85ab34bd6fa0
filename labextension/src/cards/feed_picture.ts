/** The last state of an app as the page's feed has it, for a save whose kernel is busy. */
import type { AppState, Lane, Picture, Timeline, View } from "../shared/types";

/** As the gateway's own pictures have them at most. */
const MOST = { requests: 12, points: 180, usage: 60, decisions: 20, lanes: 8, moves: 32, text: 300 };

/** Shorten every text, which may be a path of 60,000 characters; of a traceback the end counts. */
function shortened<T>(value: T, most = MOST.text): T {
  if (typeof value === "string") {
    return (value.length <= most ? value : `${value.slice(0, most - 1)}…`) as T;
  }
  if (Array.isArray(value)) {
    return value.map((one) => shortened(one)) as T;
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  const parts = Object.entries(value).map(([name, one]) => [name, shortened(one)]);
  const text = "frames" in value && "text" in value ? { text: String(value.text).slice(-3000) } : {};
  return { ...Object.fromEntries(parts), ...text };
}

/** Some of many points, the last one among them. */
function thinned<T>(points: T[], most: number): T[] {
  const step = Math.ceil(points.length / most);
  return step > 1 ? points.filter((_, at) => (points.length - 1 - at) % step === 0) : points;
}

/** The latest part of a timeline: the runners that live, or lived last. */
function thinTimeline(timeline: Timeline): Timeline {
  const ended = ({ moves }: Lane) => (moves.at(-1)?.[1] === "GONE" ? moves[moves.length - 1][0] : Number.MAX_VALUE);
  const lasting = new Set([...timeline.lanes].sort((one, other) => ended(one) - ended(other)).slice(-MOST.lanes));
  const lanes = timeline.lanes.filter((one) => lasting.has(one));
  return {
    points: thinned(timeline.points, MOST.points),
    decisions: timeline.decisions.slice(-MOST.decisions),
    lanes: lanes.map((one) => ({ ...one, moves: one.moves.slice(-MOST.moves) })),
    usage: thinned(timeline.usage, MOST.usage),
    older_runners: (timeline.older_runners ?? 0) + timeline.lanes.length - lanes.length,
  };
}

/** The picture of an app by the feed; lines of its log and what calls gave are those of the picture before. */
export function feedPicture(app: AppState, before: Picture, view: View): Picture {
  const ended = view.requests.filter((one) => one.alias === app.alias && one.state === "done");
  const timeline = view.timelines.get(app.alias);
  return {
    ...before,
    time: view.time,
    app: shortened(app),
    requests: shortened(ended.slice(0, MOST.requests)),
    timeline: timeline ? shortened(thinTimeline(timeline)) : before.timeline,
  };
}
