/** What panels decide to show, without a page: the functions that choose words, figures and parts. */
import { describe, expect, test } from "vitest";
import { firstTab, showsClock } from "../../fal_jupyter/widgets/static/card/card.mjs";
import { pickedWords } from "../../fal_jupyter/widgets/static/form/form_file.mjs";
import { requestFacts } from "../../fal_jupyter/widgets/static/inspector/inspector.mjs";
import {
  arrivedSince,
  rowTexts,
  summaryWords,
  timeScale,
} from "../../fal_jupyter/widgets/static/requests/requests.mjs";
import { configAdvice, optionNote, usableActions } from "../../fal_jupyter/widgets/static/scaling/config.mjs";
import { pathOfUsage } from "../../fal_jupyter/widgets/static/elements/geometry.mjs";
import { countsAt, movedByKey, shownSpan } from "../../fal_jupyter/widgets/static/scaling/timeline.mjs";
import { noFormWords } from "../../fal_jupyter/widgets/static/try/tryit.mjs";
import { HOSTILE, madeApp, madeRequest, madeRunner } from "./made.mjs";

const viewOf = (apps = [], more = {}) => ({ apps, devices: [], requests: [], timelines: new Map(), ...more });

describe("a card", () => {
  test("opens with the tab it was saved with, else Try, or Requests in a saved notebook", () => {
    expect(firstTab("logs", "server")).toBe("logs");
    expect(firstTab("no such tab", "server")).toBe("try");
    expect(firstTab(undefined, "saved")).toBe("requests");
  });

  test("shows a clock while its app starts, fails or changes its revision", () => {
    expect(showsClock(undefined)).toBe(false);
    expect(showsClock(madeApp("hello"))).toBe(false);
    expect(showsClock(madeApp("hello", { state: "Starting" }))).toBe(true);
    expect(showsClock(madeApp("hello", { state: "Failing" }))).toBe(true);
    expect(showsClock(madeApp("hello", { revision: 2 }))).toBe(true);
  });
});

describe("a picked file in words", () => {
  test("is its name and its facts", () => {
    expect(pickedWords({ url: "data:image/png;base64,AAAA", name: "fox.png", type: "image/png" }, "image")).toEqual({
      title: "fox.png",
      tooltip: "fox.png",
      type: "image/png",
      facts: ["3 B", "png"],
    });
  });

  test("is its address where it is elsewhere", () => {
    const { title, tooltip, facts } = pickedWords({ url: "https://a.example/b.wav" }, "audio");
    expect([title, tooltip, facts]).toEqual(["https://a.example/b.wav", "https://a.example/b.wav", []]);
  });

  test("names the call for a file without a name", () => {
    const { title, tooltip } = pickedWords({ url: "data:audio/wav;base64,AAAA" }, "audio");
    expect([title, tooltip]).toEqual(["audio of this call", ""]);
  });
});

describe("the facts of a request", () => {
  const facts = (request, apps = [madeApp("hello", { runners: [madeRunner("hello-1")] })], more = {}) =>
    Object.fromEntries(requestFacts(viewOf(apps, more), madeRequest("a", request)));

  test("name caller, runner, device, revision and status", () => {
    const { Began, ...others } = facts({});
    expect(Began).not.toBe("");
    expect(others).toEqual({
      App: "hello",
      Endpoint: "POST /",
      "Called from": "a cell",
      Runner: "hello-1, pid 7",
      Device: "no GPU of its own",
      Revision: "r1 current",
      Status: "200",
    });
  });

  test("have dashes for a request that reached no runner", () => {
    const { Runner, Device, Revision, Status } = facts({ runner: "", revision: 0, status: 0 });
    expect([Runner, Device, Revision, Status]).toEqual(["none", "–", "–", "–"]);
  });

  test("name the cell and its notebook, with harmless text", () => {
    expect(facts({ cell_number: 3 })["Called from"]).toBe("cell [3] of made.ipynb");
    expect(facts({ cell_number: 3 }, [])["Called from"]).toBe("cell [3]");
    expect(facts({ cell_number: 3 }, [madeApp("hello", { owner_name: HOSTILE })])["Called from"]).not.toContain(
      "\u001b",
    );
    expect(facts({ origin: "http" })["Called from"]).toBe("a program, over HTTP");
    expect(facts({ origin: "load" })["Called from"]).toBe("Load in Try");
    expect(facts({ origin: "toString" })["Called from"]).toBe("toString");
  });

  test("compare the request's revision with the one that serves", () => {
    const app = madeApp("hello", { serving: 2, revision: 3 });
    expect(facts({ revision: 1 }, [app]).Revision).toBe("r1, now r2");
    expect(facts({ revision: 2 }, [app]).Revision).toBe("r2 current");
    expect(facts({ revision: 3 }, [app]).Revision).toBe("r3");
    expect(facts({ revision: 3 }, []).Revision).toBe("r3");
  });

  test("say that the caller cancelled", () => {
    expect(facts({ status: 499 }).Status).toBe("499, cancelled by its caller");
  });

  test("have the peak of memory where it was measured", () => {
    const timelines = new Map([["hello", { lanes: [], usage: [[1020, 5e6, 0, 0, 0]] }]]);
    expect(facts({}, undefined, { timelines })["Peak memory"]).toContain("measured once");
  });
});

test("the Try tab says why it has no form, and how to get one", () => {
  expect(noFormWords("Stopped")).toContain("Start it");
  expect(noFormWords("Zero")).toContain("Start 1 runner");
  expect(noFormWords("Starting")).toBe("The form is made when the first runner is ready.");
});

describe("the note beside an option", () => {
  const rule = { name: "keep_alive", low: 0, high: null, default: 10, unit: "s" };
  const warm = { name: "warm", low: 0, high: null, default: 0, unit: "" };
  const app = (now, more = {}) =>
    madeApp("hello", { scaling: { keep_alive: now, warm: 1 }, by_class: { keep_alive: 300, warm: 1 }, ...more });

  test("says where the value comes from", () => {
    expect(optionNote(rule, app(300), {}, {}, false).text).toBe("class: 300\u00a0s, default 10\u00a0s");
    expect(optionNote(rule, app(10, { by_class: { keep_alive: 10 } }), {}, {}, false).text).toBe("default: 10\u00a0s");
    expect(optionNote(warm, app(300), {}, {}, false).text).toBe("for a notebook: 1, default 0");
    expect(optionNote(rule, app(20, { overrides: { keep_alive: 20 } }), {}, {}, false)).toEqual({
      chip: "set here",
      tone: "",
      text: "class: 300\u00a0s",
    });
  });

  test("says that an edit is not in force, and that somebody else changed the value", () => {
    const edits = { keep_alive: "20" };
    expect(optionNote(rule, app(300), edits, { keep_alive: 300 }, false)).toEqual({
      chip: "not applied",
      tone: "fj-run",
      text: "in force: 300\u00a0s",
    });
    expect(optionNote(rule, app(60), edits, { keep_alive: 300 }, false)).toEqual({
      chip: "not applied",
      tone: "fj-setup",
      text: "in force: 60\u00a0s, changed elsewhere",
    });
    expect(optionNote(rule, app(60), edits, { keep_alive: 300 }, true)).toMatchObject({
      chip: "applying",
      tone: "fj-run",
      text: "in force: 60\u00a0s",
    });
  });

  test("says which options replace the warm runner", () => {
    expect(optionNote(warm, app(300), { keep_alive: "20" }, {}, false)).toEqual({
      chip: "becomes 0",
      tone: "fj-run",
      text: "with keep_alive, which then decides",
    });
    const replaced = app(20, { scaling: { keep_alive: 20, warm: 0 }, overrides: { keep_alive: 20 } });
    expect(optionNote(warm, replaced, {}, {}, false).text).toBe("0 since keep_alive was set here; for a notebook: 1");
  });
});

describe("the Config tab", () => {
  const edits = { count: 1, faults: 0, saved: false, applying: false };
  const overridden = { overrides: { keep_alive: 20 } };

  test("offers what can be done", () => {
    const none = { apply: false, reset: false, write: false, byClass: false };
    const all = { apply: true, reset: true, write: true, byClass: true };
    expect(usableActions(madeApp("hello"), { ...edits, count: 0 })).toEqual(none);
    expect(usableActions(madeApp("hello", overridden), edits)).toEqual(all);
    expect(usableActions(madeApp("hello", overridden), { ...edits, faults: 1 })).toEqual({
      ...all,
      apply: false,
      write: false,
    });
    expect(usableActions(madeApp("hello", overridden), { ...edits, applying: true }).apply).toBe(false);
    for (const still of [
      usableActions(madeApp("hello", overridden), { ...edits, saved: true }),
      usableActions(madeApp("hello", { ...overridden, state: "Stopped" }), edits),
    ])
      expect(still).toEqual({ ...all, apply: false, byClass: false });
  });

  test("says what hinders a change, else what a change does", () => {
    expect(configAdvice(madeApp("hello"), 0, true)).toContain("saved picture");
    expect(configAdvice(madeApp("hello", { gone: true }), 0, false)).toContain("gone");
    expect(configAdvice(madeApp("hello", { state: "Stopped" }), 1, false)).toContain("stopped");
    expect(configAdvice(madeApp("hello"), 1, false)).toBe("Fix 1 value to apply");
    expect(configAdvice(madeApp("hello"), 2, false)).toBe("Fix 2 values to apply");
    expect(configAdvice(madeApp("hello"), 0, false)).toContain("until the kernel ends");
    expect(configAdvice(madeApp("hello", { owner_kind: "program" }), 0, false)).toBe("No runner restarts.");
  });
});

describe("the timeline", () => {
  const range = { from: 0, to: 1000 };
  const still = { cross: null, brush: null, range };

  test("shows the chosen window, less where the app is younger, but at least ten seconds", () => {
    expect(shownSpan(600000, 300000, 100000)).toEqual({ from: 300000, to: 600000 });
    expect(shownSpan(600000, 300000, 400000)).toEqual({ from: 400000, to: 600000 });
    expect(shownSpan(600000, 300000, 599000)).toEqual({ from: 590000, to: 600000 });
    expect(shownSpan(600000, 300000)).toEqual({ from: 590000, to: 600000 });
  });

  test("moves its cross-hair by arrow keys, from its end on and not beyond it", () => {
    expect(movedByKey({ key: "ArrowLeft", shiftKey: false }, still)).toEqual({ cross: 990 });
    expect(movedByKey({ key: "ArrowRight", shiftKey: false }, still)).toEqual({ cross: 1000 });
    expect(movedByKey({ key: "ArrowLeft", shiftKey: false }, { ...still, cross: 4 })).toEqual({ cross: 0 });
  });

  test("marks a span with Shift, whose far end stays", () => {
    const left = { key: "ArrowLeft", shiftKey: true };
    expect(movedByKey(left, { ...still, cross: 500 })).toEqual({ cross: 490, span: { from: 490, to: 500 } });
    expect(movedByKey(left, { ...still, cross: 490, brush: { from: 490, to: 500 } })).toEqual({
      cross: 480,
      span: { from: 480, to: 500 },
    });
    expect(movedByKey(left, { ...still, cross: 500, brush: { from: 400, to: 500 } })).toEqual({
      cross: 490,
      span: { from: 400, to: 490 },
    });
  });

  test("clears both with Escape, and leaves other keys to the page", () => {
    const pressed = { key: "Escape", shiftKey: false };
    expect(movedByKey(pressed, { ...still, cross: 5 })).toEqual({ cross: null, span: null });
    expect(movedByKey(pressed, still)).toBeNull();
    expect(movedByKey({ key: "a", shiftKey: false }, still)).toBeNull();
  });
});

describe("the timeline's table", () => {
  const points = [[1000, 0, 1, 0, 0, 0, 1, 0]];

  test("has the calls that a decision saw, not those of the next point", () => {
    expect(countsAt({ time: 1000, seen: "3 waiting, 1 in flight; runners: 1 running" }, points)).toEqual({
      waiting: "3",
      running: "1",
    });
  });

  test("has those of the chart for a decision that says none, and dashes before the first point", () => {
    expect(countsAt({ time: 1500, seen: "" }, points)).toEqual({ waiting: 0, running: 1 });
    expect(countsAt({ time: 1, seen: "" }, points)).toEqual({ waiting: "–", running: "–" });
  });
});

test("use over time is a line through every n-th measurement too, as a saved picture has them", () => {
  const every = (step, number) => Array.from({ length: number }, (_, at) => [at * step, 1e8, 0, -1, 0]);
  const parts = (usage) => pathOfUsage(usage, 1, 0, 1e9, Number, Number).line.split("M").length - 1;
  expect([
    parts(every(20000, 15)),
    parts([...every(2000, 15), [90000, 1e8, 0, -1, 0]]),
    parts(every(20000, 2)),
  ]).toEqual([1, 2, 2]);
});

describe("the table of requests", () => {
  const early = madeRequest("a", { began: 1000, total_ms: 30 });
  const late = madeRequest("b", { began: 2000, total_ms: 45 });
  const rows = [late, early];

  test("counts what arrived, but no older request that a filter lets through now", () => {
    const newer = madeRequest("c", { began: 3000 });
    const older = madeRequest("d", { began: 500 });
    expect(arrivedSince(rows, [newer, late, early, older])).toBe(1);
    expect(arrivedSince(rows, [late])).toBe(0);
  });

  test("has bars on one time axis, on one scale of lengths, or each over its row", () => {
    expect(timeScale(rows, 9000, { common: true, shared: true })).toEqual({ from: 1000, whole: 1045 });
    expect(timeScale(rows, 9000, { common: false, shared: true })).toEqual({ from: null, whole: 45 });
    expect(timeScale(rows, 9000, { common: false, shared: false })).toBeNull();
    expect(timeScale([], 9000, { common: true, shared: true })).toBeNull();
  });

  test("names app, runner and revision under the path, as far as there are any", () => {
    const request = madeRequest("a", { alias: "hello", path: "/draw", runner: "hello-1", revision: 2 });
    expect(rowTexts(request, false)).toEqual({ path: "/draw", runner: "1", under: ["runner 1", "r2"] });
    expect(rowTexts(request, true).under[0]).toBe("hello");
    expect(rowTexts({ ...request, runner: "", revision: 0 }, false)).toEqual({ path: "/draw", runner: "", under: [] });
  });

  test("says below how many are shown, with the figures of the app", () => {
    expect(summaryWords(0, 0, "", "")).toContain("No request yet");
    expect(summaryWords(0, 0, "", "span")).toBe("No request in the marked span.");
    expect(summaryWords(0, 0, "9 calls", "filter")).toBe("No request matches the filter.");
    expect(summaryWords(2, 2, "", "")).toBe("2 shown");
    expect(summaryWords(2, 2, "2 calls", "")).toBe("2 calls");
    expect(summaryWords(2, 5, "5 calls", "filter")).toBe("2 of 5 shown · 5 calls");
    expect(summaryWords(2, 5, "", "")).toBe("2 of 5 shown");
  });
});
