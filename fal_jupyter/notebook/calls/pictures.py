"""Shows results of calls under the cell: images, audio and video whose bytes are on this machine, and tables of records."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from fal_jupyter.commands.numbers import plural
from fal_jupyter.notebook.calls.answer_views import (
    IMAGES,
    PLAYED,
    Medium,
    gallery,
    media_in,
    more_words,
    records_of,
    short,
    table,
)
from fal_jupyter.notebook.shell import Pretty, PrettyPrinter, Shell

MAX_SHOWN = 8
_FAL_IMAGE = ("fal_jupyter.fal.toolkit.image.image", "Image")  # its module is imported when an app uses it
_MODEL = ("pydantic.main", "BaseModel")
Bundle = tuple[dict[str, str], dict[str, object]]


def _displays_itself(value: object) -> bool:
    """True if IPython displays it by its own method; ``hasattr`` asks a model's metaclass, which is slow."""
    return any("_repr_mimebundle_" in vars(kind) for kind in type(value).__mro__)


def _has_html(value: object) -> bool:
    return any("_repr_html_" in vars(kind) for kind in type(value).__mro__)


def alternative(media_type: str, words: str) -> dict[str, object]:
    """Return the metadata of an image output whose alternative text is *words*, where pages made by nbconvert look for it."""
    return {media_type: {"alt": words}}


class Pictures:
    """Collects the results of the running cell's calls, and their media that are still to be shown."""

    def __init__(self) -> None:
        self._answers: list[object] = []
        self._media: list[Medium] = []
        self._excess: list[Medium] = []  # beyond the limit
        self._displayed: list[bytes] = []
        self._short: tuple[object, str] | None = None  # a value that is being formatted, and its text

    def begin(self) -> None:
        """Reset at the start of a cell."""
        self._answers, self._media, self._excess, self._displayed = [], [], [], []

    def end(self) -> None:
        """Let the results go at the end of a cell: they may be large."""
        self.begin()

    def install(self, shell: Shell) -> Callable[[], None]:
        """Format results of calls that cells display; return the function that ends this."""
        formatter = shell.display_formatter.mimebundle_formatter
        plain = shell.display_formatter.formatters["text/plain"]

        def bundle_of(image: Any) -> object:
            self._discard(media_in(image))
            return image._repr_mimebundle_()

        formatter.for_type_by_name(*_FAL_IMAGE, bundle_of)
        formatter.for_type_by_name(*_MODEL, self.bundle_of)
        for name in ("list", "dict"):
            formatter.for_type_by_name("builtins", name, self.bundle_of)
        originals = {kind: plain.for_type(kind, self._pretty(plain.type_printers.get(kind))) for kind in (list, dict)}

        def uninstall() -> None:
            for name in (_FAL_IMAGE, _MODEL, ("builtins", "list"), ("builtins", "dict")):
                formatter.pop(".".join(name), None)
            for kind, original in originals.items():
                plain.pop(kind, None)
                if original is not None:
                    plain.for_type(kind, original)

        return uninstall

    def _pretty(self, original: Pretty | None) -> Pretty:
        """Return a printer of lists or dicts; IPython asks its own printers of them, whatever text a bundle has."""

        def pretty(value: Any, printer: PrettyPrinter, cycle: bool) -> None:
            if len(printer.stack) == 1 and self._short is not None and self._short[0] is value:
                printer.text(self._short[1])
                self._short = None
            elif original is not None:
                original(value, printer, cycle)
            else:
                printer.text(repr(value))

        return pretty

    def bundle_of(self, value: Any) -> object:
        """Return the MIME bundle of a value that a cell displays; ``None`` for one that is shown as ever."""
        self._short = None
        if _displays_itself(value):
            return value._repr_mimebundle_()
        if _has_html(value):
            return None
        media = list(dict.fromkeys(media_in(value)))
        readable = self._readable(media[:MAX_SHOWN])
        if readable:
            self._discard(media)
            words = short(value)
            self._short = (value, words)
            return {"text/html": gallery(readable, media[MAX_SHOWN:], value), "text/plain": words}
        if self._is_of_calls(value) and not media and (records := records_of(value)) is not None:
            return {"text/html": table(records)}
        return None

    def _is_of_calls(self, value: object) -> bool:
        """Whether this cell's calls returned the value, or each of its items."""
        known = {id(answer) for answer in self._answers}
        return id(value) in known or (
            isinstance(value, list) and bool(known) and all(id(item) in known for item in value)
        )

    def _discard(self, displayed: Iterable[Medium]) -> None:
        """Take note that the cell displays these itself."""
        shown = {medium.url for medium in displayed}
        self._media = [medium for medium in self._media if medium.url not in shown]
        self._excess = [medium for medium in self._excess if medium.url not in shown]

    def add_displayed(self, data: bytes) -> None:
        """Take note of a picture that an endpoint displayed under the cell."""
        self._displayed.append(data)

    def add_result(self, value: object) -> None:
        """Collect *value*, the result of a call, and its media; runs in the calling thread."""
        if _displays_itself(value):
            return  # fal's Image: IPython displays it as the cell's result
        self._answers.append(value)
        media = media_in(value)
        self._media += itertools.islice(media, MAX_SHOWN - len(self._media))
        self._excess += media

    def _readable(self, media: Iterable[Medium]) -> list[tuple[Medium, bytes]]:
        """Return those whose bytes are on this machine, without those that an endpoint has displayed already."""
        from fal_jupyter.fal.toolkit.image.digest import digest_of  # start-up
        from fal_jupyter.fal.toolkit.image.image import MAX_SHOWN_BYTES  # start-up
        from fal_jupyter.fal.toolkit.utils.fetching import local_bytes  # start-up

        displayed = {digest_of(data) for data in self._displayed}
        found = ((medium, local_bytes(medium.url, MAX_SHOWN_BYTES)) for medium in media)
        return [
            (medium, data)
            for medium, data in found
            if data and not (displayed and medium.media_type in IMAGES and digest_of(data) in displayed)
        ]

    def bundles(self) -> list[Bundle]:
        """Return what to display as MIME bundles and their metadata: an image as base64, else a gallery with players."""
        if not self._media:
            return []
        readable = self._readable(self._media)
        if not readable:
            return []
        (medium, data), *others = readable
        if others or self._excess or medium.media_type in PLAYED:
            html = gallery(readable, self._excess)
            return [({"text/html": html, "text/plain": _words([each for each, _ in readable], self._excess)}, {})]
        encoded = base64.b64encode(data).decode()
        return [
            (
                {medium.media_type: encoded, "text/plain": _label(medium)},
                alternative(medium.media_type, "picture that a call returned"),
            )
        ]


def _label(medium: Medium) -> str:
    return medium.url if len(medium.url) < 200 else f"a file of type {medium.media_type}"


def _words(media: list[Medium], excess: list[Medium]) -> str:
    if len(media) == 1 and not excess:
        return _label(media[0])
    nouns = {medium.noun for medium in media}
    count = plural(len(media), "picture" if nouns == {"picture"} else "file")
    return f"{count} that calls returned{', ' + more_words(excess) if excess else ''}"
