import { PluginRegistry, Token } from "@lumino/coreutils";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

vi.mock("@jupyterlab/application", async () => ({ ILayoutRestorer: new (await token())("ILayoutRestorer") }));
vi.mock("@jupyterlab/launcher", async () => ({ ILauncher: new (await token())("ILauncher") }));
vi.mock("@jupyterlab/rendermime", async () => ({ IRenderMimeRegistry: new (await token())("IRenderMimeRegistry") }));
vi.mock("@jupyterlab/running", async () => ({ IRunningSessionManagers: new (await token())("IRunningSessions") }));
vi.mock("@jupyterlab/settingregistry", async () => ({ ISettingRegistry: new (await token())("ISettingRegistry") }));
vi.mock("@jupyterlab/statusbar", async () => ({ IStatusBar: new (await token())("IStatusBar") }));
vi.mock("@jupyterlab/apputils", async () => ({
  ICommandPalette: new (await token())("ICommandPalette"),
  InputDialog: {},
  MainAreaWidget: class {},
  Notification: {},
  WidgetTracker: class {},
}));
vi.mock("@jupyterlab/coreutils", () => ({
  PageConfig: { getBaseUrl: () => "/" },
  PathExt: { join: (...parts) => parts.join("/") },
  URLExt: { join: (...parts) => parts.join("/") },
}));
vi.mock("@jupyterlab/services", () => ({
  ServerConnection: { makeRequest: () => Promise.reject(new Error("no server")) },
}));
vi.mock("@jupyterlab/ui-components", () => {
  const names = ["add", "console", "copy", "inspector", "list", "refresh", "run", "stop"];
  return { LabIcon: class {}, ...Object.fromEntries(names.map((name) => [`${name}Icon`, {}])) };
});

async function token() {
  return (await import("@lumino/coreutils")).Token;
}

globalThis.DragEvent ??= class extends MouseEvent {}; // jsdom has none, and Lumino extends it

const { default: plugins } = await import("../src/index.ts");
const { IRenderMimeRegistry } = await import("@jupyterlab/rendermime");

/** What the others cannot do without: the connection, and for some features the notebooks or the panels. */
const SHARED = ["fal-jupyter:plugin", "fal-jupyter:notebooks", "fal-jupyter:panels"];

const idsOf = (list) => list.map((one) => one.id);

function fakeApp() {
  const commands = new Map();
  const shown = [];
  return {
    commands: {
      addCommand: (id, command) => commands.set(id, command),
      hasCommand: (id) => commands.has(id),
      execute: (id, args) => commands.get(id).execute(args),
    },
    docRegistry: { addWidgetExtension: () => undefined },
    restored: Promise.resolve(),
    serviceManager: { serverSettings: { baseUrl: "/" } },
    shell: { add: (widget, area) => shown.push([widget.id, area]), activateById: () => undefined },
    known: commands,
    shown,
  };
}

/** Activate as JupyterLab does: without the disabled plugins, and without any optional token of its own. */
async function activated(disabled = []) {
  const registry = new PluginRegistry();
  const app = fakeApp();
  registry.application = app;
  registry.registerPlugin({
    id: "test:rendermime",
    autoStart: true,
    provides: IRenderMimeRegistry,
    activate: () => ({ addFactory: (factory) => app.shown.push([factory.mimeTypes[0], "output"]) }),
  });
  for (const plugin of plugins.filter((one) => !disabled.includes(one.id))) {
    registry.registerPlugin(plugin);
  }
  await registry.activatePlugins("startUp");
  return { app, active: idsOf(plugins).filter((id) => registry.hasPlugin(id) && registry.isPluginActivated(id)) };
}

describe("the plugins", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }); // what plugins begin lives as long as the page
    vi.spyOn(console, "error").mockImplementation(() => undefined);
  });
  afterEach(() => vi.useRealTimers());

  it("have ids by JupyterLab's convention, a description, and start by themselves", () => {
    expect(new Set(idsOf(plugins)).size).toBe(plugins.length);
    for (const plugin of plugins) {
      expect(plugin.id).toMatch(/^fal-jupyter:[a-z]+(-[a-z]+)*$/);
      expect(plugin.description).toBeTruthy();
      expect(plugin.autoStart).toBe(true);
    }
  });

  it("are all there without any optional token, as in Notebook 7", async () => {
    const { app, active } = await activated();
    expect(active).toEqual(idsOf(plugins));
    expect(console.error).not.toHaveBeenCalled();
    expect([...app.known.keys()].sort()).toEqual(
      [
        ...["copy-url", "focus-card", "insert-app-cell", "insert-connect-cell", "new-notebook", "open-dashboard"],
        ...["open-inspector", "open-ledger", "open-logs", "restart-app", "start-app", "start-gateway", "stop-app"],
        "unload-app",
      ].map((id) => `fal-jupyter:${id}`),
    );
  });

  it.each(idsOf(plugins).filter((id) => !SHARED.includes(id)))("%s disabled alone leaves all others", async (id) => {
    const { active } = await activated([id]);
    expect(active).toEqual(idsOf(plugins).filter((one) => one !== id));
    expect(console.error).not.toHaveBeenCalled();
  });

  it.each([
    ["app-commands", ["copy-url", "restart-app", "start-app", "start-gateway", "stop-app", "unload-app"]],
    ["cell-commands", ["focus-card", "insert-app-cell", "insert-connect-cell"]],
    ["dashboard", ["open-dashboard"]],
    ["inspector", ["open-inspector"]],
    ["launcher", ["new-notebook"]],
    ["ledger", ["open-ledger"]],
    ["logs", ["open-logs"]],
    ["renderer", []],
    ["sidebar", []],
  ])("%s disabled alone takes away what it shows and its commands, and nothing else", async (name, commands) => {
    const [{ app: all }, { app: left }] = [await activated(), await activated([`fal-jupyter:${name}`])];
    const gone = (before, now) => before.filter((one) => !now.includes(one));
    expect(gone([...all.known.keys()], [...left.known.keys()]).sort()).toEqual(
      commands.map((id) => `fal-jupyter:${id}`),
    );
    const [before, now] = [all, left].map(({ shown }) => shown.map(([id]) => id));
    const shows = { renderer: before.filter((id) => id.includes("/")), sidebar: ["fal-jupyter-sidebar"] };
    expect(gone(before, now)).toEqual(shows[name] ?? []);
  });

  it("without notebooks or panels only what needs them is missing", async () => {
    const needs = (provided) => (plugin) => plugin.requires?.some((one) => one.name.endsWith(provided));
    for (const [id, provided] of [
      ["fal-jupyter:notebooks", "IFalNotebooks"],
      ["fal-jupyter:panels", "IFalPanels"],
    ]) {
      const { active } = await activated([id]);
      expect(active).toEqual(idsOf(plugins.filter((one) => one.id !== id && !needs(provided)(one))));
    }
  });

  it("share tokens that are named like them", () => {
    const provided = plugins.flatMap((one) => one.provides ?? []);
    expect(provided.every((one) => one instanceof Token)).toBe(true);
    expect(provided.map((one) => one.name)).toEqual([
      "fal-jupyter:IFalConnection",
      "fal-jupyter:IFalNotebooks",
      "fal-jupyter:IFalPanels",
    ]);
  });
});
