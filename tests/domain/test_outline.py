"""The outline of a large body: small values stay, long texts go apart, and both together are the body again, however it is cut."""

from __future__ import annotations

import itertools
import json
import random

import pytest

from fal_jupyter.domain.requests.outline import LONG, MOST_TEXTS, Outline, kind_of

LIMIT = 64 * 1024
PHOTO = "data:image/jpeg;base64,/9j/" + "QUJD" * 5000
FORM = "multipart/form-data; boundary=xyz"


class Apart:
    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.is_open = False

    def begin(self) -> None:
        assert not self.is_open
        self.is_open = True
        self.texts.append(b"")

    def write(self, data: bytes) -> None:
        assert self.is_open
        self.texts[-1] += data

    def end(self) -> None:
        assert self.is_open
        self.is_open = False


def read(
    body: bytes, content_type: str = "application/json", piece: int = 1 << 20, limit: int = LIMIT
) -> tuple[Outline, Apart]:
    """Read a body in pieces; it is always what the parts and texts are together."""
    sink = Apart()
    outline = Outline(sink, content_type, limit)
    for position in range(0, len(body), piece):
        outline.feed(body[position : position + piece])
    outline.end()
    assert not sink.is_open
    assert len(outline.parts) == len(sink.texts) + 1 == len(outline.stand_ins) + 1
    both = itertools.zip_longest(outline.parts, sink.texts, fillvalue=b"")
    assert b"".join(bytes(one) for pair in both for one in pair) == body
    return outline, sink


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000, 1 << 20])
def test_small_values_stay_and_long_texts_have_stand_ins(piece: int) -> None:
    story = 'He said "no\\way" … 🦊\n' * 900
    value = {
        "image": {"url": PHOTO},
        "width": 0,
        "seed": 2**63,
        "name": 'a "quoted" \\ name',
        "story": story,
        "more": [PHOTO, ""],
    }
    outline, sink = read(json.dumps(value).encode(), piece=piece)
    assert outline.is_complete
    first, second, third = outline.stand_ins
    assert json.loads(outline.body()) == {
        **value,
        "image": {"url": first.text},
        "story": second.text,
        "more": [third.text, ""],
    }
    assert first.text.startswith("data:image/jpeg;base64,/9j/QUJD")
    assert f"({len(PHOTO)} bytes, text 1)" in first.text
    assert second.text.startswith('He said "no\\way" … ')
    assert [one.size for one in outline.stand_ins] == [len(one) for one in sink.texts]
    assert sink.texts[0] == sink.texts[2] == PHOTO.encode()


def test_a_text_is_long_from_one_byte_beyond_the_limit() -> None:
    assert not read(json.dumps("x" * LONG).encode())[0].stand_ins
    assert len(read(json.dumps("x" * (LONG + 1)).encode())[0].stand_ins) == 1


@pytest.mark.parametrize("piece", [1, 5, 64, 1 << 20])
def test_files_of_a_form_have_stand_ins(piece: int) -> None:
    photo = b"\xff\xd8\xff" + bytes(range(256)) * 40 + b"\r\n--xy" + b"\r\n\r\n"
    body = b"".join(
        (
            b'--xyz\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n',
            photo,
            b'\r\n--xyz\r\nContent-Disposition: form-data; name="width"\r\n\r\n40\r\n--xyz--\r\n',
        )
    )
    outline, sink = read(body, FORM, piece)
    assert sink.texts == [photo]
    assert outline.is_complete
    assert b'name="width"\r\n\r\n40\r\n--xyz--' in outline.body()
    assert outline.stand_ins[0].text == f"… ({len(photo)} bytes, text 1)"
    assert len(outline.body()) < 400


def test_too_many_small_values_or_texts_have_no_outline() -> None:
    for piece in (1, 100, 1 << 20):
        outline, sink = read(json.dumps(list(range(2000))).encode(), limit=1000, piece=piece)
        assert not outline.is_complete
        assert len(sink.texts) == 1
        assert not read(json.dumps(["short"] * 500).encode(), limit=1000, piece=piece)[0].is_complete
    many, _ = read(json.dumps(["x" * (LONG + 1)] * (MOST_TEXTS + 3)).encode())
    assert not many.is_complete
    assert read(b"--xyz\r\n" + b"x" * 3000, FORM, limit=1000)[0].is_complete is False
    for limit in range(55, 75):  # the limit is reached at each place of a part's head, also within what is held
        read(
            b"--xyz\r\nContent-Disposition: form-data\r\n\r\n1\r\n--xyz\r\nContent-Disposition: x\r\n\r\n2\r\n--xyz--\r\n"
            * 2,
            FORM,
            9,
            limit,
        )


@pytest.mark.parametrize("body", [b'{"a": "' + b"x" * 9000, b'"\\', b'"' + b"x" * 9000 + b"\\", b"", b"\xff" * 9000])
def test_a_body_that_breaks_off_is_still_the_body(body: bytes) -> None:
    for kind in ("application/json", FORM, "image/png"):
        for piece in (1, 4096, 1 << 20):
            read(body, kind, piece)


def test_a_stand_in_never_ends_within_a_character_or_an_escape() -> None:
    for begin in ("é", "🦊", "\\n", "\\u00e9", "\\ud83e\\udd8a", "\\", '\\"'):
        for shift in range(64):
            text = f"{'x' * shift}{begin}{'y' * 5000}" if begin != "\\" else f"{'x' * shift}\\\\{'y' * 5000}"
            outline, _ = read(f'["{text}"]'.encode())
            (value,) = json.loads(outline.body())
            assert value == outline.stand_ins[0].text
            assert not any(0xD800 <= ord(one) < 0xE000 for one in value)


def test_bodies_of_chance_are_what_was_sent() -> None:
    chance = random.Random(7)
    for _ in range(300):
        body = bytes(chance.choices(b'"\\ax\r\n-:{', k=chance.randint(0, 60))) * chance.choice((1, 3, 200))
        for kind in ("application/json", "multipart/form-data; boundary=x"):
            read(body, kind, chance.choice((1, 3, 50, 5000)), chance.choice((10, 100, 5000)))


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("", ("json", b"")),
        ("application/json; charset=utf-8", ("json", b"")),
        ("application/ld+json", ("json", b"")),
        ('multipart/form-data; boundary="a b"', ("form", b"a")),
        (FORM, ("form", b"xyz")),
        ("multipart/form-data", ("opaque", b"")),
        ("image/jpeg", ("opaque", b"")),
    ],
)
def test_the_kind_of_a_body(content_type: str, kind: tuple[str, bytes]) -> None:
    assert kind_of(content_type) == kind
