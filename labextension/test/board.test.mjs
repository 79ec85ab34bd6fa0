import { afterEach, describe, expect, it } from "vitest";
import { csvField, requestsCsv } from "../../fal_jupyter/widgets/static/requests/csv.mjs";
import { dashboardPanel, figuresOf } from "../../fal_jupyter/widgets/static/dashboard/dashboard.mjs";
import { endpointTable } from "../../fal_jupyter/widgets/static/requests/endpoint_figures.mjs";
import { pathText } from "../../fal_jupyter/widgets/static/text/format.mjs";
import { roundUp, timeLabels } from "../../fal_jupyter/widgets/static/elements/geometry.mjs";
import { inspectorPanel, memoryDuring } from "../../fal_jupyter/widgets/static/inspector/inspector.mjs";
import { phaseBar, phaseTable, phaseTicks } from "../../fal_jupyter/widgets/static/elements/phases.mjs";
import { waitsFor } from "../../fal_jupyter/widgets/static/requests/queue.mjs";
import { requestsPanel } from "../../fal_jupyter/widgets/static/requests/requests.mjs";
import { treePanel } from "../../fal_jupyter/widgets/static/sidebar/tree.mjs";
import { usagePanel } from "../../fal_jupyter/widgets/static/scaling/usage.mjs";
import { HOSTILE, madeApp, madeHost, madeLine, madeRequest, madeRunner, until } from "./made.mjs";
import { sentenceView } from "../../fal_jupyter/widgets/static/scaling/timeline.mjs";

let stop = new AbortController(); // ends all that a test shows
function shown(panel, host, options = {}, place = document.body) {
  const root = document.createElement("div");
  place.append(root);
  panel(root, host, options, stop.signal);
  return root;
}
function endAll() {
  stop.abort();
  stop = new AbortController();
  document.body.replaceChildren();
}
afterEach(endAll);
const named = (root, label) =>
  [...root.querySelectorAll("button")].find((one) =>
    (one.getAttribute("aria-label") ?? one.textContent).includes(label),
  );
const detailOf = (request, text) => ({
  request,
  input: { content_type: "application/json", size: text.length, text, base64: "", truncated: false },
  output: null,
  error: null,
  logs: [],
  buffered: false,
});
const figures = (path, more = {}) => ({
  path,
  calls: 30,
  failed: 3,
  cancelled: 1,
  sample: 30,
  p50_ms: 12,
  p95_ms: 80,
  max_ms: 95,
  spark: [0, 3],
  ...more,
});

describe("paths", () => {
  it("are shown decoded, but for what would change their meaning or their line", () => {
    expect(pathText("/caf%C3%A9/%D7%A9%D7%9C%D7%95%D7%9D/a%20b")).toBe("/café/שלום/a b");
    expect(pathText("/a%2Fb%3Fc/%25")).toBe("/a%2Fb%3Fc/%");
    expect(pathText("/a%0Ab%09c")).toBe("/a%0Ab%09c");
    expect(pathText("/%FF")).toBe("/%FF");
  });
  it("and names in a script from right to left keep their direction to themselves", () => {
    const root = shown(
      dashboardPanel,
      madeHost(
        madeLine({
          apps: [madeApp("hello", { owner_name: "\u05e9\u05dc\u05d5\u05dd.ipynb" })],
          requests: [madeRequest("a")],
        }),
      ),
    );
    expect([...root.querySelectorAll(".fj-under-wider bdi")].map((one) => one.textContent)).toEqual([
      "\u05e9\u05dc\u05d5\u05dd.ipynb",
      "XS",
      "r1",
    ]);
    expect([...root.querySelectorAll("tr[data-request] .fj-narrow bdi")].map((one) => one.textContent)).toEqual([
      "hello",
      "runner 1",
      "r1",
    ]);
  });
  it("are found by their decoded text, and shown so in the table", () => {
    const root = shown(
      requestsPanel,
      madeHost(madeLine({ requests: [madeRequest("a", { path: "/caf%C3%A9" }), madeRequest("b")] })),
      { alias: "hello" },
    );
    const box = root.querySelector('input[type="search"]');
    box.value = "café";
    box.dispatchEvent(new Event("input"));
    expect([...root.querySelectorAll("tr[data-request]")].map((one) => one.dataset.request)).toEqual(["a"]);
    expect(root.querySelector("tr[data-request] .fj-mono").textContent).toBe("/café");
  });
});

describe("a cancelled request", () => {
  const cancelled = madeRequest("c", { status: 499, runner: "", revision: 0, error: "cancelled" });
  it("looks cancelled, not failed, in the table, its bar and the inspector", async () => {
    const host = madeHost(madeLine({ requests: [cancelled] }), () => detailOf(cancelled, "{}"));
    const root = shown(requestsPanel, host, { alias: "hello" });
    const row = root.querySelector("tr[data-request]");
    expect(row.textContent).toContain("cancelled");
    expect(row.querySelector(".fj-failed, .fj-phase-failed")).toBe(null);
    expect(phaseBar(cancelled, 0).querySelector(".fj-phase-cancelled")).not.toBe(null);
    named(root, "failed").click();
    expect(root.querySelector("tr[data-request]")).toBe(null);
    named(root, "cancelled").click();
    root.querySelector("tr[data-request]").click();
    await until(() => root.querySelector(".fj-inspector")?.textContent.includes("cancelled by its caller"));
    expect(root.querySelector(".fj-inspector .fj-bad")).toBe(null);
  });
  it("and the parts of a failed call are drawn alike in list and inspector", () => {
    const failed = madeRequest("a", { status: 500, run_ms: 5 });
    for (const drawn of [phaseBar(failed, 0), phaseTable(failed, 0)]) {
      expect(drawn.querySelector(".fj-phase-failed")).not.toBe(null);
      expect(drawn.querySelector(".fj-phase-run")).toBe(null);
    }
  });
  it("and phases of no time are left out", () =>
    expect(phaseTable(madeRequest("a"), 0).textContent).not.toContain("cold start"));
});

describe("a stream", () => {
  it("has a sign with a name in the table, and a part of its own in bar and legend", () => {
    const requests = [
      madeRequest("s", { content_type: "text/event-stream; charset=utf-8" }),
      madeRequest("a"),
      madeRequest("l", { content_type: "text/event-stream", state: "streaming" }),
      madeRequest("j", { state: "streaming" }),
    ];
    const root = shown(requestsPanel, madeHost(madeLine({ requests })), { alias: "hello" });
    const row = (id) => root.querySelector(`tr[data-request="${id}"]`);
    expect(["s", "a", "l", "j"].map((id) => row(id).querySelector(".fj-stream-sign")?.textContent.trim())).toEqual([
      "stream",
      undefined,
      "stream",
      undefined,
    ]);
    expect(row("s").querySelector(".fj-stream-sign").title).toContain("in pieces");
    expect(["s", "a", "l", "j"].map((id) => row(id).querySelector("td").textContent)).toEqual([
      "succeeded",
      "succeeded",
      "streaming",
      "answering",
    ]);
    expect([row("s").querySelector(".fj-phase-stream") !== null, row("s").querySelector(".fj-phase-answer")]).toEqual([
      true,
      null,
    ]);
    expect([row("a").querySelector(".fj-phase-answer") !== null, row("a").querySelector(".fj-phase-stream")]).toEqual([
      true,
      null,
    ]);
    const legend = [...root.querySelectorAll(".fj-legend > span")].map((one) => one.textContent);
    expect(legend.slice(-4)).toEqual(["answer", "stream", "failed", "cancelled"]);
  });
});

describe("percentiles", () => {
  it("are left out where no call succeeded, in every place", () => {
    const none = { calls: 3, failed: 3, sample: 0 };
    const app = madeApp("hello");
    const of = (stats, endpoint) =>
      madeLine({
        apps: [{ ...app, stats: { ...app.stats, ...stats }, by_endpoint: [figures("/", endpoint)] }],
        requests: [madeRequest("a", { status: 500 })],
      });
    const root = shown(requestsPanel, madeHost(of(none, none)), { alias: "hello" });
    expect(root.textContent).toContain("3 calls · 3 failed");
    expect(root.querySelector(".fj-requests-list").textContent).not.toContain("p50");
    expect(shown(dashboardPanel, madeHost(of(none, none))).textContent).toContain("needs 20 successful calls");
    const few = madeApp("few", { stats: { ...app.stats, sample: 3, p95_ms: 9000 } });
    const many = madeApp("many", { stats: { ...app.stats, sample: 20, p95_ms: 80 } });
    const p95 = figuresOf({ ...madeHost(madeLine({ apps: [few, many] })).store.view }).find(([name]) => name === "p95");
    expect(p95).toEqual(["p95", "80 ms", "many"]); // three calls say nothing, however slow they were
  });
});

describe("requests as CSV", () => {
  it("quotes what needs it, and no field is a formula", () => {
    expect(["a", 'a"b', "a,b", "=1+1", -5, "a\nb"].map(csvField)).toEqual([
      "a",
      '"a""b"',
      '"a,b"',
      "'=1+1",
      "-5",
      '"a\nb"',
    ]);
    const lines = requestsCsv(
      [
        madeRequest("a", { path: "/caf%C3%A9" }),
        madeRequest("b", { status: 499 }),
        madeRequest("d", { status: 500, error: "ValueError: x, y" }),
      ],
      0,
    )
      .trimEnd()
      .split("\r\n");
    expect(lines[0]).toMatch(/^id,app,method,path,began,state,status,total_ms,queue_ms/);
    expect(lines[1]).toBe(
      "a,hello,POST,/café,1970-01-01T00:00:01.000Z,succeeded,200,45,10,0,1,30,4,false,hello-1,1,cell,2,2,",
    );
    expect(lines[2]).toContain(",cancelled,499,");
    expect(lines[3]).toContain(",failed,500,");
    expect(lines[3]).toMatch(/"ValueError: x, y"$/);
  });
});

describe("the inspector", () => {
  const app = madeApp("hello", {
    url: "http://127.0.0.1:1/run/me/hello",
    endpoints: [{ name: "say", path: "/say", signature: "", doc: "" }],
  });
  const request = madeRequest("a", { path: "/say" });
  const host = (more = {}) =>
    Object.assign(
      madeHost(madeLine({ apps: [app], requests: [request] }), () => detailOf(request, '{"text": "it\'s"}')),
      more,
    );
  it("copies the call as Python and as curl, and says so", async () => {
    const here = host();
    const root = shown(inspectorPanel, here, { id: "a" });
    await until(() => named(root, "Copy as Python"));
    named(root, "Copy as Python").click();
    await until(() => root.textContent.includes("copied as Python"));
    named(root, "Copy as curl").click();
    await until(() => here.copied.length === 2);
    expect(here.copied[0]).toContain('arguments={"text": "it\'s"}');
    expect(here.copied[1]).toContain("curl -sS 'http://127.0.0.1:1/run/me/hello/say'");
  });
  it("says that a call was lost where its app went with it", async () => {
    const runs = { ...request, state: "running", status: 0 };
    const here = madeHost(madeLine({ apps: [app], requests: [runs] }), () => detailOf(runs, "{}"));
    const root = shown(inspectorPanel, here, { id: "a" });
    await until(() => named(root, "Cancel"));
    here.ask = async () => ({ status: 404, json: async () => ({ detail: "no such request" }) });
    here.store.apply(madeLine({ kind: "frame", time: 90_000, apps: [] }));
    await until(() => root.textContent.includes("lost: the app ended while it had the request"));
    expect(named(root, "Cancel")).toBeUndefined();
  });
  it("leads to the cell that asked, where that is known", async () => {
    const went = [];
    const asked = { ...request, cell: "c-7", cell_number: 14 };
    const here = Object.assign(
      madeHost(madeLine({ apps: [app], requests: [asked] }), () => detailOf(asked, "{}")),
      { goToCell: (...to) => went.push(to) },
    );
    const root = shown(inspectorPanel, here, { id: "a" });
    (await until(() => named(root, "cell [14] of made.ipynb"))).click();
    expect(went).toEqual([["hello", "c-7"]]);
  });
  it("sends a request to the form of the card around it", async () => {
    const card = document.createElement("section");
    card.className = "fj-card";
    document.body.append(card);
    const heard = [];
    card.addEventListener("fj-edit-request", (event) => (event.preventDefault(), heard.push(event.detail)));
    const root = shown(inspectorPanel, host(), { id: "a" }, card);
    await until(() => named(root, "Edit and run again"));
    named(root, "Edit and run again").click();
    expect(heard).toEqual([{ alias: "hello", id: "a" }]);
  });
  it("in the dashboard shows the cell first, and says where no notebook is open", async () => {
    const heard = [];
    const went = [];
    const here = host({
      goToCell(alias) {
        went.push(alias);
        const form = (event) => (event.preventDefault(), heard.push(event.detail.id));
        setTimeout(() => document.addEventListener("fj-edit-request", form, { once: true }), 60); // its card is drawn
      },
    });
    const root = shown(inspectorPanel, here, { id: "a" });
    await until(() => named(root, "Edit and run again"));
    named(root, "Edit and run again").click();
    await until(() => heard.length);
    expect([went, heard]).toEqual([["hello"], ["a"]]);
    endAll();
    const without = shown(inspectorPanel, host(), { id: "a" });
    await until(() => named(without, "Call again"));
    expect(named(without, "Edit and run again")).toBe(undefined);
  });
});

describe("endpoints", () => {
  it("have figures of their own, and lead to their requests", () => {
    const chosen = [];
    const table = endpointTable([figures("/caf%C3%A9"), figures(`/${HOSTILE}`, { sample: 3 })], (path) =>
      chosen.push(path),
    );
    expect(
      [...table.querySelectorAll("tbody tr")].map((one) =>
        [...one.querySelectorAll("td")].slice(1).map((cell) => cell.textContent),
      ),
    ).toEqual([
      ["30", "12 ms", "80 ms", "95 ms", "10 %"],
      ["30", "12 ms", "–", "95 ms", "10 %"],
    ]);
    table.querySelector("button").click();
    expect(chosen).toEqual(["/café"]);
    expect(table.querySelector("img")).toBe(null);
    const host = madeHost(madeLine({ apps: [madeApp("hello", { by_endpoint: [figures("/say")] })] }));
    const root = shown(requestsPanel, host, { alias: "hello" });
    expect(root.querySelector("details").textContent).toContain("/say");
  });
});

describe("the dashboard", () => {
  it("marks the row whose request is in the drawer; Escape closes it and gives the focus back", async () => {
    const host = madeHost(madeLine({ apps: [madeApp("hello")], requests: [madeRequest("a"), madeRequest("b")] }), () =>
      detailOf(madeRequest("a"), "{}"),
    );
    const root = shown(dashboardPanel, host);
    const row = () => root.querySelector('tr[data-request="a"]');
    row().focus();
    row().click();
    await until(() => root.querySelector(".fj-drawer .fj-inspector button"));
    expect(row().getAttribute("aria-current")).toBe("true");
    root
      .querySelector(".fj-drawer button")
      .dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
    expect(root.querySelector(".fj-drawer").hidden).toBe(true);
    expect(document.activeElement).toBe(row());
    expect(row().getAttribute("aria-current")).toBe(null);
  });
});

describe("the sidebar", () => {
  const long = "a-name-that-is-longer-than-any-sidebar-is-wide";
  it("has the host among the devices, with or without a GPU, and whole names in titles", () => {
    const root = shown(
      treePanel,
      madeHost(madeLine({ apps: [madeApp(long)], requests: [madeRequest("a", { alias: long, path: "/caf%C3%A9" })] })),
    );
    const row = root.querySelector('[data-key="device:host"]');
    expect(row.getAttribute("aria-label")).toBe("host 4 cores 4.0 of 16.0 GB, memory in use, 10 % busy");
    expect(row.textContent).toContain("4.0 of 16.0 GB");
    expect(root.textContent).toContain("Devices 0 GPUs");
    expect(root.querySelector(`strong[title^="${long}"]`)).not.toBe(null);
    expect(root.querySelector('[data-key="recent:a"] .fj-mono').textContent).toBe("/café");
  });
  it("and the dashboard say how much of a long queue is shown", () => {
    const queue = Array.from({ length: 20 }, (_, at) => ({ id: `q${at}`, path: "/caf%C3%A9", since: 0 }));
    const host = madeHost(madeLine({ apps: [madeApp("hello", { waiting: 134, queue }), madeApp("other")] }));
    expect(shown(treePanel, host).textContent).toContain("and 114 more");
    const root = shown(dashboardPanel, host);
    expect(root.textContent).toContain("20 of 134 shown");
    expect(root.textContent).toContain("/café");
    const filter = root.querySelector('[aria-label="Filter apps"]');
    filter.value = "oth";
    filter.dispatchEvent(new Event("input"));
    expect(root.textContent).toContain("1 of 2 from 1 notebook");
  });
  it("gives an app to whoever takes a drag, as a cell and as text", () => {
    const host = madeHost(madeLine({ apps: [madeApp("hello")] }));
    const data = new Map();
    const event = new Event("dragstart", { bubbles: true });
    event.dataTransfer = { setData: (type, value) => data.set(type, value) };
    shown(treePanel, host).querySelector('[data-key="app:hello"]').dispatchEvent(event);
    expect(JSON.parse(data.get("application/vnd.jupyter.cells"))[0].source).toBe(data.get("text/plain"));
    endAll();
    const drags = [];
    const row = shown(treePanel, Object.assign(host, { dragCell: (...given) => drags.push(given) })).querySelector(
      '[data-key="app:hello"]',
    );
    const point = (type, clientX, buttons) =>
      row.dispatchEvent(
        Object.assign(new MouseEvent(type, { bubbles: true, clientX, clientY: 0, button: 0, buttons })),
      );
    point("pointerdown", 10, 1);
    point("pointermove", 12, 1);
    expect(drags).toEqual([]);
    point("pointermove", 30, 1);
    point("pointermove", 40, 1);
    expect(drags).toEqual([[data.get("text/plain"), "hello", 30, 0]]);
  });
});

describe("an app that ended with its kernel", () => {
  const runs = madeRequest("b", { state: "running", status: 0, began: 2000 });
  const line = (apps, requests = []) => madeLine({ kind: "frame", time: 61_000, apps, requests });
  function ended() {
    const host = madeHost(madeLine({ apps: [madeApp("hello")], requests: [madeRequest("a"), runs] }), () => ({
      status: 404,
      detail: "no such request",
    }));
    host.store.apply(line([], [madeRequest("a", { path: "/last" })]));
    return host;
  }
  const rows = (root) => [...root.querySelectorAll("tr[data-request]")].map((one) => one.dataset.request);
  it("keeps its record in the dashboard and the sidebar; a call on its way was lost", async () => {
    const host = ended();
    const root = shown(dashboardPanel, host);
    expect(rows(root)).toEqual(["b", "a"]);
    expect(root.textContent).not.toContain("No request yet");
    expect(root.querySelector('tr[data-request="b"]').textContent).toContain("lost: the app ended");
    expect(root.querySelector('tr[data-request="a"]').textContent).toContain("/last"); // what its last line said
    expect(shown(treePanel, host).querySelectorAll('[data-key^="recent:"]')).toHaveLength(2);
    root.querySelector('tr[data-request="a"]').click();
    await until(() => root.querySelector(".fj-inspector")?.textContent.includes("ended with its app"));
    expect(root.querySelector(".fj-inspector .fj-foot").childNodes).toHaveLength(0); // nothing can be done with it
    expect([...root.querySelectorAll("tr[data-request]")].map((one) => one.getAttribute("class"))).toEqual([
      null,
      "fj-chosen",
    ]);
    host.store.apply(line([madeApp("other")]));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(host.asked).toEqual([]); // the gateway has nothing of it
    host.store.apply({ kind: "off", reason: "the gateway ended", time: 62_000 });
    expect(rows(shown(dashboardPanel, host))).toEqual(["b", "a"]);
  });
  it("begins a new record when it is served again", () => {
    const host = ended();
    host.store.apply(line([madeApp("hello")], [madeRequest("new", { began: 9000 })]));
    expect(rows(shown(dashboardPanel, host))).toEqual(["new"]);
  });
  it("and a filter that lets nothing through is not called 'no request yet'", () => {
    const root = shown(dashboardPanel, ended());
    named(root, "cold").click();
    expect(root.textContent).toContain("No request matches the filter.");
  });
});

describe("a running clock", () => {
  const runners = [madeRunner("hello-1", "RUNNING", { in_flight: 1 })];
  const requests = [madeRequest("a", { state: "running", began: 50_000, run_ms: 5, stream_ms: 0 })];
  const queue = [{ id: "w", path: "/", since: 50_000 }];
  const line = () => madeLine({ apps: [madeApp("hello", { runners, queue, waiting: 1 })], requests });
  const aside = (root, key) => root.querySelector(`[data-key="${key}"] .fj-aside`).textContent;
  it("runs in the sidebar and the queue between two lines of the feed, and stands when there are none", async () => {
    const host = madeHost(line());
    const [tree, board] = [shown(treePanel, host), shown(dashboardPanel, host)];
    const times = () =>
      [
        aside(tree, "runner:hello-1"),
        aside(tree, "request:w"),
        board.querySelector('[data-key="w"] .fj-number').textContent,
      ].map(parseFloat);
    const first = times();
    expect(Math.min(...first)).toBeGreaterThanOrEqual(9.98);
    expect(aside(tree, "runner:hello-1")).toMatch(/^[\d.]+ s in \/$/);
    await until(() => times().every((one, at) => one >= first[at] + 0.2));
    host.store.lose("lost", "the server does not answer");
    await until(() => aside(tree, "request:w") === "10.0 s"); // what was known last
  });
});

describe("an axis of time", () => {
  it("never has two labels that touch, nor one beyond its ends, whatever its width and span", () => {
    let seed = 7;
    const random = (low, high) => low + (high - low) * ((seed = (seed * 16807) % 2147483647) / 2147483647);
    for (let at = 0; at < 3000; at += 1) {
      const from = 1.76e12 + random(0, 1e8);
      const span = 10 ** random(3, 7.5);
      const left = random(40, 112);
      const right = left + random(60, 1300);
      const labels = timeLabels(from, from + span, left, right);
      for (let one = 0; one < labels.length; one += 1) {
        const { x, time } = labels[one];
        if (
          x - 25 < left - 28.1 ||
          x + 25 > right + 8 ||
          time < from ||
          time > from + span ||
          (one && x - labels[one - 1].x < 50)
        )
          throw new Error(JSON.stringify({ from, span, left, right, labels }));
      }
      if (right - left > 300 && span > 10000 && span < 3.6e6 && !labels.length)
        throw new Error(`no label at all: ${span} ms in ${right - left} px`);
    }
  });
  it("and one of values ends at a round number", () =>
    expect([3, 120, 7e8, 0.2].map((one) => roundUp(one)).concat(roundUp(130, 100))).toEqual([5, 200, 1e9, 0.2, 200]));
});

describe("use over time", () => {
  const usage = [
    [0, 1e8, 20, -1, 0],
    [3000, 2e8, 150, -1, 0],
    [30000, 1e8, 0, -1, 0],
  ];
  it("is drawn for each app, without GPU where there is none, with a gap where nothing was measured", () => {
    const host = madeHost(
      madeLine({
        time: 40000,
        apps: [madeApp("hello"), madeApp("idle")],
        timelines: { hello: { points: [], decisions: [], lanes: [], usage } },
      }),
    );
    const root = shown(usagePanel, host, {});
    expect([...root.querySelectorAll("svg")].map((one) => one.getAttribute("aria-label").split(" since")[0])).toEqual([
      expect.stringContaining("memory: 100.0 MB at"),
      expect.stringMatching(/^CPU: 0 % .*at most 150 %/),
    ]);
    expect(root.querySelector(".fj-run-line").getAttribute("d").match(/M/g).length).toBe(2);
    expect(root.textContent).not.toContain("idle");
    host.store.apply({
      ...madeLine({
        time: 41000,
        timelines: {
          hello: {
            points: [],
            decisions: [],
            lanes: [],
            usage: [
              [30000, 0, 0, -1, 0],
              [40500, 3e8, 5, 60, 4e9],
            ],
          },
        },
      }),
      kind: "frame",
    });
    expect(host.store.view.timelines.get("hello").usage.map((one) => one[0])).toEqual([0, 3000, 30000, 40500]);
  });
  it("says what will fill it", () =>
    expect(shown(usagePanel, madeHost(madeLine()), {}).textContent).toContain("measured while a panel is open"));
});

describe("the queue", () => {
  const app = (more) => madeApp("hello", { setup_ms: 10000, ...more });
  it("says what each request waits for", () => {
    const starting = [madeRunner("hello-1", "RUNNING"), madeRunner("hello-2", "SETUP", { since: 4000 })];
    expect(waitsFor(app({ runners: starting }), 0, 8400)).toBe("runner 2, about 5.60 s left");
    expect(waitsFor(app({ runners: starting }), 1, 8400)).toBe("runner 1, busy");
    expect(waitsFor(app({ runners: starting }), 0, 16000)).toBe("runner 2, in setup for 12.0 s");
    expect(waitsFor(app({ runners: starting, scaling: { max_multiplexing: 2 } }), 1, 16000)).toBe(
      "runner 2, in setup for 12.0 s",
    );
    expect(waitsFor(app({ runners: [madeRunner("hello-1", "RUNNING"), madeRunner("hello-2", "RUNNING")] }), 0, 0)).toBe(
      "one of 2 runners, all busy",
    );
    expect(
      waitsFor(
        app({
          state: "Failing",
          runners: [madeRunner("hello-3", "CRASH_BACKOFF")],
          failure: { time: 0, revision: 1, text: "", error: null, retry_at: 13000 },
        }),
        0,
        1000,
      ),
    ).toBe("back-off, retry in 12.0 s");
    expect(waitsFor(app({ reason: "waits for a device: GPU 0 is held by Other of b.ipynb" }), 0, 0)).toBe(
      "a device: GPU 0 is held by Other of b.ipynb",
    );
  });
  it("is in the dashboard with its place, its wait and a Cancel", () => {
    const host = madeHost(
      madeLine({
        apps: [
          madeApp("hello", {
            runners: [madeRunner("hello-1", "RUNNING")],
            waiting: 1,
            queue: [{ id: "w", path: HOSTILE, since: 55000 }],
          }),
        ],
      }),
    );
    const root = shown(dashboardPanel, host);
    expect([...root.querySelectorAll('[data-key="w"] td')].map((one) => one.textContent).slice(2, 4)).toEqual([
      "runner 1, busy",
      expect.stringMatching(/^[56]\.\d\d s$/),
    ]);
    expect(root.textContent).toMatch(/1 waiting, longest [56]\.\d\d s/);
    named(root.querySelector('[data-key="w"]'), "Cancel").click();
    expect(host.asked[0].slice(0, 2)).toEqual(["DELETE", "requests/w"]);
  });
});

describe("a request's axis", () => {
  it("has round times with one unit, none at the edge", () => {
    expect(phaseTicks(14400).map((one) => one.text)).toEqual(["0", "5", "10 s"]);
    expect(phaseTicks(2.1).map((one) => one.text)).toEqual(["0", "1 ms"]);
    expect(phaseTicks(0.3).map((one) => one.text)).toEqual(["0", "0.1", "0.2 ms"]);
    expect(phaseTicks(600000).map((one) => one.text)[0]).toBe("0");
    expect(phaseTicks(0)).toEqual([]);
    for (let whole = 0.01; whole < 1e8; whole *= 1.37) expect(phaseTicks(whole).length).toBeGreaterThan(1);
  });
  it("and sentences have options in the type of code, but no file's name", () => {
    const place = document.createElement("p");
    place.append(
      ...sentenceView("max_concurrency allows 4; GPU 0 is held by A of embed_search.ipynb, so keep_alive. /a_b too"),
    );
    expect([...place.querySelectorAll(".fj-mono")].map((one) => one.textContent)).toEqual([
      "max_concurrency",
      "keep_alive",
    ]);
  });
});

describe("the sidebar's rows", () => {
  it("say what a runner does, and an app without runners has nothing to unfold", () => {
    const runners = [
      madeRunner("hello-1", "RUNNING", { in_flight: 1 }),
      madeRunner("hello-2", "SETUP", { since: 53_800 }), // by the clock of the gateway, which is another machine's
    ];
    const requests = [
      madeRequest("a", { state: "running", runner: "hello-1", path: "/generate", began: 58_880, run_ms: 5 }),
    ];
    const root = shown(
      treePanel,
      madeHost(
        madeLine({
          apps: [madeApp("hello", { runners, setup_ms: 11800 }), madeApp("off", { state: "Stopped" })],
          requests,
        }),
      ),
    );
    expect([...root.querySelectorAll('[data-key^="runner:"] .fj-aside')].map((one) => one.textContent)).toEqual([
      expect.stringMatching(/^[12]\.\d\d s in \/generate$/),
      "6 s of 11.8 s",
    ]);
    expect(root.querySelector('[data-key="app:off"]').getAttribute("aria-expanded")).toBe(null);
    expect(root.querySelector('[data-key^="recent:"]')).toBe(null);
  });
});

describe("the memory of a request", () => {
  const lane = (id, ...moves) => ({ id, devices: [], revision: 1, moves });
  const seen = (lanes) => ({
    timelines: new Map([
      [
        "hello",
        {
          points: [],
          decisions: [],
          lanes,
          usage: [
            [900, 9e9, 0, -1, 0],
            [1020, 2e8, 0, -1, 0],
            [1040, 3e8, 0, -1, 5e9],
            [2000, 9e9, 0, -1, 0],
          ],
        },
      ],
    ]),
  });
  it("is the most that was measured while it ran, and says whose", () => {
    const one = lane("hello-1", [0, "IDLE"]);
    expect(memoryDuring(seen([one, lane("hello-0", [0, "IDLE"], [500, "GONE"])]), madeRequest("a"))).toBe(
      "300.0 MB, on GPUs 5.0 GB (2 measurements)",
    );
    expect(memoryDuring(seen([one, lane("hello-2", [0, "IDLE"])]), madeRequest("a"))).toBe("");
    expect(memoryDuring(seen([one]), madeRequest("a", { began: 1200 }))).toBe("");
    expect(memoryDuring({ timelines: new Map() }, madeRequest("a"))).toBe("");
  });
});
