"""The card of an app whose isolated environment is being built: it shows the installer's output before the app exists."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from fal_jupyter.domain.spec import AppSpec
from fal_jupyter.fal import describe
from fal_jupyter.notebook.display import cards
from fal_jupyter.notebook.display.static_card import StaticCard
from fal_jupyter.protocol.api import EndpointState, Number
from fal_jupyter.protocol.feed import AppState, Build, Picture, Stats, Timeline

if TYPE_CHECKING:
    from fal_jupyter.notebook.session import NotebookSession

MAX_LINES: Final = 200
MAX_LINE_LENGTH: Final = 300
_BURST: Final = 20  # lines displayed one by one, before updates are batched
_PAUSE: Final = 0.2  # seconds between two batches


class BuildCard:
    """Displays the card at the installer's first line; an environment that exists already needs no card."""

    def __init__(self, session: NotebookSession, cls: type, overrides: Mapping[str, object], cell: str) -> None:
        self._session, self._cls, self._overrides, self._cell = session, cls, overrides, cell
        self._began = time.monotonic()
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._displayed = self._count = 0
        self._updated_at = 0.0
        self._spec: AppSpec | None = None

    @property
    def alias(self) -> str:
        """The app's alias, ``""`` until the card is displayed."""
        return self._spec.alias if self._spec is not None else ""

    def add_line(self, line: str) -> None:
        """Add a line of the installer's output."""
        self._lines.append(line if len(line) <= MAX_LINE_LENGTH else line[: MAX_LINE_LENGTH - 1] + "…")
        self._count += 1
        if self._spec is None:
            self._begin()
        elif self._count <= _BURST or time.monotonic() - self._updated_at >= _PAUSE:
            self._update(self._build())

    def finish(self) -> None:
        """Mark the build as finished."""
        if self._spec is not None:
            self._update(self._build(took=max(1.0, self._elapsed_ms())))

    def fail(self, reason: str) -> None:
        """Mark the build, or the publishing after it, as failed because of *reason*."""
        if self._spec is not None:
            self._update(self._build(error=reason))

    def _elapsed_ms(self) -> float:
        return (time.monotonic() - self._began) * 1000

    def _build(self, *, took: float = 0.0, error: str = "") -> Build:
        return Build(passed=self._elapsed_ms(), took=took, lines=list(self._lines), error=error)

    def _begin(self) -> None:
        from fal_jupyter.client.serving import methods_of  # start-up

        self._spec = spec = describe(self._cls, self._overrides)
        card = StaticCard(
            state="Starting",
            class_name=spec.class_name,
            app=f"{self._session.client.connections.app_owner}/{spec.alias}",
            endpoints=cards.endpoints_of(spec),
            place=cards.place_of(spec),
            runners="none",
            revision="its environment is being made",
            cell=self._cell,
        )
        self._updated_at = time.monotonic()
        self._session.panels.begin_build(
            self._session,
            spec,
            card,
            cards.rows_of(methods_of(self._cls), spec),
            self._build(),
            unpublished(spec, card),
        )

    def _update(self, build: Build) -> None:
        self._updated_at = time.monotonic()
        self._session.panels.update_build(self._session, self.alias, build)


def unpublished(spec: AppSpec, card: StaticCard) -> Picture:
    """Return the snapshot of an app that is not published yet."""
    scaling: dict[str, Number] = asdict(spec.scaling)
    endpoints = [
        EndpointState(name=e.name, path=e.path, signature=e.signature, doc=e.doc, protocol=e.protocol, yields=e.yields)
        for e in spec.endpoints
    ]
    stats = Stats(
        calls=0, failed=0, cancelled=0, cold=0, cold_starts=0, rate=0.0, sample=0, p50_ms=0.0, p95_ms=0.0, max_ms=0.0, spark=[0] * 60, spark_time=0.0
    )  # fmt: skip
    app = AppState(
        app=card.app, alias=spec.alias, class_name=spec.class_name, state="Starting", owner_kind="", owner_name="", owner_pid=0,
        auth=spec.auth, machine=card.place, url="", revision=1, serving=0, code_since=0, verdict="new", verdict_reason="",
        endpoints=[endpoint for endpoint in endpoints if endpoint["protocol"] == "http"], sockets=[endpoint for endpoint in endpoints if endpoint["protocol"] != "http"],
        about=spec.about, scaling=scaling, by_class=scaling, overrides={}, reason=card.revision, setup_ms=0.0, unloaded=False,
        runners=[], queue=[], waiting=0, in_flight=0, stats=stats, by_endpoint=[], log=0, failure=None,
    )  # fmt: skip
    timeline = Timeline(points=[], decisions=[], lanes=[], usage=[])
    return Picture(time=time.time() * 1000, app=app, requests=[], timeline=timeline, logs=[], outputs=[], last=None)
