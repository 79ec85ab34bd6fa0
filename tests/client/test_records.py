"""Responses of the control plane, decoded into their records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fal_jupyter.client.connection.control_connection import ErrorResponse, decoded, record_or_error
from fal_jupyter.client.json_object import JsonObject
from fal_jupyter.domain.errors import GatewayError
from fal_jupyter.protocol.api import Hello, ScalingRecord
from fal_jupyter.secret_store import SecretStore, SecretStoreDamaged
from fal_jupyter.server.activity import is_busy
from fal_jupyter.server.feed import head_of

SCALING: ScalingRecord = {
    "app": "me/hello", "scaling": {"keep_alive": 300, "scaling_delay": 0.5}, "by_class": {}, "overrides": {}, "seen": "", "decisions": [],
}  # fmt: skip
KEY = {"id": "a", "sha256": "00" * 32, "name": "a friend", "created": 1.5}


def test_a_whole_number_stays_whole() -> None:
    record = record_or_error(200, json.dumps(SCALING).encode(), ScalingRecord)

    assert json.dumps(record) == json.dumps(SCALING)


@pytest.mark.parametrize("body", [b"[]", b'{"pid": "text"}', b"null", b"3"])
def test_a_response_of_another_form_is_an_honest_sentence(body: bytes) -> None:
    with pytest.raises(GatewayError, match="not what this version of fal_jupyter expects"):
        record_or_error(200, body, Hello)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{"])
def test_what_is_not_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|truncated"):
        decoded(body, Hello)


def test_an_error_response_is_a_value_with_its_status_but_a_failure_of_the_gateway_is_raised() -> None:
    body = b'{"detail": "no app x is running", "error_type": "not_served", "more": [1]}'
    failed = b'{"detail": "the gateway failed", "error_type": "internal_error", "hint": "see its log"}'

    assert record_or_error(404, body, Hello) == ErrorResponse("no app x is running", "", "not_served", None, 404)
    with pytest.raises(GatewayError, match="the gateway failed"):
        record_or_error(500, failed, Hello)


def test_an_object_of_unknown_form_reads_as_empty_where_it_is_another_kind() -> None:
    document = JsonObject({"paths": {"/": {"post": []}}, "tags": [{"name": "a"}, 3], "title": 3})

    assert document.at("paths", "/", "post").fields == document.at("nothing", "x").fields == {}
    assert [tag.text("name") for tag in document.objects("tags")] == ["a"]
    assert (document.text("title"), document.items("paths"), document.items("tags")[1]) == ("", (), 3)


@pytest.mark.parametrize(
    ("more", "preset"),
    [({"scope": "ADMIN"}, "FULL"), ({"preset": "API"}, "API"), ({"preset": "", "permissions": []}, "")],
)
def test_keys_of_older_versions_are_read(tmp_path: Path, more: dict[str, object], preset: str) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"a": {**KEY, **more}}))

    assert [key.grant.preset for key in SecretStore(tmp_path).persistent_keys()] == [preset]


@pytest.mark.parametrize("fields", [{}, 3, {**KEY, "scope": "OTHER"}, {**KEY, "preset": "API", "sha256": "xx"}])
def test_a_damaged_key_is_reported(tmp_path: Path, fields: object) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"a": fields}))

    with pytest.raises(SecretStoreDamaged):
        SecretStore(tmp_path).persistent_keys()


def test_only_what_is_needed_of_a_feed_line_is_read() -> None:
    app = {"waiting": 0, "in_flight": 0, "alias": "x"}

    assert not is_busy(json.dumps({"kind": "snapshot", "apps": [app], "requests": [{"id": 1}]}).encode())
    assert is_busy(json.dumps({"kind": "frame", "apps": [app], "requests": [{"id": 1}]}).encode())
    assert is_busy(json.dumps({"kind": "snapshot", "apps": [{**app, "in_flight": 1}]}).encode())
    assert head_of(b'{"time": 1, "seq": 7, "kind": "frame"}') == ("frame", 7)
