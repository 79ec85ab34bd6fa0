"""Endpoints that take a form: ``Form``, ``File`` and ``UploadFile``, called from cells."""

from __future__ import annotations

import ast

import pytest

from tests.support.kernel import Kernel

APP = """%%fal_app
import hashlib, json
from pathlib import Path
from typing import Annotated, Any, Optional
from fastapi import Body, Depends, File, Form, Header, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, Json, model_validator


def seen(file):
    data = file.file.read()
    return [file.filename, file.content_type, len(data), hashlib.md5(data).hexdigest()]

class Card(BaseModel):
    title: str
    size: int = 1
    tags: list[str] = []
    kind: str = Field("plain", alias="class")

class Sheet(BaseModel):
    title: str
    page: UploadFile

class Base(BaseModel):  # fastapi/fastapi#2257: a model beside a file
    language: str | None = None
    author: str | None = None

    @model_validator(mode="before")
    @classmethod
    def read(cls, value):
        return json.loads(value) if isinstance(value, str) else value

class Simple(BaseModel):  # fastapi/fastapi#2139: a dependency with the form's fields
    no: int = Form(...)
    nm: str = Form(...)
    f: UploadFile = Form(...)

class Forms(fal.App):
    @fal.endpoint("/one")
    def one(self, file: UploadFile, title: str = Form("none"), n: Annotated[int, Form()] = 3, on: bool = Form(False)) -> list:
        return [*seen(file), title, n, on]

    @fal.endpoint("/many")  # fastapi/fastapi#12198
    def many(self, files: list[UploadFile] = File(...), more: Annotated[list[UploadFile] | None, File()] = None, words: list[str] = Form(...)) -> list:
        return [[f.filename for f in files], [f.filename for f in more or []], words]

    @fal.endpoint("/raw")
    def raw(self, data: Annotated[bytes, File()], x_note: Annotated[str, Header()] = "", page: int = 0) -> list:
        return [len(data), x_note, page]

    @fal.endpoint("/maybe")
    def maybe(self, file: Optional[UploadFile] = None, text: Annotated[str | None, Form()] = None) -> list:
        return [file and file.filename, text]

    @fal.endpoint("/card")
    def card(self, card: Annotated[Card, Form()]) -> dict:
        return card.model_dump()

    @fal.endpoint("/sheet")
    def sheet(self, sheet: Annotated[Sheet, Form()]) -> list:
        return [sheet.title, *seen(sheet.page)]

    @fal.endpoint("/beside")
    def beside(self, file: UploadFile, about: Annotated[Base, Body()], numbers: Annotated[Json[list[float]], Form()]) -> list:
        return [file.filename, about.language, about.author, numbers]

    @fal.endpoint("/inner")
    def inner(self, given: Simple = Depends()) -> list:
        return [given.no, given.nm, given.f.filename]

    @fal.endpoint("/item/{name}")
    def item(self, name: str, file: UploadFile) -> list:
        return [name, *seen(file)]

    @fal.endpoint("/bare")
    def bare(self, x: list) -> list:
        return x

    @fal.endpoint("/lines")
    def lines(self, file: UploadFile) -> StreamingResponse:
        parts = file.file.read().split()
        return StreamingResponse((f"data: {json.dumps(p.decode())}\\n\\n" for p in parts), media_type="text/event-stream")
"""
START = """import io, os, tempfile, hashlib
from pathlib import Path
cat = Path("cat.png"); cat.write_bytes(b"\\x89PNG" + bytes(range(256)) * 100)
md5 = hashlib.md5(cat.read_bytes()).hexdigest()
buffer = io.BytesIO(b"abc"); buffer.seek(3)
opened = cat.open("rb"); opened.read(7)
import fal_jupyter
from fal_jupyter.client.foreign import open_app
handle = fal_jupyter.app(Forms)
by_name = open_app(handle.client, handle.app)  # as another notebook has it
"""


@pytest.fixture(scope="module")
def forms(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    notebook.run(START).ok()
    return notebook


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("Forms.one(cat) == ['cat.png', 'image/png', 25604, md5, 'none', 3, False]", True),
        ("Forms.one(opened, title='é 漢 \"q\" \\r\\n', n=-1, on=True)[4:]", ['é 漢 "q" \r\n', -1, True]),
        ("Forms.one(opened)[:3]", ["cat.png", "image/png", 25604]),
        ("Forms.one(buffer)[:3]", ["file", "application/octet-stream", 3]),
        ("Forms.one(b'')[:3]", ["file", "application/octet-stream", 0]),
        ("Forms.one(bytearray(b'xy'))[2]", 2),
        ("Forms.one(('snímek \"1\" \\\\ 漢.png', b'abc', 'image/png'))[:3]", ['snímek "1" \\ 漢.png', "image/png", 3]),
        ("Forms.one(('x.webp', cat))[:2]", ["x.webp", "image/webp"]),
        ("Forms.one(UploadFile(io.BytesIO(b'abc'), filename='u.txt', headers={'content-type': 'text/csv'}))[:3]", ["u.txt", "text/csv", 3]),
        ("Forms.one({'file': cat, 'title': 'whole'})[4]", "whole"),
        ("Forms.many([cat, ('b.txt', b'b')], words=['a', 'é'])", [["cat.png", "b.txt"], [], ["a", "é"]]),
        ("Forms.many(cat, [b'1', buffer], ['one'])", [["cat.png"], ["file", "file"], ["one"]]),
        ("Forms.raw(cat, x_note='n', page=2)", [25604, "n", 2]),
        ("Forms.maybe()", [None, None]),
        ("Forms.maybe(text='')", [None, None]),
        ("Forms.many(cat, [], ['a'])", [["cat.png"], [], ["a"]]),
        ("Forms.maybe(text='t & u = v')", [None, "t & u = v"]),
        ("Forms.maybe(text=None, file=cat)", ["cat.png", None]),
        ("Forms.card(title='t', tags=['a', 'b'], **{'class': 'c'})", {"title": "t", "size": 1, "tags": ["a", "b"], "kind": "c"}),
        ("Forms.card(Card(title='t', size=2))", {"title": "t", "size": 2, "tags": [], "kind": "plain"}),
        ("Forms.card(card={'title': 't'})", {"title": "t", "size": 1, "tags": [], "kind": "plain"}),
        ("Forms.sheet(title='t', page=cat)[:3]", ["t", "cat.png", "image/png"]),
        ("Forms.sheet(Sheet(title='t', page=UploadFile(io.BytesIO(b'abc'), filename='u')))[:2]", ["t", "u"]),
        ("Forms.beside(cat, Base(language='en'), [1.5, 2])", ["cat.png", "en", None, [1.5, 2.0]]),
        ("Forms.beside(cat, about={'author': 'é'}, numbers='[1]')", ["cat.png", None, "é", [1.0]]),
        ("Forms.inner(no=1, nm='x', f=cat)", [1, "x", "cat.png"]),
        ("Forms.item('a b', cat)[:2]", ["a b", "cat.png"]),
        ("Forms.submit.one(cat, n=5).get()[5]", 5),
        ("list(Forms.stream.lines(b'one two'))", ["one", "two"]),
        ("[x async for x in Forms.stream.lines(b'one two')]", ["one", "two"]),
        ("Forms.one.map([cat, b'abc', (b'abcd', 'second')])[2][2:5:2]", [4, "second"]),
        ("(await Forms.aio.one(cat))[:2]", ["cat.png", "image/png"]),
        ("len({tuple(x) for x in Forms.raw.map([opened] * 8)})", 1),
        ("Forms.bare([1, 'a'])", ["1", "a"]),  # FastAPI takes a bare list for a form
        ("by_name.one(cat, title='x')[:5:2]", ["cat.png", 25604, "x"]),
        ("by_name.many(files=[cat, b'x'], words=['a', 'b'])", [["cat.png", "file"], [], ["a", "b"]]),
        ("by_name.beside(cat, {'language': 'en'}, [1.5])", ["cat.png", "en", None, [1.5]]),
        ("by_name.raw(data=cat, x_note='n', page=2)", [25604, "n", 2]),
        ("by_name.card(title='t', tags=['a'])", {"title": "t", "size": 1, "tags": ["a"], "kind": "plain"}),
        ("by_name.item(name='a b', file=cat)[:2]", ["a b", "cat.png"]),
    ],
)  # fmt: skip
def test_a_form_arrives_as_it_was_given(forms: Kernel, call: str, value: object) -> None:
    assert ast.literal_eval(forms.run(call).ok().result) == value


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        ("one('cat.png')", "one(): argument 'file' is text, but the endpoint takes a file", "give pathlib.Path('cat.png')"),
        ("one('https://x/y.png')", "is text, but the endpoint takes a file", "download it first"),
        ("one(Path('dog.png'))", "there is no file 'dog.png'", "this process is in"),
        ("one(Path('.'))", "is the folder '.', not a file", ""),
        ("one(open('cat.png'))", "is a file that was opened as text", 'open it with "rb"'),
        ("one(io.StringIO('x'))", "is a file that was opened as text", ""),
        ("one([cat, cat])", "takes one file, not a list of 2", "pathlib.Path"),
        ("one(3)", "is a int, but the endpoint takes a file", "pathlib.Path"),
        ("one(('a\\r\\nX: y', b'x'))", "argument 'file' has a file name with '\\r' in it", "a name is one line"),
        ("one(('a', b'x', 'image'))", "has an invalid content type, 'image'", "image/png"),
        ("one(('a', 'text'))", "is a tuple with text for the file's bytes", "'text'.encode()"),
        ("one(cat, titel='x')", "got an unexpected keyword argument 'titel'", "did you mean title?"),
        ("one()", "missing a required argument: 'file'", "UploadFile, title: str = 'none', n: int = 3, on: bool = False)"),
        ("one(cat, n=None)", "argument 'n' is sent in a form, which cannot hold None", "leave it out"),
        ("one(cat, '')", "the endpoint would get its default, 'none'", "leave it out"),
        ("one(cat, '\\ud800')", "half a character", ""),
        ("many([], words=['x'])", "argument 'files' is empty", ""),
        ("many([cat, 'x'], words=['x'])", "argument 'files'[1] is text, but the endpoint takes a file", "pathlib.Path('x')"),
        ("by_name.one('cat.png')", "argument 'file' is text, but the endpoint takes a file", "give pathlib.Path('cat.png')"),
        ("by_name.one(cat, titel='x')", "got an unexpected keyword argument 'titel'", "did you mean title?"),
        ("card(titel='x')", "Card has no field 'titel'", "did you mean title?"),
        ("one.map([('a.png', b'x', 'image/png')])", "argument 'file' is text, but the endpoint takes a file", ""),
    ],
)  # fmt: skip
def test_what_is_no_file_or_does_not_fit_is_refused_by_name(forms: Kernel, call: str, message: str, hint: str) -> None:
    ran = forms.run(call if call.startswith("by_name") else f"Forms.{call}")

    assert ran.ename == "BadArguments", ran.traceback
    assert message in ran.evalue
    assert hint in ran.evalue


def test_a_large_file_is_sent_piece_by_piece(forms: Kernel) -> None:
    ran = forms.run(
        """import tracemalloc
big = Path("big.bin"); os.truncate(os.open(big, os.O_CREAT | os.O_RDWR), 24 << 20)
tracemalloc.start()
sent = [Forms.raw(big)[0], (await Forms.aio.raw(big.open("rb")))[0]]
most = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
[sent, most < 8 << 20]"""
    )

    assert ran.ok().result == str([[24 << 20] * 2, True])


@pytest.mark.long  # tests/gateway has the gateway's limit
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(forms: Kernel) -> None:
    forms.run("huge = Path('huge.bin'); os.truncate(os.open(huge, os.O_CREAT | os.O_RDWR), 300 << 20)").ok()

    for call in (
        "Forms.raw(huge)",
        "await Forms.aio.raw(huge)",
        "Forms.submit.raw(huge)",
        "list(Forms.stream.lines(huge))",
    ):
        assert "the body is larger than 268435456 bytes" in forms.run(call).evalue, call
