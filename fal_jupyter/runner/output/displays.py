"""Captures what user code displays in a runner: ``IPython.display.display``, ``plt.show()`` of the inline backend, ``Image.show()`` of PIL.

Pictures are sent to the request's owner and appear below the calling cell. Other callers and the log get the text that a plain
process would print. Pictures are PNG, JPEG, GIF or WebP: HTML, SVG and JavaScript are shown as text, since an
endpoint may display untrusted input.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import sys
from typing import Any

from fal_jupyter.protocol.frames import MOST_PICTURE_TEXT, PICTURES
from fal_jupyter.runner.output.capture import OutputCapture
from fal_jupyter.runner.process.after_import import after_import

_METHODS = {"_repr_png_": "image/png", "_repr_jpeg_": "image/jpeg"}


def install(capture: OutputCapture) -> None:
    """Send displays of this process to *capture*, as soon as the displaying modules are imported."""
    displays = _Displays(capture)
    after_import("IPython.core.display_functions", displays.adopt_ipython)
    after_import("PIL.ImageShow", displays.adopt_pil)


class _Displays:
    def __init__(self, capture: OutputCapture) -> None:
        self._capture = capture
        self._pid = os.getpid()

    def adopt_ipython(self, module: Any) -> None:
        """Replace the two functions from which all other names are imported."""
        print_all, publish = module.display, module.publish_display_data

        def display(*objects: object, raw: bool = False, **options: object) -> Any:
            unshown = [value for value in objects if not self._show(value, as_bundle=raw)]
            return print_all(*unshown, raw=raw, **options) if unshown or not objects else None

        def publish_display_data(data: object, metadata: object = None, **options: object) -> None:
            if not self._show(data, as_bundle=True):
                publish(data, metadata, **options)

        for mine, real in ((display, print_all), (publish_display_data, publish)):
            mine.__doc__, mine.__module__, mine.__qualname__ = real.__doc__, real.__module__, real.__qualname__
            mine.__name__ = real.__name__
            setattr(module, real.__name__, mine)

    def adopt_pil(self, module: Any) -> None:
        """Register a viewer ahead of those that start a desktop program."""
        module._viewers.insert(0, self)

    def show(self, image: object, **_: object) -> bool:
        """Show a PIL picture (the interface of ``PIL.ImageShow.Viewer``)."""
        if not self._show(image, as_bundle=False):
            print(image)
        return True

    def _show(self, value: Any, *, as_bundle: bool) -> bool:
        """Send a picture; False if there is none, or no request with an owner.

        As on fal and in a notebook, a picture that cannot be rendered is not an error: its text is shown.
        """
        if os.getpid() != self._pid:  # a child that user code forked
            return False
        try:
            picture = _of_bundle(value) if as_bundle else _picture_of(value)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"[:300]
            print(
                f"[fal_jupyter: the picture of a {type(value).__name__} cannot be rendered: {message}]", file=sys.stderr
            )
            return False
        if picture is None:
            return False
        text = value.get("text/plain", "") if as_bundle else repr(value)
        return self._capture.show(*picture, str(text)[:MOST_PICTURE_TEXT])


def _picture_of(value: object) -> tuple[str, bytes] | None:
    if isinstance(value, type):
        return None
    figures = sys.modules.get("matplotlib.figure")
    if figures is not None and isinstance(value, figures.Figure):
        written = io.BytesIO()
        value.savefig(written, format="png", bbox_inches="tight")
        return "image/png", written.getvalue()
    bundle = _called(value, "_repr_mimebundle_")
    if isinstance(bundle, dict) and (picture := _of_bundle(bundle)) is not None:
        return picture
    for name, kind in _METHODS.items():
        if (data := _bytes_of(_called(value, name))) is not None:
            return kind, data
    return None


def _called(value: object, name: str) -> object:
    method = getattr(value, name, None)
    if not callable(method):
        return None
    try:
        result = method()
    except NotImplementedError:  # raised by IPython's classes that have none
        return None
    return result[0] if isinstance(result, tuple) and result else result  # (data, metadata)


def _of_bundle(bundle: object) -> tuple[str, bytes] | None:
    if not isinstance(bundle, dict):
        return None
    for kind in PICTURES:
        if (data := _bytes_of(bundle.get(kind))) is not None:
            return kind, data
    return None


def _bytes_of(data: object) -> bytes | None:
    """Bytes unchanged; text is decoded from Base64."""
    if isinstance(data, bytes):
        return data or None
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode(data) or None
    except (binascii.Error, ValueError):
        return None
