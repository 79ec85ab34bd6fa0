"""Joins the modules of ``static/`` to the single ES module that anywidget requires; the JupyterLab extension uses the same files.

No build is needed, since the modules follow three rules (``static/types.d.ts``): they import only modules of the folder, by name;
their top-level names are unique; and they export declarations. ``tests/widgets`` checks this.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from os.path import normpath
from pathlib import Path

from fal_jupyter.domain.errors import FalJupyterError

STATIC = Path(__file__).parent / "static"
ENTRY = "widget.mjs"
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[\w./-]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|const|let|class)", re.MULTILINE)
_NAME = re.compile(r"^(?:export )?(?:async )?(?:function\*?|const|let|class) (\w+)", re.MULTILINE)
_TUPLE = re.compile(r"^(?:export )?(?:const|let) [\[{]", re.MULTILINE)


def bundle(folder: Path = STATIC, entry: str = ENTRY) -> str:
    """Return the text of one ES module with *entry*'s ``export default``.

    Raises:
        FalJupyterError: a module breaks a rule; the message says which.
    """
    return _bundle(folder, entry)


@functools.cache
def _bundle(folder: Path, entry: str) -> str:
    parts: list[str] = []
    homes: dict[str, str] = {}
    for name in _in_order(folder, entry, [], []):
        source = (folder / name).read_text()
        for declared in _NAME.findall(source):
            if homes.setdefault(declared, name) != name:
                raise FalJupyterError(f"{name} and {homes[declared]} both name {declared} at their top level")
        if _TUPLE.search(source):
            raise FalJupyterError(f"{name} takes a value apart at its top level, which the bundle does not follow")
        parts.append(f"// --- {name}\n" + _EXPORT.sub("", _IMPORT.sub("", source)))
    text = "\n".join(parts)
    if re.search(r"^import ", text, re.MULTILINE):
        raise FalJupyterError(
            "a module imports in a way that the bundle does not know: import { name } from './module.mjs'"
        )
    return text


def _in_order(folder: Path, name: str, above: list[str], done: list[str]) -> Iterator[str]:
    """The imports of *name*, then the module itself, in dependency order."""
    if name in above:
        raise FalJupyterError(f"modules import one another in a circle: {' → '.join([*above, name])}")
    if name in done:
        return
    source = (folder / name).read_text()
    for names, imported in _IMPORT.findall(source):
        if " as " in names:
            raise FalJupyterError(f"{name} renames what it imports from {imported}")
        yield from _in_order(folder, normpath(Path(name).parent / imported), [*above, name], done)
    done.append(name)
    yield name
