/** Answers as they are shown, programs as they are written, numbers as they are read. */
import { execFileSync } from "node:child_process";
import { describe, expect, test, vi } from "vitest";
import { errorView } from "../../fal_jupyter/widgets/static/errors.mjs";
import { ago, bytes, count, duration, percent, plural, rate } from "../../fal_jupyter/widgets/static/format.mjs";
import { csvRows } from "../../fal_jupyter/widgets/static/json_view.mjs";
import { jsonView, plainText, resultView } from "../../fal_jupyter/widgets/static/result.mjs";
import { PLACEHOLDER, shellWord, snippetsOf } from "../../fal_jupyter/widgets/static/snippets.mjs";
import { HOSTILE } from "./made.mjs";

const stop = new AbortController().signal;
const encode = (text) => new TextEncoder().encode(text);
URL.createObjectURL = vi.fn(() => "blob:made");
URL.revokeObjectURL = vi.fn();

test("numbers have a space before their unit and no µs", () => {
  const durations = [[0, "0"], [0.05, "<0.1 ms"], [2.14, "2.1 ms"], [412, "412 ms"], [3240, "3.24 s"], [14400, "14.4 s"], [252000, "4 m 12 s"], [7500000, "2 h 05 m"], [undefined, "–"], [9.96, "10 ms"]];
  for (const [ms, words] of durations) expect(duration(ms)).toBe(words);
  expect([count(1204), count(1204, true), rate(11.8), rate(1234), bytes(14.1e9), bytes(213999), bytes(null)]).toEqual(["1,204", "1.2 k", "11.8/s", "1.2 k/s", "14.1 GB", "214 kB", "–"]);
  expect([percent(1, 1000), percent(1, 1e6), percent(1, 0), plural(1, "call"), plural(0, "call"), ago(3400), ago(20)]).toEqual(["0.1 %", "<0.1 %", "–", "1 call", "0 calls", "3 s ago", "just now"]);
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
    expect(resultView(new Uint8Array([255, 254]), "application/x-thing", stop).querySelector("a").download).toBe("answer.bin");
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
    expect(csvRows('a,b\r\n"x, ""y""",2\n')).toEqual([["a", "b"], ['x, "y"', "2"]]);
  });

  test("an error begins with the user's own line", () => {
    const frame = (filename, line) => ({ filename, lineno: 3, function: "f", line });
    const view = errorView({ type: "ValueError", message: HOSTILE, text: "all of it", phase: "setup", frames: [frame("/home/me/work.py", "mine()"), frame("/x/site-packages/lib.py", "theirs()")] });
    expect(view.querySelector(".fj-here").textContent).toContain("mine()");
    expect(view.textContent).toContain("setup() raised ValueError");
    expect(view.querySelector("img")).toBeNull();
  });
});

describe("programs", () => {
  const text = `it's "q" \\ $HOME \`id\` \n ${HOSTILE} \u2028 😀 %`;
  const call = (more) => snippetsOf({ className: "Made", endpoint: "hi", path: "/hi", app: "me/made", url: "http://127.0.0.1:9/run/me/made", value: { name: text, none: null, yes: true }, key: "fjk_a:b", ...more });

  test("a shell gives curl exactly what the form held", () => {
    expect(execFileSync("sh", ["-c", `printf %s ${shellWord(text)}`]).toString()).toBe(text);
    const shown = execFileSync("sh", ["-c", `curl() { printf '%s\\0' "$@"; }\n${call().curl}`]).toString().split("\0");
    expect(shown.slice(0, 4)).toEqual(["-sS", "http://127.0.0.1:9/run/me/made/hi", "-H", "Authorization: Key fjk_a:b"]);
    expect(JSON.parse(shown[7])).toEqual({ name: text, none: null, yes: true });
  });

  test("Python reads what the form held, and the clients go to the gateway", () => {
    const fake = "import sys, types, json\nm = types.ModuleType('fal_client'); m.client = types.SimpleNamespace()\nm.run = lambda app, **more: [m.client.RUN_URL_FORMAT, app, more]\nsys.modules['fal_client'] = m\nprint = lambda value: sys.stdout.write(json.dumps(value))\n";
    const given = JSON.parse(execFileSync("python3", ["-c", fake + call().python]).toString());
    expect(given).toEqual(["http://127.0.0.1:9/run/", "me/made", { arguments: { name: text, none: null, yes: true }, path: "hi" }]);
    const cell = execFileSync("python3", ["-c", `import json, sys\nclass Made:\n    hi = staticmethod(lambda **more: sys.stdout.write(json.dumps(more)))\n${call().cell}`]).toString();
    expect(JSON.parse(cell)).toEqual({ name: text, none: null, yes: true });
  });

  test("JavaScript reads what the form held", () => {
    const body = call().javascript.replace(/^import.*\n/, "").replace(/console\.log/, "tell");
    const fake = "const seen = []; const createFalClient = (config) => ({ run: async (id, given) => { await config.fetch('https://fal.run/' + id, {}); seen.push(config.credentials, id, given); return { data: 1 }; } }); const fetch = (url) => seen.push(url); const tell = () => process.stdout.write(JSON.stringify(seen));";
    const seen = JSON.parse(execFileSync("node", ["--input-type=module", "-e", fake + body]).toString());
    expect(seen).toEqual(["http://127.0.0.1:9/run/me/made/hi", "fjk_a:b", "me/made/hi", { input: { name: text, none: null, yes: true } }]);
  });

  test("without a key each program takes it from its environment", () => {
    const { python, javascript, curl } = call({ key: PLACEHOLDER });
    expect(python).not.toContain("FAL_KEY");
    expect(javascript).toContain("credentials: process.env.FAL_KEY");
    expect(execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$4"; }\n${curl}`], { env: { ...process.env, FAL_KEY: "k:1" } }).toString()).toBe("Authorization: Key k:1\n");
  });

  test("method and query are kept; names that are no keywords are a dict", () => {
    const { curl, cell, python } = call({ method: "GET", path: "/", query: { q: "a b" }, value: {} });
    expect(curl).toContain("-X GET 'http://127.0.0.1:9/run/me/made/?q=a+b'");
    expect(python).toContain('path="?q=a+b", method="GET"');
    expect(cell).toBe('Made.hi(q="a b")');
    expect(call({ value: { "not-a-name": 1 } }).cell).toBe('Made.hi({"not-a-name": 1})');
  });
});
