"""Which class is served by what: the one place where a class in the notebook meets its running app."""

from __future__ import annotations

from typing import Any, Protocol
from weakref import WeakKeyDictionary

from fal_jupyter.domain.errors import NotServed


class Handle(Protocol):
    """What a class's endpoints ask; :class:`fal_jupyter.client.handle.AppHandle` is one."""

    url: Any
    key: Any
    app: Any
    aio: Any

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the endpoint method *name* and give its answer."""

    async def acall(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The same, to be awaited."""

    def map(self, name: str, items: Any, *, concurrency: int) -> list[Any]:
        """Call it once for each item."""


_handles: WeakKeyDictionary[type, Handle] = WeakKeyDictionary()


def bind(cls: type, handle: Handle) -> None:
    """From now on *cls*'s endpoints are calls of *handle*."""
    _handles[cls] = handle


def unbind(cls: type) -> None:
    """Undo :func:`bind`."""
    _handles.pop(cls, None)


def handle_of(cls: type) -> Handle | None:
    """Give the handle of exactly this class (a subclass is another app), or None."""
    return _handles.get(cls)


def handle_for_call(cls: type) -> Handle:
    """Give the handle of *cls*.

    Raises:
        NotServed: it has none; the message says what to type.
    """
    handle = _handles.get(cls)
    if handle is None:
        raise NotServed(
            f"{cls.__name__} is not running",
            hint=f"put %%fal_app above the cell that defines it, or call fal_jupyter.serve({cls.__name__}) first",
        )
    return handle
