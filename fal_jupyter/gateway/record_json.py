"""JSON of the gateway's records, for its responses and its feed."""

from __future__ import annotations

import msgspec

from fal_jupyter.domain.text.json_forms import encode_json


def encode_record(value: object) -> bytes:
    """Encode plain data or records as JSON; lone surrogates, such as those of a path that is not UTF-8, become U+FFFD."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return encode_json(msgspec.to_builtins(value))
