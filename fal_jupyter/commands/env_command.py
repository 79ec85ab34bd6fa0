"""``fal-jupyter env``: the variables by which fal's unchanged Python client comes here, for ``eval $(fal-jupyter env)``."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping

from fal_jupyter.domain.environments.runner_variables import client_hosts, past_proxies
from fal_jupyter.protocol.api import ClientEnv


def variables(found: ClientEnv, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the variables by name; where *environ* names a proxy, loopback addresses are excepted from it."""
    return {
        **client_hosts(found["tls"]["port"]),
        "FAL_KEY": found["key"],
        "SSL_CERT_FILE": found["tls"]["bundle"],
        **past_proxies(environ),
    }


def as_text(values: dict[str, str], shell: str) -> str:
    """Write variables as a shell (or who reads JSON) takes them."""
    if shell == "json":
        return json.dumps(values)
    if shell == "fish":
        return "\n".join(f"set -gx {name} {_fish(value)};" for name, value in values.items())
    # one line after the other, each ended: `eval $(…)` without quotation marks joins them by spaces
    return "\n".join(f"export {name}={shlex.quote(value)};" for name, value in values.items())


def _fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def shell_of(args: argparse.Namespace) -> str:
    """The shell that was asked for."""
    return "json" if args.json else args.shell or "sh"
