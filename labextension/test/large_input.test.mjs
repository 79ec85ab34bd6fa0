/** A call with a photo is shown, filled in again, repeated and copied as one with a small picture; without the photo its values are. */
import { afterEach, describe, expect, test } from "vitest";
import { inspectorPanel } from "../../fal_jupyter/widgets/static/inspector/inspector.mjs";
import { recordedValue } from "../../fal_jupyter/widgets/static/inspector/recorded_input.mjs";
import { galleryPanel, inputWords } from "../../fal_jupyter/widgets/static/outputs/gallery.mjs";
import { tryPanel } from "../../fal_jupyter/widgets/static/try/tryit.mjs";
import { madeApp, madeHost, madeLine, madeRequest, madeRunner, until } from "./made.mjs";

const PHOTO = `data:image/jpeg;base64,/9j/${"QUJD".repeat(20000)}`;
const STAND_IN = `data:image/jpeg;base64,/9j/QUJDQUJD… (${PHOTO.length} bytes, text 1)`;
const whole = (value) => JSON.stringify(value);
const VALUE = { url: PHOTO, content_type: "image/jpeg", file_name: "hopper.jpg" };
/** As the gateway records it. */
const recorded = (more = {}) => ({
  content_type: "application/json",
  size: whole(VALUE).length,
  text: whole({ ...VALUE, url: STAND_IN }),
  base64: "",
  truncated: true,
  left_out: [{ text: STAND_IN, size: PHOTO.length }],
  whole: true,
  ...more,
});
const endpoint = {
  name: "chart",
  path: "/chart",
  signature: "(self, image: Image, width: int, seed: int) -> Image",
  doc: "",
  protocol: "http",
};
const app = () =>
  madeApp("hello", { endpoints: [endpoint], url: "http://127.0.0.1:1/run/me/hello", runners: [madeRunner("hello-1")] });
const SCHEMA = {
  components: {
    schemas: {
      Image: {
        title: "Image",
        type: "object",
        properties: { url: { type: "string" }, content_type: { type: "string" }, file_name: { type: "string" } },
        required: ["url"],
      },
    },
  },
  paths: {
    "/chart": {
      post: {
        parameters: ["width", "seed"].map((name) => ({
          in: "query",
          name,
          required: true,
          schema: { type: "integer" },
        })),
        requestBody: {
          required: true,
          content: { "application/json": { schema: { $ref: "#/components/schemas/Image" } } },
        },
      },
    },
  },
};
const request = madeRequest("x1", { path: "/chart", status: 422, bytes_in: whole(VALUE).length });

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
  document.body.replaceChildren();
});

/** A host that has the request, and all of its input unless it is gone. */
function held(input, { gone = false, query = "width=0&seed=42" } = {}) {
  const host = madeHost(madeLine({ apps: [app()], requests: [request] }));
  host.posted = [];
  host.goToCell = () => undefined;
  host.ask = async (method, path, options = {}) => {
    host.asked.push([method, path, options]);
    const answer = (value, status = 200) => ({
      status,
      json: async () => value,
      text: async () => JSON.stringify(value),
      bytes: async () => new TextEncoder().encode(whole(VALUE)),
    });
    if (path.endsWith("/input")) return answer({}, gone ? 404 : 200);
    if (path.endsWith("/schema")) return answer(SCHEMA);
    if (path.endsWith("/calls")) return answer({ request_id: "12345678-0" }, 202);
    if (path === "requests/x1")
      return answer({ request, query, input, output: null, error: null, logs: [], displays: [], buffered: false });
    return answer({});
  };
  return host;
}
function shown(panel, host, options) {
  const root = document.createElement("div");
  document.body.append(root);
  const made = panel(root, host, options, stop.signal);
  return { root, made };
}
const named = (root, label) => [...root.querySelectorAll("button")].find((one) => one.textContent.includes(label));
const pictures = (root) => [...root.querySelectorAll("img")].map((one) => one.src);

describe("the record", () => {
  test("has a file in place of what was left out, with its words", () => {
    const { value } = recordedValue(recorded());
    expect([value.url.name, value.url.type, value.url.words]).toEqual([
      "hopper.jpg",
      "image/jpeg",
      "an image of 60 kB",
    ]);
    const story = { text: "Once…", size: 80000 };
    const text = whole({ image: STAND_IN, mask: STAND_IN, story: story.text, width: 7 });
    const many = recordedValue(recorded({ text, left_out: [{ text: STAND_IN, size: PHOTO.length }, story] })).value;
    expect([many.image.name, many.mask.name, many.story.isText]).toEqual(["input.jpg", "input-2.jpg", true]);
    expect(inputWords(many)).toBe("image an image of 60 kB · mask an image of 60 kB · story a text of 80 kB · width 7");
    expect(recordedValue(recorded({ left_out: undefined }))).toBeNull();
  });

  test("of a form has its files by their names", () => {
    const text = [
      '--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n… (9 bytes, text 1)',
      '\r\n--x\r\nContent-Disposition: form-data; name="width"\r\n\r\n40\r\n--x--\r\n',
    ].join("");
    const form = {
      content_type: "multipart/form-data; boundary=x",
      text,
      left_out: [{ text: "… (9 bytes, text 1)", size: 9 }],
    };
    const { value } = recordedValue(recorded(form));
    expect([value.photo.name, value.width]).toEqual(["a.jpg", "40"]);
    expect(recordedValue({ ...recorded(form), truncated: false }, true).value.photo).toMatch(
      /^data:image\/jpeg;name=a.jpg;base64,/,
    );
  });
});

describe("the inspector", () => {
  test("shows all values and the picture, and repeats the call with it", async () => {
    const host = held(recorded());
    const { root } = shown(inspectorPanel, host, { id: "x1" });
    await until(() => pictures(root).includes(PHOTO));
    for (const words of ["width = 0", "seed = 42"]) expect(root.textContent).toContain(words);
    named(root, "Call again").click();
    await until(() => root.textContent.includes("called again as 12345678"));
    const [, , posted] = host.asked.find(([, path]) => path.endsWith("/calls"));
    expect(new TextDecoder().decode(posted.body)).toBe(whole(VALUE));
    expect(posted.query.path).toBe("/chart?width=0&seed=42");
    named(root, "Copy as Python").click();
    await until(() => host.copied.length);
    expect(host.copied[0]).toContain('"hopper.jpg"');
    expect(host.copied[0]).toContain("width=0");
  });

  test("without the picture has the values, and says why a button cannot act", async () => {
    const host = held(recorded({ whole: false }));
    const { root } = shown(inspectorPanel, host, { id: "x1" });
    await until(() => named(root, "Call again"));
    for (const words of ["width = 0", "hopper.jpg", "1 long text of this input is not kept."])
      expect(root.textContent).toContain(words);
    const buttons = ["Edit and run again", "Call again", "Copy as Python", "Copy as curl"].map((one) =>
      named(root, one),
    );
    expect(buttons.map((one) => one.disabled)).toEqual([false, true, false, false]);
    expect(buttons[1].title).toBe("A part of its input is not kept any more");
    expect(host.asked.some(([, path]) => path.endsWith("/input"))).toBe(false);
  });

  test("of an input that is gone has every button, with the reason", async () => {
    const { root } = shown(inspectorPanel, held(null), { id: "x1" });
    await until(() => named(root, "Call again"));
    expect(root.textContent).toContain("width = 0");
    for (const one of ["Edit and run again", "Call again", "Copy as Python", "Copy as curl"])
      expect([named(root, one).disabled, named(root, one).title]).toEqual([true, "Its input is not kept any more"]);
  });
});

describe("the form", () => {
  test("is filled with values and picture", async () => {
    const { root, made } = shown(tryPanel, held(recorded()), { alias: "hello" });
    await until(() => root.querySelector(".fj-fields label"));
    made.edit("x1");
    await until(() => root.textContent.includes("Filled from the call of"));
    expect(made.call().value.url).toBe(PHOTO);
    expect(made.call().query).toEqual({ width: 0, seed: 42 });
    expect(root.textContent).toContain("Change it, then run.");
  });

  test.each([
    [recorded({ whole: false }), {}],
    [recorded(), { gone: true }],
    [recorded({ whole: false, left_out: undefined, text: '{"url": "data:' }), {}],
  ])("is filled with the values, and says which file has to be chosen again", async (input, how) => {
    const { root, made } = shown(tryPanel, held(input, how), { alias: "hello" });
    await until(() => root.querySelector(".fj-fields label"));
    made.edit("x1", 7);
    await until(() => root.textContent.includes("Its file is not kept: choose it again."));
    expect(made.call().query).toEqual({ width: 0, seed: 7 });
  });
});

test("an output says what its call was made with", async () => {
  const host = held(null);
  const done = { ...request, status: 200 };
  host.store.apply(madeLine({ apps: [app()], requests: [done] }));
  const ask = host.ask;
  host.ask = async (method, path, options) => {
    if (path !== "requests/x1") return ask(method, path, options);
    const output = {
      content_type: "application/json",
      size: 1,
      text: '{"url": "data:image/png;base64,AA==", "seed": 42}',
      base64: "",
      truncated: false,
    };
    const detail = {
      request: done,
      query: "width=80&seed=42",
      input: recorded(),
      output,
      error: null,
      logs: [],
      displays: [],
      buffered: false,
    };
    return { status: 200, json: async () => detail };
  };
  const { root } = shown(galleryPanel, host, { alias: "hello" });
  await until(() => root.querySelector(".fj-output-words"));
  expect(root.querySelector(".fj-output-words").textContent).toBe("hopper.jpg · width 80");
});
