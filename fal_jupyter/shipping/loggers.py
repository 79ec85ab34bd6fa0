"""Loggers of the notebook: pickle sends only their name, so a runner would lose levels and handlers.

The configuration of a captured logger and of its parents is sent with it. Handlers that write to standard streams, files or nowhere are
recreated, and so are those of classes of the notebook; a file is opened for appending. Handlers with a connection or a thread are
not sent, which is reported in the cell.
"""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import sys
from collections.abc import Iterator
from typing import Any

_MADE_ANEW = (
    *(logging.StreamHandler, logging.NullHandler, logging.FileHandler, logging.handlers.WatchedFileHandler),
    *(logging.handlers.RotatingFileHandler, logging.handlers.TimedRotatingFileHandler),
)
_STREAMS = ("stdout", "stderr")


def reduce_logger(logger: logging.Logger) -> object:
    """Return how a logger is found, and the configuration of it and its parents."""
    return (
        find,
        (_name(logger),),
        [_settings(ancestor) for ancestor in _upwards(logger) if _is_set(ancestor)],
        None,
        None,
        set_up,
    )


def left_behind(logger: logging.Logger) -> Iterator[str]:
    """Yield a message for each handler that is not sent."""
    for ancestor in _upwards(logger):
        for handler in ancestor.handlers:
            if not _travels(handler):
                name = f"logger {ancestor.name!r}" if ancestor.name != "root" else "root logger"
                yield f"the {name} is sent without its {type(handler).__name__}, which belongs to this kernel: add it in setup()"


def reduce_handler(handler: logging.Handler) -> object:
    """Return how a handler is recreated.

    Raises:
        pickle.PicklingError: it depends on this process.
    """
    if not _travels(handler):
        raise pickle.PicklingError(f"a {type(handler).__name__}, which belongs to this kernel")
    state = {name: value for name, value in vars(handler).items() if name not in ("lock", "stream")}
    if isinstance(handler, logging.FileHandler):
        state |= {"stream": None, "mode": "a"}
    elif isinstance(handler, logging.StreamHandler):
        state["stream"] = stream if (stream := _standard(handler.stream)) else handler.stream
    return empty_handler, (type(handler),), state, None, None, set_handler


def find(name: str) -> logging.Logger:
    """The local logger of that name."""
    return logging.getLogger(name)


def set_up(_: logging.Logger, settings: list[tuple[str, int, bool, bool, list[logging.Handler], list[Any]]]) -> None:
    """Apply the configuration of the notebook's loggers."""
    for name, level, propagate, disabled, handlers, filters in settings:
        logger = find(name)
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled
        for handler in handlers:
            logger.addHandler(handler)
        for log_filter in filters:
            logger.addFilter(log_filter)


def empty_handler(kind: type[logging.Handler]) -> logging.Handler:
    """A handler without configuration."""
    handler = kind.__new__(kind)
    handler.createLock()
    return handler


def set_handler(handler: logging.Handler, state: dict[str, Any]) -> None:
    """Configure a handler; standard streams are those of this process."""
    if state.get("stream") in _STREAMS:
        state["stream"] = getattr(sys, state["stream"])
    vars(handler).update(state)


def _name(logger: logging.Logger) -> str:
    return "" if logger is logging.root else logger.name


def _upwards(logger: logging.Logger) -> Iterator[logging.Logger]:
    current: logging.Logger | None = logger
    while current is not None:
        yield current
        current = current.parent if current.propagate else None


def _is_set(logger: logging.Logger) -> bool:
    level = logging.WARNING if logger is logging.root else logging.NOTSET
    return bool(logger.level != level or logger.handlers or logger.filters or logger.disabled or not logger.propagate)


def _settings(logger: logging.Logger) -> object:
    handlers = [handler for handler in logger.handlers if _travels(handler)]
    return _name(logger), logger.level, logger.propagate, logger.disabled, handlers, list(logger.filters)


def _travels(handler: logging.Handler) -> bool:
    if type(handler).__module__ == "__main__":
        return True
    if type(handler) is logging.StreamHandler:
        return bool(_standard(handler.stream)) or type(handler.stream).__module__ in ("_io", "__main__")
    return type(handler) in _MADE_ANEW


def _standard(stream: object) -> str:
    """Return the name of a standard stream of this process, or ``""``."""
    for name in _STREAMS:
        if stream is getattr(sys, name) or stream is getattr(sys, f"__{name}__"):
            return name
    name = str(getattr(stream, "name", "")).strip("<>")  # a stream of an earlier kernel's start, or of ipykernel
    return name if name in _STREAMS else ""
