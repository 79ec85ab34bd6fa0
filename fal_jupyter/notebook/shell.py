"""What this package uses of IPython's shell, whose own annotations are partly missing and partly wrong."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import CodeType, TracebackType
from typing import Protocol, runtime_checkable


class CellCompiler(Protocol):
    """Compiles cells, and knows their file names (``IPython.core.compilerop.CachingCompiler``)."""

    def __call__(self, source: ast.AST, filename: str, symbol: str) -> CodeType: ...

    def ast_parse(self, source: str, filename: str) -> ast.Module: ...

    def cache(self, transformed_code: str, number: int, raw_code: str) -> str: ...

    def format_code_name(self, name: str) -> tuple[str, str] | None: ...

    def extra_flags(self, flags: int) -> AbstractContextManager[None]: ...


class InputHistory(Protocol):
    """The cells that were run, as they were written and as Python (``IPython.core.history.HistoryManager``)."""

    input_hist_raw: list[str]
    input_hist_parsed: list[str]


class SyntaxErrorFormatter(Protocol):
    """Formats syntax errors (``IPython.core.ultratb.SyntaxTB``)."""

    def structured_traceback(self, etype: type, evalue: BaseException, etb: Sequence[object]) -> list[str]: ...


class TracebackFormatter(Protocol):
    """Formats exceptions (``IPython.core.ultratb.AutoFormattedTB``)."""

    def structured_traceback(
        self, etype: type, evalue: BaseException, etb: TracebackType, *, tb_offset: int
    ) -> list[str]: ...

    def get_exception_only(self, etype: type, value: BaseException) -> list[str]: ...


class PrettyPrinter(Protocol):
    """Writes the text of a value (``IPython.lib.pretty.RepresentationPrinter``)."""

    stack: list[object]

    def text(self, obj: str) -> None: ...


Render = Callable[[type], "str | None"]
Pretty = Callable[[type, PrettyPrinter, bool], None]


class TypeFormatter(Protocol):
    """Formats values by their type (``IPython.core.formatters.BaseFormatter``)."""

    type_printers: dict[type, Pretty]

    def for_type(self, typ: type, func: Render | Pretty) -> Render | None: ...

    def pop(self, typ: type, default: None) -> object: ...


class BundleFormatter(Protocol):
    """Makes MIME bundles of values, by their type (``IPython.core.formatters.MimeBundleFormatter``)."""

    def for_type_by_name(self, type_module: str, type_name: str, func: Callable[[object], object]) -> object: ...

    def pop(self, typ: str, default: None) -> object: ...


class DisplayFormatter(Protocol):
    """Has a formatter for each media type, and one for values that make several at once."""

    formatters: dict[str, TypeFormatter]
    mimebundle_formatter: BundleFormatter


class Completer(Protocol):
    """Completes what is typed."""

    custom_matchers: list[Callable[..., object]]


class CompletionContext(Protocol):
    """The line that is typed, and where the cursor is."""

    line_with_cursor: str
    cursor_position: int


@runtime_checkable
class HookedPublisher(Protocol):
    """Sends what is displayed, through functions that see each message (``ipykernel.zmqshell.ZMQDisplayPublisher``)."""

    def register_hook(self, hook: Callable[[dict[str, object]], dict[str, object] | None]) -> None: ...

    def unregister_hook(self, hook: Callable[[dict[str, object]], dict[str, object] | None]) -> bool: ...


class EventManager(Protocol):
    """Calls functions before and after cells."""

    def register(self, event: str, function: Callable[..., None]) -> None: ...

    def unregister(self, event: str, function: Callable[..., None]) -> None: ...


class MagicsManager(Protocol):
    """Has the registered magics, by kind and name, and the objects that they belong to, by class."""

    magics: dict[str, dict[str, Callable[..., object]]]
    registry: dict[str, object]


class CellInfo(Protocol):
    """A cell that is about to run."""

    raw_cell: str | None


class CellResult(Protocol):
    """A cell that has run."""

    result: object


class Shell(Protocol):
    """``IPython.core.interactiveshell.InteractiveShell``."""

    compile: CellCompiler
    Completer: Completer
    display_formatter: DisplayFormatter
    display_pub: object
    events: EventManager
    execution_count: int
    history_manager: InputHistory
    InteractiveTB: TracebackFormatter
    magics_manager: MagicsManager
    SyntaxTB: SyntaxErrorFormatter
    user_ns: dict[str, object]

    def register_magics(self, magics: type) -> None: ...

    def transform_ast(self, node: ast.Module) -> ast.Module: ...

    def transform_cell(self, raw_cell: str) -> str: ...


def running_shell() -> Shell | None:
    """Return the shell of this process; None in a script. IPython is not imported for it."""
    module = sys.modules.get("IPython")
    shell: Shell | None = module.get_ipython() if module is not None else None
    return shell
