"""Bodies that user code yields: the event loop turns between two pieces, and their errors become the request's."""

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

    A generator that never awaits would keep the loop from reading that its caller has left, so the loop gets a turn after
    each piece. What is no Exception is replaced by what *as_failure* gives. The iterator is closed when its reader leaves.

    Args:
        charset: encodes what is not bytes, as Starlette would, which asks the piece for its class.
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
