import { describe, expect, it } from "vitest";
import {
  STACK,
  chosenLanes,
  clipPoints,
  countTicks,
  laneSpans,
  placeMarks,
  pointAt,
  runnersAt,
  stackPath,
  stepPath,
  timeTicks,
} from "../../fal_jupyter/widgets/static/elements/geometry.mjs";

const point = (time, waiting, running, states = {}) => {
  const made = [time, waiting, running, 0, 0, 0, 0, 0, 0, 0];
  for (const [name, column] of STACK) made[column] = states[name] ?? 0;
  return made;
};
const same = (value) => value;

describe("ticks", () => {
  it("are round, begin at 0, and hold the largest value", () => {
    expect(countTicks(4)).toEqual([0, 2, 4]);
    expect(countTicks(12)).toEqual([0, 6, 12]);
    expect(countTicks(1)).toEqual([0, 1]);
    for (let most = 1; most < 500; most += 1) {
      const ticks = countTicks(most);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(most);
      expect(ticks.length).toBeLessThanOrEqual(3);
      expect(ticks.every(Number.isInteger)).toBe(true);
    }
  });
  it("of time lie on whole seconds or minutes inside the span", () => {
    expect(timeTicks(1500, 12000, 6)).toEqual([2000, 4000, 6000, 8000, 10000, 12000]);
    const ticks = timeTicks(1, 1800001, 8);
    expect(ticks.every((one) => one % 60000 === 0 && one >= 1 && one <= 1800001)).toBe(true);
    expect(ticks.length).toBeLessThanOrEqual(8);
  });
});

describe("clipping", () => {
  const points = [point(0, 1, 0), point(10, 5, 1), point(20, 2, 2), point(40, 0, 0)];
  it("carries the state before the span in and the last one to its end", () => {
    expect(clipPoints(points, 15, 30).map((one) => one.slice(0, 3))).toEqual([
      [15, 5, 1],
      [20, 2, 2],
      [30, 2, 2],
    ]);
  });
  it("gives nothing where nothing was", () => {
    expect(clipPoints([], 0, 10)).toEqual([]);
    expect(clipPoints(points, -20, -10)).toEqual([]);
  });
  it("thins points of one pixel and keeps their peak", () => {
    const many = Array.from({ length: 2400 }, (_, at) => point(at, at === 1207 ? 99 : 1, 0));
    const thin = clipPoints(many, 0, 2400, 4);
    expect(thin.length).toBeLessThan(650);
    expect(Math.max(...thin.map((one) => one[1]))).toBe(99);
  });
  it("draws a peak no longer than it lasted, or a pixel, also at the right edge", () => {
    const brief = [
      point(0, 0, 0),
      point(1000, 0, 1),
      point(1100, 0, 0),
      point(1200, 0, 2),
      point(1300, 0, 0),
      point(61000, 0, 1),
      point(61100, 0, 0),
    ];
    for (const pixel of [1, 80, 370, 2000]) {
      const thin = clipPoints(brief, 500, 120000, pixel);
      const at = (time) => pointAt(thin, time)[2];
      expect(Math.max(...thin.map((one) => one[2]))).toBe(2);
      expect([at(1301), at(30000), at(61101), at(120000)]).toEqual([0, 0, 0, 0]);
      expect(at(61050)).toBe(1);
      expect(stepPath(thin, 2, same, same).endsWith("V0")).toBe(true);
    }
  });
  it("finds the point in force", () => {
    expect(pointAt(points, 19)[1]).toBe(5);
    expect(pointAt(points, 20)[1]).toBe(2);
    expect(pointAt(points, -1)).toBe(null);
  });
});

describe("paths", () => {
  it("go in steps", () => {
    expect(stepPath([point(0, 1, 0), point(10, 3, 0), point(20, 3, 0)], 1, same, same)).toBe("M0,1H10V3H20V3");
  });
  it("of the stack lie on each other and sum to the runners there are", () => {
    const points = [
      point(0, 0, 0, { RUNNING: 2, SETUP: 1 }),
      point(10, 0, 0, { RUNNING: 2, SETUP: 1 }),
      point(20, 0, 0, {}),
    ];
    expect(stackPath(points, 6, [], same, same)).toBe("M0,0V2H20V0Z");
    expect(stackPath(points, 4, [6, 5], same, same)).toBe("M0,2V3H20V2Z");
    expect(stackPath(points, 7, [6, 5, 4], same, same)).toBe("");
    expect(runnersAt(points[0])).toBe(3);
  });
});

describe("lanes", () => {
  const lane = (id, ...moves) => ({ id, devices: [], revision: 1, moves });
  it("are cut to the span, and end where the runner is gone", () => {
    expect(
      laneSpans(
        [
          [0, "SETUP"],
          [10, "IDLE"],
          [30, "GONE"],
        ],
        5,
        50,
      ),
    ).toEqual([
      { state: "SETUP", from: 5, to: 10 },
      { state: "IDLE", from: 10, to: 30 },
    ]);
    expect(laneSpans([[10, "RUNNING"]], 0, 50)).toEqual([{ state: "RUNNING", from: 10, to: 50 }]);
  });
  it("of many show those that live or lived last, in their order", () => {
    const old = Array.from({ length: 10 }, (_, at) => lane(`old-${at}`, [at, "IDLE"], [20 + at, "GONE"]));
    const living = lane("long", [1, "RUNNING"]);
    const { lanes, more } = chosenLanes([living, ...old], 0, 100, 4);
    expect(lanes.map((one) => one.id)).toEqual(["long", "old-7", "old-8", "old-9"]);
    expect(more).toBe(7);
  });
});

describe("marks", () => {
  const decision = (time, kind) => ({ time, kind, before: 1, after: 2, seen: "", reason: "" });
  it("do not lie on each other; a note gives way", () => {
    const marks = placeMarks(
      [decision(0, "up"), decision(5, "note"), decision(40, "note"), decision(44, "down"), decision(200, "up")],
      same,
    );
    expect(marks.map((one) => one.decision.kind)).toEqual(["up", "down", "up"]);
    expect(marks.map((one) => one.x)).toEqual([0, 40, 200]);
    expect(marks[0].room).toBe(40);
    expect(marks.map((one) => one.several.length)).toEqual([2, 2, 1]);
    for (let at = 1; at < marks.length; at += 1) expect(marks[at].x - marks[at - 1].x).toBeGreaterThanOrEqual(13);
  });
});
