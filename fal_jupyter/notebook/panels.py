"""``fal_jupyter.panel``, ``widget`` and ``dashboard``: panels on demand."""

from __future__ import annotations

import uuid
from typing import Any

from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.notebook.display import cards, surfaces
from fal_jupyter.notebook.display.panel_outputs import PANELS, DisplayedCard, card_data, dashboard_data, publish
from fal_jupyter.notebook.session import current_session


def panel(which: type | str, name: str = "card") -> None:
    """Display a panel of a running app of this notebook: its card, opened at ``try``, ``outputs``, ``requests``, ``timeline``, ``config``,
    ``logs`` or ``snippets``.

    Args:
        which: the app's class or alias.
        name: the panel.

    Raises:
        BadSetting: there is no such panel.
        NotServed: this notebook does not serve that app.
    """
    __tracebackhide__ = True
    from fal_jupyter.notebook.cells.serving import app  # start-up

    _check_name(name)
    session = current_session()
    handle = app(which)
    session.panels.show_card(session, handle, cards.of_app(handle, cell=""), panel=name)


def widget(which: type | str, name: str = "card", *, bare: bool = False) -> Any:
    """Return a panel as an anywidget widget, for layouts of ipywidgets or other front ends.

    Args:
        which: the app's class or alias.
        name: the panel, as in :func:`panel`.
        bare: all traffic goes through the kernel even if the Jupyter server has our extension.
    """
    __tracebackhide__ = True
    from fal_jupyter.notebook.cells.serving import app  # start-up

    _check_name(name)
    session = current_session()
    handle = app(which)
    card = cards.of_app(handle, cell="")
    snapshot = session.panels.snapshot_of(handle)
    data = card_data(session, handle, card, name, "", snapshot)
    return session.panels.app_widget(session, DisplayedCard("", card, data, None, snapshot), bare=bare)


def dashboard() -> None:
    """Display the dashboard: the apps of all notebooks and programs of this user."""
    __tracebackhide__ = True

    session = current_session()
    surface = session.panels.surface(session)
    bundle = session.panels.dashboard_bundle(session, surface)
    if surface == surfaces.TEXT:
        print(bundle["text/plain"])
        return
    if surface.widget:
        extra, _ = session.panels.widget(session, dashboard_data(session), bundle)._repr_mimebundle_()
        bundle = {**extra, **bundle}
    publish(bundle, uuid.uuid4().hex, update=False)


def _check_name(name: str) -> None:
    if name not in PANELS:
        raise BadSetting(f"there is no panel {name!r}", hint=hint_for(name, PANELS), where="panel")
