/**
 * The card through an app's life: its first start, a setup that fails, a revision that fails behind one that serves,
 * its end.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cardPanel, frontTab } from "../../fal_jupyter/widgets/static/card/card.mjs";
import { backWords } from "../../fal_jupyter/widgets/static/card/owner_guard.mjs";
import { takenOverBy } from "../../fal_jupyter/widgets/static/card/card_states.mjs";
import { keepingLast } from "../../fal_jupyter/widgets/static/connection/kept_host.mjs";
import { savedHost } from "../../fal_jupyter/widgets/static/connection/host.mjs";
import { clock } from "../../fal_jupyter/widgets/static/text/format.mjs";
import { CARD, HOSTILE, madeApp, madeHost, madeLine, madeRequest, madeRunner, until } from "./made.mjs";

const FRAMES = [
  { filename: "/tmp/ipykernel_77/123.py", lineno: 6, function: "setup", line: "load()" },
  { filename: "/usr/lib/python3/site-packages/torch/a.py", lineno: 9, function: "load", line: "raise" },
];
const ERROR = { type: "OSError", message: HOSTILE, text: "all of it", phase: "setup", frames: FRAMES };
const failure = (more = {}) => ({
  time: 5,
  revision: 1,
  text: "bad",
  error: ERROR,
  retry_at: Date.now() + 30000,
  ...more,
});
const app = (more = {}) =>
  madeApp("hello", {
    endpoints: [{ name: "hi", path: "/", signature: "", doc: "" }],
    runners: [madeRunner("hello-1")],
    ...more,
  });
const begun = (state, more = {}) =>
  app({
    state: "Starting",
    serving: 0,
    setup_ms: 0,
    log: 3,
    runners: [madeRunner("hello-1", state, { since: 58_000 })],
    ...more,
  });

let root;
let stop;
let ran;
beforeEach(() => {
  root = document.createElement("div");
  document.body.replaceChildren(root);
  stop = new AbortController();
  ran = [];
});
afterEach(() => {
  stop.abort();
  expect(root.childNodes).toHaveLength(0);
});

/** A host of a notebook: it knows the cells. */
function hosted(line) {
  const host = madeHost(line, (_method, path) => (path.endsWith("/schema") ? { status: 409, detail: "none" } : {}));
  const plain = host.ask.bind(host);
  host.ask = async (method, path, asked) => {
    const given = await plain(method, path, asked);
    return path.endsWith("/logs")
      ? {
          ...given,
          json: async () => [{ time: 1, runner: "hello-1", request: "", stream: 1, text: `loading ${HOSTILE}` }],
        }
      : given;
  };
  return Object.assign(host, {
    goToLine: (...all) => ran.push(["line", ...all]),
    runCell: (alias) => ran.push(["run", alias]),
  });
}
const drawn = (line, card = CARD) => {
  const host = hosted(line);
  cardPanel(root, host, card, stop.signal);
  return host;
};
const named = (name) => [...root.querySelectorAll("button")].find((one) => one.textContent === name);
const seen = (node) => node && !node.closest("[hidden], .fj-away");

describe("the first start", () => {
  test("shows its steps and what setup printed, in the place of the form", async () => {
    const lanes = [
      {
        id: "hello-1",
        devices: [],
        revision: 1,
        moves: [
          [1000, "PENDING"],
          [1400, "SETUP"],
        ],
      },
    ];
    const host = drawn(
      madeLine({ apps: [begun("SETUP")], timelines: { hello: { points: [], decisions: [], lanes } } }),
    );
    await until(() => root.querySelector(".fj-card-stage pre")?.textContent.includes("loading <img"));
    const steps = [...root.querySelectorAll(".fj-card-steps li")].map((one) => one.textContent);
    expect(steps[0]).toBe("process 400 ms");
    expect(steps[1]).toMatch(/^setup\(\) \d+\.\d+ s$/); // a busy machine is late
    expect(steps[2]).toBe("ready");
    expect(seen(root.querySelector(".fj-panel-try"))).toBeFalsy();
    expect(root.querySelector("img")).toBeNull();
    expect(root.querySelector(".fj-card-notice").textContent).toBe("The app is starting."); // the steps are said once
    root.querySelector('[data-tab="logs"]').click();
    expect(root.querySelector(".fj-card-notice").textContent).toMatch(/^setup\(\) \d+\.\d+ s/);
    expect(seen(root.querySelector(".fj-card-stage"))).toBeFalsy();
    root.querySelector('[data-tab="try"]').click();
    host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [app()] }));
    await until(() => seen(root.querySelector(".fj-panel-try")));
    expect(root.querySelector(".fj-card-stage").hidden).toBe(true);
    expect(root.querySelector(".fj-card-notice").textContent).toContain(
      "No call yet. Press Run, or call Made.hi(…) in a cell.",
    );
    host.store.apply(
      madeLine({
        kind: "frame",
        time: 60002,
        apps: [app({ runners: [madeRunner("hello-1", "RUNNING")] })],
        requests: [
          madeRequest("a", { state: "streaming", path: "/talk" }),
          madeRequest("b", { state: "waiting", began: 2000 }),
        ],
      }),
    );
    await until(() =>
      /^2 calls in progress, the first one of \/talk since [\d:]+\.$/.test(
        root.querySelector(".fj-card-notice").textContent,
      ),
    );
    expect(root.querySelector(".fj-facts").textContent).toContain("1 busy");
  });

  test("says since when a call does what it does now", async () => {
    const host = drawn(madeLine({ apps: [app()] }));
    const clockOf = (time) => clock(time, false);
    const times = { began: 0, queue_ms: 60_000, start_ms: 60_000, transfer_ms: 60_000, run_ms: 120_000 };
    for (const [state, type, word, since] of [
      ["waiting", "", "waiting", 0],
      ["running", "", "running", 180_000],
      ["streaming", "text/event-stream", "streaming", 300_000],
      ["streaming", "application/json", "answering", 300_000],
    ]) {
      const request = madeRequest("a", { ...times, state, path: "/talk", content_type: type });
      host.store.apply(madeLine({ kind: "frame", time: 60_002, apps: [app()], requests: [request] }));
      const said = `/talk has been ${word} since ${clockOf(since)}.`;
      await until(() => root.querySelector(".fj-card-notice").textContent === said);
    }
  });

  test("does not say twice what its cell prints", async () => {
    const host = drawn(madeLine({ apps: [begun("SETUP")] }), { ...CARD, prints: 1 });
    await until(() => host.asked.some(([, path]) => path.endsWith("/logs")));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(root.querySelector(".fj-card-stage").textContent).not.toContain("loading");
    expect(root.querySelector(".fj-card-silent").textContent).toBe(
      "The form comes here when the app is ready. What setup() prints is below this card.",
    );
  });

  test("says in the room of the log that nothing was printed yet", async () => {
    const host = madeHost(madeLine({ apps: [begun("PENDING")] }));
    const silent = () => root.querySelector(".fj-card-steps + .fj-card-silent")?.textContent;
    let records = [];
    host.ask = async () => ({ ok: true, status: 200, headers: new Headers(), json: async () => records });
    cardPanel(root, host, CARD, stop.signal);
    await until(() => silent() === "What setup() prints appears here.");
    host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [begun("SETUP")] }));
    await until(() => silent() === "setup() has printed nothing yet.");
    records = [{ time: 1, runner: "hello-1", request: "", stream: 1, text: "loading" }];
    host.store.apply(madeLine({ kind: "frame", time: 60002, apps: [begun("SETUP", { log: 4 })] }));
    await until(() => root.querySelector(".fj-card-steps + pre")?.textContent === "loading");
    expect(silent()).toBeUndefined();
  });
});

describe("an isolated environment", () => {
  const build = (more = {}) => ({
    passed: 3000,
    took: 0,
    lines: ["making an environment", `+ tiny ${HOSTILE}`],
    error: "",
    ...more,
  });
  const picture = {
    time: 60000,
    app: app({ state: "Starting", serving: 0, runners: [] }),
    requests: [],
    timeline: { points: [], decisions: [], lanes: [], usage: [] },
  };

  test("is a step of the start, with its output, before there is an app and a gateway", async () => {
    const host = hosted();
    host.store.apply({ kind: "off", reason: "none", time: 60000 });
    let runs = true;
    host.cellRuns = () => runs;
    const card = { ...CARD, revision: 0, build: build(), picture };
    const { refresh } = cardPanel(root, host, card, stop.signal);
    const head = root.querySelector(".fj-head-state");
    expect(head.textContent).toBe("Starting");
    expect([...root.querySelectorAll(".fj-card-steps li")].map((one) => one.textContent)).toEqual([
      expect.stringMatching(/^environment 3\.\d+ s$/),
      "process",
      "setup()",
      "ready",
    ]);
    expect(root.querySelector(".fj-card-build").textContent).toContain("+ tiny <img");
    expect(root.querySelector("img")).toBeNull();
    expect(named("Run its cell").hidden).toBe(true);
    card.build = build({ error: "no environment can be made for Hello: no tiny" });
    refresh();
    await until(() => head.textContent === "Failing");
    expect(root.querySelector(".fj-card-stage").textContent).toContain("no tiny");
    expect(named("Run its cell").hidden).toBe(false);
    card.build = build();
    runs = false; // its kernel died
    refresh();
    await until(() => root.textContent.includes("Its environment was not finished. Run the cell again."));
    expect(head.textContent).toBe("Stopped");
  });

  test("of a new revision leaves the old one to be tried, and its output to unfold", () => {
    drawn(madeLine({ apps: [app()] }), { ...CARD, build: build() });
    expect(root.querySelector(".fj-card-notice").textContent).toMatch(
      /^environment 3\.\d+ s.*Calls go to r1\.Show the output$/,
    );
    expect(seen(root.querySelector(".fj-panel-try"))).toBeTruthy();
    expect(seen(root.querySelector(".fj-card-build"))).toBeFalsy();
    named("Show the output").click();
    expect(seen(root.querySelector(".fj-card-build"))).toBeTruthy();
  });

  test("stays among the steps while the first runner starts", () => {
    drawn(madeLine({ apps: [begun("SETUP")] }), { ...CARD, build: build({ took: 4200 }) });
    expect(
      [...root.querySelectorAll(".fj-card-steps li")].map((one) => one.textContent.replace(/ [\d.]+ s$/, "")),
    ).toEqual(["environment", "process", "setup()", "ready"]);
    expect(root.querySelector(".fj-card-steps li").textContent).toBe("environment 4.20 s");
  });
});

test("a last call that its user cancelled is said to be", () => {
  const last = (more) => {
    root.replaceChildren();
    drawn(madeLine({ apps: [app()], requests: [madeRequest("r1", { began: 50000, ...more })] }));
    return root.querySelector(".fj-card-notice").textContent;
  };
  expect(last({ status: 499, error: "cancelled" })).toMatch(/took 45 ms, cancelled\.$/);
  expect(last({ status: 500 })).toMatch(/, failed\.$/);
  expect(last({})).toMatch(/took 45 ms\.$/);
});

test("at zero a runner can be started, and the next call's cost is said", async () => {
  const host = drawn(
    madeLine({
      apps: [app({ state: "Zero", setup_ms: 3200, runners: [], reason: "hello-1 was idle for keep_alive (10 s)" })],
      requests: [madeRequest("r1", { began: 50000 })],
    }),
  );
  expect(root.querySelector(".fj-card-notice").textContent).toBe(
    "The next call starts a runner and takes about 3.20 s longer. Last call 10 s ago. hello-1 was idle for keep_alive (10 s).",
  );
  named("Start 1 runner").click();
  await until(() => host.asked.some(([method, path]) => method === "POST" && path === "apps/hello/start"));
  host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [app()] }));
  await until(() => named("Start 1 runner").hidden);
});

describe("a failed setup", () => {
  test("is a crash with the user's frame, what happens next, Retry and the way to the line", async () => {
    const host = drawn(
      madeLine({
        apps: [
          app({ state: "Failing", serving: 0, failure: failure(), runners: [madeRunner("hello-1", "CRASH_BACKOFF")] }),
        ],
      }),
    );
    expect(root.querySelector(".fj-card-notice").textContent).toMatch(
      /setup\(\) raised OSError.*The app retries automatically: next attempt in (30|29)/,
    );
    expect(root.querySelector(".fj-here").textContent).toContain("6  load()");
    expect(seen(root.querySelector(".fj-panel-try"))).toBeFalsy();
    named("Go to line 6").click();
    expect(ran).toEqual([["line", "hello", 6, "load()"]]);
    named("Copy traceback").click();
    expect(host.copied).toEqual(["all of it"]);
    named("Retry now").click();
    await until(() => host.asked.some(([method, path]) => method === "POST" && path === "apps/hello/restart"));
    expect(root.querySelector("img")).toBeNull();
  });

  test("without an exception has the last lines that its runner printed", async () => {
    const runners = [madeRunner("hello-7", "CRASH_BACKOFF")];
    const crash = failure({ error: null, text: "the runner ended before it was ready: killed by SIGSEGV" });
    drawn(madeLine({ apps: [app({ state: "Failing", serving: 0, failure: crash, runners })] }));
    const printed = await until(() => root.querySelector('.fj-card-stage pre[aria-label="the last lines printed"]'));
    await until(() => !printed.hidden);
    expect(printed.textContent).toContain("loading <img");
    root.replaceChildren();
    drawn(madeLine({ apps: [app({ state: "Failing", serving: 0, failure: crash, runners })] }), { ...CARD, prints: 1 });
    await until(() => root.textContent.includes("killed by SIGSEGV"));
    expect(root.querySelector('pre[aria-label="the last lines printed"]')).toBeNull(); // the cell has them
    expect(root.querySelector("img")).toBeNull();
  });

  test("of a new revision leaves the old one serving, and its error to unfold", async () => {
    const host = drawn(madeLine({ apps: [app({ revision: 2, serving: 1, failure: failure({ revision: 2 }) })] }));
    expect(root.querySelector(".fj-card-notice").textContent).toContain(
      "r2 could not start: setup() raised OSError.Calls go to r1.",
    );
    expect(seen(root.querySelector(".fj-panel-try"))).toBeTruthy();
    expect(seen(root.querySelector(".fj-error-view"))).toBeFalsy();
    named("Show the error").click();
    expect(seen(root.querySelector(".fj-error-view"))).toBeTruthy();
    expect(named("Retry now").hidden).toBe(false);
    expect(root.querySelector(".fj-head-state").textContent).toBe("Ready · r2 failed");
    expect(root.querySelector(".fj-head-state .fj-failed")).not.toBeNull();
    expect(root.querySelector(".fj-facts .fj-wrap").textContent).toContain("r1 serves, r2 failed");
    host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [app({ revision: 3, serving: 3 })] }));
    await until(() => root.querySelector(".fj-card-stage").hidden);
    expect(root.querySelector(".fj-head-state").textContent).toBe("Ready");
    expect(named("Retry now").hidden).toBe(true);
  });
});

test("a new revision that starts is said, and which one answers", () => {
  drawn(
    madeLine({
      apps: [
        app({
          revision: 2,
          serving: 1,
          runners: [madeRunner("hello-1"), madeRunner("hello-2", "SETUP", { revision: 2, since: 57_000 })],
        }),
      ],
    }),
  );
  expect(root.querySelector(".fj-card-notice").textContent).toMatch(
    /r2 has been starting for 3\.\d+ s; calls go to r1 until it is ready/,
  );
});

test("an app whose gateway has gone is not said to have lost its kernel, whichever gateway comes next", async () => {
  const next = { ...madeLine().gateway, pid: 2, started: 2 };
  const host = drawn(madeLine({ apps: [app()] }));
  host.store.apply(madeLine({ apps: [], gateway: next }));
  await until(() => root.textContent.includes("Stopped with its gateway after"));
});

test("nor where the page itself is new", async () => {
  const picture = { time: 60000, app: app(), requests: [], timeline: { points: [], decisions: [], lanes: [] } };
  const next = { ...madeLine().gateway, pid: 2, started: 2 };
  const host = hosted(madeLine({ apps: [], gateway: next }));
  cardPanel(root, host, { ...CARD, gateway: madeLine().gateway, picture }, stop.signal);
  await until(() => root.textContent.includes("Stopped with its gateway after"));
});

test("an app that is gone keeps what was known last", async () => {
  const requests = [madeRequest("r1"), madeRequest("other", { alias: "other" })];
  const host = drawn(madeLine({ apps: [app()], requests }));
  host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [app({ stats: { ...app().stats, calls: 17 } })] }));
  host.store.apply(madeLine({ kind: "frame", time: 60002, apps: [] }));
  await until(() => root.textContent.includes("Stopped with its kernel after 17 calls; its record until"));
  root.querySelector('[data-tab="requests"]').click();
  await until(() => root.querySelector('tr[data-request="r1"]'));
  expect(root.querySelector('tr[data-request="other"]')).toBeNull();
  expect(root.querySelector(".fj-past")).not.toBeNull(); // in grey
  expect(root.querySelector('[aria-label="Copy the address"]')).toBeNull();
  root.querySelector('[data-tab="config"]').click();
  await until(() => root.querySelector('[data-option="keep_alive"]'));
  expect(root.textContent).toContain("The app is gone. Run its cell to change it.");
  named("Run its cell").click();
  expect(ran).toEqual([["run", "hello"]]);
});

test("an app whose name another notebook took over is said to be that one's", () => {
  const card = { ...CARD, picture: { app: app({ owner_pid: 1, owner_name: "made.ipynb" }) } };
  const by = (owner_pid, owner_name) => takenOverBy(card, app({ owner_pid, owner_name }), "renamed.ipynb");
  expect([by(2, "two.ipynb"), by(1, "renamed.ipynb"), by(2, "made.ipynb")]).toEqual(["two.ipynb", "", ""]);
  expect(takenOverBy(CARD, app({ owner_pid: 2 }))).toBe("");
  expect(by(2, "")).toBe("");
  expect(takenOverBy({ picture: { app: app({ owner_name: "" }) } }, app({ owner_pid: 2 }), "one.ipynb")).toBe("");
});

test("the card of an app that another notebook took over is grey, and asks by its name before it acts on it", async () => {
  const card = { ...CARD, picture: { app: app({ owner_pid: 1, owner_name: "made.ipynb" }) } };
  const long = "a-notebook-with-a-very-long-name-of-its-own.ipynb";
  const now = app({ owner_pid: 2, owner_name: long, class_name: "Other" });
  const host = drawn(madeLine({ apps: [now] }), card);
  await until(() => root.querySelector(".fj-head-state").textContent);
  const head = root.querySelector(".fj-head-state");
  expect(head.textContent).toBe("Taken over by a-notebook-w…s-own.ipynb");
  expect(head.querySelector(`[title="${long}"]`)).not.toBeNull();
  expect([head.querySelector(".fj-pending") !== null, head.querySelector(".fj-ok")]).toEqual([true, null]);
  expect(root.querySelector(".fj-card-notice").textContent).toContain("calls and changes from here go to that one");
  const acts = () => host.asked.filter(([method]) => method !== "GET");
  for (const [label, word] of [
    ["Restart the runners, one after another", "Restart"],
    ["Stop the app", "Stop"],
  ]) {
    root.querySelector(`[aria-label="${label}"]`).click();
    const question = await until(() => root.querySelector('[role="alertdialog"]'));
    expect(question.getAttribute("aria-label")).toBe(`${word} hello of ${long}?`);
    named("Cancel").click();
    await until(() => !root.querySelector('[role="alertdialog"]'));
  }
  expect(acts()).toEqual([]);
  root.querySelector('[aria-label="Restart the runners, one after another"]').click();
  (await until(() => named("Restart"))).click();
  await until(() => acts().length);
});

test("calls and changes from the card of an app that another notebook took over are asked for once", async () => {
  const card = { ...CARD, picture: { app: app({ owner_pid: 1, owner_name: "made.ipynb" }) } };
  const now = app({ owner_pid: 2, owner_name: "two.ipynb", class_name: "Other" });
  const host = drawn(madeLine({ apps: [now] }), card);
  const acts = () => host.asked.filter(([method]) => method !== "GET").map(([, path]) => path);
  const answer = async (word) => {
    const question = await until(() => root.querySelector('[role="alertdialog"]'));
    expect(question.getAttribute("aria-label")).toBe("Send this to hello of two.ipynb?");
    named(word).click();
    await until(() => !root.querySelector('[role="alertdialog"]'));
  };
  root.querySelector('[data-tab="config"]').click();
  const box = await until(() => root.querySelector('[data-option="keep_alive"]'));
  box.value = "60";
  box.dispatchEvent(new Event("input"));
  const [apply] = [...root.querySelectorAll("button.fj-primary")].filter((one) => one.textContent.startsWith("Apply"));
  apply.click();
  await answer("Cancel");
  expect(acts()).toEqual([]);
  apply.click();
  await answer("Send");
  await until(() => acts().length === 1);
  root.querySelector('[data-tab="try"]').click();
  const run = await until(() => root.querySelector(".fj-run-button"));
  expect(run.classList.contains("fj-primary")).toBe(false);
  expect(run.title).toContain("two.ipynb");
  root.querySelector(".fj-load summary").click();
  named("Start load").click();
  await until(() => root.querySelector(".fj-load-report").textContent); // agreed already: no question
  expect(root.querySelector('[role="alertdialog"]')).toBeNull();
});

test("what brings an app back is said by the text of its cell", () => {
  const [magic, served] = ["%%fal_app --keep-alive 5\nclass A: ...", "fal_jupyter.serve(A, wait=False)"];
  expect(backWords("cell [2]")).toBe("To have it back, add --take-over to cell [2] and run it.");
  expect(backWords("cell [2]", magic)).toBe("To have it back, add --take-over to cell [2] and run it.");
  expect(backWords("cell [2]", magic.replace("--keep", "--take-over --keep"))).toBe(
    "To have it back, run cell [2] again.",
  );
  expect(backWords("its cell", served)).toBe("To have it back, add take_over=True to serve(…) in its cell and run it.");
  expect(backWords("its cell", served.replace("wait=False", "take_over=True"))).toBe(
    "To have it back, run its cell again.",
  );
});

test("a card opens with the tab that was in front when its notebook was saved", async () => {
  drawn(madeLine({ apps: [app()] }), { ...CARD, tab: "", front: "config" });
  await until(() => root.querySelector('[data-option="keep_alive"]'));
  expect(root.querySelector('[data-tab="config"]').getAttribute("aria-selected")).toBe("true");
  expect(frontTab({ ...CARD, tab: "" })).toBe(undefined); // nobody brought one to the front
  root.querySelector('[data-tab="logs"]').click();
  expect(frontTab({ ...CARD, tab: "" })).toBe("logs");
});

test("a notebook that was renamed and has a new kernel took nothing over; where no host knows it, another class did", () => {
  const card = { ...CARD, picture: { app: app({ owner_pid: 1, owner_name: "made.ipynb" }) } };
  const now = app({ owner_pid: 2, owner_name: "renamed.ipynb" });
  expect([takenOverBy(card, now, "renamed.ipynb"), takenOverBy(card, now)]).toEqual(["", ""]);
  expect(takenOverBy(card, { ...now, class_name: "Other" })).toBe("renamed.ipynb");
  const host = drawn(madeLine({ apps: [{ ...now, state: "Stopped" }] }), card);
  expect(host.store.view.apps[0].state).toBe("Stopped");
  expect(root.querySelector(".fj-card-notice").textContent).toContain("Stopped after");
});

test("an app that was taken from a process is said to be another's, whatever both are called", () => {
  const card = { ...CARD, picture: { app: app({ owner_pid: 1, owner_name: "IPython" }) } };
  const by = (more) => takenOverBy(card, app({ owner_name: "IPython", owner_pid: 2, ...more }));
  expect([by({ taken_from: [1] }), by({ taken_from: [3] }), by({})]).toEqual(["another kernel", "", ""]);
  expect([by({ taken_from: [1], owner_name: "two.py" }), by({ taken_from: [1, 2], owner_pid: 1 })]).toEqual([
    "two.py",
    "",
  ]);
});

test("the first click gives up what a change of state held, not the room of the form", async () => {
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      disconnect() {}
    },
  );
  drawn(madeLine({ apps: [app()] }));
  await until(() => root.querySelector('[data-tab="requests"]'));
  const body = root.querySelector(".fj-card-notice").parentElement;
  const room = () => body.style.getPropertyValue("--fj-room");
  body.style.setProperty("--fj-room", "300px");
  body.style.minHeight = "500px";
  root.querySelector(".fj-card-notice").click();
  expect([body.style.minHeight, room()]).toEqual(["", "300px"]);
  root.querySelector('[data-tab="requests"]').click(); // each tab has the height that it needs
  expect(room()).not.toBe("300px");
  vi.unstubAllGlobals();
});

test("while the page connects, a call that was on its way is not said to have failed", () => {
  const requests = [madeRequest("r1", { state: "running", status: 0 })];
  const card = { ...CARD, picture: { time: 60_000, app: app(), requests, timeline: undefined } };
  const host = madeHost(null);
  const { store } = keepingLast(host, card, stop.signal);
  expect(store.view.requests.map((one) => [one.state, one.status])).toEqual([["running", 0]]);
  host.store.apply(madeLine({ apps: [] }));
  const [ended] = store.view.requests;
  expect([ended.state, ended.status, ended.error]).toEqual([
    "done",
    503,
    "lost: the app ended while it had the request",
  ]);
  expect(store.view.requests[0]).toBe(ended); // the same row at the next draw
});

test("a start by hand leaves the form that an earlier start made, and what the class takes along is listed", async () => {
  const host = madeHost(madeLine({ apps: [app()] }), (_method, path) =>
    path.endsWith("/schema") ? { paths: { "/": { post: {} } } } : {},
  );
  cardPanel(root, host, { ...CARD, captures: ["MiniLM (class, 9.7 kB, cell [3])", "PREFIX (str, 40 B)"] }, stop.signal);
  await until(() => root.querySelector("option")?.textContent === "POST /");
  host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [begun("SETUP")] }));
  await until(() => root.querySelector(".fj-card-notice").textContent.startsWith("setup()"));
  expect([seen(root.querySelector(".fj-card-stage")), seen(root.querySelector(".fj-run-button"))]).toEqual([
    false,
    true,
  ]);
  const captures = root.querySelector(".fj-captures");
  expect(captures.querySelector("summary").textContent).toBe("Takes along from the notebook: MiniLM, PREFIX");
  expect([...captures.querySelectorAll("li")][0].textContent).toBe("MiniLM (class, 9.7 kB, cell [3])");
});

test("a saved card has no colour of a living state, and runs its cell where there is one", () => {
  const card = {
    ...CARD,
    picture: {
      time: 60000,
      app: app(),
      requests: [madeRequest("r1")],
      timeline: { points: [], decisions: [], lanes: [] },
    },
  };
  cardPanel(root, Object.assign(savedHost(card), { runCell: (alias) => ran.push(alias) }), card, stop.signal);
  expect(root.querySelector(".fj-head-state").textContent).toBe("Ready, saved");
  expect(root.querySelector(".fj-head-state .fj-ok")).toBeNull();
  named("Run its cell").click();
  expect(ran).toEqual(["hello"]);
});
