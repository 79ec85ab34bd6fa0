"""Streams and websocket sessions of an app, from later cells of a real kernel."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from tests.support.kernel import Kernel

APP = """%%fal_app
import asyncio, time
from pathlib import Path
from typing import AsyncIterator, Iterator
from fastapi import WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

class Word(BaseModel):
    text: str

class Chat(fal.App):
    max_multiplexing = 8

    @fal.endpoint("/stream")
    def chat(self, text: str, pause: float = 0.0):
        def events():
            for number, word in enumerate(text.split()):
                print("says", word)
                yield f": a comment\\nevent: word\\ndata: {{\\"number\\": {number}, \\"word\\": \\"{word}\\"}}\\n\\n"
                time.sleep(pause)
            print("says no more", end="")
        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/lines")
    def lines(self, n: int):
        for number in range(n):
            yield {"n": number}

    @fal.endpoint("/plain")
    def plain(self) -> dict:
        return {"a": 1}

    @fal.endpoint("/breaks")
    def breaks(self):
        def events():
            yield "data: 1\\n\\n"
            raise ValueError("in the middle")
        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/dies")
    def dies(self):
        def events():
            yield "data: 1\\n\\n"
            import os
            os._exit(7)
        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/fails")
    def fails(self) -> dict:
        raise ValueError("at once")

    @fal.endpoint("/endless")
    async def endless(self, mark: str):
        async def events():
            try:
                while True:
                    yield "data: 1\\n\\n"
                    await asyncio.sleep(0.01)
            finally:
                Path(mark).write_text("ended")
        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.realtime("/talk", session_timeout=5)
    def talk(self, word: Word) -> Word:
        print("heard", word.text)
        if word.text == "fail":
            raise RuntimeError("no such word")
        return Word(text=word.text[::-1])

    @fal.endpoint("/silent")
    async def silent(self):
        async def events():
            yield "data: 1\\n\\n"
            await asyncio.sleep(60)
        return StreamingResponse(events(), media_type="text/event-stream")

    @fal.endpoint("/wait")
    async def wait(self) -> None:
        await asyncio.sleep(60)

    @fal.realtime("/slow")
    def slow(self, word: Word) -> Word:
        time.sleep(60)
        return word

    @fal.realtime("/brief", session_timeout=0.2)
    def brief(self, word: Word) -> Word:
        return word

    @fal.realtime("/count", session_timeout=5)
    def count(self, word: Word) -> Iterator[dict]:
        for letter in word.text:
            yield {"letter": letter}

    @fal.endpoint("/echo", is_websocket=True)
    async def echo(self, ws: WebSocket):
        await ws.accept()
        while (text := await ws.receive_text()) != "stop":
            await ws.send_text(text + ws.query_params.get("tail", ""))
        await ws.close(4000, "as you say")

    @fal.endpoint("/loud", is_websocket=True)
    async def loud(self, ws: WebSocket):
        print("comes")
        await ws.accept()
        while (text := await ws.receive_text()) != "off":
            print("[2] hears", text)
            await ws.send_text(text)
        print("hears", text)
        await ws.send_text("the last one")
        print("bye")

    @fal.endpoint("/last", is_websocket=True)
    async def last(self, ws: WebSocket):
        await ws.accept()
        while (text := await ws.receive_text()) != "off":
            await ws.send_text(text)
        await ws.send_text("the last one")

    @fal.endpoint("/bye", is_websocket=True)
    async def bye(self, ws: WebSocket):
        await ws.accept()
        while (text := await ws.receive_text()) != "stop":
            await ws.send_text(text)
        await ws.close()
"""


@pytest.fixture(scope="module")
def chat(notebook: Kernel) -> Kernel:
    notebook.run(APP).ok()
    return notebook


def test_events_come_one_by_one_with_what_is_printed_between(chat: Kernel) -> None:
    cell = chat.run(
        "import time\nbegan, seen = time.monotonic(), []\n"
        "for event in Chat.stream.chat('one two three', pause=0.3):\n"
        "    seen.append(time.monotonic() - began)\n    print(event)\n"
        "assert seen[0] < seen[2] - 0.4, seen\n"
    ).ok()
    assert "{'number': 0, 'word': 'one'}" in cell.text
    assert cell.text.index("says one") < cell.text.index("'one'") < cell.text.index("says three")
    assert cell.text.endswith("says no more")
    assert "chat" in cell.html  # its timing, under the cell


def test_every_kind_of_answer_streams(chat: Kernel) -> None:
    chat.run(
        "assert [e['word'] async for e in Chat.stream.chat('a b')] == ['a', 'b']\n"
        "assert list(Chat.stream.lines(3)) == [{'n': 0}, {'n': 1}, {'n': 2}]\n"
        "assert list(Chat.stream.plain()) == [{'a': 1}]\n"
    ).ok()


def test_a_loop_that_is_left_ends_the_request(chat: Kernel, tmp_path: Path) -> None:
    chat.run(
        f"from pathlib import Path\nmark = Path({str(tmp_path)!r}) / 'mark'\n"
        "for event in Chat.stream.endless(str(mark)):\n    break\n"
        "import time\nfor _ in range(500):\n    if mark.exists(): break\n    time.sleep(0.02)\n"
        "assert mark.read_text() == 'ended'\n"
    ).ok()


@pytest.mark.parametrize(("endpoint", "line"), [("breaks", "in the middle"), ("fails", "at once")])
def test_a_failure_has_the_users_own_traceback(chat: Kernel, endpoint: str, line: str) -> None:
    cell = chat.run(f"got = []\nfor event in Chat.stream.{endpoint}():\n    got.append(event)")
    assert cell.ename == "RequestError"
    assert f'raise ValueError("{line}")' in cell.traceback
    assert "fal_jupyter/" not in cell.traceback
    assert cell.shown.startswith("failed, broke off after " if endpoint == "breaks" else "failed 500 ")
    chat.run(f"assert got == {[1] if endpoint == 'breaks' else []}").ok()


@pytest.mark.parametrize("call", ["for event in Chat.stream.dies(): print(event)", "Chat.dies()"])
def test_an_answer_of_a_crashed_runner_reports_that_without_its_body(chat: Kernel, call: str) -> None:
    cell = chat.run(call)

    assert cell.ename == "RequestError"
    assert "answered 503: the runner" in cell.traceback
    assert "data: 1" not in cell.traceback
    assert "{" not in cell.evalue


def test_a_call_whose_answer_breaks_off_shows_the_users_error_alone(chat: Kernel) -> None:
    chat.run(
        "try: Chat.breaks()\nexcept Exception as error: caught = error\n"
        "assert str(caught) == 'ValueError: in the middle', str(caught)\n"
        "assert caught.detail == 'the answer broke off before its end', caught.detail\n"
    ).ok()


REFUSED = """
errors = []
try: Brief.hi()
except Exception as error: errors.append(error)
try:
    with Brief.realtime.talk() as ws: pass
except Exception as error: errors.append(error)
try:
    async with Brief.realtime.talk() as ws: pass
except Exception as error: errors.append(error)
call, *sessions = [
    (type(e).__name__, str(e).replace(".talk", ".hi"), e.status, e.error_type, e.hint, e.traceback) for e in errors
]
"""
BRIEF = """%%fal_app
class Brief(fal.App):
    def setup(self):
        {setup}

    @fal.endpoint("/")
    def hi(self) -> str:
        return "hi"

    @fal.realtime("/talk")
    def talk(self, word: dict) -> dict:
        return word
"""


@pytest.mark.parametrize(
    ("setup", "end", "expected"),
    [
        ("pass", "%fal stop brief", "Brief.hi answered 404: the app"),
        ("raise OSError('no weights')", "", "setup() raised OSError: no weights"),
    ],
)
def test_a_session_is_refused_as_a_call_is(chat: Kernel, setup: str, end: str, expected: str) -> None:
    chat.run(BRIEF.format(setup=setup))
    chat.run(f"{end}\n{REFUSED}").ok()
    chat.run(f"assert call[1].startswith({expected!r}), call\nassert sessions == [call, call], (call, sessions)").ok()


HEARD = ["heard abc", "heard abc", "heard def", "heard é"]


def test_a_session_is_a_with_block(chat: Kernel) -> None:
    cell = chat.run(
        "with Chat.realtime.talk() as ws:\n"
        "    ws.send({'text': 'abc'})\n    first = ws.recv()\n"
        "    ws.send(Word(text='é'))\n    second = ws.recv()\n"
        "assert isinstance(first, Word) and (first.text, second.text) == ('cba', 'é')\n"
        "with Chat.realtime.count() as ws:\n    ws.send({'text': 'xyz'})\n    print([e['letter'] for e in ws])\n"
        "async with Chat.realtime.talk() as ws:\n"
        "    await ws.send({'text': 'abc'})\n    print((await ws.arecv()).text)\n"
        "    await ws.send({'text': 'def'})\n    print((await ws.recv(timeout=30)).text)\n"
    ).ok()
    wanted = ["['x', 'y', 'z']", "cba", "fed", *HEARD]
    assert not [line for line in wanted if line not in cell.text]
    # print writes a line and its end one after the other, and another thread between them
    assert sorted(cell.text) == sorted("".join(f"{line}\n" for line in wanted))


@pytest.mark.parametrize("awaited", [False, True], ids=["plain", "awaited"])
def test_what_a_session_prints_is_shown_below_its_cell_as_it_comes(chat: Kernel, awaited: bool) -> None:
    begin, wait = ("async with", "await ") if awaited else ("with", "")
    cell = chat.start(
        f"import asyncio, time\n{begin} Chat.realtime.loud() as ws:\n    {wait}ws.send('on')\n    {wait}ws.recv()\n"
        f"    for _ in range(100): {'await asyncio.sleep(0.02)' if awaited else 'time.sleep(0.02)'}\n"
        f"    {wait}ws.send('off')\nprint('over')"
    )
    chat.finish(cell, until=lambda found: "[2] hears on" in found.text and "over" not in found.text)
    result = chat.finish(cell).ok()
    assert result.text.splitlines()[-3:] == ["hears off", "bye", "over"]
    assert chat.run("1").ok().text == ""


@pytest.mark.parametrize("rounds", [100, pytest.param(700, marks=pytest.mark.long)])
def test_sessions_closed_by_both_sides_at_once_print_nothing(chat: Kernel, rounds: int) -> None:
    cell = chat.run(
        f"import sys\nsys.setswitchinterval(1e-6)  # it is a race of threads\nfor _ in range({rounds}):\n"
        "    with Chat.realtime.last() as ws:\n        ws.send('on'); ws.recv(); ws.send('off')\nsys.setswitchinterval(0.005)"
    ).ok()
    assert cell.text == ""


def test_what_was_printed_before_the_session_was_accepted_is_shown(chat: Kernel) -> None:
    cell = chat.run("with Chat.realtime.loud() as ws:\n    ws.send('off')\n    ws.recv()").ok()
    assert cell.text.splitlines() == ["comes", "hears off", "bye"]


def test_a_failed_session_has_the_users_own_traceback(chat: Kernel) -> None:
    for code in (
        "with Chat.realtime.talk() as ws:\n    ws.send({'text': 'fail'})\n    ws.recv()",
        "async with Chat.realtime.talk() as ws:\n    await ws.send({'text': 'fail'})\n    await ws.arecv()",
    ):
        cell = chat.run(code)
        assert (cell.ename, "no such word" in cell.evalue) == ("RequestError", True)
        assert 'raise RuntimeError("no such word")' in cell.traceback


def test_a_raw_websocket_has_text_and_parameters(chat: Kernel) -> None:
    cell = chat.run(
        "with Chat.realtime.echo(tail='!') as ws:\n    ws.send('hi')\n    print(ws.recv())\n    ws.send('stop')\n    ws.recv()"
    )
    assert cell.text == "hi!\n"
    assert "closed with 4000 as you say" in cell.evalue


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("Chat.talk({'text': 'x'})", "with Chat.realtime.talk() as ws"),
        ("Chat.stream.talk", "has no endpoint 'talk'"),
        ("Chat.realtime.chat", "has no endpoint 'chat'"),
        ("Chat.realtime.talk(5)", "by name only"),
        ("with Chat.realtime.talk() as ws:\n    ws.send(5)", "is a dict or a pydantic model"),
        ("s = Chat.stream.plain(); list(s); list(s)", "begun already"),
        ("ws = Chat.realtime.talk()\nws.send({'text': 'a'})", "use it with: with Chat.realtime.talk() as ws"),
        ("ws = Chat.realtime.talk()\nws.recv()", "use it with: with Chat.realtime.talk() as ws"),
        ("async with Chat.realtime.talk() as ws:\n    for output in ws: pass", "use it with: async for … in ws"),
        ("with Chat.realtime.talk() as ws:\n    await ws.arecv()", "use it with: ws.recv()"),
        ("with Chat.realtime.talk() as ws:\n    ws.send({'a': object()})", "the input of talk['a'] is a object, which"),
        ("with Chat.realtime.talk() as ws:\n    ws.send({'a': [1, {'b': {2}}]})", "talk['a'][1]['b'] is a set, which"),
        ("with Chat.realtime.talk() as ws:\n    ws.send({'a': 2 ** 70})", "the input of talk['a'] cannot be sent: "),
        ("async with Chat.realtime.talk() as ws:\n    await ws.send({'a': object()})", "talk['a'] is a object, which"),
        (
            "with Chat.realtime.talk() as ws:\n    ws.recv(timeout=0.1)",
            "no output of Chat.realtime.talk() came within 0.1 s",
        ),
        (
            "with Chat.realtime.talk() as ws: pass\nws.send({'text': 'a'})",
            "has ended, so nothing can be sent: its with",
        ),
    ],
)
def test_wrong_use_is_a_clear_error(chat: Kernel, code: str, sentence: str) -> None:
    cell = chat.run(code)
    assert cell.status == "error"
    assert sentence in cell.evalue
    assert "site-packages" not in cell.traceback
    assert "fal_jupyter/" not in cell.traceback or cell.ename == "AttributeError"


@pytest.mark.parametrize(
    ("call", "first", "sentence"),
    [
        ("brief()", "{'text': 'a'}", "nothing can be sent: no input came for as long as its session_timeout"),
        ("talk()", "{'text': 'fail'}", "RuntimeError: no such word"),
        ("echo()", "'stop'", "closed with 4000 as you say"),
        ("bye()", "'stop'", "nothing can be sent: the endpoint closed it (1000)"),
    ],
)
@pytest.mark.parametrize("awaited", [False, True], ids=["plain", "awaited"])
def test_a_late_input_raises_an_error_with_the_reason_of_the_sessions_end(
    chat: Kernel, call: str, first: str, sentence: str, awaited: bool
) -> None:
    begin, wait = ("async with", "await ") if awaited else ("with", "")
    pause = "await asyncio.sleep(0.02)" if awaited else "time.sleep(0.02)"
    cell = chat.run(
        f"import asyncio, time\n{begin} Chat.realtime.{call} as ws:\n    for _ in range(500):\n"
        f"        {wait}ws.send({first})\n        {pause}\n        if 'brief' in {call!r}: time.sleep(0.5)\n"
    )
    assert cell.ename == "RequestError"
    assert sentence in cell.traceback.replace("raise RuntimeError", "RuntimeError")
    assert "fal_jupyter/" not in cell.traceback
    assert "site-packages" not in cell.traceback


def test_outputs_that_were_not_read_before_the_end_can_still_be_read(chat: Kernel) -> None:
    cell = chat.run(
        "import time, fal_jupyter\nwith Chat.realtime.bye() as ws:\n    ws.send('one')\n    ws.send('stop')\n    time.sleep(0.5)\n"
        "    try:\n        ws.send('late')\n    except fal_jupyter.RequestError as error:\n        print(type(error).__name__)\n"
        "    print(list(ws))\nprint(ws)"
    ).ok()
    assert cell.text == "RequestError\n['one']\n<session Chat.realtime.bye(): with … as ws>\n"


# ipykernel hears of an interrupt when its loop wakes up for something else
AWAKE = """import asyncio
async def stay_awake():
    for _ in range(600): await asyncio.sleep(0.05)
awake = asyncio.ensure_future(stay_awake())
"""
INTERRUPTED = {
    "Chat.stream.endless()": "for event in Chat.stream.endless('/dev/null'):\n    if not said: print('.'); said = True",
    "Chat.stream.silent()": "print('.')\nfor event in Chat.stream.silent(): pass",
    "Chat.stream.silent() awaited": "print('.')\nasync for event in Chat.stream.silent(): pass",
    "Chat.realtime.talk()": "with Chat.realtime.talk() as ws:\n    print('.')\n    ws.recv()",
    "Chat.realtime.talk() awaited": "async with Chat.realtime.talk() as ws:\n    print('.')\n    await ws.recv()",
    "Chat.realtime.slow()": "with Chat.realtime.slow() as ws:\n    ws.send({'text': 'a'})\n    print('.')\n    ws.recv()",
    "Chat.wait()": "print('.')\nChat.wait()",
    "Chat.wait() awaited": "print('.')\nawait Chat.aio.wait()",
}


@pytest.mark.parametrize("what", INTERRUPTED)
def test_an_interrupt_is_one_line(chat: Kernel, what: str) -> None:
    cell = chat.start("said = False\n" + (AWAKE if "awaited" in what else "") + INTERRUPTED[what])
    chat.finish(cell, until=lambda found: "." in found.text)
    time.sleep(0.3)  # it waits inside by then
    chat.interrupt()
    began = time.monotonic()
    result = chat.finish(cell)
    kind = "CancelledError" if "awaited" in what else "KeyboardInterrupt"
    assert result.traceback == f"{kind}: {what.split()[0]} was cancelled"
    assert time.monotonic() - began < 5


def test_an_interrupt_ends_a_stream(chat: Kernel, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    cell = chat.start(f"for event in Chat.stream.endless({str(mark)!r}):\n    print('.')")
    chat.finish(cell, until=lambda found: "." in found.text)
    chat.interrupt()
    assert chat.finish(cell).ename == "KeyboardInterrupt"
    chat.run(
        f"mark = Path({str(mark)!r})\nfor _ in range(500):\n    if mark.exists(): break\n    time.sleep(0.02)\nassert mark.exists()"
    ).ok()
    chat.run("assert Chat.plain() == {'a': 1}").ok()


LASTING = """%%fal_app
from fastapi import WebSocket
class Lasting(fal.App):
    def setup(self):
        self.version = VERSION

    @fal.endpoint("/raw", is_websocket=True)
    async def raw(self, ws: WebSocket):
        await ws.accept()
        async for _ in ws.iter_text():
            await ws.send_text(str(self.version))

    @fal.realtime("/realtime")
    def again(self, given: dict) -> dict:
        return {"version": self.version}
"""


@pytest.mark.parametrize("replacements", [2, pytest.param(8, marks=pytest.mark.long)])
@pytest.mark.parametrize("path", [pytest.param("/raw", marks=pytest.mark.long), "/realtime"])
def test_a_sender_is_notified_that_the_app_is_restarting_when_the_cell_is_changed(
    notebook: Kernel, path: str, replacements: int
) -> None:
    async def until_closed(edit: str) -> tuple[int | None, str | None]:
        message = "x" if path == "/raw" else b"\x81\xa1a\x01"  # {"a": 1}
        address, headers = url.replace("http:", "ws:") + path, {"authorization": f"Key {key}"}
        async with connect(address, additional_headers=headers) as ws:
            await ws.send(message)
            await ws.recv()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.to_thread(lambda: notebook.run(edit).ok()))
                tasks.create_task(read_all(ws))
                while ws.state is State.OPEN:
                    with suppress(ConnectionClosed):
                        await ws.send(message)
                        await asyncio.sleep(0)
            return ws.close_code, ws.close_reason

    async def read_all(ws: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for _ in ws:
                pass

    notebook.run(LASTING.replace("VERSION", "0")).ok()
    url, key = notebook.run("print(Lasting.url, Lasting.key)").ok().text.split()
    for version in range(1, replacements + 1):
        ended = asyncio.run(until_closed(LASTING.replace("VERSION", str(version))))
        assert ended == (1012, "the app is restarting")


def test_a_way_of_calling_is_spelled_after_the_endpoint_as_well(chat: Kernel) -> None:
    run = chat.run
    streamed = run("for event in Chat.lines.stream(n=2): print(event)").ok()
    assert streamed.text == "{'n': 0}\n{'n': 1}\n"
    assert run("(Chat.plain.submit().get(), await Chat.plain.aio(), Chat.plain.map([()]))").ok().result == str(
        ({"a": 1}, {"a": 1}, [{"a": 1}])
    )
    talk = run("with Chat.talk.realtime() as ws:\n    ws.send({'text': 'ab'})\n    print(ws.recv())").ok()
    assert "text='ba'\n" in talk.text  # what the runner prints may come before it or after it
    mistyped = run("Chat.plain.sream()")
    assert mistyped.ename == "AttributeError"
    assert mistyped.evalue.endswith("did you mean Chat.plain.stream?")
    run("Chat.plain.__wrapped__.stream = 'the method has one of its own'").ok()
    assert run("Chat.plain.stream").ok().result == "'the method has one of its own'"
    run("del Chat.plain.stream").ok()


def test_completion_and_help_name_the_ways_of_calling(chat: Kernel) -> None:
    ways = ["aio", "map", "stream", "submit"]
    for cell, expected in (("Chat.lines.", ways), ("Chat.lines.st", ["stream"]), ("Chat.talk.", ["realtime"])):
        chat.client.complete(cell, len(cell))
        reply = chat.client.get_shell_msg(timeout=30)
        while reply["msg_type"] != "complete_reply":
            reply = chat.client.get_shell_msg(timeout=30)
        found = [word.rpartition(".")[2] for word in reply["content"]["matches"]]
        assert [word for word in found if not word.startswith("_")] == expected
    result = chat.run("print(get_ipython().inspector._get_info(Chat.lines)['text/plain'])").ok()
    assert all(f"Chat.lines.{way}(" in result.text for way in ways)
    assert "{" not in result.text.partition("Docstring:")[2]


def test_a_call_of_a_generator_returns_a_list_and_explains_once_how_to_stream(chat: Kernel) -> None:
    first, second = chat.run("Chat.lines(n=2)").ok(), chat.run("Chat.lines(n=2)").ok()
    assert first.result == second.result == "[{'n': 0}, {'n': 1}]"
    assert "streams: use Chat.stream.lines" in first.shown
    assert "streams" not in second.shown
