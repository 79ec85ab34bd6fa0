"""The words of ``%%fal_app``, ``%fal`` and ``fal-jupyter`` as data: verbs, options and what may stand in each place.

The parser, the help and the completion of the notebook read the same list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from fal_jupyter.commands.option_values import age, origin, seconds, whole
from fal_jupyter.domain.access.key_grants import PERMISSIONS, PRESETS
from fal_jupyter.domain.environments.isolation import MODES

Front = Literal["notebook", "shell"]
AUTH_MODES = ("private", "shared", "public")
BOTH: tuple[Front, ...] = ("notebook", "shell")
NOTEBOOK: tuple[Front, ...] = ("notebook",)
SHELL: tuple[Front, ...] = ("shell",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOption:
    """One ``--option``. *read* turns its value into ours; ``None`` makes it a switch. *field* is fal's name of it. With *many* it may
    be given again, and its values are a list."""

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
        """The attribute that holds it after parsing."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Positional:
    """One positional word, or with *many* all that are left; *what* says what may stand there, one of *words* for an action."""

    name: str
    help: str
    what: Literal["app", "target", "verb", "setting", "value", "file", "action", "text"]
    optional: bool = False
    many: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One verb with its places and options."""

    name: str
    help: str
    places: tuple[Positional, ...] = ()
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
        help="web pages that may read its answers, such as http://localhost:3000; again for another (default: none)",
    ),
    CommandOption(
        flag="--warm",
        metavar="N",
        read=whole,
        field="warm",
        help="runners kept ready while this kernel lives (default: 1; 0 where the class speaks of scaling)",
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
        help="max_multiplexing: requests that one runner works on at once",
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
    CommandOption(
        flag="--no-wait", fronts=NOTEBOOK, help="give the prompt back at once; the first call waits for the runner"
    ),
    CommandOption(flag="--take-over", help="take the app of that name from the kernel that owns it"),
    CommandOption(flag="--quiet", help="show no card"),
    CommandOption(flag="--dry-run", help="say what would be shipped and start nothing"),
)

SCALE_OPTIONS = (
    CommandOption(flag="--min", metavar="N", read=whole, field="min_concurrency", help="runners that are always there"),
    CommandOption(flag="--max", metavar="N", read=whole, field="max_concurrency", help="most runners at once"),
    CommandOption(
        flag="--keep-alive", metavar="S", read=seconds, field="keep_alive", help="seconds that an idle runner stays"
    ),
    CommandOption(
        flag="--multiplex", metavar="N", read=whole, field="max_multiplexing", help="requests a runner works on at once"
    ),
    CommandOption(
        flag="--buffer", metavar="N", read=whole, field="concurrency_buffer", help="spare runners above demand"
    ),
    CommandOption(
        flag="--buffer-perc",
        metavar="P",
        read=whole,
        field="concurrency_buffer_perc",
        help="the same in percent of demand",
    ),
    CommandOption(
        flag="--delay",
        metavar="S",
        read=seconds,
        field="scaling_delay",
        help="seconds a request waits before it calls for a runner",
    ),
    CommandOption(
        flag="--warm", metavar="N", read=whole, field="warm", help="runners kept ready while the owner lives"
    ),
    CommandOption(
        flag="--request-timeout", metavar="S", read=seconds, field="request_timeout", help="longest time of a request"
    ),
    CommandOption(
        flag="--startup-timeout", metavar="S", read=seconds, field="startup_timeout", help="longest time of a start"
    ),
    CommandOption(
        flag="--request-start-timeout",
        metavar="S",
        read=seconds,
        field="request_start_timeout",
        help="longest wait of a request, from now on, until a runner has it; 0: no limit",
    ),
    CommandOption(flag="--reset", help="take every change back: what the class says"),
    CommandOption(flag="--explain", help="show the last decisions: what was seen and which rule decided"),
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

VERBS = (
    Command(name="apps", help="list the apps of this user, whoever owns them", options=(JSON,)),
    Command(name="runners", help="list runners: state, pid, what they served", places=(APP,), options=(JSON,)),
    Command(
        name="logs",
        help="show what runners printed",
        places=(APP,),
        options=(
            CommandOption(flag="--lines", metavar="N", read=whole, help="how many of the last lines (default: 100)"),
            CommandOption(flag="--runner", metavar="ID", read=str, help="of this runner only"),
            CommandOption(flag="--request", metavar="ID", read=str, help="of this request only"),
            JSON,
        ),
    ),
    Command(
        name="requests",
        help="show the last requests and where the time of each went",
        places=(APP,),
        options=(
            CommandOption(flag="--lines", metavar="N", read=whole, help="how many of the last ones (default: 20)"),
            CommandOption(flag="--failed", help="only those that failed, with what they say"),
            JSON,
        ),
    ),
    Command(name="dashboard", help="show every app of this user at a glance", options=(JSON,)),
    Command(
        name="panel",
        help="show an app's card, opened at one of its tabs",
        places=(Positional(name="APP", what="app", help="class name or alias"),),
        options=(
            CommandOption(
                flag="--tab",
                metavar="TAB",
                read=str,
                choices=("try", "outputs", "requests", "timeline", "config", "logs", "snippets"),
                help="try, outputs, requests, timeline, config, logs or snippets",
            ),
            JSON,
        ),
    ),
    Command(
        name="scale",
        help="show how an app scales, or change it while it runs",
        places=(Positional(name="APP", what="app", help="class name or alias"),),
        options=(*SCALE_OPTIONS, JSON),
    ),
    Command(
        name="start",
        help="start an app that was stopped, with the code and settings that it had",
        places=(Positional(name="APP", what="app", help="class name or alias"),),
        options=(JSON,),
    ),
    Command(
        name="stop", help="stop an app or a runner: work under way is finished first", places=(TARGET,), options=(JSON,)
    ),
    Command(name="kill", help="stop an app or a runner at once, without teardown", places=(TARGET,), options=(JSON,)),
    Command(
        name="config",
        help="show settings, or change one of this notebook: `config timing off`",
        places=(
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
        help="say what runs where, and what is wrong; of an app, what would be different in the cloud (status 1: it would fail)",
        places=(
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
        help="keys for callers that last until they are revoked: create, list, revoke ID",
        places=(
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
        help="variables that runners have in their environment: set NAME[=VALUE], list, unset NAME",
        places=(
            Positional(name="ACTION", what="action", words=("set", "list", "unset"), help="set, list or unset"),
            Positional(
                name="NAME", what="text", many=True, help="NAME=VALUE; a value that is left out is asked for, or read"
            ),
        ),
        options=(JSON,),
    ),
    Command(
        name="files",
        help="the files that apps keep below /data: ls, upload, upload-url, download, rm, mv; those of the local CDN too: usage, clean",
        places=(
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
                help="of clean: what was uploaded longer ago than that, such as 7d, 12h, 30m (without: what has expired)",
            ),
            CommandOption(flag="--all", help="of clean: every file of the local CDN"),
            JSON,
        ),
    ),
    Command(
        name="envs",
        help="the isolated environments that apps with requirements have: list, remove NAME, remove --unused",
        places=(
            Positional(name="ACTION", what="action", words=("list", "remove"), help="list or remove"),
            Positional(name="NAME", what="text", many=True, help="of the environments to remove"),
        ),
        options=(CommandOption(flag="--unused", help="remove all that no running app has"), JSON),
    ),
    Command(
        name="env",
        help="print what fal's Python client needs to call here: eval $(fal-jupyter env)",
        options=(
            CommandOption(
                flag="--shell",
                metavar="SHELL",
                read=str,
                choices=("sh", "fish", "json"),
                help="whose words: sh (the default), fish or json",
            ),
            JSON,
        ),
        fronts=SHELL,
    ),
    Command(
        name="help",
        help="show this help, or that of one verb",
        places=(Positional(name="VERB", what="verb", optional=True, help="a verb"),),
    ),
    Command(
        name="serve",
        help="serve an app of a file, or of [tool.fal.apps] in pyproject.toml, in the foreground until Ctrl-C",
        places=(SERVED,),
        options=SERVE_OPTIONS,
        fronts=SHELL,
    ),
    Command(
        name="run",
        help="the same as serve, as `fal run` is written",
        places=(SERVED,),
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


def verbs_of(front: Front) -> list[Command]:
    """The verbs that this front knows, in the order of the help."""
    return [verb for verb in VERBS if front in verb.fronts]


def options_of(options: Iterable[CommandOption], front: Front) -> list[CommandOption]:
    """The options that this front knows."""
    return [option for option in options if front in option.fronts]
