/** New notebooks: written as files, since another page may open them, as in Notebook 7. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { PathExt } from "@jupyterlab/coreutils";

import type { NotebookPanel } from "./notebook_panel";

/** A notebook that loads the extension, and has the cells below that. */
function contentOf(cells: string[]): Record<string, unknown> {
  const cell = (source: string) => ({ cell_type: "code", execution_count: null, metadata: {}, outputs: [], source });
  return {
    cells: ["%load_ext fal_jupyter", ...cells].map(cell),
    metadata: { kernelspec: { name: "python3", display_name: "Python 3 (ipykernel)", language: "python" } },
    nbformat: 4,
    nbformat_minor: 4,
  };
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

/** The folder that the file browser shows, the server's root where there is none. */
export function folderShown(app: JupyterFrontEnd): string {
  const browser = [...app.shell.widgets("left")].find((one) => one.id === "filebrowser");
  return (browser as { model?: { path?: string } } | undefined)?.model?.path ?? "";
}

/** Make a notebook of these cells in `folder` and open it; undefined where another page has it then. */
export async function openNewNotebook(
  app: JupyterFrontEnd,
  folder: string,
  stem: string,
  cells: string[],
): Promise<NotebookPanel | undefined> {
  const path = await freePath(app, folder, stem);
  await app.serviceManager.contents.save(path, { type: "notebook", format: "json", content: contentOf(cells) });
  return app.commands.execute("docmanager:open", { path, factory: "Notebook" });
}
