"""After a failed cell, calls go to the revision that is still serving.

The cell has created a new class object by then; it is bound to the running app of the same name, which is unchanged.
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


def rebind_classes(session: NotebookSession, classes: Iterable[type], overrides: Mapping[str, object]) -> list[str]:
    """Bind each class without a handle to the running app of its name; return a sentence for each app that is serving."""
    if not session.handles:
        return []
    try:
        records = {
            record["alias"]: record for record in session.client.control.apps() if record["owner_pid"] == os.getpid()
        }
    except FalJupyterError:  # without a gateway nothing is serving; the original error is more useful
        return []
    return [sentence for cls in classes if (sentence := _rebind(session, cls, overrides, records))]


def _rebind(
    session: NotebookSession, cls: type, overrides: Mapping[str, object], records: Mapping[str, AppRecord]
) -> str:
    try:
        cls = adopted(cls)
        alias = alias_of(cls, overrides)
    except FalJupyterError:  # it has no valid alias
        return ""
    record, handle = records.get(alias), session.handles.get(alias)
    if record is None or handle is None or record["class_name"] != cls.__name__:
        return ""
    if fal.handle_of(cls) is None:
        fal.bind(cls, handle)
    if not record["serving"]:
        return ""
    handle.call_reports.outdated = True
    return f"revision {record['serving']} of {cls.__name__} still serves, and answers calls"
