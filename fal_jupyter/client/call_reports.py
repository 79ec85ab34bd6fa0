"""What is shown about calls in addition to their values: records with times, notices, and lines below the calling cell."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from fal_jupyter.client.concurrent_map import Progress
from fal_jupyter.client.connection.answer import Answer, OnOutput
from fal_jupyter.local_modules import EditWatch
from fal_jupyter.protocol.feed import is_streamed

_STREAMED_TYPES = ("application/jsonl", "application/x-ndjson", "text/event-stream")
map_item: contextvars.ContextVar[tuple[int, int]] = contextvars.ContextVar("map_item", default=(0, 0))
"""The map and the item that the running thread works on; zeros for a single call."""


class CallRecord(msgspec.Struct, frozen=True, gc=False):
    """One finished call, for the timing display. Times are in milliseconds; *aborted*: its answer began but was cut off.

    *streamed*: its answer arrived in pieces. *batch* is the number of the map that made it, and *item* its index there; 0 for a single call. *hint* is what to type instead.
    """

    request_id: str
    endpoint: str
    status: int
    queue_ms: float
    start_ms: float
    transfer_ms: float
    run_ms: float
    stream_ms: float
    total_ms: float
    revision: int
    runner: str
    aborted: bool
    streamed: bool = False
    batch: int = 0
    item: int = 0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class CallHooks:
    """What a front end does with calls and their outcome. All are called in the thread that calls.

    Attributes:
        new_output: returns what receives ``(stream, text)`` of what the endpoint prints during one call.
        on_done: receives a :class:`CallRecord` for every finished call.
        on_value: receives the value of every successful call; for a map, all of them as one list.
        on_map: creates the progress display of a map, from the endpoint's name and the number of items.
        name_places: rewrites a traceback's text, so that locations have the names that the user knows (``Cell In[3]``).
        outside: returns the URL prefix of the endpoints below a Jupyter server, ``""`` if there is none.
        cell: returns the running cell; a notice about an older revision is shown once per cell.
        again: what the user does so that a new revision uses an edited module.
    """

    new_output: Callable[[], OnOutput] | None = None
    on_done: Callable[[CallRecord], None] | None = None
    on_value: Callable[[object], None] | None = None
    on_map: Callable[[str, int], Progress] | None = None
    name_places: Callable[[str], str] = str
    outside: Callable[[], str] = str
    cell: Callable[[], int] = int
    again: str = "serve it again"


class CallReports:
    """Reports one app's calls to the hooks of a front end.

    Attributes:
        edits: tracks the user's modules that the app uses; a call reports which were edited.
        outdated: the class has been redefined, and the new definition is not served.
        taker: returns the other process that has the app's name now, ``""`` where there is none.
    """

    def __init__(self, class_name: str, edits: EditWatch, taker: Callable[[], str] = str) -> None:
        self.hooks = CallHooks()
        self.edits, self.outdated = edits, False
        self._class_name = class_name
        self._noticed_in = -1  # the cell in which a notice of an older revision was shown
        self._hinted: set[str] = set()
        self.taker = taker
        self._newer = 0  # the last revision of which was asked who published it

    def new_output(self) -> OnOutput | None:
        """Return what receives the output of one call, or ``None`` where it is not shown."""
        return self.hooks.new_output() if self.hooks.new_output is not None else None

    def notice(self, text: str) -> None:
        """Show a line below the calling cell."""
        if (write := self.new_output()) is not None:
            write(2, f"[fal_jupyter: {text}]\n")

    def edited_modules(self) -> None:
        """Show which of the user's modules were edited since the app was published."""
        if self.hooks.new_output is not None:
            for news in self.edits.news(self._class_name, self.hooks.again, self.hooks.cell()):
                self.notice(news)

    def finished(self, endpoint: str, answer: Answer, newest: int, hint: str = "") -> None:
        """A call has ended; *newest* is the revision that was published last."""
        if answer.end is None:
            return
        self.older_revision(answer.end["revision"], newest)
        if self.hooks.on_done is None:
            return
        timing = answer.end["timing"]
        self.hooks.on_done(
            CallRecord(
                answer.end["request_id"],
                endpoint,
                answer.status,
                timing["queue_ms"],
                timing["start_ms"],
                timing["transfer_ms"],
                timing["run_ms"],
                timing["stream_ms"],
                timing["total_ms"],
                answer.end["revision"],
                answer.end["runner"],
                answer.aborted,
                is_streamed(answer.header("content-type")),
                *map_item.get(),
                hint,
            )
        )

    def older_revision(self, answered: int, newest: int) -> None:
        """Report, once per cell, that the answering revision is not the latest definition; and once, that it is another process's."""
        if self._is_unknown(answered, newest):
            self._published_by(self.taker(), answered)
        is_older = self.outdated or 0 < answered < newest
        if is_older and self.hooks.new_output is not None and self._noticed_in != (cell := self.hooks.cell()):
            self._noticed_in = cell
            self.notice(f"revision {answered} of {self._class_name} is still serving, not its latest definition")

    async def ask_publisher(self, answer: Answer, newest: int) -> None:
        """Ask in a thread what :meth:`finished` would ask in this one, and report it."""
        if answer.end is not None and self._is_unknown(revision := answer.end["revision"], newest):
            self._published_by(await asyncio.to_thread(self.taker), revision)

    def _is_unknown(self, answered: int, newest: int) -> bool:
        """True if it must be asked who published the answering revision, which is newer than this process's *newest*."""
        return answered > newest and answered != self._newer and self.hooks.new_output is not None

    def _published_by(self, taker: str, revision: int) -> None:
        """Report, once, that a newer revision is of *taker*, another process; ``""``: of this one."""
        if taker and revision != self._newer:
            self.notice(
                f"{self._class_name} is of {taker} now, which took its name over; {self.hooks.again} with --take-over to have it back"
            )
        self._newer = revision

    def stream_hint(self, endpoint: str, answer: Answer, *, has_endpoint_stream: bool) -> str:
        """Report, once per endpoint, how to read its answer as a stream: a plain call returns only when all pieces have arrived."""
        kind = answer.header("content-type").partition(";")[0].strip().lower()
        if kind not in _STREAMED_TYPES or endpoint in self._hinted:
            return ""
        self._hinted.add(endpoint)
        way = f"{endpoint}.stream" if has_endpoint_stream else f"stream.{endpoint}"
        return f"streams: use {self._class_name}.{way}"
