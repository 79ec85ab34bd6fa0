"""From the schemas of an OpenAPI document to values: such as fit, such as nearly fit, and their bytes.

Neither of the packages for it is used: schemathesis brings ten others and a plugin into every run of pytest, and hypothesis-jsonschema
has had no release since 2024. FastAPI writes a small part of JSON Schema; the words of ours are below, and one that is not known
fails loudly.
"""

from __future__ import annotations

import datetime
import json
import math
import uuid
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

DATA_URIS = (
    "data:,x", "data:text/plain;base64,aGk=", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==",
    "data:image/png;base64,iVBOR", "data:;base64,=", "data:", "data:a/b", "data:a/b;base64,\ud800", "data:%zz,%ff", "data:é,x", "data:,\u0663",
)  # fmt: skip
ADDRESSES = (
    *DATA_URIS, "http://127.0.0.1:1/a.png", "http://[::1]/a", "http://[::1", "http://127.0.0.1:99999/a", "http://127.0.0.1:²/a", "https://",
    "http://169.254.169.254/latest", "http://0x7f.1/", "http://user:pw@127.0.0.1/", "ftp://127.0.0.1/a", "file:///etc/passwd", "http:///a", "//127.0.0.1/a",
    "http://127.0.0.1/cdn/files/" + "0" * 32 + "/a.png", "javascript:alert(1)", "http://127.0.0.1\x00/", "http://127.0.0.1/a\r\nx: y", "http://[v1.a]/", "http://a\u2100b/",
)  # fmt: skip

odd_numbers = st.sampled_from(
    [0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 1e300, -0.0, 0.5, math.nan, math.inf, -math.inf]
)
odd_texts = st.sampled_from(
    ["", " ", "\x00", "\ud800", "\U0001f600", "NaN", "null", "true", "1", "1_0", " 5 ", "٣", "-", "../..", "%00", "a" * 5000, *ADDRESSES[:4]]
)  # fmt: skip
leaves = st.none() | st.booleans() | odd_numbers | odd_texts | st.integers() | st.floats() | st.text(max_size=8)
anything: Strategy = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def deep(draw: st.DrawFn) -> Any:
    """Something nested deeper than anybody means."""
    value: Any = draw(leaves)
    for _ in range(draw(st.sampled_from([3, 30, 90]))):
        value = [value] if draw(st.booleans()) else {"inner": value}
    return value


# --- values that fit --------------------------------------------------------------------------------------------------
def fitting(schema: Schema, document: Schema, depth: int = 0) -> Strategy:
    """Values that *schema* allows, as far as it tells."""
    if "$ref" in schema:
        named: Schema = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            named = named[part]
        return fitting(named, document, depth + 1)
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            choices = schema[several]
            if depth > 3 and {"type": "null"} in choices:
                return st.none()
            return st.one_of([fitting(choice, document, depth) for choice in choices])
    kind = schema.get("type")
    if kind is None:
        return anything
    return _KINDS[kind](schema, document, depth)


def _text(schema: Schema, document: Schema, depth: int) -> Strategy:
    form = schema.get("format")
    if form is not None:
        return _FORMS[form]
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    plain = st.text(
        st.characters(exclude_categories=["Cs"]),
        min_size=schema.get("minLength", 0),
        max_size=schema.get("maxLength", 30),
    )
    return plain if "maxLength" in schema else plain | st.sampled_from(ADDRESSES)


def _whole(schema: Schema, document: Schema, depth: int) -> Strategy:
    step = schema.get("multipleOf", 1)
    low, high = schema.get("minimum"), schema.get("maximum")
    return st.integers(None if low is None else -(-low // step), None if high is None else high // step).map(
        lambda number: number * step
    )


def _number(schema: Schema, document: Schema, depth: int) -> Strategy:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return st.floats(
        low, high, exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema, allow_nan=False, allow_infinity=False
    )  # fmt: skip


def _list(schema: Schema, document: Schema, depth: int) -> Strategy:
    if "prefixItems" in schema:
        return st.tuples(*[fitting(part, document, depth + 1) for part in schema["prefixItems"]]).map(list)
    least, most = schema.get("minItems", 0), min(schema.get("maxItems", 3), 0 if depth > 3 else 5)
    return st.lists(
        fitting(schema.get("items", {}), document, depth + 1), min_size=least, max_size=max(least, most), unique_by=repr
    )


def _object(schema: Schema, document: Schema, depth: int) -> Strategy:
    fields = schema.get("properties", {})
    if not fields:
        more = schema.get("additionalProperties", True)
        inner = anything if isinstance(more, bool) else fitting(more, document, depth + 1)
        return st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), inner, max_size=3)
    required = {name: fitting(fields[name], document, depth + 1) for name in schema.get("required", [])}
    optional = {name: fitting(field, document, depth + 1) for name, field in fields.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


_KINDS = {
    "string": _text, "integer": _whole, "number": _number, "array": _list, "object": _object,
    "boolean": lambda *_: st.booleans(), "null": lambda *_: st.none(),
}  # fmt: skip
_FORMS: dict[str, Strategy] = {
    "date": st.dates(datetime.date(1, 1, 1)).map(str),
    "date-time": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    "time": st.times().map(str),
    "duration": st.sampled_from(["P1D", "PT0.5S", "P3Y", "-P1D"]),
    "uuid": st.uuids().map(str) | st.just(str(uuid.UUID(int=0))),
    "binary": st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
}


# --- values that nearly fit -------------------------------------------------------------------------------------------
@st.composite
def nearly(draw: st.DrawFn, fits: Strategy) -> Any:
    """A value that fits, changed in one to three places: another type, a part too few, one too many, wrapped, nested."""
    value = draw(fits)
    for _ in range(draw(st.integers(1, 3))):
        value = _changed(draw, value)
    return value


def _changed(draw: st.DrawFn, value: Any) -> Any:
    inside = isinstance(value, dict | list) and bool(value)
    how = draw(st.sampled_from(["inside"] * 4 * inside + ["other", "other", "more", "less", "wrapped", "deep", "text"]))
    if how == "inside" or (how == "less" and inside):
        place = draw(st.sampled_from(sorted(value, key=repr) if isinstance(value, dict) else range(len(value))))
        copy = value.copy()
        if how == "less":
            del copy[place]
        else:
            copy[place] = _changed(draw, copy[place])
        return copy
    if how == "more" and isinstance(value, dict):
        name = draw(st.text(max_size=6) | st.sampled_from(["__proto__", "url", "self", "body"]))
        return {**value, name: draw(anything)}
    if how == "more" and isinstance(value, list):
        return [*value, *draw(st.lists(anything, max_size=6))]
    if how == "wrapped":
        return draw(st.sampled_from([[value], {"body": value}, [value, value]]))
    if how == "text":
        return str(value)
    return draw(deep() if how == "deep" else anything)


# --- bytes ------------------------------------------------------------------------------------------------------------
@st.composite
def written(draw: st.DrawFn, values: Strategy) -> bytes:
    """JSON of a value as one of many programs writes it, now and then damaged."""
    text = json.dumps(draw(values), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 1])))
    data = text.encode(draw(st.sampled_from(["utf-8"] * 8 + ["utf-16", "utf-32", "utf-8-sig"])), "surrogatepass")
    return damaged(draw, data) if draw(st.integers(0, 7)) == 0 else data


def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The same with a piece cut out, or put in."""
    at = draw(st.integers(0, len(data)))
    piece = draw(
        st.binary(max_size=6)
        | st.sampled_from([b"\xff\xfe", b"\x00", b"\r\n", b"[" * 2000, b"[" * 200_000, b"9" * 5000, b'{"a":'])
    )
    return data[:at] + piece + data[at + draw(st.integers(0, 8)) :]
