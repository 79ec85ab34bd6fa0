from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.text.json_forms import as_a_page_writes, encode_json, json_form, whole_text


def _kind(module: str, *methods: str) -> type:
    return type("Kind", (), {"__module__": module, **{name: lambda self: None for name in methods}})


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (_kind("numpy", "tolist"), "its .tolist()"),
        (_kind("torch", "tolist", "to_dense"), "its .tolist()"),
        (_kind("PIL.Image"), "fal.toolkit.Image.from_pil(picture)"),
        (_kind("pandas.core.frame", "columns", "to_dict"), "its .to_dict('records')"),
        (_kind("pandas.core.series", "tolist", "to_dict"), "its .tolist()"),
        (_kind("polars.dataframe.frame", "to_dicts", "to_dict"), "its .to_dicts()"),
        (_kind("pyarrow.lib", "to_pylist"), "its .to_pylist()"),
        (object, ""),
    ],
)
def test_a_value_comes_with_the_method_that_converts_it_to_plain_values(kind: type, form: str) -> None:
    assert json_form(kind) == form


def test_whole_floats_become_integers_as_in_a_page() -> None:
    value = {
        "a": [0.0, 1.5, -3.0, (2.0,)],
        "b": {"c": 1e300, "d": True, "e": "1.0", "f": float("nan"), "g": float("inf")},
    }
    written = as_a_page_writes(value)
    assert repr(written) == "{'a': [0, 1.5, -3, [2]], 'b': {'c': 1e+300, 'd': True, 'e': '1.0', 'f': nan, 'g': inf}}"


def test_half_a_character_is_replaced_and_two_halves_become_one() -> None:
    assert whole_text("a\ud800b é \ud83d\ude00 😀 \udc00") == "a\ufffdb é 😀 😀 \ufffd"


def test_what_a_notebook_saves_has_no_half_character() -> None:
    assert as_a_page_writes({"\ud800": ["a\udfff", "é"]}) == {"\ufffd": ["a\ufffd", "é"]}


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        ("half \ud800 of one", "half \ufffd of one"),
        ("\ud83d\ude00 and \U0001f600", "\U0001f600 and \U0001f600"),
        (r"a path \ud800", r"a path \ud800"),
        ("\\ud83d\ude00 \\\ud83d", "\\ud83d\ufffd \\\ufffd"),
        ("\ud83d\ud83d\ude00\ude00", "\ufffd\U0001f600\ufffd"),
        ([{"msg": "\udfff", "loc": ["\ud800"]}], [{"msg": "\ufffd", "loc": ["\ufffd"]}]),
        ({"\ud800": 1, "é": None}, {"\ufffd": 1, "é": None}),
    ],
)
def test_encoded_json_is_ascii_without_half_characters(value: object, decoded: object) -> None:
    data = encode_json(value)
    assert json.loads(data) == decoded
    assert data.isascii()


@given(st.lists(st.sampled_from(["\\", "\ud83d", "\ude00", "ud83d", "ude00", '"', "\n", "é", "\ud55c", "\U0001f600"])))
def test_half_characters_are_replaced_where_they_are_and_nowhere_else(parts: list[str]) -> None:
    text = "".join(parts)
    assert json.loads(encode_json([text, {text: 1}])) == [whole_text(text), {whole_text(text): 1}]


@pytest.mark.parametrize("text", ["a", "\ud55c", "\U0001f600", r"\ud800"])
def test_text_without_half_characters_is_encoded_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = [json.dumps(text)]
    monkeypatch.setattr(json, "dumps", lambda *_, **__: encoded.pop())
    assert json.loads(encode_json(text)) == text  # a second dumps would fail


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"x": -float("inf")}])
def test_numbers_that_json_does_not_have_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_json(value)
