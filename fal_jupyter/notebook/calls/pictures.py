"""Pictures, sounds and films in what calls answered, shown under the cell: those whose bytes are on this machine."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from typing import Any

from fal_jupyter.commands.numbers import plural
from fal_jupyter.fal.toolkit.utils.fetching import local_bytes

MOST = 8
DEPTH = 4
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
PLAYED = {  # by the page's own player
    **dict.fromkeys(
        ("audio/wav", "audio/x-wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/mp4", "audio/webm"), "audio"
    ),
    **dict.fromkeys(("video/mp4", "video/webm", "video/ogg"), "video"),
}


def found_in(value: Any, depth: int = DEPTH) -> Iterator[tuple[str, str]]:
    """Give type and address of every picture, sound and film in an answer (fal's form: ``url`` and ``content_type``, in a dict or a pydantic model)."""
    if hasattr(type(value), "model_fields"):
        value = vars(value)
    if isinstance(value, dict):
        url, kind = value.get("url"), value.get("content_type")
        if isinstance(url, str) and isinstance(kind, str) and (kind in IMAGES or kind in PLAYED):
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
        self._more: list[str] = []  # types of those beyond the first

    def begin(self) -> None:
        """A cell begins."""
        self._found, self._more = [], []

    def look(self, value: Any) -> None:
        """A call has answered *value*; called by the thread that made it."""
        if hasattr(type(value), "_repr_mimebundle_"):
            return  # fal's Image: shown as the cell's result
        pictures = found_in(value)
        self._found += itertools.islice(pictures, MOST - len(self._found))
        self._more += [kind for kind, _ in pictures]

    def look_at_result(self, value: Any) -> None:
        """The cell's result is *value*: of pictures in a list, IPython shows the text only (``App.paint.map(…)``)."""
        if isinstance(value, list):
            shown_alone = [one for one in value[:100] if hasattr(type(one), "_repr_mimebundle_")]
            known = set(self._found)
            fresh = (found for found in found_in(shown_alone) if found not in known)
            self._found += itertools.islice(fresh, MOST - len(self._found))

    def bundles(self) -> list[dict[str, str]]:
        """Give what to display: each picture in its own type, as base64; a player for each sound and film."""
        from fal_jupyter.fal.toolkit.image.image import SHOWN  # start-up

        shown = []
        for kind, url in self._found:
            data = local_bytes(url, SHOWN)
            if data:
                coded, player = base64.b64encode(data).decode(), PLAYED.get(kind)
                words = url if len(url) < 200 else f"a file of type {kind}"
                if player is None:
                    shown.append({kind: coded, "text/plain": words})
                else:
                    src = f"data:{kind};base64,{coded}"
                    html = f'<{player} controls style="max-width: 100%; max-height: 360px" src="{src}"></{player}>'
                    shown.append({"text/html": html, "text/plain": words})
        if shown and self._more:
            noun = "picture" if IMAGES.issuperset(self._more) else "file"
            shown.append({"text/plain": f"and {plural(len(self._more), noun)} more in what the calls answered"})
        return shown
