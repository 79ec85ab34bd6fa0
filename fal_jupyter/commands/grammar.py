"""The grammar of ``%%fal_app``, ``%fal`` and ``fal-jupyter`` as data: commands, positional arguments and options.

Used by the parser, the help and the completion in notebooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from fal_jupyter.commands.option_values import age, origin, seconds, whole
from fal_jupyter.domain.access.key_grants import PERMISSIONS, PRESETS
from fal_jupyter.domain.environments.isolation import MODES
from fal_jupyter.protocol.feed import TABS

Front = Literal["notebook", "shell"]
AUTH_MODES = ("private", "shared", "public")
BOTH: tuple[Front, ...] = ("notebook", "shell")
NOTEBOOK: tuple[Front, ...] = ("notebook",)
SHELL: tuple[Front, ...] = ("shell",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOption:
    """One ``--option``. *read* converts its value; ``None`` makes it a switch. *field* is fal's name of it. With *many* it can be
    repeated, and its values are a list."""

    flag: str
    help: str
    metavar: str = ""
    read: Callable[[str], object] | None = None
    choices: tuple[str, ...] = ()
    field: str = ""
    many: bool = False
    fronts: tuple[Front, ...] = BOTH

    @property
    def dest(self) -> str:
        """The attribute of the parsed namespace."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Positional:
    """A positional argument, or with *many* all remaining ones. *what* is its kind; an action is one of *words*."""

    name: str
    help: str
    what: Literal["app", "target", "command", "setting", "value", "file", "action", "text"]
    optional: bool = False
    many: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command with its positional arguments and options."""

    name: str
    help: str
    positionals: tuple[Positional, ...] = ()
    options: tuple[CommandOption, ...] = ()
    fronts: tuple[Front, ...] = BOTH


APP_OPTIONS = (
    CommandOption(
        flag="--name",
        metavar="NAME",
        read=str,
        field="name",
        help="alias of the app instead of the one derived from the class",
    ),
    CommandOption(
        flag="--auth",
        metavar="MODE",
        read=str,
        choices=AUTH_MODES,
        field="auth",
        help="who may call: private or shared (a key; in the cloud, a shared app's callers pay), or public",
    ),
    CommandOption(
        flag="--cors",
        metavar="ORIGIN",
        read=origin,
        field="cors",
        many=True,
        help="origin of web pages that may read responses, such as http://localhost:3000; repeatable (default: none)",
    ),
    CommandOption(
        flag="--warm",
        metavar="N",
        read=whole,
        field="warm",
        help="runners kept ready while this kernel lives (default: 1; 0 if the class sets keep_alive or min_concurrency)",
    ),
    CommandOption(flag="--min", metavar="N", read=whole, field="min_concurrency", help="min_concurrency for this run"),
    CommandOption(flag="--max", metavar="N", read=whole, field="max_concurrency", help="max_concurrency for this run"),
    CommandOption(
        flag="--keep-alive", metavar="S", read=seconds, field="keep_alive", help="keep_alive for this run, in seconds"
    ),
    CommandOption(
        flag="--multiplex",
        metavar="N",
        read=whole,
        field="max_multiplexing",
        help="max_multiplexing for this run: concurrent requests per runner",
    ),
    CommandOption(
        flag="--machine",
        metavar="TYPE",
        read=str,
        field="machine",
        help="machine type for this run: XS, S, M, L, GPU, GPU-H100, cuda:0 (default: what the class says)",
    ),
    CommandOption(
        flag="--env",
        metavar="WHERE",
        read=str,
        choices=MODES,
        help="auto (the default): here if this environment meets its requirements, else in one of its own; kernel; isolated",
    ),
    CommandOption(flag="--no-wait", fronts=NOTEBOOK, help="do not wait for the first runner; the first call does"),
    CommandOption(flag="--take-over", help="take over the app of that name from the kernel that owns it"),
    CommandOption(flag="--quiet", help="display no card"),
    CommandOption(flag="--dry-run", help="report what would be shipped, without starting anything"),
)

SCALE_OPTIONS = (
    CommandOption(flag="--min", metavar="N", read=whole, field="min_concurrency", help="minimum number of runners"),
    CommandOption(flag="--max", metavar="N", read=whole, field="max_concurrency", help="maximum number of runners"),
    CommandOption(
        flag="--keep-alive", metavar="S", read=seconds, field="keep_alive", help="seconds before an idle runner stops"
    ),
    CommandOption(
        flag="--multiplex", metavar="N", read=whole, field="max_multiplexing", help="concurrent requests per runner"
    ),
    CommandOption(
        flag="--buffer", metavar="N", read=whole, field="concurrency_buffer", help="spare runners above demand"
    ),
    CommandOption(
        flag="--buffer-perc",
        metavar="P",
        read=whole,
        field="concurrency_buffer_perc",
        help="spare runners in percent of demand",
    ),
    CommandOption(
        flag="--delay",
        metavar="S",
        read=seconds,
        field="scaling_delay",
        help="seconds a request waits before it starts a runner",
    ),
    CommandOption(
        flag="--warm", metavar="N", read=whole, field="warm", help="runners kept ready while the owner lives"
    ),
    CommandOption(
        flag="--request-timeout",
        metavar="S",
        read=seconds,
        field="request_timeout",
        help="maximum duration of a request",
    ),
    CommandOption(
        flag="--startup-timeout", metavar="S", read=seconds, field="startup_timeout", help="maximum duration of a start"
    ),
    CommandOption(
        flag="--request-start-timeout",
        metavar="S",
        read=seconds,
        field="request_start_timeout",
        help="maximum time a new request waits for a runner; 0: no limit",
    ),
    CommandOption(flag="--reset", help="reset all changes to the values of the class"),
    CommandOption(flag="--explain", help="show the last decisions with their reasons"),
)

JSON = CommandOption(flag="--json", help="machine-readable output")
APP = Positional(name="APP", what="app", optional=True, help="class name or alias")
TARGET = Positional(name="TARGET", what="target", help="class name or alias of an app, or the id of a runner")

SERVED = Positional(
    name="FILE.py::Class",
    what="file",
    help="the file and its App class or served function (may be left out where there is one), or the NAME of an app in pyproject.toml",
)
SERVE_OPTIONS = (
    CommandOption(flag="--port", metavar="PORT", read=whole, help="loopback port; 0 is any free one (default: 0)"),
    CommandOption(flag="--json", help="print one JSON line when the first runner is ready"),
    *APP_OPTIONS,
)

GATEWAY_OPTIONS = (
    CommandOption(flag="--debug", help="log at level DEBUG, as with FAL_JUPYTER_LOG_LEVEL=DEBUG"),
    CommandOption(flag="--json", help="print one JSON line when the gateway is up"),
)

SETTINGS = {
    "timing": ("on", "off"),
    "fal": ("ours", "real"),
    "panels": ("auto", "live", "widget", "static", "text"),
}

COMMANDS = (
    Command(name="apps", help="list the apps of this user, of all notebooks and programs", options=(JSON,)),
    Command(name="runners", help="list runners: state, pid, what they served", positionals=(APP,), options=(JSON,)),
    Command(
        name="logs",
        help="show what runners printed",
        positionals=(APP,),
        options=(
            CommandOption(flag="--lines", metavar="N", read=whole, help="number of lines (default: 100)"),
            CommandOption(flag="--runner", metavar="ID", read=str, help="output of this runner only"),
            CommandOption(flag="--request", metavar="ID", read=str, help="output of this request only"),
            JSON,
        ),
    ),
    Command(
        name="requests",
        help="show the last requests and where the time of each went",
        positionals=(APP,),
        options=(
            CommandOption(flag="--lines", metavar="N", read=whole, help="number of requests (default: 20)"),
            CommandOption(flag="--failed", help="only failed requests, with their errors"),
            JSON,
        ),
    ),
    Command(name="dashboard", help="show an overview of all apps of this user", options=(JSON,)),
    Command(
        name="panel",
        help="show an app's card, opened at one of its tabs",
        positionals=(Positional(name="APP", what="app", help="class name or alias"),),
        options=(
            CommandOption(
                flag="--tab",
                metavar="TAB",
                read=str,
                choices=TABS,
                help=f"{', '.join(TABS[:-1])} or {TABS[-1]}",
            ),
            JSON,
        ),
    ),
    Command(
        name="scale",
        help="show how an app scales, or change it while it runs",
        positionals=(Positional(name="APP", what="app", help="class name or alias"),),
        options=(*SCALE_OPTIONS, JSON),
    ),
    Command(
        name="start",
        help="start a stopped app with its last code and settings",
        positionals=(Positional(name="APP", what="app", help="class name or alias"),),
        options=(JSON,),
    ),
    Command(
        name="stop", help="stop an app or a runner after its current requests", positionals=(TARGET,), options=(JSON,)
    ),
    Command(
        name="kill",
        help="stop an app or a runner immediately, without teardown",
        positionals=(TARGET,),
        options=(JSON,),
    ),
    Command(
        name="config",
        help="show settings, or change one of this notebook: `config timing off`",
        positionals=(
            Positional(name="SETTING", what="setting", optional=True, help="timing, fal or panels"),
            Positional(
                name="VALUE",
                what="value",
                optional=True,
                help="; ".join(f"{k}: {', '.join(v)}" for k, v in SETTINGS.items()),
            ),
        ),
        options=(JSON,),
    ),
    Command(
        name="doctor",
        help="diagnose problems; for an app, report differences from the cloud (status 1: it would fail there)",
        positionals=(
            Positional(
                name="APP",
                what="app",
                optional=True,
                help="FILE.py::Class, FILE.py for all in it, or the NAME of an app in pyproject.toml; in a notebook a class of it, or none for all",
            ),
        ),
        options=(JSON,),
    ),
    Command(
        name="keys",
        help="API keys for callers, valid until revoked: create, list, revoke ID",
        positionals=(
            Positional(name="ACTION", what="action", words=("create", "list", "revoke"), help="create, list or revoke"),
            Positional(name="ID", what="text", optional=True, help="of the key to revoke"),
        ),
        options=(
            CommandOption(
                flag="--preset",
                metavar="PRESET",
                read=str,
                help=f"what it may do: {', '.join(PRESETS)} (default: API, which calls apps and uploads files; FULL counts as yourself)",
            ),
            CommandOption(
                flag="--permission",
                metavar="NAMES",
                read=str,
                many=True,
                help=f"instead of a preset: {', '.join(PERMISSIONS)}; with commas, or again for another",
            ),
            CommandOption(
                flag="--scope", metavar="SCOPE", read=str, help="fal's older name of a preset: ADMIN for FULL, or API"
            ),
            CommandOption(flag="--name", metavar="NAME", read=str, help="what it is for"),
            CommandOption(flag="--desc", metavar="NAME", read=str, help="the same, as fal has it"),
            JSON,
        ),
    ),
    Command(
        name="secrets",
        help="environment variables of runners: set NAME[=VALUE], list, unset NAME",
        positionals=(
            Positional(name="ACTION", what="action", words=("set", "list", "unset"), help="set, list or unset"),
            Positional(
                name="NAME",
                what="text",
                many=True,
                help="NAME=VALUE; a missing value is prompted for, or read from standard input",
            ),
        ),
        options=(JSON,),
    ),
    Command(
        name="files",
        help="files below /data: ls, upload, upload-url, download, rm, mv; files of the local CDN: usage, clean",
        positionals=(
            Positional(
                name="ACTION",
                what="action",
                words=("ls", "list", "upload", "upload-url", "download", "rm", "mv", "usage", "clean"),
                help="ls [DIR], upload LOCAL REMOTE, upload-url URL [REMOTE], download REMOTE LOCAL, rm REMOTE, mv REMOTE REMOTE, usage, clean",
            ),
            Positional(
                name="PATH", what="text", many=True, help="a path below /data, one of yours, or an address of the web"
            ),
        ),
        options=(
            CommandOption(
                flag="--older",
                metavar="AGE",
                read=age,
                help="with clean: files older than this, such as 7d, 12h, 30m (default: expired files)",
            ),
            CommandOption(flag="--all", help="with clean: all files of the local CDN"),
            JSON,
        ),
    ),
    Command(
        name="envs",
        help="isolated environments of apps with requirements: list, remove NAME, remove --unused",
        positionals=(
            Positional(name="ACTION", what="action", words=("list", "remove"), help="list or remove"),
            Positional(name="NAME", what="text", many=True, help="of the environments to remove"),
        ),
        options=(CommandOption(flag="--unused", help="remove environments that no running app uses"), JSON),
    ),
    Command(
        name="env",
        help="print the environment of fal's Python client: eval $(fal-jupyter env)",
        options=(
            CommandOption(
                flag="--shell",
                metavar="SHELL",
                read=str,
                choices=("sh", "fish", "json"),
                help="output format: sh (the default), fish or json",
            ),
            JSON,
        ),
        fronts=SHELL,
    ),
    Command(
        name="help",
        help="show this help, or that of one command",
        positionals=(Positional(name="COMMAND", what="command", optional=True, help="a command"),),
    ),
    Command(
        name="serve",
        help="serve an app of a file, or of [tool.fal.apps] in pyproject.toml, in the foreground until Ctrl-C",
        positionals=(SERVED,),
        options=SERVE_OPTIONS,
        fronts=SHELL,
    ),
    Command(
        name="run",
        help="alias of serve, spelled as in `fal run`",
        positionals=(SERVED,),
        options=SERVE_OPTIONS,
        fronts=SHELL,
    ),
    Command(
        name="gateway",
        help="run the gateway in the foreground, with its log in the terminal, until Ctrl-C",
        options=GATEWAY_OPTIONS,
        fronts=SHELL,
    ),
)


def commands_of(front: Front) -> list[Command]:
    """Return the commands of a front end, in the order of the help."""
    return [command for command in COMMANDS if front in command.fronts]


def options_of(options: Iterable[CommandOption], front: Front) -> list[CommandOption]:
    """The options that this front knows."""
    return [option for option in options if front in option.fronts]
