"""Results of an app's calls in a size that can be saved with a notebook: the newest result and thumbnails of images."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from fal_jupyter.commands.numbers import plural, size
from fal_jupyter.domain.errors import FalJupyterError
from fal_jupyter.domain.requests.outputs import may_give_output
from fal_jupyter.notebook.calls.answer_views import IMAGES
from fal_jupyter.protocol.feed import Body, Display, Picture, RequestDetail, SavedOutput

if TYPE_CHECKING:
    from fal_jupyter.client.client import Client

MAX_OUTPUTS: Final = 6
MAX_READ: Final = 24  # answers that are read for one snapshot; a card is saved often, so the rest is read soon
MAX_IMAGES: Final = 4  # thumbnails per output
MAX_THUMBNAIL_CHARS: Final = 48_000  # base64 characters of all thumbnails
MAX_IMAGE_BYTES: Final = 16 << 20  # bytes of an image that is read
MAX_INPUT_CHARS: Final = 2000  # characters
MAX_OUTPUT_CHARS: Final = 4000
MAX_SUMMARY_CHARS: Final = 120  # characters of an input summary
MAX_LOG_LINES: Final = 10
MAX_DEPTH: Final = 6
FILE_FIELDS: Final = frozenset({"url", "content_type", "file_name", "file_size", "file_data", "width", "height"})
MAX_VISITED: Final = 5000
_SHOWN: Final = frozenset({"image", "audio", "video"})
_FILE_FACTS: Final = frozenset(
    {"content_type", "file_name", "file_size"}
)  # one of them makes a record with a URL a file


class SavedResults:
    """Results of one app's calls by request id. Each is fetched once, as finished calls do not change."""

    def __init__(self) -> None:
        self._kept: dict[str, SavedOutput] = {}
        self._gives: dict[str, bool] = {}  # whether the answer of a request that was read has an output
        self._last: RequestDetail | None = None

    def add_to(self, snapshot: Picture, client: Client) -> Picture:
        """Return *snapshot* with ``outputs``, ``output_count`` and ``last``, without results that the gateway has dropped."""
        answers, newest = _results_of(snapshot)
        is_stale = bool(newest) and (self._last is None or self._last["request"]["id"] != newest)
        unread = [request for request in answers if request not in self._gives]
        wanted = unread[:MAX_READ]
        if is_stale and newest not in wanted:
            wanted.insert(0, newest)
        for request in wanted:
            try:
                detail = client.control.request(request)
            except (OSError, FalJupyterError, ValueError):
                continue
            if request in unread:
                self._read(detail, client)
            if is_stale and request == newest:
                self._last = shortened(detail)
        ordered = self._ordered()[:MAX_OUTPUTS]
        self._kept = {item["id"]: item for item in ordered}
        known = {*answers, *self._kept}
        self._gives = {request: gives for request, gives in self._gives.items() if request in known}
        result: Picture = {**snapshot, "outputs": bounded(ordered), "last": self._last}
        result.pop("answers", None)
        result.pop("newest", None)
        if all(request in self._gives for request in answers):
            result["output_count"] = sum(self._gives.values())
        return result

    def _read(self, detail: RequestDetail, client: Client) -> None:
        """Note whether a call gave an output, and keep its thumbnails if it is one of the last."""
        request = detail["request"]
        newer = [item for item in self._kept.values() if item["began"] > request["began"]]
        if len(newer) >= MAX_OUTPUTS:
            self._gives[request["id"]] = gives_output(detail)
            return
        output = output_of(detail, lambda: _read_body(client, detail))
        self._gives[request["id"]] = output is not None
        if output is not None:
            self._kept[output["id"]] = output

    def _ordered(self) -> list[SavedOutput]:
        return sorted(self._kept.values(), key=lambda item: -item["began"])


def _results_of(snapshot: Picture) -> tuple[list[str], str]:
    """Return the ids of the calls whose answers may have outputs, newest first, and of the one that Try shows."""
    if "answers" in snapshot:
        return snapshot["answers"], snapshot.get("newest", "")
    by_hand = [request for request in snapshot["requests"] if request["origin"] != "load"]  # of an older gateway
    answers = [item["id"] for item in by_hand if may_give_output(item["status"], item["content_type"])]
    return answers, next(
        (item["id"] for item in by_hand if item["origin"] == "panel"), by_hand[0]["id"] if by_hand else ""
    )


def _read_body(client: Client, detail: RequestDetail) -> bytes | None:
    """Return the complete body of a response that the gateway retains for the panels."""
    if not detail["buffered"] or detail["request"]["bytes_out"] > MAX_IMAGE_BYTES:
        return None
    try:
        answer = client.control.open("GET", f"/admin/requests/{detail['request']['id']}/answer")
        return b"".join(answer) if answer.status == 200 else None
    except (OSError, FalJupyterError):
        return None


def _base(content_type: str) -> str:
    return content_type.split(";")[0].strip().lower()


# --- outputs ----------------------------------------------------------------------------------------------------------
def gives_output(detail: RequestDetail) -> bool:
    """Whether a successful call gave something to look at; reads no file."""
    if any(picture["content_type"].startswith("image/") for picture in detail["displays"]):
        return True
    is_medium = not _is_file_only(_base(detail["request"]["content_type"]))
    return is_medium or next(files_in(value_of(detail["output"])), None) is not None


def output_of(detail: RequestDetail, read_body: Callable[[], bytes | None] = lambda: None) -> SavedOutput | None:
    """Return the media of a call's result, or ``None``. *read_body* returns the complete body if the record is truncated."""
    request, input_value = detail["request"], value_of(detail["input"])
    if not 200 <= request["status"] < 300:
        return None

    from fal_jupyter.fal.toolkit.utils.thumbnails import thumbnail  # start-up

    pictures: list[Display] = []
    others: list[str] = []
    for kind, data, name, length in _media(detail, read_body):
        drawing = thumbnail(data) if data is not None and len(pictures) < MAX_IMAGES else None
        if drawing is not None:
            form, small, (width, height) = drawing
            label = f"{name or kind}, {width} × {height}, {size(len(data or b''))}"
            pictures.append(Display(content_type=form, base64=base64.b64encode(small).decode(), text=label))
        else:
            known = (
                [name, kind, size(length) if length else ""]
                if _is_file_only(kind)
                else [name or kind, size(length) if length else ""]
            )
            others.append(", ".join(filter(None, known)) or "a file")
    if not pictures and not others:
        return None
    output_value = value_of(detail["output"])
    seed = output_value.get("seed") if isinstance(output_value, dict) else None
    seed = input_value.get("seed") if seed is None and isinstance(input_value, dict) else seed
    query = parse_qsl(detail["query"], keep_blank_values=True)
    seed = dict(query).get("seed") if seed is None else seed
    values = (
        {name: item for name, item in input_value.items() if name != "seed"}
        if isinstance(input_value, dict)
        else input_value
    )
    asked = [f"{name} {item}".rstrip() for name, item in query if name != "seed"]
    return SavedOutput(
        id=request["id"],
        path=request["path"][:MAX_SUMMARY_CHARS],
        began=request["began"],
        total_ms=request["total_ms"],
        revision=request["revision"],
        input=_cut(" · ".join(filter(None, [summary_of(values), *asked]))),
        seed="" if seed is None or isinstance(seed, (dict, list)) else str(seed)[:40],
        pictures=pictures,
        others=[name[:MAX_SUMMARY_CHARS] for name in others[:MAX_IMAGES]]
        + ([f"{plural(len(others) - MAX_IMAGES, 'file')} more"] if len(others) > MAX_IMAGES else []),
    )


def bounded(outputs: list[SavedOutput]) -> list[SavedOutput]:
    """Drop thumbnails of older outputs beyond the size limit of a notebook."""
    chars_left, result = MAX_THUMBNAIL_CHARS, []
    for item in outputs:
        pictures = []
        for thumb in item["pictures"]:
            fits = len(thumb["base64"]) <= chars_left
            chars_left -= len(thumb["base64"]) if fits else 0
            pictures.append(thumb if fits else Display(content_type="", base64="", text=thumb["text"]))
        result.append(cast("SavedOutput", {**item, "pictures": pictures}))
    return result


def _is_file_only(kind: str) -> bool:
    """True for a media type of which nothing can be shown."""
    return kind.partition("/")[0] not in _SHOWN


def _media(
    detail: RequestDetail, read_body: Callable[[], bytes | None]
) -> Iterator[tuple[str, bytes | None, str, int]]:
    """Yield media type, bytes (if available), name and size (0: unknown) of each file that a call returned or displayed."""
    for picture in detail["displays"]:
        if picture["content_type"].startswith("image/"):
            shown = base64.b64decode(picture["base64"]) if picture["base64"] else None
            yield picture["content_type"], shown, "displayed", len(shown or b"")
    kind, body = _base(detail["request"]["content_type"]), detail["output"]
    if not _is_file_only(kind):
        data = base64.b64decode(body["base64"]) if body is not None and not body["truncated"] else read_body()
        yield kind, data if data else None, "", len(data or b"")
        return
    from fal_jupyter.fal.toolkit.utils.fetching import local_bytes  # start-up

    for file_type, address, name, length in itertools.islice(files_in(value_of(body)), 24):
        content = local_bytes(address, MAX_IMAGE_BYTES) if file_type in IMAGES else None
        yield file_type, content, name, len(content) if content is not None else length


def files_in(value: object) -> Iterator[tuple[str, str, str, int]]:
    """Yield media type (``""``: unknown), URL, name and size (0: unknown) of each image, audio, video and ``File`` in *value*, in document order."""
    visited, urls = 0, set()
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack and (visited := visited + 1) <= MAX_VISITED:
        item, depth = stack.pop()
        url, kind, name, length, is_file = item, "", None, 0, False
        if isinstance(item, dict):
            url, kind = item.get("url"), _base(str(item.get("content_type") or ""))
            name, given = item.get("file_name"), item.get("file_size")
            length = given if isinstance(given, int) and not isinstance(given, bool) else 0
            is_file = not item.keys().isdisjoint(_FILE_FACTS)
        if isinstance(url, str) and _is_file(url):
            if url[:5].lower() == "data:":
                kind, length = _base(url[5:200].partition(",")[0]) or kind, length or _data_size(url)
            if is_file or not _is_file_only(kind):
                if url not in urls:
                    urls.add(url)
                    yield kind, url, _chosen_name(name), length
                continue
        if isinstance(item, (dict, list)) and depth < MAX_DEPTH:
            parts = list(item.values()) if isinstance(item, dict) else item
            stack += [(part, depth + 1) for part in reversed(parts[:MAX_VISITED])]


def _data_size(url: str) -> int:
    """Return the number of bytes in a ``data:`` URL; 0 unless it has base64."""
    head, _, text = url.partition(",")
    return len(text) * 3 // 4 - text[-2:].count("=") if head.lower().endswith(";base64") else 0


def _chosen_name(name: object) -> str:
    """Return the name of a file, or ``""`` for one that fal generated, which says nothing."""
    return name if isinstance(name, str) and "." in name and len(name.partition(".")[0]) < 32 else ""


# --- words ------------------------------------------------------------------------------------------------------------
def value_of(body: Body | None) -> object:
    """Return the JSON value of a retained body (of an event stream: its last event), or ``None``."""
    if body is None or (body["truncated"] and "left_out" not in body) or not body["text"]:
        return None
    text = body["text"]
    if _base(body["content_type"]) == "text/event-stream":
        last = text.replace("\r\n", "\n").rstrip().split("\n\n")[-1]
        text = "\n".join(line[5:].removeprefix(" ") for line in last.split("\n") if line.startswith("data:"))
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def summary_of(input_value: object) -> str:
    """Summarize an input in a line: its first text, then the rest by name; files by their name."""
    if not isinstance(input_value, dict):
        return "" if input_value is None else _word(input_value)[:MAX_SUMMARY_CHARS]
    if isinstance(lone_file := _with_file_names(input_value), str):
        return _cut(lone_file)
    entries = [(name, item) for name, item in input_value.items() if item not in (None, "", [], {})]
    entries.sort(key=lambda pair: not isinstance(pair[1], str) or _is_file(pair[1]))
    label = [
        _word(item) if position == 0 and isinstance(item, str) and not _is_file(item) else f"{name} {_word(item)}"
        for position, (name, item) in enumerate(entries[:20])
    ]
    return _cut(" ".join(" · ".join(label).split()))


def _cut(line: str) -> str:
    return line if len(line) <= MAX_SUMMARY_CHARS else line[: MAX_SUMMARY_CHARS - 1] + "…"


def _is_file(text: str) -> bool:
    return text[:5].lower() in ("data:", "http:", "https")


def _is_file_record(value: dict[str, Any]) -> bool:
    """True for a file alone; an input may have the URL of one among its other values."""
    url = value.get("url")
    return isinstance(url, str) and _is_file(url) and value.keys() <= FILE_FIELDS


def _word(value: object) -> str:
    without_files = _with_file_names(value)
    if isinstance(without_files, str):
        return without_files[:MAX_SUMMARY_CHARS]
    try:
        return json.dumps(without_files, ensure_ascii=False)[:MAX_SUMMARY_CHARS]
    except RecursionError:
        return "…"


def _with_file_names(value: object, depth: int = 0) -> object:
    """Replace the URLs and bytes of files in *value* by their names."""
    if isinstance(value, str):
        return "a file" if _is_file(value) else value
    if isinstance(value, dict) and _is_file_record(value):
        return _chosen_name(value.get("file_name")) or "a file"
    if depth < MAX_DEPTH and isinstance(value, dict):
        return {name: _with_file_names(item, depth + 1) for name, item in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list):
        return [_with_file_names(item, depth + 1) for item in value]
    return value


def shortened(detail: RequestDetail) -> RequestDetail:
    """Shorten the bodies, error and log lines of a result to the size limits of a notebook."""
    error = detail["error"]
    if error is not None:
        error = {
            **error,
            "message": error["message"][:300],
            "text": error["text"][-MAX_OUTPUT_CHARS:],
            "frames": [{**frame, "line": frame["line"][:200]} for frame in error["frames"][-MAX_LOG_LINES:]],
        }
    request = detail["request"]
    return {
        "request": {**request, "path": request["path"][:300], "error": request["error"][:300]},
        "query": detail["query"][:300],
        "input": _beginning(detail["input"], MAX_INPUT_CHARS),
        "output": _beginning(detail["output"], MAX_OUTPUT_CHARS),
        "error": error,
        "logs": [{**line, "text": line["text"][:300]} for line in detail["logs"][-MAX_LOG_LINES:]],
        "displays": [],
        "buffered": False,
    }


def _beginning(body: Body | None, most: int) -> Body | None:
    if body is None:
        return None
    text, is_cut = body["text"][:most], len(body["text"]) > most
    beginning = Body(
        content_type=body["content_type"],
        size=body["size"],
        text=text,
        base64="",
        truncated=body["truncated"] or is_cut or bool(body["base64"]),
    )
    if not is_cut and "left_out" in body:  # the text is all of the body, but for these
        beginning["left_out"] = body["left_out"]
    return beginning
