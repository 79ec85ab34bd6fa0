"""Examines an app that is given as text: writes it into a temporary folder."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fal_jupyter.fal import import_hook
from fal_jupyter.portability import Finding, Surroundings, examine
from fal_jupyter.portability.files import opened


class AppFolder:
    """A folder of an app's files; ``examine`` writes the app and returns its findings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str = "") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def examine(
        self, text: str, *, secrets: frozenset[str] = frozenset(), environ: Mapping[str, str] | None = None
    ) -> list[Finding]:
        head, _, rest = textwrap.dedent(text).rpartition("import annotations\n")
        self.write("app.py", f"{head}import annotations\nimport fal\n{rest}" if head else f"import fal\n{rest}")
        path = self.folder / "app.py"
        with opened(path, "") as (apps, namespace):
            here = Surroundings(
                folder=self.folder, namespace=namespace, file=path, secrets=secrets, environ=environ or {}
            )
            return [finding for cls in apps for finding in examine(cls, here)]

    def codes(self, text: str, **surroundings: object) -> set[str]:
        return {finding.code for finding in self.examine(text, **surroundings)}  # type: ignore[arg-type]


@pytest.fixture
def app_folder(tmp_path: Path) -> Iterator[AppFolder]:
    before, was_there = set(sys.modules), import_hook.is_installed()
    yield AppFolder(tmp_path)
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    if not was_there:
        import_hook.uninstall()


def app(body: str = 'return {"ok": True}', *, head: str = "", options: str = "", params: str = "") -> str:
    """A complete, quiet app: every option that a rule asks for is set, unless *options* sets it otherwise."""
    declared = textwrap.dedent(options)
    quiet = {"machine_type": '"S"', "keep_alive": "60", "app_auth": '"private"'}
    lines = [f"    {name} = {value}" for name, value in quiet.items() if f"{name} =" not in declared]
    lines += [f"    {line}" for line in declared.splitlines() if line.strip()]
    method = textwrap.indent(textwrap.dedent(body).strip(), "        ")
    return (
        f"{textwrap.dedent(head)}\n\nclass Hello(fal.App):\n"
        + "\n".join(lines)
        + f'\n    @fal.endpoint("/")\n    def hi(self{params}):\n{method}\n'
    )
