"""``@fal.realtime``: marks a method that answers message by message over a websocket (fal 1.83.0, measured).

The mark only keeps the options; the runner serves them (:mod:`fal_jupyter.runner.application.realtime`). On an instance the method stays
the plain method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.fal.classes.endpoints import marker
from fal_jupyter.fal.classes.realtime_options import INFER, RealtimeOptions


def realtime(
    path: str,
    *,
    buffering: int | None = None,
    session_timeout: float | None = None,
    input_modal: Any = INFER,
    output_modal: Any = INFER,
    max_batch_size: int = 1,
    content_type: str = "application/msgpack",
    encode_message: Callable[[Any], bytes | str] | None = None,
    decode_message: Callable[[bytes], Any] | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Mark a method of a ``fal.App`` as a realtime endpoint on *path*; see :class:`RealtimeOptions`.

    Annotations choose the mode: one input and one output, an iterator of outputs, an async iterator of inputs, or both.

    Raises:
        AppRuleBroken: the method is marked already, or an option does not fit.
    """
    for name, value in (("buffering", buffering), ("max_batch_size", max_batch_size)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise AppRuleBroken(f"{name} of @fal.realtime({path!r}) is a whole number, 1 or more, not {value!r}")
    options = RealtimeOptions(
        buffering, session_timeout, input_modal, output_modal, max_batch_size, content_type, encode_message, decode_message
    )  # fmt: skip
    return marker(path, is_websocket=True, realtime=options)
