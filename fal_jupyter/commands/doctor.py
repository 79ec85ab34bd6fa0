"""``doctor``: lists processes and versions, and reports problems with the command that fixes them."""

from __future__ import annotations

import importlib.metadata
import platform
import stat
from collections.abc import Mapping
from typing import TypedDict

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


class GatewayReport(TypedDict):
    """The gateway that runs."""

    pid: int
    socket: str
    port: int
    version: str
    protocol: int


class DoctorReport(TypedDict):
    """What ``doctor --json`` prints. ``gateway`` is None if none runs."""

    gateway: GatewayReport | None
    processes: list[ProcessRecord]
    state: str
    owner: str
    max_body: int
    versions: dict[str, str]
    problems: list[str]


def examine(
    settings: Settings, gateway: Hello | None, processes: list[ProcessRecord], *, trouble: str = ""
) -> DoctorReport:
    """Collect the report. *trouble* is the reason why the gateway could not be queried, if any."""
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


def _gateway(hello: Hello | None) -> GatewayReport | None:
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
    problems = []
    try:
        status = settings.state.stat()
    except OSError:
        pass  # created by the first app
    else:
        if stat.S_IMODE(status.st_mode) & 0o022:
            problems.append(f"others may write to {settings.state}; type: chmod 700 {settings.state}")
    own_version = versions.get("fal_jupyter", "")
    if gateway is not None and own_version and gateway["version"] != own_version:
        problems.append(
            f"the gateway runs version {gateway['version']}, this is {own_version}; type: kill {gateway['pid']} (apps restart)"
        )
    if "uvloop" not in versions:
        problems.append(
            "uvloop is not installed, so the gateway handles fewer requests per second; type: pip install uvloop"
        )
    return problems


def as_text(report: DoctorReport) -> str:
    """Format the report as text."""
    gateway = report["gateway"]
    lines = [f"state     {report['state']}", f"owner     {report['owner']}"]
    if gateway is None:
        lines.append("gateway   not running; the first app starts it")
    else:
        port = f"http://127.0.0.1:{gateway['port']}" if gateway["port"] else "no port open"
        lines.append(f"gateway   pid {gateway['pid']}, version {gateway['version']}, {port}, {gateway['socket']}")
    lines.append("versions  " + ", ".join(f"{name} {version}" for name, version in report["versions"].items()))
    if report["processes"]:
        rows = [[process["pid"], process["role"], process["app"] or "–"] for process in report["processes"]]
        lines += ["", table(["pid", "role", "app"], rows, right=["pid"])]
    lines += (
        ["", *(f"problem: {problem}" for problem in report["problems"])]
        if report["problems"]
        else ["", "No problem found."]
    )
    return "\n".join(lines)
