"""``fal-jupyter env``: environment variables that connect fal's Python client to the gateway (``eval $(fal-jupyter env)``)."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping

from fal_jupyter.domain.environments.runner_variables import client_hosts, past_proxies
from fal_jupyter.protocol.api import ClientEnv


def variables(client_env: ClientEnv, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by name; if *environ* names a proxy, loopback addresses bypass it."""
    return {
        **client_hosts(client_env["tls"]["port"]),
        "FAL_KEY": client_env["key"],
        "SSL_CERT_FILE": client_env["tls"]["bundle"],
        **past_proxies(environ),
    }


def as_text(values: dict[str, str], shell: str) -> str:
    """Format variables for a shell, or as JSON."""
    if shell == "json":
        return json.dumps(values)
    if shell == "fish":
        return "\n".join(f"set -gx {name} {_fish(value)};" for name, value in values.items())
    # each line ends with a semicolon: unquoted `eval $(…)` joins lines by spaces
    return "\n".join(f"export {name}={shlex.quote(value)};" for name, value in values.items())


def _fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def shell_of(args: argparse.Namespace) -> str:
    """Return the requested output format."""
    return "json" if args.json else args.shell or "sh"
