"""From a class in the notebook to a running app: publish, wait for the first runner, show the card.

``%%fal_app`` and ``fal_jupyter.serve`` both end here.
"""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fal_jupyter.commands import grammar
from fal_jupyter.domain.errors import AppTaken, BadSetting, NotServed, SetupFailed, UserError
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.notebook import session
from fal_jupyter.notebook.calls.progress import MapProgress, TerminalLine
from fal_jupyter.notebook.cells import cells
from fal_jupyter.notebook.cells.environment_build import BuildCard
from fal_jupyter.notebook.cells.rebind import keep_reachable
from fal_jupyter.notebook.display import cards
from fal_jupyter.notebook.display.static_card import StaticCard, as_html, as_text
from fal_jupyter.notebook.session import NotebookSession

if TYPE_CHECKING:
    from fal_jupyter.client.handle import AppHandle
    from fal_jupyter.client.serving import Prepared
    from fal_jupyter.protocol.api import Event
from fal_jupyter import fal
from fal_jupyter.fal import handle_of
from fal_jupyter.fal.adopt import adopted
from fal_jupyter.notebook.display.surfaces import server_of
from fal_jupyter.notebook.namespace.app_classes import apps_among

SHORT: Final = {"min": "min_concurrency", "max": "max_concurrency", "multiplex": "max_multiplexing"}
FLAGS: Final = ("wait", "take_over", "quiet", "dry_run")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How apps shall be run. *overrides* go by fal's names; *cell* is the label of the defining cell."""

    overrides: Mapping[str, object]
    wait: bool = True
    take_over: bool = False
    quiet: bool = False
    dry_run: bool = False
    cell: str = ""
    env: str = "auto"


def serve(cls: type, **options: Any) -> AppHandle | None:
    """Run the class *cls* as an app, as ``%%fal_app`` does, and give its handle (``None`` for a dry run).

    Works in a notebook, in IPython and in a script. *options* are those of the magic: ``name``, ``auth``, ``cors``, ``warm``,
    ``min``, ``max``, ``keep_alive``, ``multiplex`` (fal's own names do too), ``env``, ``wait``, ``take_over``,
    ``quiet``, ``dry_run``.

    Raises:
        UserError: the class or an option breaks a rule, or another kernel owns the app.
        SetupFailed: the first runner could not start.
    """
    __tracebackhide__ = True
    if not isinstance(cls, type):
        raise UserError(f"serve() takes a class, not {repr(cls)[:80]}", hint="fal_jupyter.serve(Hello)")
    flags: dict[str, Any] = {name: bool(options.pop(name)) for name in FLAGS if name in options}
    env = options.pop("env", None) or "auto"
    overrides = {SHORT.get(name, name): value for name, value in options.items() if value is not None}
    now = session.current()
    with _left_standing(now, lambda: [cls], overrides):
        return _serve_all(now, [cls], ServeOptions(overrides=overrides, env=env, **flags))[0]


def app(which: type | str) -> AppHandle:
    """Give the handle of a running app: of this process by its class or alias, or of another notebook by ``owner/alias``.

    Endpoints are called by name, ``fal_jupyter.app("me/painter").paint(prompt="a fox")``, without a key: both are the same user's.

    Raises:
        NotServed: there is none.
    """
    __tracebackhide__ = True

    now = session.current()
    if not isinstance(which, type):
        own = next((one for one in now.handles.values() if which in (one.alias, one.app)), None)
        return own if own is not None else _foreign(now, which)
    handle: AppHandle | None = handle_of(which)
    if handle is None:
        running = f"running here: {', '.join(now.handles)}" if now.handles else "define it under %%fal_app"
        raise NotServed(f"nothing of this notebook serves {which.__name__}", hint=hint_for(which, now.handles, running))
    return handle


def _foreign(now: NotebookSession, which: str) -> AppHandle:
    __tracebackhide__ = True
    from fal_jupyter.client.foreign import open_app  # start-up

    handle = open_app(now.client, which)
    handle.on_output, handle.on_done, handle.on_value = write_output, now.timing.record, now.pictures.look
    handle.cell = lambda: now.cells_begun
    if now.is_kernel or sys.stderr.isatty():
        handle.on_map = partial(_show_map, now, handle.spec.class_name)
    return handle


def serve_cell(now: NotebookSession, body: str, args: argparse.Namespace) -> None:
    """Run a ``%%fal_app`` cell, then every app that it defined.

    Raises:
        UserError: the cell defines no app, or an app breaks a rule.
        SetupFailed: a first runner could not start.
        BaseException: whatever the cell itself raises.
    """
    __tracebackhide__ = True
    place = cells.find_place(now.shell, body, now.raw_cell)
    provide_fal(now)
    overrides, before = grammar.overrides(args), cells.classes_in(now.namespace)
    with _left_standing(now, lambda: apps_among(cells.new_classes(now.namespace, before)), overrides):
        _serve_body(now, body, place, args, overrides)


def _serve_body(
    now: NotebookSession,
    body: str,
    place: cells.CellLocation,
    args: argparse.Namespace,
    overrides: Mapping[str, object],
) -> None:
    __tracebackhide__ = True
    apps = apps_among(cells.run_body(now.shell, body, place))
    if not apps:
        raise UserError(
            "this cell defines no fal.App class, so there is nothing to serve",
            hint='define a class that inherits from fal.App and has a method under @fal.endpoint("/")',
        )
    if "name" in overrides and len(apps) > 1:
        names = ", ".join(cls.__name__ for cls in apps)
        raise BadSetting(f"one name does not fit {len(apps)} apps ({names})", hint="give each a cell", where="--name")
    wishes = ServeOptions(
        overrides=overrides,
        wait=not args.no_wait,
        take_over=args.take_over,
        quiet=args.quiet,
        dry_run=args.dry_run,
        cell=place.label,
        env=args.env or "auto",
    )
    _serve_all(now, apps, wishes)


@contextmanager
def _left_standing(
    now: NotebookSession, made: Callable[[], Sequence[type]], overrides: Mapping[str, object]
) -> Iterator[None]:
    """Whatever is refused inside, and what only was to be looked at, leaves the app that serves within reach."""
    __tracebackhide__ = True
    try:
        yield
    except BaseException as refused:
        told = keep_reachable(now, made(), overrides)
        if isinstance(refused, Exception):
            for sentence in told:
                refused.add_note(sentence)
        raise


def provide_fal(now: NotebookSession) -> None:
    """Make ``fal`` importable, and a name of the user's namespace unless he has one."""
    now.namespace.setdefault("fal", fal.install(prefer_real=now.fal == "real"))


def _serve_all(now: NotebookSession, classes: Sequence[type], wishes: ServeOptions) -> list[AppHandle | None]:
    """Publish every class, so that they start side by side, then wait for each in turn."""
    __tracebackhide__ = True
    now.look_at_modules()
    classes = [_adopt(now, cls) for cls in classes]
    if wishes.dry_run:
        for cls in classes:
            _show(now, cards.of_dry_run(cls, wishes.overrides, now.namespace, now.cell_of, wishes.cell, wishes.env))
        keep_reachable(now, classes, wishes.overrides)
        return [None] * len(classes)
    shown = now.shell is not None and not wishes.quiet
    early = shown and now.panels.is_drawn_live(now)
    handles = _publish_all(now, classes, wishes, early)
    for handle in handles if early else ():  # there before the app is: the page follows its start by itself
        if wishes.wait or now.panels.has_begun(handle.alias):
            prints = handle.revision if wishes.wait else 0
            now.panels.show_card(now, handle, cards.of_app(handle, cell=wishes.cell), prints=prints)
    for handle in handles:
        try:
            if wishes.wait:
                _wait(now, handle, handles)
        except SetupFailed:
            if shown:
                now.panels.settle_card(now, handle, cards.of_app(handle, cell=wishes.cell), failed=True)
            raise
        if shown:
            now.panels.settle_card(now, handle, cards.of_app(handle, cell=wishes.cell))
    return list(handles)


def _publish_all(now: NotebookSession, classes: Sequence[type], wishes: ServeOptions, early: bool) -> list[AppHandle]:
    """Prepare every class, then publish each. An environment that has to be made is followed on the app's card, where that is drawn *early*."""
    __tracebackhide__ = True
    builds: list[BuildCard] = []
    try:
        prepared = []
        for cls in classes:  # all of them, before the first replaces what serves
            build = BuildCard(now, cls, wishes.overrides, wishes.cell) if early else None
            builds += [build] if build is not None else []
            prepared.append(_prepare(now, cls, wishes, build.say if build is not None else _say_line))
            if build is not None:
                build.made()
        handles = []
        for one in prepared:
            handles.append(_publish(now, one))
            builds = [build for build in builds if build.alias != one.spec.alias]
        return handles
    except BaseException as refused:
        why = (
            "It was interrupted." if isinstance(refused, KeyboardInterrupt) else str(refused) or type(refused).__name__
        )
        for build in builds:
            build.failed(why)
        raise


def _adopt(now: NotebookSession, cls: type) -> type:
    """A class on the real package's App runs as the same class on ours, which its name then means."""
    ours = adopted(cls)
    if ours is not cls and now.namespace.get(cls.__name__) is cls:
        now.namespace[cls.__name__] = ours
    return ours


def _prepare(now: NotebookSession, cls: type, wishes: ServeOptions, say: Callable[[str], None]) -> Prepared:
    __tracebackhide__ = True
    from fal_jupyter.client import serving  # start-up

    return serving.prepare(
        cls,
        client=now.client,
        overrides=wishes.overrides,
        take_over=wishes.take_over,
        cell_of=now.cell_of,
        namespace=now.namespace,
        env=wishes.env,
        say=say,
    )


def _publish(now: NotebookSession, prepared: Prepared) -> AppHandle:
    __tracebackhide__ = True
    try:
        handle = prepared.publish()
    except AppTaken as taken:
        if "--take-over" in str(taken) or now.shell is None:
            raise
        hint = "add --name NAME to run a second one beside it, or --take-over to take it"
        raise AppTaken(taken.message, hint=hint, where=taken.where) from None
    handle.on_output = write_output
    handle.on_done = now.timing.record
    handle.on_value = now.pictures.look
    handle.name_places = now.name_places
    handle.cell = lambda: now.cells_begun
    if now.shell is not None:
        handle.again = "run its cell again"
    handle.outside = partial(_outside, handle.app)
    if now.is_kernel or sys.stderr.isatty():
        handle.on_map = partial(_show_map, now, prepared.cls.__name__)
    now.handles[handle.alias] = handle
    return handle


def _outside(app: str) -> str:
    """The app's address below this kernel's Jupyter server, once a browser has told by which name it reaches that."""
    record = server_of()
    return record.url(f"fal/run/{app}") if record is not None and record.origin else ""


def _wait(now: NotebookSession, handle: AppHandle, all_of_them: Sequence[AppHandle]) -> None:
    __tracebackhide__ = True
    try:
        handle.wait(_on_event)
    except KeyboardInterrupt:
        names = ", ".join(other.alias for other in all_of_them)
        print(f"Not waiting any longer: {names} goes on starting in the background; calls wait for it.", flush=True)
        raise


def _on_event(event: Event) -> None:
    """While the first runner starts, what ``setup()`` prints appears under the cell."""
    if event.get("event") == "output":
        write_output(event.get("stream", 1), event.get("text", ""))
    elif event.get("event") == "waiting":
        write_output(2, f"[fal_jupyter: it {event.get('detail', '')}]\n")


def write_output(stream: int, text: str) -> None:
    """Print what user code printed, from the thread that waits for it: so it lands under the right cell."""
    if type(text) is not str:  # a picture (fal_jupyter.client.connection.answer.AnswerImage) is text, too
        _show_picture(text)
        return
    target = sys.stderr if stream == 2 else sys.stdout
    target.write(text)
    target.flush()


def _show_picture(picture: Any) -> None:
    from IPython.display import publish_display_data  # start-up

    sys.stdout.flush()
    data = base64.b64encode(picture.data).decode()
    publish_display_data({picture.kind: data, "text/plain": picture.rstrip("\n")})  # type: ignore[no-untyped-call]


def _say_line(line: str) -> None:
    write_output(1, f"{line}\n")


def _show_map(now: NotebookSession, class_name: str, endpoint: str, total: int) -> MapProgress:
    line = now.draw_line() if now.is_kernel else TerminalLine()
    return MapProgress(f"{class_name}.{endpoint}", total, line)


def _show(now: NotebookSession, card: StaticCard) -> None:
    if now.shell is not None:
        now.show(as_text(card), as_html(card))
