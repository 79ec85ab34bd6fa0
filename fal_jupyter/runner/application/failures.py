"""Describes an exception of user code as strings: the user's traceback, without our frames. Nothing is pickled here.

User code is not trusted: attributes are read with the descriptors of ``BaseException`` and ``type``, and
anything that runs user code (``__str__``, ``__notes__``) may raise or return anything. :func:`describe` never raises, and
its cost and length are bounded.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import linecache
import math
import os
import sysconfig
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from types import CodeType, FrameType, TracebackType
from typing import Any, TypedDict, TypeGuard

import anyio
import fastapi
import msgspec
import starlette
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import ResponseValidationError

from fal_jupyter.domain.errors import AppRuleBroken
from fal_jupyter.domain.text.json_forms import json_form
from fal_jupyter.protocol.api import ErrorDescription, ErrorFrame

_PACKAGE_DIRECTORY = (
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
)  # this package
_LIBRARIES = (fastapi, starlette, anyio, asyncio, concurrent.futures)
_PLUMBING = (
    _PACKAGE_DIRECTORY,
    *(os.path.dirname(str(module.__file__)) + os.sep for module in _LIBRARIES),
    os.path.join(sysconfig.get_paths()["stdlib"], "contextlib.py"),
    "uvloop" + os.sep,  # compiled: its frames name files of the build machine
)
_OUR_ERRORS = AppRuleBroken.__module__  # named as users import them, without the module that defines them
MAX_FRAMES = 60  # in ErrorDescription.frames
MAX_CHAIN = 20  # exceptions of one __cause__ or __context__ chain that are shown: the first and the last ones
MAX_GROUP = 15  # exceptions of one group, as in the traceback module
MAX_DEPTH = 10  # groups within groups, as in the traceback module
MAX_EXCEPTIONS = 200  # in one description, all chains and groups together
_MAX_LINKS = 100_000  # links of a chain that are followed
_MAX_STACK = 100  # frames shown at each end of a longer stack
_MAX_MESSAGE = 16_000  # characters; these four together fit into one frame, however JSON escapes them
_MAX_TEXT = 120_000
_MAX_LINE = 500
_MAX_NAME = 300
MAX_LOOKED_AT = 100_000  # values of a result that are searched for NaN
_OPEN_OF_IPYTHON = "_modified_open"  # the name of IPython's wrapper of ``open``
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
_TRACEBACK = "Traceback (most recent call last):\n"
_encode = msgspec.json.encode


def describe(error: BaseException, phase: str, endpoint: object = None) -> ErrorDescription:
    """Describe *error* as Python would print it, from the user's first frame on. Never raises.

    *endpoint* is the function whose definition is shown if the traceback has no user frame.
    """
    try:
        stack = _stack_of(error, endpoint)
        frames = [
            ErrorFrame(
                filename=plain(f.filename, _MAX_NAME),
                lineno=f.lineno or 0,
                function=plain(f.name, _MAX_NAME),
                line=plain(f.line or "", _MAX_LINE),
            )
            for f in stack[-MAX_FRAMES:]
        ]
    except BaseException:
        frames = []
    try:
        text = "".join(_lines(error, endpoint))
    except BaseException:
        text = f"{name_of(error)}: {text_of(error)}\n"
    return ErrorDescription(
        type=name_of(error), message=text_of(error), text=plain(text, _MAX_TEXT), frames=frames, phase=phase
    )


def _definition_of(error: BaseException) -> object:
    """Return the user's function that breaks a rule, or None."""
    try:
        if issubclass(type(error), AppRuleBroken):  # not isinstance: a user's class may have a __class__ that raises
            return AppRuleBroken.__getattribute__(error, "definition")
    except BaseException:
        pass
    return None


def encode(error: ErrorDescription) -> bytes:
    """Return *error* as JSON that fits into one frame: its texts are truncated, never the JSON."""
    return _encode(
        ErrorDescription(
            type=plain(error["type"], _MAX_NAME),
            message=plain(error["message"], _MAX_MESSAGE + _MAX_LINE),
            text=plain(error["text"], _MAX_TEXT + _MAX_LINE),
            frames=error["frames"][-MAX_FRAMES:],
            phase=error["phase"],
        )
    )


def plain(text: str, limit: int) -> str:
    """Return *text* as an ordinary string of at most *limit* characters that can be encoded; its middle is left out."""
    size = str.__len__(text)
    if size > limit:
        half = limit // 2
        dropped = f"[… {size - 2 * half:,} characters left out …]"
        text = f"{str.__getitem__(text, slice(0, half))}{dropped}{str.__getitem__(text, slice(size - half, size))}"
    return str.encode(text, "utf-8", "backslashreplace").decode("utf-8")


def text_of(error: BaseException) -> str:
    """Return ``str(error)`` as a string that can be encoded; a placeholder if its ``__str__`` fails. Never raises."""
    try:
        return plain(str(error), _MAX_MESSAGE)
    except BaseException:
        return "<its str() failed>"


def name_of(error: BaseException) -> str:
    """Return the qualified name of *error*'s class as Python prints it, bypassing overrides of the class. Never raises."""
    try:
        kind = type(error)
        name = type.__dict__["__qualname__"].__get__(kind)
        module = type.__dict__["__module__"].__get__(kind)
        if isinstance(module, str) and module not in ("builtins", "__main__", _OUR_ERRORS):
            name = f"{module}.{name}"
        return plain(name, _MAX_NAME)
    except BaseException:
        return "Exception"


def code_of(error: BaseException) -> str:
    """Return a SystemExit's code as text. Never raises."""
    try:
        return plain(repr(getattr(error, "code", None)), _MAX_NAME)
    except BaseException:
        return "<its repr() failed>"


def is_wrong_answer(error: BaseException) -> TypeGuard[ResponseValidationError]:
    """Whether an endpoint returned what its annotation does not allow; an error's own ``__class__`` is not asked."""
    return issubclass(type(error), ResponseValidationError)


def describe_wrong_answer(error: ResponseValidationError, endpoint: object, result: object) -> ErrorDescription:
    """Describe a result that does not match its endpoint's annotation: the endpoint's location, the annotation, the result."""
    described = describe(error, "request", endpoint)
    try:
        annotation = getattr(endpoint, "__annotations__", {}).get("return")
        type_name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
        errors: Sequence[_ValidationProblem] = error.errors()
        wrong = "; ".join(_wrong_part(item) for item in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        name = getattr(endpoint, "__qualname__", "the endpoint")
        message = plain(
            f"{name} returned {repr(result)[:200]} (a {type(result).__name__}), which does not match its annotation -> {type_name}: {wrong}{more}",
            _MAX_MESSAGE,
        )
        stack = "".join(_stack_of(error, endpoint).format())
    except BaseException:
        return described
    described["message"] = message
    described["text"] = f"{_TRACEBACK}{plain(stack, _MAX_TEXT // 2)}ResponseValidationError: {message}\n"
    return described


class _ValidationProblem(TypedDict):
    """What is read of one of pydantic's problems."""

    loc: tuple[int | str, ...]
    msg: str


def _wrong_part(item: _ValidationProblem) -> str:
    location = ".".join(str(part) for part in item["loc"][1:])
    return f"{location}: {item['msg']}" if location else str(item["msg"])


def note(error: ErrorDescription, sentence: str) -> None:
    """Add information about this machine to the description of an error that it caused."""
    error["message"] = f"{error['message']} ({sentence})" if error["message"] else sentence
    error["text"] = f"{error['text'].rstrip()}\n{sentence[0].upper()}{sentence[1:]}."


def sentence(kind: str, message: str, phase: str) -> ErrorDescription:
    """A description without a traceback, for errors after the user's code returned."""
    return ErrorDescription(type=kind, message=message, text=f"{kind}: {message}\n", frames=[], phase=phase)


# --- attributes of exceptions ------------------------------------------------------------------------------------
def _own(error: BaseException, name: str) -> Any:
    return BaseException.__dict__[name].__get__(error)


def _former(error: BaseException) -> tuple[BaseException | None, str]:
    """Return the exception that is printed before *error*, and the line between the two."""
    if (cause := _own(error, "__cause__")) is not None:
        return cause, _CAUSE
    if _own(error, "__suppress_context__"):
        return None, ""
    return _own(error, "__context__"), _CONTEXT


def _members(error: BaseException) -> tuple[BaseException, ...]:
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    members: tuple[BaseException, ...] = BaseExceptionGroup.__dict__["exceptions"].__get__(error)
    return members


# --- its text -------------------------------------------------------------------------------------------------------
def _lines(error: BaseException, endpoint: object = None) -> Iterator[str]:
    return islice(_chain(error, endpoint, 0, set(), [MAX_EXCEPTIONS]), 10_000)


def _chain(error: BaseException, endpoint: object, depth: int, seen: set[int], room: list[int]) -> Iterator[str]:
    """The lines of *error* and of its causes, oldest first; the middle of a long chain is left out."""
    links: list[tuple[BaseException, str]] = []
    newest: BaseException | None = error
    words = ""
    while newest is not None and id(newest) not in seen and len(links) < _MAX_LINKS:
        seen.add(id(newest))
        former, between = _former(newest)
        links.append((newest, words))
        newest, words = former, between
    skipped = len(links) - MAX_CHAIN
    for index in reversed(range(len(links))):
        link, after = links[index]
        if skipped > 0 and MAX_CHAIN // 2 <= index < MAX_CHAIN // 2 + skipped:
            if index == MAX_CHAIN // 2:
                yield f"[… {skipped:,} more exceptions of this chain left out …]\n{after}"
            continue
        yield from _section(link, endpoint if index == 0 else None, depth, seen, room)
        yield after


def _section(error: BaseException, endpoint: object, depth: int, seen: set[int], room: list[int]) -> Iterator[str]:
    room[0] -= 1
    if room[0] < 0:
        yield "[… more exceptions left out …]\n"
        return
    if stack := _stack_of(error, endpoint):
        yield _TRACEBACK
        yield from (plain(line, 3 * _MAX_LINE) for line in stack.format())
    yield from _last_lines(error)
    members = _members(error)
    if not members:
        return
    if depth >= MAX_DEPTH:
        yield f"  ... and {len(members)} nested exceptions (the group is nested too deeply)\n"
        return
    for number, member in enumerate(members[:MAX_GROUP], 1):
        yield f"  +---------------- {number} ----------------\n"
        if id(member) in seen:
            yield "  | (shown above)\n"
            continue
        for text in _chain(member, None, depth + 1, seen, room):
            yield "".join(f"  | {line}\n" for line in text.splitlines())
    if len(members) > MAX_GROUP:
        yield f"  +---------------- ... ----------------\n  | and {len(members) - MAX_GROUP} more exceptions\n"
    yield "  +------------------------------------\n"


def _stack_of(error: BaseException, endpoint: object) -> traceback.StackSummary:
    """The definition that *error* is about; else the user's frames, or the definition of *endpoint* if there are none."""
    if (definition := _definition_of(error)) is not None:
        return _place_of(definition)
    try:
        stack = _users(traceback.StackSummary.extract(iter(_frames(_own(error, "__traceback__")))))
    except BaseException:  # for example, a module's __loader__ whose get_source() fails
        return traceback.StackSummary()
    if not any(not frame.filename.startswith(_PLUMBING) for frame in stack):
        return _place_of(endpoint) or stack
    return stack


def _place_of(function: object) -> traceback.StackSummary:
    """The line where a function or method is defined; empty if it has no code."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if not isinstance(code, CodeType):
        return traceback.StackSummary()
    return traceback.StackSummary.from_list(
        [traceback.FrameSummary(code.co_filename, _line_of_def(code), code.co_name)]
    )


def _line_of_def(code: CodeType) -> int:
    """The line of ``def``, below the decorators."""
    first = code.co_firstlineno
    for number in range(first, first + 20):
        if linecache.getline(code.co_filename, number).lstrip().startswith(("def ", "async def ")):
            return number
    return first


def _frames(tb: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    walked = traceback.walk_tb(tb)
    first = list(islice(walked, 1000))
    return chain(first, deque(walked, _MAX_STACK)) if len(first) == 1000 else iter(first)


def _users(stack: traceback.StackSummary) -> traceback.StackSummary:
    first = next((i for i, frame in enumerate(stack) if not frame.filename.startswith(_PLUMBING)), len(stack))
    return traceback.StackSummary.from_list(
        [
            frame
            for frame in stack[first:]
            if not frame.filename.startswith(_PLUMBING[0]) and frame.name != _OPEN_OF_IPYTHON
        ]
    )


def _last_lines(error: BaseException) -> list[str]:
    """The lines below the stack: class, message, notes; of a SyntaxError its source line too."""
    lines: list[str] = []
    kind = type(error)
    try:
        if issubclass(kind, SyntaxError):
            lines = _of_syntax_error(error)
        elif kind in (NameError, AttributeError, ImportError, ModuleNotFoundError):  # "Did you mean" of Python 3.12 on
            alone = traceback.TracebackException(
                kind, _alone(error), _own(error, "__traceback__"), limit=0, lookup_lines=False
            )
            lines = [plain(line, _MAX_MESSAGE) for line in alone.format_exception_only()]
    except BaseException:
        lines = []
    if not lines:
        text = text_of(error)
        lines = [f"{name_of(error)}: {text}\n" if text else f"{name_of(error)}\n"]
    return [*lines, *_notes(error)]


def _alone(error: BaseException) -> BaseException:
    """The same built-in exception without its causes."""
    new = BaseException.__new__(type(error), *_own(error, "args"))
    new.args = _own(error, "args")
    for name in ("name", "obj", "name_from", "path", "msg"):
        if hasattr(error, name):
            setattr(new, name, getattr(error, name))
    return new


def _of_syntax_error(error: BaseException) -> list[str]:
    """As Python shows it, without attributes of the wrong type."""

    def attribute(name: str, kind: type) -> Any:
        value: Any = getattr(error, name, None)
        if type(value) is not kind:
            return None
        return plain(str(value), _MAX_LINE) if kind is str else value

    location = [attribute(n, k) for n, k in (("filename", str), ("lineno", int), ("offset", int), ("text", str))]
    if location[1] is None:
        return []
    sane = SyntaxError(
        attribute("msg", str) or text_of(error), (*location, attribute("end_lineno", int), attribute("end_offset", int))
    )
    lines = traceback.format_exception_only(SyntaxError, sane)
    lines[-1] = lines[-1].replace("SyntaxError", name_of(error), 1)
    return [plain(line, 3 * _MAX_LINE) for line in lines]


def _notes(error: BaseException) -> list[str]:
    try:
        notes: Any = BaseException.__getattribute__(error, "__notes__")
        if not issubclass(type(notes), list | tuple):
            return []
        return [f"{plain(note, 4 * _MAX_LINE)}\n" for note in notes[:20] if issubclass(type(note), str)]
    except BaseException:
        return []


# --- values that JSON cannot hold -----------------------------------------------------------------------------------
def find_unjsonable(value: object, path: str = "result") -> str:
    """Describe where *value* holds something that JSON cannot, or ``""``: ``"result['x'] is NaN"``."""
    if value is None or isinstance(value, str | bool | int):
        return ""
    if isinstance(value, float):
        return (
            ""
            if math.isfinite(value)
            else f"{path} is {'NaN' if math.isnan(value) else value}, which is not JSON serializable"
        )
    if isinstance(value, Mapping):
        parts = ((f"{path}[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        parts = ((f"{path}[{index}]", item) for index, item in enumerate(value))
    elif hasattr(value, "model_fields_set") and hasattr(value, "__dict__"):
        parts = ((f"{path}.{key}", item) for key, item in vars(value).items())
    elif hasattr(value, "__dataclass_fields__"):
        parts = ((f"{path}.{key}", getattr(value, key)) for key in value.__dataclass_fields__)
    else:
        return _odd(value, path)
    for where, item in parts:
        if sentence := find_unjsonable(item, where):
            return sentence
    return ""


def _odd(value: object, path: str) -> str:
    try:
        encoded = jsonable_encoder(value)
    except Exception:
        kind = type(value)
        form = json_form(kind)
        message = f"{path} is a {kind.__module__}.{kind.__qualname__}, which is not JSON serializable"
        return f"{message}; return {form}" if form else message
    return find_unjsonable(encoded, path) if encoded is not value else ""


def count_non_finite(result: object) -> dict[str, int]:
    """Count the NaN and infinite floats of a result by location, a list as one location: ``{"scores": 3}``.

    Looks at :data:`MAX_LOOKED_AT` values at most; a container of user code that cannot be walked counts as empty.
    """
    counts: dict[str, int] = {}
    waiting: deque[tuple[str, object]] = deque([("", result)])
    for _ in range(MAX_LOOKED_AT):
        if not waiting:
            break
        path, value = waiting.popleft()
        if isinstance(value, float):
            if not math.isfinite(value):
                counts[path or "the result"] = counts.get(path or "the result", 0) + 1
            continue
        try:
            if isinstance(value, Mapping):
                waiting.extend((f"{path}.{key}" if path else f"{key}", item) for key, item in value.items())
            elif isinstance(value, list | tuple | set | frozenset):
                waiting.extend((path, item) for item in value)
            elif hasattr(value, "model_fields_set") or hasattr(value, "__dataclass_fields__"):
                waiting.extend((f"{path}.{key}" if path else key, item) for key, item in vars(value).items())
        except Exception:
            continue
    return counts
