"""The site of ``make docs``: Sphinx with MyST. Pages that repeat files of the repository are made from them at each build.

``<!-- README: Title -->`` in a page stands for that section of README.md, whose blocks tests run (tests/docs/test_readme.py);
``<!-- FILE: NAME.md -->`` for a whole file of the repository; ``<!-- COMMANDS -->`` for the help of every command.
"""

from __future__ import annotations

import re
import shutil
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
TOP = DOCS.parent

project = "fal_jupyter"
author = "the authors of fal_jupyter"
project_copyright = "the authors of fal_jupyter, BSD-3-Clause"
version = release = version_of("fal_jupyter")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"fal_jupyter {version}"
html_extra_path: list[str] = []

nb_execution_mode = "off"  # tests run the notebooks; the site shows the outputs that they were committed with
nb_mime_priority_overrides = [("html", "application/vnd.fal-jupyter.card+json", None)]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type", "myst.header", "misc.highlighting_failure"]

autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
python_maximum_signature_line_length = 100

copybutton_exclude = ".linenos, .gp"

# A file of the repository -> its page; what is not here is shown as text.
PAGE_OF = {
    "ARCHITECTURE.md": "/explanation/architecture.md",
    "CHANGELOG.md": "/project/changelog.md",
    "CONTRIBUTING.md": "/project/contributing.md",
    "SECURITY.md": "/project/security.md",
    "README.md": "/index.md",
    "docs/explanation/decisions/index.md": "/explanation/decisions/index.md",
    "bench/RESULTS.md": "/explanation/figures.md",
    "notebooks/quickstart.ipynb": "/tutorial/quickstart.ipynb",
    "notebooks/tour.ipynb": "/tutorial/tour.ipynb",
}


def section(title: str) -> str:
    """The text of a section of README.md, without its heading."""
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
    if found is None:
        raise ValueError(f"README.md has no section {title!r}")
    return found[1]


def relinked(text: str) -> str:
    """Links that are relative to the repository, as links between pages."""

    def link(match: re.Match[str]) -> str:
        mark, label, target, anchor = match.groups()
        if re.match(r"https?:|mailto:|#", target) or (not target and anchor):
            return match[0]
        if mark:
            return f"![{label}](/_pictures/{Path(target).name})"
        if target in PAGE_OF:
            return f"[{label}]({PAGE_OF[target]}{anchor or ''})"
        if target.startswith("docs/"):
            return f"[{label}](/{target.removeprefix('docs/')}{anchor or ''})"
        return label

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)", link, text)


def commands() -> str:
    """The help of each command, as the parser writes it."""
    from fal_jupyter.commands import parser
    from fal_jupyter.commands.grammar import COMMANDS, Front

    parts = [f"## `%%fal_app`\n\n```text\n{parser.app_parser().format_help().rstrip()}\n```\n"]
    for command in COMMANDS:
        fronts = [name for name, front in (("%fal", "notebook"), ("fal-jupyter", "shell")) if front in command.fronts]
        front: Front = "shell" if "shell" in command.fronts else "notebook"
        title = " · ".join(f"`{name} {command.name}`" for name in fronts)
        parts.append(f"## {title}\n\n```text\n{parser.help_text(front, command.name).rstrip()}\n```\n")
    return "\n".join(parts)


def fill(app: Any, docname: str, source: list[str]) -> None:
    """Replace the marks of a page by what they stand for."""
    text = source[0]
    text = re.sub(r"<!-- README: (.*?) -->", lambda match: relinked(section(match[1])), text)
    text = re.sub(r"<!-- FILE: (.*?) -->", lambda match: relinked((TOP / match[1]).read_text(encoding="utf-8")), text)
    source[0] = text.replace("<!-- COMMANDS -->", commands()) if "<!-- COMMANDS -->" in text else text


def prepare(app: Any) -> None:
    """Copy notebooks and pictures below docs/, where Sphinx looks for them."""
    for name in ("quickstart", "tour"):
        shutil.copyfile(TOP / "notebooks" / f"{name}.ipynb", DOCS / "tutorial" / f"{name}.ipynb")
    pictures = DOCS / "_pictures"
    pictures.mkdir(exist_ok=True)
    for picture in (TOP / "notebooks").glob("*.png"):
        shutil.copyfile(picture, pictures / picture.name)


def setup(app: Any) -> dict[str, Any]:
    """Sphinx's hook."""
    sys.path.insert(0, str(TOP))
    app.connect("builder-inited", prepare)
    app.connect("source-read", fill)
    return {"parallel_read_safe": True}
