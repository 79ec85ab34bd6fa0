"""The runner's half of ``local_python_modules``: an importer of the sources that came with the app."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, ModuleType

from fal_jupyter.protocol.api import ModuleSource


def provide_modules(modules: Mapping[str, ModuleSource]) -> None:
    """Let imports of *modules* find them; tracebacks name the files that they came from, and show the shipped lines."""
    if not modules:
        return
    for source in modules.values():
        if source["path"]:
            text = source["text"]
            linecache.cache[source["path"]] = (len(text), None, text.splitlines(keepends=True), source["path"])
    sys.meta_path.insert(0, _Finder(modules))


class _Finder(importlib.abc.MetaPathFinder):
    """Knows the shipped modules by name."""

    def __init__(self, modules: Mapping[str, ModuleSource]) -> None:
        self._modules = modules

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        source = self._modules.get(fullname)
        if source is None:
            return None
        if not source["path"]:
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = list(source["folders"] or ())
            return spec
        return importlib.util.spec_from_file_location(
            fullname,
            source["path"],
            loader=_Loader(fullname, source["path"], source["text"]),
            submodule_search_locations=source["folders"],
        )


class _Loader(importlib.machinery.SourceFileLoader):
    """A module of shipped source; nothing is read from its file, and no bytecode is kept."""

    def __init__(self, fullname: str, path: str, text: str) -> None:
        super().__init__(fullname, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._text, self.path, "exec", dont_inherit=True)
        return code

    def get_source(self, fullname: str) -> str:
        return self._text
