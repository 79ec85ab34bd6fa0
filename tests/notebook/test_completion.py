from __future__ import annotations

import gc
from pathlib import Path

import pytest

from fal_jupyter import forks
from fal_jupyter.notebook.completion import Completion
from fal_jupyter.notebook.served_names import names_of_apps, names_of_runners

ASK = Completion(lambda: ["Hello", "hello", "Search"], lambda: ["hello-1"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("%%fal_app --ke", ["--keep-alive"]),
        ("%%fal_app --name x --m", ["--min", "--max", "--multiplex", "--machine"]),
        ("%%fal_app --auth ", ["private", "shared", "public"]),
        ("%%fal_app --auth pu", ["public"]),
        ("%%fal_app --cors http://a.example --cor", ["--cors"]),
        ("%%fal_app --name ", []),
        ("%fal keys re", ["revoke"]),
        (
            "%fal ",
            [
                "apps",
                "runners",
                "logs",
                "requests",
                "dashboard",
                "panel",
                "scale",
                "start",
                "stop",
                "kill",
                "config",
                "doctor",
                "keys",
                "secrets",
                "files",
                "envs",
                "help",
            ],
        ),
        ("fal ru", ["runners"]),
        ("%fal stop ", ["Hello", "hello", "Search", "hello-1", "--json"]),
        ("%fal stop he", ["hello", "hello-1"]),
        ("%fal stop Hello ", ["--json"]),
        ("%fal logs --runner ", []),
        ("%fal logs S", ["Search"]),
        ("%fal logs --lines 3 Hello --r", ["--runner", "--request"]),
        ("%fal config t", ["timing"]),
        ("%fal config timing o", ["on", "off"]),
        ("%fal config nothing ", ["--json"]),
        ("%fal help do", ["doctor"]),
        ("%fal nonsense ", []),
    ],
)
def test_the_words_that_fit_are_offered(line: str, words: list[str]) -> None:
    assert ASK.suggest(line) == words


def test_an_option_that_is_already_used_is_not_offered_again() -> None:
    found = ASK.suggest("%%fal_app --quiet --")
    assert found is not None
    assert "--quiet" not in found
    assert "--dry-run" in found


@pytest.mark.parametrize("line", ["", "   ", "%time x", "falx ", "%%time", "x = fal.", "%%fal ", "%fal_app "])
def test_lines_of_other_magics_are_left_alone(line: str) -> None:
    assert ASK.suggest(line) is None


def test_completing_the_names_of_apps_leaves_no_client_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_JUPYTER_STATE", str(tmp_path))
    ask = Completion(names_of_apps, names_of_runners)
    ask.suggest("%fal stop ")
    gc.collect()
    gc.disable()  # freed by their last reference, not by chance
    try:
        before = len(forks._objects), len(forks._sockets), len(gc.get_objects())
        for _ in range(1000):
            assert ask.suggest("%fal stop ") == ["--json"]
        after = len(forks._objects), len(forks._sockets), len(gc.get_objects())
    finally:
        gc.enable()
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 100
