from __future__ import annotations

import re
from pathlib import Path

import pytest

from fal_jupyter.commands import grammar, handlers, parser
from fal_jupyter.domain.errors import BadSetting
from tests.support.serve import command


def test_the_options_of_the_magic_have_fals_names() -> None:
    line = "--name hi --auth public --warm 2 --min 1 --max 4 --keep-alive 2.5 --multiplex 8 --no-wait"
    args = parser.parse_app_line(line)

    assert parser.overrides(args) == {
        "name": "hi",
        "auth": "public",
        "warm": 2,
        "min_concurrency": 1,
        "max_concurrency": 4,
        "keep_alive": 2.5,
        "max_multiplexing": 8,
    }
    assert args.no_wait
    assert not args.take_over


def test_an_option_that_may_be_given_again_is_a_list() -> None:
    args = parser.parse_app_line("--cors http://localhost:3000 --cors HTTPS://b.example:443")
    assert parser.overrides(args) == {"cors": ["http://localhost:3000", "https://b.example"]}


def test_an_option_that_was_not_given_overrides_nothing() -> None:
    assert parser.overrides(parser.parse_app_line("")) == {}


@pytest.mark.parametrize(
    ("words", "status", "out", "err"),
    [
        (("--version",), 0, r"fal_jupyter \d+\.\d+.*\n", ""),
        (("-V",), 0, r"fal_jupyter \d+\.\d+.*\n", ""),
        (("--vresion",), 2, "", "fal-jupyter: there is no option --vresion before a command\nfal-jupyter help\n"),
        (("ap",), 2, "", r"fal-jupyter: there is no command 'ap'; .*\ndid you mean apps\?\n"),
        (("apps", "x"), 2, "", r"fal-jupyter apps: unexpected word 'x'\n.*\n"),
        (("keys", "create", "--preset", "FUL"), 1, "", r"fal-jupyter: --preset: .*\n.*FULL\?\n"),
        (("serve",), 2, "", r"fal-jupyter serve: .*\n.*\n"),
        (("serve", "/nonexist.py"), 1, "", r"fal-jupyter: /nonexist.py cannot be read: .*\n.*\n"),
    ],
)
def test_messages_of_the_command_line_begin_with_its_name_once(
    words: tuple[str, ...], status: int, out: str, err: str, tmp_path: Path
) -> None:
    done = command(tmp_path / "s", *words)
    assert done.returncode == status
    assert re.fullmatch(out, done.stdout)
    assert re.fullmatch(err, done.stderr), done.stderr


def test_whole_seconds_stay_whole() -> None:
    assert repr(parser.overrides(parser.parse_app_line("--keep-alive 5"))["keep_alive"]) == "5"


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("--keep-aliv 5", ["--keep-aliv", "did you mean --keep-alive?"]),
        ("--warm many", ["--warm", "non-negative integer", "'many'"]),
        ("--keep-alive -1", ["--keep-alive"]),
        ("--keep-alive inf", ["--keep-alive", "'inf'"]),
        ("--auth secret", ["--auth", "'secret'", "private"]),
        ("--cors *", ["--cors", "'*'", "is not a web origin", "write http://localhost:3000"]),
        ("--cors http://a.example/x", ["--cors", "write http://a.example"]),
        ("stray", ["'stray'", "unexpected word"]),
        ("--name", ["--name"]),
        ("--name 'x", ["quotation"]),
    ],
)
def test_a_mistake_in_the_magic_line_is_one_sentence_and_never_ends_the_process(
    line: str, sentences: list[str]
) -> None:
    with pytest.raises(BadSetting) as caught:
        parser.parse_app_line(line)

    for sentence in sentences:
        assert sentence in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_abbreviated_options_are_refused_so_that_new_ones_are_compatible() -> None:
    with pytest.raises(BadSetting, match="--keep"):
        parser.parse_app_line("--keep 5")


def test_a_misspelt_command_is_reported_with_the_nearest_one() -> None:
    with pytest.raises(BadSetting, match="did you mean runners") as caught:
        parser.parse_command(["runers"], "notebook")
    assert "serve" not in str(caught.value)


def test_serve_is_a_command_of_the_command_line_only() -> None:
    with pytest.raises(BadSetting):
        parser.parse_command(["serve", "x.py"], "notebook")
    args = parser.parse_command(["serve", "x.py::A", "--port", "0", "--json", "--warm", "2"], "shell")
    assert (args.file, args.port, args.json, parser.overrides(args)) == ("x.py::A", 0, True, {"warm": 2})


@pytest.mark.parametrize("verb", [v.name for v in grammar.COMMANDS if v.name != "help"])
def test_every_command_except_help_supports_json(verb: str) -> None:
    assert "--json" in parser.help_text("shell", verb)


def test_every_command_has_a_handler_and_every_handler_a_command() -> None:
    in_the_foreground = {"serve", "run", "gateway"}  # modules of their own: fal_jupyter.cli.main
    assert {command.name for command in grammar.COMMANDS} - in_the_foreground == set(handlers.HANDLERS)


def test_no_word_at_all_shows_the_help() -> None:
    assert parser.parse_command([], "notebook").command == "help"


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["apps", "--help"], ["serve", "-h"]])
def test_help_is_text_not_an_exit(words: list[str]) -> None:
    with pytest.raises(parser.HelpRequested) as caught:
        parser.parse_command(words, "shell")
    assert "usage: fal-jupyter" in str(caught.value)


def test_places_are_read_by_name() -> None:
    assert parser.parse_command(["logs", "Hello", "--lines", "3"], "notebook").app == "Hello"
    args = parser.parse_command(["config", "timing", "off"], "notebook")
    assert (args.setting, args.value) == ("timing", "off")
    assert parser.parse_command(["help", "runners"], "shell").command_name == "runners"
    with pytest.raises(BadSetting, match="TARGET"):
        parser.parse_command(["stop"], "notebook")


@pytest.mark.parametrize("front", ["shell", "notebook"])
def test_the_help_keeps_each_command_apart_from_its_description(front: grammar.Front) -> None:
    for verb in grammar.commands_of(front):
        assert f"\n  {verb.name} " in parser.help_text(front)
