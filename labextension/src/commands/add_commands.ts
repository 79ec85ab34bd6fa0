/** Adding commands with their label, icon, description and errors alike. */
import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { ICommandPalette } from "@jupyterlab/apputils";
import type { LabIcon } from "@jupyterlab/ui-components";
import type { ReadonlyJSONObject } from "@lumino/coreutils";

import { complain } from "../complain";

/** The argument of a command that works on one app. */
export const ALIAS = { alias: { type: "string", description: "The app, by the second half of its name" } };

export interface CommandSpec {
  /** Without the prefix `fal-jupyter:`. */
  id: string;
  label: string;
  caption: string;
  icon: LabIcon;
  args?: Record<string, { type: string; description: string }>;
  execute: (args: Record<string, string>) => unknown;
}

/** Add a command, also to the palette; its errors become notifications. */
export function addCommand(app: JupyterFrontEnd, palette: ICommandPalette | null, spec: CommandSpec): void {
  const command = `fal-jupyter:${spec.id}`;
  app.commands.addCommand(command, {
    label: (args) => (args.isPalette ? `fal: ${spec.label}` : spec.label),
    caption: spec.caption,
    icon: spec.icon,
    describedBy: { args: { type: "object", properties: spec.args ?? {} } as ReadonlyJSONObject },
    execute: async ({ isPalette: _, ...args }) => {
      try {
        return await spec.execute(args as Record<string, string>);
      } catch (error) {
        complain(error);
        return undefined;
      }
    },
  });
  palette?.addItem({ command, category: "fal", args: { isPalette: true } });
}
