// @ts-check
/**
 * The form of one endpoint, and what was typed into the forms of an app: it outlives a change of the schema and the
 * card of a cell that runs again.
 */
import { h, newId } from "../elements/dom.mjs";
import { shortText } from "../text/plain.mjs";
import { parametersOf } from "../text/signature.mjs";
import { control, objectForm } from "./form.mjs";
import { beginRows, fieldRow } from "./form_field.mjs";
import { endpointSchema, isForm, mediaKind, schemaTexts } from "./schema.mjs";

/** @typedef {import("./form_field.mjs").Control} Control */
/**
 * `which`: the example of the whole body that it was filled with, -1 for none; `bodyFirst`: the method has the body
 * before the parameters of query and path.
 * @typedef {{text: string, takes: ReturnType<typeof endpointSchema>, form: Control, query: Control | null, which:
 *   number, bodyFirst: boolean}} EndpointForm
 */
/**
 * The forms of an app by their endpoints' paths, and the path that is chosen.
 * @typedef {{path: string, forms: Map<string, EndpointForm>, changed: () => void}} Draft
 */

const MADE_BY_FASTAPI = new Set([
  "Request",
  "Response",
  "WebSocket",
  "HTTPConnection",
  "BackgroundTasks",
  "SecurityScopes",
]);
const OUTSIDE = /\b(?:Header|Cookie|Depends|Security)\(/;

/** By app, of the panels that were taken away. @type {Map<string, Draft>} */
const drafts = new Map();

/**
 * What was typed into the forms of an app before, which the caller has to itself.
 * @param {string} alias
 * @returns {Draft}
 */
export function takeDraft(alias) {
  const draft = drafts.get(alias);
  drafts.delete(alias);
  return draft ?? { path: "", forms: new Map(), changed: () => undefined };
}

/** Keep it for the next panel of the app. @param {string} alias @param {Draft} draft */
export function keepDraft(alias, draft) {
  draft.changed = () => undefined;
  drafts.set(alias, draft);
}

/**
 * Make the form of an endpoint. Fields of a `former` form that were changed keep their values where they are the same
 * in `schema`.
 * @param {any} schema the app's OpenAPI document
 * @param {string} path
 * @param {string} signature of the endpoint's method
 * @param {{changed: () => void, former?: EndpointForm, which?: number}} how
 * @returns {EndpointForm}
 */
export function endpointForm(schema, path, signature, { changed, former, which = 0 }) {
  const takes = endpointSchema(schema, path);
  const { whole: text } = schemaTexts([takes, signature], schema);
  if (former?.text === text) return former;
  const how = { changed, required: true, examples: which >= 0, inJson: !isForm(takes.encoding) };
  const example = which >= 0 ? takes.examples[which]?.value : undefined;
  const query = Object.keys(takes.query.properties).length
    ? objectForm(takes.query, schema, { ...how, former: former?.query?.rows })
    : null;
  const body = takes.schema;
  const inside = { ...how, former: former?.form.rows };
  /** @type {Control} */
  let form;
  if (!takes.hasBody && query) form = { ...objectForm(body, schema, how), element: h("span") };
  else if (body.type === "object" && body.properties && !body.nullable && !mediaKind(body))
    form = objectForm(body, schema, inside);
  else {
    const name =
      loneName(signature, takes.query.properties, body) || String(body.title ?? body.model ?? "input").toLowerCase();
    const required = !body.nullable && body.default === undefined;
    const row = fieldRow(schemaTexts([body, name], schema), inside.former?.get(""), () => {
      const id = newId();
      const one = control(body, schema, { ...how, id, name, required });
      return {
        control: one,
        nodes: [
          h(
            "label",
            { class: "fj-mono", htmlFor: id },
            name,
            required ? h("span", { class: "fj-required", title: "required" }, " *") : null,
          ),
          one.element,
        ],
      };
    });
    form = { ...row.control, element: h("div", { class: "fj-form" }, row.nodes), rows: new Map([["", row]]) };
  }
  beginRows(form.rows ?? new Map(), example);
  if (query) beginRows(query.rows ?? new Map(), undefined);
  return { text, takes, form, query, which, bodyFirst: isBodyFirst(signature, takes.query.properties, body) };
}

/**
 * Fill a form with what a call was made with: that stays when the schema changes, also where it is what a field begins
 * with. Without a value the body stays as it begins.
 * @param {EndpointForm} made
 * @param {any} value
 * @param {Record<string, any>} asked
 * @returns {string[]} the values that the form cannot have any more, since the endpoint changed: `tint "opal"`
 */
export function fillForm({ form, query }, value, asked) {
  if (value !== undefined) form.write(value);
  query?.write(asked);
  for (const row of [...(form.rows?.values() ?? []), ...(query?.rows?.values() ?? [])]) row.start = null;
  return [...lostValues(value, form.read()), ...lostValues(asked, query?.read())];
}

/** The plain values of a record that another does not have. @param {any} wanted @param {any} has @returns {string[]} */
function lostValues(wanted, has) {
  const isPlain = (/** @type {any} */ one) => ["string", "number", "boolean"].includes(typeof one);
  if (wanted === null || typeof wanted !== "object" || Array.isArray(wanted)) return [];
  return Object.entries(wanted)
    .filter(([name, one]) => isPlain(one) && (has?.[name] == null || isPlain(has[name])))
    .filter(([name, one]) => one !== "" && String(has?.[name]) !== String(one))
    .map(([name, one]) => `${name} ${shortText(JSON.stringify(one), 40)}`);
}

/**
 * Whether FastAPI takes a parameter from elsewhere than query, path and body: it makes it itself, or reads a header.
 * @param {{text: string, hint: string}} parameter
 * @param {any} body
 */
function isOutsideForm({ text, hint }, body) {
  const type = hint.replace(/['"]/g, "").split("|")[0].trim().split(".").pop() ?? "";
  return OUTSIDE.test(text) || (MADE_BY_FASTAPI.has(type) && type !== body.title && type !== body.model);
}

/**
 * Whether the first parameter of the form is part of the body.
 * @param {string} signature
 * @param {Record<string, any>} others parameters of query and path
 * @param {any} body
 */
function isBodyFirst(signature, others, body) {
  const first = parametersOf(signature).find((one) => !isOutsideForm(one, body));
  return first !== undefined && !(first.name in others) && !/\b(?:Query|Path)\(/.test(first.text);
}

/**
 * The one parameter that is the whole body, by the method's signature.
 * @param {string} signature
 * @param {Record<string, any>} others parameters of query and path
 * @param {any} body
 */
function loneName(signature, others, body) {
  const left = parametersOf(signature).filter((one) => !(one.name in others) && !isOutsideForm(one, body));
  return left.length === 1 ? left[0].name : "";
}
