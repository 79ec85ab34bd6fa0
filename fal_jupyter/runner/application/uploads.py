"""Redirects uploads of ``fal_client`` in a runner to the local CDN, if its calls go to the gateway.

No variable sets their URLs, so the module's two names are set when it is imported.
"""

from __future__ import annotations

import os
from types import ModuleType

from fal_jupyter.domain.environments.runner_variables import LOCAL_KEY
from fal_jupyter.runner.process.after_import import after_import
from fal_jupyter.settings import CDN_VARIABLE


def redirect() -> None:
    """Set the names as soon as ``fal_client`` is imported."""
    after_import("fal_client.client", _set_addresses)


def _set_addresses(module: ModuleType) -> None:
    cdn = os.environ.get(CDN_VARIABLE, "")
    if cdn and os.environ.get("FAL_KEY", "").startswith(LOCAL_KEY):
        vars(module).update(CDN_URL=cdn, REST_URL=f"{cdn.removesuffix('/cdn')}/rest")
