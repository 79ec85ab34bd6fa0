/** Answers as they are shown, programs as they are written, numbers as they are read. */
import { describe, expect, test, vi } from "vitest";
import { errorView } from "../../fal_jupyter/widgets/static/elements/errors.mjs";
import { ago, bytes, count, duration, percent, plural, rate } from "../../fal_jupyter/widgets/static/text/format.mjs";
import { csvRows } from "../../fal_jupyter/widgets/static/elements/json_view.mjs";
import { plainText } from "../../fal_jupyter/widgets/static/text/plain.mjs";
import { jsonView, resultView } from "../../fal_jupyter/widgets/static/outputs/result.mjs";
import { HOSTILE, madeHost } from "./made.mjs";

const stop = new AbortController().signal;
const encode = (text) => new TextEncoder().encode(text);
URL.createObjectURL = vi.fn(() => "blob:made");
URL.revokeObjectURL = vi.fn();

test("numbers have a space before their unit and no µs", () => {
  const durations = [
    [0, "0"],
    [0.05, "<0.1 ms"],
    [2.14, "2.1 ms"],
    [412, "412 ms"],
    [3240, "3.24 s"],
    [14400, "14.4 s"],
    [252000, "4 m 12 s"],
    [7500000, "2 h 05 m"],
    [undefined, "–"],
    [9.96, "10 ms"],
  ];
  for (const [ms, words] of durations) expect(duration(ms)).toBe(words);
  expect([count(1204), count(1204, true), rate(11.8), rate(1234), bytes(14.1e9), bytes(213999), bytes(null)]).toEqual([
    "1,204",
    "1.2 k",
    "11.8/s",
    "1.2 k/s",
    "14.1 GB",
    "214 kB",
    "–",
  ]);
  expect([
    percent(1, 1000),
    percent(1, 1e6),
    percent(1, 0),
    plural(1, "call"),
    plural(0, "call"),
    ago(3400),
    ago(20),
  ]).toEqual(["0.1 %", "<0.1 %", "–", "1 call", "0 calls", "3 s ago", "just now"]);
});

describe("results", () => {
  test("HTML, SVG and markup in JSON are text", () => {
    for (const type of ["text/html", "image/svg+xml", "application/xhtml+xml", "text/plain"]) {
      const view = resultView(encode(`<svg onload="x()">${HOSTILE}</svg>`), type, stop);
      expect(view.querySelector("img, svg, script")).toBeNull();
      expect(view.textContent).toContain("<svg onload=");
    }
    const view = resultView(encode(JSON.stringify({ [HOSTILE]: HOSTILE })), "application/json", stop);
    expect(view.querySelector("img")).toBeNull();
    expect(view.textContent).toContain("onerror");
  });

  test("control characters are seen, colours and directions are not obeyed", () => {
    expect(plainText("\u001b[31mred\u001b[0m \u0007 \u202e \u001b]8;;http://x\u0007")).toBe("red ␇ ␣ ");
    expect(plainText("a\u009b31mb\u0085")).toBe("ab␣");
  });

  test("pictures come from their bytes, and their address is given back", () => {
    const panel = new AbortController();
    const view = resultView(new Uint8Array([1, 2]), "image/png", panel.signal);
    expect(view.querySelector("img").src).toBe("blob:made");
    panel.abort();
    expect(URL.revokeObjectURL).toHaveBeenCalledWith("blob:made");
    expect(resultView(new Uint8Array([255, 254]), "application/x-thing", stop).querySelector("a").download).toBe(
      "answer.bin",
    );
  });

  test("an address in an answer is asked of nobody before a press; data is shown; an SVG is not", () => {
    const far = jsonView({ images: [{ url: "https://example.org/a.png", content_type: "image/png" }] });
    expect(far.querySelector("img")).toBeNull();
    [...far.querySelectorAll("button")].find((one) => one.textContent === "Load from example.org").click();
    expect(far.querySelector("img").src).toBe("https://example.org/a.png");
    expect(jsonView({ url: "data:image/png;base64,AA==" }).querySelector("img")).not.toBeNull();
    expect(jsonView({ url: "data:image/svg+xml,<svg/>" }).querySelector("img")).toBeNull();
    expect(jsonView({ url: "javascript:alert(1)" }).querySelector("a")).toBeNull();
  });

  test("long lists and strings fold", () => {
    const view = jsonView({ many: Array.from({ length: 5000 }, (_, at) => at), long: "x".repeat(1000) });
    expect(view.querySelectorAll("*").length).toBeLessThan(40);
    expect(view.textContent).toContain("5,000 items");
    [...view.querySelectorAll("button")].find((one) => one.textContent === "1 kB").click();
    expect(view.textContent).toContain("x".repeat(1000));
  });

  test("records and CSV are tables", () => {
    expect(jsonView([{ a: 1 }, { a: 2, b: "x" }]).querySelectorAll("tbody tr")).toHaveLength(2);
    expect(csvRows('a,b\r\n"x, ""y""",2\n')).toEqual([
      ["a", "b"],
      ['x, "y"', "2"],
    ]);
  });

  test("an error begins with the user's own line", () => {
    const frame = (filename, line) => ({ filename, lineno: 3, function: "f", line });
    const view = errorView(
      {
        type: "ValueError",
        message: HOSTILE,
        text: "all of it",
        phase: "setup",
        frames: [frame("/home/me/work.py", "mine()"), frame("/x/site-packages/lib.py", "theirs()")],
      },
      madeHost(null),
      "hello",
    );
    expect(view.querySelector(".fj-here").textContent).toContain("mine()");
    expect(view.textContent).toContain("setup() raised ValueError");
    expect(view.querySelector("img")).toBeNull();
  });

  test("compiled and generated code without a source is a library's", () => {
    const frames = [
      { filename: "/tmp/ipykernel_7/12.py", lineno: 33, function: "poster", line: "rng = np.random.default_rng(seed)" },
      { filename: "bit_generator.pyx", lineno: 69, function: "numpy.random._int_to_uint32_array", line: "" },
    ];
    const error = { type: "ValueError", message: "no", text: "all of it", phase: "request", frames };
    const view = errorView(error, madeHost(null), "hello");
    expect([...view.querySelectorAll(".fj-muted")].map((one) => one.textContent)).toEqual([
      "the cell, line 33, in poster",
    ]);
    expect(view.querySelector("summary").textContent).toBe("whole traceback, with 1 frame of libraries");
    const only = errorView({ ...error, frames: frames.slice(1) }, madeHost(null), "hello");
    expect(only.querySelector(".fj-muted").textContent).toContain("bit_generator.pyx, line 69");
    expect(only.querySelector(".fj-here")).toBeNull(); // no empty box
  });

  test("an error leads to the line of its cell, and its traceback can be copied, everywhere it is shown", () => {
    const ran = [];
    const host = Object.assign(madeHost(null), {
      goToLine: (...all) => ran.push(all),
      copy: (text) => (ran.push([text]), Promise.resolve()),
    });
    const error = {
      type: "ValueError",
      message: "no",
      text: "all of it",
      phase: "request",
      frames: [{ filename: "/tmp/ipykernel_7/12.py", lineno: 9, function: "f", line: "mine()" }],
    };
    const buttons = [...errorView(error, host, "hello").querySelectorAll("button")];
    for (const one of buttons) one.click();
    expect(buttons.map((one) => one.textContent)).toEqual(["Go to line 9", "Copy traceback"]);
    expect(ran).toEqual([["hello", 9, "mine()"], ["all of it"]]);
    expect(errorView(error, Object.assign(host, { kind: "saved" }), "hello").querySelector("button")).toBeNull();
  });

  test("an error in a helper module shows its line, and leads to the line of the cell that called it", () => {
    const ran = [];
    const host = Object.assign(madeHost(null), { goToLine: (...all) => ran.push(all) });
    const frames = [
      { filename: "/tmp/ipykernel_7/12.py", lineno: 9, function: "setup", line: "helper.load()" },
      { filename: "/home/me/helper.py", lineno: 3, function: "load", line: "open(path)" },
    ];
    const error = { type: "OSError", message: "no", text: "all of it", phase: "setup", frames };
    const view = errorView(error, host, "hello");
    expect([...view.querySelectorAll(".fj-muted")].map((one) => one.textContent)).toEqual([
      "helper.py, line 3, in load",
      "called from the cell, line 9, in setup",
    ]);
    expect(view.querySelector(".fj-here").textContent).toContain("open(path)");
    const [go] = view.querySelectorAll("button");
    expect(go.textContent).toBe("Go to line 9 of the cell");
    go.click();
    expect(ran).toEqual([["hello", 9, "helper.load()"]]);
  });
});
