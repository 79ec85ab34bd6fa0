/** The card and its Try tab on a store and a host that a test steers; the feed's reader on streams it makes. */
import { Blob } from "node:buffer";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { addressWords, cardPanel } from "../../fal_jupyter/widgets/static/card/card.mjs";
import { kernelHost, readFeed, savedHost } from "../../fal_jupyter/widgets/static/connection/host.mjs";
import { createStore, storeOfPicture } from "../../fal_jupyter/widgets/static/connection/store.mjs";
import { CARD, HOSTILE, madeApp, madeHost, madeLine, madeRequest, madeRunner, until } from "./made.mjs";

vi.stubGlobal("Blob", Blob); // that of jsdom does not give its bytes

const SCHEMA = {
  paths: {
    "/": {
      post: {
        requestBody: {
          content: {
            "application/json": {
              schema: { type: "object", required: ["name"], properties: { name: { type: "string", minLength: 1 } } },
            },
          },
        },
      },
    },
  },
};
const ENDPOINTS = [{ name: "hi", path: "/", signature: "", doc: "Says hello." }];
const app = (more = {}) => madeApp("hello", { endpoints: ENDPOINTS, runners: [madeRunner("hello-1")], ...more });

let root;
let stop;
beforeEach(() => {
  root = document.createElement("div");
  document.body.replaceChildren(root);
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  expect(root.childNodes).toHaveLength(0);
});

/** A host whose calls answer with `text`, of `type`. */
function answering(
  line,
  { text = '{"said": "hi"}', type = "application/json", schema = () => SCHEMA, request = {} } = {},
) {
  const host = madeHost(line, (_method, path) => {
    if (path.endsWith("/schema")) return schema();
    if (path.endsWith("/calls")) return { request_id: "r1" };
    if (path.endsWith("/logs"))
      return [{ time: 1, runner: "hello-1", request: "", stream: 1, text: `loading ${HOSTILE}` }];
    return { request: madeRequest("r1", request), input: null, output: null, error: null, logs: [], buffered: true };
  });
  const plain = host.ask.bind(host);
  host.ask = async (method, path, asked) => {
    const given = await plain(method, path, asked);
    const many = path.endsWith("/logs") ? { ...given, json: async () => Object.values(await given.json()) } : given;
    if (!path.endsWith("/answer")) return many;
    const data = new TextEncoder().encode(text);
    return {
      status: 200,
      headers: new Headers({ "content-type": type, "x-fal-status": "200" }),
      chunks: async function* () {
        yield data;
      },
    };
  };
  return host;
}

const named = (name) => [...root.querySelectorAll("button")].find((one) => one.textContent === name);
const press = (name) =>
  [...root.querySelectorAll("button")]
    .find((one) => one.textContent === name || one.getAttribute("aria-label") === name)
    .click();

describe("card", () => {
  test("Run asks for a call and shows its answer with its phases", async () => {
    const host = answering(madeLine({ apps: [app()] }));
    cardPanel(root, host, CARD, stop.signal);
    const box = await until(() => root.querySelector(".fj-fields input, .fj-fields textarea"));
    press("Run");
    expect(root.querySelector(".fj-error").textContent).toBe("It is required.");
    expect(host.asked.some(([, path]) => path.endsWith("/calls"))).toBe(false);
    box.value = HOSTILE;
    box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
    await until(() => root.querySelector(".fj-call-line")?.textContent.includes("run 30 ms"));
    expect(root.querySelector(".fj-answer").textContent).toContain('said: "hi"');
    expect(JSON.parse(host.asked.find(([, path]) => path.endsWith("/calls"))[2])).toEqual({ name: HOSTILE });
    expect(root.querySelector(".fj-run-button").disabled).toBe(false);
  });

  test("the focus stays in the card: on Run, from Cancel to Run, from Start to Stop and back", async () => {
    const host = answering(madeLine({ apps: [app()] }));
    let open = () => undefined;
    const plain = host.ask.bind(host);
    host.ask = async (method, path, asked) => {
      if (path.endsWith("/answer")) await new Promise((resolve) => (open = resolve));
      return plain(method, path, asked);
    };
    cardPanel(root, host, CARD, stop.signal);
    const box = await until(() => root.querySelector(".fj-fields input, .fj-fields textarea"));
    box.value = "me";
    box.dispatchEvent(new Event("input", { bubbles: true }));
    const run = root.querySelector(".fj-run-button");
    run.focus();
    run.click();
    const cancel = await until(() => named("Cancel") && !named("Cancel").hidden && named("Cancel"));
    expect([run.disabled, run.getAttribute("aria-disabled"), document.activeElement]).toEqual([false, "true", run]);
    run.click(); // out of use
    cancel.focus();
    expect(run.disabled).toBe(true);
    cancel.click();
    expect(document.activeElement).toBe(cancel);
    open();
    await until(() => !cancel.isConnected && document.activeElement === run);
    expect(host.asked.filter(([, path]) => path.endsWith("/calls"))).toHaveLength(1);

    const frame = (more, time) => host.store.apply(madeLine({ kind: "frame", time, apps: [app(more)] }));
    frame({ state: "Stopped", serving: 0, runners: [] }, 60001);
    await until(() => !named("Start").hidden);
    named("Start").focus();
    frame({ state: "Starting", runners: [madeRunner("hello-1", "SETUP")] }, 60002);
    const stopButton = root.querySelector('[aria-label="Stop the app"]');
    await until(() => document.activeElement === stopButton);
    frame({ state: "Stopped", serving: 0, runners: [] }, 60003);
    await until(() => document.activeElement === named("Start"));
  });

  test("what has no heir leaves the focus to what is nearest; where the user left, nothing takes it", async () => {
    cardPanel(root, answering(madeLine({ apps: [app()] })), CARD, stop.signal);
    await until(() => root.querySelector(".fj-fields input, .fj-fields textarea"));
    const place = root.querySelector(".fj-try-form .fj-run-button").parentElement;
    const extra = document.createElement("button");
    place.append(extra);
    extra.focus();
    extra.remove();
    await until(() => document.activeElement === root.querySelector(".fj-run-button"));
    place.append(extra);
    extra.focus();
    root.querySelector(".fj-facts").dispatchEvent(new Event("pointerdown", { bubbles: true }));
    extra.blur();
    extra.remove();
    await new Promise((resolve) => setTimeout(resolve));
    expect(document.activeElement).toBe(document.body);
  });

  test("a page that is opened in the middle of a request takes it up", async () => {
    const host = answering(
      madeLine({ apps: [app()], requests: [madeRequest("r1", { state: "running", origin: "panel" })] }),
    );
    cardPanel(root, host, CARD, stop.signal);
    await until(() => root.querySelector(".fj-answer").textContent.includes('said: "hi"'));
    expect(host.asked.some(([method]) => method === "POST")).toBe(false);
  });

  test("a schema is asked for once a runner is ready, and not before", async () => {
    let ready = false;
    const host = answering(
      madeLine({ apps: [app({ state: "Starting", runners: [madeRunner("hello-1", "SETUP")] })] }),
      { schema: () => (ready ? SCHEMA : { status: 409, detail: "none" }) },
    );
    cardPanel(root, host, CARD, stop.signal);
    await until(() => root.textContent.includes("The form is made when the first runner is ready."));
    for (let n = 0; n < 5; n += 1)
      host.store.apply(
        madeLine({
          kind: "frame",
          time: 60001 + n,
          apps: [app({ state: "Starting", waiting: n, runners: [madeRunner("hello-1", "SETUP")] })],
        }),
      );
    const asked = () => host.asked.filter(([, path]) => path.endsWith("/schema")).length;
    await Promise.resolve();
    expect(asked()).toBe(0);
    ready = true;
    host.store.apply(madeLine({ kind: "frame", time: 60009, apps: [app()] }));
    await until(() => root.querySelector(".fj-fields input, .fj-fields textarea"));
    expect(asked()).toBe(1);
  });

  test("while setup runs its last lines are shown, as text", async () => {
    cardPanel(
      root,
      answering(
        madeLine({
          apps: [app({ state: "Starting", log: 4, setup_ms: 900, runners: [madeRunner("hello-1", "SETUP")] })],
        }),
      ),
      CARD,
      stop.signal,
    );
    await until(() => root.querySelector(".fj-card-notice")?.textContent.includes("loading <img"));
    expect(root.querySelector(".fj-card-notice").textContent).toContain("of about 900 ms");
    expect(root.querySelector("img")).toBeNull();
  });

  test("stop asks first; no is no", async () => {
    const host = answering(madeLine({ apps: [app()] }));
    cardPanel(root, host, CARD, stop.signal);
    press("Stop the app");
    expect(root.querySelector('[role="alertdialog"]').textContent).toContain("Stop hello?");
    press("Cancel");
    press("Stop the app");
    press("Stop");
    await until(() => host.asked.some(([method, path]) => method === "DELETE" && path === "apps/hello"));
    expect(host.asked.filter(([method]) => method === "DELETE")).toHaveLength(1);
  });

  test("a stopped app keeps its record, offers Start and nothing that needs a runner", async () => {
    const host = answering(
      madeLine({
        apps: [app({ state: "Stopped", runners: [], stats: { ...app().stats, calls: 3 } })],
        requests: [madeRequest("r1")],
      }),
    );
    cardPanel(root, host, CARD, stop.signal);
    await until(() => root.textContent.includes("Stopped after 3 calls."));
    expect(root.querySelector('[aria-label="Stop the app"]').hidden).toBe(true);
    expect(root.querySelector(".fj-run-button").disabled).toBe(true);
    expect(root.textContent).toContain("Calls of it are refused; Start brings it back as it was.");
    expect(named("Start load").disabled).toBe(true);
    root.querySelector('[data-tab="requests"]').click();
    await until(() => root.querySelector('tr[data-request="r1"]'));
    press("Start");
    await until(() => host.asked.some(([method, path]) => method === "POST" && path === "apps/hello/start"));
    host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [app()] }));
    await until(() => !root.querySelector('[aria-label="Stop the app"]').hidden);
    expect([root.querySelector(".fj-run-button").disabled, named("Start load").disabled]).toEqual([false, false]);
  });

  test("where the app is gone the page runs its cell, if it can", async () => {
    const ran = [];
    const host = Object.assign(answering(madeLine({ apps: [app()] })), { runCell: (alias) => ran.push(alias) });
    cardPanel(root, host, CARD, stop.signal);
    host.store.apply(madeLine({ apps: [] }));
    await until(() =>
      [...root.querySelectorAll("button")].some((one) => one.textContent === "Run its cell" && !one.hidden),
    );
    press("Run its cell");
    expect(ran).toEqual(["hello"]);
  });

  test("an open menu, a focused button and an unfolded traceback outlive the frames", async () => {
    const error = { type: "ValueError", message: "bad", text: "all", phase: "setup", frames: [] };
    const failing = (waiting) =>
      app({ state: "Failing", waiting, failure: { time: 5, revision: 1, text: "bad", error, retry_at: 0 } });
    const host = answering(madeLine({ apps: [failing(0)] }));
    cardPanel(root, host, CARD, stop.signal);
    root.querySelector(".fj-error-view details").open = true;
    press("More actions");
    const first = document.activeElement;
    expect(first.getAttribute("role")).toBe("menuitem");
    const items = [...root.querySelectorAll('[role="menuitem"]')];
    const moves = [
      ["ArrowDown", 1],
      ["End", items.length - 1],
      ["ArrowDown", 0],
      ["ArrowUp", items.length - 1],
      ["Home", 0],
    ];
    for (const [key, at] of moves) {
      document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      expect([key, items.indexOf(document.activeElement)]).toEqual([key, at]);
    }
    const leaves = new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true });
    first.dispatchEvent(leaves);
    expect([leaves.defaultPrevented, document.activeElement.getAttribute("aria-label")]).toEqual([
      true,
      "More actions",
    ]); // it does not lead out of the card
    press("More actions");
    expect(document.activeElement.getAttribute("role")).toBe("menuitem");
    host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [failing(3)] }));
    await until(() => root.textContent.includes("3 calls waiting"));
    expect(document.activeElement.getAttribute("role")).toBe("menuitem");
    expect(root.querySelector(".fj-error-view details").open).toBe(true);
    const copy = root.querySelector('[aria-label="Copy the address"]');
    copy.focus();
    host.store.apply(madeLine({ kind: "frame", time: 60002, apps: [app({ revision: 2 })] }));
    await until(
      () =>
        root.querySelector(".fj-facts").textContent.includes("r1 serves, r2 is starting") ||
        root.querySelector(".fj-facts").textContent.includes("r2"),
    );
    expect(document.activeElement).toBe(copy);
  });

  test("lost, off, gone and saved are said, and there is nothing to press then", async () => {
    const host = answering(madeLine({ apps: [app()] }));
    cardPanel(root, host, CARD, stop.signal);
    expect(root.querySelector(".fj-head-actions").hidden).toBe(false);
    host.store.lose("lost", "the server does not answer");
    await until(() => root.textContent.includes("No update: the server does not answer."));
    expect(root.querySelector(".fj-head-actions").hidden).toBe(true);
    host.store.apply({ kind: "off", reason: "no gateway", time: 1 });
    await until(() => root.textContent.includes("No gateway is running."));
    host.store.apply(madeLine({ apps: [] }));
    await until(
      () =>
        root.textContent.includes("Stopped with its gateway after 0 calls; its record until") &&
        root.textContent.includes("Running cell [2] again begins a new record"),
    );
  });

  test("a saved card shows its picture and asks nobody", async () => {
    const card = {
      ...CARD,
      picture: {
        time: 60000,
        app: app(),
        requests: [madeRequest("r1")],
        timeline: { points: [], decisions: [], lanes: [] },
      },
    };
    const host = savedHost(card);
    cardPanel(root, host, card, stop.signal);
    expect(root.textContent).toContain("Ready, saved");
    expect(root.textContent).toContain("Runners1 ready"); // as it was
    expect(root.textContent).toMatch(/Saved state of 1 Jan 1970, \d\d:01:00\. Nothing of it runs now/);
    expect(root.querySelector('[aria-label="Copy the address"]')).toBeNull(); // it ended with the app
    root.querySelector('[data-tab="snippets"]').click();
    expect([...root.querySelectorAll('[aria-label="language"] button')].map((one) => one.textContent)).toEqual([
      "cell",
    ]);
    expect(root.querySelector(".fj-program").textContent).not.toContain("127.0.0.1");
    await expect(host.ask()).rejects.toThrow("saved picture");
  });
});

describe("feed", () => {
  const opened = (pieces) => ({
    status: 200,
    chunks: async function* () {
      for (const piece of pieces) yield new TextEncoder().encode(piece);
    },
  });

  test("lines are put together again; the end of the link is said and tried again", async () => {
    const store = createStore();
    const links = [];
    store.watch((view) => links.push([view.link, view.reason]));
    const line = JSON.stringify(madeLine());
    let opens = 0;
    const open = async () => {
      opens += 1;
      if (opens === 1) return opened([line.slice(0, 20), `${line.slice(20)}\n{"kind":"be`, 'at","time":9}\n']);
      if (opens === 2) return { status: 403 };
      stop.abort();
      return opened([]);
    };
    vi.useFakeTimers();
    const done = readFeed(open, store, stop.signal);
    await vi.advanceTimersByTimeAsync(60000);
    vi.useRealTimers();
    await done;
    expect(links.map(([link]) => link)).toEqual(["live", "lost", "lost"]);
    expect(links[1][1]).toBe("the connection to the server ended");
    expect(links[2][1]).toBe("the server wants you to log in again");
    expect(store.view.time).toBe(9);
    root.replaceChildren();
  });

  test("a link without beats is lost after forty seconds, a server that never answers too", async () => {
    const store = createStore();
    const hang = (signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
    vi.useFakeTimers();
    readFeed(hang, store, stop.signal);
    await vi.advanceTimersByTimeAsync(39000);
    expect(store.view.link).toBe("connecting");
    await vi.advanceTimersByTimeAsync(2000);
    expect([store.view.link, store.view.reason]).toEqual(["lost", "the server does not answer"]);
    vi.useRealTimers();
  });

  test("requests are kept by id, bounded, and go with their app; unknown fields hurt nobody", () => {
    const store = createStore();
    store.apply(madeLine({ requests: [madeRequest("a", { state: "running" })], unheard: { of: 1 } }));
    const many = Array.from({ length: 400 }, (_, at) => madeRequest(`n${at}`, { began: 2000 + at }));
    store.apply(
      madeLine({
        kind: "frame",
        requests: [madeRequest("a", { began: 9000 }), ...many],
        timelines: { hello: { points: Array.from({ length: 3000 }, (_, at) => [at]), decisions: [], lanes: [] } },
      }),
    );
    expect(store.view.requests).toHaveLength(300);
    expect(store.view.requests[0]).toMatchObject({ id: "a", state: "done" });
    expect(store.view.timelines.get("hello").points).toHaveLength(3000);
    store.apply({ kind: "of the future" });
    store.apply(madeLine({ kind: "frame", apps: [] }));
    expect([store.view.requests.length, store.view.timelines.size]).toEqual([0, 0]);
    expect(storeOfPicture(CARD).view.link).toBe("saved");
  });

  test("a load does not push the calls outside of it out", () => {
    const store = createStore();
    const load = Array.from({ length: 400 }, (_, at) => madeRequest(`l${at}`, { began: 2000 + at, origin: "load" }));
    store.apply(madeLine({ requests: [madeRequest("by-hand", { began: 1000, origin: "panel" }), ...load] }));
    expect(store.view.requests).toHaveLength(301);
    expect(store.view.requests.at(-1)?.id).toBe("by-hand");
  });

  test("a busy kernel gets the request, and its answers come in pieces", async () => {
    let listen;
    const sent = [];
    const model = { on: (_, one) => (listen = one), off: vi.fn(), send: (...all) => sent.push(all) };
    vi.useFakeTimers();
    const host = kernelHost(model, stop.signal);
    await vi.advanceTimersByTimeAsync(10001);
    expect(host.store.view).toMatchObject({ link: "connecting", reason: expect.stringContaining("busy") });
    vi.useRealTimers();
    listen({ feed: [madeLine()] });
    expect(host.store.view.link).toBe("live");
    const asked = host.ask("POST", "apps/hello/calls", { query: { path: "/a b" }, body: "{}" });
    const [message, , buffers] = await until(() => sent[1]);
    expect(message.path).toBe("apps/hello/calls?path=%2Fa+b");
    expect(new TextDecoder().decode(buffers[0])).toBe("{}");
    listen({ id: message.id, status: 200, headers: { "content-type": "text/plain" } });
    const answer = await asked;
    for (const text of ["one ", "two"])
      listen({ id: message.id, chunk: true }, [new DataView(new TextEncoder().encode(text).buffer)]);
    listen({ id: message.id, end: true });
    expect([answer.headers.get("Content-Type"), await answer.text()]).toEqual(["text/plain", "one two"]);
    const refused = host.ask("GET", "apps");
    const id = (await until(() => sent[2]))[0].id;
    listen({ id, error: "no gateway is running" });
    await expect(refused).rejects.toThrow("no gateway is running");
  });
});

test("an address goes without the host of the page, and an app of many endpoints says how many first", () => {
  expect(addressWords(`http://${location.host}/user/a/fal/run/me/hello`)).toBe("/user/a/fal/run/me/hello");
  expect(addressWords("http://127.0.0.1:9/run/me/hello")).toBe("127.0.0.1:9/run/me/hello");
  expect([addressWords("http://hub"), addressWords("")]).toEqual(["hub", ""]);
  const root = document.createElement("div");
  const stop = new AbortController();
  const endpoints = [..."abcde"].map((name) => ({ name, path: `/${name}`, signature: "", doc: "", protocol: "http" }));
  cardPanel(root, madeHost(madeLine({ apps: [madeApp("hello", { endpoints })] })), CARD, stop.signal);
  expect(root.querySelector('[data-fact="Endpoints"]').textContent).toBe("Endpoints5 in all: /a · /b · /c · /d");
  expect(root.querySelector('[data-fact="Endpoints"] [title]').title).toBe("/a /b /c /d /e");
  stop.abort();
});
