// @ts-check
/** A stream of events while it comes: its text joined, its events, or its raw lines, in a box of fixed height. */
import { h, replace, setText } from "../elements/dom.mjs";
import { bytes, count, duration, plural, rate } from "../text/format.mjs";
import { jsonTree, parsedJson } from "../elements/json_view.mjs";
import { mediaGallery, mediaIn } from "./media.mjs";
import { plainText } from "../text/plain.mjs";

const LISTED_EVENTS = 500;
const KEPT_STREAM = 200000; // characters of joined text, and of raw lines
const REDRAW = 100;
const STREAM_VIEWS = [
  ["text", "Text"],
  ["events", "Events"],
  ["raw", "Raw"],
];

/** Whether a body of that type is shown as a stream of events. @param {string} type */
export function isEventStream(type) {
  return /^(text\/event-stream|application\/(x-)?(ndjson|jsonl))/i.test(type);
}

/** The text that one event adds, null where it has none. @param {any} event @returns {string | null} */
export function textOfEvent(event) {
  if (typeof event === "string") return event;
  if (event === null || typeof event !== "object") return null;
  const choice = Array.isArray(event.choices) ? event.choices[0] : undefined;
  const places = [
    choice?.delta?.content,
    choice?.text,
    event.text,
    event.delta,
    event.delta?.text,
    event.delta?.content,
    event.token,
    event.token?.text,
    event.content,
  ];
  return places.find((one) => typeof one === "string") ?? null;
}

/**
 * @param {string} [type] of the body
 * @param {import("../types.d.ts").Host} [host]
 * @param {AbortSignal} [signal]
 */
export function streamView(type = "text/event-stream", host = undefined, signal = new AbortController().signal) {
  const ends = /event-stream/i.test(type) ? /\r?\n\r?\n|\r\r/ : /\r?\n/;
  const decoder = new TextDecoder();
  /** @type {{at: number, data: string, value: any, isJson: boolean}[]} those that are not listed yet */
  let fresh = [];
  let rest = "";
  let joined = "";
  let joinedSize = 0;
  let raw = "";
  let rawSize = 0;
  let events = 0;
  let withText = 0;
  let first = 0;
  let last = 0;
  let chosen = "";
  let pressed = false;
  /** @type {any} the last event's value */
  let latest = null;
  let shownMedia = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const told = h("span", { class: "fj-muted", role: "status", "aria-live": "off" }, "waiting for the first event …");
  const note = h("span", { class: "fj-muted" });
  const text = h("div", { class: "fj-stream-text" });
  const list = h("ol", { class: "fj-stream-events" });
  const lines = h("pre", { class: "fj-stream-raw" });
  const box = h(
    "div",
    { class: "fj-stream-box", tabIndex: 0, role: "region", "aria-label": "what came" },
    text,
    list,
    lines,
  );
  const media = h("div", { class: "fj-stream-media" });
  const choices = STREAM_VIEWS.map(([name, label]) =>
    h(
      "button",
      { type: "button", class: "fj-choice", dataset: { view: name }, onclick: () => ((pressed = true), choose(name)) },
      label,
    ),
  );
  const element = h(
    "div",
    { class: "fj-stream" },
    h(
      "div",
      { class: "fj-bar-row" },
      h("span", { class: "fj-choices", role: "group", "aria-label": "show the stream as" }, choices),
      h("span", { class: "fj-space" }),
      told,
    ),
    box,
    note,
    media,
  );

  const choose = (/** @type {string} */ name) => {
    chosen = name;
    for (const one of choices) one.setAttribute("aria-pressed", String(one.dataset.view === name));
    text.hidden = name !== "text";
    list.hidden = name !== "events";
    lines.hidden = name !== "raw";
    draw();
    box.scrollTop = box.scrollHeight;
  };

  const take = (/** @type {string} */ written) => {
    const sse = /event-stream/i.test(type);
    const data = sse
      ? written
          .split(/\r?\n|\r/)
          .filter((line) => line.startsWith("data:"))
          .map((line) => line.slice(5).replace(/^ /, ""))
          .join("\n")
      : written.trim();
    if (!data) return;
    events += 1;
    last = Date.now();
    first ||= last;
    let value = /** @type {any} */ (data);
    let isJson = true;
    try {
      value = parsedJson(data);
    } catch {
      isJson = false;
    }
    const added = isJson ? textOfEvent(value) : data === "[DONE]" ? "" : joined ? `\n${data}` : data;
    if (added !== null) {
      withText += 1;
      joinedSize += added.length;
      joined = (joined + added).slice(-KEPT_STREAM);
    }
    if (value !== null && typeof value === "object") latest = value;
    fresh.push({ at: events, data, value, isJson });
    if (fresh.length > LISTED_EVENTS) fresh = fresh.slice(-LISTED_EVENTS);
  };

  const row = (/** @type {{at: number, data: string, value: any, isJson: boolean}} */ one) => {
    const words = h("span", { class: "fj-mono fj-cut" }, plainText(one.data.slice(0, 300)));
    const number = h("span", { class: "fj-muted fj-number" }, count(one.at));
    if (!one.isJson || one.value === null || typeof one.value !== "object")
      return h("li", { class: "fj-stream-event" }, number, words);
    const whole = h("div", { class: "fj-json" });
    const details = h("details", null, h("summary", null, number, words), whole);
    details.addEventListener("toggle", () => whole.append(jsonTree(one.value, null, 0)), { once: true });
    return h("li", null, details);
  };

  const draw = () => {
    clearTimeout(timer);
    timer = undefined;
    const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    if (chosen === "text") setText(text, plainText(joined));
    if (chosen === "raw") setText(lines, plainText(raw));
    for (const one of fresh) list.append(row(one));
    fresh = [];
    while (list.childElementCount > LISTED_EVENTS) list.firstElementChild?.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
    const seconds = (last - first) / 1000;
    if (events)
      setText(
        told,
        [plural(events, "event"), seconds > 0.2 ? rateWords(events, seconds) : ""].filter(Boolean).join(" · "),
      );
    const cut = {
      text:
        joinedSize > joined.length ? `the last ${bytes(joined.length)} of ${bytes(joinedSize)} of text are shown` : "",
      events: events > LISTED_EVENTS ? `the last ${LISTED_EVENTS} of ${plural(events, "event")} are listed` : "",
      raw: rawSize > raw.length ? `the last ${bytes(raw.length)} of ${bytes(rawSize)} are shown` : "",
    }[chosen];
    setText(note, cut ?? "");
    const found = latest === null ? [] : mediaIn(latest);
    const now = found.map((one) => one.address).join(" ");
    if (now && now !== shownMedia) {
      shownMedia = now;
      replace(media, mediaGallery(found, host, signal));
    }
  };

  const later = () => {
    if (!events) return;
    if (!pressed && chosen !== (withText ? "text" : "events")) choose(withText ? "text" : "events");
    else timer ??= setTimeout(draw, REDRAW);
  };

  choose("text");
  return {
    element,
    /** @param {Uint8Array} piece */
    push(piece) {
      const come = decoder.decode(piece, { stream: true });
      rawSize += come.length;
      raw = (raw + come).slice(-KEPT_STREAM);
      const parts = (rest + come).split(ends);
      rest = parts.pop() ?? "";
      for (const one of parts) take(one);
      later();
    },
    end() {
      if (rest) take(rest);
      rest = "";
      later();
      draw();
      if (!events) setText(told, "no event came");
    },
    /**
     * The times of the request, which are the truth where the page was opened later.
     * @param {import("../types.d.ts").RequestState} request
     */
    finish(request) {
      if (!events) return;
      const seconds = request.stream_ms / 1000;
      told.setAttribute("aria-live", "polite"); // while it came, ten changes a second were for eyes only
      setText(
        told,
        [
          plural(events, "event"),
          `first after ${duration(request.total_ms - request.stream_ms)}`,
          seconds > 0 && events > 1 ? rateWords(events - 1, seconds) : "",
        ]
          .filter(Boolean)
          .join(" · "),
      );
    },
  };
}

/** @param {number} events @param {number} seconds */
function rateWords(events, seconds) {
  return rate(events / seconds).replace("/s", " events/s");
}
