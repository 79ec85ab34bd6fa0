"""``doctor``: what runs where, which versions, and what is wrong, with what to type."""

from __future__ import annotations

import importlib.metadata
import platform
import stat
from collections.abc import Mapping
from typing import Any

from fal_jupyter.commands.tables import table
from fal_jupyter.protocol.api import Hello, ProcessRecord
from fal_jupyter.settings import Settings

PACKAGES = (
    "fal_jupyter",
    "ipykernel",
    "ipython",
    "tornado",
    "uvloop",
    "fastapi",
    "pydantic",
    "cloudpickle",
    "torch",
    "fal",
)


def examine(
    settings: Settings, gateway: Hello | None, processes: list[ProcessRecord], *, trouble: str = ""
) -> dict[str, Any]:
    """Gather all that the doctor knows. *trouble* is why the gateway could not be asked, if it could not."""
    versions = {"python": platform.python_version(), **{name: v for name in PACKAGES if (v := _version(name))}}
    return {
        "gateway": _gateway(gateway),
        "processes": processes,
        "state": str(settings.state),
        "owner": settings.owner,
        "max_body": settings.max_body,
        "versions": versions,
        "problems": [*([trouble] if trouble else []), *_problems(settings, gateway, versions)],
    }


def _gateway(hello: Hello | None) -> dict[str, Any] | None:
    if hello is None:
        return None
    return {
        "pid": hello["pid"],
        "socket": hello["socket"],
        "port": hello["port"],
        "version": hello["version"],
        "protocol": hello["protocol"],
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _problems(settings: Settings, gateway: Hello | None, versions: Mapping[str, str]) -> list[str]:
    found = []
    try:
        status = settings.state.stat()
    except OSError:
        pass  # there is none yet: the first app makes it
    else:
        if stat.S_IMODE(status.st_mode) & 0o022:
            found.append(f"others may write to {settings.state}; type: chmod 700 {settings.state}")
    ours = versions.get("fal_jupyter", "")
    if gateway is not None and ours and gateway["version"] != ours:
        found.append(
            f"the gateway runs version {gateway['version']}, this is {ours}; type: kill {gateway['pid']} (apps restart)"
        )
    if "uvloop" not in versions:
        found.append(
            "uvloop is not installed, so the gateway answers fewer requests a second; type: pip install uvloop"
        )
    return found


def as_text(found: Mapping[str, Any]) -> str:
    """Write it for a person."""
    gateway = found["gateway"]
    lines = [f"state     {found['state']}", f"owner     {found['owner']}"]
    if gateway is None:
        lines.append("gateway   none runs; the first app starts one")
    else:
        port = f"http://127.0.0.1:{gateway['port']}" if gateway["port"] else "no port open"
        lines.append(f"gateway   pid {gateway['pid']}, version {gateway['version']}, {port}, {gateway['socket']}")
    lines.append("versions  " + ", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    if found["processes"]:
        rows = [[process["pid"], process["role"], process["app"] or "–"] for process in found["processes"]]
        lines += ["", table(["pid", "role", "app"], rows, right=["pid"])]
    lines += (
        ["", *(f"problem: {problem}" for problem in found["problems"])]
        if found["problems"]
        else ["", "No problem found."]
    )
    return "\n".join(lines)
