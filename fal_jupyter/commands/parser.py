"""Parses ``%%fal_app``, ``%fal`` and ``fal-jupyter`` lines and formats their help.

The grammar is data (:mod:`fal_jupyter.commands.grammar`). Parsing never ends the process: invalid input raises
:class:`BadSetting` with one sentence, ``--help`` raises :class:`HelpRequested`.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from typing import NoReturn

from fal_jupyter.commands.grammar import (
    APP_OPTIONS,
    Command,
    CommandOption,
    Front,
    Positional,
    commands_of,
    options_of,
)
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.domain.text.nearest import hint_for, nearest
from fal_jupyter.installed import version


class HelpRequested(Exception):
    """``--help`` or ``--version`` was given; the exception's text is the output."""


class _Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        where, _, reason = message.partition(": ")
        if where.startswith("argument ") and reason:
            raise BadSetting(reason, where=where.removeprefix("argument "))
        raise BadSetting(message, hint=f"{self.prog} --help", where=self.prog)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            raise BadSetting(
                f"invalid choice: {value!r} (choose from {', '.join(map(repr, choices))})",
                hint=hint_for(value, choices, ""),
                where="/".join(action.option_strings) or str(action.metavar or action.dest),
            )


class _Help(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        raise HelpRequested(parser.format_help())


def _fill(parser: argparse.ArgumentParser, positionals: Iterable[Positional], options: Iterable[CommandOption]) -> None:
    for positional in positionals:
        dest = positional.name.split(".")[0].lower()
        nargs = "*" if positional.many else "?" if positional.optional else None
        parser.add_argument(
            dest, metavar=positional.name, nargs=nargs, choices=positional.words or None, help=positional.help
        )
    for option in options:
        if option.read is None:
            parser.add_argument(option.flag, action="store_true", help=option.help)
        else:
            parser.add_argument(
                option.flag,
                action="append" if option.many else "store",
                metavar=option.metavar,
                type=option.read,
                choices=option.choices or None,
                help=option.help,
            )
    parser.add_argument("-h", "--help", nargs=0, action=_Help, help="show this help")


def _parser(prog: str, description: str) -> _Parser:
    return _Parser(prog=prog, description=description, allow_abbrev=False, add_help=False)


def app_parser(prog: str = "%%fal_app") -> argparse.ArgumentParser:
    """Return the parser of the ``%%fal_app`` line."""
    parser = _parser(prog, "Run the cell, and every fal.App class that it defines as an app.")
    _fill(parser, (), options_of(APP_OPTIONS, "notebook"))
    return parser


def command_parser(command: Command, front: Front) -> argparse.ArgumentParser:
    """Return the parser of one command."""
    parser = _parser(f"{_prog(front)} {command.name}", command.help[0].upper() + command.help[1:] + ".")
    _fill(parser, command.positionals, options_of(command.options, front))
    return parser


def _prog(front: Front) -> str:
    return "%fal" if front == "notebook" else "fal-jupyter"


def help_text(front: Front, command: str = "") -> str:
    """Format the help of a front end, or of one of its commands.

    Raises:
        BadSetting: there is no such command.
    """
    if command:
        return command_parser(find_command(command, front), front).format_help()
    lines = [f"usage: {_prog(front)} COMMAND ...", ""]
    lines += [f"  {choices.name:<11}{choices.help}" for choices in commands_of(front)]
    lines += ["", f"APP is a class name or alias. Details: {_prog(front)} help COMMAND"]
    return "\n".join(lines) + "\n"


def find_command(name: str, front: Front) -> Command:
    """Return the command of that name.

    Raises:
        BadSetting: there is no such command; the closest match is suggested.
    """
    choices = commands_of(front)
    for command in choices:
        if command.name == name:
            return command
    hint = _nearest(name, [command.name for command in choices])
    raise BadSetting(
        f"there is no command {name!r}; the commands are {' '.join(command.name for command in choices)}",
        hint=hint,
        where=_prog(front),
    )


def parse_command(words: Sequence[str], front: Front) -> argparse.Namespace:
    """Parse the words after ``%fal`` or ``fal-jupyter``; without words, ``help``.

    Raises:
        BadSetting: a word is invalid.
        HelpRequested: help was requested.
    """
    if not words:
        return argparse.Namespace(command="help", json=False, command_name=None)
    if words[0] in {"-h", "--help"}:
        raise HelpRequested(help_text(front))
    if words[0] in {"--version", "-V"}:
        raise HelpRequested(f"fal_jupyter {version()}")
    if words[0].startswith("-"):
        raise BadSetting(
            f"there is no option {words[0]} before a command", hint=f"{_prog(front)} help", where=_prog(front)
        )
    command = find_command(words[0], front)
    parser = command_parser(command, front)
    args = _parse(parser, words[1:], options_of(command.options, front))
    if command.name == "help":
        args.command_name = args.command
    args.command = command.name
    args.json = getattr(args, "json", False)
    return args


def parse_app_line(line: str) -> argparse.Namespace:
    """Parse the line after ``%%fal_app``.

    Raises:
        BadSetting: a word is invalid.
        HelpRequested: help was requested.
    """
    return _parse(app_parser(), split(line), options_of(APP_OPTIONS, "notebook"))


def split(line: str) -> list[str]:
    """Split a magic's line as a shell does.

    Raises:
        BadSetting: a quotation mark is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError:
        raise BadSetting(f"a quotation mark is not closed in {line.strip()!r}") from None


def overrides(args: argparse.Namespace) -> dict[str, object]:
    """Return the app options of a line by fal's names (``--min 2`` → ``min_concurrency: 2``)."""
    values = {option.field: getattr(args, option.dest, None) for option in APP_OPTIONS if option.field}
    return {name: value for name, value in values.items() if value is not None}


def _parse(
    parser: argparse.ArgumentParser, words: Sequence[str], options: Sequence[CommandOption]
) -> argparse.Namespace:
    args, unknown = parser.parse_known_args(list(words))
    if unknown:
        word = next((w for w in unknown if w.startswith("-")), unknown[0])
        if word.startswith("-"):
            flag = word.partition("=")[0]
            names = {f"--{option.field.replace('_', '-')}": option.flag for option in options if option.field}  # fal's
            names |= {option.flag: option.flag for option in options}
            suggestion = names.get(flag) or names.get(nearest(flag, names))
            hint = f"did you mean {suggestion}?" if suggestion else ""
            raise BadSetting(f"there is no option {flag}", hint=hint or f"{parser.prog} --help", where=parser.prog)
        raise BadSetting(f"unexpected word {word!r}", hint=f"{parser.prog} --help", where=parser.prog)
    return args


def _nearest(word: str, choices: Sequence[str]) -> str:
    return hint_for(word, choices, "")
