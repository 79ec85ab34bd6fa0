"""Pictures in what calls answered, shown under the cell: those whose bytes are on this machine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from fal_jupyter.commands.numbers import plural

MOST = 8
DEPTH = 4
KINDS = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def found_in(value: Any, depth: int = DEPTH) -> Iterator[tuple[str, str]]:
    """Give type and address of every picture file in an answer (fal's form: ``url`` and ``content_type``, in a dict or a pydantic model)."""
    if hasattr(type(value), "model_fields"):
        value = vars(value)
    if isinstance(value, dict):
        url, kind = value.get("url"), value.get("content_type")
        if isinstance(url, str) and kind in KINDS:
            yield str(kind), url
        elif depth:
            for part in value.values():
                yield from found_in(part, depth - 1)
    elif isinstance(value, list) and depth:
        for part in value[:100]:
            yield from found_in(part, depth - 1)


class Pictures:
    """The pictures of the running cell's answers."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []
        self._more = 0

    def begin(self) -> None:
        """A cell begins."""
        self._found, self._more = [], 0

    def look(self, value: Any) -> None:
        """A call has answered *value*; called by the thread that made it."""
        if hasattr(type(value), "_repr_mimebundle_"):
            return  # fal's Image: shown as the cell's result
        pictures = found_in(value)
        self._found += itertools.islice(pictures, MOST - len(self._found))
        self._more += sum(1 for _ in pictures)

    def look_at_result(self, value: Any) -> None:
        """The cell's result is *value*: of pictures in a list, IPython shows the text only (``App.paint.map(…)``)."""
        if isinstance(value, list):
            shown_alone = [one for one in value[:100] if hasattr(type(one), "_repr_mimebundle_")]
            known = set(self._found)
            fresh = (found for found in found_in(shown_alone) if found not in known)
            self._found += itertools.islice(fresh, MOST - len(self._found))

    def bundles(self) -> list[dict[str, str]]:
        """Give what to display: each picture in its own type, as base64."""
        import base64

        from fal_jupyter.fal.toolkit.image.image import SHOWN
        from fal_jupyter.fal.toolkit.utils.fetching import local_bytes

        shown = []
        for kind, url in self._found:
            data = local_bytes(url, SHOWN)
            if data:
                shown.append(
                    {
                        kind: base64.b64encode(data).decode(),
                        "text/plain": url if len(url) < 200 else f"a picture ({kind})",
                    }
                )
        if shown and self._more:
            shown.append({"text/plain": f"and {plural(self._more, 'picture')} more in what the calls answered"})
        return shown
