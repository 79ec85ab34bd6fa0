"""Streams response bodies that user code yields: yields to the event loop between pieces, and reports errors for the request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any


async def guarded(
    pieces: AsyncIterable[object],
    as_failure: Callable[[BaseException], BaseException],
    charset: str = "",
) -> AsyncIterator[Any]:
    """Yield the pieces of an async iterable of user code.

    A generator that never awaits would keep the loop from noticing a disconnect, so this yields to the loop after
    each piece. A BaseException is replaced by the result of *as_failure*. The iterator is closed when its reader disconnects.

    Args:
        charset: encodes pieces that are not bytes, as Starlette would; Starlette reads the piece's ``__class__``.
    """
    try:
        async for piece in pieces:
            yield _encoded(piece, charset) if charset else piece
            await asyncio.sleep(0)
    except GeneratorExit:
        raise
    except BaseException as error:
        if (failure := as_failure(error)) is error:
            raise
        raise failure from None
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def _encoded(piece: Any, charset: str) -> Any:
    return piece if issubclass(type(piece), bytes | memoryview) else piece.encode(charset)
