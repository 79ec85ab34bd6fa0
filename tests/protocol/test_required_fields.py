"""The required fields of all records that one of our processes reads from another, as they are at the current ``PROTOCOL``.

A process of the former version neither sends a new field nor does without one that was removed. ``python -m tests.protocol.test_required_fields``
writes the file anew, for a change that :data:`~fal_jupyter.protocol.api.PROTOCOL` counts and for records that are new or gone.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Final, is_typeddict

import msgspec
from msgspec.inspect import StructType, TypedDictType, type_info

from fal_jupyter.protocol.api import PROTOCOL

STORED: Final = Path(__file__).with_name("required_fields.json")
MODULES: Final = (
    "protocol.api",
    "protocol.feed",
    "client.calls.submitted",
    "client.connection.answer",
    "client.connection.control_connection",
    "gateway.api.admin",
    "gateway.api.load_tests",
    "gateway.engine.runner_executor",
    "gateway.http.response_head",
    "gateway.requests.framed_reply",
    "gateway.runners.template_messages",
    "runner.lifecycle",
    "runner.requests.request_stream",
    "runner.template",
    "server.feed_lines",
)
"""Modules with records that come from another process, without the package's name."""


def required_fields() -> dict[str, list[str]]:
    """The required fields of each record, by the record's name."""
    found: dict[str, list[str]] = {}
    for name in MODULES:
        module = importlib.import_module(f"fal_jupyter.{name}")
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if not own or not (is_typeddict(kind) or issubclass(kind, msgspec.Struct)):
                continue
            described = type_info(kind)
            assert isinstance(described, StructType | TypedDictType)
            fields = sorted(field.encode_name for field in described.fields if field.required)
            found[f"{name}.{kind.__qualname__}"] = fields
    return dict(sorted(found.items()))


def changes(before: dict[str, list[str]], now: dict[str, list[str]]) -> list[str]:
    """The records that both have, but with other fields: ``record: +new -removed``."""
    found = []
    for name in sorted(before.keys() & now.keys()):
        new, removed = sorted({*now[name]} - {*before[name]}), sorted({*before[name]} - {*now[name]})
        if new or removed:
            found.append(" ".join([f"{name}:", *(f"+{field}" for field in new), *(f"-{field}" for field in removed)]))
    return found


def test_required_fields_are_those_of_the_protocol_number() -> None:
    stored, now = json.loads(STORED.read_text()), required_fields()
    write = "then write the file anew: python -m tests.protocol.test_required_fields"
    if stored["protocol"] == PROTOCOL:
        changed = changes(stored["fields"], now)
        assert not changed, (
            f"make new fields NotRequired (or give them a default), or raise PROTOCOL, {write}: {changed}"
        )
    assert stored == {"protocol": PROTOCOL, "fields": now}, write


def test_a_field_more_or_less_is_a_change_and_a_record_more_or_less_is_none() -> None:
    before = {"kept": ["a"], "other": ["a", "b"], "former": ["a"]}
    assert changes(before, {"kept": ["a"], "other": ["b", "c"], "next": ["a"]}) == ["other: +c -a"]


if __name__ == "__main__":
    STORED.write_text(json.dumps({"protocol": PROTOCOL, "fields": required_fields()}, indent=1) + "\n")
