"""Displays panels in the form that the front end takes, and keeps the pictures of shown cards fresh for whoever saves the notebook."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from fal_jupyter.domain.errors import FalJupyterError, UserError
from fal_jupyter.domain.spec import option_rules
from fal_jupyter.domain.text.json_forms import as_a_page_writes
from fal_jupyter.notebook.display import saved_card as pictures
from fal_jupyter.notebook.display import saved_panels, surfaces
from fal_jupyter.notebook.display.saved_parts import clock
from fal_jupyter.notebook.display.saved_results import SavedResults
from fal_jupyter.notebook.display.static_card import State, StaticCard, as_html, as_text
from fal_jupyter.protocol.feed import (
    MIME,
    AppState,
    Build,
    CardData,
    FeedLine,
    GatewayState,
    OptionRule,
    Picture,
    source_hash,
)

if TYPE_CHECKING:
    from fal_jupyter.client.client import Client
    from fal_jupyter.client.handle import AppHandle
    from fal_jupyter.domain.spec import AppSpec

PANELS: Final = ("card", "try", "outputs", "requests", "timeline", "config", "logs", "snippets")
WIDGET_VIEW: Final = "application/vnd.jupyter.widget-view+json"
VERSION: Final = 1
INSTALL_WIDGETS: Final = "pip install 'fal_jupyter[widgets]', then restart the kernel"
PICTURES_ONLY: Final = (
    f"Live panels in this front end need anywidget; without it, cards are pictures: {INSTALL_WIDGETS}."
)


class PanelSession(Protocol):
    """What panels ask of the session (:class:`fal_jupyter.notebook.session.NotebookSession`)."""

    handles: dict[str, AppHandle]

    @property
    def client(self) -> Client:
        """The one client of this process."""

    @property
    def is_kernel(self) -> bool:
        """True where rich output can be displayed."""

    @property
    def raw_cell(self) -> str:
        """The whole text of the running cell."""


@dataclass(slots=True)
class Shown:
    """A card in the notebook, and what its picture was made of."""

    display_id: str
    card: StaticCard
    data: CardData
    stamp: Any = None
    found: Picture | None = None


@dataclass(slots=True)
class Panels:
    """The panels of one session. *wish* is what the user wants them displayed as."""

    wish: surfaces.Wish = "auto"
    shown: dict[str, Shown] = field(default_factory=dict)
    alone: dict[tuple[str, str], Shown] = field(default_factory=dict)  # panels without a cell's card, by app and tab
    relay: Any = None
    _begun: dict[str, Shown] = field(default_factory=dict)
    _kept: dict[str, SavedResults] = field(default_factory=dict)
    _surface: surfaces.Surface | None = None

    def surface(self, now: PanelSession) -> surfaces.Surface:
        """The forms that this front end takes; looked at once, since a kernel does not move."""
        if self._surface is None or self.wish != "auto":
            front = surfaces.look(kernel=now.is_kernel)
            self._surface = surfaces.choose(front, self.wish)
            if front.kernel and self.wish == "auto" and surfaces.needs_widgets(front) and not front.widgets:
                print(PICTURES_ONLY)
        return self._surface

    def wishes(self, wish: surfaces.Wish) -> None:
        """The user chose another form."""
        self.wish, self._surface = wish, None

    def is_drawn_live(self, now: PanelSession) -> bool:
        """True where the page draws cards by itself, so that one that is displayed early shows the app's start."""
        record = surfaces.server_of() if self.surface(now) == surfaces.LIVE else None
        return record is not None and record.labextension

    def picture_of(self, handle: AppHandle) -> Picture | None:
        """An app as a notebook saves it, or None where it does not run."""
        found = handle.client.picture(handle.alias)
        if found is None:
            return None
        short: Picture = pictures.cut(found)
        return self._kept.setdefault(handle.alias, SavedResults()).add_to(short, handle.client)

    # --- cards --------------------------------------------------------------------------------------------------
    def show_card(
        self, now: PanelSession, handle: AppHandle, card: StaticCard, *, panel: str = "card", prints: int = 0
    ) -> None:
        """Display an app's card. *prints* is the revision whose start the cell waits for and prints."""
        surface = self.surface(now)
        found = self.picture_of(handle)
        if surface == surfaces.TEXT:
            print((found is not None and saved_panels.page_text(card, found, panel)) or as_text(card))
            return
        source = source_hash(now.raw_cell) if panel == "card" and card.cell else ""
        data = card_data(now, handle, card, panel, source, found)
        data["prints"] = prints
        begun = self._begun.pop(handle.alias, None) if panel == "card" and card.cell else None
        data["build"] = begun.data["build"] if begun is not None else None
        shown = Shown(begun.display_id if begun is not None else uuid.uuid4().hex, card, data, _stamp(found), found)
        if panel == "card" and card.cell:
            self.shown[handle.alias] = shown
        else:
            self.alone[handle.alias, data["tab"]] = shown
        if prints or begun is not None:
            self._begun[handle.alias] = shown
        if begun is not None:
            publish(self._bundle(shown, found, surface), shown.display_id, update=True)
        else:
            self._display(now, shown, found, surface)

    # --- environments -------------------------------------------------------------------------------------------
    def begin_build(
        self, now: PanelSession, spec: AppSpec, card: StaticCard, fields: int, build: Build, found: Picture
    ) -> None:
        """Display the card of an app whose environment is being made; :meth:`show_card` goes on with it."""
        data = CardData(
            version=VERSION, panel="card", tab="", alias=spec.alias, app=card.app, class_name=spec.class_name, revision=0,
            cell=card.cell, source=source_hash(now.raw_cell), prints=0, fields=fields, build=build, gateway=gateway_of(now),
            options=options(), picture=pictures.cut(found),
        )  # fmt: skip
        shown = self._begun[spec.alias] = Shown(uuid.uuid4().hex, card, data, None, found)
        publish(self._bundle(shown, found, self.surface(now)), shown.display_id, update=False)

    def tell_build(self, now: PanelSession, alias: str, build: Build) -> None:
        """The environment goes on, is made, or is not to be had: then the card is done."""
        shown = self._begun.get(alias)
        if shown is None:
            return
        shown.data["build"] = build
        if build["error"]:
            del self._begun[alias]
            shown.card = replace(shown.card, state="Failing", revision="not published", failure=(build["error"],))
        publish(self._bundle(shown, shown.found, self.surface(now)), shown.display_id, update=True)

    def has_begun(self, alias: str) -> bool:
        """True while the card of an app is displayed that is not published yet, or starts."""
        return alias in self._begun

    def settle_card(self, now: PanelSession, handle: AppHandle, card: StaticCard, *, failed: bool = False) -> None:
        """The app has started, or *failed* to: its card says so, the one that is displayed already or else a new one."""
        shown = self._begun.pop(handle.alias, None)
        if shown is None:
            if not (failed and self.surface(now) == surfaces.TEXT):  # the traceback says it all
                self.show_card(now, handle, card)
            return
        shown.card, shown.found = card, self.picture_of(handle)
        shown.stamp = _stamp(shown.found)
        publish(self._bundle(shown, shown.found, self.surface(now)), shown.display_id, update=True)

    def _display(self, now: PanelSession, shown: Shown, found: Picture | None, surface: surfaces.Surface) -> None:
        bundle = self._bundle(shown, found, surface)
        if surface.widget:
            widget = self.widget(now, shown.data, bundle)
            extra, _ = widget._repr_mimebundle_()
            bundle = {**extra, **bundle}
        publish(bundle, shown.display_id, update=False)

    @staticmethod
    def _bundle(shown: Shown, found: Picture | None, surface: surfaces.Surface) -> dict[str, Any]:
        card = shown.card if found is None or not shown.data["revision"] else _as_now(shown.card, found)
        told = pictures.activity_text(found) if found is not None else ""
        tab = shown.data["tab"]
        html = found is not None and saved_panels.page(card, found, tab)
        html = html or as_html(card, more=pictures.activity_html(found) if found is not None else "")
        plain = found is not None and saved_panels.page_text(card, found, tab)
        plain = plain or "\n".join(filter(None, (as_text(card), told)))
        bundle: dict[str, Any] = {"text/plain": plain, "text/html": html}
        if surface.card:
            bundle[MIME] = as_a_page_writes({**shown.data, "picture": found})
        return bundle

    def refresh(self, now: PanelSession) -> None:
        """A cell has ended: bring the pictures of shown cards up to date, if anything of them changed."""
        if not self.shown or not now.is_kernel:
            return
        surface = self.surface(now)
        for alias, shown in list(self.shown.items()):
            handle = now.handles.get(alias)
            if handle is None or surface.widget:
                continue
            try:
                found = self.picture_of(handle) or _ended(shown.found)
            except (OSError, FalJupyterError):
                continue  # the gateway is on its way out; the picture stays
            stamp = _stamp(found)
            if found is not None and stamp != shown.stamp:
                shown.stamp, shown.found = stamp, found
                publish(self._bundle(shown, found, surface), shown.display_id, update=True)

    def to_save(self, now: PanelSession, aliases: Sequence[str]) -> list[dict[str, Any]]:
        """The outputs of the panels of some apps as they stand now, for a page that saves its notebook; none of an app that is gone.
        The dashboard's alias is ``""``."""
        surface = self.surface(now)
        bundles = [self.dashboard_bundle(now, surface)] if "" in aliases else []
        shown = [*self.shown.values(), *self.alone.values()]
        for alias in aliases:
            handle = now.handles.get(alias)
            found = self.picture_of(handle) if handle is not None and not surface.widget else None
            for one in shown if found is not None else ():
                if one.data["alias"] == alias:
                    one.stamp, one.found = _stamp(found), found
                    bundles.append(self._bundle(one, found, surface))
        return bundles

    @staticmethod
    def dashboard_bundle(now: PanelSession, surface: surfaces.Surface) -> dict[str, Any]:
        """The dashboard as an output, with a table of all apps for pages where nothing is live."""
        line: FeedLine = now.client.snapshot() or FeedLine(apps=[])
        bundle: dict[str, Any] = {
            "text/plain": pictures.dashboard_text(line["apps"]),
            "text/html": pictures.dashboard_html(line["apps"]),
        }
        if surface.card:
            bundle[MIME] = as_a_page_writes(dashboard_data(now))
        return bundle

    # --- widgets ------------------------------------------------------------------------------------------------
    def widget(self, now: PanelSession, data: CardData, bundle: dict[str, Any], *, bare: bool = False) -> Any:
        """Give a panel as a widget.

        Raises:
            UserError: anywidget is not there.
        """
        try:
            from fal_jupyter.widgets.panels import AppPanel
            from fal_jupyter.widgets.relay import CommRelay
        except ImportError as error:
            raise UserError(
                f"widgets need anywidget, which cannot be imported here ({error})", hint=INSTALL_WIDGETS
            ) from None
        if self.relay is None:
            self.relay = CommRelay(now.client)
        plain = {name: value for name, value in bundle.items() if name.startswith("text/")}
        return AppPanel(dict(data), self.relay, plain, bare=bare)

    def close(self) -> None:
        """The session ends."""
        if self.relay is not None:
            self.relay.close()
        self.relay = None
        self.shown.clear()
        self.alone.clear()


def _as_now(card: StaticCard, found: Picture) -> StaticCard:
    """The card with the state that the picture has."""
    from fal_jupyter.notebook.display.cards import runners_of  # start-up

    app = found["app"]
    known: tuple[State, ...] = ("Ready", "Starting", "Failing", "Zero", "Stopped")
    return replace(
        card,
        state=next((state for state in known if state == app["state"]), card.state),
        runners=runners_of(runner["state"] for runner in app["runners"]),
        failure=_failure(app) if app["failure"] is not None and app["state"] != "Stopped" else (),
    )


def _failure(app: AppState) -> tuple[str, ...]:
    """Why the last start failed, where in the user's code, and what happens next."""
    failure = app["failure"]
    assert failure is not None
    sentences = [f"r{failure['revision']} could not start: {failure['text']}"]
    if failure["error"] is not None and failure["error"]["frames"]:
        frame = failure["error"]["frames"][-1]
        sentences.append(f"line {frame['lineno']}, in {frame['function']}: {frame['line'].strip()}")
    if app["serving"] and app["serving"] != failure["revision"]:
        sentences.append(f"r{app['serving']} goes on serving.")
    if failure["retry_at"]:
        again = clock(failure["retry_at"])
        sentences.append(f"The app goes on trying by itself; the next attempt is at {again}.")
    return tuple(sentences)


def _ended(found: Picture | None) -> Picture | None:
    """The last picture of an app that is gone."""
    if found is None:
        return None
    return {**found, "app": {**found["app"], "state": "Stopped", "runners": [], "waiting": 0, "in_flight": 0}}


def _stamp(found: Picture | None) -> Any:
    """What a picture is worth drawing again for."""
    if found is None:
        return None
    app = found["app"]
    failed = app["failure"]["time"] if app["failure"] is not None else 0
    shown = (app["state"], app["revision"], app["serving"], failed, len(app["runners"]), app["scaling"])
    return (*shown, app["stats"]["calls"], app["log"])


def card_data(
    now: PanelSession, handle: AppHandle, card: StaticCard, panel: str, source: str, found: Picture | None
) -> CardData:
    from fal_jupyter.notebook.display.cards import rows_of  # start-up

    whole = panel in ("card", *PANELS)
    return CardData(
        version=VERSION,
        panel="card" if whole else panel,
        tab=panel if panel in PANELS and panel != "card" else "",
        alias=handle.alias,
        app=handle.app,
        class_name=handle.spec.class_name,
        revision=handle.revision,
        cell=card.cell,
        source=source,
        prints=0,
        fields=rows_of(handle.methods, handle.spec),
        build=None,
        gateway=gateway_of(now),
        options=options(),
        picture=found,
    )


def dashboard_data(now: PanelSession) -> CardData:
    """The data of the dashboard, which is of no single app."""
    return CardData(
        version=VERSION, panel="dashboard", tab="", alias="", app="", class_name="", revision=0, cell="", source="", prints=0,
        fields=0, build=None, gateway=gateway_of(now), options=options(), picture=None,
    )  # fmt: skip


def gateway_of(now: PanelSession) -> GatewayState:
    """The running gateway, as panels know it."""
    hello = now.client.hello()
    if hello is None:
        return GatewayState(pid=0, started=0, version="", owner="", base="")
    base = f"http://127.0.0.1:{hello['port']}" if hello["port"] else ""
    return GatewayState(
        pid=hello["pid"], started=hello["start_time"], version=hello["version"], owner=hello["owner"], base=base
    )


def options() -> list[OptionRule]:
    return [OptionRule(**rule) for rule in option_rules()]  # type: ignore[typeddict-item]


def publish(bundle: dict[str, Any], display_id: str, *, update: bool) -> None:
    from IPython.display import publish_display_data  # start-up

    publish_display_data(bundle, {}, transient={"display_id": display_id}, update=update)  # type: ignore[no-untyped-call]
