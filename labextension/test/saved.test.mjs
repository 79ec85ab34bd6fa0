// What a saved card shows in Logs, Outputs and Try, where nobody can be asked.
import { afterEach, describe, expect, it } from "vitest";
import { savedHost } from "../../fal_jupyter/widgets/static/connection/host.mjs";
import { logsPanel } from "../../fal_jupyter/widgets/static/logs/logs.mjs";
import { galleryPanel } from "../../fal_jupyter/widgets/static/outputs/gallery.mjs";
import { tryPanel } from "../../fal_jupyter/widgets/static/try/tryit.mjs";
import { CARD, madeApp, madeRequest } from "./made.mjs";

const DOT = "R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
const EVIL = "<img src=x onerror=alert(1)>\u202e";

function cardOf(picture) {
  const base = {
    time: 60000,
    app: madeApp(),
    requests: [madeRequest("r1")],
    timeline: { points: [], decisions: [], lanes: [], usage: [] },
  };
  return { ...CARD, picture: { ...base, ...picture } };
}

function body(text, more = {}) {
  return { content_type: "application/json", size: text.length, text, base64: "", truncated: false, ...more };
}

const OUTPUT = {
  id: "r1",
  path: "/draw",
  began: 1000,
  total_ms: 20,
  revision: 3,
  input: `a fox ${EVIL}`,
  seed: "7",
  pictures: [
    { content_type: "image/gif", base64: DOT, text: `a.gif, 640 × 480 ${EVIL}` },
    { content_type: "text/html", base64: DOT, text: "no picture" },
  ],
  others: ["a.wav"],
};

describe("a saved card", () => {
  const stop = new AbortController();
  afterEach(() => (document.body.innerHTML = ""));

  function drawn(panel, picture) {
    const root = document.body.appendChild(document.createElement("div"));
    panel(root, savedHost(cardOf(picture)), { alias: "hello" }, stop.signal);
    return root;
  }

  it("shows its last lines with times, runners and levels", () => {
    const logs = [
      { time: 12.5, runner: "hello-1", request: "", stream: 1, text: `ERROR ${EVIL}` },
      { time: 13, runner: "hello-1", request: "", stream: 1, text: "x".repeat(100) },
    ];
    const root = drawn(logsPanel, { logs });
    expect(root.querySelectorAll(".fj-log-line")).toHaveLength(2);
    expect(root.querySelector(".fj-level-3").textContent).toContain("runner 1 error ERROR <img");
    expect(root.textContent).toContain("the last 2 lines, as saved");
    expect(root.querySelector("img")).toBeNull();
    expect(root.textContent).not.toContain("\u202e");
    expect(drawn(logsPanel, { logs: [] }).textContent).toContain("No line was saved.");
    // of before there was any
    expect(drawn(logsPanel, { logs: undefined }).textContent).toContain("No line was saved.");
  });

  it("shows thumbnails of its outputs, and asks no address", () => {
    const root = drawn(galleryPanel, { outputs: [OUTPUT] });
    expect([...root.querySelectorAll("img")].map((one) => one.getAttribute("src"))).toEqual([
      `data:image/gif;base64,${DOT}`,
    ]);
    expect(root.textContent).toContain("seed 7");
    expect(root.querySelector(".fj-file-tile").textContent).toContain("a.wav");
    expect(root.textContent).toContain("no picture");
    expect(root.querySelector("button[aria-label^=Reuse]")).toBeNull();
    expect(root.textContent).not.toContain("\u202e");
    expect(drawn(galleryPanel, {}).textContent).toContain("No output was saved.");
  });

  it("says how many outputs are missing where they were counted", () => {
    const words = (count) =>
      drawn(galleryPanel, { outputs: [OUTPUT], output_count: count }).querySelector("[role=status]");
    expect(words(5).textContent).toBe("1 of 5 outputs, as saved");
    expect(words(1).textContent).toBe("1 output, as saved");
    expect(words(undefined).textContent).toBe("the last 1 output, as saved");
  });

  it("shows its newest result, and a failure with its error first", () => {
    const last = {
      request: madeRequest("r1", { path: "/draw" }),
      input: body('{"prompt":"a fox"}'),
      output: body('{"image":{"url":"http://127.0.0.1:1/cdn/files/x/a.gif","content_type":"image/gif"}}'),
      error: null,
      logs: [],
      displays: [],
      buffered: false,
    };
    const root = drawn(tryPanel, { last, outputs: [OUTPUT] });
    expect(root.querySelectorAll("img")).toHaveLength(1);
    expect(root.querySelector(".fj-try-form").textContent).toContain("a fox");
    expect(root.querySelector(".fj-trials").textContent).toContain("as saved");
    expect(root.querySelector(".fj-run-button").closest("[hidden]")).not.toBeNull();
    const error = {
      type: "ValueError",
      message: EVIL,
      text: `Traceback\nValueError: ${EVIL}`,
      frames: [],
      phase: "request",
    };
    const failed = drawn(tryPanel, {
      last: {
        ...last,
        request: madeRequest("r1", { status: 500 }),
        output: body("cut", { truncated: true, size: 9000 }),
        error,
      },
      outputs: undefined,
    });
    expect(failed.querySelector(".fj-error-view").textContent).toContain("ValueError");
    expect(failed.querySelector("img")).toBeNull();
    expect(failed.textContent).toContain("are kept");
    expect(drawn(tryPanel, {}).textContent).toContain("Run the cell again to try the app here.");
  });
});
