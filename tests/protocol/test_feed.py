"""The feed's records are one list: what Python sends is what the front end declares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_type_hints, is_typeddict

import pytest

from fal_jupyter.protocol import api, feed
from fal_jupyter.protocol.feed import source_hash

DECLARATIONS = Path(feed.__file__).parent.parent / "widgets" / "static" / "types.d.ts"
INTERFACE = re.compile(r"export interface (\w+) \{(.*?)\}", re.DOTALL)
FIELD = re.compile(r"(\w+)\??:")
RECORDS = {
    name: record
    for module in (feed, api)
    for name, record in vars(module).items()
    if is_typeddict(record)
    and (record.__module__ == feed.__name__ or name in ("EndpointState", "ErrorDescription", "ErrorFrame", "LogRecord"))
}


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_the_front_end_declares_the_same_fields(name: str) -> None:
    declared = dict(INTERFACE.findall(DECLARATIONS.read_text()))
    assert name in declared
    assert FIELD.findall(declared[name]) == list(get_type_hints(RECORDS[name]))


@pytest.mark.parametrize(
    ("text", "hash_"), [("", "811c9dc5"), ("a", "e40c292c"), (" foobar\n", "bf9cf968"), ("ä", "4f2e7d4d")]
)
def test_the_hash_of_a_cell_is_fnv_1a_of_its_text_without_outer_space(text: str, hash_: str) -> None:
    value = 0x811C9DC5
    for byte in text.strip().encode():
        value = (value ^ byte) * 16777619 % (1 << 32)
    assert source_hash(text) == f"{value:08x}"
    if text != "ä":  # the published test vectors of FNV-1a
        assert source_hash(text) == hash_
