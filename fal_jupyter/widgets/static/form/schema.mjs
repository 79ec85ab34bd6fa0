// @ts-check
/**
 * What an endpoint takes, read from its OpenAPI document: references, ways of writing "or null", media, examples,
 * bounds.
 */
import { writtenJson } from "../text/exact_json.mjs";

/** @typedef {Record<string, any>} Schema */

const FILES = /^(File|Image|Video|Audio|CompressedFile)(-Input)?$/;
const MEDIA = ["image", "audio", "video", "file"];
const ENCODINGS = ["application/json", "multipart/form-data", "application/x-www-form-urlencoded"];
const FORMS = ENCODINGS.slice(1);
const ADDRESS = /(?:^|_)(image|audio|video|file)_url$/;

/**
 * Follow references and the ways of writing "or null"; gives a schema with `nullable` set where null is allowed, and
 * `choices` where it is one of several.
 * @param {Schema | undefined} schema
 * @param {Schema} root the whole document
 * @param {number} [depth]
 * @returns {Schema}
 */
export function resolveSchema(schema, root, depth = 0) {
  if (!schema || depth > 20) return {};
  if (typeof schema.$ref === "string") {
    const referred = referredSchema(schema.$ref, root);
    const { $ref: _, ...rest } = schema;
    const { description: _d, ...named } = referred ?? {}; // a model's docstring says what it is, not what the field is for
    return resolveSchema({ model: schema.$ref.split("/").pop(), ...named, ...rest }, root, depth + 1);
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) {
    const others = choices.filter((/** @type {Schema} */ one) => one.type !== "null");
    const { anyOf: _a, oneOf: _o, ...rest } = schema;
    const nullable = others.length < choices.length;
    if (others.length === 1) return { ...resolveSchema({ ...others[0], ...rest }, root, depth + 1), nullable };
    return { ...rest, mixed: true, choices: others, nullable };
  }
  if (Array.isArray(schema.allOf) && schema.allOf.length === 1) {
    const { allOf, ...rest } = schema;
    return resolveSchema({ ...allOf[0], ...rest }, root, depth + 1);
  }
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((/** @type {string} */ one) => one !== "null");
    const nullable = types.length < schema.type.length;
    if (types.length === 1) return { ...schema, type: types[0], nullable };
    return { ...schema, type: undefined, mixed: true, choices: types.map((type) => ({ type })), nullable };
  }
  return schema;
}

/** What a reference leads to. @param {string} reference @param {Schema} root */
function referredSchema(reference, root) {
  return reference
    .replace(/^#\//, "")
    .split("/")
    .reduce((/** @type {any} */ at, key) => at?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], root);
}

const FOR_READERS = ["description", "title", "examples", "example"];

/**
 * A schema with all that it refers to, as texts that can be compared: `whole`, and `text` without what is for readers
 * only.
 * @param {any} schema
 * @param {Schema} root
 */
export function schemaTexts(schema, root) {
  const written = (/** @type {boolean} */ bare) => {
    /** @type {Set<string>} */
    const references = new Set();
    const write = (/** @type {any} */ one) =>
      JSON.stringify(one ?? null, (key, value) => {
        if (key === "$ref" && typeof value === "string") references.add(value);
        return bare && FOR_READERS.includes(key) && (typeof value !== "object" || Array.isArray(value))
          ? undefined
          : typeof value === "bigint"
            ? `whole ${value}`
            : value;
      });
    const texts = [write(schema)];
    for (const one of references) texts.push(one, write(referredSchema(one, root)));
    return texts.join("\n");
  };
  return { text: written(true), whole: written(false) };
}

/**
 * The kind of file that a value is: "image", "audio", "video" or "file", "" where it is none. fal's File and Image are
 * objects with a `url`; a string is an address of a file by its `ui.field` (fal's `ImageField` and its siblings), by
 * its format, or by a name that ends in `image_url`, as fal's playground has it.
 * @param {Schema} schema resolved
 * @param {string} [name] of the field
 */
export function mediaKind(schema, name = "") {
  const shown = MEDIA.includes(schema.ui?.field) ? String(schema.ui.field) : "";
  if (schema.type === "string") {
    const media = typeof schema.contentMediaType === "string" ? schema.contentMediaType.split("/")[0] : "";
    if (shown || schema.enum) return shown;
    if (media) return MEDIA.includes(media) ? media : "file";
    if (["binary", "data-url", "data-uri", "https-url"].includes(schema.format)) return "file";
    return ADDRESS.exec(name)?.[1] ?? "";
  }
  if (schema.type === "object" && schema.properties?.url && (shown || FILES.test(schema.model ?? schema.title ?? ""))) {
    const model = String(schema.model ?? schema.title ?? "")
      .replace("-Input", "")
      .toLowerCase();
    return shown || (MEDIA.includes(model) ? model : "file");
  }
  const addresses =
    schema.choices?.length &&
    schema.choices.every(
      (/** @type {Schema} */ one) => one.type === "string" && ["data-uri", "https-url", "uri"].includes(one.format),
    );
  return addresses ? shown || "file" : "";
}

/**
 * A path with its parameters in place, and the other parameters as a query.
 * @param {string} path
 * @param {Record<string, any>} given
 * @returns {{path: string, query: Record<string, any>, asked: string}}
 */
export function filledPath(path, given) {
  const query = { ...given };
  const filled = path.replace(/{(\w+)(?::(\w+))?}/g, (hole, name, kind) => {
    if (query[name] === undefined) return hole;
    const text = encodeURIComponent(String(query[name]));
    delete query[name];
    return kind === "path" ? text.replace(/%2F/g, "/") : text;
  });
  const asked = new URLSearchParams();
  for (const [name, one] of Object.entries(query)) {
    for (const item of Array.isArray(one) ? one : [one])
      if (item !== undefined && item !== null)
        asked.append(name, typeof item === "object" ? writtenJson(item) : String(item));
  }
  return { path: filled, query, asked: asked.toString() };
}

/** Whether a media type is one of the form encodings. @param {string} [encoding] */
export function isForm(encoding) {
  return encoding !== undefined && FORMS.includes(encoding);
}

/** Whether a field takes a file's bytes (`UploadFile`), not its address. @param {Schema} schema resolved */
export function isUpload(schema) {
  return (
    schema.type === "string" && (schema.format === "binary" || schema.contentMediaType === "application/octet-stream")
  );
}

/**
 * The kind of file that a field is: as `mediaKind` gives it, but bytes in a JSON body are text.
 * @param {Schema} schema resolved
 * @param {{name?: string, inJson?: boolean}} how
 */
export function fieldMedia(schema, { name, inJson }) {
  return inJson && isUpload(schema) ? "" : mediaKind(schema, name);
}

/**
 * Examples of a schema, as JSON Schema (a list) or OpenAPI 3.0 (one) has them.
 * @param {Schema} schema
 * @returns {any[]}
 */
export function examplesOf(schema) {
  if (Array.isArray(schema.examples)) return schema.examples;
  return schema.example === undefined ? [] : [schema.example];
}

/**
 * What a field begins with: its default, or its first example where it has no default that says anything.
 * @param {Schema} schema resolved
 * @param {boolean} examples whether examples may be taken
 */
export function startOf(schema, examples) {
  const bare = schema.default === undefined || schema.default === null || schema.default === "";
  return bare && examples && examplesOf(schema).length ? examplesOf(schema)[0] : schema.default;
}

/**
 * What is wrong with a value by the schema's own bounds, in one sentence; "" where nothing is.
 * @param {Schema} schema resolved
 * @param {any} value
 */
export function problemOf(schema, value) {
  if (typeof value === "number" || typeof value === "bigint") {
    if (typeof value === "number" && !Number.isFinite(value)) return "Give a number.";
    if (schema.type === "integer" && !isWhole(value)) return "Give a whole number.";
    if (schema.minimum !== undefined && value < schema.minimum) return `It must be ${schema.minimum} or more.`;
    if (schema.maximum !== undefined && value > schema.maximum) return `It must be ${schema.maximum} or less.`;
    if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum)
      return `It must be more than ${schema.exclusiveMinimum}.`;
    if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum)
      return `It must be less than ${schema.exclusiveMaximum}.`;
    if (schema.multipleOf && !isMultiple(value, schema.multipleOf))
      return `It must be a multiple of ${schema.multipleOf}.`;
  }
  if (typeof value === "string") {
    if (schema.minLength !== undefined && value.length < schema.minLength)
      return value ? `It needs ${schema.minLength} characters or more.` : "It is required.";
    if (schema.maxLength !== undefined && value.length > schema.maxLength)
      return `It may have ${schema.maxLength} characters at most.`;
    if (schema.pattern && !safeTest(schema.pattern, value)) return `It must match ${schema.pattern}.`;
  }
  if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems)
      return `It needs ${schema.minItems} items or more.`;
    if (schema.maxItems !== undefined && value.length > schema.maxItems)
      return `It may have ${schema.maxItems} items at most.`;
  }
  return "";
}

/** @param {any} value */
const isWhole = (value) => typeof value === "bigint" || Number.isInteger(value);

/** @param {number | bigint} value @param {number | bigint} step */
function isMultiple(value, step) {
  if (typeof step === "bigint") return isWhole(value) && BigInt(value) % step === 0n;
  if (typeof value === "bigint") return !Number.isInteger(step) || value % BigInt(step) === 0n;
  return Math.abs(value / step - Math.round(value / step)) <= 1e-9;
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
 * Whether a value can be one of a schema's, by its type.
 * @param {Schema} schema resolved
 * @param {any} value
 */
export function fitsSchema(schema, value) {
  if (Array.isArray(schema.enum)) return schema.enum.includes(value);
  if (schema.const !== undefined) return schema.const === value;
  if (value === null || value === undefined) return Boolean(schema.nullable);
  if (schema.type === "array") return Array.isArray(value);
  if (schema.type === "object")
    return (
      typeof value === "object" &&
      !Array.isArray(value) &&
      (schema.required ?? []).every((/** @type {string} */ name) => name in value)
    );
  if (schema.type === "integer") return isWhole(value);
  return typeof value === schema.type || (schema.type === "number" && typeof value === "bigint");
}

/**
 * What an endpoint takes, by its OpenAPI document: a JSON body's schema, parameters that only the query or the path
 * has, and examples of the whole body.
 * @param {Schema} document
 * @param {string} path
 * @returns {{schema: Schema, query: Schema, method: string, hasBody: boolean, examples: {name: string, value: any}[],
 *   encoding: string}}
 */
export function endpointSchema(document, path) {
  const methods = document.paths?.[path] ?? document.paths?.[path.replace(/:\w+}/g, "}")] ?? {};
  const method = methods.post ? "post" : (Object.keys(methods).find((name) => !name.startsWith("x-")) ?? "post");
  const operation = methods[method] ?? {};
  const encoding = ENCODINGS.find((one) => operation.requestBody?.content?.[one]) ?? ENCODINGS[0];
  const media = operation.requestBody?.content?.[encoding];
  const schema = media?.schema ? resolveSchema(media.schema, document) : { type: "object", properties: {} };
  /** @type {Schema} */
  const query = { type: "object", properties: {}, required: [] };
  for (const one of operation.parameters ?? []) {
    if (
      (one.in !== "query" && one.in !== "path") ||
      (schema.type === "object" && !mediaKind(schema) && schema.properties?.[one.name])
    )
      continue;
    query.properties[one.name] = { ...one.schema, description: one.description ?? one.schema?.description };
    if (one.required) query.required.push(one.name);
  }
  const named = Object.entries(media?.examples ?? {}).map(([name, one]) => ({
    name: String(/** @type {any} */ (one)?.summary ?? name),
    value: /** @type {any} */ (one)?.value,
  }));
  const plain = media?.example !== undefined ? [media.example] : examplesOf(schema);
  const examples = named.length ? named : plain.map((value, at) => ({ name: `example ${at + 1}`, value }));
  return {
    schema,
    query,
    method: method.toUpperCase(),
    hasBody: Boolean(media),
    examples: examples.filter((one) => one.value !== undefined),
    encoding,
  };
}
