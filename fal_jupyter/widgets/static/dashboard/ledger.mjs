// @ts-check
/** Who holds the machine's memory: a bar for each GPU and for the host, a block for each runner, kernel and shared memory. */
import { button, h, replace, scheduler, update } from "../elements/dom.mjs";
import { bytes, runnerName } from "../text/format.mjs";
import { iconButton } from "../elements/glyphs.mjs";
import { plainText } from "../text/plain.mjs";
import { ensureStyle } from "../style/style.mjs";

/** @typedef {import("../types.d.ts").View} View */
/** @typedef {import("../types.d.ts").AppState} AppState */
/** @typedef {{letter: string, fill: string, meaning: string}} AppFill what the blocks of an app have in common */
/**
 * @typedef {object} Block one holder of memory
 * @property {string} key
 * @property {string} label its short name, "" for other programs
 * @property {string} fill colour and pattern: a number for an app, "kernel", "shared" or "other"
 * @property {string} meaning of its fill, for the legend
 * @property {string} name
 * @property {string} where the notebook or program
 * @property {number} size in bytes
 * @property {string} runner its id, "" where it is not ours
 * @property {number} [pid] of the runner or kernel
 * @property {boolean} starting
 */
/**
 * @typedef {{key: string, name: string, detail: string, memory: number, used: number, busy: string, blocks: Block[]}}
 *   Bar
 */

const FILLS = 8; // colours and patterns of style_panels.mjs; more apps share them
const LEAST_SHARED = 1e6; // bytes; less (semaphores) is counted with the process that has it
const OTHERS = { fill: "other", meaning: "other programs", label: "", runner: "", starting: false };

/**
 * A letter for each app, its first one, with a number where several begin alike.
 * @param {string[]} aliases
 * @returns {Map<string, string>}
 */
export function appLetters(aliases) {
  /** @type {Map<string, number>} */
  const taken = new Map();
  return new Map(
    aliases.map((alias) => {
      const letter = (/[a-z0-9]/i.exec(alias)?.[0] ?? "?").toUpperCase();
      const number = (taken.get(letter) ?? 0) + 1;
      taken.set(letter, number);
      return [alias, number > 1 ? `${letter}${"′".repeat(number - 1)}` : letter];
    }),
  );
}

/** @param {View} view @returns {(app: AppState) => AppFill} */
function appFills(view) {
  const letters = appLetters(view.apps.map((app) => app.alias));
  return (app) => {
    const letter = letters.get(app.alias) ?? "";
    const fill = String((view.colours.get(app.alias) ?? 0) % FILLS);
    return { letter, fill, meaning: `${letter} ${app.alias}` };
  };
}

/** @param {AppState} app @param {AppFill} look @param {string} id @returns {Omit<Block, "size">} */
function runnerBlock(app, { letter, fill, meaning }, id) {
  const runner = app.runners.find((one) => one.id === id);
  return {
    key: id,
    label: `${letter}${runnerName(id)}`,
    fill,
    meaning,
    name: `${app.alias} runner ${runnerName(id)}`,
    where: app.owner_name,
    runner: id,
    pid: runner?.pid,
    starting: runner?.state === "SETUP" || runner?.state === "PENDING",
  };
}

/** @param {View} view @param {(app: AppState) => AppFill} lookOf @returns {Bar[]} */
function deviceBars(view, lookOf) {
  return view.devices.map((device) => {
    const app = view.apps.find((one) => one.alias === device.alias);
    const size = device.used >= 0 ? device.used : device.holder ? device.memory : 0;
    const where = device.holder && device.used < 0 ? "has it to itself" : "";
    const block = app
      ? { ...runnerBlock(app, lookOf(app), device.runner), key: device.id, size }
      : { ...OTHERS, key: device.id, name: device.holder || "other programs", where, size };
    return {
      key: device.id,
      name: `gpu ${device.index}`,
      detail: device.name,
      memory: device.memory,
      used: size,
      busy: device.busy >= 0 ? `${Math.round(device.busy)} % busy` : "",
      blocks: size > 0 || device.holder ? [block] : [],
    };
  });
}

/**
 * What a kernel or program and its apps' runners hold: a block for each process, and one for their shared memory, which none of
 * them has to itself.
 * @param {AppState[]} apps of one owner
 * @param {(app: AppState) => AppFill} lookOf
 * @returns {Block[]}
 */
function ownerBlocks(apps, lookOf) {
  const [{ owner_kind: kind, owner_name: where, owner_pid: pid, owner_memory = 0, owner_shared = 0 }] = apps;
  const parts = apps.flatMap((app) => app.runners.map((one) => one.shared ?? 0));
  const shared = parts.reduce((sum, size) => sum + size, owner_shared);
  const isSplit = shared >= LEAST_SHARED;
  const own = (/** @type {number} */ memory, /** @type {number | undefined} */ part) =>
    memory - (isSplit ? (part ?? 0) : 0);
  const name = kind === "kernel" ? "kernel" : "program";
  const common = { where, runner: "", starting: false };
  return [
    ...apps.flatMap((app) =>
      app.runners.map((one) => ({ ...runnerBlock(app, lookOf(app), one.id), size: own(one.memory, one.shared) })),
    ),
    {
      ...common,
      key: `owner ${pid}`,
      label: name,
      fill: "kernel",
      meaning: "kernels and programs",
      name,
      pid,
      size: own(owner_memory, owner_shared),
    },
    {
      ...common,
      key: `shared ${pid}`,
      label: "shared",
      fill: "shared",
      meaning: "shared memory (tensors)",
      name: "shared memory",
      size: isSplit ? shared : 0,
    },
  ].filter((one) => one.size > 0);
}

/** @param {View} view @param {(app: AppState) => AppFill} lookOf @returns {Bar[]} */
function hostBars(view, lookOf) {
  if (!view.host) return [];
  /** @type {Map<string, AppState[]>} */
  const owners = new Map();
  for (const app of view.apps) {
    const owner = app.owner_pid ? String(app.owner_pid) : app.app;
    owners.set(owner, [...(owners.get(owner) ?? []), app]);
  }
  const blocks = [...owners.values()].flatMap((apps) => ownerBlocks(apps, lookOf));
  const ours = blocks.reduce((sum, one) => sum + one.size, 0);
  const used = Math.max(view.host.used, ours);
  if (used > ours) blocks.push({ ...OTHERS, key: "other", name: "other programs", where: "", size: used - ours });
  const busy = view.host.busy >= 0 ? `${Math.round(view.host.busy)} % busy` : "";
  return [
    { key: "host", name: "host", detail: `${view.host.cores} cores`, memory: view.host.memory, used, busy, blocks },
  ];
}

/**
 * The bars and their blocks: memory that no known app uses belongs to other programs.
 * @param {View} view
 * @returns {Bar[]}
 */
export function ledgerBars(view) {
  const lookOf = appFills(view);
  return [...deviceBars(view, lookOf), ...hostBars(view, lookOf)];
}

/** The blocks of a bar by notebook, biggest first: `sdxl.ipynb 47.8 GB S1 38.2 · S2 9.6`. @param {Block[]} blocks */
export function shareWords(blocks) {
  /** @type {Map<string, Block[]>} */
  const groups = new Map();
  for (const one of blocks) {
    const name = one.fill === OTHERS.fill ? one.name : one.where || "a program";
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups]
    .map(([name, members]) => {
      const parts = members
        .filter((one) => one.label)
        .slice(0, 6)
        .map((one) => (members.length > 1 ? `${one.label} ${bytes(one.size)}` : one.label));
      const more = members.filter((one) => one.label).length - parts.length;
      return {
        name,
        size: members.reduce((sum, one) => sum + one.size, 0),
        words: parts.join(" · ") + (more > 0 ? ` and ${more} more` : ""),
      };
    })
    .sort((a, b) => b.size - a.size);
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {object} _
 * @param {AbortSignal} signal
 */
export function ledgerPanel(root, host, _, signal) {
  new LedgerPanel(root, host, _, signal);
}

class LedgerPanel {
  /**
   * @param {HTMLElement} root
   * @param {import("../types.d.ts").Host} host
   * @param {object} _
   * @param {AbortSignal} signal
   */
  constructor(root, host, _, signal) {
    this.host = host;
    ensureStyle(root);
    this.chosen = "";
    this.asTable = false;
    this.table = iconButton(
      "table",
      "Show the same data as a table",
      () => {
        this.asTable = !this.asTable;
        this.table.setAttribute("aria-pressed", String(this.asTable));
        this.draw();
      },
      { "aria-pressed": "false" },
    );
    this.legend = h("span", { class: "fj-legend" });
    this.list = h("div", { class: "fj-ledger-bars" });
    this.readout = h("div", { class: "fj-readout", role: "status" });
    this.message = h("div", { role: "alert" });
    root.append(
      h(
        "div",
        { class: "fj-ledger" },
        h("div", { class: "fj-bar-row" }, this.legend, h("span", { class: "fj-space" }), this.table),
        this.list,
        this.readout,
        this.message,
      ),
    );
    const look = scheduler(root, signal, this.draw);
    signal.addEventListener("abort", this.host.store.watch(look));
    signal.addEventListener("abort", () => replace(root));
    this.draw();
  }

  async stop(/** @type {Block} */ block) {
    const sure = this.host.confirm
      ? await this.host.confirm(
          `Stop ${block.name}?`,
          "It finishes its requests first. Its app starts another one if it needs it.",
          "Stop",
        )
      : true;
    if (!sure) return;
    try {
      const answer = await this.host.ask("DELETE", `runners/${encodeURIComponent(block.runner)}`);
      update(
        this.message,
        answer.status >= 400
          ? h(
              "div",
              { class: "fj-banner fj-bad" },
              plainText((await answer.json()).detail ?? `the gateway answered ${answer.status}`),
            )
          : null,
      );
    } catch (error) {
      update(
        this.message,
        h("div", { class: "fj-banner fj-bad" }, error instanceof Error ? error.message : String(error)),
      );
    }
  }

  stopButton(/** @type {Block} */ one) {
    return one.runner && this.host.kind !== "saved"
      ? button("Stop", () => this.stop(one), { "aria-label": `Stop ${one.name}` })
      : null;
  }

  block(/** @type {Block} */ one, /** @type {Bar} */ bar) {
    const share = (100 * one.size) / Math.max(1, bar.memory);
    const key = `${bar.key}/${one.key}`;
    const words = plainText(
      `${one.name}${one.where ? `, ${one.where}` : ""}, ${bytes(one.size)}${one.starting ? ", starting" : ""}`,
    );
    const choose = () => {
      this.chosen = key;
      this.draw();
    };
    return h(
      "button",
      {
        type: "button",
        dataset: { key },
        class: `fj-mem fj-mem-${one.fill}${one.starting ? " fj-mem-starting" : ""}`,
        style: { width: `${Math.max(0.3, share)}%` },
        title: words,
        "aria-label": words,
        "aria-pressed": String(key === this.chosen),
        onclick: choose,
        onfocus: choose,
      },
      share > 4 && one.label ? h("span", null, one.label) : null,
    );
  }

  barView = (/** @type {Bar} */ bar) => {
    return h(
      "div",
      { class: "fj-bar-row fj-ledger-row", dataset: { key: bar.key } },
      h(
        "div",
        { class: "fj-ledger-name" },
        h("strong", null, bar.name),
        h(
          "div",
          { class: "fj-label fj-cut", title: plainText(bar.detail) },
          [plainText(bar.detail), bar.busy].filter(Boolean).join(" · "),
        ),
      ),
      h(
        "div",
        { class: "fj-ledger-bar" },
        h(
          "div",
          {
            class: "fj-meter",
            role: "group",
            "aria-label": `${bar.name}: ${bytes(bar.used)} of ${bytes(bar.memory)} used`,
          },
          bar.blocks.map((one) => this.block(one, bar)),
        ),
        h(
          "div",
          { class: "fj-label fj-ledger-words" },
          bar.blocks.length
            ? shareWords(bar.blocks)
                .slice(0, 5)
                .map((one) =>
                  h(
                    "span",
                    null,
                    h("strong", { class: "fj-cut" }, plainText(one.name)),
                    ` ${bytes(one.size)} ${plainText(one.words)}`,
                  ),
                )
            : "free",
        ),
      ),
      h(
        "div",
        { class: "fj-number fj-ledger-free" },
        h("strong", null, bytes(Math.max(0, bar.memory - bar.used))),
        h("div", { class: "fj-label" }, `free of ${bytes(bar.memory)}`),
      ),
    );
  };

  tableView(/** @type {Bar[]} */ bars) {
    return h(
      "div",
      { class: "fj-scroll", tabIndex: 0 },
      h(
        "table",
        { class: "fj-table" },
        h("caption", { class: "fj-visually-hidden" }, "Memory by holder"),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            [
              ["Where", ""],
              ["Held by", ""],
              ["Notebook", ""],
              ["Memory", "fj-number"],
              ["Share", "fj-number"],
              ["", ""],
            ].map(([name, kind]) =>
              h("th", { scope: "col", class: kind }, name || h("span", { class: "fj-visually-hidden" }, "Actions")),
            ),
          ),
        ),
        h(
          "tbody",
          null,
          bars.flatMap((bar) =>
            bar.blocks.map((one) =>
              h(
                "tr",
                { dataset: { key: `${bar.key}/${one.key}` } },
                h("th", { scope: "row" }, bar.name),
                h("td", { class: "fj-cut" }, plainText(one.name)),
                h("td", { class: "fj-cut" }, plainText(one.where || "–")),
                h("td", { class: "fj-number" }, bytes(one.size)),
                h("td", { class: "fj-number" }, `${((100 * one.size) / Math.max(1, bar.memory)).toFixed(1)} %`),
                h("td", null, this.stopButton(one)),
              ),
            ),
          ),
        ),
      ),
    );
  }

  draw = () => {
    const { view } = this.host.store;
    this.table.hidden = !view.host;
    if (!view.host) {
      update(
        this.list,
        h(
          "p",
          { class: "fj-empty" },
          view.link === "off"
            ? "No gateway is running, so nothing is measured. The first app starts one."
            : "Nothing has been measured yet.",
        ),
      );
      update(this.legend);
      update(this.readout);
      return;
    }
    const bars = ledgerBars(view);
    this.drawLegend(bars);
    update(
      this.list,
      view.devices.length
        ? null
        : h(
            "p",
            { class: "fj-muted fj-bar-row" },
            "There is no GPU on this machine: runners share its cores and memory.",
          ),
      this.asTable ? this.tableView(bars) : bars.map(this.barView),
    );
    this.drawReadout(bars);
  };

  /** Every colour and pattern that is drawn, in the order of the blocks, other programs last. */
  drawLegend(/** @type {Bar[]} */ bars) {
    const blocks = bars.flatMap((bar) => bar.blocks);
    const meanings = new Map(blocks.map((one) => [one.meaning, `fj-mem-${one.fill}`]));
    const others = meanings.delete(OTHERS.meaning);
    if (blocks.some((one) => one.starting)) meanings.set("starting", "fj-mem-starting");
    if (others) meanings.set(OTHERS.meaning, `fj-mem-${OTHERS.fill}`);
    update(
      this.legend,
      [...meanings].map(([meaning, fill]) =>
        h(
          "span",
          null,
          h("span", { class: `fj-swatch ${fill}` }),
          h("span", { class: "fj-cut", style: { maxWidth: "140px" }, title: plainText(meaning) }, plainText(meaning)),
        ),
      ),
    );
  }

  /** Who holds the block that is chosen. */
  drawReadout(/** @type {Bar[]} */ bars) {
    const [bar, one] =
      bars
        .flatMap((bar) => bar.blocks.map((one) => /** @type {[Bar, Block]} */ ([bar, one])))
        .find(([bar, one]) => `${bar.key}/${one.key}` === this.chosen) ?? [];
    this.readout.hidden = this.asTable;
    update(
      this.readout,
      bar && one
        ? [
            h("strong", null, one.label ? `${one.label} on ${bar.name}: ` : `${bar.name}: `),
            h(
              "span",
              { class: "fj-readout-text" },
              plainText(
                [one.where, one.name, one.pid ? `pid ${one.pid}` : "", bytes(one.size), one.starting ? "starting" : ""]
                  .filter(Boolean)
                  .join(" · "),
              ),
            ),
            this.stopButton(one),
          ]
        : h("span", { class: "fj-muted" }, "Choose a block to see who holds it."),
    );
  }
}

/**
 * A button that starts a gateway, for panels that are empty for want of one.
 * @param {import("../types.d.ts").Host} host
 */
export function startButton(host) {
  const failure = h("span", { class: "fj-failed", role: "alert" });
  const press = async () => {
    failure.textContent = "";
    try {
      const answer = await host.ask("POST", "start");
      if (answer.status >= 400)
        failure.textContent = (await answer.json()).detail ?? `the server answered ${answer.status}`;
    } catch (error) {
      failure.textContent = error instanceof Error ? error.message : String(error);
    }
  };
  return h("span", null, button("Start a gateway", press), " ", failure);
}
