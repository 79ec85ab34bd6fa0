"""What the real package has and this one does not have yet: one sentence each, wherever the user meets it."""

from __future__ import annotations

from fal_jupyter.domain.errors import UserError

LATER = {
    "sync_dir": "fal.sync_dir",
    "apps": "the client helpers of fal.apps",
    "workflows": "fal.workflows",
    "wma": "fal.wma",
    "auth": "fal.auth",
    "config": "fal.config",
    "files": "fal.files",
}
"""Public names of the real package that are not here yet, and what they are called in a sentence."""

USED_ONLY = {"distributed": "fal.distributed"}
"""Parts that can be imported, and whose classes say that they are not here yet when one is made."""

ADVICE = (
    "everything else of `fal` that is not here needs the real package: pip install fal, then `%fal config fal real`"
)


class ComesLater(UserError, AttributeError):
    """A part of ``fal`` that a later version of ``fal_jupyter`` brings."""

    status = 501


def sentence_for(name: str) -> str:
    """Say that the public name *name* of the real package comes later."""
    return f"fal_jupyter does not have {(LATER | USED_ONLY).get(name, f'fal.{name}')} yet"
