// @ts-check
/** A line that reaches an app from any notebook of this machine, with the owner's own credentials. */

const EXAMPLES = /** @type {Record<string, string>} */ ({ str: '"text"', int: "1", float: "1.0", bool: "True" });

/**
 * The line; it calls the first endpoint where plain values do.
 * @param {{app: string, endpoints: import("../types.d.ts").EndpointState[]}} app
 */
export function connectCell(app) {
  const called = app.endpoints.find((one) => one.protocol === "http");
  const values = called && exampleOf(called.signature);
  return `import fal_jupyter; fal_jupyter.app(${JSON.stringify(app.app)})${called && values !== null ? `.${called.name}(${values})` : ""}`;
}

/**
 * A value for each parameter that has to be given, as keywords; null where one takes more than a plain value.
 * @param {string} signature `(prompt: str, n: int = 3) -> dict`
 */
function exampleOf(signature) {
  let depth = 0,
    part = "";
  const parts = /** @type {string[]} */ ([]);
  for (const c of signature.slice(1).replace(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g, "''")) {
    if (depth === 0 && (c === "," || c === ")")) {
      parts.push(part.trim());
      part = "";
      if (c === ")") break;
    } else {
      depth += "([{".includes(c) ? 1 : ")]}".includes(c) ? -1 : 0;
      part += c;
    }
  }
  const required = parts
    .filter((one) => one && !/^[*/]|=/.test(one))
    .map((one) => one.split(":").map((word) => word.trim()));
  return required.every(([, kind]) => kind in EXAMPLES)
    ? required.map(([name, kind]) => `${name}=${EXAMPLES[kind]}`).join(", ")
    : null;
}
