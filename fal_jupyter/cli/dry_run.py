"""``serve --dry-run``: describes what serving a file would start."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from fal_jupyter import fal
from fal_jupyter.client.runtime_environment import compared, needs_its_own
from fal_jupyter.client.serving import LoadedFile, missing_secrets
from fal_jupyter.commands.numbers import plural
from fal_jupyter.fal.classes.routes import endpoints_of
from fal_jupyter.fal.unsupported import USED_ONLY, sentence_for
from fal_jupyter.secret_store import SecretStore


def dry_run(loaded: LoadedFile, overrides: Mapping[str, object], *, env: str, secret_store: SecretStore) -> list[str]:
    """Return lines that describe what serving the app would start. Nothing is started or installed.

    Raises:
        AppRuleBroken: the class or an option is invalid. BadSetting: *env* is unknown.
    """
    spec = fal.describe(loaded.cls, overrides)
    isolated = needs_its_own(loaded.cls, spec, mode=env, base=loaded.path.parent, by_value=False)
    unmet = [line for lines in compared(loaded.cls, spec, loaded.path.parent) for line in lines]
    lines = [f"{spec.alias}: {plural(len(endpoints_of(loaded.cls)), 'endpoint')}"]
    if isolated:
        remark = f" ({plural(len(unmet), 'requirement')} not met here)" if unmet else ""
        lines.append(f"its runners would get an isolated environment{remark}")
    unsupported_lines = [
        f"the app imports fal.{part}: {sentence_for(part)}, so using it would fail" for part in _imported()
    ]
    return [*missing_secrets(spec, secret_store), *unsupported_lines, *lines]


def _imported() -> list[str]:
    """Return the modules of fal that the file has imported and that are not supported."""
    return [part for part in USED_ONLY if f"fal.{part}" in sys.modules]
