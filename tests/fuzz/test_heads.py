"""Bytes at the gateway's port that are nearly HTTP, cut anywhere: answers in order, one clean refusal at most, never a fault of ours.

Many of them are waited for until the gateway loses patience, so all are sent side by side; Hypothesis makes them, and what fails is
shown with its bytes.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.conftest import READ_TIMEOUT
from tests.fuzz.world import GUARD, ID, World

AT_ONCE = 50
METHODS = ["GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "get", "", "PRI", "M-SEARCH", "P\x00ST", "A" * 300]
TARGETS = [
    "*",
    "",
    "/",
    "http://127.0.0.1/run/",
    "/run/root/fuzzed/none?" + "q" * 3000,
    "/\x80",
    "//",
    "/a b",
    "/#",
    "/%",
    "?x",
    "a:1",
]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1.1", "", "HTTP/1.1 "]
LINES = [
    "Content-Length: 5", "Content-Length: -1", "Content-Length: +5", "Content-Length: 5, 5", "Content-Length: 0x5", "Content-Length: ", "Content-Length: 1e3",
    "Content-Length: 18446744073709551616", "Content-Length: " + "0" * 4400 + "2", "Content-Length: \xb2", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: \x0bchunked", "Expect: 100-continue", "Expect: tea", "Connection: close",
    "Connection: upgrade\r\nUpgrade: h2c", "Connection: upgrade\r\nUpgrade: websocket", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x",
    "Host: other", "Host:", " folded: x", "\tfolded", ": nameless", "No colon", "Sp ace: x", "X\x00: y", "X: \x00", "X: \xff\xfe", "X: \x7f", "X: a\rb", "X: a\nb",
    "X: " + "a" * 70_000, "X" * 70_000 + ": a", "X: y\r\n" * 2000 + "Z: z", "\r", "", "Authorization: Key \xff", "Cookie: \xff=\xfe; $Version=1", "Content-Type: multipart/form-data",
    "Content-Type: application/x-www-form-urlencoded", "Content-Type: \xff", "Keep-Alive: timeout=0", "Trailer: x", "TE: trailers, deflate;q=0.5",
]  # fmt: skip
BODIES = [b"", b"{}", b"5\r\nabcde\r\n0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"zz\r\n", b"ffffffffffffffffff\r\n", b"5;a=b\r\nabcde\r\n0\r\n\r\n", b"-1\r\n", b"a" * 70_000]  # fmt: skip
PIECES = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b":", b"\xff", b"\t", b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x80" * 300]  # fmt: skip
ROUTES = ["/run/{app}/none", "/run/{app}/upper", "/queue/{app}/none", "/rest/tokens/", "/cdn/files/upload", "/nowhere"]


@dataclass
class Bytes:
    """*whole* good requests and what comes after them, in *pieces*."""

    whole: int
    pieces: list[bytes]
    rest: bytes


@st.composite
def bytes_at_port(draw: st.DrawFn, world: World) -> Bytes:
    """Up to three good requests, then damage of some kind, cut anywhere."""
    fixed = f"Host: {world.host}\r\nAuthorization: Key {world.key}\r\n"
    good = f"POST /run/{world.name}/none HTTP/1.1\r\n{fixed}Content-Length: 2\r\n\r\n{{}}".encode()
    whole = draw(st.integers(0, 3))
    how = draw(st.sampled_from(["head", "head", "damaged", "damaged", "cut off", "anything"]))
    if how == "head":
        method = draw(st.just("POST") | st.sampled_from(METHODS))
        target = draw(
            st.sampled_from(ROUTES).map(lambda route: route.format(app=world.name)) | st.sampled_from(TARGETS)
        )
        version = draw(st.just("HTTP/1.1") | st.sampled_from(VERSIONS))
        lines = "".join(f"{line}\r\n" for line in draw(st.lists(st.sampled_from(LINES), max_size=3)))
        rest = f"{method} {target} {version}\r\n{fixed}{lines}\r\n".encode("latin-1") + draw(st.sampled_from(BODIES))
    elif how == "anything":
        rest = draw(st.binary(min_size=1, max_size=60))
    else:
        rest = good
        if how == "cut off":
            rest = good[: draw(st.integers(1, len(good) - 1))]
        for _ in range(draw(st.integers(1, 3)) if how == "damaged" else 0):
            at = draw(st.integers(0, len(rest)))
            rest = rest[:at] + draw(st.sampled_from(PIECES)) + rest[at + draw(st.integers(0, 5)) :]
    data = good * whole + rest
    cuts = sorted(draw(st.lists(st.integers(0, min(len(data), 600)), max_size=4)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return Bytes(whole, [piece for piece in pieces if piece], rest)


async def answers(world: World, sent: Bytes) -> tuple[bytes, bool]:
    """Send them, and give all that comes until nothing more does; True where the gateway hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    found, over = b"", False
    try:
        for piece in sent.pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        quiet = READ_TIMEOUT + 4.0
        while not over:
            piece = await asyncio.wait_for(reader.read(1 << 16), quiet)
            found, over = found + piece, not piece
            quiet = 1.5 * READ_TIMEOUT if found.count(b"HTTP/1.1 ") > sent.whole else READ_TIMEOUT + 4.0
    except TimeoutError:
        pass
    except ConnectionError:
        over = True
    finally:
        writer.transport.abort()
    return found, over


def taken_apart(stream: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Give the answers in a stream of bytes that must be whole answers."""
    file, found = io.BytesIO(stream), []
    while line := file.readline():
        status = int(line.removeprefix(b"HTTP/1.1 ").split()[0])
        assert line.startswith(b"HTTP/1.1 "), line
        headers = {}
        while (line := file.readline()) != b"\r\n":
            name, colon, value = line.decode("latin-1").partition(":")
            assert colon, line
            headers[name.lower()] = value.strip()
        if status != 100:
            length = int(headers.get("content-length", 0))
            body = file.read(length)
            assert len(body) == length
            found.append((status, headers, body))
    return found


def check(world: World, sent: Bytes, stream: bytes, over: bool) -> None:
    """What must hold of the answers."""
    if sent.rest.startswith(b"HEAD"):  # how much body comes, the stream does not tell
        return
    found = taken_apart(stream)
    assert [(status, body) for status, _, body in found[: sent.whole]] == [(200, b"null")] * sent.whole
    assert over or len(found) > sent.whole or not sent.rest.strip(b"\r\n"), "neither answer nor end"
    for status, headers, body in found[sent.whole :]:
        assert 200 <= status < 500, f"a fault of ours: {status} {body!r}"
        assert ID.fullmatch(headers["x-fal-request-id"])
        assert headers["x-fal-request-id"] not in world.ids
        world.ids.add(headers["x-fal-request-id"])
        if status >= 400:
            assert headers["content-type"] == "application/json"
            assert json.loads(body)["detail"]


def throw(world: World, count: int, start: int | None) -> None:
    """Make so many, send them side by side and check what comes."""
    made: list[Bytes] = []

    @settings(
        max_examples=count, derandomize=start is None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )  # fmt: skip
    @given(bytes_at_port(world))
    def collect(sent: Bytes) -> None:
        made.append(sent)

    (collect if start is None else seed(start)(collect))()
    places = asyncio.Semaphore(AT_ONCE)

    async def one(sent: Bytes) -> None:
        async with places, asyncio.timeout(GUARD):
            stream, over = await answers(world, sent)
        try:
            check(world, sent, stream, over)
        except Exception as error:
            raise AssertionError(f"{error!r} of {sent} answered {stream[:3000]!r}, {over}") from error
        world.sent += 1

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for sent in made:
                group.create_task(one(sent))

    asyncio.run(all_of_them())
    assert len(made) >= count


def test_whatever_comes_is_answered_or_ended(world: World) -> None:
    before = world.sent
    throw(world, 200, None)
    assert world.sent - before >= 200


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_thousand_of_them(world: World) -> None:
    before, start = world.sent, random.SystemRandom().getrandbits(32)
    print(f"seed {start}")
    throw(world, 2000, start)
    assert world.sent - before >= 2000
