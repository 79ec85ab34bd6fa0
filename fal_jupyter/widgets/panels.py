"""The panels as widgets: one class; ``card`` selects what is shown."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from fal_jupyter.widgets.bundle import bundle
from fal_jupyter.widgets.relay import CommRelay


class AppPanel(anywidget.AnyWidget):
    """A panel of :mod:`fal_jupyter` wherever anywidget draws: JupyterLab, Notebook 7, VS Code, Colab, marimo.

    Attributes:
        card: what is shown (:class:`fal_jupyter.protocol.feed.CardData`).
        bare: True to skip the search for our Jupyter server in the page; then everything goes through the kernel.
        metadata: what is added to the metadata of its outputs.
    """

    _esm = bundle()
    card = traitlets.Dict().tag(sync=True)
    bare = traitlets.Bool(False).tag(sync=True)

    def __init__(self, card: dict[str, object], relay: CommRelay, picture: dict[str, str], **options: object) -> None:
        super().__init__(card=card, **options)
        self._relay, self._picture = relay, picture
        self.metadata: dict[str, object] = {}
        self.on_msg(lambda _, message, buffers: relay.take(self, message, buffers))

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, object], dict[str, object]]:
        """The widget, with a static form of its last state for front ends that cannot render it."""
        bundle = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {**data, **self._picture}, {**metadata, **self.metadata}

    def close(self) -> None:
        """The widget was removed from every page."""
        self._relay.leave(self)
        super().close()
