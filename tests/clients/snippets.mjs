// Prints what the panels write for the calls and the recorded requests that standard input names, as JSON: programs {language: text} of each, and the templates' cells.
import { readFileSync } from "node:fs";
import { recordedPrograms } from "../../fal_jupyter/widgets/static/inspector/recorded.mjs";
import { snippetsOf } from "../../fal_jupyter/widgets/static/snippets/snippets.mjs";
import { cellsOf, TEMPLATES } from "../../fal_jupyter/widgets/static/sidebar/templates.mjs";

const { calls, recorded = [] } = JSON.parse(readFileSync(0, "utf8"));
const templates = Object.fromEntries(Object.keys(TEMPLATES).map((kind) => [kind, cellsOf(kind, calls.length ? [] : ["hello", "painter", "teller"]).cells]));
process.stdout.write(JSON.stringify({ programs: calls.map((call) => snippetsOf(call)), recorded: recorded.map(([app, detail]) => recordedPrograms(app, detail)), templates }));
