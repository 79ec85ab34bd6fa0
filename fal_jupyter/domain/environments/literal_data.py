"""Decides whether an app's runners need the persistent folder at ``/data``, its path on fal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, get_args

MountData = Literal["auto", "on", "off"]
MOUNT_DATA: Final[tuple[MountData, ...]] = get_args(MountData)
PLACE_VARIABLE: Final = "FAL_JUPYTER_DATA_MOUNTED_FROM"  # passes the folder to a template; not a setting
_NAMED = re.compile(r"""["']/data(?:/|["'])""")


def needs_mount(setting: MountData, sources: Iterable[str]) -> bool:
    """True if ``/data`` is to be mounted: ``auto`` looks for the path as a literal in the app's sources."""
    return setting == "on" or (setting == "auto" and any(map(_NAMED.search, sources)))
