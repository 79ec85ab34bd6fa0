"""What a realtime endpoint's options and annotations mean (fal 1.83.0, measured)."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["unary", "server_streaming", "client_streaming", "bidi"]
ASYNC_ITERATORS = (collections.abc.AsyncIterator, collections.abc.AsyncGenerator)
SYNC_ITERATORS = (collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator)


class Infer:
    """Placeholder for "what the annotations say"."""

    def __repr__(self) -> str:
        return "<infer>"

    def __reduce__(self) -> str:
        return "INFER"  # the one of the module, wherever it arrives


INFER = Infer()


@dataclass(frozen=True, eq=False)
class RealtimeOptions:
    """How a realtime endpoint speaks.

    Attributes:
        buffering: how many inputs may wait; older ones are dropped; None: all wait.
        session_timeout: seconds without an input after which the session ends; None: never.
        input_modal: what each decoded input is made into (``Model(**input)``); None: nothing; INFER: the annotation's.
        output_modal: as declared, for the schema.
        max_batch_size: how many waiting inputs are handed over at once.
        content_type: as declared, for the schema.
        encode_message: makes a message of an output's dict; None: msgpack.
        decode_message: makes an input of a message's bytes; None: msgpack.
    """

    buffering: int | None = None
    session_timeout: float | None = None
    input_modal: Any = INFER
    output_modal: Any = INFER
    max_batch_size: int = 1
    content_type: str = "application/msgpack"
    encode_message: Callable[[Any], bytes | str] | None = None
    decode_message: Callable[[bytes], Any] | None = None

    def input_of(self, method: Callable[..., Any]) -> Any:
        """Return the class that inputs are made into, or None."""
        if self.input_modal is not INFER:
            return self.input_modal
        annotation, _ = annotations_of(method)
        return _meant(annotation, _item(annotation, ASYNC_ITERATORS))

    def output_of(self, method: Callable[..., Any]) -> Any:
        """Return the class of the outputs, or None."""
        if self.output_modal is not INFER:
            return self.output_modal
        _, annotation = annotations_of(method)
        return _meant(annotation, _item(annotation, (*ASYNC_ITERATORS, *SYNC_ITERATORS)))


def annotations_of(method: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the annotations of the first parameter after ``self`` and of the result; None if there is none."""
    names = [
        name
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if names and names[0] in ("self", "cls"):
        del names[0]
    try:
        hints = typing.get_type_hints(method)
    except (
        Exception
    ):  # a name that is not there: as if nothing were annotated, and the runner says it when it is called
        hints = dict(getattr(method, "__annotations__", {}))
    return hints.get(names[0]) if names else None, hints.get("return")


def _item(annotation: Any, kinds: tuple[Any, ...]) -> Any:
    """Return what an iterator of *kinds* iterates over (Any where it does not say), or None if it is none."""
    if annotation is None:
        return None
    origin = typing.get_origin(annotation) or annotation
    if not any(origin is kind for kind in kinds):
        return None
    args = typing.get_args(annotation)
    return args[0] if args else Any


def _meant(annotation: Any, item: Any) -> Any:
    meant = annotation if item is None else item
    return None if meant is Any else meant


def mode_of(method: Callable[..., Any]) -> Mode:
    """Return the mode that the annotations mean: who sends one message at a time, and who sends many."""
    annotation, result = annotations_of(method)
    many_in = _item(annotation, ASYNC_ITERATORS) is not None
    if many_in and _item(result, ASYNC_ITERATORS) is not None:
        return "bidi"
    if many_in:
        return "client_streaming"
    if _item(result, (*ASYNC_ITERATORS, *SYNC_ITERATORS)) is not None:
        return "server_streaming"
    return "unary"
