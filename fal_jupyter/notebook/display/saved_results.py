"""What calls of an app gave, small enough to be saved with a notebook: the newest result, and thumbnails of pictures."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from fal_jupyter.commands.numbers import plural, size
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.fal.toolkit.utils.fetching import local_bytes
from fal_jupyter.fal.toolkit.utils.thumbnails import thumbnail
from fal_jupyter.notebook.calls.pictures import IMAGES
from fal_jupyter.protocol.feed import Body, Display, Picture, RequestDetail, RequestState, SavedOutput

if TYPE_CHECKING:
    from fal_jupyter.client.client import Client

MOST_OUTPUTS: Final = 6
MOST_PICTURES: Final = 4  # thumbnails of one output
THUMBNAILS: Final = 48_000  # characters of all of them, in base64
LARGEST: Final = 16 << 20  # bytes of a picture that is read
INPUT_KEPT: Final = 2000  # characters
OUTPUT_KEPT: Final = 4000
WORDS: Final = 120  # characters of an input in a line
LINES_KEPT: Final = 10
DEEPEST: Final = 6
MOST_LOOKED_AT: Final = 5000


class SavedResults:
    """What is known of one app's calls, by request: asked once each, since a call that is over does not change."""

    def __init__(self) -> None:
        self._known: dict[str, SavedOutput | None] = {}
        self._last: RequestDetail | None = None

    def add_to(self, picture: Picture, client: Client) -> Picture:
        """The picture with ``outputs`` and ``last``; what the gateway does not know any more is left out."""
        ended = picture["requests"]
        chosen = next((one for one in ended if one["origin"] == "panel"), ended[0] if ended else None)
        for request in ended:
            is_last = chosen is not None and request["id"] == chosen["id"]
            stale = is_last and (self._last is None or self._last["request"]["id"] != request["id"])
            if not stale and (request["id"] in self._known or not _may_give_pictures(request)):
                continue
            try:
                detail = client.request(request["id"])
            except (OSError, FalJupyterError, ValueError):
                continue
            self._known[request["id"]] = output_of(detail, lambda found=detail: _whole(client, found))  # type: ignore[misc]
            if is_last:
                self._last = shortened(detail)
        found = sorted((one for one in self._known.values() if one is not None), key=lambda one: -one["began"])
        self._known = {
            **{request["id"]: self._known.get(request["id"]) for request in ended if request["id"] in self._known},
            **{one["id"]: one for one in found[:MOST_OUTPUTS]},
        }
        return {**picture, "outputs": bounded(found[:MOST_OUTPUTS]), "last": self._last}


def _may_give_pictures(request: RequestState) -> bool:
    kind = _base(request["content_type"])
    return 200 <= request["status"] < 300 and (
        kind.endswith("json") or kind == "text/event-stream" or kind.partition("/")[0] in ("image", "audio", "video")
    )


def _whole(client: Client, detail: RequestDetail) -> bytes | None:
    """All bytes of an answer that is held for the panels."""
    if not detail["held"] or detail["request"]["bytes_out"] > LARGEST:
        return None
    try:
        answer = client.ask_raw("GET", f"/admin/requests/{detail['request']['id']}/answer")
        return b"".join(answer) if answer.status == 200 else None
    except (OSError, FalJupyterError):
        return None


def _base(content_type: str) -> str:
    return content_type.split(";")[0].strip().lower()


# --- outputs ----------------------------------------------------------------------------------------------------------
def output_of(detail: RequestDetail, whole: Callable[[], bytes | None] = lambda: None) -> SavedOutput | None:
    """What a call gave to look at, or None. *whole* gives the bytes of an answer that the record has the beginning of."""
    request, given = detail["request"], value_of(detail["input"])
    if not 200 <= request["status"] < 300:
        return None

    pictures: list[Display] = []
    others: list[str] = []
    for kind, data, name in _media(detail, whole):
        drawn = thumbnail(data) if data is not None and len(pictures) < MOST_PICTURES else None
        if drawn is not None:
            form, small, (width, height) = drawn
            words = f"{name or kind}, {width} × {height}, {size(len(data or b''))}"
            pictures.append(Display(content_type=form, base64=base64.b64encode(small).decode(), text=words))
        else:
            others.append(f"{name or kind}, {size(len(data))}" if data is not None else name or kind)
    if not pictures and not others:
        return None
    answered = value_of(detail["output"])
    seed = answered.get("seed") if isinstance(answered, dict) else None
    seed = given.get("seed") if seed is None and isinstance(given, dict) else seed
    return SavedOutput(
        id=request["id"],
        path=request["path"][:WORDS],
        began=request["began"],
        total_ms=request["total_ms"],
        revision=request["revision"],
        input=words_of(
            {name: one for name, one in given.items() if name != "seed"} if isinstance(given, dict) else given
        ),
        seed="" if seed is None or isinstance(seed, (dict, list)) else str(seed)[:40],
        pictures=pictures,
        others=[name[:WORDS] for name in others[:MOST_PICTURES]]
        + ([f"{plural(len(others) - MOST_PICTURES, 'file')} more"] if len(others) > MOST_PICTURES else []),
    )


def bounded(outputs: list[SavedOutput]) -> list[SavedOutput]:
    """The same, without the thumbnails of older ones that are more than a notebook shall keep."""
    left, kept = THUMBNAILS, []
    for one in outputs:
        pictures = []
        for picture in one["pictures"]:
            fits = len(picture["base64"]) <= left
            left -= len(picture["base64"]) if fits else 0
            pictures.append(picture if fits else Display(content_type="", base64="", text=picture["text"]))
        kept.append(cast("SavedOutput", {**one, "pictures": pictures}))
    return kept


def _media(detail: RequestDetail, whole: Callable[[], bytes | None]) -> Iterator[tuple[str, bytes | None, str]]:
    """Type, bytes where they can be had, and name of each picture, sound and film that a call gave or displayed."""
    for shown in detail["displays"]:
        if shown["content_type"].startswith("image/"):
            yield shown["content_type"], base64.b64decode(shown["base64"]) if shown["base64"] else None, "displayed"
    kind, body = _base(detail["request"]["content_type"]), detail["output"]
    if kind.partition("/")[0] in ("image", "audio", "video"):
        data = base64.b64decode(body["base64"]) if body is not None and not body["truncated"] else whole()
        yield kind, data if data else None, ""
        return
    for found, address, name in itertools.islice(files_in(value_of(body)), 24):
        yield found, local_bytes(address, LARGEST) if found in IMAGES else None, name


def files_in(value: Any) -> Iterator[tuple[str, str, str]]:
    """Type, address and name of each picture, sound and film that a value names, in its order."""
    looked, seen = 0, set()
    rest: list[tuple[Any, int]] = [(value, 0)]
    while rest and (looked := looked + 1) <= MOST_LOOKED_AT:
        one, depth = rest.pop()
        url, kind, name = one, "", ""
        if isinstance(one, dict):
            url, kind = one.get("url"), _base(str(one.get("content_type") or ""))
            name = str(one.get("file_name") or "")
        if isinstance(url, str):
            if url[:5].lower() == "data:":
                kind = _base(url[5:200].partition(",")[0])
            if (
                url[:5].lower() in ("data:", "http:", "https")
                and kind.partition("/")[0] in ("image", "audio", "video")
                and url not in seen
            ):
                seen.add(url)
                yield (
                    kind,
                    url,
                    name if "." in name and len(name.partition(".")[0]) < 32 else "",
                )  # fal's made-up names say nothing
        elif isinstance(one, (dict, list)) and depth < DEEPEST:
            parts = list(one.values()) if isinstance(one, dict) else one
            rest += [(part, depth + 1) for part in reversed(parts[:MOST_LOOKED_AT])]


# --- words ------------------------------------------------------------------------------------------------------------
def value_of(body: Body | None) -> Any:
    """The value of a kept body of JSON (of a stream: its last event), None where there is none."""
    if body is None or body["truncated"] or not body["text"]:
        return None
    text = body["text"]
    if _base(body["content_type"]) == "text/event-stream":
        last = text.replace("\r\n", "\n").rstrip().split("\n\n")[-1]
        text = "\n".join(line[5:].removeprefix(" ") for line in last.split("\n") if line.startswith("data:"))
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def words_of(given: Any) -> str:
    """An input in a line: its first text, then the rest by name; files are named only."""
    if not isinstance(given, dict):
        return "" if given is None else _word(given)[:WORDS]
    entries = [(name, one) for name, one in given.items() if one not in (None, "", [], {})]
    entries.sort(key=lambda pair: not isinstance(pair[1], str) or _is_file(pair[1]))
    words = [
        _word(one) if at == 0 and isinstance(one, str) and not _is_file(one) else f"{name} {_word(one)}"
        for at, (name, one) in enumerate(entries[:20])
    ]
    line = " ".join(" · ".join(words).split())
    return line if len(line) <= WORDS else line[: WORDS - 1] + "…"


def _is_file(text: str) -> bool:
    return text[:5].lower() in ("data:", "http:", "https")


def _word(value: Any) -> str:
    named = _files_named(value)
    return named[:WORDS] if isinstance(named, str) else json.dumps(named, ensure_ascii=False)[:WORDS]


def _files_named(value: Any, depth: int = 0) -> Any:
    """The value with the names of its files in place of their addresses and bytes."""
    if isinstance(value, str):
        return "a file" if _is_file(value) else value
    if isinstance(value, dict) and isinstance(value.get("url"), str) and _is_file(value["url"]):
        name = value.get("file_name")
        return name if isinstance(name, str) and name else "a file"
    if depth < DEEPEST and isinstance(value, dict):
        return {name: _files_named(one, depth + 1) for name, one in value.items()}
    if depth < DEEPEST and isinstance(value, list):
        return [_files_named(one, depth + 1) for one in value]
    return value


def shortened(detail: RequestDetail) -> RequestDetail:
    """A result with as much of its bodies, error and lines as a notebook shall keep."""
    error = detail["error"]
    if error is not None:
        error = {
            **error,
            "message": error["message"][:300],
            "text": error["text"][-OUTPUT_KEPT:],
            "frames": [{**frame, "line": frame["line"][:200]} for frame in error["frames"][-LINES_KEPT:]],
        }
    request = detail["request"]
    return {
        "request": {**request, "path": request["path"][:300], "error": request["error"][:300]},
        "query": detail["query"][:300],
        "input": _beginning(detail["input"], INPUT_KEPT),
        "output": _beginning(detail["output"], OUTPUT_KEPT),
        "error": error,
        "logs": [{**line, "text": line["text"][:300]} for line in detail["logs"][-LINES_KEPT:]],
        "displays": [],
        "held": False,
    }


def _beginning(body: Body | None, most: int) -> Body | None:
    if body is None:
        return None
    if body["base64"]:
        return {**body, "base64": "", "truncated": True}
    return {**body, "text": body["text"][:most], "truncated": body["truncated"] or len(body["text"]) > most}
