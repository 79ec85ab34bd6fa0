/** A new notebook that has an app in it. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import { InputDialog } from "@jupyterlab/apputils";

import { openNewNotebook } from "../notebooks/notebook_file";
import { TEMPLATES, cellsOf } from "../shared/sidebar/templates.mjs";

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
  return openNewNotebook(app, folder, alias, cells);
}
