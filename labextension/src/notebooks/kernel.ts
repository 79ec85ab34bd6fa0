/** The kernel of a notebook, as far as running an app's cell needs it. */

interface Reply {
  content: { status: string; ename?: string; evalue?: string };
}
interface Kernel {
  requestExecute(content: Record<string, unknown>): { done: Promise<Reply> };
}
export interface SessionContext {
  ready: Promise<void>;
  session: { kernel: Kernel | null } | null;
  /** Start a kernel; true where the user has to choose one. */
  startKernel?(): Promise<boolean>;
}

/** It says nothing where it is loaded, and leaves no name behind. */
const LOAD = "__import__('fal_jupyter'); get_ipython().extension_manager.load_extension('fal_jupyter')";

/**
 * Have `%%fal_app` in the kernel of a notebook: a new kernel does not know it.
 * @param choose asks which kernel it shall be, where there is none to start
 * @throws Error: one sentence, where it cannot be had
 */
export async function loadExtension(context: SessionContext, choose: () => Promise<unknown>): Promise<void> {
  await context.ready;
  if (!context.session?.kernel && (await context.startKernel?.())) {
    await choose();
  }
  const kernel = context.session?.kernel;
  if (!kernel) {
    throw new Error("The cell was not run: its notebook has no kernel. Choose one, then run it.");
  }
  const { content } = await kernel.requestExecute({
    code: LOAD,
    silent: true,
    store_history: false,
    allow_stdin: false,
    stop_on_error: false,
  }).done;
  if (content.status !== "ok") {
    const why = content.ename ? `: ${content.ename}: ${content.evalue ?? ""}`.slice(0, 300) : "";
    throw new Error(`The cell was not run: its kernel could not load the extension fal_jupyter${why}`);
  }
}
