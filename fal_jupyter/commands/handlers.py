"""Implements the commands of the magics and the command line. Each returns data for ``--json`` and text for people."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar

from fal_jupyter.commands import grammar, key_commands, parser, request_tables, secret_commands
from fal_jupyter.commands.app_doctor import Report
from fal_jupyter.commands.tables import table
from fal_jupyter.domain.errors import BadSetting, NotServed
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.domain.text.terminal_text import safe_line
from fal_jupyter.filestore import FileStore
from fal_jupyter.protocol.api import AppRecord, ClientEnv, LogRecord, RunnerRecord, ScalingRecord
from fal_jupyter.protocol.feed import RequestState
from fal_jupyter.secret_store import SecretStore

if TYPE_CHECKING:
    from fal_jupyter.commands.doctor import DoctorReport

NO_APPS = "No app is running. Run a %%fal_app cell, or: fal-jupyter serve FILE.py::Class"


class CommandBackend(key_commands.GatewayKeys, Protocol):
    """Access of commands to the gateway and the front end. Reading never starts a gateway; without one, lists are empty."""

    @property
    def front(self) -> grammar.Front:
        """The front end, which selects the grammar."""

    def apps(self) -> list[AppRecord]:
        """Return the apps of this user."""

    def runners(self) -> list[RunnerRecord]:
        """Return the runners of this user."""

    def logs(self, alias: str, *, lines: int, runner: str, request: str) -> list[LogRecord]:
        """Return the last lines of output of an app's runners."""

    def requests(self) -> list[RequestState]:
        """Return the recorded requests of all apps, unordered."""

    def show_requests(self, records: list[RequestState]) -> bool:
        """Display a table of requests; return ``False`` if this front end cannot."""

    def scaling(self, alias: str) -> ScalingRecord:
        """Return an app's scaling and the reasons for it."""

    def scale(self, alias: str, changes: Mapping[str, object] | None) -> ScalingRecord:
        """Change an app's scaling; ``None`` resets all changes."""

    def startable_apps(self) -> Sequence[NamedApp]:
        """Return the apps of this user, including stopped ones."""

    def start_app(self, alias: str) -> None:
        """Start a stopped app, or a runner of an app without one."""

    def stop_app(self, alias: str, *, kill: bool) -> None:
        """Stop an app and its runners."""

    def stop_runner(self, runner_id: str, *, kill: bool) -> None:
        """Stop one runner."""

    def doctor(self) -> DoctorReport:
        """Diagnose the installation; see :mod:`fal_jupyter.commands.doctor`."""

    def examined(self, name: str) -> list[Report]:
        """Report differences from the cloud for the app *name*, or for all apps of this front end if it is empty."""

    def client_env(self) -> ClientEnv:
        """Return the environment variables that connect fal's client to the gateway."""

    def secret_store(self) -> SecretStore:
        """Return the store of secrets and persistent keys of this user."""

    def data(self) -> Path:
        """Return the folder that backs ``/data``; it exists."""

    def file_store(self) -> FileStore:
        """Return the file store of the local CDN."""

    def environments(self) -> Path:
        """Return the folder of isolated environments, which may not exist."""

    def settings(self) -> dict[str, str]:
        """Return the settings of ``config`` by name."""

    def configure(self, setting: str, value: str) -> None:
        """Change a setting of this front end."""

    def show_panel(self, alias: str, tab: str) -> bool:
        """Display an app's panel; return ``False`` if this front end cannot."""

    def show_dashboard(self) -> bool:
        """Display the dashboard; return ``False`` if this front end cannot."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a command: *data* for ``--json``, and the same as *text*."""

    data: object
    text: str
    status: int = 0  # exit status of the command line


def execute(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    """Execute a parsed command.

    Raises:
        FalJupyterError: the command failed; the message says why and what to type.
    """
    return HANDLERS[args.command](args, backend)


def _apps(_: argparse.Namespace, backend: CommandBackend) -> Outcome:
    records = backend.apps()
    rows = [
        [
            record["app"],
            record["class_name"],
            f"r{record['serving'] or record['revision']}",
            _states(record["runners"]),
            record["served"],
            record["waiting"] + record["in_flight"],
            record["owner_name"],
            record["url"],
        ]
        for record in records
    ]
    heads = ["app", "class", "rev", "runners", "served", "open", "owner", "address"]
    return Outcome(records, table(heads, rows, right=["served", "open"]) if rows else NO_APPS)


def _dashboard(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    if not args.json and backend.show_dashboard():
        return Outcome(None, "")
    return _apps(args, backend)


def _panel(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    record = find_app(args.app, backend.apps())
    if not args.json and backend.show_panel(record["alias"], args.tab or "card"):
        return Outcome(None, "")
    scaling = backend.scaling(record["alias"])
    return Outcome(
        {"app": record, "scaling": scaling}, f"{record['app']}: {_states(record['runners'])}, {scaling['seen']}"
    )


def _states(runners: dict[str, int]) -> str:
    return " ".join(f"{number} {state}" for state, number in runners.items() if number) or "none"


def _runners(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    records = backend.runners()
    if args.app:
        app = find_app(args.app, backend.apps())["app"]
        records = [record for record in records if record["app"] == app]
    rows = [
        [
            record["runner_id"],
            record["app"],
            record["state"],
            record["pid"] or "–",
            ",".join(record["devices"]) or "–",
            record["served"],
            record["in_flight"],
            f"r{record['revision']}",
        ]
        for record in records
    ]
    heads = ["runner", "app", "state", "pid", "devices", "served", "in flight", "rev"]
    empty = "No runner is running. One starts when an app is called."
    return Outcome(records, table(heads, rows, right=["pid", "served", "in flight"]) if rows else empty)


def _logs(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    apps = backend.apps()
    if args.app:
        alias = find_app(args.app, apps)["alias"]
    elif len(apps) == 1:
        alias = apps[0]["alias"]
    elif not apps:
        return Outcome([], NO_APPS)
    else:
        raise BadSetting("which app?", hint=f"one of {' '.join(sorted(a['alias'] for a in apps))}", where="logs")
    lines = 100 if args.lines is None else args.lines
    records = backend.logs(alias, lines=lines, runner=args.runner or "", request=args.request or "")
    text = "\n".join(_log_line(record) for record in records)
    return Outcome(records, text or f"{alias} has printed nothing yet.")


def _log_line(record: LogRecord) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(record["time"]))
    mark = {1: " ", 2: "!", 0: "·"}.get(record["stream"], " ")
    return f"{moment} {record['runner'] or '-'} {mark} {safe_line(record['text'].rstrip())}"


def _requests(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    apps, records = backend.apps(), backend.requests()
    if args.app:
        alias = find_app(args.app, apps)["alias"]
        records = [record for record in records if record["alias"] == alias]
    if args.failed:
        records = [record for record in records if request_tables.word_of(record).startswith("failed")]
    limit = 20 if args.lines is None else args.lines
    records = sorted(records, key=lambda record: -record["began"])[:limit][::-1]
    if not records:
        of_app = f"of {args.app} " if args.app else ""
        return Outcome([], f"No request {of_app}{'has failed' if args.failed else 'is known yet'}.")
    if not args.json and backend.show_requests(records):
        return Outcome(None, "")
    return Outcome(records, request_tables.as_text(records))


def _scale(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    alias = find_app(args.app, backend.apps())["alias"]
    changes = {
        o.field: getattr(args, o.dest) for o in grammar.SCALE_OPTIONS if o.field and getattr(args, o.dest) is not None
    }
    if args.reset and changes:
        raise BadSetting("--reset cannot be combined with changes", hint=f"scale {args.app} --reset", where="scale")
    record = backend.scale(alias, None if args.reset else changes) if args.reset or changes else backend.scaling(alias)
    return Outcome(record, _decisions(record) if args.explain else _scaling(record))


def _scaling(record: ScalingRecord) -> str:
    changed = record["overrides"]
    rows = [
        [name, f"{value:g}", f"by hand (the class: {record['by_class'][name]:g})" if name in changed else ""]
        for name, value in record["scaling"].items()
    ]
    return table(["option", "value", "changed"], rows, right=["value"]) + f"\nnow: {record['seen']}"


def _decisions(record: ScalingRecord) -> str:
    rows = [[f"{d['seconds_ago']:.1f} s ago", d["seen"], d["decided"]] for d in record["decisions"][-20:]]
    text = table(["when", "seen", "decided"], rows, right=["when"]) if rows else "No decision has been needed yet."
    return f"{text}\nnow: {record['seen']}"


def _stop(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    kill = args.command == "kill"
    word = "killed" if kill else "stopped"
    for runner in backend.runners():
        if runner["runner_id"] == args.target:
            backend.stop_runner(args.target, kill=kill)
            return Outcome({word: args.target}, f"Runner {args.target} is {'killed' if kill else 'being stopped'}.")
    app = find_app(args.target, backend.apps())
    backend.stop_app(app["alias"], kill=kill)
    return Outcome({word: app["alias"]}, f"{app['class_name']} ({app['app']}) is {word}.")


def _start(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    app = find_app(args.app, backend.startable_apps())
    backend.start_app(app["alias"])
    return Outcome(
        {"started": app["alias"]}, f"{app['class_name']} ({app['app']}) starts with the code and settings that it had."
    )


class NamedApp(TypedDict):
    """The names of an app."""

    app: str
    alias: str
    class_name: str


Named = TypeVar("Named", bound=NamedApp | AppRecord)


def find_app(name: str, apps: Sequence[Named]) -> Named:
    """Return the app with that alias, ``owner/alias`` or class name.

    Raises:
        NotServed: there is no such app, or the class name is ambiguous.
    """
    matches = [app for app in apps if name in {app["alias"], app["app"]}]
    matches = matches or [app for app in apps if app["class_name"] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        aliases = " ".join(sorted(app["alias"] for app in matches))
        raise NotServed(f"{len(matches)} apps have the class {name}", hint=f"name one by its alias: {aliases}")
    names = sorted({word for app in apps for word in (app["alias"], app["class_name"])})
    raise NotServed(
        f"there is no app {name!r}", hint=hint_for(name, names, f"running: {' '.join(names)}" if names else NO_APPS)
    )


def _config(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    if args.setting is not None:
        allowed = grammar.SETTINGS.get(args.setting)
        if allowed is None:
            raise BadSetting(f"there is no setting {args.setting!r}", hint=hint_for(args.setting, grammar.SETTINGS))
        if args.value is not None:
            if args.value not in allowed:
                raise BadSetting(
                    f"{args.setting} is {' or '.join(allowed)}, not {args.value!r}",
                    hint=f"config {args.setting} {allowed[0]}",
                )
            backend.configure(args.setting, args.value)
    values = backend.settings()
    return Outcome(values, table(["setting", "value"], list(values.items())))


def _doctor(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    from fal_jupyter.commands import doctor  # start-up
    from fal_jupyter.portability.findings import as_data, as_text  # start-up

    reports = backend.examined(args.app or "")
    text = [as_text(examined.app, examined.findings) for examined in reports]
    data: dict[str, object] = {}
    if not args.app:
        report = backend.doctor()
        data |= report
        text.insert(0, doctor.as_text(report))
    fails = sum(finding.severity == "fails" for examined in reports for finding in examined.findings)
    if args.app or reports:
        data = data | {"apps": [as_data(examined.app, examined.findings) for examined in reports]}
    return Outcome(data, "\n\n".join(text), status=1 if fails else 0)


def _env(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    from fal_jupyter.commands import env_command  # start-up

    values = env_command.variables(backend.client_env(), os.environ)
    return Outcome(values, env_command.as_text(values, env_command.shell_of(args)))


def _keys(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    return Outcome(*key_commands.execute(args, backend.secret_store(), backend))


def _secrets(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    return Outcome(*secret_commands.execute(args, backend.secret_store(), front=backend.front))


def _files(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    from fal_jupyter.commands import file_commands  # start-up

    return Outcome(*file_commands.execute(args, backend.data(), backend.file_store()))


def _envs(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    from fal_jupyter.commands import envs_command  # start-up

    return Outcome(*envs_command.execute(args, backend.environments(), backend.apps()))


def _help(args: argparse.Namespace, backend: CommandBackend) -> Outcome:
    text = parser.help_text(backend.front, args.command_name or "")
    return Outcome(text, text.rstrip())


HANDLERS: dict[str, Callable[[argparse.Namespace, CommandBackend], Outcome]] = {
    "apps": _apps,
    "dashboard": _dashboard,
    "panel": _panel,
    "runners": _runners,
    "logs": _logs,
    "requests": _requests,
    "scale": _scale,
    "start": _start,
    "stop": _stop,
    "kill": _stop,
    "config": _config,
    "doctor": _doctor,
    "env": _env,
    "keys": _keys,
    "secrets": _secrets,
    "files": _files,
    "envs": _envs,
    "help": _help,
}
