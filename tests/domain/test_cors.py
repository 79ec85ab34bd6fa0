"""Origins of web pages: what is one, and what an answer says of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.domain.access.cors import METHODS, USUAL, opened, origin_of, origins_of, preflight
from fal_jupyter.domain.errors import BadSetting


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        (" HTTPS://App.Example.COM ", "https://app.example.com"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("http://a.example:08080", "http://a.example:8080"),
        ("http://[::1]:5173", "http://[::1]:5173"),
        ("vscode-webview://abc", "vscode-webview://abc"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(text: str, origin: str) -> None:
    assert origin_of(text) == origin


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("*", "write http://localhost:3000"),
        ("null", "write http://localhost:3000"),
        ("", "write http://localhost:3000"),
        ("localhost:3000", "write http://localhost:3000"),
        ("http://", "write http://localhost:3000"),
        ("file:///home/me/page.html", "write http://localhost:3000"),
        ("http://*.example.com", "write http://localhost:3000"),
        ("http://user@a.example", "write http://localhost:3000"),
        ("http://a.example:0", "write http://localhost:3000"),
        ("http://a.example:65536", "write http://localhost:3000"),
        ("http://a.example,http://b.example", "write http://localhost:3000"),
        ("http://a.example\r\nx: y", "write http://localhost:3000"),
        ("http://bücher.example", "write http://localhost:3000"),
        ("http://a.example:3000/", "write http://a.example:3000"),
        ("https://a.example/page?x=1", "write https://a.example"),
    ],
)
def test_what_is_no_origin_is_refused_with_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(BadSetting) as refused:
        origin_of(text)
    assert "is not a web origin" in refused.value.message
    assert (refused.value.hint, refused.value.where) == (hint, "--cors")


@given(st.text(max_size=40))
def test_no_text_breaks_it_and_what_is_taken_stays(text: str) -> None:
    try:
        origin = origin_of(text)
    except BadSetting:
        return
    assert origin_of(origin) == origin
    assert origin.isprintable()
    assert origin.isascii()
    assert "*" not in origin


def test_one_or_several_each_once() -> None:
    assert origins_of(()) == ()
    assert origins_of("http://a.example") == ("http://a.example",)
    assert origins_of(["http://b.example", "http://A.example", "http://b.example:80"]) == (
        "http://b.example",
        "http://a.example",
    )


@pytest.mark.parametrize("given", [True, 3, [None], [b"http://a.example"]])
def test_what_is_no_text_is_no_origin(given: object) -> None:
    with pytest.raises(BadSetting, match="is not a web origin"):
        origins_of(given)


def test_a_preflight_allows_the_requested_headers() -> None:
    headers = dict(preflight("http://a.example", "authorization,x-mine", private=False))
    assert headers == {
        "access-control-allow-origin": "http://a.example",
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": "authorization,x-mine",
        "access-control-max-age": "600",
        "vary": "Origin, Access-Control-Request-Headers",
    }
    assert dict(preflight("http://a.example", "", private=True)) == headers | {
        "access-control-allow-headers": USUAL,
        "access-control-allow-private-network": "true",
    }


@pytest.mark.parametrize("wanted", ["a b", "a,", "ä", "a:b", ",", "*, \x00"])
def test_names_that_are_none_are_not_repeated(wanted: str) -> None:
    assert dict(preflight("http://a.example", wanted, private=False))["access-control-allow-headers"] == USUAL


def test_a_readable_response_allows_the_origin_and_exposes_its_headers() -> None:
    headers = [("Content-Type", "text/plain"), ("X-Fal-Request-Id", "1"), ("ETag", '"x"'), ("x-mine", "2")]
    assert opened(headers, "http://a.example") == [
        *headers,
        ("vary", "Origin"),
        ("access-control-allow-origin", "http://a.example"),
        ("access-control-expose-headers", "x-fal-request-id, etag"),
    ]


def test_a_response_without_allowed_origin_only_gets_vary() -> None:
    assert opened([("x-fal-request-id", "1")], "") == [("x-fal-request-id", "1"), ("vary", "Origin")]


def test_cors_headers_of_the_app_itself_are_replaced() -> None:
    own_headers = [("Access-Control-Allow-Origin", "*"), ("access-control-allow-credentials", "true")]
    assert opened(own_headers, "http://a.example") == [
        ("vary", "Origin"),
        ("access-control-allow-origin", "http://a.example"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["Accept"], "Accept, Origin"),
        (["accept, ORIGIN"], "accept, ORIGIN"),
        (["*"], "*"),
        (["A", "B"], "A, B, Origin"),
    ],
)
def test_vary_is_one_line_with_the_origin_in_it(before: list[str], after: str) -> None:
    assert opened([("Vary", value) for value in before], "") == [("vary", after)]
