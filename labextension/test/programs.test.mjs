/** Programs as they are written: each language reads what the form held; templates and load. */
import { execFileSync } from "node:child_process";
import { afterEach, describe, expect, test, vi } from "vitest";
import { programView } from "../../fal_jupyter/widgets/static/elements/highlight.mjs";
import { JAVASCRIPT, JSON_TEXT, PYTHON, shellWord, written } from "../../fal_jupyter/widgets/static/text/literals.mjs";
import { loadPanel } from "../../fal_jupyter/widgets/static/try/load.mjs";
import { encodedBody } from "../../fal_jupyter/widgets/static/form/form_body.mjs";
import { sampleOfSignature } from "../../fal_jupyter/widgets/static/snippets/signature_sample.mjs";
import { queryValues, recordedPrograms } from "../../fal_jupyter/widgets/static/inspector/recorded.mjs";
import { recordedValue } from "../../fal_jupyter/widgets/static/inspector/recorded_input.mjs";
import { endpointSchema } from "../../fal_jupyter/widgets/static/form/schema.mjs";
import { TEMPLATES, cellsOf } from "../../fal_jupyter/widgets/static/sidebar/templates.mjs";
import {
  PLACEHOLDER,
  languagesOf,
  sampleOf,
  snippetsOf,
  snippetsPanel,
  waysOf,
} from "../../fal_jupyter/widgets/static/snippets/snippets.mjs";
import { HOSTILE, madeApp, madeHost, madeLine, madeRunner, until } from "./made.mjs";

describe("programs", () => {
  const text = `it's "q" \\ $HOME \`id\` \n ${HOSTILE} \u2028 😀 %`;
  const call = (more) =>
    snippetsOf({
      className: "Made",
      endpoint: "hi",
      path: "/hi",
      app: "me/made",
      url: "http://127.0.0.1:9/run/me/made",
      value: { name: text, none: null, yes: true },
      key: "fjk_a:b",
      ...more,
    });

  test("a shell gives curl exactly what the form held", () => {
    expect(execFileSync("sh", ["-c", `printf %s ${shellWord(text)}`]).toString()).toBe(text);
    const shown = execFileSync("sh", ["-c", `curl() { printf '%s\\0' "$@"; }\n${call().curl}`])
      .toString()
      .split("\0");
    expect(shown.slice(0, 4)).toEqual(["-sS", "http://127.0.0.1:9/run/me/made/hi", "-H", "Authorization: Key fjk_a:b"]);
    expect(JSON.parse(shown[7])).toEqual({ name: text, none: null, yes: true });
  });

  test("Python reads what the form held, and the clients go to the gateway", () => {
    const fake =
      "import sys, types, json\nm = types.ModuleType('fal_client'); " +
      "m.client = types.SimpleNamespace(); " +
      "m.SyncClient = lambda key: types.SimpleNamespace(run=m.run)\n" +
      "m.run = lambda app, **more: [m.client.RUN_URL_FORMAT, app, more]\n" +
      "sys.modules['fal_client'] = m\nprint = lambda value: sys.stdout.write(json.dumps(value))\n";
    const given = JSON.parse(execFileSync("python3", ["-c", fake + call().python]).toString());
    expect(given).toEqual([
      "http://127.0.0.1:9/run/",
      "me/made",
      { arguments: { name: text, none: null, yes: true }, path: "hi" },
    ]);
    const cell = execFileSync("python3", [
      "-c",
      `import json, sys\nclass Made:\n    hi = staticmethod(lambda **more: sys.stdout.write(json.dumps(more)))\n${call().cell}`,
    ]).toString();
    expect(JSON.parse(cell)).toEqual({ name: text, none: null, yes: true });
  });

  test("JavaScript reads what the form held", () => {
    const body = call()
      .javascript.replace(/^import.*\n/, "")
      .replace(/console\.log/, "tell");
    const fake =
      "const seen = []; " +
      "const createFalClient = (config) => ({ run: async (id, given) => { await config.fetch('https://fal.run/' + id, {}); " +
      "seen.push(config.credentials, id, given); return { data: 1 }; } }); " +
      "const fetch = (url) => seen.push(url); " +
      "const tell = () => process.stdout.write(JSON.stringify(seen));";
    const seen = JSON.parse(execFileSync("node", ["--input-type=module", "-e", fake + body]).toString());
    expect(seen).toEqual([
      "http://127.0.0.1:9/run/me/made/hi",
      "fjk_a:b",
      "me/made/hi",
      { input: { name: text, none: null, yes: true } },
    ]);
  });

  test("without a key each program takes it from its environment", () => {
    const { python, javascript, curl } = call({ key: PLACEHOLDER });
    expect(python).not.toContain("FAL_KEY");
    expect(javascript).toContain("credentials: process.env.FAL_KEY");
    expect(
      execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$4"; }\n${curl}`], {
        env: { ...process.env, FAL_KEY: "k:1" },
      }).toString(),
    ).toBe("Authorization: Key k:1\n");
  });

  test("method and query are kept; names that are no keywords are a dict", () => {
    const { curl, cell, python } = call({ method: "GET", path: "/", query: { q: "a b" }, value: {} });
    expect(curl).toContain("-X GET 'http://127.0.0.1:9/run/me/made/?q=a+b'");
    expect(python).toContain('path="?q=a+b", method="GET"');
    expect(cell).toBe('Made.hi(q="a b")');
    expect(call({ value: { "not-a-name": 1 } }).cell).toBe('Made.hi({"not-a-name": 1})');
  });

  test("parameters of the path stand in it, others in the query; a cell has both by name", () => {
    const { curl, cell, python } = call({
      path: "/of/{kind}/{rest:path}",
      query: { kind: "a b/é", rest: "x/y", n: [1, 2] },
      value: {},
    });
    expect(curl).toContain("'http://127.0.0.1:9/run/me/made/of/a%20b%2F%C3%A9/x/y?n=1&n=2'");
    expect(python).toContain('path="of/a%20b%2F%C3%A9/x/y?n=1&n=2"');
    expect(cell).toBe('Made.hi(kind="a b/é", rest="x/y", n=[1, 2])');
    expect(
      endpointSchema(
        {
          paths: {
            "/of/{rest}": {
              post: { parameters: [{ name: "rest", in: "path", required: true, schema: { type: "string" } }] },
            },
          },
        },
        "/of/{rest:path}",
      ).query.required,
    ).toEqual(["rest"]);
  });

  test("long values take a line for each part, in every language", () => {
    const value = {
      prompt: "dawn over a still mountain lake, thin mist, 35 mm",
      size: { width: 1024, height: 768 },
      tags: ["a", "b"],
    };
    const { cell, python, javascript, curl } = call({ value });
    expect(cell).toBe(
      `Made.hi(\n    prompt="dawn over a still mountain lake, thin mist, 35 mm",\n` +
        `    size={"width": 1024, "height": 768},\n    tags=["a", "b"],\n)`,
    );
    expect(python).toContain('result = client.run(\n    "me/made",\n    arguments={\n        "prompt": ');
    expect(javascript).toContain('        prompt: "dawn');
    expect(
      JSON.parse(execFileSync("sh", ["-c", `curl() { for last; do :; done; printf %s "$last"; }\n${curl}`]).toString()),
    ).toEqual(value);
  });

  test("a long data address is a file that the program reads", () => {
    const data = `data:image/png;base64,${"A".repeat(400)}`;
    const programs = call({ value: { image: { url: data }, note: "$HOME `id` \\" } });
    for (const text of Object.values(programs)) {
      expect(text).not.toContain("AAAA");
      expect(text).toContain("input.png");
    }
    const folder = execFileSync("mktemp", ["-d"]).toString().trim();
    const sent = execFileSync("sh", ["-c", `printf abc > input.png\ncurl() { cat; }\n${programs.curl}`], {
      cwd: folder,
    }).toString();
    expect(JSON.parse(sent)).toEqual({ image: { url: "data:image/png;base64,YWJj" }, note: "$HOME `id` \\" });
    execFileSync("rm", ["-r", folder]);
  });

  test("what a program needs is said in its first lines, and a cell makes files as fal.toolkit does", () => {
    const png = `data:application/octet-stream;base64,${btoa(`\x89PNG\r\n\x1a\n${"x".repeat(300)}`)}`;
    const value = {
      image: { url: png, file_name: "sun.png", content_type: "application/octet-stream" },
      mask_url: png,
      again: { url: png, file_name: "sun.png" },
      sound: `data:audio/WAV;base64,${"A".repeat(400)}`,
    };
    const { cell, python, javascript, curl } = call({ value, key: PLACEHOLDER });
    expect(cell).toBe(
      "# sun.png, input.png, sun-2.png, input.wav: files of yours, in the folder where this runs\n" +
        "from fal.toolkit import File, Image\n\n" +
        'Made.hi(\n    image=Image.from_path("sun.png"),\n' +
        '    mask_url=Image.from_path("input.png").url,\n    again=Image.from_path("sun-2.png"),\n' +
        '    sound=File.from_path("input.wav").url,\n)',
    );
    expect(python).toContain("import fal_client\nimport fal_jupyter\n\nclient = fal_jupyter.fal_client()");
    for (const [text, mark] of [
      [javascript, "//"],
      [curl, "#"],
    ])
      expect(text.split("\n")[0]).toBe(`${mark} FAL_KEY: first, in the shell: eval $(fal-jupyter env)`);
    expect(call({ value: {} }).curl).not.toContain("FAL_KEY");
  });

  test("a whole input stands first in a cell, and what goes in the query follows by name", () => {
    const image = { url: `data:image/png;base64,${"A".repeat(400)}`, file_name: "sun.png" };
    const signature = "(image: Image, seed: int = 1)";
    expect(call({ value: image, query: { seed: 99 }, signature }).cell).toContain(
      'Made.hi(Image.from_path("sun.png"), seed=99)',
    );
    expect(call({ value: ["a"], query: { seed: 99 } }).cell).toBe('Made.hi(["a"], seed=99)');
  });

  test("an endpoint that yields is streamed as lines of JSON", () => {
    const programs = call({ way: "stream", yields: true, value: { n: 2 } });
    expect(programs.cell).toBe("for piece in Made.stream.hi(n=2):\n    print(piece)");
    expect(programs.python).toContain("for line in answer.iter_lines():\n        print(json.loads(line))");
    expect(call({ way: "stream", yields: false }).python).toContain("client.stream(");
    const endpoint = { name: "a", path: "/", signature: "(self)", doc: "", protocol: "http", yields: true };
    expect(waysOf(endpoint)[0]).toBe("stream");
  });

  test("a signature says what is needed where no schema is known", () => {
    expect(
      sampleOfSignature(
        "(name: str, n: int, tags: list[str], on: bool = True, *, size: dict[str, int], text: str = 'a, b=c') -> dict",
      ),
    ).toEqual({ value: { name: "text", n: 1, tags: [], size: {} }, model: "" });
    expect(sampleOfSignature("(self, image: fal.toolkit.Image) -> Image").value.url).toMatchObject({
      name: "input.png",
    });
    const needed = sampleOfSignature("(input: TintIn, seed: int = 0) -> dict");
    expect(needed).toEqual({ value: {}, model: "input: TintIn" });
    expect(call(needed).cell).toBe("# input: TintIn: its fields go into the braces\nMade.hi({})");
  });

  test("a field with the name of its model is not taken for the model", () => {
    expect(call({ value: { prompt: "a" }, signature: "(prompt: Prompt) -> dict" }).cell).toBe(
      'Made.hi({"prompt": "a"})',
    );
    expect(call({ value: { prompt: "a" }, signature: "(self, prompt: str = 'x') -> dict" }).cell).toBe(
      'Made.hi(prompt="a")',
    );
    expect(call({ value: { prompt: "a" }, signature: "(given: Prompt) -> dict" }).cell).toBe('Made.hi(prompt="a")');
  });

  test("a form's files are read by the program, by their own names where those are plain", () => {
    const value = {
      file: "data:image/png;name=cat.png;base64,AQID",
      more: ["data:text/plain;name=..%2Fa%20b;base64,AQID"],
      title: "x",
      none: null,
    };
    const programs = call({ value, encoding: "multipart/form-data" });
    expect(programs.cell).toBe(
      "# cat.png, input.txt: files of yours, in the folder where this runs\n" +
        'from pathlib import Path\n\nMade.hi(\n    file=Path("cat.png"),\n' +
        '    more=[Path("input.txt")],\n    title="x",\n    none=None,\n)',
    );
    expect(programs.curl.split(" \\\n  ").slice(2)).toEqual([
      "-F 'file=@cat.png;type=image/png'",
      "-F 'more=@input.txt;type=text/plain'",
      "--form-string 'title=x'",
    ]);
    for (const text of Object.values(programs)) expect(text).not.toContain("AQID");
  });

  test("a recorded form is read as what it was made of", () => {
    const title = 'é "q" \\ 漢 \r\n--x';
    const { body, type } = encodedBody(
      { file: "data:image/png;name=c%22a%22%20%E6%BC%A2.png;base64,AAEC/w==", title, tags: ["a", "b"] },
      "multipart/form-data",
    );
    const kept = {
      content_type: type,
      size: body.length,
      text: "",
      base64: btoa(String.fromCharCode(...body)),
      truncated: false,
    };
    const { value, encoding } = recordedValue(kept);
    expect([encoding, value.title, value.tags, value.file]).toEqual([
      "multipart/form-data",
      title,
      ["a", "b"],
      { name: "input.png", type: "image/png", whole: false },
    ]);
    expect(recordedValue({ ...kept, truncated: true })).toBeNull();
    expect(recordedValue({ ...kept, base64: kept.base64.slice(0, 40) })).toBeNull();
    expect(
      recordedValue({
        content_type: "application/x-www-form-urlencoded",
        size: 9,
        text: "a=1+2&a=%C3%A9&b=",
        base64: "",
        truncated: false,
      }).value,
    ).toEqual({ a: ["1 2", "é"], b: "" });
    const large = recordedValue({ content_type: "application/json", size: 9, text: '{"seed": 18446744073709551615}' });
    expect(large.value).toEqual({ seed: 18446744073709551615n });
    expect([PYTHON, JSON_TEXT, JAVASCRIPT].map((how) => written(large.value, how, ","))).toEqual([
      '{"seed": 18446744073709551615}',
      '{"seed": 18446744073709551615}',
      '{ seed: JSON.rawJSON("18446744073709551615") }',
    ]);
    expect(recordedPrograms(undefined, {})).toBeNull();
    expect(queryValues("a=1&b=x%26&a=2")).toEqual({ a: ["1", "2"], b: "x&" });
  });

  test("ways are what an endpoint can do", () => {
    const endpoint = (more) => ({
      name: "a",
      path: "/",
      signature: "(self) -> dict",
      doc: "",
      protocol: "http",
      ...more,
    });
    expect(waysOf(endpoint())).toEqual(["run", "queue"]);
    expect(waysOf(endpoint({ signature: "(self) -> StreamingResponse" }))[0]).toBe("stream");
    expect(waysOf(endpoint({ path: "/chat/stream" }))[0]).toBe("stream");
    for (const language of ["python", "javascript"]) {
      expect(waysOf(endpoint({ yields: true }), language)).toEqual(["stream"]); // fal's clients read one JSON value
      expect(waysOf(endpoint(), language)).toEqual(["run", "queue"]);
    }
    expect(waysOf(endpoint({ yields: true }), "curl")).toEqual(["stream", "run", "queue"]);
    expect(waysOf(endpoint({ protocol: "realtime" }))).toEqual(["session"]);
    expect(Object.keys(call({ way: "session" }))).toEqual(["cell", "python", "javascript"]);
  });

  test("a sample has examples and what is required, and nothing else", () => {
    const schema = {
      type: "object",
      required: ["prompt", "n", "on", "image", "kind", "inner"],
      properties: {
        prompt: { type: "string", examples: ["a red fox"] },
        n: { type: "integer", minimum: 3 },
        on: { type: "boolean" },
        seed: { type: "integer" },
        style: { type: "string", examples: ["oil"] },
        image: { type: "object", title: "Image", properties: { url: { type: "string" } } },
        kind: { enum: ["x", "y"] },
        inner: { $ref: "#/components/schemas/Inner" },
      },
    };
    const made = sampleOf(schema, {
      components: { schemas: { Inner: { type: "object", required: ["w"], properties: { w: { type: "number" } } } } },
    });
    expect({ ...made, image: made.image.url.name }).toEqual({
      prompt: "a red fox",
      n: 3,
      on: false,
      style: "oil",
      image: "input.png",
      kind: "x",
      inner: { w: 1 },
    });
  });

  test("colours leave the text as it is", () => {
    const programs = call();
    const grammars = { cell: "python", python: "python", javascript: "javascript", curl: "shell" };
    for (const [kind, text] of Object.entries(programs)) {
      const place = document.createElement("pre");
      place.append(...programView(text, grammars[kind]));
      expect(place.textContent).toBe(text);
      expect(place.querySelector("img")).toBeNull();
      expect(place.querySelector(".fj-code-string")).not.toBeNull();
    }
    const python = document.createElement("pre");
    python.append(...programView('for x1 in f(12, "for # 3"):  # 4', "python"));
    expect([...python.children].map((one) => [one.className, one.textContent])).toEqual([
      ["fj-code-word", "for"],
      ["fj-code-word", "in"],
      ["fj-code-number", "12"],
      ["fj-code-string", '"for # 3"'],
      ["fj-code-comment", "# 4"],
    ]);
  });
});

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  document.body.replaceChildren();
});
const named = (root, label) =>
  [...root.querySelectorAll("button")].find((one) =>
    (one.getAttribute("aria-label") ?? one.textContent).includes(label),
  );

describe("the languages of an endpoint's programs", () => {
  const endpoint = { way: "run", yields: false, form: false, past: false };

  test("are a cell, both clients of fal, and curl", () => {
    expect(languagesOf(endpoint)).toEqual({
      cell: "cell",
      python: "fal_client",
      javascript: "JavaScript",
      curl: "curl",
    });
  });

  test("have no curl for a WebSocket session", () => {
    expect(Object.keys(languagesOf({ ...endpoint, way: "session" }))).toEqual(["cell", "python", "javascript"]);
  });

  test("name plain Python where fal's client cannot send a form or read JSON lines", () => {
    expect(languagesOf({ ...endpoint, form: true }).python).toBe("Python");
    expect(languagesOf({ ...endpoint, yields: true, way: "stream" }).python).toBe("Python");
    expect(languagesOf({ ...endpoint, yields: true }).python).toBe("fal_client");
  });

  test("are only a cell once the app's address is gone", () => {
    expect(languagesOf({ ...endpoint, past: true, way: "session" })).toEqual({ cell: "cell" });
  });
});

describe("the snippets of a card", () => {
  const endpoints = [
    { name: "hi", path: "/", signature: "(self, name: str) -> dict", doc: "", protocol: "http" },
    { name: "draw", path: "/draw", signature: "(self) -> StreamingResponse", doc: "", protocol: "http" },
  ];
  const sockets = [
    { name: "talk", path: "/realtime", signature: "(self, said: dict) -> dict", doc: "", protocol: "realtime" },
  ];
  const schema = {
    paths: {
      "/draw": {
        post: {
          requestBody: {
            content: {
              "application/json": {
                schema: { type: "object", required: ["n"], properties: { n: { type: "integer", minimum: 5 } } },
              },
            },
          },
        },
      },
    },
  };
  function opened(call = () => ({ endpoint: "hi", path: "/", value: { name: "Ada" } })) {
    const app = madeApp("hello", {
      endpoints,
      sockets,
      url: "http://127.0.0.1:9/run/me/hello",
      runners: [madeRunner("hello-1")],
    });
    const host = madeHost(madeLine({ apps: [app] }), (_, path) =>
      path.endsWith("schema") ? schema : path.endsWith("keys") ? { key: "fjk_a:b" } : {},
    );
    const root = document.createElement("div");
    document.body.append(root);
    stop = new AbortController();
    snippetsPanel(root, host, { alias: "hello", call }, stop.signal);
    return { root, host, code: root.querySelector(".fj-program") };
  }

  test("have text for the bytes of a query, as Try has", async () => {
    const parameter = { in: "query", name: "data", required: true, schema: { type: "string", format: "binary" } };
    const posted = schema.paths["/draw"].post;
    posted.parameters = [parameter];
    const { root, code } = opened();
    const choose = root.querySelector("select");
    choose.value = "/draw";
    choose.dispatchEvent(new Event("change"));
    await until(() => code.textContent.includes("n=5"));
    delete posted.parameters;
    expect(code.textContent).toContain('data="text"');
    expect(code.textContent).not.toContain("open(");
  });

  test("follow the form, and another endpoint when one is chosen", async () => {
    const { root, code } = opened();
    expect(code.textContent).toBe('Made.hi(name="Ada")');
    const choose = root.querySelector("select");
    expect([...choose.options].map((one) => one.value)).toEqual(["/", "/draw", "/realtime"]);
    choose.value = "/draw";
    choose.dispatchEvent(new Event("change"));
    await until(() => code.textContent === "for piece in Made.stream.draw(n=5):\n    print(piece)");
    named(root, "queue").click();
    expect(code.textContent).toBe("job = Made.submit.draw(n=5)\njob.get()");
    expect(document.activeElement.textContent).toBe("queue");
    choose.value = "/realtime";
    choose.dispatchEvent(new Event("change"));
    expect(named(root, "curl")).toBeUndefined();
    expect(code.textContent).toContain("with Made.realtime.talk() as session:");
  });

  test("hold what was typed into the form of another endpoint", async () => {
    const forms = {
      "/": { endpoint: "hi", path: "/", value: { name: "Ada" } },
      "/draw": { endpoint: "draw", path: "/draw", value: { n: 99 } },
    };
    const { root, code } = opened((path = "/") => forms[path] ?? null);
    const choose = root.querySelector("select");
    choose.value = "/draw";
    choose.dispatchEvent(new Event("change"));
    expect(code.textContent).toBe("for piece in Made.stream.draw(n=99):\n    print(piece)");
  });

  test("say that they were copied, and hold a key that was made", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { root, host, code } = opened();
    named(root, "Copy").click();
    await vi.advanceTimersByTimeAsync(1);
    expect(host.copied).toEqual(['Made.hi(name="Ada")']);
    expect([root.querySelector("[role=status]").textContent, named(root, "Copied").textContent]).toEqual([
      "Copied.",
      "Copied",
    ]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(root.querySelector("[role=status]").textContent).toBe("");
    vi.useRealTimers();
    named(root, "fal_client").click();
    expect(code.textContent).not.toContain("FAL_KEY");
    named(root, "Make a key").click();
    await until(() => code.textContent.includes('fal_client.SyncClient(key="fjk_a:b")'));
  });
});

describe("templates", () => {
  test("take a name that no app has", () => {
    expect(cellsOf("text", []).alias).toBe("hello");
    const { alias, cells } = cellsOf("text", ["hello", "hello-2"]);
    expect(alias).toBe("hello-3");
    expect(cells[0]).toContain('class Hello(fal.App):\n    app_name = "hello-3"\n\n    def setup');
    for (const kind of Object.keys(TEMPLATES))
      expect(cellsOf(kind, [cellsOf(kind, []).alias]).cells[0]).toContain('-2"\n');
  });
});

describe("load", () => {
  const report = (done, more = {}) =>
    `${JSON.stringify({ done, failed: 1, running: 2, total: 40, seconds: 2, rate: 12, p50_ms: 3.14, p95_ms: 18, max_ms: 20, over: false, ...more })}\n`;
  function opened(pieces, sure = true) {
    const host = madeHost(madeLine());
    host.ask = async (_, path, options) => {
      host.asked.push([path, options.query, options.body]);
      return {
        status: 200,
        chunks: async function* () {
          yield* pieces.map((one) => new TextEncoder().encode(one));
        },
      };
    };
    const root = document.createElement("div");
    document.body.append(root);
    stop = new AbortController();
    const questions = [];
    loadPanel(
      root,
      host,
      {
        alias: "hello",
        call: () => ({ path: "/", value: { n: 1 }, query: { q: "a b" } }),
        confirmIn: () => async (title) => (questions.push(title), sure),
      },
      stop.signal,
    );
    return { root, host, questions };
  }

  test("asks first, and shows percentiles while the calls run", async () => {
    const { root, host, questions } = opened([
      report(5).slice(0, 9),
      report(5).slice(9),
      report(40, { over: true, failed: 0 }),
    ]);
    root.querySelector('[aria-label="number of calls"]').value = "140";
    named(root, "Start load").click();
    await until(() => root.querySelector("[role=status]").textContent === " Finished: 40 calls of / in 2.00 s.");
    expect(root.querySelector("[role=progressbar]").className).toBe("fj-progress fj-load-over");
    expect(questions).toEqual(["Make 140 calls of /, 8 at a time?"]);
    expect(host.asked).toEqual([
      ["apps/hello/load", { path: "/?q=a+b", method: "POST", calls: "140", at_once: "8" }, '{"n":1}'],
    ]);
    expect(root.querySelector(".fj-load-figures").textContent).toContain("p9518 ms");
    expect(root.querySelector("[role=progressbar]").getAttribute("aria-valuenow")).toBe("100");
  });

  test("up to a hundred calls start without a question", async () => {
    const { root, host, questions } = opened([report(100, { over: true })], false);
    named(root, "Start load").click();
    await until(() => host.asked.length === 1);
    expect(questions).toEqual([]);
  });

  test("nothing is called without a yes, or with a number that makes no sense", async () => {
    const { root, host, questions } = opened([], false);
    root.querySelector('[aria-label="number of calls"]').value = "101";
    root.querySelector('[aria-label="calls at a time"]').value = "0";
    named(root, "Start load").click();
    expect(root.querySelector("[role=status]").textContent).toBe("Give 1 to 256 calls at a time.");
    root.querySelector('[aria-label="calls at a time"]').value = "2";
    named(root, "Start load").click();
    await until(() => questions.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    named(root, "Start load").click();
    await until(() => questions.length === 2); // it can be asked again
    expect(host.asked).toEqual([]);
  });

  test("what was agreed to is not asked again until the figures grow", async () => {
    const { root, host, questions } = opened([report(140, { over: true, failed: 0 })]);
    const [calls, atOnce] = ["number of calls", "calls at a time"].map((one) =>
      root.querySelector(`[aria-label="${one}"]`),
    );
    const load = async (number, many, runs) => {
      [calls.value, atOnce.value] = [number, many];
      named(root, "Start load").click();
      await until(() => host.asked.length === runs && root.querySelector("[role=status]").textContent.endsWith("s."));
    };
    await load("140", "8", 1);
    await load("140", "8", 2);
    await load("120", "4", 3);
    expect(questions).toEqual(["Make 140 calls of /, 8 at a time?"]);
    await load("141", "8", 4);
    await load("140", "9", 5);
    expect(questions).toHaveLength(3);
  });

  test("calls that failed are said at its end, and its bar has another colour; the next one begins at nothing", async () => {
    const { root, host } = opened([report(40, { over: true, failed: 3 })]);
    named(root, "Start load").click();
    await until(() => root.textContent.includes("Finished: 40 calls of / in 2.00 s, 3 of them failed."));
    const bar = root.querySelector("[role=progressbar]");
    expect(bar.className).toBe("fj-progress fj-load-failed");
    const seen = [];
    const ask = host.ask;
    host.ask = (...all) => (
      seen.push([bar.className, bar.ariaValueNow, root.querySelector(".fj-figure strong").textContent]), ask(...all)
    );
    named(root, "Start load").click();
    await until(() => seen.length);
    expect(seen).toEqual([["fj-progress fj-load-going", "0", "0 of 100"]]);
  });

  test("a load that breaks off says so", async () => {
    const { root } = opened([report(5)]);
    named(root, "Start load").click();
    await until(() => root.querySelector("[role=status]").textContent === "The load ended before all calls were made.");
    expect(root.querySelector(".fj-load-figures").textContent).not.toContain("p95");
  });
});
