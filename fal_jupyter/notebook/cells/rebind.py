"""A class that was refused is answered by what still serves: the living app of its name, which this process defined before.

The cell has made a new class object by then, and its name means that one; the app itself goes on as it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fal_jupyter import fal
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.fal.adopt import adopted
from fal_jupyter.fal.classes.alias import alias_of
from fal_jupyter.notebook.session import NotebookSession

if TYPE_CHECKING:
    from fal_jupyter.protocol.api import AppRecord


def keep_reachable(now: NotebookSession, classes: Iterable[type], overrides: Mapping[str, object]) -> list[str]:
    """Bind each of *classes* that nobody answers for to the living app of its name; give a sentence for each that serves."""
    if not now.handles:
        return []
    try:
        records = {record["alias"]: record for record in now.client.apps() if record["owner_pid"] == os.getpid()}
    except FalJupyterError:  # no gateway that could serve anything: the first error tells more
        return []
    return [told for cls in classes if (told := _keep(now, cls, overrides, records))]


def _keep(now: NotebookSession, cls: type, overrides: Mapping[str, object], records: Mapping[str, AppRecord]) -> str:
    try:
        cls = adopted(cls)
        alias = alias_of(cls, overrides)
    except FalJupyterError:  # it has no name that anything could run under
        return ""
    record, handle = records.get(alias), now.handles.get(alias)
    if record is None or handle is None or record["class_name"] != cls.__name__:
        return ""
    if fal.handle_of(cls) is None:
        fal.bind(cls, handle)
    if not record["serving"]:
        return ""
    handle.outdated = True
    return f"revision {record['serving']} of {cls.__name__} still serves, and answers calls"
