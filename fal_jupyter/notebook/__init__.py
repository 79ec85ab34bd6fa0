"""The IPython extension: magics, cells, cards and timing. Loaded by ``%load_ext fal_jupyter``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.notebook.calls.open_line import open_line
from fal_jupyter.notebook.completion import Completion
from fal_jupyter.notebook.display import class_display
from fal_jupyter.notebook.namespace.tracebacks import lines_of_call
from fal_jupyter.notebook.served_names import names_of_apps, names_of_runners
from fal_jupyter.notebook.session import current_session, end_session
from fal_jupyter.notebook.shell import Shell

_undo_callbacks: list[Callable[[], None]] = []


def load_ipython_extension(shell: Shell) -> None:
    """Register the magics, their completion and the display of timing. Idempotent."""
    if _undo_callbacks:
        return
    from fal_jupyter.fal import import_hook  # start-up
    from fal_jupyter.notebook.magics import FalMagics  # start-up

    import_hook.install()
    session = current_session()
    shell.register_magics(FalMagics)
    matcher = Completion(names_of_apps, names_of_runners).matcher()
    shell.Completer.custom_matchers.append(matcher)
    uninstall_display = class_display.install(shell)
    uninstall_pictures = session.pictures.install(shell)
    uninstall_open_line = open_line.install(shell)
    session.look_at_modules()
    without_notebook, FalJupyterError.lines_of_call = FalJupyterError.lines_of_call, partial(lines_of_call, shell)
    shell.events.register("pre_run_cell", session.on_cell_start)
    shell.events.register("post_run_cell", session.on_cell_end)

    def undo() -> None:
        shell.events.unregister("pre_run_cell", session.on_cell_start)
        shell.events.unregister("post_run_cell", session.on_cell_end)
        if matcher in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.remove(matcher)
        for kind, name in (("line", "fal"), ("line", "fal_app"), ("cell", "fal_app")):
            shell.magics_manager.magics[kind].pop(name, None)
        shell.magics_manager.registry.pop(FalMagics.__name__, None)
        uninstall_display()
        uninstall_pictures()
        uninstall_open_line()
        FalJupyterError.lines_of_call = without_notebook
        import_hook.uninstall()
        end_session()

    _undo_callbacks.append(undo)


def unload_ipython_extension(_: object) -> None:
    """Undo :func:`load_ipython_extension`; the apps of this kernel stop."""
    while _undo_callbacks:
        _undo_callbacks.pop()()
