"""State of one kernel (or script) between cells: its client, the handles of its apps, its settings, its timing."""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fal_jupyter.local_modules import loaded
from fal_jupyter.notebook.calls import call_lines
from fal_jupyter.notebook.calls.open_line import open_line
from fal_jupyter.notebook.calls.pictures import Pictures
from fal_jupyter.notebook.calls.progress import DisplayLine
from fal_jupyter.notebook.calls.timing import CellTiming
from fal_jupyter.notebook.display.panel_outputs import Panels
from fal_jupyter.notebook.namespace.history import CellHistory
from fal_jupyter.notebook.namespace.near_misses import near_miss_hint
from fal_jupyter.notebook.shell import CellInfo, CellResult, Shell, running_shell

if TYPE_CHECKING:
    from fal_jupyter.client.client import Client
    from fal_jupyter.client.handle import AppHandle


class NotebookSession:
    """State of this process. *shell* is IPython's, or ``None`` in a script."""

    def __init__(self, shell: Shell | None = None) -> None:
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
        self.cells_started = 0
        self._lines: list[DisplayLine] = []
        self._notebook = os.environ.get("JPY_SESSION_NAME", "")

    # --- the gateway --------------------------------------------------------------------------------------------------
    @property
    def client(self) -> Client:
        """The client of this process, created on first use."""
        if self._client is None:
            from fal_jupyter.client.client import Client  # start-up

            self._client = Client(kind="kernel" if self.shell is not None else "script", name=self.name)
            self._client.cell = self._cell
        return self._client

    @property
    def name(self) -> str:
        """Name of this owner in messages: the file name of the notebook or script, or a description."""
        if self.shell is None:
            return Path(sys.argv[0]).name if sys.argv and sys.argv[0] not in {"", "-c"} else "a script"
        if self._notebook:
            return Path(self._notebook).name
        return "a notebook" if self.is_kernel else "IPython"

    def rename(self, notebook: str) -> None:
        """Set the notebook's name after a rename; at its start the process got the name of then."""
        self._notebook = notebook
        if self._client is not None:
            self._client.rename(self.name)

    def close(self) -> None:
        """End the lease, which stops the apps of this process."""
        client, self._client = self._client, None
        self.panels.close()
        open_line.end()
        self.handles.clear()
        if client is not None:
            client.close()

    # --- the running cell ---------------------------------------------------------------------------------------------
    @property
    def is_kernel(self) -> bool:
        """Whether rich output can be displayed."""
        return self.shell is not None and getattr(self.shell, "kernel", None) is not None

    @property
    def raw_cell(self) -> str:
        """The complete text of the running cell, including magic lines."""
        if self._cells:
            return self._cells[-1]
        raw = self.shell.history_manager.input_hist_raw if self.shell is not None else []
        return raw[-1] if raw else ""

    def on_cell_start(self, info: CellInfo) -> None:
        """Handler of IPython's ``pre_run_cell``. Cells can nest (``%%capture``); the outermost one is timed."""
        self._cells.append(info.raw_cell or "")
        if len(self._cells) == 1:
            self.cells_started += 1
            self.timing.begin()
            self.pictures.begin()
            self._lines.clear()
            open_line.begin(one_screen=not self.is_kernel)
            if self.shell is not None:
                self._set_calling_cell(_cell_address(info, len(self.shell.history_manager.input_hist_raw)))

    def on_cell_end(self, result: CellResult) -> None:
        """Handler of IPython's ``post_run_cell``: displays hints, pictures and the timing of the outermost cell."""
        if self._cells:
            self._cells.pop()
        if not self._cells and (hint := near_miss_hint(getattr(result, "error_in_exec", None))):
            print(hint, file=sys.stderr)
        if not self._cells:
            self._set_calling_cell("")
            open_line.end()
            self.look_at_modules()
        if not self._cells and self.is_kernel:
            self._show_pictures()
        if not self._cells and (tally := self.timing.end()) is not None:
            text = call_lines.as_text(tally, unfolded=self.is_kernel)
            drawn = [line.display_id for line in self._lines if line.display_id]
            replaces = drawn[0] if len(drawn) == 1 else ""  # the timing line replaces a map's progress line
            self.show(text, call_lines.as_html(tally), tally.metadata(), replaces)
        if not self._cells:
            self.panels.refresh(self)

    def _set_calling_cell(self, cell: str) -> None:
        self._cell = cell
        if self._client is not None:
            self._client.cell = cell

    def look_at_modules(self) -> None:
        """Record which modules of the user's files are imported or reloaded, to detect later edits."""
        autoreload = self.shell.magics_manager.registry.get("AutoreloadMagics") if self.shell is not None else None
        times = getattr(getattr(autoreload, "_reloader", None), "modules_mtimes", None)
        loaded.look(times if isinstance(times, dict) else None)

    def _show_pictures(self) -> None:
        from IPython.display import publish_display_data  # start-up

        for bundle, metadata in self.pictures.bundles():
            publish_display_data(bundle, metadata)  # type: ignore[no-untyped-call]
        self.pictures.end()

    def draw_line(self) -> DisplayLine:
        """Create a progress line under the running cell that can be redrawn."""
        self._lines.append(DisplayLine())
        return self._lines[-1]

    def show(self, text: str, html: str, metadata: dict[str, object] | None = None, replaces: str = "") -> None:
        """Display a block, replacing the display with id *replaces* if given; without a front end for HTML, print its text."""
        if not self.is_kernel:
            print(text)
            return
        from IPython.display import publish_display_data  # start-up

        transient = {"display_id": replaces} if replaces else None
        publish_display_data(  # type: ignore[no-untyped-call]
            {"text/plain": text, "text/html": html}, metadata or {}, transient=transient, update=bool(replaces)
        )

    def cell_of(self, name: str) -> str:
        """Return ``cell [7]`` for the cell that assigned the variable, or ``""``."""
        return self.history.cell_of(name) if self.history is not None else ""

    def rename_cell_frames(self, traceback: str) -> str:
        """Rewrite a runner's traceback as IPython does: ``Cell In[3], line 5`` in place of the cell's file name."""
        shell = self.shell
        if shell is None:
            return traceback

        def label_of_frame(match: re.Match[str]) -> str:
            kind_and_name = shell.compile.format_code_name(match[1])
            return f"{' '.join(kind_and_name)}, line {match[2]}" if kind_and_name else match[0]

        return re.sub(r'File "([^"]+)", line (\d+)', label_of_frame, traceback)

    @property
    def namespace(self) -> dict[str, object]:
        """The user's variables."""
        if self.shell is not None:
            return self.shell.user_ns
        return vars(sys.modules["__main__"])


_lock = threading.Lock()


def _cell_address(info: object, number: int) -> str:
    """Return number and id of a cell in the form of the call header; an id that nbformat does not allow is omitted."""
    cell_id = str(getattr(info, "cell_id", None) or "")
    return f"{number} {cell_id if re.fullmatch(r'[a-zA-Z0-9_-]{1,64}', cell_id) else ''}"


_current: NotebookSession | None = None


def current_session() -> NotebookSession:
    """Return the session of this process; it is closed at interpreter exit."""
    global _current
    with _lock:
        if _current is None:
            _current = NotebookSession(running_shell())
            atexit.register(_close)
        return _current


class OutputsToSave:
    """Current outputs of panels, as JSON in the reply to a page that saves its notebook (``user_expressions``)."""

    def __init__(self, aliases: Sequence[str], widgets: Sequence[str] = ()) -> None:
        self._aliases, self._widgets = aliases, widgets

    def _repr_mimebundle_(self, **_: object) -> dict[str, object]:
        outputs = [] if _current is None else _current.panels.to_save(_current, self._aliases, self._widgets)
        return {"application/json": outputs, "text/plain": f"{len(outputs)} outputs"}


def rename_notebook(name: str) -> str:
    """Take the name that the notebook has now from its page (``user_expressions``), and return it."""
    if _current is not None:
        _current.rename(name)
    return name


def end_session() -> None:
    """Close the session; the next :func:`current_session` creates another."""
    global _current
    with _lock:
        session, _current = _current, None
    if session is not None:
        session.close()


def _close() -> None:
    if _current is not None:
        _current.close()
