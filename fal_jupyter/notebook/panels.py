"""``fal_jupyter.panel``, ``widget`` and ``dashboard``: panels that the user displays."""

from __future__ import annotations

import uuid
from typing import Any

from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.notebook import session
from fal_jupyter.notebook.display import cards, surfaces
from fal_jupyter.notebook.display.shown_panels import PANELS, Panels, Shown, card_data, dashboard_data, publish


def panel(which: Any, name: str = "card") -> None:
    """Display a panel of a running app of this notebook: its card, opened at ``try``, ``outputs``, ``requests``, ``timeline``, ``config``,
    ``logs`` or ``snippets``.

    Args:
        which: the app's class or alias.
        name: the panel.

    Raises:
        BadSetting: there is no such panel.
        NotServed: nothing of this notebook serves that app.
    """
    __tracebackhide__ = True
    from fal_jupyter.notebook.cells.serving import app  # start-up

    _check_name(name)
    now = session.current()
    handle = app(which)
    now.panels.show_card(now, handle, cards.of_app(handle, cell=""), panel=name)


def widget(which: Any, name: str = "card", *, bare: bool = False) -> Any:
    """Give a panel as a widget of anywidget, to put into a box of ipywidgets or another front end.

    Args:
        which: the app's class or alias.
        name: the panel, as in :func:`panel`.
        bare: all goes through the kernel, though a Jupyter server of ours may be there.
    """
    __tracebackhide__ = True
    from fal_jupyter.notebook.cells.serving import app  # start-up

    _check_name(name)
    now = session.current()
    handle = app(which)
    card = cards.of_app(handle, cell="")
    found = now.panels.picture_of(handle)
    data = card_data(now, handle, card, name, "", found)
    bundle = Panels._bundle(Shown("", card, data), found, surfaces.STATIC)
    return now.panels.widget(now, data, bundle, bare=bare)


def dashboard() -> None:
    """Display the dashboard: every app of this user, whichever notebook it belongs to."""
    __tracebackhide__ = True

    now = session.current()
    surface = now.panels.surface(now)
    bundle = now.panels.dashboard_bundle(now, surface)
    if surface == surfaces.TEXT:
        print(bundle["text/plain"])
        return
    if surface.widget:
        extra, _ = now.panels.widget(now, dashboard_data(now), bundle)._repr_mimebundle_()
        bundle = {**extra, **bundle}
    publish(bundle, uuid.uuid4().hex, update=False)


def _check_name(name: str) -> None:
    if name not in PANELS:
        raise BadSetting(f"there is no panel {name!r}", hint=hint_for(name, PANELS), where="panel")
