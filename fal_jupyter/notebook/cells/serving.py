"""Serves a class of the notebook: publishes it, waits for the first runner, displays the card.

Shared by ``%%fal_app`` and ``fal_jupyter.serve``.
"""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from fal_jupyter.commands import parser
from fal_jupyter.domain.errors import AppTaken, BadSetting, NotServed, SetupFailed, UserError
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.notebook.calls.open_line import open_line
from fal_jupyter.notebook.calls.pictures import alternative
from fal_jupyter.notebook.calls.progress import MapProgress, TerminalLine
from fal_jupyter.notebook.cells import cells
from fal_jupyter.notebook.cells.environment_build import BuildCard
from fal_jupyter.notebook.cells.rebind import rebind_classes
from fal_jupyter.notebook.display import cards
from fal_jupyter.notebook.display.static_card import StaticCard, as_html, as_text
from fal_jupyter.notebook.session import NotebookSession, current_session
from fal_jupyter.notebook.shell import Shell

if TYPE_CHECKING:
    from fal_jupyter.client.call_reports import CallHooks
    from fal_jupyter.client.connection.answer import OnOutput
    from fal_jupyter.client.handle import AppHandle
    from fal_jupyter.client.serving import Prepared
    from fal_jupyter.protocol.api import Event
from fal_jupyter import fal
from fal_jupyter.fal import handle_of, refusal_of
from fal_jupyter.fal.adopt import adopted
from fal_jupyter.notebook.display.surfaces import server_of
from fal_jupyter.notebook.namespace.app_classes import apps_among

SHORT: Final = {"min": "min_concurrency", "max": "max_concurrency", "multiplex": "max_multiplexing"}
FLAGS: Final = ("wait", "take_over", "quiet", "dry_run")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Options of one publication. *overrides* use fal's names; *cell* is the label of the defining cell."""

    overrides: Mapping[str, object]
    wait: bool = True
    take_over: bool = False
    quiet: bool = False
    dry_run: bool = False
    cell: str = ""
    env: str = "auto"


def serve(cls: type, **options: Any) -> AppHandle | None:
    """Serve the class *cls* as ``%%fal_app`` does, and return its handle (``None`` for a dry run).

    Works in a notebook, in IPython and in a script. *options* are the options of the magic: ``name``, ``auth``, ``cors``, ``warm``,
    ``min``, ``max``, ``keep_alive``, ``multiplex`` (or fal's own names), ``env``, ``wait``, ``take_over``,
    ``quiet``, ``dry_run``.

    Raises:
        UserError: the class or an option is invalid, or another kernel owns the app.
        SetupFailed: the first runner failed to start.
    """
    __tracebackhide__ = True
    if not isinstance(cls, type):
        raise UserError(f"serve() takes a class, not {repr(cls)[:80]}", hint="fal_jupyter.serve(Hello)")
    flags: dict[str, Any] = {name: bool(options.pop(name)) for name in FLAGS if name in options}
    env = options.pop("env", None) or "auto"
    overrides = {SHORT.get(name, name): value for name, value in options.items() if value is not None}
    session = current_session()
    with _rebinding_on_error(session, lambda: [cls], overrides):
        return _serve_all(session, [cls], ServeOptions(overrides=overrides, env=env, **flags))[0]


def app(which: type | str) -> AppHandle:
    """Return the handle of a running app: of this process by its class or alias, of another notebook by ``owner/alias``.

    Endpoints are methods: ``fal_jupyter.app("me/painter").paint(prompt="a fox")``. No key is needed, as both belong to one user.

    Raises:
        NotServed: no such app is running.
    """
    __tracebackhide__ = True

    session = current_session()
    if not isinstance(which, type):
        own_handle = next((item for item in session.handles.values() if which in (item.alias, item.app)), None)
        return own_handle if own_handle is not None else _open_foreign_app(session, which)
    handle: AppHandle | None = handle_of(which)
    if handle is None:
        if (refusal := refusal_of(which)) is not None:
            raise refusal
        running = f"running here: {', '.join(session.handles)}" if session.handles else "define it under %%fal_app"
        raise NotServed(
            f"nothing of this notebook serves {which.__name__}", hint=hint_for(which, session.handles, running)
        )
    return handle


def _open_foreign_app(session: NotebookSession, which: str) -> AppHandle:
    __tracebackhide__ = True
    from fal_jupyter.client.foreign import open_app  # start-up

    handle = open_app(session.client, which)
    handle.call_reports.hooks = _hooks(session, handle.spec.class_name)
    return handle


def _hooks(session: NotebookSession, class_name: str) -> CallHooks:
    from fal_jupyter.client.call_reports import CallHooks  # start-up

    shows_progress = session.is_kernel or sys.stderr.isatty()
    return CallHooks(
        new_output=new_output,
        on_done=session.timing.record,
        on_value=session.pictures.add_result,
        on_map=partial(_show_map, session, class_name) if shows_progress else None,
        cell=lambda: session.cells_started,
    )


def serve_cell(session: NotebookSession, body: str, args: argparse.Namespace) -> None:
    """Run the body of a ``%%fal_app`` cell and serve every app that it defines.

    Raises:
        UserError: the cell defines no app, or an app is invalid.
        SetupFailed: a first runner failed to start.
        BaseException: whatever the cell itself raises.
    """
    __tracebackhide__ = True
    shell = session.shell
    if shell is None:
        raise UserError("%%fal_app needs IPython")
    location = cells.locate_cell(shell, body, session.raw_cell)
    provide_fal(session)
    overrides, before = parser.overrides(args), cells.classes_in(session.namespace)
    with _rebinding_on_error(session, lambda: apps_among(cells.new_classes(session.namespace, before)), overrides):
        _serve_body(session, shell, body, location, args, overrides)


def _serve_body(
    session: NotebookSession,
    shell: Shell,
    body: str,
    location: cells.CellLocation,
    args: argparse.Namespace,
    overrides: Mapping[str, object],
) -> None:
    __tracebackhide__ = True
    apps = apps_among(cells.run_body(shell, body, location))
    if not apps:
        raise UserError(
            "this cell defines no fal.App class, so there is nothing to serve",
            hint='define a class that inherits from fal.App and has a method under @fal.endpoint("/")',
        )
    if "name" in overrides and len(apps) > 1:
        aliases = ", ".join(cls.__name__ for cls in apps)
        raise BadSetting(f"one name does not fit {len(apps)} apps ({aliases})", hint="give each a cell", where="--name")
    options = ServeOptions(
        overrides=overrides,
        wait=not args.no_wait,
        take_over=args.take_over,
        quiet=args.quiet,
        dry_run=args.dry_run,
        cell=location.label,
        env=args.env or "auto",
    )
    _serve_all(session, apps, options)


@contextmanager
def _rebinding_on_error(
    session: NotebookSession, new_classes_of: Callable[[], Sequence[type]], overrides: Mapping[str, object]
) -> Iterator[None]:
    """On an error inside, rebind the new classes to the apps that are still serving and add that to the error."""
    __tracebackhide__ = True
    try:
        yield
    except BaseException as error:
        sentences = rebind_classes(session, new_classes_of(), overrides)
        if isinstance(error, Exception):
            for sentence in sentences:
                error.add_note(sentence)
        raise


def provide_fal(session: NotebookSession) -> None:
    """Make ``fal`` importable, and bind it in the user's namespace unless that name is taken."""
    session.namespace.setdefault("fal", fal.install(prefer_real=session.fal == "real"))


def _serve_all(session: NotebookSession, classes: Sequence[type], options: ServeOptions) -> list[AppHandle | None]:
    """Publish all classes so that they start concurrently, then wait for each in turn."""
    __tracebackhide__ = True
    session.look_at_modules()
    classes = [_adopt(session, cls) for cls in classes]
    if options.dry_run:
        for cls in classes:
            _show(
                session,
                cards.of_dry_run(cls, options.overrides, session.namespace, session.cell_of, options.cell, options.env),
            )
        rebind_classes(session, classes, options.overrides)
        return [None] * len(classes)
    displayed = session.shell is not None and not options.quiet
    early = displayed and session.panels.is_drawn_live(session)
    handles = _publish_all(session, classes, options, early)
    for handle in handles if early else ():  # displayed before the app is ready; the page follows its start
        if options.wait or session.panels.has_begun(handle.alias):
            output_revision = handle.revision if options.wait else 0
            session.panels.show_card(session, handle, cards.of_app(handle, cell=options.cell), prints=output_revision)
    for handle in handles:
        try:
            if options.wait:
                _wait(session, handle, handles)
        except SetupFailed:
            if displayed:
                session.panels.settle_card(session, handle, cards.of_app(handle, cell=options.cell), failed=True)
            raise
        if displayed:
            session.panels.settle_card(session, handle, cards.of_app(handle, cell=options.cell))
    return list(handles)


def _publish_all(
    session: NotebookSession, classes: Sequence[type], options: ServeOptions, early: bool
) -> list[AppHandle]:
    """Prepare all classes, then publish them. With *early* cards, the build of an environment is shown on the app's card."""
    __tracebackhide__ = True
    builds: list[BuildCard] = []
    try:
        prepared = []
        for cls in classes:  # all must be valid before the first replaces a serving revision
            build = BuildCard(session, cls, options.overrides, options.cell) if early else None
            builds += [build] if build is not None else []
            prepared.append(_prepare(session, cls, options, build.add_line if build is not None else _write_line))
            if build is not None:
                build.finish()
        handles = []
        for item in prepared:
            handles.append(_publish(session, item))
            builds = [build for build in builds if build.alias != item.spec.alias]
        return handles
    except BaseException as error:
        reason = "It was interrupted." if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
        for build in builds:
            build.fail(reason)
        raise


def _adopt(session: NotebookSession, cls: type) -> type:
    """Replace a subclass of the real package's App by the same class on our App, also in the namespace."""
    adopted_class = adopted(cls)
    if adopted_class is not cls and session.namespace.get(cls.__name__) is cls:
        session.namespace[cls.__name__] = adopted_class
    return adopted_class


def _prepare(session: NotebookSession, cls: type, options: ServeOptions, on_line: Callable[[str], None]) -> Prepared:
    __tracebackhide__ = True
    from fal_jupyter.client import serving  # start-up

    return serving.prepare(
        cls,
        client=session.client,
        overrides=options.overrides,
        take_over=options.take_over,
        cell_of=session.cell_of,
        namespace=session.namespace,
        env=options.env,
        report=on_line,
    )


def _publish(session: NotebookSession, prepared: Prepared) -> AppHandle:
    __tracebackhide__ = True
    try:
        handle = prepared.publish()
    except AppTaken as error:
        if "--take-over" in str(error) or session.shell is None:
            raise
        hint = "add --name NAME to run a second one beside it, or --take-over to take it"
        raise AppTaken(error.message, hint=hint, where=error.where, holder=error.holder) from None
    handle.call_reports.hooks = replace(
        _hooks(session, prepared.cls.__name__),
        name_places=session.rename_cell_frames,
        outside=partial(_outside, handle.app),
        again="run its cell again" if session.shell is not None else "serve it again",
    )
    session.handles[handle.alias] = handle
    return handle


def _outside(app: str) -> str:
    """Return the app's URL below this kernel's Jupyter server, or ``""`` before a browser has reported the server's origin."""
    record = server_of()
    return record.url(f"fal/run/{app}") if record is not None and record.origin else ""


def _wait(session: NotebookSession, handle: AppHandle, starting: Sequence[AppHandle]) -> None:
    __tracebackhide__ = True
    try:
        handle.wait(partial(_on_event, new_output()))
    except KeyboardInterrupt:
        aliases = ", ".join(handle.alias for handle in starting)
        print(f"Not waiting any longer: {aliases} keeps starting in the background; calls wait for it.", flush=True)
        raise


def _on_event(write: OnOutput, event: Event) -> None:
    """Display the output of ``setup()`` under the cell while the first runner starts."""
    if event.get("event") == "output":
        write(event.get("stream", 1), event.get("text", ""))
    elif event.get("event") == "waiting":
        write_output(2, f"[fal_jupyter: it {event.get('detail', '')}]\n")


def new_output() -> OnOutput:
    """Return what writes the output of one call: no other output continues its lines."""
    return partial(write_output, writer=object())


def write_output(stream: int, text: str, *, writer: object = None) -> None:
    """Write output of *writer*, from the thread that waits for it, so that it appears under the right cell."""
    if type(text) is not str:  # fal_jupyter.client.connection.answer.AnswerImage, a str subclass
        _show_picture(text)
        return
    target = sys.stderr if stream == 2 else sys.stdout
    open_line.write_for_runner(target, text, writer)
    target.flush()


def _show_picture(picture: Any) -> None:
    from IPython.display import publish_display_data  # start-up

    current_session().pictures.add_displayed(picture.data)
    sys.stdout.flush()
    open_line.close()
    data, words = base64.b64encode(picture.data).decode(), picture.rstrip("\n")
    metadata = alternative(picture.kind, words)
    publish_display_data({picture.kind: data, "text/plain": words}, metadata)  # type: ignore[no-untyped-call]


def _write_line(line: str) -> None:
    write_output(1, f"{line}\n")


def _show_map(session: NotebookSession, class_name: str, endpoint: str, total: int) -> MapProgress:
    line = session.draw_line() if session.is_kernel else TerminalLine()
    return MapProgress(f"{class_name}.{endpoint}", total, line)


def _show(session: NotebookSession, card: StaticCard) -> None:
    if session.shell is not None:
        session.show(as_text(card), as_html(card))
