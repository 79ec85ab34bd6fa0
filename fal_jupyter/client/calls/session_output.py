"""Shows what a session's endpoint prints, below the cell that uses the session."""

from __future__ import annotations

import contextvars
import threading
from urllib.parse import quote

from fal_jupyter.client.calls.interface import CallingClient
from fal_jupyter.client.connection.answer import AnswerReader, OnOutput
from fal_jupyter.client.connection.response import Response
from fal_jupyter.domain.errors import GatewayError
from fal_jupyter.protocol.api import A_PRINTED

PATIENCE = 1.0  # seconds to wait for output after the socket has closed


class SessionOutput:
    """Follows one request's output in a thread, and prints it below the cell that opened the session."""

    def __init__(self, client: CallingClient, alias: str, request_id: str, on_output: OnOutput | None) -> None:
        self._thread: threading.Thread | None = None
        self._answer: Response | None = None
        if on_output is None or not request_id:
            return
        try:
            self._answer = client.control.open("GET", A_PRINTED.format(id=quote(request_id, safe="")))
        except (OSError, GatewayError):
            return  # the gateway has ended; the session itself reports that
        if self._answer.status != 200:
            self._answer.read()  # to its end, so that its socket is closed
            return
        reader = AnswerReader(on_output, f"%fal logs {alias} has the last of them")
        target = contextvars.copy_context().run
        self._thread = threading.Thread(
            target=target, args=(self._follow, self._answer, reader), name="fal-jupyter-printed", daemon=True
        )
        self._thread.start()

    @staticmethod
    def _follow(answer: Response, reader: AnswerReader) -> None:
        try:
            for piece in answer:
                reader.feed(piece)
        except GatewayError:
            pass  # hung up, by us or by the gateway's end
        reader.finish()

    def end(self, patience: float = PATIENCE) -> None:
        """Show the remaining output after the session's end, for at most *patience* seconds."""
        if self._thread is not None and self._answer is not None:
            self._thread.join(patience)
            self._answer.close()
