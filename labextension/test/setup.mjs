// Run before each file of tests: a clock that a test leaves running would draw on pages of later tests, or on none.
import { afterAll, afterEach } from "vitest";

const { setInterval: beginClock, clearInterval: endClock, setTimeout: beginWait, clearTimeout: endWait } = globalThis;
/** @type {Map<unknown, string>} each clock that runs, with the place that began it */
const clocks = new Map();
/** @type {Set<unknown>} */
const waits = new Set();

globalThis.setInterval = (...given) => {
  const clock = beginClock(...given);
  clocks.set(clock, new Error().stack ?? "");
  return clock;
};
globalThis.clearInterval = (clock) => {
  clocks.delete(clock);
  endClock(clock);
};
globalThis.setTimeout = (call, ...given) => {
  const run = (...values) => {
    waits.delete(wait);
    call(...values);
  };
  const wait = beginWait(run, ...given);
  waits.add(wait);
  return wait;
};
globalThis.clearTimeout = (wait) => {
  waits.delete(wait);
  endWait(wait);
};

afterEach(() => {
  const left = [...clocks.values()].map((stack) => stack.split("\n").slice(2, 4).join("\n"));
  for (const clock of clocks.keys()) endClock(clock);
  clocks.clear();
  if (left.length) throw new Error(`This test leaves ${left.length} clock(s) running:\n${left.join("\n")}`);
});

// what waits for a moment ends by itself, but the page of this file may be gone by then
afterAll(() => {
  for (const wait of waits) endWait(wait);
  waits.clear();
  Object.assign(globalThis, {
    setInterval: beginClock,
    clearInterval: endClock,
    setTimeout: beginWait,
    clearTimeout: endWait,
  });
});
