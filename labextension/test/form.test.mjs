/** Forms from schemas: what is shown, what is read, what is refused. */
import { beforeEach, expect, test } from "vitest";
import { objectForm } from "../../fal_jupyter/widgets/static/form/form.mjs";
import { askSchema } from "../../fal_jupyter/widgets/static/connection/host.mjs";
import { endpointForm } from "../../fal_jupyter/widgets/static/form/form_endpoint.mjs";
import { rolled } from "../../fal_jupyter/widgets/static/form/form_number.mjs";
import { endpointSchema, problemOf, resolveSchema } from "../../fal_jupyter/widgets/static/form/schema.mjs";

const DOCUMENT = {
  paths: {
    "/": {
      post: {
        parameters: [
          { in: "query", name: "prompt", schema: { type: "string" } },
          { in: "query", name: "seed", required: true, schema: { type: "integer" } },
        ],
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Input" } } } },
      },
    },
    "/look": { get: {} },
  },
  components: {
    schemas: {
      Style: { enum: ["plain", "loud"], type: "string", title: "Style" },
      Inner: {
        type: "object",
        title: "Inner",
        properties: { depth: { type: "number", minimum: 0, maximum: 1, default: 0.5 } },
      },
      Image: {
        type: "object",
        title: "Image",
        properties: { url: { type: "string" }, width: { type: "integer" } },
        required: ["url"],
      },
      Input: {
        type: "object",
        required: ["prompt", "picture"],
        properties: {
          prompt: { type: "string", maxLength: 5 },
          steps: { type: "integer", minimum: 1, maximum: 50, default: 30 },
          style: { allOf: [{ $ref: "#/components/schemas/Style" }], default: "loud" },
          loud: { type: "boolean", default: true },
          maybe: { anyOf: [{ type: "boolean" }, { type: "null" }], default: null },
          note: { anyOf: [{ type: "string" }, { type: "null" }], default: "abc" },
          inner: { $ref: "#/components/schemas/Inner" },
          tags: { type: "array", items: { type: "string" }, maxItems: 2 },
          extra: { type: "object", additionalProperties: true },
          picture: { $ref: "#/components/schemas/Image", title: "The picture" },
        },
      },
    },
  },
};

let form;
let changes;
const box = (name) =>
  document.getElementById(
    [...document.querySelectorAll("label")].find((one) => one.textContent.replace(" *", "") === name).htmlFor,
  );
const type = (input, text) => {
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
};

beforeEach(() => {
  changes = 0;
  form = objectForm(endpointSchema(DOCUMENT, "/").schema, DOCUMENT, { changed: () => (changes += 1) });
  document.body.replaceChildren(form.element);
});

test("a body hides the query parameters of the same name; a method other than POST is shown", () => {
  const found = endpointSchema(DOCUMENT, "/");
  expect(Object.keys(found.query.properties)).toEqual(["seed"]);
  expect(found.query.required).toEqual(["seed"]);
  expect(found.method).toBe("POST");
  expect(endpointSchema(DOCUMENT, "/look").method).toBe("GET");
});

test("references, allOf and anyOf with null are followed", () => {
  expect(resolveSchema({ anyOf: [{ $ref: "#/components/schemas/Style" }, { type: "null" }] }, DOCUMENT)).toMatchObject({
    enum: ["plain", "loud"],
    nullable: true,
  });
  expect(
    resolveSchema(
      { $ref: "#/components/schemas/Loop" },
      { components: { schemas: { Loop: { $ref: "#/components/schemas/Loop" } } } },
    ),
  ).toEqual({});
  expect(resolveSchema({ type: ["integer", "null"] }, DOCUMENT)).toMatchObject({ type: "integer", nullable: true });
});

test("every field of the form has a name that a screen reader finds, and its kind of control", () => {
  expect(box("prompt").tagName).toMatch(/INPUT|TEXTAREA/);
  expect(box("steps").value).toBe("30");
  expect(box("style").tagName).toBe("SELECT");
  expect(box("loud").getAttribute("role")).toBe("switch");
  expect(box("maybe").tagName).toBe("SELECT");
  expect(box("picture").type).toBe("file");
  expect(document.querySelector("fieldset legend").textContent).toBe("inner");
  expect(box("extra").placeholder).toBe("JSON");
});

test("defaults and what was typed are read with their types; an empty box is null where null is meant, else left out", () => {
  type(box("prompt"), "hi");
  type(box("steps"), "7");
  type(box("extra"), '{"a": [1]}');
  const address = document.querySelector('[aria-label="address of the image"]');
  type(address, "https://example.org/a.png");
  expect(form.read()).toEqual({
    prompt: "hi",
    steps: 7,
    style: "loud",
    loud: true,
    note: "abc",
    inner: { depth: 0.5 },
    tags: [],
    extra: { a: [1] },
    picture: { url: "https://example.org/a.png" },
  });
  type(box("note"), "");
  expect(form.read().note).toBeNull();
  expect(form.problem()).toBe("");
  expect(changes).toBe(5);
});

test("what is wrong is shown below its field, as typed, and the field is marked", () => {
  type(box("steps"), "2.5");
  expect(box("steps").getAttribute("aria-invalid")).toBe("true");
  expect(document.body.textContent).toContain("Give a whole number.");
  type(box("steps"), "99");
  expect(document.body.textContent).toContain("It must be 50 or less.");
  type(box("steps"), "9");
  expect(box("steps").getAttribute("aria-invalid")).toBe("false");
  type(box("prompt"), "too long");
  expect(form.problem()).toBe("It may have 5 characters at most.");
  type(box("extra"), "{");
  expect(document.body.textContent).toContain("This is not JSON");
  type(box("prompt"), "ok");
  type(box("extra"), "");
  expect(form.problem()).toBe("An image is required.");
});

test("a list grows and shrinks, and is bounded", () => {
  const add = [...document.querySelectorAll("button")].find((one) => one.textContent === "Add an item");
  for (const text of ["a", "b", "c"]) {
    add.click();
    const inputs = document.querySelectorAll(".fj-list-item input, .fj-list-item textarea");
    expect(inputs[inputs.length - 1].getAttribute("aria-label")).toMatch(/^item \d$/);
    type(inputs[inputs.length - 1], text);
  }
  expect(form.read().tags).toEqual(["a", "b", "c"]);
  form.problem();
  expect(document.body.textContent).toContain("It may have 2 items at most.");
  document.querySelector('[aria-label="remove this item"]').click();
  expect(form.read().tags).toEqual(["b", "c"]);
});

test("a slider moves its box", () => {
  const slider = document.querySelector('fieldset input[type="range"]');
  type(slider, "0.25");
  expect(form.read().inner).toEqual({ depth: 0.25 });
  type(document.querySelector("fieldset .fj-box"), "0.75");
  expect(slider.value).toBe("0.75");
});

test("a slider beside an empty box is unset, and set again with a number", () => {
  const properties = {
    strength: { anyOf: [{ type: "number", minimum: 0, maximum: 1 }, { type: "null" }], default: null },
  };
  const optional = objectForm({ type: "object", properties }, {}, { changed: () => undefined });
  const [slider, input] = ['input[type="range"]', ".fj-box"].map((one) => optional.element.querySelector(one));
  const look = () => [slider.classList.contains("fj-unset"), slider.value, slider.getAttribute("aria-valuetext")];
  expect(look()).toEqual([true, "0", "not set"]);
  type(input, "0.8");
  expect(look()).toEqual([false, "0.8", null]);
  for (const text of ["", "x"]) {
    type(input, text);
    expect(look()).toEqual([true, "0", "not set"]);
    type(slider, "0.5");
    expect([...look(), input.value]).toEqual([false, "0.5", null, "0.5"]);
  }
  optional.write({ strength: null });
  expect(look()).toEqual([true, "0", "not set"]);
});

test("a pattern that JavaScript does not know is left to the endpoint", () => {
  expect(problemOf({ type: "string", pattern: "(?P<x>a)" }, "b")).toBe("");
  expect(problemOf({ type: "string", pattern: "^a$" }, "b")).toBe("It must match ^a$.");
  expect(problemOf({ type: "number", multipleOf: 0.1 }, 0.3)).toBe("");
});

test("the body comes first where the first parameter of the form is part of it", () => {
  const schema = {
    paths: {
      "/": {
        post: {
          parameters: [
            { name: "seed", in: "query", schema: { type: "integer" } },
            { name: "x-token", in: "header", schema: { type: "string" } },
          ],
          requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Prompt" } } } },
        },
      },
    },
    components: { schemas: { Prompt: { title: "Prompt", type: "object", properties: { text: { type: "string" } } } } },
  };
  const isFirst = (signature) => endpointForm(schema, "/", signature, { changed: () => undefined }).bodyFirst;
  for (const signature of [
    "(input: Prompt, seed: int = 1) -> dict",
    "(request: starlette.requests.Request, input: Prompt, seed: int = 1)",
    "(x_token: Annotated[str, Header(PydanticUndefined)], session: str = Cookie(None), input: Prompt = None, seed=1)",
    "(user: str = Depends(dependency=<function user at 0x7f>, use_cache=True), *, input: Prompt, seed: int = 1)",
  ])
    expect([signature, isFirst(signature)]).toEqual([signature, true]);
  for (const signature of [
    "(seed, input: Prompt) -> dict",
    "(seed=1, *, input: Prompt) -> dict",
    "(request: 'Request', seed: int, input: Prompt)",
    "(background: fastapi.background.BackgroundTasks, x_token: str = Header(None), seed: int = 1, input: Prompt = None)",
    "(asked: Annotated[Asked, Query(PydanticUndefined)], input: Prompt)",
    "(request: Request)",
    "",
  ])
    expect([signature, isFirst(signature)]).toEqual([signature, false]);
  schema.components.schemas.Prompt.title = "Request"; // a model of the user's own
  expect(isFirst("(input: Request, seed: int)")).toBe(true);
});

test("bounds and defaults of 64 bits are shown and checked to the digit", async () => {
  const text = `{"paths": {"/": {"post": {"requestBody": {"content": {"application/json": {"schema": {
    "type": "object", "properties": {
      "seed": {"type": "integer", "minimum": 0, "maximum": 18446744073709551615, "default": 9007199254740993},
      "id": {"type": "integer", "minimum": 9223372036854775807, "multipleOf": 9007199254740993},
      "near": {"type": "integer", "minimum": 9007199254740993, "maximum": 9007199254740995}
    }}}}}}}}}`;
  const host = { ask: async () => ({ status: 200, text: async () => text, json: async () => JSON.parse(text) }) };
  const schema = await askSchema(host, "hello", new AbortController().signal);
  const { form: made, text: whole } = endpointForm(schema, "/", "", { changed: () => undefined });
  document.body.replaceChildren(made.element);
  expect(box("seed").value).toBe("9007199254740993");
  expect(whole).toContain("18446744073709551615");
  type(box("seed"), "18446744073709551616");
  expect(document.body.textContent).toContain("It must be 18446744073709551615 or less.");
  type(box("seed"), "18446744073709551615");
  expect(made.problem()).toBe("");
  type(box("id"), "9223372036854775808");
  expect(made.problem()).toBe("It must be a multiple of 9007199254740993.");
  type(box("id"), String(9007199254740993n * 1025n));
  expect(made.problem()).toBe("");
  expect(document.querySelector('input[type="range"]')).toBeNull();
  for (const bounds of [
    { minimum: 9007199254740993n },
    { minimum: 9007199254740993n, exclusiveMaximum: 9007199254740996n },
    { maximum: -9007199254740993n },
    { exclusiveMinimum: 9007199254740993n, multipleOf: 5 },
    { minimum: 0, maximum: 18446744073709551615n },
    { minimum: -9223372036854775808n, maximum: 9223372036854775807n },
  ])
    expect(problemOf({ type: "integer", ...bounds }, rolled(bounds))).toBe("");
});
