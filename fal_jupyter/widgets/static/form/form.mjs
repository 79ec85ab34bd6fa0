// @ts-check
/**
 * A form made from a JSON schema: what an endpoint takes, field by field, filled with its examples, validated as typed.
 */
import { h, newId, replace, setText } from "../elements/dom.mjs";
import { asText, emptyValue, fieldFrame, fieldRow } from "./form_field.mjs";
import { fileControl, manyFiles } from "./form_file.mjs";
import { numberControl } from "./form_number.mjs";
import { parsedJson, writtenJson } from "../text/exact_json.mjs";
import { glyph, iconButton } from "../elements/glyphs.mjs";
import { examplesOf, fieldMedia, fitsSchema, problemOf, resolveSchema, schemaTexts, startOf } from "./schema.mjs";

/** @typedef {import("./schema.mjs").Schema} Schema */
/** @typedef {import("./form_field.mjs").Control} Control */
/** @typedef {import("./form_field.mjs").How} How */

const DEEPEST = 6;
const LONG_FIELD = 80;
const SHOWN_EXAMPLES = 5;

/**
 * Give the control for a schema.
 * @param {Schema} given
 * @param {Schema} root
 * @param {How} how
 * @returns {Control}
 */
export function control(given, root, how) {
  const schema = resolveSchema(given, root);
  const depth = how.depth ?? 0;
  const deeper = { ...how, depth: depth + 1 };
  const media = fieldMedia(schema, how);
  if (media) return fileControl(schema, media, how);
  if (Array.isArray(schema.enum) || schema.const !== undefined) return choice(schema, how);
  if (depth > DEEPEST) return json(schema, how);
  if (
    schema.choices?.length &&
    schema.choices.every((/** @type {Schema} */ one) => one.type === "integer" || one.type === "number")
  )
    return numberControl({ ...schema, type: "number" }, how);
  if (schema.mixed) return either(schema, root, deeper);
  if (schema.type === "boolean")
    return schema.nullable ? choice({ ...schema, enum: [true, false] }, how) : truth(schema, how);
  if (schema.type === "integer" || schema.type === "number") return numberControl(schema, how);
  if (schema.type === "string") return text(schema, how);
  if (schema.type === "array" && schema.items) return list(schema, root, deeper);
  if (schema.type === "object" && schema.properties)
    return schema.nullable ? optional(schema, root, deeper) : group(schema, root, deeper);
  return json(schema, how);
}

/** @param {Schema} schema @param {How} how @returns {Control} */
function text(schema, how) {
  const start = asText(startOf(schema, how.examples !== false));
  const long =
    schema.ui?.field === "textarea" ||
    start.length > LONG_FIELD ||
    (schema.maxLength ?? 0) > LONG_FIELD ||
    /prompt|text|body|query/i.test(how.name ?? schema.title ?? "");
  const kind =
    { date: "date", "date-time": "text", email: "email", uri: "url", password: "password" }[
      /** @type {string} */ (schema.format)
    ] ?? "text";
  const input = h(long ? "textarea" : "input", {
    class: "fj-input",
    id: how.id ?? newId(),
    value: start,
    placeholder: schema.nullable ? "null" : "",
    spellcheck: false,
    autocomplete: "off",
    oninput: () => (show(problem()), how.changed()),
    ...(long ? { rows: 2 } : { type: kind }),
  });
  const { element, show } = fieldFrame(input, schema);
  const read = () =>
    input.value === "" &&
    !(how.isItem && !schema.nullable) &&
    (how.required || schema.nullable || schema.default === undefined)
      ? emptyValue(schema)
      : input.value;
  const problem = () => {
    const value = read();
    if (value === undefined || value === null) return how.required && !schema.nullable ? "It is required." : "";
    return problemOf(schema, value);
  };
  return { element, read, problem: () => show(problem()), write: (value) => ((input.value = asText(value)), show("")) };
}

/** @param {Schema} schema @param {How} how @returns {Control} */
function truth(schema, how) {
  const start = Boolean(startOf(schema, how.examples !== false));
  const word = h("span", null, String(start));
  const input = h("input", {
    type: "checkbox",
    id: how.id ?? newId(),
    checked: start,
    role: "switch",
    onchange: () => (setText(word, String(input.checked)), how.changed()),
  });
  const { element } = fieldFrame(input, schema, word);
  return {
    element,
    read: () => input.checked,
    problem: () => "",
    write: (value) => ((input.checked = Boolean(value)), setText(word, String(input.checked))),
  };
}

/** @param {Schema} schema @param {How} how @returns {Control} */
function choice(schema, how) {
  const values = schema.enum ?? [schema.const];
  const none = schema.nullable || (!how.required && schema.default === undefined && schema.const === undefined);
  const options = values.map((/** @type {any} */ value, /** @type {number} */ at) =>
    h("option", { value: String(at) }, asText(value)),
  );
  const input = h(
    "select",
    { class: "fj-input", id: how.id ?? newId(), onchange: how.changed },
    none ? h("option", { value: "" }, "–") : null,
    options,
  );
  const write = (/** @type {any} */ value) => {
    const at = values.indexOf(value);
    input.value = at >= 0 ? String(at) : none ? "" : "0";
  };
  write(startOf(schema, how.examples !== false));
  const { element } = fieldFrame(input, schema);
  return {
    element,
    read: () => (input.value === "" ? emptyValue(schema) : values[Number(input.value)]),
    problem: () => "",
    write,
  };
}

/** @param {Schema} schema @param {How} how @returns {Control} */
function json(schema, how) {
  const start = startOf(schema, how.examples !== false);
  const input = h("textarea", {
    class: "fj-input fj-mono",
    id: how.id ?? newId(),
    rows: 2,
    spellcheck: false,
    placeholder: "JSON",
    value: start === undefined || start === null ? "" : writtenJson(start),
    oninput: () => (show(problem()), how.changed()),
  });
  const { element, show } = fieldFrame(input, schema);
  const parse = () => {
    if (input.value.trim() === "") return { value: undefined };
    try {
      return { value: parsedJson(input.value) };
    } catch (error) {
      return { value: undefined, wrong: `This is not JSON: ${error instanceof Error ? error.message : error}` };
    }
  };
  const problem = () => {
    const parsed = parse();
    if (parsed.wrong) return parsed.wrong;
    if (parsed.value === undefined) return how.required && !schema.nullable ? "It is required, as JSON." : "";
    return problemOf(schema, parsed.value);
  };
  return {
    element,
    read: () => parse().value,
    problem: () => show(problem()),
    write: (value) => (input.value = value === undefined ? "" : writtenJson(value)),
  };
}

/**
 * Boxes of an item without a label of their own get a name that is read.
 * @param {HTMLElement} element
 * @param {string} name
 */
function nameBoxes(element, name) {
  for (const input of element.querySelectorAll("input, select, textarea")) {
    if (!input.hasAttribute("aria-label") && !(/** @type {any} */ (input).labels?.length))
      input.setAttribute("aria-label", name);
  }
}

/** @param {Control} item @param {() => void} remove */
function itemRow(item, remove) {
  return h("div", { class: "fj-list-item" }, item.element, iconButton("close", "remove this item", remove));
}

/** @param {string} media kind of the items, "" where they are not files @param {() => void} onclick */
function addButton(media, onclick) {
  return h(
    "button",
    { type: "button", class: "fj-button", onclick },
    glyph("add"),
    media ? `Add ${media === "image" || media === "audio" ? "an" : "a"} ${media}` : "Add an item",
  );
}

/** @param {Schema} schema @param {Schema} root @param {How} how @returns {Control} */
function list(schema, root, how) {
  /** @type {{row: HTMLElement, item: Control}[]} */
  let items = [];
  const field = String(how.name ?? schema.title ?? "items");
  const name = field.replace(/s$/, "");
  const inner = schema.ui ? { ...schema.items, ui: schema.ui } : schema.items;
  const media = fieldMedia(resolveSchema(inner, root), { name, inJson: how.inJson });
  const place = h("div", { class: "fj-list", id: how.id ?? newId(), role: "group", "aria-label": field });
  const add = (
    /** @type {any} */ value,
    /** @type {import("./form_file.mjs").Picked | undefined} */ picked = undefined,
  ) => {
    const inside = {
      name,
      depth: how.depth,
      required: true,
      isItem: true,
      examples: value === undefined && how.examples,
      inJson: how.inJson,
      changed: how.changed,
    };
    const item = picked
      ? fileControl(resolveSchema(inner, root), media, { ...inside, examples: false, picked })
      : control(inner, root, inside);
    if (value !== undefined) item.write(value);
    nameBoxes(item.element, `item ${items.length + 1}`);
    const row = itemRow(item, () => {
      items = items.filter((one) => one.row !== row);
      row.remove();
      how.changed();
      more.focus();
    });
    items.push({ row, item });
    place.insertBefore(row, foot);
    return row;
  };
  const more = addButton(media, () => {
    const row = add(undefined);
    how.changed();
    row.querySelector("input, select, textarea")?.focus();
  });
  const many = media
    ? manyFiles(media, (picked) => {
        for (const one of picked) add(undefined, one);
        how.changed();
      })
    : [];
  const foot = h("div", { class: "fj-list-foot" }, many, more);
  place.append(foot);
  const write = (/** @type {any} */ value) => {
    for (const { row } of items) row.remove();
    items = [];
    for (const one of Array.isArray(value) ? value : []) add(one);
  };
  write(startOf(schema, how.examples !== false));
  const { element, show } = fieldFrame(place, schema);
  const read = () => items.map(({ item }) => item.read());
  const problem = () => items.map(({ item }) => item.problem()).filter(Boolean)[0] || show(problemOf(schema, read()));
  return {
    element,
    read: () =>
      items.length || how.required || schema.default || schema.minItems
        ? read()
        : (emptyValue(schema) ?? (schema.nullable ? undefined : [])),
    problem,
    write,
    part: (at) => items[Number(at)]?.item,
  };
}

/** A model within a form. @param {Schema} schema @param {Schema} root @param {How} how @returns {Control} */
function group(schema, root, how) {
  const form = objectForm(schema, root, { ...how, id: undefined });
  const title = how.name ?? schema.title;
  const error = h("div", { id: newId(), class: "fj-error", role: "alert", hidden: true }); // of a refused input
  const element = h("fieldset", { id: how.id }, title ? h("legend", null, String(title)) : null, error, form.element);
  const start = startOf(schema, how.examples !== false);
  if (start && typeof start === "object") form.write(start);
  return { ...form, element };
}

/**
 * A model that may be null: a switch that unfolds its fields.
 * @param {Schema} schema
 * @param {Schema} root
 * @param {How} how
 * @returns {Control}
 */
function optional(schema, root, how) {
  const start = schema.default && typeof schema.default === "object" ? schema.default : null;
  const word = h("span", { class: "fj-muted" });
  const place = h("div", { class: "fj-optional-fields" });
  /** @type {Control | null} */
  let inner = null;
  const input = h("input", {
    type: "checkbox",
    id: how.id ?? newId(),
    role: "switch",
    onchange: () => (set(input.checked), how.changed()),
  });
  const set = (/** @type {boolean} */ on, /** @type {any} */ value = undefined) => {
    input.checked = on;
    setText(word, on ? String(schema.title ?? schema.model ?? "set") : "null");
    place.hidden = !on;
    inner = on
      ? (inner ??
        group({ ...schema, nullable: false, default: undefined }, root, { ...how, id: undefined, name: undefined }))
      : inner;
    if (on && value !== undefined) inner?.write(value);
    replace(place, on ? inner?.element : null);
  };
  set(Boolean(start), start ?? undefined);
  const { element } = fieldFrame(input, schema, word, place);
  return {
    element,
    read: () => (input.checked ? inner?.read() : emptyValue(schema)),
    problem: () => (input.checked ? (inner?.problem() ?? "") : ""),
    part: (name) => (input.checked ? inner?.part?.(name) : null),
    write: (value) => (value && typeof value === "object" ? set(true, value) : set(false)),
  };
}

/** What one of several schemas is called. @param {Schema} schema resolved */
function choiceName(schema) {
  if (schema.enum) return schema.enum.length > 3 ? "one of a list" : `one of ${schema.enum.map(asText).join(", ")}`;
  if (schema.const !== undefined) return asText(schema.const);
  const words = {
    string: "text",
    integer: "a whole number",
    number: "a number",
    boolean: "true or false",
    array: "a list",
    object: "an object",
  };
  return String(
    schema.model ??
      (schema.type === "object" ? schema.title : undefined) ??
      words[/** @type {keyof typeof words} */ (schema.type)] ??
      "JSON",
  );
}

/**
 * A value of one of several schemas: which one is chosen, then its control.
 * @param {Schema} schema
 * @param {Schema} root
 * @param {How} how
 * @returns {Control}
 */
function either(schema, root, how) {
  const choices = (schema.choices ?? []).map((/** @type {Schema} */ one) => resolveSchema(one, root));
  if (!choices.length) return json(schema, how);
  const start = startOf(schema, how.examples !== false);
  const none = schema.nullable || !how.required;
  const place = h("div", { class: "fj-optional-fields" });
  /** @type {Control | null} */
  let inner = null;
  const names = choices.map(choiceName);
  const input = h(
    "select",
    { class: "fj-input fj-which", id: how.id ?? newId(), onchange: () => (set(input.value), how.changed()) },
    none ? h("option", { value: "" }, schema.nullable ? "null" : "–") : null,
    names.map((/** @type {string} */ name, /** @type {number} */ at) => h("option", { value: String(at) }, name)),
  );
  const set = (/** @type {string} */ which, /** @type {any} */ value = undefined) => {
    input.value = which;
    inner = which === "" ? null : control(choices[Number(which)], root, { ...how, id: undefined, required: true });
    if (inner && value !== undefined) inner.write(value);
    replace(place, inner?.element);
    place.hidden = !inner;
    nameBoxes(place, `${how.name ?? "value"}, ${input.selectedOptions?.[0]?.textContent ?? ""}`);
  };
  const write = (/** @type {any} */ value) => {
    const at = choices.findIndex((/** @type {Schema} */ one) => fitsSchema(one, value));
    if (value === undefined || value === null || at < 0) set(none ? "" : "0");
    else set(String(at), value);
  };
  write(start);
  const { element } = fieldFrame(input, schema, place);
  return {
    element,
    read: () => (inner ? inner.read() : emptyValue(schema)),
    problem: () => inner?.problem() ?? "",
    write,
    part: (name) => inner?.part?.(name) ?? inner, // pydantic names the schema of several before the field
  };
}

/**
 * Examples beyond what the field begins with, each a press away.
 * @param {Schema} schema
 * @param {any} start
 * @param {(value: any) => void} use
 */
function exampleRow(schema, start, use) {
  const examples = examplesOf(schema)
    .filter((one) => ["string", "number", "bigint"].includes(typeof one))
    .slice(0, SHOWN_EXAMPLES);
  if (!examples.length || (examples.length === 1 && examples[0] === start)) return null;
  return h(
    "div",
    { class: "fj-examples", role: "group", "aria-label": "examples" },
    examples.map((one) =>
      h(
        "button",
        {
          type: "button",
          class: "fj-choice fj-cut",
          title: `Use ${asText(one)}`,
          onclick: () => use(one),
        },
        asText(one),
      ),
    ),
  );
}

/**
 * The rows of an object's properties, in their order; those that a form of fal's would hide are folded.
 * @param {Schema} schema resolved, an object
 * @param {Schema} root
 * @param {How} how
 * @returns {Control}
 */
export function objectForm(schema, root, how) {
  const required = new Set(schema.required ?? []);
  const names = [
    ...new Set([...(schema["x-fal-order-properties"] ?? []), ...Object.keys(schema.properties ?? {})]),
  ].filter((name) => schema.properties?.[name]);
  /** @type {import("./form_field.mjs").Rows} */
  const rows = new Map();
  const element = h("div", { class: "fj-form" });
  const folded = h("div", { class: "fj-form" });
  for (const name of names) {
    const resolved = resolveSchema(schema.properties[name], root);
    const make = () => {
      const id = newId();
      const one = control(schema.properties[name], root, {
        id,
        name,
        required: required.has(name),
        depth: how.depth,
        examples: how.examples,
        inJson: how.inJson,
        changed: how.changed,
      });
      if (!fieldMedia(resolved, { name, inJson: how.inJson }))
        one.element.append(
          exampleRow(
            resolved,
            startOf(resolved, how.examples !== false),
            (value) => (one.write(value), one.problem(), how.changed()),
          ) ?? "",
        );
      const mark = required.has(name) ? h("span", { class: "fj-required", title: "required" }, " *") : null;
      const isGroup = one.element.tagName === "FIELDSET";
      if (isGroup) one.element.classList.add("fj-whole-row");
      return {
        control: one,
        nodes: isGroup ? [one.element] : [h("label", { class: "fj-mono", htmlFor: id }, name, mark), one.element],
      };
    };
    const row = fieldRow(schemaTexts([schema.properties[name], required.has(name)], root), how.former?.get(name), make);
    rows.set(name, row);
    (resolved.ui?.hidden ? folded : element).append(...row.nodes);
  }
  if (folded.childNodes.length)
    element.append(
      h("details", { class: "fj-whole-row fj-folded" }, h("summary", null, "hidden in fal's playground"), folded),
    );
  if (!names.length) replace(element, h("span", { class: "fj-muted fj-hint" }, "It takes nothing."));
  return {
    element,
    rows,
    part: (name) => rows.get(String(name))?.control,
    read: () => {
      /** @type {Record<string, any>} */
      const value = {};
      for (const [name, { control: one }] of rows) {
        const entered = one.read();
        if (entered !== undefined) value[name] = entered;
      }
      return value;
    },
    problem: () => [...rows.values()].map((one) => one.control.problem()).filter(Boolean)[0] ?? "",
    write: (value) => {
      for (const [name, one] of rows) if (value && name in value) one.control.write(value[name]);
    },
  };
}
