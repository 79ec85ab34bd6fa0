/** The Try tab: what its form makes of a schema, a call on its way, two results, a request that is edited. */
import { Blob as NodeBlob } from "node:buffer";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { objectForm } from "../../fal_jupyter/widgets/static/form/form.mjs";
import { encodedBody } from "../../fal_jupyter/widgets/static/form/form_body.mjs";
import { endpointForm, takeDraft } from "../../fal_jupyter/widgets/static/form/form_endpoint.mjs";
import { markRefused } from "../../fal_jupyter/widgets/static/form/form_errors.mjs";
import { asText } from "../../fal_jupyter/widgets/static/form/form_field.mjs";
import { numberKind, rolled } from "../../fal_jupyter/widgets/static/form/form_number.mjs";
import { lastLines, progressIn, queueWords, runningView } from "../../fal_jupyter/widgets/static/try/running.mjs";
import { endpointSchema, mediaKind, resolveSchema } from "../../fal_jupyter/widgets/static/form/schema.mjs";
import { TRY_STYLE } from "../../fal_jupyter/widgets/static/style/style_try.mjs";
import {
  areOfOneEndpoint,
  belongsTo,
  inputDifferences,
  trialPane,
  usedSeed,
} from "../../fal_jupyter/widgets/static/try/trial.mjs";
import { FileComparison } from "../../fal_jupyter/widgets/static/try/same_file.mjs";
import { onEditRequest, tryPanel } from "../../fal_jupyter/widgets/static/try/tryit.mjs";
import { HOSTILE, madeApp, madeHost, madeLine, madeRequest, madeRunner, until } from "./made.mjs";

vi.stubGlobal("Blob", NodeBlob); // that of jsdom does not give its bytes

const IMAGE = {
  type: "object",
  title: "Image",
  description: "Represents an image file.",
  ui: { field: "image" },
  required: ["url"],
  properties: { url: { type: "string" }, width: { anyOf: [{ type: "integer" }, { type: "null" }] } },
};
const SIZE = {
  type: "object",
  title: "Size",
  properties: { width: { type: "integer", default: 512, minimum: 64, maximum: 2048, multipleOf: 8 } },
};
const ref = (name) => ({ $ref: `#/components/schemas/${name}` });
const body = (schema, more = {}) => ({
  post: { requestBody: { content: { "application/json": { schema, ...more } } } },
});
const DOCUMENT = {
  paths: {
    "/paint": body(ref("Input")),
    "/upload": body(ref("Image")),
    "/maybe": body({ anyOf: [ref("Image"), { type: "null" }], title: "Image" }),
    "/many": body({ type: "array", items: ref("Image"), title: "Images" }),
    "/nothing": { post: {} },
    "/dots": {
      post: {
        ...body(ref("Image")).post,
        parameters: [{ in: "query", name: "seed", schema: { type: "integer", default: 1 } }],
      },
    },
  },
  components: {
    schemas: {
      Image: IMAGE,
      Size: SIZE,
      Input: {
        type: "object",
        title: "Input",
        required: ["prompt", "photo_url", "picture"],
        examples: [{ prompt: "a fox", steps: 6 }, { prompt: "an owl" }],
        properties: {
          prompt: { type: "string", examples: ["a cat", "a dog"] },
          seed: { anyOf: [{ type: "integer", minimum: 0, maximum: 4294967295 }, { type: "null" }] },
          steps: { type: "integer", default: 4, minimum: 1, maximum: 8 },
          size: { anyOf: [ref("Size"), { type: "null" }] },
          sizes: { type: "array", items: ref("Size"), default: [] },
          either: { anyOf: [ref("Size"), { type: "string", enum: ["square", "wide"] }], default: "square" },
          photo_url: { type: "string" },
          cover_image_url: { type: "string", default: "" },
          sound: { type: "string", default: "", ui: { field: "audio" } },
          picture: ref("Image"),
          pictures: { type: "array", items: ref("Image"), default: [] },
          secret: { type: "integer", default: -1, ui: { hidden: true } },
        },
      },
    },
  },
};

const label = (name) =>
  [...document.querySelectorAll("label")].find((one) => one.textContent.replace(" *", "") === name);
const box = (name) => document.getElementById(label(name).htmlFor);
const type = (input, text) => {
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
};
const choose = (input, ...files) => {
  Object.defineProperty(input, "files", { value: files, configurable: true });
  input.dispatchEvent(new Event("change", { bubbles: true }));
};
const photo = () => new File([new Uint8Array([1, 2, 3])], "fox.png", { type: "image/png" });
const button = (name) => [...document.querySelectorAll("button")].find((one) => one.textContent.trim() === name);
const pressed = (name, root = document.body) =>
  [...root.querySelectorAll("button")]
    .find((one) => one.textContent === name || one.getAttribute("aria-label") === name)
    .click();

describe("form", () => {
  let form;
  const draw = (how = {}) => {
    form = objectForm(endpointSchema(DOCUMENT, "/paint").schema, DOCUMENT, { changed: () => undefined, ...how });
    document.body.replaceChildren(form.element);
  };
  beforeEach(() => draw());

  test("a field's example fills it where it has no default, the others are a press away; without examples it is empty", () => {
    expect(box("prompt").value).toBe("a cat");
    expect(box("steps").value).toBe("4");
    pressed("a dog");
    expect(form.read().prompt).toBe("a dog");
    draw({ examples: false });
    expect(box("prompt").value).toBe("");
    expect(form.problem()).toBe("It is required.");
  });

  test("narrow ranges have a slider, wide whole numbers dice, other numbers a box", () => {
    const kind = (more, name = "n") => numberKind({ type: "integer", ...more }, name);
    expect([
      kind({ minimum: 1, maximum: 8 }),
      kind({ minimum: 0, maximum: 2 ** 32 - 1 }),
      kind({ exclusiveMinimum: 0, maximum: 14142 }),
      kind({}),
      kind({}, "noise_seed"),
    ]).toEqual(["slider", "dice", "box", "box", "dice"]);
    expect([
      numberKind({ type: "number", minimum: 0, maximum: 1 }, "x"),
      numberKind({ type: "number", minimum: 0, maximum: 1e6 }, "x"),
    ]).toEqual(["slider", "box"]);
    for (let n = 0; n < 50; n += 1) expect([8, 16, 24]).toContain(rolled({ minimum: 3, maximum: 24, multipleOf: 8 }));
    expect(box("seed").type).toBe("text");
    pressed("a random seed");
    expect(form.read().seed).toBeGreaterThanOrEqual(0);
    expect(document.querySelectorAll('input[type="range"]')).toHaveLength(1);
    type(box("seed"), "9007199254740993");
    expect(document.body.textContent).toContain("It must be 4294967295 or less.");
  });

  test("a model that may be null unfolds, a list of models grows, one of several is chosen", () => {
    expect("size" in form.read()).toBe(false);
    box("size").click();
    expect(form.read().size).toEqual({ width: 512 });
    box("size").click();
    expect("size" in form.read()).toBe(false);
    const sizes = document.querySelector('.fj-list[aria-label="sizes"]');
    pressed("Add an item", sizes);
    type(sizes.querySelector(".fj-box"), "640");
    expect(form.read().sizes).toEqual([{ width: 640 }]);
    expect(form.read().either).toBe("square");
    form.write({ either: { width: 800 }, size: { width: 64 } });
    expect(form.read()).toMatchObject({ either: { width: 800 }, size: { width: 64 } });
    box("either").value = "1";
    box("either").dispatchEvent(new Event("change"));
    expect(form.read().either).toBe("square");
  });

  test("a file is picked by its field's kind, shown and taken away; a wrong kind is refused", async () => {
    const kinds = ["photo_url", "cover_image_url", "sound", "picture"].map((name) => [
      box(name).type,
      box(name).accept,
    ]);
    expect(kinds).toEqual([
      ["text", ""],
      ["file", "image/*"],
      ["file", "audio/*"],
      ["file", "image/*"],
    ]);
    expect(document.body.textContent).not.toContain("Represents an image file.");
    choose(box("sound"), photo());
    expect(document.body.textContent).toContain("fox.png is not a sound file.");
    choose(box("picture"), photo());
    const shown = await until(() => document.querySelector("img.fj-thumb"));
    expect(shown.src).toBe("data:image/png;base64,AQID");
    expect(form.read().picture).toEqual({
      url: "data:image/png;base64,AQID",
      file_name: "fox.png",
      content_type: "image/png",
    });
    pressed("Remove the image", shown.closest(".fj-picker"));
    expect("picture" in form.read()).toBe(false);
    expect(document.querySelector("img")).toBeNull();
    type(box("photo_url"), "x");
    expect(form.problem()).toBe("An image is required.");
  });

  test("several files of a list are chosen at once; a remote one is loaded only when asked for", async () => {
    const pictures = document.querySelector('.fj-list[aria-label="pictures"]');
    choose(pictures.querySelector('input[type="file"][multiple]'), photo(), photo());
    await until(() => pictures.querySelectorAll("img.fj-thumb").length === 2);
    expect(form.read().pictures.map((one) => one.file_name)).toEqual(["fox.png", "fox.png"]);
    form.write({ pictures: [{ url: "https://example.org/a.png" }] });
    expect(pictures.querySelector("img")).toBeNull();
    pressed("Show", pictures);
    expect(pictures.querySelector("img").src).toBe("https://example.org/a.png");
    form.write({ picture: { url: "javascript:1" } });
    expect(form.problem()).toContain("required"); // of photo_url; that of the picture is at its field
    expect(document.body.textContent).toContain("An address begins with https:// or data:.");
  });

  test("hidden fields are folded; addresses by format are files", () => {
    expect(document.querySelector("details.fj-folded").textContent).toContain("secret");
    expect(
      mediaKind(
        resolveSchema(
          {
            anyOf: [
              { type: "string", format: "https-url" },
              { type: "string", format: "data-uri" },
            ],
          },
          {},
        ),
      ),
    ).toBe("file");
    expect(mediaKind({ type: "string", enum: ["a"] }, "image_url")).toBe("");
  });
});

test("an endpoint that takes a form gets one, its files as files", () => {
  const takes = endpointSchema(
    {
      paths: {
        "/": {
          post: {
            requestBody: {
              content: {
                "multipart/form-data": {
                  schema: { type: "object", properties: { upload: { type: "string", format: "binary" } } },
                },
              },
            },
          },
        },
      },
    },
    "/",
  );
  expect([takes.encoding, mediaKind(takes.schema.properties.upload, "upload")]).toEqual([
    "multipart/form-data",
    "file",
  ]);
  const { body: sent, type: kind } = encodedBody(
    { upload: "data:image/png;base64,AQID", note: 'a "b"', many: ["x", 1], none: null },
    takes.encoding,
  );
  const boundary = kind.split("boundary=")[1];
  const part = (head, text) => `--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${text}\r\n`;
  expect(new TextDecoder("latin1").decode(sent)).toBe(
    [
      part('name="upload"; filename="file"\r\nContent-Type: image/png', "\u0001\u0002\u0003"),
      part('name="note"', 'a "b"'),
      part('name="many"', "x"),
      part('name="many"', "1"),
      `--${boundary}--\r\n`,
    ].join(""),
  );
  const named = objectForm(takes.schema, {}, { changed: () => undefined, required: true, examples: true });
  named.write({ upload: "data:text/plain;base64,QQ==" });
  expect(named.read()).toEqual({ upload: "data:text/plain;base64,QQ==" });
  named.write({ upload: "data:text/plain;name=a%20b.txt;base64,QQ==" });
  expect([
    named.element.textContent.includes("a b.txt"),
    named.element.querySelector('[aria-label^="address"]'),
    named.read(),
  ]).toEqual([true, null, { upload: "data:text/plain;name=a%20b.txt;base64,QQ==" }]);
  expect(encodedBody({ a: "x y", b: 2 }, "application/x-www-form-urlencoded").body).toBe("a=x+y&b=2");
});

test("bytes in a JSON body are text that its default fills; in a form they are a file", () => {
  const schema = { type: "object", properties: { data: { type: "string", format: "binary", default: "abc" } } };
  const post = (kind) => ({ "/": { post: { requestBody: { content: { [kind]: { schema } } } } } });
  const made = (kind) => endpointForm({ paths: post(kind) }, "/", "(data)", { changed: () => undefined }).form;
  const json = made("application/json");
  expect([json.read(), json.problem()]).toEqual([{ data: "abc" }, ""]);
  expect(json.element.querySelector('input[type="file"]')).toBeNull();
  expect(made("multipart/form-data").element.querySelector('input[type="file"]')).not.toBeNull();
});

test("an empty text is an item of a list, where its own bounds allow it", () => {
  const list = (items) => {
    const properties = { names: { type: "array", items: { type: "string", ...items } } };
    const form = objectForm({ type: "object", properties, required: ["names"] }, {}, { changed: () => undefined });
    pressed("Add an item", form.element);
    return [form.read(), form.problem()];
  };
  expect(list({})).toEqual([{ names: [""] }, ""]);
  expect(list({ minLength: 1 })[1]).toBe("It is required.");
});

describe("running", () => {
  test("tqdm's last bar is read from what it wrote over, and is no line of output", () => {
    const text = "\r  0%|          | 0/10 [00:00<?, ?it/s]\rLoading:  40%|████      | 4/10 [00:00<00:01,  5.00it/s]";
    expect(progressIn(text)).toEqual({
      label: "Loading",
      percent: 40,
      counts: "4 of 10",
      times: "00:00, left 00:01,  5.00it/s",
    });
    expect(progressIn("\r100%|█| 10/10 [00:02<00:00]")).toMatchObject({ label: "", percent: 100 });
    expect(progressIn("50% of all 3/4 [x]")).toBeNull();
    const long = "QUJD1234".repeat(40_000); // a search over all of it froze the page for minutes
    expect(progressIn(`${long}\n${text}`)).toEqual(progressIn(text));
    expect(progressIn(`data:text/csv;base64,${long}\n`)).toBeNull();
    expect(lastLines([long])).toEqual([`${long.slice(0, 1000)} …`]);
    expect(lastLines(["one", "two\rthree", text, `${HOSTILE}`])).toEqual([
      "one",
      "three",
      expect.stringContaining("<img"),
    ]);
  });

  test("a waiting call says its place, and why it waits", () => {
    const queue = ["a", "b", "c"].map((id) => ({ id, path: "/", since: 0 }));
    expect(queueWords(madeApp("hello", { queue, waiting: 3, runners: [madeRunner("r-1", "RUNNING")] }), "b")).toBe(
      "2nd of 3 in the queue · 1 runner at work",
    );
    expect(queueWords(madeApp("hello", { queue, waiting: 3, runners: [madeRunner("r-1", "SETUP")] }), "a")).toBe(
      "next in the queue · a runner is starting",
    );
  });

  test("inputs are compared field by field", () => {
    expect(
      inputDifferences({ prompt: "a", seed: 1, f: "data:image/png;base64,AQID" }, { prompt: "a", seed: 2 }),
    ).toEqual(["seed 1 → 2", "f an image of 3 B → –"]);
    expect(
      inputDifferences(
        { many: [] },
        {
          many: [
            { url: "data:image/png;base64,AQID", file_name: "fox.png" },
            { url: "https://example.org/a/b.png?x=1" },
          ],
        },
      ),
    ).toEqual(['many [] → ["fox.png","b.png"]']);
  });

  test("a file is the same whatever its address says of it", async () => {
    const own = "http://127.0.0.1:9/cdn/files/0/fox.png";
    const chosen = { url: "data:image/png;base64,AQID", file_name: "fox.png", content_type: "image/png" };
    const read = { url: "data:application/octet-stream;base64,AQID", file_name: "fox.png", file_size: 3 };
    expect(inputDifferences({ image: chosen }, { image: read })).toEqual([]);
    expect(inputDifferences({ image: chosen }, { image: { ...read, file_name: "owl.png" } })).toHaveLength(1);
    expect(inputDifferences({ image: chosen }, { image: "data:image/png;base64,AQIE" })).toHaveLength(1);
    expect(inputDifferences({ image: chosen }, { image: { url: own } })).toEqual(["image fox.png → fox.png"]);

    let bytes = [1, 2, 3];
    const fetch = vi.spyOn(globalThis, "fetch").mockImplementation(async () => new Response(new Uint8Array(bytes)));
    const known = vi.fn();
    const host = { media: (address) => (address.startsWith("http://127.0.0.1:9/") ? "/files/own" : null) };
    const files = () => new FileComparison(host, new AbortController().signal, known);
    const [alike, other] = [files(), files()];
    const change = (one) => inputDifferences({ image: chosen }, { image: { url: own } }, one.isSame);
    expect(change(alike)).toEqual([]);
    await vi.waitFor(() => expect(fetch).toHaveBeenCalledTimes(1));
    bytes = [1, 2, 4];
    expect(change(other)).toEqual([]); // not known yet
    await vi.waitFor(() => expect(known).toHaveBeenCalledTimes(1));
    expect([change(alike), change(other)]).toEqual([[], ["image fox.png → fox.png"]]);
    expect(inputDifferences({ i: chosen }, { i: "https://example.org/fox.png" }, alike.isSame)).toHaveLength(1);
    fetch.mockRestore();
  });

  test("inputs with models in them are described by the innermost field that differs", () => {
    const style = (levels, more = {}) => ({
      style: { radius: 1.5, palette: { levels, base: "red", dither: true } },
      ...more,
    });
    expect(inputDifferences(style(3), style(4))).toEqual(["style.palette.levels 3 → 4"]);
    expect(
      inputDifferences(style(3, { sizes: [{ w: 1 }, { w: 2 }] }), style(3, { sizes: [{ w: 1 }, { w: 3 }] })),
    ).toEqual(["sizes[1].w 2 → 3"]);
    expect(inputDifferences({ style: null, tags: ["a"] }, { style: { w: 1 }, tags: ["b"] })).toEqual([
      'style null → {"w":1}',
      'tags ["a"] → ["b"]',
    ]);
    expect(inputDifferences({ size: {} }, { size: { w: 1 } })).toEqual(["size.w – → 1"]);
  });

  test("what is typed and no number yet is shown as it is typed", () => {
    const schema = { type: "object", properties: { levels: { type: "integer", default: 3 } } };
    const form = objectForm(schema, {}, { changed: () => undefined });
    document.body.replaceChildren(form.element);
    type(box("levels"), "3x");
    expect(inputDifferences({ levels: 3 }, form.read())).toEqual(["levels 3 → 3x"]);
    expect(form.problem()).toBe("Give a whole number.");
  });

  test("a result is distinguished from what the form holds and from the revision that answers", () => {
    const result = { path: "/job/{n}", value: { seed: 1 }, revision: 2 };
    expect(belongsTo(result, { path: "/job/{n}", value: { seed: 1 } }, 2)).toEqual([]);
    expect(belongsTo(result, { path: "/job/{n}", value: { seed: 1 } }, 4, 2)).toEqual([]); // started by hand since
    expect(belongsTo(result, { path: "/job/{n}", value: { seed: 3 } }, 4)).toEqual([
      "r2 gave it; r4 serves now.",
      "The form has changed: seed 1 → 3.",
    ]);
    expect(belongsTo(result, { path: "/other", value: { x: 1 } }, 1)).toEqual([
      "This is a result of /job/{n}.",
      "r2 gave it; r1 serves now.",
    ]);
    expect(belongsTo({ path: "/job/7", value: null, revision: 0 }, { path: "/job/{n}", value: {} }, 4)).toEqual([]);
    expect(belongsTo(result, null, 0)).toEqual([]);
  });
});

test("calls of one endpoint are recognised by their paths, filled or not", () => {
  const are = (one, other) => areOfOneEndpoint({ path: one }, { path: other });
  expect([are("/items/3", "/items/{id}"), are("/items/{id}", "/items/3"), are("/x", "/y")]).toEqual([
    true,
    true,
    false,
  ]);
});

describe("panel", () => {
  const ENDPOINTS = Object.keys(DOCUMENT.paths).map((path) => ({
    name: path.slice(1),
    path,
    signature: `(${path === "/upload" ? "photo" : "input"}: Image${path === "/dots" ? ", seed: int = 1" : ""}) -> dict`,
    doc: path === "/upload" ? "Load *one*.\n\nMore." : "",
    protocol: "http",
  }));
  const app = (more = {}) => madeApp("hello", { endpoints: ENDPOINTS, runners: [madeRunner("hello-1")], ...more });
  let root;
  let stop;
  let gates;
  beforeEach(() => {
    gates = new Map();
    root = document.createElement("div");
    document.body.replaceChildren(root);
    stop = new AbortController();
  });
  afterEach(() => {
    stop.abort();
    takeDraft("hello"); // what was typed is there for the next card of the app
  });

  /** A host whose calls are answered when a test opens their gate. */
  function held(line, { input = null, logs = () => [], path: called = "/upload", schema = DOCUMENT } = {}) {
    let calls = 0;
    const host = madeHost(line, (_method, path) => {
      if (path.endsWith("/schema")) return schema;
      if (path.endsWith("/calls")) {
        calls += 1;
        return { request_id: `r${calls}` };
      }
      const id = path.split("/")[1];
      return {
        request: madeRequest(id, { path: called, origin: "panel" }),
        input,
        output: null,
        error: null,
        logs: [],
        displays: [],
        buffered: true,
      };
    });
    const plain = host.ask.bind(host);
    host.ask = async (method, path, asked) => {
      if (path.endsWith("/logs")) return { status: 200, json: async () => logs() };
      if (!path.endsWith("/answer")) return plain(method, path, asked);
      const id = path.split("/")[1];
      await new Promise((open, refuse) => {
        gates.set(id, open);
        asked?.signal?.addEventListener("abort", () => refuse(new Error("stopped")));
      });
      const data = new TextEncoder().encode(`{"of": "${id}"}`);
      return {
        status: 200,
        headers: new Headers({ "content-type": "application/json", "x-fal-status": "200" }),
        chunks: async function* () {
          yield data;
        },
      };
    };
    return host;
  }
  /** A host whose answer is a stream that breaks off; `detail` is what the gateway knows of it. */
  function broken(pieces, detail = {}, type = "application/jsonl") {
    const request = madeRequest("r1", { path: "/nothing", origin: "panel", content_type: type, ...detail.request });
    const host = madeHost(madeLine({ apps: [app()] }), (_method, path) =>
      path.endsWith("/schema")
        ? DOCUMENT
        : path.endsWith("/calls")
          ? { request_id: "r1" }
          : { input: null, output: null, error: null, logs: [], displays: [], buffered: true, ...detail, request },
    );
    const plain = host.ask.bind(host);
    host.ask = async (method, path, asked) => {
      if (!path.endsWith("/answer")) return plain(method, path, asked);
      return {
        status: 200,
        headers: new Headers({ "content-type": type, "x-fal-status": "200" }),
        chunks: async function* () {
          for (const one of pieces) yield new TextEncoder().encode(one);
          throw new Error("network error");
        },
      };
    };
    return host;
  }
  const runNothing = async (host) => {
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector("select option"));
    select("/nothing");
    pressed("Run");
    await until(() => root.querySelector(".fj-trial-title").textContent.includes("Result"));
    return root.querySelector(".fj-trial");
  };
  const EVENTS = ['{"i": 0}\n', '{"i": 1}\n{"i"', ": 2}\n"];

  test("a stream that its user cancels keeps the events that had come, and says so", async () => {
    const trial = await runNothing(broken(EVENTS, { request: { status: 499, error: "cancelled" } }));
    expect([...trial.querySelectorAll(".fj-stream-events > li")].map((one) => one.textContent)).toEqual([
      '1{"i": 0}',
      '2{"i": 1}',
      '3{"i": 2}',
    ]);
    expect(trial.textContent).toContain("You cancelled it after 3 events.");
    expect(trial.querySelector(".fj-trial-title .fj-chip").textContent).toBe("cancelled");
    expect(trial.querySelector(".fj-call-line").textContent).toContain("cancelled after 45 ms");
    expect(trial.textContent).not.toContain("broke off");
  });

  test("a call that is cancelled before anything came is no answer that broke off", async () => {
    const trial = await runNothing(broken([], { request: { status: 499, error: "cancelled" } }));
    expect(trial.querySelector(".fj-answer").textContent).toBe(
      "You cancelled it. Nothing that it did before is undone.",
    );
  });

  test("a stream whose endpoint raised or whose runner died keeps its events below the reason", async () => {
    const error = { type: "ValueError", message: "no more", frames: [], causes: [], text: "ValueError: no more" };
    const logs = [{ time: 1, runner: "hello-1", request: "r1", stream: 1, text: "halfway" }];
    const trial = await runNothing(broken(EVENTS, { error, logs, request: { error: "ValueError: no more" } }));
    const answer = trial.querySelector(".fj-answer");
    expect(answer.textContent).toContain("The answer broke off after 3 events.");
    expect(answer.textContent).toContain("ValueError");
    expect(answer.querySelectorAll(".fj-stream-events > li")).toHaveLength(3);
    expect(answer.querySelector(".fj-fold pre").textContent).toBe("halfway");
  });

  test("events stay where nothing is known of the end, and text that had come too", async () => {
    const lost = await runNothing(broken(EVENTS, { request: { state: "streaming" } }));
    expect(lost.querySelector('[role="alert"]').textContent).toContain("network error");
    expect(lost.querySelectorAll(".fj-stream-events > li")).toHaveLength(3);
    stop.abort();
    stop = new AbortController();
    root.replaceChildren();
    const text = await runNothing(broken(["half of a"], {}, "text/plain"));
    expect(text.querySelector(".fj-answer").textContent).toBe("The answer broke off before its end.half of a");
  });

  const sent = (host) => host.asked.filter(([, path]) => path.endsWith("/calls")).map(([, , text]) => JSON.parse(text));
  const open = async (id) => (await until(() => gates.get(id)))();
  const select = (path) => {
    const endpoints = root.querySelector("select");
    endpoints.value = path;
    endpoints.dispatchEvent(new Event("change"));
  };

  test("fields are in the method's order, and what is missing is brought in sight", async () => {
    tryPanel(root, held(madeLine({ apps: [app()] })), { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    select("/dots");
    expect([...root.querySelectorAll(".fj-fields label")].map((one) => one.textContent)).toEqual(["input *", "seed"]);
    const shown = [];
    Element.prototype.scrollIntoView = function () {
      shown.push(this.textContent);
    };
    pressed("Run");
    delete Element.prototype.scrollIntoView;
    expect(shown).toEqual(["An image is required."]);
  });

  test("the first endpoint of the given order, with its example; a lone picture is one picker with the parameter's name", async () => {
    const host = held(madeLine({ apps: [app()] }));
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    expect(root.querySelector("select").value).toBe("/paint");
    expect([box("prompt").value, box("steps").value]).toEqual(["a fox", "6"]);
    pressed("example 2");
    expect([box("prompt").value, box("steps").value]).toEqual(["an owl", "4"]);
    select("/upload");
    expect([...root.querySelectorAll(".fj-fields label")].map((one) => one.textContent)).toEqual(["photo *"]);
    expect(root.querySelector(".fj-doc em").textContent).toBe("one");
    pressed("Run");
    expect(root.textContent).toContain("An image is required.");
    choose(box("photo"), photo());
    await until(() => root.querySelector("img.fj-thumb"));
    pressed("Run");
    await until(() => sent(host).length);
    expect(sent(host)[0]).toEqual({
      url: "data:image/png;base64,AQID",
      file_name: "fox.png",
      content_type: "image/png",
    });
    await open("r1");
    await until(() => root.querySelector(".fj-answer").textContent.includes("r1"));
    for (const path of ["/maybe", "/many", "/nothing"]) {
      select(path);
      pressed("Run");
      await until(() => sent(host).length === ["/upload", "/maybe", "/many", "/nothing"].indexOf(path) + 1);
      await open(`r${sent(host).length}`);
      await until(() => !root.querySelector(".fj-run-button").disabled);
    }
    expect(sent(host).slice(1)).toEqual([null, [], {}]);
  });

  test("a call on its way has its own header, place, progress and Cancel, and no trace of the former result", async () => {
    const logs = () => [
      { time: 1, runner: "hello-1", request: "r2", stream: 2, text: "\r 30%|███       | 3/10 [00:01<00:02]" },
      { time: 1, runner: "hello-1", request: "r2", stream: 1, text: "\u001b[32mwarming\u001b[0m up" },
    ];
    const host = held(madeLine({ apps: [app()] }), { logs });
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    select("/nothing");
    pressed("Run");
    await open("r1");
    await until(() => root.querySelector(".fj-call-line").textContent.includes("run 30 ms"));
    pressed("Run");
    await until(() => gates.get("r2"));
    expect(root.querySelector(".fj-call-line").textContent).toBe("");
    expect(root.querySelector(".fj-trial-title").textContent).not.toContain("Result");
    host.store.apply(
      madeLine({
        kind: "frame",
        time: 60001,
        apps: [
          app({
            queue: [
              { id: "r0", path: "/", since: 1 },
              { id: "r2", path: "/", since: 2 },
            ],
            waiting: 2,
          }),
        ],
      }),
    );
    await until(() => root.querySelector(".fj-running-where").textContent.includes("2nd of 2 in the queue"));
    await until(() => root.querySelector('[role="progressbar"]')?.getAttribute("aria-valuenow") === "30");
    expect(root.querySelector(".fj-running-tail").textContent).toBe("warming up");
    expect(root.querySelector(".fj-running-tail span").textContent).toBe("warming");
    expect(root.querySelector(".fj-clock").textContent).toMatch(/\d/);
    pressed("Cancel");
    await until(() => host.asked.some(([method, path]) => method === "DELETE" && path === "requests/r2"));
    expect(root.querySelector(".fj-trial-title").textContent).toContain("cancelling");
    await open("r2");
    await until(() => root.querySelector(".fj-trial-title").textContent.includes("Result"));
    expect(root.querySelector(".fj-running")).toBeNull();
  });

  test("two results stand side by side with what differs between their inputs; one can be kept", async () => {
    const host = held(madeLine({ apps: [app()] }));
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    type(box("photo_url"), "https://example.org/a.png");
    type(root.querySelector('[aria-label="address of the image"]'), "");
    for (const input of root.querySelectorAll('[aria-label="address of the image"]'))
      type(input, "https://example.org/a.png");
    const again = async (id, seed) => {
      type(box("seed"), seed);
      root.querySelector(".fj-split").dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true }));
      await open(id);
      await until(() => root.textContent.includes(`of: "${id}"`));
    };
    await again("r1", "1");
    expect([...root.querySelectorAll("button")].some((one) => one.textContent === "Compare")).toBe(false);
    await again("r2", "2");
    expect(root.querySelectorAll(".fj-trial")).toHaveLength(1);
    pressed("Compare");
    expect([...root.querySelectorAll(".fj-answer")].map((one) => one.textContent.match(/r\d/)[0])).toEqual([
      "r1",
      "r2",
    ]);
    expect(root.querySelector(".fj-trial:first-child .fj-trial-changes").textContent).toBe("before: seed 1");
    expect(button("Compare").title).toBe("Show one result alone");
    expect(root.querySelector(".fj-trial:last-child .fj-trial-changes").textContent).toBe("seed 1 → 2");
    await again("r3", "3");
    expect([...root.querySelectorAll(".fj-answer")].map((one) => one.textContent.match(/r\d/)[0])).toEqual([
      "r2",
      "r3",
    ]);
    pressed("Keep this one");
    await again("r4", "4");
    expect([...root.querySelectorAll(".fj-answer")].map((one) => one.textContent.match(/r\d/)[0])).toEqual([
      "r3",
      "r4",
    ]);
    root.querySelector("select").value = "/upload"; // a result of another endpoint has nothing in common with these
    root.querySelector("select").dispatchEvent(new Event("change"));
    type(root.querySelector('.fj-fields [aria-label^="address of"]'), "https://example.org/a.png");
    pressed("Run");
    await open("r5");
    await until(() => root.textContent.includes('of: "r5"'));
    expect(root.querySelectorAll(".fj-trial")).toHaveLength(1);
    expect([...root.querySelectorAll("button")].some((one) => one.textContent === "Compare")).toBe(false);
    pressed("Run"); // comparing has ended with that endpoint's last result
    await open("r6");
    await until(() => root.textContent.includes('of: "r6"'));
    pressed("Compare");
    expect([...root.querySelectorAll(".fj-answer")].map((one) => one.textContent.match(/r\d/)[0])).toEqual([
      "r5",
      "r6",
    ]);
  });

  test("each endpoint has its last results, with what they are compared with", async () => {
    const host = held(madeLine({ apps: [app()] }));
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    const answers = () => [...root.querySelectorAll(".fj-answer")].map((one) => one.textContent.match(/r\d/)?.[0]);
    const run = async (id) => {
      pressed("Run");
      await open(id);
      await until(() => root.textContent.includes(`of: "${id}"`));
    };
    select("/nothing");
    await run("r1");
    await run("r2");
    pressed("Compare");
    select("/upload");
    expect(answers()).toEqual(["r1", "r2"]); // it has no result yet
    type(root.querySelector('.fj-fields [aria-label^="address of"]'), "https://example.org/a.png");
    await run("r3");
    expect(answers()).toEqual(["r3"]);
    select("/nothing");
    expect(answers()).toEqual(["r1", "r2"]);
    select("/upload");
    expect(answers()).toEqual(["r3"]);
    expect(root.querySelector(".fj-trial-note").hidden).toBe(true);
    select("/nothing");
    await run("r4");
    expect(answers()).toEqual(["r2", "r4"]); // it is still compared
  });

  test("a call is sent, then what the feed says, and streaming with the first event of its answer", async () => {
    let open;
    const first = new Promise((resolve) => (open = resolve));
    const host = broken([], {}, "text/event-stream");
    const plain = host.ask.bind(host);
    host.ask = async (method, path, asked) => {
      const answer = await plain(method, path, asked);
      if (!path.endsWith("/answer")) return answer;
      answer.chunks = async function* () {
        await first;
        yield new TextEncoder().encode("data: 1\n\n");
        await new Promise((_, refuse) => asked.signal.addEventListener("abort", () => refuse(new Error("stopped"))));
      };
      return answer;
    };
    const endpoints = [{ ...ENDPOINTS.find((one) => one.path === "/nothing"), yields: true }];
    const told = (state, time, more = {}) =>
      host.store.apply(
        madeLine({
          kind: "frame",
          time,
          apps: [app({ endpoints })],
          requests: [madeRequest("r1", { path: "/nothing", origin: "panel", state, ...more })],
        }),
      );
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector("select option"));
    select("/nothing");
    pressed("Run");
    const head = () => root.querySelector(".fj-running-head [role=status]")?.textContent;
    await until(() => head() === "sent" && !root.querySelector(".fj-running-head button").hidden);
    told("waiting", 60_001);
    await until(() => head() === "waiting");
    told("running", 60_002);
    await until(() => head() === "running");
    expect(root.querySelector(".fj-running-where").textContent).toContain("no event yet");
    open(); // the feed is behind the answer
    await until(() => head() === "streaming");
    expect(root.querySelector(".fj-running-where").textContent).not.toContain("no event yet");
  });

  test("the result before is that of the last call that succeeded", async () => {
    const host = held(madeLine({ apps: [app()] }));
    const plain = host.ask.bind(host);
    host.ask = async (method, path, asked) => {
      const answer = await plain(method, path, asked);
      if (path !== "requests/r2") return answer;
      const detail = await answer.json();
      return { status: 200, json: async () => ({ ...detail, request: { ...detail.request, status: 500 } }) };
    };
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    select("/nothing");
    const answers = () => [...root.querySelectorAll(".fj-answer")].map((one) => one.textContent.match(/r\d/)?.[0]);
    for (const id of ["r1", "r2", "r3"]) {
      pressed("Run");
      await open(id);
      await until(() => root.textContent.includes(`of: "${id}"`));
    }
    pressed("Compare");
    expect(answers()).toEqual(["r1", "r3"]); // r2 failed
    pressed("Run");
    await open("r4");
    await until(() => root.textContent.includes('of: "r4"'));
    expect(answers()).toEqual(["r3", "r4"]);
  });

  test("a result of an earlier revision, which this card has not shown, is offered and fetched", async () => {
    const made = (id, more) => madeRequest(id, { path: "/nothing", origin: "panel", ...more });
    const requests = [
      made("o5", { began: 500, revision: 1, status: 500 }),
      made("o4", { began: 400, revision: 1, path: "/many" }),
      made("o3", { began: 300, revision: 1 }),
      made("o2", { began: 200, revision: 1, origin: "cell" }),
    ].map((one) => ({ ...one, began: one.began - 1e9 })); // too long ago to be taken up
    const host = held(madeLine({ apps: [app({ serving: 2, revision: 2 })], requests }), { path: "/nothing" });
    const plain = host.ask.bind(host);
    host.ask = async (method, path, asked) => {
      const id = path.split("/")[1];
      const request = requests.find((one) => one.id === id) ?? made(id, { revision: 2 });
      if (!/^requests\/\w+$/.test(path)) return plain(method, path, asked);
      const output = {
        content_type: "application/json",
        size: 12,
        text: `{"of": "${id}"}`,
        base64: "",
        truncated: false,
      };
      const detail = { request, input: null, output, error: null, logs: [], displays: [], buffered: false };
      return { status: 200, json: async () => detail };
    };
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    select("/nothing");
    pressed("Run");
    await open("r1");
    await until(() => root.textContent.includes('of: "r1"'));
    expect(button("Compare").title).toBe("Show the result before (r1) beside it");
    pressed("Compare");
    await until(() => root.querySelectorAll(".fj-trial").length === 2);
    expect([...root.querySelectorAll(".fj-answer")].map((one) => one.textContent.match(/[or]\d/)[0])).toEqual([
      "o3",
      "r1",
    ]);
    expect([...root.querySelectorAll(".fj-trial-changes")].map((one) => one.textContent)).toEqual([
      "the result before (r1)",
      "r1 → r2",
    ]);
    pressed("Compare");
    expect(root.querySelectorAll(".fj-trial")).toHaveLength(1);
  });

  test("what a form holds can be read after the app's end: programs keep its file", async () => {
    const host = held(madeLine({ apps: [app()] }));
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    const before = panel.call("/nothing") ?? panel.call();
    host.store.apply(madeLine({ kind: "frame", time: 60_001, apps: [] }));
    expect(host.store.view.apps).toEqual([]);
    expect(panel.call(before.path)).toEqual(before);
  });

  test("two results whose seeds were left to chance differ by the seeds of their answers", () => {
    const made = (value, answer) => {
      const pane = trialPane({ copy: () => {} }, { path: "/", value });
      const request = madeRequest("r", { content_type: "application/json" });
      pane.end(
        { request, input: null, output: null, error: null, logs: [], displays: [] },
        new TextEncoder().encode(answer),
      );
      return pane;
    };
    const [first, second] = [made({ n: 1 }, '{"seed": 5}'), made({ n: 1, seed: 8 }, '{"seed": 8}')];
    expect([first, second].map((one) => one.title.textContent.match(/seed \d/)?.[0])).toEqual(["seed 5", "seed 8"]);
    second.compare(first);
    expect(second.changes.textContent).toBe("seed 5 → 8");
    expect(first.formerWords(second)).toBe("before: seed 5");
  });

  test("the seed of a call is that in its answer, else the one that it was given", () => {
    const seed = (text, value, type = "application/json") => usedSeed(new TextEncoder().encode(text), type, value);
    expect(seed('{"seed": 18446744073709551615}', { seed: null })).toBe("18446744073709551615");
    expect(seed('{"seed": 7}', { seed: -1 })).toBe("7");
    expect(seed('{"seed": 7}', null)).toBe("7");
    expect(seed('{"seed": 7}', { seed: 7 })).toBe("7");
    expect(seed("", { seed: 3 }, "image/png") + seed("[1", { seed: 4 }) + seed("{}", { seed: -1 })).toBe("34");
    expect(seed('{"seed": {}}', {}) + seed("null", {}) + seed("[1", {}) + seed('{"seed": 7}', {}, "text/plain")).toBe(
      "",
    );
  });

  const kept = (value, more = {}) => ({
    content_type: "application/json",
    size: 2,
    text: JSON.stringify(value),
    base64: "",
    truncated: false,
    ...more,
  });

  test("a request of any kind is taken into the form to edit it; what is not kept is said", async () => {
    const host = held(madeLine({ apps: [app()] }), { input: kept({ url: "https://example.org/b.png" }) });
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    onEditRequest(root, "hello", panel.edit, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    const event = (alias) =>
      new CustomEvent("fj-edit-request", { bubbles: true, cancelable: true, detail: { alias, id: "x1" } });
    expect(document.body.dispatchEvent(event("other"))).toBe(true);
    expect(root.querySelector(".fj-fields").dispatchEvent(event("hello"))).toBe(false);
    await until(() => root.querySelector("select").value === "/upload");
    expect(root.querySelector(".fj-picked").textContent).toContain("https://example.org/b.png");
    expect(root.textContent).toContain("Filled from the call of");
    pressed("Run");
    await until(() => sent(host).length);
    expect(sent(host)[0]).toEqual({ url: "https://example.org/b.png" });
  });

  test("a refused input is marked field by field, within models and lists too, and the first has the focus", () => {
    const schema = {
      components: DOCUMENT.components,
      paths: {
        "/paint": {
          post: {
            ...body(ref("Input")).post,
            parameters: [{ in: "query", name: "count", schema: { type: "integer" } }],
          },
        },
      },
    };
    const made = endpointForm(schema, "/paint", "", { changed: () => undefined });
    root.append(made.query.element, made.form.element);
    made.form.write({ size: { width: 64 }, sizes: [{ width: 64 }, { width: 128 }], either: { width: 64 } });
    const problem = (msg, ...loc) => ({ loc, msg, type: "x" });
    const answer = {
      detail: [
        problem("bad item", "body", "sizes", 1, "width"),
        problem("bad width", "body", "size", "width"),
        problem("bad choice", "body", "either", "Size", "width"),
        problem("bad address", "body", "picture", "url"),
        problem("bad prompt <b>", "body", "prompt"),
        problem("bad count", "query", "count"),
        problem("no field", "body", "absent"),
        problem("the whole", "body"),
        problem("a header", "header", "prompt"),
      ],
    };
    const first = markRefused(made, JSON.stringify(answer));
    const errors = () => [...root.querySelectorAll(".fj-error:not([hidden])")].map((one) => one.textContent);
    const all = ["bad count", "bad prompt <b>", "bad width", "bad item", "bad choice", "bad address"];
    expect(errors()).toEqual(all);
    expect(first).toBe(box("count"));
    expect(box("prompt").getAttribute("aria-invalid")).toBe("true");
    type(box("prompt"), "another");
    expect(errors()).toEqual(all.filter((one) => one !== "bad prompt <b>"));
    expect([markRefused(made, "{"), markRefused(made, "[]"), markRefused(made, '{"detail": "no"}')]).toEqual([
      null,
      null,
      null,
    ]);
  });

  test("a problem of a whole model or list is at its frame, until something within is changed", () => {
    const inner = { type: "object", title: "Inner", properties: { depth: { type: "integer" } } };
    const { schemas } = DOCUMENT.components;
    const input = { ...schemas.Input, properties: { inner, ...schemas.Input.properties } };
    const schema = { components: { schemas: { ...schemas, Input: input } }, paths: { "/paint": body(ref("Input")) } };
    const made = endpointForm(schema, "/paint", "", { changed: () => undefined });
    root.append(made.form.element);
    made.form.write({ size: { width: 64 }, sizes: [{ width: 64 }, { width: 128 }] });
    const refuse = (...names) =>
      names.map((name) => ({ loc: ["body", name], msg: `bad ${name}`, type: "value_error" }));
    const errors = () => [...root.querySelectorAll(".fj-error:not([hidden])")].map((one) => one.textContent);
    const marked = () => [...root.querySelectorAll('[aria-invalid="true"]')].map((one) => one.tagName + one.className);
    const first = markRefused(made, JSON.stringify({ detail: refuse("inner", "size", "sizes") }));
    expect(errors()).toEqual(["bad inner", "bad size", "bad sizes"]);
    expect(marked()).toEqual(["FIELDSETfj-whole-row", "FIELDSET", "DIVfj-list"]);
    const frame = first.closest("fieldset");
    expect(document.getElementById(frame.getAttribute("aria-describedby")).textContent).toBe("bad inner");
    type(first, "65");
    expect([errors(), marked()]).toEqual([
      ["bad size", "bad sizes"],
      ["FIELDSET", "DIVfj-list"],
    ]);
    type(box("width"), "128");
    expect([errors(), marked()]).toEqual([["bad sizes"], ["DIVfj-list"]]);
    [...root.querySelectorAll(".fj-list button")].find((one) => one.textContent === "Add an item").click();
    expect([errors(), marked()]).toEqual([[], []]);
  });

  test("the clock of a call on its way goes on, and begins where the call does", () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance", "Date"] });
    try {
      const host = madeHost(madeLine({ apps: [app()] }));
      const view = runningView(host, { alias: "hello", path: "/", passed: 4000 }, stop.signal);
      root.append(view.head);
      const clock = () => root.querySelector(".fj-clock").textContent;
      vi.advanceTimersByTime(500);
      expect(clock()).toBe("4.50 s");
      vi.advanceTimersByTime(60_000);
      expect(clock()).toBe("1 m 5 s");
      stop.abort();
      vi.advanceTimersByTime(9000);
      expect(clock()).toBe("1 m 5 s"); // the call is over
    } finally {
      vi.useRealTimers();
    }
  });

  test("a seed of 64 bits goes into the form and out of it with all its digits", async () => {
    const text = '{"prompt":"a","photo_url":"https://example.org/a.png","big":18446744073709551615}';
    const seeds = { type: "object", required: ["seed"], properties: { seed: { type: "integer" }, more: {} } };
    const recorded = { ...kept({}), text: `{"seed": 18446744073709551615, "more": ${text}}` };
    const schema = { paths: { "/paint": body(seeds) } };
    const host = held(madeLine({ apps: [app()] }), { input: recorded, path: "/paint", schema });
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    panel.edit("x1");
    await until(() => box("seed").value === "18446744073709551615");
    expect(box("more").value).toBe(text);
    pressed("Run");
    const calls = () => host.asked.filter(([, path]) => path.endsWith("/calls"));
    await until(() => calls().length);
    expect(calls()[0][2]).toBe(`{"seed":18446744073709551615,"more":${text}}`);
  });

  test("an output is used again with the seed that made it, also where its input left that to chance", async () => {
    const input = { photo_url: "https://example.org/a.png", image: { url: "https://example.org/a.png" } };
    const host = held(madeLine({ apps: [app()] }), { input: kept(input), path: "/paint" });
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    onEditRequest(root, "hello", panel.edit, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    const detail = { alias: "hello", id: "x1", seed: 4217 };
    root.dispatchEvent(new CustomEvent("fj-edit-request", { bubbles: true, cancelable: true, detail }));
    await until(() => box("seed").value === "4217");
  });

  test("the seed of an output wins over that of its input, which may have meant any", async () => {
    const input = { photo_url: "https://example.org/a.png", seed: -1 };
    const host = held(madeLine({ apps: [app()] }), { input: kept(input), path: "/paint" });
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    panel.edit("x1", 4217);
    await until(() => root.textContent.includes("Filled from the call of"));
    expect(box("seed").value).toBe("4217");
  });

  test("what the changed endpoint does not take of an earlier call is named", async () => {
    const input = { photo_url: "https://example.org/a.png", steps: 3, tint: "opal", prompt: "an elk", size: null };
    const host = held(madeLine({ apps: [app()] }), { input: kept(input), path: "/paint" });
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    panel.edit("x1");
    await until(() => root.textContent.includes("Filled from the call of"));
    expect(root.textContent).toContain('The endpoint has changed and does not take tint "opal" any more.');
    expect([box("prompt").value, box("steps").value]).toEqual(["an elk", "3"]);
  });

  test("a seed of the query waits for the form like the rest of an input", async () => {
    const input = { url: "https://example.org/a.png" };
    const host = held(madeLine({ apps: [app({ state: "Starting", runners: [] })] }), {
      input: kept(input),
      path: "/dots",
    });
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    panel.edit("x1", 4217);
    await until(() => root.textContent.includes("The form is filled when a runner is ready."));
    host.store.apply(madeLine({ kind: "frame", time: 60001, apps: [app()] }));
    await until(() => root.querySelector("select").value === "/dots");
    expect(box("seed").value).toBe("4217");
  });

  test("a seed of 64 bits fills the form, which says why it cannot send it", async () => {
    const input = { photo_url: "https://example.org/a.png", steps: 3, prompt: "an elk" };
    const host = held(madeLine({ apps: [app()] }), { input: kept(input), path: "/paint" });
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    panel.edit("x1", 12345678901234567890n);
    await until(() => box("seed").value === "12345678901234567890");
    await until(() => root.textContent.includes("Filled from the call of"));
    expect([box("prompt").value, box("steps").value, box("photo_url").value]).toEqual([
      "an elk",
      "3",
      "https://example.org/a.png",
    ]);
    pressed("Run");
    expect(root.textContent).toContain("It must be 4294967295 or less.");
    expect(asText(2n ** 64n)).toBe("18446744073709551616");
  });

  test("an input that was cut off is no input", async () => {
    const host = held(madeLine({ apps: [app()] }), { input: kept({}, { truncated: true }) });
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    panel.edit("x1");
    await until(() => root.textContent.includes("The input of that request is kept in part only."));
    expect(root.querySelector("select").value).toBe("/paint");
  });

  test("a page that is opened again has the endpoint and the input of the call that it takes up", async () => {
    const host = held(
      madeLine({
        apps: [app()],
        requests: [madeRequest("r9", { path: "/upload", state: "running", origin: "panel" })],
      }),
      { input: kept({ url: "https://example.org/b.png" }) },
    );
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector("select").value === "/upload");
    expect(root.querySelector(".fj-picked").textContent).toContain("https://example.org/b.png");
    expect(root.textContent).toContain("is still running: its answer comes here.");
    await open("r9");
    await until(() => root.textContent.includes('of: "r9"'));
    expect(sent(host)).toHaveLength(0);
  });

  const paint = (properties) => ({
    ...DOCUMENT,
    components: {
      schemas: {
        ...DOCUMENT.components.schemas,
        Input: {
          ...DOCUMENT.components.schemas.Input,
          properties: { ...DOCUMENT.components.schemas.Input.properties, ...properties },
        },
      },
    },
  });
  const runAgain = (document_, line = madeLine({ apps: [app({ serving: 2, revision: 2 })] })) => {
    stop.abort();
    root.replaceChildren();
    stop = new AbortController();
    const host = held(line);
    const ask = host.ask.bind(host);
    host.ask = async (method, path, asked) =>
      path.endsWith("/schema")
        ? { status: 200, text: async () => JSON.stringify(document_) }
        : ask(method, path, asked);
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    return host;
  };

  test("a cell that runs again leaves what was typed: only fields whose schema changed begin anew", async () => {
    tryPanel(root, held(madeLine({ apps: [app()] })), { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    type(box("seed"), "7");
    type(box("steps"), "8");
    type(box("prompt"), "a badger");
    choose(box("cover_image_url"), photo());
    await until(() => root.querySelector("img.fj-thumb"));
    runAgain(DOCUMENT); // the same schema: the same form
    await until(() => root.querySelector(".fj-fields label"));
    expect([
      box("seed").value,
      box("steps").value,
      box("prompt").value,
      root.querySelector(".fj-picked:not([hidden])").textContent.includes("fox.png"),
    ]).toEqual(["7", "8", "a badger", true]);
    type(box("seed"), "9");

    const { seed, prompt } = DOCUMENT.components.schemas.Input.properties;
    runAgain(
      paint({
        steps: { type: "integer", default: 5, minimum: 1, maximum: 20 },
        prompt: { ...prompt, description: "What to paint" },
        seed: { ...seed, title: "The seed" },
        strength: { type: "number", default: 0.5 },
      }),
    );
    await until(() => label("strength"));
    expect([box("seed").value, box("steps").value, box("prompt").value, box("strength").value]).toEqual([
      "9",
      "6",
      "a badger",
      "0.5",
    ]); // 6 is of the example
    expect(root.querySelector(".fj-picked:not([hidden])").textContent).toContain("fox.png");
    expect(root.querySelector(".fj-fields").textContent).toContain("What to paint");

    select("/upload"); // another endpoint and back
    select("/paint");
    expect(box("seed").value).toBe("9");
    pressed("Reset");
    expect([box("seed").value, box("prompt").value]).toEqual(["", "a fox"]);
    expect(root.querySelector(".fj-picked:not([hidden])")).toBeNull();

    pressed("Undo"); // the chosen file too
    expect([box("seed").value, box("prompt").value]).toEqual(["9", "a badger"]);
    expect(root.querySelector(".fj-picked:not([hidden])").textContent).toContain("fox.png");
    expect(document.activeElement.textContent).toBe("Reset");
    pressed("Reset");
    pressed("Reset"); // nothing to undo any more
    expect([...root.querySelectorAll("button")].some((one) => one.textContent === "Undo")).toBe(false);
  });

  test("forms of endpoints that are not chosen follow the schema, and keep what was typed", async () => {
    const host = held(madeLine({ apps: [app()] }));
    const ask = host.ask.bind(host);
    let schema = DOCUMENT;
    host.ask = async (method, path, asked) =>
      path.endsWith("/schema") ? { status: 200, text: async () => JSON.stringify(schema) } : ask(method, path, asked);
    const panel = tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    type(box("prompt"), "a badger");
    select("/upload");
    const { steps, ...others } = DOCUMENT.components.schemas.Input.properties;
    const Input = { ...DOCUMENT.components.schemas.Input, properties: { ...others, rounds: { ...steps, default: 3 } } };
    schema = { ...DOCUMENT, components: { schemas: { ...DOCUMENT.components.schemas, Input } } };
    host.store.apply(madeLine({ kind: "frame", time: 60002, apps: [app({ serving: 2, revision: 2 })] }));
    const value = await until(() => {
      const made = panel.call("/paint").value;
      return "rounds" in made && made;
    });
    expect(value).toMatchObject({ prompt: "a badger", rounds: 3 });
    expect(value).not.toHaveProperty("steps");
    expect(root.querySelector("select").value).toBe("/upload");
  });

  test("a revision that begins to answer leaves the form, and a field that was not touched takes its new default", async () => {
    const host = held(madeLine({ apps: [app()] }));
    const ask = host.ask.bind(host);
    let schema = DOCUMENT;
    host.ask = async (method, path, asked) =>
      path.endsWith("/schema") ? { status: 200, text: async () => JSON.stringify(schema) } : ask(method, path, asked);
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    box("seed").focus();
    type(box("seed"), "12x");
    const before = box("seed");
    const next = (serving, document_) => {
      schema = document_;
      host.store.apply(madeLine({ kind: "frame", time: 60000 + serving, apps: [app({ serving, revision: serving })] }));
    };
    next(2, DOCUMENT);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([box("seed") === before, document.activeElement === before, before.value]).toEqual([true, true, "12x"]);
    next(3, paint({ steps: { type: "integer", default: 5, minimum: 1, maximum: 9 } }));
    // of the example of the whole body
    await until(() => box("steps").value === "6" && box("steps").parentElement.querySelector('[max="9"]'));
    expect([box("seed") === before, before.value]).toEqual([true, "12x"]);
  });

  test("a result says what it belongs to, and is marked while the form holds something else", async () => {
    const host = held(madeLine({ apps: [app()] }));
    tryPanel(root, host, { alias: "hello" }, stop.signal);
    await until(() => root.querySelector(".fj-fields label"));
    select("/upload");
    choose(box("photo"), photo());
    await until(() => root.querySelector("img.fj-thumb"));
    pressed("Run");
    await open("r1");
    await until(() => root.querySelector(".fj-trial-title").textContent.includes("Result"));
    const note = () => root.querySelector(".fj-trial-note").textContent;
    const isMarked = () => root.querySelector(".fj-trial").classList.contains("fj-stale");
    expect([root.querySelector(".fj-trial-title").textContent.includes("r1"), note(), isMarked()]).toEqual([
      true,
      "",
      false,
    ]);
    select("/nothing");
    expect([note(), isMarked()]).toEqual(["This is a result of /upload.", true]);
    select("/upload");
    expect([note(), isMarked()]).toEqual(["", false]);
    pressed("Remove the image");
    expect([note(), isMarked()]).toEqual(["The form has changed: input fox.png → –.", true]);
    host.store.apply(madeLine({ kind: "frame", time: 60002, apps: [app({ serving: 4, revision: 4 })] }));
    await until(() => note().startsWith("r1 gave it; r4 serves now."));
    // its picture keeps its colours
    expect(TRY_STYLE.split("}").filter((rule) => rule.includes("fj-stale") && /filter|opacity/.test(rule))).toEqual([]);
  });
});
