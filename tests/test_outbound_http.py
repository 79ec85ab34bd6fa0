"""The rules for requests that leave: proxies, the characters of a URL, and the addresses that a caller may name."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from fal_jupyter import outbound_http
from tests.support.raw_web_server import stranger

PUBLIC, PRIVATE, LOOPBACK = "93.184.215.14", "10.0.0.1", "127.0.0.1"


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    names = {"mixed.test": [PUBLIC, PRIVATE], "public.test": [PUBLIC], "here.test": [LOOPBACK]}

    def resolve(host: str, port: int) -> list[str]:
        if host not in names:
            raise OSError("unknown")
        return names[host]

    monkeypatch.setattr("fal_jupyter.net_guard.addresses_of", resolve)
    return names


@pytest.mark.usefixtures("resolver")
def test_a_host_is_refused_for_one_address_or_loses_it() -> None:
    permitted = outbound_http.permitted_addresses
    assert permitted("public.test", 80, loopback=False, private=False) == [PUBLIC]
    assert permitted("mixed.test", 80, loopback=False, private=False, every=False) == [PUBLIC]
    assert permitted("mixed.test", 80, loopback=False, private=True) == [PUBLIC, PRIVATE]
    assert permitted("here.test", 80, loopback=True, private=False) == [LOOPBACK]
    for host in ("mixed.test", "here.test"):
        with pytest.raises(outbound_http.NotPermitted):
            permitted(host, 80, loopback=False, private=False)
    with pytest.raises(outbound_http.NoAddress):
        permitted("absent.test", 80, loopback=True, private=True)


def test_a_refused_tls_handshake_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    create = socket.create_connection

    def recorded(address: tuple[str, int], timeout: float) -> socket.socket:
        opened.append(create(address, timeout))
        return opened[-1]

    monkeypatch.setattr(socket, "create_connection", recorded)
    with stranger(lambda connection, line: connection.sendall(b"not TLS")) as base:
        parts = urlsplit(base.replace("http://", "https://"))
        with pytest.raises(OSError, match=r"(?i)ssl|tls|reset|eof"):
            outbound_http.connect(parts, private=True, connect_timeout=5, read_timeout=5)
    assert [sock.fileno() for sock in opened] == [-1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_loopback_url_bypasses_proxies(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    url = f"http://{host}:8000/run"
    assert outbound_http.is_loopback_url(url)
    assert outbound_http.websocket_options(url.replace("http", "ws")) == {"proxy": None}
    with outbound_http.httpx_client(httpx.Client, user_agent="test", timeout=1) as client:
        assert client._transport_for_url(httpx.URL(url)) is client._transport
        assert client._transport_for_url(httpx.URL("http://public.test/")) is not client._transport


def test_a_url_is_encoded_and_its_port_completed() -> None:
    assert outbound_http.encoded("/a b?c=€&d=%ff#e") == "/a%20b?c=%E2%82%AC&d=%ff%23e"
    assert outbound_http.encoded("/a#e", keep="#") == "/a#e"
    assert outbound_http.host_and_port(urlsplit("https://a.test/")) == ("a.test", 443)
    assert outbound_http.host_and_port(urlsplit("http://a.test:81/")) == ("a.test", 81)
    assert outbound_http.websocket_options("ws://a.test/") == {}
