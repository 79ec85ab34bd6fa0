/** Answers, streams, outputs and logs: what is shown of them, how much of it, and what is not asked of strangers. */
import { Blob as NodeBlob } from "node:buffer";
import { describe, expect, test, vi } from "vitest";
import { brokenAnswer, completeAnswer } from "../../fal_jupyter/widgets/static/outputs/answer.mjs";
import { FileInput } from "../../fal_jupyter/widgets/static/text/literals.mjs";
import {
  galleryPanel,
  inputWords,
  keptValue,
  mayHaveOutput,
} from "../../fal_jupyter/widgets/static/outputs/gallery.mjs";
import { kernelHost, ownFile } from "../../fal_jupyter/widgets/static/connection/host.mjs";
import { shownNumber } from "../../fal_jupyter/widgets/static/elements/json_view.mjs";
import { parsedJson, writtenJson } from "../../fal_jupyter/widgets/static/text/exact_json.mjs";
import { levelOf, logLines, logsPanel } from "../../fal_jupyter/widgets/static/logs/logs.mjs";
import { displaysView, mediaIn } from "../../fal_jupyter/widgets/static/outputs/media.mjs";
import { jsonView, resultView } from "../../fal_jupyter/widgets/static/outputs/result.mjs";
import { isEventStream, streamView, textOfEvent } from "../../fal_jupyter/widgets/static/outputs/stream_view.mjs";
import { newPen, terminalLine, terminalView, textOfRuns } from "../../fal_jupyter/widgets/static/elements/terminal.mjs";
import { HOSTILE, madeApp, madeHost, madeLine, madeRequest, until } from "./made.mjs";

const stop = new AbortController().signal;
const encode = (text) => new TextEncoder().encode(text);
URL.createObjectURL = vi.fn(() => "blob:made");
URL.revokeObjectURL = vi.fn();
const BASE = "http://127.0.0.1:4000";
const FILE = `${BASE}/cdn/files/${"a".repeat(32)}/x.png`;
const image = (url, more = {}) => ({ url, content_type: "image/png", file_name: "x.png", ...more });
const own = { media: (address) => (address.startsWith(BASE) ? `/lab/fal${address.slice(BASE.length)}` : null) };
const pressed = (root, text) => [...root.querySelectorAll("button")].find((one) => one.textContent.trim() === text);

describe("pictures", () => {
  test("files of the own CDN come through the page's own server, all others after a press", () => {
    const view = jsonView(
      {
        images: [
          image(FILE),
          image(FILE.replace("x.png", "y.png")),
          image("https://example.org/1.png"),
          image("https://example.org/2.png"),
        ],
        seed: 7,
      },
      own,
      stop,
    );
    expect([...view.querySelectorAll("img")].map((one) => one.getAttribute("src"))).toEqual([
      `/lab/fal/cdn/files/${"a".repeat(32)}/x.png`,
      `/lab/fal/cdn/files/${"a".repeat(32)}/y.png`,
    ]);
    pressed(view, "Load all 2 from example.org").click();
    expect(view.querySelectorAll("img")).toHaveLength(4);
    const tree = view.querySelector("details.fj-fold");
    expect([tree.open, tree.querySelector("summary").textContent, tree.textContent.includes("seed")]).toEqual([
      false,
      "JSON 2 keys",
      false,
    ]);
    tree.dispatchEvent(new Event("toggle"));
    expect(tree.textContent).toContain("seed: 7");
  });

  test("only a file's address of this gateway is its own", () => {
    const gateway = { base: BASE };
    expect(ownFile(`${FILE}?x=1`, gateway)).toBe(`cdn/files/${"a".repeat(32)}/x.png`);
    for (const other of [
      `${BASE}.evil.org/cdn/files/${"a".repeat(32)}/x.png`,
      `${BASE}/run/me/app`,
      FILE.replace("x.png", ".."),
      FILE.replace("x.png", "%2e%2e"),
      FILE.replace("x.png", "a%2F..%2fb"),
      `${BASE}/cdn/files/upload`,
      FILE.replace("4000", "4001"),
    ])
      expect(ownFile(other, gateway)).toBe("");
    expect(ownFile(FILE, null)).toBe("");
  });

  test("what the kernel's host shows comes over the comm", async () => {
    vi.stubGlobal("Blob", NodeBlob); // jsdom's cannot be read
    const handlers = [];
    const sent = [];
    const model = {
      on: (_, handler) => handlers.push(handler),
      off: () => undefined,
      send: (message) => sent.push(message),
    };
    const panel = new AbortController();
    const host = kernelHost(model, panel.signal);
    host.store.apply(madeLine({ gateway: { pid: 1, started: 1, version: "0", owner: "me", base: BASE } }));
    const address = host.media(FILE, stop);
    const asked = await until(() => sent.find((one) => one.path?.startsWith("cdn/")));
    expect(asked.path).toBe(`cdn/files/${"a".repeat(32)}/x.png`);
    handlers[0]({ id: asked.id, status: 200, headers: { "content-type": "image/png" } });
    handlers[0]({ id: asked.id, chunk: true }, [new DataView(new Uint8Array([1, 2]).buffer)]);
    handlers[0]({ id: asked.id, end: true });
    expect(await address).toBe("blob:made");
    expect(host.media("https://example.org/x.png", stop)).toBeNull();
    panel.abort();
    vi.unstubAllGlobals();
  });

  test("a broken picture says so and can be saved", () => {
    const view = jsonView(image(FILE, { file_size: 1200 }), own, stop);
    view.querySelector("img").dispatchEvent(new Event("error"));
    expect(view.querySelector(".fj-tile").textContent).toContain("This picture cannot be shown (image/png, 1 kB)");
    expect(view.querySelector(".fj-tile a").getAttribute("download")).toBe("x.png");
    const sound = resultView(new Uint8Array([1]), "audio/wav", stop);
    sound.querySelector("audio").dispatchEvent(new Event("error"));
    expect(sound.textContent).toContain("This sound cannot be shown");
  });

  test("sounds, films and plain addresses are found; SVG, pages and scripts are not shown", () => {
    const found = mediaIn({
      a: { url: "https://e.org/s.wav", content_type: "audio/wav" },
      b: "https://e.org/film.mp4?x=1",
      c: ["data:image/png;base64,AA=="],
      d: "data:image/svg+xml,<svg/>",
      e: { url: "https://e.org/p.svg" },
      f: "javascript:x.png",
      g: "no address.png",
    });
    expect(found.map((one) => one.type)).toEqual(["audio/wav", "video/mp4", "image/png"]);
  });

  test("a file that cannot be shown has a tile with name, type, size and Save, also in lists and models", () => {
    const file = (name, more = {}) => ({
      url: FILE.replace("x.png", name),
      content_type: "text/csv",
      file_name: name,
      file_size: 1200,
      ...more,
    });
    const value = {
      text: "done",
      url: "https://e.org/page",
      one: file("a.csv"),
      many: [file("b.zip", { content_type: "application/zip" }), image(FILE)],
      inner: { deep: { svg: file("c.svg", { content_type: "image/svg+xml", file_size: null }) } },
      here: { url: "data:application/octet-stream;base64,AQI=", file_name: `${"0af3".repeat(8)}.bin` },
      other: { url: "https://e.org/d.bin", content_type: null, file_name: HOSTILE },
      evil: { url: "javascript:alert(1)", file_name: "e.js" },
    };
    const view = jsonView(value, own, stop);
    const tiles = [...view.querySelectorAll(".fj-file-tile")];
    expect(tiles.map((one) => one.querySelector(".fj-file-words").textContent)).toEqual([
      "a.csvtext/csv · 1 kB",
      "b.zipapplication/zip · 1 kB",
      "c.svgimage/svg+xml",
      "Fileapplication/octet-stream · 2 B",
      expect.stringContaining("<img src=x"),
    ]);
    const links = tiles.map((one) => one.querySelector("a"));
    expect(links.map((one) => one.textContent)).toEqual(Array(5).fill("Save"));
    expect(links[0].getAttribute("href")).toBe(`/lab/fal/cdn/files/${"a".repeat(32)}/a.csv`);
    expect(links[0].getAttribute("aria-label")).toBe("Save a.csv");
    expect(links.map((one) => one.getAttribute("target"))).toEqual([null, null, null, null, "_blank"]);
    expect(view.querySelectorAll("img")).toHaveLength(1);
    expect(view.querySelector("details.fj-fold").open).toBe(false);
    const alone = jsonView({ text: "done", one: file("a.csv") }, own, stop); // a tile shows nothing of the rest
    expect(alone.querySelector("details.fj-fold").open).toBe(true);
    expect(alone.textContent).toContain('"done"');
  });

  test("a file of the kernel's host is loaded by a press only", async () => {
    const host = { ...own, kind: "kernel", store: { view: { gateway: { base: BASE } } }, loaded: [] };
    host.media = async (address) => (host.loaded.push(address), "blob:made");
    const view = jsonView({ url: FILE, content_type: "text/csv", file_name: "a.csv" }, host, stop);
    expect([view.querySelector(".fj-file-tile a"), host.loaded]).toEqual([null, []]);
    pressed(view, "Load").click();
    await until(() => view.querySelector('a[href="blob:made"]'));
    expect(host.loaded).toEqual([FILE]);
  });

  test("a picture is enlarged by a press, and what an endpoint displayed is shown", () => {
    const view = displaysView([
      { content_type: "image/png", base64: "AA==", text: "<Figure>" },
      { content_type: "image/png", base64: "", text: "<Figure 2>" },
      { content_type: "text/html", base64: "AA==", text: HOSTILE },
    ]);
    expect(view.querySelectorAll("img")).toHaveLength(1);
    expect(view.querySelector("figcaption").textContent).toContain("1 B"); // padding is none of it
    expect(view.textContent).toContain("2 pictures not kept");
    const button = view.querySelector("button");
    button.click();
    expect([button.getAttribute("aria-pressed"), button.closest(".fj-tile").classList.contains("fj-large")]).toEqual([
      "true",
      true,
    ]);
    expect(button.title).toBe("Make it small again");
    button.click();
    expect([button.title, button.getAttribute("aria-pressed"), view.querySelector(".fj-large")]).toEqual([
      "Enlarge",
      "false",
      null,
    ]);
    expect(displaysView([])).toBeNull();
  });
});

describe("data", () => {
  test("numbers have six digits, their whole value is the title; large whole numbers are exact", () => {
    expect([
      shownNumber(Math.PI),
      shownNumber(1 / 3),
      shownNumber(0.1 + 0.2),
      shownNumber(1e-9 / 3),
      shownNumber(4294967295),
    ]).toEqual(["3.14159", "0.333333", "0.3", "3.33333e-10", "4294967295"]);
    expect(jsonView({ pi: Math.PI }).querySelector(".fj-value").title).toBe("3.141592653589793");
    const rendered = [Math.PI, 0.1 + 0.2, 1.5].map((one) => jsonView({ one }).querySelector(".fj-value").textContent);
    expect(rendered).toEqual(["3.14159", "0.3", "1.5"]);
    const { classList } = jsonView({ one: Math.PI }).querySelector(".fj-value");
    expect(classList.contains("fj-rounded")).toBe(true); // digits that are left out are announced
    const seed = parsedJson('{"seed": 12345678901234567890, "x": 0.12345678901234567}');
    expect(jsonView(seed).textContent).toContain("12345678901234567890");
    expect(writtenJson(seed)).toBe('{"seed":12345678901234567890,"x":0.12345678901234566}');
    const text = '{"a":"12345678901234567890 \\"-9223372036854775808","b":[-9223372036854775808,1e20],"c":"\\\\"}';
    expect([parsedJson(text).b[0], writtenJson(parsedJson(text))]).toEqual([
      -9223372036854775808n,
      text.replace("1e20", "100000000000000000000"),
    ]);
  });

  test("digits before the point are never wrong, and the numbers of a column have one form", () => {
    const shown = [
      1732937222.123,
      1234567.5,
      999999.96,
      99999.9999,
      0.99999999,
      123456.789,
      -2 / 3,
      2.9999999999999996,
    ];
    expect(shown.map(shownNumber)).toEqual([
      "1732937222.12",
      "1234567.5",
      "999999.96",
      "99999.9999",
      "0.99999999",
      "123456.79",
      "-0.666667",
      "3",
    ]);
    const cells = [...jsonView([{ x: 1 / 7 }, { x: 4 / 7 }, { x: 1732937222.123 }, { x: 0.5 }]).querySelectorAll("td")];
    expect(cells.map((one) => [one.textContent, one.title])).toEqual([
      ["0.142857", "0.14285714285714285"],
      ["0.571429", "0.5714285714285714"],
      ["1732937222.12", "1732937222.123"],
      ["0.5", ""],
    ]);
    expect(cells.map((one) => one.querySelector(".fj-rounded") !== null)).toEqual([true, true, true, false]);
  });

  test("a column of numbers has its head at its right", () => {
    const view = jsonView([
      { name: "Ada", born: 1815, x: 1 / 3 },
      { name: "Grace", born: null, x: 2 },
    ]);
    expect([...view.querySelectorAll("th")].map((one) => one.className)).toEqual(["", "fj-number", "fj-number"]);
    expect(view.querySelector("td[title]").title).toBe(String(1 / 3));
  });

  test("200 levels, a million items and 64 MB do not hold the page", () => {
    let deep = /** @type {any} */ ("end");
    for (let level = 0; level < 200; level++) deep = { level: deep };
    expect(jsonView(deep).querySelectorAll("details").length).toBeLessThan(8);
    let open = jsonView(deep);
    for (let level = 0; level < 200; level++) {
      const folded = [...open.querySelectorAll("details")].at(-1);
      folded.dispatchEvent(new Event("toggle"));
      open = folded.parentElement;
    }
    expect(open.textContent).toContain('level: "end"');
    const large = resultView(encode(`{"a": "${"x".repeat(5 << 20)}"}`), "application/json", stop);
    expect([large.textContent.length < 21000, large.textContent.includes("5.2 MB of JSON")]).toEqual([true, true]);
    pressed(large, "Read all of it").click();
    expect(large.textContent).toContain("1 key");
    expect(resultView(new Uint8Array(), "application/json", stop).textContent).toBe("The answer is empty.");
  });
});

describe("the end of an answer", () => {
  const detail = (more = {}, request = {}) => ({
    request: madeRequest("a", request),
    input: null,
    output: null,
    error: null,
    logs: [],
    displays: [],
    buffered: true,
    ...more,
  });
  const place = () => {
    const element = document.createElement("div");
    element.append("the body");
    return element;
  };

  test("an error comes first, the body is folded behind it", () => {
    const failed = place();
    completeAnswer(
      failed,
      detail(
        { error: { type: "ZeroDivisionError", message: "division by zero", text: "all", frames: [], phase: "run" } },
        { status: 500 },
      ),
      madeHost(null),
    );
    expect(failed.firstElementChild.textContent).toContain("division by zero");
    expect([failed.querySelector("details.fj-fold").open, failed.querySelector("details.fj-fold").textContent]).toEqual(
      [false, "Answer with status 500the body"],
    );
  });

  test("a refused input is a list of sentences", () => {
    const refused = place();
    const text = JSON.stringify({
      detail: [
        { loc: ["body", "prompt"], msg: "Field required", type: "missing" },
        { loc: ["body", "size", 0], msg: HOSTILE },
      ],
    });
    completeAnswer(
      refused,
      detail(
        { output: { content_type: "application/json", size: 9, text, base64: "", truncated: false } },
        { status: 422 },
      ),
      madeHost(null),
    );
    expect(refused.firstElementChild.textContent).toContain("The input was refusedprompt: Field required");
    expect(refused.querySelector("img")).toBeNull();
  });

  test("what was displayed is not shown again among the printed lines", () => {
    const shown = place();
    const line = (text, stream = 1) => ({ time: 1, runner: "a-1", request: "a", stream, text });
    completeAnswer(
      shown,
      detail({
        displays: [{ content_type: "image/png", base64: "AA==", text: "<Figure>" }],
        logs: [line("before"), line("<Figure>"), line("50%\r100%", 2), line("note", 0)],
      }),
      madeHost(null),
    );
    expect(shown.querySelector("img")).not.toBeNull();
    expect(shown.querySelector("details pre").textContent).toBe("before\n100%");
    expect(shown.querySelector("details summary").textContent).toBe("2 lines printed");
  });

  test("an answer beyond 64 MB says how much there is", () => {
    expect(brokenAnswer(detail({}, { bytes_out: 80 << 20 }), madeHost(null), stop).textContent).toContain(
      "The answer has 83.9 MB; a panel holds 67.1 MB at most",
    );
    expect(brokenAnswer(detail({}, { state: "running" }), madeHost(null), stop)).toBeNull();
  });

  test("what is kept of an answer that broke off is counted only where some of it is not kept", () => {
    const shown = (size, content_type = "text/plain") =>
      brokenAnswer(
        detail({ output: { content_type, size, text: '{"i": 0}\n{"i": 1}\n', base64: "", truncated: false } }),
        madeHost(null),
        stop,
      );
    expect(shown(18).textContent).not.toContain("are kept");
    expect(shown(90).textContent).toContain("the first 18 B of 90 B are kept");
    expect(shown(18, "application/jsonl").querySelectorAll(".fj-stream-events > li")).toHaveLength(2);
  });
});

describe("streams", () => {
  const listed = (view) => [...view.element.querySelectorAll("li")].map((one) => one.textContent);

  test("events are taken however they are cut, their text is joined", () => {
    const view = streamView();
    const whole = encode(
      'data: {"text": "h\u00e9"}\r\n\r\n: note\n\ndata: {"choices": [{"delta": {"content": "llo"}}]}\n\ndata: [DONE]',
    );
    for (const byte of whole) view.push(new Uint8Array([byte]));
    view.end();
    expect(view.element.querySelector(".fj-stream-text").textContent).toBe("h\u00e9llo");
    expect(listed(view)).toHaveLength(3);
    expect(view.element.querySelector(".fj-stream-text").hidden).toBe(false);
    pressed(view.element, "Raw").click();
    expect([
      view.element.querySelector(".fj-stream-raw").hidden,
      view.element.querySelector(".fj-stream-raw").textContent.includes(": note"),
      pressed(view.element, "Raw").getAttribute("aria-pressed"),
    ]).toEqual([false, true, "true"]);
    view.finish(madeRequest("a", { total_ms: 1412, stream_ms: 1000 }));
    expect(view.element.querySelector("[role=status]").textContent).toBe(
      "3 events \u00b7 first after 412 ms \u00b7 2.0 events/s",
    );
    pressed(view.element, "Events").click(); // one rate, whatever is shown of it
    expect(view.element.querySelector("[role=status]").textContent).toContain("412 ms \u00b7 2.0 events/s");
  });

  test("text has one of the usual names; events without one are listed", () => {
    expect(
      ["a", { text: "b" }, { delta: "c" }, { token: { text: "d" } }, { delta: { text: "e" } }, { n: 1 }, null].map(
        textOfEvent,
      ),
    ).toEqual(["a", "b", "c", "d", "e", null, null]);
    const pieces = [
      { token: "f", n: 1 }, // its name says that it is a piece
      { index: 3, content: "g", finish_reason: null, role: "assistant" },
      { step: 3, text: "loading the model" }, // a record: the text is one value among others
      { content: "h", title: "a page" },
    ];
    expect(pieces.map(textOfEvent)).toEqual(["f", "g", null, null]);
    const view = streamView("application/x-ndjson");
    view.push(encode('{"n": 1}\n{"n": 2, "html": "<img src=x onerror=1>"}\n'));
    view.end();
    expect([
      view.element.querySelector(".fj-stream-events").hidden,
      listed(view).length,
      view.element.querySelector("img"),
    ]).toEqual([false, 2, null]);
    expect(["text/event-stream; charset=utf-8", "application/x-ndjson", "application/json"].map(isEventStream)).toEqual(
      [true, true, false],
    );
  });

  const seenText = (...events) => {
    const view = streamView("application/jsonl");
    view.push(encode(`${events.map((one) => JSON.stringify(one)).join("\n")}\n`));
    view.end();
    return [
      pressed(view.element, "Text").getAttribute("aria-pressed") === "true",
      (pressed(view.element, "Text").click(), view.element.querySelector(".fj-stream-text").textContent),
    ];
  };

  test("records are listed first, and their text is a line each; pieces of a text are joined", () => {
    const pick = (pick) => ({ pick, text: "throw the shuttle" });
    expect(seenText(pick(1), pick(2))).toEqual([
      false,
      '{"pick":1,"text":"throw the shuttle"}\n{"pick":2,"text":"throw the shuttle"}',
    ]);
    expect(seenText({ token: "Hel" }, { token: "lo " }, { token: "world" }, { usage: 7 })).toEqual([
      true,
      "Hello world",
    ]);
    expect(seenText("The val", "ley waits", ". It", " sings")).toEqual([true, "The valley waits. It sings"]);
    expect(seenText("The valley waits", "Light over it sings")).toEqual([
      true,
      "The valley waits\nLight over it sings",
    ]);
    expect(seenText({ text: "done" }, { n: 1 }, { n: 2 })[0]).toBe(false);
  });

  test("a stream is shown as the user chose for the last one of the same endpoint", () => {
    const view = (of) => {
      const made = streamView("application/jsonl", undefined, stop, of);
      made.push(encode('"a"\n'));
      made.end();
      return made.element;
    };
    const chosen = (element) => element.querySelector('[aria-pressed="true"]').textContent;
    pressed(view("hello /say"), "Raw").click();
    expect([chosen(view("hello /say")), chosen(view("hello /other")), chosen(view(""))]).toEqual([
      "Raw",
      "Text",
      "Text",
    ]);
    expect(view("hello /say").querySelector(".fj-stream-raw").hidden).toBe(false);
  });

  test("10,000 events: the last 500 are listed, and it is said", () => {
    const view = streamView();
    for (let at = 0; at < 100; at++)
      view.push(encode(Array.from({ length: 100 }, (_, one) => `data: {"n": ${100 * at + one}}\n\n`).join("")));
    view.end();
    expect(listed(view)).toHaveLength(500);
    expect(listed(view).at(-1)).toContain("10,000");
    expect(view.element.textContent).toContain("the last 500 of 10,000 events are listed");
  });

  test("the pictures of the last event are shown below", () => {
    const view = streamView("text/event-stream", /** @type {any} */ (own), stop);
    view.push(encode(`data: {"progress": 1}\n\ndata: ${JSON.stringify({ images: [image(FILE)] })}\n\n`));
    view.end();
    expect(view.element.querySelector(".fj-stream-media img")).not.toBeNull();
  });
});

describe("a terminal", () => {
  const text = (line) => textOfRuns(terminalLine(line));

  test("what is written over is gone, as a terminal has it", () => {
    expect(text(" 10%|#   |\r 50%|##  |\r100%|####|")).toBe("100%|####|");
    expect([
      text("long line\rab"),
      text("long line\r\u001b[Kab"),
      text("abc\b\bX"),
      text("a\u001b[3Cb"),
      text("abc\u001b[2DX"),
      text("abc\u001b[1Gx"),
    ]).toEqual(["abng line", "ab", "aXc", "a   b", "aXc", "xbc"]);
    expect(text("\u{1f600}b\rx")).toBe("xb");
    expect(text("\u001b]8;;http://x\u0007link\u001b]8;;\u0007 \u0007 \u202e")).toBe("link \u2407 \u2423");
  });

  test("colours are classes, go on in the next line, and end", () => {
    const pen = newPen();
    expect(terminalLine("\u001b[1;31mred", pen)).toEqual([{ text: "red", look: "fj-ansi-red fj-ansi-bold" }]);
    expect(terminalLine("on\u001b[0m off", pen)).toEqual([
      { text: "on", look: "fj-ansi-red fj-ansi-bold" },
      { text: " off", look: "" },
    ]);
    expect(terminalLine("\u001b[38;5;46mg\u001b[38;2;200;10;10mr\u001b[92;44mb").map((one) => one.look)).toEqual([
      "fj-ansi-green",
      "fj-ansi-red",
      "fj-ansi-green fj-ansi-on-blue",
    ]);
    expect(terminalLine("\u001b[7mx\u001b[27my").map((one) => one.look)).toEqual([
      "fj-ansi-inverse fj-ansi-on-inverse",
      "",
    ]);
    const view = terminalView(`\u001b[32m${HOSTILE}\u001b[0m`);
    expect([view.querySelector("img"), view.textContent.includes("<img")]).toEqual([null, true]);
  });
});

describe("logs", () => {
  const record = (line, more = {}) => ({ time: 60, runner: "hello-1", request: "", stream: 1, text: line, ...more });

  test("levels are read from the line; a traceback is one error", () => {
    expect(
      [
        "DEBUG:x:y",
        "hello",
        "INFO root: all well",
        "2024-01-01 WARNING disk",
        "UserWarning: careful",
        "[error] no",
        "ERROR",
        "ValueError: x",
        "no errors here",
      ].map(levelOf),
    ).toEqual([0, 1, 1, 2, 2, 3, 3, 3, 1]);
    const levels = logLines([
      record("Traceback (most recent call last):"),
      record('  File "x"'),
      record("ValueError: no"),
      record("after"),
    ]).map((one) => one.level);
    expect(levels).toEqual([3, 3, 3, 1]);
  });

  test("filtered by word, level, runner and request; colours and progress as a terminal", async () => {
    const all = [
      record("\u001b[31mred line\u001b[0m"),
      record("10%\r100%", { stream: 2, request: "q1" }),
      record("WARNING low disk", { runner: "hello-2" }),
      record("ERROR gone", { request: "q2" }),
    ];
    const asked = [];
    const host = madeHost(
      madeLine({ apps: [madeApp("hello", { log: 4 })], requests: [madeRequest("q1", { path: "/go" })] }),
    );
    host.ask = async (_method, _path, { query }) => (asked.push(query), { status: 200, json: async () => all });
    const root = document.createElement("div");
    document.body.append(root);
    const panel = new AbortController();
    logsPanel(root, host, { alias: "hello" }, panel.signal);
    const lines = () =>
      [...root.querySelectorAll(".fj-log-line")].map((one) => one.textContent.trim().replace(/^\S+ runner /, ""));
    await until(() => lines().length === 4);
    expect(lines()).toEqual(["1 red line", "1 stderr 100%", "2 warning WARNING low disk", "1 error ERROR gone"]);
    expect(root.querySelector(".fj-ansi-red").textContent).toBe("red line");
    const set = (label, value, type = "change") => {
      const field = root.querySelector(`[aria-label="${label}"]`);
      field.value = value;
      field.dispatchEvent(new Event(type));
    };
    set("Filter the lines", "LINE", "input");
    expect([lines(), root.querySelector("mark").textContent]).toEqual([["1 red line"], "line"]);
    set("Filter the lines", "", "input");
    set("Level", "2");
    expect(lines()).toHaveLength(2);
    set("Level", "0");
    expect(
      [...root.querySelector('[aria-label="Request"]').options].map((one) => one.textContent.replace(/ \d.*/, "")),
    ).toEqual(["all requests", "q2", "/go"]);
    set("Request", "q1");
    expect(lines()).toEqual(["1 stderr 100%"]);
    await until(() => asked.at(-1)?.request === "q1");
    const follow = pressed(root, "Follow");
    expect(follow.getAttribute("aria-pressed")).toBe("true");
    follow.click();
    expect(follow.getAttribute("aria-pressed")).toBe("false");
    panel.abort();
  });
});

describe("outputs", () => {
  test("inputs are shown in a line, texts first; a stream's result is its last event", () => {
    expect(inputWords({ steps: 4, prompt: "a fox", image_url: "data:image/png;base64,AA==", none: null })).toBe(
      "a fox \u00b7 steps 4 \u00b7 image_url an image of 1 B",
    );
    const big = {
      image: { url: `data:image/PNG;base64,${"A".repeat(4000)}`, file_name: "" },
      more: [{ url: "data:image/png;base64,AQID", file_name: "fox.png" }],
      at: "https://e.org/f/da39a3ee5e6b4b0d3255bfef95601890afd80709.png",
      seed: 3,
    };
    expect(inputWords(big)).toBe("image an image of 3 kB · more fox.png · at a file · seed 3");
    expect(inputWords({ url: "https://x.org/y.png", prompt: "a cat in the rain", steps: 20 })).toBe(
      "a cat in the rain · url y.png · steps 20",
    );
    expect(inputWords({ file: new FileInput("cat.png", "image/png"), title: "a cat" })).toBe("a cat · file cat.png");
    const body = (text, content_type = "application/json") => ({
      content_type,
      size: text.length,
      text,
      base64: "",
      truncated: false,
    });
    expect([
      keptValue(body('{"a": 1}')),
      keptValue(body('data: {"n": 1}\n\ndata: {"n": 2}\n\n', "text/event-stream")),
      keptValue(body("{")),
      keptValue(null),
    ]).toEqual([{ a: 1 }, { n: 2 }, undefined, undefined]);
  });

  test("calls of a load are left out", () => {
    const origins = ["cell", "panel", "load"];
    expect(origins.map((origin) => mayHaveOutput(madeRequest("a", { origin })))).toEqual([true, true, false]);
  });

  test("calls that gave pictures are collected with seed and revision, and one can be used again", async () => {
    const body = (value) => ({
      content_type: "application/json",
      size: 9,
      text: JSON.stringify(value),
      base64: "",
      truncated: false,
    });
    const outputs = {
      a: { images: [image(FILE), image(FILE.replace("x.png", "z.png"))], seed: 42 },
      b: { text: "no picture" },
      f: { report: { url: FILE, content_type: "text/csv", file_name: "x.csv", file_size: 3 } },
      c: { url: "data:image/png;base64,AA==" },
    };
    const requests = [
      madeRequest("a", { revision: 3 }),
      madeRequest("b"),
      madeRequest("f"),
      madeRequest("c"),
      madeRequest("d", { status: 500 }),
      madeRequest("e", { alias: "other" }),
    ];
    const host = madeHost(madeLine({ apps: [madeApp("hello")], requests }), (_, path) => {
      const id = path.split("/")[1];
      return {
        request: requests.find((one) => one.id === id),
        input: id === "c" ? { ...body({}), size: 90000, truncated: true } : body({ prompt: `a ${HOSTILE}` }),
        output: body(outputs[id]),
        error: null,
        logs: [],
        displays: [],
        buffered: false,
      };
    });
    host.media = own.media;
    const root = document.createElement("div");
    const panel = new AbortController();
    galleryPanel(root, host, { alias: "hello" }, panel.signal);
    await until(() => root.querySelectorAll(".fj-output-card").length === 3);
    expect(host.asked.map(([, path]) => path).sort()).toEqual(["requests/a", "requests/b", "requests/c", "requests/f"]);
    expect(root.querySelector('[data-request="f"] .fj-file-tile').textContent).toContain("x.csvtext/csv · 3 B");
    // beside the words, not among them: its place does not depend on how many there are
    const feet = [...root.querySelectorAll(".fj-output-foot")];
    expect(feet.map((one) => one.lastElementChild.textContent)).toEqual(["Reuse", "Reuse", "Reuse"]);
    const first = root.querySelector('[data-request="a"]');
    expect([
      first.querySelectorAll("img").length,
      first.textContent.includes("seed 42"),
      first.textContent.includes("r3"),
      first.textContent.includes("a <img"),
    ]).toEqual([2, true, true, true]);
    expect(root.querySelector('[data-request="c"] .fj-output-words').textContent).toBe("an input of 90 kB");
    let wanted = null;
    root.addEventListener("fj-edit-request", (event) => (event.preventDefault(), (wanted = event.detail)));
    pressed(first, "Reuse").click();
    expect(wanted).toEqual({ alias: "hello", id: "a", seed: 42 });
    const said = () => root.querySelector("[role=status]").textContent;
    expect(said()).toBe("3 outputs in the last 4 answers, kept until its kernel ends");
    panel.abort();
  });

  test("without outputs it says what will be there", () => {
    const root = document.createElement("div");
    const host = madeHost(madeLine());
    galleryPanel(root, host, { alias: "hello" }, stop);
    expect(root.textContent).toContain("are collected here");
    const ofLoad = () => [...root.children].find((one) => one.textContent.includes("Calls of Load")).hidden;
    expect(ofLoad()).toBe(true);
    const shown = document.createElement("div");
    host.store.apply(madeLine({ kind: "frame", requests: [madeRequest("l", { origin: "load" })] }));
    galleryPanel(shown, host, { alias: "hello" }, stop);
    expect([...shown.children].find((one) => one.textContent.includes("Calls of Load")).hidden).toBe(false);
  });
});
