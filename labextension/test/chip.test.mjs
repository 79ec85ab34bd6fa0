import { afterEach, describe, expect, it } from "vitest";
import { CARD_MIME, isLive } from "../src/cards/card_data.ts";
import { otherMaker } from "../src/notebooks/notebook_panel.ts";
import { chipLook, isAppCell, makeChip, updateChip } from "../src/cards/chip.ts";
import { sourceHash } from "../src/cards/source.ts";
import { differing, linesEdited, noteText } from "../src/cards/served_text.ts";
import { isEdited, noteWritten, writtenOf } from "../src/cards/written.ts";
import { HOSTILE, madeApp, madeRunner } from "./made.mjs";

const CELL = "%%fal_app\nclass Hello(fal.App):\n    pass\n";
const card = (more = {}) => ({
  panel: "card",
  alias: "hello",
  revision: 1,
  gateway: { started: 1 },
  source: sourceHash(CELL),
  ...more,
});
const words = (cell) => chipLook(cell).text;
afterEach(() => document.body.replaceChildren());

describe("the hash of a cell", () => {
  it("is the one that Python makes", () => {
    // fal_jupyter.protocol.feed.source_hash of the same texts; tests/labextension/test_sources.py holds the two against
    // each other
    expect(sourceHash("")).toBe("811c9dc5");
    expect(sourceHash("  foobar\n")).toBe("bf9cf968");
    expect(sourceHash("é€😀")).toBe(sourceHash("\né€😀 "));
  });
});

describe("app cells", () => {
  it("are known by the magic, below others too, not by the word", () => {
    expect(isAppCell(CELL)).toBe(true);
    expect(isAppCell("%%time\n%%fal_app\nclass A: ...")).toBe(true);
    expect(isAppCell("# see %%fal_app")).toBe(false);
    expect(isAppCell("%%fal_apple")).toBe(false);
  });
});

describe("the cell that made the app since", () => {
  const cell = (alias, revision, executionCount, started = 1) => {
    const data = { [CARD_MIME]: card({ alias, revision, gateway: { started } }) };
    const outputs = { length: 1, get: () => ({ data }) };
    return { model: { outputs, executionCount, sharedModel: { getSource: () => CELL } } };
  };
  it("is the one of the same notebook whose card has the newest revision", () => {
    const app = madeApp("hello", { revision: 2, serving: 2 });
    const first = cell("hello", 1, 1);
    const found = (...others) =>
      otherMaker({ panel: { content: { widgets: [first, ...others] } }, cell: first }, app, { started: 1 });
    expect(found(cell("other", 2, 2), cell("hello", 2, 3))).toBe(3);
    expect(found(cell("hello", 2, 3, 7))).toBe(0); // of an earlier gateway
    expect(found(cell("hello", 1, 3), cell("other", 2, 2))).toBe(0);
    expect(otherMaker({ panel: { content: { widgets: [first, cell("hello", 2, 3)] } }, cell: first })).toBe(0);
  });
});

describe("a cell into which values were written", () => {
  const app = (scaling) => madeApp("hello", { scaling: { ...madeApp("hello").scaling, ...scaling } });
  const [first, second] = [`${CELL}    keep_alive = 60\n`, `${CELL}    keep_alive = 60\n    max_concurrency = 2\n`];

  it("is in force while its app runs with them", () => {
    const made = card({ app: "me/first" });
    noteWritten(made, CELL, first, { keep_alive: 60 });
    expect(isEdited(first, made, app({ keep_alive: 60 }))).toBe(false);
    expect(
      words({ source: first, card: made, app: { ...app({ keep_alive: 60 }), runners: [madeRunner("hello-1")] } }),
    ).toBe("r1 · 1 ready");
    expect(isEdited(first, made, app({ keep_alive: 10 }))).toBe(true); // not applied, or changed since
    expect(isEdited(`${first}    x = 1\n`, made, app({ keep_alive: 60 }))).toBe(true);
    noteWritten(made, first, second, { max_concurrency: 2 });
    expect(isEdited(second, made, app({ keep_alive: 60, max_concurrency: 2 }))).toBe(false);
    expect(isEdited(second, made, app({ keep_alive: 10, max_concurrency: 2 }))).toBe(true);
    expect(isEdited(CELL, made, app({ keep_alive: 60 }))).toBe(false); // undone: the text that was run
  });

  it("stays edited where something else was changed, too", () => {
    const made = card({ app: "me/second" });
    const [before, after] = [`${CELL}    x = 1\n`, `${CELL}    x = 1\n    keep_alive = 60\n`];
    noteWritten(made, before, after, { keep_alive: 60 });
    expect(writtenOf(made)).toBeUndefined();
    expect(isEdited(after, made, app({ keep_alive: 60 }))).toBe(true);
  });

  it("is known again from a saved card", () => {
    const saved = card({ app: "me/third", written: { source: sourceHash(first), values: { keep_alive: 60 } } });
    expect(isEdited(first, saved, app({ keep_alive: 60 }))).toBe(false);
    const { written, ...anew } = saved; // as the kernel sends it next
    expect(isEdited(first, anew, app({ keep_alive: 60 }))).toBe(false);
    expect(written.source).toBe(sourceHash(first));
  });
});

describe("the chip", () => {
  it("says how cell and app stand", () => {
    const app = madeApp("hello", { runners: [madeRunner("hello-1"), madeRunner("hello-2", "SETUP")] });
    expect(words({ source: CELL, card: null, app: undefined })).toBe("not running");
    expect(words({ source: CELL, card: card(), app: undefined })).toBe("not running");
    expect(words({ source: CELL, card: card(), app })).toBe("r1 · 1 ready");
    expect(chipLook({ source: CELL, card: card(), app, owner: "two.ipynb" })).toMatchObject({
      text: "taken over by two.ipynb",
      tone: "fj-pending",
      title: "The app is of two.ipynb now. To have it back, add --take-over to this cell and run it.",
    });
    expect(words({ source: `${CELL}    x = 1\n`, card: card(), app })).toBe("r1 serves · edited");
    expect(words({ source: `${CELL}\n\n`, card: card(), app })).toBe("r1 · 1 ready");
    expect(
      words({
        source: CELL,
        card: card(),
        app: madeApp("hello", {
          revision: 2,
          serving: 1,
          runners: [madeRunner("hello-2", "SETUP", { revision: 2, since: Date.now() - 6200 })],
        }),
      }),
    ).toBe("r1 serves · r2 setup 6 s");
    expect(
      words({
        source: CELL,
        card: card(),
        app: madeApp("hello", {
          state: "Starting",
          serving: 0,
          runners: [madeRunner("hello-1", "SETUP", { since: Date.now() - 72000 })],
        }),
      }),
    ).toBe("r1 setup 1 m 12 s");
    const begun = madeApp("hello", { state: "Starting", serving: 0, runners: [madeRunner("hello-1", "SETUP")] });
    expect(words({ source: CELL, card: card(), app: begun, now: 4300 })).toBe("r1 setup 4 s"); // by the gateway's clock
    const failure = {
      time: 5,
      revision: 2,
      text: "boom",
      error: { type: "OSError", message: "boom", text: "", phase: "setup", frames: [] },
      retry_at: 0,
    };
    expect(
      words({
        source: CELL,
        card: card(),
        app: madeApp("hello", { revision: 2, serving: 1, failure, runners: [madeRunner("hello-1")] }),
      }),
    ).toBe("r2 failed · r1 serves");
    const mended = `${CELL}    x = 1\n`;
    expect(
      chipLook({
        source: mended,
        card: card(),
        app: madeApp("hello", { revision: 2, serving: 1, failure, runners: [madeRunner("hello-1")] }),
      }),
    ).toMatchObject({
      text: "r2 failed · r1 serves · edited",
      tone: "fj-failed fj-dashed",
      title: "boom. The cell was edited since: run it.",
    });
    expect(
      words({
        source: mended,
        card: card(),
        app: madeApp("hello", { state: "Failing", serving: 0, revision: 2, failure }),
      }),
    ).toBe("r2 failed: OSError · edited");
    expect(words({ source: mended, card: card(), app: madeApp("hello", { state: "Stopped" }) })).toBe(
      "stopped · edited",
    );
    expect(words({ source: mended, card: card(), app: madeApp("hello", { state: "Starting", serving: 0 }) })).toBe(
      "r1 starting · edited",
    );
    expect(
      words({
        source: CELL,
        card: card(),
        app: madeApp("hello", { state: "Failing", serving: 0, revision: 2, failure }),
      }),
    ).toBe("r2 failed: OSError");
    expect(words({ source: CELL, card: card(), app: madeApp("hello", { state: "Zero" }) })).toBe("r1 · scaled to zero");
    const later = madeApp("hello", { revision: 3, serving: 3, verdict: "rebuild", runners: [madeRunner("hello-9")] });
    expect(words({ source: CELL, card: card(), app: later })).toBe("r3 is from elsewhere");
    expect(words({ source: CELL, card: card(), app: later, otherCell: 3 })).toBe("r3 is by cell 3");
    expect(words({ source: CELL, card: card(), app: { ...later, verdict: "restart" } })).toBe("r3 · 1 ready");
    expect(words({ source: CELL, card: card(), app, gateway: { started: 2 } })).toBe("r1 is from elsewhere");
    expect(words({ source: CELL, card: card(), app, gateway: { started: 1 } })).toBe("r1 · 1 ready");
    expect(words({ source: CELL, card: card(), app: madeApp("hello", { state: "Starting", serving: 0 }) })).toBe(
      "r1 starting",
    );
    expect(words({ source: CELL, card: card(), app: madeApp("hello", { state: "Stopped" }) })).toBe("stopped");
    expect(
      words({ source: CELL, card: card(), app: madeApp("hello", { state: "Failing", revision: 3, reason: "boom" }) }),
    ).toBe("r3 failed");
  });

  it("has a menu for mouse and keys, closes it on Escape, and shows hostile text as text", () => {
    const ran = [];
    const chip = makeChip(() => [
      { shape: "play", word: HOSTILE, press: () => ran.push("run") },
      { shape: "stop", word: "Stop app", press: () => ran.push("stop") },
    ]);
    document.body.append(chip);
    updateChip(chip, { shape: "ok", tone: "fj-ok", text: HOSTILE, title: HOSTILE });
    const button = chip.querySelector("button");
    button.click();
    const items = [...chip.querySelectorAll('[role="menuitem"]')];
    expect(items).toHaveLength(2);
    expect(document.activeElement).toBe(items[0]);
    const key = (name) =>
      document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }),
      );
    key("ArrowUp");
    expect(document.activeElement).toBe(items[1]);
    key("Escape");
    expect(chip.querySelector('[role="menu"]')).toBeNull();
    expect(document.activeElement).toBe(button);
    button.click();
    chip.querySelectorAll('[role="menuitem"]')[1].click();
    expect(ran).toEqual(["stop"]);
    expect(button.getAttribute("aria-expanded")).toBe("false");
    button.click();
    button.click();
    expect(chip.querySelector('[role="menu"]')).toBeNull();
    expect(document.querySelector("img")).toBeNull();
    expect(button.textContent).toContain("<img");
  });

  it("is not touched while it says the same, so that its menu stays open", () => {
    const chip = makeChip(() => [{ shape: "play", word: "Run the cell", press: () => {} }]);
    const look = { shape: "ok", tone: "fj-ok", text: "r1", title: "fine" };
    updateChip(chip, look);
    const before = chip.querySelector("button").firstChild;
    updateChip(chip, { ...look });
    expect(chip.querySelector("button").firstChild).toBe(before);
    updateChip(chip, { ...look, text: "r2" });
    expect(chip.querySelector("button").textContent).toContain("r2");
  });
});

describe("a card", () => {
  it("is live where a running gateway serves its app", () => {
    const view = (link, ...apps) => ({ link, apps });
    expect(isLive(card(), view("live", madeApp("hello")))).toBe(true);
    expect(isLive(card(), view("live", madeApp("other")))).toBe(false);
    expect(isLive(card(), view("lost", madeApp("hello")))).toBe(false);
    expect(isLive(card({ panel: "dashboard" }), view("live"))).toBe(true);
  });
});

describe("the lines that differ from what was run", () => {
  it("are counted where the page has seen that text", () => {
    const lines = (before, after) => differing(before.split(""), after.split(""));
    expect([lines("abc", "abc"), lines("abc", "aXc"), lines("abc", "abXYc"), lines("abc", "ac")]).toEqual([0, 1, 2, 1]);
    expect([lines("", "ab"), lines("abcd", "bcde"), lines("abab", "ab")]).toEqual([2, 2, 2]);
    const long = Array.from({ length: 2000 }, (_, at) => `before ${at}`);
    expect(
      differing(
        long,
        long.map((one) => `${one}!`),
      ),
    ).toBe(2000);

    const text = `${CELL}    y = 0\n`;
    const made = card({ source: sourceHash(text) });
    const app = madeApp("hello", { runners: [madeRunner("hello-1")] });
    const edited = `%%fal_app\nclass Hello(fal.App):\n    x = 1\n    z = 2\n`;
    expect(words({ source: edited, card: made, app })).toBe("r1 serves · edited");
    noteText(edited, made); // another text than that of the card
    expect(linesEdited(edited, made)).toBe(0);
    noteText(text, made);
    expect(chipLook({ source: edited, card: made, app })).toMatchObject({
      text: "r1 serves · edited: 2 lines differ",
      title: "The cell was edited since, 2 lines differ: run it to serve what it says",
    });
    expect(words({ source: text.replace("y", "z"), card: made, app })).toBe("r1 serves · edited: 1 line differs");
    const stopped = chipLook({ source: edited, card: made, app: madeApp("hello", { state: "Stopped" }) });
    expect(stopped).toMatchObject({
      text: "stopped · edited",
      title: "Start the app as it was, or run the cell, which was edited since (2 lines differ)",
    });
  });
});
