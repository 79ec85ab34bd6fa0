// The kernel of a notebook that is renamed learns of it, when it can hear, and once.
import { expect, it } from "vitest";
import { followName } from "../src/notebooks/naming.ts";
import { createStore } from "../src/shared/connection/store.mjs";
import { madeApp, madeLine } from "./made.mjs";

const MIME = "application/vnd.fal-jupyter.card+json";
const signal = () => {
  const all = [];
  return { connect: (one) => all.push(one), emit: () => all.forEach((one) => void one()) };
};
const settled = () => new Promise((resolve) => setTimeout(resolve));
const of = (owner_pid, owner_name, alias = "hello") => ({
  ...madeApp(alias),
  owner_kind: "kernel",
  owner_pid,
  owner_name,
});

/** A notebook with the card of an app of process 7, its kernel, and what the feed has. */
function opened(status = "idle", answers = []) {
  const asked = [];
  const kernel = {
    id: "k",
    status,
    requestExecute: (content) => {
      asked.push(content);
      return { done: Promise.resolve({ content: { status: answers.shift() ?? "ok" } }) };
    },
  };
  const data = { [MIME]: { alias: "hello", picture: { app: of(7, "old.ipynb") } } };
  const model = { outputs: { length: 1, get: () => ({ data }) } };
  const panel = {
    content: { widgets: [{ model }] },
    context: { path: "RTC:folder/new.ipynb", localPath: "folder/new.ipynb", pathChanged: signal() },
    sessionContext: { session: { kernel }, statusChanged: signal() },
    disposed: signal(),
  };
  const store = createStore();
  followName(panel, store);
  const names = () => asked.map((one) => one.user_expressions.named.match(/\("([^"]*)"\)$/)[1]);
  const become = (now) => ((kernel.status = now), panel.sessionContext.statusChanged.emit());
  return { asked, become, names, panel, store };
}

it("gets the new name when its notebook is renamed, without a trace", async () => {
  const { asked, become, names, panel } = opened();
  become("idle");
  expect(asked).toEqual([]);
  panel.context.pathChanged.emit();
  become("busy");
  become("idle");
  await settled();
  expect(names()).toEqual(["new.ipynb"]);
  expect(asked[0]).toMatchObject({ code: "", silent: true, store_history: false });
});

it("gets the name when it is idle again, also where a failed cell took the first attempt away", async () => {
  const { become, names, panel } = opened("busy", ["aborted"]);
  panel.context.pathChanged.emit();
  expect(names()).toEqual([]);
  become("idle");
  await settled();
  expect(names()).toEqual(["new.ipynb"]);
  become("idle");
  await settled();
  become("idle");
  expect(names()).toEqual(["new.ipynb", "new.ipynb"]);
});

it("gets the name where the feed has its app by another name, each process once, and the kernels of others are not", async () => {
  const { become, names, panel, store } = opened();
  store.apply(madeLine({ apps: [of(8, "two.ipynb")] }));
  store.apply(madeLine({ apps: [of(7, "new.ipynb"), of(7, "two.ipynb", "other")] }));
  await settled();
  expect(names()).toEqual([]);
  store.apply(madeLine({ apps: [of(7, "old.ipynb")] }));
  await settled();
  store.apply(madeLine({ apps: [of(7, "older.ipynb")] }));
  become("idle");
  await settled();
  expect(names()).toEqual(["new.ipynb"]);
  panel.disposed.emit();
  panel.context.path = panel.context.localPath = "newest.ipynb";
  store.apply(madeLine({ apps: [] }));
  store.apply(madeLine({ apps: [of(7, "old.ipynb")] }));
  expect(names()).toEqual(["new.ipynb"]);
});
