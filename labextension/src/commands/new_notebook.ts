/** A new notebook that has an app in it. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { InputDialog } from "@jupyterlab/apputils";
import { PathExt } from "@jupyterlab/coreutils";

import { TEMPLATES, cellsOf } from "../shared/sidebar/templates.mjs";

/** A notebook of a template: it loads the extension, defines the app, and calls it. */
function starterNotebook(cells: string[]): Record<string, unknown> {
  const cell = (source: string) => ({ cell_type: "code", execution_count: null, metadata: {}, outputs: [], source });
  return {
    cells: ["%load_ext fal_jupyter", ...cells].map(cell),
    metadata: { kernelspec: { name: "python3", display_name: "Python 3 (ipykernel)", language: "python" } },
    nbformat: 4,
    nbformat_minor: 4,
  };
}

/** Ask which template a new notebook is made of; undefined where the user changed their mind. */
async function chosenTemplate(): Promise<string | undefined> {
  const kinds = Object.entries(TEMPLATES);
  const items = kinds.map(([, one]) => `${one.label}: ${one.caption}`);
  const answer = await InputDialog.getItem({
    title: "New fal App",
    label: "What does the app return?",
    items,
    okLabel: "Create",
  });
  return answer.button.accept ? kinds[items.indexOf(answer.value ?? "")]?.[0] : undefined;
}

/** A path in `folder` that no file has: `hello.ipynb`, else `hello-1.ipynb`. */
async function freePath(app: JupyterFrontEnd, folder: string, stem: string): Promise<string> {
  const listing = await app.serviceManager.contents.get(folder, { content: true });
  const taken = new Set((listing.content as { name: string }[]).map((one) => one.name));
  let free = `${stem}.ipynb`;
  for (let number = 1; taken.has(free); number += 1) {
    free = `${stem}-${number}.ipynb`;
  }
  return PathExt.join(folder, free);
}

/** Make a notebook in `folder` of a template, asked for where absent, and open it; `aliases` are taken. */
export async function newNotebook(
  app: JupyterFrontEnd,
  folder: string,
  template: string | undefined,
  aliases: string[],
): Promise<unknown> {
  const kind = template ?? (await chosenTemplate());
  if (!kind) {
    return undefined;
  }
  const { alias, cells } = cellsOf(kind, aliases);
  const path = await freePath(app, folder, alias);
  await app.serviceManager.contents.save(path, { type: "notebook", format: "json", content: starterNotebook(cells) });
  return app.commands.execute("docmanager:open", { path, factory: "Notebook" });
}
