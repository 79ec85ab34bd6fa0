"""The proxy route: fal's address in a header is our own route, and nothing else is."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fal_jupyter.gateway.http.proxy_target import OF_HOST, is_proxied, own_target
from tests.support.serve import Served
from tests.support.wire import Reply, exchange, head, port_of


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("https://fal.run/o/a", "/run/o/a"),
        ("https://fal.run/o/a/", "/run/o/a/"),
        ("https://FAL.RUN:443/o/a?x=%20&y=1", "/run/o/a?x=%20&y=1"),
        ("https://queue.fal.run/o/a?fal_webhook=http%3A%2F%2Fx%2F", "/queue/o/a?fal_webhook=http%3A%2F%2Fx%2F"),
        ("https://rest.fal.ai/tokens/", "/rest/tokens/"),
        ("https://rest.alpha.fal.ai/tokens/", "/rest/tokens/"),
        ("https://v3.fal.media/files/upload", "/cdn/files/upload"),
        ("https://fal.run", "/run/"),
        ("https://fal.run/a#b", "/run/a"),
        ("http://fal.run/o/a", None),
        ("https://fal.run:8443/o/a", None),
        ("https://user@fal.run/o/a", None),
        ("https://fal.run.example.com/", None),
        ("https://example.com/fal.run", None),
        ("https://[fal.run/", None),
        ("https://fal.run/a b", None),
        ("https://fal.run/é", None),
        ("/run/o/a", None),
        ("", None),
    ],
)
def test_only_urls_of_fal_are_accepted(address: str, target: str | None) -> None:
    assert own_target(address) == target


@given(st.text(max_size=60))
def test_no_text_at_all_breaks_it(address: str) -> None:
    target = own_target(address)

    assert target is None or target.startswith(tuple(OF_HOST.values()))


@given(st.sampled_from(sorted(OF_HOST)), st.text(alphabet="abc/.?%&=-~", max_size=40))
def test_path_and_query_come_through_as_they_are(host: str, rest: str) -> None:
    target = own_target(f"https://{host}/{rest}")

    assert target == OF_HOST[host] + rest


def test_the_route_is_one_path_and_what_is_below_it() -> None:
    assert is_proxied("/proxy")
    assert is_proxied("/proxy?x=1")
    assert is_proxied("/proxy/below")
    assert not is_proxied("/proxyx")
    assert not is_proxied("/run/proxy")


def ask(
    app: Served, method: str, target: str | None, key: str | None, body: bytes = b"", host: str | None = None
) -> Reply:
    port = port_of(app.ready["base"])
    lines = [f"content-length: {len(body)}", "content-type: application/json"]
    lines += [] if target is None else [f"x-fal-target-url: {target}"]
    return exchange(port, head(method, "/proxy", port, key, *lines, host=host) + body, method=method)


def test_the_answer_is_the_routes_own(wide: Served) -> None:
    address = f"https://fal.run{urlsplit(wide.ready['url']).path.removeprefix('/run').rstrip('/')}"
    key = wide.ready["key"]

    assert json.loads(ask(wide, "POST", address, key, b'{"name": "Ada"}').body)["text"] == "Hello, Ada"
    assert ask(wide, "POST", address, key, b"{}").status == 422
    assert ask(wide, "POST", f"{address}/nothing", key, b"{}").status == 404
    assert ask(wide, "POST", f"{address}/status", key, b'{"code": 507}').status == 507


def test_key_host_and_path_are_looked_at_as_ever(wide: Served) -> None:
    address = f"https://fal.run{urlsplit(wide.ready['url']).path.removeprefix('/run').rstrip('/')}"
    key = wide.ready["key"]

    assert ask(wide, "POST", address, None, b"{}").status == 401
    assert ask(wide, "POST", address, key, b"{}", host="evil.example").status == 421
    assert ask(wide, "POST", f"{address}/../../admin/hello", key, b"{}").status == 400
    assert ask(wide, "GET", "https://rest.fal.ai/nothing", key).status == 404


@pytest.mark.parametrize("target", [None, "", "https://example.com/", "http://127.0.0.1/admin/hello"])
def test_without_an_address_of_fals_it_is_400_with_a_sentence(wide: Served, target: str | None) -> None:
    answer = ask(wide, "POST", target, wide.ready["key"], b'{"name": "Ada"}')

    assert (answer.status, "x-fal-target-url" in json.loads(answer.body)["detail"]) == (400, True)
    assert answer.headers["x-fal-request-id"]
