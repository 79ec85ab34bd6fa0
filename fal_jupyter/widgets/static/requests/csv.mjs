// @ts-check
/** Requests as a file for a spreadsheet. */
import { pathText } from "../text/format.mjs";
import { requestLook } from "../elements/glyphs.mjs";
import { totalOf } from "../elements/phases.mjs";

/** @typedef {import("../types.d.ts").RequestState} RequestState */

/** @type {[string, (request: RequestState) => string | number | boolean][]} */
const CSV_COLUMNS = [
  ["id", (one) => one.id],
  ["app", (one) => one.alias],
  ["method", (one) => one.method],
  ["path", (one) => pathText(one.path)],
  ["began", (one) => new Date(one.began).toISOString()],
  ["state", (one) => requestLook(one).word],
  ["status", (one) => one.status || ""],
  ["total_ms", (one) => one.total_ms],
  ["queue_ms", (one) => one.queue_ms],
  ["start_ms", (one) => one.start_ms],
  ["transfer_ms", (one) => one.transfer_ms],
  ["run_ms", (one) => one.run_ms],
  ["stream_ms", (one) => one.stream_ms],
  ["cold", (one) => one.cold],
  ["runner", (one) => one.runner],
  ["revision", (one) => one.revision || ""],
  ["origin", (one) => one.origin],
  ["bytes_in", (one) => one.bytes_in],
  ["bytes_out", (one) => one.bytes_out],
  ["error", (one) => one.error],
];

/**
 * One field as RFC 4180 has it; text that a spreadsheet would take for a formula begins with an apostrophe (OWASP, "CSV
 * Injection").
 * @param {string | number | boolean} value
 */
export function csvField(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

/**
 * @param {RequestState[]} requests
 * @param {number} now those on their way have lasted so long (wall clock in milliseconds)
 */
export function requestsCsv(requests, now) {
  const rows = requests.map((one) =>
    CSV_COLUMNS.map(([name, value]) =>
      csvField(name === "total_ms" && one.state !== "done" ? Math.round(totalOf(one, now)) : value(one)),
    ),
  );
  return [CSV_COLUMNS.map(([name]) => name), ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

/** Let the browser save a text as a file. @param {string} name @param {string} type @param {string} text */
export function saveText(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link); // Firefox follows only links of the page
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
