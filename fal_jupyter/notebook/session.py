"""What one kernel (or script) keeps between cells: its client, the handles of its apps, its settings, its timing."""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fal_jupyter.local_modules import loaded
from fal_jupyter.notebook.calls import call_lines
from fal_jupyter.notebook.calls.pictures import Pictures
from fal_jupyter.notebook.calls.progress import DisplayLine
from fal_jupyter.notebook.calls.timing import CellTiming
from fal_jupyter.notebook.display.shown_panels import Panels
from fal_jupyter.notebook.namespace.history import CellHistory
from fal_jupyter.notebook.namespace.near_misses import meant

if TYPE_CHECKING:
    from fal_jupyter.client.client import Client
    from fal_jupyter.client.handle import AppHandle


class NotebookSession:
    """State of this process. *shell* is IPython's, or ``None`` in a script."""

    def __init__(self, shell: Any = None) -> None:
        self.shell = shell
        self.timing = CellTiming()
        self.pictures = Pictures()
        self.history = CellHistory(shell) if shell is not None else None
        self.handles: dict[str, AppHandle] = {}
        self.fal = "ours"
        self.panels = Panels()
        self._client: Client | None = None
        self._cells: list[str] = []
        self._cell = ""
        self.cells_begun = 0
        self._lines: list[DisplayLine] = []

    # --- the gateway --------------------------------------------------------------------------------------------------
    @property
    def client(self) -> Client:
        """The one client of this process, made when first needed."""
        if self._client is None:
            from fal_jupyter.client.client import Client  # start-up

            self._client = Client(kind="kernel" if self.shell is not None else "script", name=self.name)
            self._client.cell = self._cell
        return self._client

    @property
    def name(self) -> str:
        """What this owner is called in sentences: the notebook's file name, the script's, or what it is."""
        notebook = os.environ.get("JPY_SESSION_NAME")
        if self.shell is None:
            return Path(sys.argv[0]).name if sys.argv and sys.argv[0] not in {"", "-c"} else "a script"
        if notebook:
            return Path(notebook).name
        return "a notebook" if self.is_kernel else "IPython"

    def close(self) -> None:
        """End the lease; the apps of this process go with it."""
        client, self._client = self._client, None
        self.panels.close()
        self.handles.clear()
        if client is not None:
            client.close()

    # --- the running cell ---------------------------------------------------------------------------------------------
    @property
    def is_kernel(self) -> bool:
        """True where rich output can be displayed."""
        return self.shell is not None and getattr(self.shell, "kernel", None) is not None

    @property
    def raw_cell(self) -> str:
        """The whole text of the running cell, magic lines included."""
        if self._cells:
            return self._cells[-1]
        raw: list[str] = self.shell.history_manager.input_hist_raw
        return raw[-1] if raw else ""

    def cell_begins(self, info: Any) -> None:
        """IPython's ``pre_run_cell``. Cells can nest (``%%capture``): the outermost one is timed."""
        self._cells.append(info.raw_cell or "")
        if len(self._cells) == 1:
            self.cells_begun += 1
            self.timing.begin()
            self.pictures.begin()
            self._lines.clear()
            self._asks_from(_address_of(info, len(self.shell.history_manager.input_hist_raw)))

    def cell_ends(self, result: Any) -> None:
        """IPython's ``post_run_cell``: the cell's timing is shown, once."""
        if self._cells:
            self._cells.pop()
        if not self._cells and (hint := meant(getattr(result, "error_in_exec", None))):
            print(hint, file=sys.stderr)
        if not self._cells:
            self._asks_from("")
            self.look_at_modules()
        if not self._cells and self.is_kernel:
            self.pictures.look_at_result(result.result)
            self._show_pictures()
        if not self._cells and (tally := self.timing.end()) is not None:
            told = call_lines.as_text(tally, unfolded=self.is_kernel)
            drawn = [line.display_id for line in self._lines if line.display_id]
            place = drawn[0] if len(drawn) == 1 else ""  # a map's progress becomes its line
            self.show(told, call_lines.as_html(tally), tally.metadata(), place)
        if not self._cells:
            self.panels.refresh(self)

    def _asks_from(self, cell: str) -> None:
        self._cell = cell
        if self._client is not None:
            self._client.cell = cell

    def look_at_modules(self) -> None:
        """Note which modules of the user's files were imported or reloaded, so that later edits can be told from these."""
        autoreload = getattr(self.shell, "magics_manager", None) and self.shell.magics_manager.registry.get(
            "AutoreloadMagics"
        )
        times = getattr(getattr(autoreload, "_reloader", None), "modules_mtimes", None)
        loaded.look(times if isinstance(times, dict) else None)

    def _show_pictures(self) -> None:
        from IPython.display import publish_display_data  # start-up

        for bundle in self.pictures.bundles():
            publish_display_data(bundle)  # type: ignore[no-untyped-call]

    def draw_line(self) -> DisplayLine:
        """Give a line that is drawn again and again under the running cell."""
        self._lines.append(DisplayLine())
        return self._lines[-1]

    def show(self, text: str, html: str, metadata: dict[str, Any] | None = None, place: str = "") -> None:
        """Display a block, in *place* of the display of that id; where there is no front end for HTML, print its text."""
        if not self.is_kernel:
            print(text)
            return
        from IPython.display import publish_display_data  # start-up

        where: dict[str, Any] = {"transient": {"display_id": place}, "update": True} if place else {}
        publish_display_data({"text/plain": text, "text/html": html}, metadata or {}, **where)  # type: ignore[no-untyped-call]

    def cell_of(self, name: str) -> str:
        """Give ``cell [7]`` for the cell that gave the variable its value, or ``""``."""
        return self.history.cell_of(name) if self.history is not None else ""

    def name_places(self, traceback: str) -> str:
        """Write a runner's traceback as IPython would: ``Cell In[3], line 5`` for the cell's file name."""
        if self.shell is None:
            return traceback

        def named(match: re.Match[str]) -> str:
            found = self.shell.compile.format_code_name(match[1])
            return f"{found[0]} {found[1]}, line {match[2]}" if found else match[0]

        return re.sub(r'File "([^"]+)", line (\d+)', named, traceback)

    @property
    def namespace(self) -> dict[str, Any]:
        """The user's variables."""
        if self.shell is not None:
            namespace: dict[str, Any] = self.shell.user_ns
            return namespace
        return vars(sys.modules["__main__"])


_lock = threading.Lock()


def _address_of(info: Any, number: int) -> str:
    """Number and id of a cell, as a call's header has them; an id that is none of nbformat's is left out."""
    cell_id = str(getattr(info, "cell_id", None) or "")
    return f"{number} {cell_id if re.fullmatch(r'[a-zA-Z0-9_-]{1,64}', cell_id) else ''}"


_current: NotebookSession | None = None


def current() -> NotebookSession:
    """Give this process's session; it is closed when the interpreter ends."""
    global _current
    with _lock:
        if _current is None:
            _current = NotebookSession(_shell())
            atexit.register(_close)
        return _current


class OutputsToSave:
    """Fresh outputs of panels, as JSON in the reply to a page that saves its notebook (``user_expressions``)."""

    def __init__(self, aliases: Sequence[str]) -> None:
        self._aliases = aliases

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        found = [] if _current is None else _current.panels.to_save(_current, self._aliases)
        return {"application/json": found, "text/plain": f"{len(found)} outputs"}


def end() -> None:
    """Close the session; the next :func:`current` begins another."""
    global _current
    with _lock:
        session, _current = _current, None
    if session is not None:
        session.close()


def _close() -> None:
    if _current is not None:
        _current.close()


def _shell() -> Any:
    module = sys.modules.get("IPython")  # never imported for this: a script without IPython has no shell
    return module.get_ipython() if module is not None else None
