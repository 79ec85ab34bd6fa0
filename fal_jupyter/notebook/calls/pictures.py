"""Shows images, audio and video in the results of calls under the cell, if their bytes are on this machine."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from fal_jupyter.commands.numbers import plural
from fal_jupyter.notebook.shell import Shell

MAX_SHOWN = 8
MAX_DEPTH = 4
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
PLAYED = {  # by an HTML player
    **dict.fromkeys(
        ("audio/wav", "audio/x-wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/mp4", "audio/webm"), "audio"
    ),
    **dict.fromkeys(("video/mp4", "video/webm", "video/ogg"), "video"),
}


def media_in(value: object, depth: int = MAX_DEPTH) -> Iterator[tuple[str, str]]:
    """Yield media type and URL of each image, audio and video in a result (fal's form: a dict or model with ``url`` and ``content_type``)."""
    if hasattr(type(value), "__pydantic_fields__"):  # a model
        value = vars(value)
    if isinstance(value, dict):
        url, media_type = value.get("url"), value.get("content_type")
        if isinstance(url, str) and isinstance(media_type, str) and (media_type in IMAGES or media_type in PLAYED):
            yield str(media_type), url
        elif depth:
            for member in value.values():
                yield from media_in(member, depth - 1)
    elif isinstance(value, list) and depth:
        for member in value[:100]:
            yield from media_in(member, depth - 1)


def _displays_itself(value: object) -> bool:
    """True if IPython displays it by its own method; ``hasattr`` asks a model's metaclass, which is slow."""
    return any("_repr_mimebundle_" in vars(kind) for kind in type(value).__mro__)


def alternative(media_type: str, words: str) -> dict[str, object]:
    """Return the metadata of an image output whose alternative text is *words*, where pages made by nbconvert look for it."""
    return {media_type: {"alt": words}}


_FAL_IMAGE = ("fal_jupyter.fal.toolkit.image.image", "Image")  # its module is imported when an app uses it


class Pictures:
    """Collects the media in the results of the running cell's calls."""

    def __init__(self) -> None:
        self._media: list[tuple[str, str]] = []
        self._excess_types: list[str] = []  # media types beyond the limit
        self._displayed: list[bytes] = []

    def begin(self) -> None:
        """Reset at the start of a cell."""
        self._media, self._excess_types, self._displayed = [], [], []

    def install(self, shell: Shell) -> Callable[[], None]:
        """Take note of each image of fal's that the cell displays itself; return the function that ends this."""
        formatter = shell.display_formatter.mimebundle_formatter

        def bundle_of(image: Any) -> object:
            displayed = set(media_in(image))
            self._media = [medium for medium in self._media if medium not in displayed]
            return image._repr_mimebundle_()

        formatter.for_type_by_name(*_FAL_IMAGE, bundle_of)

        def uninstall() -> None:
            formatter.pop(".".join(_FAL_IMAGE), None)

        return uninstall

    def add_displayed(self, data: bytes) -> None:
        """Take note of a picture that an endpoint displayed under the cell."""
        self._displayed.append(data)

    def add_result(self, value: object) -> None:
        """Collect the media in *value*, the result of a call; runs in the calling thread."""
        if _displays_itself(value):
            return  # fal's Image: IPython displays it as the cell's result
        pictures = media_in(value)
        self._media += itertools.islice(pictures, MAX_SHOWN - len(self._media))
        self._excess_types += [media_type for media_type, _ in pictures]

    def add_cell_result(self, value: object) -> None:
        """Take note of the cell's result.

        Images in a list are collected, since IPython displays lists as text (``App.paint.map(…)``).
        """
        if isinstance(value, list):
            images = [item for item in value[:100] if _displays_itself(item)]
            collected = set(self._media)
            new_media = (medium for medium in media_in(images) if medium not in collected)
            self._media += itertools.islice(new_media, MAX_SHOWN - len(self._media))

    def bundles(self) -> list[tuple[dict[str, str], dict[str, object]]]:
        """Return what to display as MIME bundles and their metadata: images as base64, players for audio and video."""
        from fal_jupyter.fal.toolkit.image.digest import digest_of  # start-up
        from fal_jupyter.fal.toolkit.image.image import MAX_SHOWN_BYTES  # start-up
        from fal_jupyter.fal.toolkit.utils.fetching import local_bytes  # start-up

        displayed = {digest_of(data) for data in self._displayed}
        bundles: list[tuple[dict[str, str], dict[str, object]]] = []
        for media_type, url in self._media:
            data = local_bytes(url, MAX_SHOWN_BYTES)
            if data and not (displayed and media_type in IMAGES and digest_of(data) in displayed):
                encoded, player = base64.b64encode(data).decode(), PLAYED.get(media_type)
                label = url if len(url) < 200 else f"a file of type {media_type}"
                if player is None:
                    bundles.append(
                        (
                            {media_type: encoded, "text/plain": label},
                            alternative(media_type, "picture that a call returned"),
                        )
                    )
                else:
                    src = f"data:{media_type};base64,{encoded}"
                    html = f'<{player} controls aria-label="{player} that a call returned" style="max-width: 100%; max-height: 360px" src="{src}"></{player}>'
                    bundles.append(({"text/html": html, "text/plain": label}, {}))
        if bundles and self._excess_types:
            noun = "picture" if IMAGES.issuperset(self._excess_types) else "file"
            more = f"and {plural(len(self._excess_types), noun)} more in what the calls answered"
            bundles.append(({"text/plain": more}, {}))
        return bundles
