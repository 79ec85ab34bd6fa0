// A notebook is saved with its cards as they stand, and a save that changes nothing asks nobody.
import { describe, expect, it } from "vitest";
import { markEnded, refreshBeforeSave, staleApps } from "../src/cards/saving.ts";
import { sourceHash } from "../src/cards/source.ts";
import { noteWritten } from "../src/cards/written.ts";
import { createStore } from "../src/shared/connection/store.mjs";
import { cardPanel } from "../src/shared/card/card.mjs";
import { CARD, madeApp, madeHost, madeLine, madeRequest } from "./made.mjs";

const MIME = "application/vnd.fal-jupyter.card+json";
const VIEW_MIME = "application/vnd.jupyter.widget-view+json";
const VIEW = { link: "live", apps: [madeApp("hello")], ended: [], requests: [], timelines: new Map() };
const called = (calls) => ({ ...madeApp("hello"), stats: { ...madeApp("hello").stats, calls } });

function bundle(html, more = {}) {
  return {
    "text/html": html,
    [MIME]: { alias: "hello", panel: "card", tab: "", source: "5", picture: { app: madeApp("hello") }, ...more },
  };
}

/** Outputs as a cell's model has them. */
function listOf(...datas) {
  const all = datas.map((data) => ({ output_type: "display_data", metadata: {}, data }));
  return {
    length: all.length,
    get: (at) => ({ data: all[at].data, toJSON: () => all[at] }),
    set: (at, value) => (all[at] = value),
    all,
  };
}

/** The output of a cell that shows a widget, with its card of the time when it was made. */
function widgetOf(id, calls) {
  const { [MIME]: card, ...data } = bundle(`${calls} calls`, { source: "", picture: { app: called(calls) } });
  const shown = { ...data, [VIEW_MIME]: { model_id: id } };
  card.picture.time = 1; // its app did not change since
  const output = { data: shown, metadata: { isolated: false, [MIME]: card } };
  const json = { output_type: "execute_result", execution_count: 1, ...output };
  return { output: { ...output, toJSON: () => json }, json, fresh: { ...shown, [MIME]: card } };
}

/** A notebook's context whose kernel answers with `fresh`. */
function contextOf(fresh, status = "idle") {
  const asked = [];
  const reply = {
    content: { status: "ok", user_expressions: { made: { status: "ok", data: { "application/json": fresh } } } },
  };
  const kernel = { status, requestExecute: (content) => (asked.push(content), { done: Promise.resolve(reply) }) };
  const saved = [];
  return {
    asked,
    saved,
    model: { toJSON: () => ({ cells: [] }) },
    sessionContext: { session: { kernel } },
    save: async () => saved.push("save"),
    saveAs: async () => saved.push("saveAs"),
  };
}

/** A notebook with these outputs that is saved by `context`: `view` is what its page sees, `sets` which outputs were written. */
function notebookOf(outputs, context, view = VIEW) {
  const notebook = { view, sets: [] };
  const { set } = outputs;
  outputs.set = (at, value) => (notebook.sets.push(at), set(at, JSON.parse(JSON.stringify(value))));
  refreshBeforeSave(
    context,
    () => [outputs],
    () => notebook.view,
  );
  return notebook;
}

describe("saving a notebook", () => {
  it("writes the card as it stands, once, in the output's own place", async () => {
    const outputs = listOf({ "text/plain": "printed" }, bundle("old"), bundle("config of then", { tab: "config" }));
    const context = contextOf([bundle("new", { picture: { app: called(1) } })]);
    const notebook = notebookOf(outputs, context, { ...VIEW, apps: [called(1)] });
    await context.save();
    expect(outputs.all.map((one) => one.data["text/html"])).toEqual([undefined, "new", "config of then"]);
    expect(outputs.all[1]).toMatchObject({ output_type: "display_data", metadata: {} });
    expect(context.asked[0]).toMatchObject({ code: "", silent: true, store_history: false });
    expect(context.asked[0].user_expressions.made).toContain('(["hello"])');
    notebook.view = VIEW;
    await context.saveAs();
    expect(context.saved).toEqual(["save", "saveAs"]);
  });

  it("asks after a call whose app's figures have not come yet, and only for the app that was called", async () => {
    const call = madeRequest("newest", { alias: "hello", state: "done" });
    const view = { ...VIEW, requests: [{ ...call, id: "runs", state: "running" }, call] };
    const pictured = (requests) => [listOf(bundle("", { picture: { app: madeApp("hello"), requests } }))];
    expect(staleApps(pictured([]), view)).toEqual(["hello"]);
    expect(staleApps(pictured([{ ...call, id: "older" }]), view)).toEqual(["hello"]);
    expect(staleApps(pictured([call]), view)).toEqual([]);
    expect(staleApps(pictured([]), { ...view, requests: [{ ...call, alias: "other" }] })).toEqual([]);
  });

  it("leaves the card of an app that another notebook took over: it goes on saying so", () => {
    const mine = { ...madeApp("hello"), owner_pid: 1, owner_name: "one.ipynb" };
    const taken = { ...called(3), owner_pid: 2, owner_name: "two.ipynb", taken_from: [1] };
    const outputs = listOf(bundle("old", { picture: { app: mine } }));
    expect(staleApps([outputs], { ...VIEW, apps: [{ ...called(3), owner_pid: 1 }] })).toEqual(["hello"]);
    expect(staleApps([outputs], { ...VIEW, apps: [taken] })).toEqual([]);
  });

  it("asks nobody where nothing changed, the app is gone, the kernel is busy, or there is none", async () => {
    const outputs = listOf(bundle("old"));
    expect(staleApps([outputs], VIEW)).toEqual([]);
    expect(staleApps([outputs], { ...VIEW, apps: [] })).toEqual([]);
    expect(staleApps([outputs], { link: "lost", apps: [called(1)] })).toEqual([]);
    expect(staleApps([listOf(bundle("", { alias: "", panel: "dashboard", picture: null }))], VIEW)).toEqual([""]);
    for (const context of [contextOf([bundle("new")], "busy"), { ...contextOf([]), sessionContext: {} }]) {
      notebookOf(outputs, context, { ...VIEW, apps: [called(1)] });
      await context.save();
      expect(context.asked).toEqual([]);
      expect(context.saved).toEqual(["save"]);
    }
    expect(outputs.all[0].data["text/html"]).toBe("old");
  });

  it("says in a saved card that its app had ended, once, and only of apps that this page saw end", async () => {
    const outputs = listOf(bundle("<b>Ready as of</b>", { alias: "hello" }), bundle("other", { alias: "other" }));
    outputs.all[0].data["text/plain"] = ["ready\n", "r1"];
    const ended = { ...madeApp("hello"), state: "Stopped", gone: true, ended: 5, runners: [] };
    const context = contextOf([], "unknown");
    notebookOf(outputs, context, { link: "off", apps: [], ended: [ended] });
    await context.save();
    const [card, other] = outputs.all.map((one) => one.data);
    expect(card["text/html"]).toMatch(
      /^<div[^>]*>■ Stopped: its kernel had ended when this was saved, .*<b>Ready as of/,
    );
    expect(card["text/plain"]).toMatch(/^Stopped: its kernel had ended when this was saved, .*\nready\nr1$/);
    expect(card[MIME].picture.app.state).toBe("Stopped");
    expect(other["text/html"]).toBe("other");
    markEnded([outputs], { ended: [ended] }, 9);
    expect(outputs.all[0].data).toBe(card);
  });

  it("names the gateway where that ended, and the kernel of an app that had ended before", () => {
    const { view, apply } = createStore();
    apply(madeLine({ apps: [madeApp("hello"), madeApp("other")] }));
    apply(madeLine({ kind: "frame", time: 60_001, apps: [madeApp("hello")] }));
    apply({ kind: "off", time: 60_002 });
    const outputs = listOf(bundle("card"), bundle("other", { alias: "other" }));
    markEnded([outputs], view, 9);
    const [card, other] = outputs.all.map((one) => one.data["text/plain"]);
    expect(card).toContain("Stopped: its gateway had ended when this was saved");
    expect(other).toContain("Stopped: its kernel had ended when this was saved");
  });

  it("has the owner from the feed: the picture of a card whose environment is being made has none", () => {
    const outputs = listOf(bundle("card", { picture: { app: madeApp("hello", { owner_kind: "" }) } }));
    markEnded([outputs], { ended: [madeApp("hello", { state: "Stopped" })] }, 9);
    expect(outputs.all[0].data["text/plain"]).toContain("Stopped: its kernel had ended when this was saved");
    const served = listOf(bundle("card"));
    markEnded([served], { ended: [madeApp("hello", { state: "Stopped", owner_kind: "program" })] }, 9);
    expect(served.all[0].data["text/plain"]).toContain("Stopped: its program had ended when this was saved");
  });

  it("writes the tab that was brought to the front of a card, also into a fresh output, and nothing twice", async () => {
    const card = { ...CARD, tab: "" };
    const [root, stop] = [document.createElement("div"), new AbortController()];
    cardPanel(root, madeHost(madeLine({ apps: [madeApp("hello")] })), card, stop.signal);
    const outputs = listOf(bundle("old", card), bundle("other", { alias: "other" }));
    const context = contextOf([bundle("new", { ...card, picture: { app: called(1) } })]);
    const notebook = notebookOf(outputs, context);
    await context.save();
    expect(notebook.sets).toEqual([]);
    root.querySelector('[data-tab="config"]').click();
    await context.save();
    await context.save();
    expect([notebook.sets, outputs.all.map((one) => one.data[MIME].front)]).toEqual([[0], ["config", undefined]]);
    notebook.view = { ...VIEW, apps: [called(1)] };
    outputs.all[0].data[MIME].picture = { app: called(0) };
    await context.save();
    expect([outputs.all[0].data["text/html"], outputs.all[0].data[MIME].front]).toEqual(["new", "config"]);
    stop.abort();
  });

  it("writes what was written to a card's cell, also into a fresh output, and nothing twice", async () => {
    const outputs = listOf(bundle("old", { app: "me/hello" }));
    const { [MIME]: card } = outputs.all[0].data;
    card.source = sourceHash("before");
    noteWritten(card, "before", "after", { keep_alive: 60 });
    const context = contextOf([bundle("new", { ...card, picture: { app: called(1) } })]);
    const notebook = notebookOf(outputs, context);
    const written = { source: sourceHash("after"), values: { keep_alive: 60 } };
    await context.save();
    await context.save();
    expect([notebook.sets, outputs.all[0].data[MIME].written]).toEqual([[0], written]);
    notebook.view = { ...VIEW, apps: [called(1)] };
    await context.save();
    expect([outputs.all[0].data["text/html"], outputs.all[0].data[MIME].written]).toEqual(["new", written]);
  });

  it("writes the card of a widget into the file alone, beside its view, and asks for it once", async () => {
    const [made, newer] = [widgetOf("a", 0), widgetOf("b", 1)];
    const shown = [made.output, newer.output];
    const set = () => expect.unreachable("the widget would be drawn anew");
    const outputs = { length: 2, get: (at) => shown[at], set };
    const context = contextOf([widgetOf("c", 1).fresh, widgetOf("a", 1).fresh, bundle("a card", { source: "" })]);
    const file = { cells: [{ source: "markdown" }, { outputs: [made.json, { output_type: "stream" }] }] };
    context.model.toJSON = () => file;
    const notebook = notebookOf(outputs, context, { ...VIEW, apps: [called(1)] });
    const savedOutputs = () => context.model.toJSON().cells[1].outputs;
    const saved = (calls) => ({ ...made.json, data: widgetOf("a", calls).fresh, metadata: { isolated: false } });
    expect(savedOutputs()).toEqual([saved(0), { output_type: "stream" }]); // this is also what is saved without a kernel
    await context.save();
    const asked = context.asked.map((one) => one.user_expressions.made);
    expect(asked).toEqual([expect.stringContaining('(["hello"], ["a"])')]);
    const first = context.model.toJSON();
    expect(savedOutputs()[0]).toEqual(saved(1));
    expect(file.cells[1].outputs[0]).toEqual(widgetOf("a", 0).json);
    await context.save();
    expect(context.asked.length).toBe(1);
    expect(context.model.toJSON()).toEqual(first);
    notebook.view = { link: "off", apps: [], ended: [{ ...called(1), state: "Stopped", ended: 5 }] };
    await context.save();
    expect(savedOutputs()[0].data["text/plain"]).toContain("Stopped: its kernel had ended when this was saved");
  });

  it("replaces a card by its own, not by a widget's of the same panel, and that of a reopened widget", async () => {
    const old = { ...widgetOf("a", 0).fresh, "text/html": "reopened" };
    const card = Object.fromEntries(Object.entries(old).filter(([name]) => name !== VIEW_MIME));
    const outputs = listOf(card, old);
    const fresh = [widgetOf("a", 1).fresh, bundle("new", { source: "" })];
    const context = contextOf(fresh);
    notebookOf(outputs, context, { ...VIEW, apps: [called(1)] });
    await context.save();
    expect(outputs.all.map((one) => one.data)).toEqual([fresh[1], fresh[0]]);
    expect(context.model.toJSON()).toEqual({ cells: [] });
  });

  it("writes the cards by the feed while the kernel is busy, and asks for their static form when it is idle", async () => {
    const old = {
      app: called(0),
      requests: [],
      timeline: { points: [], lanes: [], usage: [] },
      logs: ["kept"],
      time: 1,
    };
    const outputs = listOf(bundle("old", { picture: old }));
    const fresh = { ...old, app: called(1), requests: [{ id: "newest" }] };
    const context = contextOf([bundle("new", { picture: fresh })], "busy");
    const requests = [
      madeRequest("newest", { state: "done", path: `/${"x".repeat(5000)}` }),
      madeRequest("running", { state: "running" }),
      madeRequest("other", { alias: "other" }),
    ];
    const points = Array.from({ length: 1000 }, (_, at) => [at, 1]);
    const lanes = Array.from({ length: 10 }, (_, at) => ({
      id: `hello-${at}`,
      moves: at ? [[at, "GONE"]] : [[1, "IDLE"]],
    }));
    const timelines = new Map([["hello", { points, lanes, usage: [], decisions: [] }]]);
    notebookOf(outputs, context, { ...VIEW, apps: [called(1)], requests, timelines, time: 77 });
    await context.save();
    const { picture } = outputs.all[0].data[MIME];
    expect(context.asked).toEqual([]);
    expect([picture.time, picture.app.stats.calls, picture.logs]).toEqual([77, 1, ["kept"]]);
    expect(picture.requests.map((one) => [one.id, one.path.length])).toEqual([["newest", 300]]);
    expect([picture.timeline.points.length, picture.timeline.points.at(-1)]).toEqual([167, [999, 1]]);
    expect(picture.timeline.lanes.map((one) => one.id)).toEqual(["0", 3, 4, 5, 6, 7, 8, 9].map((at) => `hello-${at}`));
    expect(picture.timeline.older_runners).toBe(2);
    expect(outputs.all[0].data["text/html"]).toBe("old");
    context.sessionContext.session.kernel.status = "idle";
    await context.save();
    expect(outputs.all[0].data["text/html"]).toBe("new");
    await context.save();
    expect(context.asked.length).toBe(1);
  });

  it("saves what there is where the kernel answers with an error", async () => {
    const context = contextOf(null);
    context.sessionContext.session.kernel.requestExecute = () => ({
      done: Promise.reject(new Error("the kernel died")),
    });
    notebookOf(listOf(bundle("old")), context, { ...VIEW, apps: [called(1)] });
    await context.save();
    expect(context.saved).toEqual(["save"]);
  });
});
