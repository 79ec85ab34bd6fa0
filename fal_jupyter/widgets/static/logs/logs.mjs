// @ts-check
/** What an app prints: its last lines as a terminal shows them, by level, runner and request, followed as they come. */
import { button, h, newId, replace, scheduler, setText, update } from "../elements/dom.mjs";
import { byNumber, clock, plural, runnerName } from "../text/format.mjs";
import { namedCells } from "../elements/errors.mjs";
import { glyph, iconButton } from "../elements/glyphs.mjs";
import { askJson } from "../connection/host.mjs";
import { newPen, runNodes, terminalLine, textOfRuns } from "../elements/terminal.mjs";

const LINES = 500;
const STREAMS = ["note", "", "stderr"];
/** @type {[string, string][]} */
const LEVELS = [
  ["0", "all levels"],
  ["1", "info and worse"],
  ["2", "warnings and errors"],
  ["3", "errors"],
];
const LEVEL_WORDS = ["debug", "", "warning", "error"];

/** @typedef {import("../types.d.ts").LogRecord} LogRecord */
/**
 * One line as it is shown.
 * @typedef {{key: string, record: LogRecord, level: number, goesOn: boolean, runs: {text: string, look: string}[],
 *   plain: string}} Line
 */

/** 0 debug, 1 info, 2 warning, 3 error; 1 where the line says nothing. @param {string} text */
export function levelOf(text) {
  const found =
    /^.{0,80}?\b(DEBUG|TRACE|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b(?![\w-])/.exec(text)?.[1] ??
    /^\s*\[?(debug|info|warning|error)\s*[:\]]/i.exec(text)?.[1].toUpperCase();
  if (found)
    return found === "DEBUG" || found === "TRACE" ? 0 : found === "INFO" ? 1 : found.startsWith("WARN") ? 2 : 3;
  if (/^[\w.]*(Error|Exception|Interrupt|Exit)\b(:|$)/.test(text)) return 3;
  return /\b\w*Warning:/.test(text) ? 2 : 1;
}

/**
 * Records as lines: colours go on from line to line of one stream, and a traceback is an error from its first line to
 * its last.
 * @param {LogRecord[]} records
 * @returns {Line[]}
 */
export function logLines(records) {
  /** @type {Map<string, {pen: import("../elements/terminal.mjs").Pen, inTraceback: boolean}>} */
  const streams = new Map();
  /** @type {Map<string, number>} */
  const seen = new Map();
  return records.map((record) => {
    const from = `${record.runner} ${record.request} ${record.stream}`;
    const stream = streams.get(from) ?? { pen: newPen(), inTraceback: false };
    streams.set(from, stream);
    const runs = terminalLine(namedCells(record.text), stream.pen);
    const plain = textOfRuns(runs);
    let level = levelOf(plain);
    const goesOn = stream.inTraceback;
    if (goesOn) {
      level = 3;
      stream.inTraceback = /^(\s|$)/.test(plain);
    } else if (/^\s*Traceback \(most recent call last\)/.test(plain)) {
      level = 3;
      stream.inTraceback = true;
    }
    const name = `${record.time} ${from} ${record.text.length}`;
    const copies = seen.get(name) ?? 0;
    seen.set(name, copies + 1);
    return { key: `${name} ${copies}`, record, level, goesOn, runs, plain };
  });
}

/**
 * @param {HTMLElement} root
 * @param {import("../types.d.ts").Host} host
 * @param {{alias: string, runner?: string, request?: string}} options
 * @param {AbortSignal} signal
 */
export function logsPanel(root, host, options, signal) {
  const { alias } = options;
  /** @type {Line[]} */
  let lines = host.picture?.logs ? logLines(host.picture.logs) : [];
  let runner = options.runner ?? "";
  let request = options.request ?? "";
  let known = "";
  let busy = false;
  let paused = false;
  let follows = true;
  let newest = ""; // key of the last line that was seen at the end

  const filter = h("input", {
    class: "fj-input fj-logs-filter",
    type: "search",
    placeholder: "Filter",
    "aria-label": "Filter the lines",
    oninput: () => show(),
  });
  const levels = h(
    "select",
    { class: "fj-input fj-logs-choice", "aria-label": "Level", id: newId(), onchange: () => show() },
    LEVELS.map(([value, word]) => h("option", { value }, word)),
  );
  const runners = h("select", {
    class: "fj-input fj-logs-choice",
    "aria-label": "Runner",
    id: newId(),
    onchange: () => ((runner = runners.value), ask()),
  });
  const requests = h("select", {
    class: "fj-input fj-logs-choice",
    "aria-label": "Request",
    id: newId(),
    onchange: () => ((request = requests.value), ask()),
  });
  const told = h("span", { class: "fj-muted", role: "status" });
  const follow = button("Follow", () => setFollow(!follows), {
    "aria-pressed": "true",
    title: "Stay at the last line",
    class: "fj-choice",
  });
  const pause = iconButton(
    "pause",
    "Pause",
    () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      replace(pause, glyph(paused ? "play" : "pause"));
      if (!paused) look();
    },
    { "aria-pressed": "false" },
  );
  const place = h("pre", {
    class: "fj-log fj-terminal",
    tabIndex: 0,
    role: "log",
    "aria-live": "off",
    "aria-label": `what ${alias} prints`,
    onscroll: () => {
      if (!resized() && isAtEnd() !== follows) setFollow(isAtEnd());
    },
  });
  root.append(
    h(
      "div",
      { class: "fj-bar-row fj-logs-bar" },
      filter,
      levels,
      runners,
      requests,
      h("span", { class: "fj-space" }),
      told,
      follow,
      iconButton("copy", "Copy the lines", () => host.copy(place.textContent ?? "")),
      pause,
    ),
    place,
  );

  let size = "";
  /** Whether the box has another size than before, so that its scrolling was nobody's wish. */
  const resized = () => {
    const now = `${place.clientWidth} ${place.clientHeight}`;
    if (now === size) return false;
    size = now;
    if (follows) place.scrollTop = place.scrollHeight;
    return true;
  };
  if (typeof ResizeObserver !== "undefined") {
    const observer = new ResizeObserver(resized);
    observer.observe(place);
    signal.addEventListener("abort", () => observer.disconnect());
  }
  const isAtEnd = () => place.scrollTop + place.clientHeight >= place.scrollHeight - 8;
  const setFollow = (/** @type {boolean} */ wanted) => {
    follows = wanted;
    follow.setAttribute("aria-pressed", String(follows));
    if (follows) place.scrollTop = place.scrollHeight;
    tell();
  };
  const shownLines = () => {
    const wanted = filter.value.toLowerCase();
    const least = Number(levels.value);
    return lines.filter(
      (one) =>
        one.level >= least &&
        (!runner || one.record.runner === runner) &&
        (!request || one.record.request === request) &&
        (!wanted || one.plain.toLowerCase().includes(wanted)),
    );
  };
  const tell = () => {
    const found = shownLines();
    if (follows) newest = found.at(-1)?.key ?? "";
    const fresh = follows ? 0 : found.length - 1 - found.findIndex((one) => one.key === newest);
    const cut =
      host.kind === "saved" && found.length && found.length === lines.length
        ? `the last ${plural(lines.length, "line")}, as saved`
        : lines.length >= LINES && found.length === lines.length
          ? `the last ${plural(LINES, "line")}`
          : found.length < lines.length
            ? `${found.length} of ${plural(lines.length, "line")}`
            : "";
    setText(told, fresh > 0 && newest ? `${fresh} new` : cut);
  };

  const show = () => {
    const wanted = filter.value.toLowerCase();
    const found = shownLines();
    const top = place.scrollTop;
    if (found.length)
      update(
        place,
        found.map((one) => logLineView(one, wanted)),
      );
    else update(place, lines.length ? "No line fits the filter.\n" : nothing());
    place.scrollTop = follows ? place.scrollHeight : top;
    tell();
    fillChoice(
      runners,
      [
        ["", "all runners"],
        ...logNames(
          lines.map((one) => one.record.runner),
          runner,
        )
          .sort(byNumber)
          .map((name) => /** @type {[string, string]} */ ([name, `runner ${runnerName(name)}`])),
      ],
      runner,
    );
    fillChoice(
      requests,
      [
        ["", "all requests"],
        ...logNames(
          lines.map((one) => one.record.request),
          request,
        )
          .reverse()
          .map((id) => /** @type {[string, string]} */ ([id, requestWords(id)])),
      ],
      request,
    );
  };
  const nothing = () => {
    const app = /** @type {import("../types.d.ts").KnownApp | undefined} */ (
      host.store.view.apps.find((one) => one.alias === alias)
    );
    if (host.kind === "saved") return "No line was saved. New lines come here when the cell has run.\n";
    if (!app || app.gone)
      return "What the app printed ended with the kernel. New lines come here when its cell has run.\n";
    return app.state === "Stopped"
      ? "The app printed nothing. Start it to see what it prints.\n"
      : "Nothing was printed yet. What setup() and the endpoints print appears here.\n";
  };
  const requestWords = (/** @type {string} */ id) => {
    const known = host.store.view.requests.find((one) => one.id === id);
    return known ? `${known.path} ${clock(known.began, false)}` : id.slice(0, 8);
  };
  const ask = () => {
    known = "";
    show();
    look();
  };

  const fetchLines = async () => {
    const app = /** @type {import("../types.d.ts").KnownApp | undefined} */ (
      host.store.view.apps.find((one) => one.alias === alias)
    );
    const now = app ? `${app.log} ${runner} ${request}` : "";
    if (!lines.length) show(); // what is said of it depends on how the app stands
    if (busy || paused || host.kind === "saved" || !app || app.gone || now === known) return;
    busy = true;
    known = now;
    try {
      const query = { lines: String(LINES), ...(request ? { request } : {}), ...(runner ? { runner } : {}) };
      lines = logLines(await askJson(host, "GET", `apps/${encodeURIComponent(alias)}/logs`, { query, signal }));
      busy = false;
      if (!signal.aborted) show();
    } catch (error) {
      busy = false;
      if (!signal.aborted) setText(told, error instanceof Error ? error.message : String(error));
    }
    if (`${host.store.view.apps.find((one) => one.alias === alias)?.log} ${runner} ${request}` !== known) look();
  };
  const look = scheduler(root, signal, fetchLines);
  signal.addEventListener("abort", host.store.watch(look));
  show();
  look();
}

/** @param {Line} one @param {string} wanted */
function logLineView(one, wanted) {
  const { record, level } = one;
  const word = one.goesOn ? "" : record.stream === 0 ? STREAMS[0] : LEVEL_WORDS[level] || STREAMS[record.stream] || "";
  return h(
    "span",
    { class: `fj-log-line fj-level-${level}`, dataset: { key: one.key } },
    h("span", { class: "fj-muted" }, `${clock(record.time * 1000)} `),
    h("span", { class: "fj-muted" }, record.runner ? `runner ${runnerName(record.runner)} ` : ""),
    h(
      "span",
      { class: `fj-log-word ${level === 3 ? "fj-failed" : level === 2 ? "fj-setup" : "fj-muted"}` },
      word ? `${word} ` : "",
    ),
    h("span", null, runNodes(one.runs, wanted)),
    "\n",
  );
}

/** Different names in their order, the chosen one always. @param {string[]} all @param {string} chosen */
function logNames(all, chosen) {
  return [...new Set([...all, chosen])].filter(Boolean);
}

/**
 * Give a select its options where they are others than before.
 * @param {any} select
 * @param {[string, string][]} options
 * @param {string} chosen
 */
function fillChoice(select, options, chosen) {
  const now = JSON.stringify(options);
  if (select.dataset.options !== now) {
    select.dataset.options = now;
    replace(
      select,
      options.map(([value, word]) => h("option", { value }, word)),
    );
  }
  select.value = chosen;
}
