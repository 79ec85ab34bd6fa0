// @ts-check
/**
 * Programs for the stream of an endpoint that yields: a line of JSON for each value, which fal's clients do not read,
 * so these say it in plain HTTP.
 */
import { CELL, JAVASCRIPT, programLines, pythonWord, written } from "../text/literals.mjs";

/** How plain Python writes a file: as a data address. @type {import("../text/literals.mjs").Grammar} */
const PLAIN_PYTHON = { ...CELL, file: (file) => `data(${pythonWord(file.name)}, ${pythonWord(file.type)})` };
/** @type {import("../text/literals.mjs").Grammar} */
const PLAIN_JAVASCRIPT = {
  ...JAVASCRIPT,
  file: (file) => `await data(${JSON.stringify(file.name)}, ${JSON.stringify(file.type)})`,
};

/** @param {import("./call.d.ts").PreparedCall} call */
const linesTarget = ({ url, path, below }) => `${url}${path}${below.slice(path === "/" ? 0 : path.length)}`;

/** @param {import("./call.d.ts").PreparedCall} call */
export function linesPython(call) {
  const { value, method, files, made, key } = call;
  const file = files.length > 0;
  return programLines(
    file && "import base64",
    "import json",
    !made && "import os",
    file && "from pathlib import Path",
    "",
    "import httpx",
    "",
    file &&
      'def data(name, kind):\n    return f"data:{kind};base64," + base64.b64encode(Path(name).read_bytes()).decode()\n\n',
    "with httpx.stream(",
    `    ${pythonWord(method)},`,
    `    ${pythonWord(linesTarget(call))},`,
    `    headers={"Authorization": ${made ? pythonWord(`Key ${key}`) : "f\"Key {os.environ['FAL_KEY']}\""}},`,
    `    json=${written(value, PLAIN_PYTHON, ",", "    ")},`,
    "    timeout=None,",
    ") as answer:",
    "    answer.raise_for_status()",
    "    for line in answer.iter_lines():",
    "        print(json.loads(line))",
  );
}

/** @param {import("./call.d.ts").PreparedCall} call */
export function linesJavascript(call) {
  const { value, method, files, made, key } = call;
  return programLines(
    files.length > 0 &&
      'import { readFile } from "node:fs/promises";\n\n' +
        'const data = async (name, type) => "data:" + type + ";base64," + (await readFile(name)).toString("base64");',
    `const answer = await fetch(${JSON.stringify(linesTarget(call))}, {`,
    `    method: ${JSON.stringify(method)},`,
    `    headers: { Authorization: ${made ? JSON.stringify(`Key ${key}`) : '"Key " + process.env.FAL_KEY'}, "Content-Type": "application/json" },`,
    `    body: JSON.stringify(${written(value, PLAIN_JAVASCRIPT, ",", "    ")}),`,
    "});",
    "if (!answer.ok) throw new Error(await answer.text());",
    'let rest = "";',
    "for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {",
    '    const lines = (rest + piece).split("\\n");',
    '    rest = lines.pop() ?? "";',
    "    for (const line of lines) if (line) console.log(JSON.parse(line));",
    "}",
    "if (rest) console.log(JSON.parse(rest));",
  );
}
