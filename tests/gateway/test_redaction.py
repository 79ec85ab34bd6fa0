from __future__ import annotations

import pytest

from fal_jupyter.credentials import make_key
from fal_jupyter.gateway.storage.redaction import redactor


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "OPENAI_API_KEY", "FAL_KEY", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "my_credentials", "PGPASSWD", "SENTRY_DSN"],
)  # fmt: skip
def test_values_of_variables_named_like_secrets_are_taken_out(name: str) -> None:
    redact = redactor({name: "s3cr3t.value", "PATH": "/usr/bin:/bin"})
    assert (
        redact("a s3cr3t.value b s3cr3t.value /usr/bin:/bin")
        == f"a [redacted {name}] b [redacted {name}] /usr/bin:/bin"
    )
    assert redact("s3cr3tXvalue") == "s3cr3tXvalue"  # a value is no pattern


@pytest.mark.parametrize("name", ["PATH", "HOME", "KEYBOARD", "MONKEY", "TERM", "LANG"])
def test_other_variables_are_left_alone(name: str) -> None:
    assert redactor({name: "some value"})("some value") == "some value"


def test_the_longest_value_is_taken_out_first_and_short_ones_never() -> None:
    redact = redactor({"A_TOKEN": "abcdef", "B_TOKEN": "abcdefghi", "C_TOKEN": "on", "D_TOKEN": ""})
    assert redact("abcdefghi abcdef on") == "[redacted B_TOKEN] [redacted A_TOKEN] on"


def test_our_keys_keep_their_public_half() -> None:
    key = make_key()
    assert redactor({})(f"Authorization: Key {key}") == f"Authorization: Key {key.split(':')[0]}:[redacted]"
