/** What panels decide to show, without a page: the functions that choose words, figures and parts. */
import { describe, expect, test } from "vitest";
import { firstTab, showsClock } from "../../fal_jupyter/widgets/static/card/card.mjs";
import { pickedWords } from "../../fal_jupyter/widgets/static/form/form_file.mjs";
import { requestFacts } from "../../fal_jupyter/widgets/static/inspector/inspector.mjs";
import { HOSTILE, madeApp, madeRequest, madeRunner } from "./made.mjs";

const viewOf = (apps = [], more = {}) => ({ apps, devices: [], requests: [], timelines: new Map(), ...more });

describe("a card", () => {
  test("opens with the tab it was saved with, else Try, or Requests in a saved notebook", () => {
    expect(firstTab("logs", "server")).toBe("logs");
    expect(firstTab("no such tab", "server")).toBe("try");
    expect(firstTab(undefined, "saved")).toBe("requests");
  });

  test("shows a clock while its app starts, fails or changes its revision", () => {
    expect(showsClock(undefined)).toBe(false);
    expect(showsClock(madeApp("hello"))).toBe(false);
    expect(showsClock(madeApp("hello", { state: "Starting" }))).toBe(true);
    expect(showsClock(madeApp("hello", { state: "Failing" }))).toBe(true);
    expect(showsClock(madeApp("hello", { revision: 2 }))).toBe(true);
  });
});

describe("a picked file in words", () => {
  test("is its name and its facts", () => {
    expect(pickedWords({ url: "data:image/png;base64,AAAA", name: "fox.png", type: "image/png" }, "image")).toEqual({
      title: "fox.png",
      tooltip: "fox.png",
      type: "image/png",
      facts: ["3 B", "png"],
    });
  });

  test("is its address where it is elsewhere", () => {
    const { title, tooltip, facts } = pickedWords({ url: "https://a.example/b.wav" }, "audio");
    expect([title, tooltip, facts]).toEqual(["https://a.example/b.wav", "https://a.example/b.wav", []]);
  });

  test("names the call for a file without a name", () => {
    const { title, tooltip } = pickedWords({ url: "data:audio/wav;base64,AAAA" }, "audio");
    expect([title, tooltip]).toEqual(["audio of this call", ""]);
  });
});

describe("the facts of a request", () => {
  const facts = (request, apps = [madeApp("hello", { runners: [madeRunner("hello-1")] })], more = {}) =>
    Object.fromEntries(requestFacts(viewOf(apps, more), madeRequest("a", request)));

  test("name caller, runner, device, revision and status", () => {
    const { Began, ...others } = facts({});
    expect(Began).not.toBe("");
    expect(others).toEqual({
      App: "hello",
      Endpoint: "POST /",
      "Called from": "a cell",
      Runner: "hello-1, pid 7",
      Device: "no GPU of its own",
      Revision: "r1 current",
      Status: "200",
    });
  });

  test("have dashes for a request that reached no runner", () => {
    const { Runner, Device, Revision, Status } = facts({ runner: "", revision: 0, status: 0 });
    expect([Runner, Device, Revision, Status]).toEqual(["none", "–", "–", "–"]);
  });

  test("name the cell and its notebook, with harmless text", () => {
    expect(facts({ cell_number: 3 })["Called from"]).toBe("cell [3] of made.ipynb");
    expect(facts({ cell_number: 3 }, [])["Called from"]).toBe("cell [3]");
    expect(facts({ cell_number: 3 }, [madeApp("hello", { owner_name: HOSTILE })])["Called from"]).not.toContain(
      "\u001b",
    );
    expect(facts({ origin: "http" })["Called from"]).toBe("a program, over HTTP");
  });

  test("compare the request's revision with the one that serves", () => {
    const app = madeApp("hello", { serving: 2, revision: 3 });
    expect(facts({ revision: 1 }, [app]).Revision).toBe("r1 before r2");
    expect(facts({ revision: 2 }, [app]).Revision).toBe("r2 current");
    expect(facts({ revision: 3 }, [app]).Revision).toBe("r3");
    expect(facts({ revision: 3 }, []).Revision).toBe("r3");
  });

  test("say that the caller cancelled", () => {
    expect(facts({ status: 499 }).Status).toBe("499, cancelled by its caller");
  });

  test("have the peak of memory where it was measured", () => {
    const timelines = new Map([["hello", { lanes: [], usage: [[1020, 5e6, 0, 0, 0]] }]]);
    expect(facts({}, undefined, { timelines })["Peak memory"]).toContain("measured once");
  });
});
