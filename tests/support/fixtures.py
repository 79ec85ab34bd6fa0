"""Fixtures that many tests have alike: a state directory, and the file of an app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.support.state import state_directory

Scope = Literal["session", "module", "function"]


def state_fixture(scope: Scope = "function") -> Any:
    """A fixture ``state``: a state directory of its own, whose processes must have ended afterwards."""

    @pytest.fixture(scope=scope, name="state")
    def own_state() -> Iterator[Path]:
        with state_directory() as path:
            yield path

    return own_state


def file_fixture(name: str, file: str, text: str, target: str = "", scope: Scope = "function") -> Any:
    """A fixture *name*: the path of a new *file* with this *text*, and behind it the *target* (``::Hello``)."""

    @pytest.fixture(scope=scope, name=name)
    def own_file(tmp_path_factory: pytest.TempPathFactory) -> str:
        path = tmp_path_factory.mktemp("app") / file
        path.write_text(text)
        return f"{path}{target}"

    return own_file
