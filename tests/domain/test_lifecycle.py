"""What a lifecycle says, and what it must be to say it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.access.file_lifecycle import DECISIONS, Lifecycle, lifecycle_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
LIKE = st.fixed_dictionaries(
    {},
    optional={
        "expiration_duration_seconds": JSON,
        "initial_acl": st.fixed_dictionaries(
            {},
            optional={
                "default": st.sampled_from(DECISIONS) | JSON,
                "rules": st.lists(st.fixed_dictionaries({}, optional={"user": JSON, "decision": JSON}), max_size=2)
                | JSON,
            },
        )
        | JSON,
    },
)


@given(JSON | LIKE)
def test_whatever_is_sent_is_a_lifecycle_or_a_sentence(value: object) -> None:
    try:
        lifecycle = lifecycle_of(value)
    except ValueError as error:
        assert any(word in str(error) for word in ("expiration_duration_seconds", "initial_acl"))  # noqa: PT017
    else:
        assert lifecycle.lifetime is None or 0 <= lifecycle.lifetime < float("inf")
        assert lifecycle.access in DECISIONS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{}", Lifecycle()),
        ('{"other": 1}', Lifecycle()),
        ('{"expiration_duration_seconds": null, "initial_acl": null}', Lifecycle()),
        ('{"expiration_duration_seconds": 60}', Lifecycle(60.0)),
        ('{"expiration_duration_seconds": 0}', Lifecycle(0.0)),
        ('{"initial_acl": {}}', Lifecycle()),
        ('{"initial_acl": {"default": "allow"}}', Lifecycle()),
        ('{"initial_acl": {"default": "forbid"}}', Lifecycle(None, "forbid")),
        (
            '{"initial_acl": {"default": "hide", "rules": [{"user": "a", "decision": "allow"}]}}',
            Lifecycle(None, "hide"),
        ),
        ('{"initial_acl": {"rules": [{"user": "a", "decision": "forbid"}]}}', Lifecycle()),
    ],
)
def test_lifecycles(text: str, found: Lifecycle) -> None:
    assert lifecycle_of(json.loads(text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        '{"expiration_duration_seconds": true}',
        '{"expiration_duration_seconds": -1}',
        '{"expiration_duration_seconds": "1h"}',
        '{"initial_acl": "forbid"}',
        '{"initial_acl": {"default": "secret"}}',
        '{"initial_acl": {"default": ["forbid"]}}',
        '{"initial_acl": {"rules": 7, "default": "forbid"}}',
        '{"initial_acl": {"rules": ["a"]}}',
        '{"initial_acl": {"rules": [{"user": 1, "decision": "allow"}]}}',
        '{"initial_acl": {"rules": [{"user": "a", "decision": "maybe"}]}}',
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expiration_duration_seconds|initial_acl"):
        lifecycle_of(json.loads(text))
