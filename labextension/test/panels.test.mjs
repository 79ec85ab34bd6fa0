import { afterEach, describe, expect, it } from "vitest";
import {
  classAttributes,
  configPanel,
  keyedValue,
  problemsOf,
  sliderPlace,
  sliderValue,
} from "../../fal_jupyter/widgets/static/scaling/config.mjs";
import { dashboardPanel, figuresOf, sortedApps } from "../../fal_jupyter/widgets/static/dashboard/dashboard.mjs";
import { appLetters, ledgerBars, ledgerPanel, shareWords } from "../../fal_jupyter/widgets/static/dashboard/ledger.mjs";
import { phasesOf, totalOf } from "../../fal_jupyter/widgets/static/elements/phases.mjs";
import { markWords } from "../../fal_jupyter/widgets/static/scaling/picture.mjs";
import { chosenRequests, requestsPanel } from "../../fal_jupyter/widgets/static/requests/requests.mjs";
import { sentenceView, timelinePanel } from "../../fal_jupyter/widgets/static/scaling/timeline.mjs";
import { summaryOf, treePanel } from "../../fal_jupyter/widgets/static/sidebar/tree.mjs";
import { phaseWords } from "../../fal_jupyter/widgets/static/elements/phases.mjs";
import { HOSTILE, RULES, madeApp, madeHost, madeLine, madeRequest, madeRunner, until } from "./made.mjs";

let stop = new AbortController(); // ends all that a test shows
function shown(panel, host, options = {}) {
  const root = document.createElement("div");
  document.body.append(root);
  panel(root, host, options, stop.signal);
  return root;
}
function endAll() {
  stop.abort();
  stop = new AbortController();
  document.body.replaceChildren();
}
afterEach(endAll);
const press = (element, key, more = {}) =>
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
const named = (root, label) =>
  [...root.querySelectorAll("button")].find((one) =>
    (one.getAttribute("aria-label") ?? one.textContent).includes(label),
  );

describe("phases", () => {
  it("sum to the total, also while the request runs", () => {
    expect(totalOf(madeRequest("a"))).toBe(45);
    const live = madeRequest("b", {
      state: "running",
      began: 1000,
      queue_ms: 10,
      transfer_ms: 0,
      run_ms: 0,
      stream_ms: 0,
      total_ms: 10,
    });
    expect(totalOf(live, 1500)).toBe(500);
    expect(phasesOf(live, 1500).find((one) => one.name === "run").ms).toBe(490);
    expect(phasesOf({ ...live, state: "waiting" }, 1500).find((one) => one.name === "queue").ms).toBe(500);
  });
});

describe("requests", () => {
  it("are filtered by kind, text, app and span", () => {
    const all = [
      madeRequest("a", { cold: true }),
      madeRequest("b", { status: 500, error: "ValueError: x" }),
      madeRequest("c", { alias: "other", began: 9000 }),
    ];
    const ids = (filter) => chosenRequests(all, { kind: "all", text: "", ...filter }).map((one) => one.id);
    expect(ids({ kind: "cold" })).toEqual(["a"]);
    expect(ids({ kind: "failed" })).toEqual(["b"]);
    expect(ids({ text: "valueerror" })).toEqual(["b"]);
    expect(ids({ alias: "other" })).toEqual(["c"]);
    expect(ids({ from: 8000, to: 9500 })).toEqual(["c"]);
  });
  it("new ones wait while the list has the focus, at most a hundred are in the page, and arrows move", async () => {
    const host = madeHost(
      madeLine({ requests: Array.from({ length: 150 }, (_, at) => madeRequest(`r${at}`, { began: 1000 + at })) }),
    );
    const root = shown(requestsPanel, host, { alias: "hello" });
    const rows = () => [...root.querySelectorAll("tbody tr[data-request]")];
    expect(rows().length).toBe(8); // as many as stand in a card without scrolling
    named(root, "Show older ones").click();
    expect(rows().length).toBe(100);
    expect(named(root, "Show older ones")).toBeUndefined();
    expect(root.querySelectorAll('tbody tr[tabindex="0"]').length).toBe(1);
    rows()[0].focus();
    press(rows()[0], "ArrowDown");
    expect(document.activeElement).toBe(rows()[1]);
    const kept = rows()[1];
    host.store.apply({ ...madeLine(), kind: "frame", requests: [madeRequest("fresh", { began: 5000 })] });
    await until(() => [...root.querySelectorAll("button")].find((one) => one.textContent === "1 new" && !one.hidden));
    expect(rows()[1]).toBe(kept);
    named(root, "1 new").click();
    expect(rows()[0].dataset.request).toBe("fresh");
    expect(document.activeElement).toBe(kept);
  });
  it("have bars of one scale, which is said, unless each is wanted for itself", () => {
    const host = madeHost(
      madeLine({
        requests: [
          madeRequest("short", {
            began: 2000,
            run_ms: 100,
            queue_ms: 0,
            start_ms: 0,
            transfer_ms: 0,
            stream_ms: 0,
            total_ms: 100,
          }),
          madeRequest("long", {
            began: 1000,
            run_ms: 950,
            queue_ms: 0,
            start_ms: 0,
            transfer_ms: 0,
            stream_ms: 0,
            total_ms: 950,
          }),
        ],
      }),
    );
    const root = shown(requestsPanel, host, { alias: "hello" });
    const widths = () =>
      [...root.querySelectorAll(".fj-phases > span")].map((each) => Math.round(Number.parseFloat(each.style.width)));
    expect(widths()).toEqual([11, 100]);
    expect(root.querySelector(".fj-legend").textContent).toBe("queuecold starttransferrunanswerfailedcancelled");
    expect(root.querySelector("th.fj-wide").textContent).toContain("0 to 950 ms");
    named(root, "one scale").click();
    expect(widths()).toEqual([100, 100]);
    expect(root.querySelector("th.fj-wide").textContent).toBe("Where the time went");
    expect(root.querySelector(".fj-scale-word").dataset.short).toBe("Time"); // where there is less room
  });
  it("open the inspector in place, with what the gateway kept", async () => {
    const detail = {
      request: madeRequest("a"),
      input: {
        content_type: "application/json",
        size: 9,
        text: `{"name": ${JSON.stringify(HOSTILE)}}`,
        base64: "",
        truncated: false,
      },
      output: null,
      error: null,
      logs: [],
      buffered: false,
    };
    const host = madeHost(madeLine({ requests: [madeRequest("a")] }), () => detail);
    const root = shown(requestsPanel, host, { alias: "hello" });
    const scrolled = [];
    Element.prototype.scrollIntoView = function (how) {
      scrolled.push([this.dataset.request ?? this.className, how.block]);
    };
    press(root.querySelector("tr[data-request]"), "Enter");
    await until(() => root.querySelector(".fj-inspector")?.textContent.includes("<img src=x"));
    await until(() => document.activeElement === root.querySelector(".fj-inspector"));
    expect(scrolled).toEqual([
      ["a", "nearest"], // its row, which is taller beside the details
      ["fj-detail", "nearest"],
    ]);
    delete Element.prototype.scrollIntoView;
    expect(root.querySelector("img")).toBe(null);
    expect(host.asked[0].slice(0, 2)).toEqual(["GET", "requests/a"]);
    press(root.querySelector(".fj-inspector"), "Escape");
    expect([root.querySelector(".fj-inspector"), document.activeElement]).toEqual([
      null,
      root.querySelector("tr[data-request]"),
    ]);
  });
  it("say why a request failed, also one that was refused without an exception", async () => {
    const requests = [
      madeRequest("a", { status: 422 }),
      madeRequest("b", { status: 418 }),
      madeRequest("c", { status: 500, error: "ValueError: no" }),
    ];
    const output = {
      content_type: "application/json",
      size: 9,
      text: '{"detail": [{"loc": ["body", "prompt"], "msg": "Field required"}]}',
      base64: "",
      truncated: false,
    };
    const root = shown(
      requestsPanel,
      madeHost(madeLine({ requests }), () => ({
        request: requests[0],
        query: "",
        input: null,
        output,
        error: null,
        logs: [],
        displays: [],
        buffered: false,
      })),
      { alias: "hello" },
    );
    expect([...root.querySelectorAll("td .fj-failed.fj-clamp")].map((one) => one.textContent)).toEqual([
      "422: the input was refused",
      "418: the request was refused",
      "ValueError: no",
    ]);
    root.querySelector('[data-request="a"]').click();
    await until(() => root.querySelector(".fj-inspector .fj-bad")?.textContent.includes("prompt: Field required"));
  });
});

describe("config", () => {
  it("says what is wrong while one types", () => {
    const typed = {
      min_concurrency: "3",
      max_concurrency: "2",
      keep_alive: "5m",
      termination_grace_period_seconds: "31",
    };
    expect(problemsOf(RULES, typed)).toEqual({
      max_concurrency: "max_concurrency is 2 but min_concurrency is 3. Use 3 or more.",
      keep_alive: "Give seconds as a number: 300.",
      termination_grace_period_seconds: "It must be 0 to 30.",
    });
    expect(
      problemsOf(RULES, {
        min_concurrency: "1.5",
        max_concurrency: "0",
        keep_alive: "0.5",
        termination_grace_period_seconds: "",
      }),
    ).toMatchObject({ min_concurrency: "Give a whole number.", max_concurrency: "It must be 1 or more." });
  });
  it("has sliders that reach every value by keys, and come back to the value they show", () => {
    for (const rule of RULES) {
      expect(sliderValue(rule, 0)).toBe(rule.low);
      for (const value of [rule.low, rule.low + 1, rule.default])
        expect(Math.abs(sliderValue(rule, sliderPlace(rule, value)) - value)).toBeLessThanOrEqual(1);
    }
    expect(keyedValue(RULES[0], 0, "ArrowRight")).toBe(1);
    expect(keyedValue(RULES[0], 0, "ArrowLeft")).toBe(0);
    expect(keyedValue(RULES[3], 30, "ArrowUp")).toBe(30);
    expect(keyedValue(RULES[0], 0, "x")).toBe(undefined);
  });
  it("writes attributes of a class", () =>
    expect(classAttributes({ keep_alive: 30.5, warm: 1 })).toBe("    keep_alive = 30.5"));
  const type = (root, name, text) => {
    const box = root.querySelector(`[data-option="${name}"]`);
    box.value = text;
    box.dispatchEvent(new Event("input"));
    return box;
  };
  it("applies, and says so when a frame shows the values", async () => {
    const host = madeHost(madeLine());
    const root = shown(configPanel, host, { alias: "hello" });
    const label = root.querySelector('[data-option="keep_alive"]').labels[0];
    expect([label.textContent, label.innerHTML]).toEqual(["keep_alive", "keep_<wbr>alive"]); // it breaks there
    const box = type(root, "keep_alive", "30");
    named(root, "Apply").click();
    await until(() => host.asked.length);
    expect(host.asked[0]).toEqual(["POST", "apps/hello/scaling", '{"set":{"keep_alive":30}}']);
    expect(root.textContent).not.toContain("Applied in");
    const { by_class } = madeApp("hello");
    host.store.apply({
      ...madeLine({
        apps: [madeApp("hello", { scaling: { ...by_class, keep_alive: 30 }, overrides: { keep_alive: 30 } })],
      }),
      kind: "frame",
    });
    await until(() => root.textContent.includes("Applied in"));
    expect(box.value).toBe("30");
    expect(named(root, "Apply").disabled).toBe(true);
  });
  it("writes a change to the cell and applies it", async () => {
    const host = madeHost(madeLine());
    const written = [];
    host.writeToCell = async (...what) => void written.push(what);
    const root = shown(configPanel, host, { alias: "hello" });
    type(root, "keep_alive", "30");
    named(root, "Write to cell").click();
    await until(() => host.asked.length);
    expect(written[0].slice(2)).toEqual([{ keep_alive: 30 }]);
    expect(host.asked[0]).toEqual(["POST", "apps/hello/scaling", '{"set":{"keep_alive":30}}']);
    const scaling = { ...madeApp("hello").by_class, keep_alive: 30 };
    const apps = [madeApp("hello", { scaling, overrides: { keep_alive: 30 } })];
    host.store.apply({ ...madeLine({ apps }), kind: "frame" });
    await until(() => /Written to the cell: keep_alive = 30\. Applied in/.test(root.textContent));
    named(root, "Write to cell").click(); // nothing is left to apply
    await until(() => root.textContent.includes("It counts when the cell runs again."));
    expect(host.asked).toHaveLength(1);
  });
  it("says beside a value that it is not in force yet, and applies it from there", async () => {
    const host = madeHost(madeLine(), () => ({}));
    const root = shown(configPanel, host, { alias: "hello" });
    const box = type(root, "keep_alive", "30");
    const note = box.closest(".fj-field").nextElementSibling;
    expect(note.textContent).toMatch(/^not applied.* in force: 10\u00a0s$/);
    named(note, "Apply").click();
    await until(() => host.asked.length);
    expect(note.textContent).toContain("applying");
    expect(named(note, "Apply")).toBe(undefined);
    type(root, "max_concurrency", "0");
    expect(
      named(root.querySelector('[data-option="max_concurrency"]').closest(".fj-field").nextElementSibling, "Apply"),
    ).toBe(undefined);
  });
  it("says that min_concurrency and keep_alive take the place of the warm runner, before and after", async () => {
    const rules = [...RULES, { name: "warm", low: 0, high: null, default: 0, unit: "" }];
    const by_class = { ...madeApp("hello").by_class, warm: 1 };
    const host = madeHost(madeLine({ options: rules, apps: [madeApp("hello", { by_class, scaling: by_class })] }));
    const root = shown(configPanel, host, { alias: "hello" });
    const note = root.querySelector('[data-option="warm"]').closest(".fj-field").nextElementSibling;
    expect(note.textContent).toBe("for a notebook: 1, default 0");
    type(root, "min_concurrency", "1");
    expect(note.textContent).toBe("becomes 0 with min_concurrency, which then decides");
    host.store.apply({
      ...madeLine({
        options: rules,
        apps: [
          madeApp("hello", {
            by_class,
            scaling: { ...by_class, min_concurrency: 1, warm: 0 },
            overrides: { min_concurrency: 1 },
          }),
        ],
      }),
      kind: "frame",
    });
    await until(() => note.textContent === "0 since min_concurrency was set here; for a notebook: 1");
  });
  it("goes back to what is in force where it is refused, with the reason as text", async () => {
    const host = madeHost(madeLine(), () => ({ status: 400, detail: `no ${HOSTILE}`, hint: "use 4" }));
    const root = shown(configPanel, host, { alias: "hello" });
    const box = type(root, "keep_alive", "30");
    named(root, "Apply").click();
    await until(() => root.textContent.includes("Not applied."));
    expect(box.value).toBe("10");
    expect(root.textContent).toContain("use 4");
    expect(root.querySelector("img")).toBe(null);
  });
  it("marks an edit whose value changed elsewhere, and follows where nothing was edited", async () => {
    const host = madeHost(madeLine());
    const root = shown(configPanel, host, { alias: "hello" });
    type(root, "max_concurrency", "7");
    const { by_class } = madeApp("hello");
    host.store.apply({
      ...madeLine({ apps: [madeApp("hello", { scaling: { ...by_class, max_concurrency: 5, keep_alive: 3 } })] }),
      kind: "frame",
    });
    await until(() => root.textContent.includes("changed elsewhere"));
    expect(root.querySelector('[data-option="keep_alive"]').value).toBe("3");
    expect(root.querySelector('[data-option="max_concurrency"]').value).toBe("7");
    expect(root.querySelector('[data-slot="what-if"]').hidden).toBe(true);
  });
});

describe("timeline", () => {
  const timeline = {
    points: [
      [1000, 0, 0, 0, 0, 1, 0, 0, 0, 0],
      [30000, 4, 1, 0, 1, 0, 1, 0, 0, 0],
      [50000, 0, 0, 0, 0, 2, 0, 0, 0, 0],
    ],
    decisions: [
      { time: 30000, kind: "up", before: 1, after: 2, seen: "4 waiting", reason: `keep_alive ${HOSTILE}` },
      { time: 50000, kind: "down", before: 2, after: 1, seen: "", reason: "idle" },
    ],
    lanes: [
      {
        id: "hello-1",
        devices: [],
        revision: 1,
        moves: [
          [1000, "IDLE"],
          [30000, "RUNNING"],
        ],
      },
      {
        id: "hello-2",
        devices: [],
        revision: 1,
        moves: [
          [30000, "SETUP"],
          [50000, "IDLE"],
        ],
      },
    ],
  };
  const made = () => {
    const host = madeHost(madeLine({ timelines: { hello: timeline } }));
    host.store.lose("lost", "the server does not answer"); // its clock stands still
    return host;
  };
  it("names options as code, and text of users stays text", () =>
    expect(sentenceView("keep_alive is 3").map((one) => one.nodeName ?? one)).toEqual(["", "SPAN", " is 3"]));
  it("shows marks with their sentence, by keys too, and the same as a table", async () => {
    const root = shown(timelinePanel, made(), { alias: "hello" });
    const marks = [...root.querySelectorAll(".fj-mark")];
    expect(marks.map((one) => one.getAttribute("class").split(" ").at(-1))).toEqual(["fj-mark-up", "fj-mark-down"]);
    expect(root.querySelector(".fj-readout").textContent).toContain("2 → 1");
    press(marks[1], "ArrowLeft");
    expect(root.querySelector(".fj-readout").textContent).toContain("<img src=x");
    expect(root.querySelector("img")).toBe(null);
    expect(document.activeElement).toBe(marks[0]);
    expect(root.textContent).toContain("ends at");
    expect(root.querySelectorAll(".fj-fill-SETUP").length).toBeGreaterThan(1);
    named(root, "as a table").click();
    expect(root.querySelectorAll("tbody tr").length).toBe(2);
    expect(root.querySelector("tbody tr:last-child").textContent).toContain("▲ 1 → 2");
  });
  it("gives marks numbers, and those that share one the change of all and how many there are", () => {
    const burst = [1, 2, 3].map((before) => ({
      time: 30000 + before,
      kind: "up",
      before,
      after: before + 1,
      seen: "",
      reason: "more",
    }));
    const late = { time: 55000, kind: "down", before: 4, after: 3, seen: "", reason: "idle" };
    const host = madeHost(madeLine({ timelines: { hello: { ...timeline, decisions: [...burst, late] } } }));
    host.store.lose("lost", "");
    const root = shown(timelinePanel, host, { alias: "hello" });
    const marks = [...root.querySelectorAll(".fj-mark")];
    expect(marks.map((one) => one.querySelector("text")?.textContent)).toEqual(["1 → 4 in 3 steps", "4 → 3"]);
    expect(marks[0].getAttribute("aria-label")).toContain("the last of 3 decisions");
    press(marks[1], "ArrowLeft");
    expect(root.querySelector(".fj-readout").textContent).toContain(
      "One of 3 decisions at this mark; the table has each.",
    );
    expect(markWords([late])).toBe("4 → 3");
    const back = (...numbers) => numbers.slice(1).map((after, at) => ({ ...late, before: numbers[at], after }));
    expect(markWords(back(1, 2, 1))).toBe("1 → 2 → 1");
    expect(markWords(back(3, 3, 2, 0, 3))).toBe("3 → 0 → 3");
  });
  it("marks a span with Shift and the arrow keys, and shows its requests", async () => {
    const host = made();
    host.store.view.requests.push(madeRequest("in", { began: 59500 }), madeRequest("out", { began: 2000 }));
    const root = shown(timelinePanel, host, { alias: "hello" });
    const chart = root.querySelector("svg.fj-chart");
    for (let at = 0; at < 3; at += 1) press(chart, "ArrowLeft", { shiftKey: true });
    await until(() => root.querySelector("tr[data-request]"));
    expect([...root.querySelectorAll("tr[data-request]")].map((one) => one.dataset.request)).toEqual(["in"]);
    press(chart, "Escape");
    await until(() => !root.querySelector("tr[data-request]"));
  });
  it("keeps its nodes from frame to frame, and leaves nothing behind", async () => {
    const host = madeHost(madeLine({ timelines: { hello: timeline } }));
    const root = shown(timelinePanel, host, { alias: "hello" });
    const lane = root.querySelector('[data-key="hello-1"]');
    host.store.apply({
      ...madeLine({
        time: 61000,
        timelines: { hello: { points: [[61000, 9, 0, 0, 0, 2, 0, 0, 0, 0]], decisions: [], lanes: [] } },
      }),
      kind: "frame",
    });
    await until(() => root.textContent.includes("waiting 9"));
    expect(root.querySelector('[data-key="hello-1"]')).toBe(lane);
    stop.abort();
    expect(root.childNodes.length).toBe(0);
  });
  it("counts the runners that a saved timeline does not have", () => {
    const host = madeHost(madeLine({ timelines: { hello: { ...timeline, older_runners: 1 } } }));
    expect(shown(timelinePanel, host, { alias: "hello" }).textContent).toContain("1 runner not shown");
    expect(shown(timelinePanel, made(), { alias: "hello" }).textContent).not.toContain("not shown");
  });
  it("says what will fill it while it is empty", () =>
    expect(shown(timelinePanel, madeHost(madeLine()), { alias: "hello" }).textContent).toContain(
      "The timeline begins with the first call.",
    ));
});

describe("ledger", () => {
  it("sums to what is used, gives the rest to others, and each app a letter of its own", () => {
    const host = madeHost(
      madeLine({
        apps: [madeApp("hello", { runners: [madeRunner("hello-1"), madeRunner("hello-2", "SETUP", { memory: 5e8 })] })],
      }),
    );
    const [bar] = ledgerBars(host.store.view);
    expect(bar.blocks.map((one) => one.size)).toEqual([1e9, 5e8, 2.5e9]);
    expect(bar.blocks.reduce((sum, one) => sum + one.size, 0)).toBe(bar.used);
    expect(shareWords(bar.blocks)[0].name).toBe("other programs");
    expect([...appLetters(["embed", "echo", "say"]).values()]).toEqual(["E", "E′", "S"]);
  });
  it("has a block for each kernel and one for what it and its runners share, and a legend of all that is drawn", () => {
    const memory = { owner_memory: 4e8, owner_shared: 1e8 };
    const runners = [
      madeRunner("hello-1", "IDLE", { shared: 2e8 }),
      madeRunner("hello-2", "SETUP", { memory: 5e8, shared: 1e8 }),
    ];
    const apps = [
      madeApp("hello", { ...memory, runners }),
      madeApp("other", { ...memory, runners: [madeRunner("other-1")] }),
      madeApp("served", {
        ...{ owner_kind: "serve", owner_name: "b.py", owner_pid: 2 },
        ...{ owner_memory: 5e7, owner_shared: 4096 },
      }),
    ];
    const host = madeHost(madeLine({ apps }));
    const [bar] = ledgerBars(host.store.view);
    expect(bar.blocks.map((one) => [one.name, one.where, one.size])).toEqual([
      ["hello runner 1", "made.ipynb", 8e8],
      ["hello runner 2", "made.ipynb", 4e8],
      ["other runner 1", "made.ipynb", 1e9],
      ["kernel", "made.ipynb", 3e8],
      ["shared memory", "made.ipynb", 4e8],
      ["program", "b.py", 5e7],
      ["other programs", "", 1.05e9],
    ]);
    expect(bar.blocks.reduce((sum, one) => sum + one.size, 0)).toBe(bar.used);
    expect(shareWords(bar.blocks).map(({ name, size }) => [name, size])).toEqual([
      ["made.ipynb", 2.9e9],
      ["other programs", 1.05e9],
      ["b.py", 5e7],
    ]);
    const root = shown(ledgerPanel, host);
    const fills = (selector) =>
      [...root.querySelectorAll(selector)].flatMap((one) => [...one.classList].filter((name) => /^fj-mem-/.test(name)));
    expect(new Set(fills(".fj-legend .fj-swatch"))).toEqual(new Set(fills("button.fj-mem")));
    expect([...root.querySelectorAll(".fj-legend > span")].map((one) => one.textContent)).toEqual([
      ...["H hello", "O other", "kernels and programs", "shared memory (tensors)", "starting", "other programs"],
    ]);
  });
  it("tells of a block, stops its runner, and has a table", async () => {
    const host = madeHost(madeLine({ apps: [madeApp("hello", { runners: [madeRunner("hello-1")] })] }));
    const root = shown(ledgerPanel, host);
    expect(root.textContent).toContain("no GPU on this machine");
    root.querySelector(".fj-mem").click();
    expect(root.querySelector(".fj-readout").textContent).toContain("H1 on host");
    named(root.querySelector(".fj-readout"), "Stop").click();
    await until(() => host.asked.length);
    expect(host.asked[0].slice(0, 2)).toEqual(["DELETE", "runners/hello-1"]);
    named(root, "as a table").click();
    expect(root.querySelectorAll("tbody tr").length).toBe(2);
  });
});

describe("dashboard", () => {
  it("sorts apps and counts", () => {
    const apps = [madeApp("b", { waiting: 2 }), madeApp("a"), madeApp("c", { waiting: 5 })];
    expect(sortedApps(apps, 1, false).map((one) => one.alias)).toEqual(["a", "b", "c"]);
    expect(sortedApps(apps, 5, true).map((one) => one.alias)).toEqual(["c", "b", "a"]);
    const host = madeHost(madeLine({ apps }));
    const figure = (wanted) => figuresOf(host.store.view).find(([name]) => name === wanted);
    expect(figure("Waiting")[1]).toBe("7");
    host.store.view.apps.forEach((app, at) => void Object.assign(app.stats, { calls: 10 * at, rate: 0 }));
    expect(figure("Calls")).toEqual(["Calls", "30", "none in the last 10\u00a0s"]);
    host.store.view.apps[0].stats.rate = 2.5;
    expect(figure("Calls")).toEqual(["Calls", "30", "2.5/s now"]);
    host.store.view.apps.forEach((app) => void Object.assign(app.stats, { calls: 0, rate: 0 }));
    expect(figure("Calls")).toEqual(["Calls", "0", ""]);
  });
  it("sorts by its heads, opens a request in the drawer, and shows hostile names as text", async () => {
    const host = madeHost(
      madeLine({
        apps: [madeApp(HOSTILE, { owner_name: HOSTILE, runners: [madeRunner(HOSTILE)] }), madeApp("hello")],
        requests: [madeRequest("a", { path: `/${HOSTILE}`, error: HOSTILE, status: 500 })],
      }),
      () => ({ request: madeRequest("a"), input: null, output: null, error: null, logs: [], buffered: false }),
    );
    const root = shown(dashboardPanel, host);
    named(root, "App ").click();
    expect(root.querySelector('th[aria-sort="descending"]').textContent).toContain("App");
    root.querySelector("tr[data-request]").click();
    await until(() => root.querySelector(".fj-drawer .fj-inspector"));
    expect(root.querySelector("img, script")).toBe(null);
    expect(window.hit).toBe(undefined);
  });
  it("offers to start a gateway where none runs, and shows why it could not", async () => {
    const host = madeHost(null, () => ({ status: 503, detail: "no room" }));
    host.store.apply({ kind: "off", time: 1, reason: "" });
    const root = shown(dashboardPanel, host);
    named(root, "Start a gateway").click();
    await until(() => root.textContent.includes("no room"));
    expect(host.asked[0].slice(0, 2)).toEqual(["POST", "start"]);
  });
});

describe("the last phase", () => {
  it("is that of a stream only where the answer streams", () => {
    const parts = { run_ms: 20, stream_ms: 0.2, queue_ms: 0, start_ms: 0, transfer_ms: 0 };
    expect(phaseWords(madeRequest("a", parts))).toBe("run 20 ms · answer 0.2 ms");
    expect(phaseWords(madeRequest("a", { ...parts, content_type: "text/event-stream" }))).toContain("stream 0.2 ms");
  });
});

describe("tree", () => {
  it("is summed up in a few words, failing apps first", () => {
    const view = (more) => madeHost(madeLine(more)).store.view;
    const app = madeApp("a", { runners: [madeRunner("a-1"), madeRunner("a-2", "SETUP")], waiting: 3 });
    expect(summaryOf(view({ apps: [app] })).text).toBe("fal 1 app ready · 2 runners, 1 starting · 3 calls waiting");
    expect(summaryOf(view({ apps: [app, madeApp("b", { state: "Failing" })] }))).toMatchObject({
      text: "fal 1 app failing · 1 ready · 2 runners, 1 starting · 3 calls waiting",
      failing: 1,
    });
    const behind = madeApp("b", {
      revision: 3,
      serving: 2,
      failure: { time: 5, revision: 3, text: "no", error: null, retry_at: 0 },
    });
    expect(summaryOf(view({ apps: [app, behind] })).text).toBe(
      "fal 1 app failing · 1 ready · 2 runners, 1 starting · 3 calls waiting",
    );
    expect(figuresOf(view({ apps: [app, behind] }))[0]).toEqual(["Apps", "2", "1 ready · 1 failing"]);
    expect(summaryOf(view({ apps: [] })).text).toBe("fal no apps");
    expect(summaryOf(view({ apps: [madeApp("a", { state: "Starting" })] })).text).toBe(
      "fal 1 app starting · 0 runners",
    );
    expect(summaryOf(view({ apps: [madeApp("a", { state: "Zero" })] })).text).toBe("fal 1 app at zero · 0 runners");
    const off = madeHost(null);
    off.store.apply({ kind: "off", time: 1, reason: "" });
    expect(summaryOf(off.store.view).text).toBe("fal off");
  });
  it("keeps the apps that ended with their kernel, in sidebar and dashboard, until they are served again", async () => {
    const { stats } = madeApp("a");
    const host = { ...madeHost(madeLine({ apps: [madeApp("a", { stats: { ...stats, calls: 23 } })] })), ran: [] };
    host.runCell = (alias) => host.ran.push(alias);
    const root = shown(treePanel, host);
    const board = shown(dashboardPanel, host);
    host.store.apply(madeLine({ kind: "frame", time: 60_001, apps: [] }));
    await until(() => root.textContent.includes("kernel ended"));
    const ended = root.querySelector('[data-key="app:a"]');
    expect(ended.getAttribute("aria-label")).toContain("stopped with its kernel, 23 calls");
    expect(root.textContent).toContain("No app is running");
    named(root, "Run its cell").click();
    await until(() => board.textContent.includes("with its kernel"));
    expect(board.textContent).toContain("23 of ended apps");
    named(board, "Run the cell of a").click();
    expect(host.ran).toEqual(["a", "a"]);
    host.store.apply({ kind: "off", time: 1, reason: "" });
    expect(host.store.view.ended).toMatchObject([{ alias: "a", state: "Stopped", gone: true, runners: [] }]);
    host.store.apply(madeLine({ apps: [madeApp("a")] }));
    expect(host.store.view.ended).toEqual([]);
    host.store.apply({ kind: "off", time: 1, reason: "" });
    await until(() => root.textContent.includes("gateway ended") && board.textContent.includes("with its gateway"));
    host.store.apply(madeLine({ apps: [] }));
    expect(host.store.view.ended).toMatchObject([{ alias: "a", ended_by: "gateway" }]);
    const empty = shown(treePanel, madeHost(madeLine({ apps: [] })));
    expect(empty.textContent).toContain("No app is running");
  });
  it("offers an app cell where every app has ended, and no cell of a program's app", async () => {
    const app = madeApp("x", { owner_kind: "program" });
    const offers = { runCell: () => undefined, goToCell: () => undefined, insertCell: () => undefined };
    const host = Object.assign(madeHost(madeLine({ apps: [app] })), offers);
    const [root, board] = [shown(treePanel, host), shown(dashboardPanel, host)];
    host.store.apply(madeLine({ kind: "frame", time: 60_001, apps: [] }));
    await until(() => root.textContent.includes("program ended") && board.textContent.includes("with its program"));
    expect(root.textContent).toContain("Insert an app cell");
    for (const name of ["Run its cell", "Go to its cell", "More actions"]) expect(named(root, name)).toBeUndefined();
    expect(named(board, "Run the cell of x")).toBeUndefined();
    host.store.apply({ kind: "off", time: 60_002 });
    await until(() => !root.textContent.includes("Devices"));
    expect(root.textContent).toContain("Insert an app cell");
    expect(root.querySelector('[data-key="app:x"]').textContent).toContain("program ended");
    expect(root.querySelector(".fj-row").tabIndex).toBe(0);
  });
  it("has what is within an app right of the app's own symbol", async () => {
    const queue = [{ id: "w", path: "/", since: 0 }];
    const root = shown(
      treePanel,
      madeHost(
        madeLine({
          apps: [madeApp("one", { runners: [madeRunner("one-1")], waiting: 1, queue }), madeApp("two")],
          requests: [madeRequest("r1", { alias: "one", state: "running" })],
        }),
      ),
    );
    const ARROW = 18; // or its place
    const symbolOf = (row) =>
      Number.parseInt(row.style.paddingLeft, 10) + (row.querySelectorAll(":scope > .fj-glyph").length > 1 ? ARROW : 0);
    const at = (level) => [...root.querySelectorAll(`[aria-level="${level}"][data-key]`)];
    const apps = at(2).filter((one) => one.dataset.key.startsWith("app:"));
    expect([apps.length, new Set(apps.map(symbolOf)).size]).toEqual([2, 1]);
    const inner = at(3);
    expect(inner.length).toBeGreaterThan(1);
    for (const row of inner)
      expect([row.textContent, symbolOf(row) > symbolOf(apps[0])]).toEqual([row.textContent, true]);
  });
  it("moves by keys, folds, and acts on the row that has the focus", async () => {
    const host = madeHost(
      madeLine({
        apps: [
          madeApp("hello", { runners: [madeRunner("hello-1")], waiting: 1, queue: [{ id: "w", path: "/", since: 0 }] }),
        ],
      }),
    );
    const root = shown(treePanel, host);
    const here = () => document.activeElement.dataset.key;
    root.querySelector('[role="treeitem"]').focus();
    expect(here()).toBe("section:Apps");
    press(document.activeElement, "ArrowRight");
    expect(here()).toBe("app:hello");
    press(document.activeElement, "ArrowRight");
    expect(here()).toBe("runner:hello-1");
    press(document.activeElement, "ArrowLeft");
    expect(here()).toBe("app:hello");
    press(document.activeElement, "ArrowLeft");
    expect(root.querySelector('[data-key="runner:hello-1"]')).toBe(null);
    expect(document.activeElement.getAttribute("aria-expanded")).toBe("false");
    press(document.activeElement, "ArrowRight");
    press(document.activeElement, "ArrowDown");
    press(document.activeElement, "Delete");
    await until(() => host.asked.length);
    expect(host.asked[0].slice(0, 2)).toEqual(["DELETE", "runners/hello-1"]);
  });
  it("has a menu that gives the focus back to its row, by Escape, by a choice, and with the Stop dialog", async () => {
    const host = madeHost(madeLine({ apps: [madeApp("hello", { runners: [madeRunner("hello-1")] })] }));
    const root = shown(treePanel, host);
    const row = root.querySelector('[data-key="app:hello"]');
    const items = () => [...root.querySelectorAll('[role="menuitem"]')];
    const opened = () => {
      press(row, "F10", { shiftKey: true });
      expect(document.activeElement).toBe(items()[0]);
    };
    row.focus();
    opened();
    press(document.activeElement, "ArrowDown");
    expect(document.activeElement).toBe(items()[1]);
    press(document.activeElement, "Escape");
    expect([items(), document.activeElement]).toEqual([[], row]);
    opened();
    items()
      .find((one) => one.textContent === "Copy address")
      .click();
    expect([items(), document.activeElement, host.copied.length]).toEqual([[], row, 1]);
    // the dialog takes the focus from the row, and gives it back there
    let answer;
    let held;
    host.confirm = () => ((held = document.activeElement), new Promise((resolve) => (answer = resolve)));
    opened();
    items()
      .find((one) => one.textContent === "Stop app")
      .click();
    await until(() => answer);
    expect(held).toBe(row);
    answer(false);
    await until(() => !items().length);
    expect([document.activeElement, host.asked]).toEqual([row, []]);
  });
  it("counts down to the next attempt of an app that could not start", async () => {
    const failure = { time: 5, revision: 1, text: "no", error: null, retry_at: 72_000 };
    const root = shown(treePanel, madeHost(madeLine({ apps: [madeApp("hello", { state: "Failing", failure })] })));
    expect(root.textContent).toContain("retry in 12 s");
    await until(() => root.textContent.includes("retry in 11 s")); // no frame came
  });
  it("folds its sections, and the next page has them folded", () => {
    localStorage.clear();
    const host = madeHost(madeLine({ apps: [madeApp("hello")], requests: [madeRequest("a")] }));
    const keys = (root) => [...root.querySelectorAll("[data-key]")].map((one) => one.dataset.key);
    const root = shown(treePanel, host);
    const all = ["section:Apps", "app:hello", "section:Devices", "device:host", "section:Recent", "recent:a"];
    expect(keys(root)).toEqual(all);
    root.querySelector('[data-key="section:Devices"]').click();
    press(root.querySelector('[data-key="section:Recent"]'), "ArrowLeft");
    expect(keys(root)).toEqual(all.filter((one) => !/host|recent:/.test(one)));
    expect(root.querySelector('[data-key="section:Recent"]').getAttribute("aria-expanded")).toBe("false");
    const next = shown(treePanel, host);
    expect(keys(next)).toEqual(keys(root));
    next.querySelector('[data-key="section:Recent"]').click();
    expect(JSON.parse(localStorage.getItem("fal-jupyter:folded-sections"))).toEqual(["section:Devices"]);
    localStorage.setItem("fal-jupyter:folded-sections", "no JSON");
    expect(keys(shown(treePanel, host))).toEqual(all);
    localStorage.clear();
  });
  it("keeps a row and its focus from frame to frame", async () => {
    const host = madeHost(madeLine({ apps: [madeApp("hello", { runners: [madeRunner("hello-1")] })] }));
    const root = shown(treePanel, host);
    const row = root.querySelector('[data-key="runner:hello-1"]');
    row.focus();
    host.store.apply({
      ...madeLine({
        apps: [
          madeApp("above", { runners: [madeRunner("above-1")] }),
          madeApp("hello", { runners: [madeRunner("hello-1", "RUNNING", { in_flight: 3 })] }),
        ],
      }),
      kind: "frame",
    });
    await until(() => root.textContent.includes("3 in flight"));
    expect(root.querySelector('[data-key="runner:hello-1"]')).toBe(row);
    expect(document.activeElement).toBe(row);
  });
});
