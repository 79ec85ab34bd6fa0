/** Which keys a panel keeps for itself, and which it lets the page have; and a card that outlives a run which fails. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { isOwnKey, keepOwnKeys, moveInMenu } from "../../fal_jupyter/widgets/static/elements/keys.mjs";
import { hasFailed, keepCard } from "../src/cards/kept_card.ts";
import { loadExtension } from "../src/notebooks/kernel.ts";
import { until } from "./made.mjs";

afterEach(() => document.body.replaceChildren());

const element = (html) => {
  document.body.innerHTML = html;
  return document.body.firstElementChild;
};
const press = (target, key, more = {}) => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  target.dispatchEvent(event);
  return event;
};
const own = (target, key, more = {}, isMac = false) => isOwnKey(press(target, key, more), isMac);

describe("keys of a panel", () => {
  test("saving, the palette and other shortcuts of the page are not its own", () => {
    for (const html of [
      '<input type="text">',
      "<textarea></textarea>",
      '<input type="range">',
      "<select></select>",
      "<button>b</button>",
    ]) {
      const target = element(html);
      for (const [key, more] of [
        ["s", { ctrlKey: true }],
        ["S", { ctrlKey: true, shiftKey: true }],
        ["s", { metaKey: true }],
        ["C", { ctrlKey: true, shiftKey: true }],
        ["b", { ctrlKey: true }],
        ["f", { ctrlKey: true }],
        ["]", { ctrlKey: true, shiftKey: true }],
        ["w", { altKey: true }],
        ["F11", {}],
      ]) {
        expect([html, key, own(target, key, more)]).toEqual([html, key, false]);
      }
      for (const [key, more] of [
        ["d", {}],
        ["D", { shiftKey: true }],
        ["0", {}],
        ["Enter", {}],
        ["Enter", { ctrlKey: true }],
        ["Enter", { shiftKey: true }],
        ["ArrowDown", {}],
        [" ", {}],
        ["Escape", {}],
        ["@", { ctrlKey: true, altKey: true, modifierAltGraph: true }],
      ]) {
        expect([html, key, own(target, key, more)]).toEqual([html, key, true]);
      }
    }
  });

  test("a field of text keeps what edits it, and a selected text is copied from anywhere", () => {
    const field = element('<input type="number">');
    for (const key of ["a", "c", "v", "x", "z", "y", "ArrowLeft", "Backspace", "Home"])
      expect([key, own(field, key, { ctrlKey: true })]).toEqual([key, true]);
    for (const key of ["Z", "V", "ArrowRight"])
      expect([key, own(field, key, { ctrlKey: true, shiftKey: true })]).toEqual([key, true]);
    expect(own(field, "e", { ctrlKey: true }, true)).toBe(true); // to the line's end on a Mac
    expect(own(field, "å", { altKey: true }, true)).toBe(true);
    expect(own(field, "s", { metaKey: true }, true)).toBe(false);
    const check = element('<input type="checkbox">');
    expect([
      own(check, "c", { ctrlKey: true }),
      own(check, "a", { ctrlKey: true }), // else a notebook selects all its cells
      own(check, "s", { ctrlKey: true }),
      own(check, "z", { ctrlKey: true }),
    ]).toEqual([true, true, false, false]);
  });

  test("whoever looks for shortcuts sees the mark for keys of the panel only, before it has the key itself", () => {
    const frame = keepOwnKeys(element('<section><p><input type="text"></p></section>'));
    keepOwnKeys(frame);
    const seen = [];
    const look = ({ target }) => seen.push(target.hasAttribute("data-lm-suppress-shortcuts"));
    document.addEventListener("keydown", look, { capture: true });
    for (const [key, more] of [
      ["a", {}],
      ["s", { ctrlKey: true }],
      ["a", { ctrlKey: true }],
      ["C", { ctrlKey: true, shiftKey: true }],
      ["d", {}],
    ])
      press(frame.querySelector("input"), key, more);
    document.removeEventListener("keydown", look, { capture: true });
    expect(seen).toEqual([true, false, true, false, true]);
    expect(frame.hasAttribute("data-lm-suppress-shortcuts")).toBe(false);
  });
});

describe("the extension, before an app's cell runs", () => {
  const kernel = (content) => ({
    asked: [],
    requestExecute(asked) {
      this.asked.push(asked);
      return { done: Promise.resolve({ content }) };
    },
  });

  test("is loaded without a word, and its absence is reported in one sentence", async () => {
    const good = kernel({ status: "ok" });
    await loadExtension({ ready: Promise.resolve(), session: { kernel: good } }, () =>
      Promise.reject(new Error("not asked")),
    );
    expect(good.asked[0]).toMatchObject({ silent: true, store_history: false, stop_on_error: false });
    const bad = kernel({ status: "error", ename: "ModuleNotFoundError", evalue: "No module named 'fal_jupyter'" });
    await expect(
      loadExtension({ ready: Promise.resolve(), session: { kernel: bad } }, () => Promise.resolve()),
    ).rejects.toThrow(
      "The cell was not run: its kernel could not load the extension fal_jupyter: ModuleNotFoundError: No module named 'fal_jupyter'",
    );
  });

  test("a kernel is started or chosen where there is none", async () => {
    const chosen = kernel({ status: "ok" });
    const context = { ready: Promise.resolve(), session: null, startKernel: async () => true };
    await loadExtension(context, async () => (context.session = { kernel: chosen }));
    expect(chosen.asked).toHaveLength(1);
    await expect(
      loadExtension({ ready: Promise.resolve(), session: null, startKernel: async () => true }, async () => undefined),
    ).rejects.toThrow("no kernel");
  });
});

describe("the card of a cell", () => {
  const MIME = "application/vnd.fal-jupyter.card+json";
  const CARD = { output_type: "display_data", data: { [MIME]: { alias: "hello" } }, metadata: {} };
  const ERROR = { output_type: "error", ename: "NameError", evalue: "x", traceback: [] };
  const USAGE = { output_type: "stream", name: "stderr", text: "UsageError: Cell magic `%%fal_app` not found.\n" };

  const made = (kept = () => true) => {
    const listeners = [];
    const all = [];
    const outputs = {
      get length() {
        return all.length;
      },
      get: (at) => ({ data: all[at].data ?? {}, toJSON: () => all[at] }),
      add(value) {
        all.push(value);
        for (const one of listeners) one();
        return all.length;
      },
      clear() {
        all.length = 0;
        for (const one of listeners) one();
      },
      changed: { connect: (one) => listeners.push(one) },
    };
    outputs.add(CARD);
    const cell = element('<div class="jp-Cell"><div class="jp-InputPrompt">[1]:</div></div>');
    const prompt = (text) => (cell.firstElementChild.textContent = text);
    keepCard(cell, outputs, kept);
    return { outputs, all, prompt };
  };
  const run = async ({ outputs, prompt }, ...results) => {
    outputs.clear();
    prompt("[*]:");
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (const one of results) outputs.add(one);
    prompt("[2]:");
  };

  test("comes back below the error of a run that made none", async () => {
    for (const why of [ERROR, USAGE]) {
      const cell = made();
      await run(cell, why);
      await until(() => cell.all.length === 2);
      expect(cell.all).toEqual([why, CARD]);
      await run(cell, why); // and again
      await until(() => cell.all.length === 2);
    }
    const died = made();
    await run(died);
    await until(() => died.all.length === 1);
  });

  test("does not where a run made one or none was wanted, and where the user cleared it", async () => {
    vi.useFakeTimers();
    const cleared = made();
    cleared.outputs.clear();
    await vi.advanceTimersByTimeAsync(1000);
    cleared.outputs.add(ERROR);
    await vi.advanceTimersByTimeAsync(1000);
    expect(cleared.all).toEqual([ERROR]);
    const panel = made(() => false);
    const again = made();
    const quiet = made();
    for (const [cell, ...results] of [
      [panel, ERROR],
      [again, ERROR, CARD],
      [quiet, { output_type: "stream", name: "stdout", text: "done" }],
    ]) {
      cell.outputs.clear();
      cell.prompt("[*]:");
      await vi.advanceTimersByTimeAsync(10);
      for (const one of results) cell.outputs.add(one);
      cell.prompt("[2]:");
      await vi.advanceTimersByTimeAsync(1000);
      expect(cell.all).toEqual(results);
    }
    vi.useRealTimers();
    expect(hasFailed([])).toBe(true);
  });
});

describe("keys of a menu", () => {
  const moved = (key, from) => {
    const menu = element(`<div>${'<button role="menuitem"></button>'.repeat(3)}</div>`);
    const items = [...menu.children];
    items[from]?.focus();
    moveInMenu(new KeyboardEvent("keydown", { key }), menu);
    return items.indexOf(document.activeElement);
  };

  test("the arrows go on from the focused item, and around the ends", () => {
    expect([0, 1, 2].map((from) => moved("ArrowDown", from))).toEqual([1, 2, 0]);
    expect([0, 1, 2].map((from) => moved("ArrowUp", from))).toEqual([2, 0, 1]);
    expect([moved("Home", 1), moved("End", 1), moved("a", 1)]).toEqual([0, 2, 1]);
  });

  test("with no item focused, Down goes to the first and Up to the last", () => {
    expect([moved("ArrowDown"), moved("ArrowUp")]).toEqual([0, 2]);
  });
});
