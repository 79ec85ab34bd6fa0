"""``%%fal_app`` and ``%fal``: parsing only; :mod:`~fal_jupyter.notebook.cells.serving` and :mod:`fal_jupyter.commands` do the work."""

from __future__ import annotations

import json

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class

from fal_jupyter.commands import parser
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.domain.text.terminal_text import safe_text
from fal_jupyter.notebook.cells import serving
from fal_jupyter.notebook.session import current_session

APP_HELP = f"""Run the cell and serve every fal.App class that it defines.

The cell runs in your namespace, where ``fal`` is available without an import. It completes when the first runner of each
app is ready, and fails if one cannot start. Endpoints can be called from any later cell.

Example::

    %%fal_app --keep-alive 60
    class Hello(fal.App):
        @fal.endpoint("/")
        def hi(self, name: str = "world") -> dict:
            return {{"text": f"Hello, {{name}}"}}

    Hello.hi(name="Ada")        # in a later cell

{parser.app_parser().format_help()}"""

FAL_HELP = f"""Inspect and manage apps, runners and settings.

{parser.help_text("notebook")}
Example::

    %fal apps
    %fal logs Hello --lines 20
    %fal config timing off
"""


@magics_class
class FalMagics(Magics):  # type: ignore[misc]  # IPython is not typed
    """The magics of fal_jupyter."""

    def fal_app(self, line: str, cell: str) -> None:
        __tracebackhide__ = True
        try:
            args = parser.parse_app_line(line)
        except parser.HelpRequested as help_text:
            print(help_text)
            return
        serving.serve_cell(current_session(), cell, args)

    def fal_app_line(self, line: str) -> None:
        __tracebackhide__ = True
        try:
            parser.parse_app_line(line)
        except parser.HelpRequested as help_text:  # IPython refuses the cell magic without a body, and names this one
            print(help_text)
            return
        raise BadSetting("%fal_app runs a whole cell", hint="begin the cell with %%fal_app, with two %")

    def fal(self, line: str) -> None:
        __tracebackhide__ = True
        try:
            args = parser.parse_command(parser.split(line), "notebook")
        except parser.HelpRequested as help_text:
            print(help_text)
            return
        from fal_jupyter.commands import handlers  # start-up
        from fal_jupyter.notebook.command_backend import NotebookBackend  # start-up

        outcome = handlers.execute(args, NotebookBackend(current_session()))
        if args.json or outcome.text:
            print(json.dumps(outcome.data) if args.json else safe_text(outcome.text))

    # IPython shows the docstring of the function that it registers: `%%fal_app?`, `%fal?`
    fal_app.__doc__ = fal_app_line.__doc__ = APP_HELP
    fal.__doc__ = FAL_HELP
    fal_app = cell_magic(fal_app)  # type: ignore[assignment]
    fal_app_line = line_magic("fal_app")(fal_app_line)  # type: ignore[arg-type]
    fal = line_magic(fal)  # type: ignore[assignment]
