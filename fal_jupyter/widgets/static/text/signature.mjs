// @ts-check
/** The signature of an endpoint's method, as Python prints it. */

/** The parts between commas that no bracket and no quote holds. @param {string} text @param {string} [mark] in place of a comma */
function topLevelParts(text, mark = ",") {
  const parts = [""];
  let depth = 0;
  let quote = "";
  for (const c of text) {
    if (quote) quote = c === quote ? "" : quote;
    else if (c === "'" || c === '"') quote = c;
    else if ("([{".includes(c)) depth += 1;
    else if (")]}".includes(c)) depth -= 1;
    if (c === mark && !depth && !quote) parts.push("");
    else parts[parts.length - 1] += c;
  }
  return parts;
}

/** The text between the first bracket and the one that closes it. @param {string} signature */
function betweenBrackets(signature) {
  let depth = 0;
  for (let at = 0; at < signature.length; at += 1) {
    if (signature[at] === "(") depth += 1;
    if (signature[at] === ")" && --depth === 0) return signature.slice(1, at);
  }
  return "";
}

/**
 * The parameters that a caller names, in their order.
 * @param {string} signature
 * @returns {{text: string, name: string, hint: string, hasDefault: boolean}[]}
 */
export function parametersOf(signature) {
  return topLevelParts(betweenBrackets(signature))
    .map((one) => one.trim())
    .filter((one) => /^\w/.test(one) && one !== "self")
    .map((text) => {
      const [declared, ...rest] = topLevelParts(text, "=");
      const [name, ...hint] = declared.split(":");
      return { text, name: name.trim(), hint: hint.join(":").trim(), hasDefault: rest.length > 0 };
    });
}
