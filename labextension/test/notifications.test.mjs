/** Notifications: where they lead, and that each failure is shown once. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { madeApp } from "./made.mjs";

const errors = [];
vi.mock("@jupyterlab/apputils", () => ({
  Notification: {
    error: (text, how) => errors.push({ text, ...how }),
    warning: () => "1",
    dismiss: () => undefined,
  },
}));
const { Notifier } = await import("../src/plugins/notifications.ts");

const view = (...apps) => ({ link: "live", reason: "", apps });
const failing = (more = {}) =>
  madeApp("painter", {
    state: "Failing",
    revision: 3,
    serving: 0,
    failure: {
      time: 1,
      revision: 3,
      text: "setup() raised FileNotFoundError: no such file: 'weights.bin'",
      error: { type: "FileNotFoundError", message: "no such file: 'weights.bin'", phase: "setup", frames: [] },
      retry_at: 0,
    },
    ...more,
  });

describe("the notification of a failed start", () => {
  beforeEach(() => errors.splice(0));

  it("names the error and leads to the cell, which has it", () => {
    const shown = [];
    const host = { goToError: (alias) => shown.push(alias) > 0, openLogs: () => shown.push("logs") };
    const notifier = new Notifier(() => true, host);
    notifier.update(view());
    notifier.update(view(failing()));
    notifier.update(view(failing()));
    expect(errors.map((one) => one.text)).toEqual(["painter could not start: FileNotFoundError"]);
    const [action] = errors[0].actions;
    expect(action.label).toBe("Show the error");
    action.callback();
    expect(shown).toEqual(["painter"]);
    host.goToError = () => false; // its notebook is not open here
    notifier.update(view());
    notifier.update(view(failing({ revision: 4 })));
    errors[1].actions[0].callback();
    expect(shown).toEqual(["painter", "logs"]);
  });

  it("does not cover the error where that is in sight", () => {
    const host = { goToError: () => true, isInSight: (alias) => alias === "painter" };
    const notifier = new Notifier(() => true, host);
    notifier.update(view());
    notifier.update(view(failing()));
    expect(errors).toEqual([]);
    host.isInSight = () => false;
    notifier.update(view(failing({ revision: 4 })));
    expect(errors).toHaveLength(1);
  });

  it("leads to the logs of an app without a cell, and has all words of an error that is not Python's", () => {
    const notifier = new Notifier(() => true, { goToError: () => true, openLogs: () => undefined });
    notifier.update(view());
    const failure = { time: 1, revision: 3, text: "it was killed by SIGKILL", error: null, retry_at: 0 };
    notifier.update(view(failing({ owner_kind: "program", failure })));
    expect(errors[0].text).toBe("painter could not start: it was killed by SIGKILL");
    expect(errors[0].actions.map((one) => one.label)).toEqual(["Open its logs"]);
  });

  it("is not shown for what failed before the page was opened", () => {
    new Notifier(() => true, {}).update(view(failing()));
    expect(errors).toEqual([]);
  });
});

describe("what could not be done", () => {
  it("is shown for a while, not only counted at the bell", async () => {
    errors.splice(0);
    const { complain } = await import("../src/complain.ts");
    complain(new Error("There is no notebook."));
    expect(errors).toEqual([{ text: "There is no notebook.", autoClose: 8000 }]);
  });
});
