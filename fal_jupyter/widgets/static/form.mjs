// @ts-check
/** A form made from a JSON schema: what an endpoint takes, field by field, validated as typed. */
import { h, newId, replace, setText } from "./dom.mjs";
import { bytes } from "./format.mjs";
import { glyph, iconButton } from "./glyphs.mjs";

/** @typedef {Record<string, any>} Schema */
/**
 * One control: `read` gives its value (`undefined`: left out), `problem` a sentence or "".
 * @typedef {{element: HTMLElement, read: () => any, problem: () => string, write: (value: any) => void}} Control
 */

const DEEPEST = 6;
const LONG_TEXT = 80;
const FILES = /^(File|Image|Video|Audio|CompressedFile)(-Input)?$/;

/**
 * Follow references and the ways of writing "or null"; gives a schema with `nullable` set where null is allowed.
 * @param {Schema | undefined} schema
 * @param {Schema} root the whole document
 * @param {number} [depth]
 * @returns {Schema}
 */
export function resolveSchema(schema, root, depth = 0) {
  if (!schema || depth > 20) return {};
  if (typeof schema.$ref === "string") {
    const found = schema.$ref.replace(/^#\//, "").split("/").reduce((/** @type {any} */ at, key) => at?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], root);
    const { $ref: _, ...rest } = schema;
    return resolveSchema({ model: schema.$ref.split("/").pop(), ...found, ...rest }, root, depth + 1);
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) {
    const others = choices.filter((/** @type {Schema} */ one) => one.type !== "null");
    const { anyOf: _a, oneOf: _o, ...rest } = schema;
    if (others.length === 1) {
      return { ...resolveSchema({ ...others[0], ...rest }, root, depth + 1), nullable: others.length < choices.length };
    }
    return { ...rest, mixed: true, nullable: others.length < choices.length };
  }
  if (Array.isArray(schema.allOf) && schema.allOf.length === 1) {
    const { allOf, ...rest } = schema;
    return resolveSchema({ ...allOf[0], ...rest }, root, depth + 1);
  }
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((/** @type {string} */ one) => one !== "null");
    return { ...schema, type: types.length === 1 ? types[0] : undefined, mixed: types.length > 1, nullable: types.length < schema.type.length };
  }
  return schema;
}

/**
 * Whether a schema is that of a file: fal's own File and Image have a `url`, others say so by format.
 * @param {Schema} schema
 */
export function isFile(schema) {
  if (schema.type === "string") return schema.format === "binary" || schema.format === "data-url" || Boolean(schema.contentMediaType);
  return schema.type === "object" && Boolean(schema.properties?.url) && FILES.test(schema.model ?? schema.title ?? "");
}

/**
 * What is wrong with a value by the schema's own bounds, in one sentence; "" where nothing is.
 * @param {Schema} schema resolved
 * @param {any} value
 */
export function problemOf(schema, value) {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return "Give a number.";
    if (schema.type === "integer" && !Number.isInteger(value)) return "Give a whole number.";
    if (schema.minimum !== undefined && value < schema.minimum) return `It must be ${schema.minimum} or more.`;
    if (schema.maximum !== undefined && value > schema.maximum) return `It must be ${schema.maximum} or less.`;
    if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum) return `It must be more than ${schema.exclusiveMinimum}.`;
    if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum) return `It must be less than ${schema.exclusiveMaximum}.`;
    if (schema.multipleOf && Math.abs(value / schema.multipleOf - Math.round(value / schema.multipleOf)) > 1e-9) return `It must be a multiple of ${schema.multipleOf}.`;
  }
  if (typeof value === "string") {
    if (schema.minLength !== undefined && value.length < schema.minLength) return value ? `It needs ${schema.minLength} characters or more.` : "It is required.";
    if (schema.maxLength !== undefined && value.length > schema.maxLength) return `It may have ${schema.maxLength} characters at most.`;
    if (schema.pattern && !safeTest(schema.pattern, value)) return `It must match ${schema.pattern}.`;
  }
  if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems) return `It needs ${schema.minItems} items or more.`;
    if (schema.maxItems !== undefined && value.length > schema.maxItems) return `It may have ${schema.maxItems} items at most.`;
  }
  return "";
}

/** @param {string} pattern @param {string} value */
function safeTest(pattern, value) {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true; // a pattern of another language: the endpoint decides
  }
}

/**
 * Give the control for a schema.
 * @param {Schema} given
 * @param {Schema} root
 * @param {{id?: string, required?: boolean, depth?: number, changed: () => void}} how
 * @returns {Control}
 */
export function control(given, root, how) {
  const schema = resolveSchema(given, root);
  const depth = how.depth ?? 0;
  if (Array.isArray(schema.enum) || schema.const !== undefined) return choice(schema, how);
  if (isFile(schema)) return file(schema, how);
  if (schema.mixed || depth > DEEPEST) return json(schema, how);
  if (schema.type === "boolean") return schema.nullable ? choice({ ...schema, enum: [true, false] }, how) : truth(schema, how);
  if (schema.type === "integer" || schema.type === "number") return number(schema, how);
  if (schema.type === "string") return text(schema, how);
  if (schema.type === "array" && schema.items) return list(schema, root, { ...how, depth: depth + 1 });
  if (schema.type === "object" && schema.properties && !schema.nullable) return group(schema, root, { ...how, depth: depth + 1 });
  return json(schema, how);
}

/**
 * @param {HTMLElement} input
 * @param {Schema} schema
 * @param {Node[]} more
 */
function field(input, schema, ...more) {
  const error = h("div", { id: newId(), class: "fj-error", role: "alert", hidden: true });
  const hint = schema.description ? h("div", { class: "fj-hint" }, String(schema.description)) : null;
  const element = h("div", { class: "fj-field" }, input, more, error, hint);
  const show = (/** @type {string} */ problem, /** @type {HTMLElement} */ at = input) => {
    error.hidden = !problem;
    setText(error, problem);
    at.setAttribute("aria-invalid", String(Boolean(problem)));
    if (problem) at.setAttribute("aria-describedby", error.id);
    return problem;
  };
  return { element, show };
}

/** What an empty box means: null where null is allowed and not the default anyway, else that the field is left out. @param {Schema} schema */
function emptyValue(schema) {
  return schema.nullable && schema.default !== undefined && schema.default !== null ? null : undefined;
}

/** @param {any} value */
function asText(value) {
  return value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}

/** @param {Schema} schema @param {{id?: string, required?: boolean, changed: () => void}} how @returns {Control} */
function text(schema, how) {
  const long = (schema.default ?? "").length > LONG_TEXT || (schema.maxLength ?? 0) > LONG_TEXT || /prompt|text|body|query/i.test(schema.title ?? "");
  const kind = { date: "date", "date-time": "text", email: "email", uri: "url", password: "password" }[/** @type {string} */ (schema.format)] ?? "text";
  const input = h(long ? "textarea" : "input", {
    class: "fj-input", id: how.id ?? newId(), value: asText(schema.default), placeholder: schema.nullable ? "null" : "", spellcheck: false,
    autocomplete: "off", oninput: () => (show(problem()), how.changed()), ...(long ? { rows: 2 } : { type: kind }),
  });
  const { element, show } = field(input, schema);
  const read = () => (input.value === "" && (schema.nullable || (schema.default === undefined && !how.required)) ? emptyValue(schema) : input.value);
  const problem = () => {
    const value = read();
    if (value === undefined || value === null) return how.required && !schema.nullable ? "It is required." : "";
    return problemOf(schema, value);
  };
  return { element, read, problem: () => show(problem()), write: (value) => (input.value = asText(value)) };
}

/** @param {Schema} schema @param {{id?: string, required?: boolean, changed: () => void}} how @returns {Control} */
function number(schema, how) {
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  const whole = schema.type === "integer";
  const input = h("input", {
    class: "fj-input fj-box", id: how.id ?? newId(), type: "text", inputMode: whole ? "numeric" : "decimal", value: asText(schema.default),
    placeholder: schema.nullable ? "null" : "", autocomplete: "off", oninput: () => (sync(), show(problem(), input), how.changed()),
  });
  const step = schema.multipleOf ?? (whole ? 1 : "any");
  const slider = low !== undefined && high !== undefined && h("input", {
    type: "range", min: low, max: high, step, value: schema.default ?? low, tabIndex: -1, "aria-hidden": "true",
    oninput: () => {
      input.value = whole ? slider.value : String(Number(Number(slider.value).toPrecision(4)));
      show(problem(), input);
      how.changed();
    },
  });
  if (!slider) input.classList.remove("fj-box");
  const parts = slider ? [slider, input] : [input];
  const { element, show } = field(parts[0], schema, ...parts.slice(1));
  const sync = () => {
    if (slider && typeof read() === "number" && Number.isFinite(read())) slider.value = String(read());
  };
  const read = () => (input.value.trim() === "" ? emptyValue(schema) : Number(input.value));
  const problem = () => {
    const value = read();
    if (value === undefined || value === null) return how.required && schema.default === undefined && !schema.nullable ? "It is required." : "";
    return Number.isNaN(value) ? `Give ${whole ? "a whole number" : "a number"}.` : problemOf(schema, value);
  };
  return { element, read, problem: () => show(problem(), input), write: (value) => ((input.value = asText(value)), sync()) };
}

/** @param {Schema} schema @param {{id?: string, changed: () => void}} how @returns {Control} */
function truth(schema, how) {
  const word = h("span", null, String(Boolean(schema.default)));
  const input = h("input", {
    type: "checkbox", id: how.id ?? newId(), checked: Boolean(schema.default), role: "switch",
    onchange: () => (setText(word, String(input.checked)), how.changed()),
  });
  const { element } = field(input, schema, word);
  return { element, read: () => input.checked, problem: () => "", write: (value) => ((input.checked = Boolean(value)), setText(word, String(input.checked))) };
}

/** @param {Schema} schema @param {{id?: string, required?: boolean, changed: () => void}} how @returns {Control} */
function choice(schema, how) {
  const values = schema.enum ?? [schema.const];
  const none = schema.nullable || (!how.required && schema.default === undefined && schema.const === undefined);
  const options = values.map((/** @type {any} */ value, /** @type {number} */ at) => h("option", { value: String(at) }, asText(value)));
  const input = h("select", { class: "fj-input", id: how.id ?? newId(), onchange: how.changed }, none ? h("option", { value: "" }, "–") : null, options);
  const write = (/** @type {any} */ value) => {
    const at = values.indexOf(value);
    input.value = at >= 0 ? String(at) : none ? "" : "0";
  };
  write(schema.default);
  const { element } = field(input, schema);
  return { element, read: () => (input.value === "" ? undefined : values[Number(input.value)]), problem: () => "", write };
}

/** @param {Schema} schema @param {{id?: string, required?: boolean, changed: () => void}} how @returns {Control} */
function json(schema, how) {
  const input = h("textarea", {
    class: "fj-input fj-mono", id: how.id ?? newId(), rows: 2, spellcheck: false, placeholder: "JSON",
    value: schema.default === undefined || schema.default === null ? "" : JSON.stringify(schema.default), oninput: () => (show(problem()), how.changed()),
  });
  const { element, show } = field(input, schema);
  const parse = () => {
    if (input.value.trim() === "") return { value: undefined };
    try {
      return { value: JSON.parse(input.value) };
    } catch (error) {
      return { value: undefined, wrong: `This is not JSON: ${error instanceof Error ? error.message : error}` };
    }
  };
  const problem = () => {
    const found = parse();
    if (found.wrong) return found.wrong;
    if (found.value === undefined) return how.required && !schema.nullable ? "It is required, as JSON." : "";
    return problemOf(schema, found.value);
  };
  return { element, read: () => parse().value, problem: () => show(problem()), write: (value) => (input.value = value === undefined ? "" : JSON.stringify(value)) };
}

/** @param {Schema} schema @param {{id?: string, required?: boolean, changed: () => void}} how @returns {Control} */
function file(schema, how) {
  /** @type {string | undefined} */
  let data = typeof schema.default === "string" ? schema.default : undefined;
  const told = h("span", { class: "fj-muted fj-cut" }, "no file chosen; or paste an address");
  const address = h("input", { class: "fj-input", type: "text", placeholder: "https://… or data:…", "aria-label": "address of the file", oninput: () => ((data = address.value || undefined), how.changed()) });
  const input = h("input", { type: "file", id: how.id ?? newId(), class: "fj-file", onchange: () => take(input.files?.[0]) });
  const take = (/** @type {File | undefined} */ chosen) => {
    if (!chosen) return;
    const reader = new FileReader();
    reader.onload = () => {
      data = String(reader.result);
      address.value = "";
      setText(told, `${chosen.name} · ${bytes(chosen.size)}`);
      how.changed();
    };
    reader.readAsDataURL(chosen);
  };
  const drop = h("div", {
    class: "fj-drop", ondragover: (/** @type {DragEvent} */ event) => event.preventDefault(),
    ondrop: (/** @type {DragEvent} */ event) => (event.preventDefault(), take(event.dataTransfer?.files[0])),
  }, input, told, address);
  const { element, show } = field(drop, schema);
  const problem = () => (how.required && !data && !schema.nullable ? "A file is required." : "");
  const whole = schema.type === "object";
  return {
    element, read: () => (data === undefined ? undefined : whole ? { url: data } : data), problem: () => show(problem()),
    write: (value) => {
      data = typeof value === "string" ? value : value?.url;
      address.value = data && !data.startsWith("data:") ? data : "";
      setText(told, data?.startsWith("data:") ? `a file · ${bytes(Math.round(data.length * 0.75))}` : "");
    },
  };
}

/** @param {Schema} schema @param {Schema} root @param {{id?: string, depth: number, changed: () => void}} how @returns {Control} */
function list(schema, root, how) {
  /** @type {{row: HTMLElement, item: Control}[]} */
  let items = [];
  const place = h("div", { class: "fj-list", id: how.id ?? newId(), role: "group", "aria-label": String(schema.title ?? "items") });
  const add = (/** @type {any} */ value) => {
    const item = control(schema.items, root, { depth: how.depth, required: true, changed: how.changed });
    if (value !== undefined) item.write(value);
    for (const input of item.element.querySelectorAll("input, select, textarea")) {
      if (!input.hasAttribute("aria-label") && !(/** @type {any} */ (input).labels?.length)) input.setAttribute("aria-label", `item ${items.length + 1}`);
    }
    const row = h("div", { class: "fj-list-item" }, item.element, iconButton("close", "remove this item", () => {
      items = items.filter((one) => one.row !== row);
      row.remove();
      how.changed();
    }));
    items.push({ row, item });
    place.insertBefore(row, more);
  };
  const more = h("button", { type: "button", class: "fj-button", onclick: () => (add(undefined), how.changed()) }, glyph("add"), "Add an item");
  place.append(more);
  const write = (/** @type {any} */ value) => {
    for (const { row } of items) row.remove();
    items = [];
    for (const one of Array.isArray(value) ? value : []) add(one);
  };
  write(schema.default);
  const { element, show } = field(place, schema);
  const read = () => items.map(({ item }) => item.read());
  const problem = () => items.map(({ item }) => item.problem()).find(Boolean) || show(problemOf(schema, read()));
  return { element, read: () => (items.length || schema.default !== undefined || schema.minItems ? read() : schema.nullable ? undefined : []), problem, write };
}

/** @param {Schema} schema @param {Schema} root @param {{depth: number, changed: () => void}} how @returns {Control} */
function group(schema, root, how) {
  const form = objectForm(schema, root, how);
  const element = h("fieldset", null, schema.title ? h("legend", null, String(schema.title)) : null, form.element);
  return { ...form, element };
}

/**
 * The rows of an object's properties, in their order.
 * @param {Schema} schema resolved, an object
 * @param {Schema} root
 * @param {{depth?: number, changed: () => void}} how
 * @returns {Control}
 */
export function objectForm(schema, root, how) {
  const required = new Set(schema.required ?? []);
  const names = [...new Set([...(schema["x-fal-order-properties"] ?? []), ...Object.keys(schema.properties ?? {})])].filter((name) => schema.properties?.[name]);
  /** @type {Map<string, Control>} */
  const controls = new Map();
  const element = h("div", { class: "fj-form" });
  for (const name of names) {
    const id = newId();
    const one = control(schema.properties[name], root, { id, required: required.has(name), depth: how.depth, changed: how.changed });
    controls.set(name, one);
    const mark = required.has(name) ? h("span", { class: "fj-required", title: "required" }, " *") : null;
    element.append(h("label", { class: "fj-mono", htmlFor: id }, name, mark), one.element);
  }
  if (!names.length) replace(element, h("span", { class: "fj-muted fj-hint" }, "It takes nothing."));
  return {
    element,
    read: () => {
      /** @type {Record<string, any>} */
      const value = {};
      for (const [name, one] of controls) {
        const found = one.read();
        if (found !== undefined) value[name] = found;
      }
      return value;
    },
    problem: () => [...controls.values()].map((one) => one.problem()).find(Boolean) ?? "",
    write: (value) => {
      for (const [name, one] of controls) if (value && name in value) one.write(value[name]);
    },
  };
}

/**
 * What an endpoint takes, by its OpenAPI document: a JSON body's schema, and parameters that only the query has.
 * @param {Schema} document
 * @param {string} path
 * @returns {{schema: Schema, query: Schema, method: string}}
 */
export function endpointSchema(document, path) {
  const methods = document.paths?.[path] ?? {};
  const method = methods.post ? "post" : (Object.keys(methods)[0] ?? "post");
  const operation = methods[method] ?? {};
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const schema = body ? resolveSchema(body, document) : { type: "object", properties: {} };
  /** @type {Schema} */
  const query = { type: "object", properties: {}, required: [] };
  for (const one of operation.parameters ?? []) {
    if (one.in !== "query" || schema.properties?.[one.name]) continue;
    query.properties[one.name] = { ...one.schema, description: one.description };
    if (one.required) query.required.push(one.name);
  }
  return { schema, query, method: method.toUpperCase() };
}
