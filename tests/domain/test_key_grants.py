"""What a key may do: presets, permissions, fal's older scopes, and what is said of a name that is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from fal_jupyter.domain.access.key_grants import PRESETS, Grant, Right, grant_of, limits_of, refusal
from fal_jupyter.domain.errors import BadSetting


@pytest.mark.parametrize(
    ("asked", "text", "rights"),
    [
        ({}, "API", {"run", "read", "upload"}),
        ({"preset": "full"}, "FULL", {"run", "read", "upload", "owner"}),
        ({"preset": "DEPLOY"}, "DEPLOY", {"upload"}),
        ({"preset": "READONLY"}, "READONLY", {"read"}),
        ({"preset": "BILLING"}, "BILLING", set()),
        ({"preset": "COMPUTE"}, "COMPUTE", set()),
        ({"preset": "SERVERLESS"}, "SERVERLESS", {"run", "read", "upload"}),
        ({"preset": "AGENT"}, "AGENT", {"run", "read", "upload"}),
        ({"scope": "ADMIN"}, "FULL", {"run", "read", "upload", "owner"}),
        ({"scope": "api"}, "API", {"run", "read", "upload"}),
        ({"permissions": ["serverless:apps:run"]}, "serverless:apps:run", {"run", "read"}),
        (
            {"permissions": ["models:requests:read, storage:files:upload", "models:requests:read"]},
            "models:requests:read, storage:files:upload",
            {"read", "upload"},
        ),
    ],
)
def test_a_grant_has_the_rights_of_its_names(asked: dict[str, Any], text: str, rights: set[Right]) -> None:
    grant = grant_of(**asked)
    assert (str(grant), grant.rights) == (text, rights)


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"preset": "READ_ONLY"}, "no preset 'READ_ONLY'", "did you mean READONLY?"),
        ({"preset": "qqq"}, "no preset 'QQQ'", "there are: FULL, API"),
        ({"scope": "ADMN"}, "no scope 'ADMN'", "did you mean ADMIN?"),
        (
            {"permissions": ["serverless:app:run"]},
            "no permission 'serverless:app:run'",
            "did you mean serverless:apps:run?",
        ),
        ({"permissions": [" , "]}, "needs the name of a permission", "serverless:apps:run"),
        ({"preset": "API", "scope": "API"}, "use one of", ""),
    ],
)
def test_what_is_no_grant_is_named(asked: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(BadSetting, match=message) as caught:
        grant_of(**asked)
    assert hint in caught.value.hint


def test_a_grant_describes_its_rights_and_a_refusal_names_one_that_suffices() -> None:
    assert limits_of(Grant("API")) == "it may call apps, read results and private files, upload files"
    assert limits_of(Grant("BILLING")) == "BILLING gives no access on this machine: it has no billing and no compute"
    assert refusal(Grant("READONLY"), "run") == (
        "this key (READONLY) may not call apps; make one with: fal-jupyter keys create --preset API"
    )
    assert refusal(Grant("READONLY"), "owner").endswith("--preset FULL")
    assert [(preset, Grant(preset).scope) for preset in PRESETS if Grant(preset).scope] == [
        ("FULL", "ADMIN"),
        ("API", "API"),
    ]
    assert Grant("from a newer version").rights == Grant("", ("so is this",)).rights == frozenset()
