"""The one grammar of ``%%fal_app``, ``%fal`` and ``fal-jupyter``: how words are parsed, and the help.

The words are data (:mod:`fal_jupyter.commands.definitions`). Parsing
never ends the process: a mistake is a :class:`BadSetting` of one sentence, a wish for help a :class:`HelpAsked`.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from fal_jupyter.commands.definitions import (
    APP_OPTIONS,
    Command,
    CommandOption,
    Front,
    Positional,
    options_of,
    verbs_of,
)
from fal_jupyter.domain.errors import BadSetting
from fal_jupyter.domain.text.nearest import hint_for, nearest
from fal_jupyter.installed import version


class HelpAsked(Exception):
    """``--help`` or ``--version`` was among the words; the exception's text is the answer."""


class _Parser(argparse.ArgumentParser):
    """An argparse that raises where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        where, _, rest = message.partition(": ")
        if where.startswith("argument ") and rest:
            raise BadSetting(rest, where=where.removeprefix("argument "))
        raise BadSetting(message, hint=f"{self.prog} --help", where=self.prog)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = list(map(str, action.choices))
            raise BadSetting(
                f"invalid choice: {value!r} (choose from {', '.join(map(repr, known))})",
                hint=hint_for(value, known, ""),
                where="/".join(action.option_strings) or str(action.metavar or action.dest),
            )


class _Help(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        raise HelpAsked(parser.format_help())


def _fill(parser: argparse.ArgumentParser, places: Iterable[Positional], options: Iterable[CommandOption]) -> None:
    for place in places:
        dest = place.name.split(".")[0].lower()
        nargs = "*" if place.many else "?" if place.optional else None
        parser.add_argument(dest, metavar=place.name, nargs=nargs, choices=place.words or None, help=place.help)
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
    """The parser of the magic's own line."""
    parser = _parser(prog, "Run the cell, and every fal.App class that it defines as an app.")
    _fill(parser, (), options_of(APP_OPTIONS, "notebook"))
    return parser


def verb_parser(verb: Command, front: Front) -> argparse.ArgumentParser:
    """The parser of one verb."""
    parser = _parser(f"{_prog(front)} {verb.name}", verb.help[0].upper() + verb.help[1:] + ".")
    _fill(parser, verb.places, options_of(verb.options, front))
    return parser


def _prog(front: Front) -> str:
    return "%fal" if front == "notebook" else "fal-jupyter"


def help_text(front: Front, verb: str = "") -> str:
    """The help of a front, or of one of its verbs.

    Raises:
        BadSetting: there is no such verb.
    """
    if verb:
        return verb_parser(find_verb(verb, front), front).format_help()
    lines = [f"usage: {_prog(front)} VERB ...", ""]
    lines += [f"  {known.name:<11}{known.help}" for known in verbs_of(front)]
    lines += ["", f"Apps go by class name or alias. {_prog(front)} help VERB tells more."]
    return "\n".join(lines) + "\n"


def find_verb(name: str, front: Front) -> Command:
    """Give the verb of that name.

    Raises:
        BadSetting: there is none; the nearest one is offered.
    """
    known = verbs_of(front)
    for verb in known:
        if verb.name == name:
            return verb
    hint = _nearest(name, [verb.name for verb in known])
    raise BadSetting(
        f"there is no verb {name!r}; the verbs are {' '.join(verb.name for verb in known)}",
        hint=hint,
        where=_prog(front),
    )


def parse_verb(words: Sequence[str], front: Front) -> argparse.Namespace:
    """Parse the words after ``%fal`` or ``fal-jupyter``; no word at all means ``help``.

    Raises:
        BadSetting: a word does not fit.
        HelpAsked: help was asked for.
    """
    if not words:
        return argparse.Namespace(verb="help", json=False, given_verb=None)
    if words[0] in {"-h", "--help"}:
        raise HelpAsked(help_text(front))
    if words[0] in {"--version", "-V"}:
        raise HelpAsked(f"fal_jupyter {version()}")
    if words[0].startswith("-"):
        raise BadSetting(
            f"there is no option {words[0]} before a verb", hint=f"{_prog(front)} help", where=_prog(front)
        )
    verb = find_verb(words[0], front)
    parser = verb_parser(verb, front)
    args = _parse(parser, words[1:], options_of(verb.options, front))
    if verb.name == "help":
        args.given_verb = args.verb
    args.verb = verb.name
    args.json = getattr(args, "json", False)
    return args


def parse_app_line(line: str) -> argparse.Namespace:
    """Parse the line after ``%%fal_app``.

    Raises:
        BadSetting: a word does not fit.
        HelpAsked: help was asked for.
    """
    return _parse(app_parser(), split(line), options_of(APP_OPTIONS, "notebook"))


def split(line: str) -> list[str]:
    """Split a magic's line as a shell does.

    Raises:
        BadSetting: a quotation is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError:
        raise BadSetting(f"a quotation mark is not closed in {line.strip()!r}") from None


def overrides(args: argparse.Namespace) -> dict[str, object]:
    """The app options that were given, by fal's names (``--min 2`` → ``min_concurrency: 2``)."""
    given = {option.field: getattr(args, option.dest, None) for option in APP_OPTIONS if option.field}
    return {name: value for name, value in given.items() if value is not None}


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
            meant = names.get(flag) or names.get(nearest(flag, names))
            hint = f"did you mean {meant}?" if meant else ""
            raise BadSetting(f"there is no option {flag}", hint=hint or f"{parser.prog} --help", where=parser.prog)
        raise BadSetting(f"{word!r} is one word too many", hint=f"{parser.prog} --help", where=parser.prog)
    return args


def _nearest(word: str, known: Sequence[str]) -> str:
    return hint_for(word, known, "")
