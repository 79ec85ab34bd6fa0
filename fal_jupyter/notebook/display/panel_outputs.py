"""The outputs of panels in a notebook: displayed in the form that the front end supports, saved with their static form."""

from __future__ import annotations

import os
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
from fal_jupyter.notebook.display.static_card import State, StaticCard, as_html, as_text, capture_texts
from fal_jupyter.protocol.feed import (
    MIME,
    TABS,
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

PANELS: Final = ("card", *TABS)
WIDGET_VIEW: Final = "application/vnd.jupyter.widget-view+json"
VERSION: Final = 1
INSTALL_WIDGETS: Final = "pip install 'fal_jupyter[widgets]', then restart the kernel"
PICTURES_ONLY: Final = (
    f"Live panels in this front end need anywidget; without it, cards are pictures: {INSTALL_WIDGETS}."
)


class PanelSession(Protocol):
    """The part of :class:`fal_jupyter.notebook.session.NotebookSession` that panels use."""

    handles: dict[str, AppHandle]

    @property
    def client(self) -> Client:
        """The client of this process."""

    @property
    def is_kernel(self) -> bool:
        """Whether rich output can be displayed."""

    @property
    def raw_cell(self) -> str:
        """The complete text of the running cell."""


@dataclass(slots=True)
class DisplayedCard:
    """A displayed card and the data of its last rendering."""

    display_id: str
    card: StaticCard
    data: CardData
    stamp: object = None
    snapshot: Picture | None = None


@dataclass(slots=True)
class Panels:
    """The panels of one session. *mode* is the form that the user has chosen."""

    mode: surfaces.DisplayMode = "auto"
    displayed: dict[str, DisplayedCard] = field(default_factory=dict)
    on_demand: dict[tuple[str, str], DisplayedCard] = field(
        default_factory=dict
    )  # panels displayed on demand, by app and tab
    widgets: dict[str, tuple[Any, DisplayedCard]] = field(default_factory=dict)  # by model_id
    relay: Any = None
    _starting: dict[str, DisplayedCard] = field(default_factory=dict)
    _results: dict[str, SavedResults] = field(default_factory=dict)
    _surface: surfaces.Surface | None = None

    def surface(self, session: PanelSession) -> surfaces.Surface:
        """The forms for this front end; detected once per kernel."""
        if self._surface is None or self.mode != "auto":
            front_end = surfaces.detect(kernel=session.is_kernel)
            self._surface = surfaces.choose(front_end, self.mode)
            if front_end.kernel and self.mode == "auto" and surfaces.needs_widgets(front_end) and not front_end.widgets:
                print(PICTURES_ONLY)
        return self._surface

    def set_mode(self, mode: surfaces.DisplayMode) -> None:
        """Change the form of panels."""
        self.mode, self._surface = mode, None

    def is_drawn_live(self, session: PanelSession) -> bool:
        """Whether the front end renders cards live, so that a card displayed early follows the app's start."""
        record = surfaces.server_of() if self.surface(session) == surfaces.LIVE else None
        return record is not None and record.labextension

    def snapshot_of(self, handle: AppHandle) -> Picture | None:
        """Return the snapshot of an app in the size that a notebook saves, or ``None`` if it does not run."""
        snapshot = handle.client.control.picture(handle.alias)
        if snapshot is None:
            return None
        shortened: Picture = pictures.shorten(snapshot)
        return self._results.setdefault(handle.alias, SavedResults()).add_to(shortened, handle.client)

    # --- cards --------------------------------------------------------------------------------------------------
    def show_card(
        self, session: PanelSession, handle: AppHandle, card: StaticCard, *, panel: str = "card", prints: int = 0
    ) -> None:
        """Display an app's card. *prints* is the revision whose start the cell waits for and prints, or 0."""
        surface = self.surface(session)
        snapshot = self.snapshot_of(handle)
        if surface == surfaces.TEXT:
            print((snapshot is not None and saved_panels.page_text(card, snapshot, panel)) or as_text(card))
            return
        source = source_hash(session.raw_cell) if panel == "card" and card.cell else ""
        data = card_data(session, handle, card, panel, source, snapshot)
        data["prints"] = prints
        started_card = self._starting.pop(handle.alias, None) if panel == "card" and card.cell else None
        data["build"] = started_card.data["build"] if started_card is not None else None
        displayed = DisplayedCard(
            started_card.display_id if started_card is not None else uuid.uuid4().hex,
            card,
            data,
            _stamp(snapshot),
            snapshot,
        )
        if panel == "card" and card.cell:
            self.displayed[handle.alias] = displayed
        else:
            self.on_demand[handle.alias, data["tab"]] = displayed
        if prints or started_card is not None:
            self._starting[handle.alias] = displayed
        if started_card is not None:
            publish(self._bundle(displayed, snapshot, surface), displayed.display_id, update=True)
        else:
            self._display(session, displayed, snapshot, surface)

    # --- environments -------------------------------------------------------------------------------------------
    def begin_build(
        self, session: PanelSession, spec: AppSpec, card: StaticCard, fields: int, build: Build, snapshot: Picture
    ) -> None:
        """Display the card of an app whose environment is being built; :meth:`show_card` updates it later."""
        data = CardData(
            version=VERSION, panel="card", tab="", alias=spec.alias, app=card.app, class_name=spec.class_name, revision=0,
            cell=card.cell, source=source_hash(session.raw_cell), prints=0, fields=fields, captures=capture_texts(card), build=build, gateway=gateway_of(session),
            options=options(), picture=pictures.shorten(snapshot),
        )  # fmt: skip
        displayed = self._starting[spec.alias] = DisplayedCard(uuid.uuid4().hex, card, data, None, snapshot)
        publish(self._bundle(displayed, snapshot, self.surface(session)), displayed.display_id, update=False)

    def update_build(self, session: PanelSession, alias: str, build: Build) -> None:
        """Update the card with the progress of the build. A failed build completes the card."""
        displayed = self._starting.get(alias)
        if displayed is None:
            return
        displayed.data["build"] = build
        if build["error"]:
            del self._starting[alias]
            displayed.card = replace(
                displayed.card, state="Failing", revision="not published", failure=(build["error"],)
            )
        publish(self._bundle(displayed, displayed.snapshot, self.surface(session)), displayed.display_id, update=True)

    def has_begun(self, alias: str) -> bool:
        """Whether the card of an app that is not published yet or is starting is displayed."""
        return alias in self._starting

    def settle_card(self, session: PanelSession, handle: AppHandle, card: StaticCard, *, failed: bool = False) -> None:
        """Update the app's card, or display one, after the app has started or *failed* to start."""
        displayed = self._starting.pop(handle.alias, None)
        if displayed is None:
            if not (failed and self.surface(session) == surfaces.TEXT):  # the traceback is enough
                self.show_card(session, handle, card)
            return
        displayed.card, snapshot = card, self.snapshot_of(handle)
        if not _is_others(snapshot):
            displayed.snapshot = snapshot
        displayed.stamp = _stamp(displayed.snapshot)
        publish(self._bundle(displayed, displayed.snapshot, self.surface(session)), displayed.display_id, update=True)

    def _display(
        self, session: PanelSession, displayed: DisplayedCard, snapshot: Picture | None, surface: surfaces.Surface
    ) -> None:
        bundle = self._bundle(displayed, snapshot, surface)
        if surface.widget:
            widget = self.widget(session, displayed.data, bundle)
            extra, _ = widget._repr_mimebundle_()
            bundle = {**extra, **bundle}
        publish(bundle, displayed.display_id, update=False)

    @staticmethod
    def _bundle(displayed: DisplayedCard, snapshot: Picture | None, surface: surfaces.Surface) -> dict[str, object]:
        card = (
            displayed.card
            if snapshot is None or not displayed.data["revision"]
            else _with_state_of(displayed.card, snapshot)
        )
        activity = pictures.activity_text(snapshot) if snapshot is not None else ""
        tab = displayed.data["tab"]
        html = snapshot is not None and saved_panels.page(card, snapshot, tab)
        as_of = saved_panels.as_of(snapshot) if snapshot is not None else ""
        html = html or as_html(card, pictures.activity_html(snapshot) if snapshot is not None else "", as_of)
        plain = snapshot is not None and saved_panels.page_text(card, snapshot, tab)
        plain = plain or "\n".join(filter(None, (as_text(card, as_of), activity)))
        bundle: dict[str, object] = {"text/plain": plain, "text/html": html}
        if surface.card:
            bundle[MIME] = as_a_page_writes({**displayed.data, "picture": snapshot})
        return bundle

    def refresh(self, session: PanelSession) -> None:
        """Update the displayed cards whose app has changed, at the end of a cell."""
        if not self.displayed or not session.is_kernel:
            return
        surface = self.surface(session)
        for alias, displayed in list(self.displayed.items()):
            handle = session.handles.get(alias)
            if handle is None or surface.widget:
                continue
            try:
                snapshot = self.snapshot_of(handle) or _ended(displayed.snapshot)
            except (OSError, FalJupyterError):
                continue  # the gateway is ending; keep the last snapshot
            if _is_others(snapshot):
                continue
            stamp = _stamp(snapshot)
            if snapshot is not None and stamp != displayed.stamp:
                displayed.stamp, displayed.snapshot = stamp, snapshot
                publish(self._bundle(displayed, snapshot, surface), displayed.display_id, update=True)
                self._update_widgets(alias, snapshot)

    def to_save(
        self, session: PanelSession, aliases: Sequence[str], widgets: Sequence[str] = ()
    ) -> list[dict[str, object]]:
        """Return current outputs of the panels of the apps *aliases*, for a page that saves its notebook.

        Stopped apps have none, nor those that another process took over. The dashboard's alias is ``""``. Of widgets, the page has those of the model ids *widgets*.
        """
        surface = self.surface(session)
        bundles = [self.dashboard_bundle(session, surface)] if "" in aliases else []
        displayed = [] if surface.widget else [*self.displayed.values(), *self.on_demand.values()]
        for alias in aliases:
            handle = session.handles.get(alias)
            snapshot = self.snapshot_of(handle) if handle is not None else None
            if snapshot is None or _is_others(snapshot):
                continue
            self._update_widgets(alias, snapshot)
            for card in displayed:
                if card.data["alias"] == alias:
                    card.stamp, card.snapshot = _stamp(snapshot), snapshot
                    bundles.append(self._bundle(card, snapshot, surface))
            for widget, card in filter(None, map(self.widgets.get, widgets)):
                if card.data["alias"] == alias:
                    view, _ = widget._repr_mimebundle_()
                    bundles.append({**view, **self._bundle(card, snapshot, surfaces.LIVE)})
        return bundles

    def _update_widgets(self, alias: str, snapshot: Picture) -> None:
        """Give the widgets of an app its last state: one within a box of ipywidgets is saved by its traits alone."""
        for widget, card in self.widgets.values():
            if card.data["alias"] == alias and widget.comm is not None:
                widget.card = as_a_page_writes({**card.data, "picture": snapshot})

    @staticmethod
    def dashboard_bundle(session: PanelSession, surface: surfaces.Surface) -> dict[str, object]:
        """Return the dashboard as a MIME bundle, with a static table of all apps."""
        line: FeedLine = session.client.control.snapshot() or FeedLine(apps=[])
        bundle: dict[str, object] = {
            "text/plain": pictures.dashboard_text(line["apps"]),
            "text/html": pictures.dashboard_html(line["apps"]),
        }
        if surface.card:
            bundle[MIME] = as_a_page_writes(dashboard_data(session))
        return bundle

    # --- widgets ------------------------------------------------------------------------------------------------
    def app_widget(self, session: PanelSession, displayed: DisplayedCard, *, bare: bool) -> Any:
        """Return a panel of an app as a widget, whose picture a page can ask for when it saves its notebook.

        Raises:
            UserError: anywidget is not installed.
        """
        bundle = self._bundle(displayed, displayed.snapshot, surfaces.STATIC)
        widget = self.widget(session, displayed.data, bundle, bare=bare)
        closed = [model_id for model_id, (known, _) in self.widgets.items() if known.comm is None]
        for model_id in closed:
            del self.widgets[model_id]
        self.widgets[widget.model_id] = widget, displayed
        return widget

    def widget(self, session: PanelSession, data: CardData, bundle: dict[str, object], *, bare: bool = False) -> Any:
        """Return a panel as a widget.

        Raises:
            UserError: anywidget is not installed.
        """
        try:
            from fal_jupyter.widgets.panels import AppPanel
            from fal_jupyter.widgets.relay import CommRelay
        except ImportError as error:
            raise UserError(
                f"widgets need anywidget, which cannot be imported here ({error})", hint=INSTALL_WIDGETS
            ) from None
        if self.relay is None:
            self.relay = CommRelay(session.client.control)
        plain = {name: value for name, value in bundle.items() if isinstance(value, str)}
        panel = AppPanel(dict(data), self.relay, plain, bare=bare)
        if self.surface(session) == surfaces.LIVE:  # the extension writes the card into the saved notebook
            panel.metadata = {MIME: as_a_page_writes({**data})}
        return panel

    def close(self) -> None:
        """Release the panels at the end of the session."""
        if self.relay is not None:
            self.relay.close()
        self.relay = None
        self.displayed.clear()
        self.on_demand.clear()


def _with_state_of(card: StaticCard, snapshot: Picture) -> StaticCard:
    """Return the card with the state of the snapshot."""
    from fal_jupyter.notebook.display.cards import changes_of, runners_of  # start-up

    app = snapshot["app"]
    states: tuple[State, ...] = ("Ready", "Starting", "Failing", "Zero", "Stopped")
    return replace(
        card,
        state=next((state for state in states if state == app["state"]), card.state),
        runners=runners_of(runner["state"] for runner in app["runners"]),
        revision=_revision(card, app),
        setup_ms=app["setup_ms"] or card.setup_ms,
        options=changes_of(card.class_name, app["overrides"], app["by_class"]),
        failure=_failure(app) if app["failure"] is not None and app["state"] != "Stopped" else (),
    )


def _revision(card: StaticCard, app: AppState) -> str:
    """Return the newest revision with its reason; a restart by hand makes one without a run of the cell."""
    newest = f"r{app['revision']}"
    if card.revision.partition(",")[0] == newest:
        return card.revision
    return f"{newest}, {app['verdict_reason']}" if app["verdict_reason"] else newest


def _failure(app: AppState) -> tuple[str, ...]:
    """Describe why the last start failed, where in the user's code, and what happens next."""
    failure = app["failure"]
    assert failure is not None
    sentences = [f"r{failure['revision']} could not start: {failure['text']}"]
    if failure["error"] is not None and failure["error"]["frames"]:
        frame = failure["error"]["frames"][-1]
        sentences.append(f"line {frame['lineno']}, in {frame['function']}: {frame['line'].strip()}")
    if app["serving"] and app["serving"] != failure["revision"]:
        sentences.append(f"r{app['serving']} keeps serving.")
    if failure["retry_at"]:
        time_of_retry = clock(failure["retry_at"])
        sentences.append(f"The app retries automatically; the next attempt is at {time_of_retry}.")
    return tuple(sentences)


def _ended(snapshot: Picture | None) -> Picture | None:
    """Mark the last snapshot of an app as stopped."""
    if snapshot is None:
        return None
    return {**snapshot, "app": {**snapshot["app"], "state": "Stopped", "runners": [], "waiting": 0, "in_flight": 0}}


def _is_others(snapshot: Picture | None) -> bool:
    """Whether another process has the app: a card says so by the process in its last snapshot, which must stay this one."""
    return snapshot is not None and snapshot["app"]["owner_pid"] not in (0, os.getpid())


def _stamp(snapshot: Picture | None) -> object:
    """Return the values whose change requires a new rendering."""
    if snapshot is None:
        return None
    app = snapshot["app"]
    failed = app["failure"]["time"] if app["failure"] is not None else 0
    displayed = (app["state"], app["revision"], app["serving"], failed, len(app["runners"]), app["scaling"])
    return (*displayed, app["stats"]["calls"], app["log"])


def card_data(
    session: PanelSession, handle: AppHandle, card: StaticCard, panel: str, source: str, snapshot: Picture | None
) -> CardData:
    from fal_jupyter.notebook.display.cards import rows_of  # start-up

    is_card = panel in ("card", *PANELS)
    return CardData(
        version=VERSION,
        panel="card" if is_card else panel,
        tab=panel if panel in PANELS and panel != "card" else "",
        alias=handle.alias,
        app=handle.app,
        class_name=handle.spec.class_name,
        revision=handle.revision,
        cell=card.cell,
        source=source,
        prints=0,
        fields=rows_of(handle.methods, handle.spec),
        captures=capture_texts(card),
        build=None,
        gateway=gateway_of(session),
        options=options(),
        picture=snapshot,
    )


def dashboard_data(session: PanelSession) -> CardData:
    """Return the card data of the dashboard, which belongs to no app."""
    return CardData(
        version=VERSION, panel="dashboard", tab="", alias="", app="", class_name="", revision=0, cell="", source="", prints=0,
        fields=0, captures=[], build=None, gateway=gateway_of(session), options=options(), picture=None,
    )  # fmt: skip


def gateway_of(session: PanelSession) -> GatewayState:
    """Return the address and identity of the running gateway for panels."""
    hello = session.client.control.hello()
    if hello is None:
        return GatewayState(pid=0, started=0, version="", owner="", base="")
    base = f"http://127.0.0.1:{hello['port']}" if hello["port"] else ""
    return GatewayState(
        pid=hello["pid"], started=hello["start_time"], version=hello["version"], owner=hello["owner"], base=base
    )


def options() -> list[OptionRule]:
    return [*option_rules()]


def publish(bundle: dict[str, object], display_id: str, *, update: bool) -> None:
    from IPython.display import publish_display_data  # start-up

    publish_display_data(bundle, {}, transient={"display_id": display_id}, update=update)  # type: ignore[no-untyped-call]
