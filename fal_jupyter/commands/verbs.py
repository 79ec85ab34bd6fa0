"""What each verb does, for the magics and the command line alike: data for ``--json``, text for people."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict, TypeVar

from fal_jupyter.commands import definitions, grammar, key_verbs, request_tables, secret_verbs
from fal_jupyter.commands.app_doctor import Report
from fal_jupyter.commands.tables import table
from fal_jupyter.domain.errors import BadSetting, NotServed
from fal_jupyter.domain.text.nearest import hint_for
from fal_jupyter.domain.text.terminal_text import safe_line
from fal_jupyter.filestore import FileStore
from fal_jupyter.protocol.api import AppRecord, ClientEnv, LogRecord, RunnerRecord, ScalingRecord
from fal_jupyter.protocol.feed import RequestState
from fal_jupyter.secret_store import SecretStore

NO_APPS = "No app is running. Run a %%fal_app cell, or: fal-jupyter serve FILE.py::Class"


class CommandBackend(Protocol):
    """What verbs need of the gateway and of the front. Reading never starts a gateway: without one, lists are empty."""

    @property
    def front(self) -> definitions.Front:
        """Which grammar is spoken here."""

    def apps(self) -> list[AppRecord]:
        """Every app of this user."""

    def runners(self) -> list[RunnerRecord]:
        """Every runner of this user."""

    def logs(self, alias: str, *, lines: int, runner: str, request: str) -> list[LogRecord]:
        """The last lines that runners of an app printed."""

    def requests(self) -> list[RequestState]:
        """The requests of every app that are known yet, in no order."""

    def show_requests(self, records: list[RequestState]) -> bool:
        """Display a table of requests; False where this front has nothing to display it on."""

    def scaling(self, alias: str) -> ScalingRecord:
        """How an app scales, and why."""

    def scale(self, alias: str, changes: Mapping[str, object] | None) -> ScalingRecord:
        """Change how an app scales; None takes every change back."""

    def startable_apps(self) -> Sequence[NamedApp]:
        """Every app of this user, those that were stopped included."""

    def start_app(self, alias: str) -> None:
        """Start an app that was stopped, or a runner of one that has none."""

    def stop_app(self, alias: str, *, kill: bool) -> None:
        """End an app and its runners."""

    def stop_runner(self, runner_id: str, *, kill: bool) -> None:
        """End one runner."""

    def doctor(self) -> dict[str, Any]:
        """What runs and what is wrong; see :mod:`fal_jupyter.commands.doctor`."""

    def examined(self, which: str) -> list[Report]:
        """What would be different in the cloud: for the apps of *which*, or for all that this front has at hand."""

    def client_env(self) -> ClientEnv:
        """What fal's client needs to come here by its environment."""

    def secret_store(self) -> SecretStore:
        """Secrets and lasting keys of this user."""

    def keys_changed(self) -> None:
        """Have a running gateway read the lasting keys."""

    def data(self) -> Path:
        """The folder that ``/data`` is here; it is there."""

    def file_store(self) -> FileStore:
        """The files of the local CDN."""

    def environments(self) -> Path:
        """The folder of isolated environments; it need not be there."""

    def settings(self) -> dict[str, str]:
        """The settings that ``config`` shows, by name."""

    def configure(self, setting: str, value: str) -> None:
        """Change a setting of this front."""

    def show_panel(self, alias: str, tab: str) -> bool:
        """Display an app's panel; False where this front has nothing to display it on."""

    def show_dashboard(self) -> bool:
        """Display the dashboard; False where this front has nothing to display it on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verb found or did: *data* is plain JSON, *text* says the same to a person."""

    data: Any
    text: str
    status: int = 0  # of the command line; what could not be done is an error instead


def carry_out(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    """Do what the parsed words ask for.

    Raises:
        FalJupyterError: it cannot be done; the message says why and what to type.
    """
    return _DOERS[args.verb](args, desk)


def _apps(_: argparse.Namespace, desk: CommandBackend) -> Outcome:
    records = desk.apps()
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


def _dashboard(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    if not args.json and desk.show_dashboard():
        return Outcome(None, "")
    return _apps(args, desk)


def _panel(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    record = find_app(args.app, desk.apps())
    if not args.json and desk.show_panel(record["alias"], args.tab or "card"):
        return Outcome(None, "")
    scaling = desk.scaling(record["alias"])
    return Outcome(
        {"app": record, "scaling": scaling}, f"{record['app']}: {_states(record['runners'])}, {scaling['seen']}"
    )


def _states(runners: dict[str, int]) -> str:
    return " ".join(f"{number} {state}" for state, number in runners.items() if number) or "none"


def _runners(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    records = desk.runners()
    if args.app:
        app = find_app(args.app, desk.apps())["app"]
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


def _logs(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    apps = desk.apps()
    if args.app:
        alias = find_app(args.app, apps)["alias"]
    elif len(apps) == 1:
        alias = apps[0]["alias"]
    elif not apps:
        return Outcome([], NO_APPS)
    else:
        raise BadSetting("which app?", hint=f"one of {' '.join(sorted(a['alias'] for a in apps))}", where="logs")
    lines = 100 if args.lines is None else args.lines
    records = desk.logs(alias, lines=lines, runner=args.runner or "", request=args.request or "")
    text = "\n".join(_log_line(record) for record in records)
    return Outcome(records, text or f"{alias} has printed nothing yet.")


def _log_line(record: LogRecord) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(record["time"]))
    mark = {1: " ", 2: "!", 0: "·"}.get(record["stream"], " ")
    return f"{moment} {record['runner'] or '-'} {mark} {safe_line(record['text'].rstrip())}"


def _requests(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    known, records = desk.apps(), desk.requests()
    if args.app:
        alias = find_app(args.app, known)["alias"]
        records = [record for record in records if record["alias"] == alias]
    if args.failed:
        records = [record for record in records if request_tables.word_of(record).startswith("failed")]
    most = 20 if args.lines is None else args.lines
    records = sorted(records, key=lambda record: -record["began"])[:most][::-1]
    if not records:
        which = f"of {args.app} " if args.app else ""
        return Outcome([], f"No request {which}{'has failed' if args.failed else 'is known yet'}.")
    if not args.json and desk.show_requests(records):
        return Outcome(None, "")
    return Outcome(records, request_tables.as_text(records))


def _scale(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    alias = find_app(args.app, desk.apps())["alias"]
    changes = {
        o.field: getattr(args, o.dest)
        for o in definitions.SCALE_OPTIONS
        if o.field and getattr(args, o.dest) is not None
    }
    if args.reset and changes:
        raise BadSetting(
            "--reset takes every change back, so it goes alone", hint=f"scale {args.app} --reset", where="scale"
        )
    record = desk.scale(alias, None if args.reset else changes) if args.reset or changes else desk.scaling(alias)
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
    told = table(["when", "seen", "decided"], rows, right=["when"]) if rows else "No decision has been needed yet."
    return f"{told}\nnow: {record['seen']}"


def _stop(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    kill = args.verb == "kill"
    word = "killed" if kill else "stopped"
    for runner in desk.runners():
        if runner["runner_id"] == args.target:
            desk.stop_runner(args.target, kill=kill)
            return Outcome({word: args.target}, f"Runner {args.target} is {'killed' if kill else 'being stopped'}.")
    app = find_app(args.target, desk.apps())
    desk.stop_app(app["alias"], kill=kill)
    return Outcome({word: app["alias"]}, f"{app['class_name']} ({app['app']}) is {word}.")


def _start(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    app = find_app(args.app, desk.startable_apps())
    desk.start_app(app["alias"])
    return Outcome(
        {"started": app["alias"]}, f"{app['class_name']} ({app['app']}) starts with the code and settings that it had."
    )


class NamedApp(TypedDict):
    """An app by its names."""

    app: str
    alias: str
    class_name: str


Named = TypeVar("Named", bound=NamedApp | AppRecord)


def find_app(name: str, apps: Sequence[Named]) -> Named:
    """Give the app of that alias, ``owner/alias`` or class name.

    Raises:
        NotServed: there is none, or several classes have the name.
    """
    named = [app for app in apps if name in {app["alias"], app["app"]}]
    named = named or [app for app in apps if app["class_name"] == name]
    if len(named) == 1:
        return named[0]
    if named:
        aliases = " ".join(sorted(app["alias"] for app in named))
        raise NotServed(f"{len(named)} apps have the class {name}", hint=f"name one by its alias: {aliases}")
    known = sorted({word for app in apps for word in (app["alias"], app["class_name"])})
    raise NotServed(
        f"there is no app {name!r}", hint=hint_for(name, known, f"running: {' '.join(known)}" if known else NO_APPS)
    )


def _config(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    if args.setting is not None:
        allowed = definitions.SETTINGS.get(args.setting)
        if allowed is None:
            raise BadSetting(f"there is no setting {args.setting!r}", hint=hint_for(args.setting, definitions.SETTINGS))
        if args.value is not None:
            if args.value not in allowed:
                raise BadSetting(
                    f"{args.setting} is {' or '.join(allowed)}, not {args.value!r}",
                    hint=f"config {args.setting} {allowed[0]}",
                )
            desk.configure(args.setting, args.value)
    found = desk.settings()
    return Outcome(found, table(["setting", "value"], list(found.items())))


def _doctor(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    from fal_jupyter.commands import doctor  # start-up
    from fal_jupyter.portability.findings import as_data, as_text  # start-up

    reports = desk.examined(args.app or "")
    told = [as_text(report.app, report.findings) for report in reports]
    data: dict[str, Any] = {} if args.app else desk.doctor()
    if not args.app:
        told.insert(0, doctor.as_text(data))
    fails = sum(finding.severity == "fails" for report in reports for finding in report.findings)
    if args.app or reports:
        data = data | {"apps": [as_data(report.app, report.findings) for report in reports]}
    return Outcome(data, "\n\n".join(told), status=1 if fails else 0)


def _env(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    from fal_jupyter.commands import env_verb  # start-up

    found = env_verb.variables(desk.client_env(), os.environ)
    return Outcome(found, env_verb.as_text(found, env_verb.shell_of(args)))


def _keys(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    return Outcome(*key_verbs.carry_out(args, desk.secret_store(), desk.keys_changed))


def _secrets(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    return Outcome(*secret_verbs.carry_out(args, desk.secret_store(), front=desk.front))


def _files(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    from fal_jupyter.commands import file_verbs  # start-up

    return Outcome(*file_verbs.carry_out(args, desk.data(), desk.file_store()))


def _envs(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    from fal_jupyter.commands import envs_verbs  # start-up

    return Outcome(*envs_verbs.carry_out(args, desk.environments(), desk.apps()))


def _help(args: argparse.Namespace, desk: CommandBackend) -> Outcome:
    text = grammar.help_text(desk.front, args.given_verb or "")
    return Outcome(text, text.rstrip())


_DOERS: dict[str, Callable[[argparse.Namespace, CommandBackend], Outcome]] = {
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
