// @ts-check
/** A stream of events while it comes: its text joined, its events, or its raw lines, in a box of fixed height. */
import { h, replace, setText } from "../elements/dom.mjs";
import { bytes, count, duration, plural, rate } from "../text/format.mjs";
import { jsonTree } from "../elements/json_view.mjs";
import { parsedJson } from "../text/exact_json.mjs";
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

/**
 * What stands beside the text in the events of language models: with anything else the event is a record, whose text
 * is one value among others.
 */
const BESIDE_TEXT = new Set(
  (
    "text content id object created created_at model index type event role done finished finish_reason stop " +
    "stop_reason special logprob logprobs usage details generated_text system_fingerprint"
  ).split(" "),
);

/** What a stream was shown as last, by what it is of. @type {Map<string, string>} */
const chosenViews = new Map();

/** Whether a body of that type is shown as a stream of events. @param {string} type */
export function isEventStream(type) {
  return /^(text\/event-stream|application\/(x-)?(ndjson|jsonl))/i.test(type);
}

/** The piece of text that one event adds, null where it is a record. @param {any} event @returns {string | null} */
export function textOfEvent(event) {
  if (typeof event === "string") return event;
  if (event === null || typeof event !== "object") return null;
  const choice = Array.isArray(event.choices) ? event.choices[0] : undefined;
  const isPiece = Object.keys(event).every((key) => BESIDE_TEXT.has(key));
  const places = [
    choice?.delta?.content,
    choice?.text,
    event.delta,
    event.delta?.text,
    event.delta?.content,
    event.token,
    event.token?.text,
    ...(isPiece ? [event.text, event.content] : []),
  ];
  return places.find((one) => typeof one === "string") ?? null;
}

/** Whether a text is of several words, with nothing at its ends that would part it from others. @param {string} text */
function isSentence(text) {
  return /\s/.test(text) && text === text.trim();
}

/**
 * @param {string} [type] of the body
 * @param {import("../types.d.ts").Host} [host]
 * @param {AbortSignal} [signal]
 * @param {string} [of] the app and endpoint whose streams are shown alike: as the user chose last
 */
export function streamView(
  type = "text/event-stream",
  host = undefined,
  signal = new AbortController().signal,
  of = "",
) {
  return new StreamView(type, host, signal, of);
}

class StreamView {
  joined = "";
  joinedSize = 0;

  /** each event on a line */
  lined = "";
  linedSize = 0;

  /** every piece of text is a sentence of its own */
  sentences = true;

  /**
   * @param {string} [type] of the body
   * @param {import("../types.d.ts").Host} [host]
   * @param {AbortSignal} [signal]
   * @param {string} [of] the app and endpoint whose streams are shown alike: as the user chose last
   */
  constructor(type = "text/event-stream", host = undefined, signal = new AbortController().signal, of = "") {
    this.of = of;
    this.type = type;
    this.host = host;
    this.signal = signal;
    this.ends = /event-stream/i.test(this.type) ? /\r?\n\r?\n|\r\r/ : /\r?\n/;
    this.decoder = new TextDecoder();

    /** @type {{at: number, data: string, value: any, isJson: boolean}[]} those that are not listed yet */
    this.unlisted = [];
    this.rest = "";
    this.raw = "";
    this.rawSize = 0;
    this.events = 0;
    this.withText = 0;
    this.first = 0;
    this.last = 0;
    this.times = ""; // first event and rate by the request's own times, once it is over
    this.chosen = "";
    this.pressed = chosenViews.has(this.of);

    /** @type {any} the last event's value */
    this.latest = null;
    this.shownMedia = "";

    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;

    this.message = h(
      "span",
      { class: "fj-muted", role: "status", "aria-live": "off" },
      "waiting for the first event …",
    );
    this.note = h("span", { class: "fj-muted" });
    this.text = h("div", { class: "fj-stream-text" });
    this.list = h("ol", { class: "fj-stream-events" });
    this.lines = h("pre", { class: "fj-stream-raw" });
    this.box = h(
      "div",
      { class: "fj-stream-box", tabIndex: 0, role: "region", "aria-label": "what came" },
      this.text,
      this.list,
      this.lines,
    );
    this.media = h("div", { class: "fj-stream-media" });
    this.choices = this.choiceButtons();
    this.element = h(
      "div",
      { class: "fj-stream" },
      h(
        "div",
        { class: "fj-bar-row" },
        h("span", { class: "fj-choices", role: "group", "aria-label": "show the stream as" }, this.choices),
        h("span", { class: "fj-space" }),
        this.message,
      ),
      this.box,
      this.note,
      this.media,
    );

    this.choose(chosenViews.get(this.of) ?? "text");
  }

  choiceButtons() {
    return STREAM_VIEWS.map(([name, label]) =>
      h(
        "button",
        {
          type: "button",
          class: "fj-choice",
          dataset: { view: name },
          onclick: () => this.press(name),
        },
        label,
      ),
    );
  }

  press(/** @type {string} */ name) {
    this.pressed = true;
    if (this.of) chosenViews.set(this.of, name);
    this.choose(name);
  }

  choose(/** @type {string} */ name) {
    this.chosen = name;
    for (const one of this.choices) one.setAttribute("aria-pressed", String(one.dataset.view === name));
    this.text.hidden = name !== "text";
    this.list.hidden = name !== "events";
    this.lines.hidden = name !== "raw";
    this.draw();
    this.box.scrollTop = this.box.scrollHeight;
  }

  take(/** @type {string} */ written) {
    const sse = /event-stream/i.test(this.type);
    const data = sse
      ? written
          .split(/\r?\n|\r/)
          .filter((line) => line.startsWith("data:"))
          .map((line) => line.slice(5).replace(/^ /, ""))
          .join("\n")
      : written.trim();
    if (!data) return;
    this.events += 1;
    this.last = Date.now();
    this.first ||= this.last;
    let value = /** @type {any} */ (data);
    let isJson = true;
    try {
      value = parsedJson(data);
    } catch {
      isJson = false;
    }
    this.addText(isJson ? textOfEvent(value) : data === "[DONE]" ? "" : this.joined ? `\n${data}` : data, data);
    if (value !== null && typeof value === "object") this.latest = value;
    this.unlisted.push({ at: this.events, data, value, isJson });
    if (this.unlisted.length > LISTED_EVENTS) this.unlisted = this.unlisted.slice(-LISTED_EVENTS);
  }

  /** @param {string | null} added the piece of text in an event, null for a record @param {string} data of the event */
  addText(added, data) {
    if (added !== null) {
      this.withText += 1;
      this.joinedSize += added.length;
      this.joined = (this.joined + added).slice(-KEPT_STREAM);
      this.sentences &&= added === "" || isSentence(added);
    }
    const line = added ?? data;
    if (!line) return;
    this.linedSize += line.length + 1;
    this.lined = `${this.lined}${this.lined ? "\n" : ""}${line}`.slice(-KEPT_STREAM);
  }

  /** Whether most events are pieces of a text; else they are records, which are listed first. */
  isText() {
    return this.withText * 2 > this.events;
  }

  /** The text, and how long all of it was: records and whole sentences stand on lines, pieces are joined. */
  textShown() {
    return this.isText() && !this.sentences
      ? { text: this.joined, size: this.joinedSize }
      : { text: this.lined, size: this.linedSize };
  }

  row(/** @type {{at: number, data: string, value: any, isJson: boolean}} */ one) {
    const words = h("span", { class: "fj-mono fj-cut" }, plainText(one.data.slice(0, 300)));
    const number = h("span", { class: "fj-muted fj-number" }, count(one.at));
    if (!one.isJson || one.value === null || typeof one.value !== "object")
      return h("li", { class: "fj-stream-event" }, number, words);
    const whole = h("div", { class: "fj-json" });
    const details = h("details", null, h("summary", null, number, words), whole);
    details.addEventListener("toggle", () => whole.append(jsonTree(one.value, null, 0)), { once: true });
    return h("li", null, details);
  }

  draw = () => {
    clearTimeout(this.timer);
    this.timer = undefined;
    const atEnd = this.box.scrollTop + this.box.clientHeight >= this.box.scrollHeight - 8;
    const shown = this.textShown();
    if (this.chosen === "text") setText(this.text, plainText(shown.text));
    if (this.chosen === "raw") setText(this.lines, plainText(this.raw));
    for (const one of this.unlisted) this.list.append(this.row(one));
    this.unlisted = [];
    while (this.list.childElementCount > LISTED_EVENTS) this.list.firstElementChild?.remove();
    if (atEnd) this.box.scrollTop = this.box.scrollHeight;
    if (this.events)
      setText(this.message, [plural(this.events, "event"), this.times || this.rateSoFar()].filter(Boolean).join(" · "));
    const cut = {
      text:
        shown.size > shown.text.length + 1
          ? `the last ${bytes(shown.text.length)} of ${bytes(shown.size)} of text are shown`
          : "",
      events:
        this.events > LISTED_EVENTS ? `the last ${LISTED_EVENTS} of ${plural(this.events, "event")} are listed` : "",
      raw:
        this.rawSize > this.raw.length ? `the last ${bytes(this.raw.length)} of ${bytes(this.rawSize)} are shown` : "",
    }[this.chosen];
    setText(this.note, cut ?? "");
    const media = this.latest === null ? [] : mediaIn(this.latest);
    const now = media.map((one) => one.address).join(" ");
    if (now && now !== this.shownMedia) {
      this.shownMedia = now;
      replace(this.media, mediaGallery(media, this.host, this.signal));
    }
  };

  /** Between the first event and the last there is one pause less than events. */
  rateSoFar() {
    const seconds = (this.last - this.first) / 1000;
    return seconds > 0.2 ? rateWords(this.events - 1, seconds) : "";
  }

  later() {
    if (!this.events) return;
    const first = this.isText() ? "text" : "events";
    if (!this.pressed && this.chosen !== first) this.choose(first);
    else this.timer ??= setTimeout(this.draw, REDRAW);
  }

  /** @param {Uint8Array} piece */
  push(piece) {
    const come = this.decoder.decode(piece, { stream: true });
    this.rawSize += come.length;
    this.raw = (this.raw + come).slice(-KEPT_STREAM);
    const parts = (this.rest + come).split(this.ends);
    this.rest = parts.pop() ?? "";
    for (const one of parts) this.take(one);
    this.later();
  }

  end() {
    if (this.rest) this.take(this.rest);
    this.rest = "";
    this.later();
    this.draw();
    if (!this.events) setText(this.message, "no event came");
  }

  /**
   * The times of the request, which are the truth where the page was opened later.
   * @param {import("../types.d.ts").RequestState} request
   */
  finish(request) {
    if (!this.events) return;
    const seconds = request.stream_ms / 1000;
    this.message.setAttribute("aria-live", "polite"); // while it came, ten changes a second were for eyes only
    this.times = [
      `first after ${duration(request.total_ms - request.stream_ms)}`,
      seconds > 0 && this.events > 1 ? rateWords(this.events - 1, seconds) : "",
    ]
      .filter(Boolean)
      .join(" · ");
    this.draw();
  }
}

/** @param {number} events @param {number} seconds */
function rateWords(events, seconds) {
  return rate(events / seconds).replace("/s", " events/s");
}
