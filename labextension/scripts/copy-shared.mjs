/** Copy the modules that widgets and extension share into src/, where tsc and the bundler look: the source stays where it is. */
import { cpSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const from = join(here, "..", "..", "fal_jupyter", "widgets", "static");
const to = join(here, "..", "src", "shared");
rmSync(to, { recursive: true, force: true });
cpSync(from, to, { recursive: true });
