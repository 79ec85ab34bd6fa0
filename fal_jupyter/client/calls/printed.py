"""What a session's endpoint prints, shown below the cell that talks to it."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote

from fal_jupyter.client.connection.answer import AnswerReader, OnOutput
from fal_jupyter.client.connection.watching import RawAnswer
from fal_jupyter.domain.errors import GatewayError

if TYPE_CHECKING:
    from fal_jupyter.client.connection.interface import GatewayConnections

PATIENCE = 1.0  # seconds for what is printed after the socket has closed


class Printed:
    """Follows one request's output on a thread of its own, which prints where the cell that began it prints."""

    def __init__(self, client: GatewayConnections, alias: str, request_id: str, on_output: OnOutput | None) -> None:
        self._thread: threading.Thread | None = None
        self._answer: RawAnswer | None = None
        if on_output is None or not request_id:
            return
        try:
            self._answer = client.ask_raw("GET", f"/admin/requests/{quote(request_id, safe='')}/printed")
        except (OSError, GatewayError):
            return  # the gateway has ended, and the session with it: that is told there
        if self._answer.status != 200:
            b"".join(self._answer)  # to its end, so that its socket is closed
            return
        reader = AnswerReader(on_output, f"%fal logs {alias} has the last of them")
        target = contextvars.copy_context().run
        self._thread = threading.Thread(
            target=target, args=(self._follow, self._answer, reader), name="fal-jupyter-printed", daemon=True
        )
        self._thread.start()

    @staticmethod
    def _follow(answer: RawAnswer, reader: AnswerReader) -> None:
        try:
            for piece in answer:
                reader.feed(piece)
        except GatewayError:
            pass  # hung up, by us or by the gateway's end
        reader.finish()

    def end(self, patience: float = PATIENCE) -> None:
        """The session is over: show what is left, for at most *patience* seconds."""
        if self._thread is not None and self._answer is not None:
            self._thread.join(patience)
            self._answer.close()
