"""Names of what is served now, for completion; no gateway is started for them."""

from __future__ import annotations

from fal_jupyter.domain.errors import FalJupyterError


def names_of_apps() -> list[str]:
    """Return class names and aliases of the running apps for completion, or nothing if the gateway cannot be asked."""
    from fal_jupyter.commands.command_backend import GatewayBackend  # start-up

    try:
        apps = GatewayBackend().apps()
    except FalJupyterError:
        return []
    return list(dict.fromkeys([*(app["class_name"] for app in apps), *(app["alias"] for app in apps)]))


def names_of_runners() -> list[str]:
    """Return the ids of the live runners for completion, or nothing if the gateway cannot be asked."""
    from fal_jupyter.commands.command_backend import GatewayBackend  # start-up

    try:
        return [runner["runner_id"] for runner in GatewayBackend().runners()]
    except FalJupyterError:
        return []
