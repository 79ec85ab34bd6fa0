// @ts-check
/** Requests that wait for a runner: how long, and what for. */
import { h } from "../elements/dom.mjs";
import { clockNow } from "../connection/store.mjs";
import { count, duration, pathText, runnerName, runningTime } from "../text/format.mjs";
import { iconButton } from "../elements/glyphs.mjs";
import { plainText } from "../text/plain.mjs";

/** @typedef {import("../types.d.ts").AppState} AppState */
/** @typedef {import("../types.d.ts").View} View */

/**
 * What a request waits for, in a few words.
 * @param {AppState} app
 * @param {number} place in the app's queue, from 0
 * @param {number} now
 */
export function waitsFor(app, place, now) {
  const inState = (/** @type {string[]} */ ...states) => app.runners.filter((one) => states.includes(one.state));
  const serving = inState("IDLE", "RUNNING");
  const starting = inState("SETUP", "PENDING");
  // the first in the queue get the runners that start
  const next = starting[Math.floor(place / Math.max(1, app.scaling.max_multiplexing ?? 1))];
  if (next) {
    const name = `runner ${plainText(runnerName(next.id))}`;
    const passed = Math.max(0, now - next.since);
    if (next.state === "PENDING") return `${name}, not started yet`;
    return app.setup_ms > passed
      ? `${name}, about ${duration(app.setup_ms - passed)} left`
      : `${name}, in setup for ${duration(passed)}`;
  }
  if (serving.length)
    return serving.length === 1
      ? `runner ${plainText(runnerName(serving[0].id))}, busy`
      : `one of ${serving.length} runners, all busy`;
  const again = app.failure?.retry_at ?? 0;
  if (app.state === "Failing")
    return again > now ? `back-off, retry in ${duration(again - now)}` : "the next start attempt";
  return plainText(app.reason).replace(/^waits for /, "") || "a runner";
}

/**
 * The queues of all apps as one table.
 * @param {View} view
 * @param {(id: string) => void} cancel
 */
export function queueTable(view, cancel) {
  const waiting = view.apps.reduce((sum, app) => sum + app.waiting, 0);
  const now = clockNow(view);
  const rows = view.apps.flatMap((app) =>
    app.queue.map((one, place) => {
      const path = plainText(pathText(one.path));
      const words = waitsFor(app, place, now);
      return h(
        "tr",
        { dataset: { key: one.id } },
        h("td", null, String(place + 1)),
        h(
          "td",
          { class: "fj-cut" },
          h("div", { class: "fj-cut", title: plainText(app.alias) }, plainText(app.alias)),
          h("div", { class: "fj-label fj-mono fj-cut", title: path }, path),
        ),
        h(
          "td",
          { class: app.state === "Failing" ? "fj-failed" : "fj-muted", title: plainText(app.reason) || null },
          words,
        ),
        h("td", { class: "fj-number" }, runningTime(now - one.since)),
        h(
          "td",
          null,
          iconButton("close", `Cancel ${path}`, () => cancel(one.id)),
        ),
      );
    }),
  );
  if (!rows.length) return h("p", { class: "fj-empty" }, "No request is waiting.");
  const heads = [
    ["#", "fj-c-place"],
    ["App", ""],
    ["Waits for", "fj-c-for"],
    ["Wait", "fj-c-wait fj-number"],
    ["", "fj-c-cancel"],
  ];
  return [
    h(
      "table",
      { class: "fj-table fj-queue" },
      h("caption", { class: "fj-visually-hidden" }, "Waiting requests of each app, first in line first"),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          heads.map(([name, kind]) =>
            h("th", { scope: "col", class: kind }, name || h("span", { class: "fj-visually-hidden" }, "Actions")),
          ),
        ),
      ),
      h("tbody", null, rows),
    ),
    rows.length < waiting
      ? h("p", { class: "fj-bar-row fj-muted" }, `${rows.length} of ${count(waiting)} shown, the first of each app`)
      : null,
  ];
}

/** The longest time that a request waits by now, 0 where none does. @param {View} view */
export function longestWait(view) {
  const now = clockNow(view);
  return Math.max(0, ...view.apps.flatMap((app) => app.queue.map((one) => now - one.since)));
}

/** How many wait, and the longest. @param {View} view */
export function allQueuesWords(view) {
  const waiting = view.apps.reduce((sum, app) => sum + app.waiting, 0);
  return waiting ? `${count(waiting)} waiting, longest ${runningTime(longestWait(view))}` : "";
}
